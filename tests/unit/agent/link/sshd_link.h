/* tests/unit/agent/link/sshd_link.h - an ssh_pipe whose other end is a real `sshd -i`, joined by a socketpair.
 *
 * All that the daemon needs lies in the test's temporary folder. The bytes between the two go through the test, which
 * can hold them, cut them up or change them. */
#ifndef TESTS_UNIT_AGENT_LINK_SSHD_LINK_H
#define TESTS_UNIT_AGENT_LINK_SSHD_LINK_H
#include "agent/link/ssh_pipe.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/temp.h"

enum { LINK_WAIT_MS = 20000 };

struct sshd_link {
    struct ssh_pipe *pipe;
    struct secret key;
    const char *user;
    size_t piece;          /* of what arrives, fed at once; 0: whatever there is */
    size_t limit, arrived; /* nothing more is taken from sshd after so many bytes; 0: no limit */
    pid_t pid;
    int fd;
};

static inline const char *link_sshd(void)
{
    static const char *const places[] = { "/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd" };

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

/* Skips the test where there is no sshd, unless E2E_REQUIRE says that there must be one. */
static inline void link_need_sshd(void)
{
    const char *required = getenv("E2E_REQUIRE");
    const struct passwd *me = getpwuid(geteuid());

    if (link_sshd() && me && !strstr(me->pw_shell, "nologin") && !strstr(me->pw_shell, "false"))
        return;
    if (required && strcmp(required, "all") == 0)
        fail_msg("sshd is not installed, or this user cannot log in");
    skip();
}

/* Runs a line of shell in the folder; its first line of output goes to out, which may be NULL. */
static inline void link_shell(const struct temp *t, const char *line, char *out, size_t room)
{
    char command[512];
    FILE *f;

    snprintf(command, sizeof command, "cd %s && %s", t->folder, line);
    f = popen(command, "r");
    assert_non_null(f);
    if (out && !fgets(out, (int)room, f))
        fail_msg("%s: says nothing", command);
    assert_int_equal(pclose(f), 0);
}

/* Makes the keys and the configuration in the folder: host, key and other; `further` ends the configuration. */
static inline void link_prepare(struct temp *t, const char *further)
{
    FILE *conf = fopen(temp_path(t, "conf"), "w");

    assert_non_null(conf);
    link_shell(t,
               "for k in host key other; do ssh-keygen -q -t ed25519 -N '' -f $k || exit 1; done && "
               "cp key.pub keys",
               NULL, 0);
    fprintf(conf,
            "HostKey %s/host\nAuthorizedKeysFile %s/keys\nStrictModes no\nUsePAM no\nPidFile none\n"
            "PermitRootLogin yes\nPasswordAuthentication no\nAllowTcpForwarding remote\nSetEnv SHLVL=2\n%s\n",
            t->folder, t->folder, further);
    assert_int_equal(fclose(conf), 0);
    if (geteuid() == 0)
        mkdir("/run/sshd", 0755); /* may be there; sshd says if it is not what it wants */
}

static inline void link_spawn(struct sshd_link *l, struct temp *t)
{
    const char *sshd = link_sshd(), *conf = temp_path(t, "conf"), *log = temp_path(t, "log");
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    l->fd = ends[0];
    l->pid = fork();
    assert_true(l->pid >= 0);
    if (l->pid == 0) {
        dup2(ends[1], 0);
        dup2(ends[1], 1);
        execl(sshd, sshd, "-i", "-f", conf, "-E", log, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
}

/* Logs in with the key of this name. */
static inline void link_start(struct sshd_link *l, struct temp *t, const char *key)
{
    *l = (struct sshd_link){ .user = getpwuid(geteuid())->pw_name };
    assert_int_equal(secret_load(&l->key, temp_path(t, key), 16384, NULL), 0);
    l->pipe = ssh_pipe_new(NULL);
    assert_non_null(l->pipe);
    link_spawn(l, t);
}

static inline void link_end(struct sshd_link *l)
{
    ssh_pipe_free(l->pipe);
    secret_free(&l->key);
    close(l->fd);
    kill(l->pid, SIGTERM);
    waitpid(l->pid, NULL, 0);
}

/* Sends what stands in the pipe. What sshd says meanwhile is put into `in`, so that both may talk at once. */
static inline void link_send(struct sshd_link *l, struct buf *in)
{
    const struct buf *out = ssh_pipe_out(l->pipe);
    size_t sent = 0;

    while (sent < out->len) {
        struct pollfd p = { .fd = l->fd, .events = POLLIN | POLLOUT };
        ssize_t n;

        assert_true(poll(&p, 1, LINK_WAIT_MS) > 0);
        if (p.revents & POLLOUT) {
            n = send(l->fd, buf_bytes(out) + sent, out->len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            assert_true(n > 0 || errno == EAGAIN || errno == EPIPE);
            sent = n > 0 ? sent + (size_t)n : errno == EPIPE ? out->len : sent;
        }
        if (p.revents & POLLIN) {
            n = recv(l->fd, buf_space(in, 65536), 65536, MSG_DONTWAIT);
            buf_added(in, n > 0 ? (size_t)n : 0);
        }
    }
    ssh_pipe_sent(l->pipe);
}

/* Sends, waits until sshd has said something, and returns it. Empty: sshd has hung up, or the limit is reached. */
static inline struct buf link_receive(struct sshd_link *l)
{
    struct pollfd p = { .fd = l->fd, .events = POLLIN };
    struct buf in = { 0 };
    ssize_t n;

    link_send(l, &in);
    if (in.len == 0 && (l->limit == 0 || l->arrived < l->limit)) {
        size_t most = l->limit == 0 ? 65536 : l->limit - l->arrived;

        if (poll(&p, 1, LINK_WAIT_MS) <= 0)
            fail_msg("sshd says nothing");
        n = recv(l->fd, buf_space(&in, 65536), most < 65536 ? most : 65536, 0);
        buf_added(&in, n > 0 ? (size_t)n : 0);
    }
    l->arrived += in.len;
    return in;
}

/* One round: false when nothing more will come. */
static inline bool link_round(struct sshd_link *l)
{
    struct buf in = link_receive(l);
    bool more = in.len > 0;

    ssh_pipe_feed(l->pipe, buf_bytes(&in), in.len);
    buf_free(&in);
    return more;
}

enum link_step { LINK_HANDSHAKE, LINK_LOGIN, LINK_EXEC, LINK_FORWARD, LINK_READY };

struct link_session {
    enum link_step step; /* the one that is not done yet */
    LIBSSH2_CHANNEL *control;
    int port;
};

static inline int link_try(struct sshd_link *l, struct link_session *s, const char *command, struct err *e)
{
    switch (s->step) {
    case LINK_HANDSHAKE: return ssh_pipe_handshake(l->pipe, e);
    case LINK_LOGIN: return ssh_pipe_login(l->pipe, l->user, &l->key, e);
    case LINK_EXEC: return ssh_pipe_exec(l->pipe, command, &s->control, e);
    case LINK_FORWARD: return ssh_pipe_forward(l->pipe, "127.0.0.1", 0, &s->port, e);
    case LINK_READY: break;
    }
    return SSH_LATER;
}

/* Goes on until a step fails (-1), all are done (0), or nothing more comes (1). */
static inline int link_open(struct sshd_link *l, struct link_session *s, const char *command, struct err *e)
{
    while (s->step != LINK_READY) {
        struct buf in = { 0 };
        int rc = link_try(l, s, command, e);

        if (rc < 0)
            return -1;
        if (rc == SSH_DONE) {
            s->step++;
            continue;
        }
        in = link_receive(l);
        if (in.len == 0)
            return 1;
        for (size_t at = 0, n; at < in.len; at += n) { /* each piece is followed by a try, as on the loop */
            n = l->piece == 0 || in.len - at < l->piece ? in.len - at : l->piece;
            ssh_pipe_feed(l->pipe, buf_bytes(&in) + at, n);
            rc = at + n < in.len ? link_try(l, s, command, e) : SSH_LATER;
            s->step += rc == SSH_DONE;
            assert_true(rc >= 0);
        }
        buf_free(&in);
    }
    return 0;
}
#endif
