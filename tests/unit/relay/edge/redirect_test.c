#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/edge/redirect.h"

static const struct h1_limits limits = { .max_uri = 1024, .max_header = 4096 };

/* a.test with the alias www.a.test, b.test and www.b.test by themselves, *.w.test. */
static struct snapshot *make_snapshot(const struct policy *policy, bool placeholder)
{
    static const char *const names[] = { "a.test", "b.test", "www.b.test", "*.w.test" };
    struct snapshot *s = snapshot_new();
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    struct counts *counts = counts_new();

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct snap_site *site = snapshot_add_site(s, names[i], tls, policy, counts);

        snapshot_add_name(s, site, names[i], !placeholder);
        if (i == 0)
            snapshot_add_name(s, site, "www.a.test", !placeholder);
    }
    snapshot_finish(s);
    SSL_CTX_free(tls);
    counts_release(counts);
    return s;
}

struct row {
    enum policy_https https;
    enum policy_www www;
    bool secure;
    const char *target, *host, *location; /* location NULL: it stays */
};

static void check_row(const struct row *row)
{
    struct redirect_from from = { row->secure, 443 };
    struct policy policy;
    struct snapshot *s;
    struct buf location = { 0 };
    struct h1_head head;
    char text[256];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", row->target, row->host);
    bool goes;

    policy_defaults(&policy, 0);
    policy.https = row->https;
    policy.www = row->www;
    s = make_snapshot(&policy, false);
    h1_request_init(&head);
    assert_int_equal(h1_head_parse(&head, text, (size_t)n, &limits), n);
    goes = redirect_find(s, snapshot_find(s, h1_text(&head, head.host)), &head, &from, &location);
    if (goes != (row->location != NULL) || (goes && strcmp(buf_text(&location), row->location) != 0))
        fail_msg("%s at %s: %s", row->target, row->host, goes ? buf_text(&location) : "stays");
    buf_free(&location);
    snapshot_release(s);
}

/* Who ends TLS himself answers nobody without it. */
static void test_a_site_that_ends_tls_itself(void **state)
{
    const struct redirect_from from = { false, 443 };
    struct buf location = { 0 };
    struct policy policy;
    struct snapshot *s;
    struct h1_head head;

    (void)state;
    policy_defaults(&policy, 0);
    policy.https = POLICY_BOTH;
    policy.tls = POLICY_PASSTHROUGH;
    s = make_snapshot(&policy, false);
    h1_request_init(&head);
    assert_int_equal(h1_head_parse(&head, "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n", 33, &limits), 33);
    assert_true(redirect_find(s, snapshot_find(s, h1_text(&head, head.host)), &head, &from, &location));
    assert_string_equal(buf_text(&location), "https://a.test/x");
    buf_free(&location);
    snapshot_release(s);
}

/* A browser would keep the redirect, and warn of the certificate. */
static void test_a_site_that_has_no_certificate_yet(void **state)
{
    static const struct {
        enum policy_www www;
        bool secure;
        const char *location;
    } rows[] = {
        { POLICY_WWW_AS_IS, false, NULL },
        { POLICY_WWW_AS_IS, true, NULL },
        { POLICY_WWW_ADD, false, "http://www.a.test/x" },
        { POLICY_WWW_ADD, true, "https://www.a.test/x" },
    };
    struct policy policy;

    (void)state;
    policy_defaults(&policy, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct redirect_from from = { rows[i].secure, 443 };
        struct buf location = { 0 };
        struct h1_head head;
        struct snapshot *s;

        policy.www = rows[i].www;
        s = make_snapshot(&policy, true);
        h1_request_init(&head);
        assert_int_equal(h1_head_parse(&head, "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n", 33, &limits), 33);
        assert_int_equal(
            redirect_find(s, snapshot_find(s, h1_text(&head, head.host)), &head, &from, &location),
            rows[i].location != NULL);
        if (rows[i].location)
            assert_string_equal(buf_text(&location), rows[i].location);
        buf_free(&location);
        snapshot_release(s);
    }
}

static void test_who_goes_where(void **state)
{
    static const struct row rows[] = {
        { POLICY_REDIRECT, POLICY_WWW_AS_IS, true, "/", "a.test", NULL },
        { POLICY_REDIRECT, POLICY_WWW_AS_IS, false, "/x?y=/&z", "a.test", "https://a.test/x?y=/&z" },
        { POLICY_REDIRECT, POLICY_WWW_AS_IS, false, "http://a.test/x", "a.test", "https://a.test/x" },
        { POLICY_REDIRECT, POLICY_WWW_AS_IS, false, "http://a.test", "a.test", "https://a.test/" },
        { POLICY_REDIRECT, POLICY_WWW_AS_IS, false, "/", "x.w.test:8080", "https://x.w.test/" },
        { POLICY_BOTH, POLICY_WWW_AS_IS, false, "/", "a.test", NULL },
        { POLICY_REDIRECT, POLICY_WWW_ADD, false, "/", "A.test.:80", "https://www.a.test/" },
        { POLICY_REDIRECT, POLICY_WWW_ADD, true, "/", "a.test:8443", "https://www.a.test:8443/" },
        { POLICY_REDIRECT, POLICY_WWW_ADD, true, "/", "www.a.test", NULL },
        { POLICY_BOTH, POLICY_WWW_ADD, false, "/", "a.test:8080", "http://www.a.test:8080/" },
        { POLICY_REDIRECT, POLICY_WWW_STRIP, true, "/", "www.a.test", "https://a.test/" },
        { POLICY_REDIRECT, POLICY_WWW_STRIP, true, "/", "a.test", NULL },
        { POLICY_REDIRECT, POLICY_WWW_ADD, true, "/", "b.test", NULL },       /* www.b.test is another site */
        { POLICY_REDIRECT, POLICY_WWW_STRIP, true, "/", "www.b.test", NULL }, /* and so is this one */
        { POLICY_REDIRECT, POLICY_WWW_ADD, true, "/", "x.w.test", NULL },     /* covered by nothing */
        { POLICY_REDIRECT, POLICY_WWW_STRIP, true, "/", "www.w.test", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
}

static void test_the_answer(void **state)
{
    struct buf out = { 0 }, location = { 0 }, fields = { 0 };
    const char *text;

    (void)state;
    buf_add_text(&location, "https://a.test/");
    buf_add_text(&fields, "X: y\r\n");
    redirect_add(&out, &location, &fields, true, true);
    text = buf_text(&out);
    assert_ptr_equal(strstr(text, "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://a.test/\r\n"), text);
    assert_non_null(strstr(text, "\r\nX: y\r\nConnection: close\r\n"));
    assert_non_null(strstr(text, "</p>\n"));
    buf_free(&out);
    buf_free(&fields);
    redirect_add(&out, &location, &fields, false, false);
    text = buf_text(&out);
    assert_null(strstr(text, "Connection"));
    assert_string_equal(text + out.len - 4, "\r\n\r\n");
    buf_free(&out);
    buf_free(&location);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_goes_where),
        cmocka_unit_test(test_a_site_that_ends_tls_itself),
        cmocka_unit_test(test_a_site_that_has_no_certificate_yet),
        cmocka_unit_test(test_the_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
