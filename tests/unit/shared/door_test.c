/* Who is let in, who waits, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "shared/door.h"
#include "tests/unit/capture.h"
#include "tests/unit/loop_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { LIMIT = 64, VISITORS = 8 };

static struct guests {
    struct door *door;
    int fds[VISITORS];
    int n, all;
    bool one_by_one, as_expected;
    int expected;
} guests;

static void on_came(void *user, int fd)
{
    struct guests *g = user;

    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    g->fds[g->n++] = fd;
    g->all++;
    g->as_expected = g->n == g->expected;
    if (g->one_by_one)
        door_pause(g->door);
}

static const struct door_kind all = { .name = "test", .leaves_some = false, .came = on_came },
                              some = { .name = "test", .leaves_some = true, .came = on_came },
                              other = { .name = "other",
                                        .leaves_some = false,
                                        .came = on_came }; /* its lines are counted apart */

static int listening(struct sockaddr_in *addr)
{
    socklen_t size = sizeof *addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(bind(fd, (struct sockaddr *)addr, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)addr, &size), 0);
    return fd;
}

static int come(const struct sockaddr_in *addr)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (const struct sockaddr *)addr, sizeof *addr), 0);
    return fd;
}

/* A door with this many in front of it; what is told goes to the capture. */
static void begin(struct loop *l, const struct door_kind *kind, int n, int *visitors, struct capture *told)
{
    struct sockaddr_in addr;
    struct err e = { 0 };
    int fd = listening(&addr);

    guests = (struct guests){ .expected = n };
    guests.door = door_open(l, fd, kind, &guests, &e);
    assert_non_null(guests.door);
    for (int i = 0; i < n; i++)
        visitors[i] = come(&addr);
    capture_begin(told, STDERR_FILENO);
}

static void wait_for(struct loop *l, int n)
{
    guests.expected = n;
    guests.as_expected = guests.n == n;
    loop_until(l, &guests.as_expected);
}

static void end(struct loop *l, int n, int *visitors, struct capture *told, const char *expected)
{
    door_close(guests.door);
    loop_run(l);
    for (int i = 0; i < n; i++)
        close(visitors[i]);
    while (guests.n > 0)
        close(guests.fds[--guests.n]);
    capture_end(told);
    if (expected)
        assert_non_null(strstr(buf_text(&told->text), expected));
    else
        assert_string_equal(buf_text(&told->text), "");
    buf_free(&told->text);
}

static void test_all_are_let_in(void **state)
{
    int visitors[VISITORS];
    struct capture told;

    begin(*state, &some, VISITORS, visitors, &told);
    wait_for(*state, VISITORS);
    end(*state, VISITORS, visitors, &told, NULL);
}

static void test_one_by_one(void **state)
{
    int visitors[VISITORS];
    struct capture told;

    begin(*state, &all, VISITORS, visitors, &told);
    guests.one_by_one = true;
    for (int n = 1; n <= VISITORS; n++) {
        wait_for(*state, n);
        loop_settle(*state);
        assert_int_equal(guests.n, n);
        door_resume(guests.door);
    }
    end(*state, VISITORS, visitors, &told, NULL);
}

/* ---- few descriptors ---- */

static struct rlimit before;

static void allow(rlim_t n)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ n, before.rlim_max }), 0);
}

/* Opens descriptors until only n are left below the limit; returns how many they were. */
static int fill(int *fds, int n)
{
    int opened = 0;

    for (;;) {
        int fd = fcntl(0, F_DUPFD_CLOEXEC, 0);

        fds[opened++] = fd;
        if (fd >= LIMIT - n - 1)
            return opened;
    }
}

static void test_the_last_quarter_is_for_those_inside(void **state)
{
    int visitors[4], fillers[LIMIT], opened;
    struct capture told;

    getrlimit(RLIMIT_NOFILE, &before);
    begin(*state, &some, 4, visitors, &told);
    allow(LIMIT);
    opened = fill(fillers, LIMIT / 4 + 1);
    for (int n = 1; n < 4; n++) { /* there is room for one, and then for each that goes */
        wait_for(*state, n);
        loop_settle(*state);
        assert_int_equal(guests.n, n);
        assert_true(guests.fds[n - 1] < LIMIT - LIMIT / 4);
        close(fillers[--opened]);
    }
    wait_for(*state, 4);
    while (opened > 0)
        close(fillers[--opened]);
    allow(before.rlim_cur);
    end(*state, 4, visitors, &told, "connections have to wait source=\"test\" error=\"three quarters");
}

static void test_no_descriptor_at_all(void **state)
{
    int visitors[2], fillers[LIMIT], opened;
    struct capture told;

    getrlimit(RLIMIT_NOFILE, &before);
    begin(*state, &all, 2, visitors, &told);
    allow(LIMIT);
    opened = fill(fillers, 0);
    loop_settle(*state);
    assert_int_equal(guests.n, 0);
    close(fillers[--opened]);
    wait_for(*state, 1);
    close(fillers[--opened]);
    wait_for(*state, 2);
    while (opened > 0)
        close(fillers[--opened]);
    allow(before.rlim_cur);
    end(*state, 2, visitors, &told, "Too many open files");
}

static void test_who_was_taken_is_let_in_at_the_end(void **state)
{
    int visitors[2], fillers[LIMIT], opened;
    struct capture told;

    getrlimit(RLIMIT_NOFILE, &before);
    begin(*state, &some, 2, visitors, &told);
    allow(LIMIT);
    opened = fill(fillers, LIMIT / 4);
    loop_settle(*state);
    assert_int_equal(guests.n, 0);
    while (opened > 0)
        close(fillers[--opened]);
    allow(before.rlim_cur);
    end(*state, 2, visitors, &told, "connections have to wait");
    assert_int_equal(guests.all, 1); /* the other one is still in the queue */
}

/* ---- end ---- */

static void test_closed_in_every_state(void **state)
{
    struct capture told;
    int visitor;

    door_close(NULL);
    begin(*state, &all, 1, &visitor, &told); /* somebody waits */
    end(*state, 1, &visitor, &told, NULL);
    begin(*state, &all, 1, &visitor, &told);
    door_pause(guests.door);
    loop_settle(*state);
    end(*state, 1, &visitor, &told, NULL);
    assert_int_equal(guests.n, 0);
    begin(*state, &other, 1, &visitor, &told);
    getrlimit(RLIMIT_NOFILE, &before);
    allow(3);
    loop_settle(*state); /* shut */
    allow(before.rlim_cur);
    end(*state, 1, &visitor, &told, "Too many open files");
}

static void test_what_is_no_socket(void **state)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct err e = { 0 };

    assert_null(door_open(*state, fd, &all, NULL, &e));
    assert_non_null(strstr(e.text, "cannot listen: "));
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, loop_make, loop_end)

/* Whoever made the socket ends its listening: that is no failure, and costs nothing. */
static void test_anothers_socket(void **state)
{
    static const struct door_kind anothers = { .name = "test", .anothers = true, .came = on_came };
    struct loop *l = *state;
    struct sockaddr_in addr;
    struct capture told;
    struct err e = { 0 };
    int fd = listening(&addr), visitor, copy = dup(fd);

    guests = (struct guests){ .expected = 1 };
    guests.door = door_open(l, fd, &anothers, &guests, &e);
    assert_non_null(guests.door);
    visitor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(visitor, (struct sockaddr *)&addr, sizeof addr),
                     -1); /* the door does not listen */
    close(visitor);
    assert_int_equal(listen(copy, 1), 0);
    capture_begin(&told, STDERR_FILENO);
    door_resume(guests.door); /* it has seen that nobody listened */
    visitor = come(&addr);
    wait_for(l, 1);
    assert_int_equal(shutdown(copy, SHUT_RD), 0);
    for (int i = 0; i < 100; i++)
        uv_run(&l->uv, UV_RUN_NOWAIT);
    end(l, 1, &visitor, &told, NULL);
    close(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_anothers_socket),
        LOOP_TEST(test_all_are_let_in),
        LOOP_TEST(test_one_by_one),
        LOOP_TEST(test_the_last_quarter_is_for_those_inside),
        LOOP_TEST(test_who_was_taken_is_let_in_at_the_end),
        LOOP_TEST(test_no_descriptor_at_all),
        LOOP_TEST(test_closed_in_every_state),
        LOOP_TEST(test_what_is_no_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
