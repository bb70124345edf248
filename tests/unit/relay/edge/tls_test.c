#include "relay/edge/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/relay/edge/tls_peer.h"

#define HTTP1   "\x08http/1.1"
#define HTTP0   "\x08http/1.0"
#define H2      "\x02h2"
#define V1_1    TLS1_1_VERSION
#define V1_2    TLS1_2_VERSION
#define V1_3    TLS1_3_VERSION
#define NO_SITE SSL_AD_UNRECOGNIZED_NAME

static void offer(struct pair *p, int from, int to, const char *alpn)
{
    SSL_set_min_proto_version(p->client, from);
    SSL_set_max_proto_version(p->client, to);
    if (*alpn)
        SSL_set_alpn_protos(p->client, (const unsigned char *)alpn, (unsigned)strlen(alpn));
}

static const char *alpn_of(const SSL *ssl, char out[16])
{
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(ssl, &name, &n);
    snprintf(out, 16, "%.*s", (int)n, (const char *)name);
    return out;
}

static void test_handshakes(void **state)
{
    static const struct {
        const char *name, *host;
        int from, to;
        const char *offered;
        int version; /* or 0, and an alert */
        const char *alpn;
        int alert;
    } rows[] = {
        { "1.3", "a.test", V1_1, V1_3, HTTP1, V1_3, "http/1.1", 0 },
        { "1.2", "a.test", V1_1, V1_2, HTTP1, V1_2, "http/1.1", 0 },
        { "1.1", "a.test", V1_1, V1_1, HTTP1, 0, "", SSL_AD_PROTOCOL_VERSION },
        { "another site", "b.test", V1_2, V1_3, HTTP1, V1_3, "http/1.1", 0 },
        { "under a wildcard", "x.w.test", V1_2, V1_3, HTTP1, V1_3, "http/1.1", 0 },
        { "upper case", "A.Test", V1_2, V1_3, HTTP1, V1_3, "http/1.1", 0 },
        { "no ALPN", "a.test", V1_2, V1_3, "", V1_3, "", 0 },
        { "no ALPN, 1.2", "a.test", V1_2, V1_2, "", V1_2, "", 0 },
        { "more protocols", "a.test", V1_2, V1_3, H2 HTTP1, V1_3, "http/1.1", 0 },
        { "only the old one", "a.test", V1_2, V1_3, HTTP0, V1_3, "http/1.0", 0 },
        { "both, the old one first", "a.test", V1_2, V1_3, HTTP0 HTTP1, V1_3, "http/1.1", 0 },
        { "only one that we do not speak", "a.test", V1_2, V1_3, H2, 0, "", SSL_AD_NO_APPLICATION_PROTOCOL },
        { "the same, 1.2", "a.test", V1_2, V1_2, H2, 0, "", SSL_AD_NO_APPLICATION_PROTOCOL },
        { "unknown site", "c.test", V1_2, V1_3, HTTP1, 0, "", NO_SITE },
        { "unknown site, 1.2", "c.test", V1_2, V1_2, HTTP1, 0, "", NO_SITE },
        { "the base of a wildcard", "w.test", V1_2, V1_3, HTTP1, 0, "", NO_SITE },
        { "two labels under a wildcard", "x.y.w.test", V1_2, V1_3, HTTP1, 0, "", NO_SITE },
        { "no name", NULL, V1_2, V1_3, HTTP1, 0, "", NO_SITE },
        { "no name, 1.2", NULL, V1_2, V1_2, HTTP1, 0, "", NO_SITE },
    };
    static const size_t pieces[] = { 0, 1, 7 };
    struct shop *shop = *state;

    for (size_t i = 0; i < 3 * sizeof rows / sizeof rows[0]; i++) {
        size_t row = i / 3;
        struct pair p;
        char alpn[16];

        pair_open(&p, shop, rows[row].host);
        p.piece = pieces[i % 3];
        offer(&p, rows[row].from, rows[row].to, rows[row].offered);
        pair_run(&p);
        if (tls_established(p.server) != (rows[row].version != 0) || p.alert != rows[row].alert ||
            p.fed != (rows[row].version ? 0 : -1) || SSL_is_init_finished(p.client) != !rows[row].alert ||
            strcmp(alpn_of(p.client, alpn), rows[row].alpn) != 0)
            fail_msg("%s: fed %d (%s), alert %d, %s", rows[row].name, p.fed, p.why.text, p.alert, alpn);
        if (rows[row].version) {
            assert_int_equal(SSL_version(p.client), rows[row].version);
            assert_int_equal(SSL_get_verify_result(p.client), X509_V_OK);
            assert_string_equal(tls_server_name(p.server), rows[row].host);
            assert_int_equal(shop->picked, 1);
        } else {
            assert_memory_equal(p.why.text, "TLS: ", 5);
            assert_int_equal(p.why.code, ERR_PEER);
        }
        pair_close(&p);
    }
}

static void test_http2_is_preferred(void **state)
{
    static const struct {
        const char *offered, *alpn;
    } rows[] = { { H2 HTTP1, "h2" }, { HTTP1 H2, "h2" }, { H2, "h2" }, { HTTP1, "http/1.1" }, { "", "" } };
    struct shop *shop = *state;

    shop->http2 = true;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair p;
        char alpn[16];

        pair_open(&p, shop, "a.test");
        offer(&p, V1_2, V1_3, rows[i].offered);
        pair_run(&p);
        assert_true(tls_established(p.server));
        assert_string_equal(alpn_of(p.client, alpn), rows[i].alpn);
        assert_int_equal(tls_speaks_http2(p.server), strcmp(rows[i].alpn, "h2") == 0);
        pair_close(&p);
    }
}

static void fill(struct buf *out, size_t n)
{
    for (uint32_t x = 1; out->len < n; x = x * 1664525 + 1013904223)
        buf_add(out, (unsigned char[]){ (unsigned char)(x >> 24) }, 1);
}

static void assert_same(const struct buf *a, const struct buf *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(buf_bytes(a), buf_bytes(b), a->len);
}

static void test_bytes_both_ways(void **state)
{
    static const struct {
        size_t n, piece;
    } rows[] = { { 1, 1 }, { 16384, 1 }, { 16385, 0 }, { 100000, 1000 }, { 3 << 20, 0 } };

    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        struct buf sent = { 0 };
        struct pair p;

        fill(&sent, rows[i / 2].n);
        pair_open(&p, *state, "a.test");
        p.piece = rows[i / 2].piece;
        offer(&p, V1_2, i % 2 ? V1_3 : V1_2, HTTP1);
        pair_run(&p);
        assert_int_equal(SSL_write(p.client, buf_bytes(&sent), (int)sent.len), sent.len);
        tls_write(p.server, buf_bytes(&sent), sent.len);
        pair_run(&p);
        assert_same(&p.plain, &sent);
        assert_same(&p.got, &sent);
        tls_write(p.server, "", 0);
        assert_int_equal(p.sealed.len, 0);
        assert_int_equal(p.fed, 0);
        pair_close(&p);
        buf_free(&sent);
    }
}

/* What comes with the end of the handshake, and with the end of the connection, is not lost. */
static void test_everything_in_one_flight(void **state)
{
    struct buf flight = { 0 };
    struct pair p;

    pair_open(&p, *state, "a.test");
    pair_run_client(&p);
    pair_take(&p, &flight);
    pair_feed(&p, buf_bytes(&flight), flight.len);
    buf_take(&flight, flight.len);
    BIO_write(p.in, buf_bytes(&p.sealed), (int)p.sealed.len);
    buf_take(&p.sealed, p.sealed.len);
    pair_run_client(&p); /* 1.3: the client is through */
    assert_int_equal(SSL_write(p.client, "hello", 5), 5);
    assert_int_equal(SSL_shutdown(p.client), 0);
    pair_take(&p, &flight);
    pair_feed(&p, buf_bytes(&flight), flight.len);
    assert_true(tls_established(p.server));
    assert_int_equal(p.fed, 1);
    assert_string_equal(buf_text(&p.plain), "hello");
    buf_free(&flight);
    pair_close(&p);
}

static void test_the_visitor_ends_first(void **state)
{
    for (int version = V1_2; version <= V1_3; version++) {
        struct pair p;

        pair_open(&p, *state, "a.test");
        offer(&p, version, version, HTTP1);
        pair_run(&p);
        SSL_write(p.client, "last", 4);
        assert_int_equal(SSL_shutdown(p.client), 0);
        pair_run(&p);
        assert_int_equal(p.fed, 1);
        assert_string_equal(buf_text(&p.plain), "last");
        assert_int_equal(tls_feed(p.server, "more", 4, &p.plain, &p.why), 1);
        assert_int_equal(p.plain.len, 4);
        assert_int_equal(tls_probe(p.server), version == V1_3);
        assert_int_equal(p.sealed.len > 0, version == V1_3);
        pair_run(&p);
        assert_int_equal(p.got.len, 0);
        tls_write(p.server, "answer", 6); /* our side goes on */
        pair_run(&p);
        assert_string_equal(buf_text(&p.got), "answer");
        tls_end(p.server);
        pair_run(&p);
        assert_int_equal(p.failed, SSL_ERROR_ZERO_RETURN);
        pair_close(&p);
    }
}

static void test_we_end_first(void **state)
{
    for (int version = V1_2; version <= V1_3; version++) {
        struct pair p;

        pair_open(&p, *state, "a.test");
        offer(&p, version, version, HTTP1);
        pair_run(&p);
        tls_write(p.server, "last", 4);
        tls_end(p.server);
        tls_write(p.server, "too late", 8);
        pair_run(&p);
        assert_int_equal(p.failed, SSL_ERROR_ZERO_RETURN);
        assert_string_equal(buf_text(&p.got), "last");
        SSL_write(p.client, "more", 4);
        SSL_shutdown(p.client);
        pair_run(&p);
        assert_string_equal(buf_text(&p.plain), "more");
        assert_int_equal(p.fed, 1);
        pair_close(&p);
    }
}

/* Where the bytes end early nothing is established, nothing is said, and nothing is read past the end. */
static void test_cut_off(void **state)
{
    struct shop *shop = *state;
    struct buf hello = { 0 };
    struct pair p;

    pair_open(&p, shop, "a.test");
    pair_run_client(&p);
    pair_take(&p, &hello);
    pair_close(&p);
    for (size_t n = 0; n < hello.len; n++) {
        pair_open(&p, shop, NULL);
        pair_feed(&p, buf_bytes(&hello), n);
        assert_int_equal(p.fed, 0);
        assert_int_equal(p.sealed.len, 0);
        assert_false(tls_established(p.server));
        assert_string_equal(tls_server_name(p.server), "");
        assert_int_equal(shop->picked, 0);
        tls_end(p.server);
        assert_int_equal(p.sealed.len, 0);
        pair_feed(&p, buf_bytes(&hello) + n, hello.len - n);
        assert_true(p.sealed.len > 0);
        assert_string_equal(tls_server_name(p.server), "a.test");
        pair_close(&p);
    }
    buf_free(&hello);
}

/* No byte of a ClientHello may make us fall over; what the name becomes is looked up as it is, or refused. */
static void test_one_byte_changed(void **state)
{
    static const unsigned char changes[] = { 0x01, 0x80, 0xff };
    struct shop *shop = *state;
    struct buf hello = { 0 };
    struct pair p;

    pair_open(&p, shop, "a.test");
    pair_run_client(&p);
    pair_take(&p, &hello);
    pair_close(&p);
    for (size_t i = 0; i < hello.len * sizeof changes; i++) {
        char *copy = malloc(hello.len);

        memcpy(copy, buf_bytes(&hello), hello.len);
        copy[i / sizeof changes] = (char)(copy[i / sizeof changes] ^ changes[i % sizeof changes]);
        pair_open(&p, shop, NULL);
        pair_feed(&p, copy, hello.len);
        assert_false(tls_established(p.server));
        assert_int_equal(p.plain.len, 0);
        if (p.fed == -1)
            assert_int_equal(tls_feed(p.server, copy, hello.len, &p.plain, &p.why), -1);
        pair_close(&p);
        free(copy);
    }
    buf_free(&hello);
}

static void test_no_tls_at_all(void **state)
{
    static const char *const rows[] = { "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
                                        "\x16\x03\x01\xff\xff\x01", "\xff\xff\xff\xff\xff\xff\xff" };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair p;

        pair_open(&p, *state, "a.test");
        pair_feed(&p, rows[i], strlen(rows[i]));
        if (p.fed != -1 || strncmp(p.why.text, "TLS: ", 5) != 0)
            fail_msg("%s: %d %s", rows[i], p.fed, p.why.text);
        assert_false(tls_established(p.server));
        tls_end(p.server);
        pair_close(&p);
    }
}

static void test_a_record_that_was_changed(void **state)
{
    for (int version = V1_2; version <= V1_3; version++) {
        struct buf flight = { 0 };
        struct pair p;

        pair_open(&p, *state, "a.test");
        offer(&p, version, version, HTTP1);
        pair_run(&p);
        SSL_write(p.client, "one", 3);
        SSL_write(p.client, "two", 3);
        pair_take(&p, &flight);
        flight.mem[flight.start + flight.len - 1] ^= 1;
        pair_feed(&p, buf_bytes(&flight), flight.len);
        assert_int_equal(p.fed, -1);
        assert_string_equal(buf_text(&p.plain), "one");
        tls_write(p.server, "x", 1);
        pair_run(&p);
        assert_int_equal(p.alert, SSL_AD_BAD_RECORD_MAC);
        assert_int_equal(p.got.len, 0);
        buf_free(&flight);
        pair_close(&p);
    }
}

/* A session is the site's that gave it, whatever version; with another name it is a new handshake. */
static void test_resumption(void **state)
{
    static const struct {
        const char *name, *first, *second;
        bool resumed;
        int alert;
    } rows[] = {
        { "the same site", "a.test", "a.test", true, 0 },
        { "another site", "a.test", "b.test", false, 0 },
        { "the same wildcard, another name", "x.w.test", "y.w.test", false, 0 },
        { "unknown site", "a.test", "c.test", false, NO_SITE },
        { "no name", "a.test", NULL, false, NO_SITE },
    };
    struct shop *shop = *state;

    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        int version = i % 2 ? V1_3 : V1_2;
        struct pair p;

        pair_open(&p, shop, rows[i / 2].first);
        offer(&p, version, version, HTTP1);
        pair_run(&p);
        assert_true(tls_established(p.server));
        assert_non_null(shop->session);
        SSL_shutdown(p.client);
        pair_close(&p);
        pair_open(&p, shop, rows[i / 2].second);
        offer(&p, version, version, HTTP1);
        SSL_set_session(p.client, shop->session);
        pair_run(&p);
        if (p.alert != rows[i / 2].alert || tls_established(p.server) != !p.alert ||
            SSL_session_reused(p.client) != rows[i / 2].resumed)
            fail_msg("%s, %x: %s, alert %d", rows[i / 2].name, version, p.why.text, p.alert);
        assert_int_equal(shop->picked, 1);
        if (!p.alert)
            assert_string_equal(tls_server_name(p.server), rows[i / 2].second);
        pair_close(&p);
    }
}

static void test_renegotiation_and_new_keys(void **state)
{
    struct pair p;

    pair_open(&p, *state, "a.test");
    offer(&p, V1_3, V1_3, HTTP1);
    pair_run(&p);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED), 1);
        SSL_write(p.client, "x", 1);
        pair_run(&p);
        tls_write(p.server, "y", 1);
        pair_run(&p);
    }
    assert_string_equal(buf_text(&p.plain), "xxx");
    assert_string_equal(buf_text(&p.got), "yyy");
    pair_close(&p);
    pair_open(&p, *state, "a.test");
    offer(&p, V1_2, V1_2, HTTP1);
    pair_run(&p);
    assert_int_equal(SSL_renegotiate(p.client), 1);
    pair_run(&p);
    assert_int_equal(p.failed, SSL_ERROR_SSL); /* it was told no */
    assert_int_equal(((struct shop *)*state)->picked, 1);
    pair_close(&p);
    tls_free(NULL);
}

/* ---- two certificates for one site ---- */

static void sign_for(SSL_CTX *ctx, EVP_PKEY *takes)
{
    X509 *cert = X509_new();

    X509_set_version(cert, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, takes);
    assert_true(X509_sign(cert, takes, EVP_sha256()) > 0);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, takes), 1);
    X509_free(cert);
    EVP_PKEY_free(takes);
}

static void test_the_client_chooses_between_two_keys(void **state)
{
    enum { EC = EVP_PKEY_EC, RS = EVP_PKEY_RSA, NONE = 0 };
    static const char any[] = "ECDSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA256:RSA+SHA256";
    static const struct {
        int version;
        const char *signatures, *suites, *curves; /* suites: of 1.2 */
        int key;
    } rows[] = {
        { V1_3, any, "DEFAULT", "X25519:P-256", EC },
        { V1_2, any, "DEFAULT", "X25519:P-256", EC },
        { V1_3, "RSA-PSS+SHA256:ECDSA+SHA256", "DEFAULT", "P-256", EC }, /* ours is cheaper for both */
        { V1_2, "RSA+SHA256:ECDSA+SHA256", "DEFAULT", "P-256", EC },
        { V1_3, "RSA-PSS+SHA256:RSA+SHA256", "DEFAULT", "P-256", RS },
        { V1_3, "RSA-PSS+SHA512", "DEFAULT", "P-256", RS },
        { V1_2, "RSA-PSS+SHA256:RSA+SHA256", "DEFAULT", "P-256", RS },
        { V1_2, "RSA+SHA256", "DEFAULT", "P-256", RS },
        { V1_2, any, "ECDHE-RSA-AES128-GCM-SHA256", "P-256", RS },
        { V1_2, any, "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256", "P-256", EC },
        { V1_2, any, "ECDHE-ECDSA-CHACHA20-POLY1305", "P-256", EC },
        { V1_2, any, "DEFAULT", "X25519:P-384", RS }, /* it could not check a signature on P-256 */
        { V1_3, "ECDSA+SHA256", "DEFAULT", "P-256", EC },
        { V1_3, "ed25519", "DEFAULT", "P-256", NONE },
        { V1_2, "RSA+SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", "P-256", NONE },
    };
    struct shop *shop = *state;

    SSL_CTX_free(shop->sites[0]);
    shop->sites[0] = tls_site_context();
    sign_for(shop->sites[0], EVP_RSA_gen(2048));
    sign_for(shop->sites[0], EVP_EC_gen("P-256"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        X509 *shown;
        struct pair p;

        pair_open(&p, shop, "a.test");
        offer(&p, rows[i].version, rows[i].version, HTTP1);
        SSL_set_verify(p.client, SSL_VERIFY_NONE, NULL);
        assert_int_equal(SSL_set1_sigalgs_list(p.client, rows[i].signatures), 1);
        assert_int_equal(SSL_set_cipher_list(p.client, rows[i].suites), 1);
        assert_int_equal(SSL_set1_groups_list(p.client, rows[i].curves), 1);
        pair_run(&p);
        shown = SSL_get0_peer_certificate(p.client);
        if (tls_established(p.server) != (rows[i].key != NONE) ||
            (shown && EVP_PKEY_get_base_id(X509_get0_pubkey(shown)) != rows[i].key))
            fail_msg("row %zu: %s, alert %d", i, p.why.text, p.alert);
        pair_close(&p);
    }
}

#define shop_test(f) cmocka_unit_test_setup_teardown(f, shop_open, shop_close)

/* Though the site's context is not the one that the connection began with. */
static void test_a_visitor_may_not_change_keys_all_the_time(void **state)
{
    struct pair p;

    pair_open(&p, *state, "a.test");
    pair_run(&p);
    for (int i = 0; i < 500 && p.fed == 0; i++) {
        assert_int_equal(SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(p.client), 1);
        pair_run(&p);
    }
    assert_int_equal(p.fed, -1);
    assert_string_equal(p.why.text, "TLS: the other side changes keys or begins anew all the time");
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        shop_test(test_handshakes),
        shop_test(test_http2_is_preferred),
        shop_test(test_bytes_both_ways),
        shop_test(test_everything_in_one_flight),
        shop_test(test_the_visitor_ends_first),
        shop_test(test_we_end_first),
        shop_test(test_cut_off),
        shop_test(test_one_byte_changed),
        shop_test(test_no_tls_at_all),
        shop_test(test_a_record_that_was_changed),
        shop_test(test_resumption),
        shop_test(test_renegotiation_and_new_keys),
        shop_test(test_the_client_chooses_between_two_keys),
        shop_test(test_a_visitor_may_not_change_keys_all_the_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
