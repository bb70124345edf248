#include "shared/dns/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define DATE "20150830T123600Z"
#define TOKEN                                                                                             \
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYR" \
    "qTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp7" \
    "5YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9F" \
    "X9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

/* The requests of AWS's own test suite (aws-sig-v4-test-suite), with the signatures it publishes. */
static const struct {
    const char *name, *method, *path, *query, *body;
    struct sigv4_header headers[4];
    const char *signature;
} cases[] = {
    { "get-vanilla",
      "GET",
      "/",
      "",
      "",
      { { 0 } },
      "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
    { "get-vanilla-query-order-key-case",
      "GET",
      "/",
      "Param2=value2&Param1=value1",
      "",
      { { 0 } },
      "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
    { "get-vanilla-utf8-query",
      "GET",
      "/",
      "\xe1\x88\xb4=bar",
      "",
      { { 0 } },
      "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04" },
    { "the same, escaped before",
      "GET",
      "/",
      "%E1%88%b4=bar",
      "",
      { { 0 } },
      "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04" },
    { "get-unreserved",
      "GET",
      "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
      "",
      "",
      { { 0 } },
      "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f" },
    { "get-utf8",
      "GET",
      "/\xe1\x88\xb4",
      "",
      "",
      { { 0 } },
      "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
    { "get-space",
      "GET",
      "/example space/",
      "",
      "",
      { { 0 } },
      "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741" },
    { "get-header-key-duplicate",
      "GET",
      "/",
      "",
      "",
      { { "My-Header1", "value2" }, { "My-Header1", "value2" }, { "My-Header1", "value1" } },
      "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea" },
    { "get-header-value-order",
      "GET",
      "/",
      "",
      "",
      { { "My-Header1", "value4" },
        { "My-Header1", "value1" },
        { "My-Header1", "value3" },
        { "My-Header1", "value2" } },
      "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01" },
    { "get-header-value-trim",
      "GET",
      "/",
      "",
      "",
      { { "My-Header1", " value1" }, { "My-Header2", " \"a   b   c\"" } },
      "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736" },
    { "post-vanilla",
      "POST",
      "/",
      "",
      "",
      { { 0 } },
      "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
    { "post-vanilla-query",
      "POST",
      "/",
      "Param1=value1",
      "",
      { { 0 } },
      "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11" },
    { "post-header-key-sort",
      "POST",
      "/",
      "",
      "",
      { { "My-Header1", "value1" } },
      "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c" },
    { "post-x-www-form-urlencoded",
      "POST",
      "/",
      "",
      "Param1=value1",
      { { "Content-Type", "application/x-www-form-urlencoded" } },
      "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a" },
    { "post-sts-header-before",
      "POST",
      "/",
      "",
      "",
      { { "X-Amz-Security-Token", TOKEN } },
      "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead" },
};

static void make_secret(struct secret *secret, const char *text)
{
    secret_init(secret, strlen(text));
    memcpy(secret->bytes, text, strlen(text));
}

static void test_published_vectors(void **state)
{
    struct secret secret = { 0 };
    const struct sigv4_key key = { "AKIDEXAMPLE", &secret, "us-east-1", "service" };

    (void)state;
    make_secret(&secret, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sigv4_request r = { .method = cases[i].method,
                                   .path = cases[i].path,
                                   .query = cases[i].query,
                                   .body = cases[i].body,
                                   .body_n = strlen(cases[i].body) };
        struct buf out = { 0 };

        r.headers[r.headers_n++] = (struct sigv4_header){ "X-Amz-Date", DATE };
        for (size_t h = 0; h < 4 && cases[i].headers[h].name; h++)
            r.headers[r.headers_n++] = cases[i].headers[h];
        r.headers[r.headers_n++] = (struct sigv4_header){ "Host", "example.amazonaws.com" };
        sigv4_authorization(&r, &key, DATE, &out);
        if (!strstr(buf_text(&out), cases[i].signature))
            fail_msg("%s: %s", cases[i].name, buf_text(&out));
        buf_free(&out);
    }
    secret_free(&secret);
}

/* The whole header, and the text that is signed, as AWS's guide shows them for get-vanilla-query-order-key-case. */
static void test_texts(void **state)
{
    const struct sigv4_request r = { .method = "GET",
                                     .path = "/",
                                     .query = "Param2=value2&Param1=value1",
                                     .headers = { { "host", "example.amazonaws.com" },
                                                  { "x-amz-date", DATE } },
                                     .headers_n = 2,
                                     .body = "" };
    struct secret secret = { 0 };
    const struct sigv4_key key = { "AKIDEXAMPLE", &secret, "us-east-1", "service" };
    struct buf out = { 0 };

    (void)state;
    sigv4_canonical(&r, &out);
    assert_string_equal(buf_text(&out),
                        "GET\n/\nParam1=value1&Param2=value2\nhost:example.amazonaws.com\nx-amz-date:" DATE
                        "\n\nhost;x-amz-date\n"
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    buf_free(&out);
    make_secret(&secret, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    sigv4_authorization(&r, &key, DATE, &out);
    assert_string_equal(buf_text(&out),
                        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                        "SignedHeaders=host;x-amz-date, "
                        "Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    buf_free(&out);
    secret_free(&secret);
}

static void test_query(void **state)
{
    static const struct {
        const char *query, *canonical;
    } rows[] = {
        { "", "" },
        { "b&a", "a=&b=" },
        { "b=&a=x%20y", "a=x%20y&b=" },
        { "name=*.example.org&type=A", "name=%2A.example.org&type=A" },
        { "a-b=1&a=2&a=1", "a=1&a=2&a-b=1" }, /* by name first: '-' sorts before '=' */
        { "a=%2&b=%", "a=%252&b=%25" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct sigv4_request r = { .method = "GET", .path = "", .query = rows[i].query, .body = "" };
        struct buf out = { 0 };
        char line[128];

        sigv4_canonical(&r, &out);
        snprintf(line, sizeof line, "GET\n/\n%s\n", rows[i].canonical);
        assert_memory_equal(buf_text(&out), line, strlen(line));
        buf_free(&out);
    }
}

static void test_time(void **state)
{
    char text[SIGV4_TIME_BYTES];

    (void)state;
    sigv4_time(1440938160, text);
    assert_string_equal(text, DATE);
    sigv4_time(951782400, text);
    assert_string_equal(text, "20000229T000000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vectors),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
