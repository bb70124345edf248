"""HTTPS, and nothing of ACME: requests to a function, its replies to the wire, as broken as they are to be."""

from __future__ import annotations

import email.utils
import http.server
import socket
import ssl
import struct
import time
from dataclasses import dataclass
from typing import Any, Callable, Optional

from .faults import Reply


@dataclass
class Request:
    method: str
    target: str
    headers: Any  # case-insensitive
    body: bytes
    at: float
    kind: str = ""  # "newOrder", "authz", …
    id: str = ""  # of the object that is asked for
    status: int = 0  # of the reply; 0: none was sent


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def setup(self) -> None:
        self.request.settimeout(30)
        self.request = self.server.tls.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
        super().setup()

    def handle(self) -> None:
        try:
            self.connection.do_handshake()
            super().handle()
        except OSError:
            pass  # the other end went away, or does not trust us

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            pass

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, self.headers, body, time.monotonic())
        reply = self.server.answer(request)
        if reply is None:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        request.status = reply.status
        self.send(reply)

    def send(self, reply: Reply) -> None:
        if reply.chunked:
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nReplay-Nonce: none\r\nLocation: /elsewhere\r\n\r\n")
        self.send_response_only(reply.status)
        now = time.time() + self.server.clock_offset_s
        fields = [("Date", email.utils.formatdate(now, usegmt=True)), ("Content-Type", reply.type),
                  ("Transfer-Encoding", "chunked") if reply.chunked else ("Content-Length", str(len(reply.body))), *reply.fields]
        for name, value in fields:
            self.send_header(name.lower(), value)  # as HTTP/2 has them
        self.end_headers()
        if self.command == "HEAD":
            return
        if reply.drip:
            for byte in reply.body:
                self.wfile.write(bytes([byte]))
                if self.server.ending.wait(reply.drip):
                    return
            return
        self.wfile.write(self.in_chunks(reply.body) if reply.chunked else reply.body[:reply.cut])
        if reply.cut is not None:
            self.close_connection = True

    @staticmethod
    def in_chunks(body: bytes) -> bytes:
        parts = [body[i:i + 100] for i in range(0, len(body), 100)] + [b""]
        return b"".join(b"%x;name=value\r\n%s\r\n" % (len(part), part) for part in parts)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do

    def log_message(self, *args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, tls: ssl.SSLContext, answer: Callable[[Request], Optional[Reply]], ending: Any) -> None:
        self.tls, self.answer, self.ending, self.clock_offset_s = tls, answer, ending, 0
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # what a test has to know is among the violations
