/* tlsload - visitors that wrk cannot play: each connection a new one, connections that stay and say nothing, and bulk.
 *
 * usage: tlsload ADDRESS:PORT visit full|resumed THREADS SECONDS   a request and its answer on each connection
 *        tlsload ADDRESS:PORT greet full|resumed THREADS SECONDS   a handshake and its orderly end
 *        tlsload ADDRESS:PORT hold CONNECTIONS                     a request on each; "held" is printed; until EOF on stdin
 *        tlsload ADDRESS:PORT down|up MEGABYTES                    one body, of /bulk or to /echo
 *
 * TLS 1.3. `resumed` begins with a ticket of an earlier connection of its thread. Every answer has to be whole, and every
 * session resumed that should be, or the program fails. Prints one JSON object. */
#include "shared/mem.h"
#include "tests/bench/pattern.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 20, BODY_PIECE = 64 * 1024 };
#define NAME "bench.localhost"

struct load {
    struct sockaddr_in address;
    SSL_CTX *ctx;
    bool resumes, asks; /* asks: a request on each connection */
    double until;
    atomic_ulong done;
};

struct visitor {
    SSL *ssl;
    int fd;
    char heard[64]; /* the end of the last answer */
};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- one connection ---- */

static int connected(const struct sockaddr_in *address)
{
    const struct timeval patience = { .tv_sec = PATIENCE_S };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) != 0)
        fail("cannot connect: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static struct visitor begin(struct load *l, SSL_SESSION *session)
{
    struct visitor v = { .ssl = SSL_new(l->ctx), .fd = connected(&l->address) };

    SSL_set_fd(v.ssl, v.fd);
    SSL_set_tlsext_host_name(v.ssl, NAME);
    if (session)
        SSL_set_session(v.ssl, session);
    if (SSL_connect(v.ssl) != 1)
        fail("the handshake failed");
    if (session && !SSL_session_reused(v.ssl))
        fail("the session was not resumed");
    return v;
}

static void say(struct visitor *v, const char *text)
{
    int n = (int)strlen(text);

    if (SSL_write(v->ssl, text, n) != n)
        fail("cannot send a request");
}

static void keep_end(struct visitor *v, const char *bytes, size_t n)
{
    size_t part = n < sizeof v->heard ? n : sizeof v->heard;

    memmove(v->heard, v->heard + part, sizeof v->heard - part);
    memcpy(v->heard + sizeof v->heard - part, bytes + n - part, part);
}

/* Reads an answer to its end. Returns the length of its body. */
static uint64_t hear(struct visitor *v)
{
    char piece[BODY_PIECE + 1];
    size_t n = 0;
    uint64_t length, got;
    const char *body = NULL, *field;

    while (!body && n < BODY_PIECE) {
        int rc = SSL_read(v->ssl, piece + n, (int)(BODY_PIECE - n));

        if (rc <= 0)
            fail("the answer ended early");
        n += (size_t)rc;
        piece[n] = 0;
        body = strstr(piece, "\r\n\r\n");
    }
    field = strcasestr(piece, "\r\ncontent-length:");
    if (!body || !field || strncmp(piece, "HTTP/1.1 200", 12) != 0)
        fail("an answer was not a 200 with its length: %.40s", piece);
    length = strtoull(field + 17, NULL, 10);
    keep_end(v, body + 4, (size_t)(piece + n - body - 4));
    for (got = n - (size_t)(body + 4 - piece); got < length;) {
        int rc = SSL_read(v->ssl, piece, BODY_PIECE);

        if (rc <= 0)
            fail("the answer broke off");
        keep_end(v, piece, (size_t)rc);
        got += (uint64_t)rc;
    }
    return length;
}

/* Orderly: our close_notify, and then whatever still comes until the server has closed. */
static void part(struct visitor *v)
{
    char rest[4096];

    SSL_shutdown(v->ssl);
    shutdown(v->fd, SHUT_WR);
    while (recv(v->fd, rest, sizeof rest, 0) > 0)
        continue;
    close(v->fd);
    SSL_free(v->ssl);
}

/* ---- many, one after another ---- */

static SSL_SESSION *visit(struct load *l, SSL_SESSION *session, bool asks)
{
    struct visitor v = begin(l, session);
    SSL_SESSION *next = NULL;

    if (asks) {
        say(&v, "GET /page HTTP/1.1\r\nHost: " NAME "\r\nConnection: close\r\n\r\n");
        hear(&v);
        next = SSL_get1_session(v.ssl); /* its ticket has come before the answer */
    }
    part(&v);
    return next;
}

static void *run_thread(void *user)
{
    struct load *l = user;
    SSL_SESSION *session = l->resumes ? visit(l, NULL, true) : NULL;

    while (now_s() < l->until) {
        SSL_SESSION *next = visit(l, session, l->asks);

        if (l->resumes && next) {
            SSL_SESSION_free(session);
            session = next;
        } else {
            SSL_SESSION_free(next);
        }
        atomic_fetch_add(&l->done, 1);
    }
    SSL_SESSION_free(session);
    return NULL;
}

static void come_and_go(struct load *l, size_t threads_n, double seconds)
{
    pthread_t *threads = mem_new(threads_n * sizeof *threads);
    double began = now_s();

    l->until = began + seconds;
    for (size_t i = 0; i < threads_n; i++)
        if (pthread_create(&threads[i], NULL, run_thread, l) != 0)
            fail("cannot start a thread");
    for (size_t i = 0; i < threads_n; i++)
        pthread_join(threads[i], NULL);
    printf("{\"connections\": %lu, \"seconds\": %f}\n", atomic_load(&l->done), now_s() - began);
    free(threads);
}

/* ---- those that stay ---- */

static void hold(struct load *l, size_t n)
{
    struct visitor *all = mem_new(n * sizeof *all);

    for (size_t i = 0; i < n; i++) {
        all[i] = begin(l, NULL);
        say(&all[i], "GET /page HTTP/1.1\r\nHost: " NAME "\r\n\r\n");
        hear(&all[i]);
    }
    puts("held");
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    free(all); /* the kernel closes them */
}

/* ---- bulk ---- */

static void send_body(struct visitor *v, uint64_t bytes)
{
    char *pattern = pattern_new();
    char head[160];

    snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: " NAME "\r\nContent-Length: %llu\r\n\r\n",
             (unsigned long long)bytes);
    say(v, head);
    while (bytes > 0) {
        int n = SSL_write(v->ssl, pattern, bytes < BODY_PIECE ? (int)bytes : BODY_PIECE);

        if (n <= 0)
            fail("cannot send the body");
        bytes -= (uint64_t)n;
    }
    free(pattern);
}

static void carry(struct load *l, bool up, uint64_t bytes)
{
    struct visitor v = begin(l, NULL);
    double began = now_s();
    uint64_t answered;
    char told[64];
    int n;

    if (up)
        send_body(&v, bytes);
    else
        say(&v, "GET /bulk HTTP/1.1\r\nHost: " NAME "\r\n\r\n");
    answered = hear(&v);
    n = snprintf(told, sizeof told, "(%llu bytes of content)\n", (unsigned long long)bytes);
    if (up ? memcmp(v.heard + sizeof v.heard - n, told, (size_t)n) != 0 : answered != bytes)
        fail("not all of the body has arrived");
    printf("{\"bytes\": %llu, \"seconds\": %f}\n", (unsigned long long)bytes, now_s() - began);
    part(&v);
}

int main(int argc, char **argv)
{
    const char *way = argc > 2 ? argv[2] : "";
    struct load l = { .ctx = SSL_CTX_new(TLS_client_method()) };

    signal(SIGPIPE, SIG_IGN);
    SSL_CTX_set_min_proto_version(l.ctx, TLS1_3_VERSION);
    if (argc > 3)
        l.address = net_address(argv[1], strlen(argv[1]));
    if (argc == 6 && (strcmp(way, "visit") == 0 || strcmp(way, "greet") == 0)) {
        l.resumes = strcmp(argv[3], "resumed") == 0;
        l.asks = way[0] == 'v';
        come_and_go(&l, (size_t)atoi(argv[4]), atof(argv[5]));
    } else if (argc == 4 && strcmp(way, "hold") == 0) {
        hold(&l, (size_t)atoi(argv[3]));
    } else if (argc == 4 && (strcmp(way, "down") == 0 || strcmp(way, "up") == 0)) {
        carry(&l, way[0] == 'u', strtoull(argv[3], NULL, 10) << 20);
    } else {
        fail(
            "usage: tlsload ADDRESS:PORT visit|greet full|resumed THREADS SECONDS; hold N; down|up MEGABYTES");
    }
    SSL_CTX_free(l.ctx);
    return 0;
}
