/* agent/certs/txt.h - TXT records that relays have this agent set for their CAs (dns-01), so that no relay needs a credential.
 *
 * Alive on the loop from txt_start until it calls `ended`, once, last, after txt_stop. What is set is kept in
 * STATE_DIR/txt.json before anybody is asked to set it: it is cleared again when the relay says so, after an hour, and at the
 * next start. */
#ifndef AGENT_CERTS_TXT_H
#define AGENT_CERTS_TXT_H
#include "shared/lane_types.h"
#include "shared/loop.h"
#include "shared/opt.h"

struct txt;

struct txt_events {
    void (*answered)(void *user, const char *relay, const struct lane_msg *m); /* a txt_done */
    void (*ended)(void *user);
};

/* Borrows conf until txt_reload gives another one. */
struct txt *txt_start(struct loop *loop, const struct opt_conf *conf, const struct txt_events *events,
                      void *user);
void txt_reload(struct txt *t, const struct opt_conf *conf);
void txt_hear(struct txt *t, const char *relay, const struct lane_msg *m); /* a txt */
void txt_tick(struct txt *t); /* once a second: has anything been there for an hour? */
void txt_stop(struct txt *t);
#endif
