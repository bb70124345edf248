#include "relay/certs/files.h"

#include "relay/certs/cert_file.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/mem.h"
#include "tests/unit/temp.h"

enum { NOW = 1800000000, DAY = 86400 };

/* ---- what somebody else would bring ---- */

struct brought {
    char cert[2048], key[2048];
};

static void take_text(BIO *bio, char out[2048])
{
    char *text;
    long n = BIO_get_mem_data(bio, &text);

    assert_true(n > 0 && n < 2048);
    memcpy(out, text, (size_t)n);
    out[n] = 0;
    BIO_free(bio);
}

static struct brought bring(const char *names)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
    struct brought made;

    X509_set_version(cert, X509_VERSION_3);
    ASN1_TIME_set_string_X509(X509_getm_notBefore(cert), "20270114080000Z"); /* NOW - DAY */
    ASN1_TIME_set_string_X509(X509_getm_notAfter(cert), "20270214080000Z");  /* NOW + 30 * DAY */
    X509_set_pubkey(cert, key);
    X509_add_ext(cert, ext, -1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    PEM_write_bio_X509(cert_bio, cert);
    PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL);
    take_text(cert_bio, made.cert);
    take_text(key_bio, made.key);
    X509_EXTENSION_free(ext);
    X509_free(cert);
    EVP_PKEY_free(key);
    return made;
}

static void put(struct temp *t, const char *cert, const char *key)
{
    if (cert)
        temp_file(t, "c.pem", cert, 0600);
    if (key)
        temp_file(t, "k.pem", key, 0600);
}

/* ---- reading ---- */

static void test_what_is_refused(void **state)
{
    struct temp *t = *state;
    struct brought a = bring("DNS:a.test"), b = bring("DNS:a.test");
    char *half = mem_format("%.*s", 200, a.cert), *damaged = mem_format("%s%s", a.cert, half);
    char *both = mem_format("%s%s", a.cert, a.key), *turned = mem_format("%s%s", a.key, a.cert);
    char *chain = mem_format("%s%s%s", a.cert, b.cert, b.cert);
    struct buf many = { 0 };
    const struct {
        const char *name, *cert, *key, *why; /* NULL: it is well */
    } rows[] = {
        { "a pair", a.cert, a.key, NULL },
        { "with a chain", chain, a.key, NULL },
        { "both in both", both, both, NULL },
        { "the key first", turned, turned, NULL },
        { "empty", "", a.key, "c.pem: holds no certificate in PEM form" },
        { "text", "hello\n", a.key, "c.pem: holds no certificate in PEM form" },
        { "a key instead", a.key, a.key, "c.pem: holds no certificate in PEM form" },
        { "half of one", half, a.key, "c.pem: holds a damaged certificate" },
        { "half of the chain", damaged, a.key, "c.pem: holds a damaged certificate" },
        { "too many", NULL, a.key, "c.pem: holds more than 16 certificates" },
        { "another key", a.cert, b.key, "k.pem does not belong to the certificate in" },
        { "the chain's key", chain, b.key, "k.pem does not belong to the certificate in" },
        { "no key", a.cert, a.cert, "k.pem: not a private key without a passphrase; give it in PEM form" },
        { "an empty key", a.cert, "", "k.pem is empty" },
    };

    for (int i = 0; i < 17; i++)
        buf_add_text(&many, a.cert);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err e = { 0 };
        int rc;

        put(t, rows[i].cert ? rows[i].cert : buf_text(&many), rows[i].key);
        rc = cert_file_check(temp_path(t, "c.pem"), temp_path(t, "k.pem"), &e);
        if (rc != (rows[i].why ? -1 : 0) || (rows[i].why && !strstr(e.text, rows[i].why)))
            fail_msg("%s: %d %s", rows[i].name, rc, e.text);
    }
    assert_int_equal(cert_file_check(temp_path(t, "none"), temp_path(t, "k.pem"), NULL), -1);
    buf_free(&many);
    free(half);
    free(damaged);
    free(both);
    free(turned);
    free(chain);
}

static void test_doubts(void **state)
{
    static const char *const names[] = { "a.test", "x.w.test", "*.w.test" }, *const others[] = { "b.test",
                                                                                                 "a.test" };
    static const struct {
        const char *const *names;
        size_t n;
        time_t now;
        const char *doubts;
    } rows[] = {
        { names, 3, NOW, "" },
        { NULL, 0, NOW, "" },
        { others, 2, NOW, "it does not cover b.test; get one for all names of the site" },
        { names, 1, NOW + 30 * DAY, "" },
        { names, 1, NOW + 30 * DAY + 1,
          "it expired at 2027-02-14T08:00:00Z; put a renewed one in its place" },
        { names, 1, NOW - DAY - 1,
          "it is not valid before 2027-01-14T08:00:00Z; is this machine's clock right?" },
        { others, 1, NOW + 31 * DAY,
          "it does not cover b.test; get one for all names of the site; besides, it expired at "
          "2027-02-14T08:00:00Z; put a renewed one in its place" },
    };
    struct temp *t = *state;
    struct brought a = bring("DNS:a.test,DNS:*.w.test");
    SSL_CTX *ctx;

    put(t, a.cert, a.key);
    ctx = cert_file_load(temp_path(t, "c.pem"), temp_path(t, "k.pem"), NULL);
    assert_non_null(ctx);
    assert_true(cert_file_ends(ctx) == NOW + 30 * DAY);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf text = { 0 };

        cert_file_doubts(ctx, rows[i].names, rows[i].n, rows[i].now, &text);
        assert_string_equal(buf_text(&text), rows[i].doubts);
        buf_free(&text);
    }
    SSL_CTX_free(ctx);
}

/* ---- following ---- */

static struct opt_conf *load(struct temp *t, const char *form)
{
    struct opt_errors errors = { 0 };
    struct buf text = { 0 };
    struct opt_conf *conf;

    for (const char *p = form; *p; p++) /* @ is the folder */
        if (*p == '@')
            buf_add_text(&text, t->folder);
        else
            buf_add(&text, p, 1);
    conf = opt_load_text(&relay_schema, "relay.ini", buf_bytes(&text), text.len, &errors);
    if (!conf)
        fail_msg("%s", errors.lines[0]);
    opt_errors_free(&errors);
    buf_free(&text);
    return conf;
}

static const char *const a_test[] = { "a.test" };

/* Whether the site shows a certificate that was brought like this one, and holds nothing. */
static bool shows(struct files *f, const struct brought *b)
{
    struct err e = { 0 };
    SSL_CTX *ctx = files_context(f, a_test, 1, NOW, &e);
    char text[2048];
    BIO *bio;

    if (!ctx) {
        assert_true(e.text[0] != 0);
        return false;
    }
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, SSL_CTX_get0_certificate(ctx));
    take_text(bio, text);
    SSL_CTX_free(ctx);
    return strcmp(text, b->cert) == 0;
}

static void assert_state(const struct files *f, time_t now, const char *expected, bool wrong)
{
    json_t *status = files_status(f, "a.test", now);

    assert_string_equal(json_string_value(json_object_get(status, "state")), expected);
    assert_string_equal(json_string_value(json_object_get(status, "issuer")), "files");
    assert_int_equal(json_is_string(json_object_get(status, "last_error")), wrong);
    json_decref(status);
}

#define A_TEST "[domain a.test]\ncert_file = @/c.pem\nkey_file = @/k.pem\n"

static void test_files_that_change(void **state)
{
    struct temp *t = *state;
    struct brought a = bring("DNS:a.test"), b = bring("DNS:a.test");
    struct opt_conf *conf = load(t, A_TEST);
    struct files *f;

    put(t, a.cert, a.key);
    f = files_new(conf);
    assert_true(files_has(f, "a.test") && !files_has(f, "b.test"));
    assert_true(shows(f, &a) && !files_look(f));
    assert_state(f, NOW, "valid", false);
    assert_state(f, NOW + 23 * DAY, "valid", false);
    assert_state(f, NOW + 24 * DAY, "failing",
                 true); /* less than a fifth of 31 days is left, and it is still this one */
    assert_state(f, NOW + 31 * DAY, "expired", false);
    put(t, b.cert, NULL); /* in two steps: the key is still the old one */
    assert_true(!files_look(f) && shows(f, &a));
    assert_state(f, NOW, "failing", true);
    assert_true(!files_look(f) && shows(f, &a));
    put(t, NULL, b.key);
    assert_true(files_look(f) && shows(f, &b) && !files_look(f));
    assert_state(f, NOW, "valid", false);
    put(t, "half", "half");
    assert_true(!files_look(f) && shows(f, &b));
    unlink(temp_path(t, "c.pem"));
    assert_true(!files_look(f) && shows(f, &b));
    assert_state(f, NOW, "failing", true);
    put(t, b.cert, b.key);
    assert_true(files_look(f) && shows(f, &b));
    assert_state(f, NOW, "valid", false);
    files_free(f);
    files_free(NULL);
    opt_conf_free(conf);
}

static void test_links_that_move(void **state)
{
    struct temp *t = *state;
    struct brought a = bring("DNS:a.test"), b = bring("DNS:a.test");
    struct opt_conf *conf = load(t, A_TEST);
    struct files *f;

    temp_file(t, "c1.pem", a.cert, 0600);
    temp_file(t, "k1.pem", a.key, 0600);
    temp_file(t, "c2.pem", b.cert, 0600);
    temp_file(t, "k2.pem", b.key, 0600);
    assert_int_equal(symlink("c1.pem", temp_path(t, "c.pem")) + symlink("k1.pem", temp_path(t, "k.pem")), 0);
    f = files_new(conf);
    assert_true(shows(f, &a));
    assert_int_equal(
        symlink("c2.pem", temp_path(t, "new")) + rename(temp_path(t, "new"), temp_path(t, "c.pem")), 0);
    assert_int_equal(
        symlink("k2.pem", temp_path(t, "new")) + rename(temp_path(t, "new"), temp_path(t, "k.pem")), 0);
    assert_true(files_look(f) && shows(f, &b));
    files_free(f);
    opt_conf_free(conf);
}

/* Files that are not well at the start are taken as soon as they are. */
static void test_broken_at_first(void **state)
{
    struct temp *t = *state;
    struct brought a = bring("DNS:a.test");
    struct opt_conf *conf = load(t, A_TEST);
    struct files *f = files_new(conf);

    assert_true(!shows(f, &a) && !files_look(f));
    assert_state(f, NOW, "failing", true);
    put(t, a.cert, a.key);
    assert_true(files_look(f) && shows(f, &a));
    files_free(f);
    opt_conf_free(conf);
}

static void test_reload(void **state)
{
    struct temp *t = *state;
    struct brought a = bring("DNS:a.test"), b = bring("DNS:a.test");
    struct opt_conf *conf = load(t, A_TEST), *other = load(t, "[relay]\ndefault_cert = @/both.pem\n"),
                    *none = load(t, "");
    char *both = mem_format("%s%s", b.cert, b.key);
    struct files *f;
    SSL_CTX *before, *after;

    put(t, a.cert, a.key);
    temp_file(t, "both.pem", both, 0600);
    f = files_new(conf);
    before = files_context(f, a_test, 1, NOW, NULL);
    files_reload(f, conf);
    after = files_context(f, a_test, 1, NOW, NULL);
    assert_ptr_equal(before, after);
    assert_null(files_default(f, NOW));
    put(t, b.cert, b.key);
    files_reload(f, conf); /* which looks as well */
    assert_true(shows(f, &b));
    files_reload(f, other);
    assert_non_null(files_default(f, NOW));
    assert_false(files_has(f, "a.test"));
    files_reload(f, none);
    assert_null(files_default(f, NOW));
    SSL_CTX_free(before);
    SSL_CTX_free(after);
    files_free(f);
    free(both);
    opt_conf_free(conf);
    opt_conf_free(other);
    opt_conf_free(none);
}

#define temp_test(f) cmocka_unit_test_setup_teardown(f, temp_make, temp_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        temp_test(test_what_is_refused), temp_test(test_doubts),          temp_test(test_files_that_change),
        temp_test(test_links_that_move), temp_test(test_broken_at_first), temp_test(test_reload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
