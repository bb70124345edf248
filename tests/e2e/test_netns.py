"""netns.py tested on itself, and what only real networks show: a link that dies under a connection."""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
import threading
import time
from typing import Iterator

import pytest

from netns import Hosts, NetnsError, nat_tool, require_netns, sh

PATIENCE = 30  # seconds, for what must happen
QUIET = 0.3  # seconds, for what must not
PORT = 4000


@pytest.fixture(autouse=True)
def netns_needed() -> None:
    require_netns()


@pytest.fixture
def two() -> Iterator[Hosts]:
    """pi and vm on one cable."""
    with Hosts("pi", "vm") as hosts:
        hosts.link("pi", "vm", "10.77.1.1/24", "10.77.1.2/24", v6=("fd77:1::1/64", "fd77:1::2/64"))
        yield hosts


@pytest.fixture
def three() -> Iterator[Hosts]:
    """pi and vm with a router in between."""
    with Hosts("pi", "router", "vm") as hosts:
        hosts.link("pi", "router", "10.77.1.1/24", "10.77.1.2/24", v6=("fd77:1::1/64", "fd77:1::2/64"))
        hosts.link("router", "vm", "10.77.2.1/24", "10.77.2.2/24", v6=("fd77:2::1/64", "fd77:2::2/64"))
        hosts.forward("router")
        for host in ("pi", "vm"):
            hosts.route(host, "default", hosts.address("router", host))
            hosts.route(host, "default", hosts.address("router", host, version=6))
        yield hosts


def listen(hosts: Hosts, host: str, address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = hosts.inside(host, lambda: socket.create_server((address, PORT), family=family))
    server.settimeout(PATIENCE)
    return server


def connect(hosts: Hosts, host: str, address: str, timeout: float = PATIENCE) -> socket.socket:
    return hosts.inside(host, lambda: socket.create_connection((address, PORT), timeout=timeout))


def pair(hosts: Hosts, client: str, server: str, address: str) -> tuple[socket.socket, socket.socket]:
    with listen(hosts, server, address) as listening:
        near = connect(hosts, client, address)
        far, _ = listening.accept()
        far.settimeout(PATIENCE)
        return near, far


def assert_echo(near: socket.socket, far: socket.socket) -> None:
    near.sendall(b"ping")
    assert far.recv(4, socket.MSG_WAITALL) == b"ping"
    far.sendall(b"pong")
    assert near.recv(4, socket.MSG_WAITALL) == b"pong"


def assert_half_open(sock: socket.socket) -> None:
    """It still believes in its connection: no byte, no end, no error."""
    assert select.select([sock], [], [], QUIET)[0] == []
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO) == 1  # TCP_ESTABLISHED


def assert_times_out(sock: socket.socket) -> None:
    """A sender with TCP_USER_TIMEOUT gives up by itself."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000)
    start = time.monotonic()
    sock.sendall(b"anybody there?")
    with pytest.raises(TimeoutError) as caught:
        sock.recv(1)
    assert caught.value.errno == errno.ETIMEDOUT  # and not the timeout of settimeout
    assert 0.9 <= time.monotonic() - start < PATIENCE


@pytest.mark.parametrize("version", [4, 6])
def test_hosts_on_one_cable_reach_each_other(two: Hosts, version: int) -> None:
    near, far = pair(two, "pi", "vm", two.address("vm", "pi", version))
    with near, far:
        assert_echo(near, far)
        assert near.getsockname()[0] == two.address("pi", "vm", version)


@pytest.mark.parametrize("version", [4, 6])
def test_hosts_reach_each_other_through_a_router(three: Hosts, version: int) -> None:
    near, far = pair(three, "pi", "vm", three.address("vm", "router", version))
    with near, far:
        assert_echo(near, far)


def test_programs_run_on_a_host(two: Hosts) -> None:
    with listen(two, "vm", two.address("vm", "pi")) as server:
        code = f"import socket; socket.create_connection(('10.77.1.2', {PORT})).sendall(b'from pi')"
        process = two.run("pi", [sys.executable, "-c", code])
        far, (address, _) = server.accept()
        with far:
            assert far.recv(7, socket.MSG_WAITALL) == b"from pi"
        assert address == two.address("pi", "vm")
        assert process.wait(PATIENCE) == 0


def test_loopback_is_up_and_each_host_has_its_own(two: Hosts) -> None:
    with listen(two, "pi", "127.0.0.1"), listen(two, "vm", "127.0.0.1"):
        connect(two, "pi", "127.0.0.1").close()


def test_link_that_goes_down_leaves_the_other_end_half_open(two: Hosts) -> None:
    near, far = pair(two, "pi", "vm", two.address("vm", "pi"))
    with near, far:
        assert_echo(near, far)
        two.take_down("pi", "vm")
        assert_times_out(near)
        assert_half_open(far)


def test_link_that_comes_back_carries_on(three: Hosts) -> None:
    near, far = pair(three, "pi", "vm", three.address("vm", "router", 6))
    with near, far:
        assert_echo(near, far)
        three.take_down("pi", "router")
        near.sendall(b"held")
        assert_half_open(far)
        three.bring_up("pi", "router")
        assert far.recv(4, socket.MSG_WAITALL) == b"held"
        assert_echo(near, far)
    near, far = pair(three, "pi", "vm", three.address("vm", "router"))
    with near, far:
        assert_echo(near, far)


@pytest.mark.parametrize("version", [4, 6])
def test_blackhole_is_silent_and_keeps_the_carrier(three: Hosts, version: int) -> None:
    address = three.address("vm", "router", version)
    near, far = pair(three, "pi", "vm", address)
    with near, far:
        assert_echo(near, far)
        three.blackhole("router", "vm")
        for host, peer in (("pi", "router"), ("router", "pi"), ("router", "vm"), ("vm", "router")):
            assert "LOWER_UP" in three.ip(host, "link", "show", f"to-{peer}")
        with pytest.raises(TimeoutError):
            connect(three, "pi", address, timeout=1)  # neither refused nor unreachable
        assert_times_out(near)
        assert_half_open(far)
    three.heal("router", "vm")
    near, far = pair(three, "pi", "vm", address)
    with near, far:
        assert_echo(near, far)


def test_blackhole_has_a_direction(two: Hosts) -> None:
    near, far = pair(two, "pi", "vm", two.address("vm", "pi"))
    with near, far:
        assert_echo(near, far)
        two.blackhole("pi", "vm")
        far.sendall(b"passes, but is never acknowledged")
        assert near.recv(6, socket.MSG_WAITALL) == b"passes"
        near.sendall(b"lost")
        assert_half_open(far)
        two.heal("pi", "vm")
        assert far.recv(4, socket.MSG_WAITALL) == b"lost"  # sent again


@pytest.mark.parametrize("new", ["10.77.1.9/24", "fd77:1::9/64"], ids=["ipv4", "ipv6"])
def test_address_change_kills_the_old_connection_and_lets_a_new_one_in(three: Hosts, new: str) -> None:
    version = 6 if ":" in new else 4
    address = three.address("vm", "router", version)
    near, far = pair(three, "pi", "vm", address)
    with near, far:
        assert_echo(near, far)
        three.change_address("pi", "router", new)
        assert three.address("pi", "router", version) == new.partition("/")[0]
        assert_half_open(far)
        again, other = pair(three, "pi", "vm", address)  # the default route is still there
        with again, other:
            assert_echo(again, other)
            assert again.getsockname()[0] == new.partition("/")[0]


def test_nat_hides_the_address(three: Hosts) -> None:
    if not nat_tool():
        if os.environ.get("E2E_REQUIRE") == "all":
            pytest.fail("neither nft nor iptables is installed (Debian: nftables)")
        pytest.skip("neither nft nor iptables is installed (Debian: nftables)")
    try:
        three.masquerade("router", "vm")
    except NetnsError as e:
        pytest.skip(f"this kernel has no NAT: {e}")
    near, far = pair(three, "pi", "vm", three.address("vm", "router"))
    with near, far:
        assert_echo(near, far)
        assert far.getpeername()[0] == three.address("router", "vm")


def test_all_is_removed_at_the_end_even_after_a_failure() -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        with Hosts("pi", "vm") as hosts:
            hosts.link("pi", "vm", "10.77.1.1/24", "10.77.1.2/24")
            process = hosts.run("pi", ["sleep", "1000"])
            names = set(hosts.namespaces.values())
            assert names <= namespaces()
            raise RuntimeError("in the middle")
    assert process.returncode is not None
    assert not names & namespaces()


def test_failed_start_leaves_nothing_behind() -> None:
    before = namespaces()
    with pytest.raises(NetnsError), Hosts("pi", "not/a/name"):
        pass
    assert namespaces() == before


def test_hosts_side_by_side_do_not_meet() -> None:
    with Hosts("pi", "vm") as one, Hosts("pi", "vm") as other:
        for hosts in (one, other):
            hosts.link("pi", "vm", "10.77.1.1/24", "10.77.1.2/24")
        with listen(one, "vm", "10.77.1.2"):
            connect(one, "pi", "10.77.1.2").close()
            with pytest.raises(ConnectionRefusedError):
                connect(other, "pi", "10.77.1.2")


def test_own_namespace_of_the_tests_is_left_alone(two: Hosts) -> None:
    def own() -> str:
        return os.readlink("/proc/thread-self/ns/net")

    before = own()
    assert two.inside("pi", own) != before
    assert own() == before and threading.current_thread() is threading.main_thread()


def namespaces() -> set[str]:
    return {line.split()[0] for line in sh("ip", "netns", "list").splitlines()}
