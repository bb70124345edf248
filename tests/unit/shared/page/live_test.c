#include "shared/page/live.h"

#include "shared/http/answer.h"
#include "shared/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/loop_fixture.h"

enum { EVERY_MS = 1 };

/* A daemon, and those who watch its page. */
struct watcher {
    bool slow, left;                     /* slow: takes nothing */
    int events, wholes, sevens, skipped; /* sevens: in which there are seven requests */
};

struct fixture {
    struct loop *loop;
    struct live *live;
    json_int_t requests;
    int asked;
    bool ended;
    struct watcher watchers[LIVE_WATCHERS + 1];
};

static json_t *status(void *user)
{
    struct fixture *f = user;

    f->asked++;
    return json_pack("{s:s, s:s, s:[{s:s, s:s, s:I}]}", "role", "relay", "name", "r", "domains", "name",
                     "a.test", "state", "up", "requests", f->requests);
}

static void count(void *user, struct history_totals *totals)
{
    const struct fixture *f = user;

    totals->requests = (uint64_t)f->requests;
}

static bool ready(void *user, char *why, size_t room)
{
    (void)user, (void)why, (void)room;
    return true;
}

static void on_ended(void *owner)
{
    struct fixture *f = owner;

    f->ended = true;
}

static int make(void **state)
{
    static const struct live_functions functions = { status, count, ready };
    struct fixture *f = mem_new(sizeof *f);

    if (loop_make((void **)&f->loop) != 0)
        return -1;
    f->live = live_start(f->loop, EVERY_MS, &functions, f, on_ended, f);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    void *loop = f->loop;

    live_stop(f->live);
    loop_until(f->loop, &f->ended);
    free(f);
    return loop_end(&loop);
}

/* ---- watchers ---- */

static bool more(void *conn, const char *bytes, size_t n)
{
    struct watcher *w = conn;
    struct buf event = { 0 };

    if (w->slow) {
        w->skipped++;
        return false;
    }
    w->events++;
    buf_add(&event, bytes, n);
    w->wholes += strstr(buf_text(&event), "\"lanes\":") != NULL;
    w->sevens += strstr(buf_text(&event), "\"Requests\\\">7") != NULL;
    buf_free(&event);
    return true;
}

static void leave(void *conn)
{
    struct watcher *w = conn;

    w->left = true;
}

/* As the server does once the route has returned. NULL: there was no room. */
static struct http_later *begin(struct fixture *f, struct watcher *w)
{
    struct http_request request = { .path = STR("/events") };
    struct http_reply reply = { .status = 200, .fields = "" };

    live_routes[1].answer(f->live, &request, &reply);
    if (reply.later) {
        assert_string_equal(reply.later->type, "text/event-stream");
        reply.later->conn = w;
        reply.later->more = more;
        reply.later->end = leave;
    } else {
        assert_int_equal(reply.status, 503);
    }
    buf_free(&reply.body);
    return reply.later;
}

static void until(struct fixture *f, const int *number, int least)
{
    while (*number < least && uv_run(&f->loop->uv, UV_RUN_ONCE))
        continue;
}

static void test_the_whole_then_what_changes(void **state)
{
    struct fixture *f = *state;
    struct watcher *first = &f->watchers[0], *second = &f->watchers[1];

    loop_settle(f->loop);
    assert_int_equal(f->asked, 0); /* nobody has */
    begin(f, first);
    until(f, &first->events, 3);
    assert_int_equal(first->wholes, 1);
    f->requests = 7;
    until(f, &first->sevens, 1);
    begin(f, second);
    until(f, &second->events, 2);
    assert_true(second->wholes == 1 && first->wholes == 1);
}

static void test_places(void **state)
{
    struct fixture *f = *state;
    struct http_later *streams[LIVE_WATCHERS];

    for (int i = 0; i < LIVE_WATCHERS; i++) {
        streams[i] = begin(f, &f->watchers[i]);
        assert_non_null(streams[i]);
    }
    assert_null(begin(f, &f->watchers[LIVE_WATCHERS]));
    streams[3]->gone(streams[3]->user); /* as the server does when a client has left */
    free(streams[3]);
    assert_non_null(begin(f, &f->watchers[LIVE_WATCHERS]));
    until(f, &f->watchers[LIVE_WATCHERS].events, 1);
    live_send_away(f->live);
    for (int i = 0; i <= LIVE_WATCHERS; i++)
        assert_true(f->watchers[i].left == (i != 3));
    f->asked = 0;
    loop_settle(f->loop);
    assert_int_equal(f->asked, 0);
}

static void test_who_reads_too_slowly(void **state)
{
    struct fixture *f = *state;
    struct watcher *slow = &f->watchers[0], *other = &f->watchers[1];

    begin(f, slow);
    begin(f, other);
    until(f, &slow->events, 1);
    slow->slow = true;
    until(f, &slow->skipped, LIVE_SKIPPED / 2);
    assert_false(slow->left);
    slow->slow = false;
    until(f, &slow->events, slow->events + 1);
    assert_int_equal(slow->wholes, 2); /* what he has missed is in it */
    slow->slow = true;
    slow->skipped = 0;
    until(f, &slow->skipped, LIVE_SKIPPED);
    assert_true(slow->left && !other->left);
    until(f, &other->events, other->events + 2);
    other->slow = true;
    other->skipped = 0;
    until(f, &other->skipped, LIVE_SKIPPED); /* the last one */
    assert_true(other->left);
}

static void test_ended_while_somebody_watches(void **state)
{
    struct fixture *f = *state;

    live_set(f->live, true);
    begin(f, &f->watchers[0]);
    begin(f, &f->watchers[1]);
    until(f, &f->watchers[1].events, 2);
    live_set(f->live, false);
    live_set(f->live, true);
    live_stop(f->live);
    assert_true(f->watchers[0].left && f->watchers[1].left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_whole_then_what_changes, make, end),
        cmocka_unit_test_setup_teardown(test_places, make, end),
        cmocka_unit_test_setup_teardown(test_who_reads_too_slowly, make, end),
        cmocka_unit_test_setup_teardown(test_ended_while_somebody_watches, make, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
