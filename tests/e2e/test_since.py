"""Since when something is wrong: records and certificates say so, in JSON and in words, and a restart does not begin anew. And
commands that were given to the wrong daemon."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from daemon import Daemon
from dns_agent import DnsAgent
from dns_sim.base import Reply
from dns_sim.cloudflare import Cloudflare
from pairing import Pairing, pairing  # noqa: F401 (a fixture)
from path import fronts  # noqa: F401 (a fixture)
from programs import run, wait_until

WWW = "www.example.org"


def words(daemon: Daemon, *command: str) -> str:
    return run("tunnelctl", "--socket", daemon.socket, *command).out


def a_second_later() -> None:
    """Times are whole seconds; what began before this and what began after it differ."""
    time.sleep(1.1)


def test_a_record(daemons: Callable[..., Daemon], started: list, folder: Path) -> None:
    sim = Cloudflare(folder, "example.org")
    started.append(sim)
    evil = "no\x1b[2J"  # of a provider that writes to terminals
    refusal = Reply.json(403, {"success": False, "errors": [{"code": 10000, "message": evil}]})
    sim.fail(*[refusal] * 9)
    agent = DnsAgent(daemons, sim.kind, sim.keys()).site(WWW).start()
    failed = agent.wait(WWW, state="failed")
    since = failed["failing_since"]
    assert since and failed["last_error"]
    a_second_later()
    shown = words(agent.daemon, "status")
    assert re.search(rf"^  {WWW} A: .*; since [1-9]\d*s", shown, re.M), shown
    for command in (["status"], ["status", WWW], ["dns"]):
        assert "\x1b" not in words(agent.daemon, *command) and "; since " in words(agent.daemon, *command)
    agent.daemon.stop()
    agent.start()
    assert wait_until(lambda: agent.records().get((WWW, "A")), "it is known")["failing_since"] == since
    assert agent.record(WWW)["state"] == "failed"  # the provider is not asked again, and it is said why
    sim.next.clear()
    agent.providers["main"]["zone"] = "example.org"  # a person looks into it
    agent.reload()
    assert agent.wait(WWW)["failing_since"] is None


def test_a_certificate(fronts: Callable[..., Any]) -> None:  # noqa: F811
    front = fronts("a.test")
    conf = front.relay.conf.read_text()
    front.relay.conf.write_text(f"{conf}[acme]\ndirectory = https://127.0.0.1:9/dir\npreflight = off\n"
                                "[domain a.test]\nupstream = 127.0.0.1:9\n")

    def cert() -> dict[str, Any]:
        return front.status()["domains"][0]["cert"]

    front.start_relay()
    wait_until(lambda: cert()["state"] == "failing", "it fails")
    since = cert()["failing_since"]
    assert since
    a_second_later()
    assert front.relay.post("/v1/certs/a.test/renew").status != 200  # it fails once more
    assert cert()["failing_since"] == since
    for command in (["status"], ["status", "a.test"]):
        assert re.search(r"certificate: failing: .*; since [1-9]\d*s", words(front.relay, *command), re.M)
    assert re.search(r"^  a.test: tried \d+s ago: .*; since [1-9]\d*s$", words(front.relay, "certs"), re.M)
    front.relay.stop()
    front.start_relay()
    assert cert()["failing_since"] == since and cert()["last_error"]
    front.relay.stop()
    front.relay.conf.write_text(f"{conf}[acme]\nissuer = internal\n[domain a.test]\nupstream = 127.0.0.1:9\n")
    front.start_relay()
    assert cert()["failing_since"] is None


def test_a_domains_state(pairing: Pairing) -> None:  # noqa: F811
    """Of the site, and not of its agent, which comes to a state long before or after it."""
    house = pairing.new_agent()
    assert pairing.join(house, pairing.invite("pi", "a.test b.test")).code == 0
    alone = house.conf.read_text()

    def since(state: str, name: str = "b.test") -> str:
        wait_until(lambda: pairing.site_state(name) == state, f"{name} is {state}")
        return next(site["since"] for site in pairing.relay.get("/v1/status").json["domains"] if site["name"] == name)

    def claim(conf: str) -> None:
        a_second_later()
        house.conf.write_text(conf)
        assert house.post("/v1/reload").status == 200

    first, pending = since("up", "a.test"), since("pending")
    claim(f"{alone}[domain b.test]\nservice = {pairing.site.url}\n")
    up = since("up")
    assert up > pending
    assert re.search(r"^  state +up, for \d+m? ?\d*s$", words(pairing.relay, "status", "b.test"), re.M)
    a_second_later()
    pairing.configure_relay(park="3s")
    assert pairing.relay.post("/v1/reload").status == 200
    assert (since("up"), since("up", "a.test")) == (up, first)
    claim(alone)
    again = since("pending")
    assert again > up and since("up", "a.test") == first
    a_second_later()
    house.stop()
    down, expected = since("down", "a.test"), since("expected")
    assert down > first and expected > again
    a_second_later()
    visit = threading.Thread(target=pairing.visit)
    visit.start()
    assert since("parked", "a.test") == down
    visit.join()
    assert since("down", "a.test") == down  # as it was all the while


def test_a_site_that_the_relay_refuses(pairing: Pairing) -> None:  # noqa: F811
    """Visitors get nothing there, so it is wrong at home, too."""
    house = pairing.new_agent(domain="b.test")
    assert pairing.join(house, pairing.invite("pi", "a.test")).code == 0
    wait_until(lambda: house.get("/v1/status").json["domains"][0]["claim"] == "refused", "it is refused")
    done = run("tunnelctl", "--socket", house.socket, "status")
    assert done.code == 1 and run("tunnelctl", "--socket", house.socket, "--json", "status").code == 1
    assert re.search(r"^  b.test: refused by the relay: agent pi may not serve b.test: add it to .*; since \d+s$", done.out, re.M), done
    assert run("tunnelctl", "--socket", house.socket, "status", "b.test").code == 1


@pytest.mark.parametrize("at, commands", [
    ("agent", [["agents"], ["certs"], ["certs", "renew", "a.test"], ["revoke", "pi"], ["log"],
               ["invite", "pi", "--domains", "a.test"]]),
    ("relay", [["dns"], ["dns", "sync"]]),
])
def test_a_command_for_the_other_daemon(daemons: Callable[..., Daemon], at: str, commands: list[list[str]]) -> None:
    daemon = daemons(at).start()
    wanted, option = ("tunnel-relay", "--relay") if at == "agent" else ("tunnel-agent", "--agent")
    for command in commands:
        done = run("tunnelctl", "--socket", daemon.socket, *command)
        assert done.code == 1, done
        assert f"tunnelctl: {command[0]} is a command for {wanted}, and tunnel-{at} answers here; run it on" in done.err, done
        assert option in done.err and "/v1/" not in done.err
    assert run("tunnelctl", "--socket", daemon.socket, "status").code == 0
