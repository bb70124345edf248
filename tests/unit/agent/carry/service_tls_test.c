#include "agent/carry/service_tls.h"

#include "tests/unit/certificate.h"
#include "tests/unit/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* What this machine trusts: the authority, written into a file that the environment names. */
struct house {
    struct temp *temp;
    struct certificate authority;
    struct trust *trust;
};

static int open_house(void **state)
{
    struct house *h = calloc(1, sizeof *h);

    if (!h || temp_make((void **)&h->temp) != 0)
        return -1;
    certificate_make(&h->authority, "DNS:authority.test", 30, NULL);
    certificate_write(&h->authority, temp_path(h->temp, "root.pem"));
    setenv("SSL_CERT_FILE", temp_path(h->temp, "root.pem"), 1);
    setenv("SSL_CERT_DIR", temp_path(h->temp, "none"), 1);
    h->trust = trust_new();
    *state = h;
    return 0;
}

static int close_house(void **state)
{
    struct house *h = *state;
    int rc = temp_remove((void **)&h->temp);

    trust_free(h->trust);
    certificate_free(&h->authority);
    free(h);
    return rc;
}

struct pair {
    struct service service;
    struct service_tls client;
    SSL_CTX *ctx;
    struct tls_pipe server;
    struct buf down;        /* from the server to the client */
    struct buf heard, told; /* by the client, by the server */
    int client_fed, server_fed;
    struct err why, server_why;
};

static void begin(struct pair *p, struct trust *trust, const char *url, bool verify, SSL_CTX *ctx)
{
    *p = (struct pair){ .ctx = ctx };
    assert_int_equal(service_parse(&p->service, url, NULL), 0);
    p->service.verify = verify;
    tls_pipe_init(&p->server, ctx, &p->down);
    SSL_set_accept_state(p->server.ssl);
    service_tls_init(&p->client, trust, &p->service);
}

/* Until both have nothing to say. */
static void run(struct pair *p)
{
    struct buf *up = &p->client.out, *down = &p->down;

    while (up->len > 0 || down->len > 0) {
        if (p->server_fed == 0)
            p->server_fed = tls_pipe_feed(&p->server, buf_bytes(up), up->len, &p->told, NULL, &p->server_why);
        buf_take(up, up->len);
        if (p->client_fed == 0)
            p->client_fed = service_tls_feed(&p->client, buf_bytes(down), down->len, &p->heard, &p->why);
        buf_take(down, down->len);
    }
}

static void end(struct pair *p)
{
    service_tls_free(&p->client);
    tls_pipe_free(&p->server);
    buf_free(&p->down);
    buf_free(&p->heard);
    buf_free(&p->told);
}

static void test_certificates(void **state)
{
    static const struct {
        const char *name, *url, *names;
        int days;
        bool by_authority, verify;
        const char *why; /* NULL: well */
    } rows[] = {
        { "a name", "https://nas:8443", "DNS:nas", 30, true, true, NULL },
        { "a name that ends with a dot", "https://nas.:8443", "DNS:nas", 30, true, true, NULL },
        { "a wildcard", "https://a.nas.test", "DNS:*.nas.test", 30, true, true, NULL },
        { "an address", "https://192.0.2.1", "IP:192.0.2.1", 30, true, true, NULL },
        { "an IPv6 address", "https://[2001:db8::1]", "IP:2001:db8::1", 30, true, true, NULL },
        { "part of a label", "https://nas1.test", "DNS:nas*.test", 30, true, true,
          "nas1.test port 443: its certificate is not for this name or address, but for nas*.test; write one" },
        { "another name", "https://nas", "DNS:a.test,DNS:b.test", 30, true, true,
          "nas port 443: its certificate is not for this name or address, but for a.test, b.test; write one" },
        { "an address as a name", "https://192.0.2.1", "DNS:192.0.2.1", 30, true, true,
          "192.0.2.1 port 443: its certificate is not for this name or address, but for 192.0.2.1; write" },
        { "another address", "https://192.0.2.1", "IP:192.0.2.2", 30, true, true,
          "is not for this name or address; write what it is for into service" },
        { "names that are none", "https://nas",
          "DNS:a\x01"
          "b,DNS:c d",
          30, true, true, "is not for this name or address; write what it is for" },
        { "expired", "https://nas", "DNS:nas", -1, true, true,
          "its certificate has expired; renew it there, or write verify = off" },
        { "by itself", "https://nas", "DNS:nas", 30, false, true,
          "its certificate is by nobody whom this machine trusts" },
        { "by itself, and it need not be verified", "https://nas", "DNS:nas", 30, false, false, NULL },
        { "wrong in all ways, the same", "https://192.0.2.1", "DNS:b.test", -1, false, false, NULL },
    };
    struct house *h = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct certificate own;
        SSL_CTX *ctx;
        struct pair p;

        certificate_make(&own, rows[i].names, rows[i].days, rows[i].by_authority ? &h->authority : NULL);
        ctx = certificate_context(&own);
        begin(&p, h->trust, rows[i].url, rows[i].verify, ctx);
        run(&p);
        if (p.client_fed != (rows[i].why ? -1 : 0) || (rows[i].why && !strstr(p.why.text, rows[i].why)))
            fail_msg("%s: %d, %s", rows[i].name, p.client_fed, p.why.text);
        assert_int_equal(tls_pipe_established(&p.client.pipe), !rows[i].why);
        assert_int_equal(p.why.code, rows[i].why ? ERR_PEER : ERR_NONE);
        if (rows[i].why)
            assert_non_null(strstr(p.server_why.text, "alert")); /* it is told too */
        end(&p);
        SSL_CTX_free(ctx);
        certificate_free(&own);
    }
}

static int resumed(struct trust *trust, const char *url, bool verify, SSL_CTX *ctx)
{
    struct pair p;
    int yes;

    begin(&p, trust, url, verify, ctx);
    run(&p);
    assert_int_equal(p.client_fed, 0);
    yes = SSL_session_reused(p.client.pipe.ssl);
    end(&p);
    return yes;
}

static void test_sessions(void **state)
{
    struct house *h = *state;
    struct certificate own;
    SSL_CTX *ctx;

    certificate_make(&own, "DNS:nas,DNS:other", 30, &h->authority);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        ctx = certificate_context(&own);
        SSL_CTX_set_max_proto_version(ctx, version);
        trust_renew(h->trust);
        assert_false(resumed(h->trust, "https://nas", true, ctx));
        assert_true(resumed(h->trust, "https://nas", true, ctx));
        assert_true(resumed(h->trust, "https://nas", true, ctx));
        assert_false(resumed(h->trust, "https://nas:444", true, ctx));
        assert_false(resumed(h->trust, "https://other", true, ctx));
        assert_false(
            resumed(h->trust, "https://nas", false, ctx)); /* or the other way round: nobody has looked */
        for (int i = 0; i < 40; i++) {                     /* more than there are places */
            char url[32];

            snprintf(url, sizeof url, "https://nas:%d", 1000 + i);
            assert_false(resumed(h->trust, url, true, ctx));
            assert_true(resumed(h->trust, url, true, ctx));
        }
        trust_renew(h->trust);
        assert_false(resumed(h->trust, "https://nas:1039", true, ctx));
        SSL_CTX_free(ctx);
    }
    certificate_free(&own);
}

static void test_a_session_of_before_is_not_kept(void **state)
{
    struct house *h = *state;
    struct certificate own;
    struct pair p;
    SSL_CTX *ctx;

    certificate_make(&own, "DNS:nas", 30, &h->authority);
    ctx = certificate_context(&own);
    begin(&p, h->trust, "https://nas", true, ctx);
    trust_renew(h->trust); /* while the handshake is on its way */
    run(&p);
    assert_true(tls_pipe_established(&p.client.pipe));
    end(&p);
    assert_false(resumed(h->trust, "https://nas", true, ctx));
    SSL_CTX_free(ctx);
    certificate_free(&own);
}

static void test_what_is_no_tls(void **state)
{
    static const struct {
        const char *bytes, *why;
    } rows[] = {
        { "HTTP/1.1 400 Bad Request\r\n\r\n",
          "nas port 443: it does not speak TLS at this port; write http://" },
        { "SSH-2.0-OpenSSH_9.2\r\n", "it does not speak TLS at this port" },
        { "\x15\x03\x01\x00\x02\x02\x46", "it speaks no TLS from 1.2 on" },
        { "\x15\x03\x03\x00\x02\x02\x28", "nas port 443: TLS with it failed: " },
    };
    struct house *h = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
        size_t n = rows[i].bytes[0] == 0x15 ? 7 : strlen(rows[i].bytes);
        struct pair p;

        begin(&p, h->trust, "https://nas", true, ctx);
        p.client_fed = service_tls_feed(&p.client, rows[i].bytes, n, &p.heard, &p.why);
        if (p.client_fed != -1 || !strstr(p.why.text, rows[i].why))
            fail_msg("%s: %d, %s", rows[i].bytes, p.client_fed, p.why.text);
        end(&p);
        SSL_CTX_free(ctx);
    }
}

static void test_a_machine_without_authorities(void **state)
{
    struct house *h = *state;
    struct certificate own;
    struct pair p;
    SSL_CTX *ctx;

    setenv("SSL_CERT_FILE", temp_path(h->temp, "not-there.pem"), 1);
    certificate_make(&own, "DNS:nas", 30, &h->authority);
    ctx = certificate_context(&own);
    begin(&p, h->trust, "https://nas", true, ctx);
    assert_false(trust_has_authorities(h->trust));
    run(&p);
    assert_non_null(
        strstr(p.why.text, "this machine trusts nobody, because there are no authorities' certificates in "));
    end(&p);
    SSL_CTX_free(ctx);
    certificate_free(&own);
}

#define house_test(f) cmocka_unit_test_setup_teardown(f, open_house, close_house)

int main(void)
{
    const struct CMUnitTest tests[] = {
        house_test(test_certificates),
        house_test(test_sessions),
        house_test(test_a_session_of_before_is_not_kept),
        house_test(test_what_is_no_tls),
        house_test(test_a_machine_without_authorities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
