/* relay/certs/due.h - what a site's certificates need: nothing, a look at what their authority suggests, or an order.
 *
 * Pure: decides from what the store knows of the site, what is configured, and the time. */
#ifndef RELAY_CERTS_DUE_H
#define RELAY_CERTS_DUE_H
#include "relay/certs/issuers.h"
#include "relay/certs/meta.h"

enum {
    DUE_FALL_BACK = 2,                /* failures in a row after which the next authority's turn comes */
    DUE_BACK_AGAIN_S = 7 * 24 * 3600, /* and after which the first one is tried again */
    DUE_TAKE_BACK_S = 24 * 3600,      /* after which a name that is left out is tried again */
    DUE_REST_S = 24 * 3600,           /* in which a new certificate is not renewed for its age, */
    DUE_REST_PART = 4,                /* or for so much of its life when that is less */
};

struct due_site {
    const char *const *names; /* its own first */
    size_t names_n;
    const struct issuers *issuers;
    const char *issuer;     /* the one that it wants; NULL: any, in their order */
    const char *configured; /* due_print of all this */
};

/* Another text is another configuration, for which nothing has failed yet: a digest in hex, however many names there are.
 * The caller frees it. */
char *due_print(const struct due_site *s);
bool due_is_changed(const struct due_site *s, const struct meta *m);
/* Who is to be asked; NULL when there is nobody. */
const struct issuer *due_issuer(const struct due_site *s, const struct meta *m, int64_t now);

/* Whether the pair of this kind of key has to be ordered, and why, in words; NULL: it is well. */
const char *due_order(const struct due_site *s, const struct meta *m, enum key_type type, int64_t now);
enum meta_slot due_slot(enum key_type type);
/* Whether any authority of the site's would be asked for this kind of key. */
bool due_wants(const struct due_site *s, enum meta_slot slot);
/* There is a pair of this kind of key, it is good, and nothing is to be ordered for it. */
bool due_is_well(const struct due_site *s, const struct meta *m, enum meta_slot slot, int64_t now);
/* True when somebody has to ask the authority when it would have this one renewed. */
bool due_look(const struct due_site *s, const struct meta *m, enum meta_slot slot, int64_t now);
/* True when something is to be ordered now. */
bool due_orders(const struct due_site *s, const struct meta *m, int64_t now);
/* True when what has failed is not wanted any more, and not tried again: a person wanted it, or a clock that was wrong. */
bool due_is_moot(const struct due_site *s, const struct meta *m, int64_t now);
/* True when a job has something to do now. */
bool due_anything(const struct due_site *s, const struct meta *m, int64_t now);
/* The moment of the next order, as far as it is known; 0: there is none. *why is a constant. */
int64_t due_next(const struct due_site *s, const struct meta *m, int64_t now, const char **why);
/* How many orders one site may honestly need in a day: twice all that its authorities could be asked for, one order for each kind of
 * key, and one in the staging area where that goes first. */
unsigned due_orders_a_day(const struct due_site *s);
bool due_is_left_out(const struct meta *m, const char *name);
#endif
