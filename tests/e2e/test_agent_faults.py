"""tunnel-agent when something goes wrong: on the line, in sshd, at the relay, in a service, with a key.

Plays the relay's part as test_agent_link.py does, with its helpers."""
import contextlib
import hashlib
import os
import queue
import re
import secrets
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from programs import limit
from test_agent_link import (AGENT, JOIN, MIB, WAIT_S, Stream, echo, feed, header, house, proof, tlv,  # noqa: F401
                             wait_for)

ASAN = "asan" in os.path.realpath(AGENT)
RESET_AT_ONCE = struct.pack("ii", 1, 0)


def descriptors(house):
    return len(os.listdir(f"/proc/{house.agent.pid}/fd"))


def wait_for_descriptors(house, n):
    wait_for(f"{n} descriptors", lambda: descriptors(house) <= n)


def cpu_s(house):
    fields = open(f"/proc/{house.agent.pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rests(house, s=1.0):
    """True when the agent hardly uses the processor for so long."""
    before = cpu_s(house)
    time.sleep(s)
    return cpu_s(house) - before < 0.2 * s


def retries(house):
    return [int(ms) for ms in re.findall(r'lane down.*retry_ms=(\d+)', house.agent_log())]


def in_threads(n, one):
    """Runs one(i) n times at once; returns what went wrong."""
    failed = []

    def run(i):
        try:
            one(i)
        except Exception as e:
            failed.append((i, repr(e)))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return failed


def patiently(receive, n):
    """While stall_both sends, the time limit of the socket is its own."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        try:
            return receive(n)
        except TimeoutError:
            pass
    raise TimeoutError


def stall_both(stream):
    """Sends into a stream until nobody takes more."""
    stream.sock.settimeout(1)
    try:
        while True:
            stream.sock.send(b"x" * 65536)
    except TimeoutError:
        stream.sock.settimeout(WAIT_S)
    except OSError:
        pass  # it has ended


class Gate:
    """Stands between the agent and sshd, and changes one bit of what sshd says, when told to."""

    def __init__(self, port):
        self.to, self.listener, self.change = port, socket.create_server(("127.0.0.1", 0)), threading.Event()
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            conn = self.listener.accept()[0]
            sshd = socket.create_connection(("127.0.0.1", self.to))
            threading.Thread(target=self.pump, args=(conn, sshd, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(sshd, conn, True), daemon=True).start()

    def pump(self, source, sink, changes):
        try:
            while data := bytearray(source.recv(65536)):
                if changes and self.change.is_set():
                    self.change.clear()
                    data[-1] ^= 1
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


# ---- the line ----


def test_changed_byte_ends_the_session(house):
    """A packet that was changed on the way must not be left out as if it had never been."""
    gate = Gate(house.ssh_port)
    lane = house.site(house.service(echo), port=gate.port)
    stream = Stream(lane).use(more=b"1")
    assert stream.read(1) == b"1"
    gate.change.set()
    stream.sock.sendall(b"2")
    lane.wait("gone")
    assert stream.closed_without_a_byte()
    wait_for("the reason", lambda: "session broke" in house.agent_log())
    again = house.lane()
    again.greet()
    assert Stream(again).use(more=b"back").read(4) == b"back"


@pytest.mark.parametrize("all_of_it", [False, True])
def test_sshd_dies_in_mid_stream(house, all_of_it):
    """Either the session's processes alone, or with sshd itself. Nothing is left behind, and what comes back works."""
    ended = queue.Queue()

    def pour(conn):
        conn.settimeout(WAIT_S / 2)  # with the others on a busy machine it may take a while before we kill anything
        try:
            while True:
                conn.sendall(b"x" * 65536)
                conn.recv(65536)
        except TimeoutError:
            ended.put("stuck")
        except OSError as e:
            ended.put(type(e).__name__)

    lane = house.site(house.service(pour))
    alone = descriptors(house)
    for _ in range(3):  # after 0.2, 0.4 and 0.8 s: none of these lanes holds for long
        streams = [Stream(lane).use(more=b"y" * 70000) for _ in range(10)]
        warm = [Stream(lane) for _ in range(5)]
        for s in streams:
            assert s.read(65536) == b"x" * 65536
        if all_of_it:
            house.stop_sshd()
            house.start_sshd()
        else:
            house.kill_sessions()
        began = time.monotonic()
        lane = house.lane()
        lane.greet()
        assert time.monotonic() - began < limit(3)
        for s in streams:
            assert ended.get(timeout=WAIT_S) in ("ConnectionResetError", "BrokenPipeError")
        for s in streams + warm:
            s.sock.close()
        wait_for("all to end", lambda: house.lane_status()["streams"] == 0)
        wait_for_descriptors(house, alone)


def test_keys_change_under_load(house):
    """Every 100 KB, in both directions, while streams come and go and the relay pings."""
    house.stop_sshd()
    house.start_sshd("host", "RekeyLimit 100K")
    service = house.service(echo)
    house.start({"site.test": {"service": f"http://127.0.0.1:{service.port}"}})
    lane = house.lane()
    lane.greet(heartbeat_s=1)

    def one(i):
        for n in ([2 * MIB] if i < 4 else [1, 3000, 70000, 1, 200000, 5, 40000, 9000]):
            stream, data = Stream(lane).use(), secrets.token_bytes(n)
            threading.Thread(target=lambda: (stream.sock.sendall(data), stream.sock.shutdown(1)), daemon=True).start()
            got = stream.read_all()
            assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()
            assert stream.ended()["how"] == "eof"
            stream.sock.close()

    assert not in_threads(12, one)
    wait_for("all to end", lambda: house.lane_status()["streams"] == 0)
    assert len(house.sessions()) == 1 and "lane down" not in house.agent_log() and not lane.find("gone")
    assert len(lane.find("ended")) == 4 + 8 * 8


# ---- sshd ----


def test_command_that_complains_and_ends_is_noticed_at_once(house):
    """What it wrote to standard error must not hide its end until the next heartbeat."""
    (house.path / "join.py").write_text("import os\nos.write(2, b'no relay here\\n')\n")
    began = time.monotonic()
    house.start()
    wait_for("ten ends", lambda: house.agent_log().count("session state") >= 8 * 5)
    assert time.monotonic() - began < limit(9)  # 0.2 + 0.4 + 0.8 + 1.6 s between five of them
    wait_for("a reason", lambda: "has ended" in house.agent_log())


def test_sshd_gone_for_a_while(house):
    """Each attempt comes later, until one has held; the first after that comes soon again."""
    lane = house.site(house.service(echo))
    house.stop_sshd()
    wait_for("five attempts", lambda: len(retries(house)) >= 5)
    for ms, most in zip(retries(house), (200, 200, 400, 800, 1600, 3200)[0 if retries(house)[0] else 1:]):
        assert ms <= most * 2 and ms >= 150
    assert retries(house)[-1] > 2 * retries(house)[0]
    house.start_sshd()
    lane = house.lane()
    lane.greet()
    up = time.monotonic()
    wait_for("a lane that has held", lambda: time.monotonic() - up > 5.2)
    lane.send(type="resync")  # the relay was restarted; the session is as steady as before
    lane.greet(n=2)
    seen = len(retries(house))
    house.kill_sessions()
    wait_for("the end", lambda: len(retries(house)) > seen)
    assert retries(house)[seen] <= 200
    house.lane().greet()


def test_host_key_changes(house):
    """Another machine answers: nothing is said to it, and only a person helps."""
    lane = house.site(house.service(echo))
    house.stop_sshd()
    house.start_sshd("other")
    lane.wait("gone")
    wait_for("refusal", lambda: "stands in between" in house.agent_log())
    assert retries(house)[-1] == 60000 and house.lanes.empty()
    assert "Accepted" not in (house.path / "sshd.log").read_text().split("Server listening")[-1]
    house.configure({}, host_key=house.fingerprint("other"))
    house.reload()
    house.lane().greet()


def packet(kind, payload):
    """As SSH has it before any keys."""
    padding = 4 + (-(4 + 1 + 1 + len(payload) + 4)) % 8
    return struct.pack("!IBB", 2 + len(payload) + padding, padding, kind) + payload + bytes(padding)


@pytest.mark.parametrize("flood", [b"welcome\r\n" * 1000, packet(200, b"x"), packet(200, bytes(30000)), packet(2, bytes(1000))],
                         ids=["lines", "small-packets", "large-packets", "ignored-packets"])
def test_who_floods_before_the_host_key_is_hung_up_on(house, flood):
    """Nobody knows yet who it is, and libssh2 would keep what it does not understand."""
    taken = queue.Queue()

    def pour():
        conn, _ = server.accept()
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        conn.settimeout(WAIT_S)
        pieces = [b"" if flood[:7] == b"welcome" else b"SSH-2.0-x\r\n", *[flood * (1 + 60000 // len(flood))] * 200]
        sent = 0
        try:
            for piece in pieces:
                sent += conn.send(piece)
        except OSError:
            pass  # hung up on
        taken.put(sent)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=pour, daemon=True).start()
        house.start(port=server.getsockname()[1])
        assert taken.get(timeout=WAIT_S) < 8 * MIB  # more than 256 KiB: the kernels hold some as well
    wait_for("the reason", lambda: "SSH handshake with 127.0.0.1 port" in house.agent_log())
    assert "came, and no host key; is that an sshd?" in house.agent_log()


def test_key_is_revoked_and_given_back(house):
    lane = house.site(house.service(echo))
    house.allow("other")
    house.kill_sessions()
    lane.wait("gone")
    wait_for("refusal", lambda: retries(house)[-1:] == [2000])
    assert house.lane_status()["state"] == "dead"
    house.allow("id_ed25519")
    again = house.lane()
    again.greet()
    wait_for("up", lambda: house.lane_status()["state"] == "up")
    house.allow("other")
    house.kill_sessions()  # success has reset the count
    wait_for("refusal", lambda: retries(house)[-1:] == [2000] and retries(house).count(2000) == 2)


# ---- the relay ----


@pytest.mark.slow
def test_relay_that_does_not_welcome_again(house):
    """A lane that waits for a welcome for ever would be of no use to anybody."""
    lane = house.site(house.service(echo))
    lane.send(type="away")
    lane.send(type="resync")
    lane.wait("hello", n=2)
    lane.wait("gone", wait_s=40)
    wait_for("a reason", lambda: "no relay answers" in house.agent_log())
    house.lane().greet()


def test_goodbye_holds_while_the_relay_restarts(house):
    """A lane that is on its way out does not offer itself to the relay that comes back."""
    lane = house.site(house.service(echo))
    stream = Stream(lane).use(more=b"1")
    assert stream.read(1) == b"1"
    lane.send(type="goodbye", why="test")
    wait_for("draining", lambda: house.lane_status()["state"] == "draining")
    lane.send(type="away")
    lane.send(type="resync")
    lane.send(type="ping", n=1, t=1, rtt_ms=-1)
    lane.wait("pong")
    assert house.lane_status()["state"] == "draining" and len(lane.find("hello")) == 1
    stream.sock.sendall(b"2")
    assert stream.read(1) == b"2"
    stream.sock.close()
    lane.wait("gone")


@pytest.mark.parametrize("before", ["nothing", "half", "all"])
def test_stream_that_overtakes_the_welcome(house, before):
    """The relay opens streams right behind its welcome, which has further to go."""
    service = house.service(echo)
    house.start({"site.test": {"service": f"http://127.0.0.1:{service.port}"}})
    lane = house.lane()
    lane.port, lane.secret = lane.wait("hello")["port"], secrets.token_bytes(32)
    stream = Stream(lane, open_it=False)
    said = {"nothing": 0, "half": 30, "all": 65}[before]
    opening = stream.opening()
    stream.sock.sendall(opening[:said])
    lane.send(type="ping", n=1, t=1, rtt_ms=-1)  # whose answer shows that the stream has arrived, or nearly so
    lane.wait("pong")
    time.sleep(0.1)
    lane.send(type="welcome", v=1, relay="fra1", lane_id="l1", secret=lane.secret.hex(), seen_from="127.0.0.1",
              publish=["192.0.2.1"], heartbeat_s=5, time="2026-11-21T00:00:00Z")
    lane.accept(1)
    stream.sock.sendall(opening[said:])
    assert stream.read(16) == proof(lane.secret, b"agent", stream.id, stream.random)
    assert stream.use(more=b"hi").read(2) == b"hi"


def test_strangers_are_many_and_slow(house):
    """They neither keep visitors out nor stay longer than 5 s, whatever they dribble."""
    lane = house.site(house.service(echo))
    used, alone = Stream(lane).use(more=b"1"), None
    assert used.read(1) == b"1"
    alone = descriptors(house)
    began = time.monotonic()
    strangers = [Stream(lane, open_it=False) for _ in range(150)]
    opening = strangers[0].opening()
    for i in range(30):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # on a busy machine it is over by then
            strangers[0].sock.sendall(opening[i:i + 1])
        used.sock.sendall(b"2")
        assert used.read(1) == b"2"
        if i % 10 == 0:
            quick = Stream(lane).use(more=b"quick")
            assert quick.read(5) == b"quick"
            quick.sock.close()
        time.sleep(0.05)
    assert all(s.closed_without_a_byte() for s in strangers)
    assert 4.5 < time.monotonic() - began < limit(8)
    wait_for_descriptors(house, alone)


def test_second_header_that_dribbles(house):
    lane = house.site(house.service(echo))
    slow = Stream(lane)
    text = header(0x20, 0x00, tlv(0xE4, b"domain:site.test"))
    began = time.monotonic()
    with pytest.raises(OSError):
        for byte in text[:-1] * 2:
            slow.sock.sendall(bytes([byte]))
            time.sleep(0.2)
    assert 4.5 < time.monotonic() - began < limit(8)
    assert slow.ended()["how"] == "refused"


# ---- services ----


def test_half_close_with_much_behind_it(house):
    """Each direction ends by itself; what comes the other way afterwards is whole."""
    sent, got, wait = hashlib.sha256(), hashlib.sha256(), queue.Queue()

    def answer_later(conn):
        while conn.recv(MIB):
            pass
        feed(conn.sendall, 10, sent)
        conn.shutdown(socket.SHUT_WR)

    def speak_first(conn):
        conn.sendall(b"all I say")
        conn.shutdown(socket.SHUT_WR)
        while data := conn.recv(MIB):
            got.update(data)
        wait.put(True)

    one, two = house.service(answer_later), house.service(speak_first)
    house.start({"one.test": {"service": f"http://127.0.0.1:{one.port}"},
                 "two.test": {"service": f"http://127.0.0.1:{two.port}"}})
    lane = house.lane()
    lane.greet()
    first = Stream(lane).use("domain:one.test", b"x" * 300000)
    first.sock.shutdown(socket.SHUT_WR)
    assert hashlib.sha256(first.read_all()).digest() == sent.digest() and first.ended()["how"] == "eof"
    second, mine = Stream(lane).use("domain:two.test"), hashlib.sha256()
    assert second.read_all() == b"all I say" and second.ended()["how"] == "eof"
    feed(second.sock.sendall, 10, mine)
    second.sock.shutdown(socket.SHUT_WR)
    assert wait.get(timeout=WAIT_S) and got.digest() == mine.digest()
    wait_for("both to end", lambda: house.lane_status()["streams"] == 0)
    assert len(lane.find("ended")) == 2


def test_service_that_breaks_in_mid_body(house):
    """However much of it is on its way: the explanation is `reset`, and comes no later than the end."""
    def reset(conn):
        conn.recv(1)
        for _ in range(100):
            conn.sendall(b"b" * 10000)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
        conn.close()

    lane = house.site(house.service(reset))
    for _ in range(20):
        stream = Stream(lane).use(more=b"!")
        try:
            assert len(stream.read_all()) <= MIB
        except ConnectionResetError:
            pass
        seen = time.monotonic()
        assert stream.ended()["how"] == "reset" and stream.ended()["at"] < seen + 0.25
        stream.sock.close()
    assert house.lane_status()["streams"] == 0


def test_service_comes_and_goes(house):
    """refused, then ok, then refused again; each stream hears it at once, whatever the visitor has sent already."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    house.start({"site.test": {"service": f"http://127.0.0.1:{port}"}})
    lane = house.lane()
    lane.greet()

    def state():
        return house.status()["domains"][0]["service_state"]

    for _ in range(3):
        refused = Stream(lane).use(more=b"x" * 200000)
        assert refused.closed_without_a_byte() and refused.ended()["how"] == "refused" and state() == "refused"
        with socket.create_server(("127.0.0.1", port)) as server:
            stream = Stream(lane).use(more=b"hello")
            conn = server.accept()[0]
            assert conn.recv(5) == b"hello" and state() == "ok"
            conn.sendall(b"bye")
            conn.close()
            assert stream.read_all() == b"bye" and stream.ended()["how"] == "eof"
            stream.sock.close()


def test_service_that_cannot_be_reached(house):
    """No such name; an address that is one only on a certain interface."""
    services = {"name.test": "http://no-such-host.invalid", "v6.test": "http://[fe80::1]:80"}
    house.start({name: {"service": service} for name, service in services.items()})
    lane = house.lane()
    lane.greet()
    for name in services:
        stream = Stream(lane).use(f"domain:{name}", b"hello")
        # libuv 1.50 tries an interface where none is named; there nobody answers
        assert stream.ended()["how"] in (["unreachable", "silent"] if name == "v6.test" else ["unreachable"]), name
        assert stream.closed_without_a_byte()


def test_answer_before_the_body_is_read(house):
    """A service that answers early and closes: the answer that it has sent arrives, whatever becomes of the rest."""
    answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 6\r\n\r\nenough"

    def early(conn):
        conn.recv(1)
        conn.sendall(answer)
        conn.close()

    lane = house.site(house.service(early))

    def one(_):
        for _ in range(10):
            stream, got = Stream(lane).use(more=b"!"), b""
            threading.Thread(target=stall_both, args=(stream,), daemon=True).start()
            try:
                while piece := patiently(stream.sock.recv, 65536):
                    got += piece
            except ConnectionError:
                pass
            assert got == answer
            stream.ended()
            stream.sock.close()

    assert not in_threads(5, one)


# ---- what stands still ----


def test_50_services_that_do_not_read(house):
    """They cost one SSH window each and no more, let others run, and leave nothing when they go."""
    release = threading.Event()

    def stall(conn):
        if conn.recv(1) == b"e":
            return echo(conn)
        release.wait(60)
        while conn.recv(MIB):
            pass
        conn.close()

    lane = house.site(house.service(stall))
    Stream(lane).use(more=b"e").sock.close()
    alone = descriptors(house)
    before = house.memory()
    stalled = [Stream(lane).use(more=b"s") for _ in range(50)]
    assert not in_threads(50, lambda i: stall_both(stalled[i]))
    house.check_memory(before + 50 * 3 * MIB)
    assert rests(house)
    data, began = secrets.token_bytes(4 * MIB), time.monotonic()
    quick = Stream(lane).use(more=b"e")
    threading.Thread(target=quick.sock.sendall, args=(data,), daemon=True).start()
    assert quick.read(len(data)) == data
    assert time.monotonic() - began < (60 if ASAN else 10)
    quick.sock.close()
    for s in stalled[:25]:
        lane.send(type="abort", stream=s.id.hex())
    for s in stalled[:25]:
        assert s.ended()["how"] == "reset"
        s.sock.close()
    release.set()
    for s in stalled[25:]:
        s.sock.shutdown(socket.SHUT_WR)
        assert s.read_all() == b"" and s.ended()["how"] == "eof"
        s.sock.close()
    wait_for("all to end", lambda: house.lane_status()["streams"] == 0)
    wait_for_descriptors(house, alone)
    release.clear()
    peak, again = house.memory(), [Stream(lane).use(more=b"s") for _ in range(25)]
    assert not in_threads(25, lambda i: stall_both(again[i]))
    house.check_memory(max(peak, before + 25 * 3 * MIB) + 8 * MIB)  # what was free is used again
    release.set()
    assert "lane down" not in house.agent_log()


def test_50_visitors_that_do_not_read(house):
    sent = [0]

    def pour(conn):
        if conn.recv(1) == b"e":
            return echo(conn)
        while True:
            sent[0] += conn.send(b"x" * 65536)

    lane = house.site(house.service(pour))
    Stream(lane).use(more=b"e").sock.close()
    alone, before = descriptors(house), house.memory()
    slow = [Stream(lane).use(more=b"p") for _ in range(50)]

    def stands_still():
        seen = sent[0]
        time.sleep(0.5)
        return seen > 0 and sent[0] == seen
    wait_for("a standstill", stands_still, 60)
    house.check_memory(before + 50 * 256 * 1024)
    assert rests(house)
    data = secrets.token_bytes(4 * MIB)
    quick = Stream(lane).use(more=b"e")
    threading.Thread(target=quick.sock.sendall, args=(data,), daemon=True).start()
    assert quick.read(len(data)) == data
    quick.sock.close()
    for s in slow:
        s.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
        s.sock.close()
    wait_for("all to end", lambda: house.lane_status()["streams"] == 0)
    wait_for_descriptors(house, alone)


def test_rests_when_nothing_happens(house):
    """No state of a lane or a stream keeps the processor busy."""
    lane = house.site(house.service(echo))
    used = [Stream(lane).use(more=b"x") for _ in range(20)]
    warm = [Stream(lane) for _ in range(20)]
    begun = Stream(lane, open_it=False)
    begun.sock.sendall(begun.opening()[:20])
    for s in used:
        assert s.read(1) == b"x"
    assert rests(house)
    for s in used[:10]:
        s.sock.shutdown(socket.SHUT_WR)
    lane.send(type="away")
    wait_for("away", lambda: house.lane_status()["state"] == "away")
    assert rests(house)
    lane.send(type="goodbye", why="test")
    assert all(s.closed_without_a_byte() for s in warm)
    assert rests(house)
    house.stop_sshd()
    lane.wait("gone")
    assert rests(house)
