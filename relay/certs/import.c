#include "relay/certs/import.h"

#include "shared/json.h"
#include "shared/log.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEY_BYTES = 64 * 1024, ORIGIN_BYTES = 1000 };

struct import {
    struct facts facts;
    struct signer *key;
    const char *chain_pem, *origin;
};

/* ---- what was brought ---- */

/* As a person would say it: somebody brings many at once, and old ones among them. */
static int check_time(const struct facts *f, int64_t now, struct err *e)
{
    time_t ends = (time_t)f->not_after;
    char date[32];
    struct tm tm;

    if (f->not_after > now)
        return 0;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&ends, &tm));
    return err_set(e, ERR_INPUT, "the certificate has expired at %s", date);
}

static int import_read(struct import *in, const json_t *content, struct err *e)
{
    static const char *const members[] = { "chain", "key", "origin", NULL };
    const char *key_pem;

    if (json_only(content, members, e) != 0 ||
        json_get_text(content, "origin", ORIGIN_BYTES, &in->origin, e) != 0 ||
        json_get_text(content, "chain", CHAIN_MAX_BYTES, &in->chain_pem, e) != 0 ||
        json_get_text(content, "key", KEY_BYTES, &key_pem, e) != 0 ||
        facts_read(in->chain_pem, strlen(in->chain_pem), &in->facts, e) != 0)
        return -1;
    in->key = signer_read(key_pem, strlen(key_pem), e);
    if (!in->key)
        return -1;
    if (signer_matches(in->key, in->facts.chain.certs[0], NULL) != 0)
        return err_set(e, ERR_INPUT, "the key does not belong to the certificate; give the two of one order");
    return in->facts.names_n > 0 ? 0
                                 : err_set(e, ERR_INPUT, "the certificate is for no host name or address");
}

static void import_free(struct import *in)
{
    facts_free(&in->facts);
    signer_free(in->key);
}

/* ---- where it goes ---- */

/* www.a.com goes with a.com, unless it is a site of its own. */
static bool is_www_of_another(const struct import *in, const char *name)
{
    return strncmp(name, "www.", 4) == 0 && chain_has_name(&in->facts.chain, name + 4);
}

/* An alias goes with its site's own name, if the certificate has that, too. */
static bool goes_with_another(const struct import *in, const struct import_sites *sites, const char *name)
{
    const char *const *names;
    size_t n = sites->names_of(sites->user, name, &names);

    if (n == 0)
        return is_www_of_another(in, name);
    return strcmp(names[0], name) != 0 && chain_has_name(&in->facts.chain, names[0]);
}

static uint32_t chance(void)
{
    uint32_t random = 0;

    return RAND_bytes((unsigned char *)&random, sizeof random) == 1 ? random : 0;
}

static int put(const struct store *s, const struct import *in, const char *name, int64_t now, struct err *e)
{
    const struct store_offer offer = { .chain_pem = in->chain_pem,
                                       .key = in->key,
                                       .names = &name,
                                       .names_n = 1,
                                       .issuer = "import",
                                       .origin = in->origin,
                                       .import = true,
                                       .random = chance() };
    struct meta m;
    int rc = store_load(s, name, &m, e);

    if (rc == 0)
        rc = store_install(s, &offer, &m, now, e);
    meta_free(&m);
    return rc;
}

/* ---- what is told ---- */

static bool is_self_signed(const struct import *in)
{
    X509 *leaf = in->facts.chain.certs[0];

    return X509_NAME_cmp(X509_get_subject_name(leaf), X509_get_issuer_name(leaf)) == 0;
}

static void add_words(struct buf *text, const char *words)
{
    buf_printf(text, "%s%s", text->len > 0 ? "; " : "", words);
}

/* What its owner should know of a certificate that was taken. */
static json_t *remark(const struct import *in, const struct import_sites *sites, const char *name)
{
    const char *const *names;
    size_t n = sites->names_of(sites->user, name, &names);
    struct buf text = { 0 };
    json_t *why;

    for (size_t i = 0; i < n; i++)
        if (!chain_has_name(&in->facts.chain, names[i]))
            buf_printf(&text, "%s%s", text.len > 0 ? " " : "it does not cover ", names[i]);
    if (text.len > 0)
        add_words(&text, "one that does is ordered");
    if (is_self_signed(in))
        add_words(&text,
                  "it is self-signed, so that browsers warn; tunnelctl certs renew orders another one");
    if (sites->caveat)
        add_words(&text, sites->caveat);
    why = text.len > 0 ? json_any_text(buf_text(&text)) : json_null();
    buf_free(&text);
    return why;
}

static json_t *result_of(const char *name, const char *state, json_t *takes_why)
{
    return json_pack("{s:o, s:s, s:o}", "name", json_any_text(name), "state", state, "why", takes_why);
}

/* 0: it may go into the store under this name. */
static int check_site(const struct import_sites *sites, const char *name, struct err *e)
{
    const char *const *names;

    if (sites->names_of(sites->user, name, &names) > 0 && strcmp(names[0], name) != 0)
        return err_set(e, ERR_INPUT, "it is an alias of %s, which the certificate does not cover", names[0]);
    if (sites->is_busy(sites->user, name))
        return err_set(e, ERR_INPUT,
                       "tunnelctl certs renew or revoke is at work for it; import again when that has ended");
    return 0;
}

static json_t *take_for(const struct store *s, const struct import_sites *sites, const struct import *in,
                        const char *name, int64_t now)
{
    struct err why = { 0 };

    if (check_site(sites, name, &why) != 0 || put(s, in, name, now, &why) != 0)
        return result_of(name, why.code == ERR_TAKEN ? "kept" : "refused", json_any_text(why.text));
    log_info("a certificate was imported", kv_str("domain", name), kv_str("path", in->origin));
    sites->taken(sites->user, name);
    return result_of(name, "taken", remark(in, sites, name));
}

static json_t *describe(const struct import *in, json_t *takes_results)
{
    json_t *names = json_array();

    for (size_t i = 0; i < in->facts.names_n; i++)
        json_array_append_new(names, json_any_text(in->facts.names[i]));
    return json_pack("{s:o, s:s, s:o, s:o, s:o}", "names", names, "key_type", in->facts.key_type, "ca",
                     json_any_text(in->facts.ca), "not_after", json_time((time_t)in->facts.not_after),
                     "results", takes_results);
}

bool import_waits(const struct import_sites *sites, const json_t *content)
{
    struct import in = { .origin = "" };
    bool waits = false;

    if (import_read(&in, content, NULL) == 0)
        for (size_t i = 0; i < in.facts.names_n; i++)
            if (!goes_with_another(&in, sites, in.facts.names[i]) &&
                sites->interrupt(sites->user, in.facts.names[i]))
                waits = true;
    import_free(&in);
    return waits;
}

json_t *import_take(const struct store *s, const struct import_sites *sites, const json_t *content,
                    int64_t now, struct err *e)
{
    struct import in = { .origin = "" };
    json_t *results = NULL, *reply = NULL;

    if (import_read(&in, content, e) != 0 || check_time(&in.facts, now, e) != 0) {
        if (*in.origin)
            err_wrap(e, "%s", in.origin);
    } else {
        results = json_array();
        for (size_t i = 0; i < in.facts.names_n; i++)
            if (!goes_with_another(&in, sites, in.facts.names[i]))
                json_array_append_new(results, take_for(s, sites, &in, in.facts.names[i], now));
        reply = describe(&in, results);
    }
    import_free(&in);
    return reply;
}
