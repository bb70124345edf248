#include "shared/status/dns_state.h"

#include "shared/status/text.h"

#include <string.h>

/* From bad to good. */
static const char *const states[] = { "failed", "foreign", "manual", "waiting", "updating", "ok" };
enum { STATES_N = sizeof states / sizeof states[0], WRONG_N = 2 };

static size_t rank(const json_t *domain)
{
    const json_t *record;
    size_t i, worst = STATES_N;

    json_array_foreach(json_object_get(json_object_get(domain, "dns"), "records"), i, record)
    {
        for (size_t state = 0; state < worst; state++)
            if (strcmp(status_text(record, "state"), states[state]) == 0)
                worst = state;
    }
    return worst;
}

const char *dns_state_of(const json_t *domain)
{
    size_t worst = rank(domain);

    return worst < STATES_N ? states[worst] : "-";
}

bool dns_state_is_well(const json_t *domain)
{
    return rank(domain) >= WRONG_N;
}
