#include "shared/doctor/reach.h"

#include "shared/json.h"
#include "shared/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { AT_ONCE_MS = 1000 };
enum { SLICE_MS = 100 }; /* so often it is looked whether the job is to end */

/* ---- a name ---- */

static void add_address(json_t *list, const struct addrinfo *one)
{
    char text[INET6_ADDRSTRLEN];

    if (json_array_size(list) < REACH_ADDRESSES &&
        getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
        json_array_append_new(list, json_any_text(text));
}

json_t *reach_name(const char *host)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    json_t *addresses = json_array();
    int rc = getaddrinfo(host, NULL, &hints, &found);

    for (const struct addrinfo *one = found; one; one = one->ai_next)
        add_address(addresses, one);
    if (found)
        freeaddrinfo(found);
    return json_pack("{s:s, s:s, s:o}", "state",
                     rc == 0                              ? "found"
                     : rc == EAI_NONAME || rc == EAI_FAIL ? "nameless"
                                                          : "no_server",
                     "why", rc == 0 ? "" : gai_strerror(rc), "addresses", addresses);
}

/* ---- a connection ---- */

struct reach {
    struct job *job;
    int fd;
    int64_t until_ms;
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* False: not in time, or not any more. */
static bool wait_for(const struct reach *r, short what)
{
    struct pollfd p = { r->fd, what, 0 };

    while (now_ms() < r->until_ms && !job_cancelled(r->job))
        if (poll(&p, 1, SLICE_MS) > 0)
            return true;
    return false;
}

static socklen_t read_address(const char *text, unsigned port, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (void *)out;
    struct sockaddr_in6 *v6 = (void *)out;

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1)
        return 0;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return sizeof *v6;
}

/* 0, or an errno; ETIMEDOUT also when it was told to end. */
static int connect_in_time(struct reach *r, const struct sockaddr_storage *to, socklen_t n)
{
    int number = 0;
    socklen_t size = sizeof number;

    if (connect(r->fd, (const struct sockaddr *)to, n) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (!wait_for(r, POLLOUT))
        return ETIMEDOUT;
    return getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &number, &size) == 0 ? number : errno;
}

static const char *state_of(int number)
{
    switch (number) {
    case 0: return "open";
    case ECONNREFUSED: return "refused";
    case ETIMEDOUT: return "silent";
    default: return "unreachable";
    }
}

/* RFC 4253, 4.2: other lines may stand in front of the one that begins with SSH-. OpenSSH turns callers away with a line of
 * its own: "Exceeded MaxStartups", "Not allowed at this time" (PerSourcePenalties; from 9.8 on both). */
static const char *greeting_state(const char *said, bool ended)
{
    if (strncmp(said, "SSH-", 4) == 0 || strstr(said, "\nSSH-"))
        return "greeted";
    if (strstr(said, "MaxStartups") || strstr(said, "Not allowed at this time"))
        return "busy";
    if (*said)
        return "other";
    return ended ? "closed" : "mute";
}

/* An sshd speaks at once; the relay's port 443 waits for the caller's first word to know whom to join him to. */
static void hear_greeting(const struct reach *r, json_t *seen)
{
    static const char ours[] = "SSH-2.0-tunnel_doctor\r\n";
    char said[256] = "";
    size_t n = 0;
    bool ended = false;
    const struct reach early = { r->job, r->fd, now_ms() + AT_ONCE_MS };

    if (!wait_for(&early, POLLIN))
        ended = send(r->fd, ours, sizeof ours - 1, MSG_NOSIGNAL) < 0;
    while (!ended && n + 1 < sizeof said && !strchr(said, '\n') && wait_for(r, POLLIN)) {
        ssize_t got = recv(r->fd, said + n, sizeof said - 1 - n, 0);

        ended = got <= 0;
        n += got > 0 ? (size_t)got : 0;
        said[n] = 0;
    }
    json_object_set_new(seen, "state", json_string(greeting_state(said, ended)));
    said[strcspn(said, "\r\n")] = 0;
    json_object_set_new(seen, "said", json_any_text(said));
}

static void note_own_address(const struct reach *r, json_t *seen)
{
    struct sockaddr_storage own;
    socklen_t n = sizeof own;
    char text[INET6_ADDRSTRLEN];

    if (getsockname(r->fd, (struct sockaddr *)&own, &n) == 0 &&
        getnameinfo((struct sockaddr *)&own, n, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
        json_object_set_new(seen, "from", json_any_text(text));
}

json_t *reach_port(const char *address, unsigned port, enum reach_first first, struct job *job)
{
    json_t *seen = json_pack("{s:i, s:s, s:o}", "port", (int)port, "state", "unreachable", "address",
                             json_any_text(address));
    struct sockaddr_storage to;
    socklen_t n = read_address(address, port, &to);
    struct reach r = { job, -1, now_ms() + REACH_MS };
    int number = EAFNOSUPPORT;

    if (n > 0)
        r.fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n > 0)
        number = r.fd >= 0 ? connect_in_time(&r, &to, n) : errno;
    json_object_set_new(seen, "state", json_string(state_of(number)));
    json_object_set_new(seen, "why", json_string(number != 0 ? strerror(number) : ""));
    if (number == 0) {
        note_own_address(&r, seen);
        if (first == REACH_GREETING)
            hear_greeting(&r, seen);
    }
    if (r.fd >= 0)
        close(r.fd);
    return seen;
}
