#include "relay/certs/authorize.h"

#include "relay/certs/account.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

/* All authorizations of one order, side by side, because base and wildcard need two TXT records of one name at once:
 *
 *   LOOK at each -> SHOW what answers -> TELL the CA -> WATCH until all are final -> HIDE the answers -> JUDGE */

struct task { /* one authorization */
    const char *url;
    struct acme_authorization a;
    struct proof *proof;
    unsigned offers;               /* bits 1u << type: at first; a final one lists only what was tried */
    size_t used;                   /* which of the ask's challenges is shown */
    struct acme_challenge *chosen; /* NULL: nothing is to be shown */
    struct challenge shown;
    char *token, *answer; /* what it points to */
    bool is_shown, told;
};

struct round {
    struct authorize *z;
    struct task *tasks;
    size_t n;
    struct acme_why *why;
};

void authorize_init(struct authorize *z, const struct order_ask *ask, struct patience *patience)
{
    *z = (struct authorize){ .ask = ask, .patience = patience };
    z->proofs = mem_new(ask->names_n * sizeof *z->proofs);
    for (size_t i = 0; i < ask->names_n; i++)
        z->proofs[i] = (struct proof){ .name = ask->names[i], .retry_after_ms = -1 };
}

void authorize_free(struct authorize *z)
{
    for (size_t i = 0; i < z->ask->names_n; i++)
        buf_free(&z->proofs[i].said);
    free(z->proofs);
}

/* ---- look ---- */

static struct proof *proof_of(struct authorize *z, const struct acme_authorization *a)
{
    for (size_t i = 0; i < z->ask->names_n; i++) {
        const char *name = z->proofs[i].name;
        bool wildcard = strncmp(name, "*.", 2) == 0;

        if (wildcard == a->wildcard && acme_same_name(wildcard ? name + 2 : name, a->name))
            return &z->proofs[i];
    }
    return NULL;
}

static int look_again(struct round *r, struct task *t, int64_t *retry_after_ms)
{
    const struct order_ask *ask = r->z->ask;
    struct acme_reply reply = { 0 };
    struct err e = { 0 };
    int rc = account_post(ask->ca, ask->job, t->url, NULL, NULL, &reply, r->why);

    acme_authorization_free(&t->a);
    t->chosen = NULL; /* it stood in there */
    if (rc == 0 && (!reply.json || acme_authorization_read(json_incref(reply.json), &t->a, &e) != 0))
        rc = acme_fail(r->why, ACME_LATER, "the CA sends an authorization that cannot be used: %.250s",
                       reply.json ? e.text : "it is empty");
    if (rc == 0 && !(t->proof = proof_of(r->z, &t->a)))
        rc = acme_fail(r->why, ACME_LATER, "the CA wants a proof for %.253s, which was not asked for",
                       t->a.name);
    for (size_t i = 0; rc == 0 && t->is_shown && i < t->a.challenges_n; i++)
        if (t->a.challenges[i].type == t->shown.type)
            t->chosen = &t->a.challenges[i];
    *retry_after_ms = reply.retry_after_ms;
    acme_reply_free(&reply);
    return rc;
}

static int look(struct round *r, struct task *t, int64_t *retry_after_ms)
{
    while (look_again(r, t, retry_after_ms) != 0)
        if (patience_retry(r->z->patience, r->why) != 0)
            return -1;
    return 0;
}

/* ---- show ---- */

static void say(struct proof *p, enum challenge_type type, const char *text)
{
    buf_printf(&p->said, "%s%s: %s", p->said.len > 0 ? "; " : "", challenge_type_name(type), text);
}

static struct acme_challenge *offered(struct task *t, enum challenge_type type)
{
    for (size_t i = 0; i < t->a.challenges_n; i++)
        if (t->a.challenges[i].type == type && t->a.challenges[i].status != ACME_INVALID)
            return &t->a.challenges[i];
    return NULL;
}

static int put(struct round *r, struct task *t, struct acme_challenge *c, size_t at, struct err *e)
{
    const struct order_ask *ask = r->z->ask;
    const struct challenge_ways *ways = ask->ways[c->type];
    const char *name = t->proof->name;

    free(t->answer);
    t->answer = mem_format("%s.%s", c->token, r->z->thumbprint);
    /* The token is copied, because the authorization is read anew while it is shown. */
    free(t->token);
    t->token = mem_copy(c->token);
    if (challenge_init(&t->shown, c->type, t->a.wildcard ? name + 2 : name, t->a.wildcard, t->token,
                       t->answer, e) != 0 ||
        ways->put(ways->user, &t->shown, ask->job, e) != 0)
        return -1;
    t->chosen = c;
    t->used = at;
    t->is_shown = true;
    return 0;
}

/* The first of the configured ways, from where the last order has ended, that the CA offers and that we manage. */
static int show(struct round *r, struct task *t)
{
    const struct order_ask *ask = r->z->ask;
    struct proof *p = t->proof;
    bool any = false;

    for (; p->next < ask->challenges_n; p->next++) {
        enum challenge_type type = ask->challenges[p->next];
        struct acme_challenge *c = ask->ways[type] ? offered(t, type) : NULL;
        struct err e = { 0 };

        if (!c)
            continue;
        any = true;
        if (put(r, t, c, p->next, &e) == 0)
            return 0;
        if (e.code == ERR_STOPPED || job_cancelled(ask->job))
            return acme_fail(r->why, ACME_STOPPED, "the order was given up, as asked");
        say(p, type, e.text);
    }
    if (!any && p->said.len == 0)
        buf_add_text(&p->said,
                     "the CA offers none of the challenges that we may use; add others to `challenges` "
                     "(a wildcard needs dns-01)");
    p->failed = true;
    p->class = ACME_CONFIG;
    return 0;
}

/* ---- tell ---- */

static int tell(struct round *r, struct task *t)
{
    const struct order_ask *ask = r->z->ask;
    json_t *ready = json_object();
    struct acme_reply reply = { 0 };
    int rc = 0;

    if (t->chosen->status == ACME_PENDING)
        rc = account_post(ask->ca, ask->job, t->chosen->url, ready, NULL, &reply, r->why);
    acme_reply_free(&reply);
    json_decref(ready);
    t->told = rc == 0;
    /* When it was told already, as a lost reply may have it, the CA refuses to hear it again: the authorization tells. */
    if (rc != 0 && (r->why->class == ACME_CONFIG || r->why->status == 0) && r->why->class != ACME_STOPPED) {
        acme_why_free(r->why);
        t->told = true;
        rc = 0;
    }
    return rc;
}

/* ---- watch ---- */

static bool is_final(const struct task *t)
{
    return t->a.status != ACME_PENDING;
}

static int watch(struct round *r)
{
    bool all = false;

    patience_renew(r->z->patience);
    for (;;) {
        int64_t retry_after_ms = -1, longest = -1;

        all = true;
        for (size_t i = 0; i < r->n; i++) {
            struct task *t = &r->tasks[i];

            if (is_final(t))
                continue;
            if (look(r, t, &retry_after_ms) != 0)
                return -1;
            all = all && is_final(t);
            longest = retry_after_ms > longest ? retry_after_ms : longest;
        }
        if (all)
            return 0;
        if (patience_wait(r->z->patience, longest, r->why) != 0)
            return -1;
    }
}

/* ---- hide ---- */

static void hide(struct round *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct task *t = &r->tasks[i];
        const struct challenge_ways *ways = r->z->ask->ways[t->shown.type];

        if (t->is_shown)
            ways->take_away(ways->user, &t->shown);
        t->is_shown = false;
    }
}

/* ---- judge ---- */

/* Whether another way may succeed where this one has failed: something at the name's address did not answer as it should. */
static bool is_of_reachability(const json_t *problem)
{
    static const char *const types[] = { "connection", "dns", "tls", "unauthorized", "incorrectResponse" };
    const char *type = acme_problem_type(problem);

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

static bool has_another(const struct round *r, const struct task *t, size_t from)
{
    const struct order_ask *ask = r->z->ask;

    for (size_t i = from; i < ask->challenges_n; i++)
        if (ask->ways[ask->challenges[i]] && t->offers & 1u << ask->challenges[i])
            return true;
    return false;
}

static const json_t *problem_of(const struct task *t)
{
    const json_t *problem = t->chosen ? t->chosen->error : NULL;

    for (size_t i = 0; i < t->a.challenges_n && !problem; i++)
        problem = t->a.challenges[i].error;
    return problem;
}

/* "connection" is said here of the name's own server, which is for its owner to mend. */
static enum acme_class class_of(const json_t *problem)
{
    return !problem || strcmp(acme_problem_type(problem), "connection") == 0
               ? ACME_CONFIG
               : acme_problem_class(problem, 403);
}

static void judge(struct round *r, struct task *t)
{
    const json_t *problem = problem_of(t);
    struct proof *p = t->proof;
    struct buf said = { 0 };

    if (t->a.status == ACME_VALID || p->failed)
        return;
    acme_problem_show(problem, &said);
    if (said.len == 0)
        buf_printf(&said, "the CA calls the authorization %s, and gives no reason",
                   acme_status_text(t->a.status));
    if (t->told)
        p->validations++;
    p->class = class_of(problem);
    if (t->chosen)
        say(p, t->chosen->type, buf_text(&said));
    else
        buf_printf(&p->said, "%s%s", p->said.len > 0 ? "; " : "", buf_text(&said));
    buf_free(&said);
    p->next = t->chosen ? t->used + 1 : p->next;
    p->failed = !t->chosen || !is_of_reachability(problem) || !has_another(r, t, p->next);
}

/* What stays pending counts against a limit, until it expires. */
static void deactivate(struct round *r, const struct task *t)
{
    const struct order_ask *ask = r->z->ask;
    json_t *payload = json_pack("{s:s}", "status", "deactivated");
    struct acme_reply reply = { 0 };
    struct acme_why unused;

    acme_why_init(&unused);
    if (account_post(ask->ca, ask->job, t->url, payload, NULL, &reply, &unused) != 0)
        acme_why_free(&unused); /* then it expires */
    acme_reply_free(&reply);
    json_decref(payload);
}

/* ---- all of it ---- */

static int look_and_show(struct round *r)
{
    int64_t unused;

    for (size_t i = 0; i < r->n; i++)
        if (look(r, &r->tasks[i], &unused) != 0)
            return -1;
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < r->tasks[i].a.challenges_n; k++)
            r->tasks[i].offers |= 1u << r->tasks[i].a.challenges[k].type;
    for (size_t i = 0; i < r->n; i++)
        if (!is_final(&r->tasks[i]) && show(r, &r->tasks[i]) != 0)
            return -1;
    return 0;
}

static bool any_failed(const struct round *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->tasks[i].proof->failed)
            return true;
    return false;
}

/* The CA is told nothing when a name has failed already: then the order is of no use, and tries are counted. */
static int prove(struct round *r)
{
    int rc = look_and_show(r);

    for (size_t i = 0; rc == 0 && !any_failed(r) && i < r->n; i++)
        if (r->tasks[i].is_shown)
            rc = tell(r, &r->tasks[i]);
    rc = rc == 0 && !any_failed(r) ? watch(r) : rc;
    if (rc == 0)
        for (size_t i = 0; i < r->n; i++)
            if (is_final(&r->tasks[i]))
                judge(r, &r->tasks[i]);
    hide(r);
    return rc;
}

static enum authorized verdict(struct round *r)
{
    enum authorized verdict = any_failed(r) ? AUTHORIZED_FAILED : AUTHORIZED_ALL;

    for (size_t i = 0; i < r->n; i++) {
        if (r->tasks[i].a.status != ACME_VALID && verdict == AUTHORIZED_ALL)
            verdict = AUTHORIZED_AGAIN;
        if (r->tasks[i].a.status == ACME_PENDING)
            deactivate(r, &r->tasks[i]);
    }
    return verdict;
}

enum authorized authorize_all(struct authorize *z, const json_t *urls, struct acme_why *why)
{
    struct round r = { .z = z, .n = json_array_size(urls), .why = why };
    enum authorized result = AUTHORIZED_NOT_YET;

    r.tasks = mem_new((r.n + 1) * sizeof *r.tasks);
    for (size_t i = 0; i < r.n; i++)
        r.tasks[i].url = json_string_value(json_array_get(urls, i));
    if (prove(&r) == 0)
        result = verdict(&r);
    for (size_t i = 0; i < r.n; i++) {
        acme_authorization_free(&r.tasks[i].a);
        free(r.tasks[i].answer);
        free(r.tasks[i].token);
    }
    free(r.tasks);
    return result;
}
