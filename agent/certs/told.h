/* agent/certs/told.h - what relays have told of certificates, and their notices, for whoever looks at this agent's status.
 *
 * A value, embedded; all zero bytes is an empty one. */
#ifndef AGENT_CERTS_TOLD_H
#define AGENT_CERTS_TOLD_H
#include "shared/lane_types.h"
#include "shared/opt.h"

#include <stddef.h>
#include <time.h>

enum { TOLD_NOTICES = 10, TOLD_CERTS = 2000 };

struct told {
    struct told_cert {
        char *relay, *item, *state, *not_after, *why;
        time_t since; /* when it was first told of as being in this state */
    } * certs;
    size_t certs_n;
    struct told_notice {
        char *relay, *level, *text;
        time_t at;
    } notices[TOLD_NOTICES]; /* the newest last */
    size_t notices_n;
};

/* Whether a relay has one that browsers take; NOTHING: it has said nothing of this site. */
enum told_state { TOLD_NOTHING, TOLD_GOOD, TOLD_MISSING };

void told_free(struct told *t);
void told_cert(struct told *t, const char *relay, const struct lane_msg *m);
void told_notice(struct told *t, const char *relay, const struct lane_msg *m, time_t now);
/* Forgets what is no longer of ours. */
void told_keep(struct told *t, bool (*keep)(void *user, const char *relay, const char *item), void *user);
enum told_state told_state(const struct told *t, const char *relay, const char *site);
/* certs[] of one domain, and notices[], of /v1/status: its own, and those of its aliases that have one apart. New references. */
json_t *told_certs_status(const struct told *t, const char *site, const struct opt_words *aliases);
json_t *told_notices_status(const struct told *t);
#endif
