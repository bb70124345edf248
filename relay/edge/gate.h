/* relay/edge/gate.h - who is answered before any service is asked: requests that were not understood, that are for no site
 * of ours, or whose visitor is to come another way. */
#ifndef RELAY_EDGE_GATE_H
#define RELAY_EDGE_GATE_H
#include "relay/edge/access_log.h"
#include "relay/edge/headers.h"
#include "relay/edge/snapshot.h"
#include "relay/edge/tally.h"

struct gate {
    const struct snapshot *snapshot;
    struct access_log *access_log;
    struct tally *tally;
    struct limiter *rates;
    const struct h1_head *head; /* a whole one, or a refused one */
    const struct headers_visitor *visitor;
    struct str server_name; /* as sent in the handshake; "" for none */
    const char *tls;        /* name of the version; "": the connection is without TLS */
    uint16_t https_port;    /* where visitors find TLS: ours, or that of a proxy in front of us */
};

/* The whole answer, after which the connection ends; it is logged. */
void gate_refuse_head(const struct gate *g, struct buf *out);
/* The same for a request that is for no service; site: NULL when there is none of that name. False: it may pass. */
bool gate_answers(const struct gate *g, const struct snap_site *site, struct buf *out);
#endif
