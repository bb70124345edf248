#include "shared/hook.h"

#include "shared/log.h"
#include "shared/mem.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_MS = 60 * 1000 };

struct hook {
    uv_process_t process;
    uv_timer_t deadline;
    int open; /* handles */
    const char *option;
    char *path;
    struct hook_end end;
    void (*ended)(void *user, const struct hook_end *end);
    void *user;
};

static void on_closed(uv_handle_t *handle)
{
    struct hook *h = handle->data;
    void (*ended)(void *user, const struct hook_end *end) = h->ended;
    const struct hook_end end = h->end;
    void *user = h->user;

    if (--h->open > 0)
        return;
    free(h->path);
    free(h);
    ended(user, &end);
}

static void close_all(struct hook *h)
{
    uv_close((uv_handle_t *)&h->process, on_closed);
    uv_close((uv_handle_t *)&h->deadline, on_closed);
}

static void on_exited(uv_process_t *process, int64_t status, int by_signal)
{
    struct hook *h = process->data;

    h->end.status = status;
    h->end.signal = by_signal;
    if (status != 0 || by_signal != 0)
        log_warn("a program did not end well", kv_str("option", h->option), kv_str("path", h->path),
                 kv_int("status", status), kv_int("signal", by_signal));
    close_all(h);
}

/* What it has started in turn ends with it. */
static void on_late(uv_timer_t *timer)
{
    hook_cut(timer->data);
}

void hook_cut(struct hook *h)
{
    if (h->end.started)
        kill(-h->process.pid, SIGKILL);
}

/* Of the daemon's own environment it gets PATH alone: a credential may be in there. All texts are to be freed. */
static char **make_environment(const struct hook_variable *variables, size_t n)
{
    const char *path = getenv("PATH");
    char **all = mem_new((n + 2) * sizeof *all);

    for (size_t i = 0; i < n; i++)
        all[i] = mem_format("%s=%s", variables[i].name, variables[i].value);
    all[n] = mem_format("PATH=%s", path ? path : "/usr/bin:/bin");
    return all;
}

struct hook *hook_run(struct loop *loop, const char *option, const char *path,
                      const struct hook_variable *variables, size_t n,
                      void (*ended)(void *user, const struct hook_end *end), void *user)
{
    struct hook *h = mem_new(sizeof *h);
    char **environment = make_environment(variables, n), *args[] = { NULL, NULL };
    uv_process_options_t options = { 0 };
    int rc;

    h->option = option;
    h->path = args[0] = mem_copy(path);
    h->ended = ended;
    h->user = user;
    h->open = 2;
    h->process.data = h->deadline.data = h;
    options.exit_cb = on_exited;
    options.file = h->path;
    options.args = args;
    options.env = environment;
    options.flags = UV_PROCESS_DETACHED; /* leads a group of its own, for on_late */
    uv_timer_init(&loop->uv, &h->deadline);
    rc = uv_spawn(&loop->uv, &h->process, &options);
    if (rc != 0) {
        log_warn("a program cannot be run", kv_str("option", option), kv_str("path", path),
                 kv_str("error", uv_strerror(rc)));
        close_all(h);
    } else {
        h->end.started = true;
        uv_timer_start(&h->deadline, on_late, LONGEST_MS, 0);
    }
    for (size_t i = 0; environment[i]; i++)
        free(environment[i]);
    free(environment);
    return h;
}
