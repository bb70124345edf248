/* Cloudflare: records with ids, JSON in an envelope that says itself whether all went well. */
#include "shared/dns/list.h"
#include "shared/dns/rest.h"

#include <string.h>

enum {
    CODE_THROTTLED = 971,
    CODE_BAD_HEADER = 6003,
    CODE_BAD_PATH = 7003,
    CODE_UNAUTHORIZED = 9109,
    CODE_AUTHENTICATION = 10000,
    CODE_EXISTS = 81057,
    CODE_SAME_EXISTS = 81058,
    TTL_AUTO = 1,
    ZONE_ID_CHARS = 32,
};

static enum dns_class authorize(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    (void)why;
    dns_header(r, "Authorization: Bearer %.*s", (int)c->token.n, (const char *)c->token.bytes);
    return DNS_OK;
}

static enum dns_class judge(struct dns_client *c, int status, const json_t *reply, struct dns_why *why)
{
    const json_t *first = json_array_get(json_object_get(reply, "errors"), 0);

    switch (json_integer_value(json_object_get(first, "code"))) {
    case CODE_BAD_HEADER:
    case CODE_UNAUTHORIZED:
    case CODE_AUTHENTICATION:
        return dns_fail(
            c, why, DNS_AUTH,
            "the token is refused (%s); make one with Zone/DNS/Edit on this zone, and put it into "
            "token_file",
            dns_message_of(reply));
    case CODE_BAD_PATH: /* by 400, and not 404 */
        c->zone_missing = true;
        return dns_fail(c, why, DNS_CONFIG, "there is no zone of this id any more: %s",
                        dns_message_of(reply));
    case CODE_EXISTS:
    case CODE_SAME_EXISTS:
        return dns_fail(c, why, DNS_TRANSIENT, "somebody else made this record meanwhile; it is read again");
    case CODE_THROTTLED:
        return dns_fail(c, why, DNS_THROTTLED, "more than 1200 requests in five minutes with this token");
    default: break;
    }
    if (status < 200 || status > 299)
        return dns_judge_status(c, status, reply, why);
    if (!json_is_object(reply) || !json_is_boolean(json_object_get(reply, "success")))
        return dns_bad_reply(c, why, "it has no member \"success\"");
    if (!json_is_true(json_object_get(reply, "success")))
        return dns_fail(c, why, DNS_CONFIG, "it refuses: %s", dns_message_of(reply));
    return DNS_OK;
}

static enum dns_class has_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                               struct dns_why *why)
{
    const json_t *list, *first;
    json_t *reply = NULL;
    enum dns_class class = dns_json(c, "GET", NULL, &reply, why, "/zones?name=%s&per_page=50", name);
    const char *id;

    list = json_object_get(reply, "result");
    first = json_array_get(list, 0);
    id = json_string_value(json_object_get(first, "id"));
    if (class == DNS_OK && (!json_is_array(list) || (first && (!id || strlen(id) != ZONE_ID_CHARS))))
        class = dns_bad_reply(c, why, "it is no list of zones with ids");
    if (class == DNS_OK && first && !dns_zone_set(zone, str_of(name), id))
        class = dns_bad_reply(c, why, "the zone's id is no id");
    json_decref(reply);
    return class;
}

static bool add_record(struct dns_rrset *set, const json_t *record)
{
    const char *id = json_string_value(json_object_get(record, "id"));
    const char *content = json_string_value(json_object_get(record, "content"));
    const json_t *ttl = json_object_get(record, "ttl"), *proxied = json_object_get(record, "proxied");

    if (!id || !content || !json_is_integer(ttl) || !dns_rrset_add(set, str_of(content), id))
        return false;
    set->ttl_s = json_integer_value(ttl);
    set->proxied = json_is_true(proxied);
    return true;
}

static enum dns_class read_set(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               struct dns_why *why)
{
    const json_t *list, *record;
    json_t *reply = NULL;
    enum dns_class class;
    size_t i;

    if (set->type == DNS_TYPE_ALIAS)
        return DNS_OK; /* a CNAME at the apex is a CNAME here */
    class = dns_json(c, "GET", NULL, &reply, why, "/zones/%s/dns_records?type=%s&name=%s&per_page=100",
                     zone->id, dns_type_text(set->type), set->name);
    list = json_object_get(reply, "result");
    if (class == DNS_OK && !json_is_array(list))
        class = dns_bad_reply(c, why, "it is no list of records");
    json_array_foreach(list, i, record)
    {
        if (class == DNS_OK && !add_record(set, record))
            class = dns_bad_reply(c, why, "a record has no id, content and ttl of its type");
    }
    json_decref(reply);
    return class;
}

/* A proxied record has TTL 1, whatever is asked for. */
static json_t *body_of(const struct dns_client *c, const struct dns_rrset *set, size_t i)
{
    struct buf text = { 0 };
    json_t *body = json_pack("{s:s}", "content", dns_value_text(c, set, i, &text));

    buf_free(&text);
    if (set->type == DNS_TYPE_TXT)
        return body;
    if (set->proxied >= 0)
        json_object_set_new(body, "proxied", json_boolean(set->proxied));
    return body;
}

static enum dns_class create(struct dns_client *c, const struct dns_zone *zone, const struct dns_rrset *set,
                             size_t i, struct dns_why *why)
{
    json_t *body = body_of(c, set, i);

    json_object_set_new(body, "type", json_string(dns_type_text(set->type)));
    json_object_set_new(body, "name", json_string(set->name));
    json_object_set_new(body, "ttl", json_integer(set->proxied == 1 ? TTL_AUTO : dns_ttl(c, set)));
    return dns_json(c, "POST", body, NULL, why, "/zones/%s/dns_records", zone->id);
}

static enum dns_class change(struct dns_client *c, const struct dns_zone *zone, const char *id,
                             const struct dns_rrset *set, size_t i, struct dns_why *why)
{
    json_t *body = body_of(c, set, i);

    if (set->ttl_s >= 0)
        json_object_set_new(body, "ttl", json_integer(set->proxied == 1 ? TTL_AUTO : set->ttl_s));
    return dns_json(c, "PATCH", body, NULL, why, "/zones/%s/dns_records/%s", zone->id, id);
}

static enum dns_class remove_record(struct dns_client *c, const struct dns_zone *zone,
                                    const struct dns_rrset *set, size_t i, struct dns_why *why)
{
    return dns_json(c, "DELETE", NULL, NULL, why, "/zones/%s/dns_records/%s", zone->id, set->values[i].id);
}

const struct dns_provider dns_cloudflare = {
    .type = "cloudflare",
    .title = "Cloudflare",
    .kind = DNS_RECORD,
    .can = DNS_CAN_USUAL | DNS_CAN_PROXY,
    .keys = DNS_KEY_TOKEN | DNS_KEY_ZONE | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_TOKEN,
    .min_ttl_s = 60,
    .max_ttl_s = 86400,
    .default_ttl_s = TTL_AUTO,
    .min_interval_ms = 250,
    .quotes_txt = true,
    .url = "https://api.cloudflare.com/client/v4",
    .credential =
        "dash.cloudflare.com, My Profile, API Tokens, Create Token, template \"Edit zone DNS\", limited to the "
        "one zone.",
    .sample = "token_file = /etc/tunnel/cloudflare.token\n",
    .notes =
        "Without ttl, new records get Cloudflare's automatic one. With proxied = on, visitors see Cloudflare's own "
        "addresses.",
    .authorize = authorize,
    .judge = judge,
    .has_zone = has_zone,
    .read = read_set,
    .create = create,
    .change = change,
    .remove = remove_record,
};
