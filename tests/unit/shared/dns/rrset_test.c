#include "shared/dns/rrset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_values_are_canonical(void **state)
{
    static const struct {
        enum dns_type type;
        const char *in, *out; /* NULL: refused */
    } rows[] = {
        { DNS_TYPE_A, "192.0.2.1", "192.0.2.1" },
        { DNS_TYPE_A, "192.0.2.256", NULL },
        { DNS_TYPE_A, "192.0.2.01", NULL },
        { DNS_TYPE_A, "2001:db8::1", NULL },
        { DNS_TYPE_A, "", NULL },
        { DNS_TYPE_A, "192.0.2.1 ", NULL },
        { DNS_TYPE_AAAA, "2001:DB8:0:0::1", "2001:db8::1" },
        { DNS_TYPE_AAAA, "2001:db8::1%eth0", NULL },
        { DNS_TYPE_TXT, "plain", "plain" },
        { DNS_TYPE_TXT, "\"quoted\"", "quoted" },
        { DNS_TYPE_TXT, "\"two\" \"pieces\"", "twopieces" },
        { DNS_TYPE_TXT, "\"a \\\"b\\\" \\\\c \\065\"", "a \"b\" \\c A" },
        { DNS_TYPE_TXT, "\"left open", NULL },
        { DNS_TYPE_TXT, "\"x\" y", NULL },
        { DNS_TYPE_TXT, "", "" },
        { DNS_TYPE_CNAME, "WWW.Example.org.", "www.example.org" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dns_rrset set;
        bool taken;

        dns_rrset_init(&set, "a.test", rows[i].type);
        taken = dns_rrset_add(&set, str_of(rows[i].in), NULL);
        if (taken != (rows[i].out != NULL))
            fail_msg("row %zu: %s", i, rows[i].in);
        if (taken)
            assert_string_equal(set.values[0].text, rows[i].out);
        dns_rrset_free(&set);
    }
}

static void test_ids_have_to_fit_into_a_url(void **state)
{
    static const char *const wrong[] = { "a/b", "..", "a b", "a?b", "a%2fb", "\303\274" };
    struct dns_rrset set;
    struct dns_zone zone;

    (void)state;
    dns_rrset_init(&set, "a.test", DNS_TYPE_A);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(dns_rrset_add(&set, STR("192.0.2.1"), wrong[i]));
        assert_false(dns_zone_set(&zone, STR("a.test"), wrong[i]));
    }
    assert_true(dns_rrset_add(&set, STR("192.0.2.1"), "372e67954025e0ba6aaa6d586b9e0b59"));
    dns_rrset_free(&set);
}

static void test_there_is_an_end(void **state)
{
    struct dns_rrset set, copy;
    char text[32];

    (void)state;
    dns_rrset_init(&set, "a.test", DNS_TYPE_A);
    for (int i = 0; i < DNS_VALUES; i++) {
        snprintf(text, sizeof text, "192.0.2.%d", i);
        assert_true(dns_rrset_add(&set, str_of(text), NULL));
        assert_true(dns_rrset_add(&set, str_of(text), NULL)); /* once, however often */
        assert_int_equal(set.n, i + 1);
        if (i + 1 == DNS_VALUES)
            break;
    }
    assert_false(dns_rrset_add(&set, STR("198.51.100.1"), NULL));
    dns_rrset_copy(&copy, &set);
    assert_true(dns_rrset_same(&copy, &set));
    dns_rrset_drop(&copy, "192.0.2.7");
    assert_int_equal(copy.n, DNS_VALUES - 1);
    assert_false(dns_rrset_has(&copy, "192.0.2.7") || dns_rrset_same(&copy, &set));
    dns_rrset_prune(&set, &copy);
    assert_true(dns_rrset_same(&copy, &set));
    dns_rrset_prune(&set, &(struct dns_rrset){ .n = 0 });
    assert_int_equal(set.n, 0);
    dns_rrset_free(&set);
    dns_rrset_free(&copy);
}

static void test_zones_and_names(void **state)
{
    char relative[DOMAIN_BYTES];
    struct dns_zone zone;

    (void)state;
    assert_true(dns_zone_set(&zone, STR("Example.ORG."), "7"));
    assert_true(dns_zone_has(&zone, "example.org") && dns_zone_has(&zone, "a.example.org"));
    assert_false(dns_zone_has(&zone, "anexample.org") || dns_zone_has(&zone, "org"));
    dns_relative(&zone, "example.org", "@", relative);
    assert_string_equal(relative, "@");
    dns_relative(&zone, "*.a.example.org", "@", relative);
    assert_string_equal(relative, "*.a");
    assert_true(dns_same_name("\\052.A.test.", "*.a.test") && dns_same_name("a.test", "a.test"));
    assert_false(dns_same_name("a.test", "b.test") || dns_same_name("a.test..", "a.test"));
}

static void test_txt_in_quotes(void **state)
{
    char text[600];
    struct buf out = { 0 };
    struct dns_rrset set;

    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        memset(text, n % 3 ? 'x' : '"', n);
        text[n] = 0;
        buf_take(&out, out.len);
        dns_txt_quote(&out, text);
        dns_rrset_init(&set, "a.test", DNS_TYPE_TXT);
        assert_true(dns_rrset_add(&set, (struct str){ buf_bytes(&out), out.len }, NULL));
        assert_string_equal(set.values[0].text, text);
        dns_rrset_free(&set);
    }
    buf_free(&out);
}

/* As zone files write targets. */
static void test_targets(void **state)
{
    static const struct {
        enum dns_type type;
        const char *text, *value; /* NULL: refused */
    } rows[] = {
        { DNS_TYPE_CNAME, "@", "example.org" },
        { DNS_TYPE_CNAME, "Web", "web.example.org" },
        { DNS_TYPE_CNAME, "a.b", "a.b.example.org" },
        { DNS_TYPE_CNAME, "Other.example.net.", "other.example.net" },
        { DNS_TYPE_ALIAS, "x.", "x" },
        { DNS_TYPE_CNAME, "", NULL },
        { DNS_TYPE_A, "192.0.2.1", "192.0.2.1" },
        { DNS_TYPE_A, "@", NULL },
        { DNS_TYPE_TXT, "@", "@" },
    };
    struct dns_zone zone;

    (void)state;
    assert_true(dns_zone_set(&zone, str_of("example.org"), NULL));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dns_rrset set;

        dns_rrset_init(&set, "www.example.org", rows[i].type);
        assert_int_equal(dns_rrset_add_target(&set, &zone, rows[i].text, NULL), rows[i].value != NULL);
        if (rows[i].value)
            assert_string_equal(set.values[0].text, rows[i].value);
        dns_rrset_free(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_canonical), cmocka_unit_test(test_ids_have_to_fit_into_a_url),
        cmocka_unit_test(test_there_is_an_end),      cmocka_unit_test(test_zones_and_names),
        cmocka_unit_test(test_txt_in_quotes),        cmocka_unit_test(test_targets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
