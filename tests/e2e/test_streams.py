"""Whoever listens on a lane's port, or connects to it, and cannot prove itself gets nothing of any visitor."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from fake_agent import SIGNATURE
from http1 import Peer
from path import DOMAIN, edge, edges, fronts, path
from programs import PATIENCE_S, wait_until

TOLD = "a stream was answered by a stranger"


# ---- strangers at the agent's end ----


def wrong_opening():
    """As the relay would send it, but made with another secret."""
    return SIGNATURE + b"\x20\x00\x00\x31\xe0\x00\x08" + os.urandom(8) + b"\xe1\x00\x10" + os.urandom(16) + \
        b"\xe2\x00\x10" + os.urandom(16)


def heard_by_stranger(port, said, end):
    """Everything that comes back until the other side ends the connection."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as s:
        s.sendall(said)
        if end:
            s.shutdown(socket.SHUT_WR)
        try:
            return s.recv(1)
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", SIGNATURE, wrong_opening(), bytes(65),
                                  wrong_opening() + b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", b""],
                         ids=["http", "signature", "wrong", "zeros", "wrong-and-http", "nothing"])
@pytest.mark.parametrize("end", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_stranger_on_the_port_gets_nothing(path, said, end):
    assert path.visit("GET", "/echo").status == 200
    before = path.site.connections
    assert heard_by_stranger(path.session().port, said, end) == b""
    assert path.visit("GET", "/echo").status == 200
    # The kept one served the visitor, unless 5 s have gone; the stranger reached nobody.
    assert path.site.connections <= before + (0 if end else 1)


def test_strangers_do_not_disturb_visitors(path):
    strangers = [socket.create_connection(("127.0.0.1", path.session().port), PATIENCE_S) for _ in range(50)]
    for n, stranger in enumerate(strangers):
        stranger.sendall(wrong_opening()[:n])
    with path.visitor() as visitor:
        for n in range(50):
            assert visitor.ask("POST", "/echo", body=b"%d" % n).status == 200
    for stranger in strangers:
        stranger.close()
    assert len(path.site.seen) == 50


# ---- strangers at the relay's end ----


class Thief:
    """Listens on a port that was a lane's, records what comes and answers it."""

    def __init__(self, port, answer):
        self.heard, self.answer = [], answer
        self.server = wait_until(lambda: self._bind(port), f"port {port} is free")
        threading.Thread(target=self._accept, daemon=True).start()

    def _bind(self, port):
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            return None

    def _accept(self):
        while True:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            self.heard.append(bytearray())
            threading.Thread(target=self._hear, args=(sock, self.heard[-1]), daemon=True).start()

    def _hear(self, sock, heard):
        with sock:
            try:
                sock.sendall(self.answer)
                while piece := sock.recv(65536):
                    heard += piece
            except OSError:
                pass

    def wait_65(self):
        wait_until(lambda: self.heard and len(self.heard[-1]) == 65, "an opening")

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        assert all(len(heard) in (0, 65) for heard in self.heard), [bytes(heard) for heard in self.heard]


THIEVES = [b"", bytes(15), bytes(16), bytes(17), b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"]


@pytest.mark.parametrize("answer", [pytest.param(THIEVES[0], marks=pytest.mark.slow), *THIEVES[2:]])
def test_a_thief_of_a_freed_port_gets_no_visitor(edge, answer):
    """The lane's conversation lives, so the relay believes in the port; but another process listens there now."""
    edge.agent.close_port()
    with Thief(edge.agent.port, answer) as thief:
        for stream in edge.agent.streams:
            stream.drop()
        assert edge.visit("POST", "/secret", body=b"secret").status == 503
        thief.wait_65()
    assert edge.agent.requests == []
    assert not answer or TOLD in edge.relay.log()


def test_a_thief_cannot_use_an_answer_that_was_right_once(edge):
    used = edge.agent.streams[0]
    edge.agent.close_port()
    with Thief(edge.agent.port, used.right) as thief:
        for stream in edge.agent.streams:
            stream.drop()
        assert edge.visit().status == 503
        thief.wait_65()


def is_stopped(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_thief_is_faster_than_the_relay(path):
    """The SSH session is gone, its tunnel-lane stopped before it could tell, and the port is bound by another process. The
    agent is stopped too: its next session would end the relay's belief in the port."""
    assert path.visit("GET", "/echo").status == 200
    session = path.session()
    os.kill(session.lane, signal.SIGSTOP)
    path.agent.send(signal.SIGSTOP)
    wait_until(lambda: is_stopped(session.lane) and is_stopped(path.agent.pid), "both stand still")
    try:
        os.kill(session.sshd, signal.SIGKILL)
        with Thief(session.port, bytes(16)) as thief:
            replies = [path.visit("GET", "/echo", "X-Visitor: secret\r\n") for _ in range(10)]
            wait_until(lambda: thief.heard, "the thief is asked")
            # The agent's new lane may be there already.
            assert all(r.status == 503 or r.status == 200 and b"X-Visitor: secret" in r.body.data for r in replies)
    finally:
        path.agent.send(signal.SIGCONT)
        with contextlib.suppress(ProcessLookupError):
            os.kill(session.lane, signal.SIGKILL)
    wait_until(lambda: path.visit("GET", "/echo").status == 200, "the site works again")


# ---- warm ones ----


@pytest.mark.slow
def test_more_are_warm_while_many_are_asked_for(edge):
    """Two at first, sixteen at most, and fewer again when ten seconds have seen no visitor wait."""
    gate = threading.Event()
    edge.agent.serve = lambda stream: gate.wait(PATIENCE_S) and stream.answer("late")

    def warm():
        return sum(stream.answered and stream.item is None and stream.socket.fileno() >= 0 for stream in edge.agent.streams)

    wait_until(lambda: warm() == 2, "two streams are warm")
    visitors = [edge.visitor() for _ in range(60)]
    for visitor in visitors:
        visitor.send(f"POST / HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: 0\r\n\r\n")
    wait_until(lambda: len(edge.agent.requests) == 60 and warm() == 16, "sixteen are warm beside those in use")
    assert sum(stream.answered for stream in edge.agent.streams) == 76
    gate.set()
    assert [visitor.reply("POST").body.data for visitor in visitors] == [b"late"] * 60
    wait_until(lambda: warm() < 16, "fewer are warm")
    for visitor in visitors:
        visitor.close()


# ---- openings and answers ----


def test_every_opening_is_another(edge):
    edge.agent.serve = lambda stream: stream.answer(fields="Connection: close\r\n")
    with edge.visitor() as visitor:
        for _ in range(5):
            assert visitor.ask("POST").status == 200
    wait_until(lambda: len(edge.agent.streams) >= 7 and all(stream.id for stream in edge.agent.streams),
               "all openings have come, and two more are warm")
    ids = [int(stream.id, 16) for stream in edge.agent.streams]
    assert len({stream.opening[27:46] for stream in edge.agent.streams}) == len(ids) >= 7  # what is random in each
    assert sorted(ids) == list(range(min(ids), min(ids) + len(ids))) and min(ids) > 1000


@pytest.mark.parametrize("reply", ["wrong", "longer"])
def test_a_wrong_answer_ends_the_stream(edge, reply):
    wait_until(lambda: [stream.answered for stream in edge.agent.streams] == [True] * 2, "two streams are warm")
    edge.agent.reply = reply
    edge.agent.serve = lambda stream: stream.answer("as it should be", fields="Connection: close\r\n")
    with edge.visitor() as visitor:
        for _ in range(2):  # were warm before
            assert visitor.ask("POST", body=b"secret").body.data == b"as it should be"
        assert visitor.ask("POST", body=b"secret").status == 503
    edge.agent.reply = "right"
    wait_until(lambda: edge.visit("POST", body=b"secret").status == 200, "the relay has a right answer")
    assert TOLD in edge.relay.log()
    assert len(edge.agent.used) == 3


@pytest.mark.parametrize("reply", ["wrong", "longer"])
def test_a_lane_is_up_after_the_first_right_answer(edges, reply):
    edge = edges()
    edge.agent.reply = reply
    edge.agent.start()
    wait_until(lambda: TOLD in edge.relay.log(), "the relay tells of a stranger")
    assert edge.lane_states() == ["opening"]
    assert edge.visit().status == 503
    edge.agent.reply = "right"
    edge.agent.greet()
    edge.wait_up()
    assert edge.visit().status == 200


@pytest.mark.slow
def test_nothing_follows_an_opening_before_its_answer(edge):
    """Two visitors use up what was warm; the third one's stream has no answer."""
    gate = threading.Event()
    edge.agent.serve = lambda stream: gate.wait() and stream.answer("late")
    wait_until(lambda: [stream.answered for stream in edge.agent.streams] == [True] * 2, "two streams are warm")
    edge.agent.reply = "none"
    visitors = [edge.visitor() for _ in range(3)]
    for n, visitor in enumerate(visitors, 1):
        visitor.send(f"GET / HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n")
        wait_until(lambda: len(edge.agent.streams) >= 2 + n, "a further stream is opened")
    assert visitors[2].reply().status == 503  # after 10 s
    assert len(edge.agent.used) == len(edge.agent.requests) == 2
    assert edge.lane_states() == ["busy"]  # and not dead
    assert "a visitor waits, and a lane does not answer" in edge.relay.log()
    gate.set()
    assert [visitor.reply().body.data for visitor in visitors[:2]] == [b"late"] * 2
    for visitor in visitors:
        visitor.close()
    edge.agent.reply = "right"
    assert edge.visit("POST").status == 200
    wait_until(lambda: edge.lane_states() == ["up"], "the lane is up again")


@pytest.mark.slow
def test_a_lane_that_was_too_busy_at_first_comes_up_later(edges):
    """Nobody answered the first openings in time. The relay tries again by itself."""
    edge = edges()
    edge.agent.reply = "none"
    edge.agent.start()
    wait_until(lambda: edge.agent.streams and all(s.socket.fileno() < 0 for s in edge.agent.streams), "10 s have gone")
    edge.agent.reply = "right"
    edge.wait_up()
    assert edge.visit().status == 200


def test_a_new_welcome_replaces_the_secret(edge):
    old, before = edge.agent.secret, len(edge.agent.streams)
    edge.agent.greet()
    assert edge.agent.secret != old
    edge.wait_up()
    assert edge.visit().status == 200
    assert edge.agent.used[0] not in edge.agent.streams[:before]
    wait_until(lambda: all(s.socket.fileno() < 0 for s in edge.agent.streams[:before]), "the old ones are closed")


def test_a_port_that_cannot_be_a_lanes_is_refused(edges):
    edge = edges()
    edge.agent.port = edge.port  # the relay would connect to itself
    edge.agent.join()
    edge.agent.say("hello", v=1, boot=edge.agent.boot, lane=1, port=edge.port, version="0")
    assert "port" in edge.agent.wait_heard("error")["why"]


def test_what_is_consumed_counts_for_the_next_request_too(edge):
    """The agent's word comes when the stream has been given back already."""
    edge.agent.serve = lambda stream: stream.answer()
    with edge.visitor() as visitor:
        for _ in range(8):
            assert visitor.ask("PUT", body=bytes(200_000)).status == 200
    assert len(edge.agent.used) == 1


def test_a_long_line_is_filled_and_a_slow_service_is_not(edge):
    """What is on a long line is not what its service has not taken; what a slow service has not taken is."""
    for line_s, least, most in (0.1, 1 << 20, 2 << 20), (2.0, 1, 256 << 10):
        edge.agent.line_s = line_s
        with edge.visitor() as visitor:
            assert visitor.ask("PUT", body=bytes((12 if line_s < 1 else 1) << 20)).status == 200
        assert least <= edge.agent.used[-1].most_untold <= most, line_s
        edge.agent.used[-1].drop()
