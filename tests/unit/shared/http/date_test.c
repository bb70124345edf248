#include "shared/http/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_dates(void **state)
{
    static const struct {
        time_t at;
        const char *line;
    } rows[] = {
        { 0, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n" },
        { 784111777, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" }, /* the example of RFC 9110 */
        { 951782400, "Date: Tue, 29 Feb 2000 00:00:00 GMT\r\n" },
        { 2147483648, "Date: Tue, 19 Jan 2038 03:14:08 GMT\r\n" },
        { 4102444799, "Date: Thu, 31 Dec 2099 23:59:59 GMT\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = { 0 };

        http_date_add(&out, rows[i].at);
        assert_string_equal(buf_text(&out), rows[i].line);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_dates) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
