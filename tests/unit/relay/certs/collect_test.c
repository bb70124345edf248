#include "relay/certs/collect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_alternates(void **state)
{
    static const struct {
        const char *field, *urls; /* with a blank behind each */
    } rows[] = {
        { "<https://c/1>;rel=\"alternate\"", "https://c/1 " },
        { "<https://c/1>; title=\"a, b; <x>\"; REL=Alternate", "https://c/1 " },
        { "<https://c/d>;rel=\"index\", <https://c/1,2>;rel=\"alternate\",<https://c/3>;rel=\"alternate\"",
          "https://c/1,2 https://c/3 " },
        { "<https://c/d>;rel=\"index\"", "" },
        { "<https://c/alternate>", "" },
        { "<https://c/1", "" },
        { "https://c/1;rel=\"alternate\"", "" },
        { "<>;rel=\"alternate\"", " " },
        { "<https://c/1>;title=\"rel=alternate\"", "" },
        { "", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str field = str_of(rows[i].field), url;
        struct buf found = { 0 };

        while ((url = collect_next_alternate(&field)).p)
            buf_printf(&found, "%.*s ", STR_ARG(url));
        assert_string_equal(buf_text(&found), rows[i].urls);
        buf_free(&found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alternates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
