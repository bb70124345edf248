#include "shared/page/live.h"

#include "shared/mem.h"
#include "shared/page/asset.h"
#include "shared/page/page.h"

#include <stdlib.h>

struct watcher {
    struct live *live;
    struct http_later *stream; /* NULL: the place is free */
    bool whole;                /* has to be sent all of it */
    unsigned skipped;          /* events, in a row */
};

struct live {
    struct loop *loop;
    uint64_t every_ms;
    const struct live_functions *functions;
    void *user;
    void (*ended)(void *owner);
    void *owner;

    uv_timer_t count, tell;
    int pending; /* timers that libuv still holds */
    bool ending;
    struct history traffic;
    struct watcher watchers[LIVE_WATCHERS];
    size_t watchers_n;
    struct page shown; /* to those who watch, while there are any */
    char fields[ASSET_FIELDS_BYTES];
};

/* ---- what is counted ---- */

static void on_count(uv_timer_t *timer)
{
    struct live *l = timer->data;
    struct history_totals totals = { 0 };

    l->functions->count(l->user, &totals);
    history_note(&l->traffic, &totals, loop_now_ms(l->loop));
}

void live_set(struct live *l, bool on)
{
    bool is_on = uv_is_active((uv_handle_t *)&l->count);

    if (on && !is_on)
        uv_timer_start(&l->count, on_count, 0, HISTORY_EVERY_MS);
    if (!on && is_on) {
        uv_timer_stop(&l->count);
        l->traffic = (struct history){ 0 };
    }
}

/* ---- the page ---- */

static void make(struct live *l, struct page *page)
{
    char why[200] = "";
    json_t *status = l->functions->status(l->user);

    if (l->functions->ready(l->user, why, sizeof why))
        why[0] = 0;
    page_make(page, status, &l->traffic, why);
    json_decref(status);
}

static void answer_page(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct live *l = user;
    struct page page = { 0 };

    (void)request;
    if (!l->fields[0])
        asset_fields(l->fields);
    make(l, &page);
    page_whole(&reply->body, &page);
    page_free(&page);
    reply->type = "text/html; charset=utf-8";
    reply->fields = l->fields;
}

/* ---- who watches ---- */

static void on_gone(void *user)
{
    struct watcher *w = user;
    struct live *l = w->live;

    w->stream = NULL;
    if (--l->watchers_n > 0)
        return;
    if (!l->ending)
        uv_timer_stop(&l->tell);
    page_free(&l->shown);
}

static void send_away(struct watcher *w)
{
    http_stream_end(w->stream);
    on_gone(w);
}

static void tell(struct watcher *w, const struct buf *event)
{
    if (http_stream_write(w->stream, buf_bytes(event), event->len)) {
        w->whole = false;
        w->skipped = 0;
        return;
    }
    w->whole = true; /* what he has missed is in it */
    if (++w->skipped >= LIVE_SKIPPED)
        send_away(w);
}

static void on_tell(uv_timer_t *timer)
{
    struct live *l = timer->data;
    struct buf whole = { 0 }, changes = { 0 };
    struct page page = { 0 };

    make(l, &page);
    page_event(&changes, &page, &l->shown);
    page_free(&l->shown);
    l->shown = page;
    for (size_t i = 0; i < LIVE_WATCHERS; i++) {
        struct watcher *w = &l->watchers[i];

        if (w->stream && w->whole && whole.len == 0)
            page_event(&whole, &l->shown, NULL);
        if (w->stream)
            tell(w, w->whole ? &whole : &changes);
    }
    buf_free(&whole);
    buf_free(&changes);
}

static void answer_events(void *user, const struct http_request *request, struct http_reply *reply)
{
    struct live *l = user;

    (void)request;
    for (size_t i = 0; i < LIVE_WATCHERS; i++) {
        struct watcher *w = &l->watchers[i];

        if (w->stream)
            continue;
        *w = (struct watcher){ .live = l, .whole = true };
        w->stream = http_reply_stream(reply, "text/event-stream", on_gone, w);
        l->watchers_n++;
        /* At once, but not before the answer has begun. */
        uv_timer_start(&l->tell, on_tell, 0, l->every_ms);
        return;
    }
    http_reply_error(reply, 503, "%d others watch this page already; close one of them", LIVE_WATCHERS);
}

const struct http_route live_routes[LIVE_ROUTES_N] = {
    { "GET", "/", answer_page },
    { "GET", "/events", answer_events },
};

void live_send_away(struct live *l)
{
    for (size_t i = 0; i < LIVE_WATCHERS; i++)
        if (l->watchers[i].stream)
            send_away(&l->watchers[i]);
}

/* ---- start, end ---- */

struct live *live_start(struct loop *loop, uint64_t every_ms, const struct live_functions *functions,
                        void *user, void (*ended)(void *owner), void *owner)
{
    struct live *l = mem_new(sizeof *l);

    l->loop = loop;
    l->every_ms = every_ms;
    l->functions = functions;
    l->user = user;
    l->ended = ended;
    l->owner = owner;
    uv_timer_init(&loop->uv, &l->count);
    uv_timer_init(&loop->uv, &l->tell);
    l->count.data = l->tell.data = l;
    l->pending = 2;
    return l;
}

static void on_closed(uv_handle_t *handle)
{
    struct live *l = handle->data;

    if (--l->pending > 0)
        return;
    l->ended(l->owner);
    free(l);
}

void live_stop(struct live *l)
{
    if (l->ending)
        return;
    l->ending = true;
    live_send_away(l);
    uv_close((uv_handle_t *)&l->count, on_closed);
    uv_close((uv_handle_t *)&l->tell, on_closed);
}
