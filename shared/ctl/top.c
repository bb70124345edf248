/* tunnelctl top: live traffic, from what changes between two answers of the daemon. */
#include "shared/ctl/ctl.h"
#include "shared/ctl/screen.h"
#include "shared/ctl/table.h"
#include "shared/ctl/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EVERY_MS = 1000, SHOWN = 200, TABLES = 16 };

struct top {
    json_t *before; /* the answer that was shown last; NULL: none */
    double before_s;
    struct buf tables[TABLES]; /* what is to be shown now */
    size_t n;
};

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- rates ---- */

struct rate {
    char text[24];
};

static double value_of(const json_t *entry, const char *key)
{
    return (double)json_integer_value(json_object_get(entry, key));
}

/* A counter that began anew has only what it shows. */
static double change(const json_t *now, const json_t *before, const char *key)
{
    double n = value_of(now, key), m = before ? value_of(before, key) : n;

    return n >= m ? n - m : n;
}

static const char *per_second(const json_t *now, const json_t *before, const char *key, double seconds,
                              struct rate *out)
{
    double n = change(now, before, key) / seconds;

    snprintf(out->text, sizeof out->text, n > 0 && n < 9.95 ? "%.1f" : "%.0f", n);
    return out->text;
}

static const char *bytes_per_second(const json_t *now, const json_t *before, const char *key, double seconds,
                                    struct rate *out)
{
    static const char *const units[] = { "B/s", "kB/s", "MB/s", "GB/s" };
    double n = change(now, before, key) / seconds;
    size_t i = 0;

    for (; n >= 1000 && i < 3; i++)
        n /= 1000;
    snprintf(out->text, sizeof out->text, i > 0 && n < 10 ? "%.1f %s" : "%.0f %s", n, units[i]);
    return out->text;
}

static const char *number(const json_t *entry, const char *key, struct rate *out)
{
    snprintf(out->text, sizeof out->text, "%lld", json_integer_value(json_object_get(entry, key)));
    return out->text;
}

/* ---- tables ---- */

static bool is_same(const json_t *a, const json_t *b, const char *const keys[2])
{
    for (int i = 0; i < 2; i++)
        if (keys[i] && !json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i])))
            return false;
    return true;
}

/* The entry that was the same thing before. */
static const json_t *find(const json_t *list, const json_t *entry, const char *const keys[2])
{
    const json_t *other;
    size_t i;

    json_array_foreach(list, i, other)
    {
        if (is_same(entry, other, keys))
            return other;
    }
    return NULL;
}

struct line {
    const json_t *now, *before;
    double busy;
};

static int busiest_first(const void *a, const void *b)
{
    const struct line *x = a, *y = b;

    return x->busy > y->busy ? -1 : x->busy < y->busy ? 1 : 0;
}

static size_t sort(const json_t *now, const json_t *before, const char *const keys[2],
                   const char *const counts[2], struct line **lines)
{
    size_t n = json_array_size(now), i;
    const json_t *entry;

    *lines = calloc(n + 1, sizeof **lines);
    if (!*lines)
        return 0;
    json_array_foreach(now, i, entry)
    {
        const json_t *was = find(before, entry, keys);

        (*lines)[i] =
            (struct line){ entry, was, change(entry, was, counts[0]) + change(entry, was, counts[1]) };
    }
    qsort(*lines, n, sizeof **lines, busiest_first);
    return n;
}

/* Tables beyond the last one stand behind that. */
static void add(struct top *top, struct table *table, size_t left_out)
{
    struct buf *out = &top->tables[top->n < TABLES ? top->n++ : TABLES - 1];

    if (table->rows > 1) {
        buf_add_text(out, "\n");
        table_print(out, table);
    }
    if (left_out > 0)
        buf_printf(out, "  and %zu further ones, which have less to do\n", left_out);
    table_free(table);
}

/* On a terminal as much of each as fits below the first line, and above the last, where something may be typed. */
static void print_all(struct top *top)
{
    const struct screen screen = screen_of_stdout();
    size_t needs[TABLES], gets[TABLES];

    for (size_t i = 0; i < top->n; i++)
        needs[i] = screen_lines(&screen, buf_text(&top->tables[i]));
    screen_share(screen.lines > 2 ? screen.lines - 2 : 0, needs, gets, top->n);
    for (size_t i = 0; i < top->n; i++) {
        if (screen.lines > 0)
            screen_cut(&screen, &top->tables[i], gets[i], ", which have less to do");
        fputs(buf_text(&top->tables[i]), stdout);
        buf_free(&top->tables[i]);
    }
    top->n = 0;
}

static void show_domains(struct top *top, const json_t *now, const json_t *before, double seconds)
{
    static const char *const headings[] = { "DOMAIN", "STATE", "REQUESTS/S", "ERRORS/S",
                                            "PARKED", "IN",    "OUT",        "REQUESTS" };
    static const char *const keys[2] = { "name", NULL }, *const counts[2] = { "requests", "errors" };
    struct line *lines;
    size_t n = sort(now, before, keys, counts, &lines);
    struct table table;

    table_init(&table, 8, headings);
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        struct rate requests, errors, parked, in, out, all;
        const struct line *l = &lines[i];

        table_row(&table,
                  (const char *const[]){ ctl_text(l->now, "name"), ctl_text(l->now, "state"),
                                         per_second(l->now, l->before, "requests", seconds, &requests),
                                         per_second(l->now, l->before, "errors", seconds, &errors),
                                         number(l->now, "parked", &parked),
                                         bytes_per_second(l->now, l->before, "bytes_in", seconds, &in),
                                         bytes_per_second(l->now, l->before, "bytes_out", seconds, &out),
                                         number(l->now, "requests", &all) });
    }
    add(top, &table, n > SHOWN ? n - SHOWN : 0);
    free(lines);
}

/* Lanes, and ports, which have names instead of numbers. who: the member that says whose it is, or the text itself. */
static void show_bytes(struct top *top, const json_t *now, const json_t *before, double seconds,
                       const char *title, const char *who, const char *whose)
{
    const char *const headings[] = { title, "OF", "OPEN", "IN", "OUT" };
    static const char *const counts[2] = { "bytes_in", "bytes_out" };
    const bool lanes = strcmp(title, "LANE") == 0;
    const char *const keys[2] = { lanes ? "lane" : "name", who };
    struct line *lines;
    size_t n = sort(now, before, keys, counts, &lines);
    struct table table;

    table_init(&table, 5, headings);
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        struct rate name, open, in, out;
        const struct line *l = &lines[i];

        table_row(&table,
                  (const char *const[]){ lanes ? number(l->now, "lane", &name) : ctl_text(l->now, "name"),
                                         who ? ctl_text(l->now, who) : whose,
                                         number(l->now, lanes ? "streams" : "connections", &open),
                                         bytes_per_second(l->now, l->before, "bytes_in", seconds, &in),
                                         bytes_per_second(l->now, l->before, "bytes_out", seconds, &out) });
    }
    add(top, &table, n > SHOWN ? n - SHOWN : 0);
    free(lines);
}

/* ---- the command ---- */

static void show_relays(struct top *top, const json_t *now, const json_t *before, double seconds)
{
    static const char *const keys[2] = { "name", NULL };
    const json_t *relay;
    size_t i;

    json_array_foreach(now, i, relay)
        show_bytes(top, json_object_get(relay, "lanes"), json_object_get(find(before, relay, keys), "lanes"),
                   seconds, "LANE", NULL, ctl_text(relay, "name"));
}

static enum ctl_exit show(struct ctl *c, void *user)
{
    struct top *top = user;
    json_t *now;
    enum ctl_exit result = ctl_ask(c, "GET", "/v1/status", &now);
    double at = now_s(), seconds = at - top->before_s;

    if (result != CTL_WELL)
        return result;
    if (top->before) {
        bool relay = strcmp(ctl_text(now, "role"), "relay") == 0;

        seconds = seconds > 0.001 ? seconds : 0.001;
        ctl_say(stdout, "tunnel-%s  %s  in the last %.1f s", ctl_text(now, "role"), ctl_text(now, "name"),
                seconds);
        if (relay) {
            show_domains(top, json_object_get(now, "domains"), json_object_get(top->before, "domains"),
                         seconds);
            show_bytes(top, json_object_get(now, "lanes"), json_object_get(top->before, "lanes"), seconds,
                       "LANE", "agent", "");
        } else {
            show_relays(top, json_object_get(now, "relays"), json_object_get(top->before, "relays"), seconds);
        }
        if (json_array_size(json_object_get(now, "tcp")) > 0)
            show_bytes(top, json_object_get(now, "tcp"), json_object_get(top->before, "tcp"), seconds, "PORT",
                       "listen", "");
        print_all(top);
    }
    json_decref(top->before);
    top->before = now;
    top->before_s = at;
    return CTL_WELL;
}

enum ctl_exit ctl_top(struct ctl *c)
{
    struct top top = { 0 };
    enum ctl_exit result;

    if (c->argc > 0)
        return ctl_wrong_usage("top takes no argument, but was given %s", c->argv[0]);
    if (c->json)
        return ctl_wrong_usage("top counts for a person; for scripts there is status --json, twice");
    watch_begin();
    result = show(c, &top);
    if (result == CTL_WELL && watch_sleep(EVERY_MS))
        result = watch_screen(c, EVERY_MS, !isatty(STDOUT_FILENO), show, &top);
    json_decref(top.before);
    return result;
}
