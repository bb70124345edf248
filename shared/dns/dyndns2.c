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
    if (!strchr(strstr(buf_text(out), "://") + 3, '/'))
        buf_add_text(out, "/"); /* base has none at its end */
    buf_add_text(out, strchr(buf_text(out), '?') ? "&" : "?");
}

static enum dns_class ask(struct dns_client *c, const char *name, const char *v4, const char *v6,
                          struct dns_why *why)
{
    struct dns_request r = { .method = "GET" };

    add_url(c, &r.url);
    buf_add_text(&r.url, "hostname=");
    dns_escape(&r.url, name);
    buf_printf(&r.url, "&myip=%s%s%s", v4 ? v4 : "", v4 && v6 ? "," : "", v6 ? v6 : "");
    return dns_dyn_ask(c, &r, v4 ? v4 : v6, why);
}

static enum dns_class update(struct dns_client *c, const char *name, const char *v4, const char *v6,
                             struct dns_why *why)
{
    return ask(c, name, v4, v6, why);
}

/* Where a list of two addresses is not known to be understood. */
static enum dns_class ask_one(struct dns_client *c, const char *name, const char *address,
                              struct dns_why *why)
{
    return ask(c, name, address, NULL, why);
}

static enum dns_class update_each(struct dns_client *c, const char *name, const char *v4, const char *v6,
                                  struct dns_why *why)
{
    return dns_dyn_each(c, name, v4, v6, ask_one, why);
}

/* Where the user stands for the name, and each family has a parameter of its own. */
static enum dns_class ask_pair(struct dns_client *c, const char *name, const char *v4, const char *v6,
                               const char *v6_key, struct dns_why *why)
{
    struct dns_request r = { .method = "GET" };
    enum dns_class class = dns_dyn_only(c, name, why);

    if (class != DNS_OK)
        return class;
    add_url(c, &r.url);
    if (v4)
        buf_printf(&r.url, "myip=%s", v4);
    if (v6)
        buf_printf(&r.url, "%s%s=%s", v4 ? "&" : "", v6_key, v6);
    return dns_dyn_ask(c, &r, v4 ? v4 : v6, why);
}

static enum dns_class update_inwx(struct dns_client *c, const char *name, const char *v4, const char *v6,
                                  struct dns_why *why)
{
    return ask_pair(c, name, v4, v6, "myipv6", why);
}

static enum dns_class update_all_inkl(struct dns_client *c, const char *name, const char *v4, const char *v6,
                                      struct dns_why *why)
{
    return ask_pair(c, name, v4, v6, "myip6", why);
}

#define V4   DNS_CAN_A
#define BOTH (DNS_CAN_A | DNS_CAN_AAAA)

#define DYNDNS2(name, word, shown, abilities, how, extra_keys, ...)                                          \
    const struct dns_provider dns_##name = {                                                                 \
        .type = word,                                                                                        \
        .title = shown,                                                                                      \
        .kind = DNS_DYN,                                                                                     \
        .can = (abilities),                                                                                  \
        .keys = DNS_KEY_USER | DNS_KEY_PASSWORD | DNS_KEY_URL | DNS_KEY_SUCCESS | DNS_KEY_CA | (extra_keys), \
        .needs = DNS_KEY_USER | DNS_KEY_PASSWORD | ((extra_keys)&DNS_KEY_ZONE),                              \
        .min_interval_ms = 1000,                                                                             \
        .authorize = authorize,                                                                              \
        .update = (how),                                                                                     \
        .close = dns_dyn_forget,                                                                             \
        __VA_ARGS__                                                                                          \
    }

DYNDNS2(
    dyndns2, "dyndns2", "dyndns2", BOTH | DNS_CAN_WILDCARD, update, DNS_KEY_SERVER, .conf_wrong = conf_wrong,
    .credential = "The service's own pages; where it has a key or password for updates alone, take that one.",
    .sample = "server        = dyndns.example.net\n"
              "user          = pi\n"
              "password_file = /etc/tunnel/dyndns.password\n",
    .notes =
        "For every service that speaks the protocol of members.dyndns.org. url = https://HOST/PATH where the path is "
        "not /nic/update, and success = WORDS where it says something else than good and nochg.");

DYNDNS2(dyn, "dyn", "Dyn", BOTH | DNS_CAN_WILDCARD, update, 0, .url = "https://members.dyndns.org/nic/update",
        .credential = "account.dyn.com, the updater client key: it can update and nothing else.",
        .sample = "user          = me\n"
                  "password_file = /etc/tunnel/dyn.key\n");

DYNDNS2(
    noip, "noip", "No-IP", BOTH | DNS_CAN_WILDCARD, update, 0,
    .url = "https://dynupdate.no-ip.com/nic/update",
    .credential =
        "www.noip.com, Dynamic DNS, DDNS Keys: a key for one name or group, with a user and password of its own.",
    .sample = "user          = ddns-key-user\n"
              "password_file = /etc/tunnel/noip.password\n",
    .notes = "Free names end unless they are confirmed there about once a month.");

DYNDNS2(strato, "strato", "Strato", BOTH, update, 0, .url = "https://dyndns.strato.com/nic/update",
        .credential =
            "Strato's customer login, Domains, DynDNS: the password that is set there updates and nothing "
            "else; user is a domain of the package.",
        .sample = "user          = example.org\n"
                  "password_file = /etc/tunnel/strato.password\n",
        .notes = "DynDNS has to be switched on for each name there.");

DYNDNS2(
    infomaniak, "infomaniak", "Infomaniak", BOTH, update_each, 0, .url = "https://infomaniak.com/nic/update",
    .credential =
        "Infomaniak's manager, the domain, Dynamic DNS: an identifier with a user and password for one name.",
    .sample = "user          = home-user\n"
              "password_file = /etc/tunnel/infomaniak.password\n");

DYNDNS2(
    loopia, "loopia", "Loopia", BOTH, update_each, 0, .url = "https://dyndns.loopia.se/nic/update",
    .credential = "Loopia's customer zone, the domain, DynDNS: a user and password for that alone.",
    .sample = "user          = example.org\n"
              "password_file = /etc/tunnel/loopia.password\n",
    .notes = "Loopia's DNS records are kept by the name servers of Loopia alone; the name has to be there.");

DYNDNS2(selfhost, "selfhost", "selfHOST", BOTH, update_each, 0, .url = "https://carol.selfhost.de/nic/update",
        .credential =
            "selfhost.de, My DynDNS, the account's own user and password; not those of the customer login.",
        .sample = "user          = 123456\n"
                  "password_file = /etc/tunnel/selfhost.password\n");

DYNDNS2(dnsomatic, "dnsomatic", "DNS-O-Matic", V4, update, 0,
        .url = "https://updates.dnsomatic.com/nic/update",
        .credential =
            "dnsomatic.com: there is one password for all of an account, so make an account for this alone.",
        .sample = "user          = me\n"
                  "password_file = /etc/tunnel/dnsomatic.password\n",
        .notes = "Passes an IPv4 address on to the services of the account; it takes no IPv6 addresses.");

DYNDNS2(dynhost, "dynhost", "OVHcloud DynHost", V4, update, 0,
        .url = "https://www.ovh.com/nic/update?system=dyndns",
        .credential = "OVHcloud's control panel, the domain, DynHost, Manage access: a user for one name.",
        .sample = "user          = example.org-home\n"
                  "password_file = /etc/tunnel/dynhost.password\n",
        .notes = "The name has to be made as a DynHost there.");

DYNDNS2(inwx, "inwx", "INWX", BOTH, update_inwx, DNS_KEY_ZONE, .url = "https://dyndns.inwx.com/nic/update",
        .credential = "inwx.com, Nameserver, DynDNS: an account for one name, with a password of its own.",
        .sample = "zone          = home.example.org\n"
                  "user          = example-home\n"
                  "password_file = /etc/tunnel/inwx.password\n",
        .notes = "The user stands for one name, which zone says, so each name has a [provider] of its own.");

DYNDNS2(all_inkl, "all-inkl", "all-inkl", BOTH, update_all_inkl, DNS_KEY_ZONE,
        .url = "https://dyndns.kasserver.com",
        .credential = "KAS, Tools, DDNS settings: a user and password for one name.",
        .sample = "zone          = home.example.org\n"
                  "user          = dyn0123456\n"
                  "password_file = /etc/tunnel/all-inkl.password\n",
        .notes = "The user stands for one name, which zone says, so each name has a [provider] of its own.");
