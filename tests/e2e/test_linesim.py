"""linesim tested on itself: one test for each thing it can do to a connection.

Lower bounds on times are strict, upper bounds are loose: a busy machine makes things later, never earlier.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import socket
import struct
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Iterator

import pytest

from line import Line, LineError, build_folder
from programs import limit

PATIENCE = 30  # seconds, for what must happen
QUIET = 0.3  # seconds, for what must not


class Rig:
    """A line with servers behind it, all closed at the end."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.servers: list[socket.socket] = []
        self.line = stack.enter_context(Line())

    def start(self, servers: int = 1, **settings: Any) -> Line:
        for _ in range(servers):
            server = self.stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))
            server.settimeout(PATIENCE)
            self.servers.append(server)
        return self.line.start([server.getsockname() for server in self.servers], **settings)

    def connect(self, index: int = 0) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.line.port(index)), timeout=PATIENCE)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.stack.enter_context(client)

    def accept(self, index: int = 0) -> socket.socket:
        peer, _ = self.servers[index].accept()
        peer.settimeout(PATIENCE)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.stack.enter_context(peer)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        client = self.connect()
        return client, self.accept()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(stack)


def receive(sock: socket.socket, n: int) -> bytes:
    data = b""
    while len(data) < n:
        part = sock.recv(n - len(data))
        assert part, f"the connection ended after {len(data)} of {n} bytes"
        data += part
    return data


def receive_all(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def takes(sender: socket.socket, receiver: socket.socket) -> float:
    """Seconds that a byte needs from one to the other."""
    start = time.monotonic()
    sender.sendall(b"x")
    assert receiver.recv(1) == b"x"
    return time.monotonic() - start


def assert_quiet(sock: socket.socket) -> None:
    """Neither a byte nor the end of the connection arrives."""
    sock.settimeout(QUIET)
    with pytest.raises(TimeoutError):
        sock.recv(1)
    sock.settimeout(PATIENCE)


def assert_works(client: socket.socket, peer: socket.socket) -> None:
    client.sendall(b"there")
    assert receive(peer, 5) == b"there"
    peer.sendall(b"and back")
    assert receive(client, 8) == b"and back"


def assert_reset(sock: socket.socket) -> None:
    with pytest.raises(ConnectionResetError):
        while sock.recv(65536):
            pass


def abort(sock: socket.socket) -> None:
    """Closes with an RST instead of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def in_background(work: Any, *args: Any) -> threading.Thread:
    def quietly() -> None:
        with suppress(OSError):  # a test may end, and close all sockets, while a sender still sends
            work(*args)

    thread = threading.Thread(target=quietly, daemon=True)
    thread.start()
    return thread


def wait_until(fact: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not fact():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


# ---- carrying ----


def test_carries_bytes_unchanged_both_ways(rig: Rig) -> None:
    rig.start()
    client, peer = rig.pair()
    data = os.urandom(8 << 20)
    for sender, receiver in ((client, peer), (peer, client)):
        thread = in_background(sender.sendall, data)
        assert receive(receiver, len(data)) == data
        thread.join()


def test_carries_many_connections_to_many_targets(rig: Rig) -> None:
    rig.start(servers=3, delay="5ms")
    pairs = []
    for i in range(150):
        client = rig.connect(i % 3)
        pairs.append((client, rig.accept(i % 3), b"%04d" % i))
    for client, _, name in pairs:
        client.sendall(name)
    for client, peer, name in pairs:
        assert receive(peer, 4) == name
    assert len(rig.line.connections()) == 150


def test_listens_on_ipv6(rig: Rig) -> None:
    try:
        server = rig.stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
    except OSError as e:
        pytest.skip(f"no IPv6 on loopback: {e}")
    rig.line.start([server.getsockname()], listen="[::1]:0")
    client = rig.stack.enter_context(socket.create_connection(("::1", rig.line.port()), timeout=PATIENCE))
    peer = rig.stack.enter_context(server.accept()[0])
    assert_works(client, peer)


def test_forwards_to_a_unix_socket(rig: Rig) -> None:
    server = rig.stack.enter_context(socket.socket(socket.AF_UNIX))
    server.bind(str(rig.line.folder / "target"))
    server.listen()
    rig.line.start([f"unix:{rig.line.folder}/target"])
    client = rig.connect()
    peer = rig.stack.enter_context(server.accept()[0])
    assert_works(client, peer)


# ---- delay, jitter, rate, queue ----


def test_delay_is_one_way_in_each_direction(rig: Rig) -> None:
    rig.start(delay="200ms")
    client, peer = rig.pair()
    assert 0.195 <= takes(client, peer) < 0.7
    assert 0.195 <= takes(peer, client) < 0.7


def test_delay_can_be_set_for_one_direction_while_running(rig: Rig) -> None:
    line = rig.start()
    client, peer = rig.pair()
    line.set("down", delay="500ms")
    assert 0.495 <= takes(peer, client) < 1
    assert takes(client, peer) < 0.495
    line.set(delay=None)
    assert takes(peer, client) < 0.495


def test_delay_holds_for_the_connecting_too(rig: Rig) -> None:
    rig.start(delay="200ms")
    start = time.monotonic()
    rig.pair()
    assert 0.195 <= time.monotonic() - start < limit(0.7)


def test_delay_does_not_limit_the_rate(rig: Rig) -> None:
    """Bytes follow each other on a long line: 20 messages take one delay, not 20."""
    rig.start(delay="200ms")
    client, peer = rig.pair()
    start = time.monotonic()
    for _ in range(20):
        client.sendall(bytes(1000))
    receive(peer, 20000)
    assert 0.195 <= time.monotonic() - start < limit(2)


def test_jitter_varies_the_delay_and_keeps_the_order(rig: Rig) -> None:
    rig.start(delay="20ms", jitter="60ms")
    client, peer = rig.pair()
    delays = [takes(client, peer) for _ in range(30)]
    assert min(delays) >= 0.018
    assert max(delays) - min(delays) > 0.015  # of 30 random ones from 0 to 60 ms
    messages = b"".join(b"%06d" % i for i in range(3000))
    in_background(lambda: [client.sendall(messages[i : i + 60]) for i in range(0, len(messages), 60)])
    assert receive(peer, len(messages)) == messages


def test_rate_limits_the_bytes_per_second(rig: Rig) -> None:
    rig.start(rate="4mbit")
    client, peer = rig.pair()
    start = time.monotonic()
    in_background(client.sendall, bytes(1_000_000))  # 2 seconds' worth
    receive(peer, 1_000_000)
    assert 1.95 <= time.monotonic() - start < limit(4)


def test_rate_is_shared_fairly_by_all_connections(rig: Rig) -> None:
    rig.start(servers=2, rate="4mbit")
    arrived = [0, 0]
    peers = []
    start = time.monotonic()
    for i in range(2):
        in_background(rig.connect(i).sendall, bytes(500_000))
        peers.append(rig.accept(i))

    def count(i: int) -> None:
        while arrived[i] < 500_000:
            arrived[i] += len(peers[i].recv(65536))

    threads = [in_background(count, i) for i in range(2)]
    wait_until(lambda: sum(arrived) > 600_000)
    assert min(arrived) > 150_000, arrived
    for thread in threads:
        thread.join(PATIENCE)
    assert 1.9 <= time.monotonic() - start < limit(4)


def test_rate_of_one_direction_leaves_the_other_alone(rig: Rig) -> None:
    line = rig.start()
    client, peer = rig.pair()
    line.set("up", rate="8kbit")
    in_background(client.sendall, bytes(100_000))
    in_background(peer.sendall, bytes(4 << 20))
    start = time.monotonic()
    receive(client, 4 << 20)
    assert time.monotonic() - start < limit(10)  # at 1000 bytes/s this would take more than an hour


def test_full_queue_delays_the_small_packets_of_others(rig: Rig) -> None:
    """Bufferbloat: a byte behind a full queue of 128 KiB at 1 Mbit/s waits for more than a second."""
    line = rig.start(servers=2, rate="1mbit", queue="128k")
    bulk, small = rig.connect(0), rig.connect(1)
    peer = rig.accept(1)
    in_background(bulk.sendall, bytes(4 << 20))
    wait_until(lambda: line.stats()["up"]["queued"] >= 120 << 10)
    assert 0.85 <= takes(small, peer) < 4
    assert takes(peer, small) < 0.85  # the way back is free


def test_full_queue_holds_the_sender_back_and_drops_nothing(rig: Rig) -> None:
    line = rig.start(rate="8kbit", queue="16k")
    client, peer = rig.pair()
    data = os.urandom(16 << 20)  # more than the kernel's buffers hold
    thread = in_background(client.sendall, data)
    wait_until(lambda: line.stats()["up"]["queued"] >= 14 << 10)
    time.sleep(QUIET)
    up = line.stats()["up"]
    assert up["queued"] <= 20 << 10
    assert up["in"] < 64 << 10
    assert thread.is_alive()
    line.set(rate=None)
    assert receive(peer, len(data)) == data


def test_receiver_that_does_not_read_holds_its_sender_back_alone(rig: Rig) -> None:
    rig.start(servers=2, delay="1ms")
    slow, other = rig.connect(0), rig.connect(1)
    slow_peer, other_peer = rig.accept(0), rig.accept(1)
    data = os.urandom(64 << 20)
    thread = in_background(slow.sendall, data)
    up = lambda: rig.line.connections()[0]["up"]  # noqa: E731
    wait_until(lambda: up()["held"] >= 256 << 10)
    time.sleep(QUIET)
    assert up()["held"] < 32 << 20 and thread.is_alive()
    assert_works(other, other_peer)
    assert receive_digest(slow_peer, len(data)) == hashlib.sha256(data).digest()


def receive_digest(sock: socket.socket, n: int) -> bytes:
    digest, room = hashlib.sha256(), bytearray(1 << 18)
    while n > 0:
        got = sock.recv_into(room, min(n, len(room)))
        assert got, f"the connection ended {n} bytes early"
        digest.update(memoryview(room)[:got])
        n -= got
    return digest.digest()


def test_settings_change_while_bytes_flow_without_losing_one(rig: Rig) -> None:
    line = rig.start()
    client, peer = rig.pair()
    data = os.urandom(32 << 20)
    digest: list[bytes] = []
    receiver = in_background(lambda: digest.append(receive_digest(peer, 4 * len(data))))
    sender = in_background(lambda: [client.sendall(data) for _ in range(4)])
    luck = random.Random(1)
    for _ in range(40):
        line.set(
            "up",
            delay=luck.choice([None, "1ms", "20ms"]),
            jitter=luck.choice([None, "5ms"]),
            rate=luck.choice([None, None, "100mbit", "1gbit"]),
            queue=luck.choice(["2k", "64k", "1m"]),
        )
        if luck.random() < 0.3:
            line.stall("up")
            time.sleep(luck.random() / 50)
            line.go("up")
        time.sleep(luck.random() / 20)
    line.set(delay=None, jitter=None, rate=None)
    sender.join(PATIENCE)
    receiver.join(PATIENCE)
    assert digest == [hashlib.sha256(data * 4).digest()]


# ---- stall and swallow ----


def test_stall_holds_bytes_and_delivers_them_later(rig: Rig) -> None:
    line = rig.start()
    client, peer = rig.pair()
    line.stall()
    client.sendall(b"held")
    peer.sendall(b"held, too")
    assert_quiet(peer)
    assert_quiet(client)
    line.go()
    assert receive(peer, 4) == b"held"
    assert receive(client, 9) == b"held, too"
    assert_works(client, peer)


def test_stall_of_one_direction_leaves_the_other_alone(rig: Rig) -> None:
    line = rig.start()
    client, peer = rig.pair()
    line.stall("up")
    client.sendall(b"held")
    peer.sendall(b"passes")
    assert receive(client, 6) == b"passes"
    assert_quiet(peer)
    line.go("up")
    assert receive(peer, 4) == b"held"


def test_stall_stops_what_is_on_its_way(rig: Rig) -> None:
    line = rig.start()
    client, peer = rig.pair()
    line.set(delay="200ms")
    client.sendall(b"x")
    wait_until(lambda: line.stats()["up"]["flying"] == 1)
    line.stall()
    peer.settimeout(0.5)
    with pytest.raises(TimeoutError):
        peer.recv(1)
    line.go()
    peer.settimeout(PATIENCE)
    assert peer.recv(1) == b"x"


def test_stall_holds_a_new_connection_and_its_end(rig: Rig) -> None:
    line = rig.start()
    line.stall()
    client = rig.connect()
    client.sendall(b"last words")
    client.close()
    rig.servers[0].settimeout(QUIET)
    with pytest.raises(TimeoutError):
        rig.servers[0].accept()
    line.go()
    rig.servers[0].settimeout(PATIENCE)
    assert receive_all(rig.accept()) == b"last words"


def test_swallow_leaves_a_half_open_connection(rig: Rig) -> None:
    """The other side learns neither what is sent nor that its peer has gone."""
    line = rig.start()
    client, peer = rig.pair()
    line.swallow()
    client.sendall(bytes(1 << 20))  # taken, and thrown away
    peer.sendall(b"to nobody")
    wait_until(lambda: line.stats()["up"]["lost"] == 1 << 20)
    assert_quiet(client)
    abort(client)
    assert_quiet(peer)
    line.go()
    assert_quiet(peer)
    peer.close()
    wait_until(lambda: not line.connections())


def test_swallow_up_lets_bytes_down_through(rig: Rig) -> None:
    line = rig.start()
    client, peer = rig.pair()
    line.swallow("up")
    client.sendall(b"gone")
    peer.sendall(b"passes")
    assert receive(client, 6) == b"passes"
    assert_quiet(peer)


def test_swallow_loses_what_is_on_its_way(rig: Rig) -> None:
    line = rig.start()
    client, peer = rig.pair()
    line.set(delay="100ms")
    client.sendall(b"x")
    wait_until(lambda: line.stats()["up"]["flying"] == 1)
    line.swallow()
    line.go()
    client.sendall(b"y")  # would have a hole in front of it
    assert_quiet(peer)


def test_swallow_accepts_connections_that_reach_nobody(rig: Rig) -> None:
    line = rig.start()
    idle_client, idle_peer = rig.pair()
    line.swallow()
    client = rig.connect()
    client.sendall(b"anybody there?")
    assert_quiet(client)
    rig.servers[0].settimeout(QUIET)
    with pytest.raises(TimeoutError):
        rig.servers[0].accept()
    rig.servers[0].settimeout(PATIENCE)
    line.go()
    assert_works(*rig.pair())  # who connects afterwards is well,
    assert_works(idle_client, idle_peer)  # who lost nothing, too,
    assert_quiet(client)  # and who lost its beginning stays silent


# ---- how connections end ----


def test_reset_reaches_both_sides_of_all_connections(rig: Rig) -> None:
    line = rig.start()
    pairs = [rig.pair() for _ in range(3)]
    assert line.reset() == 3
    for sock in (sock for pair in pairs for sock in pair):
        assert_reset(sock)
    assert line.connections() == []
    assert_works(*rig.pair())


def test_reset_of_one_connection_spares_the_others(rig: Rig) -> None:
    line = rig.start()
    first, second = rig.pair(), rig.pair()
    ids = [connection["id"] for connection in line.connections()]
    assert line.reset(ids[0]) == 1
    assert_reset(first[0])
    assert_reset(first[1])
    assert_works(*second)
    with pytest.raises(LineError, match="no such connection"):
        line.reset(ids[0])


def test_cut_ends_both_sides_with_a_fin(rig: Rig) -> None:
    line = rig.start()
    client, peer = rig.pair()
    assert line.cut() == 1
    assert client.recv(1) == b""
    assert peer.recv(1) == b""
    client.close()
    peer.close()
    wait_until(lambda: not line.connections())
    assert_works(*rig.pair())


def test_refuse_closes_the_port_and_opens_it_again(rig: Rig) -> None:
    line = rig.start()
    client, peer = rig.pair()
    line.refuse()
    with pytest.raises(ConnectionRefusedError):
        rig.connect()
    assert_works(client, peer)  # what was there stays
    line.refuse(False)
    assert_works(*rig.pair())


def test_half_close_is_passed_on_behind_the_bytes(rig: Rig) -> None:
    line = rig.start(delay="50ms", rate="4mbit")
    client, peer = rig.pair()
    data = os.urandom(100_000)
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)
    assert receive_all(peer) == data
    peer.sendall(b"still open this way")
    peer.close()
    assert receive_all(client) == b"still open this way"
    wait_until(lambda: not line.connections())


@pytest.mark.parametrize("settings", [{}, {"delay": "50ms"}], ids=["clear", "delayed"])
@pytest.mark.parametrize("who", ["client", "target"])
def test_reset_by_one_side_resets_the_other(rig: Rig, who: str, settings: dict[str, str]) -> None:
    line = rig.start(**settings)
    client, peer = rig.pair()
    assert_works(client, peer)
    aborting, other = (client, peer) if who == "client" else (peer, client)
    abort(aborting)
    assert_reset(other)
    wait_until(lambda: not line.connections())


def test_reset_after_a_half_close_still_arrives(rig: Rig) -> None:
    """The client says it has sent all, then dies; the target that still answers is told."""
    rig.start()
    client, peer = rig.pair()
    client.shutdown(socket.SHUT_WR)
    assert receive_all(peer) == b""
    client.close()

    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            peer.sendall(bytes(1000))
            time.sleep(0.01)


def test_target_that_refuses_resets_the_client(rig: Rig) -> None:
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    rig.line.start([port])
    try:
        client = rig.connect()
    except ConnectionResetError:
        pass  # it was that quick
    else:
        assert_reset(client)
    wait_until(lambda: not rig.line.connections())


# ---- the program ----


def test_stats_count_bytes_and_connections(rig: Rig) -> None:
    line = rig.start(servers=2, delay="2ms", rate="10mbit", queue="32k")
    client, peer = rig.pair()
    assert_works(client, peer)
    stats = line.stats()
    up, down = stats["up"], stats["down"]
    assert (up["in"], up["out"], down["in"], down["out"]) == (5, 5, 8, 8)
    assert (up["mode"], up["delay_ms"]) == ("flows", 2.0)
    assert (up["rate_bits"], up["queue_bytes"]) == (10_000_000, 32768)
    assert [listener["port"] for listener in stats["listeners"]] == [line.port(0), line.port(1)]
    (connection,) = stats["connections"]
    assert connection["listener"] == 0 and connection["up"]["in"] == 5 and connection["down"]["out"] == 8


@pytest.mark.parametrize(
    "command",
    [
        *("", "nonsense", "set", "set up", "set delay", "set delay 5", "set delay -1ms", "set rate 0mbit"),
        *("set queue none", "set sideways delay 5ms", "set delay 5ms rate x", "stall left", "go up down"),
        *("refuse maybe", "reset 99", "cut x", "stats all"),
    ],
)
def test_wrong_commands_are_refused_and_change_nothing(rig: Rig, command: str) -> None:
    line = rig.start(delay="1ms")
    before = line.stats()
    with pytest.raises(LineError):
        line.command(command)
    assert line.stats() == before


def test_several_control_clients_are_served(rig: Rig) -> None:
    line = rig.start()
    clients = [rig.stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(5)]
    for client in clients:
        client.settimeout(PATIENCE)
        client.connect(str(line.folder / "control"))
        client.sendall(b"list\nset delay")
    for client in clients:
        client.sendall(b" 1ms\nnonsense\n")
    for client in clients:
        lines = client.makefile("rb")
        answers = [json.loads(lines.readline()) for _ in range(3)]
        assert answers[0] == {"ok": True, "connections": []}
        assert [answer["ok"] for answer in answers] == [True, True, False]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("state", ["stall", "swallow", "set rate 8bit"])
def test_waiting_takes_no_processor_time(rig: Rig, state: str) -> None:
    """Full queues, senders held back, and peers that died meanwhile: nothing of that may spin."""
    line = rig.start()
    clients, peers = zip(*(rig.pair() for _ in range(3)))
    line.command(state)
    for client in clients:
        in_background(client.sendall, bytes(1 << 20))
    time.sleep(QUIET)
    abort(clients[0])
    abort(peers[1])
    clients[2].shutdown(socket.SHUT_WR)
    time.sleep(QUIET)
    before = cpu_seconds(line.process.pid)
    time.sleep(1)
    assert cpu_seconds(line.process.pid) - before < 0.5


def test_ends_on_sigterm_and_leaves_no_socket_file(rig: Rig) -> None:
    line = rig.start(delay="1s")
    client, _ = rig.connect(), line.command("list")
    client.sendall(b"on its way")
    control = line.folder / "control"
    assert control.exists()
    line.process.terminate()
    assert line.process.wait(PATIENCE) == 0
    assert not control.exists()


def run_linesim(*arguments: str) -> subprocess.CompletedProcess:
    command = [build_folder() / "linesim", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_help_tells_options_and_commands() -> None:
    done = run_linesim("--help")
    assert done.returncode == 0
    for word in ("--listen", "--control", "--rate", "swallow", "refuse on|off"):
        assert word in done.stdout


@pytest.mark.parametrize(
    "arguments, says",
    [
        ([], "needs --control"),
        (["--listen", "127.0.0.1:0"], "not ADDRESS:PORT=TARGET"),
        (["--listen", "localhost:0=127.0.0.1:1"], "not an address"),
        (["--rate", "fast"], "rate fast: not a rate such as 1mbit"),
        (["--control", "/nowhere/control", "--listen", "127.0.0.1:0=127.0.0.1:1"], os.strerror(errno.ENOENT)),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], says: str) -> None:
    done = run_linesim(*arguments)
    assert done.returncode == 1
    assert says in done.stderr
