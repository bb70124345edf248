#include "relay/certs/quota.h"

#include "shared/file.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

struct quota {
    pthread_mutex_t lock;
    struct limits *limits;
    char *path;
};

struct quota *quota_open(const char *state_dir, struct err *e)
{
    char *folder = mem_format("%s/acme", state_dir);
    struct quota *q = mem_new(sizeof *q);

    q->path = mem_format("%s/limits.json", folder);
    pthread_mutex_init(&q->lock, NULL);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        err_errno(e, errno, "cannot make the folder %s", folder);
    else
        q->limits = limits_load(q->path, e);
    free(folder);
    if (q->limits)
        return q;
    quota_free(q);
    return NULL;
}

int quota_order(struct quota *q, const struct limits_order *o, int64_t *free_at, struct err *e)
{
    int64_t now = time(NULL);
    int rc;

    pthread_mutex_lock(&q->lock);
    rc = limits_check(q->limits, o, now, free_at, e);
    if (rc == 0) {
        limits_ordered(q->limits, o, now);
        rc = limits_save(q->limits, q->path, now, e);
    }
    pthread_mutex_unlock(&q->lock);
    return rc;
}

/* What has happened cannot be undone; the count in memory stands until the next one is written. */
static void save(struct quota *q, int64_t now)
{
    struct err why = { 0 };

    if (limits_save(q->limits, q->path, now, &why) != 0)
        log_warn_limited(q->path, "cannot note what an authority has counted", kv_str("path", q->path),
                         kv_str("error", why.text));
}

void quota_issued(struct quota *q, const struct limits_order *o, int64_t life_s)
{
    int64_t now = time(NULL);

    pthread_mutex_lock(&q->lock);
    limits_issued(q->limits, o, life_s, now);
    save(q, now);
    pthread_mutex_unlock(&q->lock);
}

void quota_validation_failed(struct quota *q, const char *directory, const char *name)
{
    int64_t now = time(NULL);

    pthread_mutex_lock(&q->lock);
    limits_validation_failed(q->limits, directory, name, now);
    save(q, now);
    pthread_mutex_unlock(&q->lock);
}

void quota_free(struct quota *q)
{
    if (!q)
        return;
    limits_free(q->limits);
    pthread_mutex_destroy(&q->lock);
    free(q->path);
    free(q);
}
