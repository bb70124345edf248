/* Heads of requests: what is understood, and above all what is refused. The hostile rows follow RFC 9112
 * section 11 and published work on request smuggling: two lengths, lengths and codings that hide from one
 * parser of two. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/shared/http/h1_run.h"

#define GET        "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST       "POST / HTTP/1.1\r\nHost: a\r\n"
#define LINE(text) text "\r\n\r\n"
#define X10        "xxxxxxxxxx"
#define X60        X10 X10 X10 X10 X10 X10

#define check(run, rows) \
    assert_int_equal(wrong_rows(&head_pieces, run, rows, sizeof(rows) / sizeof(rows)[0]), 0)

static struct head_run *requests(void)
{
    static struct head_run run = { .limits = { .max_uri = 64, .max_header = 600 } };

    return &run;
}

static void test_start_lines(void **state)
{
    static const struct row rows[] = {
        ROW("smallest", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 host=a none keep"),
        ROW("HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "GET / 1.0 none close"),
        ROW("HTTP/1.0 with Host", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / 1.0 host=a none close"),
        ROW("unfinished", "GET / HTTP/1.1\r\nHost: a\r\n\r", "more"),
        ROW("nothing", "", "more"),
        ROW("next message behind", GET "\r\nGET /2", "GET / 1.1 host=a none keep +6"),
        ROW("empty line first", "\r\n" GET "\r\n", "GET / 1.1 host=a none keep"),
        ROW("four empty lines", "\r\n\r\n\r\n\r\n" GET "\r\n", "GET / 1.1 host=a none keep"),
        ROW("five empty lines", "\r\n\r\n\r\n\r\n\r\n" GET "\r\n",
            "400 too many empty lines before the request"),
        ROW("bare LF first", "\n" GET "\r\n", "400 bare LF"),
        ROW("bare CR first", "\rGET / HTTP/1.1\r\n", "400 bare CR"),
        ROW("blank first", " GET / HTTP/1.1\r\n", "400 method is not a token"),
        ROW("all of a token", "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\nHost: a\r\n\r\n",
            "!#$%&'*+-.^_`|~09azAZ / 1.1 host=a none keep"),
        ROW("method in small letters", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "get / 1.1 host=a none keep"),
        ROW("method with a colon", "GE:T / HTTP/1.1\r\n", "400 method is not a token"),
        ROW("method with NUL", "G\0T / HTTP/1.1\r\n", "400 method is not a token"),
        ROW("method beyond ASCII", "G\303\211T / HTTP/1.1\r\n", "400 method is not a token"),
        ROW("TLS where none is expected", "\026\003\001\002\000\001\000\001\374\003\003",
            "400 method is not a token"),
        ROW("longest method", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.0\r\n\r\n",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / 1.0 none close"),
        ROW("method too long", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.0\r\n\r\n", "501 method too long"),
        ROW("method alone", "GET\r\n\r\n", "400 method is not a token"),
        ROW("method and LF", "GET\n", "400 bare LF"),
        ROW("tab behind the method", "GET\t/ HTTP/1.1\r\n", "400 method is not a token"),
        ROW("two blanks behind the method", "GET  / HTTP/1.1\r\n",
            "400 more than one blank behind the method"),
        ROW("no target", "GET HTTP/1.1\r\n", "400 no version in the request line"),
        ROW("HTTP/0.9", "GET /\r\n", "400 no version in the request line"),
        ROW("HTTP/0.9 with LF", "GET /\n", "400 bare LF"),
        ROW("two blanks behind the target", "GET /  HTTP/1.1\r\n", "400 malformed version"),
        ROW("tab behind the target", "GET /\tHTTP/1.1\r\n", "400 forbidden byte in the target"),
        ROW("blank inside the target", "GET /a b HTTP/1.1\r\n", "400 malformed version"),
        ROW("blank at the end", "GET / HTTP/1.1 \r\n", "400 bytes behind the version"),
        ROW("bare LF behind the version", "GET / HTTP/1.1\nHost: a\n\n", "400 bare LF"),
        ROW("bare CR behind the version", "GET / HTTP/1.1\rHost: a\r\r", "400 bare CR"),
        ROW("CR CR LF behind the version", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "400 bare CR"),
        ROW("version in small letters", "GET / http/1.1\r\n", "400 malformed version"),
        ROW("version of another protocol", "GET / ICAP/1.0\r\n", "400 malformed version"),
        ROW("version with two minor digits", "GET / HTTP/1.12\r\n", "400 bytes behind the version"),
        ROW("version with two major digits", "GET / HTTP/11.1\r\n", "400 malformed version"),
        ROW("version without a minor digit", "GET / HTTP/1\r\n", "400 malformed version"),
        ROW("version 1.2", "GET / HTTP/1.2\r\n", "505 version is neither HTTP/1.0 nor HTTP/1.1"),
        ROW("version 0.9", "GET / HTTP/0.9\r\n", "505 version is neither HTTP/1.0 nor HTTP/1.1"),
        ROW("version 3.1", "GET / HTTP/3.1\r\n", "505 version is neither HTTP/1.0 nor HTTP/1.1"),
        ROW("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "505 version is neither HTTP/1.0 nor HTTP/1.1"),
    };

    (void)state;
    check(requests(), rows);
}

static void test_targets(void **state)
{
    static const struct row rows[] = {
        ROW("query", "GET /a/b?c=%20&d=[]|\\^{}\"<> HTTP/1.0\r\n\r\n",
            "GET /a/b?c=%20&d=[]|\\^{}\"<> 1.0 none close"),
        ROW("two slashes are a path", "GET //b/c HTTP/1.0\r\n\r\n", "GET //b/c 1.0 none close"),
        ROW("64 bytes", "GET /123" X60 " HTTP/1.0\r\n\r\n", "GET /123" X60 " 1.0 none close"),
        ROW("65 bytes", "GET /1234" X60 " HTTP/1.0\r\n\r\n", "414 target longer than max_uri"),
        ROW("too long, but first something else", "GET /\177" X60 X60 " HTTP/1.0\r\n\r\n",
            "400 forbidden byte in the target"),
        ROW("fragment", "GET /a#b HTTP/1.1\r\n", "400 fragment in the target"),
        ROW("NUL", "GET /\0 HTTP/1.1\r\n", "400 forbidden byte in the target"),
        ROW("DEL", "GET /\177 HTTP/1.1\r\n", "400 forbidden byte in the target"),
        ROW("vertical tab", "GET /\vHTTP/1.1\r\n", "400 forbidden byte in the target"),
        ROW("beyond ASCII", "GET /\303\251 HTTP/1.1\r\n", "400 forbidden byte in the target"),
        ROW("CR inside", "GET /\rX HTTP/1.1\r\n", "400 no version in the request line"),
        ROW("asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * 1.1 host=a none keep"),
        ROW("asterisk with GET", "GET * HTTP/1.1\r\n", "400 target * for a method other than OPTIONS"),
        ROW("asterisk and more", "OPTIONS */x HTTP/1.1\r\n",
            "400 target is neither a path nor a URL of http or https"),
        ROW("no slash", "GET a HTTP/1.1\r\n", "400 target is neither a path nor a URL of http or https"),
        ROW("other scheme", "GET ftp://a/ HTTP/1.1\r\n",
            "400 target is neither a path nor a URL of http or https"),
        ROW("scheme only", "GET http: HTTP/1.1\r\n",
            "400 target is neither a path nor a URL of http or https"),
        ROW("absolute", "GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://a/x?y 1.1 host=a path=/x?y none keep"),
        ROW("absolute https, any case", "GET HTTPS://A.b:44/ HTTP/1.1\r\nHost: a.B:44\r\n\r\n",
            "GET HTTPS://A.b:44/ 1.1 host=a.B authority=a.B:44 path=/ none keep"),
        ROW("absolute in HTTP/1.0", "GET http://a/x HTTP/1.0\r\n\r\n",
            "GET http://a/x 1.0 host=a path=/x none close"),
        ROW("absolute without a path", "GET http://a HTTP/1.0\r\n\r\n", "GET http://a 1.0 host=a none close"),
        ROW("absolute with a query only", "GET http://a?x HTTP/1.0\r\n",
            "400 target has a query without a path"),
        ROW("absolute, no Host in 1.1", "GET http://a/ HTTP/1.1\r\n\r\n", "400 HTTP/1.1 without Host"),
        ROW("absolute with an empty port", "GET http://a:/x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://a:/x 1.1 host=a path=/x none keep"),
        ROW("absolute, Host with an empty port", "GET http://a/x HTTP/1.1\r\nHost: a:\r\n\r\n",
            "GET http://a/x 1.1 host=a path=/x none keep"),
        ROW("absolute, another Host", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
            "400 Host differs from the host in the target"),
        ROW("absolute, a longer Host", "GET http://a/ HTTP/1.1\r\nHost: ab\r\n\r\n",
            "400 Host differs from the host in the target"),
        ROW("absolute, another port", "GET http://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n",
            "400 Host differs from the host in the target"),
        ROW("absolute with a user", "GET http://u@a/ HTTP/1.1\r\n", "400 target names no valid host"),
        ROW("absolute with a backslash", "GET http://a\\b/ HTTP/1.1\r\n", "400 target names no valid host"),
        ROW("absolute without a host", "GET http:///x HTTP/1.1\r\n", "400 target names no valid host"),
        ROW("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
            "CONNECT a:443 1.1 host=a authority=a:443 none keep"),
        ROW("CONNECT to a path", "CONNECT / HTTP/1.1\r\n", "400 target of CONNECT is not a host and a port"),
        ROW("CONNECT without a port", "CONNECT a HTTP/1.1\r\n", "400 target of CONNECT has no port"),
        ROW("CONNECT with an empty port", "CONNECT a: HTTP/1.1\r\n", "400 target of CONNECT has no port"),
        ROW("CONNECT, another Host", "CONNECT a:443 HTTP/1.1\r\nHost: b:443\r\n\r\n",
            "400 Host differs from the host in the target"),
        ROW("CONNECT with a body", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\n",
            "400 body in a CONNECT request"),
        ROW("authority without CONNECT", "GET a:443 HTTP/1.1\r\n",
            "400 target is neither a path nor a URL of http or https"),
    };

    (void)state;
    check(requests(), rows);
}

static void test_fields(void **state)
{
    static const struct row rows[] = {
        ROW("blanks around a value", GET LINE("X-1: \t a  b\t "), "GET / 1.1 host=a none keep X-1=[a  b]"),
        ROW("no blank at all", GET LINE("X:y"), "GET / 1.1 host=a none keep X=[y]"),
        ROW("empty value", GET LINE("X:"), "GET / 1.1 host=a none keep X=[]"),
        ROW("blank value", GET LINE("X: \t "), "GET / 1.1 host=a none keep X=[]"),
        ROW("colon in a value", GET LINE("X::a:"), "GET / 1.1 host=a none keep X=[:a:]"),
        ROW("value beyond ASCII", GET LINE("X: \303\251\377"), "GET / 1.1 host=a none keep X=[\303\251\377]"),
        ROW("all of a token", GET LINE("X!#$%&'*+-.^_`|~09az: 1"),
            "GET / 1.1 host=a none keep X!#$%&'*+-.^_`|~09az=[1]"),
        ROW("two of a kind", GET LINE("X: 1\r\nX: 2"), "GET / 1.1 host=a none keep X=[1] X=[2]"),
        ROW("bare LF", GET "X: y\nZ: 1\r\n\r\n", "400 bare LF"),
        ROW("bare LF inside a name", GET "X\n", "400 bare LF"),
        ROW("bare LF for the empty line", GET "\n", "400 bare LF"),
        ROW("bare CR in a value", GET "X: y\rZ: 1\r\n\r\n", "400 bare CR"),
        ROW("CR CR LF", GET "X: y\r\r\n\r\n", "400 bare CR"),
        ROW("bare CR for the empty line", GET "\rX", "400 bare CR"),
        ROW("NUL in a value", GET "X: a\0b\r\n\r\n", "400 control byte in the value of a field"),
        ROW("bell in a value", GET "X: \a\r\n\r\n", "400 control byte in the value of a field"),
        ROW("DEL in a value", GET "X: \177\r\n\r\n", "400 control byte in the value of a field"),
        ROW("folding", GET "X: a\r\n b\r\n\r\n", "400 line begins with a blank (obsolete folding)"),
        ROW("folding with a tab", GET "X: a\r\n\tb\r\n\r\n",
            "400 line begins with a blank (obsolete folding)"),
        ROW("blank before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            "400 line begins with a blank (obsolete folding)"),
        ROW("blank before the colon", GET "X : a\r\n\r\n", "400 space before the colon of a field"),
        ROW("tab before the colon", GET "X\t: a\r\n\r\n", "400 space before the colon of a field"),
        ROW("blank inside a name", GET "X Y: a\r\n\r\n", "400 space before the colon of a field"),
        ROW("no name", GET ": a\r\n\r\n", "400 field without a name"),
        ROW("no colon", GET "X\r\n\r\n", "400 line without a colon"),
        ROW("quoted name", GET "\"X\": a\r\n\r\n", "400 forbidden byte in the name of a field"),
        ROW("NUL in a name", GET "X\0: a\r\n\r\n", "400 forbidden byte in the name of a field"),
        ROW("vertical tab behind a name", GET "X\v: a\r\n\r\n", "400 forbidden byte in the name of a field"),
        ROW("name beyond ASCII", GET "X\303\251: a\r\n\r\n", "400 forbidden byte in the name of a field"),
        ROW("slash in a name", GET "X/Y: a\r\n\r\n", "400 forbidden byte in the name of a field"),
    };

    (void)state;
    check(requests(), rows);
}

#define HOST(value) "GET / HTTP/1.1\r\nHost:" value "\r\n\r\n"
#define BAD_HOST    "400 Host is not a name or an address with an optional port"

static void test_host(void **state)
{
    static const struct row rows[] = {
        ROW("none", "GET / HTTP/1.1\r\n\r\n", "400 HTTP/1.1 without Host"),
        ROW("two", GET LINE("Host: b"), "400 more than one Host"),
        ROW("two equal ones", GET LINE("hOST: a"), "400 more than one Host"),
        ROW("two in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "400 more than one Host"),
        ROW("empty", HOST(""), BAD_HOST),
        ROW("blank before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "400 space before the colon of a field"),
        ROW("folded", "GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", BAD_HOST),
        ROW("name and port", HOST("a_b-c.D:8443"), "GET / 1.1 host=a_b-c.D authority=a_b-c.D:8443 none keep"),
        ROW("IPv4", HOST("192.0.2.1:80"), "GET / 1.1 host=192.0.2.1 authority=192.0.2.1:80 none keep"),
        ROW("IPv6", HOST("[2001:db8::1]"), "GET / 1.1 host=[2001:db8::1] none keep"),
        ROW("IPv6 and port", HOST("[::ffff:192.0.2.1]:443"),
            "GET / 1.1 host=[::ffff:192.0.2.1] authority=[::ffff:192.0.2.1]:443 none keep"),
        ROW("IPv6 without brackets", HOST("2001:db8::1"), BAD_HOST),
        ROW("IPv6 cut short", HOST("[::1"), BAD_HOST),
        ROW("IPv6 with more behind", HOST("[::1]a"), BAD_HOST),
        ROW("IPv6 with a zone", HOST("[fe80::1%25eth0]"), BAD_HOST),
        ROW("nothing in brackets", HOST("[]"), BAD_HOST),
        ROW("a name in brackets", HOST("[a]"), BAD_HOST),
        ROW("brackets that hold too much", HOST("[1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]"),
            BAD_HOST),
        ROW("greatest port", HOST("a:65535"), "GET / 1.1 host=a authority=a:65535 none keep"),
        ROW("port too great", HOST("a:65536"), BAD_HOST),
        ROW("port of many digits", HOST("a:000080"), BAD_HOST),
        ROW("empty port", HOST("a:"), "GET / 1.1 host=a none keep"),
        ROW("IPv6 and an empty port", HOST("[::1]:"), "GET / 1.1 host=[::1] none keep"),
        ROW("empty port behind a port", HOST("a:80:"), BAD_HOST),
        ROW("two empty ports", HOST("a::"), BAD_HOST),
        ROW("empty port alone", HOST(":"), BAD_HOST),
        ROW("port in letters", HOST("a:http"), BAD_HOST),
        ROW("negative port", HOST("a:-1"), BAD_HOST),
        ROW("two ports", HOST("a:1:2"), BAD_HOST),
        ROW("port alone", HOST(":80"), BAD_HOST),
        ROW("user", HOST("u@a"), BAD_HOST),
        ROW("path", HOST("a/b"), BAD_HOST),
        ROW("list", HOST("a, b"), BAD_HOST),
        ROW("blank inside", HOST("a b"), BAD_HOST),
        ROW("escapes", HOST("a%00b"), BAD_HOST),
        ROW("beyond ASCII", HOST("\303\251:80"), "GET / 1.1 host=\303\251 authority=\303\251:80 none keep"),
        ROW("not UTF-8", HOST("\351"), BAD_HOST),
        ROW("beyond ASCII, a control character", HOST("\302\200"), BAD_HOST),
    };

    (void)state;
    check(requests(), rows);
}

#define NOT_A_NUMBER "400 Content-Length is not a number"
#define BOTH         "400 Content-Length together with Transfer-Encoding"

static void test_content_length(void **state)
{
    static const struct row rows[] = {
        ROW("five", POST LINE("Content-Length: 5"), "POST / 1.1 host=a length=5 keep"),
        ROW("zero", POST LINE("Content-Length: 0"), "POST / 1.1 host=a length=0 keep"),
        ROW("leading zeros", POST LINE("Content-Length: 0042"), "POST / 1.1 host=a length=42 keep"),
        ROW("any case", POST LINE("cOnTeNt-LeNgTh:\t7 "), "POST / 1.1 host=a length=7 keep"),
        ROW("with GET", GET LINE("Content-Length: 5"), "GET / 1.1 host=a length=5 keep"),
        ROW("greatest", POST LINE("Content-Length: 999999999999999999"),
            "POST / 1.1 host=a length=999999999999999999 keep"),
        ROW("19 digits", POST LINE("Content-Length: 1000000000000000000"), "400 Content-Length is too large"),
        ROW("2^64 + 5", POST LINE("Content-Length: 18446744073709551621"), "400 Content-Length is too large"),
        ROW("empty", POST LINE("Content-Length:"), NOT_A_NUMBER),
        ROW("plus", POST LINE("Content-Length: +5"), NOT_A_NUMBER),
        ROW("minus", POST LINE("Content-Length: -5"), NOT_A_NUMBER),
        ROW("hexadecimal", POST LINE("Content-Length: 0x5"), NOT_A_NUMBER),
        ROW("underscore", POST LINE("Content-Length: 1_0"), NOT_A_NUMBER),
        ROW("fraction", POST LINE("Content-Length: 5.0"), NOT_A_NUMBER),
        ROW("exponent", POST LINE("Content-Length: 1e1"), NOT_A_NUMBER),
        ROW("quoted", POST LINE("Content-Length: \"5\""), NOT_A_NUMBER),
        ROW("two numbers", POST LINE("Content-Length: 5 5"), NOT_A_NUMBER),
        ROW("list of equals", POST LINE("Content-Length: 5, 5"), NOT_A_NUMBER),
        ROW("list", POST LINE("Content-Length: 5,6"), NOT_A_NUMBER),
        ROW("comma behind", POST LINE("Content-Length: 5,"), NOT_A_NUMBER),
        ROW("NBSP in front", POST LINE("Content-Length: \302\2405"), NOT_A_NUMBER),
        ROW("form feed in front", POST LINE("Content-Length: \f5"),
            "400 control byte in the value of a field"),
        ROW("NUL behind", POST "Content-Length: 5\0\r\n\r\n", "400 control byte in the value of a field"),
        ROW("two equal fields", POST LINE("Content-Length: 5\r\nContent-Length: 5"),
            "400 more than one Content-Length"),
        ROW("two fields", POST LINE("Content-Length: 5\r\ncontent-length: 6"),
            "400 more than one Content-Length"),
        ROW("blank before the colon", POST LINE("Content-Length : 5"),
            "400 space before the colon of a field"),
        ROW("name with an underscore", POST LINE("Content_Length: 5"),
            "400 field that spells a framing field with an underscore"),
        ROW("name with a blank", POST LINE("Content Length: 5"), "400 space before the colon of a field"),
        ROW("folded", POST "Content-Length:\r\n 5\r\n\r\n", NOT_A_NUMBER),
        ROW("folded to more digits", POST "Content-Length: 5\r\n 6\r\n\r\n",
            "400 line begins with a blank (obsolete folding)"),
        ROW("hidden behind a bare CR", POST "X: y\rContent-Length: 5\r\n\r\n", "400 bare CR"),
        ROW("hidden behind a bare LF", POST "X: y\nContent-Length: 5\r\n\r\n", "400 bare LF"),
        ROW("a longer name is another field", POST LINE("XContent-Length: 5"),
            "POST / 1.1 host=a none keep XContent-Length=[5]"),
    };

    (void)state;
    check(requests(), rows);
}

#define TE(value)   POST "Transfer-Encoding:" value "\r\n\r\n"
#define NOT_CODINGS "400 Transfer-Encoding is not a list of codings"
#define NOT_LAST    "400 chunked is not the last transfer coding"
#define UNKNOWN     "501 transfer coding other than chunked"

static void test_transfer_encoding(void **state)
{
    static const struct row rows[] = {
        ROW("chunked", TE(" chunked"), "POST / 1.1 host=a chunked keep"),
        ROW("any case, tabs around", TE("\tCHUnked\t"), "POST / 1.1 host=a chunked keep"),
        ROW("CL then TE", POST LINE("Content-Length: 5\r\nTransfer-Encoding: chunked"), BOTH),
        ROW("TE then CL", POST LINE("Transfer-Encoding: chunked\r\nContent-Length: 5"), BOTH),
        ROW("CL 0 and TE", POST LINE("Content-Length: 0\r\nTransfer-Encoding: chunked"), BOTH),
        ROW("CL and an unknown TE", POST LINE("Content-Length: 4\r\nTransfer-Encoding: x"), BOTH),
        ROW("in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "400 Transfer-Encoding in HTTP/1.0"),
        ROW("twice", POST LINE("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            "400 more than one Transfer-Encoding"),
        ROW("a second, unknown one", POST LINE("Transfer-Encoding: chunked\r\nTransfer-encoding: cow"),
            "400 more than one Transfer-Encoding"),
        ROW("a first, unknown one", POST LINE("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked"),
            UNKNOWN),
        ROW("empty", TE(""), NOT_CODINGS),
        ROW("blank before the colon", POST LINE("Transfer-Encoding : chunked"),
            "400 space before the colon of a field"),
        ROW("tab before the colon", POST LINE("Transfer-Encoding\t:chunked"),
            "400 space before the colon of a field"),
        ROW("blank before the name", POST LINE(" Transfer-Encoding: chunked"),
            "400 line begins with a blank (obsolete folding)"),
        ROW("folded before the value", POST "Transfer-Encoding:\r\n chunked\r\n\r\n", NOT_CODINGS),
        ROW("name with an underscore", POST LINE("Transfer_Encoding: chunked"),
            "400 field that spells a framing field with an underscore"),
        ROW("hidden behind another field", POST "X: X\nTransfer-Encoding: chunked\r\n\r\n", "400 bare LF"),
        ROW("vertical tab in front", TE("\vchunked"), "400 control byte in the value of a field"),
        ROW("form feed behind", TE(" chunked\f"), "400 control byte in the value of a field"),
        ROW("NUL behind", TE(" chunked\0"), "400 control byte in the value of a field"),
        ROW("CR in front", TE(" \rchunked"), "400 bare CR"),
        ROW("NBSP in front", TE(" \240chunked"), NOT_CODINGS),
        ROW("xchunked", TE(" xchunked"), UNKNOWN),
        ROW("chunkedx", TE(" chunkedx"), UNKNOWN),
        ROW("cut short", TE(" chunke"), UNKNOWN),
        ROW("identity", TE(" identity"), UNKNOWN),
        ROW("gzip", TE(" gzip, chunked"), UNKNOWN),
        ROW("identity, chunked", TE(" identity, chunked"), UNKNOWN),
        ROW("chunked, identity", TE(" chunked, identity"), NOT_LAST),
        ROW("chunked, chunked", TE(" chunked, chunked"), NOT_LAST),
        ROW("comma in front", TE(" ,chunked"), NOT_CODINGS),
        ROW("comma behind", TE(" chunked,"), NOT_CODINGS),
        ROW("quoted", TE(" \"chunked\""), NOT_CODINGS),
        ROW("single quotes are a token", TE(" 'chunked'"), UNKNOWN),
        ROW("parameter", TE(" chunked;a=b"), NOT_CODINGS),
        ROW("two words", TE(" chunked chunked"), NOT_CODINGS),
        ROW("colon in the value", TE(": chunked"), NOT_CODINGS),
        ROW("long s", TE(" chun\305\277ed"), NOT_CODINGS),
    };

    (void)state;
    check(requests(), rows);
}

static void test_connection(void **state)
{
    static const struct row rows[] = {
        ROW("close", GET LINE("Connection: close"), "GET / 1.1 host=a none close"),
        ROW("close in a list", GET LINE("Connection: x , CLOSE,y"), "GET / 1.1 host=a none close"),
        ROW("close in a second field", GET LINE("Connection: x\r\nConnection: close"),
            "GET / 1.1 host=a none close"),
        ROW("close wins", GET LINE("Connection: keep-alive, close"), "GET / 1.1 host=a none close"),
        ROW("part of a word", GET LINE("Connection: closed"), "GET / 1.1 host=a none keep"),
        ROW("empty elements", GET LINE("Connection: ,, close ,"), "GET / 1.1 host=a none close"),
        ROW("empty", GET LINE("Connection:"), "GET / 1.1 host=a none keep"),
        ROW("not a token", GET LINE("Connection: a b"), "400 Connection is not a list of tokens"),
        ROW("one byte that is no token", GET LINE("Connection: ;"), "400 Connection is not a list of tokens"),
        ROW("quoted", GET LINE("Connection: \"close\""), "400 Connection is not a list of tokens"),
        ROW("32 options", GET LINE("Connection: ,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"),
            "GET / 1.1 host=a none keep"),
        ROW("33 options", GET LINE("Connection: ,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\r\nConnection: a"),
            "400 too many options in Connection"),
        ROW("HTTP/1.0 keeps", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / 1.0 none keep"),
        ROW("HTTP/1.0 keeps and closes", "GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n",
            "GET / 1.0 none close"),
        ROW("upgrade", GET LINE("Connection: keep-alive, Upgrade\r\nUpgrade: websocket"),
            "GET / 1.1 host=a none keep upgrade=websocket"),
        ROW("upgrade before", GET LINE("Upgrade: websocket\r\nConnection: upgrade"),
            "GET / 1.1 host=a none keep upgrade=websocket"),
        ROW("upgrade not asked for", GET LINE("Upgrade: websocket"), "GET / 1.1 host=a none keep"),
        ROW("upgrade to nothing", GET LINE("Connection: upgrade"), "GET / 1.1 host=a none keep"),
        ROW("upgrade in HTTP/1.0", "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            "GET / 1.0 none close"),
        ROW("upgrade twice", GET LINE("Upgrade: websocket\r\nUpgrade: h2c"), "400 more than one Upgrade"),
        ROW("expectation", POST LINE("Expect: 100-Continue\r\nContent-Length: 5"),
            "POST / 1.1 host=a length=5 keep expects"),
        ROW("expectation before chunks", POST LINE("Expect: 100-continue\r\nTransfer-Encoding: chunked"),
            "POST / 1.1 host=a chunked keep expects"),
        ROW("expectation without a body", POST LINE("Expect: 100-continue"), "POST / 1.1 host=a none keep"),
        ROW("expectation of an empty body", POST LINE("Content-Length: 0\r\nExpect: 100-continue"),
            "POST / 1.1 host=a length=0 keep"),
        ROW("expectation in HTTP/1.0", "POST / HTTP/1.0\r\nExpect: y\r\nContent-Length: 5\r\n\r\n",
            "POST / 1.0 length=5 close"),
        ROW("another expectation", POST LINE("Expect: 200-ok"), "417 expectation other than 100-continue"),
        ROW("hidden expectation", POST LINE("Expect: y 100-continue"),
            "417 expectation other than 100-continue"),
        ROW("listed expectation", POST LINE("Expect: 100-continue, x"),
            "417 expectation other than 100-continue"),
        ROW("two expectations", POST LINE("Expect: 100-continue\r\nExpect: 100-continue"),
            "400 more than one Expect"),
        ROW("trailers welcome", GET LINE("TE: gzip;q=0.5, Trailers"), "GET / 1.1 host=a none keep trailers"),
        ROW("trailers not welcome", GET LINE("TE: xtrailers"), "GET / 1.1 host=a none keep"),
    };

    (void)state;
    check(requests(), rows);
}

/* A head of this many fields "a:" behind Host, and then one of this many bytes in all. */
static void test_limits(void **state)
{
    struct head_run run = { .limits = { .max_uri = 64, .max_header = 4096 } };
    struct buf in = { 0 }, result;

    (void)state;
    buf_add_text(&in, GET);
    for (int i = 1; i < H1_MAX_FIELDS; i++)
        buf_add_text(&in, "a:\r\n");
    buf_add_text(&in, "\r\n");
    result = pieces_result(&head_pieces, &run, in.mem, in.len);
    assert_string_equal(result.mem, "GET / 1.1 host=a none keep");
    buf_free(&result);

    run.limits.max_header = (uint32_t)in.len;
    result = pieces_result(&head_pieces, &run, in.mem, in.len);
    assert_string_equal(result.mem, "GET / 1.1 host=a none keep");
    buf_free(&result);

    run.limits.max_header--;
    result = pieces_result(&head_pieces, &run, in.mem, in.len);
    assert_string_equal(result.mem, "431 head longer than max_header");
    buf_free(&result);

    run.limits.max_header = 4096;
    in.len -= 2;
    buf_add_text(&in, "a:\r\n\r\n");
    result = pieces_result(&head_pieces, &run, in.mem, in.len);
    assert_string_equal(result.mem, "431 too many fields");
    buf_free(&result);

    run.limits.max_header = 30;
    result = pieces_result(&head_pieces, &run, "GET /" X60 " HTTP/1.1\r\n", 75);
    assert_string_equal(result.mem, "414 head longer than max_header");
    buf_free(&result);
    buf_free(&in);
}

/* The last byte of each input is the one that decides: nothing waits for the end of a line or of the head. */
static void test_refused_at_once(void **state)
{
    static const char *const inputs[] = { "\n",
                                          "G\r",
                                          "GET  ",
                                          "GET /\r",
                                          "GET /#",
                                          "GET / X",
                                          "GET / HTTP/1.1x",
                                          "GET / HTTP/2.0\r",
                                          "GET / HTTP/1.1\rX",
                                          GET " ",
                                          GET ":",
                                          GET "X ",
                                          GET "X\n",
                                          GET "X: \001",
                                          GET "\rx",
                                          GET "Host: a\r\n",
                                          POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                                          "GET * HTTP/1.1\r\n" };
    struct h1_head h;

    (void)state;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        size_t n = strlen(inputs[i]);

        h1_request_init(&h);
        assert_int_equal(h1_head_parse(&h, inputs[i], n - 1, &requests()->limits), 0);
        assert_int_equal(h1_head_parse(&h, inputs[i], n, &requests()->limits), -1);
        assert_int_equal(h1_head_parse(&h, inputs[i], n, &requests()->limits), -1);
    }
}

static void test_fields_are_found(void **state)
{
    static const char in[] =
        GET "Connection: close, Cookie\r\nX: 1\r\nCOOKIE: 2\r\nx: 3\r\nKeep-Alive: 5\r\nTE: x\r\n"
            "Upgrade: h2c\r\nProxy-Connection: x\r\nConnection: x\r\nTrailer: x\r\n\r\n";
    static const bool hops[] = { false, true, true, true, true, true, true, true, true, true, false };
    struct h1_head h;

    (void)state;
    h1_request_init(&h);
    assert_int_equal(h1_head_parse(&h, in, sizeof in - 1, &requests()->limits), sizeof in - 1);
    assert_int_equal(h1_field_find(&h, "x", 0), 2);
    assert_int_equal(h1_field_find(&h, "x", 3), 4);
    assert_int_equal(h1_field_find(&h, "x", 5), -1);
    assert_int_equal(h1_field_find(&h, "", 0), -1);
    assert_int_equal(h.field_count, sizeof hops / sizeof *hops);
    for (uint32_t i = 0; i < h.field_count; i++)
        assert_int_equal(h1_field_is_hop(&h, &h.fields[i]), hops[i]);
}

/* What a request cannot show: HTTP/2 hands in what it found, and Connection may come first. */
static void test_authority(void **state)
{
    static const char first[] = "GET / HTTP/1.1\r\nConnection: x\r\nHost: a\r\nX: 1\r\n\r\n";
    struct str host, name;
    struct h1_head h;
    char longest[255];

    (void)state;
    memset(longest, 'a', sizeof longest);
    name = (struct str){ longest, 253 };
    assert_true(h1_authority_parse(name, &host));
    name.n = 254;
    assert_false(h1_authority_parse(name, &host));
    assert_false(h1_authority_parse(STR("[::1\0]"), &host));
    assert_false(h1_authority_parse((struct str){ NULL, 0 }, &host));
    assert_true(h1_authority_parse(STR("a:0"), &host));
    assert_true(str_eq(host, "a"));

    h1_request_init(&h);
    assert_int_equal(h1_head_parse(&h, first, sizeof first - 1, &requests()->limits), sizeof first - 1);
    assert_true(h1_field_is_hop(&h, &h.fields[2]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_lines),     cmocka_unit_test(test_targets),
        cmocka_unit_test(test_fields),          cmocka_unit_test(test_host),
        cmocka_unit_test(test_content_length),  cmocka_unit_test(test_transfer_encoding),
        cmocka_unit_test(test_connection),      cmocka_unit_test(test_limits),
        cmocka_unit_test(test_refused_at_once), cmocka_unit_test(test_fields_are_found),
        cmocka_unit_test(test_authority),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
