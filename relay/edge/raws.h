/* relay/edge/raws.h - the raw connections of one worker, and the doors of the ports that claims have opened.
 *
 * Alive on the worker's loop. */
#ifndef RELAY_EDGE_RAWS_H
#define RELAY_EDGE_RAWS_H
#include "relay/edge/crowd.h"
#include "relay/edge/raw.h"
#include "relay/edge/tally.h"

struct raws;

/* Borrowed until raws_free. */
struct raws_conf {
    struct raw_host host; /* its `ended` and `user` are for us: called whenever one has ended, with NULL */
    struct crowd *crowd;
    struct tally *tally;
    unsigned worker; /* its number */
};

struct raws *raws_new(const struct raws_conf *conf);
void raws_free(struct raws *r); /* once raws_idle, and stopped */
/* Opens the doors of ports that are new, and closes those of ports that are gone: their connections live on. */
void raws_follow(struct raws *r, const struct snapshot *snapshot);
/* A visitor who came by another door; as raw_start. Takes the place in the crowd that he has there. */
void raws_add(struct raws *r, struct stream *visitor, const struct raw_visit *visit, uint64_t place,
              const char *bytes, size_t n);
bool raws_idle(const struct raws *r);
void raws_drain(struct raws *r); /* nobody comes any more */
void raws_stop(struct raws *r);  /* the same, and all are reset */
#endif
