"""The admin listener of a daemon, on a port of the test's own."""

from __future__ import annotations

import base64
import http.client
import socket
from typing import NamedTuple

from daemon import reserve_port
from programs import PATIENCE_S


class Answer(NamedTuple):
    status: int
    fields: http.client.HTTPMessage
    text: str


class Place:
    """A port that nobody else gets while this lives."""

    def __init__(self) -> None:
        self.held = reserve_port()
        self.port = self.held.getsockname()[1]
        self.listen = f"127.0.0.1:{self.port}"

    def end(self) -> None:
        self.held.close()

    title = "the admin listener's port"

    def log(self) -> str:
        return ""

    def ask(self, target: str, method: str = "GET", host: str | None = None, password: str | None = None,
            user: str = "admin", body: bytes | None = None, fields: dict[str, str] | None = None) -> Answer:
        fields = {"Host": host or self.listen, **(fields or {})}
        if password is not None:
            fields["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        talk = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            talk.request(method, target, body=body, headers=fields)
            reply = talk.getresponse()
            return Answer(reply.status, reply.headers, reply.read().decode())
        finally:
            talk.close()

    def answers(self) -> bool:
        try:
            return self.ask("/healthz").status in (200, 401)
        except OSError:
            return False


def listening(place: Place) -> socket.socket:
    """Somebody else who listens there."""
    other = socket.socket()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    other.bind(("127.0.0.1", place.port))
    other.listen()
    return other
