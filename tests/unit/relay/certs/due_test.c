#include "relay/certs/due.h"
#include "relay/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/temp.h"

/* What an agent may cause in a day is counted in honest needs, so that nobody who orders what is configured is held up. */
static void test_what_a_site_may_need_in_a_day(void **state)
{
    static const struct {
        const char *conf, *issuer; /* NULL: any */
        unsigned orders;
    } rows[] = {
        { "[acme]\nstaging_first = off\n", NULL, 2 },
        { "[acme]\n", NULL, 4 },
        { "[acme]\nkey_types = ecdsa rsa\n", NULL, 8 },
        { "[acme]\ndirectory = https://ca.test/dir\nkey_types = ecdsa rsa\n", NULL, 4 },
        { "[acme]\nkey_types = ecdsa rsa\n[acme second]\ndirectory = https://ca.test/dir\n", NULL, 10 },
        { "[acme]\nkey_types = ecdsa rsa\n[acme second]\ndirectory = https://ca.test/dir\n", "second", 2 },
        { "[acme]\n", "nobody", 0 },
    };
    const struct temp *t = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct opt_conf *conf = opt_load_text(&relay_schema, "relay.ini", rows[i].conf, strlen(rows[i].conf),
                                              &(struct opt_errors){ 0 });
        struct issuers *issuers = issuers_new(conf, t->folder, NULL);
        const struct due_site site = { .issuers = issuers, .issuer = rows[i].issuer };

        assert_int_equal(due_orders_a_day(&site), rows[i].orders);
        issuers_release(issuers);
        opt_conf_free(conf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_a_site_may_need_in_a_day, temp_make, temp_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
