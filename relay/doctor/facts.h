/* relay/doctor/facts.h - what the relay knows by itself, for its doctor: the status, and what of the configuration the looks
 * need. On the loop. */
#ifndef RELAY_DOCTOR_FACTS_H
#define RELAY_DOCTOR_FACTS_H
#include "shared/err.h"
#include "shared/opt.h"

#include <jansson.h>

/* Takes the status. domain: this site alone ("" for all). NULL, ERR_MISSING: there is none of this name. */
json_t *relay_doctor_facts(const struct opt_conf *conf, json_t *status, const char *domain, struct err *e);
#endif
