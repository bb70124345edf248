#include "relay/policies.h"

#include "shared/log.h"

void policies_free(struct policies *p)
{
    json_decref(p->sections);
    p->sections = NULL;
}

/* The configuration was checked, so a section fails only when its files have changed since. */
void policies_load(struct policies *p, const struct opt_conf *conf)
{
    const struct relay_domain_conf *d;
    const char *name;

    policies_free(p);
    p->park_ms = relay_conf_of(conf)->park_ms;
    p->sections = json_object();
    for (size_t i = 0; (d = opt_section(conf, "domain", i, &name)); i++) {
        struct err why = { 0 };
        json_t *section = policy_of_conf(&d->policy, &why);

        if (section)
            json_object_set_new(p->sections, name, section);
        else
            log_error("a site is served without what its section asks for", kv_str("domain", name),
                      kv_str("error", why.text));
    }
}

void policies_for(const struct policies *p, const struct lanes_site *site, struct policy *policy,
                  struct arena *arena)
{
    struct err why = { 0 };

    policy_defaults(policy, p->park_ms);
    /* A claim's policy was checked when it was taken, and a section's when it was read. */
    if (policy_lay(policy, site->policy, arena, &why) != 0 ||
        policy_lay(policy, json_object_get(p->sections, site->name), arena, &why) != 0)
        log_warn_limited(site->name, "a site is served without what was asked for it",
                         kv_str("domain", site->name), kv_str("error", why.text));
}
