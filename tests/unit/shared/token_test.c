#include "shared/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define KEY "SHA256:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN+/0"

static struct token sample(void)
{
    struct token t = { .id = "0123456789abcdef",
                       .relay = "fra1",
                       .name = "pi",
                       .user = "tunnel",
                       .host = "relay.example.net",
                       .port = 22,
                       .host_key = KEY,
                       .expires = 1795231465 };

    for (size_t i = 0; i < sizeof t.seed; i++)
        t.seed[i] = (unsigned char)(255 - i);
    return t;
}

static struct buf text_of(const struct token *t)
{
    struct buf text = { 0 };

    token_write(&text, t);
    return text;
}

static void assert_why(struct str text, const char *why)
{
    struct token t;
    struct err e = { 0 };

    if (token_read(&t, text, &e) == 0 || !strstr(e.text, why))
        fail_msg("%.*s: %s, not: %s", (int)text.n, text.p, e.text, why);
    assert_int_equal(t.port, 0); /* nothing of it is left */
}

static void test_what_is_written_is_read(void **state)
{
    static const char *const hosts[] = { "relay.example.net", "192.0.2.7", "2001:db8::7", "vm" };

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct token t = sample(), again;
        struct err e = { 0 };
        struct buf text;

        memset(t.host, 0, sizeof t.host);
        memcpy(t.host, hosts[i], strlen(hosts[i]));
        assert_int_equal(token_check(&t, &e), 0);
        text = text_of(&t);
        if (token_read(&again, str_of(buf_text(&text)), &e) != 0)
            fail_msg("%s", e.text);
        assert_memory_equal(&t, &again, sizeof t);
        buf_free(&text);
    }
}

static void test_blanks_around_it_do_not_count(void **state)
{
    struct token t = sample(), again;
    struct buf text = text_of(&t), with = { 0 };

    (void)state;
    buf_printf(&with, "  %s\t", buf_text(&text));
    assert_int_equal(token_read(&again, str_of(buf_text(&with)), NULL), 0);
    buf_free(&text);
    buf_free(&with);
}

static void test_cut_short_anywhere(void **state)
{
    struct token t = sample();
    struct buf text = text_of(&t);

    (void)state;
    for (size_t n = 0; n < text.len; n++)
        assert_why((struct str){ buf_bytes(&text), n }, "the token is cut short");
    buf_free(&text);
}

static void test_any_character_altered(void **state)
{
    static const char others[] = "Aaz09-_ +/=\n\"\\%\x80";
    struct token t = sample();
    struct buf text = text_of(&t);

    (void)state;
    for (size_t i = 0; i < text.len; i++)
        for (const char *other = others; *other; other++) {
            char copy[TOKEN_MAX_CHARS];

            memcpy(copy, buf_bytes(&text), text.len);
            if (copy[i] == *other || (*other == ' ' && (i == 0 || i + 1 == text.len)))
                continue; /* a blank at an end cuts it short */
            copy[i] = *other;
            assert_why((struct str){ copy, text.len }, "the token was altered");
        }
    buf_free(&text);
}

static void test_more_behind_it(void **state)
{
    struct token t = sample();
    struct buf text = text_of(&t);

    (void)state;
    buf_add_text(&text, "A");
    assert_why(str_of(buf_text(&text)), "the token was altered");
    buf_add_text(&text, "AAAAAAAA");
    assert_why(str_of(buf_text(&text)), "the token was altered");
    while (text.len <= TOKEN_MAX_CHARS)
        buf_add_text(&text, "A");
    assert_why(str_of(buf_text(&text)), "that is no token");
    buf_free(&text);
}

static void test_no_token_at_all(void **state)
{
    (void)state;
    assert_why(str_of("a-word-like-any-other"), "the token was altered, or it is none");
    assert_why(str_of("tunnelctl join x"), "the token was altered: its character 10");
}

/* They are whole, but nothing that may go into an ini file. */
static void test_what_no_relay_would_say(void **state)
{
    static const struct {
        const char *host, *user, *name, *key;
    } rows[] = {
        { "a\nhost_key = b", "tunnel", "pi", KEY },
        { "-oProxyCommand=x", "tunnel", "pi", KEY },
        { "", "tunnel", "pi", KEY },
        { "a b", "tunnel", "pi", KEY },
        { "[::1]", "tunnel", "pi", KEY },
        { "a.test", "", "pi", KEY },
        { "a.test", "-l", "pi", KEY },
        { "a.test", "a b", "pi", KEY },
        { "a.test", "tunnel", "Pi", KEY },
        { "a.test", "tunnel", "", KEY },
        { "a.test", "tunnel", "pi", "SHA256:short" },
        { "a.test", "tunnel", "pi", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct token t = sample();
        struct buf text;

        snprintf(t.host, sizeof t.host, "%s", rows[i].host);
        snprintf(t.user, sizeof t.user, "%s", rows[i].user);
        snprintf(t.name, sizeof t.name, "%s", rows[i].name);
        snprintf(t.host_key, sizeof t.host_key, "%s", rows[i].key);
        assert_int_equal(token_check(&t, NULL), -1);
        text = text_of(&t);
        assert_why(str_of(buf_text(&text)), "says what no relay would");
        buf_free(&text);
    }
}

static void test_ids(void **state)
{
    (void)state;
    assert_true(token_is_id("0123456789abcdef"));
    assert_false(token_is_id("0123456789abcde"));
    assert_false(token_is_id("0123456789abcdef0"));
    assert_false(token_is_id("0123456789ABCDEF"));
    assert_false(token_is_id(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read), cmocka_unit_test(test_blanks_around_it_do_not_count),
        cmocka_unit_test(test_cut_short_anywhere),      cmocka_unit_test(test_any_character_altered),
        cmocka_unit_test(test_more_behind_it),          cmocka_unit_test(test_no_token_at_all),
        cmocka_unit_test(test_what_no_relay_would_say), cmocka_unit_test(test_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
