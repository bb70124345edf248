/* Porkbun: records with ids. Every call is a POST with both keys in its body, and a page of HTML with 503 means: too often. */
#include "shared/dns/list.h"
#include "shared/dns/rest.h"

#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { DOMAINS_A_PAGE = 1000, PAGES = 20, DOMAINS_MS = 60 * 1000 };

/* All domains of the account, asked for at most once a minute: Porkbun has no call for one of them. */
struct domains {
    json_t *names; /* an object, for its keys */
    uint64_t until_ms;
};

static void close_client(struct dns_client *c)
{
    struct domains *d = c->own;

    if (d)
        json_decref(d->names);
    free(d);
}

static bool is_key(const struct secret *key)
{
    for (size_t i = 0; i < key->n; i++)
        if (key->bytes[i] <= ' ' || key->bytes[i] > '~' || key->bytes[i] == '"' || key->bytes[i] == '\\')
            return false;
    return key->n > 0;
}

/* Puts the keys in front of what the body has, without a copy of them that is not wiped. */
static enum dns_class authorize(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    static const char first[] = "{\"apikey\":\"", second[] = "\",\"secretapikey\":\"", end[] = "\",";
    struct buf body = { 0 };
    bool empty = r->body.len == 2; /* {} */

    if (!is_key(&c->key) || !is_key(&c->secret))
        return dns_fail(c, why, DNS_AUTH,
                        "%s does not hold a key as Porkbun makes them (pk1_... and sk1_...)",
                        is_key(&c->key) ? "secret_file" : "key_file");
    buf_space(&body, sizeof first + sizeof second + sizeof end + c->key.n + c->secret.n + r->body.len);
    buf_add_text(&body, first);
    buf_add(&body, c->key.bytes, c->key.n);
    buf_add_text(&body, second);
    buf_add(&body, c->secret.bytes, c->secret.n);
    buf_add(&body, end, empty ? 1 : 2);
    buf_add(&body, buf_bytes(&r->body) + 1, r->body.len - 1);
    buf_free(&r->body);
    r->body = body;
    return DNS_OK;
}

static enum dns_class judge(struct dns_client *c, int status, const json_t *reply, struct dns_why *why)
{
    const char *word = json_string_value(json_object_get(reply, "status"));
    const char *message = dns_message_of(reply);

    if (status == 503)
        return dns_fail(c, why, DNS_THROTTLED,
                        "it takes no more requests for now (503); it is asked again later");
    if (word && strcmp(word, "ERROR") == 0) {
        if (strstr(message, "API key"))
            return dns_fail(
                c, why, DNS_AUTH,
                "it refuses the keys (%.160s); are key_file and secret_file those of one pair that is "
                "still valid?",
                message);
        if (strstr(message, "opted in"))
            return dns_fail(
                c, why, DNS_CONFIG,
                "the domain is closed to the API; switch on API ACCESS for it in Porkbun's list of "
                "domains");
        if (status >= 200 && status <= 299)
            return dns_fail(c, why, DNS_CONFIG, "it refuses: %.200s", message);
    }
    if (status < 200 || status > 299)
        return dns_judge_status(c, status, reply, why);
    if (!word || strcmp(word, "SUCCESS") != 0)
        return dns_bad_reply(c, why, "its status is not SUCCESS");
    return DNS_OK;
}

/* ---- zones ---- */

static enum dns_class add_page(struct dns_client *c, json_t *names, int page, size_t *n, struct dns_why *why)
{
    const json_t *list, *domain;
    json_t *reply = NULL;
    char start[16];
    enum dns_class class;
    size_t i;

    snprintf(start, sizeof start, "%d", page * DOMAINS_A_PAGE);
    class = dns_json(c, "POST", json_pack("{s:s}", "start", start), &reply, why, "/domain/listAll");
    list = json_object_get(reply, "domains");
    if (class == DNS_OK && !json_is_array(list))
        class = dns_bad_reply(c, why, "member \"domains\" is no list");
    *n = json_array_size(list);
    json_array_foreach(list, i, domain)
    {
        const char *name = json_string_value(json_object_get(domain, "domain"));
        struct dns_zone zone;

        if (class == DNS_OK && (!name || !dns_zone_set(&zone, str_of(name), NULL)))
            class = dns_bad_reply(c, why, "a domain has no name");
        if (class == DNS_OK)
            json_object_set_new(names, zone.name, json_true());
    }
    json_decref(reply);
    return class;
}

static enum dns_class read_domains(struct dns_client *c, struct domains *d, struct dns_why *why)
{
    json_t *names = json_object();
    enum dns_class class = DNS_OK;
    size_t n = DOMAINS_A_PAGE;

    for (int page = 0; class == DNS_OK && n >= DOMAINS_A_PAGE && page < PAGES; page++)
        class = add_page(c, names, page, &n, why);
    if (class != DNS_OK) {
        json_decref(names);
        return class;
    }
    json_decref(d->names);
    d->names = names;
    d->until_ms = uv_hrtime() / 1000000 + DOMAINS_MS;
    return DNS_OK;
}

static enum dns_class has_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                               struct dns_why *why)
{
    struct domains *d = c->own ? c->own : (c->own = mem_new(sizeof *d));
    enum dns_class class = DNS_OK;

    if (!d->names || uv_hrtime() / 1000000 >= d->until_ms)
        class = read_domains(c, d, why);
    if (class == DNS_OK && json_object_get(d->names, name) && !dns_zone_set(zone, str_of(name), NULL))
        class = dns_bad_reply(c, why, "the domain's name is no name");
    return class;
}

/* ---- records ---- */

static bool add_record(struct dns_rrset *set, const json_t *record)
{
    const char *type = json_string_value(json_object_get(record, "type"));
    const char *name = json_string_value(json_object_get(record, "name"));
    const char *content = json_string_value(json_object_get(record, "content"));
    const json_t *ttl = json_object_get(record, "ttl");
    const char *text = json_string_value(ttl);
    char id[DNS_ID_BYTES], *end = NULL;

    if (!type || !name)
        return false;
    if (strcmp(type, dns_type_text(set->type)) != 0 || !dns_same_name(name, set->name))
        return true;
    set->ttl_s = text ? strtoll(text, &end, 10) : json_integer_value(ttl);
    return content && (text ? *text && !*end : json_is_integer(ttl)) &&
           dns_id_of(json_object_get(record, "id"), id) && dns_rrset_add(set, str_of(content), id);
}

static enum dns_class read_set(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               struct dns_why *why)
{
    const json_t *list, *record;
    char relative[DOMAIN_BYTES];
    json_t *reply = NULL;
    enum dns_class class;
    size_t i;

    dns_relative(zone, set->name, "", relative);
    class = dns_json(c, "POST", json_object(), &reply, why, "/dns/retrieveByNameType/%s/%s%s%s", zone->name,
                     dns_type_text(set->type), *relative ? "/" : "", relative);
    list = json_object_get(reply, "records");
    if (class == DNS_OK && !json_is_array(list))
        class = dns_bad_reply(c, why, "member \"records\" is no list");
    json_array_foreach(list, i, record)
    {
        if (class == DNS_OK && !add_record(set, record))
            class = dns_bad_reply(c, why, "a record has no id, name, type, content and ttl");
    }
    json_decref(reply);
    return class;
}

/* Notes that are left out stay as they are. */
static json_t *body_of(const struct dns_client *c, const struct dns_zone *zone, const struct dns_rrset *set,
                       size_t i)
{
    char relative[DOMAIN_BYTES], ttl[24];

    dns_relative(zone, set->name, "", relative);
    snprintf(ttl, sizeof ttl, "%lld", (long long)dns_ttl(c, set));
    return json_pack("{s:s, s:s, s:s, s:s}", "name", relative, "type", dns_type_text(set->type), "content",
                     set->values[i].text, "ttl", ttl);
}

static enum dns_class create(struct dns_client *c, const struct dns_zone *zone, const struct dns_rrset *set,
                             size_t i, struct dns_why *why)
{
    return dns_json(c, "POST", body_of(c, zone, set, i), NULL, why, "/dns/create/%s", zone->name);
}

static enum dns_class change(struct dns_client *c, const struct dns_zone *zone, const char *id,
                             const struct dns_rrset *set, size_t i, struct dns_why *why)
{
    return dns_json(c, "POST", body_of(c, zone, set, i), NULL, why, "/dns/edit/%s/%s", zone->name, id);
}

static enum dns_class remove_record(struct dns_client *c, const struct dns_zone *zone,
                                    const struct dns_rrset *set, size_t i, struct dns_why *why)
{
    return dns_json(c, "POST", json_object(), NULL, why, "/dns/delete/%s/%s", zone->name, set->values[i].id);
}

const struct dns_provider dns_porkbun = {
    .type = "porkbun",
    .title = "Porkbun",
    .kind = DNS_RECORD,
    .can = DNS_CAN_USUAL | DNS_CAN_ALIAS,
    .keys = DNS_KEY_KEY | DNS_KEY_SECRET | DNS_KEY_ZONE | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_KEY | DNS_KEY_SECRET,
    .min_ttl_s = 600,
    .default_ttl_s = 600,
    .min_interval_ms = 1500,
    .url = "https://api.porkbun.com/api/json/v3",
    .credential =
        "porkbun.com/account/api, Create API Key: key_file holds the API key (pk1_...), secret_file the secret one "
        "(sk1_...). Then switch on API ACCESS for the domain alone.",
    .sample = "key_file    = /etc/tunnel/porkbun.key\n"
              "secret_file = /etc/tunnel/porkbun.secret\n",
    .notes =
        "A new domain has parking records there (ALIAS at its top, CNAME for *): delete them by hand. Requests are "
        "1.5 s apart, because Porkbun refuses more.",
    .close = close_client,
    .authorize = authorize,
    .judge = judge,
    .has_zone = has_zone,
    .read = read_set,
    .create = create,
    .change = change,
    .remove = remove_record,
};
