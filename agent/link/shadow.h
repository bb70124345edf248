/* agent/link/shadow.h - functions that libssh2 finds in this program first.
 *
 * libssh2 calls OpenSSL anew several times for every packet, and what OpenSSL does around the work costs more than the
 * work. The dynamic linker looks for a library's functions in the program before it looks in other libraries, so what the
 * program defines and libssh2 calls stands in front of OpenSSL's own:
 *
 *   HMAC_Init_ex   takes SHA-256 as it was found once, where OpenSSL looks it up by its name, twice for each packet
 *   RAND_bytes     takes a packet's padding out of a pool, where OpenSSL has its generator reseeded and stirred for it
 *
 * The bytes are the same, or as random. Whatever else they are asked goes to OpenSSL's own. A libssh2 that does not call
 * them, or is linked so that it finds OpenSSL's first, is only slower. */
#ifndef AGENT_LINK_SHADOW_H
#define AGENT_LINK_SHADOW_H
#include <stdatomic.h>

/* The library's own, behind one of ours: a static one of these, with its name. */
struct shadow {
    const char *name;
    _Atomic(void *) function;
};

void *shadow_of(struct shadow *s);
/* Before the first session: finds SHA-256. */
void shadow_start(void);
#endif
