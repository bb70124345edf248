"""Somebody who takes alerts by HTTP, and answers as the test says.

    hook = Webhook(); started.append(hook)
    hook.answers(500, (429, {"Retry-After": "30"}))   # the next ones; then 200
    hook.got[0].fields["title"]; hook.got[0].body; hook.json()
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Got(NamedTuple):
    method: str
    path: str
    fields: dict[str, str]  # names in lower case
    body: bytes
    answered: int


class Webhook:
    title = "the webhook"

    def __init__(self, port: int = 0) -> None:
        self.got: list[Got] = []
        self._next: list[tuple[int, dict[str, str]]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, fields = hook._next.pop(0) if hook._next else (200, {})
                self.send_response(status)
                for name, value in {"Content-Length": "0", **fields}.items():
                    self.send_header(name, value)
                self.end_headers()
                hook.got.append(Got("POST", self.path, {k.lower(): v for k, v in self.headers.items()}, body, status))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, *statuses: Any) -> None:
        self._next += [s if isinstance(s, tuple) else (s, {}) for s in statuses]

    def json(self) -> list[dict[str, Any]]:
        """What it has taken."""
        return [json.loads(got.body) for got in self.got if got.answered == 200]

    def log(self) -> str:
        return "\n".join(map(str, self.got))

    def end(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
