"""Visitors who take their time on purpose: each stage has a deadline, for lack of progress, and a body that comes has none.
The relay's clock is set forward, so that minutes pass in a moment."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

import pytest

from clock import Clock
from path import DOMAIN, edge, edges, fronts
from programs import PATIENCE_S, limit, wait_until
from visitor import request_bytes
from website import Site

# What the relay gives, in seconds.
HANDSHAKE_S, HEAD_S, IDLE_S, PROGRESS_S = 10, 30, 75, 300
HEARD_S, HEARD_OUT_S = 2, 30  # who speaks on behind his answer
MANY = 20


class Timed:
    """A relay with a site that needs no lane; time passes for it when the test says so."""

    def __init__(self, front, clock, site):
        self.front, self.clock, self.site = front, clock, site

    def visit(self):
        return self.front.visit("GET", "/bytes/10").status

    def wait(self, seconds):
        """Behind all that was sent so far. The relay sees that it is later when it is woken."""
        assert self.visit() == 200
        self.clock.wait(seconds)
        assert self.visit() == 200

    def visitors(self):
        made = [self.front.visitor() for _ in range(MANY)]
        for visitor in made:  # or a byte waits until the one before it was acknowledged
            visitor.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def plain(self, first=b""):
        made = [socket.create_connection(("127.0.0.1", self.front.port), PATIENCE_S) for _ in range(MANY)]
        for s in made:
            s.sendall(first)
        return made


@pytest.fixture
def timed(fronts, started, folder):
    site, clock, front = Site(), Clock(folder), fronts("other.test")
    started.append(site)
    conf = front.relay.conf
    conf.write_text(f"{conf.read_text()}[domain {DOMAIN}]\nupstream = 127.0.0.1:{site.port}\n")
    front.relay.start(env=clock.environment, **front.spawning())
    return Timed(front, clock, site)


def hello():
    """What a visitor says first."""
    tls = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.wrap_bio(incoming, outgoing, server_hostname=DOMAIN).do_handshake()
    return outgoing.read()


def is_open(s):
    """True when the relay has neither said a word nor ended it."""
    s.setblocking(False)
    try:
        s.recv(1)
        return False
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            s.settimeout(PATIENCE_S)


def all_open(sockets):
    return [is_open(s) for s in sockets] == [True] * len(sockets)


def wait_ended(sockets, what):
    wait_until(lambda: not any(is_open(s) for s in sockets), what)
    for s in sockets:
        s.close()


def test_handshakes_have_10_s(timed):
    data = hello()
    silent, half, ssh, dripping = (timed.plain(first) for first in (b"", data[:20], b"SSH", b""))
    for at in range(4):
        for s in dripping:
            s.send(data[at:at + 1])
        timed.wait(2)
    assert all_open(silent + half + ssh + dripping)
    timed.wait(HANDSHAKE_S - 7)
    wait_ended(silent + half + ssh + dripping, "the handshakes are late")
    assert timed.visit() == 200


def test_heads_have_30_s_however_they_drip(timed):
    visitors = timed.visitors()
    sockets = [visitor.socket for visitor in visitors]
    head = iter(b"GET / HTTP/1.1\r\n")
    for _ in range(7):
        byte = bytes([next(head)])
        for visitor in visitors:
            visitor.send(byte)
        timed.wait(4)
        assert all_open(sockets)
    timed.wait(HEAD_S - 26)
    wait_ended(sockets, "the heads are late")
    assert timed.visit() == 200


def test_a_second_head_has_30_s_too(timed):
    visitors = timed.visitors()
    for visitor in visitors:
        visitor.send(request_bytes("GET", DOMAIN, "/bytes/10") + b"GET / HTTP/1.1\r\nHost: a.test\r\n")
        assert visitor.reply().status == 200
    timed.wait(HEAD_S - 2)
    assert all_open([visitor.socket for visitor in visitors])
    timed.wait(4)
    wait_ended([visitor.socket for visitor in visitors], "the heads are late")


def test_who_does_not_ask_has_75_s(timed):
    fresh, served = timed.visitors(), timed.visitors()
    for visitor in served:
        assert visitor.ask("GET", "/bytes/10").status == 200
    sockets = [visitor.socket for visitor in fresh + served]
    timed.wait(IDLE_S - 5)
    assert all_open(sockets)
    timed.wait(10)
    wait_ended(sockets, "they have been idle for too long")


@pytest.mark.parametrize("framing", ["Content-Length: 6", "Transfer-Encoding: chunked"])
def test_a_body_that_drips_is_progress(timed, framing):
    whole, first = b"abcdef", f"POST /echo HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n\r\n"
    visitors = timed.visitors()
    for visitor in visitors:
        visitor.send(first)
    for at in range(len(whole)):
        timed.wait(PROGRESS_S - 20)
        for visitor in visitors:
            byte = whole[at:at + 1]
            visitor.send_chunk(byte) if "chunked" in framing else visitor.send(byte)
    for visitor in visitors:
        visitor.send(b"0\r\n\r\n" if "chunked" in framing else b"")
        assert visitor.reply("POST").status == 200
        visitor.close()
    assert [seen.body.data for seen in timed.site.seen if seen.head.method == "POST"] == [whole] * MANY


def test_a_body_that_stands_still_ends(timed):
    visitors = timed.visitors()
    for visitor in visitors:
        visitor.send("POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf")
    timed.wait(PROGRESS_S - 5)
    assert all_open([visitor.socket for visitor in visitors])
    timed.wait(10)
    wait_ended([visitor.socket for visitor in visitors], "nothing has moved")
    assert not any(seen.head.method == "POST" for seen in timed.site.seen)


def test_who_speaks_on_behind_an_early_answer_is_heard_out(timed):
    """Many programs read the answer only when they have sent all; but nobody is heard out for ever."""
    visitors = timed.visitors()

    def speak_on():
        for visitor in visitors:
            visitor.send("x")
        timed.wait(HEARD_S - 1)

    for visitor in visitors:
        visitor.send("POST /early HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(HEARD_S + 5):
        speak_on()
    for visitor in visitors[1:]:
        assert visitor.reply("POST").status == 413
        assert visitor.ended()
        visitor.close()
    del visitors[1:]
    with pytest.raises(OSError):
        for _ in range(HEARD_OUT_S + 5):
            speak_on()


def test_slow_bodies_hold_nobody_up(edge):
    """A hundred uploads that stand still, and everybody else is served at once."""
    slow = [edge.visitor() for _ in range(100)]
    for visitor in slow:
        visitor.send("POST /slow HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\nx")
    wait_until(lambda: len(edge.agent.used) >= 100, "they have come")
    began = time.monotonic()
    assert {edge.visit().status for _ in range(20)} == {200}
    assert time.monotonic() - began < limit(5)
    for visitor in slow:
        visitor.send(b"y" * 999)
    assert {visitor.reply("POST").status for visitor in slow} == {200}
    for visitor in slow:
        visitor.close()
