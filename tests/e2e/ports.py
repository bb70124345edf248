"""Raw TCP through the whole path: a service of any bytes, ports that the agent opens, and who comes there.

    service = RawService(lambda sock: sock.sendall(b"hello"))
    path = PortPath(daemons, started, folder, {"game": {"service": service.url}})
    with path.connect("game") as visitor: …
"""

from __future__ import annotations

import hashlib
import signal
import socket
import struct
import threading
from pathlib import Path
from typing import Any, Callable

import pytest

from daemon import Daemon
from path import WholePath
from programs import PATIENCE_S, wait_until


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_all(sock: socket.socket) -> bytes:
    """Up to an end in order; a reset is a ConnectionResetError."""
    got = b""
    while piece := sock.recv(65536):
        got += piece
    return got


def exactly(sock: socket.socket, n: int) -> bytes:
    got = b""
    while len(got) < n:
        piece = sock.recv(n - len(got))
        assert piece, f"it ended after {got!r}"
        got += piece
    return got


def echo(sock: socket.socket) -> None:
    while piece := sock.recv(65536):
        sock.sendall(piece)


def receive(sock: socket.socket) -> tuple[int, str]:
    """Size and hash of all that comes."""
    size, digest = 0, hashlib.sha256()
    while piece := sock.recv(1 << 20):
        size += len(piece)
        digest.update(piece)
    return size, digest.hexdigest()


class RawService:
    """Serves each connection in a thread, and closes it then. results: what serve has returned, or the OSError."""

    title = "the raw service"

    def __init__(self, serve: Callable[[socket.socket], Any] = echo, family: int = socket.AF_INET,
                 path: Path | None = None) -> None:
        self.serve, self.results = serve, []
        if path:
            self.server = socket.socket(socket.AF_UNIX)
            self.server.bind(str(path))
            self.server.listen(1024)
            self.url = f"unix:{path}"
        else:
            self.server = socket.create_server(("127.0.0.1", 0), backlog=4096)
            self.url = f"tcp://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._live, args=(sock,), daemon=True).start()

    def _live(self, sock: socket.socket) -> None:
        try:
            self.results.append(self.serve(sock))
        except OSError as e:
            self.results.append(e)
        finally:
            sock.close()

    def result(self) -> Any:
        wait_until(lambda: self.results, "the service's connection has ended")
        return self.results[0]

    def log(self) -> str:
        return "".join(f"{result!r:.300}\n" for result in self.results)

    def end(self) -> None:
        if self.server.fileno() >= 0:
            self.server.shutdown(socket.SHUT_RDWR) if self.server.family != socket.AF_UNIX else None
            self.server.close()


def hold_port(host: str = "127.0.0.1") -> socket.socket:
    """Nobody gets it by chance, and the relay may listen there."""
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((host, 0))
    return held


class PortPath(WholePath):
    """ports: the keys of each [tcp NAME]; without listen it gets a port of 127.0.0.1, which is also port(NAME)."""

    may = "tcp_ports = 1024-65535"

    def __init__(self, daemons: Callable[..., Daemon], started: list, folder: Path, ports: dict[str, dict[str, Any]],
                 wait: bool = True, **how: Any) -> None:
        self.held: dict[str, socket.socket] = {}
        self.ports = ports
        self.domain_lines: list[str] = []
        super().__init__(daemons, started, folder, **how)
        if wait:
            self.wait_ports()

    def _port_sections(self) -> str:
        lines = []
        for name, keys in self.ports.items():
            own = dict(keys)
            if "listen" not in own:
                if name not in self.held:
                    self.held[name] = hold_port(own.pop("host", "127.0.0.1"))
                host, port = self.held[name].getsockname()[:2]
                own["listen"] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                own.pop("host", None)
            lines += [f"[tcp {name}]", *(f"{key} = {value}" for key, value in own.items())]
        return "\n".join(lines) + "\n"

    def _agent_ini(self, *args: Any) -> str:
        self.base = super()._agent_ini(*args)
        return self.base + self._port_sections()

    def reload_ports(self, ports: dict[str, dict[str, Any]]) -> None:
        self.ports = ports
        self.agent.conf.write_text(self.base + self._port_sections())
        before = self.agent.log().count("reloaded")
        self.agent.send(signal.SIGHUP)
        self.agent.wait_log("reloaded", before + 1)

    def address(self, name: str) -> tuple[str, int]:
        return self.held[name].getsockname()[:2]

    def connect(self, name: str) -> socket.socket:
        sock = socket.create_connection(self.address(name), PATIENCE_S)
        return sock

    def port_status(self, name: str) -> dict[str, Any] | None:
        return next((p for p in self.status()["tcp"] if p["name"] == name), None)

    def agent_port_status(self, name: str) -> dict[str, Any]:
        return next(p for p in self.agent.get("/v1/status").json["tcp"] if p["name"] == name)

    def wait_ports(self) -> None:
        for name in self.ports:
            wait_until(lambda: (self.port_status(name) or {}).get("state") == "up", f"port {name} is up")
            if name in self.held:
                wait_until(lambda: self.is_open(name), f"port {name} is open")

    def is_open(self, name: str) -> bool:
        """As the kernel's own table has it: nobody has to connect."""
        host, port = self.address(name)
        table = Path("/proc/net/tcp6" if ":" in host else "/proc/net/tcp").read_text().splitlines()[1:]
        return any(line.split()[3] == "0A" and int(line.split()[1].split(":")[1], 16) == port for line in table)

    def close(self) -> None:
        super().close()
        for held in self.held.values():
            held.close()


@pytest.fixture
def services(started: list) -> Callable[..., RawService]:
    def make(*args: Any, **how: Any) -> RawService:
        started.append(RawService(*args, **how))
        return started[-1]

    return make


@pytest.fixture
def port_paths(daemons: Callable[..., Daemon], started: list, folder: Path) -> Any:
    made: list[PortPath] = []

    def make(ports: dict[str, dict[str, Any]], cls: type = PortPath, **how: Any) -> PortPath:
        made.append(cls(daemons, started, folder, ports, **how))
        return made[-1]

    yield make
    for path in made:
        path.close()
