/* relay/lanes/enrol.h - how agents come and go without the configuration: invite, enrol, revoke.
 *
 * An object on the loop: an invitation first asks sshd for its host key, on a thread. Used by lanes.c alone. */
#ifndef RELAY_LANES_ENROL_H
#define RELAY_LANES_ENROL_H
#include "relay/lanes/roster.h"
#include "shared/http/server.h"
#include "shared/lane_msg.h"
#include "shared/loop.h"

struct enrol_host {
    /* Who may connect is another than before: -1 when that cannot be written. Fills the new roster. */
    int (*changed)(void *user, struct err *e);
    const struct roster *(*roster)(void *user);
    size_t (*lanes_of)(void *user, const char *agent);
    void (*idle)(void *user); /* after enrol_stop: nothing is under way any longer */
    void *user;
};

struct enrol;

/* Loads what is in the state folder. Borrows conf until enrol_follow gives another. */
struct enrol *enrol_open(struct loop *loop, const struct opt_conf *conf, const struct enrol_host *host,
                         struct err *e);
void enrol_follow(struct enrol *en, const struct opt_conf *conf);
const struct invites *enrol_invites(const struct enrol *en);
bool enrol_tick(struct enrol *en); /* true: an invitation is over */
void enrol_stop(struct enrol *en);
bool enrol_idle(const struct enrol *en);
void enrol_free(struct enrol *en); /* when idle; NULL is fine */

/* NULL while this invitation can be used; else why it cannot, as the agent is told. */
const char *enrol_refusal(const struct enrol *en, const char *id);
/* An agent's `enrol`. The answer, `enrolled` or `error`, is valid until the next call. */
void enrol_take(struct enrol *en, const char *id, const struct lane_msg *msg, struct lane_msg *answer);

/* The control socket's answers. */
void enrol_answer_agents(struct enrol *en, struct http_reply *reply);
void enrol_answer_invite(struct enrol *en, const struct http_request *request, struct http_reply *reply);
void enrol_answer_revoke(struct enrol *en, const struct http_request *request, struct http_reply *reply);
#endif
