"""Upgraded connections: a service that switches to bytes, as raw as a test wants them, and visitors who ask for that.

    service = Service(); service.serve = lambda peer: peer.send(peer.exactly(5))     # after the 101
    visitor = upgrade(front)                                                         # a Visitor, behind the 101
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable

from daemon import Daemon
from http1 import Body, Cut, Head, Peer, content, each_connection
from path import Front, WholePath
from programs import PATIENCE_S, unavailable, wait_until
from visitor import Visitor
from website import notify, secured

ASKING = "Connection: Upgrade\r\nUpgrade: raw\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
CLOSE_WAIT = 8  # of TCP_INFO: the other side has sent its FIN


def switching_for(head: Head) -> bytes:
    """The 101, to a WebSocket where a key shows that it is one."""
    if not (key := head.get("sec-websocket-key")):
        return SWITCHING
    accept = base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
    return (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept.encode())


def upgrade(front: Front, behind: bytes = b"") -> Visitor:
    visitor = front.visitor()
    visitor.send(f"GET / HTTP/1.1\r\nHost: {visitor.host}\r\n{ASKING}\r\n".encode() + behind)
    try:
        head = visitor.head()
    except TimeoutError:
        raise AssertionError(f"no answer to a request to upgrade\n{where_it_stands(front)}") from None
    assert head and head.status == 101, head
    return visitor


def where_it_stands(front: Front) -> str:
    """Where bytes wait that do not arrive: which of our processes are stopped (T) or where in the kernel they are, what
    each end of a lane has counted, and the connections of loopback whose queues are not empty."""
    told = []
    for daemon in [d for d in (front.relay, getattr(front, "agent", None)) if isinstance(d, Daemon)]:
        for task in sorted(Path(f"/proc/{daemon.pid}/task").iterdir()):
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
            told.append(f"{daemon.title} thread {task.name}: {state} in {(task / 'wchan').read_text()}")
        try:
            told.append(f"{daemon.title}: {daemon.get('/v1/status').body.decode()}")
        except OSError as e:
            told.append(f"{daemon.title}: {e!r}")
    lines = [line.split()[:5] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return "\n".join(told + [" ".join(line) for line in lines if line[4] != "00000000:00000000"])


def end_with_fin(visitor: Visitor) -> None:
    socket.socket.shutdown(visitor.socket, socket.SHUT_WR)


def has_fin(visitor: Visitor) -> bool:
    return visitor.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == CLOSE_WAIT


def is_reset(visitor: Peer) -> bool:
    """Waits for the end, and tells what it was."""
    try:
        while visitor.socket.recv(65536):
            pass
    except OSError:
        pass
    return visitor.was_reset()


def send_content(peer: Peer, n: int, seed: int) -> None:
    for piece in content(n, seed):
        peer.send(piece)


def send_and_receive(peer: Peer, n: int, seed: int, expected: int) -> tuple[int, str]:
    """Both at once, in one thread, because Python's ssl is not made for two. Returns size and hash of what came."""
    digest, got, rest, pieces = hashlib.sha256(), 0, b"", content(n, seed)
    peer.socket.setblocking(False)
    while got < expected or rest is not None:
        moved = False
        try:
            piece = (peer.read(65536) or peer.socket.recv(65536)) if got < expected else b""  # what is buffered first
            assert piece or got == expected, f"only {got} bytes came"
            digest.update(piece)
            got += len(piece)
            moved = bool(piece)
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        rest = rest or next(pieces, None)
        try:
            sent = peer.socket.send(rest[:65536]) if rest else 0
            rest = rest[sent:] if rest else rest
            moved = moved or sent > 0
        except (ssl.SSLWantWriteError, BlockingIOError):
            pass
        if not moved and (got < expected or rest):
            select.select([peer.socket], [peer.socket] if rest else [], [], PATIENCE_S)
    peer.socket.settimeout(PATIENCE_S)
    return got, digest.hexdigest()


def digest_of(peer: Peer, n: int | None = None) -> tuple[int, str]:
    """Size and hash of so many bytes, or of all up to the end."""
    digest, size = hashlib.sha256(), 0
    while n is None or size < n:
        try:
            piece = peer.read(min(65536, n - size) if n else 65536)
        except ssl.SSLZeroReturnError:
            break  # what Python makes of a close_notify, once it has sent one itself
        if not piece:
            break
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


class Service:
    """Accepts, switches, and leaves the rest to `serve`; then ends the connection."""

    title = "the raw service"

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.server = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.server.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.serve: Callable[[Peer], Any] = self.echo
        self.heads: list[Head] = []
        self.results: list[Any] = []  # what serve has returned, or the OSError that ended it
        each_connection(self.server, lambda sock: self._live(Peer(secured(sock, tls))))

    @staticmethod
    def echo(peer: Peer) -> None:
        while piece := peer.read(65536):
            peer.send(piece)

    def _live(self, peer: Peer) -> None:
        try:
            head = peer.head()
            if not head:
                return
            self.heads.append(head)
            if head.get("upgrade"):
                peer.send(switching_for(head))
                self.results.append(self.serve(peer))
            else:
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        except (Cut, OSError) as e:
            self.results.append(e)
        finally:
            if self.tls:
                notify(peer)
            peer.close()

    def result(self) -> Any:
        """Of the only connection."""
        wait_until(lambda: self.results, "the service's connection has ended")
        (result,) = self.results
        return result

    def log(self) -> str:
        return "".join(f"{head.first}\n" for head in self.heads) + "".join(f"{r!r}\n" for r in self.results)

    def end(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


def break_off(peer: Peer) -> None:
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


class ServiceProcess:
    """The same, with its echo, in a process of its own: to be killed."""

    title = "the service's process"

    def __init__(self) -> None:
        script = "from upgraded import Service; print(Service().port, flush=True); input()"
        self.process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parent, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        return ""

    def end(self) -> None:
        self.kill()
        self.process.stdin.close()
        self.process.stdout.close()


class Through(WholePath):
    """The whole path, to a service of the test's."""

    def __init__(self, service: Any, *args: Any, **how: Any) -> None:
        self.service = service
        super().__init__(*args, **how)

    def _agent_ini(self, *args: Any) -> str:
        return super()._agent_ini(*args).replace(self.site.url, self.service.url)


OFFERED = ("first", "second")


def choose(first: Any, second: Any) -> str | None:
    """A server's subprotocol, or none, of those that a client has offered. Versions of the library from 14 on give them as
    the second argument, and would refuse who has offered none; those before give them as the first one."""
    offered = first if isinstance(first, (list, tuple)) else second
    return next((name for name in OFFERED if name in offered), None)


def extensions_of(socket_: Any) -> Any:
    """In all versions of the library."""
    return socket_.extensions if hasattr(socket_, "extensions") else socket_.protocol.extensions


class WebSockets:
    """A loop of asyncio in a thread, with a server of the websockets library's on it: an echo, of any message."""

    title = "the WebSocket server"

    def __init__(self, **how: Any) -> None:
        try:
            import websockets
        except ImportError:
            unavailable("python3-websockets is not installed; run: sh scripts/setup test")
        self.library, self.how = websockets, {"max_size": 1 << 25, "ping_interval": None, **how}
        self.loop = asyncio.new_event_loop()
        self.closed: list[tuple[int, str]] = []  # code and reason, as the server saw each end
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.server = self.run(self._start())
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"{'https' if how.get('ssl') else 'http'}://127.0.0.1:{self.port}"

    def run(self, work: Any, timeout: float = 240) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    async def _start(self) -> Any:
        return await self.library.serve(self._serve, "127.0.0.1", 0, backlog=1024, subprotocols=list(OFFERED),
                                        select_subprotocol=choose, **self.how)

    async def _serve(self, socket_: Any, _path: str = "") -> None:
        try:
            async for message in socket_:
                if message == "close, please":
                    await socket_.close(4001, "as you wish")
                else:
                    await socket_.send(message)
        except self.library.ConnectionClosed:
            pass
        await socket_.wait_closed()
        self.closed.append((socket_.close_code, socket_.close_reason))

    def connect(self, front: Front, **how: Any) -> Any:
        """A client through the relay, to be awaited on this loop."""
        tls = ssl.create_default_context(cafile=str(front.root))
        return self.library.connect(f"wss://a.test:{front.port}/ws", host="127.0.0.1", ssl=tls, server_hostname="a.test",
                                    open_timeout=120, close_timeout=60,
                                    **{"max_size": 1 << 25, "ping_interval": None, **how})

    def log(self) -> str:
        return "".join(f"closed: {code} {reason}\n" for code, reason in self.closed)

    def end(self) -> None:
        async def close() -> None:
            self.server.close()
            await asyncio.wait_for(self.server.wait_closed(), 30)

        self.run(close())
        self.loop.call_soon_threadsafe(self.loop.stop)
