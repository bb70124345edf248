#include "relay/edge/first.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define SIG  "\r\n\r\n\0\r\nQUIT\n"
#define V1   "PROXY TCP4 203.0.113.7 198.51.100.2 12345 443\r\n"
#define V2   SIG "\x21\x11\0\x0c\xcb\0\x71\x07\xc6\x33\x64\x02\x30\x39\x01\xbb"
#define HELO "\x16\x03\x01"

struct row {
    const char *name, *peer, *bytes;
    size_t n, header; /* header: how many of the bytes are one */
    struct entrance entrance;
    bool ssh;
    enum first_kind kind;
    const char *from; /* whose connection it is then */
};
#define PLAIN        \
    {                \
        false, false \
    }
#define SECURE      \
    {               \
        true, false \
    }
#define PROXIED    \
    {              \
        true, true \
    }
#define HPROXY      \
    {               \
        false, true \
    }
#define ROW(name, peer, bytes, header, entrance, ssh, kind, from)                          \
    {                                                                                      \
        name, peer, "" bytes, sizeof(bytes) - 1, header, entrance, ssh, FIRST_##kind, from \
    }
#define ONE   "10.0.0.1"
#define OTHER "192.0.2.1"
#define TOLD  "203.0.113.7 443"

static void begin(const struct row *row, struct first *first, struct origin *origin)
{
    *first = (struct first){ .entrance = row->entrance, .ssh = row->ssh };
    *origin = (struct origin){ .port = 8443 };
    assert_true(cidr_address(str_of(row->peer), &origin->peer));
}

static void check_end(const struct row *row, const struct first *first, const struct origin *origin,
                      enum first_kind kind, size_t n)
{
    char peer[INET_ADDRSTRLEN], from[64];

    if (kind != row->kind)
        fail_msg("%s: is %d, not %d", row->name, kind, row->kind);
    if (kind == FIRST_MORE || kind == FIRST_REFUSED)
        return;
    inet_ntop(AF_INET, &((const struct sockaddr_in *)&origin->peer)->sin_addr, peer, sizeof peer);
    snprintf(from, sizeof from, "%s %u", peer, origin->port);
    assert_string_equal(from, row->from);
    assert_int_equal(first->bytes.len, n - row->header);
    assert_memory_equal(buf_bytes(&first->bytes), row->bytes + row->header, n - row->header);
}

/* In pieces: one behind `cut` bytes, and the others of `step`. It is known before the end; further bytes are not fed. */
static void run(const struct row *row, size_t cut, size_t step)
{
    const struct cidr list[] = { { { [10] = 0xff, 0xff, 10 }, 104 } };
    const struct cidrs trusted = { 1, list };
    struct err why = { 0 };
    struct first first;
    struct origin origin;
    enum first_kind kind;
    size_t at = 0;

    begin(row, &first, &origin);
    kind = first_begin(&first);
    while (kind == FIRST_MORE && at < row->n) {
        size_t n = at < cut ? cut - at : step;

        n = n < row->n - at ? n : row->n - at;
        kind = first_feed(&first, &origin, &trusted, row->bytes + at, n, &why);
        at += n;
    }
    check_end(row, &first, &origin, kind, at);
    buf_free(&first.bytes);
}

static void test_first_bytes(void **state)
{
    static const struct row rows[] = {
        ROW("plain", OTHER, "", 0, PLAIN, true, HTTP, OTHER " 8443"),
        ROW("TLS without SSH", OTHER, "", 0, SECURE, false, TLS, OTHER " 8443"),
        ROW("TLS", OTHER, HELO, 0, SECURE, true, TLS, OTHER " 8443"),
        ROW("SSH", OTHER, "SSH-2.0-x\r\n", 0, SECURE, true, SSH, OTHER " 8443"),
        ROW("part of SSH", OTHER, "SSH", 0, SECURE, true, MORE, ""),
        ROW("not SSH", OTHER, "SSL-", 0, SECURE, true, REFUSED, ""),
        ROW("a header elsewhere", ONE, V1 HELO, 0, SECURE, true, TLS, ONE " 8443"),
        ROW("v1, TLS", ONE, V1 HELO, sizeof V1 - 1, PROXIED, true, TLS, TOLD),
        ROW("v2, TLS", ONE, V2 HELO, sizeof V2 - 1, PROXIED, true, TLS, TOLD),
        ROW("v2, TLS without SSH", ONE, V2 HELO, sizeof V2 - 1, PROXIED, false, TLS, TOLD),
        ROW("v1, SSH", ONE, V1 "SSH-2.0-x\r\n", sizeof V1 - 1, PROXIED, true, SSH, TOLD),
        ROW("v2, SSH", ONE, V2 "SSH-2.0-x\r\n", sizeof V2 - 1, PROXIED, true, SSH, TOLD),
        ROW("v2, not SSH", ONE, V2 "SSL-", sizeof V2 - 1, PROXIED, true, REFUSED, ""),
        ROW("v2, plain", ONE, V2 "GET /", sizeof V2 - 1, HPROXY, true, HTTP, TOLD),
        ROW("v2 alone", ONE, V2, sizeof V2 - 1, PROXIED, true, MORE, ""),
        ROW("v2 alone, plain", ONE, V2, sizeof V2 - 1, HPROXY, true, HTTP, TOLD),
        ROW("unknown", ONE, "PROXY UNKNOWN\r\n" HELO, 15, PROXIED, true, TLS, ONE " 8443"),
        ROW("local", ONE, SIG "\x20\0\0\0" HELO, 16, PROXIED, true, TLS, ONE " 8443"),
        ROW("no header", ONE, HELO, 0, PROXIED, true, REFUSED, ""),
        ROW("no header, SSH", ONE, "SSH-", 0, PROXIED, true, REFUSED, ""),
        ROW("no header, plain", ONE, "GET /", 0, HPROXY, true, REFUSED, ""),
        ROW("a bad header", ONE, "PROXY TCP4 x", 0, PROXIED, true, REFUSED, ""),
        ROW("part of a header", ONE, "PROXY TCP4 1", 0, PROXIED, true, MORE, ""),
        ROW("two headers", ONE, V1 "PROXY", sizeof V1 - 1, PROXIED, true, TLS, TOLD), /* which TLS refuses */
        ROW("a stranger's TLS", OTHER, HELO, 0, PROXIED, true, TLS, OTHER " 8443"),
        ROW("a stranger's SSH", OTHER, "SSH-2", 0, PROXIED, true, SSH, OTHER " 8443"),
        ROW("a stranger's request", OTHER, "PROPFIND / HTTP/1.1", 0, HPROXY, true, HTTP, OTHER " 8443"),
        ROW("a stranger's v1", OTHER, "PROXY ", 0, PROXIED, true, REFUSED, ""),
        ROW("a stranger's v2", OTHER, SIG, 0, PROXIED, true, REFUSED, ""),
        ROW("a stranger's v1, plain", OTHER, V1, 0, HPROXY, true, REFUSED, ""),
        ROW("a part of a stranger's", OTHER, "PROXY", 0, PROXIED, true, MORE, ""),
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        run(&rows[i], 0, 1);
        for (size_t cut = 1; cut <= rows[i].n; cut++)
            run(&rows[i], cut, rows[i].n);
    }
}

/* A ClientHello for a.test, with or without SSH beside it, in two pieces cut anywhere. */
#define ASKED                                \
    "\x16\x03\x01\0\x3e\x01\0\0\x3a\x03\x03" \
    "0123456789abcdef0123456789abcdef"       \
    "\0\0\x02\x13\x01\x01\0\0\x0f"           \
    "\0\0\0\x0b\0\x09\0\0\x06"               \
    "a.test"

static void test_the_name_that_is_asked_for(void **state)
{
    static const char bytes[] = ASKED "and more";

    (void)state;
    for (size_t cut = 0; cut < 2 * sizeof ASKED - 2; cut++) {
        struct first first = { .entrance = SECURE, .ssh = cut % 2, .asks_name = true };
        struct origin origin = { 0 };
        struct err why = { 0 };

        assert_int_equal(first_begin(&first), FIRST_MORE);
        assert_int_equal(first_feed(&first, &origin, &(struct cidrs){ 0 }, bytes, cut / 2, &why), FIRST_MORE);
        assert_int_equal(first_feed(&first, &origin, &(struct cidrs){ 0 }, bytes + cut / 2,
                                    sizeof bytes - 1 - cut / 2, &why),
                         FIRST_TLS);
        assert_int_equal(first.hello.name.n, 6);
        assert_memory_equal(first.hello.name.p, "a.test", 6);
        assert_int_equal(first.bytes.len, sizeof bytes - 1);
        assert_memory_equal(buf_bytes(&first.bytes), bytes, sizeof bytes - 1);
        first_free(&first);
    }
}

/* Whoever ends TLS judges what is no ClientHello. */
static void test_no_name_is_asked_for(void **state)
{
    struct first first = { .entrance = SECURE, .asks_name = true };
    struct origin origin = { 0 };
    struct err why = { 0 };

    (void)state;
    assert_int_equal(first_feed(&first, &origin, &(struct cidrs){ 0 }, "GET /", 5, &why), FIRST_TLS);
    assert_int_equal(first.hello.name.n, 0);
    first_free(&first);
    first = (struct first){ .entrance = SECURE, .ssh = true, .asks_name = true };
    assert_int_equal(first_feed(&first, &origin, &(struct cidrs){ 0 }, "SSH-2", 5, &why), FIRST_SSH);
    first_free(&first);
}

static void test_why(void **state)
{
    struct first first = { .entrance = PROXIED };
    struct origin origin = { 0 };
    struct err why = { 0 };

    (void)state;
    assert_true(cidr_address(STR("::1"), &origin.peer));
    assert_int_equal(first_feed(&first, &origin, &(struct cidrs){ 0 }, "PROXY UNKNOWN", 13, &why),
                     FIRST_REFUSED);
    assert_string_equal(why.text, "it sent a PROXY header, and is not one of trusted_proxies");
    buf_free(&first.bytes);
    first = (struct first){ .entrance = SECURE, .ssh = true };
    why = (struct err){ 0 };
    assert_int_equal(first_feed(&first, &origin, &(struct cidrs){ 0 }, "Sh", 2, &why), FIRST_REFUSED);
    assert_int_equal(why.code, ERR_NONE); /* a stranger's bytes are nobody's concern */
    buf_free(&first.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_first_bytes),
                                        cmocka_unit_test(test_the_name_that_is_asked_for),
                                        cmocka_unit_test(test_no_name_is_asked_for),
                                        cmocka_unit_test(test_why) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
