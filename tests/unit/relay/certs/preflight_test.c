/* Where the relay itself looks when no agent can, and where it does not. */
#include "relay/certs/preflight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/loop_fixture.h"

struct world {
    struct loop *loop;
    struct board *board;
    struct ways *ways;
    struct errands *errands;
    struct preflight_ask ask;
    struct preflight_result result;
    struct err why;
    int rc;
    bool ended, ways_closed, errands_closed;
};

/* As with no worker: each shows it at once. */
static void on_changed(void *user)
{
    struct world *w = user;

    board_shown(w->board, challenges_serial(board_challenges(w->board)));
}

static size_t no_agents(void *user, const char *host, char names[][ERRANDS_AGENT_BYTES])
{
    (void)user;
    (void)host;
    (void)names;
    return 0;
}

static const struct errands_host nobody = { .agents = no_agents };

static void run(struct job *job, void *user)
{
    struct world *w = user;

    w->ask.job = job;
    w->rc = preflight_run(&w->ask, &w->result, &w->why);
}

static void on_ended(void *user)
{
    ((struct world *)user)->ended = true;
}

static void on_ways_closed(void *user)
{
    ((struct world *)user)->ways_closed = true;
}

static void on_errands_closed(void *user)
{
    ((struct world *)user)->errands_closed = true;
}

static void check(struct loop *loop, const char *name, const char *publish, bool is_called, const char *why)
{
    struct world w = { .loop = loop };

    w.board = board_new(on_changed, &w);
    w.ways = ways_start(loop, w.board);
    w.errands = errands_new(loop, &nobody, NULL);
    w.ask = (struct preflight_ask){ .name = name,
                                    .challenges = { CHALLENGE_HTTP_01 },
                                    .challenges_n = 1,
                                    .publish = &publish,
                                    .publish_n = 1,
                                    .ways = w.ways,
                                    .errands = w.errands };
    assert_non_null(job_start(loop, run, on_ended, &w, NULL));
    loop_until(loop, &w.ended);
    assert_int_equal(w.rc, -1);
    if (!strstr(w.why.text, why) || !strstr(w.why.text, "only if its publish names it") != is_called)
        fail_msg("%s: %s", name, w.why.text);
    errands_stop(w.errands, on_errands_closed, &w);
    ways_stop(w.ways, on_ways_closed, &w);
    loop_until(loop, &w.errands_closed);
    loop_until(loop, &w.ways_closed);
    ways_free(w.ways);
    board_close(w.board);
    board_free(w.board);
}

static void test_its_own_network(void **state)
{
    check(*state, "127.0.0.1", "192.0.2.1", false, "is a loopback address");
    check(*state, "10.1.2.3", "192.0.2.1", false, "is a private address");
    check(*state, "169.254.169.254", "192.0.2.1", false, "is a link-local address");
    check(*state, "::ffff:127.0.0.1", "192.0.2.1", false, "is a loopback address");
    check(*state, "::1", "192.0.2.1", false, "is a loopback address");
    check(*state, "fd00::1", "192.0.2.1", false, "is a local address");
}

static void test_what_it_publishes(void **state)
{
    check(*state, "127.9.8.7", "127.9.8.7", true, "127.9.8.7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_its_own_network, loop_make, loop_end),
        cmocka_unit_test_setup_teardown(test_what_it_publishes, loop_make, loop_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
