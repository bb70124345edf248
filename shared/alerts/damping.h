/* shared/alerts/damping.h - which of what is seen is worth an alert. Pure: what time it is, is an argument.
 *
 * A value. It is shown every few seconds all that there is to look after, each well or in trouble. Trouble is told of once it
 * has lasted for its damping time; its end once it has been over for a while, and that while grows with each time that the same
 * thing was told of within the last hour: what comes and goes is told of a few times, and not without end. What was not told
 * of as bad is not told of as good. */
#ifndef SHARED_ALERTS_DAMPING_H
#define SHARED_ALERTS_DAMPING_H
#include "shared/alerts/event.h"
#include "shared/arena.h"

enum {
    DAMPING_USUAL_MS = 60 * 1000,
    DAMPING_WELL_MS = 10 * 1000, /* over for so long, the first time; then four times as long each */
    DAMPING_WELL_MAX_MS = 15 * 60 * 1000,
    DAMPING_HOUR_MS = 60 * 60 * 1000,
    DAMPING_GONE_MS = 10 * 60 * 1000, /* not there for so long: nobody looks after it any more */
};

/* One thing that is looked after. */
struct trouble {
    enum event_kind kind;
    const char *subject;
    int grade;                /* 0: well; a higher one than was told of is told of, too */
    bool unsure;              /* just now nobody can say: neither is anything told, nor over */
    int64_t damp_ms, since_s; /* since_s: 0, when it is not known */
    const char *why, *remedy;
};

struct troubles {
    struct arena texts; /* of whoever fills it */
    struct trouble *list;
    size_t n;
};

void troubles_add(struct troubles *t, const struct trouble *trouble); /* its texts are borrowed */
void troubles_free(struct troubles *t);

struct damping {
    struct damped *list;
    size_t n;
};

void damping_free(struct damping *d);
/* tell gets each event, whose id is 0 yet. */
void damping_look(struct damping *d, const struct troubles *seen, int64_t now_ms, int64_t now_s,
                  void (*tell)(void *user, const struct event *event), void *user);
/* What was told of and is not over: for the time after a restart. A new reference. */
json_t *damping_json(const struct damping *d);
/* Once, at the start; what cannot be understood is left out. */
void damping_recall(struct damping *d, const json_t *json, int64_t now_ms);
#endif
