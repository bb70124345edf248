"""[relay] protocol = plain: the agent as a lone, persistent `ssh -R` against OpenSSH and Dropbear; known_hosts_file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import signal
import socket
import struct
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from http1 import Peer, content_sha256
from path import path
from programs import limit, need, wait_until
from sshd import Sshd, free_port
from stock import Dropbear, children, configure, fingerprint, plain_agent, relay_status, wait_state
from website import Site

SILENT_S = 15


@pytest.fixture
def site(started):
    started.append(Site())
    return started[-1]


@pytest.fixture
def make_server(started, folder):
    def make(kind="openssh", further=""):
        (folder / kind).mkdir()
        server = Dropbear(folder / kind) if kind == "dropbear" else Sshd(folder / kind, further, "DEBUG")
        started.append(server)
        return server.start()

    return make


@pytest.fixture(params=["openssh", "dropbear"])
def server(request, make_server):
    return make_server(request.param)


class Echo:
    """A TCP service that sends back what comes, half-close for half-close; or what handle(sock) does."""

    def __init__(self, handle=None):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.handle, self.ends = handle or self.echo, []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            self.handle(sock)
            self.ends.append(None)
        except OSError as e:
            self.ends.append(e)
        sock.close()

    @staticmethod
    def echo(sock):
        while data := sock.recv(1 << 16):
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)


def connect(port):
    return socket.create_connection(("127.0.0.1", port), 30)


def get(port, target="/echo"):
    with connect(port) as sock:
        peer = Peer(sock)
        peer.send(f"GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n")
        head = peer.head()
        return head, peer.body(head, "GET")


def read_all(sock):
    pieces = []
    while piece := sock.recv(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


# ---- bytes ----


def test_a_forward_carries_requests(daemons, server, site, ctl):
    port = free_port()
    agent = plain_agent(daemons, server, port, site.url).start()
    wait_state(agent, "up")
    for _ in range(3):
        head, body = get(port)
        assert head.status == 200 and b"Host: a.test" in body.data and b"X-Forwarded" not in body.data
    head, body = get(port, "/bytes/30000000/7")
    assert body.sha256 == content_sha256(30000000, 7)
    status = relay_status(agent)
    assert status["protocol"] == "plain" and status["remote_port"] == port and status["service_state"] == "ok"
    assert f"127.0.0.1 port {port} there goes to {site.url}, ok" in ctl("status", at=agent).out
    assert status["lanes"][0]["bytes_out"] > 30000000 and status["lanes"][0]["last_error"] is None


def test_half_close_both_ways_and_many_at_once(daemons, server):
    service, port = Echo(), free_port()
    agent = plain_agent(daemons, server, port, service.url).start()
    wait_state(agent, "up")
    failed = []

    def one(i):
        try:
            data = secrets.token_bytes(100000 + i)
            with connect(port) as sock:
                threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)), daemon=True).start()
                assert read_all(sock) == data
        except Exception as e:  # shown below
            failed.append((i, e))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed
    wait_until(lambda: relay_status(agent)["lanes"][0]["streams"] == 0, "all streams have ended")
    wait_until(lambda: len(service.ends) == 20, "the service has seen all ends")
    assert service.ends == [None] * 20


def test_100_mb_up_through_changes_of_keys(daemons, make_server):
    server, port, got, sent = make_server("openssh", "RekeyLimit 8M"), free_port(), hashlib.sha256(), hashlib.sha256()

    def take(sock):
        while piece := sock.recv(1 << 20):
            got.update(piece)
        sock.sendall(got.digest())

    agent = plain_agent(daemons, server, port, Echo(take).url).start()
    wait_state(agent, "up")
    with connect(port) as sock:
        for i in range(100):
            block = hashlib.sha256(str(i).encode()).digest() * 32768
            sent.update(block)
            sock.sendall(block)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == sent.digest()
    assert "lane down" not in agent.log()


def test_a_service_that_does_not_read_holds_its_visitor(daemons, server):
    gate, port, release = threading.Event(), free_port(), []

    def stall(sock):
        gate.wait(60)
        release.append(sum(len(piece) for piece in iter(lambda: sock.recv(1 << 20), b"")))

    agent = plain_agent(daemons, server, port, Echo(stall).url).start()
    wait_state(agent, "up")
    before = agent.memory_kb
    with connect(port) as sock:
        sock.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 200 << 20:
                sent += sock.send(b"x" * 65536)
        assert sent < 60 << 20 and agent.memory_kb <= before + 8192
        gate.set()
        sock.settimeout(30)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"" and release == [sent]


def test_a_unix_service(daemons, server, started, folder):
    started.append(Site(folder / "app.sock"))
    port = free_port()
    agent = plain_agent(daemons, server, port, f"unix:{folder}/app.sock").start()
    wait_state(agent, "up")
    assert get(port)[0].status == 200
    assert relay_status(agent)["service_state"] == "ok"


def test_a_unix_service_behind_a_tunnel(path, started, folder):
    """HTTP over a Unix socket, as the service of a [domain]."""
    started.append(Site(folder / "app.sock"))
    text = path.agent.conf.read_text()
    path.agent.configure(text.replace(f"service = {path.site.url}", f"service = unix:{folder}/app.sock"))
    path.agent.send(signal.SIGHUP)
    path.agent.wait_log("reloaded")
    assert path.visit("GET", "/echo").status == 200
    assert started[-1].connections == 1 and path.site.connections == 0


def test_a_unix_service_that_takes_one_after_another(path, folder):
    """A Unix socket says at once that its queue is full, here of one; as many as a page has objects are served all the same."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "app.sock"))
        server.listen(0)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer:
                        while b"\r\n\r\n" not in peer.recv(65536, socket.MSG_PEEK):
                            pass
                        peer.recv(65536)
                        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

        serving = threading.Thread(target=serve)
        serving.start()
        text = path.agent.conf.read_text()
        path.agent.configure(text.replace(f"service = {path.site.url}", f"service = unix:{folder}/app.sock"))
        path.agent.send(signal.SIGHUP)
        path.agent.wait_log("reloaded")
        with ThreadPoolExecutor(30) as visitors:
            assert [reply.status for reply in visitors.map(lambda n: path.visit("GET", f"/{n}"), range(30))] == [200] * 30
        server.shutdown(socket.SHUT_RDWR)
        serving.join()


def test_a_service_that_refuses_closes_the_visitor(daemons, make_server):
    server, port = make_server(), free_port()
    agent = plain_agent(daemons, server, port, f"tcp://127.0.0.1:{free_port()}").start()
    wait_state(agent, "up")
    with connect(port) as sock:
        assert sock.recv(1) == b""
    assert relay_status(agent)["service_state"] == "refused"
    assert agent.get("/v1/status").json["relays"][0]["state"] == "up"


def test_a_service_by_name_that_moves_to_another_port(daemons, make_server, started):
    """By reload: the forward is made anew for the new service."""
    server, port = make_server(), free_port()
    first, second = Site(), Site()
    started += [first, second]
    agent = plain_agent(daemons, server, port, f"http://localhost:{first.port}").start()
    wait_state(agent, "up")
    assert get(port)[0].status == 200
    configure(agent, server, port, f"http://localhost:{second.port}")
    agent.send(signal.SIGHUP)
    agent.wait_log("reloaded")
    wait_until(lambda: relay_status(agent)["service"].endswith(str(second.port)) and
               relay_status(agent)["state"] == "up", "the new forward")
    assert get(port)[0].status == 200 and (first.connections, second.connections) == (1, 1)


def test_a_service_that_speaks_first_and_resets(daemons, make_server):
    server, port = make_server(), free_port()

    def greet_and_reset(sock):
        sock.sendall(b"220 hello")
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    agent = plain_agent(daemons, server, port, Echo(greet_and_reset).url).start()
    wait_state(agent, "up")
    with connect(port) as sock:
        assert sock.recv(9) == b"220 hello"
        sock.sendall(b"x")
        assert sock.recv(1) == b""
    wait_until(lambda: relay_status(agent)["lanes"][0]["streams"] == 0, "the stream has ended")


@pytest.mark.parametrize("address, family", [("0.0.0.0", socket.AF_INET), ("::1", socket.AF_INET6), ("*", socket.AF_INET),
                                             ("localhost", socket.AF_INET)])
def test_addresses_to_listen_on(daemons, make_server, site, address, family):
    server, port = make_server("openssh", "GatewayPorts clientspecified"), free_port()
    agent = plain_agent(daemons, server, port, site.url, remote_address=address).start()
    wait_state(agent, "up")
    with socket.create_connection(("::1" if family == socket.AF_INET6 else "127.0.0.1", port), 30) as sock:
        peer = Peer(sock)
        peer.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert peer.head().status == 200


# ---- what sshd sees ----



def test_what_is_negotiated(daemons, make_server, site):
    """The strongest that the linked libssh2 offers; never SHA-1, CBC, 3DES, arcfour or a short group."""
    server = make_server()
    agent = plain_agent(daemons, server, free_port(), site.url).start()
    wait_state(agent, "up")
    log = server.log()
    assert re.search(r"kex: algorithm: curve25519-sha256", log)
    assert "kex: host key algorithm: ssh-ed25519" in log
    found = re.findall(r"kex: (?:client->server|server->client) cipher: (\S+) MAC: (\S+)", log)
    assert len(found) >= 2
    for cipher, mac in found:
        assert (cipher, mac) == ("aes256-gcm@openssh.com", "<implicit>") or (
            cipher == "aes256-ctr" and mac in ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-256")), (cipher, mac)


@pytest.mark.parametrize("line, refused", [
    ("KexAlgorithms diffie-hellman-group14-sha1,diffie-hellman-group1-sha1,diffie-hellman-group-exchange-sha1", "key exchange method"),
    ("Ciphers aes256-ctr\nMACs hmac-sha1,hmac-md5", "MAC"),  # AES-GCM would need no MAC
    ("Ciphers aes256-cbc,aes128-cbc,3des-cbc", "cipher"),
])
def test_what_is_never_offered(daemons, make_server, site, line, refused):
    server = make_server("openssh", line)
    agent = plain_agent(daemons, server, free_port(), site.url).start()
    agent.wait_log("lane down")
    assert "handshake" in relay_status(agent)["lanes"][0]["last_error"]
    offer = wait_until(lambda: re.search(rf"no matching {refused} found. Their offer: (\S+)", server.log()),
                       "sshd says what it was offered")
    assert not re.search(r"sha1|cbc|3des|arcfour|md5|ripemd|cast|blowfish|group1\b", offer[1])


def test_the_fallbacks_are_strong_too(daemons, make_server, site):
    server = make_server("openssh", "KexAlgorithms diffie-hellman-group16-sha512\nCiphers aes128-ctr\nMACs hmac-sha2-512")
    agent = plain_agent(daemons, server, free_port(), site.url).start()
    wait_state(agent, "up")
    assert "kex: algorithm: diffie-hellman-group16-sha512" in server.log()


def test_sshd_sends_at_once(daemons, make_server):
    """The second of two small pieces does not wait for the first one's acknowledgement, because a command runs on the
    session channel. With MaxSessions 0, that is without one, each round was seen to take 45 ms."""
    server, port = make_server(), free_port()

    def answer_two(sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while len(sock.recv(2, socket.MSG_WAITALL)) == 2:
            sock.sendall(b"r")

    agent = plain_agent(daemons, server, port, Echo(answer_two).url).start()
    wait_state(agent, "up")
    with connect(port) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        for _ in range(50):
            sock.sendall(b"a")
            time.sleep(0.001)
            sock.sendall(b"b")
            assert sock.recv(1) == b"r"
        assert time.monotonic() - began < limit(1.5)
    assert "Starting session: command" in server.log()


@pytest.mark.parametrize("further", ["MaxSessions 0", "ForceCommand /bin/false", "PermitTTY no\nForceCommand echo no",
                                     "DisableForwarding no"])
def test_without_a_command(daemons, make_server, site, further):
    """An account that allows no session, or only one that ends at once."""
    server, port = make_server("openssh", further), free_port()
    agent = plain_agent(daemons, server, port, site.url).start()
    wait_state(agent, "up")
    assert get(port)[0].status == 200
    time.sleep(11)  # two heartbeats: nothing that sshd would hang up on
    assert get(port)[0].status == 200
    assert "lane down" not in agent.log() and len(re.findall("Accepted publickey", server.log())) == 1


def test_a_restricted_key(daemons, make_server, site):
    server, port = make_server(), free_port()
    line = (server.folder / "client_key.pub").read_text()
    (server.folder / "authorized_keys").write_text(
        f'restrict,port-forwarding,permitlisten="127.0.0.1:{port}",command="/bin/false" {line}')
    agent = plain_agent(daemons, server, port, site.url).start()
    wait_state(agent, "up")
    assert get(port)[0].status == 200


@pytest.mark.slow
def test_an_idle_forward_lives(daemons, server, site):
    """Longer than a line may be silent: the server answers each heartbeat."""
    port = free_port()
    agent = plain_agent(daemons, server, port, site.url).start()
    wait_state(agent, "up")
    time.sleep(SILENT_S + 4)
    assert get(port)[0].status == 200 and "lane down" not in agent.log()


# ---- what breaks ----


def session_of(server):
    """The innermost processes of the only session."""
    pids = found = children(server.process.pid)
    while found:
        found = [child for pid in found for child in children(pid)]
        pids = pids + found
    return pids


def tell(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it went with another one of its session


def test_a_killed_session_comes_back(daemons, server, site):
    port = free_port()
    agent = plain_agent(daemons, server, port, site.url).start()
    wait_state(agent, "up")
    began = time.monotonic()
    for pid in session_of(server):
        tell(pid, signal.SIGKILL)
    agent.wait_log("lane down")
    wait_state(agent, "up")
    assert time.monotonic() - began < limit(5) and get(port)[0].status == 200


def test_a_silent_line_is_dead(daemons, server, site):
    agent = plain_agent(daemons, server, free_port(), site.url).start()
    wait_state(agent, "up")
    stopped = session_of(server)
    for pid in stopped:
        tell(pid, signal.SIGSTOP)
    began = time.monotonic()
    agent.wait_log("no byte from")
    assert 9 < time.monotonic() - began < limit(23)
    for pid in stopped:
        tell(pid, signal.SIGKILL)


def test_a_stale_session_holds_the_port(daemons, server, site):
    """The classic of autossh: our own former session still listens. It is said, tried again, and ends well."""
    port = free_port()
    agent = plain_agent(daemons, server, port, site.url).start()
    wait_state(agent, "up")
    stale = session_of(server)
    for pid in stale:
        tell(pid, signal.SIGSTOP)
    agent.kill()
    again = plain_agent(daemons, server, port, site.url).start()
    again.wait_log(f"does not give us port {port} on 127.0.0.1: it is taken", times=2)
    assert "such as by a session of ours that died" in relay_status(again)["lanes"][0]["last_error"]
    waits = [int(ms) for ms in re.findall(r"retry_ms=(\d+)", again.log())]
    assert waits[0] <= 200 and waits[1] > waits[0]
    for pid in stale:
        tell(pid, signal.SIGCONT)
    wait_state(again, "up")
    assert get(port)[0].status == 200


def test_sshd_that_is_away(daemons, make_server, site):
    server, port = make_server(), free_port()
    agent = plain_agent(daemons, server, port, site.url).start()
    wait_state(agent, "up")
    for pid in session_of(server):
        tell(pid, signal.SIGKILL)
    server.process.kill()
    server.process.wait()
    wait_until(lambda: "refused" in (relay_status(agent)["lanes"][0]["last_error"] or ""), "sshd is missed")
    assert relay_status(agent)["state"] == "dead"
    server._spawn()
    wait_state(agent, "up")
    assert get(port)[0].status == 200


def test_the_end_lets_streams_finish_and_frees_the_port(daemons, server, started):
    """On SIGTERM sshd listens no longer at once; the response in progress is whole. Dropbear (2022.83) does not find what
    it is to cancel, and listens until the session ends; whoever comes until then is sent away."""
    site, port = Site(), free_port()
    started.append(site)
    agent = plain_agent(daemons, server, port, site.url).start()
    wait_state(agent, "up")
    with connect(port) as sock:
        peer = Peer(sock)
        peer.send("GET /slow HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        wait_until(lambda: site.seen, "the request has come")
        agent.send(signal.SIGTERM)
        agent.wait_log("stopping")

        def turned_away():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) != 0 or (isinstance(server, Dropbear) and s.recv(1) == b"")

        wait_until(turned_away, "nobody is let in any more")
        site.gate.set()
        assert peer.head().status == 200
        peer.close()
    assert agent.wait() == 0 and "cut off" not in agent.log()


# ---- host keys ----


def known_hosts(folder, text):
    path = folder / "known_hosts"
    path.write_text(text)
    return path


def hashed(path):
    subprocess.run([need("ssh-keygen"), "-q", "-H", "-f", path], check=True, capture_output=True)


@pytest.mark.parametrize("hashes", [False, True])
def test_known_hosts(daemons, server, site, folder, hashes):
    key = (server.folder / "host_key.pub").read_text()
    path = known_hosts(folder, f"# mine\n@cert-authority * {key}[127.0.0.1]:{server.port} {key}")
    if hashes:
        hashed(path)
        assert "127.0.0.1" not in path.read_text()
    agent = plain_agent(daemons, server, free_port(), site.url, host_key=None, known_hosts_file=path).start()
    wait_state(agent, "up")
    assert "host certificates are not supported" in agent.log()


@pytest.mark.parametrize("line, says", [
    ("", "has no ssh-ed25519 key of 127.0.0.1 port"),
    ("[127.0.0.1]:{port} {other}", "names another one: either that machine was set up anew"),
    ("@revoked * {key}", ":1 revokes"),
    ("[127.0.0.1]:{port} ssh-ed25519 AAAA", "line 1: the ed25519 key of this host is damaged"),
    (None, "known_hosts_file: cannot open"),
])
def test_known_hosts_that_refuse(daemons, make_server, site, folder, line, says):
    server = make_server()
    other, key = server.new_key("other"), (server.folder / "host_key.pub").read_text()
    path = folder / "known_hosts"
    if line is not None:
        known_hosts(folder, line.format(port=server.port, key=key, other=other))
    agent = plain_agent(daemons, server, free_port(), site.url, host_key=None, known_hosts_file=path).start()
    agent.wait_log("lane down")
    error = relay_status(agent)["lanes"][0]["last_error"]
    assert says in error and str(path) in error
    assert "retry_ms=60000" in agent.log() and "Accepted" not in server.log()


def test_a_changed_host_key(daemons, server, site):
    server.new_key("other")
    agent = plain_agent(daemons, server, free_port(), site.url, host_key=fingerprint(server, "other")).start()
    agent.wait_log("somebody stands in between")
    assert "retry_ms=60000" in agent.log() and relay_status(agent)["state"] == "dead"


def test_known_hosts_for_a_tunnel(path, folder):
    """Also where a relay is behind the sshd."""
    key = (path.sshd.folder / "host_key.pub").read_text()
    file = known_hosts(folder, f"[127.0.0.1]:{path.sshd.port} {key}")
    text = re.sub("host_key = .*", f"known_hosts_file = {file}", path.agent.conf.read_text())
    path.agent.configure(text)
    path.agent.send(signal.SIGHUP)
    path.agent.wait_log("reloaded")
    wait_until(lambda: path.sshd.logins() == 2, "a login by known_hosts")
    path.wait_up()
    assert path.visit("GET", "/echo").status == 200
