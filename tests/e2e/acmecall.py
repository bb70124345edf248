"""One call to an ACME server at a time, by the very code of the relay (tests/acmecall/main.c), and who answers its challenges."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from programs import run


class Caller:
    """Caller(folder, pebble.keys(), www=…)("order", "a.test") -> {"class": "ok", "orders": 1, …}"""

    def __init__(self, folder: Path, conf: dict[str, object], **keys: object):
        asked = ("directory", "ca_file", "email", "eab_kid", "eab_key_file")
        self.folder = folder / "state" / "acme" / "test"
        self.folder.parent.parent.mkdir(exist_ok=True)
        self.keys = {**{k: v for k, v in conf.items() if k in asked}, "folder": self.folder, **keys}

    def __call__(self, *words: object, **keys: object) -> dict[str, Any]:
        return self.all(words, **keys)[0]

    def all(self, *calls: tuple, at_once: bool = False, **keys: object) -> list[dict[str, Any]]:
        """Several calls by one process, that is with one account in memory."""
        words: list[str] = []
        for call in calls:
            words += [*map(str, call), "and" if at_once else "then"]
        done = run("acmecall", *[f"{k}={v}" for k, v in {**self.keys, **keys}.items()], *words)
        assert done.code == 0, done.err
        assert not done.err, done.err
        return [json.loads(line) for line in done.out.splitlines()]


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.server.folder / self.path.rpartition("/")[2]
        there = self.path.startswith("/.well-known/acme-challenge/") and path.is_file()
        self.send_response(200 if there else 404)
        self.end_headers()
        self.wfile.write(path.read_bytes() if there else b"nothing here")

    def log_message(self, *_: object) -> None:
        pass


class Www(http.server.ThreadingHTTPServer):
    """Serves what is in its folder as answers of http-01."""

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), Answers)
        self.folder = folder
        folder.mkdir()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server_address[1]


@pytest.fixture
def www(folder: Path) -> Iterator[Www]:
    server = Www(folder / "www")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def callers(folder: Path, www: Www) -> Callable[..., Caller]:
    """callers(pebble, challenges="http-01") is ready to order from it; Pebble validates at www.port."""

    def make(pebble: Any, **keys: object) -> Caller:
        dns = f"http://127.0.0.1:{pebble.dns.management.getsockname()[1]}"
        return Caller(folder, pebble.keys(), www=www.folder, dns=dns, **keys)

    return make
