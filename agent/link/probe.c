/* The life of a probe:
 *
 *   DIAL ──▶ LISTEN ── "SSH-" ──▶ greeted        another word, an end, 10 s for each: not */
#include "agent/link/probe.h"

#include "shared/buf.h"
#include "shared/dial.h"
#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 10000 };

static const char greeting[] = "SSH-";
enum { GREETING_BYTES = sizeof greeting - 1 };

struct probe {
    void (*done)(void *user, bool greeted); /* NULL: it is over */
    void *user;
    struct dial *dial;     /* NULL once it has ended */
    struct stream *stream; /* NULL before and after it */
    uv_timer_t patience;
    char heard[GREETING_BYTES];
    size_t heard_n;
    int pending; /* what libuv still holds of us: the timer, the stream */
};

static void on_dialled(void *user, struct stream *s, const struct err *why);
static void on_received(void *user, const char *bytes, size_t n);
static void on_eof(void *user);
static void on_ended(void *user, const struct err *why);
static void on_late(uv_timer_t *timer);
static void on_closed(uv_handle_t *handle);

struct probe *probe_start(struct loop *loop, const char *host, uint16_t port,
                          void (*done)(void *user, bool greeted), void *user)
{
    struct probe *p = mem_new(sizeof *p);

    p->done = done;
    p->user = user;
    uv_timer_init(&loop->uv, &p->patience);
    p->patience.data = p;
    p->pending = 1;
    p->dial = dial_start(loop, host, port, PATIENCE_MS, NULL, on_dialled, p);
    return p;
}

void probe_stop(struct probe *p)
{
    if (!p->done)
        return;
    p->done = NULL;
    if (p->dial)
        dial_stop(p->dial);
    if (p->stream)
        stream_stop(p->stream);
    uv_close((uv_handle_t *)&p->patience, on_closed);
}

static void finish(struct probe *p, bool greeted)
{
    void (*done)(void *user, bool greeted) = p->done;

    if (!done)
        return;
    probe_stop(p);
    done(p->user, greeted);
}

static void on_dialled(void *user, struct stream *s, const struct err *why)
{
    static const struct stream_events events = { on_received, on_eof, NULL, on_ended, NULL };
    struct probe *p = user;

    (void)why; /* whatever it is, nobody greets there */
    p->dial = NULL;
    if (!s) {
        finish(p, false);
        return;
    }
    p->stream = s;
    p->pending++;
    stream_hand_over(s, &events, p);
    uv_timer_start(&p->patience, on_late, PATIENCE_MS, 0);
}

static void on_received(void *user, const char *bytes, size_t n)
{
    struct probe *p = user;
    size_t used = n < GREETING_BYTES - p->heard_n ? n : GREETING_BYTES - p->heard_n;

    memcpy(p->heard + p->heard_n, bytes, used);
    p->heard_n += used;
    if (memcmp(p->heard, greeting, p->heard_n) != 0)
        finish(p, false);
    else if (p->heard_n == GREETING_BYTES)
        finish(p, true);
}

static void on_eof(void *user)
{
    finish(user, false);
}

static void on_late(uv_timer_t *timer)
{
    finish(timer->data, false);
}

/* ---- end ---- */

static void release(struct probe *p)
{
    if (--p->pending == 0)
        free(p);
}

static void on_ended(void *user, const struct err *why)
{
    struct probe *p = user;

    (void)why;
    p->stream = NULL;
    finish(p, false);
    release(p);
}

static void on_closed(uv_handle_t *handle)
{
    release(handle->data);
}
