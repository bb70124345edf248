#include "relay/certs/guests.h"

#include "relay/certs/challenge.h"
#include "relay/certs/validation_cert.h"
#include "shared/domain.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AGENT_BYTES = 33 };

struct guest {
    struct guest *next;
    struct guests *guests;
    char agent[AGENT_BYTES];
    char name[DOMAIN_BYTES], token[CHALLENGE_TOKEN_MAX + 1], answer[CHALLENGE_ANSWER_MAX + 1];
    enum lane_show how;
    json_t *id; /* of who waits for it to be shown; NULL: nobody does */
    uint64_t on_board;
    int64_t until_ms;
};

struct guests {
    struct board *board;
    const struct guests_host *host;
    struct guest *list;
};

struct guests *guests_new(struct board *board, const struct guests_host *host)
{
    struct guests *g = mem_new(sizeof *g);

    *g = (struct guests){ board, host, NULL };
    return g;
}

static void answer(struct guests *g, const char *agent, json_t *id, const char *why)
{
    const struct lane_msg m = { .type = LANE_CHALLENGE_DONE, .done = { .id = id, .ok = !*why, .why = why } };

    if (*why)
        log_warn_limited(agent, "an answer for another relay's CA is not shown here", kv_str("agent", agent),
                         kv_str("error", why));
    g->host->answered(g->host->user, agent, &m);
}

static void free_guest(struct guest *gone)
{
    json_decref(gone->id);
    free(gone);
}

static void forget(struct guests *g, struct guest *gone)
{
    struct guest **at = &g->list;

    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    if (gone->on_board)
        board_take(g->board, gone->on_board);
    free_guest(gone);
}

void guests_free(struct guests *g)
{
    while (g && g->list) {
        struct guest *gone = g->list;

        g->list = gone->next;
        free_guest(gone);
    }
    free(g);
}

/* ---- put up ---- */

static void on_settled(void *user, bool shown)
{
    struct guest *n = user;
    json_t *id = n->id;

    n->id = NULL;
    answer(n->guests, n->agent, id, shown ? "" : "this relay is stopping");
    json_decref(id);
}

static uint64_t put_text(struct guests *g, struct guest *n, struct err *e)
{
    char *path = mem_format("%s%s", n->how == LANE_SHOW_CHECK ? BOARD_CHECK : BOARD_HTTP_01, n->token);
    uint64_t id = board_put_text(g->board, path, n->name, n->answer, on_settled, n, e);

    free(path);
    return id;
}

static uint64_t put_tls(struct guests *g, struct guest *n, const struct challenge *c, struct err *e)
{
    SSL_CTX *tls = validation_context(c, time(NULL), e);
    uint64_t id = tls ? board_put_tls(g->board, n->name, tls, on_settled, n, e) : 0;

    SSL_CTX_free(tls);
    return id;
}

static size_t count(const struct guests *g, const char *agent)
{
    size_t n = 0;

    for (const struct guest *i = g->list; i; i = i->next)
        n += strcmp(i->agent, agent) == 0;
    return n;
}

static struct guest *find(const struct guests *g, const char *agent, const struct lane_msg *m)
{
    for (struct guest *n = g->list; n; n = n->next)
        if (strcmp(n->agent, agent) == 0 && strcmp(n->name, m->challenge.name) == 0 &&
            strcmp(n->token, m->challenge.token) == 0 && n->how == m->challenge.how)
            return n;
    return NULL;
}

/* It becomes part of a path, as a token does, and says nothing but itself. */
static int take_nonce(const struct lane_msg *m, struct challenge *c, struct err *e)
{
    *c = (struct challenge){ .type = CHALLENGE_HTTP_01,
                             .name = m->challenge.name,
                             .token = m->challenge.token,
                             .key_authorization = m->challenge.answer };
    if (!challenge_token_is_valid(m->challenge.token) || strcmp(m->challenge.token, m->challenge.answer) != 0)
        return err_set(e, ERR_INPUT, "the nonce for %.200s is none: it is shown to nobody",
                       m->challenge.name);
    return 0;
}

static int check(const struct guests *g, const char *agent, const struct lane_msg *m, struct challenge *c,
                 struct err *e)
{
    if (!g->host->serves(g->host->user, agent, m->challenge.name))
        return err_set(e, ERR_INPUT, "this agent does not serve %.200s here", m->challenge.name);
    if (count(g, agent) >= GUESTS_OF_AGENT)
        return err_set(e, ERR_LIMIT, "%d answers of this agent are shown already", GUESTS_OF_AGENT);
    if (m->challenge.how == LANE_SHOW_CHECK)
        return take_nonce(m, c, e);
    return challenge_init(c,
                          m->challenge.how == LANE_SHOW_TLS_ALPN ? CHALLENGE_TLS_ALPN_01 : CHALLENGE_HTTP_01,
                          m->challenge.name, false, m->challenge.token, m->challenge.answer, e);
}

static void put(struct guests *g, const char *agent, const struct lane_msg *m, int64_t now_ms)
{
    struct challenge c;
    struct err why = { 0 };
    struct guest *n;

    if (check(g, agent, m, &c, &why) != 0) {
        answer(g, agent, m->challenge.id, why.text);
        return;
    }
    n = mem_new(sizeof *n);
    *n = (struct guest){ .next = g->list,
                         .guests = g,
                         .how = m->challenge.how,
                         .id = json_incref(m->challenge.id),
                         .until_ms = now_ms + GUESTS_KEPT_MS };
    snprintf(n->agent, sizeof n->agent, "%s", agent);
    snprintf(n->name, sizeof n->name, "%s", c.name);
    snprintf(n->token, sizeof n->token, "%s", c.token);
    snprintf(n->answer, sizeof n->answer, "%s", c.key_authorization);
    g->list = n;
    n->on_board = c.type == CHALLENGE_TLS_ALPN_01 ? put_tls(g, n, &c, &why) : put_text(g, n, &why);
    if (n->on_board)
        return;
    answer(g, agent, n->id, why.text);
    forget(g, n);
}

void guests_hear(struct guests *g, const char *agent, const struct lane_msg *m, int64_t now_ms)
{
    struct guest *there = find(g, agent, m);

    if (there && there->id) /* who asks again has lost the answer */
        answer(g, agent, there->id, "it was asked for again");
    if (there)
        forget(g, there);
    if (m->challenge.set)
        put(g, agent, m, now_ms);
    else
        answer(g, agent, m->challenge.id, "");
}

static bool has_lost_it(const struct guests *g, const struct guest *n)
{
    return !g->host->serves(g->host->user, n->agent, n->name);
}

void guests_tick(struct guests *g, int64_t now_ms)
{
    struct guest *n = g->list;

    while (n) {
        struct guest *next = n->next;

        if (now_ms >= n->until_ms || has_lost_it(g, n)) {
            if (n->id)
                answer(g, n->agent, n->id, "the name is not this agent's any more, or it took too long");
            forget(g, n);
        }
        n = next;
    }
}
