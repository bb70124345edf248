#include "relay/edge/places.h"

#include <stdlib.h>

void places_init(struct places *p)
{
    p->n = 0;
    if (uv_mutex_init(&p->lock) != 0)
        abort(); /* it only asks for memory */
}

void places_free(struct places *p)
{
    uv_mutex_destroy(&p->lock);
}

static enum places_answer take(struct places *p, uint32_t source)
{
    unsigned of_one = 0;

    for (unsigned i = 0; i < p->n; i++)
        of_one += p->sources[i] == source;
    if (of_one == PLACES_OF_ONE)
        return PLACES_SOURCE_HAS_ENOUGH;
    if (p->n == PLACES_IN_ALL)
        return PLACES_ALL_TAKEN;
    p->sources[p->n++] = source;
    return PLACES_TAKEN;
}

enum places_answer places_take(struct places *p, uint32_t source)
{
    enum places_answer answer;

    uv_mutex_lock(&p->lock);
    answer = take(p, source);
    uv_mutex_unlock(&p->lock);
    return answer;
}

void places_leave(struct places *p, uint32_t source)
{
    uv_mutex_lock(&p->lock);
    for (unsigned i = 0; i < p->n; i++)
        if (p->sources[i] == source) {
            p->sources[i] = p->sources[--p->n];
            break;
        }
    uv_mutex_unlock(&p->lock);
}
