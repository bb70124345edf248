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

static void test_as_configured_and_changed(void **state)
{
    const char *const one[] = { "192.0.2.7" }, *const two[] = { "192.0.2.7", "2001:db8::7" };
    struct publish p = { 0 }, theirs;

    (void)state;
    assert_true(publish_follow(&p, &(struct opt_words){ 1, one }));
    assert_false(publish_follow(&p, &(struct opt_words){ 1, one }));
    assert_true(publish_follow(&p, &(struct opt_words){ 2, two }));
    assert_true(publish_follow(&p, &(struct opt_words){ 1, one }));
    assert_string_equal(p.list[0], "192.0.2.7");
    publish_for(&theirs, &p, "5.5.5.5");
    assert_int_equal(theirs.n, 1);
    assert_string_equal(theirs.list[0], "192.0.2.7");
}

/* What a provider's NAT hides, only whoever came by it knows. */
static void test_behind_nat(void **state)
{
    struct publish p = { .found = true }, theirs;

    (void)state;
    publish_for(&theirs, &p, "5.5.5.5");
    assert_int_equal(theirs.n, 1);
    assert_string_equal(theirs.list[0], "5.5.5.5");
    publish_for(&theirs, &p, "2a00::5");
    assert_int_equal(theirs.n, 1);
    for (size_t i = 0; i < 5; i++) {
        static const char *const none[] = { "", "10.0.0.1", "127.0.0.1", "fd00::1", "relay.example.net" };

        publish_for(&theirs, &p, none[i]);
        assert_int_equal(theirs.n, 0);
    }
    p.n = 1;
    p.list[0] = strcpy(p.texts[0], "2a00::1");
    publish_for(&theirs, &p, "5.5.5.5");
    assert_int_equal(theirs.n, 2);
    assert_string_equal(theirs.list[0], "5.5.5.5");
    assert_string_equal(theirs.list[1], "2a00::1");
    publish_for(&theirs, &p, "2a00::5"); /* another way to the same machine */
    assert_int_equal(theirs.n, 1);
    assert_string_equal(theirs.list[0], "2a00::1");
    strcpy(p.texts[0], "5.5.5.4");
    publish_for(&theirs, &p, "5.5.5.5");
    assert_int_equal(theirs.n, 1);
    assert_string_equal(theirs.list[0], "5.5.5.4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_configured),
        cmocka_unit_test(test_as_configured_and_changed),
        cmocka_unit_test(test_behind_nat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
