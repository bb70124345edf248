/* relay/edge/challenges.h - what is answered to those who look whether a name leads to us: texts by path, and TLS contexts
 * by server name. Pure.
 *
 * Built by the control plane, then immutable and counted: snapshots and workers share it. NULL stands for an empty one. */
#ifndef RELAY_EDGE_CHALLENGES_H
#define RELAY_EDGE_CHALLENGES_H
#include "shared/str.h"

#include <openssl/ssl.h>
#include <stdint.h>

struct challenges;

/* serial: a later set has a higher one. */
struct challenges *challenges_new(uint64_t serial); /* with one reference */
/* Copies. host: who asks for another one does not get it; "": anybody gets it. */
void challenges_add_text(struct challenges *c, const char *path, const char *host, const char *text);
/* server_name: normalized. Gets a reference of its own. */
void challenges_add_tls(struct challenges *c, const char *server_name, SSL_CTX *tls);
void challenges_finish(struct challenges *c); /* ends the building */
struct challenges *challenges_hold(struct challenges *c);
void challenges_release(struct challenges *c);

uint64_t challenges_serial(const struct challenges *c); /* 0: of NULL */
/* path: as it was asked for, with its query; host: as in the request, without its port. NULL: it is none of these. */
const char *challenges_text(const struct challenges *c, struct str path, struct str host);
/* Borrowed. NULL: there is none for this name. */
SSL_CTX *challenges_tls(const struct challenges *c, struct str server_name);
#endif
