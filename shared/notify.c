#include "shared/notify.h"

#include "shared/log.h"
#include "shared/str.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_INHERITED_FD = 3 };

static void tell(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    size_t n = path ? strlen(path) : 0;
    int fd;

    if (n == 0 || n >= sizeof addr.sun_path)
        return;
    memcpy(addr.sun_path, path, n);
    if (addr.sun_path[0] == '@')
        addr.sun_path[0] = 0; /* a name in the abstract namespace */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&addr,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
        log_warn("cannot tell the supervisor", kv_str("state", state), kv_str("error", strerror(errno)));
    close(fd);
}

/* Each line is an assignment, so the text is to be one line, whatever a program that it names is called. */
static void tell_with_status(const char *state, const char *status)
{
    char text[NOTIFY_TEXT + 40];
    size_t n = (size_t)snprintf(text, sizeof text, "%s", state);

    snprintf(text + n, sizeof text - n, "STATUS=%s", status);
    for (char *p = text + n; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    tell(text);
}

void notify_ready(const char *status)
{
    if (*status)
        tell_with_status("READY=1\n", status);
    else
        tell("READY=1");
}

void notify_status(const char *status)
{
    tell_with_status("", status);
}

void notify_reloading(void)
{
    struct timespec now;
    char state[80];

    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    tell(state);
}

void notify_stopping(void)
{
    tell("STOPPING=1");
}

void notify_watchdog(void)
{
    tell("WATCHDOG=1");
}

/* A variable that is there and is a whole number; -1 otherwise. */
static long long number_in(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    long long n;

    if (!text || !*text)
        return -1;
    errno = 0;
    n = strtoll(text, &end, 10);
    return errno == 0 && *end == 0 ? n : -1;
}

int64_t notify_watchdog_ms(void)
{
    long long usec = number_in("WATCHDOG_USEC"), pid = number_in("WATCHDOG_PID");

    if (usec <= 0 || (getenv("WATCHDOG_PID") && pid != getpid()))
        return 0;
    return usec / 1000;
}

/* Names may hold blanks and may be empty: only ':' ends one. */
static void next_name(const char **names, char *out, size_t room)
{
    size_t n = strcspn(*names, ":");

    snprintf(out, room, "%.*s", (int)n, *names);
    *names += n + ((*names)[n] == ':');
}

static int read_inherited(struct inherited *in, struct err *e)
{
    long long n = number_in("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");

    if (number_in("LISTEN_PID") != getpid())
        return 0;
    if (n < 0 || n > (long long)(sizeof in->fds / sizeof in->fds[0]))
        return err_set(e, ERR_INPUT, "LISTEN_FDS = %s: not a whole number from 0 to 64",
                       getenv("LISTEN_FDS") ? getenv("LISTEN_FDS") : "");
    for (; in->n < n; in->n++) {
        int fd = FIRST_INHERITED_FD + in->n;

        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
            return err_errno(e, errno, "LISTEN_FDS names descriptor %d, which is not open", fd);
        in->fds[in->n] = fd;
        if (names)
            next_name(&names, in->names[in->n], sizeof in->names[0]);
    }
    return 0;
}

int inherited_read(struct inherited *in, struct err *e)
{
    int rc;

    *in = (struct inherited){ 0 };
    rc = read_inherited(in, e);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return rc;
}

static bool is_same_address(const struct sockaddr *a, const struct sockaddr *b)
{
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;
    const struct sockaddr_un *au = (const void *)a, *bu = (const void *)b;

    if (a->sa_family != b->sa_family)
        return false;
    switch (a->sa_family) {
    case AF_INET: return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    case AF_INET6:
        return a6->sin6_port == b6->sin6_port &&
               memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
    case AF_UNIX: return strncmp(au->sun_path, bu->sun_path, sizeof au->sun_path) == 0;
    default: return false;
    }
}

static bool is_listening(int fd)
{
    int listening = 0;
    socklen_t size = sizeof listening;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

int inherited_take(struct inherited *in, const struct sockaddr *addr)
{
    for (int i = 0; i < in->n; i++) {
        struct sockaddr_storage bound = { 0 };
        socklen_t size = sizeof bound;
        int fd = in->fds[i];

        if (fd < 0 || getsockname(fd, (struct sockaddr *)&bound, &size) != 0 || !is_listening(fd))
            continue;
        if (is_same_address((const struct sockaddr *)&bound, addr)) {
            in->fds[i] = -1;
            return fd;
        }
    }
    return -1;
}

int inherited_take_unix(struct inherited *in, const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof addr.sun_path)
        return -1;
    strcpy(addr.sun_path, path);
    return inherited_take(in, (const struct sockaddr *)&addr);
}

void inherited_close_rest(struct inherited *in)
{
    for (int i = 0; i < in->n; i++) {
        if (in->fds[i] < 0)
            continue;
        log_warn("an inherited socket is not in the configuration", kv_int("fd", in->fds[i]),
                 kv_str("name", in->names[i]));
        close(in->fds[i]);
        in->fds[i] = -1;
    }
}
