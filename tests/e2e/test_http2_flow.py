"""Backpressure by HTTP/2, each stream for itself and all in bounded memory; trailers; limits; and how a connection ends
when the relay is reloaded or stops."""

from __future__ import annotations


import contextlib
import socket
import threading
import time

import pytest

from http1 import content, content_sha256
from http2 import Visitor2
from http2_raw import CANCEL, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, Raw2, ask, opens, settings
from path import DOMAIN, WholePath, edge, edges, fronts, path, private_kb
from programs import PATIENCE_S, wait_until
from test_ports import up
from test_slowloris import timed
from visitor import connect, context
from website import Site

MB, HUGE, MANY = 1_000_000, 1_000_000_000, 100
HINTS = 100 * MB
MEMORY_KB = 64 * 1024


def visitor(front, **how):
    return Visitor2(front.port, front.root, DOMAIN, **how)


# ---- who does not read ----


class Deaf(Site):
    """At /both it answers before it has read the body, of which it reads nothing, with a body that is as long; at /hints with
    1xx, and never with more."""

    def __init__(self):
        super().__init__()
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # the kernel's part is not what is looked at

    hints_bytes = 0  # said so far

    def _hint(self, peer):
        hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n" * 500
        while self.hints_bytes < HINTS:
            peer.send(hints)
            self.hints_bytes += len(hints)
        return False

    def _answer(self, peer, number, head):
        if head.target == "/hints":
            return self._hint(peer)
        if head.target != "/both":
            return super()._answer(peer, number, head)
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {HUGE}\r\n\r\n")
        self._send_content(peer, HUGE, 1)
        return False


class DeafPath(WholePath):
    def _make_site(self):
        return Deaf()


@pytest.fixture
def deaf(daemons, started, folder):
    made = DeafPath(daemons, started, folder, lanes=2)
    yield made
    made.close()


def fill(v, streams):
    """Sends as much as the windows allow, until they have not for a second. How much that was."""
    data, total, moved_at = bytes(16384), 0, time.monotonic()
    while time.monotonic() - moved_at < 1:
        for stream in streams:
            while v.replies[stream].reset is None and (room := min(v.h2.local_flow_control_window(stream), len(data))):
                v.h2.send_data(stream, data[:room])
                total, moved_at = total + room, time.monotonic()
            v.send()
        v.socket.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            v.hear()
        v.socket.settimeout(PATIENCE_S)
    return total


@pytest.mark.parametrize("target", [f"/bytes/{HUGE}/1", "/slow-read", "/both"])
def test_100_stalled_streams_of_one_connection(deaf, target):
    assert deaf.visit("GET", "/bytes/1000").status == 200
    before_kb = private_kb(deaf.relay.pid)
    with visitor(deaf) as v:
        uploads = target != f"/bytes/{HUGE}/1"
        length = [("content-length", str(HUGE))] if uploads else []
        streams = [v.ask("PUT" if uploads else "GET", target, length, None if uploads else b"") for _ in range(MANY)]
        v.stalled.update(streams)
        sent = fill(v, streams if uploads else [])
        assert sent > MANY * 200_000 or not uploads
        assert all(v.replies[stream].size <= 65535 for stream in streams)
        if target == "/both":
            while not all(v.replies[stream].size or v.replies[stream].reset is not None for stream in streams):
                assert v.hear()  # some may have been the fattest, beyond max_buffered
        # Another one of the same connection, and of another.
        assert v.get("GET", f"/bytes/{MB}/3").sha256 == content_sha256(MB, 3)
        assert v.get("PUT", "/echo", (), b"x" * 50_000).status == 200
        assert deaf.visit("GET", "/bytes/1000").body.size == 1000
        if deaf.relay.memory_kb:  # a sanitizer keeps what was freed
            used_kb = private_kb(deaf.relay.pid) - before_kb
            assert used_kb < MEMORY_KB, f"{used_kb} kB"
        assert set(deaf.lane_states()) == {"up"} and not v.goaways
    wait_until(lambda: deaf.streams() == 0, "all streams are gone")
    assert deaf.visit("GET", "/bytes/1000").body.size == 1000


def test_interim_answers_without_end_are_held_back(deaf):
    assert deaf.visit("GET", "/bytes/1000").status == 200
    before = private_kb(deaf.relay.pid)
    with Raw2(deaf.port, deaf.root) as v:
        v.socket.send(ask(1, "/hints"))  # and reads nothing any more
        wait_until(lambda: deaf.site.hints_bytes > 0, "it is answered")
        last, moved_at = 0, time.monotonic()
        while time.monotonic() - moved_at < 2 and deaf.site.hints_bytes < HINTS:
            if deaf.site.hints_bytes != last:
                last, moved_at = deaf.site.hints_bytes, time.monotonic()
            time.sleep(0.1)
        assert deaf.site.hints_bytes < HINTS, "the service was never made to wait"
        if deaf.relay.memory_kb:  # a sanitizer keeps what was freed
            assert private_kb(deaf.relay.pid) - before < MEMORY_KB
        until = time.monotonic() + 30
        while deaf.site.hints_bytes == last and time.monotonic() < until:
            v.turn(0.1)
        assert deaf.site.hints_bytes > last, "it goes on when it is read"


def test_an_upload_to_a_service_without_a_lane_is_held_back(timed):
    """What the service does not read waits with the visitor."""
    with visitor(timed.front) as v:
        stream = v.ask("PUT", "/slow-read", [("content-length", str(20 * MB))], None)
        fill(v, [stream])
        assert v.h2.local_flow_control_window(stream) == 0
        v.h2.reset_stream(stream, CANCEL)
        v.send()
        timed.site.gate.set()
        assert v.get("PUT", "/echo", (), b"".join(content(8 * MB, 5))).status == 200
    assert timed.site.seen[-1].body.sha256 == content_sha256(8 * MB, 5)


# ---- trailers ----


def test_trailers_of_requests(edge):
    """Behind a body of known length they go on where they are announced; HTTP/1.1 has no other place for them."""
    trailers = [("x-sum", "42")]
    with visitor(edge) as v:
        for fields in ([], [("trailer", "x-sum"), ("content-length", "4")], [("content-length", "4")]):
            assert v.get("POST", "/", fields, b"body", trailers).status == 200
    seen = [(body.data, body.trailers.lower(), head.get("content-length")) for head, body in edge.agent.requests]
    assert seen == [(b"body", b"x-sum: 42\r\n", None), (b"body", b"x-sum: 42\r\n", None), (b"body", b"", "4")]


def test_a_length_that_is_wrong_is_found_though_it_went_on_in_chunks(edge):
    with visitor(edge) as v:
        fields = [("trailer", "x"), ("content-length", "5")]
        assert v.get("POST", "/", fields, b"four", [("x", "1")]).reset == PROTOCOL_ERROR
        assert v.get().status == 200
    assert not any(body.size == 4 for _, body in edge.agent.requests)


@pytest.mark.parametrize("body, told", [("", b""), ("4\r\nbody\r\n", b"body")])
def test_trailers_of_responses(edge, body, told):
    """As gRPC has them; also where there is no body, and where there is not even a chunk."""
    edge.agent.serve = lambda s: s.send("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n"
                                        f"Trailer: Grpc-Status\r\n\r\n{body}0\r\nGrpc-Status: 5\r\nGrpc-Message: no\r\n\r\n")
    with visitor(edge) as v:
        reply = v.get("POST", "/", [("te", "trailers")], b"message")
        assert (reply.status, reply.beginning, reply.trailers) == (200, told, [("grpc-status", "5"), ("grpc-message", "no")])


def test_trailers_alone(edge):
    edge.agent.serve = lambda s: s.send("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Status: 12\r\nContent-Length: 0\r\n\r\n")
    with Raw2(edge.port, edge.root) as v:
        v.send(ask(1))
        v.wait(lambda: 1 in v.whole, "it is answered")
        assert v.frames == 0  # the end stands in the head


# ---- ends ----


def test_a_service_that_dies_in_a_chunk(edge):
    def serve(s):
        s.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe")
        s.end("reset")

    edge.agent.serve = serve
    with Raw2(edge.port, edge.root) as v:
        v.send(ask(1))
        v.wait(lambda: v.resets, "it is reset")
        assert v.resets == {1: INTERNAL_ERROR} and not v.whole


def test_a_reset_in_the_middle_of_an_upload(path):
    with visitor(path) as v:
        stream = v.ask("POST", "/slow-read", body=None)
        v.say(stream, b"x" * 50_000)
        wait_until(lambda: path.site.connections, "it has reached the service")
        v.h2.reset_stream(stream, CANCEL)
        v.send()
        path.site.gate.set()
        wait_until(lambda: path.streams() == 0, "its stream is gone")
        assert v.get("GET", "/echo").status == 200
    assert not any(seen.head.target == "/slow-read" for seen in path.site.seen), "no body that is cut off looks whole"


# ---- limits ----


def test_limits_are_told(edges):
    edge = up(edges(max_header="10k"))
    with visitor(edge) as v:
        assert v.get().status == 200
        told = v.h2.remote_settings
        assert (told.max_concurrent_streams, told.max_header_list_size, told.initial_window_size) == (128, 10240, 262144)
        assert v.get("GET", "/", [(f"x-{n}", "y" * 1000) for n in range(11)]).status == 431
        assert v.get("GET", "/", [(f"x-{n}", "y" * 1000) for n in range(9)]).status == 200


def test_the_129th_request_at_once(timed):
    """Before he knows of the limit it is refused in a way that lets him ask again; afterwards he should know."""
    with Raw2(timed.front.port, timed.front.root, acknowledges=False) as v:
        v.send(b"".join(ask(n, "/slow") for n in range(1, 259, 2)))
        v.wait(lambda: v.resets, "one is refused")
        assert v.resets == {257: REFUSED_STREAM}
        timed.site.gate.set()
        v.wait(lambda: len(v.whole) == 128, "the others are served")
        v.send(ask(259, "/bytes/10"))
        v.wait(lambda: 259 in v.whole, "and he may go on")
    assert not v.goaways


# ---- reload and stop ----


def rewrite(front, before, after):
    front.relay.conf.write_text(front.relay.conf.read_text().replace(before, after))
    assert front.relay.post("/v1/reload").status == 200


def test_turned_off_by_reload(daemons, started, folder):
    """What is under way is finished; who comes then hears of HTTP/1.1 alone."""
    path = WholePath(daemons, started, folder, http2="on")
    with visitor(path) as busy, visitor(path) as idle:
        assert idle.get("GET", "/echo").status == 200
        slow = busy.ask("GET", "/slow")
        wait_until(lambda: path.site.seen, "the site has seen it")
        rewrite(path, "http2 = on", "http2 = off")
        assert idle.end() == [(NO_ERROR, 2**31 - 1), (NO_ERROR, 1)]
        while len(busy.goaways) < 2:
            assert busy.hear()
        path.site.gate.set()
        assert busy.reply(slow).status == 200
        busy.end()
        with connect(path.port, context(path.root, ("h2", "http/1.1")), DOMAIN) as sock:
            assert sock.selected_alpn_protocol() == "http/1.1"
    path.close()


def test_a_reload_that_changes_nothing_of_it_ends_nothing(path):
    with visitor(path) as v:
        assert v.get("GET", "/echo").status == 200
        for n in range(20):
            rewrite(path, "park = 0s", f"park = {n}s") if n == 0 else rewrite(path, f"park = {n - 1}s", f"park = {n}s")
            assert v.get("GET", f"/bytes/1000/{n}").sha256 == content_sha256(1000, n)
        assert not v.goaways


def test_drain_is_no_longer_than_it_may_be(daemons, started, folder):
    """The answer that does not come is cut off, and does not look whole."""
    path = WholePath(daemons, started, folder, drain="1s")
    with Raw2(path.port, path.root) as v:
        v.send(ask(1, "/slow"))
        wait_until(lambda: path.site.seen, "the site has seen it")
        stopping = threading.Thread(target=path.relay.stop)
        stopping.start()
        v.wait_ended()
        stopping.join()
        assert [code for code, _ in v.goaways] == [NO_ERROR] and not v.whole
    path.close()


def test_what_nobody_reads_counts_as_held(daemons, started, folder):
    """Responses that are whole, so that no service waits for them, on a connection whose windows stay shut."""
    path = WholePath(daemons, started, folder, max_buffered="2m")
    with Raw2(path.port, path.root, first=settings(_4=0)) as v:
        v.send(b"".join(ask(n, "/bytes/60000/1") for n in range(1, 161, 2)))
        v.wait(lambda: len(v.resets) * 60_000 >= 80 * 60_000 - 2 * 1024 * 1024, "there is too much of it")
        assert set(v.resets.values()) <= {CANCEL} and "a response that nobody read was given up" in path.relay.log()
        assert not v.sizes and path.visit("GET", "/bytes/1000").body.size == 1000
        v.send(settings(_4=65535) + opens(0, 2 << 20))
        v.wait(lambda: len(v.resets) + len(v.whole) == 80, "the others can be read")
        assert len(v.whole) > 10 and not v.goaways


def test_a_visitor_who_reads_is_not_given_up(daemons, started, folder):
    """Slowly, and others hold too much: but nothing of his stands still."""
    path = WholePath(daemons, started, folder, max_buffered="1m")
    with Raw2(path.port, path.root, first=settings(_4=0)) as v:
        v.send(b"".join(ask(n, "/bytes/60000/1") for n in range(1, 81, 2)))
        v.wait(lambda: len(v.heads) == 40, "they are answered")
        v.send(opens(0, 4 << 20))
        for _ in range(12):
            v.send(b"".join(opens(n, 1000) for n in range(1, 81, 2)))
            time.sleep(0.5)
        assert not v.resets and not v.goaways
        v.send(b"".join(opens(n, 60000) for n in range(1, 81, 2)))
        v.wait(lambda: len(v.whole) == 40, "all are whole")
