/* Which of what is seen is told of: by a clock that only this test moves. */
#include "shared/alerts/damping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/buf.h"

enum { START_S = 1795836265, LOOK_S = 5 };

struct play {
    struct damping damping;
    int64_t s; /* since the start */
    struct buf told;
    struct event last;
};

static void on_told(void *user, const struct event *event)
{
    struct play *p = user;

    buf_printf(&p->told, "%s %s at %lld;", event->subject, event_state_text(event->kind, event->state),
               (long long)p->s);
    p->last = *event;
}

static void look(struct play *p, const struct troubles *seen)
{
    damping_look(&p->damping, seen, 1000000 + p->s * 1000, START_S + p->s, on_told, p);
    p->s += LOOK_S;
}

/* For so many seconds agent pi is like this; grade -1: it is not there; -2: nobody can say. */
static void pass(struct play *p, int grade, int64_t s)
{
    for (int64_t until = p->s + s; p->s < until;) {
        struct troubles seen = { 0 };

        if (grade != -1)
            troubles_add(&seen, &(struct trouble){ .kind = EVENT_AGENT,
                                                   .subject = "pi",
                                                   .grade = grade > 0 ? grade : 0,
                                                   .unsure = grade == -2,
                                                   .damp_ms = grade == 2 ? 0 : DAMPING_USUAL_MS,
                                                   .why = "why",
                                                   .remedy = "remedy" });
        look(p, &seen);
        troubles_free(&seen);
    }
}

static void assert_told(struct play *p, const char *expected)
{
    assert_string_equal(buf_text(&p->told), expected);
    buf_take(&p->told, p->told.len);
}

static void end(struct play *p)
{
    damping_free(&p->damping);
    buf_free(&p->told);
}

static void test_what_is_short_is_nothing(void **state)
{
    struct play p = { 0 };

    (void)state;
    pass(&p, 0, 30);
    for (int i = 0; i < 50; i++) {
        pass(&p, 1, 60); /* seen for 55 s */
        pass(&p, 0, 5);
    }
    assert_told(&p, "");
    end(&p);
}

static void test_down_and_up(void **state)
{
    struct play p = { 0 };

    (void)state;
    pass(&p, 0, 10);
    pass(&p, 1, 200);
    assert_told(&p, "pi down at 70;");
    assert_int_equal(p.last.since_s, START_S + 10);
    assert_string_equal(p.last.text, "agent pi is down: why");
    assert_string_equal(p.last.remedy, "remedy");
    pass(&p, 0, 100);
    assert_told(&p, "pi up at 220;");
    assert_int_equal(p.last.since_s, START_S + 210);
    assert_string_equal(p.last.text, "agent pi is up again, after 3m 30s");
    end(&p);
}

static void test_what_was_seen_earlier_counts_from_then(void **state)
{
    struct play p = { 0 };

    (void)state;
    for (int i = 0; i < 20; i++) {
        struct troubles seen = { 0 };

        troubles_add(&seen, &(struct trouble){ .kind = EVENT_AGENT,
                                               .subject = "pi",
                                               .grade = 1,
                                               .damp_ms = DAMPING_USUAL_MS,
                                               .since_s = START_S - 1000,
                                               .why = "",
                                               .remedy = "" });
        look(&p, &seen);
        troubles_free(&seen);
    }
    assert_told(&p, "pi down at 60;"); /* a start of ours is no reason to be faster */
    assert_int_equal(p.last.since_s, START_S - 1000);
    end(&p);
}

static void test_a_worse_grade_is_told_of_too(void **state)
{
    struct play p = { 0 };

    (void)state;
    pass(&p, 1, 100);
    pass(&p, 2, 100);
    pass(&p, 1, 100);
    assert_told(&p, "pi down at 60;pi down at 100;");
    pass(&p, 0, 100);
    assert_told(&p, "pi up at 340;"); /* the second was told within the hour */
    end(&p);
}

static size_t flap(struct play *p, int64_t down_s, int64_t up_s, int64_t for_s)
{
    size_t n;

    for (int64_t until = p->s + for_s; p->s < until;) {
        pass(p, 1, down_s);
        pass(p, 0, up_s);
    }
    n = buf_count(&p->told, ';');
    buf_take(&p->told, p->told.len);
    return n;
}

static void test_flapping_is_bounded(void **state)
{
    static const int64_t rows[][2] = { { 65, 15 },  { 65, 60 },   { 120, 120 },
                                       { 65, 300 }, { 600, 600 }, { 65, 600 } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct play p = { 0 };
        size_t n = flap(&p, rows[i][0], rows[i][1], 24 * 3600);

        assert_in_range(n, 1, 24 * 3 + 10);
        assert_in_range(p.damping.n, 0, 1);
        pass(&p, 0, 7200);
        assert_in_range(buf_count(&p.told, ';'), 0, 1); /* in the end it is up */
        if (n % 2 == 1)
            assert_non_null(strstr(buf_text(&p.told), "pi up"));
        assert_int_equal(p.damping.n, 0); /* and forgotten */
        end(&p);
    }
}

static void test_an_hour_of_peace(void **state)
{
    struct play p = { 0 };

    (void)state;
    for (int i = 0; i < 3; i++) {
        pass(&p, 1, 70);
        pass(&p, 0, 3700);
    }
    assert_told(&p, "pi down at 60;pi up at 80;pi down at 3830;pi up at 3850;pi down at 7600;pi up at 7620;");
    end(&p);
}

static void test_while_nobody_can_say(void **state)
{
    struct play p = { 0 };

    (void)state;
    pass(&p, -2, 100);
    assert_int_equal(p.damping.n, 0);
    pass(&p, 1, 30);
    pass(&p, -2, 10);
    pass(&p, 1, 30);
    assert_told(&p, "pi down at 160;"); /* from 100 on, with what lies between */
    pass(&p, -2, 3600);
    assert_told(&p, "");
    pass(&p, 0, 20);
    assert_told(&p, "pi up at 3780;");
    end(&p);
}

static void test_what_is_taken_away(void **state)
{
    struct play p = { 0 };

    (void)state;
    pass(&p, 1, 30);
    pass(&p, -1, 5);
    assert_int_equal(p.damping.n, 0);
    pass(&p, 1, 65);
    assert_told(&p, "pi down at 95;");
    pass(&p, -1, 300);
    pass(&p, 1, 100);
    assert_told(&p, "");
    pass(&p, -1, 700);
    assert_told(&p, "pi gone at 1100;");
    pass(&p, -1, 3600);
    assert_int_equal(p.damping.n, 0);
    end(&p);
}

static void test_over_a_restart(void **state)
{
    struct play p = { 0 }, again = { 0 };
    json_t *json, *broken;

    (void)state;
    pass(&p, 1, 70);
    assert_told(&p, "pi down at 60;");
    json = damping_json(&p.damping);
    damping_recall(&again.damping, json, 1000000);
    again.s = 3600;
    pass(&again, 1, 200);
    assert_told(&again, "");
    pass(&again, 0, 20);
    assert_told(&again, "pi up at 3810;");
    end(&again);

    broken = json_pack("[{s:s}, i, {s:s, s:s, s:i, s:i, s:s}, O, O]", "kind", "agent", 7, "kind", "nothing",
                       "subject", "x", "grade", 1, "times", 1, "since", "2026-11-21T03:24:25Z",
                       json_array_get(json, 0), json_array_get(json, 0));
    damping_recall(&again.damping, broken, 0);
    assert_int_equal(again.damping.n, 1);
    end(&again);
    end(&p);
    json_decref(broken);
    json_decref(json);
}

static void test_nothing_untold_is_kept(void **state)
{
    struct play p = { 0 };
    json_t *json;

    (void)state;
    pass(&p, 1, 30);
    json = damping_json(&p.damping);
    assert_int_equal(json_array_size(json), 0);
    json_decref(json);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_short_is_nothing),
        cmocka_unit_test(test_down_and_up),
        cmocka_unit_test(test_what_was_seen_earlier_counts_from_then),
        cmocka_unit_test(test_a_worse_grade_is_told_of_too),
        cmocka_unit_test(test_flapping_is_bounded),
        cmocka_unit_test(test_an_hour_of_peace),
        cmocka_unit_test(test_while_nobody_can_say),
        cmocka_unit_test(test_what_is_taken_away),
        cmocka_unit_test(test_over_a_restart),
        cmocka_unit_test(test_nothing_untold_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
