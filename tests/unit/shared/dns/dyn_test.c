#include "shared/dns/dyn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void test_words(void **state)
{
    static const struct {
        const char *body, *success, *sent;
        enum dns_class class;
    } rows[] = {
        { "good 192.0.2.1", "", "192.0.2.1", DNS_OK },
        { "good 192.0.2.1\r\nnochg 192.0.2.1", "", "192.0.2.1", DNS_OK },
        { "good", "", "192.0.2.1", DNS_OK },
        { "good 127.0.0.1", "", "192.0.2.1", DNS_AUTH },
        { "nochg 192.0.2.1", "", "192.0.2.1", DNS_NOCHANGE },
        { "badauth", "", NULL, DNS_AUTH },
        { "!donator", "", NULL, DNS_AUTH },
        { "badsys", "", NULL, DNS_AUTH },
        { "badagent", "", NULL, DNS_AUTH },
        { "notfqdn", "", NULL, DNS_CONFIG },
        { "nohost", "", NULL, DNS_CONFIG },
        { "!yours", "", NULL, DNS_CONFIG },
        { "!active", "", NULL, DNS_CONFIG },
        { "numhost", "", NULL, DNS_CONFIG },
        { "abuse", "", NULL, DNS_ABUSE },
        { "dnserr", "", NULL, DNS_TRANSIENT },
        { "911", "", NULL, DNS_TRANSIENT },
        { "interval", "", NULL, DNS_THROTTLED },
        { "", "", NULL, DNS_BADREPLY },
        { "\n", "", NULL, DNS_BADREPLY },
        { "Good 192.0.2.1", "", NULL, DNS_BADREPLY },
        { "goodness", "", NULL, DNS_BADREPLY },
        { "<html>good</html>", "", NULL, DNS_BADREPLY },
        { "OK", "", NULL, DNS_BADREPLY },
        { "OK", "OK Updated", NULL, DNS_OK },
        { "Updated 1 host", "OK Updated", NULL, DNS_OK },
        { "abuse", "abuse", NULL, DNS_ABUSE }, /* a word that is known stays what it is */
    };
    struct dns_conf conf = { .token_file = "" };
    struct dns_client *c = dns_client_new(&conf);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dns_why why = { .retry_after_ms = -1 };
        enum dns_class class = dns_dyn_judge(c, str_of(rows[i].body), rows[i].success, rows[i].sent, &why);

        if (class != rows[i].class)
            fail_msg("%s: %s", rows[i].body, dns_class_text(class));
        if (class > DNS_NOCHANGE)
            assert_true(strlen(why.err.text) > 20);
        if (strcmp(rows[i].body, "911") == 0)
            assert_int_equal(why.retry_after_ms, 30 * 60 * 1000);
    }
    dns_client_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_words) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
