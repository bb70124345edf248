#include "agent/dns/check.h"

#include "agent/dns/host_id.h"
#include "shared/dns/provider.h"

#include <inttypes.h>
#include <string.h>

static void check_ttl(struct opt_conf *conf, const char *name, const struct agent_domain_conf *d,
                      const struct dns_provider *p, struct opt_errors *errors)
{
    if (d->ttl_ms < 0)
        return;
    if (d->ttl_ms % 1000 != 0)
        opt_errors_add_at(errors, conf, "domain", name, "ttl", "not whole seconds");
    else if (p->min_ttl_s == 0)
        opt_errors_add_at(errors, conf, "domain", name, "ttl", "%s sets the TTL itself; leave it out",
                          p->title);
    else if (d->ttl_ms < p->min_ttl_s * 1000)
        opt_errors_add_at(errors, conf, "domain", name, "ttl", "%s takes nothing below %" PRId64 "s",
                          p->title, p->min_ttl_s);
    else if (p->max_ttl_s > 0 && d->ttl_ms > p->max_ttl_s * 1000)
        opt_errors_add_at(errors, conf, "domain", name, "ttl", "%s takes nothing above %" PRId64 "s",
                          p->title, p->max_ttl_s);
}

static void check_names(struct opt_conf *conf, const char *name, const struct agent_domain_conf *d,
                        const struct dns_provider *p, struct opt_errors *errors)
{
    const char *wildcard = strncmp(name, "*.", 2) == 0 ? name : NULL;

    for (size_t i = 0; i < d->aliases.n && !wildcard; i++)
        wildcard = strncmp(d->aliases.words[i], "*.", 2) == 0 ? d->aliases.words[i] : NULL;
    if (wildcard && !(p->can & DNS_CAN_WILDCARD))
        opt_errors_add_at(errors, conf, "domain", name, "dns", "%s keeps no wildcard, and %.200s is one",
                          p->title, wildcard);
}

static void check_provider(struct opt_conf *conf, const char *name, const struct agent_domain_conf *d,
                           const struct dns_provider *p, struct opt_errors *errors)
{
    check_ttl(conf, name, d, p, errors);
    check_names(conf, name, d, p, errors);
    if (d->proxied >= 0 && !(p->can & DNS_CAN_PROXY))
        opt_errors_add_at(errors, conf, "domain", name, "proxied", "%s has no proxies; leave it out",
                          p->title);
    if (d->owner_txt && (!(p->can & DNS_CAN_TXT) || !p->read))
        opt_errors_add_at(errors, conf, "domain", name, "owner_txt", "%s has no place for it; leave it out",
                          p->title);
    if (d->cleanup_on_stop && !(p->can & DNS_CAN_DELETE))
        opt_errors_add_at(errors, conf, "domain", name, "cleanup_on_stop",
                          "%s cannot delete a record; leave it out", p->title);
    if (d->families == AGENT_FAMILIES_IPV6 && !(p->can & DNS_CAN_AAAA))
        opt_errors_add_at(errors, conf, "domain", name, "families", "%s keeps no AAAA records", p->title);
}

void dns_check_provider(struct opt_conf *conf, const char *name, const struct dns_conf *p,
                        struct opt_errors *errors)
{
    dns_conf_check(conf, name, p, errors);
    if (strcmp(name, DNS_MANUAL) == 0)
        opt_errors_add_at(errors, conf, "provider", name, NULL,
                          "dns = manual stands for records that are set by hand; give this one another name");
}

static void check_host_id(struct opt_conf *conf, const char *name, const struct agent_domain_conf *d,
                          struct opt_errors *errors)
{
    if (!*d->host_id)
        return;
    if (!host_id_is(d->host_id))
        opt_errors_add_at(errors, conf, "domain", name, "host_id",
                          "not the last 64 bits of an IPv6 address (such as ::1234)");
    else if (d->mode != AGENT_MODE_DIRECT || d->families == AGENT_FAMILIES_IPV4)
        opt_errors_add_at(
            errors, conf, "domain", name, "host_id",
            "is for AAAA records with the house's own prefix: it needs mode = direct, and families with "
            "ipv6; leave it out");
}

/* Without a provider there is nobody who could do these. */
static const char *const keys[] = { "ttl", "proxied" };

void dns_check_site(struct opt_conf *conf, const char *name, const struct agent_domain_conf *d,
                    struct opt_errors *errors)
{
    const struct dns_conf *provider = opt_values(conf, "provider", d->dns);
    bool manual = strcmp(d->dns, DNS_MANUAL) == 0;

    check_host_id(conf, name, d, errors);
    if (*d->dns && !manual && provider) {
        check_provider(conf, name, d, dns_providers[provider->type], errors);
        return;
    }
    if (*d->dns && !manual)
        opt_errors_add_at(
            errors, conf, "domain", name, "dns",
            "there is no [provider %.60s]; add one (tunnelctl dns providers shows samples), or write "
            "dns = manual",
            d->dns);
    if (!*d->dns && d->mode == AGENT_MODE_DIRECT)
        opt_errors_add_at(
            errors, conf, "domain", name, "mode",
            "with direct it is for DNS alone, and there is no dns; name a [provider], or manual");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (opt_given(conf, "domain", name, keys[i]))
            opt_errors_add_at(errors, conf, "domain", name, keys[i],
                              "is for records that a [provider] keeps; leave it out");
    if (d->owner_txt || d->cleanup_on_stop)
        opt_errors_add_at(errors, conf, "domain", name, d->owner_txt ? "owner_txt" : "cleanup_on_stop",
                          "is for records that a [provider] keeps; leave it out");
}
