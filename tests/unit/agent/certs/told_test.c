/* What relays tell of certificates: kept for each name, shown with the site whose name or alias it is, and forgotten. */
#include "agent/certs/told.h"
#include "shared/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void tell(struct told *t, const char *relay, const char *item, const char *state, const char *why)
{
    const struct lane_msg m = { .type = LANE_CERT, .cert = { item, state, "2027-01-01T00:00:00Z", why } };

    told_cert(t, relay, &m);
}

/* "NAME RELAY STATE, " of each. */
static void assert_shown(const struct told *t, const char *site, const struct opt_words *aliases,
                         const char *expected)
{
    json_t *list = told_certs_status(t, site, aliases);
    const json_t *one;
    char text[256] = "";
    size_t i;

    json_array_foreach(list, i, one) snprintf(text + strlen(text), sizeof text - strlen(text), "%s %s %s, ",
                                              json_string_value(json_object_get(one, "name")),
                                              json_string_value(json_object_get(one, "relay")),
                                              json_string_value(json_object_get(one, "state")));
    assert_string_equal(text, expected);
    json_decref(list);
}

static const struct opt_words none = { 0 };
static const struct opt_words aliases = { 2, (const char *const[]){ "nas.test", "www.nas.test" } };

static void test_each_name_with_its_site(void **state)
{
    struct told t = { 0 };

    (void)state;
    tell(&t, "one", "domain:nas.lan", "waiting", "");
    tell(&t, "one", "domain:nas.test", "ordering", "");
    tell(&t, "two", "domain:nas.test", "failing", "no route");
    tell(&t, "one", "domain:other.test", "valid", "");
    tell(&t, "one", "tcp:nas.lan", "valid", "");
    tell(&t, "one", "domain:nas.lan", "valid", "");
    assert_shown(&t, "nas.lan", &aliases, "nas.lan one valid, nas.test one ordering, nas.test two failing, ");
    assert_shown(&t, "nas.lan", &none, "nas.lan one valid, ");
    assert_shown(&t, "nas.lan", NULL, "nas.lan one valid, ");
    assert_shown(&t, "other.test", &none, "other.test one valid, ");
    told_free(&t);
}

static void test_none_is_nothing_to_show(void **state)
{
    struct told t = { 0 };

    (void)state;
    tell(&t, "one", "domain:a.test", "none", "");
    assert_int_equal(t.certs_n, 0);
    tell(&t, "one", "domain:a.test", "valid", "");
    tell(&t, "two", "domain:a.test", "valid", "");
    tell(&t, "one", "domain:a.test", "none", "");
    assert_shown(&t, "a.test", &none, "a.test two valid, ");
    told_free(&t);
}

static bool is_not_of_one(void *user, const char *relay, const char *item)
{
    (void)user;
    (void)item;
    return strcmp(relay, "one") != 0;
}

static void test_forgets_what_is_not_ours_and_keeps_no_more_than_it_may(void **state)
{
    struct told t = { 0 };
    char item[64];

    (void)state;
    for (int i = 0; i < TOLD_CERTS + 5; i++) {
        snprintf(item, sizeof item, "domain:n%d.test", i);
        tell(&t, i % 2 ? "one" : "two", item, "valid", "");
    }
    assert_int_equal(t.certs_n, TOLD_CERTS);
    tell(&t, "one", "domain:one-more.test", "none", "");
    assert_int_equal(t.certs_n, TOLD_CERTS);
    told_keep(&t, is_not_of_one, NULL);
    assert_int_equal(t.certs_n, TOLD_CERTS / 2);
    told_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_name_with_its_site),
        cmocka_unit_test(test_none_is_nothing_to_show),
        cmocka_unit_test(test_forgets_what_is_not_ours_and_keeps_no_more_than_it_may),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
