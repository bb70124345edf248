/* {"v": 1, "events": [{limit, directory, what, at, until}]}: each counts until then, and is forgotten. */
#include "relay/certs/limits.h"

#include "shared/buf.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    HOUR_S = 3600,
    ACCOUNT_S = 3 * HOUR_S,
    DAY_S = 86400,
    WEEK_S = 7 * DAY_S,
    FILE_VERSION = 1,
    FILE_BYTES = 64 * 1024 * 1024,
    MAX_EVENTS = 200000,
    TEXT_BYTES = 64 * 1024,
    EXEMPT_PART =
        2, /* how much more often an exempt renewal may be: an authority that always says "now" is wrong */
};

enum limit { PER_SET, PER_FAILURE, PER_ACCOUNT, PER_AGENT, LIMITS };

static const struct {
    const char *word, *text; /* text: how a person reads it, behind a number */
    int64_t window_s;
} limits[LIMITS] = {
    [PER_SET] = { "certificates", "certificates for the same names within 7 days", WEEK_S },
    [PER_FAILURE] = { "failed-validations", "failed validations of one name within an hour", HOUR_S },
    [PER_ACCOUNT] = { "orders", "orders within 3 hours", ACCOUNT_S },
    [PER_AGENT] = { "agent", "orders for one agent within a day", DAY_S },
};

/* How many there may be; 0: any number. An authority that is not known is asked for short-lived certificates, too: there a
 * certificate counts for as long as it lives, if that is less than the window. */
static const struct authority {
    const char *prefix;
    unsigned max[LIMITS];
    bool by_life;
} authorities[] = {
    { "https://acme-v02.api.letsencrypt.org/", { 5, 5, 300 }, false },
    { "https://acme-staging-v02.api.letsencrypt.org/", { 30000, 200, 1500 }, false },
    { "", { 5, 50, 0 }, true },
};

struct event {
    enum limit limit;
    char *directory, *what; /* what: the names in order, one name, or an agent */
    int64_t at, until;
};

struct limits {
    struct event *events;
    size_t n;
};

static const struct authority *authority_of(const char *directory)
{
    const struct authority *a = authorities;

    while (strncmp(a->prefix, directory, strlen(a->prefix)) != 0)
        a++; /* the last one's prefix begins everything */
    return a;
}

struct limits *limits_new(void)
{
    return mem_new(sizeof(struct limits));
}

static void event_free(struct event *event)
{
    free(event->directory);
    free(event->what);
}

void limits_free(struct limits *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        event_free(&l->events[i]);
    free(l->events);
    free(l);
}

/* ---- counting ---- */

/* Those that count no more are forgotten. Those of a time that is still to come are of a clock that was wrong: they
 * happened just now. */
static void mend(struct limits *l, int64_t now)
{
    size_t kept = 0;

    for (size_t i = 0; i < l->n; i++) {
        struct event event = l->events[i];

        l->events[i] = (struct event){ 0 };
        if (event.at > now) {
            event.until -= event.at - now;
            event.at = now;
        }
        if (event.until > now)
            l->events[kept++] = event;
        else
            event_free(&event);
    }
    l->n = kept;
}

static void add(struct limits *l, enum limit limit, const char *directory, const char *what, int64_t at,
                int64_t until)
{
    if (l->n % 64 == 0)
        l->events = mem_grow(l->events, (l->n + 64) * sizeof *l->events);
    l->events[l->n++] = (struct event){ limit, mem_copy(directory), mem_copy(what), at, until };
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *set_of(const struct limits_order *o)
{
    const char **sorted = mem_new((o->names_n + 1) * sizeof *sorted);
    struct buf text = { 0 };
    char *set;

    for (size_t i = 0; i < o->names_n; i++)
        sorted[i] = o->names[i];
    qsort(sorted, o->names_n, sizeof *sorted, compare_names);
    for (size_t i = 0; i < o->names_n; i++)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", sorted[i]);
    set = mem_copy(buf_text(&text));
    buf_free(&text);
    free(sorted);
    return set;
}

void limits_ordered(struct limits *l, const struct limits_order *o, int64_t now)
{
    mend(l, now);
    if (o->exempt)
        return;
    add(l, PER_ACCOUNT, o->directory, "", now, now + limits[PER_ACCOUNT].window_s);
    if (o->agent)
        add(l, PER_AGENT, "", o->agent, now, now + limits[PER_AGENT].window_s);
}

void limits_issued(struct limits *l, const struct limits_order *o, int64_t life_s, int64_t now)
{
    char *set = set_of(o);
    int64_t window = limits[PER_SET].window_s;

    mend(l, now);
    if (authority_of(o->directory)->by_life && life_s < window)
        window = life_s;
    add(l, PER_SET, o->directory, set, now, now + window);
    free(set);
}

void limits_validation_failed(struct limits *l, const char *directory, const char *name, int64_t now)
{
    mend(l, now);
    add(l, PER_FAILURE, directory, name, now, now + limits[PER_FAILURE].window_s);
}

/* ---- asking ---- */

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* When there is room for one more; 0: now. */
static int64_t free_at_of(const struct limits *l, enum limit limit, const char *directory, const char *what,
                          unsigned max)
{
    int64_t *until = mem_new((l->n + 1) * sizeof *until), at = 0;
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        const struct event *event = &l->events[i];

        if (event->limit == limit && strcmp(event->directory, directory) == 0 &&
            strcmp(event->what, what) == 0)
            until[n++] = event->until;
    }
    qsort(until, n, sizeof *until, compare_times);
    if (max > 0 && n >= max)
        at = until[n - max];
    free(until);
    return at;
}

/* Of several limits the farthest is told. */
struct answer {
    const struct limits *l;
    int64_t free_at;
    struct err why;
};

static void look(struct answer *a, enum limit limit, const char *directory, const char *what, unsigned max)
{
    int64_t at = free_at_of(a->l, limit, directory, what, max);
    char date[32];
    time_t when = (time_t)at;
    struct tm tm;

    if (at <= a->free_at)
        return;
    a->free_at = at;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&when, &tm));
    err_set(
        &a->why, ERR_LIMIT,
        "%.120s: %u %s are the limit, which is kept here so that the authority need not; the next may be at %s",
        *what ? what : directory, max, limits[limit].text, date);
}

int limits_check(struct limits *l, const struct limits_order *o, int64_t now, int64_t *free_at, struct err *e)
{
    const unsigned *max = authority_of(o->directory)->max;
    struct answer a = { .l = l };
    char *set = set_of(o);

    mend(l, now);
    look(&a, PER_SET, o->directory, set, o->exempt ? max[PER_SET] * EXEMPT_PART : max[PER_SET]);
    free(set);
    for (size_t i = 0; i < o->names_n && !o->exempt; i++)
        look(&a, PER_FAILURE, o->directory, o->names[i], max[PER_FAILURE]);
    if (!o->exempt)
        look(&a, PER_ACCOUNT, o->directory, "", max[PER_ACCOUNT]);
    if (!o->exempt && o->agent)
        look(&a, PER_AGENT, "", o->agent, o->per_day);
    *free_at = a.free_at;
    return a.free_at == 0 ? 0 : err_set(e, ERR_LIMIT, "%s", a.why.text);
}

/* ---- disk ---- */

json_t *limits_write(const struct limits *l)
{
    json_t *events = json_array();

    for (size_t i = 0; i < l->n; i++) {
        const struct event *event = &l->events[i];

        json_array_append_new(
            events, json_pack("{s:s, s:o, s:o, s:o, s:o}", "limit", limits[event->limit].word, "directory",
                              json_any_text(event->directory), "what", json_any_text(event->what), "at",
                              json_time((time_t)event->at), "until", json_time((time_t)event->until)));
    }
    return json_pack("{s:i, s:o}", "v", FILE_VERSION, "events", events);
}

static int read_event(struct limits *l, const json_t *one, struct err *e)
{
    const char *word, *directory, *what;
    int64_t at, until;

    if (json_get_text(one, "limit", TEXT_BYTES, &word, e) != 0 ||
        json_get_text(one, "directory", TEXT_BYTES, &directory, e) != 0 ||
        json_get_text(one, "what", TEXT_BYTES, &what, e) != 0 || json_get_time(one, "at", &at, e) != 0 ||
        json_get_time(one, "until", &until, e) != 0)
        return -1;
    for (unsigned i = 0; i < LIMITS; i++)
        if (strcmp(limits[i].word, word) == 0) {
            add(l, (enum limit)i, directory, what, at, until);
            return 0;
        }
    return err_set(e, ERR_INPUT, "limit %.40s is not known here", word);
}

int limits_read(struct limits *l, const json_t *doc, struct err *e)
{
    const json_t *list;
    int64_t version;
    size_t n;

    if (json_get_int(doc, "v", FILE_VERSION, FILE_VERSION, &version, e) != 0 ||
        json_get_list(doc, "events", MAX_EVENTS, &list, e) != 0)
        return -1;
    n = json_array_size(list);
    for (size_t i = 0; i < n; i++)
        if (read_event(l, json_array_get(list, i), e) != 0)
            return err_wrap(e, "events, number %zu", i + 1);
    return 0;
}

struct limits *limits_load(const char *path, struct err *e)
{
    struct limits *l = limits_new();
    struct buf text = { 0 };
    struct err why = { 0 };
    json_t *doc = NULL;
    int rc = file_read(path, FILE_BYTES, &text, &why);

    if (rc != 0 && why.code == ERR_MISSING)
        rc = 0;
    else if (rc == 0)
        rc = (doc = json_read(buf_bytes(&text), text.len, &why)) ? limits_read(l, doc, &why) : -1;
    json_decref(doc);
    buf_free(&text);
    if (rc == 0)
        return l;
    limits_free(l);
    err_set(e, why.code, "%s: %s; restore it from a backup, or remove it: the counting begins anew", path,
            why.text);
    return NULL;
}

int limits_save(struct limits *l, const char *path, int64_t now, struct err *e)
{
    struct buf text = { 0 };
    json_t *doc;
    int rc;

    mend(l, now);
    doc = limits_write(l);
    json_write(&text, doc);
    rc = file_write(path, buf_bytes(&text), text.len, 0600, e);
    json_decref(doc);
    buf_free(&text);
    return rc;
}
