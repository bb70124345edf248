"""A web site in the house: a threaded HTTP/1.1 server that does what the path asks for and remembers what it saw.

    /echo              the head of the request as it came, and size and hash of the body
    /bytes/N/SEED      N bytes, by Content-Length; also /chunked/N/SEED (with a trailer) and /until-close/N/SEED
    /broken/N          announces N + 1 bytes, sends N and breaks off
    /slow              answers once site.gate is open
    /slow-read         begins to read the body once site.gate is open, then like /echo
    /early             answers 413 and does not read the body
    /events            a line for each that is put into site.events, at once; None ends it

With a context for TLS it speaks that, and ends with a close_notify unless site.notifies is False.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
from typing import NamedTuple

from http1 import Body, Cut, Head, Peer, content


def secured(sock: socket.socket, tls: ssl.SSLContext | None) -> socket.socket | ssl.SSLSocket:
    """The server's side of TLS on it, where there is a context. An end without close_notify is an error there."""
    if not tls:
        return sock
    try:
        return tls.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False)
    except OSError:
        sock.close()
        raise


def notify(peer: Peer) -> None:
    """A close_notify alone: TCP stays open both ways."""
    timeout = peer.socket.gettimeout()
    with contextlib.suppress(OSError, ValueError):  # it would like to read the other side's too; or is closed
        peer.socket.setblocking(False)
        peer.socket.unwrap()
    if peer.socket.fileno() >= 0:
        peer.socket.settimeout(timeout)


class Seen(NamedTuple):
    connection: int  # the how-manieth
    head: Head
    body: Body


class Site:
    title = "the site"

    def __init__(self, path: object = None, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        """On a port of its own, or on this one, or on the Unix socket of this path."""
        self.tls, self.notifies = tls, True
        if path:
            self.server, self.port = socket.socket(socket.AF_UNIX), 0
            self.server.bind(str(path))
            self.server.listen(1024)
        else:
            self.server = socket.create_server(("127.0.0.1", port), backlog=1024)
            self.port = self.server.getsockname()[1]
        self.url = f"unix:{path}" if path else f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.connections = 0
        self.seen: list[Seen] = []
        self.spoken: list[str | None] = []  # ALPN of each connection
        self.failures: list[OSError] = []  # handshakes that came to nothing
        self.sent = 0  # bytes of bodies that the kernel has taken
        self.ends = False  # each connection, behind its first answer, without having said so
        self.gate = threading.Event()
        self.events: queue.Queue[bytes | None] = queue.Queue()
        self._peers: set[Peer] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def log(self) -> str:
        return "".join(f"#{s.connection} {s.head.first}, a body of {s.body.size} bytes\n" for s in list(self.seen))

    def end(self) -> None:
        self.gate.set()
        self.events.put(None)
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)  # the test may have done so
        self.server.close()
        for peer in list(self._peers):
            try:
                peer.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has gone already

    # ---- connections ----

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            if self.port:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            peer = Peer(secured(sock, self.tls))
        except OSError as e:
            self.failures.append(e)
            return
        self._peers.add(peer)
        if self.tls:
            self.spoken.append(peer.socket.selected_alpn_protocol())
        try:
            while (head := peer.head()) and self._answer(peer, number, head):
                pass
        except (Cut, OSError):
            pass  # whoever asked is gone
        self._peers.discard(peer)
        if self.tls and self.notifies:
            notify(peer)
        peer.close()

    def _answer(self, peer: Peer, number: int, head: Head) -> bool:
        """False: the connection ends here."""
        kind, *numbers = head.target.lstrip("/").split("/")
        if kind == "early":
            self.seen.append(Seen(number, head, Body()))
            peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 6\r\nConnection: close\r\n\r\nenough")
            return False
        if kind == "slow-read":
            self.gate.wait()
        if head.get("expect"):
            peer.send("HTTP/1.1 100 Continue\r\n\r\n")
        body = peer.body(head)
        self.seen.append(Seen(number, head, body))
        if kind == "slow":
            self.gate.wait()
        answer = getattr(self, f"_{kind.replace('-', '_')}", None)
        more = answer(peer, head, body, *map(int, numbers)) if answer else self._echo(peer, head, body)
        return more and not self.ends

    # ---- answers ----

    def _echo(self, peer: Peer, head: Head, body: Body, *_: int) -> bool:  # whatever else the path is
        text = head.raw + f"{body.size} {body.sha256}\n".encode()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        return True

    def _send_content(self, peer: Peer, n: int, seed: int) -> None:
        for piece in content(n, seed):
            for at in range(0, len(piece), 65536):
                peer.send(piece[at:at + 65536])
                self.sent += len(piece[at:at + 65536])

    def _bytes(self, peer: Peer, head: Head, body: Body, n: int, seed: int = 0) -> bool:
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n")
        if head.method != "HEAD":
            self._send_content(peer, n, seed)
        return True

    def _chunked(self, peer: Peer, head: Head, body: Body, n: int, seed: int = 0) -> bool:
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        for piece in content(n, seed):
            peer.send_chunk(piece)
        peer.send("0\r\nX-Sum: right\r\n\r\n")
        return True

    def _until_close(self, peer: Peer, head: Head, body: Body, n: int, seed: int = 0) -> bool:
        peer.send("HTTP/1.1 200 OK\r\n\r\n")
        self._send_content(peer, n, seed)
        return False

    def _broken(self, peer: Peer, head: Head, body: Body, n: int) -> bool:
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {n + 1}\r\n\r\n")
        self._send_content(peer, n, 0)
        return False

    def _events(self, peer: Peer, head: Head, body: Body, *_: int) -> bool:
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while (event := self.events.get()) is not None:
            peer.send_chunk(event)
        peer.send("0\r\n\r\n")
        return True
