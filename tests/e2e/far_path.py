"""The whole path with something in between: a bad line, or a real network of hosts.

    lined(lanes=2, delay="50ms")     # LinePath: between agent and sshd stands linesim, as path.line
    networked()                      # NetPath: the agent is the host "pi", sshd and relay are "vm"; path.hosts
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from line import Line
from netns import Hosts, require_netns
from path import INHERIT, LIKE_A_VM, VmSshd, WholePath
from programs import PATIENCE_S, wait_until
from website import Site

ETC_OF_NETNS = Path("/etc/netns")  # `ip netns exec` puts what is there in the place of files of /etc
LONG = os.environ.get("E2E_LONG") == "1"  # hours matter less than certainty


def seconds_until(condition: Callable[[], Any], what: str, timeout: float = PATIENCE_S, since: float | None = None) -> float:
    """How long it took until the answer was yes, asking gently: several daemons share this machine."""
    begin = time.monotonic() if since is None else since
    while not condition():
        if time.monotonic() - begin > timeout:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - begin


def p95(values: list[float]) -> float:
    """The largest but for one in twenty."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


class FarPath(WholePath):
    log_level = "debug"  # tells of attempts that fail as the one before

    def works(self) -> bool:
        """One request for this: a visitor gets the site's own answer."""
        try:
            return self.visit("GET", "/echo").status == 200
        except (AssertionError, OSError):
            return False

    def lanes_of_agent(self) -> list[dict[str, Any]]:
        return self.agent.get("/v1/status").json["relays"][0]["lanes"]

    def up_at_agent(self) -> int:
        return [lane["state"] for lane in self.lanes_of_agent()].count("up")

    def up_at_relay(self) -> int:
        return self.lane_states().count("up")

    def up_from(self) -> list[str]:
        """Where the lanes that are up come from, as the relay sees it."""
        return [lane["seen_from"] for lane in self.status()["lanes"] if lane["state"] == "up"]

    def wait_lanes(self, n: int, timeout: float = PATIENCE_S) -> None:
        wait_until(lambda: self.up_at_relay() == n == self.up_at_agent(), f"{n} lanes are up", timeout)

    def retries(self) -> list[int]:
        """Of all lanes together, in ms."""
        return [int(ms) for ms in re.findall(r"lane down.*retry_ms=(\d+)", self.agent.log())]

    def kill_sessions(self) -> None:
        for session in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(session.sshd, signal.SIGKILL)

    def kill_sshd(self) -> None:
        """With all its sessions, as when the machine goes down."""
        self.sshd.process.kill()
        self.sshd.process.wait()
        self.kill_sessions()


class LinePath(FarPath):
    def __init__(self, *args: Any, rate: str | None = None, delay: str | None = None, **how: Any) -> None:
        settings = {"rate": rate, "delay": delay}
        self.settings = {key: value for key, value in settings.items() if value}
        self.line: Line | None = None
        super().__init__(*args, **how)

    def ssh_address(self) -> tuple[str, int]:
        if not self.line:  # a further machine goes by the same one
            self.line = Line().start([self.sshd.port], **self.settings)
        return "127.0.0.1", self.line.port()

    def close(self) -> None:
        super().close()
        self.line.stop()


@pytest.fixture
def lined(daemons: Callable, started: list, folder: Path) -> Iterator[Callable[..., LinePath]]:
    made: list[LinePath] = []

    def make(**how: Any) -> LinePath:
        own = folder / f"p{len(made)}"
        own.mkdir()
        made.append(LinePath(daemons, started, own, **how))
        return made[-1]

    yield make
    for path in made:
        path.close()


class NetSshd(VmSshd):
    """On the host "vm"."""

    def __init__(self, folder: Path, further: str, hosts: Hosts) -> None:
        super().__init__(folder, f"ListenAddress {hosts.address('vm', 'router')}\n{further}")
        self.hosts = hosts
        wrapped = folder / "sshd-on-vm"
        wrapped.write_text(f'#!/bin/sh\nexec ip netns exec {hosts.namespaces["vm"]} {self.program} "$@"\n')
        wrapped.chmod(0o755)
        self.program = str(wrapped)

    def _greets(self) -> str:
        return self.hosts.inside("vm", super()._greets)


class NetPath(FarPath):
    """A router in between, so that packets can vanish without either end being told."""

    def __init__(self, hosts: Hosts, *args: Any, host: str | None = None, expect_up: bool = True, **how: Any) -> None:
        """host: a name for "vm", which only ETC_OF_NETNS/…/hosts can tell."""
        self.hosts, self.host, self.expect_up = hosts, host, expect_up
        super().__init__(*args, **how)

    def wait_up(self, *args: Any) -> None:
        if self.expect_up:
            super().wait_up(*args)

    def on(self, host: str) -> str:
        return f"ip netns exec {self.hosts.namespaces[host]}"

    def spawning(self) -> dict[str, Any]:
        """The socket for visitors stays on our own host."""
        fds = [s.fileno() for s in self.inherited]
        ip = "$(command -v ip)"  # inherit.py wants a path
        return {"fds": fds, "shell": f'{INHERIT} {",".join(map(str, fds))} "{ip}" '
                                     f'netns exec {self.hosts.namespaces["vm"]} "$0" "$@"'}

    def _start_sshd(self, folder: Path, started: list) -> VmSshd:
        (folder / "sshd").mkdir()
        sshd = NetSshd(folder / "sshd", LIKE_A_VM + self.sshd_options, self.hosts)
        started.append(sshd)
        return sshd.start()

    def ssh_address(self) -> tuple[str, int]:
        return self.host or self.hosts.address("vm", "router"), self.sshd.port

    def start_agent(self) -> None:
        self.agent.start(shell=f'exec {self.on("pi")} "$0" "$@"')

    def _make_site(self) -> Site:
        return self.hosts.inside("pi", super()._make_site)


@pytest.fixture
def networked(daemons: Callable, started: list, folder: Path) -> Iterator[Callable[..., NetPath]]:
    require_netns()
    made: list[NetPath] = []
    with Hosts("pi", "router", "vm") as hosts:
        hosts.link("pi", "router", "10.77.1.1/24", "10.77.1.254/24")
        hosts.link("router", "vm", "10.77.2.254/24", "10.77.2.1/24")
        hosts.forward("router")
        hosts.route("pi", "default", "10.77.1.254")
        hosts.route("vm", "default", "10.77.2.254")

        def make(**how: Any) -> NetPath:
            made.append(NetPath(hosts, daemons, started, folder, **how))
            return made[-1]

        etc = ETC_OF_NETNS / hosts.namespaces["pi"]
        etc.mkdir(parents=True)
        try:
            (etc / "hosts").write_text("")
            (etc / "resolv.conf").write_text("nameserver 10.77.1.254\n")  # where nobody answers
            yield make
        finally:
            shutil.rmtree(etc)
        for path in made:
            path.agent.end()  # while its host is there
            path.close()
