/* relay/edge/exchange.h - one request and its response.
 *
 * An object of the client's: it holds the snapshot that the request was routed by until it is upgraded, and a stream of a
 * lane. */
#ifndef RELAY_EDGE_EXCHANGE_H
#define RELAY_EDGE_EXCHANGE_H
#include "relay/edge/client.h"
#include "relay/edge/visitor_side.h"

struct exchange;

enum exchange_state {
    EXCHANGE_RUNS,
    EXCHANGE_WAITS,    /* parked: the visitor is not read beyond what he has said already */
    EXCHANGE_UPGRADED, /* the same, without any deadline: the bytes are another protocol's */
    EXCHANGE_KEEP,     /* complete; the visitor may ask again */
    EXCHANGE_CLOSE,    /* complete; the connection ends behind it */
    EXCHANGE_BROKEN, /* the response broke off: the visitor must see a reset, never a short body that looks whole */
};

/* The head has been parsed and lies at its `bytes` until exchange_new returns. */
struct exchange *exchange_new(const struct visitor_side *side, const struct client_host *host,
                              struct snapshot *holds, const struct snap_site *site,
                              const struct h1_head *head, const struct headers_visitor *visitor);
/* Takes what it can of the request's body from plain. Call it whenever something happened. */
enum exchange_state exchange_run(struct exchange *x, struct buf *plain);
/* Nothing has happened for long. EXCHANGE_RUNS: the visitor gets an answer, by the next exchange_run; EXCHANGE_CLOSE: it
 * was he who said nothing. */
enum exchange_state exchange_late(struct exchange *x, const struct buf *plain);
/* Nobody can say when it will be complete: another protocol's bytes, or a stream of events. */
bool exchange_is_endless(const struct exchange *x);
/* After EXCHANGE_BROKEN: with which error of HTTP/2 it broke off. */
uint32_t exchange_error(const struct exchange *x);
/* Also in the middle, when the visitor is gone. NULL is fine. */
void exchange_free(struct exchange *x);
#endif
