#include "shared/alerts/book.h"

#include "shared/mem.h"

#include <stdlib.h>

void book_free(struct book *b)
{
    for (size_t i = 0; i < BOOK_KEPT; i++)
        free(b->kept[i]);
    *b = (struct book){ 0 };
}

static void put(struct book *b, const struct event *event)
{
    struct event **place = &b->kept[event->id % BOOK_KEPT];

    if (!*place)
        *place = mem_new(sizeof **place);
    **place = *event;
}

const struct event *book_add(struct book *b, const struct event *event)
{
    struct event numbered = *event;

    numbered.id = ++b->last_id;
    put(b, &numbered);
    return b->kept[numbered.id % BOOK_KEPT];
}

/* Of those that can be kept, the oldest number. */
static uint64_t oldest(const struct book *b)
{
    return b->last_id > BOOK_KEPT ? b->last_id - BOOK_KEPT + 1 : 1;
}

const struct event *book_after(const struct book *b, uint64_t id)
{
    for (uint64_t next = id + 1 > oldest(b) ? id + 1 : oldest(b); next <= b->last_id; next++) {
        const struct event *event = b->kept[next % BOOK_KEPT];

        if (event && event->id == next)
            return event;
    }
    return NULL;
}

uint64_t book_lost(const struct book *b, uint64_t id)
{
    return oldest(b) > id + 1 ? oldest(b) - id - 1 : 0;
}

json_t *book_json(const struct book *b)
{
    json_t *list = json_array();
    const struct event *event;

    for (uint64_t id = 0; (event = book_after(b, id)); id = event->id)
        json_array_append_new(list, event_json(event, NULL));
    return list;
}

void book_recall(struct book *b, const json_t *json, uint64_t last_id)
{
    const json_t *entry;
    struct event event;
    size_t i;

    b->last_id = last_id;
    json_array_foreach(json, i, entry)
    {
        if (event_of_json(&event, entry) && event.id <= last_id && event.id >= oldest(b))
            put(b, &event);
    }
}
