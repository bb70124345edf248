/* dynv6: a zone's addresses are told by a URL with the token in it; TXT records are kept by its REST API, with the same token. */
#include "shared/dns/list.h"
#include "shared/dns/rest.h"
#include "shared/value.h"

#include <string.h>

enum { SHOWN_CHARS = 60 };

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

static enum dns_class update(struct dns_client *c, const char *name, const char *v4, const char *v6,
                             struct dns_why *why)
{
    struct dns_request r = { .method = "GET" };
    struct fetch_reply reply;
    enum dns_class class;

    buf_printf(&r.url, "%s/api/update?zone=%s&token=", c->base, name);
    dns_escape_secret(&r.url, &c->token);
    if (v4)
        buf_printf(&r.url, "&ipv4=%s", v4);
    if (v6)
        buf_printf(&r.url, "&ipv6=%s", v6);
    class = dns_send(c, &r, &reply, why);
    if (class == DNS_OK && reply.status == 404)
        class = dns_fail(c, why, DNS_CONFIG,
                         "it has no zone %s; make it there (names below a zone cannot be told alone: point a "
                         "CNAME at the zone instead)",
                         name);
    else if (class == DNS_OK)
        class = dns_judge_status(c, reply.status, NULL, why);
    if (class == DNS_OK)
        class = judge_text(c, (struct str){ buf_bytes(&reply.body), reply.body.len }, why);
    fetch_reply_free(&reply);
    return class;
}

/* ---- TXT, by REST ---- */

static enum dns_class rest(struct dns_client *c, const char *method, json_t *body, json_t **reply,
                           struct dns_why *why, const char *path)
{
    return dns_json(c, method, body, reply, why, "/api/v2/zones%s", path);
}

static enum dns_class authorize(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    (void)why;
    if (!strstr(buf_text(&r->url), "/api/update?"))
        dns_header(r, "Authorization: Bearer %.*s", (int)c->token.n, (const char *)c->token.bytes);
    return DNS_OK;
}

/* The longest zone that the name is in. */
static enum dns_class find(struct dns_client *c, const char *name, struct dns_zone *zone, struct dns_why *why)
{
    json_t *list = NULL, *one;
    enum dns_class class = rest(c, "GET", NULL, &list, why, "");
    size_t i;

    zone->name[0] = 0;
    if (class == DNS_OK && !json_is_array(list))
        class = dns_bad_reply(c, why, "no list of zones");
    json_array_foreach(list, i, one)
    {
        const char *text = json_string_value(json_object_get(one, "name"));
        struct dns_zone found;
        char id[DNS_ID_BYTES];

        if (class != DNS_OK)
            break;
        if (!text || !dns_id_of(json_object_get(one, "id"), id) || !dns_zone_set(&found, str_of(text), id))
            class = dns_bad_reply(c, why, "a zone without name and id");
        else if (dns_zone_has(&found, name) && strlen(found.name) > strlen(zone->name))
            *zone = found;
    }
    json_decref(list);
    if (class == DNS_OK && !zone->name[0])
        return dns_fail(c, why, DNS_CONFIG, "it has no zone for %s, or this token may not see it", name);
    return class;
}

static enum dns_class read_set(struct dns_client *c, const struct dns_zone *given, struct dns_rrset *set,
                               struct dns_why *why)
{
    struct dns_zone zone;
    json_t *list = NULL, *one;
    enum dns_class class = find(c, set->name, &zone, why);
    char path[DNS_ID_BYTES + 16], relative[DOMAIN_BYTES], id[DNS_ID_BYTES];
    size_t i;

    (void)given;
    if (class != DNS_OK)
        return class;
    dns_relative(&zone, set->name, "", relative);
    snprintf(path, sizeof path, "/%s/records", zone.id);
    class = rest(c, "GET", NULL, &list, why, path);
    if (class == DNS_OK && !json_is_array(list))
        class = dns_bad_reply(c, why, "no list of records");
    json_array_foreach(list, i, one)
    {
        const char *type = json_string_value(json_object_get(one, "type"));
        const char *name = json_string_value(json_object_get(one, "name"));
        const char *data = json_string_value(json_object_get(one, "data"));

        if (class != DNS_OK || !type || strcmp(type, dns_type_text(set->type)) != 0 || !name ||
            !dns_same_name(name, relative))
            continue;
        if (!data || !dns_id_of(json_object_get(one, "id"), id) || !dns_rrset_add(set, str_of(data), id))
            class = dns_bad_reply(c, why, "a record without id and data");
    }
    json_decref(list);
    return class;
}

static enum dns_class create(struct dns_client *c, const struct dns_zone *given, const struct dns_rrset *set,
                             size_t i, struct dns_why *why)
{
    struct dns_zone zone;
    enum dns_class class = find(c, set->name, &zone, why);
    char path[DNS_ID_BYTES + 16], relative[DOMAIN_BYTES];

    (void)given;
    if (class != DNS_OK)
        return class;
    dns_relative(&zone, set->name, "", relative);
    snprintf(path, sizeof path, "/%s/records", zone.id);
    return rest(c, "POST",
                json_pack("{s:s, s:s, s:s}", "type", dns_type_text(set->type), "name", relative, "data",
                          set->values[i].text),
                NULL, why, path);
}

static enum dns_class remove_one(struct dns_client *c, const struct dns_zone *given,
                                 const struct dns_rrset *set, size_t i, struct dns_why *why)
{
    struct dns_zone zone;
    enum dns_class class = find(c, set->name, &zone, why);
    char path[2 * DNS_ID_BYTES + 16];

    (void)given;
    if (class != DNS_OK)
        return class;
    snprintf(path, sizeof path, "/%s/records/%s", zone.id, set->values[i].id);
    return rest(c, "DELETE", NULL, NULL, why, path);
}

const struct dns_provider dns_dynv6 = {
    .type = "dynv6",
    .title = "dynv6",
    .kind = DNS_DYN,
    .can = DNS_CAN_A | DNS_CAN_AAAA | DNS_CAN_TXT,
    .keys = DNS_KEY_TOKEN | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_TOKEN,
    .min_interval_ms = 500,
    .url = "https://dynv6.com",
    .credential = "dynv6.com, Keys, HTTP tokens: one that is limited to the zone.",
    .sample = "token_file = /etc/tunnel/dynv6.token\n",
    .notes =
        "Addresses are those of a whole zone (NAME.dynv6.net, or a domain of one's own). TXT records of the zone are made and "
        "deleted one by one, so that dns-01 works.",
    .authorize = authorize,
    .read = read_set,
    .create = create,
    .remove = remove_one,
    .update = update,
};
