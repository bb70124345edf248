#include "shared/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/shared/address_of.h"

static void test_sources(void **state)
{
    static const struct {
        const char *text, *printed;
        uint64_t key;
    } rows[] = {
        { "192.0.2.7", "192.0.2.7", 0xffff0000c0000207 },
        { "::ffff:192.0.2.7", "192.0.2.7", 0xffff0000c0000207 },
        { "2001:db8:1:2::7", "2001:db8:1:2::7", 0x20010db800010002 },
        { "2001:db8:1:2:ffff::", "2001:db8:1:2:ffff::", 0x20010db800010002 },
        { "2001:db8:1:3::7", "2001:db8:1:3::7", 0x20010db800010003 },
        { "::1", "::1", 0 },
        { "", "local", UINT64_MAX },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct sockaddr_storage addr = address_of(rows[i].text);
        char text[SOURCE_TEXT_BYTES];

        source_print(&addr, text);
        assert_string_equal(text, rows[i].printed);
        assert_true(source_key(&addr) == rows[i].key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_sources) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
