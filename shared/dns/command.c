/* Whatever else keeps DNS records: a program of the user's. No shell is in between; the token goes to its standard input.
 *
 *     PROGRAM update NAME IPV4 IPV6      "-" for an address that is not ours
 *     PROGRAM set-txt NAME VALUE         PROGRAM clear-txt NAME
 *
 * Its exit code says how it went (see `classes`), its first line of output why. After a minute it is ended, with all that it
 * has started. */
#include "shared/dns/client.h"
#include "shared/dns/list.h"
#include "shared/mem.h"
#include "shared/value.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

enum {
    LONGEST_MS = 60000,
    GRACE_MS = 3000,
    STEP_MS = 50,
    SAID_BYTES = 400,
    SHOWN_CHARS = 160,
    ENVIRONMENT = 10
};

extern char **environ;

static const enum dns_class classes[] = {
    DNS_OK, DNS_TRANSIENT, DNS_AUTH, DNS_CONFIG, DNS_THROTTLED, DNS_ABUSE, DNS_NOCHANGE,
};

struct child {
    pid_t pid;
    int in, out; /* its standard input and output, from our side */
    char said[SAID_BYTES];
    size_t said_n;
    bool over;
    int status;
};

/* ---- start ---- */

/* A handful of variables: nothing of the daemon's own environment is the program's business. */
static void make_environment(const struct dns_client *c, const char *const *arguments, char *out[ENVIRONMENT])
{
    size_t n = 0;
    const char *path = getenv("PATH");

    out[n++] = mem_format("PATH=%s", path ? path : "/usr/local/bin:/usr/bin:/bin");
    out[n++] = mem_format("LANG=C.UTF-8");
    out[n++] = mem_format("TUNNEL_ACTION=%s", arguments[1]);
    out[n++] = mem_format("TUNNEL_NAME=%s", arguments[2]);
    out[n++] = mem_format("TUNNEL_ZONE=%s", c->conf.zone);
    if (strcmp(arguments[1], "update") == 0) {
        out[n++] = mem_format("TUNNEL_IP=%s", strcmp(arguments[3], "-") == 0 ? "" : arguments[3]);
        out[n++] = mem_format("TUNNEL_IP6=%s", strcmp(arguments[4], "-") == 0 ? "" : arguments[4]);
    } else {
        out[n++] = mem_format("TUNNEL_TXT=%s", arguments[3] ? arguments[3] : "");
    }
    out[n] = NULL;
}

static int spawn(struct child *child, const char *const *arguments, char **environment, const int theirs[2])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t how;
    sigset_t none, all;
    int rc;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, theirs[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, theirs[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, theirs[1], STDERR_FILENO);
    posix_spawnattr_init(&how);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    rc = posix_spawn(&child->pid, arguments[0], &actions, &how, (char *const *)(uintptr_t)arguments,
                     environment);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int start(const struct dns_client *c, struct child *child, const char *const *arguments)
{
    int in[2], out[2], rc;
    char *environment[ENVIRONMENT];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0)
        return errno;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out) != 0) {
        rc = errno;
        close(in[0]);
        close(in[1]);
        return rc;
    }
    make_environment(c, arguments, environment);
    rc = spawn(child, arguments, environment, (const int[2]){ in[1], out[1] });
    for (size_t i = 0; environment[i]; i++)
        free(environment[i]);
    close(in[1]);
    close(out[1]);
    child->in = in[0];
    child->out = out[0];
    if (rc != 0) {
        close(in[0]);
        close(out[0]);
    }
    return rc;
}

/* A token is shorter than any socket's buffer, so nothing has to wait for a program that does not read it. */
static void give_token(struct dns_client *c, struct child *child)
{
    struct iovec pieces[2] = { { c->token.bytes, c->token.n }, { (void *)(uintptr_t) "\n", 1 } };
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = 2 };

    if (c->token.bytes)
        (void)sendmsg(child->in, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(child->in);
}

/* ---- its life ---- */

/* Reads what it says; waits at most STEP_MS. More than fits is read, so that it never waits for us, and dropped. */
static void listen_to(struct child *child)
{
    struct pollfd on = { .fd = child->out, .events = POLLIN };
    char bytes[4096];
    ssize_t n;

    if (poll(&on, 1, STEP_MS) <= 0)
        return;
    n = recv(child->out, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n <= 0) { /* it has closed its output: nothing more to hear, but it still runs */
        poll(NULL, 0, STEP_MS);
        return;
    }
    if ((size_t)n > sizeof child->said - child->said_n)
        n = (ssize_t)(sizeof child->said - child->said_n);
    memcpy(child->said + child->said_n, bytes, (size_t)n);
    child->said_n += (size_t)n;
}

static void look(struct child *child)
{
    child->over = child->over || waitpid(child->pid, &child->status, WNOHANG) == child->pid;
}

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void listen_until(struct child *child, struct job *job, uint64_t end_ms)
{
    for (look(child); !child->over && now_ms() < end_ms && !job_cancelled(job); look(child))
        listen_to(child);
}

/* Its whole process group: what it has started is ended with it. */
static void end(struct child *child)
{
    if (!child->over) {
        kill(-child->pid, SIGTERM);
        listen_until(child, NULL, now_ms() + GRACE_MS);
    }
    kill(-child->pid, SIGKILL);
    while (!child->over && waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
        ;
    child->over = true;
}

/* ---- how it went ---- */

static enum dns_class judge(struct dns_client *c, const struct child *child, struct dns_why *why)
{
    const char *newline = memchr(child->said, '\n', child->said_n);
    struct str line = { child->said, newline ? (size_t)(newline - child->said) : child->said_n };
    int code = WIFEXITED(child->status) ? WEXITSTATUS(child->status) : -1;
    bool known = code >= 0 && code < (int)(sizeof classes / sizeof classes[0]);
    enum dns_class class = known ? classes[code] : DNS_BADREPLY;
    struct buf said = { 0 };

    if (class <= DNS_NOCHANGE)
        return class;
    value_show(&said, line, SHOWN_CHARS);
    if (known)
        dns_fail(c, why, class, "%s ends with %d (%s): %s", c->conf.command, code, dns_class_text(class),
                 said.len > 0 ? buf_text(&said) : "it says nothing");
    else if (code >= 0)
        dns_fail(c, why, class, "%s ends with %d, which means nothing here (0 to 6 do): %s", c->conf.command,
                 code, said.len > 0 ? buf_text(&said) : "it says nothing");
    else
        dns_fail(c, why, class, "%s was ended by signal %d", c->conf.command, WTERMSIG(child->status));
    buf_free(&said);
    return class;
}

static enum dns_class run(struct dns_client *c, const char *const *arguments, struct dns_why *why)
{
    struct child child = { 0 };
    enum dns_class class = dns_pace(c, why);
    bool late;
    int rc;

    if (class != DNS_OK)
        return class;
    rc = start(c, &child, arguments);
    if (rc != 0)
        return dns_fail(c, why, DNS_CONFIG,
                        "%s cannot be run: %s; is it there, executable, and has it a #! line?",
                        c->conf.command, strerror(rc));
    give_token(c, &child);
    listen_until(&child, c->job, now_ms() + LONGEST_MS);
    late = !child.over;
    if (!late)
        listen_to(&child); /* what it said last */
    end(&child);
    close(child.out);
    if (job_cancelled(c->job))
        return dns_fail(c, why, DNS_STOPPED, "given up, as asked");
    if (late)
        return dns_fail(c, why, DNS_TRANSIENT, "%s was still running after %d s, and has been ended",
                        c->conf.command, LONGEST_MS / 1000);
    return judge(c, &child, why);
}

static enum dns_class update(struct dns_client *c, const char *name, const char *v4, const char *v6,
                             struct dns_why *why)
{
    const char *const arguments[] = { c->conf.command, "update", name, v4 ? v4 : "-", v6 ? v6 : "-", NULL };

    return run(c, arguments, why);
}

static enum dns_class set_txt(struct dns_client *c, const char *name, const char *value, struct dns_why *why)
{
    const char *const arguments[] = { c->conf.command, value ? "set-txt" : "clear-txt", name, value, NULL };

    return run(c, arguments, why);
}

const struct dns_provider dns_command = {
    .type = "command",
    .title = "Command",
    .kind = DNS_DYN,
    .can = DNS_CAN_A | DNS_CAN_AAAA | DNS_CAN_TXT | DNS_CAN_WILDCARD,
    .keys = DNS_KEY_COMMAND | DNS_KEY_TOKEN | DNS_KEY_ZONE,
    .needs = DNS_KEY_COMMAND,
    .min_interval_ms = 1000,
    .credential = "Whatever the program needs; a token_file is given to it on its standard input.",
    .sample = "command = /usr/local/bin/set-dns\n",
    .notes =
        "Runs PROGRAM update NAME IPV4 IPV6 (- for an address that is not ours), PROGRAM set-txt NAME VALUE and PROGRAM "
        "clear-txt NAME, without a shell, with PATH, LANG, TUNNEL_ACTION, TUNNEL_NAME, TUNNEL_ZONE, and TUNNEL_IP and TUNNEL_IP6 "
        "or TUNNEL_TXT. Exit codes: 0 done, 1 try again later, 2 wrong credential, 3 no such name, 4 too often, 5 abuse, "
        "6 it was so already. The first line of its output is the reason. It has a minute.",
    .update = update,
    .set_txt = set_txt,
};
