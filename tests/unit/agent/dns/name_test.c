#include "agent/dns/name.h"

#include "shared/dns/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct dns_name *sample(void)
{
    struct dns_name *n = name_new("*.a.test", "a.test", "p");
    struct name_family *f = &n->families[NAME_V4];

    snprintf(n->zone, sizeof n->zone, "a.test");
    snprintf(n->zone_id, sizeof n->zone_id, "0123456789abcdef");
    f->seen = f->created = true;
    f->changed_s = 1790000000;
    f->have.ttl_s = 120;
    f->have.proxied = 1;
    assert_true(dns_rrset_add(&f->have, STR("192.0.2.1"), NULL) &&
                dns_rrset_add(&f->have, STR("192.0.2.2"), NULL));
    assert_true(dns_rrset_add(&f->made, STR("192.0.2.1"), NULL));
    return n;
}

static void test_what_is_remembered(void **state)
{
    struct dns_name *n = sample(), *again;
    json_t *json = name_to_json(n), *same;

    (void)state;
    again = name_of_json(json);
    assert_non_null(again);
    same = name_to_json(again);
    assert_true(json_equal(json, same));
    assert_true(again->families[NAME_V4].created && again->families[NAME_V4].have.proxied == 1);
    assert_false(again->families[NAME_V6].seen);
    json_decref(json);
    json_decref(same);
    name_free(n);
    name_free(again);
}

static void test_what_is_foreign_is_remembered(void **state)
{
    struct dns_name *n = sample(), *again;
    json_t *json;

    (void)state;
    n->families[NAME_V4].state = NAME_FOREIGN;
    snprintf(n->families[NAME_V4].why, NAME_WHY_BYTES, "a CNAME is in the way");
    assert_true(dns_rrset_add(&n->families[NAME_V4].tried, STR("192.0.2.9"), NULL));
    json = name_to_json(n);
    again = name_of_json(json);
    assert_int_equal(again->families[NAME_V4].state, NAME_FOREIGN);
    assert_true(dns_rrset_has(&again->families[NAME_V4].tried, "192.0.2.9"));
    again->families[NAME_V4].managed = again->families[NAME_V4].known = true;
    assert_true(dns_rrset_add(&again->families[NAME_V4].want, STR("192.0.2.9"), NULL));
    assert_false(name_differs(again, &dns_cloudflare)); /* nothing to try again */
    dns_rrset_free(&again->families[NAME_V4].want);
    assert_true(dns_rrset_add(&again->families[NAME_V4].want, STR("192.0.2.8"), NULL));
    assert_true(name_differs(again, &dns_cloudflare));
    json_decref(json);
    name_free(n);
    name_free(again);
}

static void test_what_is_not_of_that_shape(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"name\":\"a.test\",\"site\":\"a.test\",\"provider\":\"p\"}",
        "{\"name\":\"..\",\"site\":\"a.test\",\"provider\":\"p\",\"zone\":\"\",\"zone_id\":\"\"}",
        "{\"name\":\"a.test\",\"site\":\"a.test\",\"provider\":\"p\",\"zone\":\"\",\"zone_id\":\"\",\"A\":3}",
        "{\"name\":\"a.test\",\"site\":\"a.test\",\"provider\":\"p\",\"zone\":\"\",\"zone_id\":\"\",\"A\":{\"have\":[1]}}",
        "{\"name\":\"a.test\",\"site\":\"a.test\",\"provider\":\"p\",\"zone\":\"\",\"zone_id\":\"\",\"A\":{\"have\":"
        "[\"::1\"],\"made\":[]}}",
        "[]",
        "7",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *json = json_loads(texts[i], JSON_DECODE_ANY, NULL);

        assert_non_null(json);
        if (name_of_json(json))
            fail_msg("%s", texts[i]);
        json_decref(json);
    }
}

/* What a job has made of a name that nobody wants any longer is to be deleted, and nothing else of it. */
static void test_what_is_learnt_of_one_that_is_gone(void **state)
{
    struct dns_name *n = name_new("*.a.test", "a.test", "p"), *copy = sample();

    (void)state;
    name_take_leave(n);
    assert_false(name_differs(n, &dns_cloudflare));
    name_learn(n, copy);
    assert_true(n->families[NAME_V4].managed && !n->families[NAME_V6].managed);
    assert_true(n->families[NAME_V4].want.n == 0 && name_differs(n, &dns_cloudflare) && name_is_ours(n));
    copy->families[NAME_V4].created = false; /* there was a record before it */
    name_learn(n, copy);
    assert_false(n->families[NAME_V4].managed || name_differs(n, &dns_cloudflare));
    name_free(n);
    name_free(copy);
}

static void test_what_differs(void **state)
{
    const struct dns_provider *p = &dns_cloudflare;
    struct dns_name *n = sample();
    struct name_family *f = &n->families[NAME_V4];

    (void)state;
    assert_false(name_differs(n, p)); /* not managed */
    f->managed = true;
    assert_false(name_differs(n, p)); /* not known */
    f->known = true;
    assert_true(name_differs(n, p)); /* there shall be none */
    assert_true(dns_rrset_add(&f->want, STR("192.0.2.2"), NULL) &&
                dns_rrset_add(&f->want, STR("192.0.2.1"), NULL));
    assert_false(name_differs(n, p));
    f->want.ttl_s = 60;
    assert_false(name_differs(n, p)); /* a proxied record has a TTL of the provider's own */
    f->have.proxied = 0;
    assert_true(name_differs(n, p));
    f->want.ttl_s = 120;
    assert_false(name_differs(n, p));
    f->want.proxied = 1;
    assert_true(name_differs(n, p));
    name_free(n);
}

static void test_what_fits_a_zones_own_name(void **state)
{
    static const struct {
        const struct dns_provider *provider;
        const char *zone;
        size_t wanted, left_out;
    } rows[] = {
        { &dns_dynv6, "*.a.test", 1, 2 },        /* the name is its zone, whose addresses are told */
        { &dns_dynv6, "a.test", 3, 0 },          /* a record below it */
        { &dns_dynv6, "", 3, 0 },                /* not yet known */
        { &dns_digitalocean, "*.a.test", 3, 0 }, /* a record there as well */
        { &dns_noip, "*.a.test", 3, 0 },         /* no records: its own limit is another one's to keep */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dns_name *n = sample();
        struct name_family *f = &n->families[NAME_V4];

        snprintf(n->zone, sizeof n->zone, "%s", rows[i].zone);
        assert_true(dns_rrset_add(&f->want, STR("192.0.2.1"), NULL) &&
                    dns_rrset_add(&f->want, STR("192.0.2.2"), NULL) &&
                    dns_rrset_add(&f->want, STR("192.0.2.3"), NULL));
        name_fit(n, rows[i].provider);
        name_fit(n, rows[i].provider);
        assert_int_equal(f->want.n, rows[i].wanted);
        assert_int_equal(f->left_out, rows[i].left_out);
        assert_string_equal(f->want.values[0].text, "192.0.2.1");
        name_free(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_remembered),
        cmocka_unit_test(test_what_is_foreign_is_remembered),
        cmocka_unit_test(test_what_is_not_of_that_shape),
        cmocka_unit_test(test_what_is_learnt_of_one_that_is_gone),
        cmocka_unit_test(test_what_differs),
        cmocka_unit_test(test_what_fits_a_zones_own_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
