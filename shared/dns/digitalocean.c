/* DigitalOcean: records with ids. It is asked by the whole name, and speaks of the one relative to the zone. */
#include "shared/dns/list.h"
#include "shared/dns/rest.h"

#include <string.h>

static enum dns_class authorize(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    (void)why;
    dns_header(r, "Authorization: Bearer %.*s", (int)c->token.n, (const char *)c->token.bytes);
    return DNS_OK;
}

static enum dns_class has_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                               struct dns_why *why)
{
    json_t *reply = NULL;
    enum dns_class class = dns_json(c, "GET", NULL, &reply, why, "/domains/%s", name);
    const char *id = json_string_value(json_object_get(reply, "id"));
    const char *theirs = json_string_value(json_object_get(json_object_get(reply, "domain"), "name"));

    if (c->status == 404 && class == DNS_CONFIG && id && strcmp(id, "not_found") == 0)
        class = DNS_OK;
    else if (class == DNS_OK &&
             (!theirs || !dns_same_name(theirs, name) || !dns_zone_set(zone, str_of(name), NULL)))
        class = dns_bad_reply(c, why, "it is no domain of this name");
    json_decref(reply);
    return class;
}

/* The target of a CNAME may be "@", the zone itself. */
static bool add_record(struct dns_rrset *set, const struct dns_zone *zone, const char *relative,
                       const json_t *record)
{
    const char *type = json_string_value(json_object_get(record, "type"));
    const char *name = json_string_value(json_object_get(record, "name"));
    const char *data = json_string_value(json_object_get(record, "data"));
    const json_t *ttl = json_object_get(record, "ttl");
    char id[DNS_ID_BYTES];

    if (!type || !name)
        return false;
    if (strcmp(type, dns_type_text(set->type)) != 0 || !dns_same_name(name, relative))
        return true;
    if (!data || !json_is_integer(ttl) || !dns_id_of(json_object_get(record, "id"), id))
        return false;
    if (set->type == DNS_TYPE_CNAME && strcmp(data, "@") == 0)
        data = zone->name;
    set->ttl_s = json_integer_value(ttl);
    return dns_rrset_add(set, str_of(data), id);
}

static enum dns_class read_set(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               struct dns_why *why)
{
    const json_t *list, *record;
    char relative[DOMAIN_BYTES];
    json_t *reply = NULL;
    enum dns_class class;
    size_t i;

    class = dns_json(c, "GET", NULL, &reply, why, "/domains/%s/records?type=%s&name=%s&per_page=200",
                     zone->name, dns_type_text(set->type), set->name);
    dns_relative(zone, set->name, "@", relative);
    list = json_object_get(reply, "domain_records");
    if (class == DNS_OK && !json_is_array(list))
        class = dns_bad_reply(c, why, "member \"domain_records\" is no list");
    json_array_foreach(list, i, record)
    {
        if (class == DNS_OK && !add_record(set, zone, relative, record))
            class = dns_bad_reply(c, why, "a record has no id, name, type, data and ttl");
    }
    json_decref(reply);
    return class;
}

static json_t *body_of(const struct dns_client *c, const struct dns_zone *zone, const struct dns_rrset *set,
                       size_t i)
{
    char relative[DOMAIN_BYTES];

    dns_relative(zone, set->name, "@", relative);
    return json_pack("{s:s, s:s, s:s, s:I}", "type", dns_type_text(set->type), "name", relative, "data",
                     set->values[i].text, "ttl", (json_int_t)dns_ttl(c, set));
}

static enum dns_class create(struct dns_client *c, const struct dns_zone *zone, const struct dns_rrset *set,
                             size_t i, struct dns_why *why)
{
    return dns_json(c, "POST", body_of(c, zone, set, i), NULL, why, "/domains/%s/records", zone->name);
}

static enum dns_class change(struct dns_client *c, const struct dns_zone *zone, const char *id,
                             const struct dns_rrset *set, size_t i, struct dns_why *why)
{
    return dns_json(c, "PATCH", body_of(c, zone, set, i), NULL, why, "/domains/%s/records/%s", zone->name,
                    id);
}

static enum dns_class remove_record(struct dns_client *c, const struct dns_zone *zone,
                                    const struct dns_rrset *set, size_t i, struct dns_why *why)
{
    return dns_json(c, "DELETE", NULL, NULL, why, "/domains/%s/records/%s", zone->name, set->values[i].id);
}

const struct dns_provider dns_digitalocean = {
    .type = "digitalocean",
    .title = "DigitalOcean",
    .kind = DNS_RECORD,
    .can = DNS_CAN_USUAL,
    .keys = DNS_KEY_TOKEN | DNS_KEY_ZONE | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_TOKEN,
    .min_ttl_s = 30,
    .default_ttl_s = 60,
    .min_interval_ms = 250,
    .url = "https://api.digitalocean.com/v2",
    .credential =
        "cloud.digitalocean.com, API, Tokens, Generate New Token, Custom Scopes: domain read, create, update and "
        "delete. It reaches all domains of the team.",
    .sample = "token_file = /etc/tunnel/digitalocean.token\n",
    .authorize = authorize,
    .has_zone = has_zone,
    .read = read_set,
    .create = create,
    .change = change,
    .remove = remove_record,
};
