/* tests/unit/shared/address_of.h - an address as a connection's peer has it: a mapped one stays IPv6. */
#ifndef TESTS_UNIT_SHARED_ADDRESS_OF_H
#define TESTS_UNIT_SHARED_ADDRESS_OF_H
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* What is no address is a Unix socket's. */
static inline struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage addr = { 0 };

    if (inet_pton(AF_INET, text, &((struct sockaddr_in *)&addr)->sin_addr) == 1)
        addr.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&addr)->sin6_addr) == 1)
        addr.ss_family = AF_INET6;
    else
        addr.ss_family = AF_UNIX;
    return addr;
}
#endif
