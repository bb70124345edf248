#include "relay/lanes/port_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_words(void **state)
{
    static const struct {
        const char *word;
        int first, last; /* 0: refused */
    } rows[] = {
        { "1", 1, 1 },       { "65535", 65535, 65535 },
        { "80-80", 80, 80 }, { "8000-8100", 8000, 8100 },
        { "0", 0, 0 },       { "65536", 0, 0 },
        { "1-65536", 0, 0 }, { "0-5", 0, 0 },
        { "6-5", 0, 0 },     { "-", 0, 0 },
        { "-5", 0, 0 },      { "5-", 0, 0 },
        { "a", 0, 0 },       { "1-b", 0, 0 },
        { "1-2-3", 0, 0 },   { "", 0, 0 },
        { "1 -2", 0, 0 },    { "0x10", 0, 0 },
        { "+1", 0, 0 },      { ":80", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint16_t first = 0, last = 0;
        struct err why = { 0 };
        int rc = port_list_read(str_of(rows[i].word), &first, &last, &why);

        if (rc != (rows[i].first ? 0 : -1) || (rc == 0 && (first != rows[i].first || last != rows[i].last)))
            fail_msg("%s: %d, %u to %u", rows[i].word, rc, first, last);
        assert_int_equal(rc != 0, why.text[0] != 0);
    }
}

static void test_has(void **state)
{
    static const char *const words[] = { "22", "8000-8002", "65535" };
    static const struct opt_words list = { 3, words }, none = { 0, NULL };
    static const unsigned in[] = { 22, 8000, 8001, 8002, 65535 }, out[] = { 1, 21, 23, 7999, 8003, 65534 };

    (void)state;
    for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
        assert_true(port_list_has(&list, in[i]));
        assert_false(port_list_has(&none, in[i]));
    }
    for (size_t i = 0; i < sizeof out / sizeof *out; i++)
        assert_false(port_list_has(&list, out[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_words), cmocka_unit_test(test_has) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
