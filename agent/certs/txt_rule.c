#include "agent/certs/txt_rule.h"

#include "agent/dns/check.h"
#include "agent/options.h"
#include "shared/dns/provider.h"
#include "shared/domain.h"

#include <string.h>

static const char prefix[] = "_acme-challenge.";

static bool is_value(const char *value)
{
    static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    return strlen(value) == TXT_VALUE_CHARS && strspn(value, base64url) == TXT_VALUE_CHARS;
}

/* True when one of the site's names is this one, or its wildcard; a site that has not said txt = on has to have that. */
static bool site_has(const char *name, const struct agent_domain_conf *d, const char *base)
{
    for (size_t i = 0; i <= d->aliases.n; i++) {
        const char *own = i == 0 ? name : d->aliases.words[i - 1];

        if (strncmp(own, "*.", 2) == 0 ? strcmp(own + 2, base) == 0
                                       : d->txt == AGENT_TXT_ON && strcmp(own, base) == 0)
            return true;
    }
    return false;
}

static int check_provider(const struct opt_conf *conf, const char *site, const struct agent_domain_conf *d,
                          struct err *e)
{
    const struct dns_conf *provider = opt_values(conf, "provider", d->dns);

    if (!provider)
        return err_set(
            e, ERR_MISSING,
            "[domain %.200s] of the agent has no [provider] in dns, so nobody can set its TXT records; name "
            "one there, or give the relay one",
            site);
    if (!(dns_providers[provider->type]->can & DNS_CAN_TXT))
        return err_set(e, ERR_MISSING, "%s, where the agent keeps [domain %.200s], has no TXT records",
                       dns_providers[provider->type]->title, site);
    return 0;
}

int txt_rule(const struct opt_conf *conf, const char *relay, const char *name, const char *value,
             const char **provider, struct err *e)
{
    const struct agent_domain_conf *d;
    const char *site, *base = name + sizeof prefix - 1;

    if (strncmp(name, prefix, sizeof prefix - 1) != 0 || domain_check(base, DOMAIN_EXACT, NULL) != 0)
        return err_set(e, ERR_INPUT, "%.200s is not %s and a host name: the agent sets nothing else", name,
                       prefix);
    if (!is_value(value))
        return err_set(e, ERR_INPUT,
                       "the value is not %d characters of base64url: the agent sets nothing else",
                       TXT_VALUE_CHARS);
    for (size_t i = 0; (d = opt_section(conf, "domain", i, &site)); i++) {
        if (!*d->service || d->txt == AGENT_TXT_OFF || !agent_uses_relay(&d->relays, relay) ||
            !site_has(site, d, base))
            continue;
        *provider = d->dns;
        return check_provider(conf, site, d, e);
    }
    return err_set(
        e, ERR_INPUT,
        "the agent claims no *.%.200s, and no site with this name says txt = on: it sets no TXT record there",
        base);
}
