#include "relay/certs/spread.h"

#include "shared/log.h"

enum { PASS_MS = 20 * 1000, CLEAR_MS = 5 * 1000 };

static int pass(const struct spread *s, const struct challenge *c, bool set, struct job *job, struct err *e)
{
    const struct errand errand = {
        .host = c->name,
        .who = ERRAND_ALL,
        .msg = { .type = LANE_CHALLENGE,
                 .challenge = { .set = set,
                                .how = c->type == CHALLENGE_TLS_ALPN_01 ? LANE_SHOW_TLS_ALPN : LANE_SHOW_HTTP,
                                .name = c->name,
                                .token = c->token,
                                .answer = c->key_authorization } },
        .patience_ms = set ? PASS_MS : CLEAR_MS,
    };
    struct errand_answer answer;

    return errands_run(s->errands, &errand, job, &answer, e);
}

static int put(void *user, const struct challenge *c, struct job *job, struct err *e)
{
    const struct spread *s = user;

    if (s->own->put(s->own->user, c, job, e) != 0)
        return -1;
    if (pass(s, c, true, job, e) == 0)
        return 0;
    if (e->code == ERR_TIMEOUT) { /* an agent of before, which knows of no such thing: most have one relay */
        log_warn_limited(c->name, "other relays of a name may not know the answer for the CA",
                         kv_str("name", c->name), kv_str("error", e->text));
        *e = (struct err){ 0 };
        return 0;
    }
    s->own->take_away(s->own->user, c);
    return err_wrap(e, "the CA may ask another relay, too, which has to know the answer");
}

/* The others forget it within an hour in any case. */
static void take_away(void *user, const struct challenge *c)
{
    const struct spread *s = user;
    struct err why = { 0 };

    if (pass(s, c, false, NULL, &why) != 0 && why.code != ERR_STOPPED)
        log_debug("other relays show an answer for an hour", kv_str("domain", c->name),
                  kv_str("error", why.text));
    s->own->take_away(s->own->user, c);
}

void spread_init(struct spread *s, const struct challenge_ways *own, struct errands *errands)
{
    *s = (struct spread){ { put, take_away, s }, own, errands };
}
