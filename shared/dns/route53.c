/* AWS Route 53: whole sets by XML, every request signed. A set is read again before it is written, and its values go back as
 * they stand there: Route 53 deletes a set only for who can repeat it exactly, and writes its escapes in octal. */
#include "shared/dns/list.h"
#include "shared/dns/rest.h"
#include "shared/dns/sigv4.h"
#include "shared/dns/xml.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAMESPACE "https://route53.amazonaws.com/doc/2013-04-01/"

enum { ZONES_ASKED = 20, SYNC_TRIES = 45, SYNC_STEP_MS = 2000 };

/* ---- requests ---- */

/* Of the Host field: with its port, unless that is the usual one. */
static size_t host_length(const char *url, const char *host)
{
    size_t n = strcspn(host, "/?");
    const char *usual = strncmp(url, "https:", 6) == 0 ? ":443" : ":80";
    size_t port = strlen(usual);

    return n > port && memcmp(host + n - port, usual, port) == 0 ? n - port : n;
}

static enum dns_class authorize(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    const char *url = buf_text(&r->url), *host = strstr(url, "://") + 3, *path = host + strcspn(host, "/?");
    struct sigv4_request q = { .method = r->method, .body = buf_bytes(&r->body), .body_n = r->body.len };
    const struct sigv4_key key = { c->conf.id, &c->secret, "us-east-1", "route53" };
    struct buf host_text = { 0 }, path_text = { 0 }, authorization = { 0 };
    struct secret token = { 0 };
    char date[SIGV4_TIME_BYTES];

    (void)why;
    sigv4_time((int64_t)time(NULL), date);
    buf_add(&host_text, host, host_length(url, host));
    buf_add(&path_text, path, strcspn(path, "?"));
    q.path = buf_text(&path_text);
    q.query = path[path_text.len] == '?' ? path + path_text.len + 1 : "";
    q.headers[q.headers_n++] = (struct sigv4_header){ "host", buf_text(&host_text) };
    q.headers[q.headers_n++] = (struct sigv4_header){ "x-amz-date", date };
    if (c->token.n > 0) { /* of temporary credentials */
        secret_init(&token, c->token.n + 1);
        memcpy(token.bytes, c->token.bytes, c->token.n);
        q.headers[q.headers_n++] = (struct sigv4_header){ "x-amz-security-token", (const char *)token.bytes };
        dns_header(r, "x-amz-security-token: %s", (const char *)token.bytes);
    }
    sigv4_authorization(&q, &key, date, &authorization);
    dns_header(r, "x-amz-date: %s", date);
    dns_header(r, "Authorization: %s", buf_text(&authorization));
    secret_free(&token);
    buf_free(&host_text);
    buf_free(&path_text);
    buf_free(&authorization);
    return DNS_OK;
}

static enum dns_class clock_differs(struct dns_client *c, struct dns_why *why)
{
    return dns_fail(
        c, why, DNS_TRANSIENT,
        "it takes this machine's clock to be more than five minutes wrong; it is tried again once the "
        "clock is right");
}

/* A batch that does not fit what is there: then somebody else has changed it since it was read. */
static bool is_outdated(const char *message)
{
    return strstr(message, "not found") || strstr(message, "do not match") ||
           strstr(message, "already exists");
}

static enum dns_class judge_code(struct dns_client *c, const char *code, const char *message,
                                 struct dns_why *why)
{
    static const struct {
        const char *code;
        enum dns_class class;
        const char *remedy;
    } known[] = {
        { "InvalidClientTokenId", DNS_AUTH, "is id right, and is the key still active?" },
        { "SignatureDoesNotMatch", DNS_AUTH, "does secret_file belong to id?" },
        { "IncompleteSignature", DNS_AUTH, "is id right?" },
        { "MissingAuthenticationToken", DNS_AUTH, "is id right?" },
        { "ExpiredToken", DNS_AUTH, "temporary credentials have ended; put new ones into their files" },
        { "AccessDenied", DNS_CONFIG,
          "the key's policy has to allow this on this zone; tunnelctl dns providers route53 lists what is needed" },
        { "NoSuchHostedZone", DNS_CONFIG, "the zone has gone" },
        { "Throttling", DNS_THROTTLED, "too many requests of this account; it is asked again later" },
        { "PriorRequestNotComplete", DNS_TRANSIENT,
          "an earlier change is not done; it is asked again later" },
    };

    if (strcmp(code, "RequestExpired") == 0 || strstr(message, "Signature expired") ||
        strstr(message, "not yet current"))
        return clock_differs(c, why);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(code, known[i].code, strlen(known[i].code)) == 0)
            return dns_fail(c, why, known[i].class, "it answers %s (%.160s): %s", code, message,
                            known[i].remedy);
    if (strcmp(code, "InvalidChangeBatch") == 0 && is_outdated(message))
        return dns_fail(c, why, DNS_TRANSIENT, "somebody else changed the set meanwhile; it is read again");
    return DNS_OK;
}

/* InvalidChangeBatch comes as an error like others, or as a document of its own. */
static enum dns_class judge_failure(struct dns_client *c, const json_t *root, struct dns_why *why)
{
    const json_t *error = xml_child(xml_child(root, "ErrorResponse"), "Error");
    const json_t *batch = xml_child(root, "InvalidChangeBatch");
    const char *code = batch ? "InvalidChangeBatch" : xml_text(error, "Code");
    const char *message =
        batch ? xml_text(xml_child(batch, "Messages"), "Message") : xml_text(error, "Message");
    enum dns_class class = judge_code(c, code, message, why);
    json_t *said;

    if (class != DNS_OK)
        return class;
    said = json_pack("{s:s}", "message", *message ? message : code);
    class = dns_judge_status(c, c->status, said, why);
    json_decref(said);
    return class;
}

/* *root: the document whose root is called `wanted`; what is in it is xml_child(*root, wanted). Takes the body. */
static enum dns_class ask(struct dns_client *c, const char *method, struct buf *body, const char *wanted,
                          json_t **root, struct dns_why *why, const char *path)
{
    struct dns_request r = { .method = method, .content_type = "application/xml" };
    struct fetch_reply raw;
    struct err e = { 0 };
    enum dns_class class;

    *root = NULL;
    buf_printf(&r.url, "%s%s", c->base, path);
    if (body) {
        r.body = *body;
        *body = (struct buf){ 0 };
    }
    class = dns_send(c, &r, &raw, why);
    if (class == DNS_OK)
        *root = xml_read((struct str){ buf_bytes(&raw.body), raw.body.len }, &e);
    if (class == DNS_OK && (c->status < 200 || c->status > 299))
        class = judge_failure(c, *root, why);
    else if (class == DNS_OK && !*root)
        class =
            dns_fail(c, why, DNS_BADREPLY,
                     "%s answers with %d and something that is not XML (%s); is another server in between?",
                     raw.address, c->status, e.text);
    else if (class == DNS_OK && !xml_child(*root, wanted))
        class = dns_fail(c, why, DNS_BADREPLY, "its answer cannot be used: it is no %s", wanted);
    fetch_reply_free(&raw);
    return class;
}

/* ---- zones ---- */

/* Two public zones of one name: which of them the world asks, only their owner knows. */
static enum dns_class take_zone(struct dns_client *c, const json_t *found, const char *name,
                                struct dns_zone *zone, struct dns_why *why)
{
    static const char prefix[] = "/hostedzone/";
    const char *id = xml_text(found, "Id");

    if (!dns_same_name(xml_text(found, "Name"), name) ||
        strcmp(xml_text(xml_child(found, "Config"), "PrivateZone"), "true") == 0)
        return DNS_OK;
    if (zone->name[0])
        return dns_fail(c, why, DNS_CONFIG,
                        "there are two public zones of the name %s (%s and %s); delete the one that is not "
                        "delegated to",
                        name, zone->id, id);
    if (strncmp(id, prefix, strlen(prefix)) == 0)
        id += strlen(prefix);
    if (!*id || !dns_zone_set(zone, str_of(name), id))
        return dns_bad_reply(c, why, "the zone's id is no id");
    return DNS_OK;
}

/* The list begins at the name, and goes on to others. */
static enum dns_class has_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                               struct dns_why *why)
{
    static const char wanted[] = "ListHostedZonesByNameResponse";
    const json_t *found, *list;
    struct buf path = { 0 };
    json_t *root = NULL;
    enum dns_class class;
    size_t i;

    buf_printf(&path, "/hostedzonesbyname?dnsname=%s&maxitems=%d", name, ZONES_ASKED);
    class = ask(c, "GET", NULL, wanted, &root, why, buf_text(&path));
    buf_free(&path);
    list = xml_child(xml_child(root, wanted), "HostedZones");
    if (class == DNS_OK && !list)
        class = dns_bad_reply(c, why, "it has no HostedZones");
    json_array_foreach(json_object_get(list, "HostedZone"), i, found)
    {
        if (class == DNS_OK)
            class = take_zone(c, found, name, zone, why);
    }
    json_decref(root);
    return class;
}

/* ---- reading ---- */

static bool add_values(const json_t *raw, struct dns_rrset *set)
{
    const char *ttl = xml_text(raw, "TTL");
    const json_t *record;
    char *end;
    size_t i;

    set->ttl_s = strtoll(ttl, &end, 10);
    if (!*ttl || *end || set->ttl_s < 0)
        return false;
    json_array_foreach(json_object_get(xml_child(raw, "ResourceRecords"), "ResourceRecord"), i, record)
    {
        if (!dns_rrset_add(set, str_of(xml_text(record, "Value")), NULL))
            return false;
    }
    return set->n > 0;
}

/* The set as it stands there: *raw is NULL when there is none, and lives as long as *root. The list begins at the name. */
static enum dns_class read_raw(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               json_t **root, const json_t **raw, struct dns_why *why)
{
    static const char wanted[] = "ListResourceRecordSetsResponse";
    struct buf path = { 0 };
    enum dns_class class;

    buf_printf(&path, "/hostedzone/%s/rrset?name=", zone->id);
    dns_escape(&path, set->name);
    buf_printf(&path, "&type=%s&maxitems=1", dns_type_text(set->type));
    class = ask(c, "GET", NULL, wanted, root, why, buf_text(&path));
    buf_free(&path);
    if (class != DNS_OK)
        return class;
    *raw = xml_child(xml_child(*root, wanted), "ResourceRecordSets");
    if (!*raw)
        return dns_bad_reply(c, why, "it has no ResourceRecordSets");
    *raw = xml_child(*raw, "ResourceRecordSet");
    if (!*raw || !dns_same_name(xml_text(*raw, "Name"), set->name) ||
        strcmp(xml_text(*raw, "Type"), dns_type_text(set->type)) != 0) {
        *raw = NULL;
        return DNS_OK;
    }
    if (xml_child(*raw, "AliasTarget") || xml_child(*raw, "SetIdentifier"))
        return dns_fail(
            c, why, DNS_CONFIG,
            "%s is %s there, which is not replaced by plain records; delete it at Route 53, or take "
            "the name out here",
            set->name, xml_child(*raw, "AliasTarget") ? "an alias" : "routed by a policy");
    if (!add_values(*raw, set))
        return dns_bad_reply(c, why, "a set has no TTL and values of its type");
    return DNS_OK;
}

static enum dns_class read_set(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               struct dns_why *why)
{
    const json_t *raw = NULL;
    json_t *root = NULL;
    enum dns_class class = read_raw(c, zone, set, &root, &raw, why);

    json_decref(root);
    return class;
}

/* ---- writing ---- */

/* The value as it stands there; else as we write it. */
static const char *raw_value(const struct dns_client *c, const json_t *raw, const struct dns_rrset *set,
                             size_t i, struct buf *text)
{
    const json_t *record;
    size_t at;

    json_array_foreach(json_object_get(xml_child(raw, "ResourceRecords"), "ResourceRecord"), at, record)
    {
        struct dns_rrset one;
        bool same;

        dns_rrset_init(&one, set->name, set->type);
        same = dns_rrset_add(&one, str_of(xml_text(record, "Value")), NULL) &&
               dns_rrset_has(&one, set->values[i].text);
        dns_rrset_free(&one);
        if (same)
            return xml_text(record, "Value");
    }
    return dns_value_text(c, set, i, text);
}

static void add_batch(const struct dns_client *c, const json_t *raw, const struct dns_rrset *set,
                      const char *action, int64_t ttl_s, struct buf *out)
{
    struct buf text = { 0 };

    buf_printf(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ChangeResourceRecordSetsRequest xmlns=\"" NAMESPACE
        "\"><ChangeBatch><Changes><Change><Action>%s</Action><ResourceRecordSet><Name>%s.</Name>"
        "<Type>%s</Type><TTL>%lld</TTL><ResourceRecords>",
        action, set->name, dns_type_text(set->type), (long long)ttl_s);
    for (size_t i = 0; i < set->n; i++) {
        buf_add_text(out, "<ResourceRecord><Value>");
        xml_escape(out, raw_value(c, raw, set, i, &text));
        buf_add_text(out, "</Value></ResourceRecord>");
    }
    buf_add_text(out, "</ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch>"
                      "</ChangeResourceRecordSetsRequest>");
    buf_free(&text);
}

/* A certificate's authority asks at once: then every name server has to know. *root: what the change was answered with. */
static enum dns_class wait_until_known(struct dns_client *c, json_t **root, const char *wanted,
                                       struct dns_why *why)
{
    const json_t *info = xml_child(xml_child(*root, wanted), "ChangeInfo");
    enum dns_class class = DNS_OK;
    struct buf path = { 0 };

    if (strncmp(xml_text(info, "Id"), "/change/", 8) != 0 || strpbrk(xml_text(info, "Id") + 8, "/?#%& "))
        return dns_bad_reply(c, why, "it has no Id of the change");
    buf_add_text(&path, xml_text(info, "Id"));
    for (int i = 0; class == DNS_OK && strcmp(xml_text(info, "Status"), "INSYNC") != 0; i++) {
        json_decref(*root);
        *root = NULL;
        if (i == SYNC_TRIES)
            class =
                dns_fail(c, why, DNS_TRANSIENT,
                         "it took the change, but not all its name servers have it yet; it is asked again");
        else if (!job_sleep(c->job, SYNC_STEP_MS))
            class = dns_fail(c, why, DNS_STOPPED, "given up, as asked");
        else
            class = ask(c, "GET", NULL, "GetChangeResponse", root, why, buf_text(&path));
        info = xml_child(xml_child(*root, "GetChangeResponse"), "ChangeInfo");
        if (class == DNS_OK && !*xml_text(info, "Status"))
            class = dns_bad_reply(c, why, "it has no Status of the change");
    }
    buf_free(&path);
    return class;
}

static enum dns_class send_batch(struct dns_client *c, const struct dns_zone *zone, struct buf *body,
                                 bool wait, struct dns_why *why)
{
    static const char wanted[] = "ChangeResourceRecordSetsResponse";
    struct buf path = { 0 };
    json_t *root = NULL;
    enum dns_class class;

    buf_printf(&path, "/hostedzone/%s/rrset", zone->id);
    class = ask(c, "POST", body, wanted, &root, why, buf_text(&path));
    buf_free(&path);
    if (class == DNS_OK && wait)
        class = wait_until_known(c, &root, wanted, why);
    json_decref(root);
    return class;
}

static enum dns_class write_set(struct dns_client *c, const struct dns_zone *zone,
                                const struct dns_rrset *have, const struct dns_rrset *want,
                                struct dns_why *why)
{
    struct dns_rrset now;
    const json_t *raw = NULL;
    json_t *root = NULL;
    struct buf body = { 0 };
    enum dns_class class;

    dns_rrset_init(&now, want->name, want->type);
    class = read_raw(c, zone, &now, &root, &raw, why);
    if (class == DNS_OK && !dns_rrset_same(&now, have))
        class = dns_fail(c, why, DNS_TRANSIENT, "somebody else changed the set meanwhile; it is read again");
    if (class == DNS_OK) {
        if (want->n > 0)
            add_batch(c, raw, want, "UPSERT", dns_ttl(c, want), &body);
        else
            add_batch(c, raw, &now, "DELETE", now.ttl_s, &body);
        class = send_batch(c, zone, &body, want->n > 0 && want->type == DNS_TYPE_TXT, why);
    }
    buf_free(&body);
    json_decref(root);
    dns_rrset_free(&now);
    return class;
}

const struct dns_provider dns_route53 = {
    .type = "route53",
    .title = "Route 53",
    .kind = DNS_RRSET,
    .can = DNS_CAN_USUAL,
    .keys = DNS_KEY_ID | DNS_KEY_SECRET | DNS_KEY_TOKEN | DNS_KEY_ZONE | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_ID | DNS_KEY_SECRET,
    .min_ttl_s = 1,
    .default_ttl_s = 60,
    .min_interval_ms = 200,
    .signs_time = true,
    .quotes_txt = true,
    .url = "https://route53.amazonaws.com/2013-04-01",
    .credential =
        "AWS console, IAM, Users, a user for this alone, Security credentials, Create access key. Its policy: "
        "route53:ChangeResourceRecordSets and route53:ListResourceRecordSets on "
        "arn:aws:route53:::hostedzone/ID, route53:ListHostedZonesByName on *, and route53:GetChange on "
        "arn:aws:route53:::change/*.",
    .sample = "id          = AKIAIOSFODNN7EXAMPLE\n"
              "secret_file = /etc/tunnel/route53.secret\n",
    .notes =
        "token_file is for temporary credentials: their session token. Private zones are passed over. A name that is "
        "an alias there, or routed by a policy, is reported and left as it is.",
    .authorize = authorize,
    .has_zone = has_zone,
    .read = read_set,
    .write = write_set,
};
