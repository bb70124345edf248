#include "relay/edge/hello.h"

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- made by hand ---- */

#define RANDOM \
    "\x03\x03" \
    "0123456789abcdef0123456789abcdef"
#define SESSION "\0"
#define SUITES  "\0\x04\x0a\x0a\x13\x01"
#define FRONT   RANDOM SESSION SUITES "\x01\0"
#define GREASE  "\x1a\x1a\0\0"
#define NAME                   \
    "\0\0\0\x0b\0\x09\0\0\x06" \
    "a.test"

struct row {
    const char *name, *body;
    size_t n;
    enum hello_state state;
    const char *host;
};
#define ROW(name, body, state, host)                         \
    {                                                        \
        name, "" body, sizeof(body) - 1, HELLO_##state, host \
    }

static const struct row rows[] = {
    ROW("a name", FRONT "\0\x0f" NAME, WHOLE, "a.test"),
    ROW("behind GREASE", FRONT "\0\x13" GREASE NAME, WHOLE, "a.test"),
    ROW("before GREASE", FRONT "\0\x13" NAME GREASE, WHOLE, "a.test"),
    ROW("no extensions at all", FRONT, WHOLE, ""),
    ROW("none of them", FRONT "\0\0", WHOLE, ""),
    ROW("no name among them", FRONT "\0\x04" GREASE, WHOLE, ""),
    ROW("an empty name",
        FRONT "\0\x09"
              "\0\0\0\x05\0\x03\0\0\0",
        WHOLE, ""),
    ROW("a name with a NUL",
        FRONT "\0\x0d"
              "\0\0\0\x09\0\x07\0\0\x04"
              "a\0.b",
        WHOLE, "a\0.b"),
    ROW("a second name in the list",
        FRONT "\0\x13"
              "\0\0\0\x0f\0\x0d\0\0\x06"
              "a.test"
              "\x01\0\x01x",
        WHOLE, "a.test"),
    ROW("two such extensions", FRONT "\0\x1e" NAME NAME, NONE, ""),
    ROW("a name of another kind",
        FRONT "\0\x0f"
              "\0\0\0\x0b\0\x09\x01\0\x06"
              "a.test",
        NONE, ""),
    ROW("a list that is too short",
        FRONT "\0\x0f"
              "\0\0\0\x0b\0\x08\0\0\x06"
              "a.test",
        NONE, ""),
    ROW("a list that is too long",
        FRONT "\0\x0f"
              "\0\0\0\x0b\0\x0a\0\0\x06"
              "a.test",
        NONE, ""),
    ROW("a name that is too long",
        FRONT "\0\x0f"
              "\0\0\0\x0b\0\x09\0\0\x07"
              "a.test",
        NONE, ""),
    ROW("no list",
        FRONT "\0\x04"
              "\0\0\0\0",
        NONE, ""),
    ROW("an extension that is too long",
        FRONT "\0\x0f"
              "\0\0\0\x0c\0\x09\0\0\x06"
              "a.test",
        NONE, ""),
    ROW("extensions that are too long", FRONT "\0\x10" NAME, NONE, ""),
    ROW("bytes behind them", FRONT "\0\x0e" NAME, NONE, ""),
    ROW("half a length of them", FRONT "\0", NONE, ""),
    ROW("no compression", RANDOM SESSION SUITES, NONE, ""),
    ROW("suites that are too long", RANDOM SESSION "\xff\xff\x13\x01\x01\0", NONE, ""),
    ROW("a session that is too long", RANDOM "\xff", NONE, ""),
    ROW("half a random",
        "\x03\x03"
        "0123",
        NONE, ""),
};

static void add_record(struct buf *out, const char *bytes, size_t n)
{
    const char head[] = { 22, 3, 1, (char)(n >> 8), (char)n };

    buf_add(out, head, sizeof head);
    buf_add(out, bytes, n);
}

/* As records of so many bytes. */
static struct buf records_of(const char *body, size_t n, size_t most)
{
    const char head[] = { 1, (char)(n >> 16), (char)(n >> 8), (char)n };
    struct buf message = { 0 }, out = { 0 };

    buf_add(&message, head, sizeof head);
    buf_add(&message, body, n);
    for (size_t at = 0; at < message.len; at += most)
        add_record(&out, buf_bytes(&message) + at, message.len - at < most ? message.len - at : most);
    buf_free(&message);
    return out;
}

static void check(const char *name, const struct hello *h, enum hello_state state, const char *host, size_t n)
{
    if (h->state != state)
        fail_msg("%s: is %d, not %d", name, h->state, state);
    assert_int_equal(h->name.n, n);
    assert_memory_equal(h->name.p ? h->name.p : "", host, n);
}

/* The first piece ends at `cut`, the others are of `step` bytes; what was known stays. */
static void run(const struct row *row, const struct buf *wire, size_t cut, size_t step)
{
    size_t host = strcmp(row->name, "a name with a NUL") == 0 ? 4 : strlen(row->host);
    struct hello h = { 0 };

    for (size_t n = cut; n < wire->len; n += step)
        if (hello_feed(&h, buf_bytes(wire), n) == HELLO_WHOLE)
            fail_msg("%s: whole before its end", row->name);
    hello_feed(&h, buf_bytes(wire), wire->len);
    check(row->name, &h, row->state, row->host, host);
    hello_free(&h);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t most = 1; most < 200; most += most < 8 ? 1 : 50) {
            struct buf wire = records_of(rows[i].body, rows[i].n, most);

            run(&rows[i], &wire, wire.len, 1);
            run(&rows[i], &wire, 0, 1);
            for (size_t cut = 1; cut < wire.len; cut++)
                run(&rows[i], &wire, cut, wire.len);
            buf_free(&wire);
        }
}

/* ---- what is none ---- */

static void expect(const char *name, const char *bytes, size_t n, enum hello_state state)
{
    struct hello h = { 0 };

    for (size_t i = 0; i <= n; i++)
        hello_feed(&h, bytes, i);
    check(name, &h, state, "", 0);
    hello_free(&h);
}

static void test_other_beginnings(void **state)
{
    (void)state;
    expect("nothing", "", 0, HELLO_MORE);
    expect("a part of a record's head", "\x16\x03\x01\x02", 4, HELLO_MORE);
    expect("HTTP", "G", 1, HELLO_NONE);
    expect("an alert", "\x15\x03\x01\0\x02\x02\x50", 7, HELLO_NONE);
    expect("application data", "\x17\x03\x03\0\x01x", 6, HELLO_NONE);
    expect("SSL 2", "\x80\x2e\x01\0\x02", 5, HELLO_NONE);
    expect("another version", "\x16\x02\x00", 3, HELLO_NONE);
    expect("an empty record", "\x16\x03\x01\0\0", 5, HELLO_NONE);
    expect("a record that is too long", "\x16\x03\x01\x40\x01", 5, HELLO_NONE);
    expect("a ServerHello", "\x16\x03\x01\0\x04\x02\0\0\x01", 9, HELLO_NONE);
    expect("an empty message", "\x16\x03\x01\0\x04\x01\0\0\0", 9, HELLO_NONE);
    expect("more than 64 KiB", "\x16\x03\x01\0\x04\x01\x01\0\0", 9, HELLO_NONE);
    expect("64 KiB are awaited", "\x16\x03\x01\0\x04\x01\0\xff\xfc", 9, HELLO_MORE);
    expect("another record in between", "\x16\x03\x01\0\x04\x01\0\xff\xfc\x14\x03\x01\0\x01\x01", 15,
           HELLO_NONE);
}

/* ---- long ones ---- */

/* A name behind so many bytes of padding. */
static struct buf long_body(size_t padding)
{
    size_t n = padding + 4 + sizeof NAME - 1;
    const char front[] = { (char)(n >> 8), (char)n, 0, 21, (char)(padding >> 8), (char)padding };
    struct buf body = { 0 };

    buf_add(&body, FRONT, sizeof FRONT - 1);
    buf_add(&body, front, sizeof front);
    memset(buf_space(&body, padding), 0, padding);
    buf_added(&body, padding);
    buf_add(&body, NAME, sizeof NAME - 1);
    return body;
}

static void test_long_ones(void **state)
{
    static const struct {
        size_t padding, records;
        enum hello_state state;
    } cases[] = {
        { 20000, 16384, HELLO_WHOLE },
        { 65400, 16384, HELLO_WHOLE },
        { 65400, 6, HELLO_WHOLE },
        { 65400, 1, HELLO_NONE }, /* 384 KiB of records */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf body = long_body(cases[i].padding);
        struct buf wire = records_of(buf_bytes(&body), body.len, cases[i].records);
        struct hello h = { 0 };

        for (size_t n = 0; n <= wire.len; n += 977)
            hello_feed(&h, buf_bytes(&wire), n);
        hello_feed(&h, buf_bytes(&wire), wire.len);
        check("a long one", &h, cases[i].state, "a.test", cases[i].state == HELLO_WHOLE ? 6 : 0);
        hello_free(&h);
        buf_free(&wire);
        buf_free(&body);
    }
}

/* ---- OpenSSL's ---- */

static void test_a_real_one(void **state)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    struct hello h = { 0 };
    char *bytes;
    long n;

    (void)state;
    SSL_set_bio(ssl, in, out);
    assert_int_equal(SSL_set_tlsext_host_name(ssl, "Sassy-Cat-Pics.com"), 1);
    SSL_connect(ssl);
    n = BIO_get_mem_data(out, &bytes);
    assert_int_equal(hello_feed(&h, bytes, (size_t)n - 1), HELLO_MORE);
    assert_int_equal(hello_feed(&h, bytes, (size_t)n), HELLO_WHOLE);
    assert_true(hello_is_all(&h, (size_t)n));
    assert_false(hello_is_all(&h, (size_t)n + 1));
    check("OpenSSL's", &h, HELLO_WHOLE, "Sassy-Cat-Pics.com", 18);
    hello_free(&h);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_other_beginnings),
        cmocka_unit_test(test_long_ones),
        cmocka_unit_test(test_a_real_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
