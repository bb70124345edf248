/* Hetzner Cloud DNS: whole sets, changed by actions that take a moment. A set is read again before it is written, because
 * each of its values has a comment, which would be lost otherwise. */
#include "shared/dns/list.h"
#include "shared/dns/rest.h"

#include <string.h>

enum { ACTION_TRIES = 60, ACTION_STEP_MS = 1000 };

static enum dns_class authorize(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    (void)why;
    dns_header(r, "Authorization: Bearer %.*s", (int)c->token.n, (const char *)c->token.bytes);
    return DNS_OK;
}

/* DNS_OK when the code says nothing that the status does not. */
static enum dns_class judge_code(struct dns_client *c, const json_t *error, struct dns_why *why)
{
    static const struct {
        const char *code;
        enum dns_class class;
        const char *remedy;
    } known[] = {
        { "unauthorized", DNS_AUTH, "put a token of the zone's project into token_file" },
        { "token_readonly", DNS_AUTH, "the token may only read; make one with Read & Write" },
        { "forbidden", DNS_AUTH, "the token has not the right; make one with Read & Write" },
        { "incorrect_zone_mode", DNS_CONFIG, "the zone is a secondary one; its records are kept elsewhere" },
        { "protected", DNS_CONFIG,
          "these records are protected from changes there; lift that in the console" },
        { "locked", DNS_TRANSIENT, "something else is changing it; it is asked again later" },
        { "conflict", DNS_TRANSIENT, "something else has changed it; it is asked again later" },
        { "uniqueness_error", DNS_TRANSIENT, "somebody else made it meanwhile; it is read again" },
        { "maintenance", DNS_TRANSIENT, "it is asked again later" },
        { "rate_limit_exceeded", DNS_THROTTLED,
          "too many requests of this project; it is asked again later" },
    };
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));

    for (size_t i = 0; code && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(code, known[i].code) == 0)
            return dns_fail(c, why, known[i].class, "it answers %s (%.160s): %s", code,
                            message ? message : "", known[i].remedy);
    return DNS_OK;
}

static enum dns_class judge(struct dns_client *c, int status, const json_t *reply, struct dns_why *why)
{
    enum dns_class class = DNS_OK;

    if (status < 200 || status > 299)
        class = judge_code(c, json_object_get(reply, "error"), why);
    return class == DNS_OK ? dns_judge_status(c, status, reply, why) : class;
}

/* Hetzner itself says that there is none, and not a server in between. */
static bool is_none(const struct dns_client *c, enum dns_class class, const json_t *reply)
{
    const char *code = json_string_value(json_object_get(json_object_get(reply, "error"), "code"));

    return class == DNS_CONFIG && c->status == 404 && code && strcmp(code, "not_found") == 0;
}

static enum dns_class has_zone(struct dns_client *c, const char *name, struct dns_zone *zone,
                               struct dns_why *why)
{
    json_t *reply = NULL;
    enum dns_class class = dns_json(c, "GET", NULL, &reply, why, "/zones/%s", name);
    const json_t *theirs = json_object_get(reply, "zone");
    const char *their_name = json_string_value(json_object_get(theirs, "name"));
    const char *mode = json_string_value(json_object_get(theirs, "mode"));
    char id[DNS_ID_BYTES];

    if (is_none(c, class, reply))
        class = DNS_OK;
    else if (class == DNS_OK &&
             (!their_name || !dns_same_name(their_name, name) ||
              !dns_id_of(json_object_get(theirs, "id"), id) || !dns_zone_set(zone, str_of(name), id)))
        class = dns_bad_reply(c, why, "it is no zone of this name with an id");
    else if (class == DNS_OK && mode && strcmp(mode, "secondary") == 0)
        class = dns_fail(c, why, DNS_CONFIG,
                         "%s is a secondary zone there; change its records where they are kept", name);
    json_decref(reply);
    return class;
}

/* ---- reading ---- */

/* *rrset is a new reference, or NULL when there is none. */
static enum dns_class get_rrset(struct dns_client *c, const struct dns_zone *zone,
                                const struct dns_rrset *set, json_t **rrset, struct dns_why *why)
{
    char relative[DOMAIN_BYTES];
    json_t *reply = NULL;
    enum dns_class class;

    dns_relative(zone, set->name, "@", relative);
    class = dns_json(c, "GET", NULL, &reply, why, "/zones/%s/rrsets/%s/%s", zone->id, relative,
                     dns_type_text(set->type));
    *rrset = NULL;
    if (is_none(c, class, reply))
        class = DNS_OK;
    else if (class == DNS_OK && !json_is_array(json_object_get(json_object_get(reply, "rrset"), "records")))
        class = dns_bad_reply(c, why, "it has no rrset with records");
    else if (class == DNS_OK)
        *rrset = json_incref(json_object_get(reply, "rrset"));
    json_decref(reply);
    return class;
}

/* A TTL of null is the zone's own. */
static enum dns_class take_rrset(struct dns_client *c, const struct dns_zone *zone, const json_t *rrset,
                                 struct dns_rrset *set, struct dns_why *why)
{
    const json_t *record, *ttl = json_object_get(rrset, "ttl");
    size_t i;

    if (json_is_integer(ttl))
        set->ttl_s = json_integer_value(ttl);
    json_array_foreach(json_object_get(rrset, "records"), i, record)
    {
        const char *value = json_string_value(json_object_get(record, "value"));

        if (!value || !dns_rrset_add_target(set, zone, value, NULL))
            return dns_bad_reply(c, why, "a record has no value of its type");
    }
    return DNS_OK;
}

static enum dns_class read_set(struct dns_client *c, const struct dns_zone *zone, struct dns_rrset *set,
                               struct dns_why *why)
{
    json_t *rrset = NULL;
    enum dns_class class;

    if (set->type == DNS_TYPE_ALIAS)
        return DNS_OK; /* it has none */
    class = get_rrset(c, zone, set, &rrset, why);
    if (class == DNS_OK)
        class = take_rrset(c, zone, rrset, set, why);
    json_decref(rrset);
    return class;
}

/* ---- writing ---- */

/* Until the action is done. Takes the reply that it stands in. */
static enum dns_class wait_for(struct dns_client *c, json_t *reply, struct dns_why *why)
{
    enum dns_class class = DNS_OK;
    char id[DNS_ID_BYTES];

    for (int i = 0; class == DNS_OK; i++) {
        const json_t *action = json_object_get(reply, "action");
        const char *status = json_string_value(json_object_get(action, "status"));

        if (!status || !json_is_integer(json_object_get(action, "id")) ||
            !dns_id_of(json_object_get(action, "id"), id)) {
            class = dns_bad_reply(c, why, "it has no action with id and status");
        } else if (strcmp(status, "success") == 0) {
            break;
        } else if (strcmp(status, "error") == 0) {
            class = judge_code(c, json_object_get(action, "error"), why);
            if (class == DNS_OK)
                class = dns_fail(c, why, DNS_TRANSIENT,
                                 "the change failed there (%.160s); it is tried again later",
                                 dns_message_of(action));
        } else if (i == ACTION_TRIES) {
            class = dns_fail(c, why, DNS_TRANSIENT,
                             "the change is not done after a minute; it is looked at again");
        } else if (!job_sleep(c->job, ACTION_STEP_MS)) {
            class = dns_fail(c, why, DNS_STOPPED, "given up, as asked");
        } else {
            json_decref(reply);
            class = dns_json(c, "GET", NULL, &reply, why, "/actions/%s", id);
        }
    }
    json_decref(reply);
    return class;
}

static const char *value_of(const json_t *record)
{
    const char *value = json_string_value(json_object_get(record, "value"));

    return value ? value : "";
}

/* The record there whose value is this one (text), or with text NULL the first whose value is not wanted; *at begins there. */
static const json_t *next_record(const json_t *records, const struct dns_zone *zone,
                                 const struct dns_rrset *want, const char *text, size_t *at)
{
    for (; *at < json_array_size(records); ++*at) {
        const json_t *record = json_array_get(records, *at);
        struct dns_rrset one;
        bool found;

        dns_rrset_init(&one, want->name, want->type);
        found = dns_rrset_add_target(&one, zone, value_of(record), NULL) &&
                (text ? dns_rrset_has(&one, text) : !dns_rrset_has(want, one.values[0].text));
        dns_rrset_free(&one);
        if (found)
            return record;
    }
    return NULL;
}

/* Values that stay keep their comment, and a new one takes over that of one that goes. */
static json_t *records_of(const struct dns_client *c, const struct dns_zone *zone, const json_t *rrset,
                          const struct dns_rrset *want)
{
    const json_t *there = json_object_get(rrset, "records");
    json_t *records = json_array();
    struct buf text = { 0 };
    size_t gone = 0;

    for (size_t i = 0; i < want->n; i++) {
        size_t at = 0;
        const json_t *old = next_record(there, zone, want, want->values[i].text, &at);
        json_t *record = json_pack("{s:s}", "value", old ? value_of(old) : dns_value_text(c, want, i, &text));
        const char *comment;

        if (!old && (old = next_record(there, zone, want, NULL, &gone)))
            gone++;
        comment = json_string_value(json_object_get(old, "comment"));
        if (comment && *comment)
            json_object_set_new(record, "comment", json_string(comment));
        json_array_append_new(records, record);
    }
    buf_free(&text);
    return records;
}

static enum dns_class act(struct dns_client *c, const struct dns_zone *zone, const struct dns_rrset *set,
                          const char *action, json_t *body, struct dns_why *why)
{
    char relative[DOMAIN_BYTES];
    json_t *reply = NULL;
    enum dns_class class;

    dns_relative(zone, set->name, "@", relative);
    class = dns_json(c, body ? "POST" : "DELETE", body, &reply, why, "/zones/%s/rrsets/%s/%s%s", zone->id,
                     relative, dns_type_text(set->type), action);
    if (class == DNS_OK)
        return wait_for(c, reply, why);
    json_decref(reply);
    return class;
}

static enum dns_class create(struct dns_client *c, const struct dns_zone *zone, const struct dns_rrset *want,
                             struct dns_why *why)
{
    char relative[DOMAIN_BYTES];
    json_t *reply = NULL;
    enum dns_class class;

    dns_relative(zone, want->name, "@", relative);
    class =
        dns_json(c, "POST",
                 json_pack("{s:s, s:s, s:I, s:o}", "name", relative, "type", dns_type_text(want->type), "ttl",
                           (json_int_t)dns_ttl(c, want), "records", records_of(c, zone, NULL, want)),
                 &reply, why, "/zones/%s/rrsets", zone->id);
    if (class == DNS_OK)
        return wait_for(c, reply, why);
    json_decref(reply);
    return class;
}

/* Only what is there as it was read is replaced: else a value that somebody added meanwhile would be lost. */
static enum dns_class replace(struct dns_client *c, const struct dns_zone *zone, const json_t *rrset,
                              const struct dns_rrset *have, const struct dns_rrset *want, struct dns_why *why)
{
    struct dns_rrset now;
    enum dns_class class;
    bool same;

    dns_rrset_init(&now, want->name, want->type);
    class = take_rrset(c, zone, rrset, &now, why);
    same = dns_rrset_same(&now, have);
    dns_rrset_free(&now);
    if (class != DNS_OK)
        return class;
    if (!same)
        return dns_fail(c, why, DNS_TRANSIENT, "somebody else changed the set meanwhile; it is read again");
    if (want->n == 0)
        return act(c, zone, want, "", NULL, why);
    if (!dns_rrset_same(have, want))
        class = act(c, zone, want, "/actions/set_records",
                    json_pack("{s:o}", "records", records_of(c, zone, rrset, want)), why);
    if (class == DNS_OK && want->ttl_s >= 0 && want->ttl_s != have->ttl_s)
        class = act(c, zone, want, "/actions/change_ttl", json_pack("{s:I}", "ttl", (json_int_t)want->ttl_s),
                    why);
    return class;
}

static enum dns_class write_set(struct dns_client *c, const struct dns_zone *zone,
                                const struct dns_rrset *have, const struct dns_rrset *want,
                                struct dns_why *why)
{
    json_t *rrset = NULL;
    enum dns_class class = get_rrset(c, zone, want, &rrset, why);

    if (class == DNS_OK)
        class = rrset || have->n > 0 ? replace(c, zone, rrset, have, want, why) : create(c, zone, want, why);
    json_decref(rrset);
    return class;
}

const struct dns_provider dns_hetzner = {
    .type = "hetzner",
    .title = "Hetzner",
    .kind = DNS_RRSET,
    .can = DNS_CAN_USUAL,
    .keys = DNS_KEY_TOKEN | DNS_KEY_ZONE | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_TOKEN,
    .min_ttl_s = 60,
    .default_ttl_s = 60,
    .min_interval_ms = 200,
    .quotes_txt = true,
    .url = "https://api.hetzner.cloud/v1",
    .credential =
        "console.hetzner.com, the project that has the zone (best one that has nothing else), Security, API Tokens, "
        "Generate API token, Read & Write.",
    .sample = "token_file = /etc/tunnel/hetzner.token\n",
    .notes =
        "A token reaches everything in its project. Zones and tokens of the old dns.hetzner.com do not work here: "
        "move the zone into a project first.",
    .authorize = authorize,
    .judge = judge,
    .has_zone = has_zone,
    .read = read_set,
    .write = write_set,
};
