"""dns-01 against BIND and Pebble: by a [provider] of the relay, and by that of an agent. Every name server of the zone has to show
a value before the CA is told; what others keep there stays; nothing of ours does."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Callable

import pytest

from authority import Authority, authorities  # noqa: F401 (a fixture)
from daemon import Daemon
from fake_agent import FakeAgent
from path import Front, WholePath, edges, fronts  # noqa: F401 (fixtures)
from pebble import Pebble, pebbles  # noqa: F401 (a fixture)
from programs import wait_until
from visitor import Visitor

CHALLENGE, FOREIGN = "_acme-challenge.a.test", "somebody else's"
ZONES = {"a.test": f'_acme-challenge TXT "{FOREIGN}"\n* A 127.0.0.1', "c.test": "_acme-challenge CNAME c.d.test.\n* A 127.0.0.1", "d.test": ""}


class At:
    """What Pebble is to ask, and the relay."""

    def __init__(self, server: Authority) -> None:
        self.address = f"{server.address}:53"


def section(name: str, keys: dict[str, object]) -> str:
    return "".join([f"[{name}]\n", *(f"{key} = {value}\n" for key, value in keys.items())])


def challenged(pebble: Pebble) -> int:
    return pebble.log().count("POST /chalZ/")


def cert(front: Front, name: str) -> dict[str, Any]:
    return next((site["cert"] for site in front.status()["domains"] if site["name"] == name), {"state": None})


def wait_valid(front: Front, name: str) -> None:
    wait_until(lambda: cert(front, name)["state"] == "valid", f"{name} is valid: {cert(front, name)}")


def test_by_the_relays_provider(authorities, fronts, started, pebbles):
    """A wildcard and its base have two values at one name. The second server is late: the CA hears nothing before it has them, and
    a relay that is killed meanwhile takes away what it had set when it starts again."""
    first, second = authorities(ZONES, 2)
    pebble = pebbles(dns=At(first), authz_reuse=0)
    front = fronts("a.test *.a.test c.test *.c.test")
    plain = front.relay.conf.read_text() + section("provider bind", {"type": "rfc2136", **first.keys()})
    acme = section("acme", {**pebble.keys(), "challenges": "dns-01", "dns": "bind"})
    front.relay.conf.write_text(plain + acme)
    front.start_relay()
    agent = FakeAgent(front.lane_socket, [("*.a.test", ["a.test"])])
    started.append(agent)
    agent.start()

    def ours() -> list[str]:
        return [value for value in first.values(CHALLENGE, "TXT") if value != FOREIGN]

    wait_until(lambda: len(ours()) == 1 and second.asked(CHALLENGE, "TXT") > 1, "the second server is waited for")
    assert challenged(pebble) == 0 and FOREIGN in first.values(CHALLENGE, "TXT")
    front.relay.kill()
    assert len(ours()) == 1
    front.relay.conf.write_text(plain)  # so that nothing is ordered
    front.start_relay()
    wait_until(lambda: not ours(), "the next start clears it")
    assert first.values(CHALLENGE, "TXT") == [FOREIGN]

    front.relay.conf.write_text(plain + acme)
    assert front.relay.post("/v1/reload").status == 200
    agent.leave()
    agent.start()
    for n in (1, 2):
        wait_until(lambda: len(ours()) == n, f"value {n} is set")
        assert challenged(pebble) == 0
        second.set(CHALLENGE, "TXT", FOREIGN, *ours())
    wait_valid(front, "*.a.test")
    assert sorted(cert(front, "*.a.test")["names"]) == ["*.a.test", "a.test"]
    wait_until(lambda: first.values(CHALLENGE, "TXT") == [FOREIGN], "both are cleared")
    with Visitor(front.port, pebble.root(), "x.a.test") as visitor:
        assert visitor.ask().status == 200


def test_by_a_cname(authorities, fronts, started, pebbles):
    """The name leads to a zone where nothing else is: the value is set there. A name server that is dead keeps nobody waiting."""
    only, dead = authorities(ZONES, 2)
    dead.stop()
    pebble = pebbles(dns=At(only), authz_reuse=0)
    front = fronts("*.c.test")
    front.relay.conf.write_text(front.relay.conf.read_text() + section("provider bind", {"type": "rfc2136", **only.keys()}) +
                                section("acme", {**pebble.keys(), "challenges": "http-01 dns-01", "dns": "bind"}))
    front.start_relay()
    agent = FakeAgent(front.lane_socket, ["*.c.test"])
    started.append(agent)
    agent.start()
    wait_valid(front, "*.c.test")
    assert only.asked("c.d.test", "TXT") > 0
    wait_until(lambda: not only.values("c.d.test", "TXT"), "it is cleared")


class House(WholePath):
    """An agent that keeps *.a.test at BIND; the relay has no credential."""

    def __init__(self, daemons: Callable[..., Daemon], started: list, folder: Path, bind: Authority, acme: dict[str, object]) -> None:
        self.bind, self.acme = bind, acme
        super().__init__(daemons, started, folder, services={"*.w.test": "http://127.0.0.1:1"})

    def start_relay(self) -> None:
        if "[acme]" not in self.relay.conf.read_text():
            self.relay.conf.write_text(self.relay.conf.read_text() + section("acme", self.acme))
        super().start_relay()

    def _agent_ini(self, agent: Daemon, folder: Path) -> str:
        text = super()._agent_ini(agent, folder) + section("provider bind", {"type": "rfc2136", **self.bind.keys()})
        text = text.replace("[agent]\n", f"[agent]\nresolvers = {self.bind.address}\n", 1)
        return text.replace("[domain *.w.test]\n", "[domain *.w.test]\nmode = none\ndns = bind\n", 1)


def test_by_an_agent(daemons, started, folder, authorities, pebbles):
    """The wildcard gets its certificate by the house's provider; a plain name, for which the agent sets nothing, says why not."""
    (bind,) = authorities({"w.test": "* A 127.0.0.1", "a.test": "@ A 127.0.0.1"})
    pebble = pebbles(dns=At(bind), authz_reuse=0)
    house = House(daemons, started, folder, bind, {**pebble.keys(), "challenges": "dns-01"})
    wait_valid(house, "*.w.test")
    wait_until(lambda: not bind.values("_acme-challenge.w.test", "TXT"), "it is cleared")
    assert house.agent.log().count("TXT record set for a relay") == 1
    wait_until(lambda: cert(house, "a.test")["last_error"], "a.test has failed")
    assert "claims no *.a.test" in cert(house, "a.test")["last_error"], cert(house, "a.test")

    def told() -> Any:
        certs = {domain["name"]: domain["certs"] for domain in house.agent.get("/v1/status").json["domains"]}
        states = {name: list_[0]["state"] if list_ else None for name, list_ in certs.items()}
        return states["*.w.test"] == "valid" and states["a.test"] not in (None, "valid") and certs

    certs = wait_until(told, "the agent is told")
    assert "claims no *.a.test" in certs["a.test"][0]["last_error"] and certs["*.w.test"][0]["not_after"]
