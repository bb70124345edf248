/* relay/lanes/claims.h - who serves which name: what each agent may claim, and what it has claimed. Pure.
 *
 * An object. An agent's last complete claim stays when its lanes go: its sites are then expected, not unknown. */
#ifndef RELAY_LANES_CLAIMS_H
#define RELAY_LANES_CLAIMS_H
#include "relay/lanes/roster.h"
#include "shared/lane_msg.h"

struct claims;

struct claims *claims_new(void);
void claims_free(struct claims *c); /* NULL is fine */

/* Which agents there are, and the names each may serve. What one claims beyond them is dropped, and so is what a
 * [domain] has an upstream for. */
void claims_follow(struct claims *c, const struct opt_conf *conf, const struct roster *roster);
bool claims_knows(const struct claims *c, const char *agent);

/* Takes one part of a claim. When that was the last one of the claim that is now in force, `answer` is the `claimed` to
 * send, valid until the next call; otherwise, and for what a higher serial of this boot has overtaken, it is of type
 * LANE_UNKNOWN. ERR_LIMIT: more than we keep of this agent. */
must_check int claims_take(struct claims *c, const char *agent, const char *boot, const struct lane_msg *part,
                           struct lane_msg *answer, struct err *e);

/* The same for a machine whose claims do not count, because a newer one has the same key: what is in force. */
bool claims_echo(struct claims *c, const char *agent, const struct lane_msg *part, struct lane_msg *answer);

/* Who gets or loses a name otherwise than by a claim of its own is to be told: call it after claims_follow and
 * claims_take until it says false. `answer` is the `claimed` to send to *agent, both valid until the next call. */
bool claims_untold(struct claims *c, const char **agent, struct lane_msg *answer);

/* An agent says how a service of its claim is doing. False when that is no news. */
bool claims_note_service(struct claims *c, const char *agent, const struct lane_msg *said);

/* What an agent had claimed before this relay was started, until it claims anew; nothing where it has. Then
 * claims_remembered, once. */
void claims_remember(struct claims *c, const char *agent, const char *name, const struct lane_item *item);
void claims_remembered(struct claims *c);

struct claims_site {
    const char *name, *agent; /* agent: who serves it, or may */
    const char *const *aliases;
    size_t aliases_n;
    json_t *policy;            /* that it asks for; NULL: none */
    bool claimed, remembered;  /* neither: by configuration alone */
    enum lane_service service; /* what the agent said of it last */
};
/* Sites in order of their names: i from 0. False at the end. */
bool claims_site(const struct claims *c, size_t i, struct claims_site *site);
#endif
