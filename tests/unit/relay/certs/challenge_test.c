#include "relay/certs/challenge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
#define PRINT "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"

/* The value is what  printf %s TOKEN.PRINT | openssl dgst -sha256 -binary | base64  says, in the other alphabet. */
static void digests_are_those_of_other_programs(void **state)
{
    static const unsigned char first[] = { 0xc5, 0xd1, 0xb2, 0x5b };
    struct err e = { 0 };
    struct challenge c;

    (void)state;
    assert_int_equal(challenge_init(&c, CHALLENGE_DNS_01, "a.example", true, TOKEN, TOKEN "." PRINT, &e), 0);
    assert_string_equal(c.digest, "xdGyW3wkNEjzUzdQf0VhJcAm_td9cXRd0t2VODwDsec");
    assert_memory_equal(c.sha256, first, sizeof first);
    assert_string_equal(c.name, "a.example");
    assert_string_equal(c.token, TOKEN);
    assert_true(c.wildcard);
    assert_int_equal(c.type, CHALLENGE_DNS_01);
}

static void tokens_that_could_be_paths_are_refused(void **state)
{
    static const char *const bad[] = {
        "", ".", "..", "a/b", "../x", "a b", "a\r\nb", "a%2f", "a=", "\xc3\xbc"
    };
    char longest[CHALLENGE_TOKEN_MAX + 2];
    struct err e = { 0 };
    struct challenge c;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(challenge_token_is_valid(bad[i]));
        assert_int_equal(challenge_init(&c, CHALLENGE_HTTP_01, "a.example", false, bad[i], "x.y", &e), -1);
        assert_non_null(strstr(e.text, "a.example: the token of the http-01 challenge"));
    }
    memset(longest, 'a', sizeof longest);
    longest[CHALLENGE_TOKEN_MAX + 1] = '\0';
    assert_false(challenge_token_is_valid(longest));
    longest[CHALLENGE_TOKEN_MAX] = '\0';
    assert_true(challenge_token_is_valid(longest));
}

static void an_answer_to_another_token_is_refused(void **state)
{
    static const char *const bad[] = { "",         TOKEN,           TOKEN ".", TOKEN "." PRINT "\n",
                                       "x." PRINT, TOKEN "x." PRINT };
    struct err e = { 0 };
    struct challenge c;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(challenge_init(&c, CHALLENGE_HTTP_01, "a.example", false, TOKEN, bad[i], &e), -1);
}

static void each_type_has_a_name(void **state)
{
    enum challenge_type type;

    (void)state;
    for (int t = 0; t < CHALLENGE_TYPES; t++) {
        assert_true(challenge_type_find(challenge_type_name(t), &type));
        assert_int_equal(type, t);
    }
    assert_false(challenge_type_find("dns-persist-01", &type));
    assert_false(challenge_type_find("", &type));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_other_programs),
        cmocka_unit_test(tokens_that_could_be_paths_are_refused),
        cmocka_unit_test(an_answer_to_another_token_is_refused),
        cmocka_unit_test(each_type_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
