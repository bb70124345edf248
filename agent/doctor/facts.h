/* agent/doctor/facts.h - what the agent knows by itself, for its doctor: the status, and what of the configuration the
 * looks need. On the loop. */
#ifndef AGENT_DOCTOR_FACTS_H
#define AGENT_DOCTOR_FACTS_H
#include "shared/err.h"
#include "shared/opt.h"

#include <jansson.h>

/* Takes the status and other_clock, which may be NULL. domain: this site alone ("" for all). NULL, ERR_MISSING: there is none of this name. */
json_t *agent_doctor_facts(const struct opt_conf *conf, json_t *status, json_t *other_clock,
                           const char *domain, struct err *e);
#endif
