"""Services that are told addresses by a URL and cannot be asked: against strict simulators, by one call and by the agent.

A service is a row of SERVICES; its simulator has `known`, a dict of names to what it was told."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from clock import Clock
from daemon import Daemon
from dns_agent import DnsAgent
from dns_sim.base import Reply, Simulator
from dns_sim.dyndns2 import Dyn, Dyndns2, NoIp, Strato
from dnscall import Caller
from programs import wait_until

WWW = "www.example.org"
V4, V6 = "192.0.2.1", "2001:db8::1"
SERVICES = [Dyndns2, Dyn, NoIp, Strato]


@pytest.fixture(params=SERVICES, ids=lambda s: s.kind)
def sim(request: pytest.FixtureRequest, started: list, folder: Path) -> Simulator:
    started.append(request.param(folder))
    started[-1].known[WWW] = ()
    return started[-1]


@pytest.fixture
def dyndns2(started: list, folder: Path) -> Dyndns2:
    started.append(Dyndns2(folder))
    started[-1].known[WWW] = ()
    return started[-1]


@pytest.fixture
def agent(daemons: Callable[..., Daemon], dyndns2: Dyndns2) -> DnsAgent:
    return DnsAgent(daemons, dyndns2.kind, dyndns2.keys())


def test_updates(sim: Simulator) -> None:
    call = Caller.of(sim)
    assert call("update", WWW, V4, V6)["class"] == "ok" and sim.known[WWW] == (V4, V6)
    assert call("update", WWW, V4, V6)["class"] == "nochange"
    assert call("update", WWW, V4, "-")["class"] == "ok" and sim.known[WWW] == (V4,)
    assert call("update", WWW, "-", V6)["class"] == "ok" and sim.known[WWW] == (V6,)
    assert call("update", "nobody.example.org", V4, "-")["class"] == "config"


def test_every_error_class(sim: Simulator) -> None:
    call = Caller.of(sim)
    for cls, replies in sim.errors().items():
        for reply in replies:
            sim.fail(reply)
            answer = call("update", WWW, V4, "-")
            assert answer["class"] == cls and len(answer["text"]) > 20, (reply, answer)
    sim.fail(Reply.text(200, "good 127.0.0.1"))
    assert call("update", WWW, V4, "-")["class"] == "auth"


@pytest.mark.parametrize("fault, cls", [
    (Reply.html(), "badreply"), (Reply.text(200, ""), "badreply"), (Reply(500), "transient"), ("break", "transient"),
    (Reply(204), "badreply"), (Reply(302, b"good", {"Location": "https://127.0.0.1:1/"}), "badreply"),
], ids=["html", "empty", "500", "reset", "204", "redirect"])
def test_faults_are_never_a_success(sim: Simulator, fault: Any, cls: str) -> None:
    sim.fail(fault if isinstance(fault, Reply) else lambda request: fault)
    assert Caller.of(sim)("update", WWW, V4, V6)["class"] == cls and sim.known[WWW] == ()


def test_words_of_its_own(dyndns2: Dyndns2) -> None:
    dyndns2.fail(Reply.text(200, "OK Updated"))
    assert Caller.of(dyndns2, success="OK")("update", WWW, V4, "-")["class"] == "ok"


def test_the_agent_tells_it_once(agent: DnsAgent, dyndns2: Dyndns2) -> None:
    agent.site(WWW).start()
    agent.wait(WWW), agent.wait(WWW, "AAAA")
    assert dyndns2.known[WWW] == (V4, V6) and len(dyndns2.requests) == 1
    for _ in range(5):
        agent.daemon.stop()
        agent.start()
        assert agent.record(WWW)["state"] == "ok"
    agent.reload()
    assert len(dyndns2.requests) == 1
    agent.address["sources"] = f"fixed:192.0.2.2 fixed:{V6}"
    agent.reload()
    wait_until(lambda: dyndns2.known[WWW] == ("192.0.2.2", V6), "it is told")
    agent.wait(WWW)
    agent.sites.clear()
    agent.reload()  # nothing can be deleted there
    assert "cannot be deleted there" in agent.daemon.log() and len(dyndns2.requests) == 2


def test_a_family_that_is_not_known_is_not_told(agent: DnsAgent, dyndns2: Dyndns2) -> None:
    agent.address["sources"] = f"fixed:{V4}"
    agent.site(WWW).start()
    agent.wait(WWW)
    assert dyndns2.known[WWW] == (V4,) and agent.record(WWW, "AAAA")["state"] == "waiting"


def test_once_a_month_it_is_told_anyway(agent: DnsAgent, dyndns2: Dyndns2, folder: Path) -> None:
    agent.site(WWW).start()
    agent.wait(WWW), agent.wait(WWW, "AAAA")
    agent.daemon.stop()
    clock = Clock(folder)
    clock.jump(27 * 86400)
    agent.start(env=clock.environment)
    agent.daemon.stop()
    assert len(dyndns2.requests) == 1
    dyndns2.fail(lambda request: Reply.text(200, f"nochg {V4},{V6}"))  # its certificate is good for 30 days
    memory = json.loads(agent.memory())
    memory["names"][0]["told"] -= 29 * 86400
    (agent.daemon.state_dir / "dns.json").write_text(json.dumps(memory))
    agent.start()
    wait_until(lambda: len(dyndns2.requests) == 2, "it is told again")
    time.sleep(0.5)
    agent.daemon.stop()
    agent.start()
    time.sleep(0.5)
    assert len(dyndns2.requests) == 2


def test_abuse_stops_it_for_a_day(agent: DnsAgent, dyndns2: Dyndns2) -> None:
    dyndns2.known["b.example.org"] = ()
    dyndns2.fail(Reply.text(200, "abuse"))
    agent.site(WWW).site("b.example.org").start()
    wait_until(lambda: agent.provider()["state"] == "abuse", "it is stopped")
    assert "unblocked" in agent.record(WWW)["last_error"]
    agent.daemon.stop()
    agent.start()
    assert agent.sync()["errors"]
    assert agent.provider()["state"] == "abuse" and len(dyndns2.requests) == 1


def test_a_name_it_has_not_concerns_no_other(agent: DnsAgent, dyndns2: Dyndns2) -> None:
    agent.site("a.example.org").site(WWW).start()
    agent.wait(WWW)
    assert "nohost" in agent.wait("a.example.org", state="failed")["last_error"]
    for _ in range(3):
        agent.daemon.stop()
        agent.start()
        assert agent.wait("a.example.org", state="failed")
    assert len(dyndns2.requests) == 2
