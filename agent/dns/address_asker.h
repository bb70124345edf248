/* agent/dns/address_asker.h - one word of `sources` at work: asked on a job thread, and left alone for a while when it fails.
 *
 * Alive on the loop from asker_start until asker_stop says that it is gone, or it calls `ended`, once, last. */
#ifndef AGENT_DNS_ADDRESS_ASKER_H
#define AGENT_DNS_ADDRESS_ASKER_H
#include "agent/dns/address_source.h"
#include "shared/loop.h"

#include <stdint.h>

enum asker_look {              /* the later ones are the more urgent */
                  ASKER_LOCAL, /* the network may have changed: what costs nobody anything is asked */
                  ASKER_DUE,   /* it is time: whoever has not been asked lately */
                  ASKER_AGAIN, /* to be sure: whoever answers */
                  ASKER_ALL    /* the network has changed: also who has failed */
};

/* One line of sources[] in the status: what was said of one family. */
struct asker_says {
    char name[ADDRESS_NAME_BYTES];
    int family;           /* ADDRESS_V4 or ADDRESS_V6 */
    bool counts;          /* it was asked in the last look */
    int64_t checked_s;    /* wall clock; 0: never */
    int64_t not_before_s; /* wall clock: it is skipped until then; 0: it is not */
    struct address_said said;
};

struct asker;
struct asker_events {
    void (*done)(void *user); /* a look has ended */
    void (*ended)(void *user);
};

/* family: AF_INET or AF_INET6, or AF_UNSPEC for a kind that is asked for both at once. Copies arg. `enough` answers of its
 * services suffice for one look. */
struct asker *asker_start(struct loop *loop, const struct address_kind *kind, const char *arg, int family,
                          size_t enough, const struct asker_events *events, void *user);
/* True: gone already. False: a job is still at work, and `ended` is to come. */
must_check bool asker_stop(struct asker *a);

void asker_look(struct asker *a, enum asker_look how);
bool asker_works(const struct asker *a);
const struct address_kind *asker_kind(const struct asker *a);
bool asker_is_for(const struct asker *a, int family); /* ADDRESS_V4 or ADDRESS_V6 */
/* What each service said last of a family; NULL behind the last one. */
const struct asker_says *asker_said(const struct asker *a, int family, size_t service);
#endif
