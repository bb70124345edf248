/* Hurricane Electric: records that are marked dynamic, each with a key of its own; the key goes in the body, not in the URL. */
#include "shared/dns/dyn.h"
#include "shared/dns/list.h"

static enum dns_class ask(struct dns_client *c, const char *name, const char *key, const char *value,
                          const char *sent, struct dns_why *why)
{
    struct dns_request r = { .method = "POST", .content_type = "application/x-www-form-urlencoded" };

    buf_add_text(&r.url, c->base);
    buf_add_text(&r.body, "hostname=");
    dns_escape(&r.body, name);
    buf_add_text(&r.body, "&password=");
    dns_escape_secret(&r.body, &c->password);
    buf_printf(&r.body, "&%s=", key);
    dns_escape(&r.body, value);
    return dns_dyn_ask(c, &r, sent, why);
}

static enum dns_class ask_one(struct dns_client *c, const char *name, const char *address,
                              struct dns_why *why)
{
    return ask(c, name, "myip", address, address, why);
}

static enum dns_class update(struct dns_client *c, const char *name, const char *v4, const char *v6,
                             struct dns_why *why)
{
    return dns_dyn_each(c, name, v4, v6, ask_one, why);
}

static enum dns_class set_txt(struct dns_client *c, const char *name, const char *value, struct dns_why *why)
{
    if (!value)
        return DNS_NOCHANGE; /* the record stays there whatever we do, and its old value harms nobody */
    return ask(c, name, "txt", value, NULL, why);
}

const struct dns_provider dns_he = {
    .type = "he",
    .title = "Hurricane Electric",
    .kind = DNS_DYN,
    .can = DNS_CAN_A | DNS_CAN_AAAA | DNS_CAN_TXT | DNS_CAN_WILDCARD,
    .keys = DNS_KEY_PASSWORD | DNS_KEY_URL | DNS_KEY_CA | DNS_KEY_SUCCESS,
    .needs = DNS_KEY_PASSWORD,
    .min_interval_ms = 1000,
    .url = "https://dyn.dns.he.net/nic/update",
    .credential =
        "dns.he.net, the record with \"Enable entry for dynamic DNS\", then \"Generate a DDNS key\": it changes that "
        "record and nothing else.",
    .sample = "password_file = /etc/tunnel/he.key\n",
    .notes =
        "A, AAAA and TXT records have to be there, each dynamic; give those of one name (and the TXT record "
        "_acme-challenge.NAME) the same key. A TXT record keeps one value, and is never emptied. Names with other keys "
        "have a [provider] of their own.",
    .close = dns_dyn_forget,
    .update = update,
    .set_txt = set_txt,
};
