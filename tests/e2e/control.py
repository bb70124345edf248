"""Raw HTTP over a control socket: sends any bytes, whole or in pieces, and reads the answers one by one."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, NamedTuple

from programs import PATIENCE_S


class Reply(NamedTuple):
    version: str
    status: int
    fields: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request_bytes(method: str, target: str, body: bytes = b"", close: bool = False, fields: str = "") -> bytes:
    fields += "Connection: close\r\n" if close else ""
    fields += f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/1.1\r\nHost: tunnel\r\n{fields}\r\n".encode() + body


class Connection:
    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))  # before the timeout: with one, a full queue is an error and not waited for
        self.socket.settimeout(PATIENCE_S)
        self._in = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_what_it_takes(self, data: bytes) -> None:
        """The daemon may refuse and close before all is sent."""
        try:
            self.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def finish(self) -> None:
        """Nothing more will be sent."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the daemon was faster

    def reply(self, has_body: bool = True) -> Reply | None:
        """The next answer; None when the daemon closes the connection instead."""
        try:
            first = self._in.readline()
            if not first:
                return None
            version, status = first.decode().split(" ", 2)[:2]
            fields = {}
            while (line := self._in.readline()) != b"\r\n":
                assert line.endswith(b"\r\n"), f"the head of the answer is cut short: {line!r}"
                name, _, value = line.decode().partition(":")
                fields[name.lower()] = value.strip()
            body = self._in.read(int(fields["content-length"])) if has_body else b""
        except ConnectionResetError:
            return None
        return Reply(version, int(status), fields, body)

    def ask(self, method: str, target: str, body: bytes = b"") -> Reply:
        self.send(request_bytes(method, target, body))
        reply = self.reply(has_body=method != "HEAD")
        assert reply, f"{method} {target}: no answer"
        return reply

    def closed(self) -> bool:
        """Waits for the end of the connection; what else arrives is wrong."""
        try:
            return self._in.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._in.close()
        self.socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask(path: Path, method: str, target: str, body: bytes = b"") -> Reply:
    with Connection(path) as connection:
        return connection.ask(method, target, body)
