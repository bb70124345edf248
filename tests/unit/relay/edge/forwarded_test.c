#include "relay/edge/headers.h"

#include "relay/edge/forwarded.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* What a proxy in front of us says: 10.0.0.0/8 and 2001:db8:1::/48 are trusted, and 10.0.0.1 asks. */
#define GET "GET / HTTP/1.1\r\nHost: a.test\r\n"
#define ID  "0123456789abcdef0123456789abcdef"

static const struct h1_limits limits = { .max_uri = 1024, .max_header = 8192 };
static struct cidr list[2];
static const struct cidrs trusted = { 2, list };

static int read_trusted(void **state)
{
    (void)state;
    return cidr_read(STR("10.0.0.0/8"), &list[0], NULL) + cidr_read(STR("2001:db8:1::/48"), &list[1], NULL);
}

static void parse(struct h1_head *head, const char *text)
{
    h1_request_init(head);
    if (h1_head_parse(head, text, strlen(text), &limits) != (ssize_t)strlen(text))
        fail_msg("is no request: %s\n%s", text, head->why ? head->why : "unfinished");
}

static void know(struct headers_visitor *visitor, const struct h1_head *head, const char *peer)
{
    *visitor = (struct headers_visitor){ .port = 443, .secure = true };
    memcpy(visitor->request_id, ID, sizeof ID);
    assert_true(cidr_address(str_of(peer), &visitor->peer));
    headers_know_visitor(visitor, head, &trusted);
}

/* ---- who asks ---- */

#define XFF "X-Forwarded-For: "
#define FWD "Forwarded: "

static void test_who_asks(void **state)
{
    static const struct {
        const char *fields, *client;
    } rows[] = {
        { "", "10.0.0.1" },
        /* the rightmost that is not trusted */
        { XFF "203.0.113.7", "203.0.113.7" },
        { XFF "6.6.6.6, 203.0.113.7", "203.0.113.7" },
        { XFF "6.6.6.6, 203.0.113.7, 10.0.0.2", "203.0.113.7" },
        { XFF "203.0.113.7,10.0.0.2,10.9.9.9", "203.0.113.7" },
        { XFF "2001:db8::7, 2001:db8:1::2", "2001:db8::7" },
        { XFF "::ffff:203.0.113.7, ::ffff:10.0.0.2", "203.0.113.7" },
        { XFF "127.0.0.1", "127.0.0.1" },
        { XFF "203.0.113.7, 127.0.0.1", "127.0.0.1" },
        /* all are trusted: the leftmost */
        { XFF "10.1.1.1, 10.0.0.2", "10.1.1.1" },
        { XFF "10.1.1.1", "10.1.1.1" },
        /* several lines, in their order */
        { XFF "6.6.6.6\r\nX: y\r\nx-forwarded-for: 203.0.113.7\r\n" XFF "10.0.0.2", "203.0.113.7" },
        { XFF "203.0.113.7\r\n" XFF "10.0.0.2, 10.0.0.3", "203.0.113.7" },
        /* how an address may be written */
        { XFF "203.0.113.7:4711", "203.0.113.7" },
        { XFF "[2001:db8::7]", "2001:db8::7" },
        { XFF "[2001:db8::7]:4711", "2001:db8::7" },
        { XFF "\"[2001:db8::7]:4711\"", "2001:db8::7" },
        { XFF "\"203.0.113.7\"", "203.0.113.7" },
        { XFF "  203.0.113.7\t,\t10.0.0.2  ", "203.0.113.7" },
        { XFF "203.0.113.7, , 10.0.0.2,", "203.0.113.7" },
        /* junk ends the walk */
        { XFF "junk", "10.0.0.1" },
        { XFF "unknown", "10.0.0.1" },
        { XFF "203.0.113.7, unknown", "10.0.0.1" },
        { XFF "203.0.113.7, unknown, 10.0.0.2", "10.0.0.2" },
        { XFF "203.0.113.7, junk, 10.0.0.3, 10.0.0.2", "10.0.0.3" },
        { XFF "10.0.0.9, junk, 203.0.113.7", "203.0.113.7" },
        { XFF "203.0.113.7, 10.0.0", "10.0.0.1" },
        { XFF "203.0.113.7, 10.0.0.256", "10.0.0.1" },
        { XFF "203.0.113.7, [10.0.0.2]", "10.0.0.1" },
        { XFF "203.0.113.7, [2001:db8:1::2", "10.0.0.1" },
        { XFF "203.0.113.7, [2001:db8:1::2]x", "10.0.0.1" },
        { XFF "203.0.113.7, [2001:db8:1::2]:", "10.0.0.1" },
        { XFF "203.0.113.7, 10.0.0.2:", "10.0.0.1" },
        { XFF "203.0.113.7, 10.0.0.2:123456", "10.0.0.1" },
        { XFF "203.0.113.7, 10.0.0.2:http", "10.0.0.1" },
        { XFF "203.0.113.7, 10.0.0.2 10.0.0.3", "10.0.0.1" },
        { XFF "203.0.113.7, fe80::1%eth0", "10.0.0.1" },
        { XFF "203.0.113.7, \"", "10.0.0.1" },
        { XFF "203.0.113.7, \"\"", "10.0.0.1" },
        /* names that are only alike are nobody's */
        { "X_Forwarded_For: 203.0.113.7", "10.0.0.1" },
        { "X-Forwarded-For-2: 203.0.113.7", "10.0.0.1" },
        { "X-Real-IP: 203.0.113.7", "10.0.0.1" },
        /* Connection takes nothing away */
        { "Connection: X-Forwarded-For\r\n" XFF "203.0.113.7", "203.0.113.7" },
        /* Forwarded, where it is alone */
        { FWD "for=203.0.113.7", "203.0.113.7" },
        { FWD "For=203.0.113.7;proto=https;by=10.0.0.1", "203.0.113.7" },
        { FWD "proto=https;for=203.0.113.7", "203.0.113.7" },
        { FWD "for=6.6.6.6, for=203.0.113.7, for=10.0.0.2", "203.0.113.7" },
        { FWD "for=203.0.113.7\r\nforwarded: for=10.0.0.2", "203.0.113.7" },
        { FWD "for=10.1.1.1, for=10.0.0.2", "10.1.1.1" },
        { FWD "for=\"[2001:db8::7]\"", "2001:db8::7" },
        { FWD "for=\"[2001:db8::7]:4711\"", "2001:db8::7" },
        { FWD "for=\"203.0.113.7:_port\"", "203.0.113.7" },
        { FWD "for=\"203.0.\\113.7\"", "203.0.113.7" },
        { FWD "for=203.0.113.7:80", "203.0.113.7" },
        { FWD "for=[2001:db8::7]", "2001:db8::7" },
        { FWD " , for=203.0.113.7 ; proto=http ,; ,for=10.0.0.2,", "203.0.113.7" },
        { FWD "for=203.0.113.7;host=\"a,b;for=6.6.6.6\"", "203.0.113.7" },
        { FWD "for=203.0.113.7;x=\"a\\\", for=6.6.6.6\"", "203.0.113.7" },
        { FWD "for=203.0.113.7, for=unknown", "10.0.0.1" },
        { FWD "for=203.0.113.7, for=_hidden, for=10.0.0.2", "10.0.0.2" },
        { FWD "for=203.0.113.7, by=10.0.0.2", "10.0.0.1" },
        { FWD "for=203.0.113.7, for=\"\"", "10.0.0.1" },
        { FWD
          "for=203.0.113.7, for=\"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee\"",
          "10.0.0.1" },
        /* what is no such list, wherever it is wrong in its line */
        { FWD "for=203.0.113.7, for=\"10.0.0.2", "10.0.0.1" },
        { FWD "for=203.0.113.7 for=10.0.0.2", "10.0.0.1" },
        { FWD "for=203.0.113.7;for=10.0.0.2", "10.0.0.1" },
        { FWD "for=203.0.113.7, for", "10.0.0.1" },
        { FWD "for=203.0.113.7, for=", "10.0.0.1" },
        { FWD "for=203.0.113.7, =10.0.0.2", "10.0.0.1" },
        { FWD "for=203.0.113.7, for = 10.0.0.2", "10.0.0.1" },
        { FWD "for=203.0.113.7, for=\"10.0.0.2\"x", "10.0.0.1" },
        { FWD "203.0.113.7", "10.0.0.1" },
        { FWD "for=\"\\", "10.0.0.1" },
        { FWD "for=\"6.6.6.6, for=203.0.113.7\r\n" FWD "for=10.0.0.2", "10.0.0.2" },
        /* both: the older one */
        { FWD "for=6.6.6.6\r\n" XFF "203.0.113.7", "203.0.113.7" },
        { FWD "for=203.0.113.7\r\nX-Forwarded-For:", "203.0.113.7" },
        { FWD "for=203.0.113.7\r\n" XFF "unknown", "10.0.0.1" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct headers_visitor visitor;
        char in[1000], client[INET6_ADDRSTRLEN];
        struct h1_head head;

        snprintf(in, sizeof in, GET "%s%s\r\n", rows[i].fields, rows[i].fields[0] ? "\r\n" : "");
        parse(&head, in);
        know(&visitor, &head, "10.0.0.1");
        headers_address_text(&visitor.addr, client, sizeof client);
        if (strcmp(client, rows[i].client) != 0)
            fail_msg("%s\n  is from %s, not %s", rows[i].fields, client, rows[i].client);
        know(&visitor, &head, "203.0.113.200"); /* whose word counts for nothing */
        headers_address_text(&visitor.addr, client, sizeof client);
        assert_string_equal(client, "203.0.113.200");
        assert_null(visitor.trusted);
    }
}

/* ---- what the service is told ---- */

#define TOLD(for, proto, host, port, client, forwarded, id)                                                        \
    GET "X-Forwarded-For: " for "\r\nX-Forwarded-Proto: " proto "\r\nX-Forwarded-Host: " host              \
        "\r\nX-Forwarded-Port: " port "\r\nX-Real-IP: " client "\r\nForwarded: " forwarded "\r\nX-Request-ID: " id \
        "\r\n\r\n"
#define OURS(for, client, forwarded) TOLD(for, "https", "a.test", "443", client, forwarded, ID)
#define LAST "for=10.0.0.1;host=a.test;proto=https"

static void check_told(const char *peer, const char *fields, const char *expected)
{
    struct headers_visitor visitor;
    struct buf out = { 0 };
    struct h1_head head;
    char in[1000];

    snprintf(in, sizeof in, GET "%s%s\r\n", fields, fields[0] ? "\r\n" : "");
    parse(&head, in);
    know(&visitor, &head, peer);
    headers_add_request(&out, &head, &visitor);
    if (strcmp(buf_text(&out), expected) != 0)
        fail_msg("%s\n%s---- and not\n%s", fields, buf_text(&out), expected);
    buf_free(&out);
}

static void test_what_the_service_is_told(void **state)
{
    static const char *const rows[][2] = {
        { "", OURS("10.0.0.1", "10.0.0.1", LAST) },
        { XFF "203.0.113.7", OURS("203.0.113.7, 10.0.0.1", "203.0.113.7", "for=203.0.113.7, " LAST) },
        { XFF "6.6.6.6, 203.0.113.7:1,10.0.0.2",
          OURS("6.6.6.6, 203.0.113.7:1,10.0.0.2, 10.0.0.1", "203.0.113.7",
               "for=203.0.113.7, for=10.0.0.2, " LAST) },
        { XFF "6.6.6.6\r\nX-FORWARDED-FOR: 2001:db8::7",
          OURS("6.6.6.6, 2001:db8::7, 10.0.0.1", "2001:db8::7", "for=\"[2001:db8::7]\", " LAST) },
        { XFF "junk, 10.0.0.2", OURS("junk, 10.0.0.2, 10.0.0.1", "10.0.0.2", "for=10.0.0.2, " LAST) },
        { XFF "junk", OURS("junk, 10.0.0.1", "10.0.0.1", LAST) },
        { "X-Forwarded-For:", OURS("10.0.0.1", "10.0.0.1", LAST) },
        { FWD "for=6.6.6.6;x=y, for=\"[2001:db8::7]:80\";proto=http, for=10.0.0.2",
          OURS("2001:db8::7, 10.0.0.2, 10.0.0.1", "2001:db8::7",
               "for=6.6.6.6;x=y, for=\"[2001:db8::7]:80\";proto=http, for=10.0.0.2, " LAST) },
        { FWD "for=203.0.113.7\r\n" FWD "for=_x",
          OURS("10.0.0.1", "10.0.0.1", "for=203.0.113.7, for=_x, " LAST) },
        { FWD "for=\"203.0.113.7", OURS("10.0.0.1", "10.0.0.1", LAST) }, /* which ours would be a part of */
        { FWD "for=\"203.0.113.7\r\n" XFF "203.0.113.8",
          OURS("203.0.113.8, 10.0.0.1", "203.0.113.8", "for=203.0.113.8, " LAST) },
        { FWD "for=203.0.113.7\r\n" XFF "203.0.113.8",
          OURS("203.0.113.8, 10.0.0.1", "203.0.113.8",
               "for=203.0.113.8, " LAST) }, /* they differ: the visitor's */
        { XFF "203.0.113.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: b.test:81\r\nX-Forwarded-Port: 81",
          TOLD("203.0.113.7, 10.0.0.1", "http", "b.test:81", "81", "203.0.113.7", "for=203.0.113.7, " LAST,
               ID) },
        { "x-forwarded-port: 81", TOLD("10.0.0.1", "https", "a.test", "81", "10.0.0.1", LAST, ID) },
        { "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http",
          TOLD("10.0.0.1", "https, http", "a.test", "443", "10.0.0.1", LAST, ID) },
        { "X-Forwarded-Proto:\r\nX-Forwarded-Host: ", OURS("10.0.0.1", "10.0.0.1", LAST) },
        { "Connection: X-Forwarded-For, X-Forwarded-Proto\r\n" XFF "203.0.113.7\r\nX-Forwarded-Proto: http",
          TOLD("203.0.113.7, 10.0.0.1", "http", "a.test", "443", "203.0.113.7", "for=203.0.113.7, " LAST,
               ID) },
        /* what is not taken from anybody */
        { "X-Real-IP: 6.6.6.6\r\nX-Forwarded-User: root\r\nX-Forwarded-Server: b\r\nX_Forwarded_Proto: http\r\n"
          "X-Forwarded_For: 6.6.6.6\r\nX_Request_ID: x",
          OURS("10.0.0.1", "10.0.0.1", LAST) },
        { "X-Request-ID: a", TOLD("10.0.0.1", "https", "a.test", "443", "10.0.0.1", LAST, "a") },
        { "x-request-id: !#$%&'*+-.^_`|~0Az",
          TOLD("10.0.0.1", "https", "a.test", "443", "10.0.0.1", LAST, "!#$%&'*+-.^_`|~0Az") },
        { "X-Request-ID: 6bacf1a8-8f2d-4b5c-9d7e-2f0d6f1c3a55",
          TOLD("10.0.0.1", "https", "a.test", "443", "10.0.0.1", LAST,
               "6bacf1a8-8f2d-4b5c-9d7e-2f0d6f1c3a55") },
        { "X-Request-ID:", OURS("10.0.0.1", "10.0.0.1", LAST) },
        { "X-Request-ID: a b", OURS("10.0.0.1", "10.0.0.1", LAST) },
        { "X-Request-ID: a\"b", OURS("10.0.0.1", "10.0.0.1", LAST) },
        { "X-Request-ID: a,b", OURS("10.0.0.1", "10.0.0.1", LAST) },
        { "X-Request-ID: \303\274", OURS("10.0.0.1", "10.0.0.1", LAST) },
        { "X-Request-ID: a\r\nX-Request-ID: a", OURS("10.0.0.1", "10.0.0.1", LAST) },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_told("10.0.0.1", rows[i][0], rows[i][1]);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) /* a stranger says the same */
        check_told("203.0.113.200", rows[i][0],
                   OURS("203.0.113.200", "203.0.113.200", "for=203.0.113.200;host=a.test;proto=https"));
    check_told("2001:db8:1::1", XFF "203.0.113.7",
               OURS("203.0.113.7, 2001:db8:1::1", "203.0.113.7",
                    "for=203.0.113.7, for=\"[2001:db8:1::1]\";host=a.test;proto=https"));
    check_told("::ffff:10.0.0.1", XFF "203.0.113.7",
               OURS("203.0.113.7, 10.0.0.1", "203.0.113.7", "for=203.0.113.7, " LAST));
}

/* To a port of ours without TLS, of which the proxies may have taken it off. */
static void test_what_the_service_is_told_behind_the_end_of_tls(void **state)
{
#define OVER(host) "GET / HTTP/1.1\r\nHost: " host "\r\n"
#define SAYS(host, for, proto, port, client, forwarded)                                    \
    OVER(host)                                                                             \
    "X-Forwarded-For: " for "\r\nX-Forwarded-Proto: " proto "\r\nX-Forwarded-Host: " host           \
        "\r\nX-Forwarded-Port: " port "\r\nX-Real-IP: " client "\r\nForwarded: " forwarded           \
        "\r\nX-Request-ID: " ID "\r\n\r\n"
    static const struct {
        const char *peer, *in, *out;
    } rows[] = {
        { "10.0.0.1", GET "\r\n",
          SAYS("a.test", "10.0.0.1", "http", "8080", "10.0.0.1", "for=10.0.0.1;host=a.test;proto=http") },
        { "10.0.0.1", GET XFF "203.0.113.7\r\nX-Forwarded-Proto: https\r\n\r\n",
          SAYS("a.test", "203.0.113.7, 10.0.0.1", "https", "443", "203.0.113.7",
               "for=203.0.113.7, for=10.0.0.1;host=a.test;proto=https") },
        { "10.0.0.1", OVER("a.test:8443") XFF "203.0.113.7\r\nX-Forwarded-Proto: https\r\n\r\n",
          SAYS("a.test:8443", "203.0.113.7, 10.0.0.1", "https", "8443", "203.0.113.7",
               "for=203.0.113.7, for=10.0.0.1;host=\"a.test:8443\";proto=https") },
        { "10.0.0.1", GET FWD "for=203.0.113.7;proto=https\r\n\r\n",
          SAYS("a.test", "203.0.113.7, 10.0.0.1", "https", "443", "203.0.113.7",
               "for=203.0.113.7;proto=https, for=10.0.0.1;host=a.test;proto=http") },
        { "10.0.0.1", GET FWD "proto=\"HTTPS\";for=_x\r\n\r\n",
          SAYS("a.test", "10.0.0.1", "https", "443", "10.0.0.1",
               "proto=\"HTTPS\";for=_x, for=10.0.0.1;host=a.test;proto=http") },
        /* who was asked by the visitor says so; what stands before that is the visitor's */
        { "10.0.0.1",
          GET FWD "for=6.6.6.6;proto=https, for=203.0.113.7;proto=http, for=10.0.0.2;proto=https\r\n\r\n",
          SAYS("a.test", "203.0.113.7, 10.0.0.2, 10.0.0.1", "http", "8080", "203.0.113.7",
               "for=6.6.6.6;proto=https, for=203.0.113.7;proto=http, for=10.0.0.2;proto=https, "
               "for=10.0.0.1;host=a.test;proto=http") },
        { "10.0.0.1", GET FWD "for=6.6.6.6;proto=https, for=junk;proto=http\r\n\r\n",
          SAYS("a.test", "10.0.0.1", "http", "8080", "10.0.0.1",
               "for=6.6.6.6;proto=https, for=junk;proto=http, for=10.0.0.1;host=a.test;proto=http") },
        { "10.0.0.1", GET FWD "for=10.0.0.3;proto=https, for=10.0.0.2;proto=http\r\n\r\n",
          SAYS("a.test", "10.0.0.3, 10.0.0.2, 10.0.0.1", "https", "443", "10.0.0.3",
               "for=10.0.0.3;proto=https, for=10.0.0.2;proto=http, for=10.0.0.1;host=a.test;proto=http") },
        { "10.0.0.1", GET FWD "for=203.0.113.7;proto=https\r\nX-Forwarded-Proto: http\r\n\r\n",
          SAYS("a.test", "203.0.113.7, 10.0.0.1", "http", "8080", "203.0.113.7",
               "for=203.0.113.7;proto=https, for=10.0.0.1;host=a.test;proto=http") },
        { "10.0.0.1", GET FWD "for=203.0.113.7\r\nX-Forwarded-Proto: https\r\n\r\n",
          SAYS("a.test", "203.0.113.7, 10.0.0.1", "https", "443", "203.0.113.7",
               "for=203.0.113.7, for=10.0.0.1;host=a.test;proto=https") },
        /* not by a proxy that writes X-Forwarded-For alone */
        { "10.0.0.1", GET FWD "for=203.0.113.7;proto=https\r\n" XFF "203.0.113.7\r\n\r\n",
          SAYS("a.test", "203.0.113.7, 10.0.0.1", "http", "8080", "203.0.113.7",
               "for=203.0.113.7;proto=https, for=10.0.0.1;host=a.test;proto=http") },
        { "10.0.0.1", GET FWD "for=6.6.6.6;proto=https\r\n" XFF "203.0.113.7\r\n\r\n",
          SAYS("a.test", "203.0.113.7, 10.0.0.1", "http", "8080", "203.0.113.7",
               "for=203.0.113.7, for=10.0.0.1;host=a.test;proto=http") },
        { "10.0.0.1", GET FWD "for=203.0.113.7;proto=https;proto=https\r\n\r\n",
          SAYS("a.test", "10.0.0.1", "http", "8080", "10.0.0.1", "for=10.0.0.1;host=a.test;proto=http") },
        { "203.0.113.200", GET FWD "for=203.0.113.7;proto=https\r\nX-Forwarded-Proto: https\r\n\r\n",
          SAYS("a.test", "203.0.113.200", "http", "8080", "203.0.113.200",
               "for=203.0.113.200;host=a.test;proto=http") },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct headers_visitor visitor = { .port = 8080, .request_id = ID };
        struct buf out = { 0 };
        struct h1_head head;

        parse(&head, rows[i].in);
        assert_true(cidr_address(str_of(rows[i].peer), &visitor.peer));
        headers_know_visitor(&visitor, &head, &trusted);
        headers_add_request(&out, &head, &visitor);
        if (strcmp(buf_text(&out), rows[i].out) != 0)
            fail_msg("%s\n%s---- and not\n%s", rows[i].in, buf_text(&out), rows[i].out);
        assert_int_equal(visitor.https, strstr(rows[i].out, "X-Forwarded-Proto: https") != NULL);
        buf_free(&out);
    }
#undef OVER
#undef SAYS
}

static void test_how_long_a_request_id_may_be(void **state)
{
    static const char a[200] = { [0 ... 198] = 'a' };
    char in[300], expected[600];

    (void)state;
    snprintf(in, sizeof in, "X-Request-ID: %.*s", REQUEST_ID_BYTES - 1, a);
    snprintf(expected, sizeof expected, TOLD("10.0.0.1", "https", "a.test", "443", "10.0.0.1", LAST, "%.*s"),
             REQUEST_ID_BYTES - 1, a);
    check_told("10.0.0.1", in, expected);
    snprintf(in, sizeof in, "X-Request-ID: %.*s", REQUEST_ID_BYTES, a);
    check_told("10.0.0.1", in, OURS("10.0.0.1", "10.0.0.1", LAST));
}

static void test_how_the_visitor_came(void **state)
{
    static const struct {
        const char *field;
        bool https;
    } rows[] = {
        { "X: y", false },
        { "X-Forwarded-Proto: https", true },
        { "X-Forwarded-Proto: HTTPS", true },
        { "X-Forwarded-Proto: wss", true },
        { "X-Forwarded-Proto: http", false },
        { "X-Forwarded-Proto: http, https", false },
        { "X-Forwarded-Proto: https,http", true },
        { "X-Forwarded-Proto:", false },
        { "X-Forwarded-Proto: httpsx", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct headers_visitor visitor = { .secure = false };
        struct h1_head head;
        char in[200];

        snprintf(in, sizeof in, GET "%s\r\n\r\n", rows[i].field);
        parse(&head, in);
        assert_true(cidr_address(STR("10.0.0.1"), &visitor.peer));
        headers_know_visitor(&visitor, &head, &trusted);
        assert_int_equal(visitor.https, rows[i].https);
        assert_false(visitor.secure);
        know(&visitor, &head, "10.0.0.1"); /* over TLS */
        assert_true(visitor.https);
        visitor = (struct headers_visitor){ .peer = visitor.peer };
        assert_true(cidr_address(STR("203.0.113.200"), &visitor.peer)); /* a stranger */
        headers_know_visitor(&visitor, &head, &trusted);
        assert_false(visitor.https);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_asks),
        cmocka_unit_test(test_what_the_service_is_told_behind_the_end_of_tls),
        cmocka_unit_test(test_what_the_service_is_told),
        cmocka_unit_test(test_how_long_a_request_id_may_be),
        cmocka_unit_test(test_how_the_visitor_came),
    };

    return cmocka_run_group_tests(tests, read_trusted, NULL);
}
