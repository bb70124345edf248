/* Ports in a snapshot, and the sockets behind them. */
#include "relay/edge/snapshot_ports.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static int null_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_a_socket_for_each_worker(void **state)
{
    int fd = null_fd(), first, second;
    struct err e = { 0 };
    struct port *p = port_new(fd, 3, &e);

    (void)state;
    assert_non_null(p);
    first = port_take(p, 0);
    second = port_take(p, 2);
    assert_true(first >= 0 && second >= 0 && first != second && first != fd);
    assert_int_equal(port_take(p, 0), -1);
    port_release(port_hold(p));
    assert_true(is_open(first) && is_open(second) && is_open(fd));
    port_release(p); /* which closes the third one: a leak would be seen below */
    assert_true(is_open(first) && is_open(second) && is_open(fd));
    close(first);
    close(second);
    first = null_fd();
    assert_true(first <= fd + 1);
    close(first);
    close(fd);
    port_release(NULL);
}

static void test_what_stands_in_it(void **state)
{
    static const unsigned char secret[PROXY2_SECRET_BYTES];
    struct sockaddr_storage in, out;
    struct cidr networks[1];
    char at[] = ":2222", item[] = "tcp:x", agent[] = "pi"; /* all of it is copied */
    int fd = null_fd();
    struct port *p = port_new(fd, 1, NULL);
    struct counts *counts = counts_new();
    struct snapshot *s = snapshot_new();
    const struct snap_port *const *ports, *port;
    const struct snap_lane *lane;
    const struct snap_down *downs;

    (void)state;
    assert_int_equal(cidr_read(STR("192.0.2.0/24"), &networks[0], NULL), 0);
    assert_true(cidr_address(STR("192.0.2.7"), &in) && cidr_address(STR("198.51.100.7"), &out));
    snapshot_add_port(s, &(struct snap_port){ .at = at,
                                              .target = { .item = item },
                                              .agent = agent,
                                              .port = p,
                                              .allow = { 1, networks },
                                              .park_ms = 7,
                                              .away_since = 8,
                                              .counts = counts });
    memset(at, 'x', sizeof at - 1);
    memset(item, 'x', sizeof item - 1);
    memset(agent, 'x', sizeof agent - 1);
    memset(networks, 0, sizeof networks);
    port_release(p);
    counts_release(counts);
    lane =
        snapshot_add_lane(s, 5, "pi", "boot", 1, 2000, false, secret, snapshot_find_port(s, ":2222")->counts);
    snapshot_add_port_lane(s, ":2222", lane);
    snapshot_add_port_lane(s, ":1", lane);
    snapshot_add_port_down(s, ":2222", LANE_SERVICE_REFUSED, lane);
    snapshot_add_port_down(s, ":1", LANE_SERVICE_REFUSED, lane);
    snapshot_finish(s);

    assert_int_equal(snapshot_ports(s, &ports), 1);
    port = snapshot_find_port(s, ":2222");
    assert_ptr_equal(port, ports[0]);
    assert_null(snapshot_find_port(s, ":1"));
    assert_ptr_equal(snapshot_port_target(s, ":2222"), &port->target);
    assert_null(snapshot_port_target(s, ":1"));
    assert_string_equal(port->target.item, "tcp:x");
    assert_string_equal(port->agent, "pi");
    assert_true(port->park_ms == 7 && port->away_since == 8 && port->deny.n == 0);
    assert_true(cidrs_have(&port->allow, &in) && !cidrs_have(&port->allow, &out));
    assert_int_equal(port->target.lanes_n, 1);
    assert_ptr_equal(port->target.lanes[0].lane, lane);
    assert_int_equal(snapshot_downs(s, &downs), 1);
    assert_string_equal(downs[0].item, "tcp:x");
    snapshot_release(s);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_socket_for_each_worker),
        cmocka_unit_test(test_what_stands_in_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
