/* shared/loop.h - one thread's libuv loop: its signals, its read buffer, and an end that leaves nothing behind.
 *
 * A value, embedded. Everything alive on the loop finds it through handle->loop->data. The process must ignore SIGPIPE:
 * libuv writes to sockets as to files. */
#ifndef SHARED_LOOP_H
#define SHARED_LOOP_H
#include "shared/err.h"

#include <stdint.h>
#include <uv.h>

enum {
    LOOP_READ_BYTES = 65400,     /* so much of a stream is read at once: two of the agent's SSH packets */
    LOOP_BUF_BYTES = 256 * 1024, /* and of a stream that carries many */
    LOOP_SIGNALS = 4,
};

struct loop_signal {
    uv_signal_t handle;
    void (*caught)(void *user);
    void *user;
};

struct loop {
    uv_loop_t uv;
    /* LOOP_BUF_BYTES, for all streams: filled by libuv, or by one of us, and handed on within a single call. What of it
     * nobody ever used costs no memory. */
    char *read_buf;
    struct loop_signal signals[LOOP_SIGNALS];
    int signals_n;
};

must_check int loop_init(struct loop *l, struct err *e);
/* Calls caught(user) on the loop for each such signal. */
must_check int loop_on_signal(struct loop *l, int number, void (*caught)(void *user), void *user,
                              struct err *e);
/* Closes the signal handles, so that loop_run returns when all else has ended. */
void loop_stop_signals(struct loop *l);
/* The same, and each of these signals does nothing from then on, without a moment in which it is deadly. */
void loop_ignore_signals(struct loop *l);
/* Runs until nothing is alive on the loop. */
void loop_run(struct loop *l);
/* After loop_run. Anything still alive is our own mistake and asserts. */
void loop_free(struct loop *l);

int64_t loop_now_ms(const struct loop *l); /* monotonic, as of this round of the loop */
#endif
