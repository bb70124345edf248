#include "shared/job.h"

#include "shared/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { NEAR_BYTES = 32 * 1024 };

struct job {
    void (*run)(struct job *job, void *user);
    void (*ended)(void *user);
    void *user;
    uv_thread_t thread;
    uv_async_t done; /* its closing is what ends us from the loop */
    uv_mutex_t lock;
    uv_cond_t woken;
    bool cancelled; /* under lock */
};

/* Signals are for the loop's thread; a new thread inherits what is blocked here. */
static int create_thread(struct job *j, void (*entry)(void *arg))
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = uv_thread_create(&j->thread, entry, j);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

/* Right below the caller's frame, where the last page of the stack's rest may not go. In it, the room would push what drop_stack
 * calls into what it gives back. */
__attribute__((noinline)) static void wipe_near(void)
{
    char room[NEAR_BYTES];

    explicit_bzero(room, sizeof room);
}

/* What stands below on the stack may be part of a credential, and would take memory while the C library keeps the stack for
 * another thread. */
static void drop_stack(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), end = (uintptr_t)__builtin_frame_address(0), begin;
    pthread_attr_t attr;
    void *lowest = NULL;
    size_t n = 0;

    wipe_near();
    if (pthread_getattr_np(pthread_self(), &attr) != 0)
        return;
    begin = pthread_attr_getstack(&attr, &lowest, &n) == 0 ? (uintptr_t)lowest : end;
    pthread_attr_destroy(&attr);
    begin = (begin + page - 1) & ~(page - 1);
    end = (end - NEAR_BYTES / 2) & ~(page - 1);
    if (end > begin && madvise((void *)begin, end - begin, MADV_DONTNEED) != 0)
        return; /* it stays, then */
}

static void on_thread_started(void *arg)
{
    struct job *j = arg;

    j->run(j, j->user);
    drop_stack();
    uv_async_send(&j->done);
}

static void job_free(struct job *j)
{
    uv_cond_destroy(&j->woken);
    uv_mutex_destroy(&j->lock);
    free(j);
}

static void on_closed(uv_handle_t *handle)
{
    struct job *j = handle->data;
    void (*ended)(void *user) = j->ended;
    void *user = j->user;

    job_free(j);
    ended(user);
}

static void on_done(uv_async_t *async)
{
    struct job *j = async->data;

    uv_thread_join(&j->thread);
    uv_close((uv_handle_t *)async, on_closed);
}

static void on_never_ran(uv_handle_t *handle)
{
    job_free(handle->data);
}

struct job *job_start(struct loop *loop, void (*run)(struct job *job, void *user), void (*ended)(void *user),
                      void *user, struct err *e)
{
    struct job *j = mem_new(sizeof *j);
    int rc;

    j->run = run;
    j->ended = ended;
    j->user = user;
    if (uv_mutex_init(&j->lock) != 0 || uv_cond_init(&j->woken) != 0)
        abort(); /* glibc's cannot fail */
    rc = uv_async_init(&loop->uv, &j->done, on_done);
    if (rc != 0) {
        job_free(j);
        err_set(e, ERR_SYSTEM, "cannot make a handle for a job: %s", uv_strerror(rc));
        return NULL;
    }
    j->done.data = j;
    rc = create_thread(j, on_thread_started);
    if (rc != 0) {
        uv_close((uv_handle_t *)&j->done, on_never_ran);
        err_set(e, ERR_SYSTEM, "cannot start a thread: %s", uv_strerror(rc));
        return NULL;
    }
    return j;
}

void job_cancel(struct job *j)
{
    uv_mutex_lock(&j->lock);
    j->cancelled = true;
    uv_cond_signal(&j->woken);
    uv_mutex_unlock(&j->lock);
}

bool job_cancelled(struct job *j)
{
    bool cancelled;

    if (!j)
        return false;
    uv_mutex_lock(&j->lock);
    cancelled = j->cancelled;
    uv_mutex_unlock(&j->lock);
    return cancelled;
}

bool job_sleep(struct job *j, int64_t ms)
{
    uint64_t until = uv_hrtime() + (uint64_t)(ms > 0 ? ms : 0) * 1000000;
    bool cancelled;

    if (!j) {
        nanosleep(&(struct timespec){ ms / 1000, (long)(ms % 1000 * 1000000) }, NULL);
        return true;
    }
    uv_mutex_lock(&j->lock);
    for (uint64_t now; !j->cancelled && (now = uv_hrtime()) < until;)
        uv_cond_timedwait(&j->woken, &j->lock, until - now);
    cancelled = j->cancelled;
    uv_mutex_unlock(&j->lock);
    return !cancelled;
}
