/* relay/edge/reception.h - what happens to a head that has been read, or refused: who asks is found out, the gate looks
 * at it, and it becomes an exchange. The same for every HTTP. */
#ifndef RELAY_EDGE_RECEPTION_H
#define RELAY_EDGE_RECEPTION_H
#include "relay/edge/exchange.h"

/* The connection that it came by. */
struct reception {
    const struct client_host *host;
    const struct origin *from;
    const char *server_name; /* as sent in the handshake; "": none, or without TLS */
    const char *tls;         /* name of the version; "": without TLS */
    bool http2;
};

/* NULL: the whole answer has been added to out. */
struct exchange *reception_admit(const struct reception *r, const struct visitor_side *side,
                                 const struct h1_head *head, struct buf *out);
/* Adds the whole answer to a head that was refused. */
void reception_refuse(const struct reception *r, const struct h1_head *head, struct buf *out);
#endif
