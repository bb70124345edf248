#include "tests/bench/pattern.h"

#include "shared/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { PATTERN_BYTES = 65521 };

void fail(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

/* ---- bytes ---- */

char *pattern_new(void)
{
    char *bytes = mem_new(PATTERN_BYTES + PIECE_BYTES);
    uint32_t x = 2463534242u;

    for (size_t i = 0; i < PATTERN_BYTES + PIECE_BYTES; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        bytes[i] = i < PATTERN_BYTES ? (char)x : bytes[i - PATTERN_BYTES];
    }
    return bytes;
}

bool pattern_send(const char *pattern, int fd, uint64_t *at)
{
    ssize_t n = send(fd, pattern + *at % PATTERN_BYTES, PIECE_BYTES, MSG_NOSIGNAL);

    if (n > 0)
        *at += (uint64_t)n;
    return n > 0 || errno == EAGAIN;
}

bool pattern_take(const char *pattern, char piece[PIECE_BYTES], int fd, uint64_t *at)
{
    ssize_t n = recv(fd, piece, PIECE_BYTES, 0);

    if (n < 0 && errno == EAGAIN)
        return true;
    if (n < 0)
        fail("the connection broke: %s", strerror(errno));
    if (memcmp(piece, pattern + *at % PATTERN_BYTES, (size_t)n) != 0)
        fail("wrong bytes behind byte %llu", (unsigned long long)*at);
    *at += (uint64_t)n;
    return n > 0;
}

/* ---- sockets ---- */

struct sockaddr_in net_address(const char *text, size_t n)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    char *copy = mem_copy_n(text, n), *colon = strrchr(copy, ':');

    if (colon)
        *colon = 0;
    if (!colon || inet_pton(AF_INET, copy, &address.sin_addr) != 1)
        fail("%s is not ADDRESS:PORT", text);
    address.sin_port = htons((uint16_t)atoi(colon + 1));
    free(copy);
    return address;
}

void net_prepare(int fd)
{
    const int on = 1;

    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        fail("cannot prepare a socket: %s", strerror(errno));
}

void net_watch(int epoll, int operation, int fd, void *user, uint32_t events)
{
    struct epoll_event event = { .events = events, .data = { .ptr = user } };

    if (epoll_ctl(epoll, operation, fd, &event) != 0)
        fail("epoll: %s", strerror(errno));
}
