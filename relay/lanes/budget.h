/* relay/lanes/budget.h - what each agent may cost us in a second, by all of its lanes together. Pure.
 *
 * A value; all zero bytes is an empty one. An agent is remembered after its lanes have gone, or coming again would be a
 * way to get more. */
#ifndef RELAY_LANES_BUDGET_H
#define RELAY_LANES_BUDGET_H
#include <stdbool.h>
#include <stddef.h>

enum {
    BUDGET_BYTES = 4 << 20,                 /* for what is said both ways: 16,000 lines */
    BUDGET_LINE_BYTES = 200,                /* what a line costs beside its own bytes */
    BUDGET_CHANGE_BYTES = BUDGET_BYTES / 32 /* what may change what visitors see, such as a claim */
};

struct budget {
    struct budget_agent *list;
};
struct budget_agent;

void budget_free(struct budget *b);
void budget_refill(struct budget *b); /* a new second has begun */
/* Valid until budget_free. It has one share, unless budget_set_shares says otherwise. */
struct budget_agent *budget_of(struct budget *b, const char *agent);
void budget_set_shares(struct budget_agent *a, size_t shares); /* one for each machine that has its key */
void budget_spend(struct budget_agent *a, size_t bytes);
bool budget_is_spent(const struct budget_agent *a);
#endif
