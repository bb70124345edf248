#include "shared/policy.h"

#include "shared/cidr_json.h"
#include "shared/json.h"
#include "shared/page_template.h"
#include "shared/str.h"
#include "shared/utf8.h"
#include "shared/value.h"

#include <stdlib.h>
#include <string.h>

const char *const policy_https_words[] = { "redirect", "both", "only", NULL };
const char *const policy_www_words[] = { "as-is", "add", "strip", NULL };
const char *const policy_share_words[] = { "off", "balance", "standby", NULL };
const char *const policy_tls_words[] = { "terminate", "passthrough", NULL };
const char *const policy_http2_words[] = { "never", "h2c", "h2", NULL };

void policy_defaults(struct policy *p, int64_t park_ms)
{
    *p = (struct policy){ .park_ms = park_ms, .access_log = true };
}

/* ---- one value ---- */

static const char token_chars[] =
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* They say how a message is framed, or what becomes of the connection: that is for us alone. */
static const char *const framing_fields[] = { "connection", "content-length",
                                              "keep-alive", "proxy-connection",
                                              "te",         "transfer-encoding",
                                              "trailer",    "upgrade" };

static int check_name(const char *name, struct err *e)
{
    size_t n = strlen(name);

    if (n == 0 || n > POLICY_NAME_BYTES || strspn(name, token_chars) != n)
        return err_set(e, ERR_INPUT, "%.80s is not the name of a header (such as X-Frame-Options)", name);
    for (size_t i = 0; i < sizeof framing_fields / sizeof *framing_fields; i++)
        if (str_eq_nocase(str_of(name), framing_fields[i]))
            return err_set(e, ERR_INPUT, "%s cannot be changed: it is part of how messages are framed", name);
    return 0;
}

int policy_check_header(const char *name, const char *value, struct err *e)
{
    size_t left = strlen(value), n;

    if (check_name(name, e) != 0)
        return -1;
    if (left > POLICY_VALUE_BYTES)
        return err_set(e, ERR_INPUT, "the value of %s is longer than %d bytes", name, POLICY_VALUE_BYTES);
    for (; left > 0; value += n, left -= n) {
        n = *value == '\t' ? 1 : utf8_printable(value, left);
        if (n == 0)
            return err_set(e, ERR_INPUT, "the value of %s holds what cannot be printed", name);
    }
    return 0;
}

static bool ends(const char *text, const char *with)
{
    size_t n = strlen(text), m = strlen(with);

    return n >= m && strcmp(text + n - m, with) == 0;
}

int policy_check_path(const char *path, struct err *e)
{
    size_t n = strlen(path);

    if (path[0] != '/')
        return err_set(e, ERR_INPUT, "%.80s is not a path: it begins with / (such as /api)", path);
    if (n > POLICY_PATH_BYTES)
        return err_set(e, ERR_INPUT, "the path %.40s... is longer than %d bytes", path, POLICY_PATH_BYTES);
    for (size_t i = 0; i < n; i++)
        if (path[i] <= ' ' || path[i] > '~' || strchr("?#%\"\\", path[i]))
            return err_set(
                e, ERR_INPUT,
                "%.80s is not a path: printable ASCII without blanks, quotes, ?, # and %% may stand in it",
                path);
    if (strstr(path, "//") || strstr(path, "/./") || strstr(path, "/../") || ends(path, "/.") ||
        ends(path, "/.."))
        return err_set(e, ERR_INPUT,
                       "%.80s is not a path that a request can have: write it without //, /./ and /../",
                       path);
    return 0;
}

int policy_check_page(const char *text, size_t n, struct err *e)
{
    const struct str page = { text, n };
    size_t used;

    if (n == 0 || n > POLICY_PAGE_BYTES)
        return err_set(e, ERR_INPUT, n == 0 ? "the page is empty" : "the page is larger than %d bytes",
                       POLICY_PAGE_BYTES);
    for (; n > 0; text += used, n -= used) {
        used = strchr("\t\r\n", *text) && *text ? 1 : utf8_printable(text, n);
        if (used == 0)
            return err_set(e, ERR_INPUT, "the page is not UTF-8 text");
    }
    return page_template_check(page, e);
}

/* ---- members ---- */

static bool has(const json_t *object, const char *key)
{
    return json_object_get(object, key) != NULL;
}

static int get_word(const json_t *object, const char *key, const char *const *words, int *choice,
                    struct err *e)
{
    const char *text;

    if (!has(object, key))
        return 0;
    if (json_get_text(object, key, POLICY_NAME_BYTES, &text, e) != 0)
        return -1;
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0) {
            *choice = i;
            return 0;
        }
    return err_set(e, ERR_INPUT, "member \"%s\" is %.40s, which is none of its words", key, text);
}

static int get_number(const json_t *object, const char *key, int64_t max, int64_t *n, struct err *e)
{
    return has(object, key) ? json_get_int(object, key, 0, max, n, e) : 0;
}

static int get_words(struct policy *p, const json_t *object, struct err *e)
{
    int https = p->https, www = p->www, share = p->share, tls = p->tls;

    if (get_word(object, "https", policy_https_words, &https, e) != 0 ||
        get_word(object, "www", policy_www_words, &www, e) != 0 ||
        get_word(object, "share", policy_share_words, &share, e) != 0 ||
        get_word(object, "tls", policy_tls_words, &tls, e) != 0)
        return -1;
    p->https = (enum policy_https)https;
    p->www = (enum policy_www)www;
    p->share = (enum policy_share)share;
    p->tls = (enum policy_tls)tls;
    return 0;
}

static int get_numbers(struct policy *p, const json_t *object, struct err *e)
{
    if (get_number(object, "priority", POLICY_PRIORITY_MAX, &p->priority, e) != 0 ||
        get_number(object, "hsts_s", POLICY_HSTS_MAX_S, &p->hsts_s, e) != 0 ||
        get_number(object, "max_body", INT64_MAX, &p->max_body, e) != 0 ||
        get_number(object, "park_ms", POLICY_PARK_MAX_MS, &p->park_ms, e) != 0)
        return -1;
    return 0;
}

static int get_flag(const json_t *object, const char *key, bool *flag, struct err *e)
{
    return has(object, key) ? json_get_flag(object, key, flag, e) : 0;
}

static int get_flags(struct policy *p, const json_t *object, struct err *e)
{
    return get_flag(object, "access_log", &p->access_log, e) != 0 ||
                   get_flag(object, "proxy_protocol", &p->proxy_protocol, e) != 0
               ? -1
               : 0;
}

static int get_page(struct policy *p, const json_t *object, struct arena *arena, struct err *e)
{
    const char *text;

    if (!has(object, "error_page"))
        return 0;
    if (json_get_text(object, "error_page", POLICY_PAGE_BYTES, &text, e) != 0)
        return -1;
    if (policy_check_page(text, strlen(text), e) != 0)
        return err_wrap(e, "member \"error_page\"");
    p->error_page = arena_copy(arena, text);
    return 0;
}

static int get_issuer(struct policy *p, const json_t *object, struct arena *arena, struct err *e)
{
    const char *text;

    if (!has(object, "issuer"))
        return 0;
    if (json_get_text(object, "issuer", POLICY_NAME_BYTES, &text, e) != 0)
        return -1;
    if (value_name(str_of(text), e) != 0)
        return err_wrap(e, "member \"issuer\"");
    p->issuer = arena_copy(arena, text);
    return 0;
}

/* ---- who may come in, and how often ---- */

static int get_networks(const json_t *object, const char *key, struct cidrs *list, struct arena *arena,
                        struct err *e)
{
    return has(object, key) ? cidr_json_get(object, key, list, arena, e) : 0;
}

static int get_rate(struct policy *p, const json_t *object, struct err *e)
{
    const char *text;

    if (!has(object, "rate"))
        return 0;
    if (json_get_text(object, "rate", RATE_TEXT_BYTES, &text, e) != 0)
        return -1;
    return rate_read(str_of(text), &p->rate, e) != 0 ? err_wrap(e, "member \"rate\"") : 0;
}

static int get_passwords(struct policy *p, const json_t *object, struct arena *arena, struct err *e)
{
    const char *text;

    if (!has(object, "basic_auth_file"))
        return 0;
    if (json_get_text(object, "basic_auth_file", HTPASSWD_BYTES, &text, e) != 0)
        return -1;
    if (htpasswd_check(str_of(text), e) != 0)
        return err_wrap(e, "member \"basic_auth_file\"");
    p->passwords = arena_copy(arena, text);
    return 0;
}

static int get_guard(struct policy *p, const json_t *object, struct arena *arena, struct err *e)
{
    return get_networks(object, "allow", &p->allow, arena, e) != 0 ||
                   get_networks(object, "deny", &p->deny, arena, e) != 0 || get_rate(p, object, e) != 0 ||
                   get_passwords(p, object, arena, e) != 0
               ? -1
               : 0;
}

/* ---- headers: each object adds to those before, and wins where both name one ---- */

static bool unsets(const json_t *object, const char *name)
{
    const json_t *list = json_object_get(object, "unset_header");

    for (size_t i = 0; i < json_array_size(list); i++)
        if (str_eq_nocase(str_of(json_string_value(json_array_get(list, i))), name))
            return true;
    return false;
}

static bool sets(const json_t *object, const char *name)
{
    json_t *headers = json_object_get(object, "set_header"), *value;
    const char *other;

    json_object_foreach(headers, other, value)
    {
        if (str_eq_nocase(str_of(other), name))
            return true;
    }
    return false;
}

static int times_set(json_t *headers, const char *name)
{
    const char *other;
    json_t *value;
    int n = 0;

    json_object_foreach(headers, other, value)
    {
        n += str_eq_nocase(str_of(other), name);
    }
    return n;
}

static int check_headers(const json_t *object, struct err *e)
{
    json_t *headers = json_object_get(object, "set_header"), *value;
    const json_t *list = json_object_get(object, "unset_header");
    const char *name;

    if (headers && (!json_is_object(headers) || json_object_size(headers) > POLICY_HEADERS))
        return err_set(e, ERR_INPUT, "member \"set_header\" is not an object of at most %d headers",
                       POLICY_HEADERS);
    json_object_foreach(headers, name, value)
    {
        if (!json_is_string(value))
            return err_set(e, ERR_INPUT, "member \"set_header\": the value of %.80s is no text", name);
        if (policy_check_header(name, json_string_value(value), e) != 0)
            return err_wrap(e, "member \"set_header\"");
        if (times_set(headers, name) > 1)
            return err_set(e, ERR_INPUT, "member \"set_header\" has %.80s twice, in another case", name);
    }
    if (list && json_get_list(object, "unset_header", POLICY_HEADERS, &list, e) != 0)
        return -1;
    for (size_t i = 0; i < json_array_size(list); i++) {
        name = json_string_value(json_array_get(list, i));
        if (!name)
            return err_set(e, ERR_INPUT, "member \"unset_header\" holds what is no text");
        if (check_name(name, e) != 0)
            return err_wrap(e, "member \"unset_header\"");
    }
    return 0;
}

static void lay_set_headers(struct policy *p, const json_t *object, struct arena *arena)
{
    json_t *headers = json_object_get(object, "set_header"), *value;
    struct policy_header *list =
        arena_get(arena, (p->set_headers_n + json_object_size(headers) + 1) * sizeof *list);
    const char *name;
    size_t n = 0;

    for (size_t i = 0; i < p->set_headers_n; i++)
        if (!sets(object, p->set_headers[i].name) && !unsets(object, p->set_headers[i].name))
            list[n++] = p->set_headers[i];
    json_object_foreach(headers, name, value) list[n++] =
        (struct policy_header){ arena_copy(arena, name), arena_copy(arena, json_string_value(value)) };
    p->set_headers = list;
    p->set_headers_n = n;
}

static void lay_unset_headers(struct policy *p, const json_t *object, struct arena *arena)
{
    const json_t *from = json_object_get(object, "unset_header");
    const char **list = arena_get(arena, (p->unset_headers_n + json_array_size(from) + 1) * sizeof *list);
    size_t n = 0;

    for (size_t i = 0; i < p->unset_headers_n; i++)
        if (!sets(object, p->unset_headers[i]) && !unsets(object, p->unset_headers[i]))
            list[n++] = p->unset_headers[i];
    for (size_t i = 0; i < json_array_size(from); i++)
        list[n++] = arena_copy(arena, json_string_value(json_array_get(from, i)));
    p->unset_headers = list;
    p->unset_headers_n = n;
}

static int get_headers(struct policy *p, const json_t *object, struct arena *arena, struct err *e)
{
    if (check_headers(object, e) != 0)
        return -1;
    lay_set_headers(p, object, arena);
    lay_unset_headers(p, object, arena);
    return 0;
}

/* ---- routes ---- */

static int longest_first(const void *a, const void *b)
{
    const char *left = *(const char *const *)a, *right = *(const char *const *)b;
    size_t n = strlen(left), m = strlen(right);

    return n != m ? (n < m) - (n > m) : strcmp(left, right);
}

static int get_routes(struct policy *p, const json_t *object, struct arena *arena, struct err *e)
{
    const json_t *from;
    const char **list;

    if (!has(object, "routes"))
        return 0;
    if (json_get_list(object, "routes", POLICY_ROUTES, &from, e) != 0)
        return -1;
    list = arena_get(arena, json_array_size(from) * sizeof *list + 1);
    for (size_t i = 0; i < json_array_size(from); i++) {
        const char *path = json_string_value(json_array_get(from, i));

        if (!path)
            return err_set(e, ERR_INPUT, "member \"routes\" holds what is no text");
        if (policy_check_path(path, e) != 0)
            return err_wrap(e, "member \"routes\"");
        list[i] = arena_copy(arena, path);
    }
    qsort(list, json_array_size(from), sizeof *list, longest_first);
    for (size_t i = 1; i < json_array_size(from); i++)
        if (strcmp(list[i - 1], list[i]) == 0)
            return err_set(e, ERR_INPUT, "member \"routes\" holds %s twice", list[i]);
    p->routes = list;
    p->routes_n = json_array_size(from);
    return 0;
}

int policy_lay(struct policy *p, const json_t *object, struct arena *arena, struct err *e)
{
    if (!object)
        return 0;
    if (!json_is_object(object) || policy_json_bytes(object) > POLICY_JSON_BYTES)
        return err_set(e, ERR_INPUT, "a policy is not an object of at most %d KiB", POLICY_JSON_BYTES / 1024);
    if (get_words(p, object, e) != 0 || get_numbers(p, object, e) != 0 || get_flags(p, object, e) != 0 ||
        get_page(p, object, arena, e) != 0 || get_issuer(p, object, arena, e) != 0 ||
        get_guard(p, object, arena, e) != 0 || get_headers(p, object, arena, e) != 0 ||
        get_routes(p, object, arena, e) != 0)
        return err_wrap(e, "policy");
    return 0;
}

/* ---- whole ones ---- */

static const char *const *copy_texts(const char *const *from, size_t n, struct arena *arena)
{
    const char **list = arena_get(arena, n * sizeof *list + 1);

    for (size_t i = 0; i < n; i++)
        list[i] = arena_copy(arena, from[i]);
    return list;
}

static struct cidrs copy_networks(const struct cidrs *from, struct arena *arena)
{
    struct cidr *list = arena_get(arena, from->n * sizeof *list + 1);

    if (from->n > 0)
        memcpy(list, from->list, from->n * sizeof *list);
    return (struct cidrs){ from->n, list };
}

void policy_copy(struct policy *to, const struct policy *from, struct arena *arena)
{
    struct policy_header *headers = arena_get(arena, from->set_headers_n * sizeof *headers + 1);

    *to = *from;
    for (size_t i = 0; i < from->set_headers_n; i++)
        headers[i] = (struct policy_header){ arena_copy(arena, from->set_headers[i].name),
                                             arena_copy(arena, from->set_headers[i].value) };
    to->set_headers = headers;
    to->unset_headers = copy_texts(from->unset_headers, from->unset_headers_n, arena);
    to->routes = copy_texts(from->routes, from->routes_n, arena);
    to->allow = copy_networks(&from->allow, arena);
    to->deny = copy_networks(&from->deny, arena);
    to->passwords = from->passwords ? arena_copy(arena, from->passwords) : NULL;
    to->issuer = from->issuer ? arena_copy(arena, from->issuer) : NULL;
    to->error_page = from->error_page ? arena_copy(arena, from->error_page) : NULL;
}

size_t policy_json_bytes(const json_t *object)
{
    return object ? json_dumpb(object, NULL, 0, JSON_COMPACT) : 0;
}

json_t *policy_guard_status(const struct policy *p)
{
    struct buf rate = { 0 };
    json_t *status;

    if (p->allow.n + p->deny.n + p->rate.times == 0 && !p->passwords)
        return json_null();
    status = json_pack("{s:[], s:[], s:b}", "allow", "deny", "password", p->passwords != NULL);
    cidr_json_set(status, "allow", &p->allow);
    cidr_json_set(status, "deny", &p->deny);
    rate_print(&rate, &p->rate);
    json_object_set_new(status, "rate",
                        p->rate.times > 0 ? json_stringn(buf_bytes(&rate), rate.len) : json_null());
    buf_free(&rate);
    return status;
}

enum policy_http2 policy_http2(const json_t *object, const char *route)
{
    const char *word = json_string_value(json_object_get(json_object_get(object, "http2"), route));

    for (int i = 0; word && policy_http2_words[i]; i++)
        if (strcmp(word, policy_http2_words[i]) == 0)
            return (enum policy_http2)i;
    return POLICY_HTTP2_NEVER;
}
