"""Hosts with networks of their own, out of Linux network namespaces. Needs root and iproute2.

    with Hosts("pi", "router", "vm") as hosts:
        hosts.link("pi", "router", "10.77.1.1/24", "10.77.1.2/24")
        hosts.link("router", "vm", "10.77.2.1/24", "10.77.2.2/24")
        hosts.forward("router")
        hosts.route("pi", "default", "10.77.1.2")
        hosts.route("vm", "default", "10.77.2.1")
        server = hosts.run("vm", ["python3", "-m", "http.server"])

Real kernels talk here, so this shows what linesim cannot: packets that vanish, timeouts of TCP itself,
addresses that come and go. Names carry the process id, so runs side by side do not meet. At the end every
process started by run() is ended and every namespace removed; the links go with them.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import ipaddress
import os
import shutil
import subprocess
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any, Callable, Sequence

import pytest

CLONE_NEWNET = 0x40000000
NOBODY = "02:00:00:00:00:01"  # a hardware address that no interface has
_numbers = count(1)
_machines: list[int] = []  # a descriptor of the machine's own network, once we have left that


class NetnsError(Exception):
    """A command that sets up the network failed."""


def sh(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NetnsError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


@functools.cache
def why_unusable() -> str | None:
    """What keeps this machine from having network namespaces, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip"):
        return "the tool `ip` is missing (Debian: iproute2)"
    name = f"probe{os.getpid()}"
    try:
        sh("ip", "netns", "add", name)
        try:
            sh("ip", "-n", name, "link", "add", "probe0", "type", "veth", "peer", "name", "probe1")
        finally:
            sh("ip", "netns", "del", name)
    except NetnsError as e:
        return f"network namespaces do not work here: {e}"
    return None


def require_netns() -> None:
    """Skips the test where there are none; under E2E_REQUIRE=all only the want of root still skips."""
    why = why_unusable()
    if why and os.geteuid() == 0 and os.environ.get("E2E_REQUIRE") == "all":
        pytest.fail(why)
    if why:
        pytest.skip(why)


def nat_tool() -> str | None:
    return next((tool for tool in ("nft", "iptables") if shutil.which(tool)), None)


def _setns(path: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(path, os.O_RDONLY)
    try:
        if libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(fd)


def own_network() -> None:
    """From here on this process and all that it starts have a network of their own, where that can be had: no other test's
    ports, interfaces and thousands of connections are in the way."""
    if why_unusable():
        return
    _machines.append(os.open("/proc/self/ns/net", os.O_RDONLY))
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise NetnsError(f"unshare: {os.strerror(ctypes.get_errno())}")
    sh("ip", "link", "set", "lo", "up")


def back_into_the_machines() -> None:
    """For the preexec_fn of a program that fetches something."""
    if _machines:
        _setns(f"/proc/self/fd/{_machines[0]}")


class Hosts:
    """A few hosts, each a namespace with loopback up. Use as a context manager."""

    def __init__(self, *names: str) -> None:
        number = next(_numbers)
        self.namespaces = {name: f"e2e{os.getpid()}-{number}-{name}" for name in names}
        self._links: dict[tuple[str, str], str] = {}  # (host, peer) -> the interface of host towards peer
        self._addresses: dict[tuple[str, str], list[str]] = {}
        self._routes_down: dict[tuple[str, str], list[tuple[str, str]]] = {}  # lost with a link
        self._blackholes: dict[tuple[str, str], list[str]] = {}
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Hosts:
        try:
            for name, namespace in self.namespaces.items():
                sh("ip", "netns", "add", namespace)
                self._undo.callback(sh, "ip", "netns", "del", namespace)
                self._sysctl(name, "net/ipv6/conf/default/accept_dad", "0")  # or IPv6 starts a second late
                self.ip(name, "link", "set", "lo", "up")
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    # ---- running things inside ----

    def ip(self, host: str, *words: str) -> str:
        return sh("ip", "-n", self.namespaces[host], *words)

    def run(self, host: str, command: Sequence[str], **options: Any) -> subprocess.Popen:
        """Starts a program on the host; it is ended, if need be, when the hosts are."""
        inside = ["ip", "netns", "exec", self.namespaces[host], *command]
        process = subprocess.Popen(inside, **options)
        self._undo.callback(self._end, process)
        return process

    @staticmethod
    def _end(process: subprocess.Popen) -> None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def inside(self, host: str, work: Callable[[], Any]) -> Any:
        """Calls work() as if on the host: a socket made there stays there, and can be used from anywhere."""
        result: list[Any] = []
        failure: list[BaseException] = []

        def enter() -> None:
            try:
                _setns(f"/run/netns/{self.namespaces[host]}")
                result.append(work())
            except BaseException as e:  # handed to the caller below
                failure.append(e)

        thread = threading.Thread(target=enter)  # a namespace belongs to a thread: this one ends with it
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return result[0]

    def _sysctl(self, host: str, key: str, value: str) -> None:
        path = Path("/proc/sys", key)
        self.inside(host, lambda: path.exists() and path.write_text(value))  # a kernel may be without IPv6

    # ---- links and addresses ----

    def link(self, a: str, b: str, a_address: str, b_address: str, v6: tuple[str, str] | None = None) -> None:
        """A cable between two hosts. Addresses carry their prefix length; v6 is a pair of further ones."""
        a_name, b_name = f"to-{b}"[:15], f"to-{a}"[:15]
        self.ip(a, "link", "add", a_name, "type", "veth", "peer", "name", b_name, "netns", self.namespaces[b])
        self._links[a, b], self._links[b, a] = a_name, b_name
        self._addresses[a, b] = [a_address, *(v6[:1] if v6 else ())]
        self._addresses[b, a] = [b_address, *(v6[1:] if v6 else ())]
        for host, peer in ((a, b), (b, a)):
            for address in self._addresses[host, peer]:
                self._add_address(host, peer, address)
            self.ip(host, "link", "set", self._links[host, peer], "up")
        self._wait_for_carrier(a, b)

    def _wait_for_carrier(self, a: str, b: str) -> None:
        """The kernel looks at its links once a second, and sends no IPv6 before it has seen the carrier."""
        end = time.monotonic() + 30
        while not (self._is_up(a, b) and self._is_up(b, a)):
            if time.monotonic() > end:
                raise NetnsError(f"no carrier between {a} and {b}")
            time.sleep(0.02)

    def _is_up(self, host: str, peer: str) -> bool:
        return self.ip(host, "-brief", "link", "show", "dev", self._links[host, peer]).split()[1] == "UP"

    def _add_address(self, host: str, peer: str, address: str) -> None:
        self.ip(host, "addr", "replace", address, "dev", self._links[host, peer])

    def address(self, host: str, peer: str, version: int = 4) -> str:
        """The host's address on its link to peer, without the prefix length."""
        for address in self._addresses[host, peer]:
            if ipaddress.ip_interface(address).version == version:
                return address.partition("/")[0]
        raise KeyError(f"{host} has no IPv{version} address towards {peer}")

    def change_address(self, host: str, peer: str, new: str) -> None:
        """Replaces the host's address of the same IP version, as after a forced reconnect. Routes over this
        link stay as far as their next hop is still in reach."""
        version = ipaddress.ip_interface(new).version
        known = self._addresses[host, peer]
        old = next(a for a in known if ipaddress.ip_interface(a).version == version)
        routes = self._routes(host, peer)
        self.ip(host, "addr", "del", old, "dev", self._links[host, peer])
        self._add_address(host, peer, new)
        known[known.index(old)] = new
        for to, via in routes:
            with contextlib.suppress(NetnsError):
                self.route(host, to, via)

    def _routes(self, host: str, peer: str) -> list[tuple[str, str]]:
        """Destination and next hop of the host's routes over this link."""
        show = ("route", "show", "dev", self._links[host, peer])
        lines = (self.ip(host, "-4", *show) + self.ip(host, "-6", *show)).splitlines()
        return [(words[0], words[2]) for words in map(str.split, lines) if words[1] == "via"]

    def take_down(self, host: str, peer: str) -> None:
        """Switches the host's end off, like a pulled cable: both sides lose the carrier."""
        self._routes_down.setdefault((host, peer), self._routes(host, peer))
        self.ip(host, "link", "set", self._links[host, peer], "down")

    def bring_up(self, host: str, peer: str) -> None:
        """The opposite; returns when both sides have the carrier again. IPv6 addresses and routes, which a
        link that goes down loses, come back, too."""
        self.ip(host, "link", "set", self._links[host, peer], "up")
        for address in self._addresses[host, peer]:
            self._add_address(host, peer, address)
        self._wait_for_carrier(host, peer)
        for to, via in self._routes_down.pop((host, peer), []):
            self.route(host, to, via)

    def blackhole(self, host: str, peer: str) -> None:
        """From now on all that host sends to peer, or forwards by it, vanishes: both carriers stay up, nobody
        is told. One direction only; do it to peer and host, too, for a dead line. heal() ends it."""
        hops = [address.partition("/")[0] for address in self._addresses[peer, host]]
        to_nobody = ("lladdr", NOBODY, "nud", "permanent", "dev", self._links[host, peer])
        for hop in hops:
            self.ip(host, "neigh", "replace", hop, *to_nobody)
        self._blackholes[host, peer] = hops

    def heal(self, host: str, peer: str) -> None:
        for hop in self._blackholes.pop((host, peer)):
            self.ip(host, "neigh", "del", hop, "dev", self._links[host, peer])

    # ---- routing ----

    def route(self, host: str, to: str, via: str) -> None:
        """to: "default" or a network."""
        self.ip(host, "-6" if ":" in via else "-4", "route", "replace", to, "via", via)

    def forward(self, host: str) -> None:
        """Makes the host a router."""
        self._sysctl(host, "net/ipv4/ip_forward", "1")
        self._sysctl(host, "net/ipv6/conf/all/forwarding", "1")

    def destination(self, host: str, to: str, real: str) -> None:
        """What the host forwards for one IPv4 address goes to another, as in clouds whose machines have no public one."""
        inside = ("ip", "netns", "exec", self.namespaces[host])
        if nat_tool() == "nft":
            rules = ["type nat hook prerouting priority -100", f"ip daddr {to} dnat to {real}"]
            sh(*inside, "nft", "\n".join(["table ip nat {", "chain in {", *rules, "}", "}"]))
        else:
            sh(*inside, "iptables", "-t", "nat", "-A", "PREROUTING", "-d", to, "-j", "DNAT", "--to-destination", real)

    def masquerade(self, host: str, peer: str) -> None:
        """Hides what the host forwards to peer behind the host's own address (NAT). See nat_tool()."""
        inside = ("ip", "netns", "exec", self.namespaces[host])
        out = self._links[host, peer]
        if nat_tool() == "nft":
            rules = ["type nat hook postrouting priority 100", f'oifname "{out}" masquerade']
            sh(*inside, "nft", "\n".join(["table ip nat {", "chain out {", *rules, "}", "}"]))
        else:
            sh(*inside, "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", out, "-j", "MASQUERADE")
