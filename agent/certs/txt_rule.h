/* agent/certs/txt_rule.h - which TXT records a relay may have this agent set. Pure.
 *
 * A relay that somebody else has taken over could ask for any: so it gets those alone that a certificate for a wildcard of
 * ours needs, or for a site that says txt = on, and nothing else of the zone. */
#ifndef AGENT_CERTS_TXT_RULE_H
#define AGENT_CERTS_TXT_RULE_H
#include "shared/err.h"
#include "shared/opt.h"

enum { TXT_VALUE_CHARS = 43, TXT_VALUES_OF_NAME = 4 };

/* What this relay asks. 0: the site's [provider] is the one to ask, by name; borrowed from conf. -1 with what is against it, for the relay. */
must_check int txt_rule(const struct opt_conf *conf, const char *relay, const char *name, const char *value,
                        const char **provider, struct err *e);
#endif
