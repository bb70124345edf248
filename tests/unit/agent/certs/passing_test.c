/* An answer for a CA on its way to the other relays, and back: all of them have it, or the one who asked is told why not. */
#include "agent/certs/passing.h"

#include "shared/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

struct house {
    struct passing passing;
    struct passing_host host;
    bool up[3], elsewhere[3]; /* elsewhere: the name is not served there */
    struct buf said;
};

static const char *const relays[] = { "a", "b", "c" };

static bool relay(void *user, size_t i, const char **name, bool *up)
{
    const struct house *h = user;

    if (i >= 3)
        return false;
    *name = relays[i];
    *up = h->up[i];
    return true;
}

static bool say(void *user, const char *to, const struct lane_msg *m)
{
    struct house *h = user;

    if (m->type == LANE_CHALLENGE)
        buf_printf(&h->said, "%s<%s %s ", to, m->challenge.set ? "set" : "clear", m->challenge.token);
    else
        buf_printf(&h->said, "%s<done %d %s ", to, (int)json_integer_value(m->done.id),
                   m->done.ok ? "ok" : m->done.why);
    return true;
}

static bool claims(void *user, const char *to, const char *name)
{
    const struct house *h = user;

    assert_string_equal(name, "a.test");
    return !h->elsewhere[*to - 'a'];
}

static void begin(struct house *h, bool a, bool b, bool c)
{
    *h = (struct house){ .host = { relay, say, claims, h }, .up = { a, b, c } };
    passing_init(&h->passing, &h->host);
}

static void hear(struct house *h, int id, const char *why)
{
    struct lane_msg m = { .type = LANE_CHALLENGE,
                          .challenge = { .set = true, .name = "a.test", .token = "t", .answer = "t.u" } };

    m.challenge.id = json_integer(id);
    passing_hear(&h->passing, "a", &m, why, 1000);
    json_decref(m.challenge.id);
}

static void done(struct house *h, const char *from, int id, const char *why)
{
    struct lane_msg m = { .type = LANE_CHALLENGE_DONE, .done = { .ok = !*why, .why = why } };

    m.done.id = json_integer(id);
    passing_done(&h->passing, from, &m);
    json_decref(m.done.id);
}

static void end(struct house *h, const char *said)
{
    assert_string_equal(buf_text(&h->said), said);
    passing_free(&h->passing);
    buf_free(&h->said);
}

static void test_nobody_else_is_there(void **state)
{
    struct house h;

    (void)state;
    begin(&h, true, false, false);
    hear(&h, 7, "");
    end(&h, "a<done 7 ok ");
}

static void test_all_others_have_it(void **state)
{
    struct house h;

    (void)state;
    begin(&h, true, true, true);
    hear(&h, 7, "");
    done(&h, "b", 1, "");
    done(&h, "b", 1, ""); /* once is enough */
    done(&h, "c", 9, ""); /* nobody asked */
    done(&h, "a", 1, ""); /* nor it */
    done(&h, "c", 1, "");
    end(&h, "b<set t c<set t a<done 7 ok ");
}

static void test_one_refuses(void **state)
{
    struct house h;

    (void)state;
    begin(&h, true, true, true);
    hear(&h, 7, "");
    done(&h, "c", 1, "not served");
    done(&h, "b", 1, "");
    end(&h, "b<set t c<set t a<done 7 relay c: not served ");
}

static void test_one_goes_away(void **state)
{
    struct house h;

    (void)state;
    begin(&h, true, true, true);
    hear(&h, 7, "");
    done(&h, "b", 1, "");
    passing_tick(&h.passing, 2000);
    h.up[2] = false;
    passing_tick(&h.passing, 3000);
    end(&h, "b<set t c<set t a<done 7 ok ");
}

static void test_one_is_silent(void **state)
{
    struct house h;

    (void)state;
    begin(&h, true, true, false);
    hear(&h, 7, "");
    passing_tick(&h.passing, 1000 + PASSING_PATIENCE_MS);
    passing_tick(&h.passing, 1001 + PASSING_PATIENCE_MS);
    end(&h, "b<set t a<done 7 another relay of the agent has not answered in time ");
}

static void test_what_is_not_ours_goes_nowhere(void **state)
{
    struct house h;

    (void)state;
    begin(&h, true, true, true);
    hear(&h, 7, "no such name");
    end(&h, "a<done 7 no such name ");
}

static void test_there_are_bounds(void **state)
{
    struct house h;

    (void)state;
    begin(&h, true, true, false);
    for (int i = 0; i < PASSING_MAX; i++)
        hear(&h, i, "");
    buf_take(&h.said, h.said.len);
    hear(&h, 99, "");
    end(&h, "a<done 99 the agent passes on too much already ");
}

static void test_a_relay_that_does_not_serve_the_name_is_not_asked(void **state)
{
    struct house h;

    (void)state;
    begin(&h, true, true, true);
    h.elsewhere[1] = true;
    hear(&h, 7, "");
    assert_string_equal(buf_text(&h.said), "c<set t ");
    passing_free(&h.passing);
    buf_free(&h.said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_relay_that_does_not_serve_the_name_is_not_asked),
        cmocka_unit_test(test_nobody_else_is_there),
        cmocka_unit_test(test_all_others_have_it),
        cmocka_unit_test(test_one_refuses),
        cmocka_unit_test(test_one_goes_away),
        cmocka_unit_test(test_one_is_silent),
        cmocka_unit_test(test_what_is_not_ours_goes_nowhere),
        cmocka_unit_test(test_there_are_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
