/* A line's way: formatted by its worker, added to the queue, written by the writer's thread.
 *
 *   WAIT -> TAKE the queue -> WRITE ─┬─ written ────────────▶ WAIT for lines, and a little longer for more
 *                                    └─ not all: kept ──────▶ WAIT, try again
 *   a commit: WRITE what still belongs to the file before -> the new file
 *   the end:  WRITE until nothing is left, or the first failure */
#include "relay/edge/access_log.h"

#include "shared/buf.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum {
    OFF = -1,
    MAX_QUEUED = 1 << 20, /* bytes; as many again may be on their way to the file */
    BATCH_BYTES = 65536,  /* that are written at once, without waiting for more */
    BATCH_MS = 100,
    RETRY_MS = 1000,
    RETRY_PIPE_MS = 20, /* of a pipe that is full */
    PIPE_MS = 1000,     /* how long a full one is waited for */
    REPORT_MS = 60000,  /* between two reports of lines that were lost */
};

const char *const access_log_words[] = { "off", "stdout", NULL };

/* What a commit tells the writer. */
struct target {
    struct target *next;
    int fd; /* -1: none */
    char *where;
    bool apart;        /* what is not written yet belongs to the file before: */
    struct buf before; /* and these lines, too */
};

struct access_log {
    atomic_int refs, format; /* format: or OFF; changes with the lock held */
    bool running;            /* the control plane's */
    char *where;
    struct log_tap *tap; /* NULL: none */
    uv_thread_t thread;

    uv_mutex_t lock;
    uv_cond_t wake;
    struct buf queue;
    struct target *next; /* a list */
    uint64_t lost;       /* lines, since the last report */
    bool stopping;

    /* The writer's own. */
    struct target *to; /* NULL: none yet */
    struct buf batch;
    bool failing, reported;
    uint64_t reported_ms;
    int wait_ms;
    char error[256];
};

static void run_writer(void *user);

/* ---- one for all ---- */

struct access_log *access_log_new(void)
{
    struct access_log *l = mem_new(sizeof *l);

    atomic_init(&l->refs, 1);
    atomic_init(&l->format, OFF);
    l->where = mem_copy(access_log_words[0]);
    if (uv_mutex_init(&l->lock) != 0 || uv_cond_init(&l->wake) != 0)
        abort(); /* out of memory */
    return l;
}

struct access_log *access_log_hold(struct access_log *l)
{
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

static void free_target(struct target *t)
{
    if (!t)
        return;
    if (t->fd >= 0)
        close(t->fd);
    buf_free(&t->before);
    free(t->where);
    free(t);
}

void access_log_release(struct access_log *l)
{
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (l->running) {
        uv_mutex_lock(&l->lock);
        l->stopping = true;
        uv_cond_signal(&l->wake);
        uv_mutex_unlock(&l->lock);
        uv_thread_join(&l->thread);
    }
    free_target(l->to);
    buf_free(&l->queue);
    buf_free(&l->batch);
    uv_cond_destroy(&l->wake);
    uv_mutex_destroy(&l->lock);
    free(l->where);
    free(l);
}

/* ---- where it goes ---- */

static bool is_off(const char *where)
{
    return strcmp(where, "off") == 0;
}

/* A FIFO is opened without waiting for its reader, and never written so that it would block. */
static int open_file(const char *path, int *fd, struct err *e)
{
    *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (*fd >= 0)
        return 0;
    if (errno == ENXIO)
        return err_errno(e, errno, "cannot open %s; if it is a FIFO, start the program that reads it first",
                         path);
    return err_errno(e, errno, "cannot open %s", path);
}

int access_log_prepare(struct access_log *l, const char *where, int *fd, struct err *e)
{
    int rc;

    *fd = -1;
    if (is_off(where))
        return 0;
    if (strcmp(where, "stdout") == 0) {
        *fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        if (*fd < 0)
            return err_errno(e, errno, "cannot use the standard output");
    } else if (open_file(where, fd, e) != 0) {
        return -1;
    }
    if (l->running)
        return 0;
    rc = uv_thread_create(&l->thread, run_writer, l);
    l->running = rc == 0;
    if (rc == 0)
        return 0;
    close(*fd);
    *fd = -1;
    return err_set(e, ERR_SYSTEM, "cannot start a thread: %s", uv_strerror(rc));
}

/* With the lock held. */
static void add_last(struct access_log *l, struct target *t)
{
    struct target **end = &l->next;

    while (*end)
        end = &(*end)->next;
    *end = t;
    t->before = l->queue;
    l->queue = (struct buf){ 0 };
}

/* With the lock held. The same file once more: what the writer has not come to yet it need not. Returns that. */
static struct target *replace_last(struct access_log *l, struct target *t)
{
    struct target **end = &l->next, *last;

    while (*end && (*end)->next)
        end = &(*end)->next;
    last = *end;
    *end = t;
    if (last) {
        t->apart = last->apart;
        t->before = last->before;
        last->before = (struct buf){ 0 };
    }
    return last;
}

void access_log_commit(struct access_log *l, const char *where, enum access_format format, int fd)
{
    int next_format = fd < 0 ? OFF : (int)format;
    struct target *t, *unused = NULL;

    if (!l->running) /* it was off, and is */
        return;
    t = mem_new(sizeof *t);
    t->fd = fd;
    t->where = mem_copy(where);
    uv_mutex_lock(&l->lock);
    t->apart = strcmp(l->where, where) != 0 || atomic_load(&l->format) != next_format;
    if (t->apart)
        add_last(l, t);
    else
        unused = replace_last(l, t);
    atomic_store(&l->format, next_format);
    uv_cond_signal(&l->wake);
    uv_mutex_unlock(&l->lock);
    free_target(unused);
    free(l->where);
    l->where = mem_copy(where);
}

/* ---- the workers ---- */

void access_log_set_tap(struct access_log *l, struct log_tap *tap)
{
    l->tap = tap;
}

bool access_log_writes(const struct access_log *l)
{
    return atomic_load_explicit(&l->format, memory_order_relaxed) != OFF;
}

bool access_log_on(const struct access_log *l)
{
    return access_log_writes(l) || log_tap_on(l->tap);
}

/* With the lock held. The writer sleeps while there is nothing, and a little while there is not much. */
static void enqueue(struct access_log *l, const char *line, size_t n)
{
    size_t before = l->queue.len;

    if (before + n > MAX_QUEUED) {
        l->lost++;
        return;
    }
    buf_add(&l->queue, line, n);
    if (before == 0 || (before < BATCH_BYTES && l->queue.len >= BATCH_BYTES))
        uv_cond_signal(&l->wake);
}

static void add_to_file(struct access_log *l, const struct access_entry *entry)
{
    char line[ACCESS_LINE_BYTES];
    int format;

    /* Formatted without the lock; once more where a reload has changed the format in the meantime. */
    while ((format = atomic_load(&l->format)) != OFF) {
        size_t n = access_line(line, (enum access_format)format, entry);
        bool same;

        uv_mutex_lock(&l->lock);
        same = atomic_load(&l->format) == format;
        if (same)
            enqueue(l, line, n);
        uv_mutex_unlock(&l->lock);
        if (same && l->tap)
            log_tap_keep(l->tap, line, n);
        if (same)
            return;
    }
}

void access_log_add(struct access_log *l, const struct access_entry *entry)
{
    add_to_file(l, entry);
    if (log_tap_on(l->tap))
        log_tap_add(l->tap, entry);
}

/* ---- the writer ---- */

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* With the lock held, as all that waits. */
static void wait_at_most(struct access_log *l, int ms)
{
    if (!l->stopping && !l->next)
        uv_cond_timedwait(&l->wake, &l->lock, (uint64_t)ms * 1000000);
}

static void wait_for_work(struct access_log *l)
{
    if (l->batch.len > 0) {
        wait_at_most(l, l->wait_ms);
        return;
    }
    while (!l->stopping && !l->next && l->queue.len == 0 && l->lost == 0)
        uv_cond_wait(&l->wake, &l->lock);
    if (l->queue.len < BATCH_BYTES)
        wait_at_most(l, l->queue.len > 0 ? BATCH_MS : RETRY_MS);
}

/* Of the first n bytes, those of whole lines; all of them when there is no line end. */
static size_t whole_lines(const char *bytes, size_t n)
{
    const char *end = memrchr(bytes, '\n', n);

    return end ? (size_t)(end - bytes) + 1 : n;
}

/* A disk that is full takes a part: half a line at its end is taken back, and written whole later. */
static ssize_t write_file(int fd, const struct buf *b, const struct stat *before)
{
    ssize_t n = write(fd, buf_bytes(b), b->len);
    size_t part;
    struct stat now;

    if (n <= 0 || (size_t)n == b->len)
        return n;
    part = (size_t)n;
    if (memrchr(buf_bytes(b), '\n', part))
        part -= whole_lines(buf_bytes(b), part);
    if (fstat(fd, &now) != 0 || now.st_size < before->st_size + n ||
        ftruncate(fd, now.st_size - (off_t)part) != 0)
        return n;
    return n - (ssize_t)part;
}

/* A pipe that says it can be written takes as much as PIPE_BUF without blocking, in one piece. */
static ssize_t write_pipe(int fd, const struct buf *b)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    size_t n = b->len < PIPE_BUF ? b->len : PIPE_BUF;
    int rc = poll(&p, 1, PIPE_MS);

    if (rc <= 0) {
        errno = rc == 0 ? EAGAIN : errno;
        return -1;
    }
    return write(fd, buf_bytes(b), whole_lines(buf_bytes(b), n));
}

static ssize_t write_some(struct access_log *l)
{
    struct stat st;
    ssize_t n;

    if (fstat(l->to->fd, &st) != 0)
        return -1;
    n = S_ISREG(st.st_mode) ? write_file(l->to->fd, &l->batch, &st) : write_pipe(l->to->fd, &l->batch);
    if (n == 0)
        errno = ENOSPC;
    return n > 0 ? n : -1;
}

static void note_failure(struct access_log *l, int number)
{
    bool full_pipe = number == EAGAIN;

    l->wait_ms = full_pipe ? RETRY_PIPE_MS : RETRY_MS;
    snprintf(l->error, sizeof l->error, "%.150s: %s", l->to->where,
             full_pipe ? "it is read too slowly" : strerror(number));
    if (!full_pipe && !l->failing)
        log_warn("cannot write the access log", kv_str("error", l->error));
    l->failing = l->failing || !full_pipe;
}

/* What is not written stays in the batch. */
static void write_batch(struct access_log *l)
{
    if (!l->to || l->to->fd < 0)
        buf_free(&l->batch);
    while (l->batch.len > 0) {
        ssize_t n = write_some(l);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            note_failure(l, errno);
            return;
        }
        buf_take(&l->batch, (size_t)n);
        if (l->failing)
            log_info("the access log is written again");
        l->failing = false;
    }
    buf_free(&l->batch);
}

static uint64_t drop_batch(struct access_log *l)
{
    uint64_t n = buf_count(&l->batch, '\n');

    buf_free(&l->batch);
    return n;
}

/* Of lines that are lost, at most one report a minute, and the last one at the end. */
static void report(struct access_log *l, uint64_t more, bool last)
{
    uint64_t now = now_ms(), lost;
    bool due = last || !l->reported || now - l->reported_ms >= REPORT_MS;

    uv_mutex_lock(&l->lock);
    l->lost += more;
    lost = due ? l->lost : 0;
    l->lost -= lost;
    uv_mutex_unlock(&l->lock);
    if (lost > 0) {
        l->reported = true;
        l->reported_ms = now;
        log_warn("lines of the access log are lost", kv_int("lost", (int64_t)lost),
                 kv_str("error", l->error[0] ? l->error : "they come faster than they can be written"));
    }
    if (due && l->batch.len == 0)
        l->error[0] = 0;
}

/* Takes the target. Lines that belong to the one before are written first, or never. */
static uint64_t move_on(struct access_log *l, struct target *next)
{
    uint64_t lost = 0;

    if (next->apart) {
        buf_add(&l->batch, buf_bytes(&next->before), next->before.len);
        write_batch(l);
        lost = drop_batch(l);
    }
    buf_free(&next->before);
    free_target(l->to);
    l->to = next;
    l->failing = false;
    return lost;
}

/* With the lock held. */
static void take_queue(struct access_log *l)
{
    if (l->batch.len > 0) {
        buf_add(&l->batch, buf_bytes(&l->queue), l->queue.len);
        buf_free(&l->queue);
        return;
    }
    l->batch = l->queue;
    l->queue = (struct buf){ 0 };
}

/* False: there is nothing left to do, or nothing can be done. */
static bool write_round(struct access_log *l)
{
    struct target *next;
    uint64_t lost = 0;
    bool stopping;

    uv_mutex_lock(&l->lock);
    wait_for_work(l);
    next = l->next;
    stopping = l->stopping;
    if (next)
        l->next = next->next;
    else if (l->batch.len == 0 || stopping)
        take_queue(l);
    stopping = stopping && !next;
    uv_mutex_unlock(&l->lock);
    if (next)
        lost = move_on(l, next);
    write_batch(l);
    if (stopping)
        lost += drop_batch(l);
    report(l, lost, stopping);
    return !stopping;
}

static void run_writer(void *user)
{
    while (write_round(user)) {
    }
}
