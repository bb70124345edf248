"""tls = passthrough: the house ends the TLS of its visitors, and the relay carries the bytes by the name they ask for."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from client_hello import alert_of, client_hello, extension, real_hello, records
from http1 import content_sha256
from path import DOMAIN, WholePath, fronts
from programs import PATIENCE_S, limit, need, wait_until
from sshd import free_port
from stacks import Stack
from secure import Certificates, server_context
from visitor import Visitor, connect, context
from website import Site
from x509 import shown

MB = 1_000_000
FURTHER = "b.test"  # a site as all others
INTERNAL_ERROR, UNRECOGNIZED_NAME = 80, 112


def exactly(sock: socket.socket, n: int) -> bytes:
    """So many bytes, or fewer at the end."""
    got = b""
    while len(got) < n and (piece := sock.recv(n - len(got))):
        got += piece
    return got


class Raw:
    """A service that takes whatever comes: what it has read of the connection so far is in got."""

    title = "the raw service"

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.url = f"tcp://127.0.0.1:{self.server.getsockname()[1]}"

    def accept(self) -> socket.socket:
        self.server.settimeout(PATIENCE_S)
        sock = self.server.accept()[0]
        sock.settimeout(PATIENCE_S)
        return sock

    def log(self) -> str:
        return ""

    def end(self) -> None:
        self.server.close()


class Passed(WholePath):
    """a.test, with its alias www.a.test, is passed through; b.test is not."""

    def __init__(self, daemons, started, folder, service: Any = None, domain: dict | None = None, **how: Any) -> None:
        (folder / "own").mkdir()
        self.own = Certificates(folder / "own")
        self.tls = server_context(self.own.pair("house", [DOMAIN, "www.a.test"]), alpn=())
        self.service, self.domain = service, {"tls": "passthrough", "aliases": "www.a.test", **(domain or {})}
        self.further = Site()
        started.append(self.further)
        super().__init__(daemons, started, folder, services={FURTHER: self.further.url}, **how)

    def start_relay(self) -> None:
        domains = f"domains = {DOMAIN} {FURTHER}\n"
        self.relay.configure(self.relay.conf.read_text().replace(domains, f"{domains.rstrip()} www.a.test\n"))
        super().start_relay()

    def _make_site(self) -> Site:
        return Site(tls=self.tls)

    def _agent_ini(self, *args: Any) -> str:
        text, section = super()._agent_ini(*args), f"[domain {DOMAIN}]\n"
        keys = {"service": (self.service or self.site).url, **self.domain}
        own = section + "".join(f"{key} = {value}\n" for key, value in keys.items())
        return text.replace(f"{section}service = {self.site.url}\n", own)

    def passing(self, name: str = DOMAIN, **how: Any) -> Visitor:
        """A visitor who trusts the house's authority alone."""
        how.setdefault("tls", context(self.own.root))
        return Visitor(self.port, self.own.root, name, **how)

    def raw(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)

    def set_own(self, relay: str = "", **domain: object) -> None:
        """Other keys of the site at the agent, and a section of the relay's own."""
        self.domain = domain
        self.agent.configure(self._agent_ini(self.agent, self.folder))
        assert self.agent.post("/v1/reload").status == 200
        if relay:
            text = self.relay.conf.read_text()
            self.relay.configure(text.partition("[domain")[0] + relay)
            assert self.relay.post("/v1/reload").status == 200


@pytest.fixture
def passed(daemons, started, folder) -> Iterator:
    made = []

    def make(*args: Any, **how: Any) -> Passed:
        made.append(Passed(daemons, started, folder, *args, **how))
        return made[-1]

    yield make
    for path in made:
        path.close()


@pytest.fixture
def path(passed) -> Passed:
    return passed()


@pytest.fixture
def raw(passed, started) -> Passed:
    """Behind it is a Raw, as path.service."""
    service = Raw()
    started.append(service)
    return passed(service)


# ---- whose certificate it is ----


def test_the_house_ends_the_tls(path):
    for name in (DOMAIN, "www.a.test"):
        with path.passing(name) as visitor:
            assert visitor.ask("GET", "/echo").status == 200
    with path.visitor(FURTHER) as visitor:  # with the relay's own certificate
        assert visitor.ask("GET", "/echo").status == 200
    assert [seen.head.get("X-Forwarded-For") for seen in path.site.seen] == [None, None]
    assert path.further.seen[-1].head.get("X-Forwarded-For") == "127.0.0.1"
    site, other = (next(d for d in path.status()["domains"] if d["name"] == name) for name in (DOMAIN, FURTHER))
    assert (site["state"], site["cert"]["state"], site["requests"]) == ("up", "none", 2)
    assert (other["cert"]["state"], other["requests"]) == ("valid", 1)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_sees_the_house(path, version):
    done = subprocess.run([need("openssl"), "s_client", "-connect", f"127.0.0.1:{path.port}", "-servername", DOMAIN, version,
                           "-CAfile", path.own.root, "-verify_return_error", "-verify_hostname", DOMAIN, "-ign_eof"],
                          input=f"GET /until-close/10 HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n".encode(),
                          capture_output=True, timeout=PATIENCE_S)
    assert b"Verify return code: 0 (ok)" in done.stdout and b"HTTP/1.1 200" in done.stdout, done


@pytest.mark.parametrize("size", [100 * MB])
def test_bytes_both_ways(path, size):
    curl = [need("curl"), "-sS", "--fail", "--cacert", path.own.root, "--connect-to", f"::127.0.0.1:{path.port}"]
    with subprocess.Popen([*curl, f"https://{DOMAIN}/bytes/{size}/7"], stdout=subprocess.PIPE) as process:
        digest = hashlib.sha256()
        while piece := process.stdout.read(1 << 20):
            digest.update(piece)
    assert process.returncode == 0 and digest.hexdigest() == content_sha256(size, 7)
    body = os.urandom(1 << 20) * 20
    done = subprocess.run([*curl, "--data-binary", "@-", "-H", "Expect:", f"https://{DOMAIN}/echo"], input=body, capture_output=True)
    assert done.returncode == 0 and path.site.seen[-1].body.sha256 == hashlib.sha256(body).hexdigest()


def test_who_validates_the_name_reaches_the_house(path):
    """There a certificate is ordered for it; for other names the relay answers, or refuses."""
    path.tls.set_alpn_protocols(["acme-tls/1"])
    validates = context(path.own.root, ["acme-tls/1"])
    with path.passing(tls=validates) as visitor:
        assert visitor.socket.selected_alpn_protocol() == "acme-tls/1"
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        connect(path.port, validates, FURTHER)


def test_a_visitors_certificate_reaches_the_service(passed):
    path = passed()
    path.tls.load_verify_locations(path.own.root)
    path.tls.verify_mode = ssl.CERT_REQUIRED
    with pytest.raises((ssl.SSLError, AssertionError, ConnectionError)):
        with path.passing() as visitor:
            visitor.ask("GET", "/echo")
    tls, own = context(path.own.root), path.own.pair("visitor", ["visitor.test"])
    tls.load_cert_chain(own.cert, own.key)
    with path.passing(tls=tls) as visitor:
        assert visitor.ask("GET", "/echo").status == 200


def test_sessions_are_resumed_by_the_service(path):
    tls = context(path.own.root, version=ssl.TLSVersion.TLSv1_2)
    with path.passing(tls=tls) as visitor:
        assert visitor.ask("GET", "/echo").status == 200
        session = visitor.socket.session
    with path.passing(tls=tls, session=session) as visitor:
        assert visitor.socket.session_reused and visitor.ask("GET", "/echo").status == 200


def test_a_challenge_of_an_authority_goes_to_the_house(path):
    path.tls.set_alpn_protocols(["acme-tls/1"])
    tls = context(path.own.root, alpn=["acme-tls/1"])
    with path.passing(tls=tls) as visitor:
        assert visitor.socket.selected_alpn_protocol() == "acme-tls/1"


# ---- ClientHellos ----


def replayed(path: Passed, wire: bytes, pieces: list[bytes] | None = None, then: bytes = b"and more") -> None:
    """The service gets exactly these bytes, and what it says comes back."""
    with path.raw() as visitor:
        visitor.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces or [wire]:
            visitor.sendall(piece)
        with path.service.accept() as service:
            visitor.sendall(then)
            visitor.shutdown(socket.SHUT_WR)
            got = b""
            while piece := service.recv(1 << 20):
                got += piece
            assert got == wire + then
            service.sendall(b"x" * 300_000)
        assert len(visitor.makefile("rb").read()) == 300_000


def every(wire: bytes, size: int) -> list[bytes]:
    return [wire[at:at + size] for at in range(0, len(wire), size)]


HELLOS = {
    "plain": lambda: records(client_hello(DOMAIN)),
    "openssl's": lambda: real_hello(DOMAIN),
    "in capitals, with a dot": lambda: records(client_hello("WWW.a.Test.")),
    "with GREASE and ECH": lambda: records(client_hello(DOMAIN, grease=True)),
    "in two records": lambda: records(client_hello(DOMAIN, padding=1000), 600),
    "in records of one byte": lambda: records(client_hello(DOMAIN, padding=500), 1),
    "32 KiB": lambda: records(client_hello(DOMAIN, padding=32_000)),
    "the name last of 64 KiB": lambda: records(client_hello(DOMAIN, before=extension(21, bytes(64_000)))),
    "64 KiB in small records": lambda: records(client_hello(DOMAIN, padding=65_000), 100),
    "of TLS 1.0 records": lambda: records(client_hello(DOMAIN), version=b"\x03\x00"),
    "with more behind it": lambda: records(client_hello(DOMAIN)) + b"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x05early",
}


@pytest.mark.parametrize("name", HELLOS)
def test_hellos_are_replayed_untouched(raw, name):
    wire = HELLOS[name]()
    replayed(raw, wire)
    replayed(raw, wire, every(wire, max(1, len(wire) // 400)))


def test_a_slow_hello(raw):
    wire = records(client_hello(DOMAIN))
    with raw.raw() as slow:
        slow.sendall(wire[:100])
        replayed(raw, wire)  # nobody waits for him
        slow.sendall(wire[100:])
        with raw.service.accept() as service:
            assert exactly(service, len(wire)) == wire


def test_a_silent_visitor_delays_nobody(raw):
    wire = records(client_hello(DOMAIN))
    with contextlib.ExitStack() as stack:
        begin = time.monotonic()
        silent = [stack.enter_context(raw.raw()) for _ in range(200)]
        for visitor in silent[:100]:
            visitor.sendall(wire[:50])
        for _ in range(10):
            replayed(raw, wire)
        assert time.monotonic() - begin < limit(5)
        for visitor in silent[::50]:
            assert visitor.recv(1) == b""
        assert 9 < time.monotonic() - begin < limit(12)
    assert raw.visit("GET", "/echo", name=FURTHER).status == 200


def test_big_hellos_of_a_real_client(path):
    tls = context(path.own.root, alpn=[f"{i:0250d}" for i in range(150)])
    with path.passing(tls=tls) as visitor:
        assert visitor.ask("GET", "/echo").status == 200


@pytest.mark.parametrize("hello, alert", [
    (client_hello(None), UNRECOGNIZED_NAME), (client_hello("c.test"), UNRECOGNIZED_NAME), (client_hello("x.a.test"), UNRECOGNIZED_NAME),
    (client_hello(""), UNRECOGNIZED_NAME), (client_hello(DOMAIN, padding=65_535 - 300, after=extension(0x5555, bytes(200))), UNRECOGNIZED_NAME),
], ids=["no name", "unknown", "below", "empty", "longer than 64 KiB"])
def test_names_of_nobody_are_refused(raw, hello, alert):
    with raw.raw() as visitor:
        visitor.sendall(records(hello))
        assert alert_of(visitor) in (alert, 50)  # or OpenSSL finds it malformed


def test_no_name_gets_the_default_certificate(passed, folder):
    default = Certificates(folder).pair("default", ["default.test"])
    path = passed(default_cert=default.joined(folder / "default.both"))
    assert shown(path.port, None) == default.der and shown(path.port, "c.test") == default.der
    assert shown(path.port, DOMAIN) != default.der


def test_no_hello_at_all(raw):
    for said in (b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", b"\x16\x02\x00\x00\x05hello", b"\x80\x2e\x01\x00\x02", bytes(500), b"SSX"):
        with raw.raw() as visitor:
            visitor.sendall(said)
            with contextlib.suppress(ConnectionResetError):
                visitor.recv(100)
    replayed(raw, records(client_hello(DOMAIN)))


# ---- ends ----


def test_a_lane_that_dies_in_the_middle_is_a_reset(raw):
    with raw.raw() as visitor:
        visitor.sendall(records(client_hello(DOMAIN)))
        with raw.service.accept() as service:
            service.sendall(b"some")
            assert exactly(visitor, 4) == b"some"
            os.kill(raw.session().sshd, signal.SIGKILL)
            with pytest.raises(ConnectionResetError):
                visitor.recv(1)
            with pytest.raises(ConnectionResetError):
                while service.recv(4096):
                    pass


def test_a_hello_alone_is_said_again_when_its_lane_dies(passed, started):
    """By then it has done nothing; but what came with it, or behind it, might have."""
    service = Raw()
    started.append(service)
    path = passed(service, park="60s")
    wire = records(client_hello(DOMAIN))
    with path.raw() as visitor, path.raw() as early:
        visitor.sendall(wire)
        early.sendall(wire + b"\x17\x03\x03\x00\x05early")
        with service.accept() as one, service.accept() as other:
            got = sorted([exactly(one, len(wire)), exactly(other, len(wire))])
            assert got == [wire, wire]
            os.kill(path.session().sshd, signal.SIGKILL)
            with pytest.raises(ConnectionResetError):
                early.recv(1)
        with service.accept() as again:
            assert exactly(again, len(wire)) == wire
            again.sendall(b"hello")
            assert exactly(visitor, 5) == b"hello"


@pytest.mark.parametrize("who", ["visitor", "service"])
def test_a_reset_of_one_is_a_reset_for_the_other(raw, who):
    with raw.raw() as visitor:
        visitor.sendall(records(client_hello(DOMAIN)))
        with raw.service.accept() as service:
            one, other = (visitor, service) if who == "visitor" else (service, visitor)
            service.sendall(b"x")
            assert visitor.recv(1) == b"x"
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            one.close()
            with pytest.raises(ConnectionResetError):
                while other.recv(4096):
                    pass


def test_a_service_that_is_not_there(raw):
    raw.service.end()
    with raw.raw() as visitor:
        visitor.sendall(records(client_hello(DOMAIN)))
        assert alert_of(visitor) == INTERNAL_ERROR


# ---- a house that is away ----


def test_while_the_house_is_away_visitors_are_held_and_then_told(passed):
    path = passed(park="2s")
    path.agent.stop()
    with path.raw() as visitor:
        begin = time.monotonic()
        visitor.sendall(real_hello(DOMAIN))
        assert alert_of(visitor) == INTERNAL_ERROR
        assert 1.9 < time.monotonic() - begin < limit(4)
    with pytest.raises(ssl.SSLError, match="INTERNAL_ERROR"):
        path.passing()


def test_who_waited_is_served_when_it_comes_back(passed):
    path = passed(park="60s")
    path.agent.stop()
    answers = []

    def visit():
        with path.passing() as visitor:
            answers.append(visitor.ask("GET", "/echo").status)

    waiting = [threading.Thread(target=visit) for _ in range(5)]
    for thread in waiting:
        thread.start()
    wait_until(lambda: next(d for d in path.status()["domains"] if d["name"] == DOMAIN).get("parked") == 5, "all five wait")
    path.start_agent()
    for thread in waiting:
        thread.join()
    assert answers == [200] * 5


def test_a_relay_that_starts_again_knows_that_it_is_passed_through(passed):
    path = passed(park="60s")
    path.agent.stop()
    path.relay.stop()
    path.start_relay()
    with contextlib.ExitStack() as stack:
        visitor = stack.enter_context(path.raw())
        visitor.sendall(real_hello(DOMAIN))
        wait_until(lambda: next(d for d in path.status()["domains"] if d["name"] == DOMAIN).get("parked") == 1, "he waits")
        path.start_agent()
        assert visitor.recv(1) == b"\x16"


# ---- what is not passed through ----


def test_requests_by_another_sites_connection_are_misdirected(path):
    with path.visitor(FURTHER) as visitor:
        assert visitor.ask("GET", "/", host=DOMAIN).status == 421
    with pytest.raises(ssl.SSLError):
        path.visitor(DOMAIN)  # who trusts only the relay's root


def test_so_are_those_by_http2(path):
    done = subprocess.run([need("curl"), "-sS", "--http2", "-o", "/dev/stdout", "-w", "%{http_code} %{http_version}", "--cacert", path.root,
                           "--connect-to", f"::127.0.0.1:{path.port}", "-H", f"Host: {DOMAIN}", f"https://{FURTHER}/"],
                          capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout.endswith("421 2"), done


def test_behind_a_load_balancer(passed, started):
    """The service is told what the load balancer tells."""
    service, port = Raw(), socket.create_server(("127.0.0.1", 0), backlog=100)
    started.append(service)
    at = f"127.0.0.1:{port.getsockname()[1]}"
    path = passed(service, inherited=[port], listen_https=at, proxy_listeners=at, trusted_proxies="127.0.0.1",
                  domain={"proxy_protocol": "v1"})
    wire = records(client_hello(DOMAIN))
    with socket.create_connection(port.getsockname(), PATIENCE_S) as visitor:
        visitor.sendall(b"PROXY TCP4 203.0.113.7 198.51.100.2 12345 443\r\n" + wire[:30])
        visitor.sendall(wire[30:])
        with path.service.accept() as sock:
            want = b"PROXY TCP4 203.0.113.7 198.51.100.2 12345 443\r\n" + wire
            assert exactly(sock, len(want)) == want


def test_port_80_leads_to_the_house(passed):
    http = socket.create_server(("127.0.0.1", 0))
    path = passed(inherited=[http, tls := socket.create_server(("127.0.0.1", 0), backlog=1024)],
                  listen_http=f"127.0.0.1:{http.getsockname()[1]}", listen_https=f"127.0.0.1:{tls.getsockname()[1]}")
    path.port = tls.getsockname()[1]

    def ask(target: str, host: str) -> bytes:
        with socket.create_connection(http.getsockname(), PATIENCE_S) as visitor:
            visitor.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            return visitor.makefile("rb").read()

    assert f"Location: https://{DOMAIN}:{path.port}/x?y\r\n".encode() in ask("/x?y", DOMAIN)
    path.set_own(tls="passthrough", https="only")
    wait_until(lambda: ask("/", DOMAIN).startswith(b"HTTP/1.1 404"), "nobody is served without TLS")


def test_the_relays_own_word_wins(path):
    path.set_own(relay=f"[domain {DOMAIN}]\ntls = terminate\n", tls="passthrough")
    wait_until(lambda: path.status()["domains"][0]["cert"]["state"] == "valid", "the relay has a certificate for it")
    path.set_own(relay=f"[domain {DOMAIN}]\ntls = passthrough\n", tls="terminate", verify="off")
    wait_until(lambda: path.status()["domains"][0]["cert"]["state"] == "none", "it needs none")
    with path.passing() as visitor:
        assert visitor.ask("GET", "/echo").status == 200


def test_a_service_that_does_not_fit_is_told_of(passed, started):
    plain = Site()
    started.append(plain)
    path = passed(plain, domain={"tls": "terminate"})
    path.set_own(relay=f"[domain {DOMAIN}]\ntls = passthrough\n", tls="terminate")

    def alert():
        with path.raw() as visitor:
            visitor.sendall(real_hello(DOMAIN))
            return alert_of(visitor)

    wait_until(lambda: alert() == INTERNAL_ERROR, "it is passed through")
    assert "the relay passes TLS through, and this service does not speak it" in path.agent.log()
    assert not plain.seen


def test_an_old_connection_does_not_see_the_change(passed):
    path = passed(domain={"tls": "terminate", "verify": "off"})
    with path.visitor() as visitor:
        assert visitor.ask("GET", "/echo").status == 200
        path.set_own(tls="passthrough")
        wait_until(lambda: path.status()["domains"][0]["cert"]["state"] == "none", "it is passed through")
        with contextlib.closing(path.passing()) as other:
            assert other.ask("GET", "/echo").status == 200
        assert visitor.ask("GET", "/echo").status == 421


def test_who_has_come_before_and_speaks_after_the_change_sees_it(passed):
    path = passed(domain={"tls": "terminate", "verify": "off"})
    with path.raw() as visitor:
        path.set_own(tls="passthrough")
        wait_until(lambda: path.status()["domains"][0]["cert"]["state"] == "none", "it is passed through")
        visitor.sendall(real_hello(DOMAIN))
        assert visitor.recv(1) == b"\x16"
        wait_until(lambda: path.status()["domains"][0]["requests"] == 1, "he is passed on")


def test_without_an_agent(fronts, started, folder):
    own = Certificates(folder)
    site = Site(tls=server_context(own.pair("house", ["c.test"]), alpn=()))
    started.append(site)
    front = fronts()
    text = front.relay.conf.read_text()
    front.relay.configure(text + f"[domain c.test]\nupstream = 127.0.0.1:{site.port}\ntls = passthrough\n")
    front.start_relay()
    with Visitor(front.port, own.root, "c.test") as visitor:
        assert visitor.ask("GET", "/bytes/3000000/1").body.sha256 == content_sha256(3 * MB, 1)


# ---- nginx, and who it is told that comes ----


NGINX = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl http2 {proxy};
        ssl_certificate {pair.cert}; ssl_certificate_key {pair.key};
        ssl_client_certificate {root}; ssl_verify_client optional;
        root {folder}/www;
        location = /who {{
            default_type text/plain;
            return 200 "$proxy_protocol_addr $proxy_protocol_server_port $ssl_server_name $server_protocol $ssl_client_s_dn\n";
        }}
    }}
}}
"""


def nginx(folder: Path, own: Certificates, proxy: bool) -> Stack:
    port, pair = free_port(), own.pair("nginx", [DOMAIN])
    (folder / "www").mkdir()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, pair=pair, root=own.root,
                                                    proxy="proxy_protocol" if proxy else ""))
    stack = Stack("nginx", [need("nginx"), "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"], port, folder)
    stack.url = f"https://127.0.0.1:{port}"
    return stack


def curl(path: Passed, *args: object) -> str:
    done = subprocess.run([need("curl"), "-sS", "--fail", "--cacert", path.own.root, "--connect-to", f"::127.0.0.1:{path.port}",
                           *map(str, args)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_is_told_who_comes(passed, started, folder, version):
    (folder / "nginx").mkdir()
    (folder / "nginx-own").mkdir()
    own = Certificates(folder / "nginx-own")
    server = nginx(folder / "nginx", own, proxy=True)
    started.append(server)
    path = passed(server, domain={"proxy_protocol": version})
    path.own = own
    pair = own.pair("visitor", ["visitor.test"])
    assert curl(path, "--http2", f"https://{DOMAIN}/who") == f"127.0.0.1 {path.port} {DOMAIN} HTTP/2.0 \n"
    assert curl(path, "--http1.1", "--interface", "127.0.0.5", "--cert", pair.cert, "--key", pair.key,
                f"https://{DOMAIN}/who") == f"127.0.0.5 {path.port} {DOMAIN} HTTP/1.1 O=visitor\n"


def test_a_large_file_from_nginx(passed, started, folder):
    """1 GB with E2E_LONG=1."""
    (folder / "nginx").mkdir()
    (folder / "nginx-own").mkdir()
    own = Certificates(folder / "nginx-own")
    server = nginx(folder / "nginx", own, proxy=False)
    started.append(server)
    path = passed(server)
    path.own = own
    digest, piece = hashlib.sha256(), os.urandom(MB)
    with open(folder / "nginx" / "www" / "large", "wb") as file:
        for _ in range(1000 if os.environ.get("E2E_LONG") == "1" else 100):
            file.write(piece)
            digest.update(piece)
    process = subprocess.Popen([need("curl"), "-sS", "--fail", "--cacert", own.root, "--connect-to", f"::127.0.0.1:{path.port}",
                                f"https://{DOMAIN}/large"], stdout=subprocess.PIPE)
    seen = hashlib.file_digest(process.stdout, "sha256")
    process.stdout.close()
    assert process.wait() == 0 and seen.digest() == digest.digest()


def test_the_name_is_in_the_header(raw):
    """PROXY v2 with PP2_TYPE_AUTHORITY: as the visitor wrote it."""
    raw.set_own(tls="passthrough", proxy_protocol="v2")
    wire = records(client_hello("A.test"))
    with raw.raw() as visitor:
        visitor.sendall(wire)
        with raw.service.accept() as service:
            head = exactly(service, 16)
            assert head[:14] == b"\r\n\r\n\0\r\nQUIT\n\x21\x11"
            rest = exactly(service, int.from_bytes(head[14:], "big"))
            addresses = socket.inet_aton("127.0.0.1") * 2 + b"".join(n.to_bytes(2, "big") for n in (visitor.getsockname()[1], raw.port))
            assert rest == addresses + b"\x02\0\x06A.test"
            assert exactly(service, len(wire)) == wire


def test_who_is_passed_through_counts_once(passed):
    """Until his name is known he counts as all others, and then as one who is passed through."""
    path = passed(max_per_source=1)

    def come():
        with contextlib.suppress(OSError):
            return path.passing()

    for _ in range(3):
        visitor = wait_until(come, "whoever came before has gone")
        with visitor:
            assert visitor.ask("GET", "/bytes/10").status == 200 and not come()
            assert visitor.ask("GET", "/bytes/10").status == 200
