/* FreeDNS (afraid.org): a token for each record, in the URL; the name is in none. What it answers is a sentence. */
#include "shared/dns/dyn.h"
#include "shared/dns/list.h"
#include "shared/value.h"

#include <string.h>
#include <strings.h>

enum { SHOWN_CHARS = 80 };

static bool starts(struct str line, const char *with)
{
    size_t n = strlen(with);

    return line.n >= n && strncasecmp(line.p, with, n) == 0;
}

static bool holds(struct str line, const char *what)
{
    for (size_t at = 0; at < line.n; at++)
        if (starts((struct str){ line.p + at, line.n - at }, what))
            return true;
    return false;
}

static enum dns_class judge(struct dns_client *c, struct str body, struct dns_why *why)
{
    const char *end = body.n > 0 ? memchr(body.p, '\n', body.n) : NULL;
    struct str line = str_trim((struct str){ body.p, end ? (size_t)(end - body.p) : body.n });
    struct buf shown = { 0 };
    enum dns_class class;

    if (starts(line, "Updated "))
        return DNS_OK;
    if (starts(line, "No IP change detected") || (starts(line, "ERROR") && holds(line, "has not changed")))
        return DNS_NOCHANGE;
    class = starts(line, "ERROR") ? DNS_AUTH : DNS_BADREPLY;
    value_show(&shown, line, SHOWN_CHARS);
    dns_fail(c, why, class, "it answers \"%s\": %s", buf_text(&shown),
             class == DNS_AUTH ? "is it the token of this record, and is the record still there?"
                               : "that is no answer to this request; is another server in between?");
    buf_free(&shown);
    return class;
}

static enum dns_class ask_one(struct dns_client *c, const char *name, const char *address,
                              struct dns_why *why)
{
    bool v6 = strchr(address, ':') != NULL;
    struct dns_request r = { .method = "GET" };
    struct fetch_reply reply;
    enum dns_class class;

    (void)name;
    buf_printf(&r.url, "%s/u/", v6 && !*c->conf.url ? "https://v6.sync.afraid.org" : c->base);
    dns_escape_secret(&r.url, v6 ? &c->key : &c->token);
    buf_printf(&r.url, "/?address=%s", address);
    class = dns_send(c, &r, &reply, why);
    if (class == DNS_OK)
        class = dns_judge_status(c, reply.status, NULL, why);
    if (class == DNS_OK)
        class = judge(c, (struct str){ buf_bytes(&reply.body), reply.body.len }, why);
    fetch_reply_free(&reply);
    return class;
}

static enum dns_class update(struct dns_client *c, const char *name, const char *v4, const char *v6,
                             struct dns_why *why)
{
    enum dns_class class = dns_dyn_only(c, name, why);

    if (class == DNS_OK && v4 && !c->token.bytes)
        return dns_fail(
            c, why, DNS_CONFIG,
            "it has no token_file for the A record; add one, or write families = ipv6 for this site");
    if (class == DNS_OK && v6 && !c->key.bytes)
        return dns_fail(
            c, why, DNS_CONFIG,
            "it has no key_file for the AAAA record; add one, or write families = ipv4 for this site");
    return class == DNS_OK ? dns_dyn_each(c, name, v4, v6, ask_one, why) : class;
}

static const char *conf_wrong(const struct dns_conf *conf)
{
    return *conf->token_file || *conf->key_file
               ? NULL
               : "has neither token_file (the token of the A record) nor key_file (that of the AAAA record); add one";
}

const struct dns_provider dns_freedns = {
    .type = "freedns",
    .title = "FreeDNS",
    .kind = DNS_DYN,
    .can = DNS_CAN_A | DNS_CAN_AAAA,
    .keys = DNS_KEY_TOKEN | DNS_KEY_KEY | DNS_KEY_ZONE | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_ZONE,
    .min_interval_ms = 1000,
    .url = "https://sync.afraid.org",
    .credential =
        "freedns.afraid.org, Dynamic DNS, version 2: the token in the record's own URL, behind /u/.",
    .sample = "zone       = home.mooo.com\n"
              "token_file = /etc/tunnel/freedns.token\n"
              "key_file   = /etc/tunnel/freedns.token6\n",
    .notes =
        "A token stands for one record of the one name that zone says: token_file for A, key_file for AAAA. Each name "
        "has a [provider] of its own.",
    .conf_wrong = conf_wrong,
    .close = dns_dyn_forget,
    .update = update,
};
