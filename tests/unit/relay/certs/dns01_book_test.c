/* What is set in DNS is written down before, and is known to be left over after a start. */
#include "relay/certs/dns01_book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/temp.h"

static const struct dns01_entry one = { "_acme-challenge.a.test", "x.b.test", "bind", "first", false };
static const struct dns01_entry other = { "_acme-challenge.a.test", "x.b.test", "bind", "second", false };

static void test_a_start_finds_what_was_set(void **state)
{
    struct temp *t = *state;
    struct dns01_book b;
    struct dns01_entry v = { "_acme-challenge.a.test", "", "bind", "second", false };

    dns01_book_open(&b, t->folder);
    assert_int_equal(dns01_book_add(&b, &one, NULL), 0);
    assert_int_equal(dns01_book_add(&b, &other, NULL), 0);
    assert_int_equal(dns01_book_add(&b, &other, NULL), 0);
    assert_int_equal(b.n, 2);
    assert_int_equal(dns01_book_others(&b, &one), 1);
    assert_false(dns01_book_left(&b, 0, &v));
    dns01_book_find(&b, &v);
    assert_string_equal(v.target, "x.b.test");
    dns01_book_close(&b); /* as a kill leaves it */

    dns01_book_open(&b, t->folder);
    assert_int_equal(b.n, 2);
    assert_true(dns01_book_left(&b, 1, &v));
    assert_false(dns01_book_left(&b, 2, &v));
    assert_string_equal(v.provider, "bind");
    dns01_book_remove(&b, &one);
    dns01_book_close(&b);

    dns01_book_open(&b, t->folder);
    assert_int_equal(b.n, 1);
    assert_string_equal(b.list[0].value, "second");
    assert_int_equal(dns01_book_add(&b, &other, NULL), 0); /* it is needed again */
    assert_false(dns01_book_left(&b, 0, &v));
    dns01_book_leave(&b, &other);
    assert_true(dns01_book_left(&b, 0, &v));
    dns01_book_close(&b);
    assert_int_equal(temp_mode(temp_path(t, "dns01.json")), 0600);
}

static void test_what_cannot_be_read_is_none(void **state)
{
    static const char *const texts[] = { "", "{", "[]", "{\"v\":1,\"values\":[{\"name\":1}]}",
                                         "{\"v\":1,\"values\":{}}" };
    struct temp *t = *state;
    struct dns01_book b;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        temp_file(t, "dns01.json", texts[i], 0600);
        dns01_book_open(&b, t->folder);
        assert_int_equal(b.n, 0);
        dns01_book_close(&b);
    }
}

static void test_nothing_is_added_that_is_not_written_down(void **state)
{
    struct temp *t = *state;
    struct err why = { 0 };
    struct dns01_book b;

    dns01_book_open(&b, temp_path(t, "no/such/folder"));
    assert_int_equal(dns01_book_add(&b, &one, &why), -1);
    assert_non_null(strstr(why.text, "cannot be written down"));
    assert_int_equal(b.n, 0);
    dns01_book_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_start_finds_what_was_set, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_read_is_none, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_nothing_is_added_that_is_not_written_down, temp_make,
                                        temp_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
