"""A visitor by HTTP/2 who sends frames as a test writes them, and reads what comes meanwhile.

    with Raw2(port, root, "a.test") as v:
        v.pour(frame(PING, payload=b"pingpong") * 100)    # again and again, until the relay has had enough
        assert v.goaway == ENHANCE_YOUR_CALM
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from pathlib import Path

from programs import PATIENCE_S
from visitor import connect, context

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED = range(6)
REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 7, 8, 11
INITIAL_WINDOW_SIZE = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def settings(**values: int) -> bytes:
    """By number: settings(_4=0)."""
    return frame(SETTINGS, payload=b"".join(int(key[1:]).to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in values.items()))


def text(value: str) -> bytes:
    assert len(value) < 127
    return bytes([len(value)]) + value.encode()


def block(method: str = "GET", path: str = "/", host: str = "a.test", fields: bytes = b"") -> bytes:
    """A request's fields, without a table."""
    return {"GET": b"\x82", "POST": b"\x83"}[method] + b"\x87\x04" + text(path) + b"\x01" + text(host) + fields


def field(name: str, value: str) -> bytes:
    return b"\0" + text(name) + text(value)


def ask(stream: int, path: str = "/", method: str = "GET", ends: bool = True, fields: bytes = b"") -> bytes:
    return frame(HEADERS, END_HEADERS | (END_STREAM if ends else 0), stream, block(method, path, fields=fields))


def opens(stream: int, size: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, size.to_bytes(4, "big"))


def reset(stream: int, code: int = CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


class Raw2:
    def __init__(self, port: int, root: Path, name: str = "a.test", *, greets: bool = True, first: bytes = settings(),
                 acknowledges: bool = True) -> None:
        """acknowledges: the relay's settings, as soon as they have come."""
        self.acknowledges = acknowledges
        self.socket = connect(port, context(root, ("h2",)), name)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.socket.setblocking(False)
        self.ended, self._rest, self._waits = False, b"", b""
        self.goaways: list[tuple[int, int]] = []  # code, last stream
        self.resets: dict[int, int] = {}
        self.heads: set[int] = set()
        self.whole: set[int] = set()
        self.sizes: dict[int, int] = {}  # bytes of body
        self.frames = 0  # of DATA
        if greets:
            self.send(PREFACE + first)

    def __enter__(self) -> Raw2:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def goaway(self) -> int | None:
        """The last code that was told."""
        return self.goaways[-1][0] if self.goaways else None

    # ---- bytes ----

    def _receive(self) -> bool:
        """What is there. False: there is nothing."""
        try:
            data = self.socket.recv(262144)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            data = b""
        self.ended = not data
        self._take(data)
        return bool(data)

    def _push(self) -> None:
        try:
            while self._waits:
                self._waits = self._waits[self.socket.send(self._waits[:16384]):]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError:
            self._waits = b""
            while not self.ended and self._receive():
                pass
            self.ended = True

    def turn(self, seconds: float) -> None:
        """Sends what waits and takes what comes, until nothing more does for so long."""
        if self.ended:
            return
        select.select([self.socket], [self.socket] if self._waits else [], [], seconds)
        while not self.ended and self._receive():
            pass
        if not self.ended:
            self._push()

    def send(self, data: bytes) -> None:
        """All of it, unless the relay ends first."""
        self._waits += data
        late = time.monotonic() + PATIENCE_S
        while self._waits and not self.ended:
            assert time.monotonic() < late, "the relay takes nothing"
            self.turn(1)

    def pour(self, data: bytes, most: int = 50_000_000) -> int:
        """The same again and again, until the relay has said that it ends, or ends. How much it was."""
        sent = 0
        while not self.goaways and not self.ended and sent < most:
            self.send(data)
            sent += len(data)
        self.wait(lambda: self.goaways or self.ended, "the end of a flood")
        return sent

    def wait(self, condition, what: str) -> None:
        late = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < late and not self.ended, f"{what}: {self.goaways} {self.resets}"
            self.turn(0.05)

    def wait_ended(self) -> None:
        late = time.monotonic() + PATIENCE_S
        while not self.ended:
            assert time.monotonic() < late, "the relay does not end"
            self.turn(0.05)

    # ---- frames ----

    def _take(self, data: bytes) -> None:
        self._rest += data
        at = 0
        while len(self._rest) - at >= 9 and len(self._rest) - at >= (size := 9 + int.from_bytes(self._rest[at:at + 3], "big")):
            self._note(self._rest[at:at + size])
            at += size
        self._rest = self._rest[at:]

    def _note(self, got: bytes) -> None:
        kind, flags, stream = got[3], got[4], int.from_bytes(got[5:9], "big")
        if kind == GOAWAY:
            self.goaways.append((int.from_bytes(got[13:17], "big"), int.from_bytes(got[9:13], "big")))
        elif kind == RST_STREAM:
            self.resets[stream] = int.from_bytes(got[9:13], "big")
        elif kind == SETTINGS and not flags & ACK and self.acknowledges:
            self._waits += frame(SETTINGS, ACK)
        elif kind == HEADERS:
            self.heads.add(stream)
        elif kind == DATA:
            self.frames += 1
            self.sizes[stream] = self.sizes.get(stream, 0) + len(got) - 9
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.whole.add(stream)
