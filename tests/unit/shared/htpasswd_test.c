#include "shared/htpasswd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/buf.h"

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

#define BCRYPT   "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"
#define YESCRYPT "$y$j9T$abcdefghijklmnop$3dL1LkYnZM.OVXuVdnnaKVDlLYT92dRwOzDZ5XiVCe."
#define SHA256   "$5$rounds=1000$abcdefgh$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4"
#define SHA512   "$6$abc$K4v3HcZ8yAmpRfxML6S46NCcqy9r4/KdbQpFvqSWsBf4dgySOEOo1DHJTrmn2BsJK2aNmPN8Tfb826D2o9.z51"

static void test_entries(void **state)
{
    static const char text[] =
        "# who\n\nme:" BCRYPT "\r\n  \nyou two:" SHA512 ":a comment\n\xc3\xa4:" YESCRYPT "\nlast:" SHA256;
    static const char *const users[] = { "me", "you two", "\xc3\xa4", "last" }, *const hashes[] = {
        BCRYPT, SHA512, YESCRYPT, SHA256
    };
    struct str rest = str_of(text);
    struct htpasswd_entry entry;
    struct err why = { 0 };

    (void)state;
    assert_int_equal(htpasswd_check(rest, &why), 0);
    assert_int_equal(htpasswd_count(rest), COUNT(users));
    for (size_t i = 0; i < COUNT(users); i++) {
        assert_true(htpasswd_next(&rest, &entry));
        assert_true(str_eq(entry.user, users[i]));
        assert_true(str_eq(entry.hash, hashes[i]));
    }
    assert_false(htpasswd_next(&rest, &entry));
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "", "it names nobody" },
        { "#a:" BCRYPT "\n\n \n", "it names nobody" },
        { "me", "line 1 is not USER:HASH" },
        { "me:", "line 1 is not USER:HASH" },
        { ":" BCRYPT, "line 1 has no name of a user" },
        { "a\001b:" BCRYPT, "line 1 has no name of a user" },
        { "a\xff:" BCRYPT, "line 1 has no name of a user" },
        { "me:" BCRYPT "\nyou:secret", "line 2 has a password as it is" },
        { "me:rl/UFgyUFc4cA", "line 1 has a password as it is, or a hash of the old crypt" },
        { "me:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/", "hash of MD5" },
        { "me:$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1", "hash of MD5" },
        { "me:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "hash of SHA-1" },
        { "me:{SSHA}x", "hash of SHA-1" },
        { "me:$7$x", "a kind that is not known here" },
        { "me:$", "a kind that is not known here" },
        { "me:$2y$", "no whole bcrypt hash" },
        { "me:$2y$5$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "no whole bcrypt hash" },
        { "me:$2y$03$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "no whole bcrypt hash" },
        { "me:" BCRYPT "a", "no whole bcrypt hash" },
        { "me:$2y$15$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "cost above 14" },
        { "me:$6$abc$short", "no whole hash of SHA-crypt" },
        { "me:$6$$" SHA512, "no whole hash of SHA-crypt" },
        { "me:$5$rounds=999$a$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4", "no number of rounds" },
        { "me:$5$rounds=1000001$a$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4", "more than 1000000 rounds" },
        { "me:$y$jCT$abcdefghijklmnop$3dL1LkYnZM.OVXuVdnnaKVDlLYT92dRwOzDZ5XiVCe.", "too much memory" },
        { "me:$y$j9z$abcdefghijklmnop$3dL1LkYnZM.OVXuVdnnaKVDlLYT92dRwOzDZ5XiVCe.",
          "no whole yescrypt hash" },
        { "me:$y$", "no whole yescrypt hash" },
        { "a:" BCRYPT "\nb:" SHA256 "\na:" YESCRYPT, "line 3 names the same user as line 1" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err why = { 0 };

        print_message("%s\n", rows[i].text);
        assert_int_equal(htpasswd_check(str_of(rows[i].text), &why), -1);
        assert_int_equal(why.code, ERR_INPUT);
        assert_non_null(strstr(why.text, rows[i].why));
        assert_null(strstr(why.text, "secret"));
    }
}

static void test_every_cut_is_taken_or_refused(void **state)
{
    static const char text[] = "me:" BCRYPT "\n#\na:" SHA512 "\nb:" YESCRYPT "\nc:" SHA256 "\n";

    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        struct str cut = { text, n }, rest = cut;
        struct htpasswd_entry entry;
        size_t entries = 0;

        if (htpasswd_check(cut, NULL) != 0)
            continue;
        while (htpasswd_next(&rest, &entry))
            entries += entry.user.n > 0 && entry.hash.n >= 45;
        assert_int_equal(entries, htpasswd_count(cut));
        assert_true(entries > 0);
    }
}

static void test_as_many_as_there_is_room_for(void **state)
{
    struct buf text = { 0 };

    (void)state;
    for (int i = 0; text.len + 60 < HTPASSWD_BYTES; i++)
        buf_printf(&text, "%x:$5$a$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4\n", i);
    assert_int_equal(htpasswd_check((struct str){ buf_bytes(&text), text.len }, NULL), 0);
    while (text.len <= HTPASSWD_BYTES)
        buf_add_text(&text, "#");
    assert_int_equal(htpasswd_check((struct str){ buf_bytes(&text), text.len }, NULL), -1);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_every_cut_is_taken_or_refused),
        cmocka_unit_test(test_as_many_as_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
