#include "agent/carry/service_conn.h"

#include "shared/door.h"
#include "shared/stream.h"
#include "shared/tls_pipe.h"
#include "tests/unit/certificate.h"
#include "tests/unit/loop_fixture.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { LARGE = 3 << 20 };

/* Both ends on one loop: a service, whose TLS is the same machine's other side, and the connection to it. */
struct scene {
    struct loop *loop;
    bool secure;
    /* the service */
    struct door *door;
    uint16_t port;
    struct certificate own;
    SSL_CTX *ctx;
    struct tls_pipe tls;
    struct buf out;
    struct stream *sock;
    struct buf told;
    bool told_end, mute, sock_gone;
    struct err sock_why;
    /* the connection */
    struct trust *trust;
    struct service_conn *conn;
    struct buf heard;
    bool ready, eof, drained, ended;
    unsigned sent;
    enum lane_how how;
    char detail[400];
};

/* ---- the service ---- */

static void flush(struct scene *s)
{
    stream_write(s->sock, buf_bytes(&s->out), s->out.len);
    buf_free(&s->out);
}

static void say(struct scene *s, const char *bytes, size_t n)
{
    if (!s->secure) {
        stream_write(s->sock, bytes, n);
        return;
    }
    tls_pipe_write(&s->tls, bytes, n);
    flush(s);
}

/* In an orderly way, or by TCP alone. */
static void say_end(struct scene *s, bool orderly, bool fin)
{
    if (s->secure && orderly)
        tls_pipe_end(&s->tls);
    if (s->secure)
        flush(s);
    if (fin || !s->secure)
        stream_shutdown(s->sock);
}

static void on_told(void *user, const char *bytes, size_t n)
{
    struct scene *s = user;

    if (s->mute)
        return;
    if (!s->secure) {
        buf_add(&s->told, bytes, n);
        return;
    }
    s->told_end = tls_pipe_feed(&s->tls, bytes, n, &s->told, NULL, NULL) == 1 || s->told_end;
    flush(s);
}

static void on_told_end(void *user)
{
    struct scene *s = user;

    s->told_end = s->told_end || !s->secure;
}

static void on_sock_gone(void *user, const struct err *why)
{
    struct scene *s = user;

    s->sock = NULL;
    s->sock_gone = true;
    s->sock_why = *why;
}

static void on_came(void *user, int fd)
{
    static const struct stream_events events = { on_told, on_told_end, NULL, on_sock_gone, NULL };
    struct scene *s = user;

    if (s->secure) {
        tls_pipe_init(&s->tls, s->ctx, &s->out);
        SSL_set_accept_state(s->tls.ssl);
    }
    s->sock = stream_open(s->loop, fd, &events, s, NULL);
    assert_non_null(s->sock);
}

/* ---- the connection ---- */

static void on_ready(void *user)
{
    ((struct scene *)user)->ready = true;
}

static void on_received(void *user, const char *bytes, size_t n)
{
    struct scene *s = user;

    assert_true(s->ready && !s->eof && n > 0);
    buf_add(&s->heard, bytes, n);
}

static void on_eof(void *user)
{
    struct scene *s = user;

    assert_false(s->eof);
    s->eof = true;
}

static void on_drained(void *user)
{
    ((struct scene *)user)->drained = true;
}

static void on_sent(void *user)
{
    ((struct scene *)user)->sent++;
}

static void on_ended(void *user, enum lane_how how, const char *detail)
{
    struct scene *s = user;

    assert_false(s->ended);
    s->ended = true;
    s->conn = NULL;
    s->how = how;
    snprintf(s->detail, sizeof s->detail, "%s", detail);
}

static const struct service_conn_events events = { on_ready,   on_received, on_eof,
                                                   on_drained, on_sent,     on_ended };

/* ---- scenes ---- */

static void listen_there(struct scene *s)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    static const struct door_kind kind = { .name = "test", .came = on_came };
    socklen_t size = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    s->door = door_open(s->loop, fd, &kind, s, NULL);
    assert_non_null(s->door);
    s->port = ntohs(addr.sin_port);
}

static void begin(struct scene *s, struct loop *loop, bool secure)
{
    struct service service = { 0 };
    char url[64];

    *s = (struct scene){ .loop = loop, .secure = secure, .trust = trust_new() };
    listen_there(s);
    certificate_make(&s->own, "IP:127.0.0.1", 30, NULL);
    s->ctx = certificate_context(&s->own);
    snprintf(url, sizeof url, "%s://127.0.0.1:%u", secure ? "https" : "http", s->port);
    assert_int_equal(service_parse(&service, url, NULL), 0);
    service.verify = false;
    s->conn = service_conn_start(loop, &service, NULL, s->trust, &events, s);
    assert_int_equal(service_conn_is_proof(s->conn), !secure);
}

static void finish(struct scene *s)
{
    if (s->conn)
        service_conn_reset(s->conn);
    if (s->sock)
        stream_stop(s->sock);
    door_close(s->door);
    loop_run(s->loop);
    assert_true(s->ended);
    if (s->tls.ssl)
        tls_pipe_free(&s->tls);
    SSL_CTX_free(s->ctx);
    certificate_free(&s->own);
    trust_free(s->trust);
    buf_free(&s->told);
    buf_free(&s->heard);
}

static void until(struct scene *s, const bool *happened)
{
    loop_until(s->loop, happened);
    assert_true(*happened);
}

/* With 1.3 we are through before the service has heard of it. */
static void until_ready(struct scene *s)
{
    until(s, &s->ready);
    while (s->secure && !tls_pipe_established(&s->tls) && uv_run(&s->loop->uv, UV_RUN_ONCE))
        continue;
}

static void until_len(struct scene *s, const struct buf *b, size_t n)
{
    while (b->len < n && uv_run(&s->loop->uv, UV_RUN_ONCE))
        continue;
    assert_int_equal(b->len, n);
}

static void test_bytes_and_half_close(void **state)
{
    for (int secure = 0; secure < 2; secure++) {
        struct scene s;

        begin(&s, *state, secure);
        until_ready(&s);
        service_conn_write(s.conn, "question", 8);
        until_len(&s, &s.told, 8);
        say(&s, "answer", 6);
        until_len(&s, &s.heard, 6);
        service_conn_shutdown(s.conn);
        service_conn_write(s.conn, "too late", 8);
        until(&s, &s.told_end);
        say(&s, " and more", 9);
        until_len(&s, &s.heard, 15);
        say_end(&s, true, true);
        until(&s, &s.ended);
        assert_int_equal(s.how, LANE_EOF);
        assert_string_equal(s.detail, "");
        assert_string_equal(buf_text(&s.told), "question");
        finish(&s);
    }
}

/* A close_notify is the end of what the service says, whether or not its TCP connection ends. */
static void test_the_service_ends_first(void **state)
{
    for (int kind = 0; kind < 3; kind++) { /* plain, with a FIN, without one */
        struct scene s;

        begin(&s, *state, kind > 0);
        until_ready(&s);
        say(&s, "bye", 3);
        say_end(&s, true, kind == 1);
        until(&s, &s.eof);
        assert_int_equal(s.heard.len, 3);
        service_conn_write(s.conn, "still here", 10);
        until_len(&s, &s.told, 10);
        service_conn_shutdown(s.conn);
        until(&s, &s.ended);
        assert_int_equal(s.how, LANE_EOF);
        finish(&s);
    }
}

static void test_a_cut_is_no_end(void **state)
{
    for (int shut = 0; shut < 2; shut++) { /* also when we have ended before */
        struct scene s;

        begin(&s, *state, true);
        until_ready(&s);
        if (shut)
            service_conn_shutdown(s.conn);
        say(&s, "half", 4);
        say_end(&s, false, true);
        until(&s, &s.ended);
        assert_int_equal(s.heard.len, 4);
        assert_false(s.eof);
        assert_int_equal(s.how, LANE_RESET);
        assert_non_null(strstr(s.detail, "without TLS's close_notify"));
        finish(&s);
    }
}

static void test_a_reset(void **state)
{
    for (int secure = 0; secure < 2; secure++) {
        struct scene s;

        begin(&s, *state, secure);
        until_ready(&s);
        service_conn_write(s.conn, "x", 1);
        until_len(&s, &s.told, 1);
        stream_reset(s.sock);
        until(&s, &s.ended);
        assert_int_equal(s.how, LANE_RESET);
        finish(&s);
        begin(&s, *state, secure);
        until_ready(&s);
        service_conn_write(s.conn, "x", 1);
        until_len(&s, &s.told, 1);
        service_conn_reset(s.conn);
        until(&s, &s.sock_gone);
        assert_int_equal(s.sock_why.code, ERR_PEER);
        finish(&s);
    }
}

static void test_backpressure_and_what_is_unsent(void **state)
{
    for (int secure = 0; secure < 2; secure++) {
        struct buf large = { 0 };
        struct scene s;
        size_t given = 0;

        memset(buf_space(&large, LARGE), 'x', LARGE);
        begin(&s, *state, secure);
        until_ready(&s);
        loop_settle(s.loop);
        stream_pause(s.sock);
        while (!service_conn_full(s.conn)) { /* what the kernel takes comes first */
            service_conn_write(s.conn, large.mem, 60000);
            given += 60000;
        }
        assert_true(service_conn_full(s.conn) && service_conn_queued(s.conn) >= STREAM_FULL_BYTES);
        assert_true(service_conn_unsent(s.conn) <= service_conn_queued(s.conn));
        assert_true(service_conn_unsent(s.conn) > service_conn_queued(s.conn) * 9 / 10);
        stream_resume(s.sock);
        until(&s, &s.drained);
        until_len(&s, &s.told, given);
        loop_settle(s.loop);
        assert_int_equal(service_conn_unsent(s.conn), 0);
        service_conn_pause(s.conn);
        say(&s, large.mem, LARGE);
        loop_settle(s.loop);
        assert_int_equal(s.heard.len, 0);
        service_conn_resume(s.conn);
        until_len(&s, &s.heard, LARGE);
        buf_free(&large);
        finish(&s);
    }
}

/* Few bytes each, which encrypted are many: they count as what they are. */
static void test_small_writes_are_counted_as_such(void **state)
{
    struct scene s;
    size_t given = 0;

    begin(&s, *state, true);
    until_ready(&s);
    loop_settle(s.loop);
    stream_pause(s.sock);
    for (; !service_conn_full(s.conn); given++)
        service_conn_write(s.conn, "x", 1);
    assert_true(service_conn_unsent(s.conn) <= given);
    stream_resume(s.sock);
    until_len(&s, &s.told, given);
    finish(&s);
}

static void dial_to(struct scene *s, const char *url, enum lane_how how)
{
    struct service service = { 0 };

    s->ended = s->ready = false;
    assert_int_equal(service_parse(&service, url, NULL), 0);
    s->conn = service_conn_start(s->loop, &service, NULL, NULL, &events, s);
    until(s, &s->ended);
    assert_int_equal(s->how, how);
    assert_false(s->ready);
    assert_true(s->detail[0]);
}

static void test_dials_that_come_to_nothing(void **state)
{
    struct scene s = { .loop = *state };

    dial_to(&s, "http://127.0.0.1:1", LANE_REFUSED);
    dial_to(&s, "https://127.0.0.1:1", LANE_REFUSED);
    dial_to(&s, "https://no-such-host.invalid", LANE_UNREACHABLE);
    dial_to(&s, "unix:/nowhere/app.sock", LANE_UNREACHABLE);
}

static void test_handshakes_that_come_to_nothing(void **state)
{
    struct scene s;

    begin(&s, *state, true);
    s.mute = true;
    while (!s.sock && uv_run(&s.loop->uv, UV_RUN_ONCE))
        continue;
    loop_settle(s.loop);
    stream_write(s.sock, "HTTP/1.0 400 Bad Request\r\n\r\n", 28);
    until(&s, &s.ended);
    assert_int_equal(s.how, LANE_REFUSED);
    assert_non_null(strstr(s.detail, "does not speak TLS at this port"));
    finish(&s);
    for (int reset = 0; reset < 2; reset++) {
        begin(&s, *state, true);
        s.mute = true;
        while (!s.sock && uv_run(&s.loop->uv, UV_RUN_ONCE))
            continue;
        loop_settle(s.loop);
        if (reset)
            stream_reset(s.sock);
        else
            stream_shutdown(s.sock);
        until(&s, &s.ended);
        assert_int_equal(s.how, LANE_REFUSED);
        assert_false(s.ready);
        finish(&s);
    }
}

/* Nothing happens afterwards, and nothing is left behind. */
static void test_is_reset_in_every_state(void **state)
{
    for (int secure = 0; secure < 2; secure++)
        for (int steps = 0; steps < 14; steps++) {
            struct scene s;

            begin(&s, *state, secure);
            for (int i = 0; i < steps; i++)
                uv_run(&s.loop->uv, UV_RUN_NOWAIT);
            service_conn_reset(s.conn);
            service_conn_reset(s.conn);
            if (s.ready) {
                service_conn_write(s.conn, "x", 1);
                service_conn_shutdown(s.conn);
            }
            s.ready = true;
            until(&s, &s.ended);
            assert_int_equal(s.how, LANE_RESET);
            finish(&s);
        }
}

#define loop_test(f) cmocka_unit_test_setup_teardown(f, loop_make, loop_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        loop_test(test_bytes_and_half_close),
        loop_test(test_the_service_ends_first),
        loop_test(test_a_cut_is_no_end),
        loop_test(test_a_reset),
        loop_test(test_backpressure_and_what_is_unsent),
        loop_test(test_small_writes_are_counted_as_such),
        loop_test(test_dials_that_come_to_nothing),
        loop_test(test_handshakes_that_come_to_nothing),
        loop_test(test_is_reset_in_every_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
