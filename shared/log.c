#include "shared/log.h"

#include "shared/log_limit.h"
#include "shared/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 8192 };

static struct {
    pthread_mutex_t lock; /* guards limit and fd */
    struct log_limit limit;
    int fd;
    atomic_int level;
} the_log = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO, .level = LOG_INFO };

static const struct {
    const char *word, *journald;
} levels[] = { { "error", "<3>" }, { "warn", "<4>" }, { "info", "<6>" }, { "debug", "<7>" } };

/* ---- the text of one line ---- */

struct line {
    char *out;
    size_t room, len; /* len stays below room */
};

static void put(struct line *l, const char *bytes, size_t n)
{
    if (n > l->room - l->len)
        n = l->room - l->len;
    memcpy(l->out + l->len, bytes, n);
    l->len += n;
}

static void put_escaped(struct line *l, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        size_t n = utf8_printable(text, left);
        char hex[8];

        if (n > 0 && *text != '"' && *text != '\\') {
            put(l, text, n);
        } else if (n > 0) {
            put(l, "\\", 1);
            put(l, text, 1);
        } else {
            const char *short_form = *text == '\n'   ? "\\n"
                                     : *text == '\t' ? "\\t"
                                     : *text == '\r' ? "\\r"
                                                     : NULL;

            snprintf(hex, sizeof hex, "\\x%02x", (unsigned char)*text);
            put(l, short_form ? short_form : hex, short_form ? 2 : 4);
            n = 1;
        }
        text += n;
        left -= n;
    }
}

static void put_kv(struct line *l, const struct kv *kv)
{
    char number[32];

    put(l, " ", 1);
    put(l, kv->key, strlen(kv->key));
    if (kv->text) {
        put(l, "=\"", 2);
        put_escaped(l, kv->text);
        put(l, "\"", 1);
    } else {
        put(l, number, (size_t)snprintf(number, sizeof number, "=%" PRId64, kv->number));
    }
}

size_t log_format(char *out, size_t room, const char *message, const struct kv *kvs, size_t n)
{
    struct line l = { out, room - 1, 0 }; /* one byte kept for the newline */

    put(&l, message, strlen(message));
    for (size_t i = 0; i < n; i++)
        if (kvs[i].key)
            put_kv(&l, &kvs[i]);
    out[l.len++] = '\n';
    return l.len;
}

/* ---- where it goes ---- */

/* systemd tells the device and inode of the journal's stream; stderr is that stream unless someone redirected it. */
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

static size_t put_prefix(char *out, size_t room, int fd, enum log_level level)
{
    struct timespec now;
    struct tm utc;
    char day[32];

    if (is_journal(fd))
        return (size_t)snprintf(out, room, "%s", levels[level].journald);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
    return (size_t)snprintf(out, room, "%s.%03ldZ %-5s ", day, now.tv_nsec / 1000000, levels[level].word);
}

static void write_line(enum log_level level, const char *message, const struct kv *kvs, size_t n)
{
    char line[LINE_BYTES];
    size_t prefix = put_prefix(line, sizeof line, the_log.fd, level);
    size_t len = prefix + log_format(line + prefix, sizeof line - prefix, message, kvs, n);
    ssize_t written;

    do
        written = write(the_log.fd, line, len);
    while (written < 0 && errno == EINTR);
    /* There is nowhere to tell that the log cannot be written. */
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void write_left_out(int64_t now)
{
    struct log_source left;
    uint64_t left_out;

    while (log_limit_left_out(&the_log.limit, now, &left, &left_out)) {
        const struct kv kvs[] = { kv_str("message", left.message), kv_str("source", left.source),
                                  kv_int("left_out", (int64_t)left_out) };

        write_line(LOG_WARN, "similar lines left out", kvs, 3);
    }
}

void log_line(enum log_level level, const char *source, const char *message, const struct kv *kvs, size_t n)
{
    int64_t now;

    if ((int)level > atomic_load_explicit(&the_log.level, memory_order_relaxed))
        return;
    now = now_ms();
    pthread_mutex_lock(&the_log.lock);
    write_left_out(now);
    if (!source || log_limit_pass(&the_log.limit, message, source, now))
        write_line(level, message, kvs, n);
    pthread_mutex_unlock(&the_log.lock);
}

void log_set_level(enum log_level level)
{
    atomic_store(&the_log.level, (int)level);
}

int log_prepare(const char *where, int *fd, struct err *e)
{
    if (strcmp(where, "stderr") == 0) {
        *fd = STDERR_FILENO;
        return 0;
    }
    *fd = open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (*fd < 0)
        return err_errno(e, errno, "cannot open the log %s", where);
    return 0;
}

void log_commit(int fd)
{
    int old;

    pthread_mutex_lock(&the_log.lock);
    old = the_log.fd;
    the_log.fd = fd;
    pthread_mutex_unlock(&the_log.lock);
    if (old != STDERR_FILENO && old != fd)
        close(old);
}

void log_close(void)
{
    pthread_mutex_lock(&the_log.lock);
    write_left_out(INT64_MAX);
    pthread_mutex_unlock(&the_log.lock);
    log_commit(STDERR_FILENO);
}
