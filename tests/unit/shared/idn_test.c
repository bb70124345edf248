#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/idn.h"

/* The forms that browsers and the DNS use. */
static void test_names(void **state)
{
    static const struct {
        const char *name, *ascii;
    } rows[] = {
        { "bücher.example", "xn--bcher-kva.example" },
        { "BÜCHER.Example", "xn--bcher-kva.example" },
        { "*.bücher.example", "*.xn--bcher-kva.example" },
        { "www.münchen.de", "www.xn--mnchen-3ya.de" },
        { "faß.de", "xn--fa-hia.de" },
        { "例え.テスト", "xn--r8jz45g.xn--zckzah" },
        { "пример.испытание", "xn--e1afmkfd.xn--80akhbyknj4f" },
        { "Παράδειγμα.δοκιμή", "xn--hxajbheg2az3al.xn--jxalpdlp" },
        { "उदाहरण.example", "xn--p1b6ci4b4b3a.example" },
        { "ü", "xn--tda" },
        { "a.b", "a.b" },
        { "A-1.B", "a-1.b" },
        { "b\xc3\xbc"
          "cher.example.",
          "xn--bcher-kva.example." },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[DOMAIN_BYTES];
        struct err why = { 0 };
        int rc = idn_to_ascii(str_of(rows[i].name), out, &why);

        if (rc != 0 || strcmp(out, rows[i].ascii) != 0)
            fail_msg("%s: %s, not %s", rows[i].name, rc == 0 ? out : why.text, rows[i].ascii);
    }
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *name, *why;
    } rows[] = {
        { "b\xfc"
          "cher.example",
          "is not UTF-8" },
        { "bu\xcc\x88"
          "cher.example",
          "as one character (NFC)" },
        { "b\xc3\xbc"
          "cher_.example",
          "stands in no host name" },
        { "\xe2\x80\xae"
          "a.example",
          "stands in no host name" }, /* right to left from here on */
        { "\xef\xbb\xbf"
          "a.example",
          "stands in no host name" },
        { "a\xe3\x80\x82"
          "b.example",
          "stands in no host name" }, /* an ideographic full stop */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[DOMAIN_BYTES];
        struct err why = { 0 };

        assert_int_equal(idn_to_ascii(str_of(rows[i].name), out, &why), -1);
        if (!strstr(why.text, rows[i].why))
            fail_msg("row %zu: said %s, not %s", i, why.text, rows[i].why);
    }
}

static void test_lengths(void **state)
{
    char out[DOMAIN_BYTES], name[600] = "";
    struct err why = { 0 };

    (void)state;
    for (int i = 0; i < 50; i++)
        strcat(name, "ü");
    assert_int_equal(idn_to_ascii(str_of(name), out, &why), 0);
    strcat(name, "abcdefgh");
    assert_int_equal(idn_to_ascii(str_of(name), out, &why), -1);
    name[0] = 0;
    for (int i = 0; i < 30; i++)
        strcat(name, "ü.");
    assert_int_equal(idn_to_ascii(str_of(name), out, &why), 0);
    for (int i = 0; i < 6; i++)
        strcat(name, "ü.");
    assert_int_equal(idn_to_ascii(str_of(name), out, &why), -1);
}

static void test_who_needs_it(void **state)
{
    (void)state;
    assert_true(idn_is_needed(STR("bücher.example")));
    assert_false(idn_is_needed(STR("xn--bcher-kva.example")));
    assert_false(idn_is_needed(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_who_needs_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
