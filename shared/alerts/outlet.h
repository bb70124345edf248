/* shared/alerts/outlet.h - one way by which alerts leave: a webhook, or a program. THE LIFE OF A DELIVERY:
 *
 *   the oldest event that is due -> sent -> taken, refused, or given up after a while: the next one
 *                                     \---> not taken: sent again later -> …
 *
 * Alive on the loop. One at a time, and in order: an event waits for the one before it. */
#ifndef SHARED_ALERTS_OUTLET_H
#define SHARED_ALERTS_OUTLET_H
#include "shared/alerts/book.h"
#include "shared/alerts/webhook.h"

#include <uv.h>

enum { OUTLET_TRIES = 5, OUTLET_PATIENCE_MS = 24 * 60 * 60 * 1000 };

struct outlet_host {
    void (*changed)(void *user); /* something is delivered, or given up */
    void (*ended)(void *user);   /* once, last, behind outlet_stop */
    void *user;
};

/* Embedded; its members are its own. */
struct outlet {
    struct loop *loop;
    const struct book *book;
    const struct outlet_host *host;
    const char *option;       /* "webhook" or "on_event" */
    char *where, *token_file; /* NULL: it is not used */
    char *role, *name;
    uint64_t done_id;
    uv_timer_t timer;
    struct webhook_post *post;
    struct hook *hook;
    uint64_t sending_id;
    bool outdated;    /* what is being sent goes where the configuration says no more */
    unsigned tries;   /* of the oldest event */
    int64_t first_ms; /* the first of these */
    int64_t next_s;   /* 0: nothing waits */
    char *last_error; /* NULL: the last one was taken */
    int64_t error_since_s, last_s;
    uint64_t delivered, failed, given_up; /* failed: tries */
    bool stopping, closed;
};

/* option: a constant. Borrows book and host. */
void outlet_init(struct outlet *o, struct loop *loop, const char *option, const struct book *book,
                 const struct outlet_host *host);
/* where: the option's value, "" when it is not given; copies all. What is due stays due. */
void outlet_set(struct outlet *o, const char *where, const char *token_file,
                const struct event_source *source);
void outlet_poke(struct outlet *o); /* there is a further event */
/* What is being sent may still come to its end; with cut it may not. */
void outlet_stop(struct outlet *o, bool cut);
json_t *outlet_status(const struct outlet *o); /* null when it is not used; a new reference */

/* How long to wait behind so many tries. Pure. */
int64_t outlet_wait_ms(unsigned tries);
#endif
