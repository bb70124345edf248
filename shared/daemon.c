/* The life of a daemon's process:
 *
 *   arguments -> configuration -> log, state folder, control socket -> RUN -> DRAIN -> end
 *                                                                     reload ⟲  */
#include "shared/daemon.h"

#include "shared/admin.h"
#include "shared/alerts/alerts.h"
#include "shared/alerts/alerts_metrics.h"
#include "shared/control.h"
#include "shared/daemon_args.h"
#include "shared/file.h"
#include "shared/log.h"
#include "shared/mem.h"
#include "shared/notify.h"
#include "shared/privs.h"
#include "shared/state_dir.h"
#include "shared/unix_socket.h"
#include "shared/opt_print.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct daemon {
    const struct daemon_program *program;
    const char *conf_path; /* as given, for messages */
    char *conf_full_path;  /* for others, who may be in another folder; NULL when it has none */
    struct opt_conf *conf;

    struct loop loop;
    struct inherited inherited;
    struct unix_listener socket;
    int state_fd;
    struct control *control; /* NULL once it has ended */
    struct admin *admin;     /* likewise */
    struct alerts *alerts;   /* likewise */
    void *parts;
    uv_timer_t watchdog, drain;
    int64_t started_ms;
    bool draining;
    char *became; /* whom, when root has started us and it is not root's */
};

static int daemon_run(struct daemon *d);

/* ---- arguments ---- */

static const struct daemon_conf *conf_of(const struct daemon *d, const struct opt_conf *conf)
{
    return opt_values(conf, d->program->role, NULL);
}

static int print_and_free(struct buf *out)
{
    size_t written = fwrite(buf_bytes(out), 1, out->len, stdout);
    int failed = written != out->len || fflush(stdout) != 0;

    if (failed)
        fprintf(stderr, "cannot write the output: %s\n", strerror(errno));
    buf_free(out);
    return failed;
}

static int task_without_conf(enum daemon_task task, const struct opt_schema *schema)
{
    struct buf out = { 0 };

    switch (task) {
    case TASK_VERSION: buf_printf(&out, "%s %s\n", schema->program, TUNNEL_VERSION); break;
    case TASK_HELP: daemon_args_help(&out, schema); break;
    case TASK_SAMPLE: opt_print_sample(&out, schema); break;
    case TASK_MANUAL: opt_print_manual(&out, schema); break;
    default: return 2;
    }
    return print_and_free(&out);
}

static void print_doubts(const struct daemon *d)
{
    struct opt_errors doubts = { 0 };

    if (d->program->add_doubts)
        d->program->add_doubts(d->conf, &doubts);
    opt_errors_print(&doubts);
    opt_errors_free(&doubts);
}

static int task_with_conf(enum daemon_task task, struct daemon *d)
{
    struct buf out = { 0 };

    if (task == TASK_RUN)
        return daemon_run(d);
    if (task == TASK_DUMP) {
        opt_print_dump(&out, d->conf);
        if (d->program->add_dump)
            d->program->add_dump(&out, d->conf);
    } else {
        print_doubts(d);
        buf_printf(&out, "%s: ok\n", d->conf_path);
    }
    return print_and_free(&out);
}

/* What large buffers held goes back to the system. Left alone, glibc raises these bounds as large buffers come and go,
 * and keeps what they held for ever. What a lane in full use takes and gives back in each round stays below the second
 * bound, or the system would clear those pages again and again. */
static void keep_memory_small(void)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
#endif
}

int daemon_main(int argc, char **argv, const struct daemon_program *program)
{
    struct daemon d = { .program = program, .state_fd = -1, .socket = { .fd = -1 } };
    struct opt_errors errors = { 0 };
    struct daemon_args args;
    int rc = 1;

    signal(SIGUSR1, SIG_IGN); /* who rotates logs may send it at any time; a start opens them anyway */
    signal(SIGUSR2, SIG_IGN);
    file_hold_standard();
    keep_memory_small();
    daemon_args_read(&args, argc, argv, program->schema);
    if (args.task != TASK_RUN && args.task != TASK_CHECK && args.task != TASK_DUMP)
        return task_without_conf(args.task, program->schema);
    d.conf_path = args.conf_path;
    d.conf_full_path = realpath(args.conf_path, NULL);
    d.conf = opt_load(program->schema, args.conf_path, &errors);
    opt_errors_print(&errors);
    if (d.conf)
        rc = task_with_conf(args.task, &d);
    opt_errors_free(&errors);
    opt_conf_free(d.conf);
    free(d.conf_full_path);
    free(d.became);
    return rc;
}

static struct admin_conf admin_conf_of(const struct daemon_conf *own)
{
    return (struct admin_conf){ &own->admin_listen, own->admin_password_file };
}

/* ---- reload: prepare everything that can fail, then switch over ---- */

static void prepare_parts(struct daemon *d, const struct opt_conf *next, struct opt_errors *errors)
{
    const struct admin_conf admin = admin_conf_of(conf_of(d, next));
    struct err why = { 0 };
    const char *key;

    if (admin_prepare(d->admin, &admin, &key, &why) != 0)
        opt_errors_add_at(errors, next, d->program->role, NULL, key, "%s", why.text);
    else if (d->program->prepare)
        d->program->prepare(d->parts, next, errors); /* last: nobody would give back what it has prepared */
    if (errors->n > 0)
        admin_abandon(d->admin);
}

static int daemon_reload(void *user, struct opt_errors *errors)
{
    struct daemon *d = user;
    struct opt_conf *next = NULL;
    struct err why = { 0 };
    int log_fd = STDERR_FILENO;

    if (d->draining) /* the parts may be gone, and must not begin anything new */
        opt_errors_add(errors, "%s is stopping; start it again for a new configuration",
                       d->program->schema->program);
    else
        next = opt_load(d->program->schema, d->conf_path, errors);
    if (next)
        opt_check_reload(d->conf, next, errors);
    if (next && errors->n == 0 && log_prepare(conf_of(d, next)->log, &log_fd, &why) != 0)
        opt_errors_add_at(errors, next, d->program->role, NULL, "log", "%s", why.text);
    if (next && errors->n == 0)
        prepare_parts(d, next, errors);
    if (!next || errors->n > 0) {
        for (size_t i = 0; i < errors->n; i++)
            log_error("configuration error", kv_str("error", errors->lines[i]));
        log_error("reload refused; the configuration before stays in force", kv_str("config", d->conf_path));
        opt_conf_free(next);
        if (log_fd > STDERR_FILENO)
            close(log_fd);
        return -1;
    }
    log_commit(log_fd);
    log_set_level((enum log_level)conf_of(d, next)->log_level);
    admin_commit(d->admin);
    d->program->reload(d->parts, next);
    alerts_reload(d->alerts, conf_of(d, next));
    opt_conf_free(d->conf);
    d->conf = next;
    log_info("reloaded", kv_str("config", d->conf_path));
    return 0;
}

static void tell_ready(const struct daemon *d)
{
    char text[NOTIFY_TEXT] = "";

    if (d->program->state_text)
        d->program->state_text(d->parts, text, sizeof text);
    notify_ready(text);
}

static void on_hangup(void *user)
{
    const struct daemon *d = user;
    struct opt_errors errors = { 0 };

    if (!d->draining)
        notify_reloading();
    if (daemon_reload(user, &errors) != 0)
        opt_errors_free(&errors); /* said in the log */
    if (!d->draining)             /* a supervisor must not take what is stopping for ready */
        tell_ready(d);
}

/* ---- what the control socket asks ---- */

static const struct opt_conf *running_conf(void *user)
{
    const struct daemon *d = user;

    return d->conf;
}

static const char *running_conf_path(void *user)
{
    const struct daemon *d = user;

    return d->conf_full_path ? d->conf_full_path : d->conf_path;
}

static void add_status(void *user, json_t *status)
{
    struct daemon *d = user;

    json_object_set_new(status, "uptime_s", json_integer((loop_now_ms(&d->loop) - d->started_ms) / 1000));
    json_object_set_new(status, "name", json_string(conf_of(d, d->conf)->name));
    json_object_set_new(status, "admin", admin_status(d->admin));
    json_object_set_new(status, "alerts", alerts_status(d->alerts));
    d->program->add_status(d->parts, status);
}

static struct alerts *running_alerts(void *user)
{
    const struct daemon *d = user;

    return d->alerts;
}

/* ---- what the admin listener asks ---- */

static void add_metrics(void *user, struct buf *out)
{
    const struct daemon *d = user;
    json_t *alerts = alerts_status(d->alerts);
    struct metrics m;

    metrics_of_process(out, d->program->role);
    metrics_begin(&m, out, d->program->role);
    d->program->add_metrics(d->parts, &m);
    alerts_metrics_add(&m, alerts);
    json_decref(alerts);
}

static bool is_ready(void *user, char *why, size_t room)
{
    const struct daemon *d = user;

    if (!d->draining && d->parts)
        return d->program->ready(d->parts, why, room);
    snprintf(why, room, "stopping");
    return false;
}

static json_t *whole_status(void *user)
{
    const struct daemon *d = user;
    json_t *status = control_common(d->program->role);

    add_status(user, status);
    return status;
}

static void count(void *user, struct history_totals *totals)
{
    const struct daemon *d = user;

    if (d->parts)
        d->program->count(d->parts, totals);
}

/* ---- end ---- */

static void close_timer(uv_timer_t *timer)
{
    if (!uv_is_closing((uv_handle_t *)timer))
        uv_close((uv_handle_t *)timer, NULL);
}

/* What keeps the loop alive beyond the work itself goes last. */
static void end_if_done(struct daemon *d)
{
    if (d->control || d->parts || d->admin || d->alerts)
        return;
    close_timer(&d->watchdog);
    close_timer(&d->drain);
    loop_ignore_signals(&d->loop); /* we are ending as it is, and in order */
}

static void on_control_ended(void *user)
{
    struct daemon *d = user;

    d->control = NULL;
    end_if_done(d);
}

static void on_admin_ended(void *user)
{
    struct daemon *d = user;

    d->admin = NULL;
    end_if_done(d);
}

static void on_alerts_ended(void *user)
{
    struct daemon *d = user;

    d->alerts = NULL;
    end_if_done(d);
}

static void on_parts_ended(void *user)
{
    struct daemon *d = user;

    d->parts = NULL;
    if (d->control)
        control_more_routes(d->control, NULL, 0, NULL);
    if (d->admin)
        admin_drain(d->admin); /* until now it told who asked that we are not ready */
    end_if_done(d);
}

static void cut(struct daemon *d)
{
    if (d->parts)
        d->program->cut(d->parts);
    if (d->control)
        control_stop(d->control);
    if (d->admin)
        admin_stop(d->admin);
    if (d->alerts)
        alerts_stop(d->alerts, true);
}

static void on_drain_over(uv_timer_t *timer)
{
    log_warn("cut off what was still in progress");
    cut(timer->data);
}

static void on_terminated(void *user)
{
    struct daemon *d = user;

    if (d->draining) { /* asked twice: the person does not want to wait */
        cut(d);
        return;
    }
    d->draining = true;
    notify_stopping();
    log_info("stopping", kv_int("drain_ms", conf_of(d, d->conf)->drain_ms));
    uv_timer_start(&d->drain, on_drain_over, (uint64_t)conf_of(d, d->conf)->drain_ms, 0);
    alerts_stop(d->alerts, false); /* what goes from now on, goes as it should */
    d->program->drain(d->parts);
    control_drain(d->control);
}

static void daemon_end(struct daemon *d)
{
    cut(d); /* after a failed start, what did start */
    end_if_done(d);
    loop_run(&d->loop);
    loop_free(&d->loop);
    unix_listener_remove(&d->socket);
    if (d->state_fd >= 0)
        close(d->state_fd);
    log_close();
}

/* ---- whose process it is ---- */

static int give_paths(const struct daemon *d, const struct privs_user *user, struct err *e)
{
    const struct daemon_conf *own = conf_of(d, d->conf);
    struct daemon_paths more = { 0 };

    if (d->program->paths)
        d->program->paths(d->conf, &more);
    if (privs_give_folder(own->control_socket, user, e) != 0 ||
        (more.socket && privs_give_folder(more.socket, user, e) != 0))
        return -1;
    if (own->log[0] == '/' && privs_give_file(own->log, 0640, user, e) != 0)
        return -1;
    return more.log && more.log[0] == '/' ? privs_give_file(more.log, 0640, user, e) : 0;
}

/* What root may read and the user may not would be missed by the first reload, at the latest. */
static int load_again(struct daemon *d, const struct privs_user *user, struct err *e)
{
    struct opt_errors errors = { 0 };
    struct opt_conf *again = opt_load(d->program->schema, d->conf_path, &errors);

    for (size_t i = 0; i < errors.n; i++)
        log_error("configuration error", kv_str("error", errors.lines[i]));
    opt_errors_free(&errors);
    if (!again)
        return err_set(e, ERR_INPUT,
                       "started by root, this is to run as %s, who owns the state folder %s, but that user "
                       "cannot load %s; let him read what it names, or give the folder to root",
                       user->name, conf_of(d, d->conf)->state_dir, d->conf_path);
    opt_conf_free(d->conf);
    d->conf = again;
    return 0;
}

/* Started by root, a daemon becomes the owner of its state folder, before there is anything that belongs to root: what it
 * makes is that user's, and a reload can do all that the start could. */
static int become_owner(struct daemon *d, struct err *e)
{
    struct privs_user user;

    if (!privs_owner(conf_of(d, d->conf)->state_dir, &user))
        return 0;
    if (give_paths(d, &user, e) != 0 || privs_become(&user, d->program->low_ports, e) != 0 ||
        load_again(d, &user, e) != 0)
        return -1;
    d->became = mem_copy(user.name);
    return 0;
}

/* ---- start and run ---- */

static void on_watchdog_due(uv_timer_t *timer)
{
    (void)timer;
    notify_watchdog();
}

static int start_loop(struct daemon *d, struct err *e)
{
    uint64_t watchdog_ms = (uint64_t)notify_watchdog_ms() / 2;

    if (watchdog_ms > 0)
        uv_timer_start(&d->watchdog, on_watchdog_due, 0, watchdog_ms);
    if (loop_on_signal(&d->loop, SIGHUP, on_hangup, d, e) != 0 ||
        loop_on_signal(&d->loop, SIGUSR1, on_hangup, d, e) != 0 ||
        loop_on_signal(&d->loop, SIGTERM, on_terminated, d, e) != 0 ||
        loop_on_signal(&d->loop, SIGINT, on_terminated, d, e) != 0)
        return -1;
    return 0;
}

static int start_control(struct daemon *d, struct err *e)
{
    static const struct control_functions functions = { running_conf, running_conf_path, add_status,
                                                        daemon_reload, running_alerts };
    const char *path = conf_of(d, d->conf)->control_socket;
    int fd = inherited_take_unix(&d->inherited, path);

    if (fd < 0 && unix_listen(&d->socket, path, "tunnel-admin", 0660, e) != 0)
        return err_wrap(e, "control_socket");
    d->control = control_start(&d->loop, fd >= 0 ? fd : d->socket.fd, d->program->schema->program,
                               d->program->role, &functions, d, on_control_ended, e);
    if (!d->control)
        return -1;
    control_more_routes(d->control, d->program->routes, d->program->routes_n, d->parts);
    return 0;
}

static int start_admin(struct daemon *d, struct err *e)
{
    static const struct admin_functions functions = { add_metrics, { whole_status, count, is_ready } };
    const struct admin_conf conf = admin_conf_of(conf_of(d, d->conf));

    d->admin = admin_start(&d->loop, &conf, &d->inherited, &functions, d, on_admin_ended, e);
    return d->admin ? 0 : -1;
}

static void start_alerts(struct daemon *d)
{
    const struct alerts_host host = { add_status, d->program->add_troubles, on_alerts_ended, d };

    d->alerts = alerts_start(&d->loop, d->program->role, conf_of(d, d->conf), &host);
}

static int start_log(struct daemon *d, struct err *e)
{
    int fd;

    if (log_prepare(conf_of(d, d->conf)->log, &fd, e) != 0)
        return -1;
    log_commit(fd);
    log_set_level((enum log_level)conf_of(d, d->conf)->log_level);
    return 0;
}

static int start_all(struct daemon *d, struct err *e)
{
    if (start_log(d, e) != 0)
        return -1;
    d->started_ms = loop_now_ms(&d->loop);
    d->state_fd = state_dir_take(conf_of(d, d->conf)->state_dir, e);
    if (d->state_fd < 0 || start_loop(d, e) != 0)
        return -1;
    d->parts = d->program->start(&d->loop, d->conf, &d->inherited,
                                 &(struct daemon_parts_host){ add_status, on_parts_ended, d }, e);
    if (!d->parts)
        return -1;
    start_alerts(d);
    return start_control(d, e) == 0 ? start_admin(d, e) : -1;
}

/* The lower, soft limit is for programs that use select(). */
static void allow_many_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warn("cannot raise the number of descriptors", kv_str("error", strerror(errno)));
}

static int daemon_run(struct daemon *d)
{
    struct err why = { 0 };
    int rc;

    signal(SIGPIPE, SIG_IGN);
    allow_many_descriptors();
    privs_keep_from_children();
    /* Inherited descriptors first: whatever we open ourselves must not be taken for one of them. */
    if (inherited_read(&d->inherited, &why) != 0 || become_owner(d, &why) != 0 ||
        loop_init(&d->loop, &why) != 0) {
        log_error("cannot start", kv_str("error", why.text));
        return 1;
    }
    uv_timer_init(&d->loop.uv, &d->watchdog);
    uv_timer_init(&d->loop.uv, &d->drain);
    d->drain.data = d;
    rc = start_all(d, &why);
    if (rc == 0) {
        inherited_close_rest(&d->inherited);
        log_info("started", kv_str("program", d->program->schema->program), kv_str("version", TUNNEL_VERSION),
                 kv_str("name", conf_of(d, d->conf)->name), kv_str("config", d->conf_path),
                 kv_str("socket", conf_of(d, d->conf)->control_socket));
        if (d->became)
            log_info("started by root, it is its state folder's owner from now on",
                     kv_str("user", d->became));
        tell_ready(d);
        loop_run(&d->loop);
        log_info("stopped");
    } else {
        log_error("cannot start", kv_str("error", why.text));
    }
    daemon_end(d);
    return rc == 0 ? 0 : 1;
}
