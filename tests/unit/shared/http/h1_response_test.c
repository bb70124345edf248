/* Heads of responses: status lines, and how the end of the body is told, which depends on the request. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/shared/http/h1_run.h"

#define OK_LINE "HTTP/1.1 200 OK\r\n"
#define BOTH    "502 Content-Length together with Transfer-Encoding"
#define STATUS  "502 status is not a number from 100 to 599"

#define check(method, rows) assert_int_equal(wrong_responses(method, rows, sizeof(rows) / sizeof(rows)[0]), 0)

static int wrong_responses(const char *method, const struct row *rows, size_t count)
{
    static struct head_run run = { .limits = { .max_uri = 64, .max_header = 200 } };

    run.response_to = method;
    return wrong_rows(&head_pieces, &run, rows, count);
}

static void test_status_lines(void **state)
{
    static const struct row rows[] = {
        ROW("plain", OK_LINE "\r\n", "200 1.1 reason=OK until-close close"),
        ROW("unfinished", OK_LINE, "more"),
        ROW("reason of words, beyond ASCII", "HTTP/1.1 404 Nicht  gef\303\274nden\t!\r\n\r\n",
            "404 1.1 reason=Nicht  gef\303\274nden\t! until-close close"),
        ROW("empty reason", "HTTP/1.1 200 \r\n\r\n", "200 1.1 until-close close"),
        ROW("no reason and no blank", "HTTP/1.1 200\r\n\r\n", "200 1.1 until-close close"),
        ROW("blank reason", "HTTP/1.1 200  \r\n\r\n", "200 1.1 reason=  until-close close"),
        ROW("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", "200 1.0 reason=OK until-close close"),
        ROW("HTTP/1.0 that keeps", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
            "200 1.0 reason=OK length=5 keep"),
        ROW("smallest status", "HTTP/1.1 100\r\n\r\n", "100 1.1 none keep"),
        ROW("greatest status", "HTTP/1.1 599\r\n\r\n", "599 1.1 until-close close"),
        ROW("status 600", "HTTP/1.1 600\r\n\r\n", STATUS),
        ROW("status 099", "HTTP/1.1 099\r\n\r\n", STATUS),
        ROW("status of two digits", "HTTP/1.1 20 OK\r\n\r\n", STATUS),
        ROW("status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", STATUS),
        ROW("negative status", "HTTP/1.1 -200 OK\r\n\r\n", STATUS),
        ROW("status in letters", "HTTP/1.1 2OO OK\r\n\r\n", STATUS),
        ROW("tab behind the status", "HTTP/1.1 200\tOK\r\n\r\n", STATUS),
        ROW("two blanks before the status", "HTTP/1.1  200 OK\r\n\r\n", STATUS),
        ROW("no status", "HTTP/1.1\r\n\r\n", "502 bytes behind the version"),
        ROW("ICY", "ICY 200 OK\r\n\r\n", "502 malformed version"),
        ROW("no protocol", "200 OK\r\n\r\n", "502 malformed version"),
        ROW("small letters", "http/1.1 200 OK\r\n\r\n", "502 malformed version"),
        ROW("HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", "502 version is neither HTTP/1.0 nor HTTP/1.1"),
        ROW("HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", "502 version is neither HTTP/1.0 nor HTTP/1.1"),
        ROW("HTTP/1.10", "HTTP/1.10 200 OK\r\n\r\n", "502 bytes behind the version"),
        ROW("empty line first", "\r\n" OK_LINE "\r\n", "502 malformed version"),
        ROW("end of an unexpected body first", "0\r\n\r\n" OK_LINE "\r\n", "502 malformed version"),
        ROW("SSH", "SSH-2.0-OpenSSH_9.2\r\n", "502 malformed version"),
        ROW("bare LF behind the reason", "HTTP/1.1 200 OK\n\n", "502 bare LF"),
        ROW("bare LF behind the status", "HTTP/1.1 200\n\n", "502 bare LF"),
        ROW("bare CR behind the reason", "HTTP/1.1 200 OK\rX: y\r\n\r\n", "502 bare CR"),
        ROW("NUL in the reason", "HTTP/1.1 200 O\0\r\n\r\n", "502 forbidden byte in the reason"),
        ROW("escape in the reason", "HTTP/1.1 200 \033[2J\r\n\r\n", "502 forbidden byte in the reason"),
    };

    (void)state;
    check("GET", rows);
}

static void test_framing(void **state)
{
    static const struct row rows[] = {
        ROW("length", OK_LINE "Content-Length: 5\r\n\r\nabcde", "200 1.1 reason=OK length=5 keep +5"),
        ROW("no bytes", OK_LINE "Content-Length: 0\r\n\r\n", "200 1.1 reason=OK length=0 keep"),
        ROW("length and close", OK_LINE "Content-Length: 5\r\nConnection: close\r\n\r\n",
            "200 1.1 reason=OK length=5 close"),
        ROW("chunked", OK_LINE "Transfer-Encoding: chunked\r\n\r\n", "200 1.1 reason=OK chunked keep"),
        ROW("until close, even if it keeps", OK_LINE "Connection: keep-alive\r\n\r\n",
            "200 1.1 reason=OK until-close close"),
        ROW("interim", "HTTP/1.1 103 Early\r\nX-L: 1\r\n\r\n" OK_LINE,
            "103 1.1 reason=Early none keep X-L=[1] +17"),
        ROW("interim of no bytes", "HTTP/1.1 100\r\nContent-Length: 0\r\n\r\n", "100 1.1 none=0 keep"),
        ROW("interim with a length", "HTTP/1.1 100\r\nContent-Length: 5\r\n\r\n",
            "502 body in a 1xx response"),
        ROW("interim with chunks", "HTTP/1.1 100\r\nTransfer-Encoding: chunked\r\n\r\n",
            "502 body in a 1xx response"),
        ROW("switching", "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\201\0",
            "101 1.1 reason=x none close upgrade=websocket +2"),
        ROW("switching twice", "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n",
            "502 more than one Upgrade"),
        ROW("told twice what else it speaks",
            OK_LINE "Upgrade: h2c\r\nUpgrade: h2\r\nContent-Length: 0\r\n\r\n",
            "200 1.1 reason=OK length=0 keep"),
        ROW("204", "HTTP/1.1 204\r\n\r\n", "204 1.1 none keep"),
        ROW("204 with length 0", "HTTP/1.1 204\r\nContent-Length: 0\r\n\r\n", "204 1.1 none=0 keep"),
        ROW("204 with a length", "HTTP/1.1 204\r\nContent-Length: 5\r\n\r\n", "204 1.1 none=5 close"),
        ROW("204 with chunks", "HTTP/1.1 204\r\nTransfer-Encoding: chunked\r\n\r\n", "204 1.1 none close"),
        ROW("205 without a length", "HTTP/1.1 205\r\n\r\n", "205 1.1 until-close close"),
        ROW("304 with a length", "HTTP/1.1 304\r\nContent-Length: 5\r\n\r\n", "304 1.1 none=5 keep"),
        ROW("304 with chunks", "HTTP/1.1 304\r\nTransfer-Encoding: chunked\r\n\r\n", "304 1.1 none keep"),
        ROW("CL and TE", OK_LINE "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", BOTH),
        ROW("TE and CL", OK_LINE "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", BOTH),
        ROW("TE in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "502 Transfer-Encoding in HTTP/1.0"),
        ROW("two lengths, equal", OK_LINE "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
            "502 more than one Content-Length"),
        ROW("list of lengths", OK_LINE "Content-Length: 5, 5\r\n\r\n", "502 Content-Length is not a number"),
        ROW("gzip", OK_LINE "Transfer-Encoding: gzip\r\n\r\n", "502 transfer coding other than chunked"),
        ROW("gzip, chunked", OK_LINE "Transfer-Encoding: gzip, chunked\r\n\r\n",
            "502 transfer coding other than chunked"),
        ROW("chunked twice", OK_LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "502 more than one Transfer-Encoding"),
        ROW("blank before the colon", OK_LINE "Content-Length : 5\r\n\r\n",
            "502 space before the colon of a field"),
        ROW("folding", OK_LINE "X: a\r\n b\r\n\r\n", "502 line begins with a blank (obsolete folding)"),
        ROW("a field without a colon", OK_LINE "X\r\n\r\n", "502 line without a colon"),
        ROW("Host, Expect and TE mean nothing",
            OK_LINE "Host: ?\r\nHost: a\r\nExpect: x\r\nTE: trailers\r\n\r\n",
            "200 1.1 reason=OK until-close close"),
        ROW("head too long",
            OK_LINE "X: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
                    "Y: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
                    "Z: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n\r\n",
            "502 head longer than max_header"),
    };

    (void)state;
    check("GET", rows);
}

static void test_after_head_and_connect(void **state)
{
    static const struct row to_head[] = {
        ROW("length", OK_LINE "Content-Length: 5\r\n\r\n", "200 1.1 reason=OK none=5 keep"),
        ROW("chunked", OK_LINE "Transfer-Encoding: chunked\r\n\r\n", "200 1.1 reason=OK none keep"),
        ROW("neither", OK_LINE "\r\n", "200 1.1 reason=OK none keep"),
        ROW("both", OK_LINE "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", BOTH),
    };
    static const struct row to_connect[] = {
        ROW("granted", OK_LINE "\r\n\201", "200 1.1 reason=OK none close +1"),
        ROW("granted with a length", OK_LINE "Content-Length: 5\r\n\r\n", "200 1.1 reason=OK none=5 close"),
        ROW("refused", "HTTP/1.1 403\r\nContent-Length: 5\r\n\r\n", "403 1.1 length=5 keep"),
    };

    (void)state;
    check("HEAD", to_head);
    check("CONNECT", to_connect);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_lines),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_after_head_and_connect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
