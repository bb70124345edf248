#include "shared/tls_pipe.h"

#include "tests/unit/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct end {
    struct tls_pipe pipe;
    SSL_CTX *ctx;
    struct buf plain, out;
    int fed; /* what tls_pipe_feed has said last */
    unsigned long code;
    struct err why;
};

struct pair {
    struct certificate own;
    struct end client, server;
    size_t piece; /* bytes that arrive at once; 0: all */
};

/* Each piece lies in a block of its own: reading past it, or later, fails under ASan. */
static void feed(struct end *to, struct buf *from, size_t piece)
{
    while (from->len > 0 && to->fed == 0) {
        size_t n = piece > 0 && piece < from->len ? piece : from->len;
        char *copy = malloc(n);

        memcpy(copy, buf_bytes(from), n);
        to->fed = tls_pipe_feed(&to->pipe, copy, n, &to->plain, &to->code, &to->why);
        free(copy);
        buf_take(from, n);
    }
    buf_take(from, from->len);
}

static void run(struct pair *p)
{
    while (p->client.out.len > 0 || p->server.out.len > 0) {
        feed(&p->server, &p->client.out, p->piece);
        feed(&p->client, &p->server.out, p->piece);
    }
}

static void open_pair(struct pair *p, int version, size_t piece)
{
    *p = (struct pair){ .piece = piece };
    certificate_make(&p->own, "DNS:a.test", 30, NULL);
    p->server.ctx = certificate_context(&p->own);
    p->client.ctx = SSL_CTX_new(TLS_client_method());
    tls_pipe_set_context(p->server.ctx);
    tls_pipe_set_context(p->client.ctx);
    SSL_CTX_set_max_proto_version(p->client.ctx, version);
    tls_pipe_init(&p->server.pipe, p->server.ctx, &p->server.out);
    tls_pipe_init(&p->client.pipe, p->client.ctx, &p->client.out);
    SSL_set_accept_state(p->server.pipe.ssl);
    SSL_set_connect_state(p->client.pipe.ssl);
    assert_int_equal(tls_pipe_feed(&p->client.pipe, "", 0, &p->client.plain, NULL, NULL), 0);
}

static void close_end(struct end *e)
{
    tls_pipe_free(&e->pipe);
    SSL_CTX_free(e->ctx);
    buf_free(&e->plain);
    buf_free(&e->out);
}

static void close_pair(struct pair *p)
{
    close_end(&p->client);
    close_end(&p->server);
    certificate_free(&p->own);
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void test_bytes_both_ways(void **state)
{
    static const size_t pieces[] = { 0, 1, 1000 };
    static char bytes[100000];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    for (size_t i = 0; i < 6; i++) {
        struct pair p;

        open_pair(&p, versions[i % 2], pieces[i / 2]);
        assert_false(tls_pipe_established(&p.client.pipe));
        run(&p);
        assert_true(tls_pipe_established(&p.client.pipe) && tls_pipe_established(&p.server.pipe));
        tls_pipe_write(&p.client.pipe, bytes, sizeof bytes);
        tls_pipe_write(&p.server.pipe, bytes, sizeof bytes);
        run(&p);
        assert_int_equal(p.client.plain.len, sizeof bytes);
        assert_memory_equal(buf_bytes(&p.client.plain), bytes, sizeof bytes);
        assert_memory_equal(buf_bytes(&p.server.plain), bytes, sizeof bytes);
        close_pair(&p);
    }
}

/* The other side still may say something, and hears the end as an end. */
static void test_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct pair p;

        open_pair(&p, versions[i], 0);
        tls_pipe_end(&p.client.pipe); /* nothing to end yet */
        run(&p);
        tls_pipe_write(&p.client.pipe, "last", 4);
        tls_pipe_end(&p.client.pipe);
        tls_pipe_write(&p.client.pipe, "too late", 8);
        run(&p);
        assert_int_equal(p.server.fed, 1);
        assert_string_equal(buf_text(&p.server.plain), "last");
        tls_pipe_write(&p.server.pipe, "answer", 6);
        tls_pipe_end(&p.server.pipe);
        run(&p);
        assert_int_equal(p.client.fed, 1);
        assert_string_equal(buf_text(&p.client.plain), "answer");
        close_pair(&p);
    }
}

static void test_says_what_is_wrong(void **state)
{
    struct pair p;

    (void)state;
    open_pair(&p, TLS1_3_VERSION, 0);
    p.client.fed = tls_pipe_feed(&p.client.pipe, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, &p.client.plain,
                                 &p.client.code, &p.client.why);
    assert_int_equal(p.client.fed, -1);
    assert_int_equal(p.client.why.code, ERR_PEER);
    assert_memory_equal(p.client.why.text, "TLS: ", 5);
    assert_int_equal(ERR_GET_LIB(p.client.code), ERR_LIB_SSL);
    assert_int_equal(ERR_peek_error(), 0); /* nothing is left for the next one to stumble over */
    tls_pipe_write(&p.client.pipe, "x", 1);
    tls_pipe_end(&p.client.pipe);
    close_pair(&p);
}

static void test_nobody_negotiates_anew(void **state)
{
    struct pair p;

    (void)state;
    open_pair(&p, TLS1_2_VERSION, 0);
    run(&p);
    assert_int_equal(SSL_renegotiate(p.client.pipe.ssl), 0); /* ours does not even ask */
    SSL_clear_options(p.server.pipe.ssl, SSL_OP_NO_RENEGOTIATION);
    assert_int_equal(SSL_renegotiate(p.server.pipe.ssl), 1);
    SSL_do_handshake(p.server.pipe.ssl);
    run(&p);
    assert_int_equal(p.client.fed, -1);
    assert_string_equal(p.server.why.text, "TLS: no renegotiation"); /* as ours has said */
    ERR_clear_error();
    close_pair(&p);
}

enum { OFTEN = 500 };

static void ask_for_new_keys(struct end *of)
{
    if (SSL_version(of->pipe.ssl) == TLS1_3_VERSION) {
        assert_int_equal(SSL_key_update(of->pipe.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(of->pipe.ssl), 1);
    } else { /* as a service may: what it is answered with is not read */
        assert_int_equal(SSL_renegotiate(of->pipe.ssl), 1);
        SSL_do_handshake(of->pipe.ssl);
    }
}

/* The answers would pile up where they are not read, and each costs more than it costs to ask for it. */
static void test_who_changes_keys_all_the_time_is_cut_off(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct pair p;
        size_t asked = 0;

        open_pair(&p, versions[i % 2], i < 2 ? 0 : 50);
        run(&p);
        SSL_clear_options(p.server.pipe.ssl, SSL_OP_NO_RENEGOTIATION);
        while (asked < OFTEN) {
            ask_for_new_keys(&p.server);
            asked++;
        }
        feed(&p.client, &p.server.out, p.piece);
        assert_int_equal(p.client.fed, -1);
        assert_string_equal(p.client.why.text,
                            "TLS: the other side changes keys or begins anew all the time");
        assert_int_equal(p.client.code, 0);
        assert_true(p.client.out.len < 32 * asked / 2);
        assert_int_equal(ERR_peek_error(), 0);
        close_pair(&p);
    }
}

/* Nor do our own steps count. */
static void test_keys_may_change_now_and_then(void **state)
{
    static char bytes[256 * 1024];
    struct pair p;

    (void)state;
    open_pair(&p, TLS1_3_VERSION, 0);
    run(&p);
    for (size_t i = 0; i < OFTEN; i++) {
        if (i < 16 || i % 16 == 0)
            ask_for_new_keys(&p.client);
        assert_int_equal(SSL_new_session_ticket(p.server.pipe.ssl), 1);
        assert_int_equal(SSL_do_handshake(p.server.pipe.ssl), 1);
        buf_take(&p.server.out, p.server.out.len);
        tls_pipe_write(&p.client.pipe, bytes, sizeof bytes);
        feed(&p.server, &p.client.out, 0);
        assert_int_equal(p.server.fed, 0);
        buf_take(&p.server.plain, p.server.plain.len);
    }
    close_pair(&p);
}

static int add_much(SSL *ssl, void *user)
{
    static const char much[1500];

    (void)user;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), much, sizeof much);
}

static SSL_TICKET_RETURN take_any(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t n,
                                  SSL_TICKET_STATUS status, void *user)
{
    (void)ssl, (void)session, (void)name, (void)n, (void)status, (void)user;
    return SSL_TICKET_RETURN_IGNORE;
}

/* A ticket of several records, of which the client has the first one. The others, which are returned, come later. */
static struct buf open_amid(struct pair *p)
{
    struct buf now = { 0 }, later = { 0 };
    size_t first;

    open_pair(p, TLS1_3_VERSION, 0);
    run(p);
    assert_int_equal(SSL_CTX_set_session_ticket_cb(p->server.ctx, add_much, take_any, NULL), 1);
    assert_int_equal(SSL_set_max_send_fragment(p->server.pipe.ssl, 512), 1);
    assert_int_equal(SSL_new_session_ticket(p->server.pipe.ssl), 1);
    assert_int_equal(SSL_do_handshake(p->server.pipe.ssl), 1);
    assert_true(p->server.out.len > 1500);
    first = 5 + (size_t)((unsigned char)buf_bytes(&p->server.out)[3] << 8 |
                         (unsigned char)buf_bytes(&p->server.out)[4]);
    buf_add(&now, buf_bytes(&p->server.out), first);
    buf_add(&later, buf_bytes(&p->server.out) + first, p->server.out.len - first);
    buf_take(&p->server.out, p->server.out.len);
    feed(&p->client, &now, 0);
    buf_free(&now);
    assert_int_equal(p->client.fed, 0);
    assert_true(tls_pipe_established(&p->client.pipe));
    return later;
}

/* OpenSSL writes nothing until it has the rest of it. */
static void test_what_is_written_amid_a_ticket_is_not_lost(void **state)
{
    static char much[100000];
    struct pair p;
    struct buf later;

    (void)state;
    later = open_amid(&p);
    tls_pipe_write(&p.client.pipe, "first", 6);
    tls_pipe_write(&p.client.pipe, much, sizeof much);
    assert_int_equal(tls_pipe_held(&p.client.pipe), 6 + sizeof much);
    tls_pipe_end(&p.client.pipe);
    assert_int_equal(p.client.out.len, 0);
    feed(&p.client, &later, 700); /* it is whole with one of several pieces */
    assert_int_equal(tls_pipe_held(&p.client.pipe), 0);
    run(&p);
    assert_int_equal(p.server.plain.len, 6 + sizeof much);
    assert_string_equal(buf_bytes(&p.server.plain), "first");
    assert_int_equal(p.server.fed, 1);
    buf_free(&later);
    close_pair(&p);
}

static void test_who_does_not_go_on_holds_only_so_much(void **state)
{
    static char much[100000];
    struct pair p;
    struct buf later;

    (void)state;
    later = open_amid(&p);
    for (size_t i = 0; i < 20; i++)
        tls_pipe_write(&p.client.pipe, much, sizeof much);
    assert_int_equal(tls_pipe_held(&p.client.pipe), 0);
    feed(&p.client, &later, 0);
    assert_int_equal(p.client.fed, -1);
    assert_string_equal(p.client.why.text,
                        "TLS: the other side has begun a message and does not go on with it");
    buf_free(&later);
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_both_ways),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_says_what_is_wrong),
        cmocka_unit_test(test_nobody_negotiates_anew),
        cmocka_unit_test(test_who_changes_keys_all_the_time_is_cut_off),
        cmocka_unit_test(test_keys_may_change_now_and_then),
        cmocka_unit_test(test_what_is_written_amid_a_ticket_is_not_lost),
        cmocka_unit_test(test_who_does_not_go_on_holds_only_so_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
