#include "shared/dns/ovh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void make_secret(struct secret *secret, const char *text)
{
    secret_init(secret, strlen(text));
    memcpy(secret->bytes, text, strlen(text));
}

/* The first is the example of OVH's own guide; the others are sha1sum's. */
static void test_signatures(void **state)
{
    static const struct {
        const char *method, *url, *body, *signature;
        int64_t at_s;
    } rows[] = {
        { "GET", "https://eu.api.ovh.com/1.0/domains/", "", "$1$d3705e8afb27a0d2970a322b96550abfc67bb798",
          1366560945 },
        { "PUT", "https://eu.api.ovh.com/1.0/domain/zone/example.org/record/1",
          "{\"target\":\"192.0.2.1\",\"ttl\":60}", "$1$dfe77b59e69b7d20f2682461bcadc27127eebc7a",
          1790000000 },
        { "GET", "https://eu.api.ovh.com/1.0/domain/zone/example.org/record?fieldType=A&subDomain=*", "",
          "$1$4c1c0bae5e096884e6967cd23c01ee4e986e44db", 1790000000 },
    };
    struct secret application_secret = { 0 }, consumer_key = { 0 };

    (void)state;
    make_secret(&application_secret, "EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF");
    make_secret(&consumer_key, "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[OVH_SIGNATURE_BYTES];

        ovh_signature(&application_secret, &consumer_key, rows[i].method, rows[i].url, rows[i].body,
                      strlen(rows[i].body), rows[i].at_s, out);
        assert_string_equal(out, rows[i].signature);
    }
    secret_free(&application_secret);
    secret_free(&consumer_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
