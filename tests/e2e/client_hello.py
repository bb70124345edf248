"""The first message of a TLS connection, as bytes, in whatever pieces a test wants it.

    message = client_hello("a.test", padding=60_000)   # a handshake message
    wire = records(message, 100)                       # in records of 100 bytes
"""

from __future__ import annotations

import os
import socket
import ssl
import struct


def vector(length_bytes: int, content: bytes) -> bytes:
    return len(content).to_bytes(length_bytes, "big") + content


def extension(kind: int, content: bytes) -> bytes:
    return struct.pack(">H", kind) + vector(2, content)


def server_name(name: bytes) -> bytes:
    return extension(0, vector(2, b"\0" + vector(2, name)))


def client_hello(name: str | None = None, padding: int = 0, grease: bool = False, before: bytes = b"", after: bytes = b"") -> bytes:
    """With extensions before and behind the name; grease puts values that nobody knows everywhere they may stand, and an
    ECH that means nothing."""
    suites = (b"\x0a\x0a" if grease else b"") + b"\x13\x01\x13\x02\xc0\x2b"
    parts = [extension(0x1A1A, b"") + extension(0xFE0D, os.urandom(186)) if grease else b"", before,
             server_name(name.encode()) if name is not None else b"",
             extension(43, b"\x06\x2a\x2a\x03\x04\x03\x03" if grease else b"\x04\x03\x04\x03\x03"),
             extension(21, bytes(padding)) if padding else b"", after, extension(0x3A3A, b"\0") if grease else b""]
    body = b"\x03\x03" + os.urandom(32) + vector(1, os.urandom(32)) + vector(2, suites) + b"\x01\x00" + vector(2, b"".join(parts))
    return b"\x01" + vector(3, body)


def records(message: bytes, size: int = 16384, version: bytes = b"\x03\x01") -> bytes:
    return b"".join(b"\x16" + version + vector(2, message[at:at + size]) for at in range(0, len(message), size))


def real_hello(name: str, tls: ssl.SSLContext | None = None) -> bytes:
    """OpenSSL's own, in its records."""
    tls = tls or ssl.create_default_context()
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        tls.wrap_bio(received, sent, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return sent.read()


def alert_of(sock: socket.socket) -> int | None:
    """What is said before the end: the number of a fatal alert; None when it is a bare end or a reset."""
    said = b""
    try:
        while piece := sock.recv(1000):
            said += piece
    except ConnectionResetError:
        pass
    if not said:
        return None
    assert said[:2] == b"\x15\x03" and said[3:6] == b"\x00\x02\x02", said
    return said[6]
