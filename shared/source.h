/* shared/source.h - who comes, as far as he can be told from others: an IPv4 address, or the /64 of an IPv6 one, which is what
 * one household has. Pure. */
#ifndef SHARED_SOURCE_H
#define SHARED_SOURCE_H
#include <stdint.h>
#include <sys/socket.h>

#define SOURCE_NONE UINT64_MAX
/* One number for each source; SOURCE_NONE for who has no address. */
uint64_t source_key(const struct sockaddr_storage *addr);

enum { SOURCE_TEXT_BYTES = 48 };
/* The address alone, v4-mapped ones as IPv4; "local" for who has none. */
void source_print(const struct sockaddr_storage *addr, char out[SOURCE_TEXT_BYTES]);
#endif
