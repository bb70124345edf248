#include "agent/dns/name.h"

#include "agent/dns/check.h"
#include "shared/json.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_RETRY_MS = 10 * 1000, MAX_RETRY_MS = 60 * 60 * 1000 };

static const enum dns_type types[NAME_FAMILIES] = { DNS_TYPE_A, DNS_TYPE_AAAA };

const char *name_state_text(enum name_state state)
{
    static const char *const texts[] = { "ok", "updating", "waiting", "failed", "manual", "foreign" };

    return texts[state];
}

struct dns_name *name_new(const char *name, const char *site, const char *account)
{
    struct dns_name *n = mem_new(sizeof *n);

    snprintf(n->name, sizeof n->name, "%s", name);
    snprintf(n->site, sizeof n->site, "%s", site);
    snprintf(n->account, sizeof n->account, "%s", account);
    n->retry_after_ms = -1;
    retry_init(&n->retry, FIRST_RETRY_MS, MAX_RETRY_MS);
    for (int i = 0; i < NAME_FAMILIES; i++) {
        dns_rrset_init(&n->families[i].want, name, types[i]);
        dns_rrset_init(&n->families[i].have, name, types[i]);
        dns_rrset_init(&n->families[i].made, name, types[i]);
        dns_rrset_init(&n->families[i].tried, name, types[i]);
        dns_rrset_init(&n->families[i].replaced, name, types[i]);
        dns_rrset_init(&n->public[i], name, types[i]);
        n->families[i].state = NAME_WAITING;
    }
    return n;
}

void name_free(struct dns_name *n)
{
    if (!n)
        return;
    for (int i = 0; i < NAME_FAMILIES; i++) {
        dns_rrset_free(&n->families[i].want);
        dns_rrset_free(&n->families[i].have);
        dns_rrset_free(&n->families[i].made);
        dns_rrset_free(&n->families[i].tried);
        dns_rrset_free(&n->families[i].replaced);
        dns_rrset_free(&n->public[i]);
    }
    free(n);
}

struct dns_name *name_copy(const struct dns_name *n)
{
    struct dns_name *copy = mem_new(sizeof *copy);

    *copy = *n;
    for (int i = 0; i < NAME_FAMILIES; i++) {
        dns_rrset_copy(&copy->families[i].want, &n->families[i].want);
        dns_rrset_copy(&copy->families[i].have, &n->families[i].have);
        dns_rrset_copy(&copy->families[i].made, &n->families[i].made);
        dns_rrset_copy(&copy->families[i].tried, &n->families[i].tried);
        dns_rrset_copy(&copy->families[i].replaced, &n->families[i].replaced);
        dns_rrset_copy(&copy->public[i], &n -> public[i]);
    }
    return copy;
}

static void take(struct dns_rrset *to, const struct dns_rrset *from)
{
    dns_rrset_free(to);
    dns_rrset_copy(to, from);
}

void name_learn(struct dns_name *n, const struct dns_name *copy)
{
    memcpy(n->zone, copy->zone, sizeof n->zone);
    memcpy(n->zone_id, copy->zone_id, sizeof n->zone_id);
    n->trouble = copy->trouble;
    n->told_s = copy->told_s;
    n->retry_after_ms = copy->retry_after_ms;
    for (int i = 0; i < NAME_FAMILIES; i++) {
        struct name_family *f = &n->families[i];
        const struct name_family *learnt = &copy->families[i];

        take(&f->have, &learnt->have);
        take(&f->made, &learnt->made);
        take(&f->tried, &learnt->tried);
        take(&f->replaced, &learnt->replaced);
        f->seen = learnt->seen;
        f->created = learnt->created;
        f->state = learnt->state;
        f->changed_s = learnt->changed_s;
        memcpy(f->why, learnt->why, sizeof f->why);
        if (!f->managed)
            name_leave_family(f);
    }
    if (n->gone)
        name_take_leave(n);
}

void name_fit(struct dns_name *n, const struct dns_provider *p)
{
    for (int i = 0; i < NAME_FAMILIES; i++) {
        struct name_family *f = &n->families[i];

        if (!dns_is_told(p, n->zone, n->name, f->want.type))
            continue;
        for (; f->want.n > 1; f->left_out++)
            free(f->want.values[--f->want.n].text);
    }
}

static bool family_differs(const struct name_family *f, const struct dns_provider *p)
{
    if (!f->managed || !f->known)
        return false;
    if (f->state == NAME_FOREIGN && dns_rrset_same(&f->want, &f->tried))
        return false;
    if (!f->seen || !dns_rrset_same(&f->want, &f->have))
        return true;
    if (f->want.n == 0)
        return false;
    return (f->want.ttl_s >= 0 && p->min_ttl_s > 0 && f->want.ttl_s != f->have.ttl_s &&
            f->have.proxied != 1) || /* a proxied record has a TTL of the provider's own */
           (f->want.proxied >= 0 && (p->can & DNS_CAN_PROXY) && f->want.proxied != f->have.proxied);
}

bool name_differs(const struct dns_name *n, const struct dns_provider *p)
{
    return family_differs(&n->families[NAME_V4], p) || family_differs(&n->families[NAME_V6], p);
}

bool name_was_tried(const struct dns_name *n)
{
    for (int i = 0; i < NAME_FAMILIES; i++)
        if (!dns_rrset_same(&n->families[i].want, &n->families[i].tried))
            return false;
    return true;
}

static void say_what_to_set(struct name_family *f, int64_t ttl_s)
{
    size_t used = (size_t)snprintf(f->why, sizeof f->why,
                                   f->want.n > 0 ? "set by hand:" : "there shall be no %s record",
                                   dns_type_text(f->want.type));

    for (size_t i = 0; i < f->want.n && used < sizeof f->why; i++)
        used += (size_t)snprintf(f->why + used, sizeof f->why - used, "%s %.200s. %lld IN %s %s",
                                 i > 0 ? ";" : "", f->want.name, (long long)ttl_s,
                                 dns_type_text(f->want.type), f->want.values[i].text);
}

void name_judge_manual(struct dns_name *n)
{
    enum { USUAL_TTL_S = 300 };

    for (int i = 0; i < NAME_FAMILIES; i++) {
        struct name_family *f = &n->families[i];

        if (!f->managed || !f->known)
            continue;
        f->state = n->public_s > 0 && dns_rrset_same(&f->want, &n->public[i]) ? NAME_OK : NAME_MANUAL;
        f->why[0] = 0;
        if (f->state == NAME_MANUAL)
            say_what_to_set(f, USUAL_TTL_S);
    }
}

bool name_is_ours(const struct dns_name *n)
{
    for (int i = 0; i < NAME_FAMILIES; i++)
        if (n->families[i].made.n > 0)
            return true;
    return false;
}

void name_leave_family(struct name_family *f)
{
    f->managed = f->made.n > 0 && f->created;
    f->known = true;
    dns_rrset_free(&f->want);
    f->want.ttl_s = -1;
}

void name_take_leave(struct dns_name *n)
{
    n->gone = true;
    for (int i = 0; i < NAME_FAMILIES; i++) {
        name_leave_family(&n->families[i]);
        n->families[i].managed = n->families[i].managed && !n->kept;
    }
}

const struct dns_rrset *name_there(const struct dns_name *n, int family)
{
    return strcmp(n->account, DNS_MANUAL) == 0 ? &n->public[family] : &n->families[family].have;
}

void name_refused(struct dns_name *n, const char *why)
{
    for (int i = 0; i < NAME_FAMILIES; i++) {
        struct name_family *f = &n->families[i];

        if (!f->managed || f->state != NAME_UPDATING)
            continue;
        f->state = NAME_FAILED;
        snprintf(f->why, sizeof f->why, "%s", why);
    }
}

void name_note_time(struct dns_name *n, int64_t now_s)
{
    for (int i = 0; i < NAME_FAMILIES; i++) {
        struct name_family *f = &n->families[i];

        if (f->state == NAME_OK || !f->managed)
            f->failing_since_s = 0;
        else if (f->failing_since_s == 0 || f->failing_since_s > now_s)
            f->failing_since_s = now_s;
    }
}

/* ---- the state file ---- */

json_t *name_values(const struct dns_rrset *set)
{
    json_t *list = json_array();

    for (size_t i = 0; i < set->n; i++)
        json_array_append_new(list, json_string(set->values[i].text));
    return list;
}

static json_t *family_json(const struct name_family *f)
{
    json_t *json = json_pack("{s:o, s:o, s:b, s:I, s:i, s:I}", "have", name_values(&f->have), "made",
                             name_values(&f->made), "created", f->created, "ttl", (json_int_t)f->have.ttl_s,
                             "proxied", f->have.proxied, "changed", (json_int_t)f->changed_s);

    if (f->state == NAME_FOREIGN) {
        json_object_set_new(json, "foreign", json_any_text(f->why));
        json_object_set_new(json, "tried", name_values(&f->tried));
    }
    return json;
}

/* Of those with trouble, also while they are tried again; what is only on its way begins anew. */
static void add_failing(const struct dns_name *n, json_t *json)
{
    json_t *since = json_object();

    for (int i = 0; i < NAME_FAMILIES; i++) {
        const struct name_family *f = &n->families[i];
        bool again = f->state == NAME_UPDATING && n->trouble != DNS_OK;

        if (f->failing_since_s > 0 && (f->state == NAME_FAILED || f->state == NAME_FOREIGN || again))
            json_object_set_new(since, dns_type_text(types[i]), json_integer(f->failing_since_s));
    }
    if (json_object_size(since) > 0)
        json_object_set(json, "failing_since", since);
    json_decref(since);
}

json_t *name_to_json(const struct dns_name *n)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", n->name, "site", n->site, "provider",
                             n->account, "zone", n->zone, "zone_id", n->zone_id);

    for (int i = 0; i < NAME_FAMILIES; i++)
        if (n->families[i].seen)
            json_object_set_new(json, dns_type_text(types[i]), family_json(&n->families[i]));
    add_failing(n, json);
    if (n->told_s > 0)
        json_object_set_new(json, "told", json_integer(n->told_s));
    if (n->trouble == DNS_CONFIG && n->hold_until_s > 0) {
        json_object_set_new(json, "hold_until", json_integer(n->hold_until_s));
        json_object_set_new(json, "why",
                            json_any_text(n->families[NAME_V4].managed ? n->families[NAME_V4].why
                                                                       : n->families[NAME_V6].why));
    }
    return json;
}

static bool read_values(struct dns_rrset *set, const json_t *list)
{
    const json_t *value;
    size_t i;

    json_array_foreach(list, i, value)
    {
        if (!json_is_string(value) || !dns_rrset_add(set, str_of(json_string_value(value)), NULL))
            return false;
    }
    return json_is_array(list);
}

static bool get(const json_t *json, const char *key, char *out, size_t room)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text && (size_t)snprintf(out, room, "%s", text) < room;
}

static bool read_family(struct name_family *f, const json_t *json)
{
    if (!json)
        return true;
    f->seen = true;
    f->created = json_is_true(json_object_get(json, "created"));
    f->have.ttl_s = json_integer_value(json_object_get(json, "ttl"));
    f->have.proxied = (int)json_integer_value(json_object_get(json, "proxied"));
    f->changed_s = json_integer_value(json_object_get(json, "changed"));
    if (get(json, "foreign", f->why, sizeof f->why)) {
        f->state = NAME_FOREIGN;
        if (!read_values(&f->tried, json_object_get(json, "tried")))
            return false;
    }
    return read_values(&f->have, json_object_get(json, "have")) &&
           read_values(&f->made, json_object_get(json, "made"));
}

struct dns_name *name_of_json(const json_t *json)
{
    char name[DOMAIN_BYTES], site[DOMAIN_BYTES], account[NAME_LABEL_BYTES];
    struct dns_name *n;
    bool well = true;

    if (!get(json, "name", name, sizeof name) || !get(json, "site", site, sizeof site) ||
        !get(json, "provider", account, sizeof account) || domain_check(name, DOMAIN_SITE, NULL) != 0)
        return NULL;
    n = name_new(name, site, account);
    for (int i = 0; i < NAME_FAMILIES; i++) {
        well = well && read_family(&n->families[i], json_object_get(json, dns_type_text(types[i])));
        n->families[i].failing_since_s = json_integer_value(
            json_object_get(json_object_get(json, "failing_since"), dns_type_text(types[i])));
        if (get(json, "why", n->families[i].why, sizeof n->families[i].why))
            n->families[i].state = NAME_FAILED;
    }
    if (!get(json, "zone", n->zone, sizeof n->zone) || !get(json, "zone_id", n->zone_id, sizeof n->zone_id) ||
        !well) {
        name_free(n);
        return NULL;
    }
    n->told_s = json_integer_value(json_object_get(json, "told"));
    n->hold_until_s = json_integer_value(json_object_get(json, "hold_until"));
    n->trouble = n->hold_until_s > 0 ? DNS_CONFIG : DNS_OK;
    return n;
}

/* ---- status ---- */

/* What is as it has to be, and is yet to be known. */
static json_t *note_of(const struct name_family *f)
{
    char text[NAME_WHY_BYTES];

    if (f->known && f->held[0]) {
        snprintf(
            text, sizeof text,
            "relay %s is left out until it has a certificate for this site; see tunnelctl certs on its machine",
            f->held);
        return json_any_text(text);
    }
    if (!f->known || f->left_out == 0)
        return json_null();
    snprintf(
        text, sizeof text,
        "there are %zu addresses to publish, and its provider keeps one of each name: %s; the others are left out "
        "(choose the relay by relays = NAME, or a provider that keeps several)",
        f->want.n + f->left_out, f->want.values[0].text);
    return json_any_text(text);
}

static json_t *status_of(const struct dns_name *n, int family, int64_t check_s)
{
    const struct name_family *f = &n->families[family];
    json_t *r = json_pack("{s:s, s:s, s:s}", "name", n->name, "type", dns_type_text(types[family]), "state",
                          name_state_text(f->state));

    json_object_set_new(r, "wanted", f->known ? name_values(&f->want) : json_null());
    json_object_set_new(r, "provider", f->seen ? name_values(&f->have) : json_null());
    json_object_set_new(r, "public", n->public_s > 0 ? name_values(&n->public[family]) : json_null());
    json_object_set_new(
        r, "ttl", f->seen && f->have.n > 0 && f->have.ttl_s >= 0 ? json_integer(f->have.ttl_s) : json_null());
    json_object_set_new(r, "last_change", f->changed_s > 0 ? json_time((time_t)f->changed_s) : json_null());
    json_object_set_new(r, "next_check", check_s > 0 ? json_time((time_t)check_s) : json_null());
    json_object_set_new(r, "note", note_of(f));
    json_object_set_new(r, "failing_since",
                        f->failing_since_s > 0 ? json_time((time_t)f->failing_since_s) : json_null());
    json_object_set_new(r, "last_error",
                        f->why[0] && f->state != NAME_OK ? json_any_text(f->why) : json_null());
    return r;
}

void name_add_status(const struct dns_name *n, int64_t check_s, json_t *records)
{
    for (int i = 0; i < NAME_FAMILIES; i++)
        if (n->families[i].managed && !n->gone)
            json_array_append_new(records, status_of(n, i, check_s));
}
