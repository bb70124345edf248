#include "tests/linesim/command.h"

#include "tests/linesim/conn.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

const char command_help[] =
    "  set [up|down] KEY VALUE [KEY VALUE ...]\n"
    "                       delay 50ms, jitter 5ms, rate 1mbit (each may be none), queue 64k\n"
    "  stall [up|down]      hold all bytes; they arrive after `go`, nothing is lost\n"
    "  swallow [up|down]    read and throw away all bytes, ends and resets, also what is on the line now;\n"
    "                       whoever connects is accepted, but the target never hears of it. A connection\n"
    "                       that lost anything stays silent in that direction for good, even after `go`:\n"
    "                       it is half-open\n"
    "  go [up|down]         end stall or swallow\n"
    "  reset [ID]           end one connection, or all, by a RST to both sides at once\n"
    "  cut [ID]             end one connection, or all, by a FIN to both sides at once\n"
    "  refuse on|off        close the ports, so that connections are refused, or open them again\n"
    "  stats                settings, counters and listeners; with all that `list` says\n"
    "  list                 the connections and their bytes\n";

/* ---- answers ---- */

static const char *mode_name(enum line_mode mode)
{
    return mode == LINE_STALLS ? "stalls" : mode == LINE_SWALLOWS ? "swallows" : "flows";
}

static json_t *json_of_direction(const struct sim *s, int d)
{
    const struct line *line = &s->line[d];

    return json_pack("{s:s, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "mode", mode_name(line->mode),
                     "delay_ms", (double)line->conf.delay_ns / 1e6, "jitter_ms",
                     (double)line->conf.jitter_ns / 1e6, "rate_bits", (json_int_t)line->conf.rate * 8,
                     "queue_bytes", (json_int_t)line->conf.queue_bytes, "in", (json_int_t)s->in[d], "out",
                     (json_int_t)s->out[d], "lost", (json_int_t)s->lost[d], "queued",
                     (json_int_t)line->queued_bytes, "flying", (json_int_t)line->flying_bytes);
}

static json_t *json_of_listener(const struct listener *l)
{
    char *address = address_text(&l->address), *target = address_text(&l->target);
    json_t *json = json_pack("{s:s, s:i, s:s, s:b}", "address", address, "port", address_port(&l->address),
                             "target", target, "refuses", l->watch.fd < 0);

    free(address);
    free(target);
    return json;
}

static json_t *json_of_flow(const struct flow *f)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:b}", "in", (json_int_t)f->in, "out", (json_int_t)f->out, "held",
                     (json_int_t)f->bytes.len, "lost", (json_int_t)f->lost_bytes, "silent", f->lost);
}

static json_t *json_of_connections(const struct sim *s)
{
    json_t *list = json_array();

    for (const struct conn *c = TAILQ_FIRST(&s->conns); c; c = TAILQ_NEXT(c, link))
        json_array_append_new(list, json_pack("{s:i, s:i, s:o, s:o}", "id", (int)c->id, "listener",
                                              (int)c->listener->index, "up", json_of_flow(&c->flow[UP]),
                                              "down", json_of_flow(&c->flow[DOWN])));
    return list;
}

/* ---- commands ---- */

struct request {
    struct str words; /* behind the command's name */
    json_t *answer;
    struct err why;
};

static int run_set(struct sim *s, struct request *r)
{
    struct line_conf conf[2] = { s->line[UP].conf, s->line[DOWN].conf };

    if (settings_read(conf, r->words, &r->why) != 0)
        return -1;
    sim_set(s, conf);
    return 0;
}

static int set_mode(struct sim *s, struct request *r, enum line_mode mode)
{
    struct str word;
    int from, to;

    settings_directions(&r->words, &from, &to);
    if (str_next_word(&r->words, "", &word))
        return err_set(&r->why, ERR_INPUT, "%.*s: not up, down, or nothing for both", STR_ARG(word));
    for (int d = from; d <= to; d++)
        sim_set_mode(s, d, mode);
    return 0;
}

static int run_stall(struct sim *s, struct request *r)
{
    return set_mode(s, r, LINE_STALLS);
}

static int run_swallow(struct sim *s, struct request *r)
{
    return set_mode(s, r, LINE_SWALLOWS);
}

static int run_go(struct sim *s, struct request *r)
{
    return set_mode(s, r, LINE_FLOWS);
}

/* Ends the connection named by the word, or all of them, and answers how many. */
static int end_connections(struct sim *s, struct request *r, void (*end)(struct conn *c))
{
    struct conn *c = TAILQ_FIRST(&s->conns), *next;
    struct str word;
    bool one = str_next_word(&r->words, "", &word);
    int ended = 0;

    for (; c; c = next) {
        char id[16];

        next = TAILQ_NEXT(c, link);
        snprintf(id, sizeof id, "%u", c->id);
        if (one && !str_eq(word, id))
            continue;
        end(c);
        ended++;
    }
    if (one && ended == 0)
        return err_set(&r->why, ERR_MISSING, "%.*s: no such connection; `list` shows them", STR_ARG(word));
    json_object_set_new(r->answer, "ended", json_integer(ended));
    return 0;
}

static int run_reset(struct sim *s, struct request *r)
{
    return end_connections(s, r, conn_reset);
}

static int run_cut(struct sim *s, struct request *r)
{
    return end_connections(s, r, conn_cut);
}

static int run_refuse(struct sim *s, struct request *r)
{
    struct str word;

    str_next_word(&r->words, "", &word);
    if (!str_eq(word, "on") && !str_eq(word, "off"))
        return err_set(&r->why, ERR_INPUT, "%.*s: not on or off", STR_ARG(word));
    for (size_t i = 0; i < s->listeners_n; i++)
        if (listener_refuse(&s->listeners[i], str_eq(word, "on"), &r->why) != 0)
            return -1;
    return 0;
}

static int run_list(struct sim *s, struct request *r)
{
    json_object_set_new(r->answer, "connections", json_of_connections(s));
    return 0;
}

static int run_stats(struct sim *s, struct request *r)
{
    json_t *listeners = json_array();

    for (size_t i = 0; i < s->listeners_n; i++)
        json_array_append_new(listeners, json_of_listener(&s->listeners[i]));
    json_object_set_new(r->answer, "up", json_of_direction(s, UP));
    json_object_set_new(r->answer, "down", json_of_direction(s, DOWN));
    json_object_set_new(r->answer, "listeners", listeners);
    return run_list(s, r);
}

static const struct command {
    const char *name;
    int (*run)(struct sim *s, struct request *r);
    int words_min, words_max;
} commands[] = {
    { "set", run_set, 2, 9 },       { "stall", run_stall, 0, 1 }, { "swallow", run_swallow, 0, 1 },
    { "go", run_go, 0, 1 },         { "reset", run_reset, 0, 1 }, { "cut", run_cut, 0, 1 },
    { "refuse", run_refuse, 1, 1 }, { "stats", run_stats, 0, 0 }, { "list", run_list, 0, 0 },
};

static int count_words(struct str text)
{
    struct str word;
    int n = 0;

    while (str_next_word(&text, "", &word))
        n++;
    return n;
}

static int run(struct sim *s, struct request *r)
{
    int words = count_words(r->words) - 1;
    struct str name;

    str_next_word(&r->words, "", &name);
    for (const struct command *c = commands; c < commands + sizeof commands / sizeof *commands; c++) {
        if (!str_eq(name, c->name))
            continue;
        if (words < c->words_min || words > c->words_max)
            return err_set(&r->why, ERR_INPUT, "%s with %d words; linesim --help shows how it is used",
                           c->name, words);
        return c->run(s, r);
    }
    return err_set(&r->why, ERR_INPUT, "no such command; linesim --help lists them");
}

void command_run(struct sim *s, struct str line, struct buf *answer)
{
    struct request r = { .words = line, .answer = json_pack("{s:b}", "ok", 1) };
    char *text;

    if (run(s, &r) != 0) {
        json_decref(r.answer);
        r.answer = json_pack("{s:b, s:s}", "ok", 0, "error", r.why.text); /* NULL for what is not UTF-8 */
    }
    text = r.answer ? json_dumps(r.answer, JSON_COMPACT) : NULL;
    buf_printf(answer, "%s\n", text ? text : "{\"ok\":false,\"error\":\"not UTF-8\"}");
    free(text);
    json_decref(r.answer);
}
