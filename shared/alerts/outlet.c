#include "shared/alerts/outlet.h"

#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void send_next(struct outlet *o);
static void on_posted(void *user, const struct webhook_end *end);
static void on_run(void *user, const struct hook_end *end);
static void end_if_done(struct outlet *o);

void outlet_init(struct outlet *o, struct loop *loop, const char *option, const struct book *book,
                 const struct outlet_host *host)
{
    *o = (struct outlet){ .loop = loop, .option = option, .book = book, .host = host };
    uv_timer_init(&loop->uv, &o->timer);
    o->timer.data = o;
}

static bool is_webhook(const struct outlet *o)
{
    return strcmp(o->option, "webhook") == 0;
}

static void forget_tries(struct outlet *o)
{
    uv_timer_stop(&o->timer);
    o->tries = 0;
    o->next_s = 0;
}

static void forget_error(struct outlet *o)
{
    free(o->last_error);
    o->last_error = NULL;
}

static void forget_conf(struct outlet *o)
{
    free(o->where);
    free(o->token_file);
    free(o->role);
    free(o->name);
    o->where = o->token_file = o->role = o->name = NULL;
}

static bool is_same(const struct outlet *o, const char *where, const char *token_file)
{
    return o->where && strcmp(o->where, where) == 0 && strcmp(o->token_file, token_file) == 0;
}

void outlet_set(struct outlet *o, const char *where, const char *token_file,
                const struct event_source *source)
{
    bool same = is_same(o, where, token_file);

    o->outdated = o->outdated || !same;
    forget_conf(o);
    if (!*where) {
        o->done_id = o->book->last_id; /* nothing of before is told to whom is named later */
        forget_tries(o);
        forget_error(o);
        return;
    }
    o->where = mem_copy(where);
    o->token_file = mem_copy(token_file);
    o->role = mem_copy(source->role);
    o->name = mem_copy(source->name);
    if (!same) { /* another one may be better, and has no fault yet */
        forget_tries(o);
        forget_error(o);
    }
    outlet_poke(o);
}

void outlet_poke(struct outlet *o)
{
    if (!o->where)
        o->done_id = o->book->last_id;
    else if (!o->stopping && !o->post && !o->hook && o->next_s == 0)
        send_next(o);
}

/* ---- one event ---- */

static bool begin(struct outlet *o, const struct event *event, struct err *e)
{
    const struct event_source source = { o->role, o->name };
    struct event_environment environment;

    if (is_webhook(o)) {
        o->post = webhook_post(o->loop, o->where, o->token_file, event, &source, on_posted, o, e);
        return o->post;
    }
    event_environment(&environment, event, &source);
    o->hook = hook_run(o->loop, o->option, o->where, environment.variables, EVENT_VARIABLES, on_run, o);
    return true;
}

/* True when it was another one before. */
static bool note_error(struct outlet *o, const char *why)
{
    if (!o->last_error)
        o->error_since_s = time(NULL);
    else if (strcmp(o->last_error, why) == 0)
        return false;
    free(o->last_error);
    o->last_error = mem_copy(why);
    return true;
}

/* The oldest one is over, one way or the other. */
static void go_on(struct outlet *o)
{
    const struct event *event = book_after(o->book, o->done_id);

    if (event)
        o->done_id = event->id;
    forget_tries(o);
    o->host->changed(o->host->user);
    send_next(o);
}

static void give_up(struct outlet *o, const char *why)
{
    o->failed++;
    o->given_up++;
    (void)note_error(o, why);
    log_error("an alert is given up", kv_str("option", o->option), kv_int("event", (int64_t)(o->done_id + 1)),
              kv_str("error", why));
    go_on(o);
}

int64_t outlet_wait_ms(unsigned tries)
{
    static const int64_t waits_ms[] = { 1000, 10000, 60000, 600000 };
    const unsigned most = sizeof waits_ms / sizeof *waits_ms;

    return waits_ms[tries < 1 ? 0 : tries > most ? most - 1 : tries - 1];
}

static void on_timer(uv_timer_t *timer)
{
    struct outlet *o = timer->data;

    o->next_s = 0;
    outlet_poke(o);
}

static void try_later(struct outlet *o, const char *why, int64_t at_least_ms)
{
    int64_t wait_ms = outlet_wait_ms(o->tries);

    o->failed++;
    if (at_least_ms > wait_ms)
        wait_ms = at_least_ms < OUTLET_PATIENCE_MS ? at_least_ms : OUTLET_PATIENCE_MS;
    if (note_error(o, why))
        log_warn("an alert was not delivered", kv_str("option", o->option), kv_str("error", why),
                 kv_int("retry_ms", wait_ms));
    o->next_s = time(NULL) + (wait_ms + 999) / 1000;
    uv_timer_start(&o->timer, on_timer, (uint64_t)wait_ms, 0);
}

/* An event that has waited for the one before it has waited, too; unless that is the clock, which was set. */
static bool is_enough(const struct outlet *o)
{
    const struct event *event = book_after(o->book, o->done_id);
    int64_t age_s = event ? time(NULL) - event->at_s : 0;

    if (!is_webhook(o))
        return o->tries >= OUTLET_TRIES;
    return loop_now_ms(o->loop) - o->first_ms >= OUTLET_PATIENCE_MS ||
           (o->tries >= OUTLET_TRIES && age_s >= OUTLET_PATIENCE_MS / 1000);
}

static void note_lost(struct outlet *o)
{
    uint64_t lost = book_lost(o->book, o->done_id);

    if (lost == 0)
        return;
    o->done_id += lost;
    o->given_up += lost;
    log_error("alerts were dropped, because too many newer ones came", kv_str("option", o->option),
              kv_int("left_out", (int64_t)lost));
}

static void send_next(struct outlet *o)
{
    const struct event *event;
    struct err why = { 0 };

    note_lost(o);
    event = book_after(o->book, o->done_id);
    if (!event || o->stopping || !o->where)
        return;
    o->done_id = event->id - 1;
    o->sending_id = event->id;
    o->outdated = false;
    if (o->tries++ == 0)
        o->first_ms = loop_now_ms(o->loop);
    if (!begin(o, event, &why))
        try_later(o, why.text, 0);
}

/* ---- what came of it ---- */

static void taken(struct outlet *o)
{
    if (o->last_error)
        log_info("alerts are delivered again", kv_str("option", o->option));
    forget_error(o);
    o->delivered++;
    o->last_s = time(NULL);
    go_on(o);
}

static void not_taken(struct outlet *o, const char *why, int64_t at_least_ms)
{
    if (is_enough(o))
        give_up(o, why);
    else
        try_later(o, why, at_least_ms);
}

/* False: the configuration has changed meanwhile, or the daemon stops: then only that it was taken still counts. */
static bool counts(struct outlet *o, bool was_taken)
{
    if (!o->where || o->sending_id != o->done_id + 1)
        return false;
    return was_taken || (!o->outdated && !o->stopping);
}

static void go_on_anew(struct outlet *o)
{
    forget_tries(o);
    send_next(o);
}

static void on_posted(void *user, const struct webhook_end *end)
{
    struct outlet *o = user;

    o->post = NULL;
    if (!counts(o, end->verdict == WEBHOOK_TAKEN))
        go_on_anew(o);
    else if (end->verdict == WEBHOOK_TAKEN)
        taken(o);
    else if (end->verdict == WEBHOOK_REFUSED)
        give_up(o, end->why.text);
    else
        not_taken(o, end->why.text, end->retry_after_ms);
    if (o->stopping)
        end_if_done(o);
}

static char *why_not_run(const struct outlet *o, const struct hook_end *end)
{
    if (!end->started)
        return mem_format("%s cannot be run; is it there, and is it executable?", o->where);
    if (end->signal)
        return mem_format("%s was ended by signal %d; it has a minute", o->where, end->signal);
    return mem_format("%s ended with %lld; run it by hand, with TUNNEL_EVENT_KIND=test", o->where,
                      (long long)end->status);
}

static void on_run(void *user, const struct hook_end *end)
{
    bool well = end->started && end->status == 0 && end->signal == 0;
    struct outlet *o = user;
    char *why;

    o->hook = NULL;
    if (!counts(o, well)) {
        go_on_anew(o);
    } else if (well) {
        taken(o);
    } else {
        why = why_not_run(o, end);
        not_taken(o, why, 0);
        free(why);
    }
    if (o->stopping)
        end_if_done(o);
}

/* ---- what is told ---- */

static json_t *time_or_null(int64_t at)
{
    return at > 0 ? json_time((time_t)at) : json_null();
}

static uint64_t pending(const struct outlet *o)
{
    const struct event *event;
    uint64_t n = 0;

    for (uint64_t id = o->done_id; (event = book_after(o->book, id)); id = event->id)
        n++;
    return n;
}

json_t *outlet_status(const struct outlet *o)
{
    struct webhook at;

    if (!o->where)
        return json_null();
    if (is_webhook(o) && webhook_read(&at, o->where, NULL) != 0)
        return json_null();
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "to",
                     json_any_text(is_webhook(o) ? at.host : o->where), "pending", (json_int_t)pending(o),
                     "delivered", (json_int_t)o->delivered, "failed", (json_int_t)o->failed, "given_up",
                     (json_int_t)o->given_up, "last_delivered", time_or_null(o->last_s), "last_error",
                     o->last_error ? json_any_text(o->last_error) : json_null(), "last_error_since",
                     o->last_error ? json_time((time_t)o->error_since_s) : json_null(), "next_attempt",
                     time_or_null(o->next_s));
}

/* ---- end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct outlet *o = handle->data;

    o->closed = true;
    end_if_done(o);
}

void outlet_stop(struct outlet *o, bool cut)
{
    if (o->post)
        webhook_cancel(o->post);
    if (o->hook && cut)
        hook_cut(o->hook);
    if (o->stopping)
        return;
    o->stopping = true;
    uv_close((uv_handle_t *)&o->timer, on_closed);
}

static void end_if_done(struct outlet *o)
{
    if (!o->closed || o->post || o->hook)
        return;
    o->closed = false; /* once */
    forget_conf(o);
    forget_error(o);
    o->host->ended(o->host->user);
}
