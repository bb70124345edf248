"""A visitor by HTTP/2, on the h2 library of Debian: many requests over one connection, as raw as a test wants them.

    with Visitor2(port, root, "a.test") as visitor:
        stream = visitor.ask("GET", "/")
        reply = visitor.reply(stream)
"""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from typing import Any, Iterable, Sequence

from programs import PATIENCE_S, unavailable
from visitor import connect, context

try:
    import h2.config
    import h2.connection
    import h2.events
    import h2.exceptions
except ImportError:
    h2 = None  # type: ignore[assignment]

GOAWAY = 7
MISSING = "python3-h2 is not installed; run: sh scripts/setup test"


class Reply2:
    """What has come of a response so far."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.interim: list[list[tuple[str, str]]] = []
        self.trailers: list[tuple[str, str]] = []
        self.size, self._digest, self.beginning = 0, hashlib.sha256(), b""
        self.ended, self.reset = False, None  # type: bool, int | None

    @property
    def status(self) -> int:
        return int(dict(self.fields)[":status"])

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def add(self, data: bytes) -> None:
        self.size += len(data)
        self._digest.update(data)
        if len(self.beginning) < 65536:
            self.beginning += data


class Visitor2:
    def __init__(self, port: int, root: Path, name: str, *, host: str | None = None, takes: bool = True) -> None:
        """takes: what comes is acknowledged, so that more may come; a stream in self.stalled is not."""
        if h2 is None:
            unavailable(MISSING)
        self.host, self.takes = host or name, takes
        self.stalled: set[int] = set()
        self.connected: set[int] = set()  # either way of such a stream ends by itself
        self.replies: dict[int, Reply2] = {}
        self.goaways: list[tuple[int, int]] = []  # error, last stream
        self.ended, self._rest = False, b""
        self.socket = connect(port, context(root, ("h2", "http/1.1")), name)
        assert self.socket.selected_alpn_protocol() == "h2"
        # What is wrong on purpose must be sent as it is.
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False))
        self.h2.initiate_connection()
        self.send()

    def __enter__(self) -> Visitor2:
        return self

    def __exit__(self, *_: Any) -> None:
        self.socket.close()

    def send(self, raw: bytes = b"") -> None:
        self.socket.sendall(self.h2.data_to_send() + raw)

    def ask(self, method: str = "GET", path: str = "/", fields: Iterable[tuple[str, str]] = (), body: bytes | None = b"",
            trailers: Sequence[tuple[str, str]] = (), pseudo: Sequence[tuple[str, str]] | None = None) -> int:
        """Its stream. A body of None stays open."""
        stream = self.h2.get_next_available_stream_id()
        self.replies[stream] = Reply2()
        head = pseudo if pseudo is not None else [(":method", method), (":scheme", "https"), (":authority", self.host),
                                                  (":path", path)]
        self.h2.send_headers(stream, [*head, *fields], end_stream=body == b"" and not trailers)
        self.send()
        if body:
            self.say(stream, body, ends=not trailers)
        if trailers:
            self.h2.send_headers(stream, trailers, end_stream=True)
            self.send()
        return stream

    def connect(self, path: str = "/ws", protocol: str = "websocket", fields: Iterable[tuple[str, str]] = ()) -> int:
        """An extended CONNECT (RFC 8441), once the other side has said that it knows that."""
        while not self.h2.remote_settings.enable_connect_protocol:
            assert self.hear(), "the connection ended"
        head = [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "https"), (":authority", self.host), (":path", path)]
        return self.ask(pseudo=head, fields=[("sec-websocket-version", "13"), *fields], body=None)

    def open(self, *args: Any, **how: Any) -> int:
        """The same, and the service has agreed."""
        reply = self.replies[stream := self.connect(*args, **how)]
        while not reply.fields:
            assert reply.reset is None and self.hear(), "refused"
        assert reply.status == 200, reply.fields
        self.connected.add(stream)
        return stream

    def until(self, stream: int, size: int) -> bytes:
        """Waits for so many bytes of the body, and returns its beginning."""
        while self.replies[stream].size < size:
            assert self.replies[stream].reset is None and not self.replies[stream].ended, "it ended"
            assert self.hear(), "the connection ended"
        return self.replies[stream].beginning

    def finish(self, stream: int) -> None:
        self.h2.end_stream(stream)
        self.send()

    def reset(self, stream: int, code: int = 8) -> None:
        self.h2.reset_stream(stream, code)
        self.send()

    def say(self, stream: int, data: bytes, ends: bool = False) -> None:
        """Waits for as much room as it needs."""
        while data:
            while not (room := min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)):
                self.hear()
                if self.replies[stream].reset is not None or (self.replies[stream].ended and stream not in self.connected):
                    return
            piece, data = data[:room], data[room:]
            self.h2.send_data(stream, piece, end_stream=ends and not data)
            self.send()

    def hear(self) -> bool:
        """Waits for something and takes it. False: the connection has ended."""
        try:
            data = self.socket.recv(262144)
        except (ConnectionResetError, ssl.SSLEOFError):
            data = b""
        if not data:
            self.ended = True
            return False
        self.take(data)
        self.send()
        return True

    def take(self, data: bytes) -> None:
        """The library knows nothing any more behind a GOAWAY, so that is read here."""
        self._rest += data
        while len(self._rest) >= 9 and len(self._rest) >= (size := 9 + int.from_bytes(self._rest[:3], "big")):
            frame, self._rest = self._rest[:size], self._rest[size:]
            if frame[3] == GOAWAY:
                self.goaways.append((int.from_bytes(frame[13:17], "big"), int.from_bytes(frame[9:13], "big")))
                continue
            for event in self.h2.receive_data(frame):
                self._take(event)

    def _take(self, event: Any) -> None:
        reply = self.replies.get(getattr(event, "stream_id", None) or 0)
        if isinstance(event, h2.events.InformationalResponseReceived):
            reply.interim.append(event.headers)
        elif isinstance(event, h2.events.ResponseReceived):
            reply.fields = event.headers
        elif isinstance(event, h2.events.TrailersReceived):
            reply.trailers = event.headers
        elif isinstance(event, h2.events.DataReceived):
            reply.add(event.data)
            if self.takes and event.stream_id not in self.stalled and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif event.flow_controlled_length:
                self.h2.increment_flow_control_window(event.flow_controlled_length)  # the connection's alone
        elif isinstance(event, h2.events.StreamEnded):
            reply.ended = True
        elif isinstance(event, h2.events.StreamReset) and reply:
            reply.reset = event.error_code

    def reply(self, stream: int) -> Reply2:
        """Whole, or reset."""
        reply = self.replies[stream]
        while not reply.ended and reply.reset is None:
            assert self.hear(), f"the connection ended: {self.goaways}"
        return reply

    def get(self, *args: Any, **how: Any) -> Reply2:
        return self.reply(self.ask(*args, **how))

    def end(self) -> list[tuple[int, int]]:
        """Waits for the end of the connection; what was said before."""
        while self.hear():
            pass
        return self.goaways
