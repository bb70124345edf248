#include "shared/dns/ask.h"

#include "shared/dns/message.h"
#include "shared/dns/resolve.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { PATIENCE_MS = 3000, NAME_PATIENCE_MS = 10000, UDP_ATTEMPTS = 2, LOOK_MS = 200, LENGTH_BYTES = 2 };

static int64_t now_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

/* Until the descriptor is ready, in short pieces, so that the job can be cancelled. */
static int wait_for(const struct ask *how, int fd, short events, int64_t until_ms, struct err *e)
{
    for (int64_t left; (left = until_ms - now_ms()) > 0;) {
        struct pollfd p = { .fd = fd, .events = events };
        int rc = poll(&p, 1, (int)(left < LOOK_MS ? left : LOOK_MS));

        if (job_cancelled(how->job))
            return err_set(e, ERR_STOPPED, "asking %s was given up, as told", how->host);
        if (rc > 0)
            return 0;
        if (rc < 0 && errno != EINTR)
            return err_errno(e, errno, "cannot wait for %s", how->host);
    }
    return err_set(e, ERR_TIMEOUT,
                   "%s port %u does not answer; is a DNS server running there, and is the port open?",
                   how->host, how->port);
}

static int unreachable(const struct ask *how, int number, struct err *e)
{
    return err_set(e, ERR_PEER, "cannot reach %s port %u: %s", how->host, how->port, strerror(number));
}

/* ---- what answers what ---- */

static bool same_question(const struct buf *message, const struct msg *answer)
{
    struct msg ours, theirs = *answer;
    struct msg_record a, b;

    if (answer->counts[MSG_QUESTION] == 0)
        return true;
    return msg_open(&ours, buf_bytes(message), message->len, NULL) == 0 && msg_next(&ours, &a, NULL) == 1 &&
           msg_next(&theirs, &b, NULL) == 1 && strcmp(a.name, b.name) == 0 && a.type == b.type &&
           a.class == b.class;
}

static bool is_answer(const struct buf *message, const void *bytes, size_t n)
{
    const unsigned char *id = (const unsigned char *)buf_bytes(message);
    struct msg m;

    return msg_open(&m, bytes, n, NULL) == 0 && (m.flags & MSG_QR) && m.id == (id[0] << 8 | id[1]) &&
           same_question(message, &m);
}

/* ---- UDP ---- */

static int udp_hear(const struct ask *how, int fd, const struct buf *message, int64_t until_ms,
                    struct buf *answer, struct err *e)
{
    for (;;) {
        char *room;
        ssize_t n;

        if (wait_for(how, fd, POLLIN, until_ms, e) != 0)
            return -1;
        room = buf_space(answer, MSG_MAX_BYTES);
        n = recv(fd, room, MSG_MAX_BYTES, MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return unreachable(how, errno, e);
        if (n > 0 && is_answer(message, room, (size_t)n)) { /* anything else is somebody else's, or late */
            buf_added(answer, (size_t)n);
            return 0;
        }
    }
}

static int udp(const struct ask *how, int fd, const struct buf *message, int64_t patience_ms,
               struct buf *answer, struct err *e)
{
    for (int attempt = 1;; attempt++) {
        if (send(fd, buf_bytes(message), message->len, MSG_NOSIGNAL) < 0)
            return unreachable(how, errno, e);
        if (udp_hear(how, fd, message, now_ms() + patience_ms, answer, e) == 0)
            return 0;
        if (attempt == UDP_ATTEMPTS || !e || e->code != ERR_TIMEOUT)
            return -1;
    }
}

/* ---- TCP ---- */

static int tcp_say(const struct ask *how, int fd, const struct buf *message, int64_t until_ms, struct err *e)
{
    struct buf whole = { 0 };
    int rc = 0;

    msg_u16(&whole, (unsigned)message->len);
    buf_add(&whole, buf_bytes(message), message->len);
    while (whole.len > 0 && rc == 0) {
        ssize_t n = send(fd, buf_bytes(&whole), whole.len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0)
            buf_take(&whole, (size_t)n);
        else if (errno == EAGAIN || errno == EINTR || errno == EINPROGRESS)
            rc = wait_for(how, fd, POLLOUT, until_ms, e);
        else
            rc = unreachable(how, errno, e);
    }
    buf_free(&whole);
    return rc;
}

static int tcp_hear(const struct ask *how, int fd, size_t wanted, int64_t until_ms, struct buf *in,
                    struct err *e)
{
    while (in->len < wanted) {
        size_t missing = wanted - in->len;
        ssize_t n;

        if (wait_for(how, fd, POLLIN, until_ms, e) != 0)
            return -1;
        n = recv(fd, buf_space(in, missing), missing, MSG_DONTWAIT);
        if (n == 0)
            return err_set(e, ERR_PEER, "%s closes the connection instead of answering", how->host);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return unreachable(how, errno, e);
        if (n > 0)
            buf_added(in, (size_t)n);
    }
    return 0;
}

static int tcp(const struct ask *how, int fd, const struct buf *message, int64_t patience_ms,
               struct buf *answer, struct err *e)
{
    int64_t until_ms = now_ms() + patience_ms;
    const unsigned char *length;

    if (tcp_say(how, fd, message, until_ms, e) != 0 ||
        tcp_hear(how, fd, LENGTH_BYTES, until_ms, answer, e) != 0)
        return -1;
    length = (const unsigned char *)buf_bytes(answer);
    if (tcp_hear(how, fd, LENGTH_BYTES + (size_t)(length[0] << 8 | length[1]), until_ms, answer, e) != 0)
        return -1;
    buf_take(answer, LENGTH_BYTES);
    if (!is_answer(message, buf_bytes(answer), answer->len))
        return err_set(e, ERR_PEER, "%s answers something else than it was asked", how->host);
    return 0;
}

/* ---- one attempt, over all addresses of the server ---- */

static int connect_to(const struct ask *how, const struct addrinfo *to, int type, int64_t patience_ms,
                      struct err *e)
{
    int fd = socket(to->ai_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
    socklen_t n = sizeof error;

    if (fd < 0)
        return err_errno(e, errno, "cannot make a socket");
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return fd;
    error = errno;
    if (error == EINPROGRESS && wait_for(how, fd, POLLOUT, now_ms() + patience_ms, e) == 0) {
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n);
        if (error == 0)
            return fd;
        unreachable(how, error, e);
    } else if (error != EINPROGRESS) {
        unreachable(how, error, e);
    }
    close(fd);
    return -1;
}

static int ask_one(const struct ask *how, const struct addrinfo *to, bool by_tcp, const struct buf *message,
                   struct buf *answer, struct err *e)
{
    int64_t patience_ms = how->patience_ms > 0 ? how->patience_ms : PATIENCE_MS;
    int fd = connect_to(how, to, by_tcp ? SOCK_STREAM : SOCK_DGRAM, patience_ms, e), rc;

    if (fd < 0)
        return -1;
    rc = by_tcp ? tcp(how, fd, message, patience_ms, answer, e)
                : udp(how, fd, message, patience_ms, answer, e);
    close(fd);
    return rc;
}

static int ask_all(const struct ask *how, const struct addrinfo *list, bool by_tcp, const struct buf *message,
                   struct buf *answer, struct err *e)
{
    for (const struct addrinfo *to = list; to; to = to->ai_next) {
        buf_take(answer, answer->len);
        if (ask_one(how, to, by_tcp, message, answer, e) == 0)
            return 0;
        if (e && e->code == ERR_STOPPED)
            return -1;
    }
    return -1;
}

static bool is_truncated(const struct buf *answer)
{
    return buf_bytes(answer)[2] & (MSG_TC >> 8);
}

int ask(const struct ask *how, const struct buf *message, struct buf *answer, struct err *e)
{
    bool by_tcp = how->tcp || message->len > MSG_UDP_BYTES;
    struct err why = { 0 };
    struct addrinfo *list;
    int rc;

    if (resolve(how->host, how->port, how->job, NAME_PATIENCE_MS, &list, e) != 0)
        return -1;
    rc = ask_all(how, list, by_tcp, message, answer, &why);
    if (!by_tcp && (rc == 0 ? is_truncated(answer) : why.code == ERR_TIMEOUT)) {
        why = (struct err){ 0 };
        rc = ask_all(how, list, true, message, answer, &why);
    }
    freeaddrinfo(list);
    return rc == 0 ? 0 : err_set(e, why.code, "%s", why.text);
}
