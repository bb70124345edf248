/* relay/edge/machine.h - a machine at the other end of lanes, as one worker knows it: whether it may have died, which of
 * its services cannot be had, and when they are tried again. Pure: the time is an argument.
 *
 * An object, one for all lanes of one run of an agent. */
#ifndef RELAY_EDGE_MACHINE_H
#define RELAY_EDGE_MACHINE_H
#include "shared/lane_types.h"

enum {
    MACHINE_SUSPECT_MS = 1000,       /* within this time it is known which of its lanes have died */
    MACHINE_TRIAL_MS = 1000,         /* after this a service that failed is tried again, */
    MACHINE_LAST_TRIAL_MS = 8000,    /* and then more and more rarely, up to this. */
    MACHINE_SILENT_TRIAL_MS = 30000, /* One that does not answer keeps whoever tries it waiting. */
    MACHINE_RATED_MS = 100,          /* how often it is looked at whether it is brisk */
    MACHINE_BRISK = 1000,            /* streams a second, */
    MACHINE_SHORT_BYTES = 16384      /* which bring no more than that each, on average */
};

struct machine_pace {
    int64_t rated_at_ms;
    unsigned long long done, bytes; /* since then */
    bool brisk;
};

struct machine {
    struct machine *next; /* its owner's list */
    char *agent, *boot;
    unsigned lanes;           /* that lead to it */
    unsigned long long turn;  /* when it was chosen last, as its owner counts */
    unsigned long long asked; /* of which choice `load` is */
    long long load;           /* requests in progress, by all workers */
    struct machine_pace pace; /* of this worker's requests */
    uint64_t together;        /* the lane on which short ones keep together; 0: none yet */
    int64_t suspect_until_ms;
    int64_t left_at_ms; /* no lane leads there any more that takes what is new; 0: some does */
    struct machine_doubt *doubts;
    unsigned doubts_n;
};

struct machine *machine_new(const char *agent, const char *boot);
void machine_free(struct machine *m);

/* A stream has ended that nobody explains. */
void machine_note_lost(struct machine *m, int64_t now_ms);
bool machine_is_suspect(const struct machine *m, int64_t now_ms);

/* Somebody has done with a stream, which has brought so much; and whether that happens often, with little each time. */
void machine_note_done(struct machine *m, uint64_t bytes, int64_t now_ms);
bool machine_is_brisk(const struct machine *m, int64_t now_ms);

/* A request has found the service down, or was answered by it. */
void machine_note_failed(struct machine *m, const char *item, const char *route, enum lane_service how,
                         int64_t now_ms);
void machine_note_answered(struct machine *m, const char *item, const char *route);
/* What its agent says, all of it: between these two each service that is down. */
void machine_begin_news(struct machine *m);
void machine_note_told(struct machine *m, const char *item, const char *route, enum lane_service how,
                       int64_t now_ms);
void machine_end_news(struct machine *m);

enum machine_health { MACHINE_WELL, MACHINE_TRIAL /* is due */, MACHINE_ILL };
enum machine_health machine_health(const struct machine *m, const char *item, const char *route,
                                   int64_t now_ms);
/* A request goes there: if a trial is due, this is it, and no other one is until the next is due. */
void machine_begin_trial_if_due(struct machine *m, const char *item, const char *route, int64_t now_ms);
#endif
