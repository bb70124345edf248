#include "shared/domain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define L63 "abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvwxyz"
_Static_assert(sizeof L63 == 65, "one too many, for the label that is too long");

static void test_check(void **state)
{
    static const struct {
        const char *text;
        const char *exact, *wildcard; /* part of the reason; NULL: it is well */
    } rows[] = {
        { "a.test", NULL, NULL },
        { "www.sassy-cat-pics.com", NULL, NULL },
        { "localhost", NULL, NULL },
        { "xn--bcher-kva.example", NULL, NULL },
        { "_acme-challenge.a.test", "only a-z", "only a-z" },
        { "0.1", "ends with a number", "ends with a number" },
        { "a-b--c.d", NULL, NULL },
        { "*.a.test", "a wildcard cannot stand here", NULL },
        { "*.localhost", "a wildcard cannot stand here", NULL },
        { "*.test", "a wildcard cannot stand here", "it has no dot" },
        { "*", "a wildcard cannot stand here", "a wildcard is *. and a name" },
        { "*a.test", "a wildcard cannot stand here", "a wildcard is *. and a name" },
        { "**.a.test", "a wildcard cannot stand here", "a wildcard is *. and a name" },
        { "*.*.a.test", "a wildcard cannot stand here", "a wildcard is *. and a name" },
        { "*..a.test", "a wildcard cannot stand here", "an empty label" },
        { "*.", "a wildcard cannot stand here", "it has no dot" },
        { "a.*.test", "a wildcard is *. and a name", "a wildcard is *. and a name" },
        { "a*.test", "a wildcard is *. and a name", "a wildcard is *. and a name" },
        { "", "it has no dot", "it has no dot" },
        { ".", "an empty label", "an empty label" },
        { "test", "it has no dot", "it has no dot" },
        { ".a.test", "an empty label", "an empty label" },
        { "a..test", "an empty label", "an empty label" },
        { "a.test.", "an empty label", "an empty label" },
        { "localhost.", "an empty label", "an empty label" },
        { "-a.test", "begins or ends with -", "begins or ends with -" },
        { "a-.test", "begins or ends with -", "begins or ends with -" },
        { "a.-", "begins or ends with -", "begins or ends with -" },
        { "A.test", "only a-z", "only a-z" },
        { "a.tesT", "only a-z", "only a-z" },
        { "a b.test", "only a-z", "only a-z" },
        { "a.test:443", "only a-z", "only a-z" },
        { "a.test/", "only a-z", "only a-z" },
        { "a,b.test", "only a-z", "only a-z" },
        { "b\303\274cher.test", "xn--", "xn--" },
        { "[::1].test", "only a-z", "only a-z" },
        { L63 ".test", "longer than 63", "longer than 63" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int form = DOMAIN_EXACT; form <= DOMAIN_WILDCARD; form++) {
            const char *why = form == DOMAIN_WILDCARD ? rows[i].wildcard : rows[i].exact;
            struct err e = { 0 };

            if (domain_check(rows[i].text, (enum domain_form)form, &e) != (why ? -1 : 0) ||
                (why && (e.code != ERR_INPUT || !strstr(e.text, why) || !strstr(e.text, rows[i].text))))
                fail_msg("%s (form %d): %s", rows[i].text, form, e.text);
            assert_int_equal(domain_check(rows[i].text, (enum domain_form)form, NULL), why ? -1 : 0);
        }
}

static void test_what_a_site_can_be_called(void **state)
{
    static const struct {
        const char *text, *why; /* part of the reason; NULL: it is well */
        bool address;
    } rows[] = {
        { "a.test", NULL, false },
        { "*.a.test", NULL, false },
        { "nas", NULL, false },
        { "localhost", NULL, false },
        { "xn--zrich-kva", NULL, false },
        { "192.0.2.7", NULL, true },
        { "2001:db8::7", NULL, true },
        { "::1", NULL, true },
        { "*.nas", "it has no dot", false },
        { "*", "a wildcard is *. and a name", false },
        { "*.0.2.7", "it ends with a number", false },
        { "7", "it ends with a number", false },
        { "192.0.2.007", "it ends with a number", false },
        { "192.0.2.256", "it ends with a number", false },
        { "2001:DB8::7", "write 2001:db8::7", true },
        { "2001:db8:0::7", "write 2001:db8::7", true },
        { "::ffff:192.0.2.7", "write 192.0.2.7", true },
        { "[::1]", "only a-z", false },
        { "192.0.2.7:443", "only a-z", false },
        { "Nas", "only a-z", false },
        { "", "an empty label", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err e = { 0 };

        if (domain_check(rows[i].text, DOMAIN_SITE, &e) != (rows[i].why ? -1 : 0) ||
            (rows[i].why && !strstr(e.text, rows[i].why)))
            fail_msg("%s: %s", rows[i].text, e.text);
        assert_int_equal(domain_is_address(rows[i].text), rows[i].address);
    }
}

/* A name of n characters: labels of at most 63, and dots between. */
static const char *name_of(size_t n, char out[300])
{
    memset(out, 'x', n);
    out[n] = 0;
    for (size_t i = 63; i + 1 < n; i += 64)
        out[i] = '.';
    return out;
}

static void test_lengths(void **state)
{
    char name[300], out[DOMAIN_BYTES], dotted[301];

    (void)state;
    assert_int_equal(domain_check(L63 + 1, DOMAIN_EXACT, NULL), -1); /* no dot */
    memcpy(dotted, L63 ".test", sizeof L63 ".test");
    assert_int_equal(domain_check(dotted + 1, DOMAIN_EXACT, NULL), 0); /* 63 in a label */
    assert_int_equal(domain_check(name_of(253, name), DOMAIN_EXACT, NULL), 0);
    assert_true(domain_normalize(str_of(name), out));
    assert_string_equal(out, name);
    memcpy(dotted, name, 253);
    memcpy(dotted + 253, ".", 2);
    assert_true(domain_normalize(str_of(dotted), out));
    assert_string_equal(out, name);
    assert_int_equal(domain_check(name_of(254, name), DOMAIN_EXACT, NULL), -1);
    assert_false(domain_normalize(str_of(name), out));
    name_of(253, name);
    memcpy(name, "*.", 2);
    assert_int_equal(domain_check(name, DOMAIN_WILDCARD, NULL), 0);
}

static void test_normalize(void **state)
{
    static const struct {
        struct str in;
        const char *out; /* NULL: it cannot be a name */
    } rows[] = {
        { { "a.test", 6 }, "a.test" },
        { { "A.TeSt", 6 }, "a.test" },
        { { "a.test.", 7 }, "a.test" },
        { { "A.TEST.", 7 }, "a.test" },
        { { "a.test..", 8 }, "a.test." }, /* which no site is called */
        { { "a.testx", 6 }, "a.test" },   /* no NUL behind it */
        { { "AZaz09-_@[`{", 12 }, "azaz09-_@[`{" },
        { { "[::1]", 5 }, "::1" },
        { { "[2001:DB8:0:0::7]", 17 }, "2001:db8::7" },
        { { "[::1", 4 }, NULL },
        { { "[192.0.2.7]", 11 }, NULL },
        { { "[]", 2 }, "[]" }, /* which no site is called */
        { { "[x]", 3 }, NULL },
        { { "[::1%eth0]", 10 }, NULL },
        { { "192.0.2.7", 9 }, "192.0.2.7" },
        { { "\303\204.test", 7 }, "xn--4ca.test" },
        { { "\303", 1 }, NULL },
        { { ".", 1 }, NULL },
        { { "", 0 }, NULL },
        { { "a.test\0", 7 }, NULL },
        { { "a.test\0.b.test", 14 }, NULL },
        { { "\0", 1 }, NULL },
    };
    char out[DOMAIN_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool is = domain_normalize(rows[i].in, out);

        if (is != (rows[i].out != NULL) || (is && strcmp(out, rows[i].out) != 0))
            fail_msg("row %zu, %s: %s", i, rows[i].in.p, is ? out : "no name");
    }
}

static void test_matches(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } rows[] = {
        { "a.test", "a.test", true },       { "a.test", "b.test", false },
        { "a.test", "x.a.test", false },    { "a.test", "a.tes", false },
        { "*.a.test", "x.a.test", true },   { "*.a.test", "*.a.test", true },
        { "*.a.test", "a.test", false },    { "*.a.test", ".a.test", false },
        { "*.a.test", "xa.test", false },   { "*.a.test", "x.y.a.test", false },
        { "*.a.test", "x.ba.test", false }, { "*.a.test", "x.a.test.b", false },
        { "*.a.test", "x", false },         { "*.a.test", "", false },
        { "x.a.test", "*.a.test", false },  { "*.a.test", "*.x.a.test", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (domain_matches(rows[i].pattern, rows[i].name) != rows[i].matches)
            fail_msg("%s and %s", rows[i].pattern, rows[i].name);
}

static void test_the_other_name(void **state)
{
    static const struct {
        const char *name, *other;
    } rows[] = {
        { "a.test", "www.a.test" },       { "www.a.test", "a.test" }, { "www.www.a.test", "www.a.test" },
        { "wwwa.test", "www.wwwa.test" }, { "*.a.test", NULL },
    };
    char other[DOMAIN_BYTES + 4], longest[DOMAIN_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(domain_other_www(rows[i].name, other), rows[i].other != NULL);
        if (rows[i].other)
            assert_string_equal(other, rows[i].other);
    }
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_true(domain_other_www(longest, other));
    assert_int_equal(strlen(other), DOMAIN_BYTES - 1 + 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),   cmocka_unit_test(test_what_a_site_can_be_called),
        cmocka_unit_test(test_lengths), cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_matches), cmocka_unit_test(test_the_other_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
