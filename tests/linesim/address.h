/* tests/linesim/address.h - socket addresses as text: 127.0.0.1:80, [::1]:80, unix:/path; no names. */
#ifndef TESTS_LINESIM_ADDRESS_H
#define TESTS_LINESIM_ADDRESS_H
#include "shared/err.h"
#include "shared/str.h"

#include <sys/socket.h>

struct address {
    struct sockaddr_storage addr;
    socklen_t len;
};

must_check int address_parse(struct address *a, struct str text, struct err *e);
char *address_text(const struct address *a); /* on the heap */
int address_port(const struct address *a);   /* 0 for a unix socket */
#endif
