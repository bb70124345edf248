/* Namecheap's dynamic DNS: one host of one domain, one IPv4 address, by a URL with the password in it. Its whole API replaces
 * all records of a domain at once, mail included, so that one is left alone. */
#include "shared/dns/list.h"
#include "shared/dns/rest.h"
#include "shared/value.h"

#include <string.h>

enum { SAID_CHARS = 120 };

/* What stands between <tag> and </tag>. The answer says it is UTF-16 while it is UTF-8, so nothing reads it as XML. */
static struct str between(struct str all, const char *open, const char *close)
{
    const char *from = all.n > 0 ? memmem(all.p, all.n, open, strlen(open)) : NULL, *to;
    size_t left;

    if (!from)
        return (struct str){ 0 };
    from += strlen(open);
    left = (size_t)(all.p + all.n - from);
    to = left > 0 ? memmem(from, left, close, strlen(close)) : NULL;
    return to ? (struct str){ from, (size_t)(to - from) } : (struct str){ 0 };
}

static enum dns_class refused(struct dns_client *c, struct str why_text, struct dns_why *why)
{
    struct buf shown = { 0 };
    bool password = memmem(why_text.p, why_text.n, "assword", 7) != NULL;

    value_show(&shown, why_text, SAID_CHARS);
    dns_fail(c, why, password ? DNS_AUTH : DNS_CONFIG, "it answers \"%s\": %s", buf_text(&shown),
             password ? "is password_file the domain's Dynamic DNS password?"
                      : "is the host there as A + Dynamic DNS Record, and dynamic DNS on for the domain?");
    buf_free(&shown);
    return password ? DNS_AUTH : DNS_CONFIG;
}

static enum dns_class judge(struct dns_client *c, struct str body, struct dns_why *why)
{
    struct str all = between(body, "<interface-response", "</interface-response>");
    struct str count = between(all, "<ErrCount>", "</ErrCount>");
    struct str said = between(all, "<Err1>", "</Err1>");
    struct err none;
    int64_t errors;

    if (!all.p || !count.p || value_number(count, 0, 1000, &errors, &none) != 0)
        return dns_bad_reply(c, why, "no interface-response with an ErrCount; is another server in between?");
    if (errors > 0)
        return refused(c, said.p ? said : STR("an error without a text"), why);
    return str_eq(between(all, "<Done>", "</Done>"), "true") ? DNS_OK
                                                             : dns_bad_reply(c, why, "Done is not true");
}

static enum dns_class update(struct dns_client *c, const char *name, const char *v4, const char *v6,
                             struct dns_why *why)
{
    struct dns_request r = { .method = "GET" };
    struct fetch_reply reply;
    struct dns_zone zone = { 0 };
    char host[DOMAIN_BYTES];
    enum dns_class class;

    (void)v6;
    if (!v4)
        return dns_fail(c, why, DNS_CONFIG,
                        "it takes IPv4 addresses alone; write families = ipv4 for this site");
    if (!dns_zone_set(&zone, str_of(c->conf.zone), NULL) || !dns_zone_has(&zone, name))
        return dns_fail(c, why, DNS_CONFIG,
                        "%s is not in the zone %s that its section names; correct one of them", name,
                        c->conf.zone);
    dns_relative(&zone, name, "@", host);
    buf_printf(&r.url, "%s/update?host=", c->base);
    dns_escape(&r.url, host);
    buf_printf(&r.url, "&domain=%s&password=", zone.name);
    dns_escape_secret(&r.url, &c->password);
    buf_printf(&r.url, "&ip=%s", v4);
    class = dns_send(c, &r, &reply, why);
    if (class == DNS_OK)
        class = dns_judge_status(c, reply.status, NULL, why);
    if (class == DNS_OK)
        class = judge(c, (struct str){ buf_bytes(&reply.body), reply.body.len }, why);
    fetch_reply_free(&reply);
    return class;
}

const struct dns_provider dns_namecheap = {
    .type = "namecheap",
    .title = "Namecheap",
    .kind = DNS_DYN,
    .can = DNS_CAN_A | DNS_CAN_WILDCARD,
    .keys = DNS_KEY_PASSWORD | DNS_KEY_ZONE | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_PASSWORD | DNS_KEY_ZONE,
    .min_interval_ms = 1000,
    .url = "https://dynamicdns.park-your-domain.com",
    .credential =
        "Namecheap, the domain, Advanced DNS, Dynamic DNS: its password updates hosts of that domain alone.",
    .sample = "zone          = example.org\n"
              "password_file = /etc/tunnel/namecheap.password\n",
    .notes = "Each host has to be there as an A + Dynamic DNS Record. IPv4 alone, no TXT.",
    .update = update,
};
