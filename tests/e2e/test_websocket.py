"""WebSocket and other upgrades: after the 101 bytes go both ways, unchanged, for as long as both sides like."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import socket
import threading
import time

import pytest

from clock import Clock
from fake_agent import FakeAgent
from http1 import Cut, content_sha256
from path import edge, edges, fronts, private_kb
from programs import PATIENCE_S, limit, wait_until
from test_upstream import add_domain, reload
from upgraded import (ASKING, SWITCHING, Service, ServiceProcess, Through, WebSockets, break_off, digest_of, end_with_fin,
                      extensions_of, has_fin, is_reset, send_and_receive, send_content, upgrade)
from visitor import request_bytes
from website import notify

MB = 1_000_000
FRAME = 16 * 1024 * 1024


@pytest.fixture
def service(started):
    started.append(Service())
    return started[-1]


@pytest.fixture
def plain(fronts, service):
    """plain() is a relay with an upstream and no agent."""

    def make(service=service, start=True, **keys):
        front = fronts("other.test", **keys)
        add_domain(front, f"127.0.0.1:{service.port}")
        if start:
            front.start_relay()
        return front

    return make


@pytest.fixture
def through(daemons, started, folder):
    """through(service) is the whole path to it."""
    made = []

    def make(service, **keys):
        made.append(Through(service, daemons, started, folder, **keys))
        return made[-1]

    yield make
    for path in made:
        path.close()


@pytest.fixture(params=["lane", "plain"])
def front(request, service):
    """Either way to the raw service."""
    return request.getfixturevalue("through")(service) if request.param == "lane" else request.getfixturevalue("plain")()


def switching(edge, then=lambda stream: None, head=SWITCHING):
    """Lets the service behind the fake agent read a request's head, answer it with this one, and go on with `then`."""

    def carry(stream):
        asked = stream.head()
        if not asked:
            return
        edge.agent.requests.append((asked, None))
        stream.send(head)
        then(stream)

    edge.agent.carry = carry


def echo(stream):
    while piece := stream.read(65536):
        stream.send(piece)


# ---- heads ----


def test_both_sides_see_the_upgrade(edge):
    switching(edge, echo, b"HTTP/1.1 101 Fine\r\nupgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\nX-Hop: no\r\n"
                          b"connection: x-hop, UPGRADE\r\nKeep-Alive: 5\r\n\r\n")
    with edge.visitor() as visitor:
        visitor.send("GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, X-Hop, upgrade\r\nX-Hop: no\r\n"
                     "Upgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\nOrigin: o\r\n\r\n")
        answer = visitor.head()
        assert answer.first == "HTTP/1.1 101 Fine"
        assert [answer.get(name) for name in ("connection", "upgrade", "sec-websocket-accept", "x-hop", "keep-alive",
                                              "content-length")] == ["Upgrade", "WebSocket", "x", None, None, None]
        visitor.send("hello")
        assert visitor.exactly(5) == b"hello"
    asked, _ = edge.agent.requests[0]
    assert [asked.get(name) for name in ("connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "origin",
                                         "x-hop")] == ["Upgrade", "websocket", "k", "13", "o", None]
    assert asked.get("x-forwarded-for") == "127.0.0.1" and len(asked.get("x-request-id")) == 32


@pytest.mark.parametrize("request_", [
    "GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: Upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: H2C\r\nHTTP2-Settings: AAA\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
])
def test_what_is_no_upgrade_is_an_ordinary_request(edge, request_):
    with edge.visitor() as visitor:
        for _ in range(2):
            visitor.send(request_)
            assert visitor.reply().status == 200
    for head, _ in edge.agent.requests:
        assert [head.get(name) for name in ("connection", "upgrade", "http2-settings")] == [None] * 3


def test_an_upgrade_needs_neither_get_nor_websocket(edge):
    switching(edge, echo, SWITCHING.replace(b"raw", b"b/2"))
    with edge.visitor() as visitor:
        visitor.send("POST / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: a, h2c , B/2\r\n"
                     "Content-Length: 0\r\n\r\nmine")
        assert (visitor.head().status, visitor.exactly(4)) == (101, b"mine")
    assert edge.agent.requests[0][0].get("upgrade") == "a, B/2"


def test_an_upgrade_may_have_a_body(edge):
    """As Docker asks for what it attaches to: behind the body the other protocol begins."""

    def carry(stream):
        edge.agent.requests.append((stream.head(), stream.exactly(2)))
        stream.send(SWITCHING)
        echo(stream)

    edge.agent.carry = carry
    with edge.visitor() as visitor:
        visitor.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n" + ASKING + "\r\n{}mine")
        assert (visitor.head().status, visitor.exactly(4)) == (101, b"mine")
    head, body = edge.agent.requests[0]
    assert (head.get("upgrade"), head.get("content-length"), body) == ("raw", "2", b"{}")


def test_no_upgrade_before_the_body_is_whole(edge):
    switching(edge, lambda stream: stream.read(1))
    with edge.visitor() as visitor:
        visitor.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n" + ASKING + "\r\n{")
        reply = visitor.reply("POST")
        assert (reply.status, reply.head.get("connection")) == (502, "close")


@pytest.mark.parametrize("asking", ["", ASKING])
@pytest.mark.parametrize("head", [
    SWITCHING.replace(b"raw", b"other"), SWITCHING.replace(b"raw", b"raw, other"), SWITCHING.replace(b"Upgrade: raw\r\n", b""),
    SWITCHING.replace(b"Connection: Upgrade\r\n", b""), SWITCHING.replace(b"raw", b"h2c"), SWITCHING.replace(b"raw", b","),
    SWITCHING.replace(b"Upgrade: raw", b"Upgrade: raw\r\nContent-Length: 5"), SWITCHING,
])
def test_a_101_that_nobody_asked_for_is_502(edge, head, asking):
    if asking and head == SWITCHING:
        return  # that one is right
    switching(edge, lambda stream: stream.read(1), head)
    with edge.visitor() as visitor:
        assert visitor.ask("GET", "/", asking).status == 502
        edge.agent.carry = lambda stream: stream.request() and stream.answer("well again")
        assert visitor.ask().body.data == b"well again"


@pytest.mark.parametrize("status, fields, upgrade_", [
    ("200 OK", "Upgrade: h2, h2c\r\nConnection: Upgrade\r\n", None), ("400 Bad Request", "", None), ("403 No", "", None),
    ("426 Upgrade Required", "Upgrade: raw/2, h2c, x\r\n", "raw/2, x"),
])
def test_any_other_answer_is_an_ordinary_one(edge, status, fields, upgrade_):
    edge.agent.serve = lambda stream: stream.answer("no", status, fields)
    with edge.visitor() as visitor:
        for asking in (ASKING, "", ASKING):
            reply = visitor.ask("GET", "/", asking)
            assert (reply.head.first, reply.body.data) == (f"HTTP/1.1 {status}", b"no")
            assert (reply.head.get("upgrade"), reply.head.get("connection")) == (upgrade_, "Upgrade" if upgrade_ else None)
    assert len(edge.agent.used) == 1


def test_interim_answers_come_before_the_101(edge):
    switching(edge, echo, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + SWITCHING)
    with edge.visitor() as visitor:
        visitor.send(f"GET / HTTP/1.1\r\nHost: a.test\r\n{ASKING}\r\n")
        assert [visitor.head().status for _ in range(2)] == [103, 101]
        visitor.send("x")
        assert visitor.exactly(1) == b"x"


@pytest.mark.parametrize("idle_s, streams", [(0, 1), (1.5, 2)])
def test_it_uses_no_stream_that_the_service_may_be_closing(edge, idle_s, streams):
    with edge.visitor() as visitor:
        assert visitor.ask().status == 200
        time.sleep(idle_s)
        assert visitor.ask("GET", "/", ASKING).status == 200
    assert len(edge.agent.used) == streams


def test_it_is_never_asked_for_twice(edge):
    """The kept stream ends when the request comes: a GET would be sent once more, on another one."""

    def serve(stream):
        if len(stream.requests) == 1:
            stream.answer()
        else:
            stream.end("eof")

    edge.agent.serve = serve
    with edge.visitor() as visitor:
        assert visitor.ask().status == 200
        assert visitor.ask("GET", "/", ASKING).status == 502
    assert len(edge.agent.requests) == 2


# ---- bytes around the 101 ----


def test_bytes_that_come_before_the_101_wait_for_it(edge):
    gate, sent = threading.Event(), []

    def carry(stream):
        edge.agent.requests.append((stream.head(), None))
        gate.wait()
        stream.send(SWITCHING + b"first")
        sent.append(digest_of(stream, 3 * MB))
        stream.send("got it")

    edge.agent.carry = carry
    with edge.visitor() as visitor:
        def pour():
            visitor.send(f"GET / HTTP/1.1\r\nHost: a.test\r\n{ASKING}\r\n")
            send_content(visitor, 3 * MB, 5)

        before = private_kb(edge.relay.pid)
        pouring = threading.Thread(target=pour, daemon=True)
        pouring.start()
        wait_until(lambda: edge.agent.requests, "the request has come")
        time.sleep(0.5)
        (stream,) = edge.agent.used
        assert stream.received == stream.header_bytes + len(edge.agent.requests[0][0].raw)
        assert edge.relay.memory_kb == 0 or private_kb(edge.relay.pid) - before < 2048
        gate.set()
        pouring.join(PATIENCE_S)
        assert visitor.head().status == 101 and visitor.exactly(5) == b"first"
        assert visitor.exactly(6) == b"got it"
    assert sent == [(3 * MB, content_sha256(3 * MB, 5))]


def test_bytes_in_one_piece_with_the_heads_arrive(edge):
    switching(edge, lambda stream: stream.send(stream.exactly(5)), SWITCHING + b"first ")
    with upgrade(edge, b"early") as visitor:
        assert visitor.exactly(11) == b"first early"
        assert visitor.ended()


def test_frames_of_16_mb_go_both_ways_at_once(front, service):
    def serve(peer):
        assert peer.exactly(2) == b"go"
        return send_and_receive(peer, FRAME, 1, FRAME)

    service.serve = serve
    with upgrade(front) as visitor:
        visitor.send("go")
        assert send_and_receive(visitor, FRAME, 2, FRAME) == (FRAME, content_sha256(FRAME, 1))
    assert service.result() == (FRAME, content_sha256(FRAME, 2))


# ---- ends ----


@pytest.mark.parametrize("end", [notify, end_with_fin])
def test_the_visitor_may_end_first(front, service, end):
    """The service sees it behind all bytes, and may answer for as long as it likes."""

    def serve(peer):
        got = digest_of(peer)
        time.sleep(0.3)
        send_content(peer, 3 * MB, 4)
        return got

    service.serve = serve
    with upgrade(front) as visitor:
        send_content(visitor, 3 * MB, 3)
        end(visitor)
        assert digest_of(visitor) == (3 * MB, content_sha256(3 * MB, 4))
    assert service.result() == (3 * MB, content_sha256(3 * MB, 3))
    wait_unused(front)


def wait_unused(front):
    wait_until(lambda: all(lane["streams"] == 0 for lane in front.status()["lanes"]), "no stream is in use")


def test_the_service_may_end_first(front, service):
    """The visitor sees close_notify and FIN behind all bytes, and may go on for as long as he likes."""

    def serve(peer):
        send_content(peer, 3 * MB, 6)
        peer.socket.shutdown(socket.SHUT_WR)
        return digest_of(peer)

    service.serve = serve
    with upgrade(front) as visitor:
        assert digest_of(visitor) == (3 * MB, content_sha256(3 * MB, 6))  # up to a close_notify, or it would raise
        wait_until(lambda: has_fin(visitor), "a FIN")
        time.sleep(0.5)
        assert not isinstance(front, Through) or front.streams() == 1
        send_content(visitor, 3 * MB, 7)
        end_with_fin(visitor)
        assert service.result() == (3 * MB, content_sha256(3 * MB, 7))
    wait_unused(front)


def test_a_slow_service_gets_the_last_bytes_of_both_ends(front, service):
    """Both sides have said that they end, while some of the visitor's bytes still wait for the service."""
    gate = threading.Event()

    def serve(peer):
        peer.socket.shutdown(socket.SHUT_WR)
        gate.wait()
        return digest_of(peer)

    service.serve = serve
    visitor = upgrade(front)
    assert visitor.ended()
    send_content(visitor, MB, 8)
    visitor.close()
    time.sleep(7)  # longer than a stream may take to leave
    gate.set()
    assert service.result() == (MB, content_sha256(MB, 8))
    wait_unused(front)


def test_a_visitor_who_breaks_off_is_a_reset_for_the_service(front, service):
    with upgrade(front) as visitor:
        visitor.send("x")
        assert visitor.exactly(1) == b"x"
        visitor.break_off()
    assert isinstance(service.result(), ConnectionResetError)
    wait_unused(front)


def test_a_service_that_breaks_off_is_a_reset_for_the_visitor(front, service):
    def serve(peer):
        peer.exactly(1)
        break_off(peer)

    service.serve = serve
    with upgrade(front) as visitor:
        visitor.send("x")
        assert is_reset(visitor)
    wait_unused(front)


@pytest.mark.parametrize("way", ["through", "plain"])
def test_a_service_that_is_killed(request, started, way):
    service = ServiceProcess()
    started.append(service)
    front = request.getfixturevalue(way)(service)
    with upgrade(front) as visitor:
        visitor.send("x")
        assert visitor.exactly(1) == b"x"
        service.kill()
        assert visitor.ended()
    wait_unused(front)


def test_a_visitor_who_breaks_off_after_the_services_end_too(front, service):
    def serve(peer):
        peer.socket.shutdown(socket.SHUT_WR)
        return digest_of(peer)

    service.serve = serve
    with upgrade(front) as visitor:
        assert visitor.ended()
        visitor.send(b"half of it")
        time.sleep(0.2)
        visitor.break_off()
    assert isinstance(service.result(), ConnectionResetError)
    wait_unused(front)


def test_a_visitor_who_talks_on_to_a_service_that_is_gone_gets_its_last_words(front, service):
    def serve(peer):
        peer.exactly(1)
        peer.send("bye")

    service.serve = serve
    with upgrade(front) as visitor:
        visitor.send("x")
        assert visitor.exactly(3) == b"bye"
        with pytest.raises((OSError, Cut)):
            while True:
                visitor.send(b"y" * 65536)
                time.sleep(0.01)
    wait_unused(front)


@pytest.mark.parametrize("how", [None, "reset"])
def test_an_end_that_nobody_explains_is_a_reset(edge, how):
    """Also when the visitor has ended before, and so nothing is left to be waited for."""
    edge.agent.ended = how
    for ends in (False, True):
        switching(edge, lambda stream: stream.send("part") or stream.exactly(1))
        with upgrade(edge) as visitor:
            assert visitor.exactly(4) == b"part"
            visitor.send("x")
            if ends:
                notify(visitor)
            assert is_reset(visitor)


def test_an_explanation_that_comes_late_still_counts(edge):
    """It has 250 ms, which on a busy machine is little: one of twenty attempts has to do."""

    def then(stream):
        assert stream.read(1) == b""
        stream.send("last")
        stream.socket.shutdown(socket.SHUT_WR)
        time.sleep(0.05)  # of 250 ms
        stream.end("eof")

    def ends_well():
        with upgrade(edge) as visitor:
            notify(visitor)
            try:
                return digest_of(visitor) == (4, hashlib.sha256(b"last").hexdigest())
            except OSError:
                return False

    switching(edge, then)
    assert any(ends_well() for _ in range(20))


def test_a_dead_lane_resets_the_visitor(through, service):
    path = through(service)
    with upgrade(path) as visitor:
        visitor.send("x")
        assert visitor.exactly(1) == b"x"
        os.kill(path.session().sshd, signal.SIGKILL)
        assert is_reset(visitor)
    assert isinstance(service.result(), ConnectionResetError)


def test_backpressure_reaches_the_visitor(front, service):
    gate = threading.Event()
    service.serve = lambda peer: gate.wait() and digest_of(peer)
    sent = [0]
    before = private_kb(front.relay.pid)
    with upgrade(front) as visitor:
        def pour():
            for _ in range(400):
                visitor.send(b"x" * 100_000)
                sent[0] += 100_000
            end_with_fin(visitor)

        pouring = threading.Thread(target=pour, daemon=True)
        pouring.start()
        wait_until(lambda: (sent[0], time.sleep(0.7))[0] == sent[0], "a standstill")
        assert sent[0] < 30 * MB
        assert front.relay.memory_kb == 0 or private_kb(front.relay.pid) - before < 8192
        gate.set()
        pouring.join(PATIENCE_S)
        assert service.result() == (40 * MB, hashlib.sha256(b"x" * 40 * MB).hexdigest())


# ---- for as long as they like ----


def test_no_deadline_applies(plain, folder):
    """The relay's clock jumps by more than any of its deadlines; an ordinary exchange does not survive that."""
    clock = Clock(folder)
    front = plain(start=False)
    front.relay.start(env=clock.environment, **front.spawning())
    with upgrade(front) as visitor:
        visitor.send("before")
        assert visitor.exactly(6) == b"before"
        with front.visitor() as idle:
            assert idle.ask().status == 200
            clock.wait(400)
            assert idle.ended()  # which shows that the relay has noticed
        time.sleep(2.5)
        visitor.send("after")
        assert visitor.exactly(5) == b"after"
        end_with_fin(visitor)
        assert visitor.ended()


def test_reloads_disturb_nobody_and_leave_nothing_behind(plain, service):
    """An upgraded connection begins before each of 50 reloads. If one held what it was routed by, 50 large sets of sites
    would be kept."""
    front = plain(start=False)
    for n in range(20):
        aliases = " ".join(f"{'x' * 50}{m}.{'y' * 50}.s{n}.test" for m in range(95))
        add_domain(front, f"127.0.0.1:{service.port}", f"s{n}.test", aliases=aliases)
    front.start_relay()
    visitors, memory = [], []
    for n in range(50):
        visitors.append(upgrade(front))
        reload(front)
        for m, visitor in enumerate(visitors):
            visitor.send(f"{n:04}{m:04}")
            assert visitor.exactly(8) == f"{n:04}{m:04}".encode()
        memory.append(private_kb(front.relay.pid))
    for visitor in visitors:
        visitor.close()
    assert front.relay.memory_kb == 0 or memory[-1] - memory[9] < 5000, memory  # 40 sets are 12,000 kB


def test_a_drain_does_not_wait_for_upgraded_connections(through, service):
    """They have time for what is on its way, and no more: who comes anew waits meanwhile."""
    path = through(service, drain="60s")
    with upgrade(path) as visitor:
        path.relay.send(signal.SIGTERM)
        time.sleep(0.5)
        visitor.send("still")
        assert visitor.exactly(5) == b"still"
        assert visitor.ended()
    assert path.relay.wait(limit(15)) == 0
    assert service.result() is None or isinstance(service.result(), OSError)


def test_an_agent_that_ends_does_not_wait_for_them(through, service):
    """Visitors wait for the next one meanwhile. A request that has an end is waited for, and they live as long."""
    path = through(service, agent_keys={"drain": "60s"})
    with upgrade(path) as visitor, upgrade(path) as other:
        path.agent.send(signal.SIGTERM)
        time.sleep(0.5)
        visitor.send("still")
        assert visitor.exactly(5) == b"still"
        assert visitor.ended() and other.ended()
        assert path.agent.wait(limit(15)) == 0
    path.agent.start()
    path.wait_up("a.test")
    with upgrade(path) as visitor:
        visitor.send("again")
        assert visitor.exactly(5) == b"again"


def test_a_lane_that_ends_leaves_them_alone(edges, started):
    """It takes nothing new, and its agent goes on; until that says the same of the last one."""
    edge = edges()
    second = FakeAgent(edge.lane_socket, ["a.test"])
    started.append(second)
    second.boot, second.number = edge.agent.boot, 2
    switching(edge, echo)
    second.carry = edge.agent.carry
    for lane in (edge.agent, second):
        lane.start()
    edge.wait_up("a.test")
    visitors = [edge.visitor() for _ in range(4)]
    for visitor in visitors:
        visitor.send(request_bytes("GET", "a.test", fields=ASKING))
        assert visitor.head().status == 101
    assert edge.agent.used and second.used
    edge.agent.say("goodbye", why="fewer lanes")
    wait_until(lambda: "draining" in [lane["state"] for lane in edge.status()["lanes"]], "it takes nothing new")
    time.sleep(3)  # longer than the last words of an agent that ends
    for visitor in visitors:
        visitor.send("alive")
        assert visitor.exactly(5) == b"alive"
    second.say("goodbye", why="stopping")
    for visitor in visitors:
        assert visitor.ended()
        visitor.close()


def test_what_services_have_taken_is_not_held(through, service):
    """Each has sent less than what the agent reports at once; all together it is far more than max_buffered."""
    path = through(service, max_buffered="1m")
    service.serve = lambda peer: peer.exactly(60_000) and peer.send("taken") or Service.echo(peer)
    visitors = [upgrade(path) for _ in range(40)]
    for visitor in visitors:
        visitor.send(bytes(60_000))
        assert visitor.exactly(5) == b"taken"
    time.sleep(5)
    assert path.streams() == 40
    for visitor in visitors:
        visitor.send("alive")
        assert visitor.exactly(5) == b"alive"
        visitor.close()
    wait_unused(path)


# ---- a real client and a real server ----


@pytest.fixture
def sockets(started):
    started.append(WebSockets())
    return started[-1]


@pytest.fixture(params=["lane", "plain"])
def real(request, sockets):
    if request.param == "lane":
        return request.getfixturevalue("through")(sockets)
    return request.getfixturevalue("plain")(sockets)


def test_messages_of_all_sizes(real, sockets):
    async def talk():
        async with sockets.connect(real, subprotocols=["second"]) as client:
            assert client.subprotocol == "second" and extensions_of(client)  # they compress
            for message in ("", "ä", b"", b"\0\xff", "x" * 125, b"x" * 126, b"x" * 65535, "x" * 65536, bytes(MB)):
                await client.send(message)
                assert await client.recv() == message
            pong = await client.ping()
            await asyncio.wait_for(pong, PATIENCE_S)

    sockets.run(talk())
    wait_until(lambda: sockets.closed == [(1000, "")], "the server has seen the close")


def test_messages_of_16_mb(real, sockets):
    message = os.urandom(FRAME)

    async def talk():
        async with sockets.connect(real, compression=None) as client:
            for _ in range(2):
                await client.send(message)
                assert await client.recv() == message

    sockets.run(talk())


@pytest.mark.parametrize("by", ["client", "server"])
def test_either_side_may_close(real, sockets, by):
    async def talk():
        async with sockets.connect(real) as client:
            if by == "client":
                await client.close(4000, "enough")
            else:
                await client.send("close, please")
                with pytest.raises(sockets.library.ConnectionClosed):
                    await client.recv()
            return client.close_code, client.close_reason

    expected = (4000, "enough") if by == "client" else (4001, "as you wish")
    assert sockets.run(talk()) == expected
    wait_until(lambda: sockets.closed == [expected], "the server has seen it too")


async def open_all(sockets, front, n):
    """25 at a time: a handshake is work."""
    ready, clients = asyncio.Semaphore(25), []

    async def one():
        async with ready:
            clients.append(await sockets.connect(front, compression=None, ping_interval=None))

    await asyncio.gather(*(one() for _ in range(n)))
    return clients


async def ping_all(clients):
    pongs = [await client.ping() for client in clients]
    await asyncio.wait_for(asyncio.gather(*pongs), 180)


def test_1000_idle_at_once(through, sockets):
    path = through(sockets, lanes=2)
    assert path.visit("GET", "/").status == 426
    before = private_kb(path.relay.pid)
    clients = sockets.run(open_all(sockets, path, 1000))
    assert path.streams() == 1000
    sockets.run(ping_all(clients))
    time.sleep(3)
    each_kb = (private_kb(path.relay.pid) - before) / 1000
    print(f"the relay's private memory per idle WebSocket: {each_kb:.1f} kB")
    assert path.relay.memory_kb == 0 or each_kb < 40
    sockets.run(ping_all(clients))
    assert path.visit("GET", "/").status == 426 and path.streams() == 1000

    async def close_all():
        await asyncio.gather(*(client.close() for client in clients))

    sockets.run(close_all())
    wait_unused(path)
    wait_until(lambda: len(sockets.closed) == 1000, "the site has noted each end")
    assert [code for code, _ in sockets.closed] == [1000] * 1000
