"""https:// services: TLS between the agent and a service in the house, and what is said when it comes to nothing."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading

import pytest

from http1 import Cut, Peer, content_sha256, each_connection
from path import DOMAIN, private_kb
from programs import PATIENCE_S, need, wait_until
from secure import Certificates, SecurePath, server_context
from test_volume import (test_100_mb_down, test_100_mb_up, test_100_requests_at_once, test_100_visitors_reuse_a_connection,
                         test_a_reader_who_pauses_gets_all_of_a_last_answer, test_a_slow_reader_holds_no_memory,
                         test_a_slow_site_holds_no_memory, test_a_visitor_who_leaves_in_mid_upload_is_noticed,
                         test_downloads, test_uploads)
from test_websocket import (test_a_service_that_breaks_off_is_a_reset_for_the_visitor,
                            test_a_visitor_who_talks_on_to_a_service_that_is_gone_gets_its_last_words,
                            test_backpressure_reaches_the_visitor, test_either_side_may_close,
                            test_frames_of_16_mb_go_both_ways_at_once, test_messages_of_16_mb,
                            test_messages_of_all_sizes, test_the_visitor_may_end_first,
                            test_what_services_have_taken_is_not_held, wait_unused)
from upgraded import Service, WebSockets, digest_of, end_with_fin, has_fin, is_reset, send_content, upgrade
from tls13 import ALERT, APPLICATION, CLOSE_NOTIFY, HANDSHAKE, SERVER, Records, ticket
from website import Site, notify
from x509 import make_pair, sign

MB = 1_000_000


@pytest.fixture
def secure(daemons, started, folder):
    """secure(domain={…}) is the whole path to a site that speaks TLS."""
    made = []

    def make(*args, **how):
        made.append(SecurePath(daemons, started, folder, *args, **how))
        return made[-1]

    yield make
    for path in made:
        path.close()


@pytest.fixture
def path(secure):
    return secure()


@pytest.fixture
def house(folder):
    (folder / "house").mkdir()
    return Certificates(folder / "house")


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def tls(request, house):
    """Of a service, by an authority that the agent trusts."""
    made = server_context(house.pair("upgraded"))
    made.minimum_version = made.maximum_version = request.param
    return made


@pytest.fixture
def through(secure, house):
    return lambda service, **keys: secure(service, trust={"SSL_CERT_FILE": str(house.root)}, **keys)


@pytest.fixture
def service(started, tls):
    started.append(Service(tls))
    return started[-1]


@pytest.fixture
def front(through, service):
    return through(service)


@pytest.fixture
def sockets(started, tls):
    started.append(WebSockets(ssl=tls))
    return started[-1]


@pytest.fixture
def real(through, sockets):
    return through(sockets)


# ---- who is asked, and how ----


def test_a_name_is_asked_for_and_http_1_spoken(secure):
    path = secure()
    path.set_domain(service=f"https://localhost:{path.site.port}")
    assert path.visit("GET", "/echo").status == 200
    assert path.tls.asked == ["localhost"]
    assert path.site.spoken == ["http/1.1"]
    assert path.site_status()["service_state"] == "ok" and path.site_status()["service_detail"] == ""


def test_an_address_is_no_name(path):
    assert path.visit("GET", "/echo").status == 200
    assert path.tls.asked == [None]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(path, version):
    path.tls.minimum_version = path.tls.maximum_version = version
    for _ in range(4):
        assert path.visit("GET", "/until-close/10").body.size == 10
    stats = path.tls.session_stats()
    assert (path.site.connections, stats["accept_good"], stats["hits"]) == (4, 4, 3)


def test_a_session_says_nothing_about_another_service(path, started):
    """It was given by one whose certificate was verified; the next one on that port has another key."""
    assert path.visit("GET", "/until-close/1").status == 200
    port = path.site.port
    path.site.end()
    impostor = Site(tls=server_context(path.house.self_signed("impostor")), port=port)
    started.append(impostor)
    assert path.visit("GET", "/echo").status == 502
    assert impostor.seen == []


# ---- ends ----


def test_an_end_without_close_notify_is_no_end_of_a_body(path):
    path.site.notifies = False
    for _ in range(3):
        with path.visitor() as visitor, pytest.raises((Cut, OSError)):
            visitor.ask("GET", "/until-close/100000")
    assert path.visit("GET", "/echo").status == 200


def test_what_is_whole_by_itself_needs_no_close_notify(path):
    path.site.notifies = False
    for size in (0, 1, 3 * MB):
        for kind in ("bytes", "chunked"):
            path.site.ends = True
            reply = path.visit("GET", f"/{kind}/{size}/5")
            assert (reply.status, reply.body.sha256) == (200, content_sha256(size, 5))
    assert path.visit("POST", "/early", body=bytes(3 * MB)).status == 413


def test_the_service_may_end_first(front, service):
    """With a close_notify; the visitor may go on for as long as he likes."""

    def serve(peer):
        send_content(peer, 3 * MB, 6)
        notify(peer)
        return digest_of(peer)

    service.serve = serve
    with upgrade(front) as visitor:
        assert digest_of(visitor) == (3 * MB, content_sha256(3 * MB, 6))
        wait_until(lambda: has_fin(visitor), "a FIN")
        send_content(visitor, 3 * MB, 7)
        end_with_fin(visitor)
        assert service.result() == (3 * MB, content_sha256(3 * MB, 7))
    wait_unused(front)


def test_a_visitor_who_breaks_off_is_a_reset_for_the_service(front, service):
    def serve(peer):
        peer.send(peer.exactly(1))
        return is_reset(peer)

    service.serve = serve
    with upgrade(front) as visitor:
        visitor.send("x")
        assert visitor.exactly(1) == b"x"
        visitor.break_off()
    assert service.result() is True
    wait_unused(front)


def test_an_upgraded_connection_that_is_cut_is_a_reset(front, service):
    def serve(peer):
        peer.send("part")
        socket.socket.shutdown(peer.socket, socket.SHUT_WR)  # below TLS
        return digest_of(peer)

    service.serve = serve
    with upgrade(front) as visitor:
        assert visitor.exactly(4) == b"part"
        assert is_reset(visitor)
    wait_unused(front)


def test_broken_tls_in_mid_answer_is_a_reset(path):
    """What came before is passed on; what is no TLS is not."""

    def answer(peer, head, body, *_):
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nwhole")
        socket.socket.sendall(peer.socket, b"\x17\x03\x03\x00\x20" + bytes(32))
        peer.socket.recv(1)
        return False

    path.site._garbled = answer
    with path.visitor() as visitor:
        visitor.send("GET /garbled HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert visitor.head().status == 200 and visitor.exactly(5) == b"whole"
        assert is_reset(visitor)
    assert path.visit("GET", "/echo").status == 200


# ---- a service that sends a ticket in two records ----


OK = (APPLICATION, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def in_two_records(house, went_on, heard, size):
    """It reads a head, sends a part of a ticket, and when it has seen that the visitor has said all, the rest."""
    context = server_context(house.pair("tickets"))
    context.num_tickets = 0

    def live(sock):
        message = ticket(400)
        with Records(sock, context, SERVER) as service:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += service.read(1)
            service.send((HANDSHAKE, message[:200]))
            assert went_on.wait(PATIENCE_S)
            service.send((HANDSHAKE, message[200:]))
            heard.append(service.read(size))
            service.send(OK)
            service.read(1)

    return live


@pytest.mark.parametrize("size", [3, 1_000_000])
def test_an_upload_amid_a_ticket(secure, started, house, size):
    """Not a byte of it is lost, whether all of it waits for the ticket, or only what is under way."""
    went_on, heard, body = threading.Event(), [], bytes(i * 7 % 251 for i in range(size))
    path = secure(domain={"service": raw_service(started, in_two_records(house, went_on, heard, size))},
                  trust={"SSL_CERT_FILE": str(house.root)})
    with path.visitor() as visitor:
        visitor.send(f"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {size}\r\n\r\n")
        threading.Timer(0.3, visitor.send, [body]).start()
        threading.Timer(1, went_on.set).start()
        assert visitor.reply("POST").body.data == b"ok"
    assert heard == [body]


@pytest.mark.parametrize("records, behind", [([(ALERT, CLOSE_NOTIFY)], b"A" * 200), ([OK], b""), ([], b"A" * 200)])
def test_a_service_that_breaks_a_ticket_off(secure, started, house, records, behind):
    context = server_context(house.pair("tickets"))
    context.num_tickets = 0

    def live(sock):
        with Records(sock, context, SERVER) as service:
            service.read(50)
            service.send((HANDSHAKE, ticket(400)[:200]), *records, behind=behind)
            service.raw.settimeout(3)
            service.is_over()

    path = secure(domain={"service": raw_service(started, live)}, trust={"SSL_CERT_FILE": str(house.root)})
    with path.visitor() as visitor:
        visitor.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 200000\r\n\r\n" + "x" * 200000)
        assert visitor.head().status == 502
    assert path.agent.get("/v1/status").status == 200


# ---- what is wrong, and what to do ----


def pair_of(house, kind):
    match kind:
        case "self-signed": return house.self_signed("bad")
        case "expired": return house.pair("bad", days=-1)
        case "another name": return house.pair("bad", ["nas.test", "*.nas.test"])
        case "another authority": return Certificates(house.folder / "others").pair("bad")


@pytest.mark.parametrize("kind, says", [
    ("self-signed", "by nobody whom this machine trusts"),
    ("another authority", "by nobody whom this machine trusts"),
    ("expired", "its certificate has expired"),
    ("another name", "not for this name or address, but for nas.test, *.nas.test;"),
])
def test_a_certificate_that_cannot_be_verified(secure, ctl, kind, says):
    path = secure()
    (path.house.folder / "others").mkdir()
    path.tls.load_cert_chain(*pair_of(path.house, kind))
    assert path.visit("GET", "/echo").status == 502
    assert path.site.seen == []
    status = path.site_status()
    assert status["service_state"] == "refused"
    assert status["service_detail"].startswith(f"127.0.0.1 port {path.site.port}: ") and says in status["service_detail"]
    assert "verify = off" in status["service_detail"]
    shown = ctl("status", at=path.agent)
    assert shown.code == 1 and status["service_detail"] in shown.out
    assert says in path.agent.log()
    path.set_domain(service=path.site.url, verify="off")
    assert path.visit("GET", "/until-close/1").status == 200
    assert (path.site_status()["service_state"], path.site_status()["service_detail"]) == ("ok", "")
    path.set_domain(service=path.site.url)
    assert path.visit("GET", "/echo").status == 502  # no session of the unverified time helps it


def test_a_name_counts_among_the_alternative_ones_alone(secure, house):
    """As for browsers: what is in the subject's common name is no name of the service."""
    old = make_pair(house.folder, "old", [], subject="/CN=localhost")
    path = secure(pair=sign(old, house.authority, ["basicConstraints=CA:FALSE"]), trust={"SSL_CERT_FILE": str(house.root)})
    path.set_domain(service=f"https://localhost:{path.site.port}")
    assert path.visit("GET", "/echo").status == 502 and path.site.seen == []
    assert "not for this name or address; write what it is for into service" in path.site_status()["service_detail"]
    path.tls.load_cert_chain(*house.pair("new", ["localhost"]))
    assert path.visit("GET", "/echo").status == 200


def test_a_machine_that_trusts_nobody(secure, folder):
    (folder / "none").mkdir()
    path = secure(trust={"SSL_CERT_FILE": str(folder / "none" / "x.pem"), "SSL_CERT_DIR": str(folder / "none")})
    assert path.visit("GET", "/echo").status == 502
    assert f"there are no authorities' certificates in {folder}/none; install the package ca-certificates" in \
        path.site_status()["service_detail"]


def test_a_folder_of_authorities(secure, folder, house):
    """As update-ca-certificates leaves it; a further one is found without a restart."""
    (folder / "trusted").mkdir()
    others = house.pair("service")
    path = secure(pair=others, trust={"SSL_CERT_DIR": str(folder / "trusted")})
    (folder / "trusted" / "own.pem").write_text(path.house.root.read_text())
    subprocess.run([need("openssl"), "rehash", folder / "trusted"], check=True)
    assert path.visit("GET", "/echo").status == 502
    (folder / "trusted" / "house.pem").write_text(house.root.read_text())
    subprocess.run([need("openssl"), "rehash", folder / "trusted"], check=True)
    path.set_domain(service=path.site.url)
    assert path.visit("GET", "/echo").status == 200


def raw_service(started, live):
    """A socket of which `live` has each connection; its URL, said to be https://."""
    server = socket.create_server(("127.0.0.1", 0))
    each_connection(server, live)
    started.append(Closing(server))
    return f"https://127.0.0.1:{server.getsockname()[1]}"


class Closing:
    title = "a service"

    def __init__(self, server):
        self.server = server

    def log(self):
        return ""

    def end(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


def speak_http(sock):
    with sock:
        sock.recv(4096)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def say_nothing(sock):
    with sock:
        while sock.recv(4096):
            pass


def close_at_once(sock):
    sock.recv(4096)
    sock.close()


@pytest.mark.parametrize("live, status, state, says", [
    (speak_http, 502, "refused", "does not speak TLS at this port; write http://"),
    (close_at_once, 502, "refused", "ended the connection during the TLS handshake"),
    pytest.param(say_nothing, 504, "silent", "did not finish the TLS handshake in 10 s", marks=pytest.mark.slow),
])
def test_what_is_no_tls(secure, started, live, status, state, says):
    path = secure(domain={"service": raw_service(started, live)})
    assert path.visit("GET", "/").status == status
    seen = path.site_status()
    assert seen["service_state"] == state and says in seen["service_detail"]


def test_a_service_that_is_not_there(secure):
    path = secure()
    path.site.end()
    assert path.visit("GET", "/").status == 502
    assert path.site_status()["service_state"] == "refused"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_service_that_wants_a_certificate(path, version):
    path.tls.minimum_version = path.tls.maximum_version = version
    path.tls.load_verify_locations(path.house.root)
    path.tls.verify_mode = ssl.CERT_OPTIONAL
    assert path.visit("GET", "/until-close/1").status == 200  # many only ask
    path.tls.verify_mode = ssl.CERT_REQUIRED
    path.agent.post("/v1/reload")  # or the session would speak for us
    assert path.visit("GET", "/echo").status == 502
    assert path.site_status()["service_state"] == "refused"
    assert "wants a client's certificate" in path.site_status()["service_detail"]
    assert path.agent.log().count("service is not well") == 1


# ---- real servers ----


NGINX = """daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; client_max_body_size 0;
    server {{
        listen 127.0.0.1:{port} ssl; server_name localhost;
        ssl_certificate {pair.cert}; ssl_certificate_key {pair.key}; ssl_protocols {versions};
        root {folder}/www;
        location /back/ {{ proxy_pass http://127.0.0.1:{back}/; proxy_http_version 1.1; proxy_buffering off; }}
        location /ended/ {{ keepalive_timeout 0; alias {folder}/www/; }}
    }}
}}
"""


class Nginx:
    title = "nginx"

    def __init__(self, folder, pair, back, versions):
        self.folder = folder / "nginx"
        (self.folder / "www").mkdir(parents=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        (self.folder / "nginx.conf").write_text(
            NGINX.format(folder=self.folder, port=self.port, pair=pair, back=back, versions=versions))
        self.folder.chmod(0o777)
        self.process = subprocess.Popen([need("nginx"), "-e", self.folder / "error.log", "-p", self.folder, "-c",
                                         self.folder / "nginx.conf", "-g", "user root;"], stderr=subprocess.DEVNULL)
        wait_until(self._answers, "nginx answers")

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), PATIENCE_S).close()
            return True
        except OSError:
            return False

    def log(self):
        return (self.folder / "error.log").read_text()

    def end(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)


@pytest.mark.parametrize("versions", ["TLSv1.2", "TLSv1.3"])
def test_nginx(secure, started, folder, house, versions):
    back = Site()
    started.append(back)
    nginx = Nginx(folder, house.pair("nginx"), back.port, versions)
    started.append(nginx)
    (nginx.folder / "www" / "page").write_bytes(b"0123456789" * 2 * MB)
    path = secure(nginx, trust={"SSL_CERT_FILE": str(house.root)})
    with path.visitor() as visitor:
        for _ in range(3):
            for place in ("", "/ended"):
                reply = visitor.ask("GET", f"{place}/page")
                assert reply.status == 200 and reply.body.size == 20 * MB
        assert visitor.ask("GET", "/missing").status == 404
        body = b"0123456789abcdef" * 1_000_000
        assert visitor.ask("POST", "/back/echo", body=body).status == 200
        assert back.seen[-1].body.size == len(body)
        reply = visitor.ask("GET", f"/back/chunked/{3 * MB}/9")
        assert reply.body.sha256 == content_sha256(3 * MB, 9)
    assert path.site_status()["service_state"] == "ok"


def test_memory_of_an_agent_with_https_services(path):
    """What TLS costs: one authority, one session, no buffers of idle connections."""
    before = private_kb(path.agent.pid)
    for _ in range(20):
        assert path.visit("GET", "/until-close/1000").status == 200
    grown = private_kb(path.agent.pid) - before
    print(f"the agent's private memory: {before} kB, and {grown} kB more")
    assert path.agent.memory_kb == 0 or grown < 2048
