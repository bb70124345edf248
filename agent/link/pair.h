/* agent/link/pair.h - what the control socket asks about pairing: POST /v1/join. One at a time.
 *
 * A value, embedded in the agent. */
#ifndef AGENT_LINK_PAIR_H
#define AGENT_LINK_PAIR_H
#include "agent/link/join.h"
#include "shared/http/server.h"
#include "shared/opt.h"

struct pair {
    struct loop *loop;
    void (*idle)(void *user); /* a join is over */
    void *user;
    struct join *join; /* NULL: none is under way */
    struct http_later *later;
    json_t *reply; /* for when it goes well */
    char
        joined[TOKEN_NAME_BYTES]; /* the relay that took us last: our key is another one for it than before */
};

void pair_init(struct pair *p, struct loop *loop, void (*idle)(void *user), void *user);
void pair_answer_join(struct pair *p, const struct opt_conf *conf, const struct http_request *request,
                      struct http_reply *reply);
void pair_stop(struct pair *p);
bool pair_idle(const struct pair *p);
#endif
