/* agent/dns/outcomes.h - what became of looks at DNS records since the start, by provider. Plain data: zeroed at first. */
#ifndef AGENT_DNS_OUTCOMES_H
#define AGENT_DNS_OUTCOMES_H
#include "agent/dns/name.h"

#include <jansson.h>

enum outcome {
    OUTCOME_CHANGED,   /* a record has become another one */
    OUTCOME_UNCHANGED, /* all is as it should be, or waits */
    OUTCOME_FAILED,    /* without a class; those behind it have one, such as auth */
    OUTCOMES = OUTCOME_FAILED + DNS_STOPPED + 1,
};

struct outcomes {
    struct outcomes_of {
        char *provider;
        uint64_t counts[OUTCOMES];
    } * list;
    size_t n;
};

/* before: what the name was in front of the look. */
void outcomes_note(struct outcomes *o, const struct dns_name *n, const struct dns_name *before);
/* [{provider, outcome, updates}]; changed, unchanged and failed for each provider, others once there is one. */
json_t *outcomes_status(const struct outcomes *o);
void outcomes_free(struct outcomes *o);
#endif
