/* Errands of jobs: who is asked, in which order, and what wakes the job. */
#include "relay/lanes/errands.h"

#include "shared/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/loop_fixture.h"

struct world {
    struct loop *loop;
    struct errands_host host;
    struct errands *errands;
    const char *agents; /* of the host: a letter each; a capital one has no lane */
    struct buf said;    /* agent and id of each */
    enum errand_who who;
    struct job *job;
    struct errand_answer answer;
    struct err why;
    int rc;
    int64_t patience_ms;
    bool ended, spoke, closed;
    bool back; /* the capital ones have lanes again */
};

static size_t agents(void *user, const char *host, char names[][ERRANDS_AGENT_BYTES])
{
    const struct world *w = user;

    assert_string_equal(host, "a.test");
    for (size_t i = 0; w->agents[i]; i++)
        snprintf(names[i], ERRANDS_AGENT_BYTES, "%c", w->agents[i]);
    return strlen(w->agents);
}

static uint64_t say(void *user, const char *agent, const struct lane_msg *m)
{
    struct world *w = user;

    assert_int_equal(m->type, LANE_TXT);
    if (agent[0] < 'a' && !w->back)
        return 0;
    buf_printf(&w->said, "%s%d ", agent, (int)json_integer_value(m->txt.id));
    w->spoke = true;
    return (uint64_t)agent[0];
}

static void run(struct job *job, void *user)
{
    struct world *w = user;
    const struct errand errand = { "a.test",
                                   w->who,
                                   { .type = LANE_TXT, .txt = { .name = "n", .value = "v" } },
                                   w->patience_ms ? w->patience_ms : 60000 };

    w->rc = errands_run(w->errands, &errand, job, &w->answer, &w->why);
}

static void on_ended(void *user)
{
    ((struct world *)user)->ended = true;
}

static void on_closed(void *user)
{
    ((struct world *)user)->closed = true;
}

static void begin(struct world *w, struct loop *loop, const char *who, enum errand_who how)
{
    *w = (struct world){ .loop = loop, .host = { agents, say, w }, .agents = who, .who = how };
    w->errands = errands_new(loop, &w->host, NULL);
    assert_non_null(w->errands);
    errands_hold(w->errands);
}

static void start(struct world *w)
{
    w->job = job_start(w->loop, run, on_ended, w, NULL);
    assert_non_null(w->job);
}

static void answer(struct world *w, const char *agent, int id, const char *why)
{
    struct lane_msg m = { .type = LANE_TXT_DONE, .done = { .ok = !*why, .why = why } };

    m.done.id = json_integer(id);
    errands_answered(w->errands, agent, &m);
    json_decref(m.done.id);
}

static void speak(struct world *w)
{
    loop_until(w->loop, &w->spoke);
    w->spoke = false;
}

static void end(struct world *w, int rc, const char *said, const char *why)
{
    loop_until(w->loop, &w->ended);
    assert_int_equal(w->rc, rc);
    if (said)
        assert_string_equal(buf_text(&w->said), said);
    if (!strstr(w->why.text, why))
        fail_msg("%s", w->why.text);
    errands_stop(w->errands, on_closed, w);
    loop_until(w->loop, &w->closed);
    errands_release(w->errands);
    buf_free(&w->said);
}

static void test_the_first_that_says_yes(void **state)
{
    struct world w;

    begin(&w, *state, "abc", ERRAND_FIRST);
    start(&w);
    speak(&w);
    answer(&w, "b", 1, ""); /* who was not asked */
    answer(&w, "a", 7, ""); /* nor that */
    answer(&w, "a", 1, "no zone");
    answer(&w, "b", 2, "");
    end(&w, 0, "a1 b2 ", "");
    assert_string_equal(w.answer.agent, "b");
}

static void test_all_say_no(void **state)
{
    struct world w;

    begin(&w, *state, "ab", ERRAND_FIRST);
    start(&w);
    speak(&w);
    answer(&w, "a", 1, "no zone");
    answer(&w, "b", 2, "no provider");
    end(&w, -1, "a1 b2 ", "agent b: no provider");
    assert_int_equal(w.why.code, ERR_PEER);
}

static void test_nobody_serves_it(void **state)
{
    struct world w;

    begin(&w, *state, "", ERRAND_FIRST);
    start(&w);
    end(&w, -1, "", "no agent serves a.test");
    assert_int_equal(w.why.code, ERR_MISSING);
    begin(&w, *state, "", ERRAND_ALL);
    start(&w);
    end(&w, 0, "", "");
}

static void test_all_have_to_say_yes(void **state)
{
    struct world w;

    begin(&w, *state, "ab", ERRAND_ALL);
    start(&w);
    speak(&w);
    answer(&w, "b", 2, "");
    answer(&w, "a", 1, "");
    end(&w, 0, "a1 b2 ", "");
    begin(&w, *state, "ab", ERRAND_ALL);
    start(&w);
    speak(&w);
    answer(&w, "b", 2, "its other relay says no");
    end(&w, -1, "a1 b2 ", "agent b: its other relay says no");
}

static void test_who_is_away_is_waited_for(void **state)
{
    struct world w;

    begin(&w, *state, "aXb", ERRAND_ALL); /* X is away */
    start(&w);
    speak(&w);
    answer(&w, "b", 3, "");
    answer(&w, "a", 1, "");
    errands_tick(w.errands);
    loop_settle(w.loop);
    assert_string_equal(buf_text(&w.said), "a1 b3 ");
    assert_false(w.ended);
    w.back = true;
    errands_tick(w.errands);
    assert_non_null(strchr(buf_text(&w.said), 'X'));
    answer(&w, "X", atoi(strchr(buf_text(&w.said), 'X') + 1), "");
    end(&w, 0, NULL, "");
    assert_string_equal(w.answer.agent, "X");
}

static void test_a_lost_lane_is_replaced(void **state)
{
    struct world w;

    begin(&w, *state, "a", ERRAND_FIRST);
    start(&w);
    speak(&w);
    errands_lane_gone(w.errands, 'x');
    errands_lane_gone(w.errands, 'a');
    speak(&w);
    answer(&w, "a", 1, "late");
    answer(&w, "a", 2, "");
    end(&w, 0, "a1 a2 ", "");
}

static void test_nobody_answers(void **state)
{
    struct world w;

    begin(&w, *state, "a", ERRAND_FIRST);
    w.patience_ms = 1;
    start(&w);
    end(&w, -1, NULL, "has not answered"); /* it may have been too early to ask anybody */
    assert_int_equal(w.why.code, ERR_TIMEOUT);
}

static void test_the_job_is_cancelled(void **state)
{
    struct world w;

    begin(&w, *state, "a", ERRAND_FIRST);
    start(&w);
    speak(&w);
    job_cancel(w.job);
    end(&w, -1, "a1 ", "given up");
    assert_int_equal(w.why.code, ERR_STOPPED);
}

static void test_the_end_wakes_jobs_and_later_ones(void **state)
{
    struct world w;

    begin(&w, *state, "a", ERRAND_FIRST);
    start(&w);
    speak(&w);
    errands_stop(w.errands, on_closed, &w);
    loop_until(w.loop, &w.ended);
    assert_int_equal(w.why.code, ERR_STOPPED);
    w.ended = false;
    w.why = (struct err){ 0 };
    start(&w);
    loop_until(w.loop, &w.ended);
    assert_int_equal(w.why.code, ERR_STOPPED);
    loop_until(w.loop, &w.closed);
    errands_release(w.errands);
    buf_free(&w.said);
}

int main(void)
{
#define LOOPED(test) cmocka_unit_test_setup_teardown(test, loop_make, loop_end)
    const struct CMUnitTest tests[] = {
        LOOPED(test_the_first_that_says_yes),
        LOOPED(test_all_say_no),
        LOOPED(test_nobody_serves_it),
        LOOPED(test_all_have_to_say_yes),
        LOOPED(test_who_is_away_is_waited_for),
        LOOPED(test_a_lost_lane_is_replaced),
        LOOPED(test_nobody_answers),
        LOOPED(test_the_job_is_cancelled),
        LOOPED(test_the_end_wakes_jobs_and_later_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
