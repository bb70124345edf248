/* OVHcloud: records with ids, every request signed by the server's own time; nothing is published before a refresh. */
#include "shared/dns/ovh.h"

#include "shared/dns/list.h"
#include "shared/dns/records.h"
#include "shared/dns/rest.h"
#include "shared/mem.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct ovh {
    bool asks_time, knows_time;
    int64_t ahead_s;                /* the server's time, less our monotonic one */
    char unpublished[DOMAIN_BYTES]; /* the zone whose changes wait for a refresh; "" for none */
    char refreshed[DOMAIN_BYTES]; /* the zone that we refreshed last, with nothing changed since then by us */
};

/* ---- signatures ---- */

static void hash_part(EVP_MD_CTX *hash, const void *bytes, size_t n, const char *behind)
{
    if (EVP_DigestUpdate(hash, bytes, n) != 1 || EVP_DigestUpdate(hash, behind, strlen(behind)) != 1)
        abort(); /* out of memory */
}

void ovh_signature(const struct secret *application_secret, const struct secret *consumer_key,
                   const char *method, const char *url, const void *body, size_t body_n, int64_t at_s,
                   char out[OVH_SIGNATURE_BYTES])
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char at[24];

    snprintf(at, sizeof at, "%lld", (long long)at_s);
    if (!hash || EVP_DigestInit_ex(hash, EVP_sha1(), NULL) != 1)
        abort(); /* out of memory */
    hash_part(hash, application_secret->bytes, application_secret->n, "+");
    hash_part(hash, consumer_key->bytes, consumer_key->n, "+");
    hash_part(hash, method, strlen(method), "+");
    hash_part(hash, url, strlen(url), "+");
    hash_part(hash, body, body_n, "+");
    hash_part(hash, at, strlen(at), "");
    if (EVP_DigestFinal_ex(hash, bytes, &n) != 1)
        abort();
    EVP_MD_CTX_free(hash);
    memcpy(out, "$1$", 4);
    for (size_t i = 0; i < n; i++)
        snprintf(out + 3 + 2 * i, 3, "%02x", bytes[i]);
}

static int64_t monotonic_s(void)
{
    return (int64_t)(uv_hrtime() / 1000000000);
}

/* The one request that is not signed. This machine's own clock does not matter then. */
static enum dns_class ask_time(struct dns_client *c, struct ovh *own, struct dns_why *why)
{
    json_t *reply = NULL;
    enum dns_class class;

    own->asks_time = true;
    class = dns_json(c, "GET", NULL, &reply, why, "/auth/time");
    own->asks_time = false;
    if (class == DNS_OK && !json_is_integer(reply))
        class = dns_bad_reply(c, why, "the time is no number");
    if (class == DNS_OK) {
        own->ahead_s = json_integer_value(reply) - monotonic_s();
        own->knows_time = true;
    }
    json_decref(reply);
    return class;
}

static enum dns_class authorize(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    struct ovh *own = c->own;
    char signature[OVH_SIGNATURE_BYTES];
    enum dns_class class;
    int64_t now_s;

    if (own->asks_time)
        return DNS_OK;
    if (!own->knows_time && (class = ask_time(c, own, why)) != DNS_OK)
        return class;
    now_s = monotonic_s() + own->ahead_s;
    ovh_signature(&c->secret, &c->key, r->method, buf_text(&r->url), buf_bytes(&r->body), r->body.len, now_s,
                  signature);
    dns_header(r, "X-Ovh-Application: %s", c->conf.id);
    dns_header(r, "X-Ovh-Consumer: %.*s", (int)c->key.n, (const char *)c->key.bytes);
    dns_header(r, "X-Ovh-Timestamp: %lld", (long long)now_s);
    dns_header(r, "X-Ovh-Signature: %s", signature);
    return DNS_OK;
}

static enum dns_class open_client(struct dns_client *c, struct dns_why *why)
{
    (void)why;
    c->own = mem_new(sizeof(struct ovh));
    return DNS_OK;
}

static void close_client(struct dns_client *c)
{
    free(c->own);
}

/* ---- judging ---- */

static bool says(const json_t *reply, const char *code, const char *words)
{
    const char *their = json_string_value(json_object_get(reply, "errorCode"));

    return (their && strcmp(their, code) == 0) || strstr(dns_message_of(reply), words);
}

static bool is_not_granted(const json_t *reply)
{
    return says(reply, "NOT_GRANTED_CALL", "not been granted");
}

static enum dns_class judge(struct dns_client *c, int status, const json_t *reply, struct dns_why *why)
{
    struct ovh *own = c->own;

    if (status >= 200 && status <= 299)
        return DNS_OK;
    if (says(reply, "QUERY_TIME_OUT", "out of time")) {
        own->knows_time = false; /* this machine slept, or the answer was long on its way */
        return dns_fail(c, why, DNS_TRANSIENT,
                        "the request came too late for its signature; the time is asked anew");
    }
    if (says(reply, "INVALID_SIGNATURE", "Invalid signature"))
        return dns_fail(
            c, why, DNS_AUTH,
            "it refuses the signature; does secret_file hold the application secret that belongs to id?");
    if (is_not_granted(reply))
        return dns_fail(c, why, DNS_CONFIG,
                        "the consumer key may not do this; make one that may GET, POST, PUT and DELETE "
                        "/domain/zone/ZONE/*");
    if (status == 403)
        return dns_fail(
            c, why, DNS_AUTH,
            "it refuses the credential (%.160s); are id, secret_file and key_file of one application, "
            "confirmed and still valid?",
            dns_message_of(reply));
    return dns_judge_status(c, status, reply, why);
}

/* ---- publishing ---- */

/* Changes are published before anything else is asked: a refresh that failed is not forgotten, for then the records look
 * right to us, and nobody else sees them. Another zone that may not be refreshed is no reason to stop here. */
static enum dns_class publish(struct dns_client *c, const struct dns_zone *zone, struct dns_why *why)
{
    struct ovh *own = c->own;
    enum dns_class class;

    if (!own->unpublished[0])
        return DNS_OK;
    class = dns_json(c, "POST", NULL, NULL, why, "/domain/zone/%s/refresh", own->unpublished);
    if (class == DNS_OK)
        memcpy(own->refreshed, own->unpublished, sizeof own->refreshed);
    if (class == DNS_CONFIG && strcmp(own->unpublished, zone->name) != 0)
        class = DNS_OK;
    if (class == DNS_OK)
        own->unpublished[0] = 0;
    return class;
}

/* An earlier run may have been killed between a change and its refresh: nobody would make up for that otherwise, as the
 * records look right. Once for a zone and a run, as our own refreshes are not forgotten. */
static enum dns_class settle(struct dns_client *c, const struct dns_zone *zone, struct dns_why *why)
{
    struct ovh *own = c->own;
    enum dns_class class;

    if (strcmp(own->refreshed, zone->name) == 0)
        return DNS_NOCHANGE;
    snprintf(own->unpublished, sizeof own->unpublished, "%s", zone->name);
    class = publish(c, zone, why);
    return class == DNS_OK ? DNS_NOCHANGE : class;
}

/* ---- zones and records ---- */

/* Asked by what a key with the least rights may do: its name servers at the zone's top. */
static enum dns_class has_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                               struct dns_why *why)
{
    json_t *reply = NULL;
    enum dns_class class =
        dns_json(c, "GET", NULL, &reply, why, "/domain/zone/%s/record?fieldType=NS&subDomain=", name);

    if (class == DNS_CONFIG && (is_not_granted(reply) || (c->status == 404 && *dns_message_of(reply))))
        class = DNS_OK;
    else if (class == DNS_OK && (!json_is_array(reply) || !dns_zone_set(zone, str_of(name), NULL)))
        class = dns_bad_reply(c, why, "it is no list of records");
    json_decref(reply);
    return class;
}

static bool take_record(struct dns_rrset *set, const struct dns_zone *zone, const char *relative,
                        const json_t *record, const char *id)
{
    const char *type = json_string_value(json_object_get(record, "fieldType"));
    const char *name = json_string_value(json_object_get(record, "subDomain"));
    const char *target = json_string_value(json_object_get(record, "target"));
    const json_t *ttl = json_object_get(record, "ttl");

    if (!type || !target || !json_is_integer(ttl))
        return false;
    if (strcmp(type, dns_type_text(set->type)) != 0 || !dns_same_name(name ? name : "", relative))
        return true;
    set->ttl_s = json_integer_value(ttl);
    return dns_rrset_add_target(set, zone, target, id);
}

static enum dns_class read_record(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                                  const char *relative, const json_t *number, struct dns_why *why)
{
    json_t *record = NULL;
    char id[DNS_ID_BYTES];
    enum dns_class class;

    if (!json_is_integer(number) || !dns_id_of(number, id))
        return dns_bad_reply(c, why, "it is no list of numbers");
    class = dns_json(c, "GET", NULL, &record, why, "/domain/zone/%s/record/%s", zone->name, id);
    if (class == DNS_CONFIG && c->status == 404)
        class = dns_fail(c, why, DNS_TRANSIENT,
                         "somebody else changes the records just now; they are read again");
    if (class == DNS_OK && !take_record(set, zone, relative, record, id))
        class = dns_bad_reply(c, why, "a record has no fieldType, target and ttl of its type");
    json_decref(record);
    return class;
}

static enum dns_class read_set(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               struct dns_why *why)
{
    char relative[DOMAIN_BYTES];
    const json_t *number;
    json_t *list = NULL;
    enum dns_class class;
    size_t i;

    if (set->type == DNS_TYPE_ALIAS)
        return DNS_OK; /* it has none */
    class = publish(c, zone, why);
    if (class != DNS_OK)
        return class;
    dns_relative(zone, set->name, "", relative);
    class = dns_json(c, "GET", NULL, &list, why, "/domain/zone/%s/record?fieldType=%s&subDomain=%s",
                     zone->name, dns_type_text(set->type), relative);
    if (class == DNS_OK && (!json_is_array(list) || json_array_size(list) > DNS_VALUES))
        class = dns_bad_reply(c, why, "it is no list of records of one name");
    json_array_foreach(list, i, number)
    {
        if (class == DNS_OK)
            class = read_record(c, zone, set, relative, number, why);
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
                    json_pack("{s:s, s:s, s:s, s:I}", "fieldType", dns_type_text(set->type), "subDomain",
                              relative, "target", set->values[i].text, "ttl", (json_int_t)dns_ttl(c, set)),
                    NULL, why, "/domain/zone/%s/record", zone->name);
}

static enum dns_class change(struct dns_client *c, const struct dns_zone *zone, const char *id,
                             const struct dns_rrset *set, size_t i, struct dns_why *why)
{
    return dns_json(
        c, "PUT", json_pack("{s:s, s:I}", "target", set->values[i].text, "ttl", (json_int_t)dns_ttl(c, set)),
        NULL, why, "/domain/zone/%s/record/%s", zone->name, id);
}

static enum dns_class remove_record(struct dns_client *c, const struct dns_zone *zone,
                                    const struct dns_rrset *set, size_t i, struct dns_why *why)
{
    return dns_json(c, "DELETE", NULL, NULL, why, "/domain/zone/%s/record/%s", zone->name, set->values[i].id);
}

/* All records first, then one refresh; also when one was refused, for those that were not. After other failures it is left to
 * the next attempt, which begins with it. */
static enum dns_class write_set(struct dns_client *c, const struct dns_zone *zone,
                                const struct dns_rrset *have, const struct dns_rrset *want,
                                struct dns_why *why)
{
    struct ovh *own = c->own;
    struct dns_why first;
    enum dns_class class;

    snprintf(own->unpublished, sizeof own->unpublished, "%s", zone->name);
    own->refreshed[0] = 0;
    class = dns_write_records(c, zone, have, want, why);
    if (class == DNS_OK)
        return publish(c, zone, why);
    if (class != DNS_CONFIG)
        return class;
    first = *why;
    publish(c, zone, why);
    *why = first;
    return class;
}

const struct dns_provider dns_ovh = {
    .type = "ovh",
    .title = "OVHcloud",
    .kind = DNS_RECORD,
    .can = DNS_CAN_USUAL,
    .keys = DNS_KEY_ID | DNS_KEY_SECRET | DNS_KEY_KEY | DNS_KEY_ZONE | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_ID | DNS_KEY_SECRET | DNS_KEY_KEY,
    .min_ttl_s = 60,
    .default_ttl_s = 60,
    .min_interval_ms = 100,
    .signs_time = true,
    .url = "https://eu.api.ovh.com/1.0",
    .credential =
        "eu.api.ovh.com/createToken: rights GET, POST, PUT and DELETE on /domain/zone/ZONE/* for the one zone, "
        "validity unlimited. id is the application key, secret_file holds the application secret, key_file the "
        "consumer key.",
    .sample = "id          = 7kbG7Bk7S9Nt7ZSV\n"
              "secret_file = /etc/tunnel/ovh.secret\n"
              "key_file    = /etc/tunnel/ovh.consumer\n",
    .notes =
        "Accounts in Canada: url = https://ca.api.ovh.com/1.0; in the US: url = https://api.us.ovhcloud.com/1.0.",
    .open = open_client,
    .close = close_client,
    .authorize = authorize,
    .judge = judge,
    .has_zone = has_zone,
    .read = read_set,
    .write = write_set,
    .settle = settle,
    .create = create,
    .change = change,
    .remove = remove_record,
};
