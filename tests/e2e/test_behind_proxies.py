"""Load balancers and proxies in front of the relay: trusted_proxies, what they say in fields, and PROXY headers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import struct
import subprocess
import threading
import time

import pytest

from haproxy import Haproxy
from http1 import each_connection
from path import DOMAIN, WholePath, edges, fronts
from programs import PATIENCE_S, need, wait_until
from visitor import Reply, Visitor, context, request_bytes

TRUSTED, OTHER = "127.0.0.1", "127.0.0.9"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = socket.inet_aton("203.0.113.7") + socket.inet_aton("198.51.100.2") + struct.pack("!HH", 4711, 444)
V6 = (socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "2001:db8::2")
      + struct.pack("!HH", 4711, 444))


def v2(family: int, addresses: bytes, tlvs: bytes = b"", command: int = 0x21) -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(addresses + tlvs)) + addresses + tlvs


def crc32c(data: bytes) -> int:
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def with_crc(wrong: int = 0) -> bytes:
    empty = v2(0x11, V4, b"\x03\0\4\0\0\0\0\x04\0\3pad")
    return empty.replace(b"\x03\0\4\0\0\0\0", b"\x03\0\4" + struct.pack("!I", crc32c(empty) ^ wrong))


V1 = b"PROXY TCP4 203.0.113.7 198.51.100.2 4711 444\r\n"
HEADERS = {
    "v1": (V1, "203.0.113.7", "444"),
    "v1-v6": (b"PROXY TCP6 2001:db8::7 2001:db8::2 4711 444\r\n", "2001:db8::7", "444"),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", TRUSTED, None),
    "v1-unknown-more": (b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n", TRUSTED, None),
    "v2": (v2(0x11, V4), "203.0.113.7", "444"),
    "v2-v6": (v2(0x21, V6), "2001:db8::7", "444"),
    "v2-tlvs": (v2(0x11, V4, b"\x02\0\6a.test\xea\0\x17\1vpce-08d2bf15fac5001c9" + b"\x04\x03\xe8" + bytes(1000)),
                "203.0.113.7", "444"),
    "v2-crc": (with_crc(), "203.0.113.7", "444"),
    "v2-local": (v2(0, b"", command=0x20), TRUSTED, None),
    "v2-unspec": (v2(0, b""), TRUSTED, None),
}
WRONG = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "ssh": b"SSH-2.0-x\r\n",
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "v1-udp": b"PROXY UDP4 203.0.113.7 198.51.100.2 4711 444\r\n",
    "v1-port": b"PROXY TCP4 203.0.113.7 198.51.100.2 4711 65536\r\n",
    "v1-address": b"PROXY TCP4 203.0.113.256 198.51.100.2 4711 444\r\n",
    "v1-long": b"PROXY UNKNOWN " + b"x" * 100,
    "v1-lf": b"PROXY TCP4 203.0.113.7 198.51.100.2 4711 444\n",
    "v2-command": v2(0x11, V4, command=0x22),
    "v2-version": v2(0x11, V4, command=0x11),
    "v2-unix": v2(0x31, bytes(216)),
    "v2-short": v2(0x11, V4[:11]),
    "v2-long": v2(0x11, V4, b"\x04\x10\x00" + bytes(4096)),
    "v2-crc": with_crc(wrong=1),
    "v2-tlv": v2(0x11, V4, b"\x04\0\5x"),
}


class Behind:
    """A relay whose only listener is a proxy listener, or not."""

    def __init__(self, edges, proxied: bool = True, trusted: str = TRUSTED, secure: bool = True, **keys) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        at = f"127.0.0.1:{self.port}"
        listen = {"inherited": [self.listener], "listen_https": at} if secure else {}
        further = {"proxy_listeners": at} if proxied else {}
        if not secure:
            further |= {"listen_http": at, "inherited": [self.listener]}
        self.front = edges(trusted_proxies=trusted, access_log="visits", access_log_format="json", **listen, **further, **keys)
        self.agent, self.relay = self.front.agent, self.front.relay
        self.agent.start()
        self.front.wait_up()

    def connect(self, source: str = TRUSTED) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S, (source, 0))

    def visitor(self, header: bytes = b"", source: str = TRUSTED) -> Visitor:
        plain = self.connect(source)
        plain.sendall(header)
        made = Visitor.__new__(Visitor)
        made.host = DOMAIN
        tls = context(self.front.root).wrap_socket(plain, server_hostname=DOMAIN, suppress_ragged_eofs=False)
        super(Visitor, made).__init__(tls)
        return made

    def ask(self, header: bytes = b"", source: str = TRUSTED, fields: str = "") -> Reply:
        with self.visitor(header, source) as visitor:
            return visitor.ask(fields=fields)

    def serve_http(self, how: str) -> None:
        """Without TLS, in another way than before."""
        with self.relay.conf.open("a") as conf:
            conf.write(f"[domain {DOMAIN}]\nhttps = {how}\n")
        assert self.relay.post("/v1/reload").status == 200

        def asked() -> bytes:
            with self.connect(OTHER) as plain:
                plain.sendall(request_bytes("GET", DOMAIN))
                return plain.recv(2000)

        wait_until(lambda: asked().startswith(b"HTTP/1.1 200" if how == "both" else b"HTTP/1.1 308"), "the site follows")

    def asked(self):
        """The head of the last request, as the service got it."""
        return self.agent.requests[-1][0]

    def lines(self) -> list[dict]:
        path = self.relay.folder / "visits"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def line(self, n: int = 1) -> dict:
        return wait_until(lambda: lines[n - 1] if len(lines := self.lines()) >= n else None, f"{n} lines in the log")


def closed_without_a_byte(sock: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        return sock.recv(100) == b""
    return True


@pytest.fixture
def behind(edges):
    made = Behind(edges)
    yield made
    made.listener.close()


# ---- PROXY headers ----


@pytest.mark.parametrize("name", HEADERS)
def test_the_header_says_who_asks(behind, name):
    header, client, port = HEADERS[name]
    with behind.visitor(header) as visitor:
        for n in range(2):  # of the whole connection
            assert visitor.ask().status == 200
    for head, _ in behind.agent.requests:
        node = f'"[{client}]"' if ":" in client else client
        assert head.get("x-forwarded-for") == head.get("x-real-ip") == client
        assert head.get("x-forwarded-port") == (port or str(behind.port))
        assert head.get("forwarded") == f"for={node};host=a.test;proto=https"
    assert behind.line(2)["client"] == client


@pytest.mark.parametrize("name", ["v1", "v2", "v2-crc"])
def test_it_may_come_in_any_pieces(behind, name):
    header, client, _ = HEADERS[name]
    with behind.connect() as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header:
            plain.sendall(bytes([byte]))
            time.sleep(0.001)
        with context(behind.front.root).wrap_socket(plain, server_hostname=DOMAIN) as tls:
            tls.sendall(request_bytes("GET", DOMAIN))
            assert tls.recv(1000).startswith(b"HTTP/1.1 200")
    assert behind.asked().get("x-real-ip") == client


@pytest.mark.parametrize("name", WRONG)
def test_a_trusted_peer_without_a_right_one_is_closed_silently(behind, name):
    with behind.connect() as plain:
        plain.sendall(WRONG[name])
        assert closed_without_a_byte(plain)
    behind.relay.wait_log("closed a connection to one of proxy_listeners")
    assert 'peer="127.0.0.1"' in behind.relay.log()
    assert behind.ask(V1).status == 200


def test_a_trusted_peer_that_says_nothing_is_closed(behind):
    """And one that comes and goes, as health checks do, is no event."""
    behind.connect().close()
    with behind.connect() as silent, behind.connect() as half:
        half.sendall(V1[:20])
        began = time.monotonic()
        assert closed_without_a_byte(silent) and closed_without_a_byte(half)
        assert time.monotonic() - began > 5
    assert "proxy_listeners" not in behind.relay.log()


@pytest.mark.parametrize("name", HEADERS)
def test_a_stranger_with_a_header_is_closed(behind, name):
    with behind.connect(OTHER) as plain:
        plain.sendall(HEADERS[name][0])
        assert closed_without_a_byte(plain)
    behind.relay.wait_log("it sent a PROXY header, and is not one of trusted_proxies")
    assert not behind.agent.requests


def test_a_stranger_without_one_is_served(behind):
    assert behind.ask(source=OTHER, fields="X-Forwarded-For: 6.6.6.6\r\n").status == 200
    assert behind.asked().get("x-forwarded-for") == OTHER
    assert behind.line()["client"] == OTHER


def test_elsewhere_there_are_no_headers(edges):
    behind = Behind(edges, proxied=False)
    with behind.connect() as plain:
        plain.sendall(V1)
        assert not plain.recv(100).startswith(b"HTTP")
    assert behind.ask().status == 200
    behind.listener.close()


def test_on_a_listener_without_tls(edges):
    behind = Behind(edges, secure=False)
    behind.serve_http("both")
    for header, client in ((V1, "203.0.113.7"), (HEADERS["v2-v6"][0], "2001:db8::7")):
        with behind.connect() as plain:
            plain.sendall(header + request_bytes("GET", DOMAIN))
            assert plain.recv(1000).startswith(b"HTTP/1.1 200")
        head = behind.asked()
        assert (head.get("x-real-ip"), head.get("x-forwarded-proto")) == (client, "http")
    with behind.connect(OTHER) as plain:
        plain.sendall(request_bytes("PROPFIND", DOMAIN))
        assert plain.recv(1000).startswith(b"HTTP/1.1 200")
    with behind.connect(OTHER) as plain:
        plain.sendall(V1 + request_bytes("GET", DOMAIN))
        assert closed_without_a_byte(plain)
    behind.listener.close()


def test_the_source_may_be_a_trusted_proxy_itself(edges):
    behind = Behind(edges, trusted=f"{TRUSTED} 203.0.113.0/24")
    behind.ask(V1, fields="X-Forwarded-For: 6.6.6.6, 192.0.2.9, 203.0.113.8\r\n")
    head = behind.asked()
    assert head.get("x-forwarded-for") == "6.6.6.6, 192.0.2.9, 203.0.113.8, 203.0.113.7"
    assert head.get("x-real-ip") == behind.line()["client"] == "192.0.2.9"
    behind.listener.close()


def test_the_source_is_not_trusted_because_its_peer_is(behind):
    behind.ask(V1, fields="X-Forwarded-For: 6.6.6.6\r\nX-Request-ID: chosen\r\n")
    head = behind.asked()
    assert head.get("x-forwarded-for") == "203.0.113.7" and head.get("x-request-id") != "chosen"


# ---- SSH behind it ----


def splice_address(visitor: str) -> str:
    digest = hashlib.sha256(socket.inet_aton(visitor)).digest()
    return f"127.{64 | digest[0] & 0x3f}.{digest[1]}.{digest[2]}"


def in_front(to: int, header: bytes, started: list) -> int:
    """Something that joins each connection to a port, behind a header."""
    server = socket.create_server(("127.0.0.1", 0))

    def copy(a: socket.socket, b: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)

    def live(a: socket.socket) -> None:
        with a, socket.create_connection(("127.0.0.1", to)) as b:
            b.sendall(header)
            back = threading.Thread(target=copy, args=(b, a), daemon=True)
            back.start()
            copy(a, b)
            back.join()

    class End:
        title = "in front"

        def log(self) -> str:
            return ""

        def end(self) -> None:
            server.shutdown(socket.SHUT_RDWR)
            server.close()

    each_connection(server, live)
    started.append(End())
    return server.getsockname()[1]


@pytest.mark.parametrize("header", [V1, HEADERS["v2"][0]], ids=["v1", "v2"])
def test_ssh_behind_it(daemons, started, folder, header):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        at = listener.getsockname()[1]
        path = WholePath(daemons, started, folder, inherited=[listener], listen_https=f"127.0.0.1:{at}",
                         proxy_listeners=f"127.0.0.1:{at}", trusted_proxies=TRUSTED,
                         relay_keys={"port": in_front(at, header, started)})
        (lane,) = path.status()["lanes"]
        assert lane["seen_from"] == "203.0.113.7"
        assert f"Connection from {splice_address('203.0.113.7')} port" in path.sshd.log()
        with socket.create_connection(("127.0.0.1", at), PATIENCE_S) as plain:
            plain.sendall(header + b"SSH-2")
            plain.sendall(b".0-x\r\n")
            assert plain.recv(8) == b"SSH-2.0-"


# ---- fields ----


@pytest.fixture
def trusting(edges):
    made = Behind(edges, proxied=False, trusted=f"{TRUSTED} 10.0.0.0/8 2001:db8::/32")
    yield made
    made.listener.close()


def test_what_a_trusted_proxy_says(trusting):
    reply = trusting.ask(fields="X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.9, 10.0.0.1\r\n"
                                "X-Forwarded-Proto: http\r\nX-Forwarded-Host: b.test\r\nX-Forwarded-Port: 81\r\n"
                                "Forwarded: for=192.0.2.9;proto=http\r\nX-Request-ID: from-the-proxy\r\n"
                                "X-Real-IP: 6.6.6.6\r\nX-Forwarded-User: root\r\n")
    head = trusting.asked()
    assert reply.status == 200
    assert head.get("x-forwarded-for") == f"6.6.6.6, 192.0.2.9, 10.0.0.1, {TRUSTED}"
    assert [head.get(f"x-forwarded-{name}") for name in ("proto", "host", "port")] == ["http", "b.test", "81"]
    assert head.get("forwarded") == f"for=192.0.2.9;proto=http, for={TRUSTED};host=a.test;proto=https"
    assert (head.get("x-request-id"), head.get("x-real-ip")) == ("from-the-proxy", "192.0.2.9")
    assert head.get("x-forwarded-user") is None and head.get("host") == DOMAIN
    line = trusting.line()
    assert (line["client"], line["request_id"]) == ("192.0.2.9", "from-the-proxy")


def test_what_a_stranger_says(trusting):
    trusting.ask(source=OTHER, fields="X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: http\r\nX-Request-ID: chosen\r\n"
                                      "Forwarded: for=192.0.2.9\r\n")
    head = trusting.asked()
    assert head.get("x-forwarded-for") == head.get("x-real-ip") == OTHER
    assert head.get("forwarded") == f"for={OTHER};host=a.test;proto=https"
    assert head.get("x-forwarded-proto") == "https" and re.fullmatch("[0-9a-f]{32}", head.get("x-request-id"))
    assert trusting.line()["client"] == OTHER


def test_pages_of_our_own_are_logged_with_the_visitor(trusting):
    with trusting.visitor() as visitor:
        assert visitor.ask(fields="X-Forwarded-For: 192.0.2.9\r\n", host="nobody.test").status == 404
    assert trusting.line()["client"] == "192.0.2.9"
    with trusting.visitor() as visitor:
        visitor.send("GET / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.9\r\n bad\r\n\r\n")
        assert visitor.reply().status == 400
    assert trusting.line(2)["client"] == TRUSTED  # of a head that was not understood nothing is believed


def test_loopback_is_not_trusted_unless_it_is_said(edges):
    behind = Behind(edges, proxied=False, trusted="")
    behind.ask(fields="X-Forwarded-For: 192.0.2.9\r\n")
    assert behind.asked().get("x-forwarded-for") == TRUSTED
    behind.listener.close()


def test_a_reload_changes_who_is_trusted(trusting):
    conf = trusting.relay.conf.read_text()
    with trusting.visitor() as visitor:
        for trusted, seen in ((None, f"192.0.2.9, {TRUSTED}"), ("", TRUSTED), ("127.0.0.0/8", f"192.0.2.9, {TRUSTED}")):
            if trusted is not None:
                trusting.relay.conf.write_text(re.sub("trusted_proxies = .*", f"trusted_proxies = {trusted}", conf))
                assert trusting.relay.post("/v1/reload").status == 200

            def asked():
                visitor.ask(fields="X-Forwarded-For: 192.0.2.9\r\n")
                return trusting.asked().get("x-forwarded-for") == seen

            wait_until(asked, f"{seen} with {trusted!r}")


def test_redirects_go_by_what_the_proxy_says(edges):
    behind = Behind(edges, proxied=False, secure=False)
    behind.serve_http("redirect")

    def asked(fields: str, source: str = TRUSTED) -> bytes:
        with behind.connect(source) as plain:
            plain.sendall(request_bytes("GET", DOMAIN, "/x?y", fields))
            return plain.recv(2000)

    assert b"\r\nLocation: https://a.test/x?y\r\n" in asked("X-Forwarded-Proto: http\r\n")
    assert asked("X-Forwarded-Proto: https\r\n").startswith(b"HTTP/1.1 200")
    assert asked("X-Forwarded-Proto: https\r\n", OTHER).startswith(b"HTTP/1.1 308")
    behind.listener.close()


@pytest.mark.parametrize("header", [V1, v2(0x21, V6)], ids=["v1", "v2"])
def test_redirects_behind_proxy_headers_lead_to_443(edges, header):
    """There the balancer has TLS, whatever port of ours it sends that to; who comes by himself is sent to our own."""
    behind = Behind(edges, secure=False)
    behind.serve_http("redirect")

    def location(first: bytes, source: str) -> str:
        with behind.connect(source) as plain:
            plain.sendall(first + request_bytes("GET", DOMAIN, "/x?y"))
            return re.search("\r\nLocation: (.*)\r\n", plain.recv(2000).decode())[1]

    assert location(header, TRUSTED) == "https://a.test/x?y"
    assert location(b"", OTHER) == f"https://a.test:{behind.front.port}/x?y"
    behind.listener.close()


@pytest.mark.parametrize("fields, forwarded", [
    ("X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\n", f"for=192.0.2.9, for={TRUSTED};host=a.test;proto=https"),
    ("Forwarded: for=192.0.2.9;proto=https\r\n", f"for=192.0.2.9;proto=https, for={TRUSTED};host=a.test;proto=http"),
], ids=["x-forwarded", "forwarded"])
def test_where_a_proxy_ends_tls(edges, fields, forwarded):
    """The site then hears of one way only, and of no port of ours."""
    behind = Behind(edges, proxied=False, secure=False)
    behind.serve_http("redirect")
    with behind.connect() as plain:
        plain.sendall(request_bytes("GET", DOMAIN, fields=fields))
        assert plain.recv(1000).startswith(b"HTTP/1.1 200")
    head = behind.asked()
    assert [head.get(f"x-forwarded-{name}") for name in ("for", "proto", "host", "port")] == [
        f"192.0.2.9, {TRUSTED}", "https", "a.test", "443"]
    assert head.get("forwarded") == forwarded
    behind.listener.close()


# ---- the real ones ----


@pytest.mark.parametrize("how", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options ssl,unique-id,crc32c"],
                         ids=["v1", "v2", "v2-options"])
def test_haproxy_with_proxy_headers(behind, started, folder, how):
    proxy = Haproxy(folder / "haproxy", "mode tcp", f"server relay 127.0.0.1:{behind.port} {how}").start()
    started.append(proxy)
    plain = socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S, ("127.0.0.77", 0))
    with context(behind.front.root).wrap_socket(plain, server_hostname=DOMAIN) as tls:
        tls.sendall(request_bytes("GET", DOMAIN))
        assert tls.recv(1000).startswith(b"HTTP/1.1 200")
    head = behind.asked()
    assert head.get("x-forwarded-for") == head.get("x-real-ip") == behind.line()["client"] == "127.0.0.77"
    assert head.get("x-forwarded-port") == str(proxy.port)


def test_haproxy_checks_the_relay(behind, started, folder):
    """With LOCAL headers, and TLS behind them."""
    proxy = Haproxy(folder / "haproxy", "mode tcp", "log stdout format raw local0",
                    f"server relay 127.0.0.1:{behind.port} send-proxy-v2 check check-ssl check-sni a.test verify none inter 100ms rise 2 fall 2",
                    ).start()
    started.append(proxy)
    for _ in range(3):
        time.sleep(0.3)
        plain = socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S)
        with context(behind.front.root).wrap_socket(plain, server_hostname=DOMAIN) as tls:
            tls.sendall(request_bytes("GET", DOMAIN))
            assert tls.recv(1000).startswith(b"HTTP/1.1 200")
    assert "DOWN" not in proxy.log() and "proxy_listeners" not in behind.relay.log()


def test_haproxy_with_fields(trusting, started, folder):
    proxy = Haproxy(folder / "haproxy", "mode http", "option forwardfor", "http-request set-header X-Forwarded-Proto http",
                    f"server relay 127.0.0.1:{trusting.port} ssl verify required ca-file {trusting.front.root} "
                    f"sni str({DOMAIN}) verifyhost {DOMAIN}").start()
    started.append(proxy)
    with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S, ("127.0.0.77", 0)) as plain:
        plain.sendall(request_bytes("GET", DOMAIN, fields="X-Forwarded-For: 6.6.6.6\r\n"))
        assert plain.recv(1000).startswith(b"HTTP/1.1 200")
    head = trusting.asked()
    assert head.get("x-forwarded-for") == f"6.6.6.6, 127.0.0.77, {TRUSTED}"
    assert (head.get("x-real-ip"), head.get("x-forwarded-proto")) == ("127.0.0.77", "http")
    assert trusting.line()["client"] == "127.0.0.77"


def test_curl_with_proxy_headers(behind):
    done = subprocess.run([need("curl"), "-sS", "--haproxy-protocol", "--cacert", behind.front.root, "--resolve",
                           f"{DOMAIN}:{behind.port}:127.0.0.1", f"https://{DOMAIN}:{behind.port}/"], capture_output=True,
                          timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (0, b"pi"), done.stderr
    assert behind.line()["client"] == TRUSTED


# ---- how much a head may be ----


def head_of(size: int) -> bytes:
    """A request whose head has so many bytes."""
    start = request_bytes("GET", DOMAIN)[:-2]
    fields = []
    size -= len(start) + 2
    while size > 0:
        n = size if size <= 4000 else 3000
        fields.append(b"X: " + b"y" * (n - 5) + b"\r\n")
        size -= n
    return start + b"".join(fields) + b"\r\n"


def status_of(behind, request: bytes) -> int:
    with behind.visitor() as visitor:
        visitor.send(request)
        return visitor.reply().status


@pytest.mark.parametrize("keys, uri, header", [
    ({}, 16384, 65536),
    ({"max_uri": "1k", "max_header": "4k"}, 1024, 4096),
    ({"max_uri": 100000, "max_header": "200k"}, 100000, 204800),
], ids=["default", "small", "large"])
def test_heads_up_to_their_limits(edges, keys, uri, header):
    behind = Behind(edges, proxied=False, **keys)

    def asking(n: int) -> bytes:
        return request_bytes("GET", DOMAIN, "/" + "x" * (n - 1))

    assert [status_of(behind, asking(n)) for n in (uri, uri + 1)] == [200, 414]
    assert [status_of(behind, head_of(n)) for n in (header, header + 1)] == [200, 431]
    assert len(behind.agent.requests[-1][0].raw) > header  # with ours added
    with behind.visitor() as visitor:  # and those behind each other
        visitor.send(head_of(header) * 3)
        assert [visitor.reply().status for _ in range(3)] == [200, 200, 200]
    behind.listener.close()


def test_a_limit_that_changes_in_the_middle_of_a_head(edges):
    behind = Behind(edges, proxied=False, max_header="64k")
    with behind.visitor() as visitor:
        whole = head_of(60000)
        visitor.send(whole[:50000])
        conf = behind.relay.conf.read_text()
        behind.relay.conf.write_text(conf.replace("max_header = 64k", "max_header = 2k"))
        assert behind.relay.post("/v1/reload").status == 200
        wait_until(lambda: status_of(behind, head_of(5000)) == 431, "the new limit holds")
        visitor.send(whole[50000:])
        assert visitor.reply().status == 200
        visitor.send(head_of(5000))
        assert visitor.reply().status == 431
    behind.listener.close()
