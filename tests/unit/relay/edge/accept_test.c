#include "relay/edge/accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const struct h1_limits limits = { .max_uri = 100, .max_header = 4000 };

/* fields: whole lines. */
static enum accept_form form_for(const char *fields)
{
    char text[2000];
    struct h1_head head;
    int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a.test\r\n%s\r\n", fields);

    h1_request_init(&head);
    assert_int_equal(h1_head_parse(&head, text, (size_t)n, &limits), n);
    return accept_form(&head);
}

static void test_forms(void **state)
{
    static const struct {
        const char *accept;
        enum accept_form form;
    } rows[] = {
        { "", ACCEPT_HTML },
        { "*/*", ACCEPT_HTML }, /* curl */
        { "text/html", ACCEPT_HTML },
        { "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
          ACCEPT_HTML },
        { "application/json", ACCEPT_JSON },
        { "APPLICATION/JSON", ACCEPT_JSON },
        { "application/json, text/plain, */*", ACCEPT_JSON }, /* axios */
        { "application/json;charset=utf-8", ACCEPT_JSON },
        { "application/json;x=\"a,text/html\";q=0.1", ACCEPT_JSON },
        { "application/json;x=\"a\\\",b\";q=0.1, text/html;q=0.2", ACCEPT_HTML },
        { "application/*", ACCEPT_JSON },
        { "application/problem+json", ACCEPT_PROBLEM },
        { "application/problem+json, application/json", ACCEPT_PROBLEM },
        { "application/json, application/problem+json", ACCEPT_PROBLEM },
        { "application/json, application/problem+json;q=0.9", ACCEPT_JSON },
        { "application/json;q=0.5, application/problem+json;q=0.9", ACCEPT_PROBLEM },
        { "application/json;q=0, application/problem+json;q=0.1", ACCEPT_PROBLEM },
        { "text/html, application/json", ACCEPT_HTML },
        { "application/json, text/html", ACCEPT_HTML },
        { "text/html;q=0.9, application/json", ACCEPT_JSON },
        { "text/html, application/json;q=0.9", ACCEPT_HTML },
        { "text/html;q=0.899,application/json;q=0.9", ACCEPT_JSON },
        { "text/html; q=0.5, application/json ; q=0.7", ACCEPT_JSON },
        { "text/html; Q=0.5, application/json", ACCEPT_JSON },
        { "text/*, application/json", ACCEPT_JSON }, /* named more exactly */
        { "text/*;q=0.9, application/*;q=0.8", ACCEPT_HTML },
        { "text/*;q=0.8, application/*;q=0.9", ACCEPT_JSON },
        { "*/*, application/json;q=0.5", ACCEPT_HTML }, /* the exact one counts for JSON */
        { "*/*;q=0.1, text/html;q=0", ACCEPT_JSON },
        { "application/json;q=0", ACCEPT_HTML },
        { "text/html;q=0, application/json;q=0", ACCEPT_HTML },
        { "image/png", ACCEPT_HTML },
        { "application/json;q=", ACCEPT_HTML }, /* weights that are none */
        { "application/json;q=1.1", ACCEPT_HTML },
        { "application/json;q=2", ACCEPT_HTML },
        { "application/json;q=.5", ACCEPT_HTML },
        { "application/json;q=0.1234", ACCEPT_HTML },
        { "application/json;q=0,5", ACCEPT_HTML },
        { "application/json;q=1.", ACCEPT_JSON },
        { "application/json;q=0.x", ACCEPT_HTML },
        { "application/jsonx", ACCEPT_HTML },
        { "application/jso", ACCEPT_HTML },
        { "json", ACCEPT_HTML },
        { "*", ACCEPT_HTML },
        { ",,;,;;q=1,/,*/", ACCEPT_HTML },
        { ",application/json,", ACCEPT_JSON },
        { "application/json;x=\"", ACCEPT_JSON },
        { "application/json;x=\"\\", ACCEPT_JSON },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char field[400];

        snprintf(field, sizeof field, "Accept: %s\r\n", rows[i].accept);
        if (form_for(field) != rows[i].form)
            fail_msg("%s: %d", rows[i].accept, form_for(field));
    }
}

static void test_fields_together(void **state)
{
    (void)state;
    assert_int_equal(form_for(""), ACCEPT_HTML);
    assert_int_equal(form_for("Accept: text/html\r\nACCEPT: application/json\r\n"), ACCEPT_HTML);
    assert_int_equal(form_for("Accept: text/html;q=0.5\r\nX: y\r\nACCEPT: application/json\r\n"),
                     ACCEPT_JSON);
    assert_int_equal(form_for("Accept: text/html\r\nAccept-Language: application/json\r\n"), ACCEPT_HTML);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_fields_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
