/* shared/alerts/book.h - the events of late, numbered, and what of them a restart must not forget. Pure.
 *
 * A value. It keeps the last BOOK_KEPT. */
#ifndef SHARED_ALERTS_BOOK_H
#define SHARED_ALERTS_BOOK_H
#include "shared/alerts/event.h"

enum { BOOK_KEPT = 256 };

struct book {
    struct event *kept[BOOK_KEPT]; /* number id stands at id % BOOK_KEPT */
    uint64_t last_id;              /* 0: there was none */
};

void book_free(struct book *b);
/* Copies it, and gives the copy its number. */
const struct event *book_add(struct book *b, const struct event *event);
/* The first one that is kept and has a higher number; NULL: there is none. Until the next book_add. */
const struct event *book_after(const struct book *b, uint64_t id);
/* How many behind that number are not kept any more. */
uint64_t book_lost(const struct book *b, uint64_t id);

json_t *book_json(const struct book *b); /* a new reference */
void book_recall(struct book *b, const json_t *json, uint64_t last_id);
#endif
