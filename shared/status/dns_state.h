/* shared/status/dns_state.h - how the DNS of a site is doing, in a word. */
#ifndef SHARED_STATUS_DNS_STATE_H
#define SHARED_STATUS_DNS_STATE_H
#include <jansson.h>
#include <stdbool.h>

enum { DNS_STATE_BEST = 6 };

/* Of one record: how good its state is, from 0 to DNS_STATE_BEST. */
size_t dns_state_rank(const json_t *record);
bool dns_state_is_wrong(const json_t *record); /* failed or foreign */

/* The worst state of its records; "-" when it has none. */
const char *dns_state_of(const json_t *domain);
bool dns_state_is_well(const json_t *domain);
#endif
