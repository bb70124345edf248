/* relay/certs/manager_parts.h - what the files of the manager share: manager.c and manager_*.c. */
#ifndef RELAY_CERTS_MANAGER_PARTS_H
#define RELAY_CERTS_MANAGER_PARTS_H
#include "relay/certs/managed.h"

enum {
    MANAGER_HELD_MS = 60 * 1000, /* between two looks whether a name leads to us, or at a disk in trouble */
    MANAGER_LOOK_OUT_MS = 5 * 60 * 1000, /* between two looks at names that are left out */
    MANAGER_SHOUT_S = 7 * 24 * 3600,     /* what is left of a certificate when its renewal fails */
};

/* Names that have folders in the store, still to be looked at. */
struct manager_old {
    char **names;
    size_t n;
    int64_t next_ms; /* when they are listed again */
};

struct manager {
    struct loop *loop;
    const struct opt_conf *conf;
    char *state_dir;
    const struct obtain_help *help;
    struct manager_events events;
    void *user;
    struct issuers *issuers;
    struct store *store; /* NULL: not opened, or it cannot be; likewise quota */
    struct quota *quota;
    struct managed *first;
    struct managed *gone; /* forgotten while a job was theirs */
    struct manager_old old;
    struct manager_import *imports;         /* that wait for jobs to end */
    struct manager_deployment *deployments; /* that run */
    uv_timer_t tick;
    size_t jobs;
    struct manager_counts counts;
    bool started; /* all that there was before the start is known */
    bool ending, closed;
};

/* manager.c */
void manager_wake(struct manager *m); /* looks at all sites in the next round of the loop */
/* It is time to look again whether names lead here that did not. */
bool manager_looks_out(const struct manager *m, const struct managed *d);
void manager_set_meta(struct manager *m, struct managed *d, struct meta *takes, bool other_certificate);
void manager_job_ended(struct manager *m, struct managed *d); /* its job is no more */
void manager_task_ended(struct manager *m);                   /* one that is no site's job */

/* manager_told.c */
void manager_tell(struct manager *m, struct managed *d);
void manager_tell_gone(struct manager *m, const struct managed *d);
/* Of names that next leaves out, and the site's meta does not. */
void manager_tell_left_out(const struct manager *m, const struct managed *d, const struct meta *next);
/* When its state is another one than when this was called last. */
void manager_tell_state(struct manager *m, struct managed *d, time_t now);
/* When one of its certificates ends soon, and cannot be renewed. */
void manager_shout(const struct manager *m, struct managed *d, time_t now);

/* manager_status.c */
const char *manager_state(const struct manager *m, const struct managed *d, time_t now); /* a constant */
const char *manager_last_error(const struct managed *d);

/* manager_deploy.c */
/* Runs deploy_hook for the site when that is due: also one that an earlier start of the relay did not see the end of. */
void manager_deploy(struct manager *m, struct managed *d);
/* Looks whether it is due. While one runs for the site it is not: its end looks again. */
void manager_note_deployment(const struct manager *m, struct managed *d);
/* One that did not end well is tried again, soon. */
void manager_deploy_again(const struct manager *m, struct managed *d);

/* manager_old.c */
void manager_clear_old(struct manager *m, int64_t now);
void manager_old_free(struct manager_old *o);

/* manager_import.c */
void manager_import_waiting(struct manager *m); /* those that nothing holds up any more */
void manager_import_end(struct manager *m);     /* nobody waits any longer */

/* manager_jobs.c */
void manager_obtain(struct manager *m, struct managed *d);
void manager_revoke(struct manager *m, struct managed *d);
void manager_cancel(struct managed *d);
/* Cancels its job, unless a person waits for that. True when there is one that ends soon. */
bool manager_interrupt(struct managed *d);
bool manager_is_ordering(const struct managed *d);
#endif
