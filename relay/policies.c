#include "relay/policies.h"

#include "shared/domain.h"
#include "shared/log.h"

void policies_free(struct policies *p)
{
    json_decref(p->sections);
    p->sections = NULL;
}

int policies_load(struct policies *p, const struct opt_conf *conf, const char **domain, const char **key,
                  struct err *e)
{
    const struct relay_domain_conf *d;

    policies_free(p);
    p->park_ms = relay_conf_of(conf)->park_ms;
    p->sections = json_object();
    for (size_t i = 0; (d = opt_section(conf, "domain", i, domain)); i++) {
        json_t *section = policy_of_conf(&d->policy, key, e);

        if (!section)
            return -1;
        json_object_set_new(p->sections, *domain, section);
    }
    return 0;
}

/* Both lists: who has no address is on neither. */
static void refuse_all(struct policy *policy)
{
    static const struct cidr everybody[] = {
        { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 96 },
        { { 0 }, 0 },
    };

    policy->allow = policy->deny = (struct cidrs){ sizeof everybody / sizeof everybody[0], everybody };
}

/* A claim's policy was checked when it was taken, and a section's when it was read. Should one of them be wrong all the same,
 * nobody knows whom it lets in. */
const char *policies_for(const struct policies *p, const struct lanes_site *site, struct policy *policy,
                         struct arena *arena)
{
    struct err why = { 0 };

    policy_defaults(policy, p->park_ms);
    if (policy_lay(policy, site->policy, arena, &why) != 0 ||
        policy_lay(policy, json_object_get(p->sections, site->name), arena, &why) != 0) {
        refuse_all(policy);
        log_warn_limited(site->name,
                         "all visitors of a site are refused: what was asked for it cannot be understood",
                         kv_str("domain", site->name), kv_str("error", why.text));
        err_wrap(
            &why,
            "all visitors are refused, since what was asked for this site cannot be understood; reload the "
            "agent, or restart the relay");
        return arena_copy(arena, why.text);
    }
    if (policy->passwords && policy->https == POLICY_BOTH)
        policy->https = POLICY_REDIRECT; /* an agent's word and a section's: no password goes without TLS */
    return NULL;
}

/* ---- with which names ---- */

static const char *www_trouble(const struct lanes_site *site, const struct policy *policy,
                               struct arena *arena)
{
    char other[DOMAIN_BYTES + 4];
    struct buf text = { 0 };
    const char *told;

    if (policy->www == POLICY_WWW_AS_IS || !site->claimed)
        return NULL; /* those that the configuration alone names are checked with it */
    if (!domain_other_www(site->name, other))
        return "www = add and www = strip do nothing for a wildcard, which has no www. of its own; leave it out";
    for (size_t i = 0; i < site->aliases_n; i++)
        if (domain_matches(site->aliases[i], other))
            return NULL;
    buf_printf(&text, "www = %s does nothing without %s: add that to aliases in the agent's [domain %s]",
               policy_www_words[policy->www], other, site->name);
    told = arena_copy(arena, buf_text(&text));
    buf_free(&text);
    return told;
}

const char *policies_trouble(const struct lanes_site *site, const struct policy *policy, struct arena *arena)
{
    if (policy->passwords && policy->tls == POLICY_PASSTHROUGH)
        return "all visitors are refused: basic_auth_file cannot be asked for with tls = passthrough, where the "
               "relay sees no requests; leave out one of them, at the agent or in the relay's own section";
    return www_trouble(site, policy, arena);
}
