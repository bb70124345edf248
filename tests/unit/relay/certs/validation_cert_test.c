#include "relay/certs/validation_cert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>

#include "tests/unit/relay/edge/tls_peer.h"

#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
#define PRINT "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"
#define ACME_TLS \
    "\x0a"       \
    "acme-tls/1"
#define HTTP1 "\x08http/1.1"

static struct challenge challenge_for(const char *name)
{
    struct challenge c;

    assert_int_equal(challenge_init(&c, CHALLENGE_TLS_ALPN_01, name, false, TOKEN, TOKEN "." PRINT, NULL), 0);
    return c;
}

static SSL_CTX *context_for(const char *name)
{
    const struct challenge c = challenge_for(name);
    struct err e = { 0 };
    SSL_CTX *ctx = validation_context(&c, time(NULL), &e);

    if (!ctx)
        fail_msg("%s", e.text);
    return ctx;
}

/* ---- the certificate ---- */

static void assert_one_name(const X509 *cert, const char *name)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    const GENERAL_NAME *one;
    unsigned char address[16];
    size_t n = inet_pton(AF_INET, name, address) == 1 ? 4 : inet_pton(AF_INET6, name, address) == 1 ? 16 : 0;

    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    one = sk_GENERAL_NAME_value(names, 0);
    assert_int_equal(one->type, n > 0 ? GEN_IPADD : GEN_DNS);
    assert_int_equal(ASN1_STRING_length(one->d.ia5), n > 0 ? n : strlen(name));
    assert_memory_equal(ASN1_STRING_get0_data(one->d.ia5), n > 0 ? (const char *)address : name,
                        n > 0 ? n : strlen(name));
    GENERAL_NAMES_free(names);
}

/* DER: an octet string of 32 bytes, within the octet string that every extension's value is. */
static void assert_identifier(const X509 *cert, const unsigned char sha256[32])
{
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
    int at = X509_get_ext_by_OBJ(cert, oid, -1);
    const ASN1_OCTET_STRING *value;

    assert_true(at >= 0);
    assert_int_equal(X509_get_ext_by_OBJ(cert, oid, at), -1);
    assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(cert, at)), 1);
    value = X509_EXTENSION_get_data(X509_get_ext(cert, at));
    assert_int_equal(ASN1_STRING_length(value), 34);
    assert_memory_equal(ASN1_STRING_get0_data(value), "\x04\x20", 2);
    assert_memory_equal(ASN1_STRING_get0_data(value) + 2, sha256, 32);
    ASN1_OBJECT_free(oid);
}

static void test_what_it_says(void **state)
{
    static const char *const names[] = {
        "a.test", "192.0.2.1", "2001:db8::7",
        /* longer than any common name */
        "a-label-of-many-characters.another-label-of-many-characters.and-yet-another-one.test"
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct challenge c = challenge_for(names[i]);
        SSL_CTX *ctx = context_for(names[i]);
        X509 *cert = SSL_CTX_get0_certificate(ctx);

        assert_one_name(cert, names[i]);
        assert_identifier(cert, c.sha256);
        assert_int_equal(X509_get_ext_count(cert), 2);
        assert_int_equal(X509_NAME_get_index_by_NID(X509_get_subject_name(cert), NID_commonName, -1), -1);
        assert_int_equal(X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)), 0);
        assert_int_equal(X509_verify(cert, X509_get0_pubkey(cert)), 1);
        assert_int_equal(X509_get_version(cert), X509_VERSION_3);
        assert_true(X509_cmp_current_time(X509_get0_notBefore(cert)) < 0);
        assert_true(X509_cmp_current_time(X509_get0_notAfter(cert)) > 0);
        SSL_CTX_free(ctx);
    }
}

static void test_by_which_name_it_is_asked_for(void **state)
{
    static const struct {
        const char *name, *asked;
    } rows[] = {
        { "a.test", "a.test" },
        { "192.0.2.1", "1.2.0.192.in-addr.arpa" },
        { "255.0.10.99", "99.10.0.255.in-addr.arpa" },
        { "2001:db8::567:89ab",
          "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa" }, /* of RFC 3596 */
        { "::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa" },
    };
    char asked[DOMAIN_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        validation_server_name(rows[i].name, asked);
        assert_string_equal(asked, rows[i].asked);
    }
}

/* ---- by TLS ---- */

static void ask(struct pair *p, struct shop *shop, const char *name, int version, const char *offered)
{
    pair_open(p, shop, name);
    SSL_set_verify(p->client, SSL_VERIFY_NONE, NULL);
    SSL_set_min_proto_version(p->client, version);
    SSL_set_max_proto_version(p->client, version);
    SSL_set_alpn_protos(p->client, (const unsigned char *)offered, (unsigned)strlen(offered));
    pair_run(p);
}

static void test_who_offers_it_alone_is_shown_it(void **state)
{
    static const struct {
        const char *offered;
        bool shown;
        int alert; /* or 0: the site's own certificate */
    } rows[] = {
        { ACME_TLS, true, 0 },
        { ACME_TLS HTTP1, false, 0 },
        { HTTP1 ACME_TLS, false, 0 },
        { ACME_TLS ACME_TLS, false, SSL_AD_NO_APPLICATION_PROTOCOL },
        { "\x0a"
          "acme-tls/2",
          false, SSL_AD_NO_APPLICATION_PROTOCOL },
        { HTTP1, false, 0 },
    };
    struct shop *shop = *state;

    shop->validation = context_for("a.test");
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        size_t row = i / 2;
        X509 *seen;
        struct pair p;

        ask(&p, shop, "a.test", i % 2 ? TLS1_3_VERSION : TLS1_2_VERSION, rows[row].offered);
        assert_int_equal(p.alert, rows[row].alert);
        seen = SSL_get0_peer_certificate(p.client);
        if (rows[row].alert == 0) {
            assert_true(tls_established(p.server));
            assert_int_equal(tls_validates(p.server), rows[row].shown);
            assert_false(tls_speaks_http2(p.server));
            assert_int_equal(X509_cmp(seen, SSL_CTX_get0_certificate(shop->validation)) == 0,
                             rows[row].shown);
        }
        pair_close(&p);
    }
    SSL_CTX_free(shop->validation);
    shop->validation = NULL;
}

static void test_who_asks_for_what_is_not_there(void **state)
{
    struct pair p;

    for (int i = 0; i < 2; i++) {
        ask(&p, *state, "a.test", i ? TLS1_3_VERSION : TLS1_2_VERSION, ACME_TLS);
        assert_int_equal(p.alert, SSL_AD_NO_APPLICATION_PROTOCOL);
        assert_false(tls_established(p.server));
        pair_close(&p);
    }
}

/* It would be no answer: the certificate has to be seen. */
static void test_no_session_is_resumed(void **state)
{
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    struct shop *shop = *state;

    shop->validation = context_for("a.test");
    for (size_t i = 0; i < 2; i++) {
        struct pair p;

        ask(&p, shop, "a.test", versions[i], HTTP1);
        assert_non_null(shop->session);
        pair_close(&p);
        pair_open(&p, shop, "a.test");
        SSL_set_session(p.client, shop->session);
        SSL_set_verify(p.client, SSL_VERIFY_NONE, NULL);
        SSL_set_alpn_protos(p.client, (const unsigned char *)ACME_TLS, sizeof ACME_TLS - 1);
        pair_run(&p);
        assert_true(tls_validates(p.server));
        assert_false(SSL_session_reused(p.client));
        assert_int_equal(
            X509_cmp(SSL_get0_peer_certificate(p.client), SSL_CTX_get0_certificate(shop->validation)), 0);
        pair_close(&p);
        SSL_SESSION_free(shop->session);
        shop->session = NULL;
        ask(&p, shop, "a.test", versions[i], ACME_TLS);
        assert_true(tls_validates(p.server));
        assert_null(shop->session); /* nor is one given */
        pair_close(&p);
    }
    SSL_CTX_free(shop->validation);
    shop->validation = NULL;
}

#define shop_test(f) cmocka_unit_test_setup_teardown(f, shop_open, shop_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_says),
        cmocka_unit_test(test_by_which_name_it_is_asked_for),
        shop_test(test_who_offers_it_alone_is_shown_it),
        shop_test(test_who_asks_for_what_is_not_there),
        shop_test(test_no_session_is_resumed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
