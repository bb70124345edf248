#include "shared/proxy_header.h"

#include "shared/buf.h"
#include "shared/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SIG  "\r\n\r\n\0\r\nQUIT\n"
#define V4   "\xcb\0\x71\x07\xc6\x33\x64\x02\x30\x39\x01\xbb" /* 203.0.113.7:12345 to 198.51.100.2:443 */
#define V6A  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define V6B  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
#define V6   V6A V6B "\x30\x39\x01\xbb"
#define FROM "203.0.113.7 198.51.100.2 12345 443"

struct row {
    const char *name, *bytes;
    size_t n;
    const char *said; /* what it says, or why it is refused */
};
#define ROW(name, bytes, said)                  \
    {                                           \
        name, "" bytes, sizeof(bytes) - 1, said \
    }

static void tell_address(const struct sockaddr_storage *addr, char *out, size_t room)
{
    const struct sockaddr_in *v4 = (const void *)addr;
    const struct sockaddr_in6 *v6 = (const void *)addr;
    char text[INET6_ADDRSTRLEN];

    if (addr->ss_family == AF_INET)
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    else
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    snprintf(out, room, "%s %u", text, ntohs(v4->sin_port));
}

/* As the agents' visitors come: each input in memory of its own size, so that a sanitizer sees a byte too many. */
static ssize_t read_copy(struct proxy_header *h, const char *bytes, size_t n, struct err *e)
{
    unsigned char *copy = malloc(n > 0 ? n : 1);
    ssize_t got;

    if (n > 0)
        memcpy(copy, bytes, n);
    got = proxy_header_read(h, copy, n, e);
    free(copy);
    return got;
}

static void check_said(const struct row *row, const struct proxy_header *h)
{
    char source[64], dest[64], said[160];

    if (h->local) {
        snprintf(said, sizeof said, "local");
    } else {
        tell_address(&h->source, source, sizeof source);
        tell_address(&h->dest, dest, sizeof dest);
        snprintf(said, sizeof said, "%s, %s", source, dest);
    }
    if (strcmp(said, row->said) != 0)
        fail_msg("%s: says %s, not %s", row->name, said, row->said);
}

/* Whole, byte by byte, and with a visitor's bytes behind it. */
static void check_well(const struct row *row)
{
    struct proxy_header h;
    struct err why = { 0 };
    static const unsigned char hello[5] = { 0x16, 3, 1, 13, 10 };
    char behind[600];

    for (size_t n = 0; n < row->n; n++)
        if (read_copy(&h, row->bytes, n, &why) != 0)
            fail_msg("%s: %zu of its bytes are taken for something: %s", row->name, n, why.text);
    if (read_copy(&h, row->bytes, row->n, &why) != (ssize_t)row->n)
        fail_msg("%s: %s", row->name, why.text);
    check_said(row, &h);
    memcpy(behind, row->bytes, row->n);
    memcpy(behind + row->n, hello, sizeof hello);
    for (size_t n = 1; n <= 5; n++)
        assert_int_equal(read_copy(&h, behind, row->n + n, &why), row->n);
    check_said(row, &h);
}

static void test_headers(void **state)
{
    static const struct row rows[] = {
        ROW("v1, IPv4", "PROXY TCP4 203.0.113.7 198.51.100.2 12345 443\r\n",
            "203.0.113.7 12345, 198.51.100.2 443"),
        ROW("v1, IPv6", "PROXY TCP6 2001:db8::7 2001:DB8:0::2 12345 443\r\n",
            "2001:db8::7 12345, 2001:db8::2 443"),
        ROW("v1, mapped", "PROXY TCP6 ::ffff:203.0.113.7 ::ffff:c633:6402 1 2\r\n",
            "::ffff:203.0.113.7 1, ::ffff:198.51.100.2 2"),
        ROW("v1, ports at their ends", "PROXY TCP4 203.0.113.7 198.51.100.2 0 65535\r\n",
            "203.0.113.7 0, 198.51.100.2 65535"),
        ROW("v1, unknown", "PROXY UNKNOWN\r\n", "local"),
        ROW("v1, unknown and more", "PROXY UNKNOWN ffff:: \r \n \xff\0 x 65535\r\n", "local"),
        ROW("v1, the longest",
            "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535"
            "\r\n",
            "local"),
        ROW("v2, IPv4", SIG "\x21\x11\0\x0c" V4, "203.0.113.7 12345, 198.51.100.2 443"),
        ROW("v2, IPv6", SIG "\x21\x21\0\x24" V6, "2001:db8::7 12345, 2001:db8::2 443"),
        ROW("v2, local", SIG "\x20\0\0\0", "local"),
        ROW("v2, local with what is to be skipped", SIG "\x20\x31\0\x05zzzzz", "local"),
        ROW("v2, local with addresses", SIG "\x20\x11\0\x0c" V4, "local"),
        ROW("v2, local with a TLV", SIG "\x20\0\0\x03\x04\0\0", "local"),
        ROW("v2, unspecified", SIG "\x21\0\0\0", "local"),
        ROW("v2, TLVs", SIG "\x21\x11\0\x1c" V4 "\x01\0\x02h2\x04\0\0\xea\0\x05vpce-",
            "203.0.113.7 12345, 198.51.100.2 443"),
        ROW("v2, CRC32C", SIG "\x21\x11\0\x13" V4 "\x03\0\x04\x95\x9e\xef\xdc",
            "203.0.113.7 12345, 198.51.100.2 443"),
        ROW("v2, local with a CRC32C", SIG "\x20\0\0\x07\x03\0\x04\xa9\xb8\x7e\x8f", "local"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_well(&rows[i]);
}

#define NONE  "the connection does not begin with a PROXY header"
#define LINE  "a PROXY header of v1 is not PROXY TCP4 or TCP6, two addresses and two ports, nor PROXY UNKNOWN"
#define LONG  "a PROXY header of v1 is not at its end after 107 bytes"
#define SHORT "a PROXY header is too short for its addresses"
#define TLV   "a PROXY header's last TLV is cut short"
#define FIT   "the CRC32C of a PROXY header does not fit its bytes"
#define X10   "xxxxxxxxxx"

static void test_what_is_refused(void **state)
{
    static const struct row rows[] = {
        ROW("TLS", "\x16\x03\x01", NONE),
        ROW("HTTP", "POST / HTTP/1.1\r\n", NONE),
        ROW("a method that begins alike", "PROPFIND", NONE),
        ROW("lower case", "proxy TCP4 " FROM "\r\n", NONE),
        ROW("no blank", "PROXYTCP4", NONE),
        ROW("empty lines", "\r\n\r\nGET", NONE),
        ROW("a wrong signature", "\r\n\r\n\0\r\nQUIT\r", NONE),
        ROW("another protocol", "PROXY UDP4 " FROM "\r\n", LINE),
        ROW("another family", "PROXY TCP5", LINE),
        ROW("no protocol", "PROXY \r\n", LINE),
        ROW("unknown, and what is not behind a blank", "PROXY UNKNOWNS\r\n", LINE),
        ROW("two blanks", "PROXY  TCP4 " FROM "\r\n", LINE),
        ROW("two blanks between addresses", "PROXY TCP4 203.0.113.7  198.51.100.2 1 2\r\n", LINE),
        ROW("a blank at the end", "PROXY TCP4 " FROM " \r\n", LINE),
        ROW("a line feed alone", "PROXY TCP4 " FROM "\n", LINE),
        ROW("a carriage return alone", "PROXY TCP4 203.0.113.7\r ", LINE),
        ROW("a tab", "PROXY TCP4\t", LINE),
        ROW("a NUL", "PROXY TCP4 203.0.113.7\0 198.51.100.2 1 2\r\n", LINE),
        ROW("a name", "PROXY TCP4 nas", LINE),
        ROW("nothing more", "PROXY TCP4 \r\n", LINE),
        ROW("one address", "PROXY TCP4 203.0.113.7\r\n", LINE),
        ROW("no port", "PROXY TCP4 203.0.113.7 198.51.100.2 \r\n", LINE),
        ROW("one port", "PROXY TCP4 203.0.113.7 198.51.100.2 1\r\n", LINE),
        ROW("three ports", "PROXY TCP4 203.0.113.7 198.51.100.2 1 2 3\r\n", LINE),
        ROW("a port too large", "PROXY TCP4 203.0.113.7 198.51.100.2 1 65536\r\n", LINE),
        ROW("a port much too large", "PROXY TCP4 203.0.113.7 198.51.100.2 1 4294967739\r\n", LINE),
        ROW("a port with a zero in front", "PROXY TCP4 203.0.113.7 198.51.100.2 1 0443\r\n", LINE),
        ROW("a port in hexadecimal", "PROXY TCP4 203.0.113.7 198.51.100.2 1 a\r\n", LINE),
        ROW("an octal address", "PROXY TCP4 203.0.113.07 198.51.100.2 1 2\r\n", LINE),
        ROW("a short address", "PROXY TCP4 203.0.113 198.51.100.2 1 2\r\n", LINE),
        ROW("IPv6 for IPv4", "PROXY TCP4 ::1 ::1 1 2\r\n", LINE),
        ROW("IPv4 for IPv6", "PROXY TCP6 " FROM "\r\n", LINE),
        ROW("brackets", "PROXY TCP6 [", LINE),
        ROW("107 bytes without an end", "PROXY UNKNOWN " X10 X10 X10 X10 X10 X10 X10 X10 X10 "xxx\r", LONG),
        ROW("an end behind 107 bytes", "PROXY UNKNOWN " X10 X10 X10 X10 X10 X10 X10 X10 X10 "xx\r\n", LONG),
        ROW("v1 in v2", SIG "\x11",
            "version and command 0x11 of a PROXY header are neither LOCAL nor PROXY of v2"),
        ROW("a version", SIG "\x31",
            "version and command 0x31 of a PROXY header are neither LOCAL nor PROXY of v2"),
        ROW("a command", SIG "\x22",
            "version and command 0x22 of a PROXY header are neither LOCAL nor PROXY of v2"),
        ROW("UDP", SIG "\x21\x12",
            "a PROXY header's address family 0x12 is neither TCP over IPv4 nor over IPv6"),
        ROW("unix", SIG "\x21\x31",
            "a PROXY header's address family 0x31 is neither TCP over IPv4 nor over IPv6"),
        ROW("stream of no family", SIG "\x21\x01",
            "a PROXY header's address family 0x01 is neither TCP over IPv4 nor over IPv6"),
        ROW("too long", SIG "\x21\x11\x0f\xf1", "a PROXY header of 4097 bytes; at most 4096 are allowed"),
        ROW("the longest there can be", SIG "\x20\0\xff\xff",
            "a PROXY header of 65551 bytes; at most 4096 are allowed"),
        ROW("no addresses", SIG "\x21\x11\0\0", SHORT),
        ROW("short IPv4", SIG "\x21\x11\0\x0b\xcb\0\x71\x07\xc6\x33\x64\x02\x30\x39\x01", SHORT),
        ROW("short IPv6", SIG "\x21\x21\0\x0c" V4, SHORT),
        ROW("a TLV without its length", SIG "\x21\x11\0\x0e" V4 "\x04\0", TLV),
        ROW("a TLV that is longer than the header", SIG "\x21\x11\0\x10" V4 "\x04\0\x02x", TLV),
        ROW("a wrong CRC32C", SIG "\x21\x11\0\x13" V4 "\x03\0\x04\x95\x9e\xef\xdd", FIT),
        ROW("a CRC32C of zeros", SIG "\x21\x11\0\x13" V4 "\x03\0\x04\0\0\0\0", FIT),
        ROW("a short CRC32C", SIG "\x21\x11\0\x12" V4 "\x03\0\x03\x95\x9e\xef",
            "the CRC32C of a PROXY header has 3 bytes, not 4"),
        ROW("a wrong CRC32C of LOCAL", SIG "\x20\0\0\x07\x03\0\x04\xa9\xb8\x7e\x8e", FIT),
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err why = { 0 };
        struct proxy_header h;

        if (read_copy(&h, rows[i].bytes, rows[i].n, &why) != -1)
            fail_msg("%s: is taken", rows[i].name);
        if (strcmp(why.text, rows[i].said) != 0)
            fail_msg("%s: %s", rows[i].name, why.text);
        for (size_t n = 0; n < rows[i].n; n++) { /* less of it is refused for good, or may become one */
            ssize_t got = read_copy(&h, rows[i].bytes, n, NULL),
                    more = read_copy(&h, rows[i].bytes, n + 1, NULL);

            assert_true(got == 0 || (got == -1 && more == -1));
        }
    }
}

/* A refusal comes with the first byte that decides it, not at the deadline. */
static void test_how_soon(void **state)
{
    static const struct row rows[] = {
        ROW("a tab", "PROXY TCP4\t", ""),
        ROW("a line feed", "PROXY TCP6 ::1 ::1 1 1\n", ""),
        ROW("a letter", "PROXY TCP4 n", ""),
        ROW("a carriage return", "PROXY TCP4 1\r2", ""),
        ROW("TLS", "\x16", ""),
        ROW("unknown", "PROXY UNKNOWNS", ""),
        ROW("version", SIG "\x11", ""),
        ROW("family", SIG "\x21\x12", ""),
        ROW("length", SIG "\x21\x11\x0f\xf1", ""),
        ROW("method", "PU", ""),
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct proxy_header h;

        if (read_copy(&h, rows[i].bytes, rows[i].n - 1, NULL) != 0 ||
            read_copy(&h, rows[i].bytes, rows[i].n, NULL) != -1)
            fail_msg("%s: is not refused at its last byte", rows[i].name);
    }
}

static void test_the_longest(void **state)
{
    static char bytes[PROXY_HEADER_MAX_BYTES] = SIG "\x21\x11\x0f\xf0" V4 "\x04\x0f\xe1";
    struct proxy_header h;

    (void)state;
    assert_int_equal(read_copy(&h, bytes, sizeof bytes - 1, NULL), 0);
    assert_int_equal(read_copy(&h, bytes, sizeof bytes, NULL), sizeof bytes);
}

static void test_signs(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        enum proxy_header_sign sign;
    } rows[] = {
        { "", 0, PROXY_HEADER_MAYBE },           { "P", 1, PROXY_HEADER_MAYBE },
        { "PROXY", 5, PROXY_HEADER_MAYBE },      { "PROXY ", 6, PROXY_HEADER_SURE },
        { "PROXY x", 7, PROXY_HEADER_SURE },     { "PRI * HTTP/2.0", 14, PROXY_HEADER_NONE },
        { "\r", 1, PROXY_HEADER_MAYBE },         { "\r\n\r\n\0\r\nQUIT", 11, PROXY_HEADER_MAYBE },
        { SIG, 12, PROXY_HEADER_SURE },          { SIG "\xff", 13, PROXY_HEADER_SURE },
        { "\r\n\r\nGET", 7, PROXY_HEADER_NONE }, { "\x16", 1, PROXY_HEADER_NONE },
        { "S", 1, PROXY_HEADER_NONE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(proxy_header_sign((const unsigned char *)rows[i].bytes, rows[i].n), rows[i].sign);
}

/* ---- written ---- */

static struct sockaddr_storage address(const char *text, uint16_t port)
{
    struct sockaddr_storage addr = { 0 };
    struct sockaddr_in *v4 = (void *)&addr;
    struct sockaddr_in6 *v6 = (void *)&addr;

    if (strchr(text, ':'))
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    else
        assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
    addr.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    v4->sin_port = htons(port);
    return addr;
}

static void test_written(void **state)
{
    static const struct {
        const char *source, *dest, *v1; /* source NULL: LOCAL */
        const char *v2;
        size_t v2_n;
    } rows[] = {
        { NULL, NULL, "PROXY UNKNOWN\r\n", SIG "\x20\0\0\0", 16 },
        { "203.0.113.7", "198.51.100.2", "PROXY TCP4 203.0.113.7 198.51.100.2 12345 443\r\n",
          SIG "\x21\x11\0\x0c" V4, 28 },
        { "::ffff:203.0.113.7", "198.51.100.2", "PROXY TCP4 203.0.113.7 198.51.100.2 12345 443\r\n",
          SIG "\x21\x11\0\x0c" V4, 28 },
        { "2001:db8::7", "2001:db8::2", "PROXY TCP6 2001:db8::7 2001:db8::2 12345 443\r\n",
          SIG "\x21\x21\0\x24" V6, 52 },
        { "2001:db8::7", "198.51.100.2", "PROXY TCP6 2001:db8::7 ::ffff:198.51.100.2 12345 443\r\n", NULL,
          0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct proxy_header header = { .local = !rows[i].source }, again;
        struct buf v1 = { 0 }, v2 = { 0 };

        if (rows[i].source) {
            header.source = address(rows[i].source, 12345);
            header.dest = address(rows[i].dest, 443);
        }
        proxy_header_write(&v1, PROXY_HEADER_V1, &header, STR("a.test"));
        proxy_header_write(&v2, PROXY_HEADER_V2, &header, STR(""));
        assert_string_equal(buf_text(&v1), rows[i].v1);
        assert_true(v1.len <= PROXY_HEADER_V1_BYTES);
        if (rows[i].v2) {
            assert_int_equal(v2.len, rows[i].v2_n);
            assert_memory_equal(buf_bytes(&v2), rows[i].v2, v2.len);
        }
        assert_int_equal(read_copy(&again, buf_bytes(&v1), v1.len, NULL), v1.len);
        assert_int_equal(read_copy(&again, buf_bytes(&v2), v2.len, NULL), v2.len);
        assert_int_equal(again.local, header.local);
        buf_free(&v1);
        buf_free(&v2);
    }
}

static void test_written_with_a_name(void **state)
{
    static const char expected[] = SIG "\x21\x11\0\x15" V4 "\x02\0\x06"
                                       "a.test";
    const struct proxy_header header = { .source = address("203.0.113.7", 12345),
                                         .dest = address("198.51.100.2", 443) };
    struct buf out = { 0 };

    (void)state;
    proxy_header_write(&out, PROXY_HEADER_V2, &header, STR("a.test"));
    assert_int_equal(out.len, sizeof expected - 1);
    assert_memory_equal(buf_bytes(&out), expected, out.len);
    buf_free(&out);
    proxy_header_write(&out, PROXY_HEADER_NO, &header, STR("a.test"));
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written),  cmocka_unit_test(test_written_with_a_name),
        cmocka_unit_test(test_headers),  cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_how_soon), cmocka_unit_test(test_the_longest),
        cmocka_unit_test(test_signs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
