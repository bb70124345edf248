#include "shared/ssh_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/temp.h"

#define HEAD "AAAAC3NzaC1lZDI1NTE5AAAAI"
#define BODY "LQWQdWZyLHGmvAhMtnfgTGzQ0N3mVNuW4sZ2Jq+/ab"
#define KEY  "ssh-ed25519 " HEAD BODY "9"

static void test_well(void **state)
{
    static const char *const rows[] = { KEY, KEY " ada@home", KEY " a comment of \"more\" words; and $signs",
                                        "  ssh-ed25519 \t " HEAD BODY "9\t", KEY " ssh-ed25519 AAAA" };
    char out[SSH_KEY_LINE_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err e = { 0 };

        memset(out, 'x', sizeof out);
        if (ssh_key_parse(rows[i], out, &e) != 0)
            fail_msg("%s: %s", rows[i], e.text);
        assert_string_equal(out, KEY);
        assert_int_equal(ssh_key_parse(out, out, &e), 0); /* what it made, it reads */
        assert_string_equal(out, KEY);
    }
}

#define NO_KEY  "not an ed25519 public key; make one with: ssh-keygen -t ed25519"
#define DAMAGED "the key is damaged; give the whole line of the .pub file"

static void test_refused(void **state)
{
    static const struct {
        const char *name, *text, *why;
    } rows[] = {
        { "nothing", "", NO_KEY },
        { "blanks", " \t ", NO_KEY },
        { "rsa", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC", NO_KEY },
        { "ecdsa", "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTY", NO_KEY },
        { "a security key", "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t", NO_KEY },
        { "a certificate", "ssh-ed25519-cert-v01@openssh.com " HEAD BODY "9", NO_KEY },
        { "another case", "SSH-ED25519 " HEAD BODY "9", NO_KEY },
        { "options in front", "restrict,command=\"id\" " KEY, NO_KEY },
        { "the base64 alone", HEAD BODY "9", NO_KEY },
        { "a private key", "-----BEGIN OPENSSH PRIVATE KEY-----", NO_KEY },
        { "the type alone", "ssh-ed25519", DAMAGED },
        { "a character less", "ssh-ed25519 " HEAD BODY, DAMAGED },
        { "a character more", KEY "A", DAMAGED },
        { "four more", KEY "AAAA", DAMAGED },
        { "padding", "ssh-ed25519 " HEAD BODY "=", DAMAGED },
        { "more padding", KEY "====", DAMAGED },
        { "a newline", KEY "\n", DAMAGED },
        { "a newline inside", "ssh-ed25519 " HEAD "\n" BODY, DAMAGED },
        { "base64 for URLs", "ssh-ed25519 " HEAD "-" BODY, DAMAGED },
        { "a minus at the end", "ssh-ed25519 " HEAD BODY "-", DAMAGED },
        { "bytes that are no base64", "ssh-ed25519 " HEAD BODY "\377", DAMAGED },
        { "a quote", "ssh-ed25519 " HEAD BODY "\"", DAMAGED },
        { "another type inside", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE4AAAAI" BODY "9", DAMAGED },
        { "another length inside", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAH" BODY "9", DAMAGED },
        { "a greater length inside", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAABI" BODY "9", DAMAGED },
        { "a quoted key", "\"ssh-ed25519 " HEAD BODY "9\"", NO_KEY },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[SSH_KEY_LINE_BYTES];
        struct err e = { 0 };

        if (ssh_key_parse(rows[i].text, out, &e) == 0)
            fail_msg("%s: is accepted as %s", rows[i].name, out);
        assert_int_equal(e.code, ERR_INPUT);
        if (!strstr(e.text, rows[i].why))
            fail_msg("%s: %s", rows[i].name, e.text);
        assert_int_equal(ssh_key_parse(rows[i].text, out, NULL), -1);
    }
}

/* Every single byte counts: whatever one of them becomes, it is refused or comes out as itself. */
static void test_one_byte_changed(void **state)
{
    char text[] = KEY, out[SSH_KEY_LINE_BYTES];

    (void)state;
    for (size_t at = 0; at < sizeof text - 1; at++)
        for (int c = 1; c < 256; c++) {
            char before = text[at];

            text[at] = (char)c;
            if (ssh_key_parse(text, out, NULL) == 0 && at != 11)
                assert_string_equal(out, text);
            text[at] = before;
        }
}

/* OpenSSH agrees about the key and its fingerprint. */
static void test_fingerprint(void **state)
{
    struct temp *t = *state;
    char command[256], line[256] = "", out[SSH_KEY_LINE_BYTES], print[SSH_KEY_FINGERPRINT_BYTES];
    const char *key = temp_path(t, "key");
    FILE *f;

    if (access("/usr/bin/ssh-keygen", X_OK) != 0)
        skip();
    snprintf(command, sizeof command, "ssh-keygen -q -t ed25519 -N '' -C 'a b' -f %s && cat %s.pub", key,
             key);
    f = popen(command, "r");
    assert_true(f && fgets(line, sizeof line, f));
    assert_int_equal(pclose(f), 0);
    line[strcspn(line, "\n")] = 0;
    assert_int_equal(ssh_key_parse(line, out, NULL), 0);
    assert_int_equal(strncmp(line, out, strlen(out)), 0);
    assert_string_equal(line + strlen(out), " a b");
    ssh_key_fingerprint(out, print);
    snprintf(command, sizeof command, "ssh-keygen -lf %s.pub | cut -d' ' -f2", key);
    f = popen(command, "r");
    assert_true(f && fgets(line, sizeof line, f));
    assert_int_equal(pclose(f), 0);
    line[strcspn(line, "\n")] = 0;
    assert_string_equal(print, line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_one_byte_changed),
        cmocka_unit_test_setup_teardown(test_fingerprint, temp_make, temp_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
