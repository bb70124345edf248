"""h2c:// services: what they see, what visitors of either HTTP get, and what becomes of answers that are none."""

from __future__ import annotations

import struct
import threading
import time

import pytest

from clock import Clock
from http1 import content, content_sha256
from http2 import Visitor2
from path import DOMAIN, edges, fronts, houses, private_kb
from programs import limit, need, wait_until
from service2 import Service2
from sshd import free_port
from stacks import Stack

NAME = "h2.test"
GRPC = [("content-type", "application/grpc"), ("te", "trailers")]
PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 1, 2, 7, 8, 11
MB = 1_000_000


@pytest.fixture
def make(houses, started):
    """make(answer, …) is the whole path to such a service."""

    def made(*args, **how):
        service = Service2(*args, **how)
        started.append(service)
        path = houses({NAME: service.url})
        path.service = service
        return path

    return made


@pytest.fixture
def house(make):
    return make()


def visitor2(house):
    return Visitor2(house.port, house.root, NAME)


def told(body):
    return dict(line.split(": ", 1) for line in body.decode().splitlines() if ": " in line)


# ---- what the service sees, and visitors get ----


def test_a_visitor_by_http2(house):
    with visitor2(house) as visitor:
        reply = visitor.get("POST", "/a?b=c", [("cookie", "a=1"), ("cookie", "b=2"), ("x-up", "UP"), ("te", "trailers")], b"hello")
    assert reply.status == 200 and reply.trailers == [("x-size", "5")]
    seen = told(reply.beginning)
    assert (seen[":method"], seen[":scheme"], seen[":path"], seen[":authority"]) == ("POST", "http", "/a?b=c", NAME)
    assert seen["cookie"] == "a=1; b=2" and seen["x-up"] == "UP" and seen["te"] == "trailers"
    assert seen["x-forwarded-proto"] == "https" and seen["x-forwarded-for"] == "127.0.0.1"
    assert "host" not in seen and "connection" not in seen and "transfer-encoding" not in seen
    assert reply.beginning.endswith(b"hello")


def test_a_visitor_by_http1(house):
    reply = house.visit("POST", "/x", "Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n", b"hello", name=NAME)
    seen = told(reply.body.data)
    assert reply.status == 200 and seen[":authority"] == f"{NAME}:{house.port}" and seen["content-length"] == "5"
    assert "x-hop" not in seen and "keep-alive" not in seen
    assert reply.body.trailers == b"x-size: 5\r\n"


def test_chunks_and_trailers_of_a_visitor_by_http1(house):
    with house.visitor(NAME) as visitor:
        for _ in range(2):
            visitor.send(f"POST / HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
            for piece in (b"one", b"two"):
                visitor.send_chunk(piece)
            visitor.send("0\r\nX-Sum: right\r\n\r\n")
            reply = visitor.reply("POST")
            assert reply.status == 200 and reply.body.data.endswith(b"onetwo") and told(reply.body.data)["x-sum"] == "right"


def test_heads_without_bodies(make):
    house = make(lambda peer, stream, request: peer.reply(stream, int(request.get(":path")[1:]), fields=[("content-length", "5")]
                                                          if request.get(":method") == "HEAD" else []))
    for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 404)):
        reply = house.visit(method, f"/{status}", name=NAME)
        assert reply.status == status and reply.body.size == 0
        assert reply.head.get("content-length") == ("5" if method == "HEAD" else None)
        with visitor2(house) as visitor:
            assert visitor.get(method, f"/{status}").status == status


def test_trailers_behind_a_length(make):
    house = make(lambda peer, stream, _: peer.reply(stream, 200, b"hello", [("content-length", "5")], [("grpc-status", "0")]))
    with visitor2(house) as visitor:
        reply = visitor.get()
    assert dict(reply.fields)["content-length"] == "5" and reply.trailers == [("grpc-status", "0")]
    assert house.visit(name=NAME).body.data == b"hello"


def test_1xx(make):
    def answer(peer, stream, _):
        peer.head(stream, [(":status", "103"), ("link", "</a.css>")])
        peer.reply(stream, 200, b"done")

    house = make(answer)
    with visitor2(house) as visitor:
        reply = visitor.get()
    assert dict(reply.interim[0])["link"] == "</a.css>" and reply.beginning == b"done"
    with house.visitor(NAME) as visitor:
        visitor.send(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n")
        assert visitor.head().status == 103
        assert visitor.reply().status == 200


def test_expect(make):
    def answer(peer, stream, request):
        if request.get("expect") == "100-continue":
            peer.head(stream, [(":status", "100")])

    house = make(answer, Service2.echo)
    with house.visitor(NAME) as visitor:
        visitor.send(f"POST / HTTP/1.1\r\nHost: {NAME}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert visitor.head().status == 100
        visitor.send("hello")
        assert visitor.reply("POST").body.data.endswith(b"hello")


def test_an_upgrade_is_not_asked_for(house):
    reply = house.visit("GET", "/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", name=NAME)
    assert reply.status == 200 and "upgrade" not in told(reply.body.data)


def test_a_websocket_is_not_asked_for(house):
    """Its 200 is the answer to a GET, and must not look like the beginning of one."""
    with visitor2(house) as visitor:
        assert visitor.reply(visitor.connect()).status == 502
        assert visitor.get().status == 200


@pytest.mark.parametrize("kind", ["application/grpc-web+proto", "application/grpc-web-text", "application/connect+json"])
def test_what_is_like_grpc(house, kind):
    for reply in (house.visit("POST", "/s.S/M", f"Content-Type: {kind}\r\n", b"hello", name=NAME).body.data,):
        assert told(reply)["content-type"] == kind and reply.endswith(b"hello")


def test_many_bytes_both_ways(make):
    def ended(peer, stream, request):
        threading.Thread(target=peer.reply, args=(stream, 200, b"".join(content(20 * MB, 3))), daemon=True).start()

    house = make(lambda *_: None, ended)
    with visitor2(house) as visitor:
        reply = visitor.get("POST", "/", body=b"".join(content(20 * MB, 2)))
    assert (reply.size, reply.sha256) == (20 * MB, content_sha256(20 * MB, 3))
    assert house.service.requests[0].size == 20 * MB
    reply = house.visit("POST", "/", "", b"".join(content(20 * MB, 2)), name=NAME)
    assert (reply.body.size, reply.body.sha256) == (20 * MB, content_sha256(20 * MB, 3))


# ---- sharing ----


def test_all_visitors_share_a_connection(house):
    threads = [threading.Thread(target=lambda: [house.visit(name=NAME) for _ in range(5)]) for _ in range(8)]
    with visitor2(house) as visitor:
        streams = [visitor.ask("GET", f"/{i}") for i in range(50)]
        for thread in threads:
            thread.start()
        assert all(visitor.reply(stream).status == 200 for stream in streams)
    for thread in threads:
        thread.join()
    assert len(house.service.requests) == 90 and len(house.service.peers) == 1


NGINX = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} http2 proxy_protocol;
        location / {{
            default_type text/plain;
            return 200 "$proxy_protocol_addr $proxy_protocol_port $connection $server_protocol";
        }}
    }}
}}
"""


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_who_is_told_of_shares_no_connection(houses, started, folder, version):
    """With proxy_protocol; but what one visitor asks for over a connection of his goes by one connection to the service."""
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    started.append(Stack("nginx", [need("nginx"), "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"], port, folder))
    house = houses({NAME: f"h2c://127.0.0.1:{port}\nproxy_protocol = {version}"})
    with visitor2(house) as one, visitor2(house) as other, house.visitor(NAME) as old:
        seen = []
        for visitor in (one, other):
            said = {reply.beginning.decode() for reply in map(visitor.reply, [visitor.ask() for _ in range(20)])}
            assert len(said) == 1
            seen.append(said.pop())
        said = {old.ask().body.data.decode() for _ in range(3)}
        assert len(said) == 1
        seen.append(said.pop())
        ports = [visitor.socket.getsockname()[1] for visitor in (one, other, old)]
    assert [line.split()[:2] for line in seen] == [["127.0.0.1", str(port)] for port in ports]
    assert len({line.split()[2] for line in seen}) == 3 and {line.split()[3] for line in seen} == {"HTTP/2.0"}


@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_more_at_once_than_the_service_takes(make, most):
    """Further ones go over further connections."""
    gate = threading.Event()

    def ended(peer, stream, request):
        threading.Thread(target=lambda: (gate.wait(60), peer.reply(stream, 200, b"done")), daemon=True).start()

    house = make(lambda *_: None, ended, {3: most})
    with visitor2(house) as visitor:
        streams = [visitor.ask("POST", "/", body=b"a") for _ in range(10)]
        wait_until(lambda: len(house.service.requests) == 10, "all have come")
        assert all(len(peer.requests) <= most for peer in house.service.peers)
        gate.set()
        assert [visitor.reply(stream).beginning for stream in streams] == [b"done"] * 10
    assert len(house.service.peers) == 10 // most


def test_one_who_reads_nothing_delays_nobody(make):
    def answer(peer, stream, request):
        body = b"".join(content((30 if request.get(":path") == "/big" else 1) * MB))
        threading.Thread(target=peer.reply, args=(stream, 200, body), daemon=True).start()

    house = make(answer)
    with visitor2(house) as slow, visitor2(house) as quick:
        slow.takes = False
        big = slow.ask("GET", "/big")
        while slow.replies[big].size < 60000:
            slow.hear()
        with house.visitor(NAME) as stuck:
            stuck.send(f"GET /big HTTP/1.1\r\nHost: {NAME}\r\n\r\n")
            assert stuck.head().status == 200
            before = private_kb(house.relay.pid)
            for _ in range(5):
                assert quick.get("GET", "/").size == MB
            if house.relay.memory_kb:  # a sanitizer keeps what was freed
                assert private_kb(house.relay.pid) - before < 4096
    wait_until(lambda: [r.reset for r in house.service.requests if r.get(":path") == "/big"] == [CANCEL] * 2, "both are cancelled")
    assert len(house.service.peers) == 1


def test_a_service_that_takes_nothing_of_one_request(make):
    house = make(lambda *_: None, lambda peer, stream, _: peer.reply(stream, 200, b"done"))
    house.service.stalled.add(1)
    with visitor2(house) as visitor:
        stuck = visitor.ask("POST", "/stuck", body=None)
        visitor.h2.send_data(stuck, b"x" * 16384)
        visitor.send()
        house.service.wait_for(1)
        threading.Thread(target=lambda: house.visit("POST", "/", "", b"y" * 3 * MB, name=NAME)).start()
        assert visitor.get("POST", "/", body=b"z" * MB).status == 200
        visitor.h2.reset_stream(stuck, CANCEL)
        visitor.send()
        wait_until(lambda: house.service.requests[0].reset == CANCEL, "it is cancelled")


# ---- ends ----


def test_a_visitor_who_leaves_cancels(make):
    house = make(lambda peer, stream, _: peer.head(stream, [(":status", "200")]))
    with house.visitor(NAME) as visitor:
        visitor.send(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n")
        assert visitor.head().status == 200
    with visitor2(house) as visitor:
        stream = visitor.ask("POST", "/", body=None)
        house.service.wait_for(2)
        visitor.h2.reset_stream(stream, CANCEL)
        visitor.send()
        wait_until(lambda: [r.reset for r in house.service.requests] == [CANCEL] * 2, "both are cancelled")
    assert len(house.service.open_peers()) == 1


RESETS = [(CANCEL, CANCEL), (ENHANCE_YOUR_CALM, ENHANCE_YOUR_CALM), (INTERNAL_ERROR, INTERNAL_ERROR),
          (PROTOCOL_ERROR, INTERNAL_ERROR), (0, INTERNAL_ERROR), (3, INTERNAL_ERROR)]


@pytest.mark.parametrize("code, becomes", RESETS)
def test_a_reset_instead_of_an_answer(make, code, becomes):
    house = make(lambda peer, stream, _: peer.rst(stream, code))
    with visitor2(house) as visitor:
        assert visitor.get("POST", "/s/M", GRPC, b"hello").reset == becomes
        assert visitor.get("POST", "/", (), b"hello").status == 502  # who knows nothing of gRPC gets a page
    assert len(house.service.requests) == 2 and len(house.service.peers) == 1


@pytest.mark.parametrize("code, becomes", RESETS)
def test_a_reset_in_an_answer(make, code, becomes):
    house = make(lambda peer, stream, _: peer.head(stream, [(":status", "200")]))
    with visitor2(house) as visitor:
        for fields in (GRPC, ()):
            stream = visitor.ask("POST", "/s/M", fields, b"hello")
            while not visitor.replies[stream].fields:
                visitor.hear()
            house.service.peers[0].rst(max(house.service.peers[0].requests), code)
            assert visitor.reply(stream).reset == becomes


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("times, status", [(1, 200), (2, 503)])
def test_what_was_refused_is_asked_once_more(make, method, times, status):
    def ended(peer, stream, request):
        if len(house.service.requests) <= times:
            peer.rst(stream, REFUSED_STREAM)
        else:
            Service2.echo(peer, stream, request)

    house = make(lambda *_: None, ended)
    with visitor2(house) as visitor:
        reply = visitor.get(method, "/", body=b"hello" * (method == "POST"))
        assert reply.status == status
        if status == 200 and method == "POST":
            assert reply.beginning.endswith(b"hello")
    assert len(house.service.requests) == 2


def test_what_a_goaway_leaves_out_is_asked_elsewhere(make):
    def ended(peer, stream, request):
        if len(house.service.peers) == 1:
            peer.send(struct.pack(">I", 8)[1:] + b"\7\0\0\0\0\0" + struct.pack(">II", 0, 0))
        else:
            Service2.echo(peer, stream, request)

    house = make(lambda *_: None, ended)
    with visitor2(house) as visitor:
        reply = visitor.get("POST", "/", body=b"hello")
        assert reply.status == 200 and reply.beginning.endswith(b"hello")
    wait_until(lambda: house.service.peers[0].ended, "the first one is closed")
    assert len(house.service.peers) == 2


def test_a_goaway_lets_others_end(make):
    gate = threading.Event()

    def ended(peer, stream, request):
        if request.get(":path") == "/first":
            peer.head(stream, [(":status", "200")])
            peer.send(struct.pack(">I", 8)[1:] + b"\7\0\0\0\0\0" + struct.pack(">II", 1, 0))
            threading.Thread(target=lambda: (gate.wait(60), peer.send(struct.pack(">I", 4)[1:] + b"\0\1\0\0\0\1done")), daemon=True).start()
        else:
            Service2.echo(peer, stream, request)

    house = make(lambda *_: None, ended)
    with visitor2(house) as visitor:
        first = visitor.ask("GET", "/first")
        while not visitor.replies[first].fields:
            visitor.hear()
        assert visitor.get("GET", "/second").status == 200
        gate.set()
        assert visitor.reply(first).beginning == b"done"
    assert len(house.service.peers) == 2


def test_an_idle_connection_is_closed_in_good_order(house):
    assert house.visit(name=NAME).status == 200
    wait_until(lambda: house.service.peers[0].ended, "it is closed", timeout=limit(15))
    assert house.service.peers[0].goaway == 0
    assert house.visit(name=NAME).status == 200 and len(house.service.peers) == 2


def test_an_early_answer(make):
    """The rest of the request is not waited for."""
    house = make(lambda peer, stream, request: peer.reply(stream, 413, b"too much"))
    with visitor2(house) as visitor:
        stream = visitor.ask("POST", "/", body=None)
        assert visitor.reply(stream).status == 413
    wait_until(lambda: house.service.requests[0].reset == CANCEL, "the service need not read on")


def test_time_is_no_matter_for_streams(make):
    """Nothing is said for longer than any limit that can be set."""
    house = make(lambda peer, stream, _: peer.head(stream, [(":status", "200")]))
    with visitor2(house) as visitor:
        stream = visitor.ask("POST", "/", GRPC, body=None)
        time.sleep(7)  # longer than an idle connection is kept
        visitor.say(stream, b"late")
        wait_until(lambda: bytes(house.service.requests[0].body) == b"late", "it has come")
        peer = house.service.peers[0]
        peer.say(1, b"too", ends=True)
        assert visitor.reply(stream).beginning == b"too" and peer.pings == 0


def hear_heads(visitor, *streams):
    """Waits for them. What the visitor has said of SETTINGS by then the relay has read once it answers the next one."""
    while not all(visitor.replies[stream].fields for stream in streams):
        visitor.hear()


def test_an_hour_of_silence(make, folder):
    """The relay's clock jumps by more than any of its deadlines; the service is asked whether it lives."""
    house = make(lambda peer, stream, _: peer.head(stream, [(":status", "200")]))
    clock = Clock(folder)
    house.relay.stop()
    house.relay.start(env=clock.environment, **house.spawning())
    house.wait_up(NAME)
    with visitor2(house) as visitor:
        streams = [visitor.ask("POST", "/s/M", GRPC, body=None), visitor.ask("GET", "/events")]
        peer = wait_until(lambda: next((p for p in house.service.peers if len(p.requests) == 2), None), "both are under way")
        hear_heads(visitor, *streams)
        for _ in range(2):
            hear_heads(visitor, visitor.ask("GET", "/more"))  # and the answer to the ping before, too
            before = peer.pings
            clock.wait(400)
            wait_until(lambda: peer.pings > before, "the relay asks")
        for stream in sorted(peer.requests)[:2]:
            peer.say(stream, b"late", ends=True)
        assert [visitor.reply(stream).beginning for stream in streams] == [b"late"] * 2


def test_a_service_that_is_gone_without_a_word(make, folder):
    house = make(lambda peer, stream, _: peer.head(stream, [(":status", "200")]))
    clock = Clock(folder)
    house.relay.stop()
    house.relay.start(env=clock.environment, **house.spawning())
    house.wait_up(NAME)
    with visitor2(house) as visitor:
        stream = visitor.ask("POST", "/s/M", GRPC, body=None)
        hear_heads(visitor, stream)
        hear_heads(visitor, visitor.ask("GET", "/more"))
        house.service.open_peers()[0].h2 = None  # it hears, and does not answer any more
        clock.wait(400)
        time.sleep(2.5)  # the relay looks once a second
        clock.wait(100)
        assert visitor.reply(stream).reset == INTERNAL_ERROR


# ---- what is not there ----


def test_grpc_hears_of_failures_in_its_own_words(house):
    house.service.end()
    with visitor2(house) as visitor:
        reply = visitor.get("POST", "/s/M", GRPC, b"hello")
        fields = dict(reply.fields)
        assert fields[":status"] == "200" and fields["content-type"] == "application/grpc" and fields["grpc-status"] == "14"
        assert "refused" in fields["grpc-message"] and reply.size == 0
        assert visitor.get("POST", "/s/M", [("content-type", "application/grpc-web")], b"hello").status == 502
        assert visitor.get("GET", "/").status == 502
    assert house.visit("POST", "/", "Content-Type: application/grpc\r\n", b"hello", name=NAME).status == 502
    house.agent.stop()
    wait_until(lambda: house.site_state(NAME) != "up", "it is away")
    with visitor2(house) as visitor:
        assert dict(visitor.get("POST", "/s/M", GRPC, b"hello").fields)["grpc-status"] == "14"


def test_grpc_to_a_site_that_does_not_exist(house):
    with Visitor2(house.port, house.root, NAME, host="other.test") as visitor:
        reply = visitor.get("POST", "/s/M", GRPC, b"hello")
        assert dict(reply.fields)["grpc-status"] == "12"


# ---- answers that are none ----


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def line(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


DATA, HEADERS, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
OK, ENDS, WHOLE = b"\x88", 1, 4
HOSTILE = {
    "HTTP/1.1": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "garbage": bytes(range(256)) * 4,
    "no status": frame(HEADERS, 5, 1, line(b"a", b"b")),
    "a status of letters": frame(HEADERS, 5, 1, b"\x08\x03abc"),
    "101": frame(HEADERS, 4, 1, b"\x08\x03101"),
    "two statuses": frame(HEADERS, 5, 1, OK + OK),
    "a pseudo-header field of requests": frame(HEADERS, 5, 1, OK + b"\x82"),
    "an upper-case name": frame(HEADERS, 5, 1, OK + line(b"Server", b"x")),
    "a name with a blank": frame(HEADERS, 5, 1, OK + line(b"a b", b"x")),
    "LF in a value": frame(HEADERS, 5, 1, OK + line(b"a", b"x\r\nset-cookie: b")),
    "NUL in a value": frame(HEADERS, 5, 1, OK + line(b"a", b"x\0")),
    "connection": frame(HEADERS, 5, 1, OK + line(b"connection", b"close")),
    "transfer-encoding": frame(HEADERS, 5, 1, OK + line(b"transfer-encoding", b"chunked")),
    "upgrade": frame(HEADERS, 5, 1, OK + line(b"upgrade", b"websocket")),
    "a length that is none": frame(HEADERS, 5, 1, OK + line(b"content-length", b"x")),
    "two lengths": frame(HEADERS, 5, 1, OK + line(b"content-length", b"0") + line(b"content-length", b"1")),
    "less than was announced": frame(HEADERS, 5, 1, OK + line(b"content-length", b"5")),
    "a body in front of the head": frame(DATA, 1, 1, b"abc"),
    "a 1xx at the end": frame(HEADERS, 5, 1, b"\x08\x03103"),
    "1xx without end": frame(HEADERS, 4, 1, b"\x08\x03103") * 200,
    "too many fields": frame(HEADERS, 5, 1, OK + line(b"a", b"b") * 200),
    "a head without end": frame(HEADERS, 1, 1, OK) + frame(CONTINUATION, 0, 1, line(b"a", b"x" * 100) * 150) * 600,
    "a head that is too large": frame(HEADERS, 1, 1, OK) + frame(CONTINUATION, 0, 1, line(b"a", b"x" * 100) * 150) * 5
                                + frame(CONTINUATION, 4, 1),
    "DATA of no stream": frame(DATA, 0, 0, b"abc"),
    "HEADERS of a stream that is not begun": frame(HEADERS, 5, 7, OK),
    "HEADERS of a stream of its own": frame(HEADERS, 5, 2, OK),
    "a push": frame(PUSH, 4, 1, b"\0\0\0\2\x82\x84\x86"),
    "SETTINGS of a stream": frame(SETTINGS, 0, 1),
    "SETTINGS of 5 bytes": frame(SETTINGS, 0, 0, b"\0\3\0\0\0"),
    "a window of 2 GiB": frame(SETTINGS, 0, 0, b"\0\4\x80\0\0\0"),
    "PING of 7 bytes": frame(PING, 0, 0, b"1234567"),
    "a window that grows by nothing": frame(WINDOW, 0, 0, b"\0\0\0\0"),
    "a window that overflows": frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"),
    "GOAWAY of 7 bytes": frame(GOAWAY, 0, 0, b"\0" * 7),
    "CONTINUATION of nothing": frame(CONTINUATION, 4, 1, OK),
    "a head that DATA comes into": frame(HEADERS, 0, 1, OK) + frame(DATA, 0, 1, b"abc"),
    "a frame of 1 MiB": struct.pack(">I", 1 << 20)[1:] + b"\0\0\0\0\0\1" + b"x" * 100,
    "a field that no table has": frame(HEADERS, 5, 1, b"\xff\xff\x03"),
    "a field that is cut off": frame(HEADERS, 5, 1, OK + b"\0\5ab"),
    "a flood of PING": frame(PING, 0, 0, b"12345678") * 30000,
    "a flood of SETTINGS": frame(SETTINGS, 0, 0) * 30000,
}


class HostileService(Service2):
    """Says of the request's path what is to be said; everything behind a good head and a beginning, if `begun`."""

    begun = False

    def answer_hostile(self, peer, stream, request):
        words = HOSTILE[request.get(":path")[1:].replace("_", " ")]
        peer.send((frame(HEADERS, 4, 1, OK) if self.begun else b"") + words)


def test_hostile_answers(houses, started):
    service = HostileService(lambda peer, stream, request: service.answer_hostile(peer, stream, request))
    started.append(service)
    house = houses({NAME: service.url})
    before = private_kb(house.relay.pid)
    for name in HOSTILE:
        with visitor2(house) as visitor:
            reply = visitor.get("GET", "/" + name.replace(" ", "_"))
            assert reply.status == 502 and reply.ended, name
        wait_until(lambda: not service.open_peers(), f"{name}: the connection is closed")
    if house.relay.memory_kb:  # a sanitizer keeps what was freed
        assert private_kb(house.relay.pid) - before < 8192
    assert house.visit(name=DOMAIN, target="/echo").status == 200


def test_hostile_ends_of_answers(houses, started):
    """The visitor must see that it is not whole."""
    service = HostileService(lambda peer, stream, request: service.answer_hostile(peer, stream, request))
    service.begun = True
    started.append(service)
    house = houses({NAME: service.url})
    for name in HOSTILE:
        if name in ("no status", "too many fields", "a length that is none", "two lengths", "less than was announced",
                    "a body in front of the head"):
            continue  # that would be well there, or is another row
        with visitor2(house) as visitor:
            reply = visitor.get("GET", "/" + name.replace(" ", "_"))
            assert reply.reset is not None, name
        wait_until(lambda: not service.open_peers(), f"{name}: the connection is closed")


# ---- agents and relays of other versions ----


def test_an_agent_that_says_nothing_of_http2_is_spoken_to_by_http1(edges):
    edge = edges()
    edge.agent.start()
    edge.wait_up()
    with Visitor2(edge.port, edge.root, DOMAIN) as visitor:
        reply = visitor.get("POST", "/s/M", GRPC, b"hello")
        assert reply.status == 200
