/* What the manager tells of a site's certificates, and what it is asked to do for them. */
#include "relay/certs/manager_parts.h"
#include "shared/json.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The one that is shown to most visitors. */
static const struct meta_cert *shown(const struct managed *d, time_t now)
{
    unsigned there = store_shown(&d->meta, now);

    for (unsigned i = 0; i < META_SLOTS; i++)
        if (there & 1U << i)
            return &d->meta.certs[i];
    return NULL;
}

const char *manager_last_error(const struct managed *d)
{
    return d->trouble ? d->trouble : d->disk ? d->disk : d->meta.last_error ? d->meta.last_error : d->seen;
}

const char *manager_state(const struct manager *m, const struct managed *d, time_t now)
{
    const struct meta_cert *cert = shown(d, now);

    if (manager_is_ordering(d))
        return "ordering";
    if (cert && now >= cert->facts.not_after)
        return "expired";
    if (d->trouble || d->disk || d->meta.last_error)
        return "failing";
    if (cert)
        return cert->revoked_at != 0 ? "failing" : "valid";
    return manager_wants(m, d) ? "waiting" : "none";
}

static const char *issuer_of(const struct manager *m, const struct managed *d, const struct meta_cert *cert,
                             time_t now)
{
    const struct due_site due = manager_due(m, d);
    const struct issuer *by;

    if (cert && cert->issuer)
        return cert->issuer;
    by = due_issuer(&due, &d->meta, now);
    return by ? by->name : NULL;
}

static json_t *names_of(const struct meta_cert *cert)
{
    json_t *names = json_array();

    for (size_t i = 0; cert && i < cert->facts.names_n; i++)
        json_array_append_new(names, json_any_text(cert->facts.names[i]));
    return names;
}

static int64_t next_attempt(const struct manager *m, const struct managed *d, time_t now, const char **why)
{
    const struct due_site due = manager_due(m, d);
    int64_t next = manager_wants(m, d) ? due_next(&due, &d->meta, now, why) : 0;
    int64_t held_s = (d->look_again_ms - loop_now_ms(m->loop)) / 1000;

    if (next != 0 && d->look_again_ms != 0 && held_s > 0 && next < now + held_s)
        next = now + held_s;
    return next;
}

static json_t *time_or_null(int64_t at)
{
    return at != 0 ? json_time((time_t)at) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text ? json_any_text(text) : json_null();
}

/* Over restarts, where that is what is on disk. */
static int64_t failing_since(const struct managed *d)
{
    bool is_of_meta = !d->trouble && !d->disk;

    if (is_of_meta && d->meta.last_error && d->meta.failing_since != 0)
        return d->meta.failing_since;
    if (is_of_meta && d->seen && d->meta.held_since != 0)
        return d->meta.held_since;
    return manager_last_error(d) ? d->wrong_since : 0;
}

static const struct managed *shown_by(const struct manager *m, const char *site)
{
    const struct managed *d = manager_find(m, site);

    return d ? manager_shown(m, d) : NULL;
}

static int64_t last_try(const struct managed *d)
{
    int64_t last = 0;

    for (size_t i = 0; i < d->meta.issuers_n; i++)
        last = d->meta.issuers[i].last_try > last ? d->meta.issuers[i].last_try : last;
    return last;
}

/* In a row, of the authority that has failed most often. */
static int64_t failures(const struct managed *d)
{
    int64_t most = 0;

    for (size_t i = 0; i < d->meta.issuers_n; i++)
        most = d->meta.issuers[i].failures > most ? (int64_t)d->meta.issuers[i].failures : most;
    return most;
}

const struct manager_counts *manager_counts(const struct manager *m)
{
    return &m->counts;
}

json_t *manager_status(const struct manager *m, const char *site)
{
    const struct managed *d = shown_by(m, site);
    time_t now = time(NULL);
    const struct meta_cert *cert = d ? shown(d, now) : NULL;
    const char *why = NULL;

    if (!d)
        return json_pack("{s:s, s:n, s:n, s:[], s:n, s:n, s:n, s:n, s:i, s:n, s:n}", "state", "none",
                         "issuer", "not_after", "names", "next_attempt", "last_try", "last_error",
                         "failing_since", "failures", 0, "deploy_error", "deploy_failing_since");
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "state",
                     manager_state(m, d, now), "issuer", text_or_null(issuer_of(m, d, cert, now)),
                     "not_after", time_or_null(cert ? cert->facts.not_after : 0), "names", names_of(cert),
                     "next_attempt", time_or_null(next_attempt(m, d, now, &why)), "last_try",
                     time_or_null(last_try(d)), "last_error", text_or_null(manager_last_error(d)),
                     "failing_since", time_or_null(failing_since(d)), "failures", (json_int_t)failures(d),
                     "deploy_error", text_or_null(d->undeployed), "deploy_failing_since",
                     time_or_null(d->undeployed ? d->undeployed_since : 0));
}

static json_t *left_out(const struct managed *d)
{
    json_t *list = json_array();

    for (size_t i = 0; i < d->meta.left_out_n; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o}", "name", json_any_text(d->meta.left_out[i].name),
                                        "since", json_time((time_t)d->meta.left_out[i].since), "why",
                                        text_or_null(d->meta.left_out[i].why)));
    return list;
}

static json_t *issuers_of(const struct managed *d)
{
    json_t *list = json_array();

    for (size_t i = 0; i < d->meta.issuers_n; i++)
        json_array_append_new(list, json_pack("{s:o, s:I, s:o, s:o}", "name",
                                              json_any_text(d->meta.issuers[i].issuer), "failures",
                                              (json_int_t)d->meta.issuers[i].failures, "last_try",
                                              time_or_null(d->meta.issuers[i].last_try), "last_error",
                                              text_or_null(d->meta.issuers[i].last_error)));
    return list;
}

static json_t *pairs_of(const struct managed *d)
{
    json_t *list = json_array();

    for (int slot = 0; slot < META_SLOTS; slot++) {
        const struct meta_cert *cert = &d->meta.certs[slot];

        if (cert->there)
            json_array_append_new(
                list,
                json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "key", text_or_null(cert->facts.key_type),
                          "serial", text_or_null(cert->facts.serial), "from", text_or_null(cert->facts.ca),
                          "not_before", time_or_null(cert->facts.not_before), "not_after",
                          time_or_null(cert->facts.not_after), "revoked_at", time_or_null(cert->revoked_at),
                          "renewal_url", text_or_null(cert->ari_url)));
    }
    return list;
}

json_t *manager_certs(const struct manager *m, const char *site)
{
    const struct managed *d = shown_by(m, site);
    json_t *entry = manager_status(m, site);
    const struct meta_cert *cert;
    const char *why = NULL;
    int64_t next;

    json_object_set_new(entry, "name", json_string(site));
    if (!d)
        return entry;
    cert = shown(d, time(NULL));
    next = next_attempt(m, d, time(NULL), &why);
    json_object_set_new(entry, "days_left",
                        cert ? json_integer((cert->facts.not_after - time(NULL)) / 86400) : json_null());
    json_object_set_new(entry, "next_renewal", time_or_null(next));
    json_object_set_new(entry, "renewal_why", text_or_null(why));
    json_object_set_new(entry, "failures", json_integer(d->meta.retry.failures));
    json_object_set_new(entry, "warning", text_or_null(d->warning));
    json_object_set_new(entry, "left_out", left_out(d));
    json_object_set_new(entry, "issuers", issuers_of(d));
    json_object_set_new(entry, "certificates", pairs_of(d));
    return entry;
}

/* ---- what it is asked to do ---- */

/* NULL, and the reply says why. */
static struct managed *asked_for(struct manager *m, const struct http_request *request,
                                 struct http_reply *reply)
{
    char *name = mem_copy_n(request->name.p, request->name.n);
    const struct managed *asked = manager_find(m, name);
    struct managed *d = asked ? manager_find(m, manager_shown(m, asked)->names[0]) : NULL;

    if (!d)
        http_reply_error(reply, 404, "no site %s has a certificate from an authority; see tunnelctl certs",
                         name);
    else if (!d->loaded)
        http_reply_error(reply, 500, "%s", d->trouble);
    else if (d->asked)
        http_reply_error(reply, 409, "%s is being seen to already; ask again in a moment", name);
    free(name);
    return reply->body.len > 0 ? NULL : d;
}

void manager_answer_renew(struct manager *m, const struct http_request *request, struct http_reply *reply)
{
    struct managed *d = asked_for(m, request, reply);

    if (!d)
        return;
    if (d->trouble) { /* nothing can be counted; a revocation counts nothing */
        http_reply_error(reply, 500, "%s", d->trouble);
        return;
    }
    if (issuers_count(m->issuers) == 0) {
        http_reply_error(reply, 409, "there is no authority to ask: relay.ini has no section [acme]");
        return;
    }
    d->asked = http_reply_later(reply);
    d->forced = true;
    d->look_again_ms = 0;
    manager_wake(m);
}

static bool read_reason(const struct http_request *request, enum revoke_reason *reason,
                        struct http_reply *reply)
{
    static const struct {
        const char *word;
        enum revoke_reason reason;
    } words[] = { { "unspecified", REVOKE_UNSPECIFIED },
                  { "key-compromise", REVOKE_KEY_COMPROMISE },
                  { "superseded", REVOKE_SUPERSEDED },
                  { "ceased", REVOKE_CEASED } };
    const json_t *given = json_object_get(request->json, "reason");

    *reason = REVOKE_UNSPECIFIED;
    if (!given)
        return true;
    for (size_t i = 0; json_is_string(given) && i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i].word, json_string_value(given)) == 0) {
            *reason = words[i].reason;
            return true;
        }
    http_reply_error(reply, 400, "reason is not unspecified, key-compromise, superseded or ceased");
    return false;
}

void manager_answer_revoke(struct manager *m, const struct http_request *request, struct http_reply *reply)
{
    enum revoke_reason reason;
    struct managed *d;

    if (!read_reason(request, &reason, reply) || !(d = asked_for(m, request, reply)))
        return;
    d->asked = http_reply_later(reply);
    d->revokes = true;
    d->reason = reason;
    manager_wake(m);
}
