#include "relay/certs/collect.h"

#include "relay/certs/account.h"
#include "relay/certs/chain.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { ALTERNATES = 8 };

#define PEM_CHAIN "application/pem-certificate-chain"

/* ---- one chain ---- */

static bool is_from_ca(const struct acme_reply *reply)
{
    struct str type = fetch_field(&reply->raw, "content-type");

    return type.n >= sizeof PEM_CHAIN - 1 && strncasecmp(type.p, PEM_CHAIN, sizeof PEM_CHAIN - 1) == 0;
}

static int download_once(struct collect *c, const char *url, struct chain *chain, struct acme_reply *reply,
                         bool *damaged)
{
    const struct order_ask *ask = c->ask;
    struct err e = { 0 };

    *damaged = false;
    if (account_post(ask->ca, ask->job, url, NULL, PEM_CHAIN, reply, c->why) != 0)
        return -1;
    if (chain_read(buf_bytes(&reply->raw.body), reply->raw.body.len, chain, &e) == 0)
        return 0;
    *damaged = is_from_ca(reply);
    return acme_fail(c->why, ACME_LATER, "the CA sends no usable certificate: %.300s", e.text);
}

/* What stays damaged, and is not what a proxy has made of it, is not downloaded for ever: another order has to do. */
static int download(struct collect *c, const char *url, struct chain *chain, struct acme_reply *reply)
{
    bool damaged;

    while (download_once(c, url, chain, reply, &damaged) != 0) {
        acme_reply_free(reply);
        if (patience_retry(c->patience, c->why) != 0) {
            c->spent = c->spent || damaged;
            return -1;
        }
    }
    return 0;
}

/* What was issued is of no use when it is not what was asked for; when only the clocks differ, it will be. */
static int check(struct collect *c, const struct chain *chain)
{
    const struct order_ask *ask = c->ask;
    struct err e = { 0 };

    if (chain_check_content(chain, c->key, ask->names, ask->names_n, &e) != 0) {
        c->spent = true;
        return acme_fail(c->why, ACME_LATER,
                         "the CA has sent a certificate that is not what was asked for: %.280s", e.text);
    }
    if (chain_check_times(chain, time(NULL), &e) != 0) {
        long long ahead_s = acme_ca_clock_ahead_s(ask->ca);

        c->spent = chain_ends(chain) <= time(NULL) - ahead_s; /* by the CA's clock, too */
        return acme_fail(c->why, ACME_LATER,
                         "%.200s (by what the CA says, it is %lld s %s); it is looked at again later", e.text,
                         ahead_s < 0 ? -ahead_s : ahead_s, ahead_s < 0 ? "behind" : "ahead");
    }
    return 0;
}

/* ---- links to others ---- */

/* Cuts one link off: from its "<" to the comma behind its parameters, of which those in quotes do not count. */
static struct str next_link(struct str *rest)
{
    const char *end = rest->p + rest->n, *at = memchr(rest->p, '<', rest->n), *p;
    bool quoted = false;

    *rest = (struct str){ end, 0 };
    if (!at || !(p = memchr(at, '>', (size_t)(end - at))))
        return (struct str){ NULL, 0 };
    for (; p < end && (quoted || *p != ','); p++)
        if (*p == '"')
            quoted = !quoted;
    *rest = (struct str){ p, (size_t)(end - p) };
    return (struct str){ at, (size_t)(p - at) };
}

/* rel=alternate or rel="alternate", wherever it stands among the parameters. */
static bool is_alternate(struct str parameters)
{
    struct str word;

    while (str_next_word(&parameters, ";", &word))
        if (str_eq_nocase(word, "rel=alternate") || str_eq_nocase(word, "rel=\"alternate\""))
            return true;
    return false;
}

struct str collect_next_alternate(struct str *field)
{
    struct str link;

    while ((link = next_link(field)).p) {
        const char *close = memchr(link.p, '>', link.n);
        struct str url = { link.p + 1, (size_t)(close - link.p - 1) };

        if (is_alternate((struct str){ close + 1, (size_t)(link.p + link.n - close - 1) }))
            return url;
    }
    return link;
}

/* ---- the preferred one ---- */

/* True when it took the place of the chain that there was. */
static bool try_alternate(struct collect *c, const char *base, struct str link, struct chain *chain)
{
    char *url = acme_resolve(base, link);
    struct acme_reply reply = { 0 };
    struct chain candidate = { 0 };
    bool taken = url && download(c, url, &candidate, &reply) == 0 &&
                 chain_is_issued_by(&candidate, c->ask->preferred_chain) && check(c, &candidate) == 0;

    if (taken) {
        struct chain before = *chain;

        *chain = candidate;
        candidate = before;
    }
    acme_why_free(c->why);
    chain_free(&candidate);
    acme_reply_free(&reply);
    free(url);
    return taken;
}

/* The first whose topmost issuer is the preferred one; when there is none, or it cannot be had, the default stays. */
static void prefer(struct collect *c, const char *url, const struct acme_reply *reply, struct chain *chain)
{
    bool found = chain_is_issued_by(chain, c->ask->preferred_chain);
    int tried = 0;
    struct str field, link;

    for (size_t i = 0; !found && (field = fetch_field_nth(&reply->raw, "link", i)).p; i++)
        while (!found && tried < ALTERNATES && (link = collect_next_alternate(&field)).p) {
            found = try_alternate(c, url, link, chain);
            tried++;
        }
    c->spent = false; /* an alternate that is wrong spoils nothing */
    c->other_chain = !found;
}

/* ---- all of it ---- */

int collect_chain(struct collect *c, const char *url, struct buf *pem)
{
    struct acme_reply reply = { 0 };
    struct chain chain = { 0 };
    int rc;

    patience_renew(c->patience);
    rc = download(c, url, &chain, &reply);
    rc = rc == 0 ? check(c, &chain) : rc;
    if (rc == 0 && c->ask->preferred_chain && *c->ask->preferred_chain)
        prefer(c, url, &reply, &chain);
    if (rc == 0)
        chain_write(&chain, pem);
    chain_free(&chain);
    acme_reply_free(&reply);
    return rc;
}
