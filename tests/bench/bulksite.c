/* bulksite - sends or takes a pattern as fast as it goes: the service behind laneload's `down` and `up`.
 *
 * usage: bulksite ADDRESS:PORT
 *
 * A client's first byte says which way. d: the pattern, until the client's EOF. u: the client's pattern up to its EOF; the
 * answer is how many bytes that were. */
#include "shared/mem.h"
#include "tests/bench/pattern.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
    int fd;
    char way; /* 0: not said yet */
    uint64_t bytes;
};

struct site {
    int epoll, listener;
    char *pattern, *piece;
};

static void take_client(struct site *s)
{
    struct client *c = mem_new(sizeof *c);

    c->fd = accept(s->listener, NULL, NULL);
    if (c->fd < 0)
        fail("cannot accept: %s", strerror(errno));
    net_prepare(c->fd);
    net_watch(s->epoll, EPOLL_CTL_ADD, c->fd, c, EPOLLIN);
}

/* False at the client's end. */
static bool serve(struct site *s, struct client *c, uint32_t events)
{
    char verdict[32];
    int n;

    if (c->way == 0) {
        if (recv(c->fd, &c->way, 1, 0) != 1)
            return false;
        net_watch(s->epoll, EPOLL_CTL_MOD, c->fd, c, c->way == 'd' ? EPOLLIN | EPOLLOUT : EPOLLIN);
        return true;
    }
    if (c->way == 'd') /* what comes is its EOF, or a reset */
        return !(events & EPOLLIN) && pattern_send(s->pattern, c->fd, &c->bytes);
    if (pattern_take(s->pattern, s->piece, c->fd, &c->bytes))
        return true;
    n = snprintf(verdict, sizeof verdict, "%llu", (unsigned long long)c->bytes);
    if (send(c->fd, verdict, (size_t)n, MSG_NOSIGNAL) != n)
        fail("cannot answer: %s", strerror(errno));
    return false;
}

int main(int argc, char **argv)
{
    struct site s = { .pattern = pattern_new(), .piece = mem_new(PIECE_BYTES) };
    struct sockaddr_in address;
    struct epoll_event event;

    if (argc != 2)
        fail("usage: bulksite ADDRESS:PORT");
    signal(SIGPIPE, SIG_IGN);
    address = net_address(argv[1], strlen(argv[1]));
    s.epoll = epoll_create1(0);
    s.listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(s.listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(s.listener, 1024) != 0)
        fail("cannot listen on %s: %s", argv[1], strerror(errno));
    net_watch(s.epoll, EPOLL_CTL_ADD, s.listener, NULL, EPOLLIN);
    while (epoll_wait(s.epoll, &event, 1, -1) == 1) {
        struct client *c = event.data.ptr;

        if (!c) {
            take_client(&s);
        } else if (!serve(&s, c, event.events)) {
            close(c->fd);
            free(c);
        }
    }
    fail("epoll: %s", strerror(errno));
}
