"""SSH on the visitors' port: the relay joins it to sshd, which sees each visitor as an address of 127.64.0.0/10."""

from __future__ import annotations

import contextlib
import ipaddress
import random
import re
import socket
import subprocess
import threading
import time

import pytest

from path import WholePath, edges, fronts
from programs import PATIENCE_S, limit, need, unavailable, wait_until
from sshd import free_port

OURS = ipaddress.ip_network("127.64.0.0/10")


def seen_by_sshd(path):
    return [ipaddress.ip_address(a) for a in re.findall(r"Connection from (\S+) port", path.sshd.log())
            if ipaddress.ip_address(a) in OURS]


@pytest.fixture
def path(daemons, started, folder):
    port = socket.create_server(("127.0.0.1", 0))
    at = port.getsockname()[1]
    return WholePath(daemons, started, folder, inherited=[port], listen_https=f"127.0.0.1:{at}", relay_keys={"port": at})


def test_a_lane_through_it(path):
    path.port = path.inherited[0].getsockname()[1]
    assert path.visit("GET", "/echo").status == 200
    assert len(set(seen_by_sshd(path))) == 1
    (lane,) = path.status()["lanes"]
    assert lane["seen_from"] == "127.0.0.1"  # and not what sshd was shown
    reply = path.visit("GET", "/bytes/3000000/1")
    assert reply.body.size == 3_000_000


def test_ssh_itself_through_it(path):
    at = path.inherited[0].getsockname()[1]
    client = path.sshd.ssh("-o", f"HostKeyAlias=[127.0.0.1]:{path.sshd.port}", "-p", str(at), "true")
    assert b"Permission denied" in client.stderr  # it is not an agent's key: but it is sshd that says so


@pytest.mark.parametrize("pieces", [[b"S", b"SH-2.0-x\r\n"], [b"SSH", b"-2.0-x\r\n"], [b"SSH-2.0-x\r\n"]])
def test_first_bytes_in_pieces(path, pieces):
    with socket.create_connection(("127.0.0.1", path.inherited[0].getsockname()[1]), 20) as visitor:
        for piece in pieces:
            visitor.sendall(piece)
            if piece is not pieces[-1]:
                visitor.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    visitor.recv(1)
        visitor.settimeout(20)
        assert visitor.recv(8) == b"SSH-2.0-"


@pytest.mark.parametrize("said", [b"SSL-2.0\r\n", b"Shell\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_neither_is_closed(path, said):
    with socket.create_connection(("127.0.0.1", path.inherited[0].getsockname()[1]), 20) as visitor:
        visitor.sendall(said)
        try:
            assert not visitor.recv(100).startswith(b"SSH")
        except ConnectionResetError:
            pass


def test_who_waits_for_sshd_to_speak_first_is_closed(path):
    """Everybody here speaks first, SSH clients of our time among them; sshd never hears of who does not."""
    before = len(seen_by_sshd(path))
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", path.inherited[0].getsockname()[1]), PATIENCE_S) as visitor:
        assert visitor.recv(1) == b""
    assert 9 < time.monotonic() - begin < limit(12) and len(seen_by_sshd(path)) == before


def greeted(path, at="127.0.0.2"):
    """A connection from that address, to which sshd has answered; None when it was closed instead."""
    visitor = socket.create_connection(("127.0.0.1", path.inherited[0].getsockname()[1]), PATIENCE_S, (at, 0))
    visitor.sendall(b"SSH-2.0-x\r\n")
    try:
        if visitor.recv(8):
            return visitor
    except ConnectionResetError:
        pass
    visitor.close()
    return None


def test_one_address_gets_a_share_of_it(path):
    told = "closed a visitor's SSH connection: there are many from that address"
    with contextlib.ExitStack() as stack:
        visitors = [stack.enter_context(greeted(path)) for _ in range(32)]
        for _ in range(20):
            assert greeted(path) is None
        stack.enter_context(greeted(path, "127.0.0.3"))
        lines = [line for line in path.relay.log().splitlines() if told in line]
        assert 1 <= len(lines) <= 10 and 'peer="127.0.0.2"' in lines[0]
        visitors[0].close()
        stack.enter_context(wait_until(lambda: greeted(path), "there is a place again"))


def test_it_can_be_switched_off(edges):
    edge = edges(ssh_on_https="off")
    with socket.create_connection(("127.0.0.1", edge.port), 20) as visitor:
        visitor.sendall(b"SSH-2.0-x\r\n")
        try:
            assert not visitor.recv(100).startswith(b"SSH")
        except ConnectionResetError:
            pass


def test_the_relay_stops_though_a_lane_goes_through_it(path):
    path.relay.stop()
    path.start_relay()
    path.port = path.inherited[0].getsockname()[1]
    wait_until(lambda: path.visit("GET", "/echo").status == 200, "the lane is back")


@pytest.fixture
def address():
    """A loopback address of our own, with port 443 for us."""
    at = f"127.0.{random.randrange(1, 255)}.{random.randrange(2, 255)}"
    try:
        socket.create_server((at, 443)).close()
    except PermissionError:
        pytest.skip("port 443 is for root")
    return at


def test_the_agent_finds_443_and_back(daemons, started, folder, address):
    closed = free_port()
    path = WholePath(daemons, started, folder, listen_https=f"{address}:443", relay_keys={"host": address, "port": closed})
    path.port = 443

    def works():
        with path.visitor(at=address) as visitor:
            return visitor.ask("GET", "/echo").status == 200

    assert works() and seen_by_sshd(path)

    def lanes():
        return path.agent.get("/v1/status").json["relays"][0]["lanes"]

    assert [lane["port"] for lane in lanes()] == [443]
    with forwarder(address, closed, path.sshd.port):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)  # a change of the network
        try:
            wait_until(lambda: [(lane["port"], lane["state"]) for lane in lanes()] == [(closed, "up")], "the way back", 60)
            assert works()
        finally:
            subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "lo"], check=True)


@contextlib.contextmanager
def forwarder(address, port, to):
    """Joins each connection to another port, until the end of the with."""
    server, socks = socket.create_server((address, port)), []

    def copy(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the end

    def accept():
        while True:
            try:
                a = server.accept()[0]
            except OSError:
                return
            b = socket.create_connection(("127.0.0.1", to))
            socks.extend([a, b])
            for pair in ((a, b), (b, a)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield
    server.shutdown(socket.SHUT_RDWR)
    for sock in (server, *socks):
        sock.close()


def test_who_stays_when_sshd_has_hung_up_is_closed(path):
    with socket.create_connection(("127.0.0.1", path.inherited[0].getsockname()[1]), 30) as visitor:
        visitor.sendall(b"SSH-2.0-x\r\n" + bytes(64))  # which sshd does not take for a beginning
        while visitor.recv(4096):
            pass
        visitor.settimeout(15)
        with pytest.raises(OSError):  # and not only half of it is closed
            for _ in range(150):
                visitor.sendall(b"x")
                time.sleep(0.1)


def version_of_sshd():
    told = subprocess.run([need("sshd"), "-V"], capture_output=True, text=True).stderr
    return tuple(map(int, re.search(r"OpenSSH_(\d+)\.(\d+)", told).groups()))


def test_penalties_hit_the_one_who_earned_them(daemons, started, folder):
    """sshd penalises the address that it sees: the agent behind the same relay, and others there, are none the worse."""
    if version_of_sshd() < (9, 8):
        pytest.skip("this sshd has no PerSourcePenalties")
    port = socket.create_server(("127.0.0.1", 0))
    at = port.getsockname()[1]
    path = WholePath(daemons, started, folder, inherited=[port], listen_https=f"127.0.0.1:{at}", relay_keys={"port": at},
                     sshd_options="PerSourcePenalties min:1s authfail:60s noauth:60s\n")
    path.port = at
    for _ in range(3):  # and so says nothing else
        visitor = greeted(path)
        if visitor:
            visitor.close()
    wait_until(lambda: "penalt" in path.sshd.log(), "a penalty")

    def says(source):
        with socket.create_connection(("127.0.0.1", at), PATIENCE_S, (source, 0)) as sock:
            sock.sendall(b"SSH-2.0-x\r\n")
            return sock.recv(100)

    wait_until(lambda: not says("127.0.0.2").startswith(b"SSH-2.0-"), "he is let in no more")
    assert says("127.0.0.3").startswith(b"SSH-2.0-")
    path.agent.stop()
    path.start_agent()
    wait_until(lambda: path.visit("GET", "/echo").status == 200, "the agent, which comes from 127.0.0.1, logs in again")
    assert not says("127.0.0.2").startswith(b"SSH-2.0-")
