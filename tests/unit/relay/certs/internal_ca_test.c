#include "relay/certs/internal_ca.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "shared/file.h"
#include "tests/unit/temp.h"

enum { NOW = 1800000000, DAY = 86400 };

static struct internal_ca *open_ca(struct temp *t)
{
    struct err e = { 0 };
    struct internal_ca *ca = internal_ca_open(temp_path(t, "internal"), NOW, &e);

    if (!ca)
        fail_msg("%s", e.text);
    return ca;
}

static void read_text(const char *path, struct buf *text)
{
    assert_int_equal(file_read(path, 100000, text, NULL), 0);
    buf_text(text);
}

static bool is_at(const ASN1_TIME *time, int64_t expected)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 && timegm(&tm) == expected;
}

static void test_the_root(void **state)
{
    struct internal_ca *ca = open_ca(*state);
    X509 *root = internal_ca_root(ca);

    assert_int_equal(X509_verify(root, X509_get0_pubkey(root)), 1);
    assert_int_equal(X509_check_ca(root), 1);
    assert_int_equal(X509_get_pathlen(root), 0); /* it signs no further authority */
    assert_int_equal(X509_get_key_usage(root), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_true(is_at(X509_get0_notBefore(root), NOW - 3600));
    assert_true(is_at(X509_get0_notAfter(root), NOW + (int64_t)INTERNAL_ROOT_DAYS * DAY));
    assert_non_null(X509_get0_subject_key_id(root));
    assert_int_equal(X509_get_version(root), X509_VERSION_3);
    internal_ca_free(ca);
    internal_ca_free(NULL);
}

/* More seconds than 32 bits hold. */
static void test_a_root_beyond_2038(void **state)
{
    const int64_t made = INT64_C(2100000000); /* 2036-07-18 */
    struct err e = { 0 };
    struct internal_ca *ca = internal_ca_open(temp_path(*state, "internal"), made, &e);

    assert_non_null(ca);
    assert_true(is_at(X509_get0_notBefore(internal_ca_root(ca)), made - 3600));
    assert_true(is_at(X509_get0_notAfter(internal_ca_root(ca)), made + (int64_t)INTERNAL_ROOT_DAYS * DAY));
    internal_ca_free(ca);
}

static void test_it_is_made_once(void **state)
{
    struct temp *t = *state;
    mode_t before = umask(0);
    struct internal_ca *ca = open_ca(t);
    struct buf pem = { 0 }, file = { 0 }, again = { 0 };

    umask(before);
    assert_int_equal(temp_mode(temp_path(t, "internal")), 0700);
    assert_int_equal(temp_mode(temp_path(t, "internal/root.key")), 0600);
    assert_int_equal(temp_mode(temp_path(t, "internal/root.pem")), 0600);
    internal_ca_root_pem(ca, &pem);
    read_text(temp_path(t, "internal/root.pem"), &file);
    assert_string_equal(buf_text(&pem), buf_text(&file));
    internal_ca_free(ca);
    ca = internal_ca_open(temp_path(t, "internal"), NOW + 100 * DAY, NULL);
    assert_non_null(ca);
    internal_ca_root_pem(ca, &again);
    assert_string_equal(buf_text(&again), buf_text(&pem));
    internal_ca_free(ca);
    buf_free(&pem);
    buf_free(&file);
    buf_free(&again);
}

/* As after a kill between the two: the key that is there already gets its root. */
static void test_a_key_without_a_root(void **state)
{
    struct temp *t = *state;
    struct internal_ca *ca = open_ca(t), *again;
    struct buf key = { 0 }, key_after = { 0 };

    read_text(temp_path(t, "internal/root.key"), &key);
    assert_int_equal(unlink(temp_path(t, "internal/root.pem")), 0);
    again = open_ca(t);
    assert_int_equal(X509_verify(internal_ca_root(again), X509_get0_pubkey(internal_ca_root(ca))), 1);
    read_text(temp_path(t, "internal/root.key"), &key_after);
    assert_string_equal(buf_text(&key), buf_text(&key_after));
    internal_ca_free(ca);
    internal_ca_free(again);
    buf_free(&key);
    buf_free(&key_after);
}

static void copy_file(const char *from, const char *to)
{
    struct buf text = { 0 };

    read_text(from, &text);
    assert_int_equal(file_write(to, buf_bytes(&text), text.len, 0600, NULL), 0);
    buf_free(&text);
}

/* Whatever is wrong with the files is said, with what to do, and leaves them as they are. */
static void test_damaged(void **state)
{
    static const struct {
        const char *name, *pem, *key; /* contents; NULL: missing; "well", "other" */
        const char *why;
    } rows[] = {
        { "root empty", "", "well", "root.pem: not a certificate; restore it from a backup, or move" },
        { "root is text", "hello\n", "well", "root.pem: not a certificate" },
        { "root cut off", "-----BEGIN CERTIFICATE-----\nMIIB\n", "well", "root.pem: not a certificate" },
        { "root of another", "other", "well", "root.key does not belong to " },
        { "key empty", "well", "", "root.key is empty" },
        { "key is text", "well", "hello\n", "root.key: not a private key" },
        { "key of another", "well", "other", "move both away for a new root" },
        { "key missing", "well", NULL, "root.key is missing; restore it from a backup" },
        { "key missing, root damaged", "", NULL, "root.key is missing; restore it from a backup" },
        { "no root, key damaged", NULL, "hello\n", "root.key: not a private key" },
    };
    struct temp *t = *state;
    struct internal_ca *ca = open_ca(t);

    internal_ca_free(ca);
    assert_int_equal(rename(temp_path(t, "internal"), temp_path(t, "well")), 0);
    ca = open_ca(t);
    internal_ca_free(ca);
    assert_int_equal(rename(temp_path(t, "internal"), temp_path(t, "other")), 0);
    assert_int_equal(mkdir(temp_path(t, "internal"), 0700), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const char *const files[] = { "internal/root.pem", "internal/root.key" };
        const char *contents[] = { rows[i].pem, rows[i].key };
        struct buf before[2] = { 0 }, after[2] = { 0 };
        struct err e = { 0 };
        char from[32];

        for (size_t j = 0; j < 2; j++) {
            unlink(temp_path(t, files[j]));
            snprintf(from, sizeof from, "%s%s", contents[j] ? contents[j] : "",
                     files[j] + strlen("internal"));
            if (contents[j] && (strcmp(contents[j], "well") == 0 || strcmp(contents[j], "other") == 0))
                copy_file(temp_path(t, from), temp_path(t, files[j]));
            else if (contents[j])
                temp_file(t, files[j], contents[j], 0600);
            if (contents[j])
                read_text(temp_path(t, files[j]), &before[j]);
        }
        ca = internal_ca_open(temp_path(t, "internal"), NOW, &e);
        if (ca || !strstr(e.text, rows[i].why) || strncmp(e.text, "internal issuer: ", 17) != 0)
            fail_msg("%s: %s", rows[i].name, e.text);
        for (size_t j = 0; j < 2; j++) {
            assert_int_equal(access(temp_path(t, files[j]), F_OK), contents[j] ? 0 : -1);
            if (contents[j])
                read_text(temp_path(t, files[j]), &after[j]);
            assert_string_equal(buf_text(&before[j]), buf_text(&after[j]));
            buf_free(&before[j]);
            buf_free(&after[j]);
        }
    }
}

static void test_no_folder(void **state)
{
    struct temp *t = *state;
    struct err e = { 0 };

    assert_null(internal_ca_open(temp_path(t, "none/internal"), NOW, &e));
    assert_non_null(strstr(e.text, "none/internal"));
    temp_file(t, "file", "x", 0600);
    assert_null(internal_ca_open(temp_path(t, "file"), NOW, &e));
    assert_int_equal(temp_count(t), 1);
}

static bool is_valid(const X509 *cert, int64_t at)
{
    struct tm from, to;

    return ASN1_TIME_to_tm(X509_get0_notBefore(cert), &from) == 1 &&
           ASN1_TIME_to_tm(X509_get0_notAfter(cert), &to) == 1 && timegm(&from) <= at && at <= timegm(&to);
}

/* Whether a browser that trusts the root would take it, at this time and for this name. */
static bool trusts(const struct internal_ca *ca, X509 *leaf, time_t at, const char *name)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param;
    bool well;

    X509_STORE_add_cert(store, internal_ca_root(ca));
    X509_STORE_CTX_init(check, store, leaf, NULL);
    param = X509_STORE_CTX_get0_param(check);
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_NO_CHECK_TIME);
    X509_VERIFY_PARAM_set1_host(param, name, 0);
    well = X509_verify_cert(check) == 1 && is_valid(leaf, at) && is_valid(internal_ca_root(ca), at);
    X509_STORE_CTX_free(check);
    X509_STORE_free(store);
    return well;
}

static void test_a_leaf(void **state)
{
    static const char *const names[] = { "a.test", "www.a.test", "*.w.test", "_x.a.test", "localhost" };
    const time_t end = NOW + (time_t)INTERNAL_LEAF_DAYS * DAY;
    struct internal_ca *ca = open_ca(*state);
    struct signer *key = signer_new();
    X509 *leaf = internal_ca_issue(ca, key, names, 5, NOW, NULL), *other;

    assert_non_null(leaf);
    for (size_t i = 0; i < 5; i++)
        assert_true(trusts(ca, leaf, NOW, i == 2 ? "x.w.test" : names[i]));
    assert_false(trusts(ca, leaf, NOW, "b.test"));
    assert_false(trusts(ca, leaf, NOW, "x.a.test"));
    assert_false(trusts(ca, leaf, NOW, "x.y.w.test"));
    assert_true(trusts(ca, leaf, NOW - 3600, "a.test")); /* clocks that are a little late */
    assert_false(trusts(ca, leaf, NOW - 3602, "a.test"));
    assert_true(trusts(ca, leaf, end - 1, "a.test"));
    assert_false(trusts(ca, leaf, end + 1, "a.test"));
    assert_int_equal(X509_check_ca(leaf), 0);
    assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
    assert_int_equal(signer_matches(key, leaf, NULL), 0);
    other = internal_ca_issue(ca, key, names, 1, NOW, NULL);
    assert_int_not_equal(X509_cmp(leaf, other), 0);
    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(leaf), X509_get0_serialNumber(other)), 0);
    assert_false(X509_get0_serialNumber(leaf)->type & V_ASN1_NEG);
    X509_free(leaf);
    X509_free(other);
    signer_free(key);
    internal_ca_free(ca);
}

/* The longest name there is, and as many as a claim may hold. */
static void test_long_and_many_names(void **state)
{
    struct internal_ca *ca = open_ca(*state);
    struct signer *key = signer_new();
    const char *names[101];
    char texts[101][254];
    X509 *leaf;

    for (size_t i = 0; i < 101; i++) {
        memset(texts[i], 'x', 253);
        texts[i][253] = 0;
        for (size_t j = 63; j < 253; j += 64)
            texts[i][j] = '.';
        texts[i][0] = (char)('a' + i / 26);
        texts[i][1] = (char)('a' + i % 26);
        names[i] = texts[i];
    }
    leaf = internal_ca_issue(ca, key, names, 101, NOW, NULL);
    assert_non_null(leaf);
    assert_true(trusts(ca, leaf, NOW, names[0]));
    assert_true(trusts(ca, leaf, NOW, names[100]));
    X509_free(leaf);
    signer_free(key);
    internal_ca_free(ca);
}

#define temp_test(f) cmocka_unit_test_setup_teardown(f, temp_make, temp_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        temp_test(test_the_root),        temp_test(test_a_root_beyond_2038),
        temp_test(test_it_is_made_once), temp_test(test_a_key_without_a_root),
        temp_test(test_damaged),         temp_test(test_no_folder),
        temp_test(test_a_leaf),          temp_test(test_long_and_many_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
