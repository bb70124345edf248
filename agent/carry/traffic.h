/* agent/carry/traffic.h - connections and bytes of one port, for the status.
 *
 * Counted: streams outlive the configuration that they began with. NULL stands for what is not counted, and everything here
 * takes it. */
#ifndef AGENT_CARRY_TRAFFIC_H
#define AGENT_CARRY_TRAFFIC_H
#include <stdint.h>

struct traffic {
    unsigned refs;
    uint64_t connections, total, bytes_in, bytes_out; /* connections: now; in: to the service */
};

struct traffic *traffic_new(void); /* with one reference */
struct traffic *traffic_hold(struct traffic *t);
void traffic_release(struct traffic *t);
/* A connection begins, with a reference of its own, and ends. */
struct traffic *traffic_begin(struct traffic *t);
void traffic_end(struct traffic *t);
void traffic_add(struct traffic *t, uint64_t in, uint64_t out);
#endif
