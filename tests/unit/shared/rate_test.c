#include "shared/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static void test_rates_are_read_and_printed(void **state)
{
    static const struct {
        const char *text, *printed;
        struct rate rate;
        uint64_t every_ns;
    } rows[] = {
        { "10/s", "10/s", { 10, 1, 10 }, 100000000 },
        { " 10/s ", "10/s", { 10, 1, 10 }, 100000000 },
        { "300/m", "300/m", { 300, 60, 300 }, 200000000 },
        { "1/m", "1/m", { 1, 60, 1 }, 60000000000 },
        { "1000000/s", "1000000/s", { 1000000, 1, 1000000 }, 1000 },
        { "10/s burst 20", "10/s burst 20", { 10, 1, 20 }, 100000000 },
        { "10/s \t burst  10", "10/s", { 10, 1, 10 }, 100000000 },
        { "1/m burst 1000000", "1/m burst 1000000", { 1, 60, 1000000 }, 60000000000 },
        { "off", "off", { 0, 0, 0 }, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf out = { 0 };
        struct rate rate;

        assert_int_equal(rate_read(str_of(rows[i].text), &rate, NULL), 0);
        assert_memory_equal(&rate, &rows[i].rate, sizeof rate);
        if (rate.times > 0)
            assert_int_equal(rate_every_ns(&rate), rows[i].every_ns);
        rate_print(&out, &rate);
        assert_string_equal(buf_text(&out), rows[i].printed);
        buf_free(&out);
    }
}

static void test_what_is_no_rate(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "10",
        "/s",
        "10/",
        "10/h",
        "s",
        "0/s",
        "-1/s",
        "1.5/s",
        "1000001/s",
        "99999999999999999999/s",
        "10/s burst",
        "10/s 20",
        "10/s b 2",
        "10/s burst 0",
        "10/s burst 1000001",
        "10/s burst 2 3",
        "off burst 2",
        "10 /s",
        "10r/s",
        "on",
        "off off",
        "+1/s",
        "10/S",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err why = { 0 };
        struct rate rate;

        print_message("%s\n", rows[i]);
        assert_int_equal(rate_read(str_of(rows[i]), &rate, &why), -1);
        assert_int_equal(why.code, ERR_INPUT);
        assert_non_null(strstr(why.text, "not a rate (such as 10/s, 300/m or 10/s burst 20), or off"));
    }
    assert_int_equal(rate_read((struct str){ "10/s\0 burst 2", 13 }, &(struct rate){ 0 }, NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rates_are_read_and_printed),
                                        cmocka_unit_test(test_what_is_no_rate) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
