#include "relay/certs/order.h"

#include "relay/certs/account.h"
#include "relay/certs/authorize.h"
#include "relay/certs/collect.h"
#include "relay/certs/csr.h"
#include "relay/certs/patience.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* THE LIFE OF AN ORDER
 *
 *   OPEN (the one that was begun, or a new one) -> PROVE that the names are ours -> READY -> FINALIZE -> ISSUED -> COLLECT
 *     ^                                             |                              \
 *     '--- another way, in another order -----------'                               failure: given up, or to be resumed */

enum { ROUNDS = CHALLENGE_TYPES + 1, FINALIZE_TRIES = 5, SAID_CHARS = 300 };

struct order {
    const struct order_ask *ask;
    struct order_result *result;
    struct acme_why why;
    struct patience patience;
    struct authorize authorize;
    struct acme_directory directory;
    char *url; /* NULL: there is none at the CA */
    struct acme_order at_ca;
    int64_t retry_after_ms; /* of the last look at it */
    bool resumed, spent;    /* spent: nothing can come of it any more */
};

static int order_fail_err(struct order *o, enum acme_class class, const struct err *e)
{
    return acme_fail_err(&o->why, class, e);
}

/* ---- the order as the CA has it ---- */

static void note(const struct order *o, const char *url)
{
    if (o->ask->note)
        o->ask->note(o->ask->user, url);
}

static void leave(struct order *o)
{
    if (o->url)
        note(o, NULL);
    free(o->url);
    o->url = NULL;
    acme_order_free(&o->at_ca);
    o->spent = o->resumed = false;
}

static int take_order(struct order *o, struct acme_reply *reply)
{
    struct err e = { 0 };

    acme_order_free(&o->at_ca);
    o->retry_after_ms = reply->retry_after_ms;
    if (!reply->json)
        return acme_fail(&o->why, ACME_LATER, "the CA sends an empty order; it is asked again later");
    if (acme_order_read(json_incref(reply->json), &o->at_ca, &e) != 0)
        return acme_fail(&o->why, ACME_LATER, "the CA sends an order that cannot be used: %.300s", e.text);
    return 0;
}

static int look(struct order *o)
{
    const struct order_ask *ask = o->ask;
    struct acme_reply reply = { 0 };
    int rc;

    for (;;) {
        rc = account_post(ask->ca, ask->job, o->url, NULL, NULL, &reply, &o->why);
        rc = rc == 0 ? take_order(o, &reply) : rc;
        acme_reply_free(&reply);
        if (rc == 0 || patience_retry(&o->patience, &o->why) != 0)
            return rc;
    }
}

static int order_is_invalid(struct order *o)
{
    struct buf said = { 0 };

    o->spent = true;
    acme_problem_show(o->at_ca.error, &said);
    acme_fail(&o->why, o->at_ca.error ? acme_problem_class(o->at_ca.error, 403) : ACME_CONFIG,
              "the CA has refused the order: %.*s", SAID_CHARS,
              said.len > 0 ? buf_text(&said) : "no reason given");
    buf_free(&said);
    return -1;
}

/* Until its status is another one than these two; -1 also when that is "invalid". */
static int wait_while(struct order *o, enum acme_status one, enum acme_status other)
{
    while (o->at_ca.status == one || o->at_ca.status == other)
        if (patience_wait(&o->patience, o->retry_after_ms, &o->why) != 0 || look(o) != 0)
            return -1;
    return o->at_ca.status == ACME_INVALID ? order_is_invalid(o) : 0;
}

/* ---- open ---- */

static bool is_asked_for(const struct order_ask *ask, const json_t *identifier)
{
    const char *value = json_string_value(json_object_get(identifier, "value"));

    for (size_t i = 0; i < ask->names_n; i++)
        if (acme_same_name(ask->names[i], value))
            return true;
    return false;
}

static bool has_our_names(const struct order *o)
{
    size_t n = json_array_size(o->at_ca.identifiers);

    for (size_t i = 0; i < n; i++)
        if (!is_asked_for(o->ask, json_array_get(o->at_ca.identifiers, i)))
            return false;
    return n == o->ask->names_n;
}

/* What is being issued, or was, is for the key that was made then: without it, it is worth nothing. */
static bool is_worth_resuming(const struct order *o)
{
    enum acme_status status = o->at_ca.status;
    bool wants_key = status == ACME_PROCESSING || status == ACME_VALID;
    time_t now = time(NULL) - acme_ca_clock_ahead_s(o->ask->ca);

    return status != ACME_INVALID && has_our_names(o) &&
           (status == ACME_VALID || o->at_ca.expires_at == 0 || o->at_ca.expires_at > now) &&
           (!wants_key || (o->ask->key_file && access(o->ask->key_file, R_OK) == 0));
}

/* 0 with a URL: carried on with; 0 without: there is nothing to carry on with. */
static int resume(struct order *o)
{
    o->url = mem_copy(o->ask->resume_url);
    o->resumed = true;
    if (look(o) != 0) {
        if (o->why.status < 400 || o->why.status > 499 || o->why.class == ACME_LATER ||
            o->why.class == ACME_ACCOUNT)
            return -1;
        acme_why_free(&o->why); /* it has forgotten the order */
        leave(o);
    } else if (!is_worth_resuming(o)) {
        leave(o);
    }
    return 0;
}

static json_t *wish(const struct order *o)
{
    const struct order_ask *ask = o->ask;
    json_t *identifiers = json_array(), *payload = json_pack("{s:o}", "identifiers", identifiers);

    for (size_t i = 0; i < ask->names_n; i++)
        json_array_append_new(identifiers, acme_identifier(ask->names[i]));
    if (ask->profile && *ask->profile)
        json_object_set_new(payload, "profile", json_string(ask->profile));
    if (ask->replaces && *ask->replaces && !o->result->without_replaces)
        json_object_set_new(payload, "replaces", json_string(ask->replaces));
    return payload;
}

static int order_anew(struct order *o)
{
    const struct order_ask *ask = o->ask;
    struct acme_reply reply = { 0 };
    json_t *payload = wish(o);
    int rc = account_post(ask->ca, ask->job, o->directory.new_order, payload, NULL, &reply, &o->why);

    if (rc == 0) {
        o->result->orders++;
        rc = acme_location(o->directory.new_order, &reply, &o->url, &o->why);
    }
    if (rc == 0) {
        note(o, o->url);
        rc = take_order(o, &reply);
    }
    if (rc == 0 && !has_our_names(o)) {
        o->spent = true;
        rc = acme_fail(&o->why, ACME_LATER,
                       "the CA answers with an order for other names than were asked for");
    }
    json_decref(payload);
    acme_reply_free(&reply);
    return rc;
}

static int open_order(struct order *o, bool first)
{
    const char *resume_url = o->ask->resume_url;

    if (first && resume_url && *resume_url && resume(o) != 0)
        return -1;
    if (o->url)
        return 0;
    if (order_anew(o) == 0)
        return 0;
    if (o->why.class != ACME_REPLACED || o->result->without_replaces)
        return -1;
    acme_why_free(&o->why);
    o->result->without_replaces = true;
    return order_anew(o);
}

/* ---- prove ---- */

/* A resumed order may have been proven for, and refused, by an authorization that has expired since. */
static int prove(struct order *o, bool *again)
{
    *again = false;
    if (o->at_ca.status != ACME_PENDING)
        return o->at_ca.status == ACME_INVALID ? order_is_invalid(o) : 0;
    switch (authorize_all(&o->authorize, o->at_ca.authorizations, &o->why)) {
    case AUTHORIZED_ALL: return 0;
    case AUTHORIZED_AGAIN: *again = true; return 0;
    case AUTHORIZED_FAILED:
        o->spent = true;
        return acme_fail(&o->why, ACME_CONFIG, "names could not be proven to be ours");
    default: return -1;
    }
}

static int open_and_prove(struct order *o)
{
    bool again = true;

    for (int i = 0; again; i++) {
        if (open_order(o, i == 0) != 0 || prove(o, &again) != 0)
            return -1;
        if (again)
            leave(o);
        if (again && i == ROUNDS)
            return acme_fail(&o->why, ACME_CONFIG, "no challenge has succeeded in %d orders", i);
    }
    return 0;
}

/* ---- finalize ---- */

/* When our own disk fails the CA is not asked in vain: the order stays as it is, to be resumed. */
static int key_fails(struct order *o, const struct err *e)
{
    return order_fail_err(o, e->code == ERR_SYSTEM || e->code == ERR_MISSING ? ACME_STOPPED : ACME_CONFIG, e);
}

static int make_key(struct order *o)
{
    const struct order_ask *ask = o->ask;
    struct err e = { 0 };

    if (o->resumed && ask->key_file && access(ask->key_file, R_OK) == 0) {
        o->result->key = signer_load(ask->key_file, &e);
        if (!o->result->key)
            return key_fails(o, &e);
        if (o->at_ca.status != ACME_READY || signer_is(o->result->key, ask->key))
            return 0;
        signer_free(o->result->key); /* of another type than is wanted now, and used for nothing yet */
    }
    o->result->key = signer_make(ask->key);
    if (ask->key_file && signer_save(o->result->key, ask->key_file, &e) != 0)
        return key_fails(o, &e);
    return 0;
}

/* The payload of finalize; NULL with the reason. */
static json_t *request(struct order *o)
{
    struct buf der = { 0 }, text = { 0 };
    struct err e = { 0 };
    json_t *payload = NULL;

    if (csr_make(o->result->key, o->ask->names, o->ask->names_n, &der, &e) == 0) {
        base64url_add(&text, buf_bytes(&der), der.len);
        payload = json_pack("{s:s}", "csr", buf_text(&text));
    } else {
        (void)order_fail_err(o, ACME_CONFIG, &e);
    }
    buf_free(&der);
    buf_free(&text);
    return payload;
}

/* A lost reply, and one that says "not yet": the order itself tells how it stands. */
static int finalize_once(struct order *o, const json_t *payload, bool *done)
{
    const struct order_ask *ask = o->ask;
    struct acme_reply reply = { 0 };
    int rc = account_post(ask->ca, ask->job, o->at_ca.finalize, payload, NULL, &reply, &o->why);

    rc = rc == 0 ? take_order(o, &reply) : rc;
    acme_reply_free(&reply);
    *done = rc == 0 && o->at_ca.status != ACME_READY;
    if (rc == 0)
        return *done ? 0 : patience_wait(&o->patience, o->retry_after_ms, &o->why);
    if (o->why.class != ACME_NOT_READY && o->why.class != ACME_LATER)
        return -1;
    o->why.class = ACME_LATER;
    if (patience_retry(&o->patience, &o->why) != 0 || look(o) != 0 ||
        wait_while(o, ACME_PENDING, ACME_PENDING) != 0)
        return -1;
    *done = o->at_ca.status != ACME_READY;
    return 0;
}

static int finalize(struct order *o)
{
    json_t *payload = request(o);
    bool done = false;
    int rc = payload ? 0 : -1;

    patience_renew(&o->patience);
    for (int i = 0; rc == 0 && !done; i++)
        rc = i < FINALIZE_TRIES
                 ? finalize_once(o, payload, &done)
                 : acme_fail(&o->why, ACME_LATER,
                             "the CA does not begin to issue, though it was asked %d times", i);
    json_decref(payload);
    return rc;
}

static int issue(struct order *o)
{
    int rc;

    patience_renew(&o->patience);
    rc = wait_while(o, ACME_PENDING, ACME_PENDING);
    rc = rc == 0 ? make_key(o) : rc;
    rc = rc == 0 && o->at_ca.status == ACME_READY ? finalize(o) : rc;
    patience_renew(&o->patience);
    return rc == 0 ? wait_while(o, ACME_PROCESSING, ACME_READY) : rc;
}

/* ---- collect ---- */

static int collect(struct order *o)
{
    struct collect c = { .ask = o->ask, .key = o->result->key, .patience = &o->patience, .why = &o->why };
    struct buf pem = { 0 };
    int rc = collect_chain(&c, o->at_ca.certificate, &pem);

    if (rc == 0)
        o->result->chain_pem = mem_copy_n(buf_bytes(&pem), pem.len);
    o->result->other_chain = c.other_chain;
    o->spent = c.spent;
    buf_free(&pem);
    return rc;
}

/* ---- from the first to the last ---- */

static int prepare(struct order *o)
{
    const struct order_ask *ask = o->ask;
    struct err e = { 0 };

    if (acme_directory_get(ask->ca, ask->job, &o->directory, &o->why) != 0)
        return -1;
    if (ask->profile && *ask->profile && acme_profile_check(&o->directory, ask->profile, &e) != 0)
        return order_fail_err(o, ACME_REFUSED, &e);
    return account_thumbprint(ask->ca, ask->job, o->authorize.thumbprint, &o->why);
}

static void add_failure(struct order_result *result, const char *name, enum acme_class class,
                        const char *text, int64_t retry_after_ms, unsigned validations)
{
    struct order_failure *f;

    result->failures = mem_grow(result->failures, (result->failures_n + 1) * sizeof *result->failures);
    f = &result->failures[result->failures_n++];
    *f = (struct order_failure){ .name = mem_copy(name),
                                 .class = class,
                                 .text = mem_copy(text),
                                 .retry_after_ms = retry_after_ms,
                                 .validations = validations };
}

static bool is_reported(const struct order *o, const char *name)
{
    for (size_t i = 0; i < o->result->failures_n; i++)
        if (strcmp(o->result->failures[i].name, name) == 0)
            return true;
    return false;
}

/* As the ask has it; NULL for a name that nobody has asked for, or that is reported anyway. */
static const char *name_to_report(const struct order *o, const char *said)
{
    for (size_t i = 0; i < o->ask->names_n; i++)
        if (acme_same_name(o->ask->names[i], said))
            return o->authorize.proofs[i].failed || is_reported(o, o->ask->names[i]) ? NULL
                                                                                     : o->ask->names[i];
    return NULL;
}

/* Names that the CA refuses in the order itself, and those that could not be proven. */
static void report_names(struct order *o)
{
    const char *said_name, *name;
    const json_t *sub;

    for (size_t i = 0; (sub = acme_subproblem(o->why.problem, i, &said_name)); i++) {
        struct buf said = { 0 };

        if (!(name = name_to_report(o, said_name)))
            continue;
        acme_problem_show(sub, &said);
        add_failure(o->result, name, acme_problem_class(sub, o->why.status), buf_text(&said),
                    o->why.retry_after_ms, 0);
        buf_free(&said);
    }
    for (size_t i = 0; i < o->ask->names_n; i++) {
        struct proof *p = &o->authorize.proofs[i];

        if (p->failed || p->validations > 0)
            add_failure(o->result, p->name, p->failed ? p->class : ACME_OK, buf_text(&p->said),
                        p->retry_after_ms, p->validations);
    }
}

static void blame_names(struct order *o)
{
    const struct proof *first = NULL;
    size_t n = 0;

    for (size_t i = 0; i < o->ask->names_n; i++) {
        const struct proof *p = &o->authorize.proofs[i];

        if (!p->failed)
            continue;
        if (n++ == 0) {
            first = p;
            o->why.class = p->class;
        } else if (p->class != o->why.class) {
            o->why.class = ACME_CONFIG;
        }
    }
    if (n == 1)
        acme_fail(&o->why, o->why.class, "%.253s: %s", first->name, buf_text((struct buf *)&first->said));
    else if (n > 1)
        acme_fail(&o->why, o->why.class, "%zu names, first of them %.253s: %s", n, first->name,
                  buf_text((struct buf *)&first->said));
}

static int fail(struct order *o, struct err *e)
{
    if (o->ask->job && job_cancelled(o->ask->job) && o->why.class == ACME_LATER)
        o->why.class = ACME_STOPPED;
    if (o->why.class > ACME_STOPPED)
        o->why.class = ACME_LATER; /* what only matters while we talk to the CA */
    blame_names(o);
    if (o->spent || (o->why.class != ACME_LATER && o->why.class != ACME_STOPPED))
        leave(o);
    signer_free(o->result->key);
    o->result->key = NULL;
    o->result->class = o->why.class;
    o->result->retry_after_ms = o->why.retry_after_ms;
    return err_set(e, o->why.err.code, "%s", o->why.err.text);
}

int order_run(const struct order_ask *ask, struct order_result *result, struct err *e)
{
    struct order o = { .ask = ask, .result = result };
    int rc;

    result->retry_after_ms = -1;
    acme_why_init(&o.why);
    patience_init(&o.patience, ask->job, ask->timeout_ms > 0 ? ask->timeout_ms : ORDER_TIMEOUT_MS);
    authorize_init(&o.authorize, ask, &o.patience);
    rc = prepare(&o);
    rc = rc == 0 ? open_and_prove(&o) : rc;
    rc = rc == 0 ? issue(&o) : rc;
    rc = rc == 0 ? collect(&o) : rc;
    report_names(&o);
    rc = rc == 0 ? 0 : fail(&o, e);
    authorize_free(&o.authorize);
    acme_directory_free(&o.directory);
    acme_order_free(&o.at_ca);
    acme_why_free(&o.why);
    free(o.url);
    return rc;
}
