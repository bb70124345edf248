/* The option's value, and what follows from what a server answers. */
#include "shared/alerts/webhook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_values(void **state)
{
    static const struct {
        const char *text, *host, *url;
        bool ntfy, has_credentials;
    } rows[] = {
        { "https://a.test/x", "a.test", "https://a.test/x", false, false },
        { "json https://a.test/x?y=z", "a.test", "https://a.test/x?y=z", false, false },
        { "json\t \thttp://a.test", "a.test", "http://a.test", false, false },
        { "ntfy https://ntfy.sh/topic", "ntfy.sh", "https://ntfy.sh/topic", true, false },
        { "ntfy http://[::1]:8080/t", "[::1]:8080", "http://[::1]:8080/t", true, false },
        { "https://u:p@w@a.test:1/x", "a.test:1", "https://u:p@w@a.test:1/x", false, true },
        { "https://a.test/u@x", "a.test", "https://a.test/u@x", false, false },
        { "https://a.test?secret", "a.test", "https://a.test?secret", false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct webhook w;

        assert_int_equal(webhook_read(&w, rows[i].text, NULL), 0);
        assert_string_equal(w.host, rows[i].host);
        assert_string_equal(w.url, rows[i].url);
        assert_int_equal(w.ntfy, rows[i].ntfy);
        assert_int_equal(w.has_credentials, rows[i].has_credentials);
    }
}

static void test_what_is_refused(void **state)
{
    static const char *const rows[] = { "on",
                                        "ntfy",
                                        "ntfyhttps://a.test",
                                        "slack https://a.test/secret",
                                        "https://",
                                        "https:///secret",
                                        "https://:443/secret",
                                        "https://u:secret@/x",
                                        "ftp://a.test/secret",
                                        "https://a.test/a secret",
                                        "https://a.test/secret\x7f",
                                        "https://a.test/secret\xc3\xbc",
                                        "HTTPS://a.test/secret",
                                        "ntfy json https://a.test/secret" };
    char *text = malloc(2100);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err why = { 0 };
        struct webhook w;

        assert_int_equal(webhook_read(&w, rows[i], &why), -1);
        assert_non_null(strstr(why.text, "ntfy https://HOST/TOPIC"));
        assert_null(strstr(why.text, "secret"));
    }
    memset(text, 'x', 2100);
    memcpy(text, "https://a/", 10);
    text[2099] = 0;
    {
        struct webhook w;

        assert_int_equal(webhook_read(&w, text, NULL), -1);
        text[10] = 0;
        assert_int_equal(webhook_read(&w, text, NULL), 0);
    }
    free(text);
}

static void test_answers(void **state)
{
    (void)state;
    for (int status = 0; status < 1000; status++) {
        bool later = status == 408 || status == 425 || status == 429 || status >= 500;
        struct err why = { 0 };
        enum webhook_verdict verdict = webhook_judge(status, "a.test", &why);

        assert_int_equal(verdict, status >= 200 && status < 300 ? WEBHOOK_TAKEN
                                  : later                       ? WEBHOOK_LATER
                                                                : WEBHOOK_REFUSED);
        assert_int_equal(why.code != ERR_NONE, verdict != WEBHOOK_TAKEN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
