#include "relay/certs/acme_msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/mem.h"

#define COUNT(rows) (sizeof rows / sizeof rows[0])

/* JSON written with ' for ". */
static json_t *json(const char *text)
{
    char *copy = mem_copy(text);
    struct err e = { 0 };
    json_t *value;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    value = acme_json(copy, strlen(copy), &e);
    if (!value)
        fail_msg("%s: %s", text, e.text);
    free(copy);
    return value;
}

static void assert_says(const char *name, int rc, const struct err *e, const char *why)
{
    if (rc != (why ? -1 : 0) || (why && !strstr(e->text, why)))
        fail_msg("%s: %d, %s", name, rc, e->text);
}

/* ---- JSON ---- */

static void test_json_is_bounded(void **state)
{
    struct buf deep = { 0 }, large = { 0 };
    struct err e = { 0 };

    (void)state;
    json_decref(json("{'a':'[[[[[[[[[[[[[[[[[[[[[[[[\\'[[['}"));
    buf_add_text(&deep, "{\"a\":");
    for (int i = 0; i < ACME_MAX_DEPTH; i++)
        buf_add_text(&deep, "[");
    assert_null(acme_json(buf_bytes(&deep), deep.len, &e));
    assert_non_null(strstr(e.text, "nested deeper than 16"));
    buf_printf(&large, "{\"a\":\"%*s\"}", ACME_MAX_BYTES, "");
    assert_null(acme_json(buf_bytes(&large), large.len, &e));
    assert_non_null(strstr(e.text, "more than 1048576 bytes"));
    assert_null(acme_json("{\"a\":1,\"a\":2}", 13, &e));
    assert_null(acme_json("<html>", 6, &e));
    buf_free(&deep);
    buf_free(&large);
}

/* ---- directories ---- */

#define URLS \
    "'newNonce':'https://c/n','newAccount':'https://c/a','newOrder':'https://c/o','revokeCert':'https://c/r'"

static void test_directories(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "{" URLS "}", NULL },
        { "{" URLS ",'x8_Y':'https://community','meta':null,'keyChange':null}", NULL },
        { "{" URLS ",'keyChange':'http://c/k'}", "\"keyChange\" is no https:// URL" },
        { "{" URLS ",'renewalInfo':7}", "\"renewalInfo\" is not text" },
        { "{'newNonce':'https://c/n'}", "\"newAccount\" is missing" },
        { "{'newNonce':'https://'}", "\"newNonce\" is no https:// URL" },
        { "{'newNonce':'https://c/a b'}", "\"newNonce\" is no https:// URL" },
        { "{'type':'about:blank','detail':'no'}", "\"newNonce\" is missing" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct acme_directory d;
        struct err e = { 0 };

        assert_says(rows[i].text, acme_directory_read(json(rows[i].text), &d, &e), &e, rows[i].why);
        acme_directory_free(&d);
    }
}

static void test_what_is_in_a_directory(void **state)
{
    struct acme_directory d;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(
        acme_directory_read(json("{" URLS ",'keyChange':'https://c/k','renewalInfo':'https://c/i','meta':{"
                                 "'termsOfService':'https://c/t','externalAccountRequired':true,"
                                 "'profiles':{'classic':'https://c/p','shortlived':'short'}}}"),
                            &d, NULL),
        0);
    assert_string_equal(d.new_order, "https://c/o");
    assert_string_equal(d.key_change, "https://c/k");
    assert_string_equal(d.renewal_info, "https://c/i");
    assert_string_equal(d.terms, "https://c/t");
    assert_true(d.eab_required);
    assert_int_equal(acme_profile_check(&d, "shortlived", &e), 0);
    assert_int_equal(acme_profile_check(&d, "longlived", &e), -1);
    assert_non_null(strstr(e.text, "these: classic, shortlived;"));
    acme_directory_free(&d);
    assert_int_equal(acme_directory_read(json("{" URLS "}"), &d, NULL), 0);
    assert_false(d.eab_required);
    assert_int_equal(acme_profile_check(&d, "classic", &e), -1);
    assert_non_null(strstr(e.text, "no profiles"));
    acme_directory_free(&d);
}

/* ---- accounts and orders ---- */

static void test_accounts(void **state)
{
    static const struct {
        const char *text, *why;
        enum acme_status status;
    } rows[] = { { "{'status':'valid','contact':[]}", NULL, ACME_VALID },
                 { "{'status':'deactivated'}", NULL, ACME_DEACTIVATED },
                 { "{'status':'revoked'}", NULL, ACME_REVOKED },
                 { "{'status':'ready'}", "\"ready\", which this kind", ACME_VALID },
                 { "{}", "\"status\" is missing", ACME_VALID } };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum acme_status status = ACME_VALID;
        json_t *account = json(rows[i].text);
        struct err e = { 0 };

        assert_says(rows[i].text, acme_account_read(account, &status, &e), &e, rows[i].why);
        assert_string_equal(acme_status_text(status), acme_status_text(rows[i].status));
        json_decref(account);
    }
}

#define LISTS \
    "'identifiers':[{'type':'dns','value':'a.test'}],'authorizations':['https://c/z'],'finalize':'https://c/f'"

static void test_orders(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "{'status':'pending'," LISTS ",'replaces':'x','profile':'y'}", NULL },
        { "{'status':'pending'," LISTS ",'error':null,'expires':'2026-11-30T01:02:03Z'}", NULL },
        { "{'status':'valid'," LISTS ",'certificate':'https://c/c'}", NULL },
        { "{'status':'valid'," LISTS "}", "no member \"certificate\"" },
        { "{'status':'expired'," LISTS "}", "\"expired\", which this kind" },
        { "{'status':'pending'," LISTS ",'expires':'tomorrow'}", "\"expires\": is no time" },
        { "{'status':'pending','identifiers':[7],'authorizations':[],'finalize':'https://c/f'}",
          "no JSON object" },
        { "{'status':'pending','identifiers':[{'type':'email','value':'a'}],'authorizations':[]}",
          "another type" },
        { "{'status':'pending','identifiers':[{'type':'dns'}],'authorizations':[]}", "\"value\" is missing" },
        { "{'status':'pending','identifiers':[],'authorizations':['http://c/z']}",
          "authorization is no https" },
        { "{'status':'pending','identifiers':[],'authorizations':[7]}", "authorization is no https" },
        { "{'status':'pending','identifiers':[],'authorizations':{}}", "\"authorizations\" is not a list" },
        { "{'status':'pending','identifiers':[],'authorizations':[]}", "\"finalize\" is missing" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct acme_order o;
        struct err e = { 0 };

        assert_says(rows[i].text, acme_order_read(json(rows[i].text), &o, &e), &e, rows[i].why);
        acme_order_free(&o);
    }
}

/* ---- authorizations ---- */

#define HEAD       "'status':'pending','identifier':{'type':'dns','value':'a.test'}"
#define ONE(token) "{'type':'http-01','url':'https://c/1','status':'pending','token':'" token "'}"

static void test_authorizations(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "{" HEAD ",'challenges':[]}", NULL },
        { "{" HEAD ",'challenges':[" ONE("a-Z_9") ",{'type':'dns-persist-01'},{'type':'x','token':'../..'}]}",
          NULL },
        { "{" HEAD ",'challenges':[" ONE("../../etc/passwd") "]}", "the token is not" },
        { "{" HEAD ",'challenges':[" ONE("") "]}", "the token is not" },
        { "{" HEAD ",'challenges':[{'type':'http-01','url':'https://c/1','status':'pending'}]}",
          "http-01: member \"token\"" },
        { "{" HEAD ",'challenges':[{'type':'http-01','url':'c','status':'pending','token':'a'}]}",
          "no https:// URL" },
        { "{" HEAD ",'challenges':[{'type':'dns-01','url':'https://c/1','status':'ready','token':'a'}]}",
          "\"status\"" },
        { "{" HEAD ",'challenges':[7]}", "no JSON object with a type" },
        { "{" HEAD "}", "\"challenges\" is missing" },
        { "{'status':'pending','challenges':[]}", "identifier is no JSON object" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct acme_authorization a;
        struct err e = { 0 };

        assert_says(rows[i].text, acme_authorization_read(json(rows[i].text), &a, &e), &e, rows[i].why);
        acme_authorization_free(&a);
    }
}

static void test_what_is_in_an_authorization(void **state)
{
    struct acme_authorization a;

    (void)state;
    assert_int_equal(
        acme_authorization_read(
            json("{" HEAD ",'wildcard':true,'expires':'1970-01-01T00:01:00Z','challenges':[{'type':'other'}," ONE(
                "t") ","
                     "{'type':'dns-01','url':'https://c/2','status':'invalid','token':'u','error':{'type':'e'}}]}"),
            &a, NULL),
        0);
    assert_true(a.wildcard);
    assert_string_equal(a.name, "a.test");
    assert_int_equal(a.expires_at, 60);
    assert_int_equal(a.challenges_n, 2);
    assert_int_equal(a.challenges[0].type, CHALLENGE_HTTP_01);
    assert_string_equal(a.challenges[0].token, "t");
    assert_null(a.challenges[0].error);
    assert_int_equal(a.challenges[1].type, CHALLENGE_DNS_01);
    assert_string_equal(a.challenges[1].url, "https://c/2");
    assert_int_equal(a.challenges[1].status, ACME_INVALID);
    assert_non_null(a.challenges[1].error);
    acme_authorization_free(&a);
}

static void test_names(void **state)
{
    static const struct {
        const char *a, *b;
        bool same, address;
    } rows[] = { { "a.test", "A.test", true, false },
                 { "a.test", "b.test", false, false },
                 { "::1", "0:0::1", true, true },
                 { "2001:db8::1", "2001:DB8:0::1", true, true },
                 { "::1", "::2", false, true },
                 { "127.0.0.1", "127.0.0.1", true, true },
                 { "127.0.0.1", "::ffff:127.0.0.1", false, true } };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *identifier = acme_identifier(rows[i].a);

        assert_int_equal(acme_same_name(rows[i].a, rows[i].b), rows[i].same);
        assert_int_equal(acme_is_address(rows[i].a), rows[i].address);
        assert_string_equal(json_string_value(json_object_get(identifier, "type")),
                            rows[i].address ? "ip" : "dns");
        json_decref(identifier);
    }
}

/* ---- renewal information, times ---- */

static void test_windows(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "{'suggestedWindow':{'start':'2026-11-30T00:00:00Z','end':'2026-12-01T00:00:00Z'}}", NULL },
        { "{'suggestedWindow':{'start':'2026-11-30T00:00:00Z','end':'2026-11-29T00:00:00Z'}}",
          "no time from start" },
        { "{'suggestedWindow':{'start':'2026-11-30T00:00:00Z'}}", "no time from start" },
        { "{'suggestedWindow':{'start':7,'end':8}}", "\"start\" is not text" },
        { "{}", "no time from start" },
    };
    struct acme_window window;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *text = json(rows[i].text);
        struct err e = { 0 };

        assert_says(rows[i].text, acme_window_read(text, &window, &e), &e, rows[i].why);
        json_decref(text);
    }
    for (int i = 0; i < 2; i++) { /* what is no URL is shown to nobody */
        json_t *text =
            json(i ? "{'suggestedWindow':{'start':'1970-01-01T00:00:01Z','end':'1970-01-01T00:00:02Z'},"
                     "'explanationURL':'https://c/why'}"
                   : "{'suggestedWindow':{'start':'1970-01-01T00:00:01Z','end':'1970-01-01T00:00:02Z'},"
                     "'explanationURL':'javascript:1'}");

        assert_int_equal(acme_window_read(text, &window, NULL), 0);
        assert_int_equal(window.start, 1);
        assert_int_equal(window.end, 2);
        assert_string_equal(window.explanation, i ? "https://c/why" : "");
        json_decref(text);
    }
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t at; /* -1: none */
    } rows[] = { { "1970-01-01T00:00:00Z", 0 },
                 { "2026-11-21T03:24:25Z", 1795231465 },
                 { "2026-11-21t03:24:25.123456789z", 1795231465 },
                 { "2026-11-21T04:24:25+01:00", 1795231465 },
                 { "2026-11-20T21:54:25-05:30", 1795231465 },
                 { "2026-11-21 03:24:25Z", -1 },
                 { "2026-11-21T03:24:25", -1 },
                 { "2026-11-21T03:24:25Z ", -1 },
                 { "2026-11-21T03:24:25+1:00", -1 },
                 { "2026-11-21T03:24:25+01:00x", -1 },
                 { "2026-11-21T03:24:25+25:00", -1 },
                 { "2026-13-21T03:24:25Z", -1 },
                 { "2026-11-21", -1 },
                 { "", -1 } };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        time_t at = -1;
        int rc = acme_time_read(rows[i].text, &at, NULL);

        if (rc != (rows[i].at < 0 ? -1 : 0) || at != rows[i].at)
            fail_msg("%s: %d, %lld", rows[i].text, rc, (long long)at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_is_bounded),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_what_is_in_a_directory),
        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_authorizations),
        cmocka_unit_test(test_what_is_in_an_authorization),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
