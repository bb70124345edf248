#include "relay/certs/meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const int64_t start = 1800000000;

static void fill(struct meta *m)
{
    const struct renewal_window window = { start + 500, start + 600 };
    struct meta_cert *cert = &m->certs[META_RSA];

    cert->there = true;
    meta_set(&cert->issuer, "zerossl");
    meta_set(&cert->directory, "https://acme.zerossl.com/v2/DV90");
    meta_set(&cert->origin, "ordered");
    cert->installed_at = start + 1;
    renewal_begin(&cert->renewal, start, start + 1000, 0);
    assert_int_equal(renewal_suggested(&cert->renewal, &window, 1U << 31, NULL), 1);
    cert->ari_next_look = start + 2;
    meta_set(&cert->ari_url, "https://example.net/why");
    renewal_failed(&m->retry, start + 3, RENEWAL_SOON, 0, 0);
    meta_set(&m->last_error, "it said \"no\"\xff");
    meta_order_began(m, "https://ca/order/1", "acme", "rsa2048", start + 4);
    meta_set(&m->configured, "x");
    assert_true(meta_leave_out(m, "www.a.com", "NXDOMAIN", start + 5));
    assert_true(meta_leave_out(m, "old.a.com", "refused", start + 6));
    assert_true(meta_leave_out(m, "www.a.com", "SERVFAIL", start + 7));
    meta_issuer_of(m, "acme")->failures = 3;
    meta_set(&meta_issuer_of(m, "acme")->last_error, "503");
    meta_issuer_of(m, "acme")->last_try = start + 8;
}

static void test_reads_what_it_has_written(void **state)
{
    struct meta m, again;
    json_t *doc, *twice;

    (void)state;
    meta_init(&m, "a.com");
    fill(&m);
    doc = meta_write(&m);
    meta_init(&again, "a.com");
    assert_int_equal(meta_read(&again, doc, NULL), 0);
    assert_false(again.certs[META_RSA].there); /* that comes from the files */
    again.certs[META_RSA].there = true;
    twice = meta_write(&again);
    assert_true(json_equal(doc, twice));
    assert_int_equal(again.certs[META_RSA].renewal.moment, start + 550);
    assert_int_equal(again.retry.next_try, start + 63);
    assert_string_equal(again.last_error, "it said \"no\"?");
    assert_string_equal(again.order.url, "https://ca/order/1");
    assert_int_equal(again.left_out_n, 2);
    assert_string_equal(again.left_out[0].why, "SERVFAIL");
    assert_int_equal(again.left_out[0].since, start + 5);
    json_decref(doc);
    json_decref(twice);
    meta_free(&m);
    meta_free(&again);
}

static void test_what_is_long_can_be_read_again(void **state)
{
    struct meta m, again;
    char *long_text = malloc(40001);
    json_t *doc;

    (void)state;
    memset(long_text, 'x', 40000);
    long_text[40000] = 0;
    long_text[999] = (char)0xc3; /* one character, over the place where it is cut */
    long_text[1000] = (char)0xa9;
    meta_init(&m, "a.com");
    assert_true(meta_leave_out(&m, "www.a.com", long_text, start));
    assert_int_equal(strlen(m.left_out[0].why), 999);
    meta_set(&m.configured, long_text); /* as it once was */
    doc = meta_write(&m);
    meta_init(&again, "a.com");
    assert_int_equal(meta_read(&again, doc, NULL), 0);
    assert_string_equal(again.configured, long_text);
    json_decref(doc);
    free(long_text);
    meta_free(&m);
    meta_free(&again);
}

static void test_a_person_can_read_it(void **state)
{
    struct meta m;
    json_t *doc;
    char *text;

    (void)state;
    meta_init(&m, "a.com");
    fill(&m);
    doc = meta_write(&m);
    text = json_dumps(doc, JSON_INDENT(2));
    assert_non_null(strstr(text, "\"renew_at\": \"2027-01-15T08:09:10Z\""));
    assert_non_null(strstr(text, "\"renew_why\": \"the authority suggests it\""));
    assert_non_null(strstr(text, "\"next_try\": \"2027-01-15T08:01:03Z\""));
    assert_non_null(strstr(text, "\"staging_passed\": null"));
    free(text);
    json_decref(doc);
    meta_free(&m);
}

static void test_orders_and_names_come_and_go(void **state)
{
    struct meta m;
    char name[16];

    (void)state;
    meta_init(&m, "a.com");
    fill(&m);
    meta_order_ended(&m);
    assert_null(m.order.url);
    assert_null(m.order.issuer);
    meta_take_back(&m, "nobody.com");
    assert_int_equal(m.left_out_n, 2);
    meta_take_back(&m, "www.a.com");
    assert_int_equal(m.left_out_n, 1);
    assert_string_equal(m.left_out[0].name, "old.a.com");
    for (unsigned i = 1; i < META_LEFT_OUT; i++) {
        snprintf(name, sizeof name, "n%u.a.com", i);
        assert_true(meta_leave_out(&m, name, "x", start));
    }
    assert_false(meta_leave_out(&m, "n100.a.com", "x", start));
    assert_true(meta_leave_out(&m, "n99.a.com", "y", start));
    meta_take_back(&m, NULL);
    assert_int_equal(m.left_out_n, 0);
    meta_free(&m);
}

static void test_the_authority_tried_longest_ago_gives_way(void **state)
{
    struct meta m;
    char name[16];

    (void)state;
    meta_init(&m, "a.com");
    for (unsigned i = 0; i < META_ISSUERS; i++) {
        snprintf(name, sizeof name, "ca%u", i);
        meta_issuer_of(&m, name)->last_try = start + (i == 5 ? -1 : (int)i);
    }
    assert_int_equal(m.issuers_n, META_ISSUERS);
    meta_issuer_of(&m, "new")->failures = 7;
    assert_int_equal(m.issuers_n, META_ISSUERS);
    assert_string_equal(m.issuers[5].issuer, "new");
    assert_int_equal(meta_issuer_of(&m, "new")->failures, 7);
    meta_free(&m);
}

/* The member of this name gets that value, and what then is wrong is told. */
static void test_says_what_it_does_not_take(void **state)
{
    static const struct {
        const char *member, *value, *why;
    } rows[] = {
        { "v", "2", "version 2" },
        { "certificates", "{}", "\"certificates\"" },
        { "certificates", "[1,2,3]", "\"certificates\"" },
        { "certificates", "[{}]", "\"key\" is missing" },
        { "certificates", "[{\"key\": \"rsa\"}]", "certificates, rsa" },
        { "failures", "-1", "\"failures\"" },
        { "failures", "null", "\"failures\"" },
        { "next_try", "5", "\"next_try\"" },
        { "next_try", "\"2026-11-21 03:24\"", "\"next_try\" is not a time" },
        { "left_out", "[{\"name\": \"a\"}]", "left_out" },
        { "issuers", "[{\"issuer\": \"a\", \"failures\": 4294967296}]", "issuers" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err e = { 0 };
        struct meta m, read;
        json_t *doc;

        meta_init(&m, "a.com");
        meta_init(&read, "a.com");
        fill(&m);
        doc = meta_write(&m);
        json_object_set_new(doc, rows[i].member, json_loads(rows[i].value, JSON_DECODE_ANY, NULL));
        assert_int_equal(meta_read(&read, doc, &e), -1);
        assert_non_null(strstr(e.text, rows[i].why));
        json_decref(doc);
        meta_free(&m);
        meta_free(&read);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_it_has_written),
        cmocka_unit_test(test_what_is_long_can_be_read_again),
        cmocka_unit_test(test_a_person_can_read_it),
        cmocka_unit_test(test_orders_and_names_come_and_go),
        cmocka_unit_test(test_the_authority_tried_longest_ago_gives_way),
        cmocka_unit_test(test_says_what_it_does_not_take),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
