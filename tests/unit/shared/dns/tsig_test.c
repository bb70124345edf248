#include "shared/dns/tsig.h"

#include "shared/dns/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { NOW = 1790000000 };

static void read_key(struct tsig_key *key, const char *text)
{
    struct err e = { 0 };

    memset(key, 0, sizeof *key);
    if (tsig_key_read(key, str_of(text), &e) != 0)
        fail_msg("%s", e.text);
}

static struct buf signed_message(const struct tsig_key *key, int64_t now, const struct tsig_mac *request,
                                 struct tsig_mac *mac)
{
    struct buf out = { 0 };

    msg_begin(&out, 7, MSG_UPDATE, request ? MSG_QR : 0);
    assert_int_equal(msg_question(&out, "example.org", MSG_SOA, MSG_IN, NULL), 0);
    assert_int_equal(tsig_sign(&out, key, now, request, mac, NULL), 0);
    return out;
}

/* A request and an answer to it. Every bit of the answer counts. */
static void test_signed_and_verified(void **state)
{
    static const char *const keys[] = {
        "key pi { algorithm hmac-sha1; secret \"MDEyMzQ1Njc4OWFiY2RlZg==\"; };",
        "key \"pi.\" { secret \"MDEyMzQ1Njc4OWFiY2RlZg==\"; algorithm HMAC-SHA256; };",
        "/* one */ key pi { # two\n algorithm hmac-sha384; // three\n secret \"MDEyMzQ1Njc4OWFiY2RlZg==\"; }",
        "key pi { algorithm hmac-sha512; secret MDEyMzQ1Njc4OWFiY2RlZg==; };",
    };

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct tsig_mac request, mac;
        struct tsig_answer answer;
        struct tsig_key key;
        struct buf asked, out;

        read_key(&key, keys[i]);
        assert_string_equal(key.name, "pi");
        asked = signed_message(&key, NOW, NULL, &request);
        out = signed_message(&key, NOW, &request, &mac);
        assert_int_equal(tsig_verify(&answer, buf_bytes(&out), out.len, &key, &request, NOW + 300, NULL), 0);
        assert_int_equal(answer.verdict, TSIG_GOOD);
        assert_int_equal(tsig_verify(&answer, buf_bytes(&out), out.len, &key, &request, NOW + 301, NULL), 0);
        assert_int_equal(answer.verdict, TSIG_OLD);
        assert_int_equal(tsig_verify(&answer, buf_bytes(&asked), asked.len, &key, &request, NOW, NULL), 0);
        assert_int_equal(answer.verdict, TSIG_FORGED); /* an echo is no answer */
        for (size_t bit = 0; bit < 8 * out.len; bit++) {
            out.mem[out.start + bit / 8] ^= (char)(1 << bit % 8);
            if (tsig_verify(&answer, buf_bytes(&out), out.len, &key, &request, NOW, NULL) == 0 &&
                answer.verdict == TSIG_GOOD &&
                bit / 8 > 1) /* the id is not: the original one is in the record */
                if (bit % 8 != 5 ||
                    (out.mem[out.start + bit / 8] | 0x20) < 'a') /* nor is the case of a name */
                    fail_msg("%s: bit %zu does not count", keys[i], bit);
            out.mem[out.start + bit / 8] ^= (char)(1 << bit % 8);
        }
        buf_free(&asked);
        buf_free(&out);
        tsig_key_free(&key);
    }
}

static void test_unsigned(void **state)
{
    struct tsig_mac request = { .n = 32 };
    struct tsig_answer answer;
    struct buf out = { 0 };
    struct tsig_key key;

    (void)state;
    read_key(&key, "MDEyMzQ1Njc4OWFiY2RlZg==");
    msg_begin(&out, 7, MSG_UPDATE, MSG_QR);
    assert_int_equal(tsig_verify(&answer, buf_bytes(&out), out.len, &key, &request, NOW, NULL), 0);
    assert_int_equal(answer.verdict, TSIG_UNSIGNED);
    buf_free(&out);
    tsig_key_free(&key);
}

static void test_keys_that_are_none(void **state)
{
    static const char *const texts[] = {
        "",
        "  \n",
        "not base64!",
        "MDEy",
        "=",
        "====",
        "MDEyMzQ1Njc4OWFiY2RlZg== MDEy",
        "key",
        "key pi",
        "key pi {",
        "key pi { secret }",
        "key pi { algorithm hmac-md5; secret \"MDEy\"; };",
        "key pi { algorithm hmac-sha256; };",
        "key pi { secret \"MDEyMzQ1Njc4OWFiY2RlZg==\" };",
        "key pi { what \"MDEy\"; };",
        "key \"pi { secret x; };",
        "/*",
        "#",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct tsig_key key = { .name = "" };
        struct err e = { 0 };
        int rc = tsig_key_read(&key, str_of(texts[i]), &e);

        if (rc == 0 && strcmp(texts[i], "MDEy") != 0)
            fail_msg("%s is taken for a key", texts[i]);
        tsig_key_free(&key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signed_and_verified),
        cmocka_unit_test(test_unsigned),
        cmocka_unit_test(test_keys_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
