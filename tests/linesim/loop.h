/* tests/linesim/loop.h - waiting for descriptors and for a time: epoll and one timerfd, to the microsecond.
 *
 * A value: loop_init, loop_free. A watch is embedded by whoever owns its descriptor. Memory that holds a
 * watch must outlive the call of loop_wait in which it is closed, unless its own callback closes it. */
#ifndef TESTS_LINESIM_LOOP_H
#define TESTS_LINESIM_LOOP_H
#include "shared/err.h"

#include <stdint.h>

struct loop {
    int epoll, timer;
};

struct watch {
    int fd; /* -1: not watched */
    void *user;
    void (*ready)(void *user, uint32_t events); /* EPOLLIN | EPOLLOUT | … */
};

must_check int loop_init(struct loop *loop, struct err *e);
void loop_free(struct loop *loop);

void loop_add(struct loop *loop, struct watch *watch, uint32_t events); /* takes watch->fd */
void loop_change(struct loop *loop, struct watch *watch, uint32_t events);
void loop_close(struct watch *watch); /* closes the descriptor; nothing if there is none */

/* Waits for events and calls back, or returns at the time given (LINE_NEVER: no such time). */
void loop_wait(struct loop *loop, int64_t until_ns);
int64_t loop_now(void); /* nanoseconds, monotonic */
#endif
