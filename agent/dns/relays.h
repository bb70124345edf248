/* agent/dns/relays.h - the relays of the configuration, as far as DNS is concerned: what they publish, and whether they are up.
 *
 * A value, embedded; all zero bytes is an empty one. */
#ifndef AGENT_DNS_RELAYS_H
#define AGENT_DNS_RELAYS_H
#include "agent/dns/wanted.h"

struct relays {
    struct wanted_relay *list;
    size_t n;
};

void relays_free(struct relays *r);
/* Those of the configuration with a tunnel-relay behind them; what is known of one that stays stays known. */
void relays_set(struct relays *r, const struct opt_conf *conf, int64_t now_ms);
/* A welcome. True when something is another one than before. */
bool relays_says(struct relays *r, const char *relay, const char *const *publish, size_t n);
bool relays_is(struct relays *r, const char *relay, bool up, int64_t now_ms);
/* Their part of the state file, and back. */
json_t *relays_to_json(const struct relays *r);
void relays_of_json(struct relays *r, const json_t *json);
#endif
