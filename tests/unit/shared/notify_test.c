#include "shared/notify.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shared/file.h"
#include "shared/log.h"
#include "tests/unit/temp.h"

/* ---- what the supervisor is told ---- */

/* A supervisor's socket; a name that begins with @ is in the abstract namespace. */
static int supervisor(const char *name)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    strcpy(addr.sun_path, name);
    if (addr.sun_path[0] == '@')
        addr.sun_path[0] = 0;
    assert_int_equal(bind(fd, (struct sockaddr *)&addr,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static const char *told(int fd)
{
    static char text[256];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);

    text[n > 0 ? n : 0] = 0;
    return text;
}

static void tell_all(const char *name)
{
    int fd = supervisor(name);
    long long usec = 0;

    notify_ready("");
    assert_string_equal(told(fd), "READY=1");
    notify_ready("waiting for :80, held by pid 1 (a\nMAINPID=1)");
    assert_string_equal(told(fd), "READY=1\nSTATUS=waiting for :80, held by pid 1 (a MAINPID=1)");
    notify_status("");
    assert_string_equal(told(fd), "STATUS=");
    notify_reloading();
    assert_int_equal(sscanf(told(fd), "RELOADING=1\nMONOTONIC_USEC=%lld", &usec), 1);
    assert_true(usec > 0);
    notify_watchdog();
    assert_string_equal(told(fd), "WATCHDOG=1");
    notify_stopping();
    assert_string_equal(told(fd), "STOPPING=1");
    assert_string_equal(told(fd), "");
    close(fd);
    unsetenv("NOTIFY_SOCKET");
}

static void test_tells_a_socket_in_the_file_system(void **state)
{
    tell_all(temp_path(*state, "notify"));
}

static void test_tells_an_abstract_socket(void **state)
{
    char name[64];

    (void)state;
    snprintf(name, sizeof name, "@tunnel-unit-%d", (int)getpid());
    tell_all(name);
}

static void test_says_nothing_without_a_supervisor(void **state)
{
    char name[200] = "/tmp/";

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    notify_ready("");
    setenv("NOTIFY_SOCKET", "", 1);
    notify_ready("");
    memset(name + 5, 'x', sizeof name - 6); /* longer than any socket's path */
    setenv("NOTIFY_SOCKET", name, 1);
    notify_stopping();
    unsetenv("NOTIFY_SOCKET");
}

static void test_a_supervisor_that_is_gone_is_logged(void **state)
{
    struct buf text = { 0 };
    int fd;

    assert_int_equal(log_prepare(temp_path(*state, "log"), &fd, NULL), 0);
    log_commit(fd);
    setenv("NOTIFY_SOCKET", temp_path(*state, "none"), 1);
    notify_ready("");
    unsetenv("NOTIFY_SOCKET");
    log_close();
    assert_int_equal(file_read(temp_path(*state, "log"), 1000, &text, NULL), 0);
    assert_non_null(
        strstr(buf_text(&text), "cannot tell the supervisor state=\"READY=1\" error=\"No such file"));
    buf_free(&text);
}

static void set(const char *variable, const char *value)
{
    char pid[16];

    snprintf(pid, sizeof pid, "%d", (int)getpid());
    if (value)
        setenv(variable, strcmp(value, "us") == 0 ? pid : value, 1);
    else
        unsetenv(variable);
}

static void test_watchdog(void **state)
{
    static const struct {
        const char *usec, *pid;
        int64_t ms;
    } rows[] = { { NULL, NULL, 0 },
                 { "30000000", NULL, 30000 },
                 { "30000000", "us", 30000 },
                 { "30000000", "1", 0 },
                 { "3000", "x", 0 },
                 { "", NULL, 0 },
                 { "0", NULL, 0 },
                 { "-5", NULL, 0 },
                 { "12x", NULL, 0 },
                 { "99999999999999999999", NULL, 0 } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set("WATCHDOG_USEC", rows[i].usec);
        set("WATCHDOG_PID", rows[i].pid);
        assert_int_equal(notify_watchdog_ms(), rows[i].ms);
    }
    set("WATCHDOG_USEC", NULL);
    set("WATCHDOG_PID", NULL);
}

/* ---- inherited sockets ---- */

static void assert_environment_is_clean(void)
{
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
}

static void set_listen(const char *pid, const char *fds, const char *names)
{
    set("LISTEN_PID", pid);
    set("LISTEN_FDS", fds);
    set("LISTEN_FDNAMES", names);
}

static void test_what_is_not_for_us_is_ignored(void **state)
{
    static const struct {
        const char *pid, *fds;
    } rows[] = { { NULL, NULL }, { "1", "1" }, { "", "1" }, { NULL, "1" }, { "x", "1" }, { "us", "0" } };
    struct inherited in;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        set_listen(rows[i].pid, rows[i].fds, "name");
        assert_int_equal(inherited_read(&in, NULL), 0);
        assert_int_equal(in.n, 0);
        assert_environment_is_clean();
    }
}

static void test_wrong_numbers_are_refused(void **state)
{
    static const char *const numbers[] = { "65", "-1", "x", "1x", "", "99999999999999999999" };
    struct inherited in;

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct err e = { 0 };

        set_listen("us", numbers[i], NULL);
        assert_int_equal(inherited_read(&in, &e), -1);
        assert_int_equal(e.code, ERR_INPUT);
        assert_non_null(strstr(e.text, "LISTEN_FDS = "));
        assert_environment_is_clean();
    }
}

enum { GIVEN = 4 };

/* Descriptors from 3 on are the ones to be inherited; what the test program itself had there is put aside. */
static void give(const int *fds, int *aside)
{
    for (int i = 0; i < GIVEN; i++) {
        aside[i] = fcntl(3 + i, F_DUPFD_CLOEXEC, 100);
        assert_int_equal(dup2(fds[i], 3 + i), 3 + i);
    }
}

static void put_back(const int *aside)
{
    for (int i = 0; i < GIVEN; i++) {
        close(3 + i);
        if (aside[i] >= 0)
            dup2(aside[i], 3 + i);
        close(aside[i]);
    }
}

static int socket_at(const struct sockaddr *addr, socklen_t size, bool listening)
{
    int fd = socket(addr->sa_family, SOCK_STREAM, 0), high = fcntl(fd, F_DUPFD, 50);

    close(fd);
    assert_int_equal(bind(high, addr, size), 0);
    assert_true(!listening || listen(high, 1) == 0);
    return high;
}

static void test_sockets_are_taken_by_address(void **state)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, other = v4;
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    const char *path = strcpy(un.sun_path, temp_path(*state, "sock"));
    int fds[GIVEN] = { socket_at((void *)&v4, sizeof v4, true), socket_at((void *)&v4, sizeof v4, false),
                       socket_at((void *)&un, sizeof un, true), open("/dev/null", O_RDONLY) };
    int aside[GIVEN];
    struct inherited in;
    socklen_t size = sizeof v4;
    struct buf text = { 0 };
    int log_fd;

    getsockname(fds[0], (void *)&v4, &size);
    getsockname(fds[1], (void *)&other, &size);
    assert_int_equal(log_prepare(temp_path(*state, "log"), &log_fd, NULL), 0);
    log_commit(fcntl(log_fd, F_DUPFD_CLOEXEC, 50));
    give(fds, aside);
    set_listen("us", "4", "web:quiet:control:null");
    assert_int_equal(inherited_read(&in, NULL), 0);
    assert_environment_is_clean();
    assert_int_equal(in.n, 4);
    assert_int_equal(fcntl(3, F_GETFD), FD_CLOEXEC);
    assert_int_equal(inherited_take(&in, (void *)&other), -1); /* bound, but not listening */
    assert_int_equal(inherited_take_unix(&in, "/tmp/elsewhere"), -1);
    assert_int_equal(inherited_take_unix(&in, path), 5);
    assert_int_equal(inherited_take_unix(&in, path), -1); /* once only */
    assert_int_equal(inherited_take(&in, (void *)&v4), 3);
    v4.sin_port ^= 1;
    assert_int_equal(inherited_take(&in, (void *)&v4), -1);
    inherited_close_rest(&in);
    assert_int_not_equal(fcntl(3, F_GETFD), -1);
    assert_int_equal(fcntl(4, F_GETFD), -1);
    assert_int_not_equal(fcntl(5, F_GETFD), -1);
    assert_int_equal(fcntl(6, F_GETFD), -1);
    put_back(aside);
    log_close();
    assert_int_equal(file_read(temp_path(*state, "log"), 1000, &text, NULL), 0);
    assert_non_null(strstr(buf_text(&text), "is not in the configuration fd=4 name=\"quiet\"\n"));
    assert_non_null(strstr(buf_text(&text), "is not in the configuration fd=6 name=\"null\"\n"));
    buf_free(&text);
    close(log_fd);
    for (int i = 0; i < GIVEN; i++)
        close(fds[i]);
}

static void test_names_stay_with_their_sockets(void **state)
{
    static const struct {
        const char *names, *expected[GIVEN];
    } rows[] = {
        { NULL, { "", "", "", "" } },
        { "a:b", { "a", "b", "", "" } },
        { "a:b:c:d:e", { "a", "b", "c", "d" } },
        { "a-name-that-is-longer-than-we-keep-it:b", { "a-name-that-is-longer-than-we-k", "b", "", "" } },
        { "a b:c", { "a b", "c", "", "" } }, /* systemd allows blanks in names, */
        { "a::c:d", { "a", "", "c", "d" } }, /* and empty ones */
    };
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), fds[GIVEN] = { null, null, null, null }, aside[GIVEN];
    struct inherited in;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int rc;

        give(fds, aside);
        set_listen("us", "4", rows[i].names);
        rc = inherited_read(&in, NULL);
        put_back(aside);
        assert_int_equal(rc, 0);
        for (int n = 0; n < GIVEN; n++)
            assert_string_equal(in.names[n], rows[i].expected[n]);
    }
    close(null);
}

static void test_a_descriptor_that_is_not_open(void **state)
{
    struct inherited in;
    struct err e = { 0 };

    (void)state;
    set_listen("us", "64", NULL); /* nobody has all of 3 to 66 */
    assert_int_equal(inherited_read(&in, &e), -1);
    assert_int_equal(e.code, ERR_SYSTEM);
    assert_non_null(strstr(e.text, "which is not open"));
    assert_environment_is_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tells_a_socket_in_the_file_system, temp_make, temp_remove),
        cmocka_unit_test(test_tells_an_abstract_socket),
        cmocka_unit_test(test_says_nothing_without_a_supervisor),
        cmocka_unit_test_setup_teardown(test_a_supervisor_that_is_gone_is_logged, temp_make, temp_remove),
        cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_what_is_not_for_us_is_ignored),
        cmocka_unit_test_setup_teardown(test_sockets_are_taken_by_address, temp_make, temp_remove),
        cmocka_unit_test(test_wrong_numbers_are_refused),
        cmocka_unit_test(test_names_stay_with_their_sockets),
        cmocka_unit_test(test_a_descriptor_that_is_not_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
