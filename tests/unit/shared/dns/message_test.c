#include "shared/dns/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <stdlib.h>

static void add(struct buf *out, enum dns_type type, const char *name, const char *value)
{
    struct buf rdata = { 0 };

    assert_int_equal(msg_rdata(&rdata, type, value, NULL), 0);
    assert_int_equal(msg_record(out, MSG_ANSWER, name, (uint16_t)msg_type_of(type), MSG_IN, 300,
                                buf_bytes(&rdata), rdata.len, NULL),
                     0);
    buf_free(&rdata);
}

static struct buf sample(void)
{
    struct buf out = { 0 };

    msg_begin(&out, 0x1234, MSG_QUERY, MSG_QR | MSG_AA);
    assert_int_equal(msg_question(&out, "www.example.org", MSG_A, MSG_IN, NULL), 0);
    add(&out, DNS_TYPE_A, "www.example.org", "192.0.2.1");
    add(&out, DNS_TYPE_AAAA, "*.example.org", "2001:db8::1");
    add(&out, DNS_TYPE_TXT, "_acme-challenge.example.org", "some text");
    add(&out, DNS_TYPE_CNAME, "alias.example.org", "www.example.org");
    return out;
}

/* What is read of a message, as text; NULL when it is not well-formed. The bytes lie in a block exactly of their size. */
static char *shown(const char *bytes, size_t n)
{
    char *exact = malloc(n + 1), *text = NULL;
    struct buf out = { 0 };
    struct msg_record r;
    struct msg m;
    int rc = -1;

    memcpy(exact + 1, bytes, n);
    if (msg_open(&m, exact + 1, n, NULL) == 0)
        while ((rc = msg_next(&m, &r, NULL)) == 1) {
            buf_printf(&out, "%d %s %u ", r.section, r.name, r.type);
            if (r.rdata && !msg_value(&m, &r, &out))
                break;
            buf_add_text(&out, ";");
        }
    if (rc == 0)
        text = strdup(buf_text(&out));
    buf_free(&out);
    free(exact);
    return text;
}

static void test_what_is_written_is_read(void **state)
{
    struct buf out = sample();
    char *text = shown(buf_bytes(&out), out.len);

    (void)state;
    assert_non_null(text);
    assert_string_equal(text,
                        "0 www.example.org 1 ;1 www.example.org 1 192.0.2.1;1 *.example.org 28 2001:db8::1;"
                        "1 _acme-challenge.example.org 16 some text;1 alias.example.org 5 www.example.org;");
    free(text);
    buf_free(&out);
}

static void test_cut_anywhere_it_is_none(void **state)
{
    struct buf out = sample();

    (void)state;
    for (size_t n = 0; n < out.len; n++)
        assert_null(shown(buf_bytes(&out), n));
    buf_add(&out, "x", 1); /* nothing may stand behind it */
    assert_null(shown(buf_bytes(&out), out.len));
    buf_free(&out);
}

static void test_compressed_names(void **state)
{
    static const char head[] = "\0\1\x84\0\0\1\0\1\0\0\0\0\3www\7Example\3ORG\0\0\1\0\1";
    static const char good[] = "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1";
    static const char itself[] = "\xc0\x21\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1";
    static const char forward[] = "\xc0\x30\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1";
    static const char into_head[] = "\xc0\x02\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1";
    struct {
        const char *tail;
        size_t n;
        const char *text;
    } rows[] = { { good, sizeof good - 1, "0 www.example.org 1 ;1 www.example.org 1 192.0.2.1;" },
                 { itself, sizeof itself - 1, NULL },
                 { forward, sizeof forward - 1, NULL },
                 { into_head, sizeof into_head - 1, NULL } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf whole = { 0 };
        char *text;

        buf_add(&whole, head, sizeof head - 1);
        buf_add(&whole, rows[i].tail, rows[i].n);
        text = shown(buf_bytes(&whole), whole.len);
        if (rows[i].text)
            assert_string_equal(text, rows[i].text);
        else
            assert_null(text);
        free(text);
        buf_free(&whole);
    }
}

static void test_names_that_are_none(void **state)
{
    char longest[300] = "", label[65];
    struct buf out = { 0 };

    (void)state;
    memset(label, 'a', 64);
    label[64] = 0;
    assert_int_equal(msg_name(&out, label, NULL), -1);
    assert_int_equal(msg_name(&out, "a..b", NULL), -1);
    assert_int_equal(msg_name(&out, ".a", NULL), -1);
    assert_int_equal(msg_name(&out, "a\\9", NULL), -1);
    assert_int_equal(out.len, 0);
    for (int i = 0; i < 50; i++)
        strcat(longest, "a.b.c");
    assert_int_equal(msg_name(&out, longest, NULL), 0); /* 254 bytes of labels, 1 for the root */
    strcat(longest, "d.ef");
    assert_int_equal(msg_name(&out, longest, NULL), -1);
    buf_free(&out);
}

static void test_long_texts_are_cut_into_strings(void **state)
{
    char text[700], *got;
    struct buf out = { 0 };

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    msg_begin(&out, 1, MSG_QUERY, MSG_QR);
    add(&out, DNS_TYPE_TXT, "a", text);
    got = shown(buf_bytes(&out), out.len);
    assert_non_null(strstr(got, text));
    free(got);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_cut_anywhere_it_is_none),
        cmocka_unit_test(test_compressed_names),
        cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_long_texts_are_cut_into_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
