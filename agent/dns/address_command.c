/* What a program of the operator's prints: one address of a family, or one of each. */
#include "agent/dns/address_command.h"

#include "agent/dns/address_source.h"
#include "shared/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

enum { PATIENCE_MS = 10 * 1000, LOOK_MS = 100, MOST_BYTES = 4096 };

extern char **environ;

/* ---- pure ---- */

void address_of_output(struct str text, struct address_said said[ADDRESS_FAMILIES])
{
    struct address_said one;
    struct str word;

    said[ADDRESS_V4] = said[ADDRESS_V6] = (struct address_said){ .text = "" };
    while (str_next_word(&text, "\r\n", &word)) {
        int f = memchr(word.p, ':', word.n) ? ADDRESS_V6 : ADDRESS_V4;

        address_judge(word, f == ADDRESS_V4 ? AF_INET : AF_INET6, &one);
        if (said[f].text[0] && strcmp(said[f].text, one.text) != 0)
            snprintf(one.why, sizeof one.why, "prints %s and more; one address of a family is expected",
                     said[f].text);
        if (one.why[0])
            one.text[0] = 0;
        if (!said[f].why[0])
            said[f] = one;
    }
    for (int f = 0; f < ADDRESS_FAMILIES; f++)
        if (!said[f].text[0] && !said[f].why[0])
            snprintf(said[f].why, sizeof said[f].why, "prints no %s address",
                     f == ADDRESS_V4 ? "IPv4" : "IPv6");
}

/* ---- run ---- */

/* A group of its own, so that what it starts can be ended with it; and none of our signals' settings. */
static int spawn(const char *path, int out, pid_t *pid)
{
    char *args[] = { (char *)(uintptr_t)path, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;
    int rc;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    rc = posix_spawn(pid, path, &files, &how, args, environ);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static int64_t now_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

/* Until it closes its output. */
static int hear(struct job *job, int fd, struct buf *out, struct err *e)
{
    int64_t until_ms = now_ms() + PATIENCE_MS;
    char bytes[MOST_BYTES];

    while (now_ms() < until_ms) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ssize_t n;

        if (job_cancelled(job))
            return err_set(e, ERR_STOPPED, "was given up, as told");
        if (poll(&p, 1, LOOK_MS) <= 0)
            continue;
        n = read(fd, bytes, sizeof bytes);
        if (n == 0)
            return 0;
        if (n > 0 && buf_add_max(out, bytes, (size_t)n, MOST_BYTES, NULL) != 0)
            return err_set(e, ERR_LIMIT, "prints more than %d bytes; one address of a family is expected",
                           MOST_BYTES);
    }
    return err_set(e, ERR_TIMEOUT, "does not end within %d seconds", PATIENCE_MS / 1000);
}

/* It has closed its output, or is given up: whatever still runs of it is ended. Until it is waited for, its number is
 * nobody else's. */
static int end(pid_t pid, bool kill_it, struct err *e)
{
    siginfo_t info = { 0 };
    int status = 0;

    for (int64_t until_ms = now_ms() + PATIENCE_MS; !kill_it && info.si_pid == 0;
         kill_it = now_ms() > until_ms)
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
            poll(NULL, 0, 10);
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (kill_it)
        return err_set(e, ERR_TIMEOUT, "does not end within %d seconds", PATIENCE_MS / 1000);
    if (WIFSIGNALED(status))
        return err_set(e, ERR_PEER, "is ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return err_set(e, ERR_PEER, "ends with status %d, and says so that it does not know",
                       WEXITSTATUS(status));
    return 0;
}

static int run(const struct address_question *q, struct buf *out, struct err *e)
{
    int fds[2], rc, end_rc;
    struct err ignored;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) != 0)
        return err_errno(e, errno, "cannot make a pipe");
    rc = spawn(q->arg, fds[1], &pid);
    close(fds[1]);
    if (rc != 0) {
        close(fds[0]);
        return err_errno(e, rc, "cannot be run");
    }
    rc = hear(q->job, fds[0], out, e);
    end_rc = end(pid, rc != 0, rc != 0 ? &ignored : e);
    close(fds[0]);
    return rc != 0 ? rc : end_rc;
}

void address_ask_command(const struct address_question *q, struct address_said said[ADDRESS_FAMILIES])
{
    struct buf out = { 0 };
    struct err why = { 0 };

    if (run(q, &out, &why) == 0)
        address_of_output((struct str){ buf_bytes(&out), out.len }, said);
    else
        for (int f = 0; f < ADDRESS_FAMILIES; f++)
            snprintf(said[f].why, sizeof said[f].why, "%s", why.text);
    buf_free(&out);
}
