#include "agent/link/keypair.h"
#include "shared/buf.h"
#include "shared/file.h"
#include "tests/unit/temp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* RFC 8032, section 7.1, test 1. */
static const unsigned char seed[SSH_KEY_SEED_BYTES] = { 0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60,
                                                        0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
                                                        0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19,
                                                        0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60 };
#define PUBLIC "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"

/* What ssh-keygen -y says to a file, or "" when it does not read it. */
static void keygen_reads(const char *path, char out[512])
{
    char command[256];
    FILE *f;

    snprintf(command, sizeof command, "ssh-keygen -y -f %s 2>&1", path);
    f = popen(command, "r");
    assert_non_null(f);
    if (!fgets(out, 512, f))
        out[0] = 0;
    assert_int_equal(pclose(f), 0);
    out[strcspn(out, "\n")] = 0;
}

static void test_ssh_keygen_reads_what_is_written(void **state)
{
    static const char *const comments[] = { "",        "a",        "pi",
                                            "1234567", "12345678", "a longer comment with blanks" };

    for (size_t i = 0; i < sizeof comments / sizeof comments[0]; i++) {
        const char *path = temp_path(*state, "key");
        char line[SSH_KEY_LINE_BYTES], shown[512], wanted[512];
        struct secret text;

        keypair_text(seed, comments[i], &text);
        assert_int_equal(file_write(path, text.bytes, text.n, 0600, NULL), 0);
        keygen_reads(path, shown);
        snprintf(wanted, sizeof wanted, "%s%s%s", PUBLIC, *comments[i] ? " " : "", comments[i]);
        assert_string_equal(shown, wanted);
        assert_int_equal(keypair_public((struct str){ (const char *)text.bytes, text.n }, line, NULL), 0);
        assert_string_equal(line, PUBLIC);
        secret_free(&text);
    }
}

static void test_lines_are_as_ssh_keygen_writes_them(void **state)
{
    struct secret text;
    struct str rest;
    size_t lines = 0;

    (void)state;
    keypair_text(seed, "pi", &text);
    assert_int_equal(text.bytes[text.n - 1], '\n');
    for (rest = (struct str){ (const char *)text.bytes, text.n }; rest.n > 0; lines++) {
        size_t n = (size_t)((const char *)memchr(rest.p, '\n', rest.n) - rest.p);

        assert_true(n <= 70);
        rest = (struct str){ rest.p + n + 1, rest.n - n - 1 };
    }
    assert_int_equal(lines, 7);
    secret_free(&text);
}

static void test_a_key_is_made_once(void **state)
{
    const char *path = temp_path(*state, "id_ed25519");
    char first[SSH_KEY_LINE_BYTES], second[SSH_KEY_LINE_BYTES], shown[512];
    struct err e = { 0 };

    assert_int_equal(keypair_take(path, "pi", first, &e), 0);
    assert_int_equal(temp_mode(path), 0600);
    assert_int_equal(temp_count(*state), 1);
    assert_int_equal(keypair_take(path, "other", second, &e), 0);
    assert_string_equal(first, second);
    keygen_reads(path, shown);
    assert_memory_equal(shown, first, strlen(first));
    assert_string_equal(shown + strlen(first), " pi");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(keypair_take(path, "pi", second, &e), 0);
    assert_string_not_equal(first, second);
}

static void test_keys_of_ssh_keygen_are_taken(void **state)
{
    const char *path = temp_path(*state, "key");
    char command[256], line[SSH_KEY_LINE_BYTES], shown[512];

    snprintf(command, sizeof command, "ssh-keygen -q -t ed25519 -N '' -C '' -f %s", path);
    assert_int_equal(system(command), 0);
    assert_int_equal(keypair_take(path, "", line, NULL), 0);
    keygen_reads(path, shown);
    assert_string_equal(line, shown);
}

static void test_keys_that_cannot_be_used(void **state)
{
    static const struct {
        const char *options, *why;
    } rows[] = { { "-t ed25519 -N secret", "it has a passphrase" },
                 { "-t ecdsa -N ''", "it is of type ecdsa-sha2-nistp256" },
                 { "-t rsa -m PEM -N ''", "it is not in OpenSSH's own format" } };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *path = temp_path(*state, "key");
        char command[256], line[SSH_KEY_LINE_BYTES];
        struct err e = { 0 };

        snprintf(command, sizeof command, "rm -f %s*; ssh-keygen -q %s -f %s", path, rows[i].options, path);
        assert_int_equal(system(command), 0);
        assert_int_equal(keypair_take(path, "", line, &e), -1);
        if (!strstr(e.text, rows[i].why) || !strstr(e.text, path))
            fail_msg("%s", e.text);
    }
}

static void test_a_key_that_others_can_read(void **state)
{
    const char *path = temp_path(*state, "key");
    char line[SSH_KEY_LINE_BYTES];
    struct err e = { 0 };

    assert_int_equal(keypair_take(path, "", line, NULL), 0);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(keypair_take(path, "", line, &e), -1);
    assert_non_null(strstr(e.text, "chmod 600"));
}

static void test_damaged_anywhere(void **state)
{
    char line[SSH_KEY_LINE_BYTES], *copy;
    struct secret text;

    (void)state;
    keypair_text(seed, "pi", &text);
    copy = malloc(text.n);
    for (size_t n = 0; n < text.n; n++) { /* on the heap, so that a sanitizer sees a byte too much */
        memcpy(copy, text.bytes, text.n);
        (void)!keypair_public((struct str){ copy, n }, line, NULL);
        copy[n] ^= 0x21;
        (void)!keypair_public((struct str){ copy, text.n }, line, NULL);
    }
    assert_int_equal(keypair_public((struct str){ copy, 0 }, line, NULL), -1);
    free(copy);
    secret_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ssh_keygen_reads_what_is_written, temp_make, temp_remove),
        cmocka_unit_test(test_lines_are_as_ssh_keygen_writes_them),
        cmocka_unit_test_setup_teardown(test_a_key_is_made_once, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_keys_of_ssh_keygen_are_taken, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_keys_that_cannot_be_used, temp_make, temp_remove),
        cmocka_unit_test_setup_teardown(test_a_key_that_others_can_read, temp_make, temp_remove),
        cmocka_unit_test(test_damaged_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
