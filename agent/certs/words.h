/* agent/certs/words.h - what relays ask and tell about certificates: each word to the part that it is for; and what time it is
 * there.
 *
 * Alive on the loop from words_start until it calls `ended`, once, last, after words_stop. */
#ifndef AGENT_CERTS_WORDS_H
#define AGENT_CERTS_WORDS_H
#include "agent/certs/passing.h"
#include "agent/certs/told.h"
#include "shared/lane_types.h"
#include "shared/loop.h"
#include "shared/opt.h"

struct words;

/* Borrows conf until words_reload gives another one, and host until `ended`. */
struct words *words_start(struct loop *loop, const struct opt_conf *conf, const struct passing_host *host,
                          void (*ended)(void *user), void *user);
void words_reload(struct words *w, const struct opt_conf *conf);
void words_welcomed(struct words *w, const char *relay, const struct lane_msg *welcome);
void words_hear(struct words *w, const char *relay, const struct lane_msg *m);
void words_tick(struct words *w); /* once a second */
enum told_state words_cert_state(const struct words *w, const char *relay, const char *site);
/* certs[] of each domain, and notices[], of /v1/status. New references. */
json_t *words_certs_status(const struct words *w, const char *site);
json_t *words_notices_status(const struct words *w);
/* {who, ahead_s}: by how much this machine's clock is ahead of that of the relay that was heard last. A new reference; NULL
 * before one was. w: NULL is fine. */
json_t *words_clock(const struct words *w);
void words_stop(struct words *w);
#endif
