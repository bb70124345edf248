#include "shared/alerts/alerts.h"

#include "shared/alerts/outlet.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { FILE_BYTES = 4 << 20 };

struct watcher {
    struct alerts *alerts;
    struct http_later *stream; /* NULL: the place is free */
    uint64_t told_id;
};

struct alerts {
    struct loop *loop;
    struct alerts_host host;
    struct outlet_host outlet_host;
    char *path, *role, *name;
    struct damping damping;
    struct book book;
    struct outlet webhook, on_event;
    struct watcher watchers[ALERTS_WATCHERS];
    uv_timer_t look, soon;
    bool unsaved, stopping;
    int pending; /* timers and outlets */
};

/* ---- options ---- */

void alerts_check(const struct opt_conf *conf, const char *kind, const struct daemon_conf *own,
                  struct opt_errors *errors)
{
    struct webhook at = { 0 };
    struct err why = { 0 };

    if (*own->webhook && webhook_read(&at, own->webhook, &why) != 0)
        opt_errors_add_at(errors, conf, kind, NULL, "webhook", "%s", why.text);
    if (*own->webhook_token_file && !*own->webhook)
        opt_errors_add_at(errors, conf, kind, NULL, "webhook_token_file",
                          "goes with webhook; write that as well");
    if (*own->webhook_token_file && at.has_credentials)
        opt_errors_add_at(errors, conf, kind, NULL, "webhook_token_file",
                          "webhook has a USER:PASSWORD@ already; leave one of them out");
    if (*own->on_event && opt_touches_files(conf) && access(own->on_event, X_OK) != 0)
        opt_errors_add_at(errors, conf, kind, NULL, "on_event",
                          errno == ENOENT ? "there is no such program; write one there first"
                                          : "cannot be run: %s; give it to this user, with chmod +x",
                          strerror(errno));
}

static struct event_source source_of(const struct alerts *a)
{
    return (struct event_source){ a->role, a->name };
}

/* ---- over a restart ---- */

static void save(struct alerts *a)
{
    json_t *all = json_pack("{s:I, s:I, s:I, s:o, s:o}", "last_id", (json_int_t)a->book.last_id, "webhook",
                            (json_int_t)a->webhook.done_id, "on_event", (json_int_t)a->on_event.done_id,
                            "told", damping_json(&a->damping), "events", book_json(&a->book));
    struct buf text = { 0 };
    struct err why = { 0 };

    a->unsaved = false;
    json_write(&text, all);
    if (file_write(a->path, buf_bytes(&text), text.len, 0600, &why) != 0)
        log_warn_limited(a->path, "alerts are not kept over a restart", kv_str("error", why.text));
    buf_free(&text);
    json_decref(all);
}

static uint64_t done_of(const json_t *all, const char *key, uint64_t last_id)
{
    int64_t id;

    return json_get_int(all, key, 0, (int64_t)last_id, &id, NULL) == 0 ? (uint64_t)id : last_id;
}

static void recall(struct alerts *a)
{
    struct buf text = { 0 };
    struct err why = { 0 };
    json_t *all = NULL;
    int64_t last_id;

    if (access(a->path, F_OK) != 0)
        return;
    if (file_read(a->path, FILE_BYTES, &text, &why) == 0)
        all = json_read(buf_bytes(&text), text.len, &why);
    if (all && json_get_int(all, "last_id", 0, INT64_MAX / 2, &last_id, &why) == 0) {
        book_recall(&a->book, json_object_get(all, "events"), (uint64_t)last_id);
        damping_recall(&a->damping, json_object_get(all, "told"), loop_now_ms(a->loop));
        a->webhook.done_id = done_of(all, "webhook", a->book.last_id);
        a->on_event.done_id = done_of(all, "on_event", a->book.last_id);
    } else {
        log_warn("alerts of before are forgotten", kv_str("path", a->path), kv_str("error", why.text));
    }
    json_decref(all);
    buf_free(&text);
}

/* ---- who watches ---- */

static void add_line(struct buf *out, const struct event *event, const struct event_source *source)
{
    json_t *json = event_json(event, source);

    json_write(out, json);
    json_decref(json);
}

static uint64_t first_shown(const struct alerts *a)
{
    return a->book.last_id > ALERTS_SHOWN ? a->book.last_id - ALERTS_SHOWN : 0;
}

/* Adds all behind id. */
static void add_lines(const struct alerts *a, struct buf *out, uint64_t id)
{
    const struct event_source source = source_of(a);
    const struct event *event;

    for (; (event = book_after(&a->book, id)); id = event->id)
        add_line(out, event, &source);
}

/* What he cannot take yet he gets with the next look. */
static void hand_on(const struct alerts *a, struct watcher *w)
{
    uint64_t lost = book_lost(&a->book, w->told_id);
    struct buf text = { 0 };

    if (w->told_id == a->book.last_id)
        return;
    if (lost > 0)
        buf_printf(&text, "{\"lost\":%llu}\n", (unsigned long long)lost);
    add_lines(a, &text, w->told_id);
    if (http_stream_write(w->stream, buf_bytes(&text), text.len))
        w->told_id = a->book.last_id;
    buf_free(&text);
}

static void hand_on_all(struct alerts *a)
{
    for (size_t i = 0; i < ALERTS_WATCHERS; i++)
        if (a->watchers[i].stream)
            hand_on(a, &a->watchers[i]);
}

static void on_gone(void *user)
{
    struct watcher *w = user;

    w->stream = NULL;
}

static void on_soon(uv_timer_t *timer)
{
    struct alerts *a = timer->data;

    if (a->unsaved)
        save(a);
    hand_on_all(a);
}

static void soon(struct alerts *a)
{
    if (!a->stopping)
        uv_timer_start(&a->soon, on_soon, 0, 0);
}

void alerts_answer_events(struct alerts *a, const struct http_request *request, struct http_reply *reply)
{
    if (str_eq(request->query, "last")) {
        reply->type = "application/x-ndjson";
        add_lines(a, &reply->body, first_shown(a));
        return;
    }
    if (request->query.n > 0) {
        http_reply_error(reply, 400, "%.*s is unknown; there is ?last", STR_ARG(request->query));
        return;
    }
    for (size_t i = 0; i < ALERTS_WATCHERS && !a->stopping; i++) {
        struct watcher *w = &a->watchers[i];

        if (w->stream)
            continue;
        *w = (struct watcher){ .alerts = a, .told_id = first_shown(a) };
        w->stream = http_reply_stream(reply, "application/x-ndjson", on_gone, w);
        soon(a); /* the stream begins behind this call */
        return;
    }
    if (a->stopping)
        http_reply_error(reply, 503, "the %s is stopping", a->role);
    else
        http_reply_error(reply, 503, "%d others watch events already; end one of them", ALERTS_WATCHERS);
}

/* ---- what happens ---- */

static void on_event(void *user, const struct event *event)
{
    struct alerts *a = user;
    const struct event *kept = book_add(&a->book, event);
    const char *kind = event_kind_text(kept->kind), *state = event_state_text(kept->kind, kept->state);

    a->unsaved = true;
    if (kept->state == EVENT_BAD && kept->kind != EVENT_TEST)
        log_warn("alert", kv_int("event", (int64_t)kept->id), kv_str("kind", kind),
                 kv_str("subject", kept->subject), kv_str("state", state), kv_str("error", kept->text));
    else
        log_info("alert", kv_int("event", (int64_t)kept->id), kv_str("kind", kind),
                 kv_str("subject", kept->subject), kv_str("state", state));
}

static void pass_on(struct alerts *a)
{
    outlet_poke(&a->webhook);
    outlet_poke(&a->on_event);
    soon(a);
}

/* Where there is so much to look at that it takes long, that happens less often. */
static uint64_t next_look_ms(int64_t took_ms)
{
    const int64_t wait_ms = took_ms * 100;

    return (uint64_t)(wait_ms < ALERTS_LOOK_MS     ? ALERTS_LOOK_MS
                      : wait_ms > DAMPING_USUAL_MS ? DAMPING_USUAL_MS
                                                   : wait_ms);
}

static void on_look(uv_timer_t *timer)
{
    struct alerts *a = timer->data;
    uint64_t began_ns = uv_hrtime();
    struct troubles seen = { 0 };
    json_t *status = json_object();

    a->host.add_status(a->host.user, status);
    a->host.add_troubles(status, &seen);
    damping_look(&a->damping, &seen, loop_now_ms(a->loop), time(NULL), on_event, a);
    troubles_free(&seen);
    json_decref(status);
    if (a->unsaved)
        pass_on(a);
    hand_on_all(a);
    uv_timer_start(timer, on_look, next_look_ms((int64_t)((uv_hrtime() - began_ns) / 1000000)), 0);
}

void alerts_answer_test(struct alerts *a, const struct http_request *request, struct http_reply *reply)
{
    static const char *const no_members[] = { NULL };
    const struct event_source source = source_of(a);
    struct err why = { 0 };
    struct event event;
    json_t *to;

    if (request->json && json_only(request->json, no_members, &why) != 0) {
        http_reply_error(reply, 400, "%s", why.text);
        return;
    }
    if (a->stopping) {
        http_reply_error(reply, 503, "the %s is stopping", a->role);
        return;
    }
    event_make(&event, EVENT_TEST, a->name, EVENT_BAD, "somebody asked for it, and nothing is wrong", "", -1);
    event.at_s = event.since_s = time(NULL);
    on_event(a, &event);
    to = json_array();
    if (a->webhook.where)
        json_array_append_new(to, json_string("webhook"));
    if (a->on_event.where)
        json_array_append_new(to, json_string("on_event"));
    http_reply_json(reply, 200,
                    json_pack("{s:o, s:o}", "event",
                              event_json(book_after(&a->book, a->book.last_id - 1), &source), "to", to));
    pass_on(a);
}

json_t *alerts_status(const struct alerts *a)
{
    if (!a)
        return json_pack("{s:n, s:n}", "webhook", "on_event");
    return json_pack("{s:o, s:o}", "webhook", outlet_status(&a->webhook), "on_event",
                     outlet_status(&a->on_event));
}

/* ---- start, reload, end ---- */

static void end_if_done(struct alerts *a)
{
    void (*ended)(void *user) = a->host.ended;
    void *user = a->host.user;

    if (a->pending > 0)
        return;
    if (a->unsaved)
        save(a);
    damping_free(&a->damping);
    book_free(&a->book);
    free(a->path);
    free(a->role);
    free(a->name);
    free(a);
    ended(user);
}

static void on_outlet_changed(void *user)
{
    struct alerts *a = user;

    a->unsaved = true;
    soon(a);
}

static void on_outlet_ended(void *user)
{
    struct alerts *a = user;

    a->pending--;
    end_if_done(a);
}

static void on_closed(uv_handle_t *handle)
{
    on_outlet_ended(handle->data);
}

void alerts_reload(struct alerts *a, const struct daemon_conf *own)
{
    const struct event_source source = { a->role, own->name };

    if (a->stopping)
        return;
    free(a->name);
    a->name = mem_copy(own->name);
    outlet_set(&a->webhook, own->webhook, own->webhook_token_file, &source);
    outlet_set(&a->on_event, own->on_event, "", &source);
}

struct alerts *alerts_start(struct loop *loop, const char *role, const struct daemon_conf *own,
                            const struct alerts_host *host)
{
    struct alerts *a = mem_new(sizeof *a);

    a->loop = loop;
    a->host = *host;
    a->path = mem_format("%s/alerts.json", own->state_dir);
    a->role = mem_copy(role);
    a->outlet_host = (struct outlet_host){ on_outlet_changed, on_outlet_ended, a };
    uv_timer_init(&loop->uv, &a->look);
    uv_timer_init(&loop->uv, &a->soon);
    a->look.data = a->soon.data = a;
    outlet_init(&a->webhook, loop, "webhook", &a->book, &a->outlet_host);
    outlet_init(&a->on_event, loop, "on_event", &a->book, &a->outlet_host);
    a->pending = 4;
    recall(a);
    alerts_reload(a, own);
    uv_timer_start(&a->look, on_look, ALERTS_LOOK_MS, 0);
    return a;
}

void alerts_stop(struct alerts *a, bool cut)
{
    if (!a->stopping) {
        a->stopping = true;
        for (size_t i = 0; i < ALERTS_WATCHERS; i++)
            if (a->watchers[i].stream) {
                hand_on(a, &a->watchers[i]);
                http_stream_end(a->watchers[i].stream);
                a->watchers[i].stream = NULL;
            }
        uv_close((uv_handle_t *)&a->look, on_closed);
        uv_close((uv_handle_t *)&a->soon, on_closed);
    }
    outlet_stop(&a->webhook, cut);
    outlet_stop(&a->on_event, cut);
}
