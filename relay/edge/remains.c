#include "relay/edge/remains.h"

void remains_join(struct remains *r, struct remains_list *list, const struct remains_events *events,
                  void *user)
{
    *r = (struct remains){ .events = events, .user = user, .next = list->first };
    if (r->next)
        r->next->prev = r;
    list->first = r;
}

void remains_leave(struct remains *r, struct remains_list *list)
{
    if (r->next)
        r->next->prev = r->prev;
    if (r->prev)
        r->prev->next = r->next;
    else
        list->first = r->next;
}

uint64_t remains_look(struct remains_list *list)
{
    uint64_t total = 0;

    for (struct remains *r = list->first; r; r = r->next) {
        uint64_t moved = 0, held = r->events->held(r->user, &moved);

        stillness_look(&r->stillness, moved, held);
        total += held;
    }
    return total;
}

struct remains *remains_fattest(const struct remains_list *list)
{
    struct remains *fattest = NULL;

    for (struct remains *r = list->first; r; r = r->next)
        if (r->stillness.stuck > (fattest ? fattest->stillness.stuck : 0))
            fattest = r;
    return fattest;
}

uint64_t remains_shed(struct remains *r)
{
    uint64_t gone = r->events->shed(r->user);

    r->stillness.stuck = gone > 0 && gone < r->stillness.stuck ? r->stillness.stuck - gone : 0;
    return gone;
}
