#include "relay/edge/log_tap.h"

#include "shared/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct watcher {
    struct log_tap *tap;
    struct http_later *stream; /* NULL: the place is free */
    uint64_t lost;             /* lines, since he was told last */
};

struct log_tap {
    uv_async_t wake;
    void (*closed)(void *user);
    void *user;
    atomic_int watchers_n;
    struct watcher watchers[LOG_TAP_WATCHERS];
    bool closing;

    uv_mutex_t lock; /* of what follows */
    struct buf queue, last, older;
    uint64_t lost;
};

static void on_wake(uv_async_t *wake);

struct log_tap *log_tap_start(struct loop *loop, void (*closed)(void *user), void *user)
{
    struct log_tap *t = mem_new(sizeof *t);

    t->closed = closed;
    t->user = user;
    atomic_init(&t->watchers_n, 0);
    if (uv_mutex_init(&t->lock) != 0 || uv_async_init(&loop->uv, &t->wake, on_wake) != 0)
        abort(); /* out of memory, or of descriptors before anything has begun */
    t->wake.data = t;
    return t;
}

/* ---- from any thread ---- */

bool log_tap_on(const struct log_tap *t)
{
    return t && atomic_load_explicit(&t->watchers_n, memory_order_relaxed) > 0;
}

void log_tap_add(struct log_tap *t, const struct access_entry *entry)
{
    char line[ACCESS_LINE_BYTES];
    size_t n = access_line(line, ACCESS_JSON, entry);
    bool first;

    uv_mutex_lock(&t->lock);
    first = t->queue.len == 0;
    if (t->queue.len + n <= LOG_TAP_QUEUED)
        buf_add(&t->queue, line, n);
    else
        t->lost++;
    uv_mutex_unlock(&t->lock);
    if (first)
        uv_async_send(&t->wake);
}

void log_tap_keep(struct log_tap *t, const char *line, size_t n)
{
    uv_mutex_lock(&t->lock);
    if (t->last.len + n > LOG_TAP_LAST / 2) {
        buf_free(&t->older);
        t->older = t->last;
        t->last = (struct buf){ 0 };
    }
    buf_add(&t->last, line, n);
    uv_mutex_unlock(&t->lock);
}

/* ---- who watches ---- */

/* What he could not take he is told of as soon as he takes something again. */
static void hand_on(struct watcher *w, const struct buf *lines, uint64_t lost)
{
    struct buf text = { 0 };

    w->lost += lost;
    if (w->lost > 0)
        buf_printf(&text, "{\"lost\":%llu}\n", (unsigned long long)w->lost);
    buf_add(&text, buf_bytes(lines), lines->len);
    if (http_stream_write(w->stream, buf_bytes(&text), text.len))
        w->lost = 0;
    else
        w->lost += buf_count(lines, '\n');
    buf_free(&text);
}

static void on_wake(uv_async_t *wake)
{
    struct log_tap *t = wake->data;
    struct buf lines;
    uint64_t lost;

    uv_mutex_lock(&t->lock);
    lines = t->queue;
    lost = t->lost;
    t->queue = (struct buf){ 0 };
    t->lost = 0;
    uv_mutex_unlock(&t->lock);
    for (size_t i = 0; i < LOG_TAP_WATCHERS; i++)
        if (t->watchers[i].stream)
            hand_on(&t->watchers[i], &lines, lost);
    buf_free(&lines);
}

static void on_gone(void *user)
{
    struct watcher *w = user;

    w->stream = NULL;
    atomic_fetch_sub(&w->tap->watchers_n, 1);
}

static void answer_last(struct log_tap *t, struct http_reply *reply)
{
    reply->type = "text/plain; charset=utf-8";
    uv_mutex_lock(&t->lock);
    buf_add(&reply->body, buf_bytes(&t->older), t->older.len);
    buf_add(&reply->body, buf_bytes(&t->last), t->last.len);
    uv_mutex_unlock(&t->lock);
}

static void answer_stream(struct log_tap *t, struct http_reply *reply)
{
    for (size_t i = 0; i < LOG_TAP_WATCHERS; i++) {
        struct watcher *w = &t->watchers[i];

        if (w->stream)
            continue;
        *w = (struct watcher){ .tap = t };
        w->stream = http_reply_stream(reply, "application/x-ndjson", on_gone, w);
        atomic_fetch_add(&t->watchers_n, 1);
        return;
    }
    http_reply_error(reply, 503, "%d others watch the log already; end one of them", LOG_TAP_WATCHERS);
}

void log_tap_answer(struct log_tap *t, bool logs, const struct http_request *request,
                    struct http_reply *reply)
{
    if (t->closing)
        http_reply_error(reply, 503, "the relay is stopping");
    else if (request->query.n == 0)
        answer_stream(t, reply);
    else if (!str_eq(request->query, "last"))
        http_reply_error(reply, 400, "%.*s is unknown; there is ?last", STR_ARG(request->query));
    else if (!logs)
        http_reply_error(reply, 409,
                         "access_log is off in relay.ini, so that no line is kept; watch what comes from now "
                         "on, with tunnelctl log -f");
    else
        answer_last(t, reply);
}

/* ---- end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct log_tap *t = handle->data;

    uv_mutex_destroy(&t->lock);
    buf_free(&t->queue);
    buf_free(&t->last);
    buf_free(&t->older);
    t->closed(t->user);
    free(t);
}

void log_tap_close(struct log_tap *t)
{
    t->closing = true;
    for (size_t i = 0; i < LOG_TAP_WATCHERS; i++)
        if (t->watchers[i].stream) {
            http_stream_end(t->watchers[i].stream);
            on_gone(&t->watchers[i]);
        }
    uv_close((uv_handle_t *)&t->wake, on_closed);
}
