#include "shared/policy_conf.h"

#include "shared/cidr_json.h"
#include "shared/domain.h"
#include "shared/file.h"
#include "shared/str.h"

#include <string.h>

const char *const policy_log_words[] = { "off", "on", NULL };

int policy_conf_check_rate(const char *text, struct err *e)
{
    struct rate rate;

    return rate_read(str_of(text), &rate, e);
}

static void set_word(json_t *to, const char *key, const char *const *words, int choice)
{
    if (choice >= 0)
        json_object_set_new(to, key, json_string(words[choice]));
}

static void set_number(json_t *to, const char *key, int64_t n)
{
    if (n >= 0)
        json_object_set_new(to, key, json_integer(n));
}

static void set_headers(json_t *to, const struct policy_conf *conf)
{
    json_t *set = json_object(), *unset = json_array();

    for (size_t i = 0; i < conf->set_headers.n; i++)
        json_object_set_new(set, conf->set_headers.list[i].name,
                            json_string(conf->set_headers.list[i].value));
    for (size_t i = 0; i < conf->unset_headers.n; i++)
        json_array_append_new(unset, json_string(conf->unset_headers.list[i].name));
    if (json_object_size(set) > 0)
        json_object_set(to, "set_header", set);
    if (json_array_size(unset) > 0)
        json_object_set(to, "unset_header", unset);
    json_decref(set);
    json_decref(unset);
}

static int read_page(const char *path, struct buf *page, struct err *e)
{
    if (file_read(path, POLICY_PAGE_BYTES, page, e) != 0)
        return -1;
    return policy_check_page(buf_bytes(page), page->len, e);
}

static int set_page(json_t *to, const char *path, struct err *e)
{
    struct buf page = { 0 };
    int rc = 0;

    if (path[0])
        rc = read_page(path, &page, e);
    if (rc == 0 && page.len > 0)
        json_object_set_new(to, "error_page", json_stringn(buf_bytes(&page), page.len));
    buf_free(&page);
    return rc;
}

static int read_passwords(const char *path, struct buf *file, struct err *e)
{
    if (file_read(path, HTPASSWD_BYTES, file, e) != 0)
        return -1;
    return htpasswd_check((struct str){ buf_bytes(file), file->len }, e);
}

/* Names and hashes alone: what else stands in the file is nobody's business. */
static int set_passwords(json_t *to, const char *path, struct err *e)
{
    struct buf file = { 0 }, text = { 0 };
    struct htpasswd_entry entry;
    struct str rest;

    if (!path[0])
        return 0;
    if (read_passwords(path, &file, e) != 0) {
        buf_free(&file);
        return -1;
    }
    rest = (struct str){ buf_bytes(&file), file.len };
    while (htpasswd_next(&rest, &entry))
        buf_printf(&text, "%.*s:%.*s\n", STR_ARG(entry.user), STR_ARG(entry.hash));
    json_object_set_new(to, "basic_auth_file", json_stringn(buf_bytes(&text), text.len));
    buf_free(&text);
    buf_free(&file);
    return 0;
}

static void set_rate(json_t *to, const char *text)
{
    struct buf canonical = { 0 };
    struct rate rate;

    if (!text[0] || rate_read(str_of(text), &rate, NULL) != 0)
        return; /* it was checked */
    rate_print(&canonical, &rate);
    json_object_set_new(to, "rate", json_stringn(buf_bytes(&canonical), canonical.len));
    buf_free(&canonical);
}

/* Whose file cannot be read; NULL: all can. */
static const char *set_files(json_t *to, const struct policy_conf *conf, struct err *e)
{
    if (set_page(to, conf->error_page, e) != 0)
        return "error_page";
    return set_passwords(to, conf->basic_auth_file, e) != 0 ? "basic_auth_file" : NULL;
}

json_t *policy_of_conf(const struct policy_conf *conf, const char **key, struct err *e)
{
    json_t *to = json_object();
    const char *failed;

    set_word(to, "https", policy_https_words, conf->https);
    set_word(to, "www", policy_www_words, conf->www);
    set_word(to, "share", policy_share_words, conf->share);
    set_word(to, "tls", policy_tls_words, conf->tls);
    if (conf->issuer[0])
        json_object_set_new(to, "issuer", json_string(conf->issuer));
    set_number(to, "priority", conf->priority);
    set_number(to, "hsts_s", conf->hsts_ms >= 0 ? conf->hsts_ms / 1000 : -1);
    set_number(to, "max_body", conf->max_body);
    set_number(to, "park_ms", conf->park_ms);
    if (conf->access_log >= 0)
        json_object_set_new(to, "access_log", json_boolean(conf->access_log));
    set_headers(to, conf);
    cidr_json_set(to, "allow", &conf->allow);
    cidr_json_set(to, "deny", &conf->deny);
    set_rate(to, conf->rate);
    failed = set_files(to, conf, e);
    if (!failed)
        return to;
    *key = failed;
    json_decref(to);
    return NULL;
}

/* ---- checks ---- */

static void check_set(struct opt_conf *conf, const char *name, const struct opt_pairs *set, size_t i,
                      struct opt_errors *errors)
{
    static const char key[] = "set_header";
    const struct opt_pair *pair = &set->list[i];
    struct err why = { 0 };

    if (i == POLICY_HEADERS)
        opt_errors_add_pair(errors, conf, "domain", name, key, pair,
                            "more than %d of them; take the rest out", POLICY_HEADERS);
    if (!pair->value[0])
        opt_errors_add_pair(errors, conf, "domain", name, key, pair,
                            "%.80s has no value; write unset_header %.80s = to take it away", pair->name,
                            pair->name);
    else if (policy_check_header(pair->name, pair->value, &why) != 0)
        opt_errors_add_pair(errors, conf, "domain", name, key, pair, "%s", why.text);
    for (size_t j = 0; j < i; j++)
        if (str_eq_nocase(str_of(pair->name), set->list[j].name))
            opt_errors_add_pair(errors, conf, "domain", name, key, pair,
                                "%.80s was given before, at %s; keep one of them", pair->name,
                                set->list[j].origin);
}

static void check_unset(struct opt_conf *conf, const char *name, const struct opt_pairs *unset, size_t i,
                        struct opt_errors *errors)
{
    static const char key[] = "unset_header";
    const struct opt_pair *pair = &unset->list[i];
    struct err why = { 0 };

    if (i == POLICY_HEADERS)
        opt_errors_add_pair(errors, conf, "domain", name, key, pair,
                            "more than %d of them; take the rest out", POLICY_HEADERS);
    if (pair->value[0])
        opt_errors_add_pair(errors, conf, "domain", name, key, pair,
                            "%.80s has a value; write unset_header %.80s = without one", pair->name,
                            pair->name);
    else if (policy_check_header(pair->name, "", &why) != 0)
        opt_errors_add_pair(errors, conf, "domain", name, key, pair, "%s", why.text);
}

static void check_headers(struct opt_conf *conf, const char *name, const struct policy_conf *p,
                          struct opt_errors *errors)
{
    for (size_t i = 0; i < p->set_headers.n; i++)
        check_set(conf, name, &p->set_headers, i, errors);
    for (size_t i = 0; i < p->unset_headers.n; i++)
        check_unset(conf, name, &p->unset_headers, i, errors);
}

/* Visitors of either name are sent to the other, so the site needs both; a wildcard among its aliases may be one. */
static void check_www(struct opt_conf *conf, const char *name, const struct opt_words *aliases,
                      struct opt_errors *errors)
{
    char other[DOMAIN_BYTES + 4];
    bool known = false;

    if (!domain_other_www(name, other)) {
        opt_errors_add_at(errors, conf, "domain", name, "www",
                          "a wildcard has no www. of its own; leave it out");
        return;
    }
    for (size_t i = 0; aliases && i < aliases->n; i++)
        known = known || domain_matches(aliases->words[i], other);
    if (aliases && !known)
        opt_errors_add_at(errors, conf, "domain", name, "www", "needs both names; add %s to aliases", other);
}

/* Keys for requests, which nobody but the house sees then. */
static void check_passthrough(struct opt_conf *conf, const char *name, const struct policy_conf *p,
                              struct opt_errors *errors)
{
    const struct {
        const char *key;
        bool given;
    } keys[] = {
        { "www", p->www > POLICY_WWW_AS_IS },
        { "hsts", p->hsts_ms > 0 },
        { "max_body", p->max_body > 0 },
        { "error_page", p->error_page[0] },
        { "issuer", p->issuer[0] },
        { "set_header", p->set_headers.n > 0 },
        { "unset_header", p->unset_headers.n > 0 },
        { "basic_auth_file", p->basic_auth_file[0] },
    };

    if (p->https == POLICY_BOTH)
        opt_errors_add_at(errors, conf, "domain", name, "https",
                          "with tls = passthrough nobody is served without TLS; write redirect or only");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].given)
            opt_errors_add_at(errors, conf, "domain", name, keys[i].key,
                              "with tls = passthrough the relay sees no requests; leave it out, and let the "
                              "service in the house do it");
}

/* An agent's claim has to hold it. A page that cannot be read is told of elsewhere. */
static void check_size(struct opt_conf *conf, const char *name, const struct policy_conf *p,
                       struct opt_errors *errors)
{
    const char *key;
    json_t *policy = opt_touches_files(conf) ? policy_of_conf(p, &key, NULL) : NULL;

    if (policy_json_bytes(policy) > POLICY_JSON_BYTES)
        opt_errors_add_at(
            errors, conf, "domain", name, NULL,
            "set_header, unset_header, error_page, allow, deny and basic_auth_file together are larger than %d "
            "KiB; shorten them",
            POLICY_JSON_BYTES / 1024);
    json_decref(policy);
}

static void check_networks(struct opt_conf *conf, const char *name, const char *key, const struct cidrs *list,
                           struct opt_errors *errors)
{
    if (list->n > CIDR_JSON_MAX)
        opt_errors_add_at(errors, conf, "domain", name, key, "more than %d of them; take the rest out",
                          CIDR_JSON_MAX);
}

static void check_passwords(struct opt_conf *conf, const char *name, const struct policy_conf *p,
                            struct opt_errors *errors)
{
    struct buf file = { 0 };
    struct err why = { 0 };

    if (p->basic_auth_file[0] && opt_touches_files(conf) &&
        read_passwords(p->basic_auth_file, &file, &why) != 0)
        opt_errors_add_at(errors, conf, "domain", name, "basic_auth_file", "%s", why.text);
    if (p->basic_auth_file[0] && p->https == POLICY_BOTH)
        opt_errors_add_at(
            errors, conf, "domain", name, "basic_auth_file",
            "with https = both passwords would be sent without TLS; write https = redirect or only");
    buf_free(&file);
}

/* Who may come in, and how often. */
static void check_guard(struct opt_conf *conf, const char *name, const struct policy_conf *p,
                        struct opt_errors *errors)
{
    check_networks(conf, name, "allow", &p->allow, errors);
    check_networks(conf, name, "deny", &p->deny, errors);
    check_passwords(conf, name, p, errors);
}

void policy_conf_refuse_guard(struct opt_conf *conf, const char *name, const struct policy_conf *p,
                              struct opt_errors *errors)
{
    const struct {
        const char *key;
        bool given;
    } keys[] = {
        { "allow", p->allow.n > 0 },
        { "deny", p->deny.n > 0 },
        { "rate", p->rate[0] },
        { "basic_auth_file", p->basic_auth_file[0] },
    };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].given)
            opt_errors_add_at(
                errors, conf, "domain", name, keys[i].key,
                "with mode = direct visitors come to the house itself, and no relay keeps anybody "
                "out; leave it out and let the service do it, or write mode = tunnel");
}

void policy_conf_check(struct opt_conf *conf, const char *name, const struct opt_words *aliases,
                       const struct policy_conf *p, struct opt_errors *errors)
{
    struct buf page = { 0 };
    struct err why = { 0 };

    check_headers(conf, name, p, errors);
    check_guard(conf, name, p, errors);
    check_size(conf, name, p, errors);
    if (p->error_page[0] && opt_touches_files(conf) && read_page(p->error_page, &page, &why) != 0)
        opt_errors_add_at(errors, conf, "domain", name, "error_page", "%s", why.text);
    buf_free(&page);
    if (p->hsts_ms > 0 && p->hsts_ms % 1000 != 0)
        opt_errors_add_at(errors, conf, "domain", name, "hsts", "not whole seconds (such as 365d)");
    if (p->tls == POLICY_PASSTHROUGH)
        check_passthrough(conf, name, p, errors);
    if (p->www > POLICY_WWW_AS_IS)
        check_www(conf, name, aliases, errors);
}
