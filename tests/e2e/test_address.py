"""The house's public address, out of what several say: quorum, refusals, flapping, failures. The voices are programs
(`command:`) that print what a test wants; test_address_net.py has real routers, interfaces, web services and name servers."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from daemon import Daemon
from dns_agent import DnsAgent
from dns_sim.cloudflare import Cloudflare
from path import WholePath, path  # noqa: F401
from programs import wait_until

ZONE = "example.org"
WWW = f"www.{ZONE}"
ONE, TWO, THREE = "81.2.69.1", "81.2.69.2", "81.2.69.3"  # public ones; nobody is sent there
SIX, SEVEN = "2a02:ff0:1:2::6", "2a02:ff0:1:3::7"


class Voice:
    """A program that prints what its file says, and counts how often it is asked."""

    def __init__(self, folder: Path, name: str, says: str) -> None:
        self.program, self.text, self.asked = folder / name, folder / f"{name}.text", folder / f"{name}.asked"
        self.say(says)
        self.asked.touch()
        self.script(f"cat {self.text}")

    def say(self, text: str) -> None:
        new = self.text.with_suffix(".new")
        new.write_text(text.replace(" ", "\n") + "\n")
        new.rename(self.text)

    def script(self, text: str) -> None:
        new = self.program.with_suffix(".new")
        new.write_text(f"#!/bin/sh\necho x >> {self.asked}\n{text}\n")
        new.chmod(0o755)
        new.rename(self.program)

    @property
    def times(self) -> int:
        return len(self.asked.read_text().splitlines())

    @property
    def word(self) -> str:
        return f"command:{self.program}"


def sources(daemon: Daemon, family: str = "ipv4") -> dict[str, dict[str, Any]]:
    return {s["name"]: s for s in daemon.get("/v1/status").json["public"]["sources"] if s["family"] == family}


def public(daemon: Daemon, family: str = "v4") -> str | None:
    return daemon.get("/v1/status").json["public"][family]


@pytest.fixture
def sim(started: list, folder: Path) -> Cloudflare:
    started.append(Cloudflare(folder, ZONE))
    return started[-1]


@pytest.fixture
def voices(folder: Path) -> Callable[..., list[Voice]]:
    return lambda *says: [Voice(folder, f"voice{i}", text) for i, text in enumerate(says)]


@pytest.fixture
def agent(daemons: Callable[..., Daemon], sim: Cloudflare) -> Callable[..., DnsAgent]:
    def make(voices: list[Voice], *words: str, **keys: object) -> DnsAgent:
        made = DnsAgent(daemons, sim.kind, sim.keys(), log_level="debug")
        made.address = {"sources": " ".join([*words, *(v.word for v in voices)]), "interval": "1s",
                        **{k: str(v) for k, v in keys.items()}}
        return made.site(WWW)

    return make


def values(sim: Cloudflare, type: str) -> list[str]:
    return sorted(r.content for r in sim.zones[ZONE].records if r.name == WWW and r.type == type)


def test_a_quorum_of_voices_is_published_for_each_family(agent: Callable, voices: Callable, sim: Cloudflare) -> None:
    told = voices(f"{ONE} {SIX}", f"{ONE} {SIX}", TWO)
    a = agent(told).start()
    assert a.wait(WWW)["wanted"] == [ONE] and a.wait(WWW, "AAAA")["wanted"] == [SIX]
    assert values(sim, "A") == [ONE] and values(sim, "AAAA") == [SIX]
    said = sources(a.daemon)
    assert [said[v.word]["said"] for v in told] == [ONE, ONE, TWO]
    assert all(s["checked"] and s["next"] and not s["why"] for s in said.values())
    assert "no IPv6" in sources(a.daemon, "ipv6")[told[2].word]["why"]
    assert a.daemon.get("/v1/dns").json["public"]["v6"] == SIX


def test_disagreement_is_reported_and_nothing_is_guessed(agent: Callable, voices: Callable, sim: Cloudflare) -> None:
    told = voices(ONE, TWO)
    a = agent(told).site(WWW, families="ipv4").start()
    record = wait_until(lambda: (r := a.record(WWW))["last_error"] and "disagree" in r["last_error"] and r, "it is reported")
    assert record["state"] == "waiting"
    assert all(word in record["last_error"] for word in (told[0].word, told[1].word, ONE, TWO))
    assert public(a.daemon) is None and sim.writes == []
    assert "the public address is not certain" in a.daemon.log()
    told[1].say(ONE)
    a.wait(WWW)
    assert values(sim, "A") == [ONE]
    told[0].say(TWO), told[1].say(THREE)  # what is published stays as it is
    wait_until(lambda: a.record(WWW)["state"] == "waiting", "nobody knows")
    writes = len(sim.writes)
    told[0].say(ONE), told[1].say(ONE)
    a.wait(WWW)
    assert values(sim, "A") == [ONE] and len(sim.writes) == writes


def test_with_a_quorum_of_one_two_that_differ_are_not_guessed_either(agent: Callable, voices: Callable, sim: Cloudflare) -> None:
    a = agent(voices(ONE, TWO), quorum=1).start()
    wait_until(lambda: "disagree" in (a.record(WWW)["last_error"] or ""), "it is reported")
    assert sim.writes == []


def test_what_the_public_cannot_reach_is_refused_with_the_reason(agent: Callable, voices: Callable, sim: Cloudflare) -> None:
    told = voices("192.168.1.7 fd00::7", "100.64.1.7 fe80::7", "169.254.1.7 2001:db8::7", "203.0.113.7 ff02::7",
                  "<html>login</html>")
    a = agent(told, quorum=1).start()
    wait_until(lambda: all(s["checked"] for s in sources(a.daemon, "ipv6").values()), "all are asked")
    for family, reasons in (("ipv4", ("RFC 1918", "CGNAT", "link-local", "documentation", "page")),
                            ("ipv6", ("ULA", "link-local", "documentation", "multicast", "no IPv6"))):
        said = sources(a.daemon, family)
        for voice, reason in zip(told, reasons):
            assert said[voice.word]["said"] is None and reason in said[voice.word]["why"]
    assert a.record(WWW)["state"] == "waiting" and "RFC 1918" in a.record(WWW)["last_error"]
    assert public(a.daemon) is None and sim.writes == []


def test_fixed_is_taken_as_it_is(agent: Callable, voices: Callable, sim: Cloudflare) -> None:
    told = voices(f"{ONE} {SIX}", f"{ONE} {SIX}")
    a = agent(told, "fixed:10.0.0.7").start()
    assert a.wait(WWW)["wanted"] == ["10.0.0.7"] and a.wait(WWW, "AAAA")["wanted"] == [SIX]
    assert list(sources(a.daemon)) == ["fixed"]


def test_a_new_address_is_followed_and_a_blink_is_not(agent: Callable, voices: Callable, sim: Cloudflare) -> None:
    told = voices(ONE)
    a = agent(told).site(WWW, families="ipv4").start()
    a.wait(WWW)
    writes = len(sim.writes)
    told[0].script(f"if [ $(($(wc -l < {told[0].asked}) % 2)) = 0 ]; then echo {ONE}; else echo {TWO}; fi")
    begin = told[0].times
    wait_until(lambda: told[0].times >= begin + 8, "it has flapped")
    assert len(sim.writes) == writes and public(a.daemon) == ONE
    told[0].script(f"echo {TWO}")
    wait_until(lambda: values(sim, "A") == [TWO], "it is followed")
    assert len(sim.writes) == writes + 1


def test_a_family_that_is_gone_is_taken_away_late_and_one_that_is_silent_never(agent: Callable, voices: Callable,
                                                                              sim: Cloudflare) -> None:
    told = voices(f"{ONE} {SIX}")
    a = agent(told).start()
    a.wait(WWW), a.wait(WWW, "AAAA")
    writes = len(sim.writes)
    told[0].script("exit 3")
    wait_until(lambda: "status 3" in (sources(a.daemon)[told[0].word]["why"] or ""), "it fails")
    assert public(a.daemon) == ONE and public(a.daemon, "v6") == SIX  # an outage is no change
    assert a.record(WWW)["state"] == "ok" and len(sim.writes) == writes


def test_a_source_that_fails_is_skipped_for_a_while(agent: Callable, voices: Callable) -> None:
    good, bad = voices(ONE, TWO)
    bad.script("exit 7")
    a = agent([good, bad], quorum=1).start()
    a.wait(WWW)
    wait_until(lambda: good.times >= 4, "the other one is asked again")
    asked, said = bad.times, sources(a.daemon)[bad.word]
    changes = a.daemon.log().count("the network has changed")  # by other tests on this machine: then everybody is asked
    assert 1 <= asked <= 1 + changes and "status 7" in said["why"]
    wait = datetime.datetime.fromisoformat(said["next"].replace("Z", "+00:00")) - datetime.datetime.now(datetime.timezone.utc)
    assert 20 < wait.total_seconds() <= 60 * 2**changes


def test_a_program_that_hangs_holds_nothing_up(agent: Callable, voices: Callable, folder: Path) -> None:
    """It is ended with what it started; and the agent stops while it hangs."""
    good, bad = voices(ONE, TWO)
    bad.script(f"sleep 987654 & echo $! > {folder}/child; wait")
    a = agent([good, bad], quorum=1).start()
    wait_until(lambda: (folder / "child").exists() and (folder / "child").read_text().strip(), "it runs")
    child = Path("/proc", (folder / "child").read_text().strip(), "cmdline")
    begin = time.monotonic()
    a.daemon.stop()
    assert time.monotonic() - begin < 10
    wait_until(lambda: not child.exists() or not child.read_bytes(), "it is gone, or waits for whoever has adopted it")
    a.daemon.start()
    a.wait(WWW)
    assert "within" in sources(a.daemon)[bad.word]["why"]


@pytest.mark.parametrize("script, why", [("yes 81.2.69.1", "more than"), ("kill -9 $$", "signal 9"), ("exit 1", "status 1"),
                                         (":", "no IPv4"), ("echo 81.2.69.1 81.2.69.2", "one address"),
                                         ("head -c 300 /dev/zero", "no address")])
def test_programs_that_misbehave(agent: Callable, voices: Callable, script: str, why: str) -> None:
    told = voices(ONE)
    told[0].script(script)
    a = agent(told).start()
    wait_until(lambda: why in (sources(a.daemon)[told[0].word]["why"] or ""), why)
    assert public(a.daemon) is None


def test_reload_asks_the_new_ones_and_the_old_ones_no_more(agent: Callable, voices: Callable, sim: Cloudflare) -> None:
    old, new = voices(ONE, TWO)
    a = agent([old]).site(WWW, families="ipv4").start()
    a.wait(WWW)
    a.address["sources"] = new.word
    a.reload()
    wait_until(lambda: values(sim, "A") == [TWO], "the new one counts")
    times = old.times
    wait_until(lambda: new.times >= 4, "it is asked")
    assert old.times == times and old.word not in sources(a.daemon)
    a.address = {"sources": f"fixed:{THREE}"}
    a.reload()
    wait_until(lambda: values(sim, "A") == [THREE], "the fixed one counts")


def test_nobody_is_asked_while_nothing_depends_on_it(daemons: Callable[..., Daemon]) -> None:
    agent = daemons("agent").start()
    assert agent.get("/v1/status").json["public"]["v4"] is None
    assert all(s["checked"] is None and s["next"] is None for f in ("ipv4", "ipv6") for s in sources(agent, f).values())
    assert len(sources(agent)) == 9  # and it is shown who would be


def test_a_relays_view_is_judged_as_all_others(path: WholePath) -> None:  # noqa: F811
    """On loopback it is nothing that the public can reach."""
    relay = wait_until(lambda: sources(path.agent).get("relay e2e"), "the relay has told")
    assert relay["said"] is None and "loopback" in relay["why"] and relay["checked"]


def test_settings_that_cannot_be(daemons: Callable[..., Daemon]) -> None:
    agent = daemons("agent")
    agent.configure()
    own = agent.conf.read_text()
    for keys, why in (("sources = url:http://a.test/", "https://"), ("sources = command:x", "command:/etc/"),
                      ("sources = fixed:1.2.3", "no address"), ("sources = moon", "none of relay, web, dns"),
                      ("sources = command:/x\nquorum = 2", "write quorum = 1"), ("interval = 0s", "not a duration")):
        agent.conf.write_text(f"{own}[address]\n{keys}\n")
        assert why in agent.refused(), keys
