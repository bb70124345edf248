#include "relay/lanes/key_line.h"
#include "shared/ssh_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { EXPIRES = 1795231465 }; /* 2026-11-21T03:24:25Z */

static void make_key(unsigned char n, char line[SSH_KEY_LINE_BYTES], char print[SSH_KEY_FINGERPRINT_BYTES])
{
    unsigned char seed[SSH_KEY_SEED_BYTES] = { n };

    ssh_key_of_seed(seed, line);
    ssh_key_fingerprint(line, print);
}

static void test_lines_are_made(void **state)
{
    struct buf out = { 0 };

    (void)state;
    key_line_add(&out, "exec '/a \"b\"/tunnel-lane' pi", "ssh-ed25519 AAAA");
    key_line_add_once(&out, "exec tunnel-lane --enrol 0123456789abcdef", "ssh-ed25519 BBBB", EXPIRES);
    assert_string_equal(
        buf_text(&out),
        "restrict,port-forwarding,permitlisten=\"127.0.0.1:*\",command=\"exec '/a \\\"b\\\"/tunnel-lane' "
        "pi\" ssh-ed25519 AAAA\n"
        "restrict,expiry-time=\"20261121032424Z\",command=\"exec tunnel-lane --enrol 0123456789abcdef\" "
        "ssh-ed25519 BBBB\n");
    buf_free(&out);
}

static void test_lines_are_found(void **state)
{
    char keys[4][SSH_KEY_LINE_BYTES], prints[4][SSH_KEY_FINGERPRINT_BYTES];
    struct buf out = { 0 };
    struct str lines, line;

    (void)state;
    for (unsigned char i = 0; i < 4; i++)
        make_key(i, keys[i], prints[i]);
    key_line_add(&out, "exec lane one", keys[0]);
    key_line_add_once(&out, "exec lane --enrol 0123456789abcdef", keys[1], EXPIRES);
    buf_printf(&out, "%s a comment", keys[2]); /* by hand, and without a newline at the end */
    lines = (struct str){ buf_bytes(&out), out.len };

    assert_true(key_line_find(lines, prints[0], EXPIRES, &line));
    assert_non_null(memmem(line.p, line.n, "exec lane one", 13));
    assert_null(memchr(line.p, '\n', line.n));
    assert_true(key_line_find(lines, prints[1], EXPIRES - 1, &line));
    assert_false(key_line_find(lines, prints[1], EXPIRES, &line));
    assert_true(key_line_find(lines, prints[2], EXPIRES, &line));
    assert_false(key_line_find(lines, prints[3], EXPIRES, &line));
    assert_false(key_line_find(lines, "", EXPIRES, &line));
    assert_false(key_line_find(lines, "SHA256:", EXPIRES, &line));
    for (size_t n = 0; n < lines.n; n++) { /* cut anywhere: never another line than asked for */
        bool found = key_line_find((struct str){ lines.p, n }, prints[1], EXPIRES - 1, &line);

        assert_true(!found || memmem(line.p, line.n, "--enrol", 7));
    }
    buf_free(&out);
}

/* A command that looks like the option does not make the key one that expires. */
static void test_only_the_option_counts(void **state)
{
    char key[SSH_KEY_LINE_BYTES], print[SSH_KEY_FINGERPRINT_BYTES];
    struct buf out = { 0 };
    struct str line;

    (void)state;
    make_key(1, key, print);
    key_line_add(&out, "exec lane expiry-time=\"20000101000000Z\"", key);
    assert_true(key_line_find((struct str){ buf_bytes(&out), out.len }, print, EXPIRES, &line));
    buf_free(&out);
    buf_printf(&out, "restrict,expiry-time=\"soon\",command=\"x\" %s\n",
               key); /* what nobody understands is over */
    assert_false(key_line_find((struct str){ buf_bytes(&out), out.len }, print, EXPIRES, &line));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_made),
        cmocka_unit_test(test_lines_are_found),
        cmocka_unit_test(test_only_the_option_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
