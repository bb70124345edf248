/* relay/certs/obtain.h - all that is done for one site's certificates in one go. Blocking: for job threads, one at a time
 * for each site. */
#ifndef RELAY_CERTS_OBTAIN_H
#define RELAY_CERTS_OBTAIN_H
#include "relay/certs/due.h"
#include "relay/certs/kept.h"
#include "relay/certs/order.h"
#include "relay/certs/quota.h"
#include "relay/certs/store.h"

enum {
    OBTAIN_WARNING_BYTES = 600,
    OBTAIN_HELD_LONGEST_S = 24 * 3600, /* that a look holds a first order back */
};

struct obtain_help { /* from other parts; functions are called on the job's thread */
    /* The ways to meet an authority's challenges; NULL: not that way. What is returned is given to `end` when all is done.
     * NULL with the reason. */
    void *(*begin)(void *user, const struct issuer *by, const struct challenge_ways *ways[CHALLENGE_TYPES],
                   struct err *e);
    void (*end)(void *begun);
    /* Does the name lead to us? -1 when not, and what was seen. warning: room for what is odd nevertheless; "": nothing. */
    int (*look)(void *user, const struct issuer *by, const char *name, struct job *job,
                char warning[OBTAIN_WARNING_BYTES], struct err *e);
    /* Adds what the public's DNS says of the name to `out`, in any form: only whether it changes is of interest. */
    int (*dns)(void *user, const struct issuer *by, const char *name, struct job *job, struct buf *out,
               struct err *e);
    void *user;
};

struct obtain_ask { /* all borrowed */
    struct due_site site;
    const struct store *store;
    struct quota *quota;
    const struct obtain_help *help;
    const char *agent; /* who claims the site; NULL: our own configuration */
    unsigned orders_per_day;
    const struct kept *kept; /* by an earlier job's result; NULL: nothing */
    bool
        look_again; /* whether names lead here that did not: those left out for it, and all while tries fail */
    int here;       /* how many did at the last such look; -1: there was none */
    bool came;      /* somebody has added the site, which may have failed before */
    bool forced;    /* a person wants another one, whatever there is */
    struct job *job;
};

enum obtain_end {
    OBTAIN_WELL,   /* nothing is left to do now */
    OBTAIN_HELD,   /* by the look beforehand: nobody was asked for anything */
    OBTAIN_FAILED, /* and meta says when the next try is */
    OBTAIN_DECLINED, /* a person wanted another one than what is good, and has had too many: nothing has changed */
    OBTAIN_STOPPED, /* by the job, or the disk */
};

struct obtain_result {
    enum obtain_end end;
    struct err why;   /* when it is not well */
    struct meta meta; /* as it is on disk now */
    bool loaded;      /* meta is */
    bool installed;   /* there is another certificate than before */
    struct kept kept; /* one that was issued, and could not be written; STOPPED then */
    bool keep;        /* the one of the ask's, still */
    int here;         /* how many names lead here; -1: it was not looked at */
    bool looked;      /* beforehand; warning is what was odd */
    char warning[OBTAIN_WARNING_BYTES];
};

/* The result is all zero bytes before, and to be freed in any case. */
void obtain_run(const struct obtain_ask *ask, struct obtain_result *r);
void obtain_result_free(struct obtain_result *r);
#endif
