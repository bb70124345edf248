#include "shared/known_hosts.h"

#include "shared/buf.h"
#include "shared/ssh_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define K1 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHz+vJAoEvvBWnTrR2izXe8L05agjPE67ZI7+YlPN7cH"
#define K2 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKtQTgnnYGSQro4KQfGmluQnGHWrdRl+AyZMquyWE3Qz"
#define K3                                                                                                 \
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJtuD4apEtRaJXh3sT2ENIPFN1XD" \
    "wptf0ne6PY+iRlxs5+dFRYPCS9UxNSCllJgttgPIZW8N92CsmXSC/yoGzFc="
/* As ssh-keygen -H made them. */
#define HASHED      "|1|WFiJ6QxOtbkxdxGTi4ihpkLigoE=|B2BcZuVQJ1W8LwW6tofBNukcyxA= " K1 "\n" /* relay.example.net */
#define HASHED_PORT "|1|tt3TJGeE+xkvjYI+JB97n4ig68k=|EviG/0Gka+Hxhc3QIlLDTwbEP5Q= " K1 "\n" /* [...]:2222 */

struct row {
    const char *text, *host;
    uint16_t port;
    enum known_hosts_answer answer;
    size_t line;
};

/* The host shows K1. */
static const struct row rows[] = {
    { "", "a.test", 22, KNOWN_HOSTS_NO, 0 },
    { "a.test " K1, "a.test", 22, KNOWN_HOSTS_YES, 1 },
    { "a.test " K1 " a comment\n", "a.test", 22, KNOWN_HOSTS_YES, 1 },
    { "\n# a.test " K2 "\n\ta.test \t " K1 "\r\n", "a.test", 22, KNOWN_HOSTS_YES, 3 },
    { "a.test " K1 "\n", "A.Test", 22, KNOWN_HOSTS_YES, 1 },
    { "A.TEST " K1 "\n", "a.test", 22, KNOWN_HOSTS_YES, 1 },
    { "a.test " K1 "\n", "b.test", 22, KNOWN_HOSTS_NO, 0 },
    { "a.test " K1 "\n", "xa.test", 22, KNOWN_HOSTS_NO, 0 },
    { "a.test " K1 "\n", "a.testx", 22, KNOWN_HOSTS_NO, 0 },
    { "a.test " K2 "\n", "a.test", 22, KNOWN_HOSTS_OTHER, 1 },
    { "a.test " K2 "\na.test " K1 "\n", "a.test", 22, KNOWN_HOSTS_YES, 2 },
    { "a.test " K1 "\na.test " K2 "\n", "a.test", 22, KNOWN_HOSTS_YES, 1 },
    { "a.test " K3 "\n", "a.test", 22, KNOWN_HOSTS_NO, 0 },
    /* lists, patterns, exceptions */
    { "b.test,a.test,192.0.2.1 " K1 "\n", "a.test", 22, KNOWN_HOSTS_YES, 1 },
    { "b.test,a.test,192.0.2.1 " K1 "\n", "192.0.2.1", 22, KNOWN_HOSTS_YES, 1 },
    { "*.test " K1 "\n", "a.test", 22, KNOWN_HOSTS_YES, 1 },
    { "*.test " K1 "\n", "b.a.test", 22, KNOWN_HOSTS_YES, 1 },
    { "*.test " K1 "\n", ".tes", 22, KNOWN_HOSTS_NO, 0 },
    { "*a*b*c " K1 "\n", "xxaxbxbxc", 22, KNOWN_HOSTS_YES, 1 },
    { "*a*b*c " K1 "\n", "xxaxcxb", 22, KNOWN_HOSTS_NO, 0 },
    { "?.test " K1 "\n", "a.test", 22, KNOWN_HOSTS_YES, 1 },
    { "?.test " K1 "\n", "ab.test", 22, KNOWN_HOSTS_NO, 0 },
    { "* " K1 "\n", "any", 22, KNOWN_HOSTS_YES, 1 },
    { "*.test,!a.test " K1 "\n", "a.test", 22, KNOWN_HOSTS_NO, 0 },
    { "!a.test,*.test " K1 "\n", "b.test", 22, KNOWN_HOSTS_YES, 1 },
    { "!a.test " K1 "\n", "b.test", 22, KNOWN_HOSTS_NO, 0 }, /* an exception alone names nobody */
    { ",,!,a.test, " K1 "\n", "a.test", 22, KNOWN_HOSTS_YES, 1 },
    /* ports */
    { "[a.test]:2222 " K1 "\n", "a.test", 2222, KNOWN_HOSTS_YES, 1 },
    { "[a.test]:2222 " K1 "\n", "a.test", 22, KNOWN_HOSTS_NO, 0 },
    { "[a.test]:2222 " K1 "\n", "a.test", 2223, KNOWN_HOSTS_NO, 0 },
    { "[*.test]:* " K1 "\n", "a.test", 2223, KNOWN_HOSTS_YES, 1 },
    { "[::1]:2222 " K1 "\n", "::1", 2222, KNOWN_HOSTS_YES, 1 },
    { "a.test " K1 "\n", "a.test", 2222, KNOWN_HOSTS_YES, 1 }, /* this very key, without the port */
    { "a.test " K2 "\n", "a.test", 2222, KNOWN_HOSTS_NO, 0 },
    { "a.test " K1 "\n[a.test]:2222 " K2 "\n", "a.test", 2222, KNOWN_HOSTS_OTHER, 2 },
    { "@revoked a.test " K1 "\n", "a.test", 2222, KNOWN_HOSTS_REVOKED, 1 },
    /* hashes */
    { HASHED, "relay.example.net", 22, KNOWN_HOSTS_YES, 1 },
    { HASHED, "Relay.Example.Net", 22, KNOWN_HOSTS_YES, 1 },
    { HASHED, "relay.example.com", 22, KNOWN_HOSTS_NO, 0 },
    { HASHED_PORT, "relay.example.net", 22, KNOWN_HOSTS_NO, 0 },
    { HASHED_PORT, "relay.example.net", 2222, KNOWN_HOSTS_YES, 1 },
    { "|1|AAAA|AAAA " K1 "\n", "a.test", 22, KNOWN_HOSTS_NO, 0 },
    { "|1| " K1 "\n", "a.test", 22, KNOWN_HOSTS_NO, 0 },
    { "|2|WFiJ6QxOtbkxdxGTi4ihpkLigoE=|B2BcZuVQJ1W8LwW6tofBNukcyxA= " K1 "\n", "relay.example.net", 22,
      KNOWN_HOSTS_NO, 0 },
    { "| " K1 "\n", "a.test", 22, KNOWN_HOSTS_NO, 0 },
    /* markers */
    { "@revoked a.test " K1 "\n", "a.test", 22, KNOWN_HOSTS_REVOKED, 1 },
    { "a.test " K1 "\n@revoked * " K1 "\n", "a.test", 22, KNOWN_HOSTS_REVOKED, 2 },
    { "@revoked * " K1 "\na.test " K1 "\n", "a.test", 22, KNOWN_HOSTS_REVOKED, 1 },
    { "@revoked a.test " K2 "\na.test " K1 "\n", "a.test", 22, KNOWN_HOSTS_YES, 2 },
    { "@revoked a.test " K2 "\n", "a.test", 22, KNOWN_HOSTS_NO, 0 },
    { "@cert-authority * " K1 "\n", "a.test", 22, KNOWN_HOSTS_NO, 0 },
    /* of no use, and nobody's business */
    { "a.test\na.test ssh-ed25519\n@revoked\na.test " K1 "\n", "a.test", 22, KNOWN_HOSTS_YES, 4 },
    { "b.test ssh-ed25519 damaged\n@what b.test " K1 "\na.test " K1 "\n", "a.test", 22, KNOWN_HOSTS_YES, 3 },
};

static void look_up(struct known_hosts_found *found, const struct row *row)
{
    struct err why = { 0 };
    size_t n = strlen(row->text);
    char *text = malloc(n + 1); /* exactly as long, for ASan */

    memcpy(text, row->text, n);
    if (known_hosts_look_up(found, (struct str){ text, n }, row->host, row->port, K1, &why) != 0)
        fail_msg("%s: %s", row->text, why.text);
    free(text);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct known_hosts_found found;

        look_up(&found, &rows[i]);
        if (found.answer != rows[i].answer || found.line != rows[i].line)
            fail_msg("%s of %s:%u: answer %d at line %zu", rows[i].text, rows[i].host, rows[i].port,
                     found.answer, found.line);
    }
}

static void test_notes(void **state)
{
    const struct row authority = { "a.test " K1 "\n@cert-authority *.test " K2 "\n", "a.test", 22, 0, 0 };
    const struct row other = { "a.test " K3 "\n", "a.test", 22, 0, 0 };
    struct known_hosts_found found;

    (void)state;
    look_up(&found, &authority);
    assert_int_equal(found.answer, KNOWN_HOSTS_YES);
    assert_int_equal(found.authority, 2);
    assert_int_equal(found.other, 0);
    look_up(&found, &other);
    assert_int_equal(found.authority, 0);
    assert_int_equal(found.other, 1);
}

static void test_damaged(void **state)
{
    static const struct {
        const char *text, *why;
    } damaged[] = {
        { "\na.test ssh-ed25519 AAAA\n", "line 2: the ed25519 key of this host is damaged" },
        { "a.test ssh-ed25519 !\n", "line 1: the ed25519 key of this host is damaged" },
        { "@revoked a.test ssh-ed25519 AAAA\n", "line 1: the ed25519 key of this host is damaged" },
        { "@Revoked a.test " K1 "\n", "line 1: a marker that is neither @revoked nor @cert-authority" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct known_hosts_found found;
        struct err why = { 0 };

        assert_int_equal(known_hosts_look_up(&found, str_of(damaged[i].text), "a.test", 22, K1, &why), -1);
        assert_int_equal(why.code, ERR_INPUT);
        assert_string_equal(why.text, damaged[i].why);
    }
}

/* Cut anywhere, it is read without a byte beyond its end; whether it is then damaged does not matter. */
static void test_cut_at_every_position(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t n = 0; n <= strlen(rows[i].text); n++) {
            struct known_hosts_found found;
            char *text = malloc(n + 1);

            memcpy(text, rows[i].text, n);
            if (known_hosts_look_up(&found, (struct str){ text, n }, rows[i].host, rows[i].port, K1, NULL) ==
                0)
                assert_true(found.answer <= KNOWN_HOSTS_REVOKED);
            free(text);
        }
}

static void test_very_long(void **state)
{
    struct known_hosts_found found;
    struct buf text = { 0 };
    char host[400];

    (void)state;
    memset(host, 'a', sizeof host - 1);
    host[sizeof host - 1] = 0;
    for (int i = 0; i < 3000; i++)
        buf_printf(&text, "%d.test,", i);
    buf_printf(&text, "a.test " K1 "\n*a*a*a*a*a*a*a*a*b " K1 "\na.test " K2 "\n");
    assert_int_equal(
        known_hosts_look_up(&found, (struct str){ buf_bytes(&text), text.len }, "a.test", 22, K1, NULL), 0);
    assert_int_equal(found.answer, KNOWN_HOSTS_OTHER); /* the first line is none that ssh would write */
    assert_int_equal(found.line, 3);
    assert_int_equal(
        known_hosts_look_up(&found, (struct str){ buf_bytes(&text), text.len }, host, 22, K1, NULL), 0);
    assert_int_equal(found.answer, KNOWN_HOSTS_NO);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_notes),
        cmocka_unit_test(test_damaged),   cmocka_unit_test(test_cut_at_every_position),
        cmocka_unit_test(test_very_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
