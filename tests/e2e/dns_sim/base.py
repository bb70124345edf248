"""What simulators share: an HTTPS server, routes, zones with records, rate limits, faults, and a list of violations.

A simulator is strict: a call that the provider's documentation does not allow (unknown path, wrong method, missing or
wrong header, body of another shape, a request too early) is a *violation*, and a test that has one fails. How to write one:

    class Example(Simulator):
        kind, prefix = "example", "/v1"                  # [provider] type, and what its URLs begin with
        limit = (30, 60.0)                               # requests in seconds; None: there is none
        def credential(self, request): ...               # None when right, or the Reply that the provider gives; every call
        @route("GET", r"/zones/([^/]+)/records")
        def records(self, request, zone): return Reply.json(200, {...})
        def errors(self): return {"auth": [Reply...], "throttled": [...], ...}   # documented error bodies, by our class
"""

from __future__ import annotations

import collections
import http.server
import itertools
import json
import re
import socket
import ssl
import struct
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Optional
from urllib.parse import parse_qsl, unquote, urlsplit

from x509 import make_pair

HTML = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body>good, ok, success, please log in</body></html>"


@dataclass
class Request:
    method: str
    path: str  # as it was sent, without prefix and query
    target: str  # all of it
    query: list[tuple[str, str]]
    headers: Any  # case-insensitive
    body: bytes
    at: float

    def json(self) -> Any:
        return json.loads(self.body)

    def one(self, name: str) -> Optional[str]:
        """The only value of a query parameter; None when it is not there."""
        found = [value for key, value in self.query if key == name]
        assert len(found) <= 1, f"{name} is given {len(found)} times"
        return found[0] if found else None


@dataclass
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def json(status: int, value: Any, **headers: str) -> "Reply":
        return Reply(status, json.dumps(value).encode(),
                     {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}})

    @staticmethod
    def text(status: int, text: str, **headers: str) -> "Reply":
        return Reply(status, text.encode(), {"Content-Type": "text/plain", **{k.replace("_", "-"): v for k, v in headers.items()}})

    @staticmethod
    def html(status: int = 200) -> "Reply":
        return Reply(status, HTML, {"Content-Type": "text/html"})


@dataclass
class Record:
    id: str
    name: str  # whole, without a dot at its end
    type: str
    content: str
    ttl: int
    more: dict[str, Any] = field(default_factory=dict)  # what the provider keeps besides: proxied, comment, ...


class Zone:
    def __init__(self, name: str, id: str, ids: Iterator[str]):
        self.name, self.id, self.ids = name, id, ids
        self.records: list[Record] = []

    def whole(self, name: str) -> str:
        """The whole name of one relative to the zone ("" and "@" are its apex)."""
        return self.name if name in ("", "@") else f"{name}.{self.name}"

    def relative(self, name: str, apex: str = "@") -> str:
        return apex if name == self.name else name[: -len(self.name) - 1]

    def covers(self, name: str) -> bool:
        return name == self.name or name.endswith("." + self.name)

    def add(self, name: str, type: str, content: str, ttl: int = 300, **more: Any) -> Record:
        record = Record(next(self.ids), self.whole(name) if not self.covers(name) else name, type, content, ttl, more)
        self.records.append(record)
        return record

    def find(self, name: Optional[str] = None, type: Optional[str] = None) -> list[Record]:
        return [r for r in self.records if name in (None, r.name) and type in (None, r.type)]

    def by_id(self, id: str) -> Optional[Record]:
        return next((r for r in self.records if r.id == id), None)

    def values(self, name: str, type: str) -> list[str]:
        """For tests: sorted, TXT without quotes; the name whole or relative."""
        name = name if self.covers(name) else self.whole(name)
        return sorted(r.content.strip('"').replace('" "', "") for r in self.find(name, type))

    def replace(self, name: str, type: str, contents: Iterable[str], ttl: int, **more: Any) -> None:
        self.records = [r for r in self.records if (r.name, r.type) != (name, type)]
        for content in contents:
            self.add(name, type, content, ttl, **more)


def route(method: str, pattern: str) -> Callable:
    """The whole path behind the prefix; groups become arguments, unquoted."""

    def mark(function: Callable) -> Callable:
        function.__dict__.setdefault("routes", []).append((method, re.compile(pattern)))
        return function

    return mark


class Violation(AssertionError):
    """Raised by a simulator's own code, or by any failed assert in it."""


class Simulator:
    kind = ""
    prefix = ""
    limit: Optional[tuple[int, float]] = None
    min_gap_s = 0.0  # between two requests
    secrets: dict[str, str] = {}  # key of [provider] that names a file -> what is in it
    more: dict[str, str] = {}  # further keys of [provider]

    def __init__(self, folder: Path, *zones: str, pair: Any = None, tls: bool = True):
        self.folder = folder
        self.title = f"simulator of {self.kind}"
        self.pair = pair or make_pair(folder, f"sim-{self.kind}", ["127.0.0.1", "localhost"])
        self.ca = self.pair.cert
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self.next: collections.deque[Callable[[Request], Optional[Reply]]] = collections.deque()
        self.times: collections.deque[float] = collections.deque()
        self.throttled = 0
        self.may_be_throttled = False
        self.lock = threading.RLock()
        self.counter = itertools.count(1000)
        self.zones = {name: Zone(name, self.zone_id(name), self.ids()) for name in zones}
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.pair.cert, self.pair.key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.origin = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.url = self.origin + self.prefix
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    # ---- what a provider's class says ----

    def zone_id(self, name: str) -> str:
        return name

    def ids(self) -> Iterator[str]:
        return (str(n) for n in self.counter)

    def credential(self, request: Request) -> Optional[Reply]:
        """None when it is right; the provider's refusal when it is wrong. A missing one is a violation."""
        return None

    def throttle(self) -> Reply:
        return Reply.json(429, {"message": "Too many requests"}, retry_after="7")

    def missing(self) -> Reply:
        return Reply.json(404, {"message": "Not found"})

    def errors(self) -> dict[str, list[Reply]]:
        """Documented failures, by the class that they are to us."""
        return {}

    # ---- what tests use ----

    def keys(self) -> dict[str, str]:
        """Of the [provider] section, with secret files written."""
        keys = {"url": self.url, "ca_file": str(self.ca), **self.more}
        for key, secret in self.secrets.items():
            path = self.folder / f"{self.kind}.{key}"
            path.touch(mode=0o600)
            path.write_text(secret + "\n")
            keys[key] = str(path)
        return keys

    def fail(self, *replies: Any) -> None:
        """The next requests get these, whatever they are: a Reply, or a function of the request (None: as usual)."""
        self.next.extend(r if callable(r) else (lambda request, r=r: r) for r in replies)

    @property
    def writes(self) -> list[Request]:
        return [r for r in self.requests if r.method not in ("GET", "HEAD")]

    def log(self) -> str:
        return "\n".join(f"{r.method} {r.target} {r.body[:300]!r}" for r in self.requests[-60:])

    def end(self) -> str:
        self.server.shutdown()
        self.server.server_close()
        return "\n".join(f"{self.title}: {v}" for v in self.violations)

    # ---- one request ----

    def handler(sim) -> type:  # noqa: N805 (the handler's own self is inside)
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                self.request.settimeout(30)
                super().setup()

            def handle(self) -> None:
                try:
                    super().handle()
                except (OSError, ssl.SSLError):
                    pass  # the other end went away, or does not trust us

            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                reply = sim.answer(self.command, self.path, self.headers, body)
                if reply is None:  # a connection that breaks
                    self.close_connection = True
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do

            def log_message(self, *args: object) -> None:
                pass

        return Handler

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> Optional[Reply]:
        parts = urlsplit(target)
        request = Request(method, parts.path, target, parse_qsl(parts.query, keep_blank_values=True), headers, body,
                          time.monotonic())
        with self.lock:
            self.requests.append(request)
            try:
                if self.next:
                    fault = self.next.popleft()(request)
                    if fault is not None:
                        return None if fault == "break" else fault
                return self.dispatch(request)
            except Exception as wrong:  # an assert of a simulator, or what a malformed request breaks
                where = traceback.extract_tb(wrong.__traceback__)[-1]
                self.violations.append(f"{method} {target} {body[:200]!r}: {wrong!r} ({where.name}:{where.lineno})")
                return Reply.text(400, "the simulator does not allow this")

    def dispatch(self, request: Request) -> Optional[Reply]:
        assert request.headers.get("User-Agent", "").startswith("tunnel-"), "no User-Agent of ours"
        refused = self.pace(request) or self.credential(request)
        if refused:
            return refused
        assert request.path.startswith(self.prefix), f"path does not begin with {self.prefix}"
        request.path = request.path[len(self.prefix):]
        for function in self.functions():
            for method, pattern in getattr(function, "routes", ()):
                match = pattern.fullmatch(request.path)
                if match and method == request.method:
                    return function(request, *map(unquote, match.groups()))
        raise Violation(f"there is no {request.method} {request.path}")

    def functions(self) -> list[Callable]:
        return [getattr(self, name) for name in dir(type(self)) if hasattr(getattr(type(self), name, None), "routes")]

    def pace(self, request: Request) -> Optional[Reply]:
        if self.times and request.at - self.times[-1] < self.min_gap_s - 0.05:
            raise Violation(f"{request.at - self.times[-1]:.2f} s after the request before")
        self.times.append(request.at)
        if not self.limit:
            return None
        while self.times[0] < request.at - self.limit[1]:
            self.times.popleft()
        if len(self.times) <= self.limit[0]:
            return None
        self.throttled += 1
        if not self.may_be_throttled:
            self.violations.append(f"more than {self.limit[0]} requests in {self.limit[1]:g} s")
        return self.throttle()

    def zone_of(self, id: str) -> Zone:
        return next(zone for zone in self.zones.values() if zone.id == id)
