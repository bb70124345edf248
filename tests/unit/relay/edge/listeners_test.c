/* Real sockets on loopback: a port is had at once, or when whoever holds it ends. */
#include "relay/edge/listeners.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "shared/log.h"

struct world {
    struct loop loop;
    struct listeners *listeners;
    int opened, changed, secure;
    int fds[4], fds_n; /* that it has opened */
};

static int on_opened(void *user, const int *fds, struct entrance entrance, struct err *e)
{
    struct world *w = user;

    (void)e;
    w->opened++;
    w->secure += entrance.secure;
    for (int i = 0; i < 2; i++) {
        assert_true(w->fds_n < 4);
        w->fds[w->fds_n++] = fds[i];
    }
    return 0;
}

static void on_changed(void *user)
{
    struct world *w = user;

    w->changed++;
    listeners_stop(w->listeners);
}

/* Somebody else's, which listens; the address goes to *at. */
static int hold(struct opt_address *at)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    *at = (struct opt_address){ 0 };
    memcpy(&at->addr, &addr, sizeof addr);
    return fd;
}

static struct listeners *start(struct world *w, const struct opt_address *https,
                               const struct opt_address *http, struct err *e)
{
    const struct opt_addresses none = { 0 }, one = { 1, https }, two = { http ? 1 : 0, http };
    const struct listeners_conf conf = { &one, &two, &none, 2 };
    struct inherited inherited = { 0 };

    *w = (struct world){ 0 };
    assert_int_equal(loop_init(&w->loop, NULL), 0);
    w->listeners =
        listeners_start(&w->loop, &conf, &inherited, &(struct listeners_host){ on_opened, on_changed, w }, e);
    return w->listeners;
}

static void end(struct world *w)
{
    loop_run(&w->loop);
    while (w->fds_n > 0)
        close(w->fds[--w->fds_n]);
    loop_free(&w->loop); /* asserts that nothing is left */
}

static const char *state(const struct world *w, size_t i)
{
    static char text[16];
    json_t *list = listeners_status(w->listeners);

    strcpy(text, json_string_value(json_object_get(json_array_get(list, i), "state")));
    json_decref(list);
    return text;
}

static void had_at_once(void **unused)
{
    struct opt_address at;
    struct err e = { 0 };
    struct world w;
    char text[200];

    (void)unused;
    close(hold(&at));
    assert_non_null(start(&w, &at, NULL, &e));
    assert_int_equal(w.opened, 1);
    assert_int_equal(w.secure, 1);
    assert_string_equal(state(&w, 0), "up");
    listeners_text(w.listeners, text, sizeof text);
    assert_string_equal(text, "");
    listeners_stop(w.listeners);
    end(&w);
}

static void waited_for(void **unused)
{
    struct opt_address at, other;
    int fd = hold(&at), held = hold(&other);
    struct err e = { 0 };
    struct world w;
    char text[1000];

    (void)unused;
    assert_non_null(start(&w, &at, &other, &e));
    assert_int_equal(w.opened, 0);
    assert_string_equal(state(&w, 0), "held");
    assert_string_equal(state(&w, 1), "held");
    listeners_text(w.listeners, text, sizeof text);
    assert_non_null(strstr(text, "waiting: cannot listen on 127.0.0.1:"));
    assert_non_null(strstr(text, "; cannot listen on "));
    assert_non_null(strstr(text, "it is held by pid "));
    listeners_text(w.listeners, text, 20); /* no more than fits */
    assert_string_equal(text, "waiting: cannot lis");
    close(fd);
    end(&w);
    assert_int_equal(w.changed, 1);
    assert_int_equal(w.opened, 1);
    assert_int_equal(w.secure, 1);
    close(held);
}

static void stopped_while_it_waits(void **unused)
{
    struct opt_address at;
    int fd = hold(&at);
    struct err e = { 0 };
    struct world w;

    (void)unused;
    assert_non_null(start(&w, &at, NULL, &e));
    listeners_stop(w.listeners);
    end(&w);
    assert_int_equal(w.opened, 0);
    close(fd);
}

static void ours_twice(void **unused)
{
    struct opt_address at;
    struct err e = { 0 };
    struct world w;

    (void)unused;
    close(hold(&at));
    assert_null(start(&w, &at, &at, &e));
    assert_int_equal(e.code, ERR_TAKEN);
    end(&w);
}

static void no_such_address(void **unused)
{
    struct opt_address at = { 0 };
    struct sockaddr_in *v4 = (void *)&at.addr;
    struct err e = { 0 };
    struct world w;

    (void)unused;
    *v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(20001) };
    assert_int_equal(inet_pton(AF_INET, "192.0.2.77", &v4->sin_addr), 1);
    assert_null(start(&w, &at, NULL, &e));
    assert_non_null(strstr(e.text, "this machine has no such address"));
    end(&w);
}

static void none_at_all(void **unused)
{
    json_t *list = listeners_status(NULL);
    char text[8] = "x";

    (void)unused;
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    listeners_text(NULL, text, sizeof text);
    assert_string_equal(text, "");
    listeners_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(had_at_once),
        cmocka_unit_test(waited_for),
        cmocka_unit_test(stopped_while_it_waits),
        cmocka_unit_test(ours_twice),
        cmocka_unit_test(no_such_address),
        cmocka_unit_test(none_at_all),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
