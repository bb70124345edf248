#include "relay/options.h"

#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/opt_walk.h"

static void test_the_table(void **state)
{
    (void)state;
    walk_schema(&relay_schema);
}

static void test_what_an_empty_file_means(void **state)
{
    struct buf text = { 0 };
    struct opt_conf *conf = walk_load(&relay_schema, &text);
    const struct daemon_conf *c = &relay_conf_of(conf)->base;

    (void)state;
    assert_int_equal(value_name(str_of(c->name), NULL), 0);
    assert_string_equal(c->state_dir, "/var/lib/tunnel-relay");
    assert_string_equal(c->control_socket, "/run/tunnel-relay/control.sock");
    assert_string_equal(c->log, "stderr");
    assert_string_equal(daemon_log_levels[c->log_level], "info");
    assert_true(c->drain_ms == 10000);
    opt_conf_free(conf);
}

static void test_what_a_file_says(void **state)
{
    struct buf text = { 0 };
    struct opt_conf *conf;
    const struct daemon_conf *c;

    (void)state;
    buf_add_text(&text, "[relay]\nname = fra1\nstate_dir = /s\ncontrol_socket = /c\nlog = /l\n"
                        "log_level = debug\ndrain = 2m\n");
    conf = walk_load(&relay_schema, &text);
    c = &relay_conf_of(conf)->base;
    assert_string_equal(c->name, "fra1");
    assert_string_equal(c->state_dir, "/s");
    assert_string_equal(c->control_socket, "/c");
    assert_string_equal(c->log, "/l");
    assert_string_equal(daemon_log_levels[c->log_level], "debug");
    assert_true(c->drain_ms == 120000);
    walk_dump(&relay_schema, conf);
    opt_conf_free(conf);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_what_an_empty_file_means),
        cmocka_unit_test(test_what_a_file_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
