#include "relay/lanes/budget.h"

#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

struct budget_agent {
    struct budget_agent *next;
    char *agent;
    size_t bytes; /* spent in this second */
    size_t most;
};

void budget_free(struct budget *b)
{
    while (b->list) {
        struct budget_agent *gone = b->list;

        b->list = gone->next;
        free(gone->agent);
        free(gone);
    }
}

void budget_refill(struct budget *b)
{
    for (struct budget_agent *a = b->list; a; a = a->next)
        a->bytes = 0;
}

struct budget_agent *budget_of(struct budget *b, const char *agent)
{
    struct budget_agent *a = b->list;

    while (a && strcmp(a->agent, agent) != 0)
        a = a->next;
    if (a)
        return a;
    a = mem_new(sizeof *a);
    a->agent = mem_copy(agent);
    a->most = BUDGET_BYTES;
    a->next = b->list;
    b->list = a;
    return a;
}

void budget_set_shares(struct budget_agent *a, size_t shares)
{
    a->most = BUDGET_BYTES * shares;
}

void budget_spend(struct budget_agent *a, size_t bytes)
{
    a->bytes = a->bytes < a->most && bytes < a->most - a->bytes ? a->bytes + bytes : a->most;
}

bool budget_is_spent(const struct budget_agent *a)
{
    return a->bytes >= a->most;
}
