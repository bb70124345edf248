#include "relay/certs/acme_problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(rows) (sizeof rows / sizeof rows[0])
#define URN         "urn:ietf:params:acme:error:"

static json_t *problem(const char *type)
{
    return json_pack("{s:o}", "type", json_sprintf("%s%s", URN, type));
}

static void test_classes(void **state)
{
    static const struct {
        const char *type;
        int status;
        const char *class;
    } rows[] = {
        { "rateLimited", 429, "later" },
        { "serverInternal", 500, "later" },
        { "connection", 400, "later" },
        { "dns", 400, "config" },
        { "unauthorized", 403, "config" },
        { "tls", 400, "config" },
        { "incorrectResponse", 400, "config" },
        { "caa", 403, "config" },
        { "rejectedIdentifier", 400, "refused" },
        { "unsupportedIdentifier", 400, "refused" },
        { "badCSR", 400, "refused" },
        { "invalidProfile", 400, "refused" },
        { "badPublicKey", 400, "refused" },
        { "alreadyReplaced", 409, "replaced" },
        { "badNonce", 400, "bad-nonce" },
        { "orderNotReady", 403, "not-ready" },
        { "accountDoesNotExist", 400, "no-account" },
        { "userActionRequired", 403, "account" },
        { "externalAccountRequired", 403, "account" },
        { "malformed", 400, "config" },
        { "neverHeardOf", 400, "config" },
        { "neverHeardOf", 503, "later" },
        { "", 404, "config" },
        { "", 429, "later" },
        { "", 500, "later" },
        { "", 408, "later" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *p = problem(rows[i].type);

        assert_string_equal(acme_problem_type(p), rows[i].type);
        assert_string_equal(acme_class_text(acme_problem_class(p, rows[i].status)), rows[i].class);
        json_decref(p);
    }
    assert_int_equal(acme_problem_class(NULL, 502), ACME_LATER);
    assert_string_equal(acme_problem_type(NULL), "");
    assert_string_equal(acme_class_text(ACME_STOPPED), "stopped");
    assert_string_equal(acme_class_text(ACME_OK), "ok");
}

static json_t *compound(const char *one, const char *other)
{
    return json_pack("{s:s,s:s,s:[{s:s,s:s,s:{s:s,s:s}},{s:s,s:{s:s,s:s}}],s:s}", "type", URN "compound",
                     "detail", "several", "subproblems", "type", one, "detail", "no\n<b>", "identifier",
                     "type", "dns", "value", "a.test", "type", other, "identifier", "type", "dns", "value",
                     "b.test", "instance", "https://c/why");
}

/* Subproblems that agree say what it is; all of them are shown, as nothing but text. */
static void test_subproblems(void **state)
{
    json_t *same = compound(URN "rejectedIdentifier", URN "rejectedIdentifier"),
           *mixed = compound(URN "rejectedIdentifier", URN "caa");
    struct buf text = { 0 };
    const char *name;

    (void)state;
    assert_int_equal(acme_problem_class(same, 400), ACME_REFUSED);
    assert_int_equal(acme_problem_class(mixed, 400), ACME_CONFIG);
    acme_problem_show(mixed, &text);
    assert_string_equal(buf_text(&text),
                        "compound: several (see https://c/why); a.test: rejectedIdentifier: no\\x0a<b>; "
                        "b.test: caa");
    assert_non_null(acme_subproblem(same, 1, &name));
    assert_string_equal(name, "b.test");
    assert_null(acme_subproblem(same, 2, &name));
    assert_null(acme_subproblem(NULL, 0, &name));
    buf_free(&text);
    json_decref(same);
    json_decref(mixed);
}

/* What a peer sends in the wrong shape is left out, and breaks nothing. */
static void test_odd_problems(void **state)
{
    static const char *const rows[] = { "{}", "{\"type\":7,\"detail\":[]}", "{\"subproblems\":{}}",
                                        "{\"subproblems\":[7,null]}", "{\"instance\":{}}" };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *p = json_loads(rows[i], 0, NULL);
        struct buf text = { 0 };

        acme_problem_show(p, &text);
        assert_string_equal(buf_text(&text), "");
        assert_int_equal(acme_problem_class(p, 400), ACME_CONFIG);
        buf_free(&text);
        json_decref(p);
    }
}

static void test_why(void **state)
{
    struct err cause = { ERR_STOPPED, "given up" };
    struct acme_why why;

    (void)state;
    acme_why_init(&why);
    assert_int_equal(why.retry_after_ms, -1);
    assert_int_equal(acme_fail(&why, ACME_LATER, "%d times", 7), -1);
    assert_string_equal(why.err.text, "7 times");
    assert_int_equal(why.err.code, ERR_PEER);
    assert_int_equal(acme_fail_err(&why, ACME_CONFIG, &cause), -1);
    assert_int_equal(why.class, ACME_STOPPED);
    why.problem = problem("caa");
    assert_true(acme_problem_is(&why, "caa"));
    assert_false(acme_problem_is(&why, "dns"));
    acme_why_free(&why);
    assert_null(why.problem);
    assert_int_equal(why.class, ACME_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_subproblems),
        cmocka_unit_test(test_odd_problems),
        cmocka_unit_test(test_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
