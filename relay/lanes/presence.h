/* relay/lanes/presence.h - since when each agent is there, or away, and how the last of its lanes ended. Pure.
 *
 * A value. Whoever was never noted has been away since presence_init. */
#ifndef RELAY_LANES_PRESENCE_H
#define RELAY_LANES_PRESENCE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct presence {
    struct presence_entry *list;
    size_t n;
    time_t began;
};

struct presence_lane {
    uint64_t id, bytes_in, bytes_out;
    char seen_from[64], error[160];
};

void presence_init(struct presence *p, time_t now);
void presence_free(struct presence *p);
void presence_note(struct presence *p, const char *agent, bool there, time_t now);
time_t presence_since(const struct presence *p, const char *agent);
time_t presence_away_since(const struct presence *p, const char *agent); /* 0: it is there */
bool presence_was_there(const struct presence *p, const char *agent);    /* or is */
/* A lane has ended while its agent has no other. */
void presence_note_end(struct presence *p, const char *agent, const struct presence_lane *last);
/* Agents that are away and had a lane: i from 0. NULL at the end. */
const struct presence_lane *presence_away(const struct presence *p, size_t i, const char **agent);
#endif
