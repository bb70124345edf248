/* deSEC: whole sets, and it knows itself which domain a name is in. Its limits are low, so that a change is one request. */
#include "shared/dns/list.h"
#include "shared/dns/rest.h"

#include <string.h>

static enum dns_class authorize(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    (void)why;
    dns_header(r, "Authorization: Token %.*s", (int)c->token.n, (const char *)c->token.bytes);
    return DNS_OK;
}

/* What it says of a body it does not take: {"ttl": ["…"]}, for several sets in a list of them. */
static const char *first_complaint(const json_t *reply, const char **field)
{
    const json_t *value;
    const char *key;
    size_t i;

    json_array_foreach(reply, i, value)
    {
        if (json_object_size(value) > 0)
            return first_complaint(value, field);
    }
    json_object_foreach((json_t *)reply, key, value)
    {
        if (!json_is_string(json_array_get(value, 0)))
            continue;
        *field = key;
        return json_string_value(json_array_get(value, 0));
    }
    return NULL;
}

static enum dns_class judge(struct dns_client *c, int status, const json_t *reply, struct dns_why *why)
{
    const char *field = "", *complaint = status == 400 ? first_complaint(reply, &field) : NULL;

    if (complaint)
        return dns_fail(c, why, DNS_CONFIG, "it refuses the %s: %.200s", field, complaint);
    if (status == 403) /* a policy of the token, for this name alone */
        return dns_fail(
            c, why, DNS_CONFIG,
            "the token may not do this (%.160s); give it a policy that covers the name, or take another",
            dns_message_of(reply));
    return dns_judge_status(c, status, reply, why);
}

static enum dns_class find_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                                struct dns_why *why)
{
    json_t *reply = NULL;
    enum dns_class class = dns_json(c, "GET", NULL, &reply, why, "/domains/?owns_qname=%s", name);
    const char *theirs = json_string_value(json_object_get(json_array_get(reply, 0), "name"));

    if (class == DNS_OK && (!json_is_array(reply) || (json_array_size(reply) > 0 && !theirs)))
        class = dns_bad_reply(c, why, "it is no list of domains with names");
    else if (class == DNS_OK && !theirs)
        class =
            dns_fail(c, why, DNS_CONFIG,
                     "it has no domain for %s, or this token may not see it; make the domain there, or take "
                     "a token that covers it",
                     name);
    else if (class == DNS_OK && (!dns_zone_set(zone, str_of(theirs), NULL) || !dns_zone_has(zone, name)))
        class = dns_bad_reply(c, why, "the domain is not one that the name is in");
    json_decref(reply);
    return class;
}

/* deSEC itself says that there is none, and not a server in between. */
static bool is_none(const struct dns_client *c, enum dns_class class, const json_t *reply)
{
    return class == DNS_CONFIG && c->status == 404 && json_is_string(json_object_get(reply, "detail"));
}

static enum dns_class read_set(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               struct dns_why *why)
{
    const json_t *records, *record, *ttl;
    char relative[DOMAIN_BYTES];
    json_t *reply = NULL;
    enum dns_class class;
    size_t i;

    if (set->type == DNS_TYPE_ALIAS)
        return DNS_OK; /* it has none */
    dns_relative(zone, set->name, "@", relative);
    class = dns_json(c, "GET", NULL, &reply, why, "/domains/%s/rrsets/%s/%s/", zone->name, relative,
                     dns_type_text(set->type));
    if (is_none(c, class, reply)) {
        json_decref(reply);
        return DNS_OK;
    }
    records = json_object_get(reply, "records");
    ttl = json_object_get(reply, "ttl");
    if (class == DNS_OK && (!json_is_array(records) || !json_is_integer(ttl)))
        class = dns_bad_reply(c, why, "it has no records and ttl");
    if (class == DNS_OK)
        set->ttl_s = json_integer_value(ttl);
    json_array_foreach(records, i, record)
    {
        if (class == DNS_OK &&
            (!json_is_string(record) || !dns_rrset_add(set, str_of(json_string_value(record)), NULL)))
            class = dns_bad_reply(c, why, "a record is not of its type");
    }
    json_decref(reply);
    return class;
}

/* For a set without a TTL of anybody's choice: the least that the domain allows, 60 below dedyn.io and mostly 3600. */
static enum dns_class least_ttl(struct dns_client *c, const struct dns_zone *zone, int64_t *ttl_s,
                                struct dns_why *why)
{
    json_t *reply = NULL;
    enum dns_class class = dns_json(c, "GET", NULL, &reply, why, "/domains/%s/", zone->name);
    const json_t *least = json_object_get(reply, "minimum_ttl");

    if (class == DNS_OK && !json_is_integer(least))
        class = dns_bad_reply(c, why, "the domain has no minimum_ttl");
    *ttl_s = json_integer_value(least);
    json_decref(reply);
    return class;
}

static enum dns_class write_set(struct dns_client *c, const struct dns_zone *zone,
                                const struct dns_rrset *have, const struct dns_rrset *want,
                                struct dns_why *why)
{
    char relative[DOMAIN_BYTES];
    struct buf text = { 0 };
    json_t *set, *records;
    int64_t ttl_s = want->ttl_s;
    enum dns_class class;

    if (want->n > 0 && ttl_s < 0 && (class = least_ttl(c, zone, &ttl_s, why)) != DNS_OK)
        return class;
    dns_relative(zone, want->name, "", relative);
    records = json_array();
    for (size_t i = 0; i < want->n; i++)
        json_array_append_new(records, json_string(dns_value_text(c, want, i, &text)));
    buf_free(&text);
    set = json_pack("{s:s, s:s, s:o}", "subname", relative, "type", dns_type_text(want->type), "records",
                    records);
    if (want->n > 0 && ttl_s != have->ttl_s)
        json_object_set_new(set, "ttl", json_integer(ttl_s));
    return dns_json(c, "PATCH", json_pack("[o]", set), NULL, why, "/domains/%s/rrsets/", zone->name);
}

const struct dns_provider dns_desec = {
    .type = "desec",
    .title = "deSEC",
    .kind = DNS_RRSET,
    .can = DNS_CAN_USUAL,
    .keys = DNS_KEY_TOKEN | DNS_KEY_ZONE | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_TOKEN,
    .min_ttl_s = 60,
    .default_ttl_s = 3600,
    .min_interval_ms = 1250,
    .quotes_txt = true,
    .url = "https://desec.io/api/v1",
    .credential =
        "desec.io, Token Management, a new token without account-management rights, with a policy for the domain "
        "(or for its names and types alone) that allows writing.",
    .sample = "token_file = /etc/tunnel/desec.token\n",
    .notes =
        "Without ttl, new records get the least that the domain allows: 60 below dedyn.io, mostly 3600 elsewhere. It "
        "allows 50 reads a minute, 15 changes a minute and 300 a day for one domain.",
    .authorize = authorize,
    .judge = judge,
    .find_zone = find_zone,
    .read = read_set,
    .write = write_set,
};
