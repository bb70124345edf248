/* Gandi LiveDNS: whole sets, one call each. */
#include "shared/dns/list.h"
#include "shared/dns/rest.h"

#include <string.h>

static enum dns_class authorize(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    (void)why;
    dns_header(r, "Authorization: Bearer %.*s", (int)c->token.n, (const char *)c->token.bytes);
    return DNS_OK;
}

static enum dns_class judge(struct dns_client *c, int status, const json_t *reply, struct dns_why *why)
{
    if (status == 401 || status == 403)
        return dns_fail(
            c, why, DNS_AUTH,
            "the token is refused (%d, %.160s); has it ended, or not the right to manage this domain's technical "
            "configuration? Make a new one at account.gandi.net",
            status, dns_message_of(reply));
    return dns_judge_status(c, status, reply, why);
}

/* Gandi itself says that there is none, and not a server in between. */
static bool is_none(const struct dns_client *c, enum dns_class class, const json_t *reply)
{
    return class == DNS_CONFIG && c->status == 404 && json_is_integer(json_object_get(reply, "code"));
}

static enum dns_class has_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                               struct dns_why *why)
{
    json_t *reply = NULL;
    enum dns_class class = dns_json(c, "GET", NULL, &reply, why, "/domains/%s", name);
    const char *theirs = json_string_value(json_object_get(reply, "fqdn"));

    if (is_none(c, class, reply))
        class = DNS_OK;
    else if (class == DNS_OK &&
             (!theirs || !dns_same_name(theirs, name) || !dns_zone_set(zone, str_of(name), NULL)))
        class = dns_bad_reply(c, why, "it is no domain of this name");
    json_decref(reply);
    return class;
}

static enum dns_class read_set(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               struct dns_why *why)
{
    const json_t *values, *value, *ttl;
    char relative[DOMAIN_BYTES];
    json_t *reply = NULL;
    enum dns_class class;
    size_t i;

    dns_relative(zone, set->name, "@", relative);
    class = dns_json(c, "GET", NULL, &reply, why, "/domains/%s/records/%s/%s", zone->name, relative,
                     dns_type_text(set->type));
    if (is_none(c, class, reply)) {
        json_decref(reply);
        return DNS_OK;
    }
    values = json_object_get(reply, "rrset_values");
    ttl = json_object_get(reply, "rrset_ttl");
    if (class == DNS_OK && (!json_is_array(values) || !json_is_integer(ttl)))
        class = dns_bad_reply(c, why, "it has no rrset_values and rrset_ttl");
    if (class == DNS_OK)
        set->ttl_s = json_integer_value(ttl);
    json_array_foreach(values, i, value)
    {
        if (class == DNS_OK &&
            (!json_is_string(value) || !dns_rrset_add_target(set, zone, json_string_value(value), NULL)))
            class = dns_bad_reply(c, why, "a value is not of its type");
    }
    json_decref(reply);
    return class;
}

static enum dns_class write_set(struct dns_client *c, const struct dns_zone *zone,
                                const struct dns_rrset *have, const struct dns_rrset *want,
                                struct dns_why *why)
{
    char relative[DOMAIN_BYTES];
    struct buf text = { 0 };
    json_t *values;

    (void)have;
    dns_relative(zone, want->name, "@", relative);
    if (want->n == 0)
        return dns_json(c, "DELETE", NULL, NULL, why, "/domains/%s/records/%s/%s", zone->name, relative,
                        dns_type_text(want->type));
    values = json_array();
    for (size_t i = 0; i < want->n; i++)
        json_array_append_new(values, json_string(dns_value_text(c, want, i, &text)));
    buf_free(&text);
    return dns_json(
        c, "PUT", json_pack("{s:o, s:I}", "rrset_values", values, "rrset_ttl", (json_int_t)dns_ttl(c, want)),
        NULL, why, "/domains/%s/records/%s/%s", zone->name, relative, dns_type_text(want->type));
}

const struct dns_provider dns_gandi = {
    .type = "gandi",
    .title = "Gandi",
    .kind = DNS_RRSET,
    .can = DNS_CAN_USUAL | DNS_CAN_ALIAS,
    .keys = DNS_KEY_TOKEN | DNS_KEY_ZONE | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_TOKEN,
    .min_ttl_s = 300,
    .max_ttl_s = 2592000,
    .default_ttl_s = 300,
    .min_interval_ms = 100,
    .quotes_txt = true,
    .url = "https://api.gandi.net/v5/livedns",
    .credential =
        "account.gandi.net, Personal Access Tokens, Create a token: for the one domain, with \"See and renew domain "
        "names\" and \"Manage domain name technical configurations\".",
    .sample = "token_file = /etc/tunnel/gandi.token\n",
    .notes = "Tokens end after at most a year. The domain has to use LiveDNS.",
    .authorize = authorize,
    .judge = judge,
    .has_zone = has_zone,
    .read = read_set,
    .write = write_set,
};
