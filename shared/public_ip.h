/* shared/public_ip.h - which addresses everybody can reach, and what the others are. Pure. */
#ifndef SHARED_PUBLIC_IP_H
#define SHARED_PUBLIC_IP_H
#include <sys/socket.h>

/* NULL for a public one; else what it is: "a private address (RFC 1918)". */
const char *public_ip_wrong(const struct sockaddr *address);
#endif
