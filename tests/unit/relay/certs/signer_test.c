#include "relay/certs/signer.h"

#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "shared/file.h"
#include "tests/unit/temp.h"

/* A certificate of this key, not signed yet. */
static X509 *cert_of(const struct signer *s)
{
    X509 *cert = X509_new();

    assert_non_null(cert);
    signer_put_public(s, cert);
    return cert;
}

static void assert_same_key(const struct signer *s, const struct signer *other, bool same)
{
    X509 *cert = cert_of(s);
    struct err e = { 0 };

    assert_int_equal(signer_matches(other, cert, &e), same ? 0 : -1);
    assert_int_equal(strstr(e.text, "does not belong to the certificate") != NULL, !same);
    X509_free(cert);
}

static void test_each_new_key_is_another(void **state)
{
    struct signer *one = signer_new(), *two = signer_new();

    (void)state;
    assert_same_key(one, one, true);
    assert_same_key(one, two, false);
    signer_free(one);
    signer_free(two);
    signer_free(NULL);
}

static void test_signs(void **state)
{
    struct signer *one = signer_new(), *two = signer_new();
    X509 *cert = cert_of(two), *issuer = cert_of(one);

    (void)state;
    assert_int_equal(signer_sign(one, cert, NULL), 0);
    assert_int_equal(X509_verify(cert, X509_get0_pubkey(issuer)), 1);
    assert_int_equal(X509_verify(cert, X509_get0_pubkey(cert)), 0);
    X509_free(cert);
    X509_free(issuer);
    signer_free(one);
    signer_free(two);
}

static void test_a_file_is_made_once(void **state)
{
    struct temp *t = *state;
    const char *path = temp_path(t, "key");
    mode_t before = umask(0);
    struct signer *made = signer_open(path, NULL), *again;
    struct buf pem = { 0 };

    umask(before);
    assert_non_null(made);
    assert_int_equal(temp_mode(path), 0600);
    assert_int_equal(temp_count(t), 1);
    assert_int_equal(file_read(path, 10000, &pem, NULL), 0);
    assert_int_equal(strncmp(buf_text(&pem), "-----BEGIN PRIVATE KEY-----\n", 28), 0);
    again = signer_open(path, NULL);
    assert_non_null(again);
    assert_same_key(made, again, true);
    signer_free(made);
    signer_free(again);
    buf_free(&pem);
}

static char *pem_with_passphrase(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    char *text, *copy;

    PEM_write_bio_PrivateKey(bio, key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL, NULL);
    BIO_write(bio, "", 1); /* the NUL */
    BIO_get_mem_data(bio, &text);
    copy = strdup(text);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return copy;
}

/* Never a new key in place of one that is there, and nobody is asked for a passphrase. */
static void test_a_file_that_is_no_key(void **state)
{
    struct temp *t = *state;
    char *locked = pem_with_passphrase();
    const struct {
        const char *name, *content;
        mode_t mode;
        const char *why;
    } rows[] = {
        { "empty", "", 0600, "is empty" },
        { "newlines", "\n\n", 0600, "is empty" },
        { "text", "hello\n", 0600, "not a private key" },
        { "a header", "-----BEGIN PRIVATE KEY-----\n", 0600, "not a private key" },
        { "nothing in it", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", 0600,
          "not a private key" },
        { "damaged", "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n", 0600,
          "not a private key" },
        { "with a passphrase", locked, 0600, "without a passphrase; restore it from a backup" },
        { "open to others", "hello\n", 0644, "chmod" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *path = temp_file(t, "key", rows[i].content, rows[i].mode);
        struct signer *s;
        struct buf after = { 0 };
        struct err e = { 0 };

        s = signer_open(path, &e);
        if (s || !strstr(e.text, rows[i].why) || !strstr(e.text, path))
            fail_msg("%s: %s", rows[i].name, e.text);
        assert_int_equal(file_read(path, 10000, &after, NULL), 0);
        assert_string_equal(buf_text(&after), rows[i].content);
        buf_free(&after);
    }
    free(locked);
}

static void test_a_path_that_leads_nowhere(void **state)
{
    struct temp *t = *state;
    struct err e = { 0 };

    assert_null(signer_open(temp_path(t, "none/key"), &e));
    assert_non_null(strstr(e.text, "none/key"));
    temp_file(t, "file", "", 0600);
    assert_null(signer_open(temp_path(t, "file/key"), NULL));
    assert_int_equal(symlink("loop", temp_path(t, "loop")), 0);
    assert_null(signer_open(temp_path(t, "loop"), NULL));
    assert_null(signer_open(t->folder, NULL));
    assert_int_equal(temp_count(t), 2);
}

static void test_use(void **state)
{
    struct signer *one = signer_new(), *two = signer_new();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    X509 *cert = cert_of(one);
    struct err e = { 0 };

    (void)state;
    assert_int_equal(signer_sign(one, cert, NULL), 0);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_equal(signer_use(two, ctx, &e), -1);
    assert_non_null(strstr(e.text, "cannot use a key for TLS: "));
    assert_int_equal(signer_use(one, ctx, NULL), 0);
    signer_free(one); /* the context has a reference of its own */
    signer_free(two);
    assert_int_equal(SSL_CTX_check_private_key(ctx), 1);
    X509_free(cert);
    SSL_CTX_free(ctx);
}

static void test_types(void **state)
{
    static const struct {
        const char *word;
        enum key_type type;
        const char *text;
    } rows[] = { { "ecdsa", KEY_ECDSA, "ecdsa" },       { "p384", KEY_P384, "p384" },
                 { "rsa", KEY_RSA2048, "rsa" },         { "rsa2048", KEY_RSA2048, "rsa" },
                 { "rsa3072", KEY_RSA3072, "rsa3072" }, { "rsa4096", KEY_RSA4096, "rsa4096" } };
    enum key_type type;
    struct err e = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(key_type_read(str_of(rows[i].word), &type, NULL), 0);
        assert_int_equal(type, rows[i].type);
        assert_string_equal(key_type_text(type), rows[i].text);
    }
    assert_int_equal(key_type_read(STR("rsa1024"), &type, &e), -1);
    assert_non_null(strstr(e.text, "ecdsa, p384, rsa, rsa3072 or rsa4096"));
}

static void test_keys_of_each_type(void **state)
{
    static const enum key_type types[] = { KEY_ECDSA, KEY_P384, KEY_RSA2048, KEY_RSA3072 };
    struct temp *t = *state;

    for (size_t i = 0; i < 4; i++) {
        const char *path = temp_path(t, "key");
        struct signer *made = signer_make(types[i]), *again;

        for (size_t k = 0; k < 4; k++)
            assert_int_equal(signer_is(made, types[k]), i == k);
        assert_int_equal(signer_save(made, path, NULL), 0);
        assert_int_equal(temp_mode(path), 0600);
        again = signer_load(path, NULL);
        assert_non_null(again);
        assert_true(signer_same(made, again));
        assert_true(signer_is(again, types[i]));
        signer_free(again);
        again = signer_make(types[i]);
        assert_false(signer_same(made, again));
        signer_free(again);
        signer_free(made);
    }
}

#define temp_test(f) cmocka_unit_test_setup_teardown(f, temp_make, temp_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_new_key_is_another),
        cmocka_unit_test(test_signs),
        temp_test(test_a_file_is_made_once),
        temp_test(test_a_file_that_is_no_key),
        temp_test(test_a_path_that_leads_nowhere),
        cmocka_unit_test(test_use),
        cmocka_unit_test(test_types),
        temp_test(test_keys_of_each_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
