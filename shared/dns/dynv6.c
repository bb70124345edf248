/* dynv6: records with ids by REST v2, but for the addresses of a zone's own name: they are members of the zone, not records,
 * and both are told by one URL with the token in it. */
#include "shared/dns/list.h"
#include "shared/dns/rest.h"
#include "shared/value.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN_CHARS = 60, LENGTH_BYTES = 8, LENGTH_MAX = 128 };

static enum dns_class authorize(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    (void)why;
    if (!strstr(buf_text(&r->url), "/api/update?"))
        dns_header(r, "Authorization: Bearer %.*s", (int)c->token.n, (const char *)c->token.bytes);
    return DNS_OK;
}

/* ---- zones ---- */

/* Of the account's zones the longest one that the name is in, and its entry of the list. */
static enum dns_class find(struct dns_client *c, const char *name, struct dns_zone *zone, json_t **entry,
                           struct dns_why *why)
{
    json_t *list = NULL, *one;
    enum dns_class class = dns_json(c, "GET", NULL, &list, why, "/api/v2/zones");
    size_t i;

    *zone = (struct dns_zone){ 0 };
    *entry = NULL;
    if (class == DNS_OK && !json_is_array(list))
        class = dns_bad_reply(c, why, "no list of zones");
    json_array_foreach(list, i, one)
    {
        const char *text = json_string_value(json_object_get(one, "name"));
        char id[DNS_ID_BYTES];
        struct dns_zone found;

        if (class != DNS_OK)
            break;
        if (!text || !dns_id_of(json_object_get(one, "id"), id) || !dns_zone_set(&found, str_of(text), id)) {
            class = dns_bad_reply(c, why, "a zone without name and id");
        } else if (dns_zone_has(&found, name) && strlen(found.name) > strlen(zone->name)) {
            *zone = found;
            *entry = one;
        }
    }
    json_incref(*entry);
    json_decref(list);
    if (class == DNS_OK && !zone->name[0])
        class =
            dns_fail(c, why, DNS_CONFIG,
                     "it has no zone for %s, or this token may not see it; make the zone there, or take a "
                     "token that covers it",
                     name);
    return class;
}

static enum dns_class find_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                                struct dns_why *why)
{
    json_t *entry;
    enum dns_class class = find(c, name, zone, &entry, why);

    json_decref(entry);
    return class;
}

/* ---- the addresses of a zone's own name ---- */

/* Its IPv6 member is an address, or one with the length of the prefix behind it. */
static enum dns_class read_own(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               struct dns_why *why)
{
    const char *key = set->type == DNS_TYPE_A ? "ipv4address" : "ipv6prefix", *text;
    json_t *reply = NULL;
    enum dns_class class = dns_json(c, "GET", NULL, &reply, why, "/api/v2/zones/%s", zone->id);
    const char *name = json_string_value(json_object_get(reply, "name"));
    const json_t *value = json_object_get(reply, key);

    if (class != DNS_OK)
        goto out;
    text = json_is_null(value) ? "" : json_string_value(value);
    if (!name || !dns_same_name(name, zone->name) || !text)
        class = dns_bad_reply(c, why, "it is no zone of this name, with its addresses");
    else if (*text && !dns_rrset_add(set, (struct str){ text, strcspn(text, "/") }, NULL))
        class = dns_bad_reply(c, why, "the zone's address is none");
out:
    json_decref(reply);
    return class;
}

static enum dns_class judge_text(struct dns_client *c, struct str body, struct dns_why *why)
{
    struct buf shown = { 0 };

    body = str_trim(body);
    while (body.n > 0 && (body.p[body.n - 1] == '\n' || body.p[body.n - 1] == '\r'))
        body.n--;
    if (str_eq(body, "addresses updated"))
        return DNS_OK;
    if (str_eq(body, "addresses unchanged"))
        return DNS_NOCHANGE;
    value_show(&shown, body, SHOWN_CHARS);
    dns_fail(c, why, DNS_BADREPLY, "its answer \"%s\" is not understood; is another server in between?",
             buf_text(&shown));
    buf_free(&shown);
    return DNS_BADREPLY;
}

/* The user's own length of the prefix stays: records of the zone may be made of it. "" when there is none. */
static enum dns_class find_length(struct dns_client *c, const char *name, char out[LENGTH_BYTES],
                                  struct dns_why *why)
{
    struct dns_zone zone;
    json_t *entry;
    enum dns_class class = find(c, name, &zone, &entry, why);
    const char *text = json_string_value(json_object_get(entry, "ipv6prefix"));
    const char *slash = text ? strchr(text, '/') : NULL;
    char *end = NULL;
    long bits = slash ? strtol(slash + 1, &end, 10) : -1;

    out[0] = 0;
    if (class == DNS_OK && strcmp(zone.name, name) != 0)
        class = dns_fail(c, why, DNS_CONFIG, "it has no zone %s, or this token may not see it", name);
    else if (class == DNS_OK && slash && (end == slash + 1 || *end || bits < 0 || bits > LENGTH_MAX))
        class = dns_bad_reply(c, why, "the zone's prefix has no length that could be kept");
    else if (class == DNS_OK && slash)
        snprintf(out, LENGTH_BYTES, "/%ld", bits);
    json_decref(entry);
    return class;
}

/* A family that is not named stays as it is; "-" takes it away. */
static enum dns_class update(struct dns_client *c, const char *name, const char *v4, const char *v6,
                             struct dns_why *why)
{
    struct dns_request r = { .method = "GET" };
    char length[LENGTH_BYTES] = "";
    struct fetch_reply reply;
    enum dns_class class = v6 && *v6 ? find_length(c, name, length, why) : DNS_OK;

    if (class != DNS_OK)
        return class;
    buf_printf(&r.url, "%s/api/update?zone=%s&token=", c->base, name);
    dns_escape_secret(&r.url, &c->token);
    if (v4)
        buf_printf(&r.url, "&ipv4=%s", *v4 ? v4 : "-");
    if (v6)
        buf_printf(&r.url, "&ipv6=%s%s", *v6 ? v6 : "-", length);
    class = dns_send(c, &r, &reply, why);
    if (class == DNS_OK && reply.status == 404)
        class = dns_fail(c, why, DNS_CONFIG,
                         "it has no zone %s, or this token is for another one; make the zone there", name);
    else if (class == DNS_OK)
        class = dns_judge_status(c, reply.status, NULL, why);
    if (class == DNS_OK)
        class = judge_text(c, (struct str){ buf_bytes(&reply.body), reply.body.len }, why);
    fetch_reply_free(&reply);
    return class;
}

/* ---- records ---- */

/* The data of an address may be another spelling of it, such as a network card's number behind the zone's prefix: what it stands
 * for is beside it then. */
static bool add_record(struct dns_rrset *set, const struct dns_zone *zone, const char *relative,
                       const json_t *record)
{
    const char *type = json_string_value(json_object_get(record, "type"));
    const char *name = json_string_value(json_object_get(record, "name"));
    const char *data = json_string_value(json_object_get(record, "data"));
    const char *expanded = json_string_value(json_object_get(record, "expandedData"));
    char id[DNS_ID_BYTES];

    if (!type || !name)
        return false;
    if (strcmp(type, dns_type_text(set->type)) != 0 || !dns_same_name(name, relative))
        return true;
    if (expanded && *expanded && (set->type == DNS_TYPE_A || set->type == DNS_TYPE_AAAA))
        data = expanded;
    return data && dns_id_of(json_object_get(record, "id"), id) && dns_rrset_add_target(set, zone, data, id);
}

static enum dns_class read_set(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               struct dns_why *why)
{
    json_t *list = NULL, *record;
    char relative[DOMAIN_BYTES];
    enum dns_class class;
    size_t i;

    if (dns_is_told(c->provider, zone->name, set->name, set->type))
        return read_own(c, zone, set, why);
    class = dns_json(c, "GET", NULL, &list, why, "/api/v2/zones/%s/records", zone->id);
    dns_relative(zone, set->name, "", relative);
    if (class == DNS_OK && !json_is_array(list))
        class = dns_bad_reply(c, why, "no list of records");
    json_array_foreach(list, i, record)
    {
        if (class == DNS_OK && !add_record(set, zone, relative, record))
            class = dns_bad_reply(c, why, "a record has no id, name, type and data of its type");
    }
    json_decref(list);
    return class;
}

static enum dns_class create(struct dns_client *c, const struct dns_zone *zone, const struct dns_rrset *set,
                             size_t i, struct dns_why *why)
{
    char relative[DOMAIN_BYTES];

    dns_relative(zone, set->name, "", relative);
    return dns_json(c, "POST",
                    json_pack("{s:s, s:s, s:s}", "type", dns_type_text(set->type), "name", relative, "data",
                              set->values[i].text),
                    NULL, why, "/api/v2/zones/%s/records", zone->id);
}

/* The type of a record cannot be changed, so it is not sent. */
static enum dns_class change(struct dns_client *c, const struct dns_zone *zone, const char *id,
                             const struct dns_rrset *set, size_t i, struct dns_why *why)
{
    char relative[DOMAIN_BYTES];

    dns_relative(zone, set->name, "", relative);
    return dns_json(c, "PATCH", json_pack("{s:s, s:s}", "name", relative, "data", set->values[i].text), NULL,
                    why, "/api/v2/zones/%s/records/%s", zone->id, id);
}

static enum dns_class remove_record(struct dns_client *c, const struct dns_zone *zone,
                                    const struct dns_rrset *set, size_t i, struct dns_why *why)
{
    return dns_json(c, "DELETE", NULL, NULL, why, "/api/v2/zones/%s/records/%s", zone->id, set->values[i].id);
}

const struct dns_provider dns_dynv6 = {
    .type = "dynv6",
    .title = "dynv6",
    .kind = DNS_RECORD,
    .can = DNS_CAN_USUAL,
    .keys = DNS_KEY_TOKEN | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_TOKEN,
    .min_interval_ms = 500,
    .url = "https://dynv6.com",
    .credential = "dynv6.com, Keys, HTTP tokens: one that is limited to the zone.",
    .sample = "token_file = /etc/tunnel/dynv6.token\n",
    .notes =
        "A zone (NAME.dynv6.net, or a domain of one's own) has one address of each family for its own name, and both are told "
        "by one call. Names below it and *.NAME are records, which are made, changed and deleted one by one, as are TXT "
        "records.",
    .authorize = authorize,
    .find_zone = find_zone,
    .read = read_set,
    .create = create,
    .change = change,
    .remove = remove_record,
    .update = update,
};
