"""HTTP/1.1 messages through the edge, in all their forms, and all the ways in which they can end too soon."""

from __future__ import annotations

import queue
import socket
import ssl
import struct
import threading
import time

import pytest

from http1 import Cut
from path import edge, edges, fronts
from programs import limit, wait_until
from visitor import Visitor, request_bytes


def serving(edge, data, end=True):
    """Lets the service answer each request with these bytes, and then end the connection or not."""

    def serve(stream):
        stream.send(data)
        if end:
            stream.end(edge.agent.ended)

    edge.agent.serve = serve


# ---- messages in all their forms ----


def test_one_stream_serves_one_request_after_the_other(edge):
    for _ in range(3):
        with edge.visitor() as visitor:
            for n in range(10):
                assert visitor.ask("GET", f"/{n}").status == 200
    assert len(edge.agent.used) == 1


def test_pipelined_requests_are_answered_in_order(edge):
    def serve(stream):
        target = stream.requests[-1][0].target
        time.sleep(0.05 if target == "/0" else 0)
        stream.answer(target)

    edge.agent.serve = serve
    with edge.visitor() as visitor:
        asked = [("POST", b"x" * 1000) if n % 3 == 2 else ("GET", b"") for n in range(9)]
        visitor.send(b"".join(request_bytes(method, "a.test", f"/{n}", "", body) for n, (method, body) in enumerate(asked)))
        assert [visitor.reply().body.data for _ in asked] == [b"/%d" % n for n in range(9)]


@pytest.mark.parametrize("method, answer", [
    ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nX: 1\r\n\r\n"),
    ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: 1\r\n\r\n"),
    ("GET", "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n"),
    ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nX: 1\r\n\r\n"),
    ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: 1\r\n\r\n"),
    ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: 1\r\n\r\n0\r\n\r\n"),
])
def test_answers_without_a_body(edge, method, answer):
    serving(edge, answer.encode(), end=False)
    with edge.visitor() as visitor:
        for _ in range(2):  # the second would find what the first has left lying
            reply = visitor.ask(method)
            assert (reply.head.first, reply.head.get("x")) == (answer.split("\r\n")[0], "1")
            assert reply.body.size == 0
            assert "1000" not in answer or reply.head.get("content-length") == "1000"
    assert len(edge.agent.used) == 1


def test_chunks_and_trailers_go_both_ways(edge):
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2  \r\nde\r\n0\r\nX-Sum: five\r\nX-B: 1\r\n\r\n"
    serving(edge, answer, end=False)
    with edge.visitor() as visitor:
        for _ in range(2):
            visitor.send("POST / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n")
            for chunk in (b"hello ", b"you ", b"there"):
                visitor.send_chunk(chunk)
            visitor.send("0\r\nX-Up: fifteen\r\n\r\n")
            reply = visitor.reply("POST")
            assert (reply.head.get("transfer-encoding"), reply.body.data) == ("chunked", b"abcde")
            assert reply.body.trailers == b"X-Sum: five\r\nX-B: 1\r\n"
    for head, body in edge.agent.requests:
        assert (head.get("transfer-encoding"), head.get("te"), head.get("content-length")) == ("chunked", "trailers", None)
        assert (body.data, body.trailers) == (b"hello you there", b"X-Up: fifteen\r\n")


def test_a_body_until_close_becomes_chunks(edge):
    serving(edge, b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100000)
    with edge.visitor() as visitor:
        for _ in range(2):
            reply = visitor.ask()
            assert reply.head.get("transfer-encoding") == "chunked" and reply.body.data == b"x" * 100000


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\n\r\nhello",
])
def test_a_visitor_of_http_1_0(edge, answer):
    serving(edge, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer, end=b"ent-" not in answer)
    with edge.visitor() as visitor:
        visitor.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
        reply = visitor.reply()
        assert (reply.status, reply.body.data) == (200, b"hello")
        assert (reply.head.get("transfer-encoding"), reply.head.get("connection")) == (None, "close")
        assert visitor.ended()
    assert edge.agent.requests[0][0].first == "GET / HTTP/1.1"


def test_a_visitor_of_http_1_0_may_keep_its_connection(edge):
    with edge.visitor() as visitor:
        for _ in range(2):
            visitor.send("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n")
            reply = visitor.reply()
            assert (reply.head.get("connection"), reply.body.data) == ("keep-alive", b"pi")


def test_a_visitor_who_wants_to_close(edge):
    with edge.visitor() as visitor:
        reply = visitor.ask(fields="Connection: close\r\n")
        assert reply.head.get("connection") == "close" and visitor.ended()
    assert edge.visit().status == 200
    assert len(edge.agent.used) == 1  # the service's connection was kept


@pytest.mark.parametrize("after_s", [0, 2.5])  # the second: behind the moment at which he is asked whether he is gone
def test_a_visitor_who_half_closes_gets_the_answer(edge, after_s):
    gate = threading.Event()
    edge.agent.serve = lambda stream: gate.wait() and stream.answer("late")
    with edge.visitor() as visitor:
        visitor.send(request_bytes("POST", "a.test", body=b"all"))
        socket.socket.shutdown(visitor.socket, socket.SHUT_WR)
        threading.Timer(after_s, gate.set).start()
        assert visitor.reply("POST").body.data == b"late"


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"],
                         ids=["before the answer", "in mid answer"])
def test_a_visitor_who_is_gone_is_noticed_without_an_answer(edge, before):
    """A closed page with an event stream, or a question that nobody waits for: the service hears of it, though it says
    nothing that could not arrive."""
    with edge.visitor() as visitor:
        assert visitor.ask().status == 200  # so that nothing is left unread, for which a close would be a reset
        edge.agent.serve = lambda stream: stream.send(before) or stream.ended()
        visitor.send(request_bytes("GET", "a.test"))
        wait_until(lambda: len(edge.agent.requests) == 2, "the service has the request")
        if before:
            visitor.head()
    assert wait_until(lambda: edge.agent.aborted, "the agent is told", limit(5))


def test_a_service_that_closes_after_each_answer(edge):
    serving(edge, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    with edge.visitor() as visitor:
        for _ in range(5):
            assert visitor.ask().body.data == b"ok"
    assert len(edge.agent.used) == 5


def test_expect_100_continue(edge):
    with edge.visitor() as visitor:
        visitor.send("POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert visitor.head().first == "HTTP/1.1 100 Continue"
        visitor.send("body")
        assert visitor.reply("POST").status == 200
    head, body = edge.agent.requests[0]
    assert (head.get("expect"), body.data) == ("100-continue", b"body")


def test_the_service_may_refuse_before_the_body_comes(edge):
    def refuse(stream):
        stream.head()
        stream.answer("no", "417 Expectation Failed")
        stream.read(1)  # until the relay gives up

    edge.agent.carry = refuse
    with edge.visitor() as visitor:
        visitor.send("POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        reply = visitor.reply("POST")
        assert (reply.status, reply.body.data, reply.head.get("connection")) == (417, b"no", "close")
        assert visitor.ended()


def test_interim_answers_are_passed_on(edge):
    serving(edge, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 2 + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", False)
    with edge.visitor() as visitor:
        visitor.send(request_bytes("GET", "a.test"))
        heads = [visitor.head() for _ in range(3)]
        assert [(head.status, head.get("link")) for head in heads] == [(103, "</x>"), (103, "</x>"), (200, None)]
        assert visitor.ask("GET").status == 103


# ---- both sides at once ----


def test_an_early_answer_ends_an_upload(edge):
    """What the visitor has already sent must not make the answer disappear."""

    def refuse(stream):
        stream.head()
        stream.answer("enough", "413 Content Too Large", "Connection: close\r\n")

    edge.agent.carry = refuse
    with edge.visitor() as visitor:
        visitor.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000000\r\n\r\n" + "x" * 300000)
        reply = visitor.reply("POST")
        assert (reply.status, reply.body.data, reply.head.get("connection")) == (413, b"enough", "close")
        assert visitor.ended()


def test_question_and_answer_stream_at_once(edge):
    """Each piece of the answer is made from the last piece of the request, so neither side may wait for a whole body."""

    def echo(stream):
        stream.head()
        stream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while size := int(stream.line(), 16):
            stream.send_chunk(stream.exactly(size + 2)[:-2].upper())
        stream.send(stream.line() and "0\r\n\r\n")

    edge.agent.carry = echo
    with edge.visitor() as visitor:
        visitor.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert visitor.head().status == 200
        for word in (b"one", b"two", b"three"):
            visitor.send_chunk(word)
            assert visitor.exactly(len(word) + 5) == b"%x\r\n%s\r\n" % (len(word), word.upper())
        visitor.send("0\r\n\r\n")
        assert visitor.exactly(5) == b"0\r\n\r\n"


def test_events_arrive_one_by_one(edge):
    events = queue.Queue()

    def stream_events(stream):
        stream.head()
        stream.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        while event := events.get():
            stream.send(event)

    edge.agent.carry = stream_events
    with edge.visitor() as visitor:
        visitor.send(request_bytes("GET", "a.test"))
        assert visitor.head().get("content-type") == "text/event-stream"
        for event in (b"data: 1\n\n", b"data: 2\n\n"):
            events.put(event)
            assert visitor.exactly(len(event) + 5) == b"%x\r\n%s\r\n" % (len(event), event)
        events.put(None)
        assert visitor.exactly(5) == b"0\r\n\r\n"


# ---- visitors who go away ----


def wait_aborted(edge):
    (stream,) = edge.agent.used
    wait_until(lambda: edge.agent.aborted, "abort")
    assert edge.agent.aborted == [stream.id]


def test_a_visitor_gone_in_mid_answer_aborts_the_stream(edge):
    def endless(stream):
        stream.head()
        stream.send("HTTP/1.1 200 OK\r\n\r\n")
        while True:
            stream.send(b"x" * 65536)

    edge.agent.carry = endless
    visitor = edge.visitor()
    visitor.send(request_bytes("GET", "a.test"))
    visitor.head()
    visitor.exactly(100000)
    visitor.break_off()
    wait_aborted(edge)
    edge.agent.carry = lambda stream: stream.request() and stream.answer("well")
    assert edge.visit().body.data == b"well"


def test_a_visitor_gone_in_mid_upload_aborts_the_stream(edge):
    with edge.visitor() as visitor:
        visitor.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n" + "x" * 1000)
        wait_until(lambda: edge.agent.used, "the request arrives")
        visitor.break_off()
    wait_aborted(edge)
    assert edge.agent.requests == []  # the service has seen no whole request


def test_a_visitor_gone_before_the_answer_aborts_the_stream(edge):
    edge.agent.serve = lambda stream: stream.read(1)
    with edge.visitor() as visitor:
        visitor.send(request_bytes("GET", "a.test"))
        wait_until(lambda: edge.agent.requests, "the request arrives")
        visitor.break_off()
    wait_aborted(edge)


# ---- services that go away ----

HALVES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100000,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" + b"x" * 100000 + b"\r\n",
    "until close": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100000,
    "no byte of it": b"HTTP/1.1 200 OK\r\n\r\n",
}


def is_broken(edge, version):
    """Asks, and sees the connection reset before the answer looks whole."""
    with edge.visitor() as visitor:
        visitor.send(f"GET / HTTP/{version}\r\nHost: a.test\r\n\r\n")
        with pytest.raises((Cut, ConnectionResetError, ssl.SSLEOFError)):
            visitor.reply()
        return visitor.was_reset()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("how", [None, "reset"])
@pytest.mark.parametrize("framing", HALVES)
def test_a_broken_stream_never_looks_whole(edge, framing, how, version):
    serving(edge, HALVES[framing])
    edge.agent.ended = how
    assert is_broken(edge, version)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_half_a_body_and_an_orderly_end_are_broken_too(edge, framing, version):
    serving(edge, HALVES[framing])
    assert is_broken(edge, version)


def test_bad_chunks_of_a_service_break_the_answer(edge):
    serving(edge, HALVES["chunked"] + b"zzz\r\n", end=False)
    assert is_broken(edge, "1.1")


def test_an_explanation_that_comes_late_still_counts(edge):
    """It has 250 ms, which on a busy machine is little: one of twenty attempts has to do."""

    def serve(stream):
        stream.send(HALVES["until close"])
        stream.socket.shutdown(socket.SHUT_WR)
        time.sleep(0.05)  # of 250 ms
        stream.end("eof")

    def ends_well():
        try:
            return edge.visit().body.size == 100000
        except (Cut, OSError):
            return False

    edge.agent.serve = serve
    assert any(ends_well() for _ in range(20))


def test_so_does_one_that_comes_behind_a_reset(edge):
    """As of sshd, which resets what it closes with bytes unread, before the agent's word has come through."""

    def serve(stream):
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.close()
        time.sleep(0.05)  # of 250 ms
        edge.agent.say("ended", stream=stream.id, how="refused", detail="")
        raise ConnectionResetError  # that was all

    def is_explained():
        reply = edge.visit("POST")
        assert reply.status == 502
        return b"refused the connection" in reply.body.data

    edge.agent.serve = serve
    assert any(is_explained() for _ in range(20))


def test_an_explanation_of_another_stream_does_not_count(edge):
    def serve(stream):
        edge.agent.say("ended", stream=f"{int(stream.id, 16) ^ 1 << 40:016x}", how="eof", detail="")
        stream.send(HALVES["until close"])
        stream.end(None)

    edge.agent.serve = serve
    assert is_broken(edge, "1.1")


# ---- streams that were kept ----


def closes_after(edge, answers):
    """A service whose connections each give so many answers, and end at the request after that."""

    def serve(stream):
        if len(stream.requests) > answers:
            stream.end("eof")
        else:
            stream.answer("fine")

    edge.agent.serve = serve


def attempts(edge):
    return [head.target for stream in edge.agent.used for head, _ in stream.requests]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_a_kept_stream_that_ends_is_replaced_by_a_new_one(edge, method):
    closes_after(edge, 1)
    with edge.visitor() as visitor:
        assert visitor.ask("GET", "/1").status == 200
        assert visitor.ask(method, "/2").status == 200
    assert sorted(attempts(edge)) == ["/1", "/2", "/2"]


def test_it_is_tried_once_more_and_not_oftener(edge):
    closes_after(edge, 1)
    with edge.visitor() as visitor:
        assert visitor.ask("GET", "/1").status == 200
        closes_after(edge, 0)
        assert visitor.ask("GET", "/2").status == 502
    assert sorted(attempts(edge)) == ["/1", "/2", "/2"]


def test_an_answer_that_has_begun_is_not_asked_for_again(edge):
    def serve(stream):
        if len(stream.requests) == 1:
            stream.answer("fine")
        else:
            stream.send("HTTP/1.1 20")
            stream.end("eof")

    edge.agent.serve = serve
    with edge.visitor() as visitor:
        assert [visitor.ask("GET", f"/{n}").status for n in (1, 2)] == [200, 502]
    assert attempts(edge) == ["/1", "/2"]


@pytest.mark.parametrize("idle_s, streams", [(0, 1), (1.5, 2)])
def test_a_post_uses_no_stream_that_the_service_may_be_closing(edge, idle_s, streams):
    with edge.visitor() as visitor:
        assert visitor.ask("GET", "/1").status == 200
        time.sleep(idle_s)
        assert visitor.ask("POST", "/2", body=b"once").status == 200
    assert len(edge.agent.used) == streams


def test_a_post_is_never_sent_twice(edge):
    closes_after(edge, 1)
    with edge.visitor() as visitor:
        assert visitor.ask("GET", "/1").status == 200
        closes_after(edge, 0)
        time.sleep(1.5)
        assert visitor.ask("POST", "/2", body=b"once").status == 502
    assert sorted(attempts(edge)) == ["/1", "/2"]


def test_bytes_that_nobody_asked_for_end_a_stream(edge):
    serving(edge, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", False)
    with edge.visitor() as visitor:
        for _ in range(3):
            assert visitor.ask().body.data == b"ok"
    assert len(edge.agent.used) == 3


def test_bytes_that_come_later_end_a_stream_too(edge):
    with edge.visitor() as visitor:
        assert visitor.ask().body.data == b"pi"
        edge.agent.used[0].send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        wait_until(lambda: edge.agent.used[0].socket.fileno() < 0, "the relay closes it")
        assert visitor.ask().body.data == b"pi"
    assert len(edge.agent.used) == 2


# ---- a lane that is full ----

FULL = 16  # the fewest that max_streams allows
SITES = [f"s{n}.w.test" for n in range(FULL + 1)]


@pytest.fixture
def full(edges):
    """Each stream of the lane has served another site and is kept for it."""
    edge = edges("*.w.test", SITES, max_streams=FULL)
    edge.agent.start()
    for name in SITES:
        edge.wait_up(name)
    for name in SITES[:-1]:
        assert edge.visit(name=name).status == 200
    return edge


def test_the_longest_idle_stream_makes_room(full):
    first = full.agent.used[0]
    assert full.visit(name=SITES[-1]).status == 200
    wait_until(lambda: first.socket.fileno() < 0, "the first one is closed")
    assert full.visit("POST", name=SITES[-2]).status == 200
    assert full.visit(name=SITES[0]).status == 200


def test_a_lane_is_full_of_what_serves_visitors_alone(full):
    gate = threading.Event()
    full.agent.serve = lambda stream: gate.wait() and stream.answer("late")
    visitors = [full.visitor(SITES[-1]) for _ in range(FULL)]
    for visitor in visitors:
        visitor.send(request_bytes("POST", SITES[-1]))
    wait_until(lambda: len(full.agent.requests) == 2 * FULL, "all requests have come")
    assert full.visit(name=SITES[0]).status == 503
    gate.set()
    assert [visitor.reply("POST").body.data for visitor in visitors] == [b"late"] * FULL
    for visitor in visitors:
        visitor.close()
    assert full.visit(name=SITES[0]).status == 200
