/* relay/lanes/presence.h - since when each agent is there, or away. Pure.
 *
 * A value. Whoever was never noted has been away since presence_init. */
#ifndef RELAY_LANES_PRESENCE_H
#define RELAY_LANES_PRESENCE_H
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct presence {
    struct presence_entry *list;
    size_t n;
    time_t began;
};

void presence_init(struct presence *p, time_t now);
void presence_free(struct presence *p);
void presence_note(struct presence *p, const char *agent, bool there, time_t now);
time_t presence_since(const struct presence *p, const char *agent);
#endif
