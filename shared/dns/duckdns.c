/* DuckDNS: names below duckdns.org, told by a URL with the token in it. Whatever is below a name has its addresses and its TXT. */
#include "shared/dns/list.h"
#include "shared/dns/rest.h"
#include "shared/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* KO says that something is wrong, not what; its servers say it now and then for nothing. */
enum { KO_IN_A_ROW = 3 };
#define SUFFIX ".duckdns.org"

struct own {
    unsigned refused; /* in a row */
    bool known;       /* the token was right at least once */
};

static enum dns_class open_own(struct dns_client *c, struct dns_why *why)
{
    (void)why;
    c->own = mem_new(sizeof(struct own));
    return DNS_OK;
}

static void close_own(struct dns_client *c)
{
    free(c->own);
    c->own = NULL;
}

static enum dns_class find_label(struct dns_client *c, const char *name, struct str *label,
                                 struct dns_why *why)
{
    size_t n = strlen(name), suffix = strlen(SUFFIX);
    const char *end = n > suffix ? name + n - suffix : name, *start = end;

    if (end == name || strcmp(end, SUFFIX) != 0)
        return dns_fail(c, why, DNS_CONFIG, "%s is not below duckdns.org, and it keeps no other names", name);
    while (start > name && start[-1] != '.')
        start--;
    *label = (struct str){ start, (size_t)(end - start) };
    return DNS_OK;
}

static enum dns_class refused(struct dns_client *c, struct dns_why *why)
{
    struct own *own = c->own;

    if (++own->refused < KO_IN_A_ROW)
        return dns_fail(c, why, DNS_TRANSIENT,
                        "it answers KO, which can be a trouble of its own; asked again later");
    return dns_fail(
        c, why, own->known ? DNS_CONFIG : DNS_AUTH,
        "it answers KO again and again: is the token right, and does its account have this name?");
}

/* With verbose=true: OK, the addresses, and UPDATED or NOCHANGE, a line each. */
static enum dns_class judge(struct dns_client *c, struct str body, struct dns_why *why)
{
    struct own *own = c->own;
    struct str first = { 0 }, word = { 0 }, last = { 0 };
    bool some = str_next_word(&body, "\r\n", &first);

    while (str_next_word(&body, "\r\n", &word))
        last = word;
    if (some && str_eq(first, "KO"))
        return refused(c, why);
    own->refused = 0;
    if (!some || !str_eq(first, "OK"))
        return dns_fail(c, why, DNS_BADREPLY,
                        "its answer is neither OK nor KO; is another server in between?");
    own->known = true;
    return str_eq(last, "NOCHANGE") ? DNS_NOCHANGE : DNS_OK;
}

static enum dns_class ask(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    struct fetch_reply reply;
    enum dns_class class = dns_send(c, r, &reply, why);

    if (class == DNS_OK)
        class = dns_judge_status(c, reply.status, NULL, why);
    if (class == DNS_OK)
        class = judge(c, (struct str){ buf_bytes(&reply.body), reply.body.len }, why);
    fetch_reply_free(&reply);
    return class;
}

static void begin_url(struct dns_client *c, struct dns_request *r, struct str label)
{
    buf_printf(&r->url, "%s/update?domains=%.*s&token=", c->base, STR_ARG(label));
    dns_escape_secret(&r->url, &c->token);
}

static enum dns_class update(struct dns_client *c, const char *name, const char *v4, const char *v6,
                             struct dns_why *why)
{
    struct dns_request r = { .method = "GET" };
    struct str label = { 0 };
    enum dns_class class = find_label(c, name, &label, why);

    if (class != DNS_OK)
        return class;
    begin_url(c, &r, label);
    if (v4)
        buf_printf(&r.url, "&ip=%s", v4);
    if (v6)
        buf_printf(&r.url, "&ipv6=%s", v6);
    buf_add_text(&r.url, "&verbose=true");
    return ask(c, &r, why);
}

static enum dns_class set_txt(struct dns_client *c, const char *name, const char *value, struct dns_why *why)
{
    struct dns_request r = { .method = "GET" };
    struct str label = { 0 };
    enum dns_class class = find_label(c, name, &label, why);

    if (class != DNS_OK)
        return class;
    begin_url(c, &r, label);
    buf_add_text(&r.url, "&txt=");
    dns_escape(&r.url, value ? value : "");
    buf_add_text(&r.url, value ? "&verbose=true" : "&clear=true&verbose=true");
    return ask(c, &r, why);
}

const struct dns_provider dns_duckdns = {
    .type = "duckdns",
    .title = "DuckDNS",
    .kind = DNS_DYN,
    .can = DNS_CAN_A | DNS_CAN_AAAA | DNS_CAN_TXT | DNS_CAN_WILDCARD,
    .keys = DNS_KEY_TOKEN | DNS_KEY_URL | DNS_KEY_CA,
    .needs = DNS_KEY_TOKEN,
    .min_interval_ms = 1000,
    .url = "https://www.duckdns.org",
    .credential = "www.duckdns.org, on top of the page: one token for all names of the account.",
    .sample = "token_file = /etc/tunnel/duckdns.token\n",
    .notes =
        "The name has to be made there. Everything below NAME.duckdns.org has its addresses, and its one TXT value.",
    .open = open_own,
    .close = close_own,
    .update = update,
    .set_txt = set_txt,
};
