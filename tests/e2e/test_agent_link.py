"""tunnel-agent against a real sshd: the lane, its conversation, and streams from opening to end.

The relay's part is played here: sshd runs a forced command that joins the session channel to a Unix socket of this
test, and streams are opened by connecting to the port that sshd granted, as the relay would."""
import contextlib
import hashlib
import hmac
import json
import os
import queue
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from programs import limit

BUILD = os.environ.get("BUILD", os.path.join(os.path.dirname(__file__), "..", "..", "build"))
AGENT = os.path.join(BUILD, "tunnel-agent")
SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
WAIT_S = 60

if not SSHD and os.environ.get("E2E_REQUIRE") != "all":
    pytest.skip("sshd is not installed", allow_module_level=True)

# Joins standard input and output to a Unix socket, as tunnel-lane does, and says nothing of its own.
JOIN = """
import os, select, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
os.write(2, b"printed by the forced command\\n" * 200)
while True:
    for f in select.select([0, s], [], [])[0]:
        data = os.read(0, 65536) if f == 0 else s.recv(65536)
        if not data:
            sys.exit(0)
        if f == 0:
            s.sendall(data)
        else:
            while data:
                data = data[os.write(1, data):]
"""


def wait_for(what, check, wait_s=WAIT_S):
    end = time.monotonic() + wait_s
    while not check():
        assert time.monotonic() < end, f"waited {wait_s} s for {what}"
        time.sleep(0.01)


def children(pid, *named):
    """Its child processes; `named`, a pattern, leaves out others."""
    found = subprocess.run(["pgrep", "-P", str(pid), *named], text=True, stdout=subprocess.PIPE).stdout
    return [int(child) for child in found.split()]


# ---- the relay's part ----


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def header(command, family, payload):
    return SIGNATURE + struct.pack("!BBH", command, family, len(payload)) + payload


def proof(secret, word, stream, random):
    return hmac.new(secret, word + stream + random, hashlib.sha256).digest()[:16]


class Stream:
    """One TCP connection to a lane's port. With another secret than the lane's it plays a thief."""

    def __init__(self, lane, secret=None, open_it=True):
        self.lane, self.secret = lane, secret or lane.secret
        self.id, self.random = secrets.token_bytes(8), secrets.token_bytes(16)
        self.sock = socket.create_connection(("127.0.0.1", lane.port))
        self.sock.settimeout(WAIT_S)
        if open_it:
            self.sock.sendall(self.opening())
            assert self.read(16) == proof(self.secret, b"agent", self.id, self.random)

    def opening(self):
        values = (self.id, self.random, proof(self.secret, b"relay", self.id, self.random))
        return header(0x20, 0x00, b"".join(tlv(0xE0 + i, v) for i, v in enumerate(values)))

    def use(self, item="domain:site.test", more=b""):
        self.sock.sendall(header(0x20, 0x00, tlv(0xE4, item.encode())) + more)
        return self

    def read(self, n):
        data = b""
        while len(data) < n:
            piece = self.sock.recv(min(n - len(data), 1 << 20))
            if not piece:
                break
            data += piece
        return data

    def read_all(self):
        pieces = []
        while piece := self.sock.recv(1 << 20):
            pieces.append(piece)
        return b"".join(pieces)

    def closed_without_a_byte(self):
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def ended(self):
        return self.lane.wait("ended", lambda m: m["stream"] == self.id.hex())


class Lane:
    """One control conversation."""

    def __init__(self, conn):
        self.conn, self.secret = conn, None
        self.seen, self.news, self.answer_pings = [], threading.Condition(), True
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        try:
            for line in self.conn.makefile("rb"):
                message = json.loads(line)
                message["at"] = time.monotonic()
                if message["type"] == "ping" and self.answer_pings:
                    self.send(type="pong", **{k: message[k] for k in ("n", "t", "rtt_ms")})
                with self.news:
                    self.seen.append(message)
                    self.news.notify_all()
        except OSError:
            pass
        with self.news:
            self.seen.append({"type": "gone", "at": time.monotonic()})
            self.news.notify_all()

    def send(self, **message):
        self.conn.sendall(json.dumps(message).encode() + b"\n")

    def find(self, kind, check=lambda m: True):
        return [m for m in self.seen if m["type"] == kind and check(m)]

    def wait(self, kind, check=lambda m: True, n=1, wait_s=WAIT_S):
        with self.news:
            assert self.news.wait_for(lambda: len(self.find(kind, check)) >= n, wait_s), f"no {kind}: {self.seen}"
            return self.find(kind, check)[n - 1]

    def greet(self, n=1, heartbeat_s=5, ok=True):
        """Takes the n-th hello, welcomes, takes the claim and accepts it."""
        hello = self.wait("hello", n=n)
        claims = len(self.find("claim"))
        self.port, self.secret = hello["port"], secrets.token_bytes(32)
        self.send(type="welcome", v=1, relay="fra1", lane_id=f"l{n}", secret=self.secret.hex(), seen_from="127.0.0.1",
                  publish=["192.0.2.1"], heartbeat_s=heartbeat_s, time="2026-11-21T00:00:00Z")
        return self.accept(claims + 1, ok)

    def accept(self, n, ok=True):
        claim = self.wait("claim", n=n)
        self.send(type="claimed", serial=claim["serial"],
                  items=[{"item": i["item"], "ok": ok, "why": "" if ok else "not yours"} for i in claim["items"]])
        return claim


# ---- the house ----


class Service:
    """A TCP service; handle(conn) runs in a thread for each connection."""

    def __init__(self, handle):
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port, self.handle, self.conns, self.errors = self.sock.getsockname()[1], handle, [], []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                conn = self.sock.accept()[0]
            except OSError:
                return
            self.conns.append(conn)
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        try:
            self.handle(conn)
        except OSError as e:
            self.errors.append(e)

    def close(self):
        self.sock.close()
        for conn in self.conns:
            conn.close()


def echo(conn):
    while data := conn.recv(1 << 16):
        conn.sendall(data)
    conn.shutdown(socket.SHUT_WR)


class House:
    """A folder with sshd, its forced command's socket, and an agent."""

    def __init__(self, path):
        self.path, self.lanes, self.agent, self.services = path, queue.Queue(), None, []
        self.me = subprocess.check_output(["id", "-un"], text=True).strip()
        for name in ("host", "id_ed25519", "other"):
            subprocess.check_call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path / name])
        (path / "join.py").write_text(JOIN)
        self.host_key = self.fingerprint("host")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path / "lane.sock"))
        self.listener.listen(64)
        threading.Thread(target=self.take_lanes, daemon=True).start()
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.ssh_port = s.getsockname()[1]
        self.allow("id_ed25519")
        self.start_sshd()

    def fingerprint(self, name):
        line = subprocess.check_output(["ssh-keygen", "-lf", self.path / f"{name}.pub"], text=True)
        return "ssh-ed25519 " + line.split()[1]

    def allow(self, name):
        command = f'exec {sys.executable} {self.path}/join.py {self.path}/lane.sock'
        options = f'restrict,port-forwarding,permitlisten="127.0.0.1:*",command="{command}"'
        (self.path / "authorized").write_text(f"{options} {(self.path / f'{name}.pub').read_text()}")

    def start_sshd(self, host="host", *options):
        lines = [f"Port {self.ssh_port}", "ListenAddress 127.0.0.1", f"HostKey {self.path}/{host}", f"SetEnv HOME={self.path}",
                 "StrictModes no",
                 f"AuthorizedKeysFile {self.path}/authorized", f"PidFile {self.path}/sshd.pid", "UsePAM no",
                 "PermitRootLogin yes", "PasswordAuthentication no", "AllowTcpForwarding remote", "LogLevel VERBOSE",
                 "MaxStartups 100", "SetEnv SHLVL=2",  # or bash reads the developer's own .bashrc before the command
                 *options]
        (self.path / "sshd_config").write_text("\n".join(lines) + "\n")
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        log = open(self.path / "sshd.log", "ab")
        self.sshd = subprocess.Popen([SSHD, "-D", "-e", "-f", self.path / "sshd_config"], stderr=log)

        def greets():  # a connection alone may be one with itself
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ssh_port), WAIT_S) as s:
                return s.recv(4) == b"SSH-"
        wait_for("sshd", greets)

    def sessions(self):
        """The processes that serve one SSH session each: sshd's children."""
        return children(self.sshd.pid)

    def kill_sessions(self):
        """In OpenSSH 10 root's sessions, too, are two processes, and either alone would keep the connection."""
        for pid in [pid for session in self.sessions() for pid in (session, *children(session, "sshd"))]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop_sshd(self):
        self.kill_sessions()
        self.sshd.kill()
        self.sshd.wait()

    def take_lanes(self):
        while True:
            try:
                self.lanes.put(Lane(self.listener.accept()[0]))
            except OSError:
                return

    def lane(self, wait_s=WAIT_S):
        return self.lanes.get(timeout=wait_s)

    def service(self, handle):
        self.services.append(Service(handle))
        return self.services[-1]

    def configure(self, sites, **relay):
        values = {"host": "127.0.0.1", "port": self.ssh_port, "user": self.me, "host_key": self.host_key,
                  "lanes": 1, **relay}
        lines = ["[agent]", f"state_dir = {self.path}", f"control_socket = {self.path}/control.sock", "admin_listen =",
                 "log_level = debug", "max_buffered = 1g", "[relay fra1]", *(f"{k} = {v}" for k, v in values.items())]
        for name, site in sites.items():
            lines += [f"[domain {name}]", *(f"{k} = {v}" for k, v in site.items())]
        (self.path / "agent.ini").write_text("\n".join(lines) + "\n")

    def start(self, sites=None, **relay):
        self.configure(sites or {}, **relay)
        self.log = open(self.path / "agent.log", "ab")
        self.agent = subprocess.Popen([AGENT, "-c", self.path / "agent.ini"], stderr=self.log)
        return self

    def site(self, service, **relay):
        """An agent with one site, and its lane, greeted."""
        self.start({"site.test": {"service": f"http://127.0.0.1:{service.port}"}}, **relay)
        lane = self.lane()
        lane.greet()
        return lane

    def reload(self):
        before = self.agent_log().count("reloaded")
        self.agent.send_signal(signal.SIGHUP)
        wait_for("reload", lambda: self.agent_log().count("reloaded") > before)

    def agent_log(self):
        return (self.path / "agent.log").read_text()

    def status(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.path / "control.sock"))
            s.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            data = b""
            while piece := s.recv(65536):
                data += piece
        return json.loads(data.split(b"\r\n\r\n", 1)[1])

    def lane_status(self):
        return self.status()["relays"][0]["lanes"][0]

    def memory(self):
        text = open(f"/proc/{self.agent.pid}/smaps_rollup").read()
        return sum(int(n) for n in re.findall(r"Private_\w+:\s+(\d+) kB", text)) * 1024

    def check_memory(self, most):
        if "asan" not in os.path.realpath(AGENT):  # whose own memory is all that one would see
            assert self.memory() <= most

    def close(self):
        """The agent must end in order, whatever it was doing."""
        code = None
        for wait_s in (1, WAIT_S):  # asked a second time, it does not wait for streams in use
            if self.agent and code is None:
                self.agent.send_signal(signal.SIGTERM)
                try:
                    code = self.agent.wait(wait_s)
                except subprocess.TimeoutExpired:
                    pass
        if self.agent and code is None:
            self.agent.kill()
            code = "it hung"
        for service in self.services:
            service.close()
        self.listener.close()
        self.stop_sshd()
        for name in ("agent.log", "sshd.log"):
            if (self.path / name).exists():
                print(f"---- {name}")
                print("\n".join((self.path / name).read_text().splitlines()[-60:]))
        assert code in (None, 0), f"tunnel-agent ended with {code}"


@pytest.fixture
def house(tmp_path):
    h = House(tmp_path)
    yield h
    h.close()


# ---- the conversation ----


def test_libssh2_finds_our_functions_first(tmp_path):
    """agent/link/shadow.h: by default the linker does so; this says so when a flag or a library undoes it."""
    environment = dict(os.environ, LD_DEBUG="bindings", LD_BIND_NOW="1", LD_DEBUG_OUTPUT=str(tmp_path / "bindings"))
    subprocess.run([AGENT, "--version"], env=environment, check=True, stdout=subprocess.DEVNULL)
    told = "".join(path.read_text(errors="replace") for path in tmp_path.iterdir())
    found = re.findall(r"binding file \S*/libssh2\S* \[0\] to (\S+) \[0\]: normal symbol `(\w+)'", told)
    ours = {symbol: os.path.basename(where) for where, symbol in found
            if symbol in ("libssh2_crypt_methods", "HMAC_Init_ex", "RAND_bytes")}
    assert {"libssh2_crypt_methods", "RAND_bytes"} <= ours.keys()  # a newer libssh2 has another way to its HMAC
    assert set(ours.values()) == {"tunnel-agent"}


def test_hello_claim_ping(house):
    service = house.service(echo)
    url = f"http://127.0.0.1:{service.port}"
    house.start({"site.test": {"service": url, "aliases": "www.site.test"}, "*.wild.test": {"service": url}})
    lane = house.lane()
    claim = lane.greet(heartbeat_s=1)
    hello = lane.wait("hello")
    assert hello["v"] == 1 and hello["lane"] == 0 and re.fullmatch("[0-9a-f]{32}", hello["boot"])
    assert 1024 <= hello["port"] <= 65535 and hello["version"]
    assert claim["serial"] == 1 and claim["part"] == 1 and claim["last"] is True
    assert [(i["item"], i["aliases"]) for i in claim["items"]] == [
        ("domain:site.test", ["www.site.test"]), ("domain:*.wild.test", [])]
    pings = [lane.wait("ping", n=n) for n in (1, 2, 3)]
    assert [p["n"] for p in pings] == [1, 2, 3] and pings[0]["rtt_ms"] == -1 and 0 <= pings[2]["rtt_ms"] < 1000
    lane.send(type="ping", n=7, t=1234, rtt_ms=5)
    assert lane.wait("pong")["t"] == 1234
    lane.send(type="later", whatever=[1])  # unknown types are ignored
    status = house.status()
    assert status["relays"][0]["name"] == "fra1" and status["relays"][0]["state"] == "up"
    assert house.lane_status()["rtt_ms"] is not None and house.lane_status()["last_error"] is None
    site = status["domains"][0]
    assert site.pop("claim_since").endswith("Z")
    assert site == {"name": "site.test", "mode": "tunnel", "service": url, "service_state": "unknown", "service_since": None,
                    "service_detail": "", "claim": "accepted", "claim_why": None, "routes": [], "dns": None, "certs": [],
                    "guard": None}


def test_many_sites_are_claimed_in_parts(house):
    house.start({f"site{i}.test": {"service": "http://127.0.0.1:1", "aliases": " ".join(
        f"{'a' * 60}.{j}.site{i}.test" for j in range(90))} for i in range(12)})
    lane = house.lane()
    lane.greet()
    lane.wait("claim", lambda m: m["last"])
    claims = lane.find("claim")
    assert [c["part"] for c in claims] == list(range(1, len(claims) + 1)) and len(claims) > 2
    assert sum(len(c["items"]) for c in claims) == 12 and {c["serial"] for c in claims} == {1}


def test_refused_claim_is_shown(house):
    house.start({"site.test": {"service": "http://127.0.0.1:1"}})
    house.lane().greet(ok=False)
    wait_for("status", lambda: house.status()["domains"][0]["claim"] == "refused")
    assert "not yours" in house.agent_log()


def test_reload_claims_anew_and_keeps_the_lane(house):
    service = house.service(echo)
    lane = house.site(service)
    stream = Stream(lane).use(more=b"before")
    assert stream.read(6) == b"before"
    house.configure({"new.test": {"service": f"http://127.0.0.1:{service.port}"}})
    house.reload()
    claim = lane.accept(2)
    assert claim["serial"] == 2 and [i["item"] for i in claim["items"]] == ["domain:new.test"]
    stream.sock.sendall(b"after")
    assert stream.read(5) == b"after"
    assert Stream(lane).use("domain:new.test", b"hello").read(5) == b"hello"
    gone = Stream(lane).use("domain:site.test")
    assert gone.ended()["how"] == "refused"
    house.configure({"new.test": {"service": f"http://127.0.0.1:{service.port}/"}})
    house.reload()  # the same set of names: nothing to claim
    house.configure({}, port=house.ssh_port, user=house.me + "x")
    house.reload()  # another user: the lane is closed and tried anew
    lane.wait("gone")


@pytest.mark.parametrize("line,why", [
    (b'{"type":"welcome"', "not JSON"), (b'{"type":"abort","stream":"xyz"}', "stream"),
    (b'{"type":"welcome","v":9}', "version"), (b'{"type":"error","why":"no such agent"}', "no such agent"),
    (b'{"type":"end"}', "for good"), (b"x" * 70000, "longer")])
def test_conversation_that_ends_the_lane(house, line, why):
    house.start()
    lane = house.lane()
    lane.wait("hello")
    lane.conn.sendall(line + b"\n")
    lane.wait("gone")
    wait_for("reason", lambda: why in str(house.lane_status()["last_error"]))
    assert house.lane_status()["state"] == "dead" and house.lane_status()["next_attempt"]


def test_goodbye_finishes_what_is_in_use(house):
    lane = house.site(house.service(echo))
    stream, warm = Stream(lane).use(more=b"1"), Stream(lane)
    assert stream.read(1) == b"1"
    lane.send(type="goodbye", why="test")
    assert warm.closed_without_a_byte()
    stream.sock.sendall(b"2")
    assert stream.read(1) == b"2"
    stream.sock.shutdown(socket.SHUT_WR)
    assert stream.read_all() == b""
    stream.sock.close()
    lane.wait("gone")


# ---- streams ----


def test_stream_opens_answers_and_is_used(house):
    lane = house.site(house.service(echo))
    stream = Stream(lane).use(more=b"hello")
    assert stream.read(5) == b"hello"
    assert house.lane_status()["streams"] == 1
    assert house.status()["domains"][0]["service_state"] == "ok"
    stream.sock.sendall(b"more")
    assert stream.read(4) == b"more"
    stream.sock.shutdown(socket.SHUT_WR)
    assert stream.read_all() == b"" and stream.ended()["how"] == "eof"
    wait_for("end", lambda: house.lane_status()["streams"] == 0)
    assert house.lane_status()["bytes_in"] == 9 and house.lane_status()["bytes_out"] == 9


def test_header_in_pieces(house):
    lane = house.site(house.service(echo))
    stream = Stream(lane, open_it=False)
    for byte in stream.opening():
        stream.sock.sendall(bytes([byte]))
        time.sleep(0.002)
    assert stream.read(16) == proof(lane.secret, b"agent", stream.id, stream.random)
    for byte in header(0x20, 0x00, tlv(0xE4, b"domain:site.test")) + b"hi":
        stream.sock.sendall(bytes([byte]))
        time.sleep(0.002)
    assert stream.read(2) == b"hi"


def test_service_that_speaks_first(house):
    lane = house.site(house.service(lambda conn: (conn.sendall(b"220 hello"), conn.recv(1))))
    assert Stream(lane).use().read(9) == b"220 hello"


def test_wrong_secret_is_closed(house):
    lane = house.site(house.service(echo))
    thief = Stream(lane, secret=b"x" * 32, open_it=False)
    thief.sock.sendall(thief.opening())
    assert thief.closed_without_a_byte()
    again = Stream(lane, open_it=False)
    again.sock.sendall(again.opening() + b"too early")
    assert again.closed_without_a_byte()


@pytest.mark.parametrize("what", [b"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n", b"\r\n\r\n\0\r\nQUIT\nx", b"S"])
def test_stranger_is_closed_without_an_answer(house, what):
    service = house.service(echo)
    stranger = Stream(house.site(service), open_it=False)
    stranger.sock.sendall(what)
    assert stranger.closed_without_a_byte() and not service.conns


def test_silent_stranger_is_closed_after_5_s(house):
    stranger = Stream(house.site(house.service(echo)), open_it=False)
    began = time.monotonic()
    stranger.sock.sendall(stranger.opening()[:30])
    assert stranger.closed_without_a_byte() and 4.5 < time.monotonic() - began < limit(8)


def test_slow_second_header_ends_but_a_warm_stream_waits(house):
    lane = house.site(house.service(echo))
    warm, slow = Stream(lane), Stream(lane)
    slow.sock.sendall(SIGNATURE)
    assert slow.closed_without_a_byte() and slow.ended()["how"] == "refused"
    assert warm.use(more=b"x").read(1) == b"x"


def test_warm_stream_closed_by_the_relay_is_silent(house):
    lane = house.site(house.service(echo))
    warm = Stream(lane)
    warm.sock.shutdown(socket.SHUT_WR)
    assert warm.closed_without_a_byte()
    assert not lane.find("ended")


@pytest.mark.parametrize("item", ["domain:other.test", "tcp:site.test", "domain:site.test.", "x"])
def test_unknown_item_is_refused(house, item):
    stream = Stream(house.site(house.service(echo))).use(item)
    assert stream.read_all() == b"" and stream.ended()["how"] == "refused"


def test_service_refused_unreachable(house):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    house.start({"refused.test": {"service": f"http://127.0.0.1:{port}"},
                 "nowhere.test": {"service": "http://no-such-host.invalid:80"}})
    lane = house.lane()
    lane.greet()
    assert Stream(lane).use("domain:refused.test").ended()["how"] == "refused"
    assert Stream(lane).use("domain:nowhere.test").ended()["how"] == "unreachable"
    states = {d["name"]: d["service_state"] for d in house.status()["domains"]}
    assert states == {"refused.test": "refused", "nowhere.test": "unreachable"}


def test_service_silent(house):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as s:  # its queue is full: further ones get no answer
        port = s.getsockname()[1]
        fill = []
        for _ in range(4):
            c = socket.socket()
            c.setblocking(False)
            c.connect_ex(("127.0.0.1", port))
            fill.append(c)
        time.sleep(0.2)
        house.start({"site.test": {"service": f"http://127.0.0.1:{port}"}})
        lane = house.lane()
        lane.greet()
        assert Stream(lane).use().ended()["how"] == "silent"


def test_service_by_name(house):
    service = house.service(echo)
    house.start({"site.test": {"service": f"http://localhost:{service.port}"}})
    lane = house.lane()
    lane.greet()
    for _ in range(3):
        assert Stream(lane).use(more=b"named").read(5) == b"named"


def test_half_close_by_the_visitor(house):
    def count(conn):
        n = 0
        while data := conn.recv(1 << 16):
            n += len(data)
        conn.sendall(str(n).encode())
        conn.shutdown(socket.SHUT_WR)

    stream = Stream(house.site(house.service(count))).use(more=b"x" * 100000)
    stream.sock.shutdown(socket.SHUT_WR)
    assert stream.read_all() == b"100000" and stream.ended()["how"] == "eof"


def test_half_close_by_the_service(house):
    got = queue.Queue()

    def end_first(conn):
        conn.sendall(b"all I say")
        conn.shutdown(socket.SHUT_WR)
        data = b""
        while piece := conn.recv(1 << 16):
            data += piece
        got.put(data)

    stream = Stream(house.site(house.service(end_first))).use()
    assert stream.read_all() == b"all I say" and stream.ended()["how"] == "eof"
    stream.sock.sendall(b"still heard")
    stream.sock.shutdown(socket.SHUT_WR)
    assert got.get(timeout=WAIT_S) == b"still heard"


def test_ended_comes_before_the_end(house):
    """The line must be on its way before the EOF: it is there when the EOF is seen, for many streams at once."""
    lane = house.site(house.service(lambda conn: (conn.recv(1), conn.sendall(b"x" * 3000), conn.close())))
    for _ in range(10):
        streams = [Stream(lane).use(more=b"!") for _ in range(20)]
        for s in streams:
            assert s.read_all() == b"x" * 3000
            seen = time.monotonic()  # 250 ms is what the relay waits for the explanation
            assert s.ended()["how"] == "eof" and s.ended()["at"] < seen + 0.25
            s.sock.close()


def test_service_that_breaks_is_a_reset(house):
    def reset(conn):
        conn.recv(1)
        conn.sendall(b"half of i")
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()

    lane = house.site(house.service(reset))
    for _ in range(200):  # whether bytes and reset arrive at once or apart
        stream = Stream(lane).use(more=b"!")
        assert stream.ended()["how"] == "reset"
        assert len(stream.read_all()) <= 9
        stream.sock.close()


def test_abort_resets_the_service(house):
    service = house.service(lambda conn: [conn.recv(1 << 16) for _ in range(1000)])
    lane = house.site(service)
    stream, other = Stream(lane).use(more=b"a"), Stream(lane).use(more=b"b")
    wait_for("connections", lambda: len(service.conns) == 2)
    lane.send(type="abort", stream=secrets.token_hex(8))  # unknown: ignored
    lane.send(type="abort", stream=stream.id.hex())
    assert stream.read_all() == b"" and stream.ended()["how"] == "reset"
    wait_for("reset", lambda: any(isinstance(e, ConnectionResetError) for e in service.errors))
    assert len(service.errors) == 1 and house.lane_status()["streams"] == 1
    other.sock.close()


def test_relay_that_vanishes_ends_the_service(house):
    ended = queue.Queue()

    def talk(conn):
        try:
            while True:
                conn.sendall(b"x" * 1000)
                time.sleep(0.01)
        except OSError as e:
            ended.put(e)

    lane = house.site(house.service(talk))
    stream = Stream(lane).use()
    assert stream.read(1000)
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.sock.close()
    ended.get(timeout=WAIT_S)
    wait_for("end", lambda: house.lane_status()["streams"] == 0)


# ---- much of it ----


def test_100_streams_at_once(house):
    lane = house.site(house.service(echo))
    failed = []

    def one(i):
        try:
            stream, data = Stream(lane).use(), secrets.token_bytes(50000 + i)
            threading.Thread(target=lambda: (stream.sock.sendall(data), stream.sock.shutdown(1)), daemon=True).start()
            assert stream.read_all() == data
            stream.sock.close()
        except Exception as e:
            failed.append((i, e))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(100)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed
    wait_for("all to end", lambda: house.lane_status()["streams"] == 0)


MIB = 1 << 20


def feed(send, blocks, digest):
    for i in range(blocks):
        block = hashlib.sha256(str(i).encode()).digest() * (MIB // 32)
        digest.update(block)
        send(block)


@pytest.mark.parametrize("rekey", [False, True])
def test_100_mb_down(house, rekey):
    if rekey:
        house.stop_sshd()
        house.start_sshd("host", "RekeyLimit 16M")
    sent = hashlib.sha256()
    lane = house.site(house.service(lambda conn: (feed(conn.sendall, 100, sent), conn.close())))
    stream, got = Stream(lane).use(), hashlib.sha256()
    while piece := stream.sock.recv(MIB):
        got.update(piece)
    assert got.digest() == sent.digest() and stream.ended()["how"] == "eof"
    assert len(house.sessions()) == 1 and "lane down" not in house.agent_log()


@pytest.mark.parametrize("rekey", [False, True])
def test_100_mb_up(house, rekey):
    if rekey:
        house.stop_sshd()
        house.start_sshd("host", "RekeyLimit 16M")
    got, sent = hashlib.sha256(), hashlib.sha256()

    def take(conn):
        while piece := conn.recv(MIB):
            got.update(piece)
        conn.sendall(got.digest())
        conn.close()

    stream = Stream(house.site(house.service(take))).use()
    feed(stream.sock.sendall, 100, sent)
    stream.sock.shutdown(socket.SHUT_WR)
    assert stream.read_all() == sent.digest() == got.digest()
    assert "lane down" not in house.agent_log()


def test_both_ways_with_rekeying_and_many_streams(house):
    house.stop_sshd()
    house.start_sshd("host", "RekeyLimit 1M")
    lane = house.site(house.service(echo))
    failed = []

    def one():
        try:
            stream, data = Stream(lane).use(), secrets.token_bytes(3 * MIB)
            threading.Thread(target=lambda: (stream.sock.sendall(data), stream.sock.shutdown(1)), daemon=True).start()
            assert stream.read_all() == data
        except Exception as e:
            failed.append(e)

    threads = [threading.Thread(target=one) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed and "lane down" not in house.agent_log()


def test_slow_reader_holds_memory_bounded(house):
    """A visitor who does not read stops the service; others are served meanwhile."""
    sent = []

    def pour(conn):
        if conn.recv(1) == b"e":
            return echo(conn)
        while True:
            sent.append(conn.send(b"x" * 65536))

    lane = house.site(house.service(pour))
    before = house.memory()
    slow = [Stream(lane).use(more=b"p") for _ in range(5)]
    time.sleep(0.3)
    wait_for("a standstill", lambda: (len(sent), time.sleep(0.7))[0] == len(sent))
    stuck = sum(sent)
    house.check_memory(before + 8 * MIB)
    quick = Stream(lane).use(more=b"eping")
    assert quick.read(4) == b"ping"
    assert stuck < 5 * 24 * MIB  # what kernel, sshd and one window hold
    for s in slow:
        s.sock.close()
    wait_for("all to end", lambda: house.lane_status()["streams"] == 1)


def test_slow_service_holds_memory_bounded(house):
    """A service that does not read stops the visitor at one SSH window."""
    release = threading.Event()

    def stall(conn):
        release.wait(WAIT_S * 2)
        while conn.recv(MIB):
            pass

    lane = house.site(house.service(stall))
    stream, before = Stream(lane).use(), house.memory()
    stream.sock.settimeout(1)
    total = 0
    with pytest.raises(TimeoutError):
        while total < 200 * MIB:
            total += stream.sock.send(b"x" * 65536)
    house.check_memory(before + 6 * MIB)
    release.set()
    stream.sock.settimeout(WAIT_S)
    stream.sock.sendall(b"x" * MIB)


def test_idle_memory(house):
    lane = house.site(house.service(echo))
    for _ in range(20):
        s = Stream(lane).use(more=b"x" * 100000)
        assert len(s.read(100000)) == 100000
        s.sock.close()
    wait_for("all to end", lambda: house.lane_status()["streams"] == 0)
    print(f"private memory {house.memory() // 1024} KiB")
    house.check_memory(4 * MIB)


# ---- what breaks ----


def test_reconnects_when_the_session_is_killed(house):
    lane = house.site(house.service(echo))
    stream = Stream(lane).use(more=b"x")
    assert stream.read(1) == b"x"
    house.kill_sessions()
    began = time.monotonic()
    again = house.lane()
    assert again.greet()["serial"] == 1 and time.monotonic() - began < limit(5)
    assert again.wait("hello")["boot"] == lane.wait("hello")["boot"]
    assert Stream(again).use(more=b"back").read(4) == b"back"


def test_reconnects_when_sshd_was_away(house):
    house.site(house.service(echo))
    house.stop_sshd()
    wait_for("dead", lambda: house.lane_status()["state"] == "dead" and "refused" in house.lane_status()["last_error"])
    assert house.lane_status()["next_attempt"]
    house.start_sshd()
    house.lane().greet()
    wait_for("up", lambda: house.lane_status()["state"] == "up")


def test_forced_command_that_ends(house):
    lane = house.site(house.service(echo))
    lane.conn.shutdown(socket.SHUT_RDWR)
    house.lane().greet()
    assert "has ended" in house.agent_log()


def test_away_and_resync(house):
    """The relay restarts: the SSH session and its port stay, the secret is another one, unused warm streams go."""
    lane = house.site(house.service(echo))
    stream, warm, session = Stream(lane).use(more=b"1"), Stream(lane), house.sessions()
    assert stream.read(1) == b"1"
    lane.send(type="away")
    wait_for("away", lambda: house.lane_status()["state"] == "away")
    lane.send(type="resync")
    claim = lane.greet(n=2)
    assert claim["serial"] == 1 and lane.wait("hello", n=2)["port"] == lane.wait("hello")["port"]
    assert warm.closed_without_a_byte()
    stream.sock.sendall(b"2")
    assert stream.read(1) == b"2"  # what is in use goes on
    assert Stream(lane).use(more=b"3").read(1) == b"3"
    assert house.sessions() == session and house.lane_status()["state"] == "up"


@pytest.mark.slow
def test_away_for_long_keeps_the_session(house):
    """Nobody answers pings while the relay is away; sshd does, so the session lives."""
    lane = house.site(house.service(echo))
    session = house.sessions()
    lane.answer_pings = False
    lane.send(type="away")
    time.sleep(22)
    assert house.sessions() == session and house.lane_status()["state"] == "away"


def test_sshd_that_hangs_is_dead_within_15_s(house):
    """Its kernel still acknowledges what we say; but when all has arrived there, the line is not just full."""
    house.site(house.service(echo))
    stopped = [pid for session in house.sessions() for pid in (session, *children(session))]
    for p in stopped:
        os.kill(p, signal.SIGSTOP)
    began = time.monotonic()
    wait_for("silence to be noticed", lambda: "no byte from" in house.agent_log(), 60)
    assert 8 < time.monotonic() - began < limit(15)
    house.kill_sessions()
    for p in stopped:
        try:
            os.kill(p, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it went with its session


def test_another_host_key(house):
    house.start(host_key=house.fingerprint("other"))
    wait_for("refusal", lambda: "stands in between" in house.agent_log())
    assert house.fingerprint("host") in house.lane_status()["last_error"] and house.lanes.empty()
    assert "retry_ms=60000" in house.agent_log()


def test_refused_key_is_tried_again_after_2_and_5_s(house):
    house.allow("other")
    house.start()
    wait_for("refusal", lambda: "refuses the key" in house.agent_log())
    assert "retry_ms=2000" in house.agent_log()
    wait_for("another", lambda: "retry_ms=5000" in house.agent_log())
    house.allow("id_ed25519")
    house.lane(10).greet()


@pytest.mark.parametrize("key", ["pkcs8", "passphrase", "missing", "rsa"])
def test_key_that_cannot_be_used(house, key):
    path = house.path / "key"
    if key == "pkcs8":
        subprocess.check_call(["openssl", "genpkey", "-quiet", "-algorithm", "ed25519", "-out", path],
                              stderr=subprocess.DEVNULL)
    elif key == "passphrase":
        subprocess.check_call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", path])
    elif key == "rsa":
        subprocess.check_call(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", path])
    if key == "missing":
        os.unlink(house.path / "id_ed25519")
        house.start()
    else:
        path.chmod(0o600)
        house.start(key_file=path)
    wait_for("a reason", lambda: "lane down" in house.agent_log())
    error = house.lane_status()["last_error"]
    assert {"pkcs8": "OpenSSH's own format", "passphrase": "without a passphrase", "missing": "key_file",
            "rsa": "key"}[key] in error
    assert "retry_ms=2000" in house.agent_log()


def test_port_that_sshd_does_not_grant(house):
    house.stop_sshd()
    house.start_sshd("host", "DisableForwarding yes")
    house.start()
    wait_for("a reason", lambda: "permitlisten" in house.agent_log())


def test_drain_finishes_what_is_in_use(house):
    lane = house.site(house.service(echo))
    stream, warm = Stream(lane).use(more=b"1"), Stream(lane)
    assert stream.read(1) == b"1"
    house.agent.send_signal(signal.SIGTERM)
    lane.wait("goodbye")
    assert warm.closed_without_a_byte()
    stream.sock.sendall(b"2")
    assert stream.read(1) == b"2"
    stream.sock.shutdown(socket.SHUT_WR)
    stream.read_all()
    assert house.agent.wait(5) == 0
    house.agent = None


@pytest.mark.parametrize("word", ["connect", "handshake", "login", "converse", "forward", "serve"])
def test_stopped_in_every_state(house, word):
    """sshd stops after the n-th byte that the agent reads, by a gate in between; the agent must still end in order."""
    limits = {"connect": 0, "handshake": 30, "login": 1900, "converse": 2000, "forward": 2200, "serve": 1 << 30}
    gate = socket.create_server(("127.0.0.1", 0))

    def pump(source, sink, limit):
        try:
            while limit > 0 and (data := source.recv(min(4096, limit))):
                limit -= len(data)
                sink.sendall(data)
            time.sleep(60)
        except OSError:
            pass

    def run():
        conn = gate.accept()[0]
        sshd = socket.create_connection(("127.0.0.1", house.ssh_port))
        threading.Thread(target=pump, args=(conn, sshd, 1 << 30), daemon=True).start()
        pump(sshd, conn, limits[word])

    threading.Thread(target=run, daemon=True).start()
    house.start(port=gate.getsockname()[1])
    time.sleep(1)
    print([line for line in house.agent_log().splitlines() if "session state" in line][-1:])
