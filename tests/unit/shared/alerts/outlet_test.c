/* Deliveries by a program: in order, again when it fails, given up in the end, and what a stop leaves. */
#include "shared/alerts/outlet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "shared/log.h"
#include "tests/unit/loop_fixture.h"

static const struct event_source source = { "agent", "pi" };

struct play {
    struct book book;
    struct outlet outlet;
    struct outlet_host host;
    uint64_t until; /* over once so much is done */
    bool over, ended;
    char folder[32], script[48], out[48];
};

static void on_changed(void *user)
{
    struct play *p = user;

    p->over = p->outlet.done_id >= p->until;
}

static void on_ended(void *user)
{
    struct play *p = user;

    p->ended = true;
}

static void write_script(const struct play *p, const char *body)
{
    FILE *file = fopen(p->script, "w");

    assert_non_null(file);
    fprintf(file, "#!/bin/sh\nout='%s'\n%s\n", p->out, body);
    assert_int_equal(fchmod(fileno(file), 0700), 0);
    fclose(file);
}

static void add(struct play *p, size_t n)
{
    struct event event;

    event_make(&event, EVENT_AGENT, "pi", EVENT_BAD, "", "", -1);
    for (size_t i = 0; i < n; i++)
        book_add(&p->book, &event);
}

static void start(struct play *p, struct loop *loop, const char *body)
{
    *p = (struct play){ .folder = "/tmp/outlet_test.XXXXXX" };
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->script, sizeof p->script, "%s/run", p->folder);
    snprintf(p->out, sizeof p->out, "%s/out", p->folder);
    write_script(p, body);
    p->host = (struct outlet_host){ on_changed, on_ended, p };
    log_set_level(LOG_ERROR);
    outlet_init(&p->outlet, loop, "on_event", &p->book, &p->host);
    outlet_set(&p->outlet, p->script, "", &source);
}

static void wait_for(struct play *p, struct loop *loop, uint64_t id)
{
    p->until = id;
    p->over = false;
    on_changed(p);
    loop_until(loop, &p->over);
}

static void finish(struct play *p, struct loop *loop, bool cut)
{
    outlet_stop(&p->outlet, cut);
    loop_until(loop, &p->ended);
    book_free(&p->book);
    unlink(p->script);
    unlink(p->out);
    assert_int_equal(rmdir(p->folder), 0);
}

static void assert_out(const struct play *p, const char *expected)
{
    char text[256] = "";
    FILE *file = fopen(p->out, "r");

    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    assert_string_equal(text, expected);
}

static json_int_t number(const struct play *p, const char *key)
{
    json_t *status = outlet_status(&p->outlet);
    json_int_t n = json_integer_value(json_object_get(status, key));

    json_decref(status);
    return n;
}

static void test_in_order(void **state)
{
    struct play p;

    start(&p, *state, "printf '%s ' $TUNNEL_EVENT_ID >>$out");
    add(&p, 3);
    outlet_poke(&p.outlet);
    add(&p, 2);
    outlet_poke(&p.outlet);
    assert_int_equal(number(&p, "pending"), 5);
    wait_for(&p, *state, 5);
    assert_out(&p, "1 2 3 4 5 ");
    assert_int_equal(number(&p, "delivered"), 5);
    assert_int_equal(number(&p, "pending"), 0);
    finish(&p, *state, false);
}

static void test_again_after_a_failure(void **state)
{
    struct play p;

    start(&p, *state, "printf '%s ' $TUNNEL_EVENT_ID >>$out; test $(wc -w <$out) != 1");
    add(&p, 2);
    outlet_poke(&p.outlet);
    wait_for(&p, *state, 1);
    assert_int_equal(number(&p, "delivered"), 1);
    wait_for(&p, *state, 2);
    assert_out(&p, "1 1 2 ");
    assert_null(p.outlet.last_error);
    finish(&p, *state, false);
}

static void test_given_up_in_the_end(void **state)
{
    struct play p;

    start(&p, *state, "printf '%s ' $TUNNEL_EVENT_ID >>$out; test $TUNNEL_EVENT_ID = 2");
    p.outlet.tries = OUTLET_TRIES - 1;
    add(&p, 2);
    outlet_poke(&p.outlet);
    wait_for(&p, *state, 1);
    assert_non_null(p.outlet.last_error);
    assert_int_equal(number(&p, "given_up"), 1);
    assert_int_equal(number(&p, "failed"), 1);
    wait_for(&p, *state, 2);
    assert_null(p.outlet.last_error);
    assert_out(&p, "1 2 ");
    finish(&p, *state, false);
}

static void test_another_program_is_tried_at_once(void **state)
{
    struct play p;
    char old[sizeof p.script];

    start(&p, *state, "printf x >>$out");
    memcpy(old, p.script, sizeof old);
    outlet_set(&p.outlet, "/nowhere/to/be/found", "", &source);
    add(&p, 1);
    p.outlet.tries = 3; /* the next time would be in ten minutes */
    outlet_poke(&p.outlet);
    while (!p.outlet.last_error)
        uv_run(&((struct loop *)*state)->uv, UV_RUN_ONCE);
    assert_non_null(strstr(p.outlet.last_error, "cannot be run"));
    outlet_set(&p.outlet, old, "", &source);
    assert_null(p.outlet.last_error); /* that was the other one's */
    wait_for(&p, *state, 1);
    assert_out(&p, "x");
    finish(&p, *state, false);
}

static void test_nobody_hears_of_before(void **state)
{
    struct play p;
    json_t *status;

    start(&p, *state, "printf '%s ' $TUNNEL_EVENT_ID >>$out");
    outlet_set(&p.outlet, "", "", &source);
    status = outlet_status(&p.outlet);
    assert_true(json_is_null(status));
    json_decref(status);
    add(&p, 3);
    outlet_poke(&p.outlet);
    outlet_set(&p.outlet, p.script, "", &source);
    add(&p, 1);
    outlet_poke(&p.outlet);
    wait_for(&p, *state, 4);
    assert_out(&p, "4 ");
    finish(&p, *state, false);
}

static void test_too_many(void **state)
{
    struct play p;

    start(&p, *state, "printf '%s ' $TUNNEL_EVENT_ID >>$out");
    add(&p, BOOK_KEPT + 7);
    p.outlet.done_id = 2; /* the others were before this start */
    p.until = 8;
    outlet_poke(&p.outlet);
    assert_int_equal(number(&p, "given_up"), 5);
    loop_until(*state, &p.over);
    outlet_stop(&p.outlet, true);
    finish(&p, *state, true);
}

static void test_a_stop_leaves_what_runs_or_kills_it(void **state)
{
    struct play p;

    start(&p, *state, "printf x >>$out; while [ ! -e $out.go ]; do sleep 0.05; done; rm $out.go");
    add(&p, 1);
    outlet_poke(&p.outlet);
    outlet_stop(&p.outlet, false);
    loop_settle(*state);
    assert_false(p.ended);
    {
        char go[64];

        snprintf(go, sizeof go, "%s.go", p.out);
        fclose(fopen(go, "w"));
    }
    loop_until(*state, &p.ended);
    assert_int_equal(p.outlet.done_id, 1);
    finish(&p, *state, false);

    start(&p, *state, "printf x >>$out; sleep 1000");
    add(&p, 1);
    outlet_poke(&p.outlet);
    outlet_stop(&p.outlet, true);
    loop_until(*state, &p.ended);
    assert_int_equal(p.outlet.done_id, 0); /* it is for the next start */
    finish(&p, *state, false);
}

static void test_waits(void **state)
{
    static const int64_t s[] = { 1, 1, 10, 60, 600, 600, 600 };

    (void)state;
    for (unsigned i = 0; i < sizeof s / sizeof *s; i++)
        assert_int_equal(outlet_wait_ms(i), s[i] * 1000);
    assert_int_equal(outlet_wait_ms(4000000000U), 600 * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_order, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_again_after_a_failure, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_given_up_in_the_end, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_another_program_is_tried_at_once, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_nobody_hears_of_before, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_too_many, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_a_stop_leaves_what_runs_or_kills_it, loop_make, loop_end),
        cmocka_unit_test(test_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
