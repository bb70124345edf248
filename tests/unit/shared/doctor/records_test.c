#include "shared/doctor/records.h"

#include "tests/unit/fault_table.h"

static void judge(struct steps *s, const json_t *facts)
{
    const struct records r = { .name = "a.com",
                               .type = fact_text(facts, "type"),
                               .holder = fact_text(facts, "holder"),
                               .wanted = json_object_get(facts, "wanted"),
                               .found = json_object_get(facts, "found"),
                               .through = json_object_get(facts, "through") };

    records_judge(s, &r);
}

#define A    "{\"type\": \"A\", \"wanted\": [\"192.0.2.1\"], "
#define AAAA "{\"type\": \"AAAA\", \"wanted\": [], "

static void test_well(void **state)
{
    (void)state;
    check_state(judge, A "\"found\": [\"192.0.2.1\"]}", STEP_PASS);
    check_state(judge, AAAA "\"found\": []}", STEP_PASS);
    check_state(judge, "{\"type\": \"A\", \"found\": [\"192.0.2.9\"]}",
                STEP_PASS); /* nobody says what it should be */
    check_state(judge, "{\"type\": \"A\", \"found\": [\"192.0.2.9\"], \"through\": [\"192.0.2.9\"]}",
                STEP_PASS);
}

static void test_faults(void **state)
{
    static const struct fault rows[] = {
        { "DNS at the wrong address", A "\"holder\": \"manual\", \"found\": [\"192.0.2.9\"]}", "DNS",
          STEP_FAIL, "a.com is at the wrong address: its A record says 192.0.2.9, and it should be 192.0.2.1",
          "set at your DNS provider: a.com A 192.0.2.1" },
        { "the same with a provider", A "\"holder\": \"cf\", \"found\": [\"192.0.2.9\"]}", "DNS", STEP_FAIL,
          "wrong address", "tunnelctl dns sync" },
        { "one of two", A "\"found\": [\"192.0.2.1\", \"192.0.2.9\"]}", "DNS", STEP_FAIL, "192.0.2.9",
          "a.com A 192.0.2.1" },
        { "no record", A "\"found\": []}", "DNS", STEP_FAIL, "a.com has no A record", "a.com A 192.0.2.1" },
        { "DNS proxied", A "\"found\": [\"104.16.1.1\"]}", "DNS", STEP_WARN,
          "a.com is proxied: its A record 104.16.1.1 is an address of Cloudflare", "proxied = off" },
        { "proxied by anybody", A "\"found\": [\"192.0.2.9\"], \"through\": [\"192.0.2.9\"]}", "DNS",
          STEP_WARN, "a.com is proxied: its A record 192.0.2.9 is a proxy or a load balancer",
          "trusted_proxies" },
        { "proxied by IPv6", AAAA "\"found\": [\"2606:4700::1\"]}", "DNS", STEP_WARN, "is proxied",
          "proxied = off" },
        { "proxied, nobody says what it should be", "{\"type\": \"A\", \"found\": [\"172.64.0.1\"]}", "DNS",
          STEP_WARN, "is proxied", "proxied = off" },
        { "stale AAAA", AAAA "\"found\": [\"2001:db8::9\"]}", "DNS", STEP_FAIL,
          "a.com has a stale AAAA record: it leads to 2001:db8::9",
          "delete the AAAA record 2001:db8::9 of a.com" },
    };

    (void)state;
    check_faults(judge, rows, sizeof rows / sizeof rows[0]);
}

static void test_networks_of_proxies(void **state)
{
    (void)state;
    assert_string_equal(records_proxy("104.27.255.255"), "Cloudflare");
    assert_string_equal(records_proxy("2a06:98c7::1"), "Cloudflare");
    assert_null(records_proxy("104.28.0.0"));
    assert_null(records_proxy("192.0.2.1"));
    assert_null(records_proxy("a name"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_networks_of_proxies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
