/* shared/deadline.h - the moment from which something is late, moved as often as one likes.
 *
 * Embed it; between init and `closed` it is on the loop. Most deadlines are put off again and again and never reached, so
 * putting one off costs a comparison: the timer runs on, and is set anew when it fires too early. */
#ifndef SHARED_DEADLINE_H
#define SHARED_DEADLINE_H
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct deadline {
    uv_timer_t timer;
    uint64_t at_ms; /* of the loop's clock; 0: there is none */
    void (*late)(void *user);
    void (*closed)(void *user);
    void *user;
};

void deadline_init(struct deadline *d, uv_loop_t *loop, void (*late)(void *user), void *user);
void deadline_set(struct deadline *d, uint64_t ms); /* from now; replaces the one before */
void deadline_clear(struct deadline *d);
bool deadline_is_set(const struct deadline *d);
void deadline_close(struct deadline *d, void (*closed)(void *user)); /* never late any more */
#endif
