"""A visitor of the relay: TLS, and HTTP/1.1 as raw as a test wants it.

    with Visitor(port, root, "a.test") as visitor:
        reply = visitor.ask("GET", "/")
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any, NamedTuple, Sequence

from http1 import Body, Head, Peer
from programs import PATIENCE_S


class Reply(NamedTuple):
    head: Head
    body: Body

    @property
    def status(self) -> int:
        return self.head.status


def request_bytes(method: str, host: str, target: str = "/", fields: str = "", body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body or method in ("POST", "PUT") else ""
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{length}{fields}\r\n".encode() + body


def context(root: Path, alpn: Sequence[str] = ("http/1.1",), version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(root))
    if alpn:
        made.set_alpn_protocols(list(alpn))
    if version:
        made.minimum_version = made.maximum_version = version
    return made


def connect(port: int, tls: ssl.SSLContext, name: str | None, *, at: str = "127.0.0.1",
            session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    """A TLS connection that tells an orderly end (close_notify) from any other."""
    plain = socket.create_connection((at, port), PATIENCE_S)
    try:
        return tls.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False, session=session)
    except OSError:
        plain.close()
        raise


class Visitor(Peer):
    def __init__(self, port: int, root: Path, name: str, *, host: str | None = None,
                 tls: ssl.SSLContext | None = None, **how: Any) -> None:
        self.host = host or f"{name}:{port}"
        super().__init__(connect(port, tls or context(root), name, **how))

    def reply(self, asked: str = "GET") -> Reply:
        head = self.head()
        assert head, "the relay ended the connection instead of answering"
        return Reply(head, self.body(head, asked))

    def ask(self, method: str = "GET", target: str = "/", fields: str = "", body: bytes = b"",
            host: str | None = None) -> Reply:
        self.send(request_bytes(method, host or self.host, target, fields, body))
        return self.reply(method)

    def break_off(self) -> None:
        """Goes away like a killed browser: the other side sees a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()
