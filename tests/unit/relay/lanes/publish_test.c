#include "relay/lanes/publish.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_what_is_configured(void **state)
{
    const char *const words[] = { "192.0.2.7", "2001:db8::7", "192.0.2.7" };
    const char *const names[] = { "192.0.2.7", "relay.example.net" };
    const char *const mixed[] = { "auto", "192.0.2.7" };
    const char *const alone[] = { "auto" };
    struct err e = { 0 };
    struct publish p;

    (void)state;
    publish_find(&p, &(struct opt_words){ 3, words });
    assert_int_equal(p.n, 2);
    assert_string_equal(p.list[0], "192.0.2.7");
    assert_string_equal(p.list[1], "2001:db8::7");
    assert_int_equal(publish_check(&(struct opt_words){ 3, words }, &e), 0);
    assert_int_equal(publish_check(&(struct opt_words){ 1, alone }, &e), 0);
    assert_int_equal(publish_check(&(struct opt_words){ 0, NULL }, &e), 0);
    assert_int_equal(publish_check(&(struct opt_words){ 2, names }, &e), -1);
    assert_non_null(strstr(e.text, "relay.example.net"));
    assert_int_equal(publish_check(&(struct opt_words){ 2, mixed }, &e), -1);
    publish_find(&p, &(struct opt_words){ 1, alone });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_configured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
