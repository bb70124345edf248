"""Certificates that look after themselves: a claim, Pebble, and visitors who are served."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from fake_agent import FakeAgent
from path import DOMAIN, Front, edges, fronts
from pebble import Pebble, pebbles
from programs import PATIENCE_S, run, wait_until
from visitor import Visitor, connect, context


def section(name: str, keys: dict[str, object]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in keys.items()), ""])


class Certs:
    """A relay on ports that Pebble validates at, and what it says of its certificates."""

    def __init__(self, fronts: Callable[..., Front], pebbles: Callable[..., Pebble], started: list, domains: str, items: list,
                 acme: dict[str, object] | None = None, pebble: dict[str, Any] | None = None, more: str = "", may: str = "",
                 **keys: object) -> None:
        self.http = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.https = socket.create_server(("127.0.0.1", 0), backlog=1024)
        http, https = (s.getsockname()[1] for s in (self.http, self.https))
        self.http_port = http
        self.pebble = pebbles(http_port=http, tls_port=https, **(pebble or {}))
        self.front = fronts(domains, inherited=[self.http, self.https], listen_https=f"127.0.0.1:{https}",
                            listen_http=f"127.0.0.1:{http}", **keys)
        self.front.port = https
        self.relay, self.more = self.front.relay, more
        self.plain = self.relay.conf.read_text() + may
        self.configure(**(acme or {}))
        self.front.start_relay()
        self.agent = FakeAgent(self.front.lane_socket, items)
        started.append(self.agent)
        self.agent.start()

    def configure(self, **acme: object) -> None:
        self.relay.conf.write_text(self.plain + section("acme", {**self.pebble.keys(), **acme}) + self.more)

    def reload(self, **acme: object) -> None:
        self.configure(**acme)
        reply = self.relay.post("/v1/reload")
        assert reply.status == 200, reply

    def cert(self, name: str = DOMAIN) -> dict[str, Any]:
        return next((site["cert"] for site in self.front.status()["domains"] if site["name"] == name), {"state": None})

    def listed(self, name: str = DOMAIN) -> dict[str, Any]:
        return next(cert for cert in self.relay.get("/v1/certs").json["certs"] if cert["name"] == name)

    def wait(self, state: str, name: str = DOMAIN) -> dict[str, Any]:
        wait_until(lambda: self.cert(name)["state"] == state, f"{name} is {state}: {self.cert(name)}")
        return self.cert(name)

    def serial(self, name: str = DOMAIN) -> str:
        return self.listed(name)["certificates"][0]["serial"]

    def visit(self, name: str = DOMAIN, host: str | None = None) -> int:
        """Whoever trusts Pebble's root alone."""
        with Visitor(self.front.port, self.pebble.root(), name, host=host) as visitor:
            return visitor.ask().status

    def restart(self) -> None:
        self.relay.stop()
        self.front.start_relay()
        self.agent.start()


@pytest.fixture
def certs(fronts: Callable[..., Front], pebbles: Callable[..., Pebble], started: list) -> Iterator[Callable[..., Certs]]:
    made: list[Certs] = []

    def make(domains: str = DOMAIN, items: list | None = None, **how: Any) -> Certs:
        made.append(Certs(fronts, pebbles, started, domains, items or domains.split(), **how))
        return made[-1]

    yield make
    for one in made:
        one.http.close()
        one.https.close()


def test_a_claim_is_enough(certs: Callable[..., Certs]) -> None:
    c = certs("a.test www.a.test", [(DOMAIN, ["www.a.test"])], acme={"challenges": "tls-alpn-01"})
    cert = c.wait("valid")
    assert (cert["issuer"], sorted(cert["names"]), cert["last_error"]) == ("acme", ["a.test", "www.a.test"], None)
    wait_until(lambda: c.front.site_state() == "up", "the site is up")
    assert c.visit() == 200 and c.visit("www.a.test") == 200
    folder = c.relay.state_dir / "certs" / DOMAIN
    for name in ("fullchain.pem", "privkey.pem", "meta.json"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    orders = c.pebble.orders()
    assert orders == 1
    c.restart()
    wait_until(lambda: c.front.site_state() == "up", "the site is up again")
    assert c.visit() == 200
    assert c.cert()["state"] == "valid" and c.pebble.orders() == orders
