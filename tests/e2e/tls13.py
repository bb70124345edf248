"""Records of TLS 1.3 as a test wants them, which no library would send: behind a handshake by Python's own.

    with Visitor13(port, "a.test", folder) as visitor:
        visitor.send((APPLICATION, b"GET / HTTP/1.1\\r\\n…"), (HANDSHAKE, b"\\x18\\0\\0\\1"), (ALERT, CLOSE_NOTIFY))

Either side: `raw` is a socket that is connected already, and `side` CLIENT or SERVER. What comes is read through `tls`."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
import struct
import tempfile
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from programs import PATIENCE_S

ALERT, HANDSHAKE, APPLICATION = 21, 22, 23
CLOSE_NOTIFY = b"\x01\x00"
KEY_UPDATE_HEAD = b"\x18\0\0\1"  # of a message whose one byte is missing
CLIENT, SERVER = "CLIENT", "SERVER"


def expand(secret: bytes, label: bytes, size: int, how: Any) -> bytes:
    """HKDF-Expand-Label of RFC 8446 7.1, without a context; a digest's size at most."""
    label = b"tls13 " + label
    info = struct.pack("!HB", size, len(label)) + label + b"\0"
    return hmac.new(secret, info + b"\1", how).digest()[:size]


def ticket(size: int) -> bytes:
    """A NewSessionTicket as one message."""
    body = struct.pack("!IIBBH", 7200, 1, 1, 0, size) + b"t" * size + b"\0\0"
    return b"\4" + len(body).to_bytes(3, "big") + body


class Records:
    """`context` may not send a ticket of its own: num_tickets = 0."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext, side: str, name: str | None = None) -> None:
        self.raw, self.sequence = raw, 0
        raw.settimeout(PATIENCE_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encrypted = ssl.MemoryBIO()
        out = ssl.MemoryBIO()
        with tempfile.NamedTemporaryFile() as log:
            context.keylog_filename = log.name
            self.tls = context.wrap_bio(self.encrypted, out, server_side=side == SERVER, server_hostname=name)
            self._shake_hands(out)
            words = [line.split() for line in Path(log.name).read_text().splitlines()]
        secret = next(bytes.fromhex(word[2]) for word in words if word[0] == f"{side}_TRAFFIC_SECRET_0")
        suite = self.tls.cipher()[0]  # type: ignore[index]
        how = hashlib.sha384 if "SHA384" in suite else hashlib.sha256
        key = expand(secret, b"key", 16 if "AES_128" in suite else 32, how)
        self.cipher = ChaCha20Poly1305(key) if "CHACHA20" in suite else AESGCM(key)
        self.iv = expand(secret, b"iv", 12, how)

    def _shake_hands(self, out: ssl.MemoryBIO) -> None:
        while True:
            try:
                self.tls.do_handshake()
                self.raw.sendall(out.read())
                return
            except ssl.SSLWantReadError:
                self.raw.sendall(out.read())
                self._take()

    def _take(self) -> bool:
        bytes_ = self.raw.recv(65536)
        self.encrypted.write(bytes_)
        return bool(bytes_)

    def record(self, kind: int, content: bytes) -> bytes:
        inner = content + bytes([kind])
        head = struct.pack("!BHH", APPLICATION, 0x0303, len(inner) + 16)
        nonce = bytes(a ^ b for a, b in zip(self.iv, self.sequence.to_bytes(12, "big")))
        self.sequence += 1
        return head + self.cipher.encrypt(nonce, inner, head)

    def send(self, *records: tuple[int, bytes], behind: bytes = b"") -> None:
        """All in one segment, and `behind` it what is no record."""
        self.raw.sendall(b"".join(self.record(*each) for each in records) + behind)

    def read(self, size: int) -> bytes:
        """So many bytes, or fewer where the other side ends."""
        got = b""
        while len(got) < size:
            try:
                part = self.tls.read(size - len(got))
                if not part:
                    break
                got += part
            except ssl.SSLWantReadError:
                if not self._take():
                    break
        return got

    def is_over(self) -> bool:
        """Whether the other side ends the connection, soon."""
        try:
            while self.raw.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *why: object) -> None:
        self.raw.close()


class Visitor13(Records):
    def __init__(self, port: int, root: Path, name: str) -> None:
        context = ssl.create_default_context(cafile=str(root))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["http/1.1"])
        super().__init__(socket.create_connection(("127.0.0.1", port), PATIENCE_S), context, CLIENT, name)
