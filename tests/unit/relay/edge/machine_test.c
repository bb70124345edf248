#include "relay/edge/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const char *health(const struct machine *m, const char *route, int64_t now_ms)
{
    static const char *const words[] = { "well", "trial", "ill" };

    return words[machine_health(m, "domain:a.test", route, now_ms)];
}

static void note_failed(struct machine *m, enum lane_service how, int64_t now_ms)
{
    machine_note_failed(m, "domain:a.test", "", how, now_ms);
}

static void tell(struct machine *m, enum lane_service how, int64_t now_ms)
{
    machine_begin_news(m);
    if (how != LANE_SERVICE_OK)
        machine_note_told(m, "domain:a.test", "", how, now_ms);
    machine_end_news(m);
}

static void go(struct machine *m, int64_t now_ms)
{
    machine_begin_trial_if_due(m, "domain:a.test", "", now_ms);
}

static void test_a_service_that_failed_is_tried_now_and_then(void **state)
{
    static const int64_t trials_ms[] = { 1000, 3000, 7000, 15000, 23000, 31000 };
    struct machine *m = machine_new("pi", "boot");

    (void)state;
    assert_string_equal(health(m, "", 0), "well");
    note_failed(m, LANE_SERVICE_REFUSED, 0);
    note_failed(m, LANE_SERVICE_REFUSED, 500); /* one that was under way */
    for (size_t i = 0; i < sizeof trials_ms / sizeof trials_ms[0]; i++) {
        go(m, trials_ms[i] - 1); /* it was chosen because there is nothing better */
        assert_string_equal(health(m, "", trials_ms[i] - 1), "ill");
        assert_string_equal(health(m, "", trials_ms[i]), "trial");
        go(m, trials_ms[i]);
        assert_string_equal(health(m, "", trials_ms[i]), "ill");
        note_failed(m, LANE_SERVICE_REFUSED, trials_ms[i] + 1);
    }
    assert_string_equal(health(m, "/api", 0), "well"); /* another service */
    machine_note_answered(m, "domain:a.test", "");
    assert_string_equal(health(m, "", 0), "well");
    note_failed(m, LANE_SERVICE_SILENT, 0);
    assert_string_equal(health(m, "", 29999), "ill");
    assert_string_equal(health(m, "", 30000), "trial");
    machine_free(m);
}

static void test_what_its_agent_says(void **state)
{
    struct machine *m = machine_new("pi", "boot");

    (void)state;
    tell(m, LANE_SERVICE_REFUSED, 0);
    assert_string_equal(health(m, "", 0), "ill");
    tell(m, LANE_SERVICE_REFUSED, 900); /* the same news with other ones */
    assert_string_equal(health(m, "", 1000), "trial");
    tell(m, LANE_SERVICE_OK, 1000);
    assert_string_equal(health(m, "", 0), "well");
    note_failed(m, LANE_SERVICE_REFUSED, 0);
    tell(m, LANE_SERVICE_OK, 10); /* it has yet to say what we have found out */
    assert_string_equal(health(m, "", 10), "ill");
    tell(m, LANE_SERVICE_REFUSED, 20);
    machine_note_answered(m, "domain:a.test", ""); /* now we know better than it has said */
    tell(m, LANE_SERVICE_REFUSED, 30);
    assert_string_equal(health(m, "", 30), "well");
    tell(m, LANE_SERVICE_SILENT, 40);
    assert_string_equal(health(m, "", 40), "ill");
    tell(m, LANE_SERVICE_OK, 50);
    assert_string_equal(health(m, "", 50), "well");
    assert_int_equal(m->doubts_n, 0);
    machine_free(m);
}

static void test_a_lost_stream_makes_suspicious_for_a_while(void **state)
{
    struct machine *m = machine_new("pi", "boot");

    (void)state;
    assert_false(machine_is_suspect(m, 0));
    machine_note_lost(m, 5);
    assert_true(machine_is_suspect(m, 5));
    assert_true(machine_is_suspect(m, 1004));
    assert_false(machine_is_suspect(m, 1005));
    machine_free(m);
}

static bool is_brisk_after(struct machine *m, unsigned done, uint64_t bytes, int64_t now_ms)
{
    for (unsigned i = 0; i < done; i++)
        machine_note_done(m, bytes, now_ms);
    return machine_is_brisk(m, now_ms);
}

static void test_many_short_requests_make_brisk(void **state)
{
    struct machine *m = machine_new("pi", "boot");

    (void)state;
    assert_false(is_brisk_after(m, 0, 0, 50));
    assert_false(is_brisk_after(m, 99, 16384, 99)); /* too early to tell */
    assert_true(is_brisk_after(m, 1, 16384, 100));
    assert_true(is_brisk_after(m, 98, 10, 199));
    assert_false(is_brisk_after(m, 1, 10, 200)); /* 99 in 100 ms */
    assert_false(is_brisk_after(m, 149, 10, 299));
    assert_true(is_brisk_after(m, 1, 10, 350));
    assert_true(is_brisk_after(m, 499, 10, 449));
    assert_true(is_brisk_after(m, 0, 0, 549));
    assert_false(is_brisk_after(m, 0, 0, 550));   /* nothing was rated since */
    assert_false(is_brisk_after(m, 1, 10, 5000)); /* a pause counts */
    machine_free(m);
}

static void test_many_long_requests_make_none(void **state)
{
    struct machine *m = machine_new("pi", "boot");

    (void)state;
    assert_false(is_brisk_after(m, 999, 16384, 99));
    assert_false(is_brisk_after(m, 1, 16385, 100));
    machine_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_service_that_failed_is_tried_now_and_then),
        cmocka_unit_test(test_what_its_agent_says),
        cmocka_unit_test(test_a_lost_stream_makes_suspicious_for_a_while),
        cmocka_unit_test(test_many_short_requests_make_brisk),
        cmocka_unit_test(test_many_long_requests_make_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
