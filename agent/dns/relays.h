/* agent/dns/relays.h - the relays of the configuration, as far as DNS is concerned: what they publish, and whether they are up.
 *
 * A value, embedded; all zero bytes is an empty one. */
#ifndef AGENT_DNS_RELAYS_H
#define AGENT_DNS_RELAYS_H
#include "agent/dns/wanted.h"

struct relays {
    struct wanted_relay *list;
    size_t n;
    struct relay_left { /* no longer configured */
        struct wanted_relay relay;
        int64_t ttl_s;        /* of records that had its addresses, and a little more; 0: none had */
        int64_t withdrawn_ms; /* monotonic: since when none has them; 0: one has */
    } * left;
    size_t left_n;
};

void relays_free(struct relays *r);
/* Those of the configuration with a tunnel-relay behind them; what is known of one that stays stays known. */
void relays_set(struct relays *r, const struct opt_conf *conf, int64_t now_ms);
/* A welcome. True when something is another one than before. */
bool relays_says(struct relays *r, const char *relay, const char *const *publish, size_t n);
bool relays_is(struct relays *r, const char *relay, bool up, int64_t now_ms);
/* Their part of the state file, and back. */
json_t *relays_to_json(const struct relays *r);
/* How long visitors may still come by an address of a relay that is no longer configured, because resolvers keep it:
 * RELAYS_IN_DNS while a record has it; 0: they do not, and it is forgotten. */
enum { RELAYS_IN_DNS = -1 };
int64_t relays_left_ms(struct relays *r, const char *relay, const struct names *names, int64_t now_ms);
void relays_of_json(struct relays *r, const json_t *json);
#endif
