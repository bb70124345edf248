#include "agent/carry/limits.h"

#include "agent/carry/stream.h"

#include <assert.h>

void limits_add(struct limits *l, struct carry *c)
{
    struct carry_link *link = carry_link(c);

    link->next = l->first;
    if (link->next)
        carry_link(link->next)->prev = c;
    l->first = c;
}

void limits_remove(struct limits *l, struct carry *c)
{
    const struct carry_link *link = carry_link(c);

    if (link->prev)
        carry_link(link->prev)->next = link->next;
    else
        l->first = link->next;
    if (link->next)
        carry_link(link->next)->prev = link->prev;
}

bool limits_use(struct limits *l)
{
    if (l->used >= l->max_streams)
        return false;
    l->used++;
    return true;
}

void limits_unuse(struct limits *l)
{
    assert(l->used > 0);
    l->used--;
}

/* The next one that holds most among those that do not move, and what all hold. */
static struct carry *find_fattest(const struct limits *l, uint64_t *total)
{
    struct carry *fattest = NULL;
    uint64_t most = 0;

    *total = 0;
    for (struct carry *c = l->first; c; c = carry_link(c)->next) {
        uint64_t held = carry_held(c);

        *total += held;
        if (held > most && carry_is_stuck(c)) {
            most = held;
            fattest = c;
        }
    }
    return fattest;
}

void limits_check(struct limits *l)
{
    struct carry *fattest;
    uint64_t total;

    for (struct carry *c = l->first; c; c = carry_link(c)->next)
        carry_look(c);
    while ((fattest = find_fattest(l, &total)) && total > l->max_buffered)
        carry_shed(fattest); /* it holds nothing afterwards, and so is not found again */
}
