#include "shared/status/dns_state.h"

#include "shared/status/text.h"

#include <string.h>

/* From bad to good. */
static const char *const states[] = { "failed", "foreign", "manual", "waiting", "updating", "ok" };
enum { WRONG_N = 2 };
_Static_assert(sizeof states / sizeof states[0] == DNS_STATE_BEST, "the best is known by its place");

size_t dns_state_rank(const json_t *record)
{
    for (size_t i = 0; i < DNS_STATE_BEST; i++)
        if (strcmp(status_text(record, "state"), states[i]) == 0)
            return i;
    return DNS_STATE_BEST;
}

bool dns_state_is_wrong(const json_t *record)
{
    return dns_state_rank(record) < WRONG_N;
}

static size_t worst(const json_t *domain)
{
    size_t i, found = DNS_STATE_BEST;
    const json_t *record;

    json_array_foreach(json_object_get(json_object_get(domain, "dns"), "records"), i, record)
    {
        if (dns_state_rank(record) < found)
            found = dns_state_rank(record);
    }
    return found;
}

const char *dns_state_of(const json_t *domain)
{
    size_t found = worst(domain);

    return found < DNS_STATE_BEST ? states[found] : "-";
}

bool dns_state_is_well(const json_t *domain)
{
    return worst(domain) >= WRONG_N;
}
