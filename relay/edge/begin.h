/* relay/edge/begin.h - the context that every visitor's TLS connection begins with, before its server name is known.
 *
 * An object of the control plane: it makes a new context when the profile changes and when new ticket keys are due. The
 * snapshot carries it to the workers; connections keep the one they began with. */
#ifndef RELAY_EDGE_BEGIN_H
#define RELAY_EDGE_BEGIN_H
#include "relay/edge/tls.h"

struct begin;

struct begin *begin_new(void);
void begin_free(struct begin *b);                  /* NULL is fine */
bool begin_due(const struct begin *b, time_t now); /* true when begin_context would bring new ticket keys */
/* Borrowed until the next call. */
SSL_CTX *begin_context(struct begin *b, enum tls_profile profile, time_t now);
#endif
