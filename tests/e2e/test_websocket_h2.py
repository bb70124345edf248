"""WebSockets by HTTP/2 (RFC 8441), to services that know HTTP/1.1 alone: through the whole path, and without an agent."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from clock import Clock
from http1 import content, content_sha256
from http2 import Visitor2
from path import DOMAIN, edge, edges, fronts, houses, private_kb
from programs import PATIENCE_S, environment, need, wait_until
from test_ports import up
from test_websocket import FRAME, MB, front, plain, service, switching, through, wait_unused
from upgraded import Service, ServiceProcess, WebSockets, break_off, digest_of, send_content, switching_for

NO_ERROR, PROTOCOL_ERROR, CANCEL = 0, 1, 8


def visitor(front, **how):
    return Visitor2(front.port, front.root, DOMAIN, **how)


def entries(front, n=1):
    log = front.relay.conf.parent / "visits"
    wait_until(lambda: log.exists() and len(log.read_text().splitlines()) >= n, f"{n} lines in the access log")
    return [json.loads(line) for line in log.read_text().splitlines()]


# ---- heads ----


def test_what_both_sides_see(edges):
    edge = up(edges(access_log="visits", access_log_format="json"))

    def carry(stream):
        if not (asked := stream.head()):
            return
        edge.agent.requests.append((asked, None))
        stream.send(switching_for(asked)[:-2] + b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nSec-WebSocket-Protocol: second\r\n"
                                                b"Sec-WebSocket-Extensions: permessage-deflate\r\nX-Hop: no\r\n\r\n")
        stream.send(stream.exactly(5))

    edge.agent.carry = carry
    with visitor(edge) as v:
        stream = v.open("/ws?a=b", fields=[("origin", "https://o.test"), ("sec-websocket-protocol", "first, second"),
                                           ("sec-websocket-extensions", "permessage-deflate"), ("cookie", "c=1"),
                                           ("sec-websocket-key", "mine"), ("x-forwarded-for", "1.2.3.4")])
        v.say(stream, b"hello")
        v.until(stream, 5)
        v.finish(stream)
        reply = v.reply(stream)
        assert reply.fields == [(":status", "200"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("sec-websocket-protocol", "second"),
                                ("sec-websocket-extensions", "permessage-deflate"), ("x-hop", "no")]
        assert reply.beginning == b"hello" and reply.reset is None
    ((asked, _),) = edge.agent.requests
    assert asked.first == "GET /ws?a=b HTTP/1.1"
    assert [asked.get(name) for name in ("host", "connection", "upgrade", "sec-websocket-version", "origin", "cookie",
                                         "sec-websocket-protocol", "sec-websocket-extensions", "transfer-encoding")] == [
        DOMAIN, "Upgrade", "websocket", "13", "https://o.test", "c=1", "first, second", "permessage-deflate", None]
    assert len(asked.get("sec-websocket-key")) == 24 and asked.get("sec-websocket-key") != "mine"
    assert (asked.get("x-forwarded-for"), asked.get("x-forwarded-proto")) == ("127.0.0.1", "https")
    (entry,) = entries(edge)
    assert [entry[name] for name in ("method", "path", "protocol", "status", "bytes_in", "bytes_out", "complete")] == [
        "GET", "/ws?a=b", "HTTP/2.0", 101, 5, 5, True], entry


def test_each_has_a_key_of_its_own(edge):
    edge.agent.carry = lambda stream: (edge.agent.requests.append((asked := stream.head(), None)),
                                       stream.send(switching_for(asked)), stream.read(1))
    with visitor(edge) as v:
        for _ in range(3):
            v.open()
    assert len({asked.get("sec-websocket-key") for asked, _ in edge.agent.requests}) == 3


@pytest.mark.parametrize("accept", [b"", b"Sec-WebSocket-Accept: x\r\n", b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"])
def test_a_service_that_does_not_know_the_key_is_502(edge, accept):
    switching(edge, lambda stream: stream.read(1),
              b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + accept + b"\r\n")
    with visitor(edge) as v:
        assert v.reply(v.connect()).status == 502
        edge.agent.carry = lambda stream: stream.request() and stream.answer("well again")
        assert v.get().beginning == b"well again"


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "206 Partial Content"])
def test_a_service_that_knows_no_websocket_does_not_seem_to_agree(edge, status):
    """A browser would take it for a WebSocket that is open, and the body for messages of it."""
    edge.agent.serve = lambda stream: stream.answer("" if status.startswith("204") else "\x81\x02no", status)
    with visitor(edge) as v:
        for _ in range(3):
            reply = v.reply(v.connect())
            assert reply.status == 502 and not reply.beginning.startswith(b"\x81")
        assert v.get().status == int(status[:3])


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "426 Upgrade Required", "302 Found"])
def test_any_other_answer_passes_as_it_is(edge, status):
    edge.agent.serve = lambda stream: stream.answer("no", status, "X-A: b\r\nLocation: /there\r\n")
    with visitor(edge) as v:
        for _ in range(3):
            reply = v.reply(v.connect())
            assert (reply.status, reply.beginning, dict(reply.fields)["x-a"]) == (int(status[:3]), b"no", "b")
        assert v.get().status == int(status[:3])


def test_interim_answers_come_before_it(edge):
    edge.agent.carry = lambda stream: (asked := stream.head()) and (
        stream.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + switching_for(asked) + b"x"), stream.read(1))
    with visitor(edge) as v:
        stream = v.open()
        assert v.until(stream, 1) == b"x"
        assert [dict(fields)[":status"] for fields in v.replies[stream].interim] == ["103"]


@pytest.mark.parametrize("protocol", ["connect-udp", "webtransport", "websockets"])
def test_another_protocol_is_501(edge, protocol):
    with visitor(edge) as v:
        assert v.reply(v.connect(protocol=protocol)).status == 501
        assert v.get().status == 200
    assert len(edge.agent.requests) == 1


@pytest.mark.parametrize("fields", [[("content-length", "5")], [("content-length", "0")], [("connection", "upgrade")],
                                    [("upgrade", "websocket")], [("transfer-encoding", "chunked")]])
def test_what_is_malformed_is_a_stream_error(edge, fields):
    with visitor(edge) as v:
        assert v.reply(v.connect(fields=fields)).reset == PROTOCOL_ERROR
        assert v.get().status == 200
    assert len(edge.agent.requests) == 1


@pytest.mark.parametrize("pseudo", [
    [(":method", "GET"), (":protocol", "websocket"), (":scheme", "https"), (":authority", DOMAIN), (":path", "/")],
    [(":method", "CONNECT"), (":protocol", "websocket"), (":authority", DOMAIN), (":path", "/")],
    [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", DOMAIN)],
    [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/")],
    [(":method", "CONNECT"), (":protocol", ""), (":scheme", "https"), (":authority", DOMAIN), (":path", "/")],
    [(":method", "CONNECT"), (":protocol", "websocket"), (":protocol", "websocket"), (":scheme", "https"), (":authority", DOMAIN),
     (":path", "/")],
])
def test_odd_heads_reach_no_service(edge, pseudo):
    with visitor(edge) as v:
        reply = v.reply(v.ask(pseudo=pseudo, body=None))
        assert reply.reset == PROTOCOL_ERROR or reply.status in (400, 501), reply.fields
        assert v.get().status == 200
    assert len(edge.agent.requests) == 1


def test_a_connect_to_anywhere_is_refused(edge):
    with visitor(edge) as v:
        reply = v.reply(v.ask(pseudo=[(":method", "CONNECT"), (":authority", "other.test:25")], body=None))
        assert reply.reset is not None or reply.status >= 400
        assert v.get().status == 200
    assert len(edge.agent.requests) == 1


def test_trailers_are_a_stream_error(front, service):
    with visitor(front) as v:
        stream = v.open()
        v.say(stream, b"x")
        v.until(stream, 1)
        v.h2.send_headers(stream, [("x", "y")], end_stream=True)
        v.send()
        assert v.reply(stream).reset == PROTOCOL_ERROR
    assert isinstance(service.result(), ConnectionResetError)


# ---- bytes, and their ends ----


def test_16_mb_both_ways_at_once(front, service):
    def serve(peer):
        sending = threading.Thread(target=send_content, args=(peer, FRAME, 1), daemon=True)
        sending.start()
        got = digest_of(peer, FRAME)
        sending.join(PATIENCE_S)
        return got

    service.serve = serve
    with visitor(front) as v:
        stream = v.open()
        send_content_2(v, stream, FRAME, 2)
        v.until(stream, FRAME)
        assert v.replies[stream].sha256 == content_sha256(FRAME, 1)
        assert service.result() == (FRAME, content_sha256(FRAME, 2))  # he stays until the last byte is there


def send_content_2(v, stream, n, seed):
    for piece in content(n, seed):
        v.say(stream, piece)


def test_the_visitor_may_end_first(front, service):
    def serve(peer):
        got = digest_of(peer)
        time.sleep(0.3)
        send_content(peer, 3 * MB, 4)
        return got

    service.serve = serve
    with visitor(front) as v:
        stream = v.open()
        send_content_2(v, stream, 3 * MB, 3)
        v.finish(stream)
        reply = v.reply(stream)
        assert (reply.ended, reply.reset, reply.size, reply.sha256) == (True, None, 3 * MB, content_sha256(3 * MB, 4))
    assert service.result() == (3 * MB, content_sha256(3 * MB, 3))
    wait_unused(front)


def test_the_service_may_end_first(front, service):
    def serve(peer):
        send_content(peer, 3 * MB, 6)
        peer.socket.shutdown(socket.SHUT_WR)
        return digest_of(peer)

    service.serve = serve
    with visitor(front) as v:
        stream = v.open()
        reply = v.reply(stream)
        assert (reply.ended, reply.reset, reply.sha256) == (True, None, content_sha256(3 * MB, 6))
        time.sleep(0.5)
        send_content_2(v, stream, 3 * MB, 7)
        assert reply.reset is None
        v.finish(stream)
        assert service.result() == (3 * MB, content_sha256(3 * MB, 7))
    wait_unused(front)


@pytest.mark.parametrize("leaves", [False, True])
def test_a_slow_service_gets_the_last_bytes_of_both_ends(front, service, leaves):
    """Also when the visitor's connection has ended behind them."""
    gate = threading.Event()

    def serve(peer):
        peer.socket.shutdown(socket.SHUT_WR)
        gate.wait()
        return digest_of(peer)

    service.serve = serve
    with visitor(front) as v:
        stream = v.open()
        assert v.reply(stream).ended
        sent = fill(v, stream)
        v.finish(stream)
        assert v.get().status == 200
        if leaves:
            v.socket.close()
        time.sleep(7)  # longer than a stream may take to leave
        gate.set()
        wait_until(lambda: sent in [result[0] for result in service.results if isinstance(result, tuple)], f"{sent} bytes")
    wait_unused(front)


def test_a_visitor_who_resets_is_a_reset_for_the_service(front, service):
    with visitor(front) as v:
        stream = v.open()
        v.say(stream, b"x")
        assert v.until(stream, 1) == b"x"
        v.reset(stream)
        assert isinstance(service.result(), ConnectionResetError)
        wait_unused(front)
        assert v.get().status == 200


@pytest.mark.parametrize("leave", ["close", "break_off"])
def test_a_visitor_who_leaves_is_a_reset_for_the_service(front, service, leave):
    v = visitor(front)
    stream = v.open()
    v.say(stream, b"x")
    v.until(stream, 1)
    if leave == "break_off":
        v.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    v.socket.close()
    assert isinstance(service.result(), ConnectionResetError)
    wait_unused(front)


def test_a_service_that_breaks_off_is_cancel_for_the_visitor(front, service):
    service.serve = lambda peer: peer.exactly(1) and break_off(peer)
    with visitor(front) as v:
        stream = v.open()
        v.say(stream, b"x")
        reply = v.reply(stream)
        assert (reply.ended, reply.reset) == (False, CANCEL)
        assert v.get().status == 200
    wait_unused(front)


@pytest.mark.parametrize("way", ["through", "plain"])
def test_a_service_that_is_killed(request, started, way):
    service = ServiceProcess()
    started.append(service)
    front = request.getfixturevalue(way)(service)
    with visitor(front) as v:
        stream = v.open()
        v.say(stream, b"x")
        v.until(stream, 1)
        service.kill()
        reply = v.reply(stream)
        assert reply.ended or reply.reset == CANCEL
        assert v.get().status in (502, 503)
    wait_unused(front)


def test_a_dead_lane_is_cancel_for_the_visitor(through, service):
    path = through(service)
    with visitor(path) as v:
        stream = v.open()
        v.say(stream, b"x")
        v.until(stream, 1)
        os.kill(path.session().sshd, signal.SIGKILL)
        assert v.reply(stream).reset == CANCEL
    assert isinstance(service.result(), ConnectionResetError)


def test_a_service_that_is_gone_altogether_ends_the_stream(front, service):
    """Its last words arrive, and then the visitor is told that nobody listens to his any more."""
    service.serve = lambda peer: peer.exactly(1) and peer.send("bye")
    with visitor(front) as v:
        stream = v.open()
        v.say(stream, b"x")
        reply = v.reply(stream)
        assert (reply.ended, reply.beginning) == (True, b"bye")
        wait_until(lambda: reply.reset is not None or (v.say(stream, b"y"), time.sleep(0.05), v.get(), False)[-1], "RST_STREAM")
        assert reply.reset in (NO_ERROR, CANCEL)
    wait_unused(front)


# ---- one that stands still ----


def fill(v, stream):
    """Says as much as is taken, until nothing moves any more."""
    sent, still = 0, 0
    while still < 10:
        room = min(16384, v.h2.local_flow_control_window(stream))
        if room:
            v.say(stream, b"x" * room)
            sent, still = sent + room, 0
        else:
            time.sleep(0.1)
            assert v.get().status == 200  # which takes what has come meanwhile
            still += 1
    return sent


def test_a_service_that_does_not_read_stops_its_own_stream_alone(front, service):
    gate = threading.Event()
    service.serve = lambda peer: gate.wait() and digest_of(peer)
    before = private_kb(front.relay.pid)
    with visitor(front) as v:
        stream = v.open()
        sent = fill(v, stream)
        assert sent < 13 * MB, "it stands still"
        assert front.relay.memory_kb == 0 or private_kb(front.relay.pid) - before < 8192
        assert v.get("GET", "/").status == 200
        gate.set()
        v.say(stream, b"x" * (20 * MB - sent))
        v.finish(stream)
        assert v.reply(stream).ended
    assert (20 * MB) in [result[0] for result in service.results if isinstance(result, tuple)]


def test_a_visitor_who_does_not_read_stops_his_own_stream_alone(front, service):
    sent = [0]

    def serve(peer):
        for _ in range(400):
            peer.send(b"x" * 100_000)
            sent[0] += 100_000

    service.serve = serve
    before = private_kb(front.relay.pid)
    with visitor(front) as v:
        stream = v.connect()
        v.stalled.add(stream)
        wait_until(lambda: (v.get("GET", "/").status, sent[0], time.sleep(0.7))[1] == sent[0] > 0, "a standstill")
        assert v.get("GET", "/").status == 200
        assert sent[0] < 30 * MB
        assert front.relay.memory_kb == 0 or private_kb(front.relay.pid) - before < 8192
        v.stalled.discard(stream)
        v.h2.increment_flow_control_window(40 * MB, stream)
        v.send()
        reply = v.reply(stream)
        assert (reply.ended, reply.size) == (True, 40 * MB)


# ---- for as long as they like ----


def test_no_deadline_applies(plain, folder):
    """The relay's clock jumps by more than any of its deadlines; an idle connection does not survive that."""
    clock = Clock(folder)
    front = plain(start=False)
    front.relay.start(env=clock.environment, **front.spawning())
    with visitor(front) as v, visitor(front) as idle:
        stream = v.open()
        v.say(stream, b"before")
        v.until(stream, 6)
        assert idle.get().status == 200
        clock.wait(400)
        assert idle.end()[-1][0] == NO_ERROR  # which shows that the relay has noticed
        time.sleep(6)  # longer than between two looks
        v.say(stream, b"after")
        v.until(stream, 11)
        v.finish(stream)
        assert v.reply(stream).ended


def test_a_drain_ends_them_in_the_end(through, service):
    path = through(service, drain="2s")
    with visitor(path) as v:
        stream = v.open()
        path.relay.send(signal.SIGTERM)
        time.sleep(0.5)
        v.say(stream, b"still")
        v.until(stream, 5)
        v.end()
    assert path.relay.wait() == 0


# ---- real servers and clients ----


@pytest.fixture
def sockets(started):
    started.append(WebSockets())
    return started[-1]


def message(data, opcode=1):
    """A frame of RFC 6455 as clients send it, with a mask that changes nothing."""
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data)) if len(data) < 65536 \
        else b"\xff" + struct.pack(">Q", len(data))
    return bytes([0x80 | opcode]) + size + bytes(4) + data


def test_1000_idle_at_once(through, sockets):
    """50 each over 20 connections."""
    path = through(sockets, lanes=2)
    assert path.visit("GET", "/").status == 426
    before = private_kb(path.relay.pid)
    visitors = [visitor(path) for _ in range(20)]
    streams = [(v, v.open()) for _ in range(50) for v in visitors]
    assert path.streams() == 1000
    echo_all(streams, 1)
    time.sleep(3)
    each_kb = (private_kb(path.relay.pid) - before) / 1000
    print(f"the relay's private memory per idle WebSocket by HTTP/2: {each_kb:.1f} kB")
    assert path.relay.memory_kb == 0 or each_kb < 40
    echo_all(streams, 2)
    for v, stream in streams:
        v.say(stream, message(struct.pack(">H", 1000), 8))
    for v, stream in streams:
        assert v.reply(stream).ended
    for v in visitors:
        v.socket.close()
    wait_unused(path)
    wait_until(lambda: len(sockets.closed) == 1000, "the site has noted each end")
    assert [code for code, _ in sockets.closed] == [1000] * 1000


def echo_all(streams, times):
    for v, stream in streams:
        v.say(stream, message(b"hello"))
    for v, stream in streams:
        assert v.until(stream, 7 * times)[-7:] == b"\x81\x05hello"


def test_node(houses, started, folder):
    """Node's client has its own idea of the rules: it refuses to ask before it has seen the setting."""
    server = WebSockets()
    started.append(server)
    house = houses({"ws.test": server.url})
    seen = subprocess.run([need("node"), Path(__file__).parent / "websocket_h2.js"], capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False,
                          env=environment(PORT=str(house.port), NODE_EXTRA_CA_CERTS=str(house.root), HOME=str(folder)))
    assert seen.returncode == 0, seen.stderr
    seen = json.loads(seen.stdout)
    assert seen == {"setting": True, "status": 200, "protocol": "second", "accept": None, "echo": "hello from node", "code": 1000,
                    "ended": True}
