/* The dyndns2 protocol: one URL, whose answer is a word. Any server of that kind, and services that are known by name.
 *
 * A service keeps what it was told for each name, and cannot be asked. Both families of a name go into one request where the
 * service takes them so. */
#include "shared/dns/dyn.h"
#include "shared/dns/list.h"

#include <string.h>

static enum dns_class authorize(struct dns_client *c, struct dns_request *r, struct dns_why *why)
{
    (void)why;
    dns_header_basic(r, c->conf.user, &c->password);
    return DNS_OK;
}

static const char *conf_wrong(const struct dns_conf *conf)
{
    if (!*conf->url && !*conf->server)
        return "has neither server nor url; add server = HOST, or the whole url = https://HOST/nic/update";
    if (*conf->url && *conf->server)
        return "has server and url, and only one of them can be right; leave one out";
    return NULL;
}

static void add_url(struct dns_client *c, struct buf *out)
{
    if (*c->conf.server)
        buf_printf(out, "https://%s/nic/update", c->conf.server);
    else
        buf_add_text(out, c->base);
    buf_add_text(out, strchr(buf_text(out), '?') ? "&" : "?");
}

static enum dns_class update(struct dns_client *c, const char *name, const char *v4, const char *v6,
                             struct dns_why *why)
{
    struct dns_request r = { .method = "GET" };

    add_url(c, &r.url);
    buf_add_text(&r.url, "hostname=");
    dns_escape(&r.url, name);
    buf_printf(&r.url, "&myip=%s%s%s", v4 ? v4 : "", v4 && v6 ? "," : "", v6 ? v6 : "");
    return dns_dyn_ask(c, &r, v4 ? v4 : v6, why);
}

#define DYNDNS2(name, word, shown, extra_keys, ...)                                                  \
    const struct dns_provider dns_##name = { .type = word,                                           \
                                             .title = shown,                                         \
                                             .kind = DNS_DYN,                                        \
                                             .can = DNS_CAN_A | DNS_CAN_AAAA | DNS_CAN_WILDCARD,     \
                                             .keys = DNS_KEY_USER | DNS_KEY_PASSWORD | DNS_KEY_URL | \
                                                     DNS_KEY_SUCCESS | DNS_KEY_CA | (extra_keys),    \
                                             .needs = DNS_KEY_USER | DNS_KEY_PASSWORD,               \
                                             .min_interval_ms = 1000,                                \
                                             .authorize = authorize,                                 \
                                             .update = update,                                       \
                                             __VA_ARGS__ }

DYNDNS2(
    dyndns2, "dyndns2", "dyndns2", DNS_KEY_SERVER, .conf_wrong = conf_wrong,
    .credential = "The service's own pages; where it has a key or password for updates alone, take that one.",
    .sample = "server        = dyndns.example.net\n"
              "user          = pi\n"
              "password_file = /etc/tunnel/dyndns.password\n",
    .notes =
        "For every service that speaks the protocol of members.dyndns.org. url = https://HOST/PATH where the path is "
        "not /nic/update, and success = WORDS where it says something else than good and nochg.");

DYNDNS2(dyn, "dyn", "Dyn", 0, .url = "https://members.dyndns.org/nic/update",
        .credential = "account.dyn.com, the updater client key: it can update and nothing else.",
        .sample = "user          = me\n"
                  "password_file = /etc/tunnel/dyn.key\n");

DYNDNS2(
    noip, "noip", "No-IP", 0, .url = "https://dynupdate.no-ip.com/nic/update",
    .credential =
        "www.noip.com, Dynamic DNS, DDNS Keys: a key for one name or group, with a user and password of its own.",
    .sample = "user          = ddns-key-user\n"
              "password_file = /etc/tunnel/noip.password\n",
    .notes = "Free names end unless they are confirmed there about once a month.");
