/* relay/edge/h2_visitor.h - the requests of one visitor's connection by HTTP/2.
 *
 * An object of the client's, which has the socket: bytes go in and out through it. */
#ifndef RELAY_EDGE_H2_VISITOR_H
#define RELAY_EDGE_H2_VISITOR_H
#include "relay/edge/client.h"
#include "relay/edge/reception.h"
#include "relay/edge/wire.h"

struct h2_visitor;

/* Borrows the client, and what the reception borrows, as long as it lives. */
struct h2_visitor *h2_visitor_new(struct client *c, const struct reception *reception, uint64_t now_ms);
void h2_visitor_free(struct h2_visitor *v); /* its requests break off; NULL is fine */

/* Takes what has come, and sends what the socket has room for. No plain: he has ended his side, and what he has said to its
 * end still reaches its service. False: the connection is over, but for its last words, which wait to be flushed. */
bool h2_visitor_run(struct h2_visitor *v, struct wire *wire, struct buf *plain, uint64_t now_ms);
/* It ends behind the requests in progress. To be looked after when the last call is over. */
void h2_visitor_drain(struct h2_visitor *v, uint64_t now_ms);
/* Something is in progress, and nothing of it has an end that could be waited for. */
bool h2_visitor_is_endless(const struct h2_visitor *v);
/* In how many ms to be asked again; 0: nothing has happened for so long that the connection is over. */
uint64_t h2_visitor_look(struct h2_visitor *v, uint64_t now_ms);
/* Asked behind each run: the same, when it is to be sooner than was said then; otherwise 0. */
uint64_t h2_visitor_look_sooner(struct h2_visitor *v);
#endif
