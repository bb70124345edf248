/* agent/carry/limits.h - what all streams of all lanes together may be, and may hold; and have carried.
 *
 * A value, embedded in the agent; every lane borrows it. */
#ifndef AGENT_CARRY_LIMITS_H
#define AGENT_CARRY_LIMITS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct carry;

struct limits {
    struct carry *first; /* of all streams */
    size_t used, max_streams;
    uint64_t max_buffered;
    uint64_t bytes_in, bytes_out; /* to and from services, since the start */
};

/* Every stream, from its start to its end. */
void limits_add(struct limits *l, struct carry *c);
void limits_remove(struct limits *l, struct carry *c);
/* One stream more is in use. False when that would be too many: it is not counted then. */
bool limits_use(struct limits *l);
void limits_unuse(struct limits *l);
/* Once a second: while they hold more than max_buffered, ends the fattest of those that have not moved since the last
 * time. A stream that moves is never ended: its memory is on its way out. */
void limits_check(struct limits *l);
#endif
