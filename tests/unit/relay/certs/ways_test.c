/* Jobs that put challenges up, a control plane that publishes them, and the edge's real workers, which can be frozen. */
#include "relay/certs/ways.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "relay/edge/edge.h"
#include "shared/mem.h"
#include "tests/unit/loop_fixture.h"

enum { WORKERS = 3, A_WHILE_MS = 100, PATIENCE_MS = 20000 };

#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
#define PRINT "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"

struct control {
    struct loop *loop;
    struct board *board;
    struct ways *ways;
    struct edge *edge;
    struct access_log *log;
    SSL_CTX *begin;
    struct snapshot *published; /* the last one */
    pid_t workers[WORKERS];
    bool edge_ended, ways_closed;
    unsigned jobs; /* that run */
};

/* ---- freezing a thread ---- */

static int frozen[2], thaw[2]; /* pipes: each byte says that one is frozen, and thaws one */

static void on_frozen(int number)
{
    char byte;

    (void)number;
    while (write(frozen[1], "x", 1) < 0)
        continue;
    while (read(thaw[0], &byte, 1) < 0)
        continue;
}

static void freeze(pid_t thread)
{
    char byte;

    assert_int_equal(syscall(SYS_tgkill, getpid(), thread, SIGUSR1), 0);
    while (read(frozen[0], &byte, 1) < 0)
        continue;
}

static void thaw_one(void)
{
    assert_int_equal(write(thaw[1], "x", 1), 1);
}

static size_t list_threads(pid_t *out, size_t room)
{
    DIR *folder = opendir("/proc/self/task");
    const struct dirent *entry;
    size_t n = 0;

    while ((entry = readdir(folder)) && n < room)
        if (entry->d_name[0] != '.')
            out[n++] = atoi(entry->d_name);
    closedir(folder);
    return n;
}

/* Those that were not there before. */
static void note_workers(struct control *c, const pid_t *before, size_t before_n)
{
    pid_t now[64];
    size_t n = list_threads(now, 64), found = 0;

    for (size_t i = 0; i < n; i++) {
        bool old = false;

        for (size_t j = 0; j < before_n; j++)
            old = old || before[j] == now[i];
        if (!old && found < WORKERS)
            c->workers[found++] = now[i];
    }
    assert_int_equal(found, WORKERS);
}

/* ---- the control plane ---- */

static struct snapshot *make_snapshot(struct control *c)
{
    struct snapshot *s = snapshot_new();

    snapshot_set_tls(s, c->begin, NULL);
    snapshot_set_challenges(s, board_challenges(c->board));
    snapshot_finish(s);
    snapshot_release(c->published);
    c->published = snapshot_hold(s);
    return s;
}

static void publish(void *user)
{
    struct control *c = user;

    edge_publish(c->edge, make_snapshot(c));
}

static void on_shown(void *user, uint64_t serial)
{
    struct control *c = user;

    board_shown(c->board, serial);
}

static void on_lane(void *user, uint64_t lane)
{
    (void)user, (void)lane;
}

static void on_aborted(void *user, uint64_t lane, uint64_t stream)
{
    (void)user, (void)lane, (void)stream;
}

static void on_listeners_changed(void *user)
{
    (void)user;
}

static void on_edge_ended(void *user)
{
    struct control *c = user;

    c->edge_ended = true;
}

static void on_ways_closed(void *user)
{
    struct control *c = user;

    c->ways_closed = true;
}

static void start(struct control *c, struct loop *loop)
{
    static const struct edge_events events = {
        on_lane, on_lane, on_aborted, on_shown, on_listeners_changed, on_edge_ended
    };
    static const struct opt_addresses nowhere;
    struct inherited *none = NULL;
    struct edge_conf conf = { .listen_https = &nowhere,
                              .listen_http = &nowhere,
                              .proxy_listeners = &nowhere,
                              .workers = WORKERS,
                              .max_streams = 1,
                              .max_buffered = 1 << 20 };
    struct err e = { 0 };
    pid_t before[64];
    size_t before_n = list_threads(before, 64);

    *c = (struct control){ .loop = loop, .log = access_log_new() };
    conf.access_log = c->log;
    c->begin = SSL_CTX_new(TLS_server_method());
    c->board = board_new(publish, c);
    c->ways = ways_start(loop, c->board);
    c->edge = edge_start(loop, &conf, none, make_snapshot(c), &events, c, &e);
    if (!c->edge)
        fail_msg("%s", e.text);
    note_workers(c, before, before_n);
    assert_int_equal(pipe(thaw) | pipe(frozen), 0);
    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_frozen, .sa_flags = SA_RESTART }, NULL);
}

static void step(struct control *c)
{
    uv_run(&c->loop->uv, UV_RUN_NOWAIT);
    usleep(1000);
}

static int64_t now_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

#define until(c, happened)                                        \
    for (int64_t end_ms = now_ms() + PATIENCE_MS; !(happened);) { \
        assert_true(now_ms() < end_ms);                           \
        step(c);                                                  \
    }

/* For what is not to happen. */
static void run_a_while(struct control *c)
{
    for (int64_t end_ms = now_ms() + A_WHILE_MS; now_ms() < end_ms;)
        step(c);
}

static void stop(struct control *c)
{
    board_close(c->board);
    ways_stop(c->ways, on_ways_closed, c);
}

static void end(struct control *c)
{
    if (!c->ways_closed)
        stop(c);
    until(c, c->ways_closed);
    edge_stop(c->edge);
    until(c, c->edge_ended);
    assert_int_equal(c->jobs, 0);
    ways_free(c->ways);
    board_free(c->board);
    snapshot_release(c->published);
    access_log_release(c->log);
    SSL_CTX_free(c->begin);
    close(thaw[0]);
    close(thaw[1]);
    close(frozen[0]);
    close(frozen[1]);
}

/* ---- a job ---- */

struct errand {
    struct control *control;
    struct challenge challenge;
    struct job *job;
    const char *nonce; /* or NULL: the challenge */
    bool takes;        /* it away at once */
    bool ended;
    int rc;
    struct err why;
};

static void on_run(struct job *job, void *user)
{
    struct errand *e = user;
    const struct challenge_ways *ways = ways_challenges(e->control->ways);

    e->rc = e->nonce ? ways_put_nonce(e->control->ways, e->nonce, job, &e->why)
                     : ways->put(ways->user, &e->challenge, job, &e->why);
    if (e->rc == 0 && e->takes && !e->nonce)
        ways->take_away(ways->user, &e->challenge);
    if (e->rc == 0 && e->takes && e->nonce)
        ways_take_nonce(e->control->ways, e->nonce);
}

static void on_errand_ended(void *user)
{
    struct errand *e = user;

    e->ended = true;
    e->control->jobs--;
}

static void begin(struct control *c, struct errand *e)
{
    e->control = c;
    e->job = job_start(c->loop, on_run, on_errand_ended, e, NULL);
    assert_non_null(e->job);
    c->jobs++;
}

static struct errand errand_for(enum challenge_type type, const char *name)
{
    struct errand e = { 0 };

    assert_int_equal(challenge_init(&e.challenge, type, name, false, TOKEN, TOKEN "." PRINT, NULL), 0);
    return e;
}

static const char *shown_text(const struct control *c, const char *path)
{
    return challenges_text(snapshot_challenges(c->published), str_of(path), STR("a.test"));
}

static SSL_CTX *shown_tls(const struct control *c, const char *name)
{
    return snapshot_pick_tls(c->published, str_of(name), true);
}

/* ---- cases ---- */

static void test_put_and_taken_away(void **state)
{
    struct errand http = errand_for(CHALLENGE_HTTP_01, "a.test");
    struct errand tls = errand_for(CHALLENGE_TLS_ALPN_01, "192.0.2.1");
    struct errand nonce = { .nonce = "n-1" };
    struct control c;

    start(&c, *state);
    begin(&c, &http);
    until(&c, http.ended);
    begin(&c, &tls);
    until(&c, tls.ended);
    begin(&c, &nonce);
    until(&c, nonce.ended);
    assert_int_equal(http.rc | tls.rc | nonce.rc, 0);
    assert_string_equal(shown_text(&c, BOARD_HTTP_01 TOKEN), TOKEN "." PRINT);
    assert_string_equal(shown_text(&c, BOARD_CHECK "n-1"), "n-1");
    assert_non_null(shown_tls(&c, "1.2.0.192.in-addr.arpa"));
    assert_null(shown_tls(&c, "a.test"));
    ways_challenges(c.ways)->take_away(c.ways, &http.challenge);
    ways_challenges(c.ways)->take_away(c.ways, &tls.challenge);
    ways_take_nonce(c.ways, "n-1");
    until(&c, !shown_text(&c, BOARD_HTTP_01 TOKEN) && !shown_text(&c, BOARD_CHECK "n-1"));
    until(&c, !shown_tls(&c, "1.2.0.192.in-addr.arpa"));
    end(&c);
}

/* Each in turn: no order is told before the last of them. Meanwhile other things are published. */
static void test_a_busy_worker_is_waited_for(void **state)
{
    struct control c;

    start(&c, *state);
    for (int i = 0; i < WORKERS; i++) {
        struct errand e = errand_for(i % 2 ? CHALLENGE_HTTP_01 : CHALLENGE_TLS_ALPN_01, "a.test");

        e.takes = true;
        freeze(c.workers[i]);
        begin(&c, &e);
        run_a_while(&c);
        assert_false(e.ended);
        publish(&c);
        run_a_while(&c);
        assert_false(e.ended);
        thaw_one();
        until(&c, e.ended);
        assert_int_equal(e.rc, 0);
    }
    end(&c);
}

static void test_cancelled_while_it_waits(void **state)
{
    struct errand e = errand_for(CHALLENGE_HTTP_01, "a.test");
    struct control c;

    start(&c, *state);
    freeze(c.workers[0]);
    begin(&c, &e);
    until(&c, shown_text(&c, BOARD_HTTP_01 TOKEN)); /* to some */
    job_cancel(e.job);
    until(&c, e.ended);
    assert_int_equal(e.rc, -1);
    assert_int_equal(e.why.code, ERR_STOPPED);
    until(&c, !shown_text(&c, BOARD_HTTP_01 TOKEN));
    thaw_one();
    end(&c);
}

static void test_stopped_while_it_waits(void **state)
{
    struct errand early = errand_for(CHALLENGE_HTTP_01, "a.test"), late = early;
    struct errand done = errand_for(CHALLENGE_TLS_ALPN_01, "b.test");
    struct control c;

    start(&c, *state);
    begin(&c, &done);
    until(&c, done.ended);
    freeze(c.workers[1]);
    begin(&c, &early);
    until(&c, shown_text(&c, BOARD_HTTP_01 TOKEN));
    run_a_while(&c);
    assert_false(early.ended);
    stop(&c);
    until(&c, early.ended);
    assert_int_equal(early.why.code, ERR_STOPPED);
    begin(&c, &late);
    until(&c, late.ended);
    assert_int_equal(late.why.code, ERR_STOPPED);
    assert_string_equal(late.why.text, "a.test: http-01: the relay is stopping");
    ways_challenges(c.ways)->take_away(c.ways, &done.challenge);
    thaw_one();
    end(&c);
}

static void test_what_cannot_be_shown(void **state)
{
    struct errand first = errand_for(CHALLENGE_TLS_ALPN_01, "a.test"), second = first;
    struct errand other = errand_for(CHALLENGE_DNS_01, "a.test");
    struct control c;

    start(&c, *state);
    begin(&c, &first);
    until(&c, first.ended);
    begin(&c, &second);
    until(&c, second.ended);
    assert_int_equal(second.why.code, ERR_TAKEN);
    begin(&c, &other);
    until(&c, other.ended);
    assert_int_equal(other.why.code, ERR_INPUT);
    assert_non_null(shown_tls(&c, "a.test")); /* the first one's, still */
    end(&c);
}

static void test_many_at_once(void **state)
{
    enum { MANY = 24 };
    static char names[MANY][24], tokens[MANY][16], answers[MANY][100];
    static struct errand errands[MANY];
    struct control c;

    start(&c, *state);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "n%d.test", i);
        snprintf(tokens[i], sizeof tokens[i], "t%d", i);
        snprintf(answers[i], sizeof answers[i], "t%d." PRINT, i);
        errands[i] = (struct errand){ .takes = true };
        assert_int_equal(
            challenge_init(&errands[i].challenge, i % 2, names[i], false, tokens[i], answers[i], NULL), 0);
        begin(&c, &errands[i]);
    }
    for (int i = 0; i < MANY; i++) {
        until(&c, errands[i].ended);
        if (errands[i].rc != 0)
            fail_msg("%s", errands[i].why.text);
    }
    for (int i = 0; i < MANY; i++) {
        char path[512];

        snprintf(path, sizeof path, BOARD_HTTP_01 "%s", tokens[i]);
        until(&c, !shown_text(&c, path) && !shown_tls(&c, names[i]));
    }
    end(&c);
}

#define loop_test(f) cmocka_unit_test_setup_teardown(f, loop_make, loop_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        loop_test(test_put_and_taken_away),       loop_test(test_a_busy_worker_is_waited_for),
        loop_test(test_cancelled_while_it_waits), loop_test(test_stopped_while_it_waits),
        loop_test(test_what_cannot_be_shown),     loop_test(test_many_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
