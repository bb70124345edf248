"""Visitors by HTTP/2 who mean harm: each is told ENHANCE_YOUR_CALM, or what else is right, before he has cost us much more
memory or CPU time than a good one; another is served meanwhile. And good ones who ask for much, who are not told so."""

from __future__ import annotations

import os
import threading

import pytest

from http1 import content_sha256
from http2 import Visitor2
from http2_raw import (ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, GOAWAY, HEADERS,
                       NO_ERROR, PADDED, PING, PREFACE, PRIORITY, PROTOCOL_ERROR, SETTINGS, SETTINGS_TIMEOUT, STREAM_CLOSED, Raw2, ask, block, field, frame,
                       opens, reset, settings)
from path import DOMAIN, fronts, private_kb
from programs import wait_until
from test_slowloris import timed

HEAD_S, UNREAD_S, IDLE_S, PROGRESS_S = 30, 60, 75, 300
GOOD_REQUESTS = 3000  # of one good visitor cost at least as much as a whole flood
MEMORY_KB = 24 * 1024
LARGE = 1_000_000_000
TICK_S = 1 / os.sysconf("SC_CLK_TCK")  # how exactly the kernel counts


def cpu_s(pid):
    """Of all its threads."""
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watch:
    """While it is open, another visitor asks now and then, and the relay's memory is looked at."""

    def __init__(self, timed):
        self.timed, self.front, self.pid, self.allowance = timed, timed.front, timed.front.relay.pid, 1
        self._at_work = threading.Lock()
        self.good_s = self._cost_of_good()

    def wait(self, seconds):
        """Not in the middle of the other one's handshake."""
        with self._at_work:
            self.timed.wait(seconds)

    def _cost_of_good(self):
        """CPU seconds of GOOD_REQUESTS, one after another, over one connection each 100."""
        before, n = cpu_s(self.pid), 20
        for _ in range(n):
            assert self.front.visit("GET", "/bytes/10").status == 200
        self.visit_s = max(cpu_s(self.pid) - before, 0.01) / n
        before, n = cpu_s(self.pid), 300
        for _ in range(n // 100):
            with Visitor2(self.front.port, self.front.root, DOMAIN) as v:
                for stream in [v.ask("GET", "/bytes/10") for _ in range(100)]:
                    assert v.reply(stream).status == 200
        return max(cpu_s(self.pid) - before, 0.01) * GOOD_REQUESTS / n

    def _look(self):
        try:
            while not self._done.wait(0.1):
                with self._at_work:
                    assert self.front.visit("GET", "/bytes/10").status == 200
                self.peak_kb = max(self.peak_kb, private_kb(self.pid))
                self.served += 1
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e

    def __enter__(self):
        self.served = 0
        self.failure, self._done = None, threading.Event()
        self.before_kb = self.peak_kb = private_kb(self.pid)
        self.before_s = cpu_s(self.pid)
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        wait_until(lambda: self.served >= 3 or self.failure, "the other visitor is served")
        self._done.set()
        self._thread.join()
        if kind:
            return
        assert not self.failure, self.failure
        used = cpu_s(self.pid) - self.before_s
        good = self.good_s * self.allowance + self.served * self.visit_s + 5 * TICK_S
        assert used < good, f"{used} s of CPU, of {good}"
        if self.front.relay.memory_kb:  # a sanitizer keeps what was freed
            assert self.peak_kb - self.before_kb < MEMORY_KB, f"{self.peak_kb - self.before_kb} kB"


@pytest.fixture
def watched(timed):
    """Without a lane: what is measured is the relay. The time of `timed` stands still unless it is set forward."""
    return Watch(timed)


def raw(watched, **how):
    return Raw2(watched.front.port, watched.front.root, **how)


# ---- frames that mean nothing ----

PAD = frame(DATA, PADDED, 1, b"\xff" + bytes(255))
FLOODS = {
    "ping": frame(PING, payload=b"pingpong"),
    "ping answers": frame(PING, ACK, payload=b"pingpong"),
    "settings": frame(SETTINGS),
    "settings acknowledged": frame(SETTINGS, ACK),
    "settings of windows": settings(_4=65535) + settings(_4=70000),
    "priority": frame(PRIORITY, stream=3, payload=b"\0\0\0\0\x10"),
    "priority of what is not there": frame(PRIORITY, stream=20001, payload=b"\0\0\0\0\x10"),
    "unknown": frame(0x42, stream=1, payload=b"x"),
    "unknown of nothing": frame(0xfa),
    "priority updates": frame(0x10, payload=b"\0\0\0\1u=1"),
    "goaway": frame(GOAWAY, payload=b"\0\0\0\0\0\0\0\0"),
    "data of nothing": frame(DATA, stream=1),
    "data of padding": PAD,
    "windows of the connection": opens(0, 1),
    "windows of a stream": opens(1, 1),
}


@pytest.mark.parametrize("name", FLOODS)
def test_frames_that_mean_nothing(watched, name):
    with watched, raw(watched) as v:
        v.send(ask(1, "/slow-read", "POST", ends=False))
        v.pour(FLOODS[name] * 50)
        assert v.goaway == (PROTOCOL_ERROR if name == "settings acknowledged" else ENHANCE_YOUR_CALM)
        v.wait_ended()


def test_continuations(watched):
    with watched, raw(watched, acknowledges=False) as v:  # which would be a frame within the field block
        v.send(frame(HEADERS, END_STREAM, 1, block()))
        v.pour(frame(CONTINUATION, 0, 1) * 50)
        assert v.goaway == ENHANCE_YOUR_CALM


def test_continuations_of_fields(watched):
    """They are never whole."""
    with watched, raw(watched, acknowledges=False) as v:
        v.send(frame(HEADERS, END_STREAM, 1, block()))
        v.pour(frame(CONTINUATION, 0, 1, field("x", "y" * 100) * 100))
        assert v.goaway == ENHANCE_YOUR_CALM


def test_settings_of_a_thousand(watched):
    with watched, raw(watched) as v:
        v.pour(frame(SETTINGS, payload=b"\0\3\0\0\0\1" * 2000))
        assert v.goaway == ENHANCE_YOUR_CALM


# ---- requests for nothing ----


def in_turn(v, piece, most=20_000):
    """piece(stream), for one stream after another, until the relay ends. How many."""
    stream = 1
    while not v.goaways and not v.ended and stream < most:
        v.send(b"".join(piece(n) for n in range(stream, stream + 20, 2)))
        stream += 20
    v.wait(lambda: v.goaways or v.ended, "the end of a flood")
    return stream // 2


def test_rapid_reset(watched, timed):
    with watched, raw(watched) as v:
        in_turn(v, lambda n: ask(n, "/slow") + reset(n))
        assert v.goaway == ENHANCE_YOUR_CALM
    assert sum(seen.head.target == "/slow" for seen in timed.site.seen) < 400


def test_rapid_reset_after_the_answer_began(watched):
    with watched, raw(watched) as v:
        stream = 1
        while not v.goaways and stream < 5000:
            v.send(ask(stream, f"/bytes/{LARGE}/1") + opens(0, 65535))
            v.wait(lambda: v.goaways or v.sizes.get(stream), "it begins")
            v.send(reset(stream))
            stream += 2
        v.wait(lambda: v.goaways, "the end of a flood")
        assert v.goaway == ENHANCE_YOUR_CALM


MADE = {
    "a window of nothing": (lambda n: ask(n, "/slow") + opens(n, 0), {ENHANCE_YOUR_CALM, PROTOCOL_ERROR}),
    "a window too large": (lambda n: ask(n, "/slow") + opens(n, 2**31 - 1), {ENHANCE_YOUR_CALM}),
    "more than its length": (lambda n: ask(n, "/slow", "POST", False, field("content-length", "1")) + frame(DATA, END_STREAM, n, b"ab"),
                             {ENHANCE_YOUR_CALM}),
    "less than its length": (lambda n: ask(n, "/slow", "POST", False, field("content-length", "9")) + frame(DATA, END_STREAM, n, b"ab"),
                             {ENHANCE_YOUR_CALM}),
    "heads of nothing": (lambda n: frame(HEADERS, END_HEADERS | END_STREAM, n), {ENHANCE_YOUR_CALM}),
    "heads in upper case": (lambda n: ask(n, "/slow", fields=field("X", "y")), {ENHANCE_YOUR_CALM}),
    "bad trailers": (lambda n: ask(n, "/slow", "POST", False) + frame(HEADERS, END_HEADERS | END_STREAM, n, field(":path", "/")),
                     {ENHANCE_YOUR_CALM}),
    "data behind the end": (lambda n: ask(n, "/slow") + frame(DATA, 0, n, b"x"), {ENHANCE_YOUR_CALM, STREAM_CLOSED}),
    "priority of itself": (lambda n: ask(n, "/slow") + frame(PRIORITY, 0, n, n.to_bytes(4, "big") + b"\0"), {ENHANCE_YOUR_CALM, PROTOCOL_ERROR}),
    "windows of what is refused": (lambda n: frame(HEADERS, END_HEADERS, n, block() + field("connection", "x")) + opens(n, 1),
                                   {ENHANCE_YOUR_CALM}),
}


@pytest.mark.parametrize("name", MADE)
def test_resets_that_are_provoked(watched, name):
    piece, codes = MADE[name]
    with watched, raw(watched, acknowledges=False) as v:
        in_turn(v, piece)
        assert v.goaway in codes


def test_more_streams_than_there_may_be(watched):
    """He has not acknowledged how many there may be: each one is refused, and he may try again; but not for ever."""
    with watched, raw(watched, acknowledges=False) as v:
        v.send(b"".join(ask(n, "/slow") for n in range(1, 401, 2)))
        v.wait(lambda: len(v.resets) == 72, "what is too much is refused")
        assert set(v.resets.values()) == {7} and not v.goaways
        stream = 401
        while not v.goaways and stream < 20_000:
            v.send(ask(stream, "/slow"))
            stream += 2
        v.wait(lambda: v.goaways, "the end of a flood")
        assert v.goaway in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR)


def test_data_for_streams_that_have_ended(watched):
    with watched, raw(watched) as v:
        v.send(ask(1, "/slow", "POST", ends=False) + reset(1))
        v.pour(frame(DATA, 0, 1, b"x") * 50)
        assert v.goaway in (ENHANCE_YOUR_CALM, STREAM_CLOSED)


# ---- heads that are larger than they look ----


def bomb(entry, times):
    """One field into the table, and then a byte for each time that it is meant."""
    return b"\x40" + entry + b"\xbe" * times


BOMBS = {
    "a long entry": bomb(b"\1x\x7f\x81\x1e" + b"y" * 3968, 4000),
    "a short entry": bomb(b"\1x\1y", 16000),
    "cookies": bomb(b"\6cookie\3a=b", 16000),
    "an empty value": bomb(b"\1x\0", 16000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_header_bombs(watched, name):
    payload = block() + BOMBS[name]
    with watched, raw(watched) as v:
        v.send(frame(HEADERS, END_STREAM, 1, payload[:16384]))
        v.send(frame(CONTINUATION, END_HEADERS, 1, payload[16384:]))
        v.wait(lambda: v.goaways or v.heads or v.ended, "it is refused")
        assert v.goaway == ENHANCE_YOUR_CALM


def test_heads_that_are_too_large_again_and_again(watched):
    """The first is answered with 431, which is a mistake that happens."""
    many = field("x", "y" * 100) * 1000

    def piece(n):
        payload = block(fields=many)
        parts = [payload[at:at + 16384] for at in range(0, len(payload), 16384)]
        return b"".join([frame(HEADERS, END_STREAM, n, parts[0]), *(frame(CONTINUATION, 0, n, part) for part in parts[1:-1]),
                         frame(CONTINUATION, END_HEADERS, n, parts[-1])])

    watched.allowance = 3  # it is the visitor who sends 20 MB
    with watched, raw(watched) as v:
        v.send(piece(1))
        v.wait(lambda: v.heads, "it is answered")
        assert not v.goaways
        stream = 3
        while not v.goaways and not v.ended and stream < 5000:
            v.send(piece(stream))
            stream += 2
        v.wait(lambda: v.goaways, "the end of a flood")
        assert v.goaway == ENHANCE_YOUR_CALM and stream < 1000


# ---- windows ----


def test_windows_opened_byte_by_byte(watched):
    with watched, raw(watched, first=settings(_4=0)) as v:
        v.send(b"".join(ask(n, f"/bytes/{LARGE}/{n}") for n in range(1, 21, 2)))
        v.wait(lambda: len(v.heads) == 10, "they are answered")
        while not v.goaways and v.frames < 10_000:
            v.send(b"".join(opens(n, 1) for n in range(1, 21, 2)))
        v.wait(lambda: v.goaways, "the end of a flood")
        assert v.goaway == ENHANCE_YOUR_CALM


def test_windows_that_are_never_opened(watched):
    """Whole responses and endless ones; what is held of them does not grow, and they are given up when nobody reads."""
    with watched, raw(watched, first=settings(_4=0)) as v:
        v.send(b"".join(ask(n, "/bytes/60000/1" if n % 4 == 1 else f"/bytes/{LARGE}/1") for n in range(1, 257, 2)))
        v.wait(lambda: len(v.heads) == 128, "they are answered")
        before, looks = cpu_s(watched.pid), watched.served
        wait_until(lambda: watched.served > looks + 1, "the memory that they take has been looked at")
        watched.wait(UNREAD_S + 10)  # PINGs are no progress
        v.send(frame(PING, payload=b"pingpong"))
        v.wait(lambda: v.goaways, "the end")
        assert v.goaway == ENHANCE_YOUR_CALM and not v.sizes
        assert cpu_s(watched.pid) - before < watched.good_s
        v.wait_ended()


def test_a_few_responses_that_are_not_read_are_given_up_alone(timed):
    with Raw2(timed.front.port, timed.front.root, first=settings(_4=0)) as v:
        v.send(ask(1, "/bytes/60000/1") + ask(3, f"/bytes/{LARGE}/1"))
        v.wait(lambda: len(v.heads) == 2, "they are answered")
        timed.wait(UNREAD_S + 10)
        v.wait(lambda: 1 in v.resets, "one is late")
        assert v.resets == {1: CANCEL}
        timed.wait(PROGRESS_S - UNREAD_S)
        v.wait(lambda: 3 in v.resets, "the other is late, too")
        v.send(settings(_4=65535) + ask(5, "/bytes/1000/1"))
        v.wait(lambda: 5 in v.whole, "he is served all the same")
        assert not v.goaways


# ---- slowness ----


@pytest.mark.parametrize("told", [PREFACE[:10], PREFACE + settings()[:5], PREFACE + settings() + ask(1)[:6]], ids=["preface", "settings", "frame"])
def test_who_does_not_get_as_far_as_a_request(watched, told):
    with watched:
        slow = [raw(watched, greets=False, acknowledges=False) for _ in range(20)]
        for at in range(len(told)):
            for v in slow:
                v.send(told[at:at + 1])
            if at % 10 == 9:
                watched.wait(1)
        watched.wait(IDLE_S - 10)
        for v in slow:
            v.turn(0)
            assert not v.goaways and not v.ended
        watched.wait(11)
        for v in slow:
            v.wait(lambda v=v: v.goaways, "the end")
            assert v.goaway in (NO_ERROR, SETTINGS_TIMEOUT)
            v.wait_ended()


def test_a_head_byte_by_byte(watched):
    """However it drips, and in however many frames: it has 30 s."""
    head = frame(HEADERS, END_STREAM, 1, block()[:5]) + b"".join(frame(CONTINUATION, 0, 1, bytes([byte])) for byte in block()[5:])
    with watched, raw(watched, acknowledges=False) as v:
        v.send(head[:14])
        for at in range(14, 24):
            v.send(head[at:at + 1])
            watched.wait(1)
        v.turn(0)
        assert not v.goaways
        watched.wait(HEAD_S - 10)
        v.wait(lambda: v.goaways, "the end")
        assert v.goaway == ENHANCE_YOUR_CALM
        v.wait_ended()


# ---- good visitors who ask for much ----


def test_100_streams_of_many_small_frames(timed):
    with Visitor2(timed.front.port, timed.front.root, DOMAIN) as v:
        streams = [v.ask("POST", "/echo", [("trailer", "x")], None) for _ in range(100)]
        for _ in range(100):
            for stream in streams:
                v.say(stream, b"message")
        for stream in streams:
            v.h2.end_stream(stream)
        v.send()
        assert all(v.reply(stream).status == 200 for stream in streams)
    assert all(seen.body.size == 700 for seen in timed.site.seen[-100:])


def test_small_pieces_down(timed):
    """An event a time, of a few bytes, each of which he acknowledges at once, with a PING besides."""
    with Visitor2(timed.front.port, timed.front.root, DOMAIN) as v:
        stream = v.ask("GET", "/events")
        for n in range(3000):
            timed.site.events.put(b"event")
            size = v.replies[stream].size
            while v.replies[stream].size == size:
                assert v.hear(), (n, v.goaways)
            v.h2.ping(b"pingpong")
            v.send()
        timed.site.events.put(None)
        assert v.reply(stream).ended


def test_pings_as_grpc_sends_them(timed):
    with Visitor2(timed.front.port, timed.front.root, DOMAIN) as v:
        assert v.get("GET", "/bytes/10").status == 200  # its SETTINGS are acknowledged
        stream = v.ask("GET", "/slow")
        for _ in range(20):
            timed.wait(10)
            v.h2.ping(b"pingpong")
            v.send()
            assert v.hear()
        timed.site.gate.set()
        assert v.reply(stream).status == 200


def test_a_browser_that_gives_up_a_page_again_and_again(timed):
    """100 pictures, of which half have come when he scrolls on."""
    with Visitor2(timed.front.port, timed.front.root, DOMAIN) as v:
        for _ in range(20):
            streams = [v.ask("GET", "/bytes/100" if n < 50 else "/slow") for n in range(100)]
            for n, stream in enumerate(streams):
                if n < 50:
                    assert v.reply(stream).status == 200
                else:
                    v.h2.reset_stream(stream, CANCEL)
            v.send()
        assert v.get("GET", "/bytes/10/1").sha256 == content_sha256(10, 1) and not v.goaways
