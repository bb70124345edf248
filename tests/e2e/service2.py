"""A service in the house that speaks HTTP/2 without TLS, on the h2 library of Debian: as raw as a test wants it.

    service = Service2(answer)      # answer(peer, stream, fields) is called when a request's head has come
    service.url                     # h2c://127.0.0.1:PORT
"""

from __future__ import annotations

import socket
import threading
from typing import Any, Callable, Sequence

from http1 import each_connection
from programs import unavailable, wait_until

try:
    import h2.config
    import h2.connection
    import h2.events
    import h2.exceptions
    import h2.settings
except ImportError:
    h2 = None  # type: ignore[assignment]

Fields = Sequence[tuple[str, str]]


class Request2:
    def __init__(self, fields: Fields) -> None:
        self.fields, self.body, self.trailers = list(fields), bytearray(), []  # type: ignore[var-annotated]
        self.size, self.ended, self.reset = 0, False, None  # type: int, bool, int | None

    def get(self, name: str) -> str | None:
        values = [value for key, value in self.fields if key == name]
        assert len(values) < 2, (name, values)
        return values[0] if values else None


class Peer2:
    """One connection; its requests by stream."""

    def __init__(self, service: Service2, sock: socket.socket) -> None:
        self.service, self.socket, self.ended, self.lock = service, sock, False, threading.RLock()
        self.requests: dict[int, Request2] = {}
        self.windows = threading.Condition(self.lock)
        self.pings, self.goaway = 0, None  # type: int, int | None
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False))
        if service.settings:
            self.h2.local_settings = h2.settings.Settings(client=False, initial_values=service.settings)
        self.h2.initiate_connection()
        self.send()

    def send(self, raw: bytes = b"") -> None:
        with self.lock:
            try:
                self.socket.sendall(self.h2.data_to_send() + raw)
            except OSError:
                self.ended = True

    def head(self, stream: int, fields: Fields, ends: bool = False) -> None:
        with self.lock:
            self.h2.send_headers(stream, fields, end_stream=ends)
            self.send()

    def reply(self, stream: int, status: int = 200, body: bytes = b"", fields: Fields = (), trailers: Fields = ()) -> None:
        self.head(stream, [(":status", str(status)), *fields], ends=not body and not trailers)
        if body:
            self.say(stream, body, ends=not trailers)
        if trailers:
            self.head(stream, trailers, ends=True)

    def say(self, stream: int, data: bytes, ends: bool = False) -> None:
        """From another thread than the one that hears, where it may have to wait for room."""
        while data:
            with self.windows:
                while not (room := min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)):
                    if self.ended or self.requests[stream].reset is not None:
                        return
                    self.windows.wait(1)
                piece, data = data[:room], data[room:]
                self.h2.send_data(stream, piece, end_stream=ends and not data)
                self.send()

    def rst(self, stream: int, code: int) -> None:
        with self.lock:
            self.h2.reset_stream(stream, code)
            self.send()

    def run(self) -> None:
        try:
            while data := self.socket.recv(262144):
                with self.windows:
                    events = self.h2.receive_data(data)
                    self.send()
                    self.windows.notify_all()
                for event in events:
                    self.take(event)
        except (OSError, h2.exceptions.ProtocolError):
            pass
        except AttributeError:  # a test has taken its ears away
            while self.socket.recv(262144):
                pass
        self.ended = True

    def take(self, event: Any) -> None:
        request = self.requests.get(getattr(event, "stream_id", None) or 0)
        if isinstance(event, h2.events.RequestReceived):
            self.requests[event.stream_id] = Request2(event.headers)
            self.service.requests.append(self.requests[event.stream_id])
            self.service.answer(self, event.stream_id, self.requests[event.stream_id])
        elif isinstance(event, h2.events.DataReceived):
            request.size += len(event.data)
            if request.size <= 1 << 20:
                request.body += event.data
            if event.stream_id not in self.service.stalled and event.flow_controlled_length:
                with self.lock:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    self.send()
        elif isinstance(event, h2.events.TrailersReceived):
            request.trailers = list(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            request.ended = True
            self.service.ended(self, event.stream_id, request)
        elif isinstance(event, h2.events.StreamReset) and request:
            request.reset = event.error_code
        elif isinstance(event, h2.events.PingReceived):
            self.pings += 1
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code


class Service2:
    title = "the service by HTTP/2"

    def __init__(self, answer: Callable[[Peer2, int, Request2], None] | None = None, ended: Callable[..., None] | None = None,
                 settings: dict[int, int] | None = None) -> None:
        """answer: when a head has come; ended: when the request is whole, which by default is answered with what it was."""
        if h2 is None:
            unavailable("python3-h2 is not installed; run: sh scripts/setup test")
        self.answer = answer or (lambda *_: None)
        self.ended = ended or (self.echo if answer is None else lambda *_: None)
        self.settings = settings or {}
        self.peers: list[Peer2] = []
        self.requests: list[Request2] = []
        self.stalled: set[int] = set()
        self.server = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.server.getsockname()[1]
        self.url = f"h2c://127.0.0.1:{self.port}"
        each_connection(self.server, self._serve)

    @staticmethod
    def echo(peer: Peer2, stream: int, request: Request2) -> None:
        told = "".join(f"{name}: {value}\n" for name, value in [*request.fields, *request.trailers])
        peer.reply(stream, 200, told.encode() + bytes(request.body), [("content-type", "text/plain")], [("x-size", str(request.size))])

    def _serve(self, sock: socket.socket) -> None:
        peer = Peer2(self, sock)
        self.peers.append(peer)
        peer.run()
        sock.close()

    def open_peers(self) -> list[Peer2]:
        return [peer for peer in self.peers if not peer.ended]

    def wait_for(self, n: int) -> list[Request2]:
        wait_until(lambda: len(self.requests) >= n, f"{n} requests have come")
        return self.requests

    def log(self) -> str:
        return f"{len(self.peers)} connections, {len(self.requests)} requests"

    def end(self) -> None:
        try:
            self.server.shutdown(socket.SHUT_RDWR)  # or it would take one more
        except OSError:
            pass  # by the test
        self.server.close()
        for peer in self.peers:
            try:
                peer.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
