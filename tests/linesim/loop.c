#include "tests/linesim/loop.h"

#include "tests/linesim/line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { NS_PER_S = 1000000000 };

int loop_init(struct loop *loop, struct err *e)
{
    struct epoll_event timer = { .events = EPOLLIN };

    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop->epoll < 0 || loop->timer < 0 || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->timer, &timer) != 0)
        return err_errno(e, errno, "cannot set up epoll and a timer");
    return 0;
}

void loop_free(struct loop *loop)
{
    close(loop->epoll);
    close(loop->timer);
}

/* Fails for want of kernel memory only; a simulator that goes on deaf would spoil a test in silence. */
static void control(struct loop *loop, int operation, struct watch *watch, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };

    if (epoll_ctl(loop->epoll, operation, watch->fd, &event) != 0) {
        perror("linesim: epoll_ctl");
        abort();
    }
}

void loop_add(struct loop *loop, struct watch *watch, uint32_t events)
{
    control(loop, EPOLL_CTL_ADD, watch, events);
}

void loop_change(struct loop *loop, struct watch *watch, uint32_t events)
{
    control(loop, EPOLL_CTL_MOD, watch, events);
}

void loop_close(struct watch *watch)
{
    if (watch->fd >= 0)
        close(watch->fd);
    watch->fd = -1;
}

int64_t loop_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * (int64_t)NS_PER_S + now.tv_nsec;
}

/* Returns how long epoll may wait: not at all, or until the timer (or a descriptor) ends the wait. */
static int arm_timer(struct loop *loop, int64_t until_ns)
{
    struct itimerspec at = { .it_value = { until_ns / NS_PER_S, (long)(until_ns % NS_PER_S) } };

    if (until_ns <= loop_now())
        return 0;
    if (until_ns == LINE_NEVER)
        at = (struct itimerspec){ 0 }; /* disarms, and forgets a time that has passed unread */
    timerfd_settime(loop->timer, TFD_TIMER_ABSTIME, &at, NULL);
    return -1;
}

void loop_wait(struct loop *loop, int64_t until_ns)
{
    struct epoll_event events[64];
    int n = epoll_wait(loop->epoll, events, 64, arm_timer(loop, until_ns));

    for (int i = 0; i < n; i++) {
        struct watch *watch = events[i].data.ptr;

        if (watch && watch->fd >= 0)
            watch->ready(watch->user, events[i].events);
    }
}
