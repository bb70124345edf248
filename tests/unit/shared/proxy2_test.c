/* Openings and answers against values computed elsewhere; second headers written, read, cut and spoilt. */
#include "shared/proxy2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(s)  (const unsigned char *)(s), sizeof(s) - 1

static const unsigned char secret[PROXY2_SECRET_BYTES] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                                           11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                                           22, 23, 24, 25, 26, 27, 28, 29, 30, 31 };
static const unsigned char random_bytes[] =
    "\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf";
static const uint64_t stream = 0x0123456789abcdef;

/* Made with Python's hmac from the same secret, id and random bytes. */
static const char opening[] =
    SIGNATURE "\x20\x00\x00\x31"
              "\xe0\x00\x08\x01\x23\x45\x67\x89\xab\xcd\xef"
              "\xe1\x00\x10\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf"
              "\xe2\x00\x10\xed\x4f\x5e\x27\xc0\xb6\xf9\x02\x39\x57\x4e\xe4\xca\x4d\xc0\xd6";
static const char answer[] = "\x4a\x68\x70\x88\x35\x1d\x98\x25\xf9\x01\xe3\x1b\x73\x42\x47\x8d";

/* ---- the opening ---- */

static void an_opening_is_what_the_design_says(void **state)
{
    unsigned char out[PROXY2_OPEN_BYTES], proof[PROXY2_ANSWER_BYTES];

    (void)state;
    assert_int_equal(sizeof opening - 1, PROXY2_OPEN_BYTES);
    proxy2_open_write(out, secret, stream, random_bytes);
    assert_memory_equal(out, opening, sizeof out);
    proxy2_answer(proof, secret, stream, random_bytes);
    assert_memory_equal(proof, answer, sizeof proof);
    assert_memory_not_equal(proof, out + PROXY2_OPEN_BYTES - PROXY2_ANSWER_BYTES, sizeof proof);
}

static void an_opening_is_read_back(void **state)
{
    const uint64_t ids[] = { 0, 1, 0x80, UINT32_MAX, stream, UINT64_MAX };
    unsigned char out[PROXY2_OPEN_BYTES], random[PROXY2_RANDOM_BYTES];
    uint64_t id = 7;

    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        proxy2_open_write(out, secret, ids[i], random_bytes);
        assert_int_equal(proxy2_open_read(out, secret, &id, random), 0);
        assert_true(id == ids[i]);
        assert_memory_equal(random, random_bytes, sizeof random);
    }
}

static void any_changed_bit_is_refused(void **state)
{
    unsigned char in[PROXY2_OPEN_BYTES], other[PROXY2_SECRET_BYTES], random[PROXY2_RANDOM_BYTES];
    uint64_t id;

    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof in; bit++) {
        memcpy(in, opening, sizeof in);
        in[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_int_equal(proxy2_open_read(in, secret, &id, random), -1);
    }
    for (size_t bit = 0; bit < 8 * sizeof other; bit++) {
        memcpy(other, secret, sizeof other);
        other[bit / 8] ^= (unsigned char)(1 << bit % 8);
        assert_int_equal(proxy2_open_read((const unsigned char *)opening, other, &id, random), -1);
    }
}

static void strangers_are_known_by_their_first_wrong_byte(void **state)
{
    unsigned char in[PROXY2_OPEN_BYTES + 1] = { 0 };

    (void)state;
    memcpy(in, opening, PROXY2_OPEN_BYTES);
    for (size_t n = 0; n <= PROXY2_OPEN_BYTES; n++)
        assert_true(proxy2_open_begins(in, n));
    assert_false(proxy2_open_begins(in, PROXY2_OPEN_BYTES + 1));
    assert_false(proxy2_open_begins(BYTES("G")));
    assert_false(proxy2_open_begins(BYTES("\r\n\r\nG")));
    assert_false(proxy2_open_begins(BYTES(SIGNATURE "\x21")));
    assert_false(proxy2_open_begins(BYTES(SIGNATURE "\x20\x11")));
    assert_false(proxy2_open_begins(BYTES(SIGNATURE "\x20\x00\x00\x32")));
    assert_false(proxy2_open_begins(BYTES(SIGNATURE "\x20\x00\x00\x31\xe1")));
    /* Where id and random bytes stand, anything may. */
    in[19] = in[30] = in[64] = 0xff;
    assert_true(proxy2_open_begins(in, PROXY2_OPEN_BYTES));
}

/* ---- the second header ---- */

static struct sockaddr_storage address(const char *text, uint16_t port)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    struct sockaddr_storage out = { 0 };

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        memcpy(&out, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        memcpy(&out, &v6, sizeof v6);
    else
        fail_msg("no address: %s", text);
    return out;
}

/* One header, whole and with a visitor's bytes behind it; and each shorter piece of it, which is not one yet. */
static void check_read(const unsigned char *in, size_t n, struct proxy2_use *use)
{
    unsigned char copy[PROXY2_USE_MAX_BYTES + 16];
    struct err e = { 0 };

    assert_true(n + 4 <= sizeof copy);
    memcpy(copy, in, n);
    memcpy(copy + n, "\r\n\r\n", 4);
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(proxy2_use_read(use, in, cut, &e), 0);
    assert_int_equal(proxy2_use_read(use, copy, n + 4, &e), n);
    assert_int_equal(proxy2_use_read(use, in, n, &e), n);
    assert_int_equal(e.code, ERR_NONE);
}

static void check_written(const struct proxy2_use *use, const char *bytes, size_t n)
{
    struct buf out = { 0 };

    proxy2_use_write(&out, use);
    assert_int_equal(out.len, n);
    assert_memory_equal(buf_bytes(&out), bytes, n);
    buf_free(&out);
}

static void a_pooled_stream_says_its_item_and_route(void **state)
{
    static const char bare[] = SIGNATURE "\x20\x00\x00\x0f\xe4\x00\x0c"
                                         "domain:a.com";
    static const char routed[] = SIGNATURE "\x20\x00\x00\x18\xe4\x00\x0e"
                                           "domain:*.a.com"
                                           "\xe3\x00\x04/api";
    struct proxy2_use use = { .local = true, .item = STR("domain:a.com") };

    (void)state;
    check_written(&use, bare, sizeof bare - 1);
    check_read(BYTES(bare), &use);
    assert_true(use.local && str_eq(use.item, "domain:a.com") && use.route.n == 0 && use.sni.n == 0);
    assert_int_equal(use.source.ss_family, AF_UNSPEC);

    use = (struct proxy2_use){ .local = true, .item = STR("domain:*.a.com"), .route = STR("/api") };
    check_written(&use, routed, sizeof routed - 1);
    check_read(BYTES(routed), &use);
    assert_true(str_eq(use.item, "domain:*.a.com") && str_eq(use.route, "/api"));
}

static void a_stream_says_that_http2_will_be_spoken(void **state)
{
    static const char bare[] = SIGNATURE "\x20\x00\x00\x14\xe4\x00\x0c"
                                         "domain:a.com"
                                         "\x01\x00\x02h2";
    struct proxy2_use use = { .local = true, .item = STR("domain:a.com"), .http2 = true };

    (void)state;
    check_written(&use, bare, sizeof bare - 1);
    check_read(BYTES(bare), &use);
    assert_true(use.local && str_eq(use.item, "domain:a.com") && use.http2);
}

static void a_visitors_stream_says_who_comes(void **state)
{
    static const char v4[] = SIGNATURE "\x21\x11\x00\x1d\xcb\x00\x71\x05\xc0\x00\x02\x01\xd4\x31\x01\xbb"
                                       "\xe4\x00\x07"
                                       "tcp:ssh"
                                       "\x02\x00\x04"
                                       "a.io";
    struct proxy2_use use = { .source = address("203.0.113.5", 54321),
                              .dest = address("192.0.2.1", 443),
                              .item = STR("tcp:ssh"),
                              .sni = STR("a.io") };

    (void)state;
    check_written(&use, v4, sizeof v4 - 1);
    check_read(BYTES(v4), &use);
    assert_true(!use.local && str_eq(use.item, "tcp:ssh") && str_eq(use.sni, "a.io"));
}

static const struct {
    const char *source, *dest, *read_source, *read_dest;
} pairs[] = {
    { "203.0.113.5", "192.0.2.1", "203.0.113.5", "192.0.2.1" },
    { "2001:db8::5", "2001:db8::1", "2001:db8::5", "2001:db8::1" },
    { "::ffff:203.0.113.5", "::ffff:192.0.2.1", "203.0.113.5", "192.0.2.1" },
    { "203.0.113.5", "::ffff:192.0.2.1", "203.0.113.5", "192.0.2.1" },
    { "203.0.113.5", "2001:db8::1", "::ffff:203.0.113.5", "2001:db8::1" },
    { "2001:db8::5", "192.0.2.1", "2001:db8::5", "::ffff:192.0.2.1" },
};

static void addresses_come_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct proxy2_use use = { .item = STR("tcp:a"),
                                  .source = address(pairs[i].source, 1),
                                  .dest = address(pairs[i].dest, 65535) };
        struct sockaddr_storage source = address(pairs[i].read_source, 1);
        struct sockaddr_storage dest = address(pairs[i].read_dest, 65535);
        struct buf out = { 0 };

        proxy2_use_write(&out, &use);
        check_read((const unsigned char *)buf_bytes(&out), out.len, &use);
        assert_memory_equal(&use.source, &source, sizeof source);
        assert_memory_equal(&use.dest, &dest, sizeof dest);
        buf_free(&out);
    }
}

static void the_longest_header_is_read(void **state)
{
    char item[PROXY2_TEXT_BYTES], route[PROXY2_TEXT_BYTES], sni[PROXY2_TEXT_BYTES];
    struct proxy2_use use = { .source = address("2001:db8::5", 1), .dest = address("2001:db8::1", 2) };
    struct buf out = { 0 };

    (void)state;
    memset(item, 'a', sizeof item);
    memset(route, '/', sizeof route);
    memset(sni, 's', sizeof sni);
    memcpy(item, "domain:", 7);
    use.item = (struct str){ item, sizeof item };
    use.route = (struct str){ route, sizeof route };
    use.sni = (struct str){ sni, sizeof sni };
    proxy2_use_write(&out, &use);
    check_read((const unsigned char *)buf_bytes(&out), out.len, &use);
    assert_int_equal(use.item.n + use.route.n + use.sni.n, 3 * PROXY2_TEXT_BYTES);
    buf_free(&out);
}

#define LOCAL_OF(len) SIGNATURE "\x20\x00\x00" len
#define ITEM          "\xe4\x00\x05tcp:a"
#define ROW(bytes)    bytes, sizeof(bytes) - 1

static const struct {
    const char *name, *bytes;
    size_t n;
} refused[] = {
    { "not PROXY v2", ROW("G") },
    { "PROXY v1", ROW("P") },
    { "a wrong last byte of the signature", ROW("\r\n\r\n\0\r\nQUIT\r") },
    { "version 1", ROW(SIGNATURE "\x11") },
    { "a command other than LOCAL and PROXY", ROW(SIGNATURE "\x22") },
    { "LOCAL with a family", ROW(SIGNATURE "\x20\x11") },
    { "PROXY with UNSPEC", ROW(SIGNATURE "\x21\x00") },
    { "PROXY over UDP", ROW(SIGNATURE "\x21\x12") },
    { "PROXY over a unix socket", ROW(SIGNATURE "\x21\x31") },
    { "one byte longer than allowed", ROW(SIGNATURE "\x20\x00\x03\xf1") },
    { "no item", ROW(LOCAL_OF("\x00")) },
    { "a route alone", ROW(LOCAL_OF("\x04") "\xe3\x00\x01/") },
    { "the item twice", ROW(LOCAL_OF("\x10") ITEM ITEM) },
    { "the route twice", ROW(LOCAL_OF("\x10") ITEM "\xe3\x00\x01/\xe3\x00\x01/") },
    { "an unknown TLV", ROW(LOCAL_OF("\x0c") ITEM "\xe5\x00\x01/") },
    { "a NOOP", ROW(LOCAL_OF("\x0b") ITEM "\x04\x00\x00") },
    { "the opening's TLV", ROW(LOCAL_OF("\x13") ITEM "\xe0\x00\x08--stream") },
    { "an empty item", ROW(LOCAL_OF("\x03") "\xe4\x00\x00") },
    { "an item of an unknown form", ROW(LOCAL_OF("\x08") "\xe4\x00\x05udp:a") },
    { "an item without a name", ROW(LOCAL_OF("\x07") "\xe4\x00\x04tcp:") },
    { "an item with a control character", ROW(LOCAL_OF("\x08") "\xe4\x00\x05tcp:\n") },
    { "an item that is no UTF-8", ROW(LOCAL_OF("\x08") "\xe4\x00\x05tcp:\xff") },
    { "an empty route", ROW(LOCAL_OF("\x0b") ITEM "\xe3\x00\x00") },
    { "a route without a slash", ROW(LOCAL_OF("\x0c") ITEM "\xe3\x00\x01.") },
    { "an empty name", ROW(LOCAL_OF("\x0b") ITEM "\x02\x00\x00") },
    { "another protocol than HTTP/2", ROW(LOCAL_OF("\x0d") ITEM "\x01\x00\x02h3") },
    { "HTTP/2 twice", ROW(LOCAL_OF("\x12") ITEM "\x01\x00\x02h2\x01\x00\x02h2") },
    { "a name with a blank", ROW(LOCAL_OF("\x0c") ITEM "\x02\x00\x01 ") },
    { "half a TLV head", ROW(LOCAL_OF("\x0a") ITEM "\xe3\x00") },
    { "a TLV longer than the header", ROW(LOCAL_OF("\x0c") ITEM "\xe3\x00\x02/") },
    { "LOCAL with addresses", ROW(LOCAL_OF("\x14") "\xcb\x00\x71\x05\xc0\x00\x02\x01\xd4\x31\x01\xbb" ITEM) },
    { "IPv4 cut short", ROW(SIGNATURE "\x21\x11\x00\x0b\xcb\x00\x71\x05\xc0\x00\x02\x01\xd4\x31\x01") },
    { "IPv6 cut short",
      ROW(SIGNATURE "\x21\x21\x00\x14\xcb\x00\x71\x05\xc0\x00\x02\x01\xd4\x31\x01\xbb" ITEM) },
};

static void what_is_no_such_header_is_refused(void **state)
{
    struct proxy2_use use;

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const unsigned char *in = (const unsigned char *)refused[i].bytes;
        struct err e = { 0 };

        if (proxy2_use_read(&use, in, refused[i].n, &e) != -1 || e.code == ERR_NONE)
            fail_msg("%s was not refused", refused[i].name);
        /* It was not refused for being cut short. */
        if (proxy2_use_read(&use, in, refused[i].n - 1, &e) != 0)
            fail_msg("%s was refused too early", refused[i].name);
    }
}

static void a_text_too_long_is_refused(void **state)
{
    unsigned char in[16 + 8 + 3 + PROXY2_TEXT_BYTES + 1] = SIGNATURE "\x20\x00\x01\x0b" ITEM "\xe3\x01\x00";
    struct proxy2_use use;
    struct err e = { 0 };

    (void)state;
    memset(in + 27, '/', sizeof in - 27);
    assert_int_equal(proxy2_use_read(&use, in, sizeof in, &e), -1);
    in[15] = 0x0a;
    in[25] = 0x00;
    in[26] = PROXY2_TEXT_BYTES;
    assert_int_equal(proxy2_use_read(&use, in, sizeof in - 1, &e), sizeof in - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_opening_is_what_the_design_says),
        cmocka_unit_test(an_opening_is_read_back),
        cmocka_unit_test(any_changed_bit_is_refused),
        cmocka_unit_test(strangers_are_known_by_their_first_wrong_byte),
        cmocka_unit_test(a_pooled_stream_says_its_item_and_route),
        cmocka_unit_test(a_stream_says_that_http2_will_be_spoken),
        cmocka_unit_test(a_visitors_stream_says_who_comes),
        cmocka_unit_test(addresses_come_back),
        cmocka_unit_test(the_longest_header_is_read),
        cmocka_unit_test(what_is_no_such_header_is_refused),
        cmocka_unit_test(a_text_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
