#include "agent/dns/relays.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define RELAY(name) \
    "[relay " name "]\nhost = a\nhost_key = ssh-ed25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"

static void configure(struct relays *r, const char *text, int64_t now_ms)
{
    struct opt_errors errors = { 0 };
    struct opt_conf *conf = opt_load_text(&agent_schema, "agent.ini", text, strlen(text), &errors);

    assert_non_null(conf);
    relays_set(r, conf, now_ms);
    opt_conf_free(conf);
}

/* One name, at a provider or set by hand, that leads to this address with this TTL. */
static struct dns_name *led_to(struct names *names, const char *account, const char *address, int64_t ttl_s)
{
    struct dns_name *n = name_new("a.test", "a.test", account);
    struct dns_rrset *there =
        strcmp(account, "manual") == 0 ? &n->public[NAME_V4] : &n->families[NAME_V4].have;

    assert_true(dns_rrset_add(there, str_of(address), NULL));
    there->ttl_s = ttl_s;
    n->families[NAME_V4].known = true; /* nothing is wanted */
    names_add(names, n);
    return n;
}

static void test_one_that_is_left(void **state)
{
    static const char *const addresses[] = { "192.0.2.1", "2001:db8::1" };
    struct relays r = { 0 };
    struct names names = { 0 };
    struct dns_name *n = led_to(&names, "p", "192.0.2.1", 60);

    (void)state;
    configure(&r, RELAY("a") RELAY("b"), 0);
    assert_int_equal(relays_left_ms(&r, "a", &names, 0), 0); /* it is not left at all */
    assert_true(relays_says(&r, "a", addresses, 2));
    configure(&r, RELAY("b"), 0);
    assert_int_equal(r.left_n, 1); /* b has said nothing */
    assert_int_equal(relays_left_ms(&r, "a", &names, 1000), RELAYS_IN_DNS);
    dns_rrset_drop(&n->families[NAME_V4].have, addresses[0]);
    assert_int_equal(relays_left_ms(&r, "a", &names, 2000), 65 * 1000);
    assert_true(
        dns_rrset_add(&n->families[NAME_V4].have, STR("192.0.2.1"), NULL)); /* somebody has put it back */
    assert_int_equal(relays_left_ms(&r, "a", &names, 3000), RELAYS_IN_DNS);
    dns_rrset_drop(&n->families[NAME_V4].have, addresses[0]);
    assert_int_equal(relays_left_ms(&r, "a", &names, 4000), 65 * 1000);
    assert_int_equal(relays_left_ms(&r, "a", &names, 4000 + 65 * 1000 - 1), 1);
    assert_int_equal(relays_left_ms(&r, "a", &names, 4000 + 65 * 1000), 0);
    assert_int_equal(r.left_n, 0);
    names_free(&names);
    relays_free(&r);
}

static void test_how_long_resolvers_keep_it(void **state)
{
    static const struct {
        const char *account, *address;
        int64_t ttl_s, left_s;
    } rows[] = {
        { "p", "192.0.2.1", -1, 305 },     /* the provider does not say */
        { "p", "192.0.2.1", 86400, 3605 }, /* nobody waits for a day */
        { "p", "192.0.2.9", 60, 0 },       /* the name never led there */
        { "manual", "192.0.2.1", 60, 65 }, /* as the public sees it */
    };
    static const char *const address = "192.0.2.1";

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct relays r = { 0 };
        struct names names = { 0 };

        led_to(&names, rows[i].account, rows[i].address, rows[i].ttl_s);
        configure(&r, RELAY("a"), 0);
        assert_true(relays_says(&r, "a", &address, 1));
        configure(&r, "", 0);
        assert_int_equal(relays_left_ms(&r, "a", &names, 1) == RELAYS_IN_DNS, rows[i].left_s > 0);
        names_free(&names);
        assert_int_equal(relays_left_ms(&r, "a", &names, 1), rows[i].left_s * 1000);
        relays_free(&r);
    }
}

static void test_what_stays_is_not_waited_for(void **state)
{
    static const char *const address = "192.0.2.1";

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct relays r = { 0 };
        struct names names = { 0 };
        struct name_family *f = &led_to(&names, "p", address, 60)->families[NAME_V4];

        configure(&r, RELAY("a"), 0);
        assert_true(relays_says(&r, "a", &address, 1));
        configure(&r, "", 0);
        if (i == 0)
            f->known = false; /* it was the only one: DNS stays as it is */
        else
            assert_true(
                dns_rrset_add(&f->want, str_of(address), NULL)); /* another one has the same address */
        assert_int_equal(relays_left_ms(&r, "a", &names, 1), 0);
        names_free(&names);
        relays_free(&r);
    }
}

/* The only relay is replaced at once: until the new one has said what to publish, visitors have none but the old one. */
static void test_one_that_is_replaced(void **state)
{
    static const char *const address = "192.0.2.1";
    struct relays r = { 0 };
    struct names names = { 0 };
    struct name_family *f = &led_to(&names, "p", address, 60)->families[NAME_V4];

    (void)state;
    configure(&r, RELAY("a"), 0);
    assert_true(relays_says(&r, "a", &address, 1));
    configure(&r, RELAY("b"), 0);
    f->known = false;
    assert_int_equal(relays_left_ms(&r, "a", &names, 1000), RELAYS_IN_DNS);
    f->known = true;
    assert_int_equal(relays_left_ms(&r, "a", &names, 2000), RELAYS_IN_DNS);
    dns_rrset_drop(&f->have, address);
    assert_int_equal(relays_left_ms(&r, "a", &names, 3000), 65 * 1000);
    names_free(&names);
    relays_free(&r);
}

static void test_one_that_is_back(void **state)
{
    static const char *const address = "192.0.2.1";
    struct relays r = { 0 };

    (void)state;
    configure(&r, RELAY("a"), 0);
    assert_true(relays_says(&r, "a", &address, 1));
    configure(&r, "", 0);
    assert_int_equal(r.left_n, 1);
    configure(&r, RELAY("a"), 0);
    assert_int_equal(r.left_n, 0);
    assert_true(r.list[0].known); /* its lanes may be the same still, and say nothing anew */
    assert_true(dns_rrset_has(&r.list[0].publish[NAME_V4], address));
    relays_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_that_is_left),
        cmocka_unit_test(test_how_long_resolvers_keep_it),
        cmocka_unit_test(test_what_stays_is_not_waited_for),
        cmocka_unit_test(test_one_that_is_replaced),
        cmocka_unit_test(test_one_that_is_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
