#include "relay/edge/round.h"

static void on_heard(uv_check_t *check);
static void on_idle(uv_idle_t *idle);

void round_init(struct round *r, uv_loop_t *loop)
{
    *r = (struct round){ .end = &r->first };
    uv_check_init(loop, &r->check);
    uv_idle_init(loop, &r->idle);
    r->check.data = r;
}

void round_close(struct round *r)
{
    uv_close((uv_handle_t *)&r->check, NULL);
    uv_close((uv_handle_t *)&r->idle, NULL);
}

void round_add(struct round *r, struct round_item *item)
{
    if (item->waits)
        return;
    item->waits = true;
    item->next = NULL;
    *r->end = item;
    r->end = &item->next;
    if (r->n++ > 0)
        return;
    uv_check_start(&r->check, on_heard);
    uv_idle_start(&r->idle, on_idle);
}

void round_remove(struct round *r, struct round_item *item)
{
    struct round_item **at = &r->first;

    if (!item->waits)
        return;
    while (*at != item)
        at = &(*at)->next;
    *at = item->next;
    if (!*at)
        r->end = at;
    item->waits = false;
    r->n--;
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* that it is there is enough */
}

/* Who is added meanwhile has his turn behind the next round. */
static void on_heard(uv_check_t *check)
{
    struct round *r = check->data;

    for (size_t left = r->n; left > 0 && r->first; left--) {
        struct round_item *item = r->first;

        round_remove(r, item);
        item->act(item->user); /* which may be gone then, and others with it */
    }
    if (r->n > 0)
        return;
    uv_check_stop(&r->check);
    uv_idle_stop(&r->idle);
}
