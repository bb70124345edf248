/* What agents pass on from other relays: shown, answered when every worker shows it, taken away again. */
#include "relay/certs/guests.h"

#include "shared/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define THUMB "gfj9Xq-Rg85nM_0123456789012345678901234567A"

struct world {
    struct board *board;
    struct guests *guests;
    struct guests_host host;
    struct buf said;
    bool serves;
};

static void on_changed(void *user)
{
    (void)user;
}

static void on_answered(void *user, const char *agent, const struct lane_msg *m)
{
    struct world *w = user;

    assert_int_equal(m->type, LANE_CHALLENGE_DONE);
    buf_printf(&w->said, "%s %d %s. ", agent, (int)json_integer_value(m->done.id),
               m->done.ok ? "ok" : m->done.why);
}

static bool serves_it(void *user, const char *agent, const char *name)
{
    const struct world *w = user;

    assert_string_equal(agent, "pi");
    assert_string_equal(name, "a.test");
    return w->serves;
}

static void begin(struct world *w)
{
    *w = (struct world){ .board = board_new(on_changed, w) };
    w->host = (struct guests_host){ on_answered, serves_it, w };
    w->guests = guests_new(w->board, &w->host);
}

static void hear(struct world *w, int id, bool set, bool tls, const char *token, const char *answer,
                 bool serves)
{
    struct lane_msg m = { .type = LANE_CHALLENGE,
                          .challenge = { .set = set,
                                         .how = tls ? LANE_SHOW_TLS_ALPN : LANE_SHOW_HTTP,
                                         .name = "a.test",
                                         .token = token,
                                         .answer = answer } };

    m.challenge.id = json_integer(id);
    w->serves = serves;
    guests_hear(w->guests, "pi", &m, 0);
    json_decref(m.challenge.id);
}

static const char *shown(struct world *w, const char *path)
{
    return challenges_text(board_challenges(w->board), str_of(path), STR("a.test"));
}

static void all_workers_show_it(struct world *w)
{
    board_shown(w->board, challenges_serial(board_challenges(w->board)));
}

static void check_said(struct world *w, const char *said)
{
    assert_string_equal(buf_text(&w->said), said);
    buf_take(&w->said, w->said.len);
}

static void end(struct world *w)
{
    board_close(w->board);
    guests_free(w->guests);
    board_free(w->board);
    buf_free(&w->said);
}

static void test_shown_and_taken_away(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    hear(&w, 1, true, false, "tok", "tok." THUMB, true);
    assert_string_equal(shown(&w, BOARD_HTTP_01 "tok"), "tok." THUMB);
    check_said(&w, ""); /* not every worker shows it */
    all_workers_show_it(&w);
    check_said(&w, "pi 1 ok. ");
    hear(&w, 2, false, false, "tok", "tok." THUMB, true);
    check_said(&w, "pi 2 ok. ");
    assert_null(shown(&w, BOARD_HTTP_01 "tok"));
    end(&w);
}

static void test_by_tls(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    hear(&w, 1, true, true, "tok", "tok." THUMB, true);
    assert_non_null(challenges_tls(board_challenges(w.board), STR("a.test")));
    assert_null(shown(&w, BOARD_HTTP_01 "tok"));
    all_workers_show_it(&w);
    hear(&w, 2, true, true, "another", "another." THUMB, true);
    check_said(
        &w,
        "pi 1 ok. pi 2 a.test: another order shows its tls-alpn-01 challenge there; try again when that has "
        "ended. ");
    end(&w);
}

static void test_refused(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    hear(&w, 1, true, false, "tok", "tok." THUMB, false);
    check_said(&w, "pi 1 this agent does not serve a.test here. ");
    hear(&w, 2, true, false, "../x", "../x." THUMB, true);
    hear(&w, 3, true, false, "tok", "other." THUMB, true);
    assert_non_null(strstr(buf_text(&w.said), "pi 2 a.test: the token"));
    assert_non_null(strstr(buf_text(&w.said), "pi 3 a.test: the key authorization is not"));
    end(&w);
}

static void test_they_go_after_an_hour(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    hear(&w, 1, true, false, "tok", "tok." THUMB, true);
    guests_tick(w.guests, GUESTS_KEPT_MS - 1);
    assert_non_null(shown(&w, BOARD_HTTP_01 "tok"));
    guests_tick(w.guests, GUESTS_KEPT_MS);
    assert_null(shown(&w, BOARD_HTTP_01 "tok"));
    end(&w);
}

static void test_they_go_with_the_name(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    hear(&w, 1, true, true, "tok", "tok." THUMB, true);
    all_workers_show_it(&w);
    hear(&w, 2, true, false, "tok", "tok." THUMB, true);
    check_said(&w, "pi 1 ok. ");
    guests_tick(w.guests, 1);
    assert_non_null(challenges_tls(board_challenges(w.board), STR("a.test")));
    w.serves = false;
    guests_tick(w.guests, 2);
    assert_null(challenges_tls(board_challenges(w.board), STR("a.test")));
    assert_null(shown(&w, BOARD_HTTP_01 "tok"));
    check_said(&w, "pi 2 the name is not this agent's any more, or it took too long. ");
    all_workers_show_it(&w);
    check_said(&w, "");
    end(&w);
}

static void test_an_agent_has_a_bound(void **state)
{
    char token[32], answer[96];
    struct world w;

    (void)state;
    begin(&w);
    for (int i = 0; i <= GUESTS_OF_AGENT; i++) {
        snprintf(token, sizeof token, "t%d", i);
        snprintf(answer, sizeof answer, "%s." THUMB, token);
        hear(&w, i, true, false, token, answer, true);
    }
    check_said(&w, "pi 64 64 answers of this agent are shown already. ");
    end(&w);
}

static void test_who_waits_at_the_end_is_told(void **state)
{
    struct world w;

    (void)state;
    begin(&w);
    hear(&w, 1, true, false, "tok", "tok." THUMB, true);
    board_close(w.board);
    check_said(&w, "pi 1 this relay is stopping. ");
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown_and_taken_away),
        cmocka_unit_test(test_by_tls),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_they_go_after_an_hour),
        cmocka_unit_test(test_they_go_with_the_name),
        cmocka_unit_test(test_an_agent_has_a_bound),
        cmocka_unit_test(test_who_waits_at_the_end_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
