"""Where sshd's own port is of no use the agent goes through the relay's 443, and comes back by itself."""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import socket
import threading
import time

import pytest

from far_path import FarPath, networked, seconds_until
from line import Line
from netns import Hosts, sh
from programs import unavailable, wait_until

RETURN_S = 60 + 30  # it is looked once a minute


class Firewall:
    """What stands in the way of port 22, on the router."""

    def __init__(self, hosts: Hosts) -> None:
        if not shutil.which("nft"):
            unavailable("nft is not installed (Debian: nftables)")
        self.inside = ["ip", "netns", "exec", hosts.namespaces["router"], "nft"]

    def close(self, port: int, verdict: str) -> None:
        rule = f"tcp dport {port} {verdict}"
        sh(*self.inside, "\n".join(["table ip wall {", "chain through {", "type filter hook forward priority 0", rule, "}", "}"]))

    def open(self) -> None:
        sh(*self.inside, "delete table ip wall")


class Visitors:
    """Three of them, who ask one thing after another and want the site's own answer; one of them on new connections."""

    def __init__(self, path: FarPath) -> None:
        self.path, self.failed, self.asked, self.over = path, [], 0, threading.Event()
        works = [self.one_connection, self.one_connection, self.new_connections]
        self.threads = [threading.Thread(target=self.run, args=[work]) for work in works]

    def run(self, work) -> None:
        try:
            work()
        except Exception as e:
            self.failed.append(e)

    def ask(self, visitor) -> None:
        size = random.choice([10, 100_000])
        reply = visitor.ask("GET", f"/bytes/{size}/1")
        if (reply.status, reply.body.size) != (200, size):
            self.failed.append(reply)
        self.asked += 1
        time.sleep(0.02)

    def one_connection(self) -> None:
        with self.path.visitor() as visitor:
            while not self.over.is_set():
                self.ask(visitor)

    def new_connections(self) -> None:
        while not self.over.is_set():
            with self.path.visitor() as visitor:
                self.ask(visitor)

    def __enter__(self) -> Visitors:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def ports(path: FarPath) -> list[tuple[int, str]]:
    return sorted((lane["port"], lane["state"]) for lane in path.lanes_of_agent())


def comes_back(path: FarPath, port: int, begin: float) -> Visitors:
    """While visitors ask, and one of them takes his time."""
    with Visitors(path) as visitors, path.visitor() as slow:
        slow.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
        wait_until(lambda: path.agent.log().count("port can be reached again") == 1, "the way back", RETURN_S)
        wait_until(lambda: (port, "up") in ports(path), "a lane is up there")
        wait_until(lambda: all(state != "up" for at, state in ports(path) if at == 443), "nothing new goes the other way")
        time.sleep(1)
        path.site.gate.set()
        assert slow.reply().status == 200
    assert time.monotonic() - begin < RETURN_S
    wait_until(lambda: ports(path) == [(port, "up")] * 2, "both lanes go the short way")
    wait_until(lambda: path.up_at_relay() == 2, "and the others have ended")
    return visitors


@pytest.mark.slow
@pytest.mark.parametrize("verdict", ["drop", "reject with tcp reset"], ids=["swallowed", "refused"])
def test_in_a_network_that_lets_out_443_alone(networked, verdict):
    inherited = socket.create_server(("127.0.0.1", 0), backlog=1024)
    at = inherited.getsockname()[1]
    path = networked(inherited=[inherited], listen_https=f"127.0.0.1:{at} 10.77.2.1:443", lanes=2, expect_up=False)
    path.port = at
    wall = Firewall(path.hosts)
    wall.close(path.sshd.port, verdict)
    path.kill_sessions()
    path.wait_lanes(2)
    assert ports(path) == [(443, "up")] * 2
    wait_until(path.works, "visitors are served")
    assert path.up_from() == ["10.77.1.1"] * 2  # and not what sshd was shown
    assert set(re.findall(r'lane up.*seen_from="([^"]+)"', path.agent.log())) == {"10.77.1.1"}
    assert re.search(r"Connection from 127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+ port", path.sshd.log())
    begin = time.monotonic()
    wall.open()
    visitors = comes_back(path, path.sshd.port, begin)
    assert visitors.failed == [] and visitors.asked > 20


@pytest.fixture
def address():
    """A loopback address of our own, with port 443 for us."""
    at = f"127.0.{random.randrange(1, 255)}.{random.randrange(2, 255)}"
    try:
        socket.create_server((at, 443)).close()
    except PermissionError:
        pytest.skip("port 443 is for root")
    return at


class MutePath(FarPath):
    """On the way to sshd's port something takes every connection, and lets nothing through."""

    def __init__(self, address: str, *args: object, **how: object) -> None:
        self.address, self.line = address, None
        super().__init__(*args, listen_https=f"{address}:443", **how)
        self.port = 443

    def visitor(self, *args: object, **how: object):
        return super().visitor(*args, at=self.address, **how)

    def ssh_address(self) -> tuple[str, int]:
        self.line = Line().start([self.sshd.port], listen=f"{self.address}:0")
        self.line.swallow("down")
        return self.address, self.line.port()


@pytest.mark.slow
def test_something_that_takes_connections_and_says_nothing(daemons, started, folder, address, ctl):
    path = MutePath(address, daemons, started, folder, lanes=2)
    with contextlib.closing(path), path.line:
        path.wait_lanes(2)
        assert ports(path) == [(443, "up")] * 2 and path.works()
        (relay,) = path.agent.get("/v1/status").json["relays"]
        assert relay["port"] == path.line.port()
        shown = ctl("status", at=path.agent).out
        assert f"lane 0 goes by port 443, because no SSH server was found at port {path.line.port()}" in shown
        known = {c["id"] for c in path.line.connections()}
        seconds_until(lambda: {c["id"] for c in path.line.connections()} - known, "a look at the other port", RETURN_S)
        seconds_until(lambda: not path.line.connections(), "it is given up")  # and not taken for a way back
        assert ports(path) == [(443, "up")] * 2 and "can be reached again" not in path.agent.log()
        path.line.go()
        visitors = comes_back(path, path.line.port(), time.monotonic())
        assert visitors.failed == [] and visitors.asked > 20
