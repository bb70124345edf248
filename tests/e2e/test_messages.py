"""HTTP messages through the whole path, relay, sshd and agent: what arrives at once, in order, and in the middle."""

from __future__ import annotations

import threading
import time

import pytest

from http1 import Peer, content_sha256
from path import DOMAIN, path
from programs import limit, wait_until
from visitor import request_bytes

EVENTS, LATE_S = 60, 0.05


def test_events_arrive_within_50_ms(path):
    """Each is written when the one before has arrived, so what is measured is the way alone."""
    late = []
    with path.visitor() as visitor:
        visitor.send(request_bytes("GET", DOMAIN, "/events"))
        assert visitor.head().get("content-type") == "text/event-stream"
        for n in range(EVENTS):
            event = f"data: {n}\n\n".encode()
            began = time.monotonic()
            path.site.events.put(event)
            assert visitor.exactly(len(event) + 5) == b"%x\r\n%s\r\n" % (len(event), event)
            late.append(time.monotonic() - began)
            time.sleep(0.02 * (n % 3))  # at once, and after a while in which nothing was said
        path.site.events.put(None)
        assert visitor.exactly(5) == b"0\r\n\r\n"
    print(f"an event took {sorted(late)[len(late) // 2] * 1000:.1f} ms, the slowest {max(late) * 1000:.1f} ms")
    assert sorted(late)[len(late) * 9 // 10] < limit(LATE_S)


def test_pipelined_requests_are_answered_in_order(path):
    sizes = [0, 70_000, 1, 3_000_000, 10, 65_536, 7, 300_000]
    with path.visitor() as visitor:
        asked = b"".join(request_bytes("GET", DOMAIN, f"/{'chunked' if n % 2 else 'bytes'}/{size}/{n}")
                         + request_bytes("POST", DOMAIN, f"/echo/{n}", body=b"x" * n) for n, size in enumerate(sizes))
        visitor.send(asked)
        for n, size in enumerate(sizes):
            assert visitor.reply().body.sha256 == content_sha256(size, n)
            assert visitor.reply("POST").body.data.startswith(b"POST /echo/%d HTTP/1.1\r\n" % n)


@pytest.fixture
def served(path):
    """served(f): whoever connects to the site is served by f(peer)."""

    def serve_by(serve):
        def live(sock, number):
            peer = Peer(sock)
            try:
                serve(peer)
            finally:
                peer.close()

        path.site._serve = live

    return serve_by


def test_100_continue_is_the_services_to_say(path, served):
    """The relay says nothing before, the body waits, and it comes whole."""
    gate, bodies = threading.Event(), []

    def serve(peer):
        while head := peer.head():
            gate.wait()
            peer.send("HTTP/1.1 100 Continue\r\n\r\n")
            bodies.append(peer.body(head).data)
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    served(serve)
    with path.visitor() as visitor:
        visitor.send("PUT / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        visitor.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            visitor.socket.recv(1)
        visitor.socket.settimeout(60)
        gate.set()
        assert visitor.head().first == "HTTP/1.1 100 Continue"
        visitor.send("body")
        assert visitor.reply("PUT").status == 200
    assert bodies == [b"body"]


def test_interim_answers_come_at_once(path, served):
    gate = threading.Event()

    def serve(peer):
        while peer.head():
            peer.send("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            gate.wait()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    served(serve)
    with path.visitor() as visitor:
        visitor.send(request_bytes("GET", DOMAIN))
        assert [visitor.head().status, visitor.head().get("link")] == [102, "</x>"]
        gate.set()
        assert visitor.reply().body.data == b"ok"


@pytest.mark.parametrize("method, answer", [
    ("HEAD", "200 OK\r\nContent-Length: 1000"), ("HEAD", "200 OK\r\nTransfer-Encoding: chunked"),
    ("HEAD", "304 Not Modified\r\nContent-Length: 7"), ("GET", "304 Not Modified\r\nContent-Length: 1000"),
    ("GET", "204 No Content"), ("DELETE", "204 No Content"), ("POST", "205 Reset Content\r\nContent-Length: 0"),
])
def test_answers_without_a_body(path, served, method, answer):
    def serve(peer):
        while head := peer.head():
            peer.body(head)
            peer.send(f"HTTP/1.1 {answer}\r\nX: 1\r\n\r\n")

    served(serve)
    with path.visitor() as visitor:
        for _ in range(3):
            reply = visitor.ask(method)
            assert (reply.head.first, reply.body.size) == (f"HTTP/1.1 {answer}".split("\r\n")[0], 0)
            assert "1000" not in answer or reply.head.get("content-length") == "1000"


def test_chunks_and_trailers_go_both_ways_at_once(path, served):
    """Each chunk of the answer is made of one of the question: neither side waits for a whole body."""
    trailers = []

    def serve(peer):
        while peer.head():
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
            while size := int(peer.line(), 16):
                peer.send_chunk(peer.exactly(size + 2)[:-2].upper())
            trailers.append(peer.line() + peer.line())
            peer.send("0\r\nX-Sum: down\r\n\r\n")

    served(serve)
    for _ in range(2):
        with path.visitor() as visitor:
            visitor.send("POST / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n")
            assert visitor.head().status == 200
            for word in (b"one", b"two", b"x" * 100_000):
                visitor.send_chunk(word)
                got = b""
                while len(got) < len(word):  # chunks may be cut anew on the way
                    size = int(visitor.line(), 16)
                    got += visitor.exactly(size + 2)[:-2]
                assert got == word.upper()
            visitor.send("0\r\nX-Sum: up\r\n\r\n")
            assert visitor.exactly(18) == b"0\r\nX-Sum: down\r\n\r\n"
    wait_until(lambda: len(trailers) == 2, "the service has seen both")
    assert trailers == [b"X-Sum: up\r\n\r\n"] * 2


def test_trailers_may_be_as_long_as_a_head(path, served):
    """As those of gRPC are, with the details of a status."""
    sum_ = b"X-Sum: " + b"s" * 40_000 + b"\r\n"

    def serve(peer):
        while peer.head():
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + sum_ + b"\r\n")

    served(serve)
    with path.visitor() as visitor:
        for _ in range(2):
            reply = visitor.ask("GET", "/")
            assert (reply.status, reply.body.data, reply.body.trailers) == (200, b"ok", sum_)
