/* agent/dns/watch.h - what the public sees of all names: asked of a resolver every now and then, and when a person wants to know.
 *
 * Alive on the loop until it calls `ended`, once, last, after watch_stop. */
#ifndef AGENT_DNS_WATCH_H
#define AGENT_DNS_WATCH_H
#include "agent/dns/account.h"
#include "shared/loop.h"
#include "shared/opt.h"

struct watch;

/* Borrows names until `ended`. `seen` is called when an answer is in; resolvers, at each round, for the words of that option. */
struct watch *watch_start(struct loop *loop, struct names *names,
                          const struct opt_words *(*resolvers)(void *user), void (*seen)(void *user),
                          void (*ended)(void *user), void *user);
/* Asks now, unless it does already; `seen` follows in any case. */
void watch_now(struct watch *w);
/* Asks soon: a name is new, or what is there has changed. */
void watch_soon(struct watch *w);
void watch_stop(struct watch *w);
#endif
