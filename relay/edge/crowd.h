/* relay/edge/crowd.h - how many visitors' connections there are: in all, and from each source. One for all workers; its
 * functions may be called from any thread.
 * What a source is says shared/source.h. */
#ifndef RELAY_EDGE_CROWD_H
#define RELAY_EDGE_CROWD_H
#include "shared/cidr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

struct crowd_limits {
    int64_t max, max_per_source; /* 0: any number */
};

struct crowd_source;

struct crowd {
    uv_mutex_t lock;
    uint64_t n, seed;
    struct crowd_source **table;
};

enum crowd_answer { CROWD_IN, CROWD_FULL, CROWD_SOURCE_HAS_ENOUGH };

void crowd_init(struct crowd *c);
void crowd_free(struct crowd *c); /* nobody is in it any more */
/* Sets *place, to leave with, when the answer is CROWD_IN. many: a proxy, which comes for many visitors; of such a source
 * any number may come. */
enum crowd_answer crowd_enter(struct crowd *c, const struct sockaddr_storage *addr, bool many,
                              const struct crowd_limits *limits, uint64_t *place);
/* The same for a connection that has just been made; says in the log why not. Of trusted addresses any number may come. */
bool crowd_admit(struct crowd *c, const struct sockaddr_storage *addr, const struct cidrs *trusted,
                 const struct crowd_limits *limits, uint64_t *place);
/* Who is in is found to be this visitor: he keeps his place, and counts for his own source from now on. False, and in the
 * log, when there are enough from that: then he has not moved. */
bool crowd_move(struct crowd *c, const struct sockaddr_storage *addr, const struct cidrs *trusted,
                const struct crowd_limits *limits, uint64_t *place);
void crowd_leave(struct crowd *c, uint64_t place);
#endif
