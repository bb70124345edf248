"""HTTP/1.1 over a socket as it is, byte by byte: for the site, for the fake agent's streams and for visitors.

    peer.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    head = peer.head(); body = peer.body(head, "GET")
"""

from __future__ import annotations

import functools
import hashlib
import random
import socket
import ssl
import threading
from typing import Callable, Iterator, NamedTuple

from programs import PATIENCE_S

PIECE = 256 * 1024
TCP_CLOSE = 7  # where a reset leads at once, while an end leads to CLOSE_WAIT
KEPT = 1 << 20  # of a body, to be looked at; of the rest only size and hash


class Cut(Exception):
    """The other side was gone before the message was whole."""


@functools.cache
def _block(seed: int) -> bytes:
    return random.Random(seed).randbytes(1_000_003)


def content(n: int, seed: int = 0) -> Iterator[bytes]:
    """n bytes that look random and are the same for the same seed, piece by piece."""
    while n > 0:
        piece = _block(seed)[: min(n, 1_000_003)]
        yield piece
        n -= len(piece)


def content_sha256(n: int, seed: int = 0) -> str:
    digest = hashlib.sha256()
    for piece in content(n, seed):
        digest.update(piece)
    return digest.hexdigest()


class Head(NamedTuple):
    first: str  # the request line or the status line
    fields: list[tuple[str, str]]  # in order, names as they were written
    raw: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) < 2, f"{name} is there {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def method(self) -> str:
        return self.first.split(" ")[0]

    @property
    def target(self) -> str:
        return self.first.split(" ")[1]

    @property
    def status(self) -> int:
        return int(self.first.split(" ")[1])


class Body:
    """What has been read of a body: all its bytes in size and sha256, the first of them in data."""

    def __init__(self) -> None:
        self.size, self.data, self.trailers, self._digest = 0, b"", b"", hashlib.sha256()

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        self.data += piece[: KEPT - len(self.data)]
        self._digest.update(piece)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def each_connection(server: socket.socket, live: Callable[[socket.socket], object]) -> None:
    """Gives each one a thread of its own, until the server is closed. Returns at once."""

    def accept() -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=live, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


class Peer:
    """One connection, whichever side of it we are."""

    def __init__(self, sock: socket.socket | ssl.SSLSocket) -> None:
        self.socket = sock
        self.socket.settimeout(PATIENCE_S)
        self._in = sock.makefile("rb", buffering=PIECE)

    # ---- out ----

    def send(self, data: bytes | str) -> None:
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def send_chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def close(self) -> None:
        self._in.close()
        self.socket.close()

    # ---- in ----

    def read(self, n: int) -> bytes:
        """What is there now, n bytes at most; b"" at the end of the stream."""
        return self._in.read1(n)

    def exactly(self, n: int) -> bytes:
        data = self._in.read(n)
        if len(data) < n:
            raise Cut(f"{len(data)} bytes instead of {n}")
        return data

    def line(self) -> bytes:
        line = self._in.readline()
        if not line.endswith(b"\r\n"):
            raise Cut(f"a line ends in the middle: {line!r}")
        return line

    def head(self) -> Head | None:
        """None: the other side has ended the connection between two messages."""
        raw = self._in.readline()
        if not raw:
            return None
        while not raw.endswith(b"\r\n\r\n"):
            raw += self.line()
        first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
        return Head(first, [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)], raw)

    def _sized(self, n: int) -> Iterator[bytes]:
        while n > 0:
            piece = self.read(min(n, PIECE))
            if not piece:
                raise Cut(f"{n} bytes are missing")
            n -= len(piece)
            yield piece

    def _chunks(self, body: Body) -> Iterator[bytes]:
        while size := int(self.line().split(b";")[0], 16):
            yield from self._sized(size)
            assert self.exactly(2) == b"\r\n"
        while (line := self.line()) != b"\r\n":
            body.trailers += line

    def pieces(self, head: Head, body: Body, asked: str | None = None) -> Iterator[bytes]:
        """asked: the method of the request that this response answers; None: it is a request."""
        if asked and (asked == "HEAD" or head.status < 200 or head.status in (204, 304)):
            return
        if head.get("transfer-encoding") == "chunked":
            yield from self._chunks(body)
        elif (length := head.get("content-length")) is not None:
            yield from self._sized(int(length))
        elif asked:
            while piece := self.read(PIECE):
                yield piece

    def body(self, head: Head, asked: str | None = None) -> Body:
        body = Body()
        for piece in self.pieces(head, body, asked):
            body.add(piece)
        return body

    def was_reset(self) -> bool:
        """True once a reset has come, for Python's ssl tells of it as of an end."""
        return self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_CLOSE

    def ended(self) -> bool:
        """Waits for the end of the connection; anything else that arrives is wrong."""
        try:
            return self._in.read(1) == b""
        except (ConnectionResetError, ssl.SSLEOFError):
            return True

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
