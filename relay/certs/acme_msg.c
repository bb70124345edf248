#include "relay/certs/acme_msg.h"

#include "shared/json.h"
#include "shared/value.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_URL_BYTES = 2048, MAX_NAME_BYTES = 256 };

/* ---- JSON, and members of it ---- */

/* jansson would take a nesting of 2,048. */
static bool is_too_deep(const char *bytes, size_t n)
{
    bool in_text = false;
    int depth = 0;

    for (size_t i = 0; i < n; i++) {
        if (in_text && bytes[i] == '\\')
            i++;
        else if (bytes[i] == '"')
            in_text = !in_text;
        else if (!in_text && (bytes[i] == '{' || bytes[i] == '['))
            depth++;
        else if (!in_text && (bytes[i] == '}' || bytes[i] == ']'))
            depth--;
        if (depth > ACME_MAX_DEPTH)
            return true;
    }
    return false;
}

json_t *acme_json(const char *bytes, size_t n, struct err *e)
{
    if (n <= ACME_MAX_BYTES && !is_too_deep(bytes, n))
        return json_read(bytes, n, e);
    err_set(e, ERR_LIMIT, "more than %d bytes of JSON, or nested deeper than %d", (int)ACME_MAX_BYTES,
            (int)ACME_MAX_DEPTH);
    return NULL;
}

/* A member that is not there and one that is null are the same. */
static const json_t *member(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_null(value) ? NULL : value;
}

static bool is_https_url(const char *text)
{
    size_t n = strlen(text);

    if (n > MAX_URL_BYTES || strncmp(text, "https://", 8) != 0 || n == 8)
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text >= 0x7f)
            return false;
    return true;
}

static int get_url(const json_t *object, const char *key, const char **url, struct err *e)
{
    if (json_get_text(object, key, MAX_URL_BYTES, url, e) != 0)
        return -1;
    return is_https_url(*url) ? 0 : err_set(e, ERR_INPUT, "member \"%s\" is no https:// URL", key);
}

static int get_url_if_any(const json_t *object, const char *key, const char **url, struct err *e)
{
    *url = NULL;
    return member(object, key) ? get_url(object, key, url, e) : 0;
}

static int get_time_if_any(const json_t *object, const char *key, time_t *at, struct err *e)
{
    const char *text;

    *at = 0;
    if (!member(object, key))
        return 0;
    if (json_get_text(object, key, 64, &text, e) != 0)
        return -1;
    return acme_time_read(text, at, e) == 0 ? 0 : err_wrap(e, "member \"%s\"", key);
}

static const char *const statuses[] = {
    [ACME_PENDING] = "pending", [ACME_READY] = "ready",     [ACME_PROCESSING] = "processing",
    [ACME_VALID] = "valid",     [ACME_INVALID] = "invalid", [ACME_DEACTIVATED] = "deactivated",
    [ACME_EXPIRED] = "expired", [ACME_REVOKED] = "revoked",
};

const char *acme_status_text(enum acme_status status)
{
    return statuses[status];
}

/* allowed: bits of 1u << status. */
static int get_status(const json_t *object, unsigned allowed, enum acme_status *status, struct err *e)
{
    const char *text;

    if (json_get_text(object, "status", 32, &text, e) != 0)
        return -1;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (allowed & 1u << i && strcmp(text, statuses[i]) == 0) {
            *status = (enum acme_status)i;
            return 0;
        }
    return err_set(e, ERR_INPUT, "member \"status\" is \"%s\", which this kind of object cannot be", text);
}

/* ---- directory ---- */

int acme_directory_read(json_t *json, struct acme_directory *out, struct err *e)
{
    const json_t *meta = member(json, "meta"), *terms = member(meta, "termsOfService");

    *out = (struct acme_directory){ .json = json };
    if (get_url(json, "newNonce", &out->new_nonce, e) == 0 &&
        get_url(json, "newAccount", &out->new_account, e) == 0 &&
        get_url(json, "newOrder", &out->new_order, e) == 0 &&
        get_url(json, "revokeCert", &out->revoke_cert, e) == 0 &&
        get_url_if_any(json, "keyChange", &out->key_change, e) == 0 &&
        get_url_if_any(json, "renewalInfo", &out->renewal_info, e) == 0) {
        out->terms = json_is_string(terms) ? json_string_value(terms) : "";
        out->eab_required = json_is_true(member(meta, "externalAccountRequired"));
        return 0;
    }
    acme_directory_free(out);
    return -1;
}

void acme_directory_free(struct acme_directory *d)
{
    json_decref(d->json);
    *d = (struct acme_directory){ 0 };
}

int acme_profile_check(const struct acme_directory *d, const char *profile, struct err *e)
{
    json_t *profiles = json_object_get(json_object_get(d->json, "meta"), "profiles"), *unused;
    struct buf known = { 0 };
    const char *name;

    if (json_object_get(profiles, profile))
        return 0;
    json_object_foreach(profiles, name, unused)
    {
        buf_add_text(&known, known.len > 0 ? ", " : "");
        value_show(&known, str_of(name), VALUE_SHOWN_CHARS);
    }
    err_set(e, ERR_INPUT, "profile = %s: the CA has %s%.200s; write one of those, or leave the key out",
            profile, known.len > 0 ? "these: " : "no profiles", buf_text(&known));
    buf_free(&known);
    return -1;
}

/* ---- accounts ---- */

int acme_account_read(const json_t *json, enum acme_status *status, struct err *e)
{
    return get_status(json, 1u << ACME_VALID | 1u << ACME_DEACTIVATED | 1u << ACME_REVOKED, status, e);
}

/* ---- identifiers ---- */

bool acme_is_address(const char *name)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

bool acme_same_name(const char *a, const char *b)
{
    unsigned char one[16], other[16];

    if (inet_pton(AF_INET6, a, one) == 1 && inet_pton(AF_INET6, b, other) == 1)
        return memcmp(one, other, sizeof one) == 0;
    return strcasecmp(a, b) == 0;
}

json_t *acme_identifier(const char *name)
{
    return json_pack("{s:s,s:s}", "type", acme_is_address(name) ? "ip" : "dns", "value", name);
}

static int check_identifier(const json_t *identifier, const char **name, struct err *e)
{
    const char *type;

    if (!json_is_object(identifier))
        return err_set(e, ERR_INPUT, "an identifier is no JSON object");
    if (json_get_text(identifier, "type", 16, &type, e) != 0 ||
        json_get_text(identifier, "value", MAX_NAME_BYTES, name, e) != 0)
        return err_wrap(e, "identifier");
    if (strcmp(type, "dns") != 0 && strcmp(type, "ip") != 0)
        return err_set(e, ERR_INPUT, "an identifier is of another type than \"dns\" and \"ip\"");
    return 0;
}

/* ---- orders ---- */

static int read_lists(const json_t *json, struct acme_order *out, struct err *e)
{
    const json_t *one;
    const char *text;
    size_t i;

    if (json_get_list(json, "identifiers", ACME_MAX_NAMES, &out->identifiers, e) != 0 ||
        json_get_list(json, "authorizations", ACME_MAX_NAMES, &out->authorizations, e) != 0)
        return -1;
    json_array_foreach((json_t *)(uintptr_t)out->identifiers, i,
                       one) if (check_identifier(one, &text, e) != 0) return -1;
    json_array_foreach(
        (json_t *)(uintptr_t)out->authorizations, i,
        one) if (!json_is_string(one) ||
                 !is_https_url(json_string_value(one))) return err_set(e, ERR_INPUT,
                                                                       "an authorization is no https:// URL");
    return 0;
}

int acme_order_read(json_t *json, struct acme_order *out, struct err *e)
{
    enum {
        MAY_BE = 1u << ACME_PENDING | 1u << ACME_READY | 1u << ACME_PROCESSING | 1u << ACME_VALID |
                 1u << ACME_INVALID
    };

    *out = (struct acme_order){ .json = json };
    if (get_status(json, MAY_BE, &out->status, e) == 0 &&
        get_time_if_any(json, "expires", &out->expires_at, e) == 0 && read_lists(json, out, e) == 0 &&
        get_url(json, "finalize", &out->finalize, e) == 0 &&
        get_url_if_any(json, "certificate", &out->certificate, e) == 0) {
        out->error = member(json, "error");
        if (out->status != ACME_VALID || out->certificate)
            return 0;
        err_set(e, ERR_INPUT, "the order is valid, and has no member \"certificate\"");
    }
    acme_order_free(out);
    return -1;
}

void acme_order_free(struct acme_order *o)
{
    json_decref(o->json);
    *o = (struct acme_order){ 0 };
}

/* ---- authorizations ---- */

static int read_challenge(const json_t *json, struct acme_authorization *out, struct err *e)
{
    enum { MAY_BE = 1u << ACME_PENDING | 1u << ACME_PROCESSING | 1u << ACME_VALID | 1u << ACME_INVALID };
    struct acme_challenge *c = &out->challenges[out->challenges_n];
    const char *type;

    if (!json_is_object(json) || json_get_text(json, "type", 64, &type, e) != 0)
        return err_set(e, ERR_INPUT, "a challenge is no JSON object with a type");
    if (!challenge_type_find(type, &c->type))
        return 0; /* of a type that we do not do */
    if (get_url(json, "url", &c->url, e) != 0 || get_status(json, MAY_BE, &c->status, e) != 0 ||
        json_get_text(json, "token", CHALLENGE_TOKEN_MAX, &c->token, e) != 0)
        return err_wrap(e, "challenge %s", challenge_type_name(c->type));
    if (!challenge_token_is_valid(c->token))
        return err_set(e, ERR_INPUT,
                       "challenge %s: the token is not 1 to %d characters of base64url, "
                       "so nothing is done with it",
                       challenge_type_name(c->type), CHALLENGE_TOKEN_MAX);
    c->error = member(json, "error");
    out->challenges_n++;
    return 0;
}

static int read_authorization(const json_t *json, struct acme_authorization *out, struct err *e)
{
    enum {
        MAY_BE = 1u << ACME_PENDING | 1u << ACME_VALID | 1u << ACME_INVALID | 1u << ACME_DEACTIVATED |
                 1u << ACME_EXPIRED | 1u << ACME_REVOKED
    };
    const json_t *list;

    if (get_status(json, MAY_BE, &out->status, e) != 0 ||
        get_time_if_any(json, "expires", &out->expires_at, e) != 0 ||
        check_identifier(member(json, "identifier"), &out->name, e) != 0 ||
        json_get_list(json, "challenges", ACME_MAX_CHALLENGES, &list, e) != 0)
        return -1;
    out->wildcard = json_is_true(member(json, "wildcard"));
    for (size_t i = 0; i < json_array_size(list); i++)
        if (read_challenge(json_array_get(list, i), out, e) != 0)
            return -1;
    return 0;
}

int acme_authorization_read(json_t *json, struct acme_authorization *out, struct err *e)
{
    *out = (struct acme_authorization){ .json = json };
    if (read_authorization(json, out, e) == 0)
        return 0;
    acme_authorization_free(out);
    return -1;
}

void acme_authorization_free(struct acme_authorization *a)
{
    json_decref(a->json);
    *a = (struct acme_authorization){ 0 };
}

/* ---- renewal information ---- */

int acme_window_read(const json_t *json, struct acme_window *out, struct err *e)
{
    const json_t *window = member(json, "suggestedWindow"), *page = member(json, "explanationURL");

    *out = (struct acme_window){ 0 };
    if (get_time_if_any(window, "start", &out->start, e) != 0 ||
        get_time_if_any(window, "end", &out->end, e) != 0)
        return err_wrap(e, "suggestedWindow");
    if (out->start == 0 || out->end < out->start)
        return err_set(e, ERR_INPUT, "member \"suggestedWindow\" is no time from start to end");
    if (json_is_string(page) && is_https_url(json_string_value(page)))
        snprintf(out->explanation, sizeof out->explanation, "%s", json_string_value(page));
    return 0;
}

/* ---- times ---- */

/* "Z", "+01:00": seconds to take away. */
static bool read_offset(const char *text, long *offset_s)
{
    int hours, minutes, n = 0;

    *offset_s = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    if ((*text != '+' && *text != '-') || sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 ||
        n != 5 || text[6] != '\0' || hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return false;
    *offset_s = (hours * 60L + minutes) * 60 * (*text == '-' ? -1 : 1);
    return true;
}

int acme_time_read(const char *text, time_t *at, struct err *e)
{
    struct tm tm = { 0 };
    const char *rest = strptime(text, "%Y-%m-%d", &tm);
    long offset_s = 0;

    if (rest && (*rest == 'T' || *rest == 't'))
        rest = strptime(rest + 1, "%H:%M:%S", &tm);
    else
        rest = NULL;
    if (rest && *rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (!rest || !read_offset(rest, &offset_s))
        return err_set(e, ERR_INPUT, "is no time as RFC 3339 writes it: 2026-11-21T03:24:25Z");
    *at = timegm(&tm) - offset_s;
    return 0;
}
