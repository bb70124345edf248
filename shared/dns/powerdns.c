/* PowerDNS Authoritative Server by its HTTP API: whole sets, replaced by one call. */
#include "shared/dns/list.h"
#include "shared/dns/rest.h"

#include <stdio.h>
#include <string.h>

static enum dns_class authorize(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    (void)why;
    dns_header(r, "X-API-Key: %.*s", (int)c->key.n, (const char *)c->key.bytes);
    return DNS_OK;
}

static enum dns_class has_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                               struct dns_why *why)
{
    char id[DNS_ID_BYTES + 2];
    json_t *reply = NULL;
    enum dns_class class = dns_json(c, "GET", NULL, &reply, why, "/zones?zone=%s.", name);
    const json_t *first = json_array_get(reply, 0);
    const char *theirs = json_string_value(json_object_get(first, "id"));

    if (class == DNS_OK && (!json_is_array(reply) || (first && !theirs)))
        class = dns_bad_reply(c, why, "it is no list of zones with ids");
    if (class == DNS_OK && first) {
        snprintf(id, sizeof id, "%s", theirs);
        if (!dns_zone_set(zone, str_of(name), id))
            class = dns_bad_reply(c, why, "the zone's id is no id");
    }
    json_decref(reply);
    return class;
}

/* Older servers answer with the whole zone, whatever was asked for. */
static bool add_values(struct dns_rrset *set, const json_t *rrset)
{
    const char *name = json_string_value(json_object_get(rrset, "name"));
    const char *type = json_string_value(json_object_get(rrset, "type"));
    const json_t *ttl = json_object_get(rrset, "ttl"), *record;
    size_t i;

    if (!name || !type)
        return false;
    if (!dns_same_name(name, set->name) || strcmp(type, dns_type_text(set->type)) != 0)
        return true;
    if (!json_is_integer(ttl))
        return false;
    set->ttl_s = json_integer_value(ttl);
    json_array_foreach(json_object_get(rrset, "records"), i, record)
    {
        const char *content = json_string_value(json_object_get(record, "content"));

        if (!json_is_true(json_object_get(record, "disabled")) &&
            (!content || !dns_rrset_add(set, str_of(content), NULL)))
            return false;
    }
    return true;
}

static enum dns_class read_set(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               struct dns_why *why)
{
    const json_t *list, *rrset;
    json_t *reply = NULL;
    enum dns_class class = dns_json(c, "GET", NULL, &reply, why, "/zones/%s?rrset_name=%s.&rrset_type=%s",
                                    zone->id, set->name, dns_type_text(set->type));
    size_t i;

    list = json_object_get(reply, "rrsets");
    if (class == DNS_OK && !json_is_array(list))
        class = dns_bad_reply(c, why, "member \"rrsets\" is no list");
    json_array_foreach(list, i, rrset)
    {
        if (class == DNS_OK && !add_values(set, rrset))
            class = dns_bad_reply(c, why, "a set has no name, type, ttl and records");
    }
    json_decref(reply);
    return class;
}

static enum dns_class write_set(struct dns_client *c, const struct dns_zone *zone,
                                const struct dns_rrset *have, const struct dns_rrset *want,
                                struct dns_why *why)
{
    json_t *records = json_array(), *set;
    struct buf text = { 0 };

    (void)have;
    for (size_t i = 0; i < want->n; i++)
        json_array_append_new(
            records, json_pack("{s:s, s:b}", "content", dns_value_text(c, want, i, &text), "disabled", 0));
    buf_free(&text);
    buf_printf(&text, "%s.", want->name);
    set = json_pack("{s:s, s:s, s:s}", "name", buf_text(&text), "type", dns_type_text(want->type),
                    "changetype", want->n > 0 ? "REPLACE" : "DELETE");
    buf_free(&text);
    if (want->n > 0) {
        json_object_set_new(set, "ttl", json_integer(dns_ttl(c, want)));
        json_object_set(set, "records", records);
    }
    json_decref(records);
    return dns_json(c, "PATCH", json_pack("{s:[o]}", "rrsets", set), NULL, why, "/zones/%s", zone->id);
}

const struct dns_provider dns_powerdns = {
    .type = "powerdns",
    .title = "PowerDNS",
    .kind = DNS_RRSET,
    .can = DNS_CAN_USUAL | DNS_CAN_ALIAS,
    .keys = DNS_KEY_KEY | DNS_KEY_ZONE | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_KEY,
    .min_ttl_s = 1,
    .default_ttl_s = 60,
    .quotes_txt = true,
    .url = "http://127.0.0.1:8081/api/v1/servers/localhost",
    .credential =
        "pdns.conf: api=yes, api-key=..., webserver-address and webserver-allow-from. One key opens all zones.",
    .sample = "key_file = /etc/tunnel/powerdns.key\n"
              "url      = https://dns.example.net:8081/api/v1/servers/localhost\n",
    .notes = "The API is off by default, and has no place on the internet without TLS in front of it.",
    .authorize = authorize,
    .has_zone = has_zone,
    .read = read_set,
    .write = write_set,
};
