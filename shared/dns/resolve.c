#include "shared/dns/resolve.h"

#include "shared/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { LOOK_MS = 100 };

/* Belongs to who asks until it is left, and from then on to the thread. */
struct question {
    uv_mutex_t lock;
    uv_cond_t answered;
    char *host, port[8];
    struct addrinfo *list;
    int rc;
    bool done, left; /* under lock */
};

static const struct addrinfo usual = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM };

static void question_free(struct question *q)
{
    if (q->list)
        freeaddrinfo(q->list);
    uv_cond_destroy(&q->answered);
    uv_mutex_destroy(&q->lock);
    free(q->host);
    free(q);
}

static void *on_thread_started(void *arg)
{
    struct question *q = arg;
    struct addrinfo hints = usual, *list = NULL;
    bool left;
    int rc;

    hints.ai_flags = AI_NUMERICSERV;
    rc = getaddrinfo(q->host, q->port, &hints, &list);
    uv_mutex_lock(&q->lock);
    q->rc = rc;
    q->list = rc == 0 ? list : NULL;
    q->done = true;
    left = q->left;
    uv_cond_signal(&q->answered);
    uv_mutex_unlock(&q->lock);
    if (left)
        question_free(q);
    return NULL;
}

/* Signals are for the loop's thread. */
static int start_thread(struct question *q)
{
    sigset_t all, before;
    pthread_t thread;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, NULL, on_thread_started, q);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_detach(thread);
    return rc;
}

/* Until it is answered: true. Else the question is the thread's. */
static bool wait_for_answer(struct question *q, struct job *job, int64_t patience_ms)
{
    uint64_t until = uv_hrtime() + (uint64_t)patience_ms * 1000000;
    bool done;

    uv_mutex_lock(&q->lock);
    while (!q->done && uv_hrtime() < until && !job_cancelled(job))
        uv_cond_timedwait(&q->answered, &q->lock, (uint64_t)LOOK_MS * 1000000);
    done = q->done;
    q->left = !done;
    uv_mutex_unlock(&q->lock);
    return done;
}

static int ask_resolver(const char *host, const char *port, struct job *job, int64_t patience_ms,
                        struct addrinfo **list, struct err *e)
{
    struct question *q = mem_new(sizeof *q);
    int rc;

    if (uv_mutex_init(&q->lock) != 0 || uv_cond_init(&q->answered) != 0)
        abort(); /* glibc's cannot fail */
    q->host = mem_copy(host);
    snprintf(q->port, sizeof q->port, "%s", port);
    rc = start_thread(q);
    if (rc != 0) {
        question_free(q);
        return err_errno(e, rc, "cannot start a thread to look up %s", host);
    }
    if (!wait_for_answer(q, job, patience_ms))
        return job_cancelled(job)
                   ? err_set(e, ERR_STOPPED, "looking up %s was given up, as told", host)
                   : err_set(e, ERR_TIMEOUT,
                             "nobody says what the address of %s is; does this machine's resolver work?",
                             host);
    rc = q->rc;
    *list = q->list;
    q->list = NULL;
    question_free(q);
    return rc == 0 ? 0 : err_set(e, ERR_PEER, "cannot find the address of %s: %s", host, gai_strerror(rc));
}

int resolve(const char *host, uint16_t port, struct job *job, int64_t patience_ms, struct addrinfo **list,
            struct err *e)
{
    struct addrinfo hints = usual;
    char text[8];

    snprintf(text, sizeof text, "%u", port);
    hints.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST;
    if (getaddrinfo(host, text, &hints, list) == 0)
        return 0;
    return ask_resolver(host, text, job, patience_ms, list, e);
}
