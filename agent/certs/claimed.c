#include "agent/certs/claimed.h"

#include "agent/options.h"
#include "shared/domain.h"

bool claimed_at(const struct opt_conf *conf, const char *relay, const char *name)
{
    const struct agent_domain_conf *d;
    const char *site;

    for (size_t i = 0; (d = opt_section(conf, "domain", i, &site)); i++) {
        if (!*d->service || !agent_uses_relay(&d->relays, relay))
            continue;
        if (domain_matches(site, name))
            return true;
        for (size_t j = 0; j < d->aliases.n; j++)
            if (domain_matches(d->aliases.words[j], name))
                return true;
    }
    return false;
}
