"""What two parsers could read differently never reaches the other one: requests of visitors, and answers of services.

The rows follow RFC 9112 (sections 2.2, 3, 5, 6, 7, 11), RFC 9110 (5.5, 7.2, 8.6) and published research on request
smuggling: lengths and codings that only one of two servers sees, line ends that only one of them takes, names that only one
of them folds, and hosts that only one of them routes by."""

from __future__ import annotations

import contextlib

import pytest

from http1 import Cut
from path import edge, edges, fronts
from programs import wait_until

HOST = b"Host: a.test\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"


def get(*fields: bytes, target: bytes = b"/", version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET %s %s\r\n%s%s\r\n" % (target, version, HOST, b"".join(field + b"\r\n" for field in fields))


def post(*fields: bytes, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\n%s%s\r\n%s" % (HOST, b"".join(field + b"\r\n" for field in fields), body)


def chunked(coding: bytes, *more: bytes) -> bytes:
    return post(coding, *more, body=b"0\r\n\r\n" + SMUGGLED)


def line(text: bytes) -> bytes:
    return text + b"\r\n" + HOST + b"\r\n"


START_LINES = [
    *[(line(text), 400) for text in (
        b" GET / HTTP/1.1", b"\tGET / HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET / HTTP/1.1 ",
        b"GET / HTTP/1.1\t", b"GET /a b HTTP/1.1", b"GET / HTTP/1.1 x", b"GET /\tHTTP/1.1", b"GET\v/ HTTP/1.1",
        b"GET\xa0/ HTTP/1.1", b"G(T / HTTP/1.1", b"G\xc3\x89T / HTTP/1.1", b"GET: / HTTP/1.1", b"\"GET\" / HTTP/1.1",
        b"GET", b"GET /", b"GET  /", b"/ HTTP/1.1", b"HTTP/1.1 200 OK", b"GET / http/1.1", b"GET / Http/1.1", b"GET / HTTP/1",
        b"GET / HTTP/1.", b"GET / HTTP/.1", b"GET / HTTP/1,1", b"GET / HTTP/1.1.1", b"GET / HTTP/01.1", b"GET / HTTP/1.01",
        b"GET / HTTP/+1.1", b"GET / HTTPS/1.1", b"GET / HTTP 1.1", b"GET / HTTP/1.1\0", b"GET / HTTP/\xd9\xa1.1",
        b"GET /\0 HTTP/1.1", b"GET /\x7f HTTP/1.1", b"GET /\x01 HTTP/1.1", b"GET /\xc3\xa9 HTTP/1.1", b"GET /a#b HTTP/1.1",
        b"GET a.test HTTP/1.1", b"GET * HTTP/1.1", b"GET a.test:443 HTTP/1.1", b"GET ?x HTTP/1.1", b"GET \\ HTTP/1.1",
        b"GET ftp://a.test/ HTTP/1.1", b"GET file:///etc/passwd HTTP/1.1", b"GET https:/a.test/ HTTP/1.1",
        b"GET https:///x HTTP/1.1", b"GET https://u@a.test/ HTTP/1.1", b"GET https://u:p@a.test/ HTTP/1.1",
        b"GET https://a.test\\/ HTTP/1.1", b"GET https://a.test?x HTTP/1.1", b"GET https://b.test/ HTTP/1.1",
        b"GET https://a.test:8443/ HTTP/1.1", b"GET https://a.test.b.test/ HTTP/1.1", b"GET https://a.test@b.test/ HTTP/1.1",
        b"GET https://[::1]/ HTTP/1.1", b"GET //a.test/\x00 HTTP/1.1")],
    *[(line(text), 505) for text in (b"GET / HTTP/0.9", b"GET / HTTP/1.2", b"GET / HTTP/1.9", b"GET / HTTP/2.0", b"GET / HTTP/3.0",
                                     b"GET / HTTP/9.9")],
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (line(b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1"), 501),
    (line(b"GET /" + b"x" * 20000 + b" HTTP/1.1"), 414),
    (b"\r\n" * 10 + get(), 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + get(), 400),
    (b"SSH-2.0-x\r\n" + get(), 400),
    (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get(), 400),
    (b"\r\n\r\n\0\r\nQUIT\n" + get(), 400),
    (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 405),
    (b"CONNECT b.test:22 HTTP/1.1\r\nHost: b.test:22\r\n\r\n", 405),
    (b"CONNECT / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
]

LINE_ENDS = [(text, 400) for text in (
    b"GET / HTTP/1.1\n" + HOST + b"\r\n", b"GET / HTTP/1.1\r\nHost: a.test\n\r\n", b"GET / HTTP/1.1\r\nHost: a.test\r\n\n",
    b"GET / HTTP/1.1\r" + HOST + b"\r\n", b"GET / HTTP/1.1\r\nHost: a.test\rX: y\r\n\r\n", b"GET / HTTP/1.1\r\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\n\r" + HOST + b"\r\n", b"GET / HTTP/1.1\n\n", get(b"X: a\nY: b"), get(b"X: a\rY: b"), get(b"X: a\n\tb"),
    get(b"X: a\r\r"), get(b"X: a\n\nGET /smuggled HTTP/1.1\nHost: a.test"), get(b"X: a\r\n b"), get(b"X: a\r\n\tb"), get(b"X: a\r\n "),
    b"GET / HTTP/1.1\r\n " + HOST + b"\r\n", b"GET / HTTP/1.1\r\n\t\r\n" + HOST + b"\r\n", get(b"X: a\vb"), get(b"X: a\fb"),
    get(b"X: a\0b"), get(b"X: \x7f"), get(b"X: \x01"), get(b"X: \x1b[2J"), get(b"\r"), get(b"\n"))]

FIELDS = [
    *[(get(field), 400) for field in (
        b"X : y", b"X\t: y", b" X: y", b": y", b"X", b"X y", b"X Y: z", b"X\0: y", b"X\x7f: y", b"X\xc3\xa9: y", b"X(: y", b"X/: y",
        b"X[0]: y", b"X@: y", b"\"X\": y", b"X\\: y", b"X,Y: z", b"X;: y", b"X={}: y", b"<X>: y", b"?X: y")],
    (get(b"X: " + b"y" * 70000), 431),
    (get(*[b"X-%d: %s" % (n, b"y" * 60) for n in range(1200)]), 431),
    (get(*[b"X-%d:" % n for n in range(20000)]), 431),
]

HOSTS = [
    *[(b"GET / HTTP/1.1\r\n%s\r\n" % b"".join(field + b"\r\n" for field in fields), 400) for fields in (
        (), (b"Host: a.test", b"Host: a.test"), (b"Host: a.test", b"Host: b.test"), (b"Host: a.test", b"host: b.test"),
        (b"Host: b.test", b"HOST:a.test"), (b"Host: a.test, b.test",), (b"Host: a.test b.test",), (b"Host : a.test",), (b"Host: a.test/x",),
        (b"Host: a.test?x",), (b"Host: a.test#x",), (b"Host: u@a.test",), (b"Host: a.test:x",), (b"Host: a.test:-1",),
        (b"Host: a.test:443:443",), (b"Host: a.test\\",), (b"Host: a.test\0",), (b"Host: \"a.test\"",), (b"Host: a.test:99999",),
        (b"Host: [a.test]",), (b"Host: [::1",), (b"Host: https://a.test",), (b"Host:\r\n a.test",), (b"Host: a.te\x7fst",))],
    (b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n", 421),
    (b"GET / HTTP/1.1\r\nHost: x.w.test\r\n\r\n", 421),
    (b"GET / HTTP/1.1\r\nHost: unknown.test\r\n\r\n", 404),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
    (b"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", 404),
    (b"GET https://b.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n", 421),
]

LENGTHS = [(post(*fields, body=b"x" * 5 + SMUGGLED), 400) for fields in (
    (b"Content-Length: 5", b"Content-Length: 6"), (b"Content-Length: 5", b"Content-Length: 5"), (b"Content-Length: 5, 6",), (b"Content-Length: 5, 5",),
    (b"Content-Length: 5,",), (b"Content-Length: ,5",), (b"Content-Length:",), (b"Content-Length: +5",), (b"Content-Length: -5",),
    (b"Content-Length: 0x5",), (b"Content-Length: 5.0",), (b"Content-Length: 5 6",), (b"Content-Length: 5e0",), (b"Content-Length: \"5\"",),
    (b"Content-Length: five",), (b"Content-Length: 5;",), (b"Content-Length: \xd9\xa5",), (b"Content-Length: 5\0",), (b"Content-Length: 5\v",),
    (b"Content-Length: 9223372036854775808",), (b"Content-Length: 18446744073709551621",), (b"Content-Length: 99999999999999999999999",),
    (b"Content-Length : 5",), (b"Content-Length\t: 5",), (b" Content-Length: 5",), (b"Content-Length: 5\r\n 6",), (b"Content-Length: 5\n",),
    (b"Content-Length: 5", b"Transfer-Encoding: chunked"), (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    (b"Content-Length: 5", b"Transfer-Encoding: identity"), (b"Content-Length: 5", b"Transfer-Encoding:"),
    (b"Content-Length: 5", b"Transfer-Encoding: x"), (b"Content_Length: 6", b"Content-Length: 5", b"Content-Length: 6"))]

CODINGS = [
    *[(chunked(*fields), 400) for fields in (
        (b"Transfer-Encoding:",), (b"Transfer-Encoding: ,",), (b"Transfer-Encoding : chunked",),
        (b"Transfer-Encoding\t: chunked",), (b" Transfer-Encoding: chunked",), (b"Transfer-Encoding:\r\n chunked",),
        (b"Transfer-Encoding: chunked\r\n ",), (b"Transfer-Encoding: \vchunked",), (b"Transfer-Encoding: chunked\0",),
        (b"Transfer-Encoding: chunked, chunked",), (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        (b"X: y\nTransfer-Encoding: chunked",), (b"X: y\rTransfer-Encoding: chunked",), (b"Transfer-Encoding: chunked", b"Content-Length: 0"))],
    *[(chunked(*fields), (400, 501)) for fields in (
        (b"Transfer-Encoding: xchunked",), (b"Transfer-Encoding: chunkedx",), (b"Transfer-Encoding: x",), (b"Transfer-Encoding: gzip",),
        (b"Transfer-Encoding: identity",), (b"Transfer-Encoding: gzip, chunked",), (b"Transfer-Encoding: chunked, gzip",),
        (b"Transfer-Encoding: identity, chunked",), (b"Transfer-Encoding: chunked, identity",), (b"Transfer-Encoding: \"chunked\"",),
        (b"Transfer-Encoding: chunked;x=y",), (b"Transfer-Encoding: chunked;",), (b"Transfer-Encoding: 'chunked'",),
        (b"Transfer-Encoding: chun ked",), (b"Transfer-Encoding: chunked x",), (b"Transfer-Encoding: \xa0chunked",),
        (b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"), (b"Transfer-Encoding: chunked", b"Transfer-Encoding: x"),
        (b"Transfer-Encoding: x", b"Transfer-Encoding: chunked"), (b"Transfer-Encoding: trailers",))],
    (b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, 400),
    (get(b"Expect: 200-ok"), 417),
    (get(b"Expect: 100-continue, x"), 417),
]

# Behind a head that is well the site may see that, but never a whole request, nor what stands behind it.
CHUNKS = [
    b"5;\nhello\r\n0\r\n\r\n", b"5\nhello\r\n0\r\n\r\n", b"5\rhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n",
    b"5\r\nhelloXX0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n", b"6\r\nhello\r\n0\r\n\r\n", b"4\r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5h\r\nhello\r\n0\r\n\r\n", b"\r\nhello\r\n0\r\n\r\n",
    b"five\r\nhello\r\n0\r\n\r\n", b"10000000000000005\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    b"8000000000000000\r\nhello\r\n", b"5_0\r\nhello\r\n0\r\n\r\n", b"5.0\r\nhello\r\n0\r\n\r\n", b"5\0\r\nhello\r\n0\r\n\r\n",
    b"5;x\0y\r\nhello\r\n0\r\n\r\n", b"5;x\ry\r\nhello\r\n0\r\n\r\n", b"5;" + b"x" * 100000 + b"\r\nhello\r\n0\r\n\r\n", b"0\r\nX: y\nZ: z\r\n\r\n",
    b"0\r\nX : y\r\n\r\n", b"0\r\n X: y\r\n\r\n", b"0\r\nX\r\n\r\n", b"0\r\nX: \0\r\n\r\n", b"0\r\nX: y\r\n folded\r\n\r\n", b"0\r\n\n", b"0\n\r\n",
    b"0\r\nX: " + b"y" * 100000 + b"\r\n\r\n", b"00000000000000000005\r\nhello\r\n0\r\n\r\n"[:40] + b"zz\r\n", b"0\r\nContent-Length: 5\r\n\r", b"0;\n\r\n",
]

OK = b"HTTP/1.1 200 OK\r\n"
BAD_ANSWERS = [
    b"", b"\r\n\r\n", b"hello", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 \r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 -20 OK\r\n\r\n", b"HTTP/1.1 099 OK\r\n\r\n", b"HTTP/1.1  200 OK\r\n\r\n", b" HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1\t200 OK\r\n\r\n", b"http/1.1 200 OK\r\n\r\n", b"HTTP/2 200\r\n\r\n", b"HTTP/2.0 200 OK\r\n\r\n", b"HTTP/0.9 200 OK\r\n\r\n",
    b"HTTP/1.1 200\0 OK\r\n\r\n", b"ICY 200 OK\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\n\n", b"HTTP/1.1 200 O\0K\r\n\r\n",
    b"HTTP/1.1 200 O\rK\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x03\0\0", b"<html>hello</html>\r\n\r\n",
    OK + b"X : y\r\n\r\n", OK + b" X: y\r\n\r\n", OK + b"X\r\n\r\n", OK + b": y\r\n\r\n", OK + b"X: a\0b\r\n\r\n", OK + b"X: a\nY: b\r\n\r\n",
    OK + b"X: a\rY: b\r\n\r\n", OK + b"X: a\r\n b\r\n\r\n", OK + b"X Y: z\r\n\r\n", OK + b"X\xc3\xa9: y\r\n\r\n", OK + b"X: \x7f\r\n\r\n",
    OK + b"Set-Cookie: a\nSet-Cookie: b\r\n\r\n", OK + b"X: " + b"y" * 70000 + b"\r\n\r\n", OK + b"X: y\r\n" * 20000 + b"\r\n",
    OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", OK + b"Content-Length: 5, 6\r\n\r\nhello", OK + b"Content-Length: -1\r\n\r\n",
    OK + b"Content-Length: +5\r\n\r\nhello", OK + b"Content-Length: 0x5\r\n\r\nhello", OK + b"Content-Length: \r\n\r\nhello",
    OK + b"Content-Length: 99999999999999999999\r\n\r\nhello", OK + b"Content-Length: 5 5\r\n\r\nhello", OK + b"Content-Length : 5\r\n\r\nhello",
    OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n", OK + b"Transfer-Encoding: xchunked\r\n\r\nhello",
    OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: gzip\r\n\r\nhello", OK + b"Transfer-Encoding:\r\n\r\nhello", OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", OK + b"Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 199\r\n", OK + b"Content-Length: 5\n\nhello",
]


# ---- requests ----


def statuses(expected):
    return expected if isinstance(expected, tuple) else (expected,)


def refusal(edge, raw):
    """What the visitor is answered; and then the connection is to end."""
    with edge.visitor() as visitor:
        with contextlib.suppress(OSError):  # it may be refused before it is whole
            visitor.send(raw)
        reply = visitor.reply()
        if reply.status not in (404, 405, 421):
            assert reply.head.get("connection") == "close"
            assert visitor.ended()
        return reply.status


@pytest.mark.parametrize("rows", [START_LINES, LINE_ENDS, FIELDS, HOSTS, LENGTHS, CODINGS],
                         ids=["start lines", "line ends", "fields", "hosts", "lengths", "codings"])
def test_what_could_be_read_in_two_ways_is_refused(edge, rows):
    wrong = []
    for raw, expected in rows:
        try:
            status = refusal(edge, raw)
        except (AssertionError, Cut, OSError) as e:
            status = repr(e)
        if status not in statuses(expected) or edge.agent.requests:
            wrong.append((raw[:200], expected, status, [head.first for head, _ in edge.agent.requests]))
            edge.agent.requests.clear()
    assert not wrong
    assert edge.visit().status == 200 and len(edge.agent.requests) == 1


def test_there_are_enough_of_them():
    assert sum(map(len, (START_LINES, LINE_ENDS, FIELDS, HOSTS, LENGTHS, CODINGS, CHUNKS))) >= 150 and len(BAD_ANSWERS) >= 60


def test_what_stands_behind_a_bad_body_is_never_a_request(edge):
    wrong = []
    for raw in CHUNKS:
        with edge.visitor() as visitor, contextlib.suppress(Cut, OSError, AssertionError):
            visitor.send(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + raw + SMUGGLED)
            status = visitor.reply("POST").status
            if status != 400 or not visitor.ended():
                wrong.append((raw[:60], status))
        if edge.agent.requests:
            wrong.append((raw[:60], [head.first for head, _ in edge.agent.requests]))
            edge.agent.requests.clear()
    assert not wrong
    assert edge.visit().status == 200
    wait_until(lambda: len(edge.agent.requests) == 1, "the next visitor is served, and nobody else was")


# ---- answers ----


def test_an_answer_that_is_none_never_reaches_the_visitor(edge):
    wrong = []
    for raw in BAD_ANSWERS:

        def serve(stream, raw=raw):
            with contextlib.suppress(OSError):
                stream.send(raw)
            stream.end(edge.agent.ended)

        edge.agent.serve = serve
        with edge.visitor() as visitor:
            reply = visitor.ask()
            if reply.status != 502 or b"hello" in reply.body.data or reply.head.get("x"):
                wrong.append((raw[:80], reply.status, reply.head.get("x"), reply.body.data[:40]))
    assert not wrong


def test_nothing_of_a_bad_answer_is_left_for_the_next_visitor(edge):
    """More than was asked for ends the stream: another visitor's answer is never read from it."""
    edge.agent.serve = lambda stream: stream.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother")
    for _ in range(5):
        assert edge.visit().body.data == b"ok"
    with edge.visitor() as visitor:
        assert [visitor.ask().body.data for _ in range(3)] == [b"ok"] * 3
