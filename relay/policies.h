/* relay/policies.h - how each site treats its visitors: the defaults, what its agent asks for, and over both what its own
 * [domain] section says.
 *
 * A value, embedded. It holds the sections' policies as they were when the configuration was loaded, with the content of
 * the files they name. */
#ifndef RELAY_POLICIES_H
#define RELAY_POLICIES_H
#include "relay/lanes/lanes.h"
#include "relay/options.h"

struct policies {
    int64_t park_ms;
    json_t *sections; /* an object of policies, by the domain's name */
};

/* At first zeroed. -1, and *domain is the section whose file cannot be read, which its option *key names. */
must_check int policies_load(struct policies *p, const struct opt_conf *conf, const char **domain,
                             const char **key, struct err *e);
void policies_free(struct policies *p);
/* Texts are in the arena, and so is why everybody is refused: it cannot be understood, which is not to happen. NULL: it is. */
const char *policies_for(const struct policies *p, const struct lanes_site *site, struct policy *policy,
                         struct arena *arena);
/* What of it cannot be had with this site's names, in words and with a remedy, in the arena; NULL: all can. */
const char *policies_trouble(const struct lanes_site *site, const struct policy *policy, struct arena *arena);
#endif
