/* relay/edge/tunnelled.h - a connection after its upgrade: bytes both ways, unchanged, until both sides have ended.
 *
 * An object of the exchange's. It has no deadline and holds no snapshot. */
#ifndef RELAY_EDGE_TUNNELLED_H
#define RELAY_EDGE_TUNNELLED_H
#include "relay/edge/access_request.h"
#include "relay/edge/exchange.h"
#include "relay/edge/meter.h"

struct tunnelled;

/* Takes the stream, and borrows access and meter. What either side has said behind its head may follow at once: the visitor's lies in `plain` of the
 * next run, the service's is for `send`. */
struct tunnelled *tunnelled_new(const struct visitor_side *side, struct upstream *upstream,
                                struct access_request *access, struct meter *meter);
/* Takes what it can from plain. EXCHANGE_UPGRADED while it lasts. */
enum exchange_state tunnelled_run(struct tunnelled *t, struct buf *plain);
bool tunnelled_is_over(const struct tunnelled *t); /* both sides have ended, in order */
/* Also in the middle: what is still open is reset at the service. NULL is fine. */
void tunnelled_free(struct tunnelled *t);
#endif
