#include "shared/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define SHAPE "not an address or a network (such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32)"
#define BITS4 "behind the / is not a number of bits from 0 to 32 (such as 192.0.2.0/24)"
#define MAPPED(network)                                                                                \
    "the address has bits behind the /, which counts from the beginning of ::ffff: on; write " network \
    " for the network, or the address alone"
#define BITS6 "behind the / is not a number of bits from 0 to 128 (such as 2001:db8::/32)"

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage addr = { 0 };
    struct sockaddr_in *v4 = (void *)&addr;
    struct sockaddr_in6 *v6 = (void *)&addr;

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        addr.ss_family = AF_INET;
        v4->sin_port = htons(4711);
    } else {
        addr.ss_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
        v6->sin6_port = htons(4711);
    }
    return addr;
}

static void test_networks_are_read_and_printed(void **state)
{
    static const char *const rows[][2] = {
        { "192.0.2.7", "192.0.2.7" },
        { "192.0.2.7/32", "192.0.2.7" },
        { "192.0.2.0/24", "192.0.2.0/24" },
        { "192.0.2.128/25", "192.0.2.128/25" },
        { "192.0.2.254/31", "192.0.2.254/31" },
        { "0.0.0.0/0", "0.0.0.0/0" },
        { "0.0.0.0", "0.0.0.0" },
        { "255.255.255.255", "255.255.255.255" },
        { "2001:DB8:0::1", "2001:db8::1" },
        { "2001:db8::/32", "2001:db8::/32" },
        { "2001:db8:8000::/33", "2001:db8:8000::/33" },
        { "::/0", "::/0" },
        { "::", "::" },
        { "::1/128", "::1" },
        { "::ffff:192.0.2.7", "192.0.2.7" },
        { "::ffff:192.0.2.0/120", "192.0.2.0/24" },
        { "::ffff:0:0/96", "0.0.0.0/0" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err why = { 0 };
        struct buf text = { 0 };
        struct cidr cidr, again;

        if (cidr_read(str_of(rows[i][0]), &cidr, &why) != 0)
            fail_msg("%s: %s", rows[i][0], why.text);
        cidr_print(&text, &cidr);
        assert_string_equal(buf_text(&text), rows[i][1]);
        assert_int_equal(cidr_read(str_of(rows[i][1]), &again, &why), 0);
        assert_true(cidr_same(&cidr, &again));
        buf_free(&text);
    }
}

static void test_what_is_none(void **state)
{
    static const char *const rows[][2] = {
        { "", SHAPE },
        { "/", SHAPE },
        { "/8", SHAPE },
        { "nas", SHAPE },
        { "10.0.0", SHAPE },
        { "10.0.0.256", SHAPE },
        { "10.0.0.01", SHAPE },
        { "10.0.0.1:80", SHAPE },
        { "[::1]", SHAPE },
        { "fe80::1%eth0", SHAPE },
        { "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", SHAPE },
        { "10.0.0.0/", BITS4 },
        { "10.0.0.0/33", BITS4 },
        { "10.0.0.0/-1", BITS4 },
        { "10.0.0.0/8/8", BITS4 },
        { "10.0.0.0/255.0.0.0", BITS4 },
        { "10.0.0.0/ 8", BITS4 },
        { "::/129", BITS6 },
        { "::/x", BITS6 },
        { "10.0.0.1/8",
          "the address has bits behind the /; write 10.0.0.0/8 for the network, or the address alone" },
        { "10.0.0.1/0",
          "the address has bits behind the /; write 0.0.0.0/0 for the network, or the address alone" },
        { "192.0.2.255/31",
          "the address has bits behind the /; write 192.0.2.254/31 for the network, or the address alone" },
        { "2001:db8::1/32",
          "the address has bits behind the /; write 2001:db8::/32 for the network, or the address alone" },
        { "::ffff:10.0.0.1/104",
          "the address has bits behind the /; write 10.0.0.0/8 for the network, or the address alone" },
        { "::ffff:10.0.0.0/8", MAPPED("10.0.0.0/8") },
        { "::ffff:10.1.2.3/16", MAPPED("10.1.0.0/16") },
        { "::ffff:10.1.2.3/64", MAPPED("10.1.2.3") },
        { "::ffff:0:0/0", MAPPED("0.0.0.0/0") },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err why = { 0 };
        struct cidr cidr;

        if (cidr_read(str_of(rows[i][0]), &cidr, &why) == 0)
            fail_msg("%s: is taken", rows[i][0]);
        assert_string_equal(why.text, rows[i][1]);
        assert_int_equal(why.code, ERR_INPUT);
    }
    assert_int_equal(cidr_read((struct str){ "10.0.0.1\0", 9 }, &(struct cidr){ .bits = 0 }, NULL), -1);
}

static void test_which_addresses_are_in_it(void **state)
{
    static const struct {
        const char *network, *address;
        bool in;
    } rows[] = {
        { "192.0.2.7", "192.0.2.7", true },
        { "192.0.2.7", "192.0.2.6", false },
        { "192.0.2.7", "::ffff:192.0.2.7", true },
        { "::ffff:192.0.2.7", "192.0.2.7", true },
        { "192.0.2.0/24", "192.0.2.0", true },
        { "192.0.2.0/24", "192.0.2.255", true },
        { "192.0.2.0/24", "192.0.3.0", false },
        { "192.0.2.0/24", "192.0.1.255", false },
        { "192.0.2.128/25", "192.0.2.127", false },
        { "192.0.2.128/25", "192.0.2.128", true },
        { "192.0.2.254/31", "192.0.2.255", true },
        { "192.0.2.254/31", "192.0.2.253", false },
        { "128.0.0.0/1", "127.255.255.255", false },
        { "128.0.0.0/1", "255.0.0.1", true },
        { "0.0.0.0/0", "203.0.113.7", true },
        { "0.0.0.0/0", "::ffff:203.0.113.7", true },
        { "0.0.0.0/0", "::1", false },
        { "0.0.0.0/0", "::203.0.113.7", false },
        { "::/0", "::1", true },
        { "::/0", "2001:db8::1", true },
        { "::/0", "203.0.113.7", false },
        { "::/0", "::ffff:203.0.113.7", false },
        { "::/1", "ffff::", false },
        { "2001:db8::/32", "2001:db8:ffff::1", true },
        { "2001:db8::/32", "2001:db9::", false },
        { "2001:db8::/33", "2001:db8:8000::", false },
        { "127.0.0.0/8", "::1", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct sockaddr_storage address = address_of(rows[i].address);
        struct cidr list[2];

        assert_int_equal(cidr_read(STR("233.252.0.0/24"), &list[0], NULL), 0);
        assert_int_equal(cidr_read(str_of(rows[i].network), &list[1], NULL), 0);
        if (cidrs_have(&(struct cidrs){ 2, list }, &address) != rows[i].in)
            fail_msg("%s in %s: not %d", rows[i].address, rows[i].network, rows[i].in);
        assert_false(cidrs_have(&(struct cidrs){ 0 }, &address));
    }
    assert_false(cidrs_have(&(struct cidrs){ 1, &(struct cidr){ .bits = 0 } },
                            &(struct sockaddr_storage){ .ss_family = AF_UNIX }));
}

static void test_addresses_alone(void **state)
{
    static const char *const none[] = { "", "x", "10.0.0.1/8", "[::1]", "10.0.0.1:1", "::1%lo", " ::1" };
    static const char *const some[][2] = { { "192.0.2.7", "192.0.2.7" },
                                           { "::FFFF:192.0.2.7", "192.0.2.7" },
                                           { "2001:DB8::7", "2001:db8::7" } };
    struct sockaddr_storage addr;

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_false(cidr_address(str_of(none[i]), &addr));
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const struct sockaddr_storage same = address_of(some[i][1]);

        assert_true(cidr_address(str_of(some[i][0]), &addr));
        assert_int_equal(addr.ss_family, same.ss_family);
        if (addr.ss_family == AF_INET)
            assert_int_equal(((struct sockaddr_in *)&addr)->sin_addr.s_addr,
                             ((const struct sockaddr_in *)&same)->sin_addr.s_addr);
        else
            assert_memory_equal(&((struct sockaddr_in6 *)&addr)->sin6_addr,
                                &((const struct sockaddr_in6 *)&same)->sin6_addr, 16);
        assert_int_equal(((struct sockaddr_in *)&addr)->sin_port, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks_are_read_and_printed),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_which_addresses_are_in_it),
        cmocka_unit_test(test_addresses_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
