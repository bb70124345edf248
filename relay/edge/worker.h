/* relay/edge/worker.h - one data-plane thread: its loop, its listening sockets, its visitors and streams. */
#ifndef RELAY_EDGE_WORKER_H
#define RELAY_EDGE_WORKER_H
#include "relay/edge/access_log.h"
#include "relay/edge/crowd.h"
#include "relay/edge/doorman.h"
#include "relay/edge/mailbox.h"
#include "relay/edge/first.h"
#include "relay/edge/places.h"
#include "relay/edge/pool.h"
#include "relay/edge/snapshot.h"
#include "relay/edge/tally.h"
#include "shared/err.h"

#include <stdint.h>

struct worker;

struct worker_conf {
    struct pool_limits limits;
    uint16_t ssh_port;   /* 0: SSH is not spliced */
    uint16_t https_port; /* where redirects to https:// lead, had or waited for */
    uint64_t
        first_id; /* of its streams; each further one is `workers` more, so that an id names its worker */
    struct mailbox *to_control;    /* borrowed until the worker has ended */
    struct places *places;         /* of all workers, borrowed likewise */
    struct crowd *crowd;           /* likewise */
    struct limiter *rates;         /* likewise */
    struct doorman_house *house;   /* likewise */
    unsigned index;                /* which of the workers it is */
    struct snapshot *snapshot;     /* borrowed: the first one */
    struct access_log *access_log; /* gets a reference of its own */
};

/* Makes the worker and gives it listening sockets, which it takes; then worker_run starts its thread, and further ones come
 * by MAIL_LISTEN. */
struct worker *worker_new(const struct worker_conf *conf, struct err *e);
must_check int worker_add_listener(struct worker *w, int fd, struct entrance entrance, struct err *e);
must_check int worker_run(struct worker *w, struct err *e);

void worker_post(struct worker *w, const struct mail *mail);          /* from any thread */
void worker_add_tally(const struct worker *w, struct tally_sum *sum); /* from any thread */
/* After MAIL_WORKER_ENDED, or instead of worker_run. */
void worker_free(struct worker *w);
#endif
