/* laneload - puts load on ports of lanes or of ssh -R, as the relay would, and looks at every byte that comes back.
 *
 * usage: laneload get CONNECTIONS SECONDS FILE TARGET...   GET /page again and again; FILE holds what it is
 *        laneload down|up CONNECTIONS SECONDS TARGET...    as many bytes as will go, from or to a bulksite
 *
 * A TARGET is ADDRESS:PORT, or for a lane ADDRESS:PORT/SECRET/ITEM: its streams are then opened as the relay opens them.
 * Connections are dealt out to the targets in turns. What is measured begins when all are open; the last answer still
 * counts. Prints one JSON object. */
#include "shared/file.h"
#include "shared/mem.h"
#include "shared/proxy2.h"
#include "tests/bench/pattern.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 4096, EVENTS = 128, PATIENCE_S = 20 };
enum { SLOT_NS = 10 * 1000, SLOTS = 200 * 1000 };         /* latencies are counted at this grain, up to 2 s */
enum { BAR_MS = 2, BARS = 50, BAR_SLOTS = BAR_MS * 100 }; /* and shown at this one, up to 100 ms */

static const char request[] = "GET /page HTTP/1.1\r\nHost: bench.localhost\r\n\r\n";

struct target {
    struct sockaddr_in address;
    bool is_lane;
    unsigned char secret[PROXY2_SECRET_BYTES];
    const char *item;
};

struct conn {
    int fd;
    char way;        /* 'g'et, 'd'own or 'u'p */
    uint64_t bytes;  /* of the pattern, sent or seen */
    char *in;        /* get: an answer, as far as it is there; up: the origin's verdict */
    size_t in_bytes; /* of it */
    int64_t asked_ns;
    bool asks, half_closed, done;
};

struct load {
    int epoll;
    char *pattern, *piece; /* what is to come, and what came */
    struct buf page;       /* what the origin is to answer */
    struct conn *conns;
    size_t n, done_n;
    int64_t start_ns, until_ns, end_ns;
    uint64_t answers;
    uint32_t *slots;
};

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- opening ---- */

static struct target read_target(const char *text)
{
    const char *secret = strchrnul(text, '/'), *item = *secret ? strchrnul(secret + 1, '/') : secret;
    struct target t = { .address = net_address(text, (size_t)(secret - text)), .is_lane = *secret != 0 };

    for (size_t i = 0; t.is_lane && i < sizeof t.secret; i++)
        if (item - secret - 1 != 2 * sizeof t.secret ||
            sscanf(secret + 1 + 2 * i, "%2hhx", &t.secret[i]) != 1)
            fail("%s has no secret of %zu hex digits", text, 2 * sizeof t.secret);
    t.item = *item ? item + 1 : item;
    return t;
}

static void send_all(int fd, const void *bytes, size_t n)
{
    if (send(fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
        fail("cannot send: %s", strerror(errno));
}

/* As relay/edge/upstream.c does. */
static void open_stream(int fd, const struct target *t)
{
    unsigned char opening[PROXY2_OPEN_BYTES], random[PROXY2_RANDOM_BYTES];
    unsigned char answer[PROXY2_ANSWER_BYTES], right[PROXY2_ANSWER_BYTES];
    struct proxy2_use use = { .local = true, .item = str_of(t->item) };
    struct buf header = { 0 };
    uint64_t id;

    if (getrandom(&id, sizeof id, 0) != sizeof id || getrandom(random, sizeof random, 0) != sizeof random)
        fail("no randomness");
    proxy2_open_write(opening, t->secret, id, random);
    send_all(fd, opening, sizeof opening);
    proxy2_answer(right, t->secret, id, random);
    if (recv(fd, answer, sizeof answer, MSG_WAITALL) != sizeof answer ||
        memcmp(answer, right, sizeof right) != 0)
        fail("a stream was not answered as it should be");
    proxy2_use_write(&header, &use);
    send_all(fd, buf_bytes(&header), header.len);
    buf_free(&header);
}

static void open_conn(struct load *l, struct conn *c, char way, const struct target *t)
{
    const struct timeval patience = { .tv_sec = PATIENCE_S };

    c->way = way;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (const struct sockaddr *)&t->address, sizeof t->address) != 0)
        fail("cannot connect: %s", strerror(errno));
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (t->is_lane)
        open_stream(c->fd, t);
    net_prepare(c->fd);
    c->in = mem_new(HEAD_BYTES + l->page.len);
    net_watch(l->epoll, EPOLL_CTL_ADD, c->fd, c, way == 'u' ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* ---- get ---- */

static void ask(struct conn *c)
{
    c->asks = true;
    c->in_bytes = 0;
    c->asked_ns = now_ns();
    send_all(c->fd, request, sizeof request - 1);
}

/* How long the whole answer is; 0 while its head is not there. */
static size_t answer_bytes(const struct conn *c)
{
    const char *end = memmem(c->in, c->in_bytes, "\r\n\r\n", 4);
    const char *length = end ? memmem(c->in, (size_t)(end - c->in), "\r\nContent-Length: ", 18) : NULL;

    if (end && (!length || strncmp(c->in, "HTTP/1.1 200 ", 13) != 0))
        fail("an unexpected answer: %.*s", (int)(end - c->in), c->in);
    return end ? (size_t)(end - c->in) + 4 + strtoul(length + 18, NULL, 10) : 0;
}

static void count_answer(struct load *l, const struct conn *c, int64_t now)
{
    int64_t slot = (now - c->asked_ns) / SLOT_NS;

    l->answers++;
    l->slots[slot < SLOTS ? slot : SLOTS - 1]++;
}

static void get(struct load *l, struct conn *c)
{
    size_t room = HEAD_BYTES + l->page.len, whole;
    ssize_t n = recv(c->fd, c->in + c->in_bytes, room - c->in_bytes, 0);
    int64_t now = now_ns();

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        fail("a connection ended in an answer (%s)", n < 0 ? strerror(errno) : "EOF");
    c->in_bytes += (size_t)n;
    whole = answer_bytes(c);
    if (whole == 0 || c->in_bytes < whole)
        return;
    if (!c->asks || c->in_bytes != whole || whole < l->page.len ||
        memcmp(c->in + whole - l->page.len, buf_bytes(&l->page), l->page.len) != 0)
        fail("an answer is not the page");
    c->asks = false;
    count_answer(l, c, now);
    if (now < l->until_ns)
        ask(c);
    else
        c->done = true;
}

/* ---- down, up ---- */

/* The end goes the way of the bytes: an origin that sends stops at our EOF, one that takes says how much it had. */
static void half_close(struct load *l, struct conn *c)
{
    c->half_closed = true;
    shutdown(c->fd, SHUT_WR);
    net_watch(l->epoll, EPOLL_CTL_MOD, c->fd, c, EPOLLIN);
}

static void hear_verdict(struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_bytes, HEAD_BYTES - 1 - c->in_bytes, 0);

    if (n < 0 && errno != EAGAIN)
        fail("the connection broke: %s", strerror(errno));
    if (n == 0 && strtoull(c->in, NULL, 10) != c->bytes)
        fail("%llu bytes were sent, and %s arrived", (unsigned long long)c->bytes, c->in);
    c->in_bytes += n > 0 ? (size_t)n : 0;
    c->done = n == 0;
}

static void step(struct load *l, struct conn *c, uint32_t events)
{
    if (c->way == 'g')
        get(l, c);
    else if (c->way == 'd')
        c->done = !pattern_take(l->pattern, l->piece, c->fd, &c->bytes);
    else if (events & EPOLLIN)
        hear_verdict(c);
    else if (!pattern_send(l->pattern, c->fd, &c->bytes))
        fail("the connection broke: %s", strerror(errno));
    if (c->way != 'g' && !c->half_closed && now_ns() >= l->until_ns)
        half_close(l, c);
    if (!c->done)
        return;
    if (c->way != 'g' && !c->half_closed)
        fail("a connection ended before its time");
    net_watch(l->epoll, EPOLL_CTL_DEL, c->fd, c, 0);
    l->done_n++;
}

static void run(struct load *l, double seconds)
{
    struct epoll_event events[EVENTS];

    l->start_ns = now_ns();
    l->until_ns = l->start_ns + (int64_t)(seconds * 1e9);
    for (size_t i = 0; i < l->n; i++) {
        if (l->conns[i].way == 'g')
            ask(&l->conns[i]);
        else
            send_all(l->conns[i].fd, &l->conns[i].way, 1);
    }
    while (l->done_n < l->n) {
        int n = epoll_wait(l->epoll, events, EVENTS, PATIENCE_S * 1000);

        if (n <= 0)
            fail("nothing more comes: %zu of %zu connections wait", l->n - l->done_n, l->n);
        for (int i = 0; i < n; i++)
            step(l, events[i].data.ptr, events[i].events);
    }
    l->end_ns = now_ns();
}

/* ---- what came of it ---- */

static double percentile_ms(const struct load *l, double part)
{
    uint64_t left = (uint64_t)(part * (double)l->answers);
    int64_t i = 0;

    for (; i < SLOTS - 1 && l->slots[i] <= left; i++)
        left -= l->slots[i];
    return (double)(i * SLOT_NS) / 1e6;
}

static void print_histogram(const struct load *l)
{
    uint64_t bars[BARS + 1] = { 0 };

    for (size_t i = 0; i < SLOTS; i++)
        bars[i / BAR_SLOTS < BARS ? i / BAR_SLOTS : BARS] += l->slots[i];
    printf(", \"bar_ms\": %d, \"bars\": [", BAR_MS);
    for (size_t i = 0; i <= BARS; i++)
        printf("%s%llu", i > 0 ? ", " : "", (unsigned long long)bars[i]);
    printf("]");
}

static void print(const struct load *l, char way)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < l->n; i++)
        bytes += l->conns[i].bytes;
    printf("{\"seconds\": %.6f", (double)(l->end_ns - l->start_ns) / 1e9);
    if (way == 'g') {
        printf(", \"requests\": %llu, \"p50\": %.2f, \"p99\": %.2f", (unsigned long long)l->answers,
               percentile_ms(l, 0.5), percentile_ms(l, 0.99));
        print_histogram(l);
    } else {
        printf(", \"bytes\": %llu", (unsigned long long)bytes);
    }
    printf("}\n");
}

int main(int argc, char **argv)
{
    bool gets = argc > 5 && strcmp(argv[1], "get") == 0, moves = argc > 4 && strchr("du", argv[1][0]);
    struct load l = { .epoll = epoll_create1(0), .pattern = pattern_new(), .piece = mem_new(PIECE_BYTES) };
    int first = gets ? 5 : 4;
    struct err e = { 0 };

    signal(SIGPIPE, SIG_IGN);
    if (!gets && !moves)
        fail(
            "usage: laneload get CONNECTIONS SECONDS FILE TARGET... | down|up CONNECTIONS SECONDS TARGET...");
    if (gets && file_read(argv[4], 1 << 20, &l.page, &e) != 0)
        fail("%s", e.text);
    l.slots = mem_new(SLOTS * sizeof *l.slots);
    l.n = (size_t)atoi(argv[2]);
    l.conns = mem_new(l.n * sizeof *l.conns);
    for (size_t i = 0; i < l.n; i++) {
        struct target t = read_target(argv[first + (int)(i % (size_t)(argc - first))]);

        open_conn(&l, &l.conns[i], argv[1][0], &t);
    }
    run(&l, atof(argv[3]));
    print(&l, argv[1][0]);
    return 0;
}
