"""What can go wrong with a reply: sim.fault("newOrder", FAULT, times=3).

A fault is called with (sim, request, go): go() does what was asked for and returns the reply. It returns the reply that is
sent: a Reply, perhaps with cut (so many bytes of the body, then the connection is closed) or drip (bytes a second); or None, no
reply at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

PROBLEM = "urn:ietf:params:acme:error:"
HTML = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>ok, success, valid</body></html>"


@dataclass
class Reply:
    status: int
    body: bytes = b""
    type: str = "application/json"
    fields: list[tuple[str, str]] = field(default_factory=list)
    cut: Optional[int] = None
    drip: float = 0
    chunked: bool = False  # and an interim response before it
    keeps_nonce: bool = True  # a fresh one is added to it


Go = Callable[[], Reply]
Fault = Callable[[Any, Any, Go], Optional[Reply]]


def problem_reply(status: int, type: str, detail: str, retry_after: Any = None, **more: Any) -> Reply:
    body = {"type": PROBLEM + type, "detail": detail, "status": status, **more}
    return Reply(status, json.dumps(body).encode(), "application/problem+json",
                 [("Retry-After", str(retry_after))] if retry_after is not None else [])


def problem(status: int, type: str, detail: str = "as the script says", retry_after: Any = None, **more: Any) -> Fault:
    """Instead of doing anything. retry_after: seconds, or the text of the field, such as sim.date(5)."""
    return lambda sim, request, go: problem_reply(status, type, detail, retry_after, **more)


def text(status: int, body: bytes = b"", type: str = "text/plain", retry_after: Any = None) -> Fault:
    """What a proxy in front of it may say, which knows nothing of nonces."""
    fields = [("Retry-After", str(retry_after))] if retry_after is not None else []
    return lambda sim, request, go: Reply(status, body, type, list(fields), keeps_nonce=False)


def html(status: int) -> Fault:
    return text(status, HTML, "text/html; charset=utf-8")


def redirect(to: str, status: int = 302) -> Fault:
    return lambda sim, request, go: Reply(status, b"", "text/html", [("Location", to)], keeps_nonce=False)


def changed(how: Callable[[dict], Any]) -> Fault:
    """It is done, and what is said of it is changed: how gets the JSON, changes it in place or returns another."""

    def fault(sim: Any, request: Any, go: Go) -> Reply:
        reply = go()
        value = json.loads(reply.body)
        other = how(value)
        reply.body = json.dumps(value if other is None else other).encode()
        return reply

    return fault


def deep(levels: int = 100_000) -> Fault:
    def fault(sim: Any, request: Any, go: Go) -> Reply:
        reply = go()
        reply.body = b'{"a":' + b"[" * levels + b"]" * levels + b"}"
        return reply

    return fault


def _of(make: Callable[[Reply], Any]) -> Fault:
    """It is done, and make changes the reply."""

    def fault(sim: Any, request: Any, go: Go) -> Optional[Reply]:
        reply = go()
        return reply if make(reply) is not False else None

    return fault


def _set(**values: Any) -> Fault:
    return _of(lambda reply: reply.__dict__.update(values))


LOST = _of(lambda reply: False)  # done, and the connection is reset
CUT = _of(lambda reply: setattr(reply, "cut", len(reply.body) // 2))  # announced whole, ends in the middle
TRUNCATED = _of(lambda reply: setattr(reply, "body", reply.body[:len(reply.body) * 2 // 3]))  # well delivered, and half of it
DRIP = _set(drip=0.5)  # two bytes a second
HUGE = _of(lambda reply: setattr(reply, "body", reply.body + b" " * (8 << 20)))
WRONG_TYPE = _set(type="text/plain")
NOT_JSON = _set(body=b"It works!", type="application/json")
BINARY = _set(body=b'{"status":"\xff\xfe\x00"}')


def STALE(sim: Any, request: Any, go: Go) -> Reply:  # noqa: N802 (one of the above)
    """The nonce is not liked, though it was good."""
    return problem_reply(400, "badNonce", "stale nonce, as the script says")
