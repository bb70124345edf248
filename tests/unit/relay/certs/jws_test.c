#include "relay/certs/jws.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "relay/certs/signer_parts.h"
#include "shared/json.h"

/* ---- base64url ---- */

static void test_base64url(void **state)
{
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        { "", "" },           { "f", "Zg" },          { "fo", "Zm8" },          { "foo", "Zm9v" },
        { "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xef\xff", "--__" }
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf text = { 0 }, back = { 0 };

        base64url_add(&text, rows[i].bytes, strlen(rows[i].bytes));
        assert_string_equal(buf_text(&text), rows[i].text);
        assert_int_equal(base64url_read(str_of(rows[i].text), &back, NULL), 0);
        assert_string_equal(buf_text(&back), rows[i].bytes);
        buf_free(&text);
        buf_free(&back);
    }
}

static void test_what_is_no_base64url(void **state)
{
    static const struct {
        struct str text;
        const char *why;
    } rows[] = { { { "Zg==", 4 }, "character 3 " }, { { "Zm9+", 4 }, "character 4 " },
                 { { "Zm 9", 4 }, "character 3 " }, { { "Z\0g", 3 }, "character 2 " },
                 { { "Zm9vY", 5 }, "cut off" },     { { "Zh", 2 }, "cut off" } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = { 0 };
        struct err e = { 0 };

        assert_int_equal(base64url_read(rows[i].text, &out, &e), -1);
        if (!strstr(e.text, rows[i].why))
            fail_msg("row %zu: %s", i, e.text);
        buf_free(&out);
    }
}

/* ---- keys ---- */

static BIGNUM *number(const char *text)
{
    struct buf bytes = { 0 };
    BIGNUM *n;

    assert_int_equal(base64url_read(str_of(text), &bytes, NULL), 0);
    n = BN_bin2bn((const unsigned char *)buf_bytes(&bytes), (int)bytes.len, NULL);
    buf_free(&bytes);
    return n;
}

/* The key of RFC 7638, section 3.1. */
static void test_the_thumbprint_of_the_rfc(void **state)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BIGNUM *n = number(
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiF"
        "V4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9"
        "c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1"
        "jF44-csFCur-kEgU8awapJzKnqDKgw");
    BIGNUM *exponent = number("AQAB");
    struct signer key = { 0 };
    OSSL_PARAM *params;
    char thumbprint[JWS_THUMBPRINT_BYTES];

    (void)state;
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent);
    params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_fromdata_init(ctx);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key.key, EVP_PKEY_PUBLIC_KEY, params), 1);
    assert_int_equal(jws_thumbprint(&key, thumbprint, NULL), 0);
    assert_string_equal(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    EVP_PKEY_free(key.key);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    BN_free(n);
    BN_free(exponent);
}

/* A public key out of coordinates, uncompressed. */
static EVP_PKEY *ec_key(const char *curve, const struct buf *x, const struct buf *y)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    struct buf point = { 0 };
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params;

    buf_add(&point, "\4", 1);
    buf_add(&point, buf_bytes(x), x->len);
    buf_add(&point, buf_bytes(y), y->len);
    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0);
    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, buf_bytes(&point), point.len);
    params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_fromdata_init(ctx);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(ctx);
    buf_free(&point);
    return key;
}

static void read_member(const json_t *object, const char *name, struct buf *out)
{
    const char *text = json_string_value(json_object_get(object, name));

    assert_non_null(text);
    assert_int_equal(base64url_read(str_of(text), out, NULL), 0);
}

/* Keys are made until a coordinate of one begins with a zero byte, which must not be left out: one in 128 is like that. */
static void test_coordinates_have_a_fixed_width(void **state)
{
    bool found = false;

    (void)state;
    for (int i = 0; i < 5000 && !found; i++) {
        struct signer *s = signer_make(i % 2 ? KEY_P384 : KEY_ECDSA);
        size_t width = i % 2 ? 48 : 32;
        struct buf text = { 0 }, x = { 0 }, y = { 0 };
        EVP_PKEY *again;
        json_t *jwk;

        assert_int_equal(signer_jwk(s, &text, NULL), 0);
        jwk = json_read(buf_bytes(&text), text.len, NULL);
        read_member(jwk, "x", &x);
        read_member(jwk, "y", &y);
        assert_int_equal(x.len, width);
        assert_int_equal(y.len, width);
        again = ec_key(i % 2 ? "P-384" : "P-256", &x, &y);
        assert_int_equal(EVP_PKEY_eq(again, s->key), 1);
        found = buf_bytes(&x)[0] == 0 || buf_bytes(&y)[0] == 0;
        EVP_PKEY_free(again);
        json_decref(jwk);
        buf_free(&text);
        buf_free(&x);
        buf_free(&y);
        signer_free(s);
    }
    assert_true(found);
}

/* ---- signatures ---- */

/* DER of r and s, as OpenSSL verifies it. */
static void to_der(const struct buf *fixed, struct buf *der)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    int half = (int)fixed->len / 2, n;
    unsigned char *text = NULL;

    ECDSA_SIG_set0(sig, BN_bin2bn((const unsigned char *)buf_bytes(fixed), half, NULL),
                   BN_bin2bn((const unsigned char *)buf_bytes(fixed) + half, half, NULL));
    n = i2d_ECDSA_SIG(sig, &text);
    buf_add(der, text, (size_t)n);
    OPENSSL_free(text);
    ECDSA_SIG_free(sig);
}

static void assert_verifies(const struct signer *s, const char *digest, const struct buf *message,
                            const struct buf *signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    assert_int_equal(EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, s->key, NULL), 1);
    assert_int_equal(EVP_DigestVerify(ctx, (const unsigned char *)buf_bytes(signature), signature->len,
                                      (const unsigned char *)buf_bytes(message), message->len),
                     1);
    EVP_MD_CTX_free(ctx);
}

static const struct {
    enum key_type type;
    const char *alg, *digest;
    size_t bytes;
} kinds[] = { { KEY_ECDSA, "ES256", "SHA256", 64 },
              { KEY_P384, "ES384", "SHA384", 96 },
              { KEY_RSA2048, "RS256", "SHA256", 256 } };

/* Often enough for r or s to begin with a zero byte. */
static void test_signatures_have_a_fixed_width(void **state)
{
    struct buf message = { 0 };

    (void)state;
    buf_add_text(&message, "a.b");
    for (size_t k = 0; k < 3; k++) {
        struct signer *s = signer_make(kinds[k].type);

        assert_string_equal(signer_jws_alg(s), kinds[k].alg);
        for (int i = 0; i < (kinds[k].type == KEY_RSA2048 ? 3 : 500); i++) {
            struct buf signature = { 0 }, der = { 0 };

            assert_int_equal(signer_jws_sign(s, buf_bytes(&message), message.len, &signature, NULL), 0);
            assert_int_equal(signature.len, kinds[k].bytes);
            if (kinds[k].type != KEY_RSA2048)
                to_der(&signature, &der);
            assert_verifies(s, kinds[k].digest, &message, der.len > 0 ? &der : &signature);
            buf_free(&signature);
            buf_free(&der);
        }
        signer_free(s);
    }
    buf_free(&message);
}

/* ---- messages ---- */

static json_t *opened(const json_t *message, const char *part)
{
    struct buf text = { 0 };
    json_t *json;

    read_member(message, part, &text);
    json = json_read(buf_bytes(&text), text.len, NULL);
    buf_free(&text);
    return json;
}

static void put_signed_part(const json_t *message, struct buf *out)
{
    buf_printf(out, "%s.%s", json_string_value(json_object_get(message, "protected")),
               json_string_value(json_object_get(message, "payload")));
}

static json_t *make(const struct jws *jws)
{
    struct buf text = { 0 };
    json_t *message;

    assert_int_equal(jws_make(jws, &text, NULL), 0);
    message = json_read(buf_bytes(&text), text.len, NULL);
    assert_non_null(message);
    assert_int_equal(json_object_size(message), 3);
    buf_free(&text);
    return message;
}

static void test_messages(void **state)
{
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        struct signer *s = signer_make(kinds[k].type);
        struct jws jws = {
            .key = s, .kid = "https://ca/1", .nonce = "n-1", .url = "https://ca/x", .payload = "{\"a\":1}"
        };
        struct buf part = { 0 }, signature = { 0 }, der = { 0 };
        json_t *message = make(&jws), *header = opened(message, "protected"),
               *payload = opened(message, "payload");
        json_t *expected = json_pack("{s:s,s:s,s:s,s:s}", "alg", kinds[k].alg, "nonce", "n-1", "url",
                                     "https://ca/x", "kid", "https://ca/1");

        assert_true(json_equal(header, expected));
        json_decref(expected);
        assert_int_equal(json_integer_value(json_object_get(payload, "a")), 1);
        put_signed_part(message, &part);
        read_member(message, "signature", &signature);
        if (kinds[k].type != KEY_RSA2048)
            to_der(&signature, &der);
        assert_verifies(s, kinds[k].digest, &part, der.len > 0 ? &der : &signature);
        buf_free(&part);
        buf_free(&signature);
        buf_free(&der);
        json_decref(header);
        json_decref(payload);
        json_decref(message);
        signer_free(s);
    }
}

/* The key itself instead of its account, no nonce, and nothing as a payload: each leaves its member out, or empty. */
static void test_what_may_be_missing(void **state)
{
    struct signer *s = signer_new();
    struct jws jws = { .key = s, .url = "https://ca/x", .payload = "" };
    json_t *message = make(&jws), *header = opened(message, "protected");
    struct buf text = { 0 };
    json_t *jwk;

    (void)state;
    assert_int_equal(signer_jwk(s, &text, NULL), 0);
    jwk = json_read(buf_bytes(&text), text.len, NULL);
    assert_true(json_equal(json_object_get(header, "jwk"), jwk));
    assert_int_equal(json_object_size(header), 3);
    assert_string_equal(json_string_value(json_object_get(message, "payload")), "");
    buf_free(&text);
    json_decref(jwk);
    json_decref(header);
    json_decref(message);
    signer_free(s);
}

static void test_binding(void **state)
{
    struct signer *s = signer_new();
    struct buf key = { 0 }, text = { 0 }, part = { 0 }, mac = { 0 }, jwk = { 0 }, payload = { 0 };
    unsigned char expected[32];
    json_t *message, *header;
    struct err e = { 0 };

    (void)state;
    buf_add_text(&key, "a key that the CA gave us");
    assert_int_equal(jws_bind(s, "kid-1", &key, "https://ca/new", &text, NULL), 0);
    message = json_read(buf_bytes(&text), text.len, NULL);
    header = opened(message, "protected");
    assert_int_equal(json_object_size(header), 3); /* and no nonce */
    assert_string_equal(json_string_value(json_object_get(header, "alg")), "HS256");
    assert_string_equal(json_string_value(json_object_get(header, "kid")), "kid-1");
    assert_string_equal(json_string_value(json_object_get(header, "url")), "https://ca/new");
    assert_int_equal(signer_jwk(s, &jwk, NULL), 0);
    read_member(message, "payload", &payload);
    assert_string_equal(buf_text(&payload), buf_text(&jwk));
    put_signed_part(message, &part);
    HMAC(EVP_sha256(), buf_bytes(&key), (int)key.len, (const unsigned char *)buf_bytes(&part), part.len,
         expected, NULL);
    read_member(message, "signature", &mac);
    assert_int_equal(mac.len, 32);
    assert_memory_equal(buf_bytes(&mac), expected, 32);
    assert_int_equal(jws_bind(s, "\xff", &key, "https://ca/new", &text, &e), -1);
    assert_non_null(strstr(e.text, "eab_kid"));
    buf_free(&key), buf_free(&text), buf_free(&part), buf_free(&mac), buf_free(&jwk), buf_free(&payload);
    json_decref(header);
    json_decref(message);
    signer_free(s);
}

static void test_a_key_that_cannot_sign(void **state)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    struct signer s = { key };
    struct jws jws = { .key = &s, .url = "https://ca/x", .payload = "" };
    struct buf out = { 0 };
    struct err e = { 0 };
    char thumbprint[JWS_THUMBPRINT_BYTES];

    (void)state;
    assert_int_equal(jws_make(&jws, &out, &e), -1);
    assert_int_equal(jws_thumbprint(&s, thumbprint, &e), -1);
    jws.kid = "https://ca/1";
    assert_int_equal(jws_make(&jws, &out, &e), -1);
    assert_non_null(strstr(e.text, "cannot sign"));
    assert_int_equal(out.len, 0);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64url),
        cmocka_unit_test(test_what_is_no_base64url),
        cmocka_unit_test(test_the_thumbprint_of_the_rfc),
        cmocka_unit_test(test_coordinates_have_a_fixed_width),
        cmocka_unit_test(test_signatures_have_a_fixed_width),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_what_may_be_missing),
        cmocka_unit_test(test_binding),
        cmocka_unit_test(test_a_key_that_cannot_sign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
