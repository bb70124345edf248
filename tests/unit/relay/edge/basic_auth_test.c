#include "relay/edge/basic_auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/buf.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

#define BCRYPT   "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"
#define YESCRYPT "$y$j75$abcdefghijklmnop$vZlXu1XtxOBWRxjOpQqONp1WYfMO0dN.H4xeSMU2ZvC"
#define SHA256   "$5$rounds=1000$abcdefgh$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4"
#define SHA512                                                                                        \
    "$6$rounds=1000$abcdefgh$nhYjN017qxiYztzyUpZtPnUQcnLy62KsunSLHNeLahp2EHPlAKmFFlrjEwSXGo2kgY5hR2." \
    "peKEg2VGUqIJJu1"

static bool read_fields(const char *fields, struct basic_auth *auth)
{
    static const struct h1_limits limits = { .max_uri = 1024, .max_header = 8192 };
    struct buf text = { 0 };
    struct h1_head head;
    bool is;

    buf_printf(&text, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
    h1_request_init(&head);
    assert_true(h1_head_parse(&head, buf_bytes(&text), text.len, &limits) > 0);
    is = basic_auth_read(&head, auth);
    buf_free(&text);
    return is;
}

static void test_what_is_said(void **state)
{
    static const struct {
        const char *field, *user, *password; /* user NULL: it says nothing */
    } rows[] = {
        { "Authorization: Basic bWU6c2VjcmV0", "me", "secret" },
        { "authorization: BASIC   bWU6c2VjcmV0", "me", "secret" },
        { "Authorization: Basic bWU6c2VjcmV0Cg==", NULL, NULL },      /* a newline */
        { "Authorization: Basic bWU6c2U6Y3JldA==", "me", "se:cret" }, /* the first colon counts */
        { "Authorization: Basic Og==", "", "" },
        { "Authorization: Basic bWU6", "me", "" },
        { "Authorization: Basic bWU6w6Q=", "me", "\xc3\xa4" },
        { "Authorization: Basic bWU=", NULL, NULL },             /* no colon */
        { "Authorization: Basic bWU6c2VjcmV0AHg=", NULL, NULL }, /* a NUL */
        { "Authorization: Basic bWU6c2VjcmV", NULL, NULL },
        { "Authorization: Basic bWU6c2VjcmV0=", NULL, NULL },
        { "Authorization: Basic bWU6c2VjcmV0====", NULL, NULL },
        { "Authorization: Basic bWU6 c2VjcmV0", NULL, NULL },
        { "Authorization: Basic bW=6c2VjcmV0", NULL, NULL },
        { "Authorization: Basic ====", NULL, NULL },
        { "Authorization: Basic bWU6c2V-cmV0", NULL, NULL },
        { "Authorization: Basic", NULL, NULL },
        { "Authorization:", NULL, NULL },
        { "Authorization: Bearer bWU6c2VjcmV0", NULL, NULL },
        { "Authorization: BasicbWU6c2VjcmV0", NULL, NULL },
        { "Authorization: Basic bWU6c2VjcmV0\r\nAuthorization: Basic bWU6c2VjcmV0", NULL, NULL },
        { "X-Authorization: Basic bWU6c2VjcmV0", NULL, NULL },
    };
    struct basic_auth auth;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char fields[256];

        print_message("%s\n", rows[i].field);
        snprintf(fields, sizeof fields, "%s\r\n", rows[i].field);
        assert_int_equal(read_fields(fields, &auth), rows[i].user != NULL);
        if (!rows[i].user)
            continue;
        assert_string_equal(auth.user, rows[i].user);
        assert_string_equal(auth.password, rows[i].password);
        assert_int_equal(auth.n, strlen(auth.user) + 1 + strlen(auth.password));
    }
}

static void test_how_long_it_may_be(void **state)
{
    struct basic_auth auth;
    struct buf fields = { 0 };

    (void)state;
    for (size_t n = 4; n < 1024; n += 4) {
        buf_free(&fields);
        buf_add_text(&fields, "Authorization: Basic YTph");
        for (size_t i = 4; i < n; i += 4)
            buf_add_text(&fields, "YWFh");
        buf_add_text(&fields, "\r\n");
        assert_int_equal(read_fields(buf_text(&fields), &auth), n / 4 * 3 <= BASIC_AUTH_BYTES);
    }
    buf_free(&fields);
}

static void test_hashes(void **state)
{
    static const char *const hashes[] = { BCRYPT, YESCRYPT, SHA256, SHA512 };

    (void)state;
    for (size_t i = 0; i < COUNT(hashes); i++) {
        assert_true(basic_auth_matches("secret", hashes[i]));
        assert_false(basic_auth_matches("Secret", hashes[i]));
        assert_false(basic_auth_matches("", hashes[i]));
        assert_false(basic_auth_matches(hashes[i], hashes[i]));
    }
    assert_false(basic_auth_matches("secret", "*0"));
    assert_false(basic_auth_matches("secret", ""));
}

/* As the manual says of basic_auth_file. */
static void test_how_much_of_a_password_counts(void **state)
{
    static const char bcrypt[] = "$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i"; /* of 72 x */
    static const char sha256[] = "$5$rounds=1000$abcdefgh$WBsuIN/52aSUTDiDGbsWC2K8hOehoUkOk8C7fLW/dO3";
    char said[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx and more";

    (void)state;
    assert_true(basic_auth_matches(said, bcrypt));
    assert_false(basic_auth_matches(said, sha256));
    said[72] = 0;
    assert_true(basic_auth_matches(said, bcrypt));
    assert_true(basic_auth_matches(said, sha256));
    said[71] = 0;
    assert_false(basic_auth_matches(said, bcrypt));
}

static void test_who_is_not_there_takes_as_long(void **state)
{
    static const char list[] = "me:" BCRYPT "\nyou:" SHA256 "\n";
    static const unsigned char seed[32] = { 1 };
    bool known, bcrypt = false, sha = false;

    (void)state;
    assert_true(str_eq(basic_auth_hash(list, "me", seed, &known), BCRYPT) && known);
    assert_true(str_eq(basic_auth_hash(list, "you", seed, &known), SHA256) && known);
    for (int i = 0; i < 100; i++) {
        char user[16];
        struct str hash;

        snprintf(user, sizeof user, "%d", i);
        hash = basic_auth_hash(list, user, seed, &known);
        assert_false(known);
        assert_true(str_eq(basic_auth_hash(list, user, seed, &known), hash.p[1] == '2' ? BCRYPT : SHA256));
        bcrypt = bcrypt || str_eq(hash, BCRYPT);
        sha = sha || str_eq(hash, SHA256);
    }
    assert_true(bcrypt && sha); /* as those who are there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_said),
        cmocka_unit_test(test_how_long_it_may_be),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_how_much_of_a_password_counts),
        cmocka_unit_test(test_who_is_not_there_takes_as_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
