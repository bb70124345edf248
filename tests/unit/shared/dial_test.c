#include "shared/dial.h"

#include "tests/unit/loop_fixture.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <cmocka.h>

struct result {
    struct stream *s;
    enum err_code code;
    bool done, ended;
};

static void on_received(void *user, const char *bytes, size_t n)
{
    (void)user;
    (void)bytes;
    (void)n;
}

static void on_eof(void *user)
{
    (void)user;
}

static void on_ended(void *user, const struct err *why)
{
    (void)why;
    ((struct result *)user)->ended = true;
}

static void on_done(void *user, struct stream *s, const struct err *why)
{
    static const struct stream_events events = { on_received, on_eof, NULL, on_ended, NULL };
    struct result *r = user;

    assert_false(r->done);
    assert_true((s == NULL) == (why != NULL));
    r->done = true;
    r->s = s;
    r->code = why ? why->code : ERR_NONE;
    if (s)
        stream_hand_over(s, &events, r);
}

/* A listening socket on loopback, and its port. */
static int listener(uint16_t *port, int backlog)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    *port = ntohs(addr.sin_port);
    return fd;
}

static void test_connects(void **state)
{
    static const char *const hosts[] = { "127.0.0.1", "localhost" };
    struct dial_names names = { 0 };
    struct loop *l = *state;
    uint16_t port;
    int fd = listener(&port, 8);

    for (int i = 0; i < 4; i++) { /* the second time by what is known */
        struct result r = { 0 };

        dial_start(l, hosts[i % 2], port, 5000, &names, on_done, &r);
        assert_false(r.done); /* never from inside */
        loop_until(l, &r.done);
        assert_non_null(r.s);
        stream_stop(r.s);
        loop_until(l, &r.ended);
        assert_string_equal(names.names[0].host, i > 0 ? "localhost" : "");
        assert_string_equal(names.names[1].host, "");
    }
    close(fd);
}

static void test_names_are_kept_for_five_seconds(void **state)
{
    struct dial_names names = { 0 };
    struct loop *l = *state;
    uint16_t port;
    int fd = listener(&port, 8);
    struct sockaddr_in *known = (struct sockaddr_in *)&names.names[3].found[0];
    struct result good = { 0 }, old = { 0 };

    strcpy(names.names[3].host, "no-such-host.invalid");
    names.names[3].n = 1;
    names.names[3].until_ms = loop_now_ms(l) + 1000;
    known->sin_family = AF_INET;
    known->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    dial_start(l, "no-such-host.invalid", port, 5000, &names, on_done, &good);
    loop_until(l, &good.done);
    assert_non_null(good.s);
    stream_stop(good.s);
    names.names[3].until_ms = loop_now_ms(l);
    dial_start(l, "no-such-host.invalid", port, 5000, &names, on_done, &old);
    loop_until(l, &old.done);
    assert_int_equal(old.code, ERR_MISSING);
    close(fd);
}

static void dial_and_stop(struct loop *l, const char *host, uint16_t port, struct dial_names *names,
                          struct result *r)
{
    *r = (struct result){ 0 };
    dial_start(l, host, port, 5000, names, on_done, r);
    loop_until(l, &r->done);
    if (!r->s)
        return;
    stream_stop(r->s);
    loop_until(l, &r->ended);
}

/* A container that has moved: what its name meant before is believed for five seconds, and no longer. */
static void test_a_name_that_moves(void **state)
{
    struct dial_names names = { 0 };
    struct loop *l = *state;
    struct sockaddr_in *known = (struct sockaddr_in *)&names.names[0].found[0];
    struct result r;
    uint16_t port;
    int fd = listener(&port, 8);
    int64_t before_ms = loop_now_ms(l);

    dial_and_stop(l, "localhost", port, &names, &r);
    assert_int_equal(r.code, ERR_NONE);
    assert_string_equal(names.names[0].host, "localhost");
    assert_true(names.names[0].until_ms >= before_ms + 5000);
    assert_true(names.names[0].until_ms <= loop_now_ms(l) + 5000);
    for (size_t i = 0; i < DIAL_ADDRESSES; i++) /* nothing listens there */
        names.names[0].found[i] = (struct sockaddr_storage){ .ss_family = AF_INET };
    known->sin_addr.s_addr = htonl(INADDR_LOOPBACK + 0x10000);
    names.names[0].n = 1;
    dial_and_stop(l, "localhost", port, &names, &r);
    assert_int_equal(r.code, ERR_PEER);
    names.names[0].until_ms = loop_now_ms(l); /* five seconds later */
    dial_and_stop(l, "localhost", port, &names, &r);
    assert_int_equal(r.code, ERR_NONE);
    assert_true(names.names[0].until_ms > loop_now_ms(l));
    close(fd);
}

static int unix_listener(const char *path, int backlog)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_true(fd >= 0 && strlen(path) < sizeof addr.sun_path);
    memcpy(addr.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

static void on_accepts(uv_timer_t *timer)
{
    close(accept(*(int *)timer->data, NULL, NULL));
    uv_close((uv_handle_t *)timer, NULL);
}

/* Until the service takes the one before. */
static void wait_in_a_full_queue(struct loop *l, const char *path, int fd)
{
    struct result r = { 0 };
    uv_timer_t timer;

    uv_timer_init(&l->uv, &timer);
    timer.data = &fd;
    uv_timer_start(&timer, on_accepts, 50, 0);
    dial_start(l, path, 0, 60000, NULL, on_done, &r);
    loop_until(l, &r.done);
    assert_int_equal(r.code, ERR_NONE);
    assert_true(uv_is_closing((uv_handle_t *)&timer));
    stream_stop(r.s);
    loop_until(l, &r.ended);
}

static void test_unix_socket(void **state)
{
    char folder[] = "/tmp/dial-test-XXXXXX", path[64];
    struct loop *l = *state;
    struct result r;
    int fd;

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/app.sock", folder);
    dial_and_stop(l, path, 0, NULL, &r);
    assert_int_equal(r.code, ERR_SYSTEM); /* no such file */
    fd = unix_listener(path, 8);
    dial_and_stop(l, path, 0, NULL, &r);
    assert_int_equal(r.code, ERR_NONE);
    close(fd);
    dial_and_stop(l, path, 0, NULL, &r);
    assert_int_equal(r.code, ERR_PEER); /* a file, and nobody behind it */
    unlink(path);
    fd = unix_listener(path, 0);
    for (int i = 0; i < 4; i++) { /* a full queue is a service that does not answer */
        r = (struct result){ 0 };
        dial_start(l, path, 0, 100, NULL, on_done, &r);
        loop_until(l, &r.done);
        if (r.code != ERR_NONE)
            break;
        stream_stop(r.s);
        loop_until(l, &r.ended);
    }
    assert_int_equal(r.code, ERR_TIMEOUT);
    wait_in_a_full_queue(l, path, fd);
    close(fd);
    unlink(path);
    rmdir(folder);
}

/* Whoever proves who it is may also be found where it was last. */
static void test_a_name_nobody_knows_any_more(void **state)
{
    struct dial_names names = { .proved = true };
    struct sockaddr_in *known = (struct sockaddr_in *)&names.names[3].found[0];
    struct loop *l = *state;
    struct result first = { 0 }, stranger = { 0 };
    uint16_t port;
    int fd = listener(&port, 8);

    strcpy(names.names[3].host, "no-such-host.invalid");
    names.names[3].n = 1;
    names.names[3].until_ms = loop_now_ms(l); /* too old to be taken without a question */
    known->sin_family = AF_INET;
    known->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    dial_start(l, "no-such-host.invalid", port, 5000, &names, on_done, &first);
    loop_until(l, &first.done);
    assert_non_null(first.s);
    stream_stop(first.s);
    dial_start(l, "another-host.invalid", port, 5000, &names, on_done, &stranger);
    loop_until(l, &stranger.done);
    assert_int_equal(stranger.code, ERR_MISSING);
    close(fd);
}

static void test_refused(void **state)
{
    struct result r = { 0 };
    uint16_t port;

    close(listener(&port, 1));
    dial_start(*state, "127.0.0.1", port, 5000, NULL, on_done, &r);
    loop_until(*state, &r.done);
    assert_int_equal(r.code, ERR_PEER);
}

/* The queue of a listener with backlog 0 holds one; further ones get no answer. */
static int full_listener(uint16_t *port, int fill[4])
{
    int fd = listener(port, 0);
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_port = htons(*port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    for (int i = 0; i < 4; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fill[i], (struct sockaddr *)&addr, sizeof addr) == 0)
            continue;
    }
    usleep(50000);
    return fd;
}

static void test_silent(void **state)
{
    struct result r = { 0 };
    uint16_t port;
    int fill[4], fd = full_listener(&port, fill);

    dial_start(*state, "127.0.0.1", port, 200, NULL, on_done, &r);
    loop_until(*state, &r.done);
    assert_int_equal(r.code, ERR_TIMEOUT);
    for (int i = 0; i < 4; i++)
        close(fill[i]);
    close(fd);
}

static void close_full(int fd, const int fill[4])
{
    for (int i = 0; i < 4; i++)
        close(fill[i]);
    close(fd);
}

static void know(struct dial_names *names, const char *host, struct loop *l, const uint32_t *addresses,
                 size_t n)
{
    *names = (struct dial_names){ 0 };
    strcpy(names->names[0].host, host);
    names->names[0].until_ms = loop_now_ms(l) + 5000;
    names->names[0].n = n;
    for (size_t i = 0; i < n; i++) {
        struct sockaddr_in *known = (struct sockaddr_in *)&names->names[0].found[i];

        known->sin_family = AF_INET;
        known->sin_addr.s_addr = htonl(addresses[i]);
    }
}

/* The first address leads nowhere: who is silent there delays the next one by a moment, who refuses not even by that. */
static void test_the_next_address_does_not_wait_for_the_first(void **state)
{
    const uint32_t silent_first[] = { INADDR_LOOPBACK, INADDR_LOOPBACK + 1 };
    const uint32_t refused_first[] = { INADDR_LOOPBACK + 2, INADDR_LOOPBACK + 2, INADDR_LOOPBACK + 1 };
    struct loop *l = *state;
    struct dial_names names;
    struct result r = { 0 };
    uint16_t port;
    int fill[4], full = full_listener(&port, fill), fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1) };
    int64_t began_ms = loop_now_ms(l);

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, 8), 0);
    know(&names, "two.invalid", l, silent_first, 2);
    dial_start(l, "two.invalid", port, 60000, &names, on_done, &r);
    loop_until(l, &r.done);
    assert_int_equal(r.code, ERR_NONE);
    assert_in_range(loop_now_ms(l) - began_ms, DIAL_TURN_MS, 10000); /* and not half of the minute */
    stream_stop(r.s);
    loop_until(l, &r.ended);
    r = (struct result){ 0 };
    know(&names, "two.invalid", l, refused_first, 3);
    dial_start(l, "two.invalid", port, 60000, &names, on_done, &r);
    loop_until(l, &r.done);
    assert_int_equal(r.code, ERR_NONE);
    stream_stop(r.s);
    loop_until(l, &r.ended);
    close(fd);
    r = (struct result){ 0 };
    know(&names, "two.invalid", l, silent_first, 2);
    dial_start(l, "two.invalid", port, 1000, &names, on_done, &r); /* one silent, one refused */
    loop_until(l, &r.done);
    assert_int_equal(r.code, ERR_TIMEOUT);
    close_full(full, fill);
}

/* The kernel would ask again after 1, 3 and 7 s. */
static void test_asked_again(void **state)
{
    struct loop *l = *state;
    struct result r = { 0 };
    uint16_t port;
    int fill[4], full = full_listener(&port, fill);

    dial_again(dial_start(l, "127.0.0.1", port, 1300, NULL, on_done, &r));
    loop_until(l, &r.done);
    assert_int_equal(r.code, ERR_TIMEOUT);
    r = (struct result){ 0 };
    dial_again(dial_start(l, "127.0.0.1", port, 60000, NULL, on_done, &r));
    for (int64_t until_ms = loop_now_ms(l) + 1200; loop_now_ms(l) < until_ms;)
        uv_run(&l->uv, UV_RUN_ONCE);
    close_full(full, fill);
    loop_until(l, &r.done); /* the next one is refused, and the earlier ones are not waited for */
    assert_int_equal(r.code, ERR_PEER);
}

static int open_sockets(void)
{
    struct stat st;
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    return n;
}

/* Also when the last address of the row is one that there is no way to. */
static void test_asked_again_beside_an_unreachable_address(void **state)
{
    const uint32_t addresses[] = { INADDR_LOOPBACK, INADDR_BROADCAST };
    struct loop *l = *state;
    struct dial_names names;
    struct result r = { 0 };
    uint16_t port;
    int fill[4], full = full_listener(&port, fill), before = open_sockets();
    struct dial *d;

    know(&names, "two.invalid", l, addresses, 2);
    d = dial_start(l, "two.invalid", port, 60000, &names, on_done, &r);
    dial_again(d);
    while (open_sockets() < before + 2 && !r.done) /* two attempts that wait */
        uv_run(&l->uv, UV_RUN_ONCE);
    assert_false(r.done);
    dial_stop(d);
    loop_run(l);
    close_full(full, fill);
}

/* ---- a name server that answers late ---- */

struct late {
    uv_work_t work[4]; /* as many threads as libuv has */
    uv_sem_t go;
    int n, over;
};

static void hold_a_thread(uv_work_t *work)
{
    struct late *late = work->data;

    uv_sem_wait(&late->go);
}

static void on_held(uv_work_t *work, int status)
{
    struct late *late = work->data;

    (void)status;
    late->over++;
}

/* Lookups wait for a thread, until late_answers. */
static void late_begins(struct late *late, struct loop *l)
{
    *late = (struct late){ .n = sizeof late->work / sizeof late->work[0] };
    assert_int_equal(uv_sem_init(&late->go, 0), 0);
    for (int i = 0; i < late->n; i++) {
        late->work[i].data = late;
        assert_int_equal(uv_queue_work(&l->uv, &late->work[i], hold_a_thread, on_held), 0);
    }
}

static void late_answers(struct late *late)
{
    for (int i = 0; i < late->n; i++)
        uv_sem_post(&late->go);
}

static void late_ends(struct late *late, struct loop *l)
{
    loop_run(l);
    assert_int_equal(late->over, late->n);
    uv_sem_destroy(&late->go);
}

/* Where it was last, connections are refused: what the name server says is waited for. */
static void test_a_name_that_has_moved_is_found_by_a_slow_name_server(void **state)
{
    const uint32_t elsewhere[] = { INADDR_LOOPBACK + 0x10000 };
    struct loop *l = *state;

    for (int again = 0; again < 2; again++) {
        struct dial_names names;
        struct result r = { 0 };
        struct late late;
        struct dial *d;
        uint16_t port;
        int fd = listener(&port, 8);

        know(&names, "localhost", l, elsewhere, 1);
        names.proved = true;
        names.names[0].until_ms = loop_now_ms(l); /* too old to be taken without a question */
        late_begins(&late, l);
        d = dial_start(l, "localhost", port, 60000, &names, on_done, &r);
        if (again)
            dial_again(d);
        for (int64_t until_ms = loop_now_ms(l) + DIAL_RECALL_MS + 500; loop_now_ms(l) < until_ms;)
            uv_run(&l->uv, UV_RUN_NOWAIT);
        assert_false(r.done);
        late_answers(&late);
        loop_until(l, &r.done);
        assert_int_equal(r.code, ERR_NONE);
        stream_stop(r.s);
        late_ends(&late, l);
        close(fd);
    }
}

/* Nor is it waited for without end; then it is the refusal that is told. */
static void test_a_name_server_that_is_silent_behind_a_refusal(void **state)
{
    const uint32_t elsewhere[] = { INADDR_LOOPBACK + 0x10000 };
    struct loop *l = *state;
    struct dial_names names;
    struct result r = { 0 };
    struct late late;
    uint16_t port;

    close(listener(&port, 1));
    know(&names, "localhost", l, elsewhere, 1);
    names.proved = true;
    names.names[0].until_ms = loop_now_ms(l);
    late_begins(&late, l);
    dial_start(l, "localhost", port, 400, &names, on_done, &r);
    loop_until(l, &r.done);
    assert_int_equal(r.code, ERR_PEER);
    late_answers(&late);
    late_ends(&late, l);
}

static void test_stopped_in_every_state(void **state)
{
    static const char *const hosts[] = { "127.0.0.1", "localhost", "no-such-host.invalid" };
    struct loop *l = *state;
    struct result r = { 0 };
    uint16_t port;
    int fill[4], fd = full_listener(&port, fill);

    for (int i = 0; i < 3; i++)
        for (int rounds = 0; rounds < 4; rounds++) {
            struct dial_names names = { 0 };
            struct dial *d = dial_start(l, hosts[i], port, 5000, &names, on_done, &r);

            for (int n = 0; n < rounds && !r.done; n++)
                uv_run(&l->uv, UV_RUN_NOWAIT);
            if (!r.done && rounds % 2 == 1)
                dial_again(d);
            if (!r.done)
                dial_stop(d);
            r.done = false;
            loop_run(l);
            assert_false(r.done);
        }
    for (int i = 0; i < 4; i++)
        close(fill[i]);
    close(fd);
}

static void test_what_a_name_meant_last(void **state)
{
    static const struct dial_names names = {
        .names = { { .host = "other", .found = { { .ss_family = AF_INET } }, .n = 1 },
                   { .host = "relay",
                     .found = { { .ss_family = AF_INET6 }, { .ss_family = AF_INET } },
                     .n = 2 } }
    };
    struct sockaddr_storage found = { 0 };

    (void)state;
    assert_true(dial_names_find(&names, "relay", AF_INET, &found));
    assert_int_equal(found.ss_family, AF_INET);
    assert_true(dial_names_find(&names, "relay", AF_INET6, &found));
    assert_false(dial_names_find(&names, "other", AF_INET6, &found));
    assert_false(dial_names_find(&names, "nobody", AF_INET, &found));
    assert_false(dial_names_find(NULL, "relay", AF_INET, &found));
    assert_int_equal(found.ss_family, AF_INET6); /* as it was */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_connects, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_names_are_kept_for_five_seconds, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_a_name_that_moves, loop_make, loop_end),
        cmocka_unit_test(test_what_a_name_meant_last),
        cmocka_unit_test_setup_teardown(test_unix_socket, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_a_name_nobody_knows_any_more, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_refused, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_silent, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_the_next_address_does_not_wait_for_the_first, loop_make,
                                        loop_end),
        cmocka_unit_test_setup_teardown(test_asked_again, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_asked_again_beside_an_unreachable_address, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_a_name_that_has_moved_is_found_by_a_slow_name_server, loop_make,
                                        loop_end),
        cmocka_unit_test_setup_teardown(test_a_name_server_that_is_silent_behind_a_refusal, loop_make,
                                        loop_end),
        cmocka_unit_test_setup_teardown(test_stopped_in_every_state, loop_make, loop_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
