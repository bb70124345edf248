"""The whole path on loopback: visitor, relay, sshd, agent, site. And its first half, with a fake agent instead.

    reply = path.visit("GET", "/echo")      # path: sshd, tunnel-relay with its internal issuer, tunnel-agent, a site
    reply = edge.visit("GET", "/")          # edge: tunnel-relay, and a FakeAgent as edge.agent

The relay inherits its listening socket: no race for a port, and visitors wait while it restarts. Nobody is parked
(park = 0s) unless a test asks for it.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple, Sequence

import pytest

from daemon import Daemon
from fake_agent import FakeAgent
from programs import need, wait_until
from sshd import Sshd
from visitor import Reply, Visitor
from website import Site

INHERIT = f"exec {shlex.join([sys.executable, '-I', '-S', str(Path(__file__).with_name('inherit.py'))])}"
# Of MaxStartups it is the last line that counts, of all else the first.
LIKE_A_VM = ("AllowTcpForwarding remote\nPermitTTY no\nPermitUserRC no\nMaxStartups 100\n"
             "SetEnv SHLVL=2\n")  # or bash reads the developer's own .bashrc before the command
DOMAIN = "a.test"


def user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def new_key(folder: Path, name: str) -> str:
    """Makes a key pair and returns its public half."""
    subprocess.run([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    return (folder / f"{name}.pub").read_text().strip()


def private_kb(pid: int) -> int:
    """Memory that is this process's alone."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(n) for n in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE))


class Front:
    """The relay, and what visitors ask of it."""

    agent: FakeAgent | Daemon
    may = ""  # further lines of the relay's [agent pi]

    def __init__(self, daemons: Callable[..., Daemon], key: str, domains: str,
                 inherited: Sequence[socket.socket] | None = None, **keys: object) -> None:
        """With listen_https among the keys the relay opens these itself, otherwise it inherits a socket on self.port."""
        self.relay = daemons("relay")
        self.lane_socket = self.relay.lane_socket
        self.root = self.relay.state_dir / "internal" / "root.pem"
        self.inherited, self.port, listen = list(inherited or []), 0, {}
        if "listen_https" not in keys:
            self.inherited.append(socket.create_server(("127.0.0.1", 0), backlog=1024))
            self.port = self.inherited[-1].getsockname()[1]
            listen = {"listen_https": f"127.0.0.1:{self.port}"}
        own = {"name": "e2e", "state_dir": self.relay.state_dir, "admin_listen": "", "control_socket": self.relay.socket,
               "lane_socket": self.lane_socket, "lane_user": user(), "workers": "1", "park": "0s", "listen_http": "", **listen, **keys}
        lines = [f"{key} = {value}" for key, value in own.items()]
        self.relay.configure("\n".join(["[relay]", *lines, "[agent pi]", f"key = {key}", f"domains = {domains}", self.may, ""]))

    def spawning(self) -> dict[str, Any]:
        """How the relay is started: arguments for Daemon.start and Daemon.refused."""
        fds = [s.fileno() for s in self.inherited]
        return {"fds": fds, "shell": f'{INHERIT} {",".join(map(str, fds))} "$0" "$@"'} if fds else {}

    def start_relay(self) -> None:
        self.relay.start(**self.spawning())

    def close(self) -> None:
        for s in self.inherited:
            s.close()

    def status(self) -> dict[str, Any]:
        return self.relay.get("/v1/status").json

    def lane_states(self) -> list[str]:
        return [lane["state"] for lane in self.status()["lanes"]]

    def site_state(self, name: str = DOMAIN) -> str | None:
        return next((site["state"] for site in self.status()["domains"] if site["name"] == name), None)

    def wait_up(self, name: str = DOMAIN) -> None:
        wait_until(lambda: self.site_state(name) == "up", f"{name} is up")

    def visitor(self, name: str = DOMAIN, *, port: int | None = None, **how: Any) -> Visitor:
        return Visitor(port or self.port, self.root, name, **how)

    def visit(self, method: str = "GET", target: str = "/", fields: str = "", body: bytes = b"", name: str = DOMAIN,
              **how: Any) -> Reply:
        with self.visitor(name) as visitor:
            return visitor.ask(method, target, fields, body, **how)


class Session(NamedTuple):
    """One SSH session of the agent: sshd's process for it, the tunnel-lane in it, and the lane's port."""

    sshd: int
    lane: int
    port: int


def listening_port(pid: int) -> int:
    """The first port of 127.0.0.1 on which this process listens, or 0."""
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return 0  # it has just ended
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if state == "0A" and local.startswith("0100007F:") and f"socket:[{inode}]" in links:
            return int(local.split(":")[1], 16)
    return 0


class VmSshd(Sshd):
    """Lets in whom the relay lets in."""

    def follow(self, authorized_keys: Path) -> None:
        (self.folder / "authorized_keys").unlink()
        (self.folder / "authorized_keys").symlink_to(authorized_keys)

    def start_again(self) -> None:
        """On the same port."""
        self._spawn()
        wait_until(self._greets, "sshd greets")

    def logins(self) -> int:
        return self.log().count("Accepted publickey")


class WholePath(Front):
    log_level = "info"  # the agent's

    def __init__(self, daemons: Callable[..., Daemon], started: list, folder: Path, lanes: int | None = 1,
                 sshd_options: str = "", agent_keys: dict[str, object] | None = None,
                 relay_keys: dict[str, object] | None = None, services: dict[str, str] | None = None,
                 **keys: object) -> None:
        """Keys of the relay; agent_keys and relay_keys are for the agent's [agent] and [relay e2e]. lanes: None leaves
        their number to the agent. services: further domains, and the URL of what serves each."""
        self.folder, self.sshd_options = folder, sshd_options
        self.sshd = self._start_sshd(folder, started)
        self.services = services or {}
        super().__init__(daemons, new_key(folder, "agent_key"), " ".join([DOMAIN, *self.services]),
                         ssh_port=self.sshd.port, **keys)
        self.lanes, self.agent_keys, self.relay_keys = lanes, agent_keys or {}, relay_keys or {}
        self.sshd.follow(self.relay.state_dir / "authorized_keys")
        self.start_relay()
        self.site = self._make_site()
        started.append(self.site)
        self.agent = daemons("agent")
        self.agent.configure(self._agent_ini(self.agent, folder))
        self.start_agent()
        for name in [DOMAIN, *self.services]:
            self.wait_up(name)

    def _make_site(self) -> Site:
        return Site()

    def start_agent(self) -> None:
        self.agent.start()

    def ssh_address(self) -> tuple[str, int]:
        """Where the agent finds sshd."""
        return "127.0.0.1", self.sshd.port

    def _start_sshd(self, folder: Path, started: list) -> VmSshd:
        (folder / "sshd").mkdir()
        sshd = VmSshd(folder / "sshd", LIKE_A_VM + self.sshd_options)
        started.append(sshd)
        return sshd.start()

    def _agent_ini(self, agent: Daemon, folder: Path) -> str:
        shown = subprocess.run([need("ssh-keygen"), "-l", "-f", self.sshd.folder / "host_key.pub"], check=True,
                               capture_output=True, text=True).stdout
        host, port = self.ssh_address()
        own = {"name": "pi", "state_dir": agent.state_dir, "admin_listen": "", "control_socket": agent.socket, "log_level": self.log_level,
               **self.agent_keys}
        relay = {"host": host, "port": port, "user": self.sshd.user, "key_file": folder / "agent_key",
                 "host_key": f"ssh-ed25519 {shown.split()[1]}", **({"lanes": self.lanes} if self.lanes else {}),
                 **self.relay_keys}
        sections = {"agent": own, "relay e2e": relay, **{f"domain {name}": {"service": url} for name, url in
                                                         {DOMAIN: self.site.url, **self.services}.items()}}
        return "\n".join(line for name, keys in sections.items()
                         for line in [f"[{name}]", *(f"{key} = {value}" for key, value in keys.items())]) + "\n"

    def streams(self) -> int:
        return sum(lane["streams"] for lane in self.status()["lanes"])

    def sessions(self) -> list[Session]:
        found = []
        for proc in Path("/proc").glob("[0-9]*"):
            try:
                command = (proc / "cmdline").read_bytes().split(b"\0")
                parent = int((proc / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has just ended
            if command[0].endswith(b"tunnel-lane") and os.fsencode(self.lane_socket) in command:
                found.append(Session(parent, int(proc.name), listening_port(parent)))
        return found

    def session(self) -> Session:
        """The only one."""
        (session,) = self.sessions()
        return session


@pytest.fixture
def fronts(daemons: Callable[..., Daemon], folder: Path) -> Iterator[Callable[..., Front]]:
    """fronts("a.test b.test") is a relay, not started yet, for an agent that may serve these names."""
    made: list[Front] = []

    def make(domains: str = DOMAIN, **keys: object) -> Front:
        made.append(Front(daemons, new_key(folder, f"key{len(made)}"), domains, **keys))
        return made[-1]

    yield make
    for front in made:
        front.close()


@pytest.fixture
def edges(fronts: Callable[..., Front], started: list) -> Callable[..., Front]:
    """edges("a.test") is such a relay, started, with a fake agent that has not joined yet."""

    def make(domains: str = DOMAIN, items: Sequence[str | tuple[str, list[str]]] = (DOMAIN,), **keys: object) -> Front:
        made = fronts(domains, **keys)
        made.start_relay()
        made.agent = FakeAgent(made.lane_socket, items)
        started.append(made.agent)
        return made

    return make


@pytest.fixture
def edge(edges: Callable[..., Front]) -> Front:
    """All is up."""
    made = edges("a.test www.a.test b.test *.w.test", [("a.test", ["www.a.test"]), "b.test", "*.w.test"])
    made.agent.start()
    made.wait_up()
    return made


@pytest.fixture
def houses(daemons: Callable[..., Daemon], started: list, folder: Path) -> Iterator[Callable[..., WholePath]]:
    """houses({"b.test": url}) is the whole path, with these services beside the site of a.test."""
    made: list[WholePath] = []

    def make(services: dict[str, str], **how: Any) -> WholePath:
        made.append(WholePath(daemons, started, folder, services=services, **how))
        return made[-1]

    yield make
    for house in made:
        house.close()


@pytest.fixture
def path(daemons: Callable[..., Daemon], started: list, folder: Path) -> Iterator[WholePath]:
    made = WholePath(daemons, started, folder)
    yield made
    made.close()
