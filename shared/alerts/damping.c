#include "shared/alerts/damping.h"

#include "shared/json.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

enum { NEVER = -1 };

struct damped {
    enum event_kind kind;
    char *subject;
    int told;      /* the grade that was told of; 0: none, or its end was */
    unsigned many; /* times that trouble was told of, within an hour of each other */
    int64_t since_s;
    int64_t began_ms, over_ms, missing_ms, told_ms; /* NEVER: it is not so */
    bool seen;
};

void troubles_add(struct troubles *t, const struct trouble *trouble)
{
    if ((t->n & (t->n - 1)) == 0) /* room is doubled whenever the number is a power of two */
        t->list = mem_grow(t->list, (t->n * 2 + 1) * sizeof *t->list);
    t->list[t->n++] = *trouble;
}

void troubles_free(struct troubles *t)
{
    arena_free(&t->texts);
    free(t->list);
    t->list = NULL;
    t->n = 0;
}

void damping_free(struct damping *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->list[i].subject);
    free(d->list);
    *d = (struct damping){ 0 };
}

static struct damped *find(const struct damping *d, enum event_kind kind, const char *subject)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->list[i].kind == kind && strcmp(d->list[i].subject, subject) == 0)
            return &d->list[i];
    return NULL;
}

static struct damped *add(struct damping *d, enum event_kind kind, const char *subject)
{
    d->list = mem_grow(d->list, (d->n + 1) * sizeof *d->list);
    d->list[d->n] = (struct damped){
        .kind = kind, .subject = mem_copy(subject), .began_ms = NEVER, .over_ms = NEVER, .missing_ms = NEVER
    };
    return &d->list[d->n++];
}

/* ---- one look ---- */

struct look {
    int64_t now_ms, now_s;
    void (*tell)(void *user, const struct event *event);
    void *user;
};

static void tell(const struct look *look, const struct damped *it, enum event_state state, const char *why,
                 const char *remedy, int64_t since_s)
{
    int64_t lasted_s = look->now_s >= it->since_s ? look->now_s - it->since_s : -1;
    struct event event;

    event_make(&event, it->kind, it->subject, state, why, remedy, lasted_s);
    event.at_s = look->now_s;
    event.since_s = since_s;
    look->tell(look->user, &event);
}

static int64_t over_for_ms(const struct damped *it)
{
    int64_t ms = DAMPING_WELL_MS;

    for (unsigned i = 1; i < it->many && ms < DAMPING_WELL_MAX_MS; i++)
        ms *= 4;
    return ms < DAMPING_WELL_MAX_MS ? ms : DAMPING_WELL_MAX_MS;
}

static void note_bad(struct damped *it, const struct trouble *t, const struct look *look)
{
    it->over_ms = NEVER;
    if (it->began_ms == NEVER) {
        it->began_ms = look->now_ms;
        if (it->told == 0)
            it->since_s = t->since_s > 0 ? t->since_s : look->now_s;
    }
    if (t->grade <= it->told || look->now_ms - it->began_ms < t->damp_ms)
        return;
    it->told = t->grade;
    it->told_ms = look->now_ms;
    it->many++;
    tell(look, it, EVENT_BAD, t->why, t->remedy, it->since_s);
}

static void note_good(struct damped *it, const struct trouble *t, const struct look *look)
{
    it->began_ms = NEVER;
    if (it->told == 0)
        return;
    if (it->over_ms == NEVER)
        it->over_ms = look->now_ms;
    if (look->now_ms - it->over_ms < over_for_ms(it))
        return;
    it->told = 0;
    it->told_ms = look->now_ms;
    tell(look, it, EVENT_GOOD, "", "",
         t->since_s > 0 ? t->since_s : look->now_s - (look->now_ms - it->over_ms) / 1000);
    it->over_ms = NEVER;
}

static void note_missing(struct damped *it, const struct look *look)
{
    it->began_ms = NEVER;
    it->over_ms = NEVER;
    if (it->missing_ms == NEVER)
        it->missing_ms = look->now_ms;
    if (it->told == 0 || look->now_ms - it->missing_ms < DAMPING_GONE_MS)
        return;
    it->told = 0;
    it->told_ms = look->now_ms;
    tell(look, it, EVENT_GONE, "", "", look->now_s - (look->now_ms - it->missing_ms) / 1000);
}

static void forget(struct damping *d, const struct look *look)
{
    size_t kept = 0;

    for (size_t i = 0; i < d->n; i++) {
        struct damped *it = &d->list[i];

        if (it->told > 0 || it->began_ms != NEVER ||
            (it->many > 0 && look->now_ms - it->told_ms < DAMPING_HOUR_MS))
            d->list[kept++] = *it;
        else
            free(it->subject);
    }
    d->n = kept;
}

void damping_look(struct damping *d, const struct troubles *seen, int64_t now_ms, int64_t now_s,
                  void (*tell_user)(void *user, const struct event *event), void *user)
{
    const struct look look = { now_ms, now_s, tell_user, user };

    for (size_t i = 0; i < d->n; i++)
        d->list[i].seen = false;
    for (size_t i = 0; i < seen->n; i++) {
        const struct trouble *t = &seen->list[i];
        struct damped *it = find(d, t->kind, t->subject);

        if (!it && (t->grade == 0 || t->unsure))
            continue;
        if (!it)
            it = add(d, t->kind, t->subject);
        it->seen = true;
        it->missing_ms = NEVER;
        if (t->unsure)
            continue;
        if (t->grade > 0)
            note_bad(it, t, &look);
        else
            note_good(it, t, &look);
    }
    for (size_t i = 0; i < d->n; i++)
        if (!d->list[i].seen)
            note_missing(&d->list[i], &look);
    forget(d, &look);
}

/* ---- over a restart ---- */

json_t *damping_json(const struct damping *d)
{
    json_t *list = json_array();

    for (size_t i = 0; i < d->n; i++) {
        const struct damped *it = &d->list[i];

        if (it->told > 0)
            json_array_append_new(list,
                                  json_pack("{s:s, s:o, s:i, s:i, s:o}", "kind", event_kind_text(it->kind),
                                            "subject", json_any_text(it->subject), "grade", it->told, "times",
                                            (int)(it->many < 100 ? it->many : 100), "since",
                                            json_time((time_t)it->since_s)));
    }
    return list;
}

void damping_recall(struct damping *d, const json_t *json, int64_t now_ms)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(json, i, entry)
    {
        const char *kind, *subject;
        int64_t grade, times, since_s;
        enum event_kind known;
        struct damped *it;

        if (json_get_text(entry, "kind", 32, &kind, NULL) != 0 || !event_kind_read(kind, &known) ||
            json_get_text(entry, "subject", EVENT_SUBJECT_BYTES, &subject, NULL) != 0 ||
            json_get_int(entry, "grade", 1, 100, &grade, NULL) != 0 ||
            json_get_int(entry, "times", 1, 100, &times, NULL) != 0 ||
            json_get_time(entry, "since", &since_s, NULL) != 0 || find(d, known, subject))
            continue;
        it = add(d, known, subject);
        it->told = (int)grade;
        it->many = (unsigned)times;
        it->since_s = since_s;
        it->told_ms = now_ms;
    }
}
