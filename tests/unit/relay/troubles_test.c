/* What the relay's alerts look after, out of a status. */
#include "relay/troubles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/buf.h"

enum { NOW = 1795836265 }; /* 2026-11-28T03:24:25Z */

#define CERT(members) "{\"domains\":[{\"name\":\"a.test\",\"cert\":{" members "}}]}"

/* Each as "KIND SUBJECT GRADE WHY;", with ? where nobody can say, ! where it waits for nothing, ~ for a while. */
static const struct {
    const char *status, *seen;
} rows[] = {
    { "{}", "" },
    { "{\"agents\":[{\"agent\":\"pi\",\"state\":\"up\",\"since\":\"2026-11-28T03:00:00Z\",\"last_error\":null},"
      "{\"agent\":\"b\",\"state\":\"new\"},{\"agent\":\"c\",\"state\":\"down\",\"last_error\":\"cut\"}]}",
      "agent pi 0 no lane of it is up;agent b 0? no lane of it is up;agent c 1 cut;" },
    { CERT("\"state\":\"valid\",\"last_error\":\"nothing much\",\"failures\":1"), "certificate a.test 0 ;" },
    { CERT("\"state\":\"none\",\"last_error\":null"), "certificate a.test 0 ;" },
    { CERT("\"state\":\"ordering\",\"last_error\":\"CAA\",\"failures\":3"), "certificate a.test 0? ;" },
    { CERT("\"state\":\"failing\",\"last_error\":\"CAA\",\"failures\":1"), "certificate a.test 1 CAA;" },
    { CERT("\"state\":\"failing\",\"last_error\":\"CAA\",\"failures\":2"), "certificate a.test 1! CAA;" },
    { CERT(
          "\"state\":\"failing\",\"last_error\":\"CAA\",\"failures\":1,\"not_after\":\"2026-12-05T03:24:24Z\""),
      "certificate a.test 1~ CAA; it is good until 2026-12-05T03:24:24Z;" },
    { CERT(
          "\"state\":\"failing\",\"last_error\":\"CAA\",\"failures\":1,\"not_after\":\"2026-12-05T03:24:26Z\""),
      "certificate a.test 1 CAA; it is good until 2026-12-05T03:24:26Z;" },
    { CERT(
          "\"state\":\"expired\",\"last_error\":\"CAA\",\"failures\":0,\"not_after\":\"2026-11-05T03:24:26Z\""),
      "certificate a.test 2! it has expired; CAA; it is good until 2026-11-05T03:24:26Z;" },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *status = json_loads(rows[i].status, 0, NULL);
        struct troubles seen = { 0 };
        struct buf text = { 0 };

        assert_non_null(status);
        relay_add_troubles_at(status, NOW, &seen);
        for (size_t j = 0; j < seen.n; j++) {
            const struct trouble *t = &seen.list[j];

            assert_non_null(t->remedy);
            buf_printf(&text, "%s %s %d%s%s %s;", event_kind_text(t->kind), t->subject, t->grade,
                       t->unsure ? "?" : "",
                       t->kind != EVENT_CERTIFICATE || t->grade == 0 ? ""
                       : t->damp_ms == 0                             ? "!"
                       : t->damp_ms < 3600000                        ? "~"
                                                                     : "",
                       t->why);
        }
        if (strcmp(buf_text(&text), rows[i].seen) != 0)
            fail_msg("%s:\n%s", rows[i].status, buf_text(&text));
        buf_free(&text);
        troubles_free(&seen);
        json_decref(status);
    }
}

static void test_what_is_no_authoritys_cannot_be_ordered(void **state)
{
    static const struct {
        const char *status;
        bool ordered;
    } each[] = {
        { CERT("\"state\":\"failing\",\"issuer\":\"letsencrypt\",\"last_error\":\"CAA\""), true },
        { CERT("\"state\":\"failing\",\"issuer\":null,\"last_error\":\"CAA\""), true },
        { CERT("\"state\":\"failing\",\"issuer\":\"internal\",\"last_error\":\"disk\""), false },
        { CERT("\"state\":\"expired\",\"issuer\":\"files\",\"last_error\":null"), false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        json_t *status = json_loads(each[i].status, 0, NULL);
        struct troubles seen = { 0 };

        relay_add_troubles_at(status, NOW, &seen);
        assert_int_equal(seen.n, 1);
        assert_non_null(strstr(seen.list[0].remedy, "tunnelctl doctor a.test"));
        assert_int_equal(strstr(seen.list[0].remedy, "tunnelctl certs renew a.test") != NULL,
                         each[i].ordered);
        troubles_free(&seen);
        json_decref(status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_what_is_no_authoritys_cannot_be_ordered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
