/* Real sockets on loopback: who connects is let in, or refused, from one moment to the next. */
#include "relay/lanes/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/relay/lanes/relay_conf.h"

/* Held, so that nobody else gets it; who asks for it may listen there. */
static int hold_port(struct opt_address *at)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof addr;
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    *at = (struct opt_address){ 0 };
    memcpy(&at->addr, &addr, sizeof addr);
    return fd;
}

static int try(const struct opt_address *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = connect(fd, (const struct sockaddr *)&at->addr, sizeof(struct sockaddr_in)) == 0 ? 0 : errno;

    close(fd);
    return rc;
}

static bool is_waiting(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

static struct ports *ports_of(unsigned workers, const char *first, const char *agent)
{
    struct opt_conf *conf = relay_conf(first, (const char *const[]){ "pi", agent, NULL });
    struct ports *p = ports_new(workers);
    struct roster roster;

    roster_init(&roster, conf, NULL);
    ports_follow(p, conf, &roster);
    roster_free(&roster);
    opt_conf_free(conf);
    return p;
}

static struct ports *ports_with(unsigned workers, const char *first)
{
    return ports_of(workers, first, "a.test");
}

static void test_open_and_closed(void **state)
{
    struct ports *p = ports_with(2, "");
    struct opt_address at;
    int held = hold_port(&at), first, second;
    char why[256] = "";
    struct port *open;

    (void)state;
    assert_int_equal(try(&at), ECONNREFUSED);
    assert_null(ports_find(p, &at));
    for (int i = 0; i < 3; i++) {
        assert_true(ports_want(p, &at, why, sizeof why));
        ports_settled(p);
        open = port_hold(ports_find(p, &at));
        first = port_take(open, 0);
        second = port_take(open, 1);
        assert_int_equal(port_take(open, 1), -1);
        assert_int_equal(try(&at), 0);
        assert_true(is_waiting(first) && is_waiting(second)); /* one queue */
        close(first);
        assert_int_equal(try(&at), 0); /* another worker is still there */
        assert_true(ports_want(p, &at, why, sizeof why));
        ports_settled(p);
        assert_ptr_equal(ports_find(p, &at), open);
        ports_settled(p); /* nobody wants it any more */
        assert_null(ports_find(p, &at));
        assert_int_equal(try(&at), ECONNREFUSED); /* though a worker has it open */
        close(second);
        port_release(open);
    }
    ports_free(p);
    close(held);
}

static void test_taken(void **state)
{
    struct ports *p = ports_with(1, "");
    struct opt_address at;
    int held = hold_port(&at);
    char why[256] = "";

    (void)state;
    assert_int_equal(listen(held, 1), 0);
    assert_false(ports_want(p, &at, why, sizeof why));
    assert_non_null(strstr(why, "it is held by"));
    ports_settled(p);
    close(held);
    assert_true(ports_want(p, &at, why, sizeof why));
    ports_settled(p);
    ports_close(p);
    assert_int_equal(try(&at), ECONNREFUSED);
    assert_false(ports_want(p, &at, why, sizeof why));
    ports_free(p);
}

static void test_the_relays_own(void **state)
{
    struct ports *p = ports_with(1, "[relay]\nlisten_https = 127.0.0.1:20443\nlisten_http = :20080\n");
    struct opt_address at = { .any = true };
    char why[256] = "";

    (void)state;
    ((struct sockaddr_in6 *)&at.addr)->sin6_family = AF_INET6;
    ((struct sockaddr_in6 *)&at.addr)->sin6_port = htons(20443);
    assert_false(ports_want(p, &at, why, sizeof why));
    assert_string_equal(why, "the relay itself listens on port 20443; listen on another one");
    at = (struct opt_address){ 0 };
    *(struct sockaddr_in *)&at.addr = (struct sockaddr_in){ .sin_family = AF_INET,
                                                            .sin_port = htons(20080),
                                                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_false(ports_want(p, &at, why, sizeof why));
    ports_free(p);
}

static void test_an_address_that_is_not_here(void **state)
{
    struct ports *p = ports_with(1, "");
    struct opt_address at = { 0 };
    char why[256] = "";

    (void)state;
    *(struct sockaddr_in *)&at.addr = (struct sockaddr_in){ .sin_family = AF_INET,
                                                            .sin_port = htons(20080),
                                                            .sin_addr.s_addr = inet_addr("192.0.2.77") };
    assert_false(ports_want(p, &at, why, sizeof why));
    assert_non_null(strstr(why, "this machine has no such address"));
    ports_free(p);
}

/* A relay that starts first must not keep sshd from starting. (Only who may bind them ahead sees anything here.) */
static void test_the_port_of_sshd_is_not_bound_ahead(void **state)
{
    struct ports *p = ports_of(1, "[relay]\nname = fra1\nssh_port = 1022\n", "a.test\ntcp_ports = 1021-1023");

    (void)state;
    assert_int_equal(ports_have(p, 1021), ports_have(p, 1023));
    assert_false(ports_have(p, 1022));
    ports_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_and_closed),
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_the_relays_own),
        cmocka_unit_test(test_an_address_that_is_not_here),
        cmocka_unit_test(test_the_port_of_sshd_is_not_bound_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
