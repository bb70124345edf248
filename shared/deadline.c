#include "shared/deadline.h"

static void on_fired(uv_timer_t *timer);

void deadline_init(struct deadline *d, uv_loop_t *loop, void (*late)(void *user), void *user)
{
    *d = (struct deadline){ .late = late, .user = user };
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
}

/* When the timer of uv_timer_start(…, ms) would fire. */
static uint64_t after(const struct deadline *d, uint64_t ms)
{
    return uv_now(d->timer.loop) + ms;
}

void deadline_set(struct deadline *d, uint64_t ms)
{
    uint64_t fires_at_ms = after(d, uv_timer_get_due_in(&d->timer));

    d->at_ms = after(d, ms);
    if (!uv_is_active((uv_handle_t *)&d->timer) || fires_at_ms > d->at_ms)
        uv_timer_start(&d->timer, on_fired, ms, 0);
}

void deadline_clear(struct deadline *d)
{
    d->at_ms = 0;
}

bool deadline_is_set(const struct deadline *d)
{
    return d->at_ms > 0;
}

static void on_fired(uv_timer_t *timer)
{
    struct deadline *d = timer->data;
    uint64_t now_ms = uv_now(timer->loop);

    if (d->at_ms > now_ms) {
        uv_timer_start(timer, on_fired, d->at_ms - now_ms, 0);
    } else if (d->at_ms > 0) {
        d->at_ms = 0;
        d->late(d->user);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct deadline *d = handle->data;

    d->closed(d->user);
}

void deadline_close(struct deadline *d, void (*closed)(void *user))
{
    d->closed = closed;
    uv_close((uv_handle_t *)&d->timer, on_closed);
}
