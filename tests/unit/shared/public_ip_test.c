#include "shared/public_ip.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static bool is_public(const char *text)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    struct sockaddr_in v4 = { .sin_family = AF_INET };

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return public_ip_wrong((struct sockaddr *)&v4) == NULL;
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return public_ip_wrong((struct sockaddr *)&v6) == NULL;
}

static void test_which_are_public(void **state)
{
    static const char *const yes[] = { "1.1.1.1",     "9.255.255.255", "11.0.0.0",        "100.63.255.255",
                                       "100.128.0.0", "172.15.0.1",    "172.32.0.0",      "192.167.0.1",
                                       "198.17.0.1",  "198.20.0.0",    "203.0.112.1",     "223.255.255.254",
                                       "2a01:4f8::1", "2600::1",       "2001:4860::8888", NULL };
    static const char *const no[] = { "0.0.0.0",
                                      "10.0.0.1",
                                      "100.64.0.1",
                                      "100.127.255.255",
                                      "127.0.0.1",
                                      "127.64.0.1",
                                      "169.254.1.1",
                                      "172.16.0.1",
                                      "172.31.255.255",
                                      "192.0.0.8",
                                      "192.0.2.1",
                                      "192.168.1.1",
                                      "198.18.0.1",
                                      "198.19.255.255",
                                      "198.51.100.1",
                                      "203.0.113.1",
                                      "224.0.0.1",
                                      "240.0.0.1",
                                      "255.255.255.255",
                                      "::",
                                      "::1",
                                      "::ffff:1.1.1.1",
                                      "fe80::1",
                                      "fc00::1",
                                      "fd12::1",
                                      "ff02::1",
                                      "2001:db8::1",
                                      "2001::1",
                                      "2002:101:101::1",
                                      "64:ff9b::1",
                                      "3fff::1",
                                      NULL };

    (void)state;
    for (size_t i = 0; yes[i]; i++)
        if (!is_public(yes[i]))
            fail_msg("%s is public", yes[i]);
    for (size_t i = 0; no[i]; i++)
        if (is_public(no[i]))
            fail_msg("%s is not public", no[i]);
}

static void test_what_the_others_are(void **state)
{
    struct sockaddr_in cgnat = { .sin_family = AF_INET };
    struct sockaddr_in6 ula = { .sin6_family = AF_INET6 };

    (void)state;
    inet_pton(AF_INET, "100.72.1.2", &cgnat.sin_addr);
    inet_pton(AF_INET6, "fd00::1", &ula.sin6_addr);
    assert_non_null(strstr(public_ip_wrong((struct sockaddr *)&cgnat), "CGNAT"));
    assert_non_null(strstr(public_ip_wrong((struct sockaddr *)&ula), "ULA"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_are_public),
        cmocka_unit_test(test_what_the_others_are),
    };

    return cmocka_run_group_tests_name("shared/public_ip", tests, NULL, NULL);
}
