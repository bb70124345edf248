#include "agent/dns/outcomes.h"

#include "shared/dns/provider.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

static struct outcomes_of *of(struct outcomes *o, const char *provider)
{
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(o->list[i].provider, provider) == 0)
            return &o->list[i];
    o->list = mem_grow(o->list, (o->n + 1) * sizeof *o->list);
    o->list[o->n] = (struct outcomes_of){ .provider = mem_copy(provider) };
    return &o->list[o->n++];
}

static unsigned outcome_of(const struct dns_name *n, const struct dns_name *before)
{
    bool changed = false, failed = false;

    for (int i = 0; i < NAME_FAMILIES; i++) {
        changed = changed || n->families[i].changed_s != before->families[i].changed_s;
        failed = failed || (n->families[i].managed && n->families[i].state == NAME_FAILED);
    }
    if (n->trouble != DNS_OK && n->trouble != DNS_NOCHANGE)
        return OUTCOME_FAILED + (unsigned)n->trouble;
    return failed ? OUTCOME_FAILED : changed ? OUTCOME_CHANGED : OUTCOME_UNCHANGED;
}

void outcomes_note(struct outcomes *o, const struct dns_name *n, const struct dns_name *before)
{
    of(o, n->account)->counts[outcome_of(n, before)]++;
}

static const char *text_of(unsigned outcome)
{
    switch (outcome) {
    case OUTCOME_CHANGED: return "changed";
    case OUTCOME_UNCHANGED: return "unchanged";
    case OUTCOME_FAILED: return "failed";
    default: return dns_class_text((enum dns_class)(outcome - OUTCOME_FAILED));
    }
}

json_t *outcomes_status(const struct outcomes *o)
{
    json_t *list = json_array();

    for (size_t i = 0; i < o->n; i++)
        for (unsigned k = 0; k < OUTCOMES; k++)
            if (k <= OUTCOME_FAILED || o->list[i].counts[k] > 0)
                json_array_append_new(list,
                                      json_pack("{s:s, s:s, s:I}", "provider", o->list[i].provider, "outcome",
                                                text_of(k), "updates", (json_int_t)o->list[i].counts[k]));
    return list;
}

void outcomes_free(struct outcomes *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->list[i].provider);
    free(o->list);
    *o = (struct outcomes){ 0 };
}
