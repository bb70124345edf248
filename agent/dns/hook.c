#include "agent/dns/hook.h"

#include "shared/log.h"
#include "shared/mem.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_MS = 60 * 1000, VARIABLES = 7 };

struct hook {
    uv_process_t process;
    uv_timer_t deadline;
    int open; /* handles */
    char *path;
    void (*ended)(void *user);
    void *user;
};

static void on_closed(uv_handle_t *handle)
{
    struct hook *h = handle->data;
    void (*ended)(void *user) = h->ended;
    void *user = h->user;

    if (--h->open > 0)
        return;
    free(h->path);
    free(h);
    ended(user);
}

static void close_all(struct hook *h)
{
    uv_close((uv_handle_t *)&h->process, on_closed);
    uv_close((uv_handle_t *)&h->deadline, on_closed);
}

static void on_exited(uv_process_t *process, int64_t status, int by_signal)
{
    struct hook *h = process->data;

    if (status != 0 || by_signal != 0)
        log_warn("on_change did not end well", kv_str("path", h->path), kv_int("status", status),
                 kv_int("signal", by_signal));
    close_all(h);
}

static void on_late(uv_timer_t *timer)
{
    struct hook *h = timer->data;

    uv_process_kill(&h->process, SIGKILL);
}

/* Of the daemon's own environment it gets PATH alone: a credential may be in there. */
static void make_environment(const struct hook_event *e, char *out[VARIABLES + 1])
{
    const char *path = getenv("PATH");

    out[0] = mem_format("TUNNEL_SITE=%s", e->site);
    out[1] = mem_format("TUNNEL_NAME=%s", e->name);
    out[2] = mem_format("TUNNEL_TYPE=%s", e->type);
    out[3] = mem_format("TUNNEL_PROVIDER=%s", e->provider);
    out[4] = mem_format("TUNNEL_OLD=%s", e->before);
    out[5] = mem_format("TUNNEL_NEW=%s", e->now);
    out[6] = mem_format("PATH=%s", path ? path : "/usr/bin:/bin");
    out[VARIABLES] = NULL;
}

void hook_run(struct loop *loop, const char *path, const struct hook_event *event, void (*ended)(void *user),
              void *user)
{
    struct hook *h = mem_new(sizeof *h);
    char *environment[VARIABLES + 1], *args[] = { NULL, NULL };
    uv_process_options_t options = { 0 };
    int rc;

    make_environment(event, environment);
    h->path = args[0] = mem_copy(path);
    h->ended = ended;
    h->user = user;
    h->open = 2;
    h->process.data = h->deadline.data = h;
    options.exit_cb = on_exited;
    options.file = h->path;
    options.args = args;
    options.env = environment;
    uv_timer_init(&loop->uv, &h->deadline);
    rc = uv_spawn(&loop->uv, &h->process, &options);
    if (rc != 0) {
        log_warn("on_change cannot be run", kv_str("path", path), kv_str("error", uv_strerror(rc)));
        close_all(h);
    } else {
        uv_timer_start(&h->deadline, on_late, LONGEST_MS, 0);
    }
    for (size_t i = 0; i < VARIABLES; i++)
        free(environment[i]);
}
