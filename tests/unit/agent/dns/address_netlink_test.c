#include "agent/dns/address_netlink.h"

#include "shared/buf.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { ETH0 = 2, ETH1 = 3, FOREVER = -1 };

struct has {
    const char *address;
    unsigned index, flags;
    int64_t preferred_s, valid_s;
};

static void attribute(struct buf *out, unsigned short type, const void *bytes, size_t n)
{
    struct rtattr a = { .rta_len = (unsigned short)(sizeof a + n), .rta_type = type };

    buf_add(out, &a, sizeof a);
    buf_add(out, bytes, n);
    buf_add(out, "\0\0\0", (4 - n % 4) % 4);
}

static void message(struct buf *out, const struct has *h)
{
    int family = strchr(h->address, ':') ? AF_INET6 : AF_INET;
    struct ifaddrmsg body = { .ifa_family = (unsigned char)family,
                              .ifa_flags = (unsigned char)h->flags,
                              .ifa_index = h->index };
    struct ifa_cacheinfo life = { .ifa_prefered = (uint32_t)h->preferred_s,
                                  .ifa_valid = (uint32_t)h->valid_s };
    struct nlmsghdr head = { .nlmsg_type = RTM_NEWADDR };
    unsigned char address[16];
    struct buf attributes = { 0 };

    assert_int_equal(inet_pton(family, h->address, address), 1);
    attribute(&attributes, IFA_ADDRESS, address, family == AF_INET ? 4 : 16);
    attribute(&attributes, IFA_CACHEINFO, &life, sizeof life);
    attribute(&attributes, IFA_FLAGS, &h->flags, sizeof h->flags);
    head.nlmsg_len = (uint32_t)(sizeof head + sizeof body + attributes.len);
    buf_add(out, &head, sizeof head);
    buf_add(out, &body, sizeof body);
    buf_add(out, buf_bytes(&attributes), attributes.len);
    buf_free(&attributes);
}

static void assert_pick(const struct has *has, const char *expected, const char *passed_over)
{
    struct address_pick pick = { .index = ETH0,
                                 .family = !expected || strchr(expected, ':') ? AF_INET6 : AF_INET };
    char text[ADDRESS_BYTES] = "";
    struct buf bytes = { 0 };

    for (; has->address; has++)
        message(&bytes, has);
    assert_int_equal(address_netlink_read(&pick, buf_bytes(&bytes), bytes.len, NULL), 0);
    assert_int_equal(pick.found, expected != NULL);
    if (expected) {
        inet_ntop(pick.family, pick.bytes, text, sizeof text);
        assert_string_equal(text, expected);
    }
    if (passed_over && !strstr(pick.passed_over, passed_over))
        fail_msg("%s is not in %s", passed_over, pick.passed_over);
    for (size_t n = 1; n < bytes.len; n++) { /* cut off: refused, or the first messages alone */
        struct address_pick cut = { .index = ETH0, .family = pick.family };
        int rc = address_netlink_read(&cut, buf_bytes(&bytes), n, NULL);

        assert_true(rc == 0 || rc == -1);
    }
    buf_free(&bytes);
}

static void test_picks(void **state)
{
    static const struct has lasting = { "2a01:4f8:1:1::5", ETH0, 0, 3600, 7200 },
                            longer = { "2a01:4f8:2:2::5", ETH0, 0, 86400, 86400 },
                            for_ever = { "2a01:4f8:3:3::5", ETH0, IFA_F_PERMANENT, FOREVER, FOREVER },
                            valid = { "2a01:4f8:4:4::5", ETH0, 0, 3600, 9000 },
                            temporary = { "2a01:4f8:1:1:9::9", ETH0, IFA_F_TEMPORARY, 90000, 90000 },
                            deprecated = { "2a01:4f8:5:5::5", ETH0, IFA_F_DEPRECATED, 0, FOREVER },
                            tentative = { "2a01:4f8:6:6::5", ETH0, IFA_F_TENTATIVE, FOREVER, FOREVER },
                            twice = { "2a01:4f8:7:7::5", ETH0, IFA_F_DADFAILED | IFA_F_TENTATIVE, FOREVER,
                                      FOREVER },
                            ula = { "fd00::5", ETH0, 0, FOREVER, FOREVER },
                            local = { "fe80::5", ETH0, 0, FOREVER, FOREVER },
                            elsewhere = { "2a01:4f8:8:8::5", ETH1, 0, FOREVER, FOREVER },
                            v4 = { "8.8.4.4", ETH0, 0, FOREVER, FOREVER },
                            second4 = { "8.8.4.5", ETH0, IFA_F_SECONDARY, FOREVER, FOREVER },
                            private4 = { "192.168.1.2", ETH0, 0, FOREVER, FOREVER },
                            end = { NULL, 0, 0, 0, 0 };

    (void)state;
    assert_pick((struct has[]){ lasting, end }, "2a01:4f8:1:1::5", NULL);
    assert_pick((struct has[]){ lasting, longer, end }, "2a01:4f8:2:2::5", NULL);
    assert_pick((struct has[]){ longer, lasting, end }, "2a01:4f8:2:2::5", NULL);
    assert_pick((struct has[]){ longer, for_ever, lasting, end }, "2a01:4f8:3:3::5", NULL);
    assert_pick((struct has[]){ lasting, valid, end }, "2a01:4f8:4:4::5", NULL);
    assert_pick(
        (struct has[]){ temporary, lasting, deprecated, tentative, twice, ula, local, elsewhere, v4, end },
        "2a01:4f8:1:1::5", NULL);
    assert_pick((struct has[]){ temporary, end }, NULL, "temporary");
    assert_pick((struct has[]){ deprecated, end }, NULL, "deprecated");
    assert_pick((struct has[]){ tentative, end }, NULL, "tentative");
    assert_pick((struct has[]){ twice, end }, NULL, "another machine");
    assert_pick((struct has[]){ ula, local, end }, NULL, "ULA");
    assert_pick((struct has[]){ elsewhere, v4, end }, NULL, NULL);
    assert_pick((struct has[]){ private4, second4, v4, lasting, end }, "8.8.4.4", "RFC 1918");
    assert_pick((struct has[]){ second4, end }, "8.8.4.5", NULL);
}

static void test_ends(void **state)
{
    struct nlmsghdr done = { .nlmsg_len = sizeof done, .nlmsg_type = NLMSG_DONE };
    struct {
        struct nlmsghdr head;
        struct nlmsgerr error;
    } refused = { .head = { .nlmsg_len = sizeof refused, .nlmsg_type = NLMSG_ERROR },
                  .error = { .error = -13 } };
    struct address_pick pick = { .index = ETH0, .family = AF_INET };
    struct err e = { 0 };

    (void)state;
    assert_int_equal(address_netlink_read(&pick, &done, sizeof done, &e), ADDRESS_NETLINK_DONE);
    assert_int_equal(address_netlink_read(&pick, &refused, sizeof refused, &e), -1);
    assert_non_null(strstr(e.text, "Permission denied"));
    done.nlmsg_len = 3;
    assert_int_equal(address_netlink_read(&pick, &done, sizeof done, &e), -1);
    done.nlmsg_len = 1000;
    assert_int_equal(address_netlink_read(&pick, &done, sizeof done, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_picks), cmocka_unit_test(test_ends) };

    return cmocka_run_group_tests_name("agent/dns/address_netlink", tests, NULL, NULL);
}
