/* relay/edge/doorman.h - who gives a password of a site, and whether it is right.
 *
 * Alive on a worker's loop. To find out takes long by design, so it is done by a job, one at a time over all workers and the
 * sites in turn; a right one is remembered, and from then on costs nothing. Whoever gives wrong ones is only listened to
 * now and then, so that nobody can keep the machine at it. */
#ifndef RELAY_EDGE_DOORMAN_H
#define RELAY_EDGE_DOORMAN_H
#include "relay/edge/basic_auth.h"
#include "relay/edge/guard.h"
#include "shared/guesses.h"
#include "shared/loop.h"

enum {
    DOORMAN_SITE_QUEUE = 32, /* of one site: who guesses there keeps nobody from coming in elsewhere */
    DOORMAN_QUEUE = 64,      /* passwords that wait to be looked at, of one worker */
};

struct doorman;

/* What all workers share. A value, embedded. */
struct doorman_house {
    struct guesses tries;
    uv_mutex_t at_work; /* held by who looks at a password: so that it takes one processor at most */
    unsigned char seed[VERIFIED_KEY_BYTES];
};
void doorman_house_init(struct doorman_house *house);
void doorman_house_free(struct doorman_house *house);

enum doorman_says {
    DOORMAN_LETS_IN,
    DOORMAN_ASKS,   /* he has given no password, or a wrong one */
    DOORMAN_WAITS,  /* it will be said later */
    DOORMAN_TIRES,  /* there were too many wrong ones from there */
    DOORMAN_IS_BUSY /* too many wait */
};

struct doorman_question { /* borrowed while it is asked */
    const struct snap_guard *guard;
    const char *passwords;      /* of the site */
    const struct h1_head *head; /* of the request */
    uint64_t source, now_ns;    /* see guesses.h */
};

/* Embedded by who waits; zeroed at first. */
struct doorman_guest {
    struct doorman_guest *next, **at;
    struct doorman_check *check; /* NULL: does not wait */
    void (*answered)(void *user,
                     enum doorman_says says); /* from the loop; he waits no more, and it may do anything */
    void *user;
    unsigned retry_s; /* of DOORMAN_TIRES */
};

struct doorman *doorman_new(struct loop *loop, struct doorman_house *house); /* borrowed */
enum doorman_says doorman_ask(struct doorman *d, struct doorman_guest *guest,
                              const struct doorman_question *question);
void doorman_leave(struct doorman_guest *guest); /* also when he does not wait */
/* Nobody may wait any more, or ask; frees itself after `closed`. */
void doorman_stop(struct doorman *d, void (*closed)(void *user), void *user);
#endif
