#include "shared/loop.h"

#include "shared/mem.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

int loop_init(struct loop *l, struct err *e)
{
    int rc;

    memset(l, 0, sizeof *l);
    rc = uv_loop_init(&l->uv);
    if (rc != 0)
        return err_set(e, ERR_SYSTEM, "cannot make an event loop: %s", uv_strerror(rc));
    l->uv.data = l;
    l->read_buf = mem_new(LOOP_BUF_BYTES);
    return 0;
}

static void on_signalled(uv_signal_t *handle, int number)
{
    struct loop_signal *s = handle->data;

    (void)number;
    s->caught(s->user);
}

int loop_on_signal(struct loop *l, int number, void (*caught)(void *user), void *user, struct err *e)
{
    struct loop_signal *s = &l->signals[l->signals_n];
    int rc;

    assert(l->signals_n < LOOP_SIGNALS);
    s->caught = caught;
    s->user = user;
    s->handle.data = s;
    rc = uv_signal_init(&l->uv, &s->handle);
    if (rc == 0) {
        l->signals_n++;
        rc = uv_signal_start(&s->handle, on_signalled, number);
    }
    return rc == 0 ? 0 : err_set(e, ERR_SYSTEM, "cannot catch signal %d: %s", number, uv_strerror(rc));
}

void loop_stop_signals(struct loop *l)
{
    for (int i = 0; i < l->signals_n; i++)
        if (!uv_is_closing((uv_handle_t *)&l->signals[i].handle))
            uv_close((uv_handle_t *)&l->signals[i].handle, NULL);
}

/* libuv gives each signal its deadly default back first: meanwhile none may come to this thread. */
void loop_ignore_signals(struct loop *l)
{
    int numbers[LOOP_SIGNALS] = { 0 };
    sigset_t ours;

    sigemptyset(&ours);
    for (int i = 0; i < l->signals_n; i++) {
        numbers[i] = l->signals[i].handle.signum; /* 0: it is closed already */
        if (numbers[i] > 0)
            sigaddset(&ours, numbers[i]);
    }
    pthread_sigmask(SIG_BLOCK, &ours, NULL);
    loop_stop_signals(l);
    for (int i = 0; i < l->signals_n; i++)
        if (numbers[i] > 0)
            signal(numbers[i], SIG_IGN);
}

void loop_run(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_free(struct loop *l)
{
    int rc;

    loop_stop_signals(l);
    uv_run(&l->uv, UV_RUN_NOWAIT);
    rc = uv_loop_close(&l->uv);
    assert(rc == 0);
    (void)rc;
    free(l->read_buf);
    l->read_buf = NULL;
}

int64_t loop_now_ms(const struct loop *l)
{
    return (int64_t)uv_now(&l->uv);
}
