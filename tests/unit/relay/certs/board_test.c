#include "relay/certs/board.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define PATH BOARD_HTTP_01 "abc"

static int changes;

static void on_changed(void *user)
{
    (void)user;
    changes++;
}

struct told {
    int shown, closed;
    struct board *takes; /* what it does then */
    uint64_t id;
};

static void on_settled(void *user, bool shown)
{
    struct told *told = user;

    if (shown)
        told->shown++;
    else
        told->closed++;
    if (told->takes)
        board_take(told->takes, told->id);
}

static struct str path(void)
{
    return STR(PATH);
}

static int put_up(void **state)
{
    changes = 0;
    *state = board_new(on_changed, NULL);
    return 0;
}

static int put_away(void **state)
{
    board_free(*state);
    return 0;
}

static void test_told_when_every_worker_shows_it(void **state)
{
    struct board *b = *state;
    struct told first = { 0 }, second = { 0 };
    uint64_t before = challenges_serial(board_challenges(b)), with_first;

    assert_int_not_equal(board_put_text(b, PATH, "", "x", on_settled, &first, NULL), 0);
    assert_int_equal(changes, 1);
    with_first = challenges_serial(board_challenges(b));
    assert_true(with_first > before);
    assert_int_not_equal(board_put_text(b, BOARD_CHECK "n", "", "n", on_settled, &second, NULL), 0);
    board_shown(b, before); /* what was published before is no answer */
    assert_int_equal(first.shown, 0);
    board_shown(b, with_first);
    assert_int_equal(first.shown, 1);
    assert_int_equal(second.shown, 0);
    board_shown(b, challenges_serial(board_challenges(b)));
    board_shown(b, challenges_serial(board_challenges(b)));
    assert_int_equal(first.shown, 1);
    assert_int_equal(second.shown, 1);
    assert_string_equal(challenges_text(board_challenges(b), path(), STR("a.test")), "x");
}

static void test_the_same_is_made_once(void **state)
{
    struct board *b = *state;
    struct challenges *c;

    board_put_text(b, PATH, "", "x", NULL, NULL, NULL);
    c = board_challenges(b);
    assert_ptr_equal(board_challenges(b), c);
}

static void test_what_was_taken_is_not_shown_nor_told(void **state)
{
    struct board *b = *state;
    struct told told = { 0 };
    uint64_t id = board_put_text(b, PATH, "", "x", on_settled, &told, NULL);

    board_take(b, id);
    assert_int_equal(changes, 2);
    board_shown(b, challenges_serial(board_challenges(b)));
    assert_int_equal(told.shown + told.closed, 0);
    assert_null(challenges_text(board_challenges(b), path(), STR("a.test")));
    board_take(b, id);
    assert_int_equal(changes, 2);
}

static void test_who_is_told_may_take_it_away(void **state)
{
    struct board *b = *state;
    struct told told[3] = { { .takes = b }, { .takes = b }, { .takes = b } };

    for (int i = 0; i < 3; i++)
        told[i].id = board_put_text(b, PATH, "", "x", on_settled, &told[i], NULL);
    board_shown(b, challenges_serial(board_challenges(b)));
    for (int i = 0; i < 3; i++)
        assert_int_equal(told[i].shown, 1);
    assert_null(challenges_text(board_challenges(b), path(), STR("a.test")));
}

static void test_a_name_shows_one_context(void **state)
{
    struct board *b = *state;
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    struct err e = { 0 };
    uint64_t id = board_put_tls(b, "a.test", tls, NULL, NULL, &e);

    assert_int_not_equal(id, 0);
    assert_int_not_equal(board_put_tls(b, "b.test", tls, NULL, NULL, &e), 0);
    assert_int_equal(board_put_tls(b, "a.test", tls, NULL, NULL, &e), 0);
    assert_int_equal(e.code, ERR_TAKEN);
    assert_ptr_equal(challenges_tls(board_challenges(b), STR("a.test")), tls);
    board_take(b, id);
    assert_null(challenges_tls(board_challenges(b), STR("a.test")));
    assert_int_not_equal(board_put_tls(b, "a.test", tls, NULL, NULL, &e), 0);
    SSL_CTX_free(tls);
}

static void test_closing(void **state)
{
    struct board *b = *state;
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    struct told told = { 0 }, late = { 0 };
    struct err e = { 0 };

    board_put_text(b, PATH, "", "x", on_settled, &told, NULL);
    board_close(b);
    assert_int_equal(told.closed, 1);
    board_shown(b, challenges_serial(board_challenges(b)));
    assert_int_equal(told.shown, 0);
    assert_int_equal(board_put_text(b, PATH, "", "x", on_settled, &late, &e), 0);
    assert_int_equal(e.code, ERR_STOPPED);
    assert_int_equal(board_put_tls(b, "a.test", tls, on_settled, &late, &e), 0);
    assert_int_equal(late.closed + late.shown, 0);
    SSL_CTX_free(tls);
    board_free(NULL);
}

#define board_test(f) cmocka_unit_test_setup_teardown(f, put_up, put_away)

int main(void)
{
    const struct CMUnitTest tests[] = {
        board_test(test_told_when_every_worker_shows_it),
        board_test(test_the_same_is_made_once),
        board_test(test_what_was_taken_is_not_shown_nor_told),
        board_test(test_who_is_told_may_take_it_away),
        board_test(test_a_name_shows_one_context),
        board_test(test_closing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
