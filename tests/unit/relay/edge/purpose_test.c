#include "relay/edge/purpose.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct sockaddr_storage address(const char *text, uint16_t port)
{
    struct sockaddr_storage addr;
    struct sockaddr_in *v4 = (void *)&addr;

    memset(&addr, 0xaa, sizeof addr); /* what is behind the address does not count */
    assert_true(cidr_address(str_of(text), &addr));
    v4->sin_port = htons(port);
    return addr;
}

static struct purpose_alone alone(const char *source, uint16_t port, const char *dest, const char *sni)
{
    return (struct purpose_alone){ address(source, port), address(dest, 443), sni };
}

static void test_what_is_the_same(void **state)
{
    const struct snap_target site = { .item = "domain:a.test", .route = "" },
                             route = { .item = "domain:a.test", .route = "/x" },
                             port = { .item = "tcp:a.test", .route = "" };
    const struct purpose_alone who = alone("192.0.2.1", 5, "192.0.2.9", NULL),
                               again = alone("192.0.2.1", 5, "192.0.2.9", ""),
                               others[] = { alone("192.0.2.2", 5, "192.0.2.9", NULL),
                                            alone("192.0.2.1", 6, "192.0.2.9", NULL),
                                            alone("192.0.2.1", 5, "192.0.2.8", NULL),
                                            alone("192.0.2.1", 5, "192.0.2.9", "a.test"),
                                            alone("2001:db8::1", 5, "2001:db8::9", NULL) };
    struct purpose p = { 0 };

    (void)state;
    assert_false(purpose_is(&p, &site, NULL));
    purpose_set(&p, &site, NULL);
    assert_true(purpose_is(&p, &site, NULL));
    assert_false(purpose_is(&p, &route, NULL));
    assert_false(purpose_is(&p, &port, NULL));
    assert_false(purpose_is(&p, &site, &who));
    purpose_free(&p);
    purpose_set(&p, &site, &who);
    assert_true(purpose_is(&p, &site, &who));
    assert_true(purpose_is(&p, &site, &again));
    assert_false(purpose_is(&p, &site, NULL));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(purpose_is(&p, &site, &others[i]));
    purpose_free(&p);
}

static void check_header(const struct purpose_alone *who, bool local)
{
    const struct snap_target target = { .item = "tcp:game", .route = "" };
    struct purpose p = { 0 };
    struct proxy2_use use;
    struct buf out = { 0 };

    purpose_set(&p, &target, who);
    purpose_write(&p, false, &out);
    assert_int_equal(proxy2_use_read(&use, (const unsigned char *)buf_bytes(&out), out.len, NULL), out.len);
    assert_true(use.local == local && str_eq(use.item, "tcp:game") && use.route.n == 0);
    if (!local) {
        assert_int_equal(use.source.ss_family, who->source.ss_family);
        assert_int_equal(((struct sockaddr_in *)&use.source)->sin_port, htons(5));
        assert_int_equal(((struct sockaddr_in *)&use.dest)->sin_port, htons(443));
        assert_true(str_eq(use.sni, who->sni ? who->sni : ""));
    }
    buf_free(&out);
    purpose_free(&p);
}

static void test_headers(void **state)
{
    const struct purpose_alone v4 = alone("192.0.2.1", 5, "192.0.2.9", NULL),
                               v6 = alone("2001:db8::1", 5, "2001:db8::9", "a.test");

    (void)state;
    check_header(NULL, true);
    check_header(&v4, false);
    check_header(&v6, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_is_the_same),
                                        cmocka_unit_test(test_headers) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
