"""DNS when something is against it: hundreds of domains within a provider's limits, a clock that is not set, a kill at the wrong
moment, relays of which only some are meant, and who reads the memory of a process."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from clock import Clock
from daemon import Daemon
from dns_agent import DnsAgent
from dns_sim.base import Reply, Request, Simulator, route
from dns_sim.cloudflare import Cloudflare
from dns_sim.duckdns import DuckDns
from dns_sim.dyndns2 import Dyndns2
from dns_sim.gandi import Gandi
from dns_sim.ovh import Ovh
from dns_sim.porkbun import Porkbun
from dns_sim.route53 import Route53
from nameserver import Bind
from path import DOMAIN, WholePath, path  # noqa: F401
from programs import run, wait_until

ZONE = "example.org"
WWW = f"www.{ZONE}"
V4, V6 = "192.0.2.1", "2001:db8::1"


@pytest.fixture
def sims(started: list, folder: Path) -> Callable[..., Any]:
    def make(kind: type[Simulator]) -> Any:
        started.append(kind(folder, *(() if kind in (Dyndns2, DuckDns) else (ZONE,))))
        return started[-1]

    return make


def test_five_hundred_domains(daemons: Callable[..., Daemon], sims: Callable) -> None:
    """Within Gandi's 1,000 requests a minute, which its simulator counts: most are right, some have to be changed or made."""
    sim = sims(Gandi)
    zone = sim.zones[ZONE]
    names = [f"n{i}.{ZONE}" for i in range(500)]
    for name in names[40:]:
        zone.add(name, "A", "192.0.2.9" if name in names[40:60] else V4, ttl=1200)
    agent = DnsAgent(daemons, sim.kind, {**sim.keys(), "zone": ZONE})
    agent.address["sources"] = f"fixed:{V4}"
    for name in names:
        agent.site(name, families="ipv4")
    agent.start()
    wait_until(lambda: len(sim.writes) == 60 and {r["state"] for r in agent.records().values()} == {"ok"}, "all are right", 300)
    assert all(zone.values(name, "A") == [V4] for name in names) and sim.throttled == 0
    assert len(sim.requests) < 500 + 60 * 4  # the zone is not asked for with each name
    agent.daemon.stop()
    asked = len(sim.requests)
    agent.start()
    assert {(r["state"], *r["provider"]) for r in agent.records().values()} == {("ok", V4)}
    agent.daemon.stop()
    assert len(sim.requests) == asked


def test_a_throttle_ends_when_it_was_said_to(daemons: Callable[..., Daemon], sims: Callable) -> None:
    sim = sims(Cloudflare)
    sim.fail(Reply.json(429, {"success": False, "errors": [{"code": 971, "message": "slow down"}]}, retry_after="2"))
    agent = DnsAgent(daemons, sim.kind, sim.keys()).site(WWW).site(f"b.{ZONE}").start()
    agent.wait(WWW), agent.wait(f"b.{ZONE}")
    assert 1.9 <= sim.requests[1].at - sim.requests[0].at < 30 and agent.daemon.log().count("left alone for a while") == 1


def test_another_secret_in_the_environment_is_tried(daemons: Callable[..., Daemon], sims: Callable) -> None:
    """A refusal is remembered over restarts, until there is another credential."""
    sim = sims(Cloudflare)
    agent = DnsAgent(daemons, sim.kind, {**sim.keys(), "token_file": "env:DNS_TOKEN"}).site(WWW)
    agent.start(env={"DNS_TOKEN": "wrong-0123456789-wrong"})
    wait_until(lambda: agent.provider()["state"] == "auth", "it is refused")
    asked = len(sim.requests)
    agent.daemon.stop()
    agent.start(env={"DNS_TOKEN": "wrong-0123456789-wrong"})
    assert agent.provider()["state"] == "auth" and len(sim.requests) == asked
    agent.daemon.stop()
    agent.start(env={"DNS_TOKEN": sim.secrets["token_file"]})
    agent.wait(WWW)


def waits_for_the_clock(agent: DnsAgent, clock: Clock) -> None:
    agent.site(WWW).start(env=clock.environment)
    assert "clock is not set" in agent.wait(WWW, state="failed")["last_error"]
    wait_until(lambda: (agent.provider()["hold_until"] or "").startswith("1970-01-01T00:"), "it is soon looked at again")
    assert agent.provider()["requests"] == 0


def test_a_signed_update_waits_for_the_clock(daemons: Callable[..., Daemon], started: list, folder: Path) -> None:
    bind = Bind(folder, ZONE).start()
    started.append(bind)
    clock = Clock(folder, at=1000.0)
    agent = DnsAgent(daemons, bind.kind, bind.keys())
    waits_for_the_clock(agent, clock)
    assert bind.values(WWW, "A") == []
    clock.jump(time.time() - 1000 - 3600)  # set, and wrong: the server says what time it is
    agent.wait(WWW), agent.wait(WWW, "AAAA")
    assert bind.values(WWW, "A") == [V4]


def test_a_signed_request_waits_for_the_clock(daemons: Callable[..., Daemon], sims: Callable, folder: Path) -> None:
    sim, clock = sims(Route53), Clock(folder, at=1000.0)
    agent = DnsAgent(daemons, sim.kind, sim.keys())
    waits_for_the_clock(agent, clock)
    assert sim.requests == []


class Killing(Ovh):
    victim: Optional[Daemon] = None
    killed = False

    @route("POST", r"/domain/zone/([^/]+)/refresh")
    def refresh(self, request: Request, zone: str) -> Optional[Reply]:
        if not self.victim:
            return super().refresh(request, zone)
        victim, self.victim = self.victim, None
        victim.kill()
        self.killed = True
        return None


def test_ovh_a_kill_before_the_refresh_is_made_up_for(daemons: Callable[..., Daemon], sims: Callable) -> None:
    sim = sims(Killing)
    agent = DnsAgent(daemons, sim.kind, sim.keys()).site(WWW, families="ipv4").site(f"b.{ZONE}", families="ipv4")
    agent.start()
    agent.wait(WWW), agent.wait(f"b.{ZONE}")
    agent.address["sources"] = "fixed:192.0.2.2"
    sim.victim = agent.daemon
    agent.reload()
    wait_until(lambda: sim.killed, "it was killed")
    assert sim.published[ZONE] != sim.state(sim.zones[ZONE])
    agent.start()
    wait_until(lambda: sim.published[ZONE] == sim.state(sim.zones[ZONE]), "what was changed is published")
    assert agent.wait(WWW)["provider"] == agent.wait(f"b.{ZONE}")["provider"] == ["192.0.2.2"]
    writes = len(sim.writes)
    agent.daemon.stop()
    agent.start()
    assert agent.record(WWW)["state"] == "ok" and len(sim.writes) == writes


def test_one_of_several_addresses(daemons: Callable[..., Daemon], sims: Callable) -> None:
    """A service that keeps one address of a name gets one, and that there are more is said."""
    sim = sims(Dyndns2)
    sim.known[WWW] = ()
    agent = DnsAgent(daemons, sim.kind, sim.keys())
    agent.daemon.state_dir.mkdir(mode=0o700)
    relays = {"a": [["203.0.113.1"], []], "b": [["203.0.113.2"], ["2001:db8::b"]]}
    (agent.daemon.state_dir / "dns.json").write_text(json.dumps({"v": 1, "names": [], "accounts": {}, "relays": relays}))
    agent.extra = "".join(f"[relay {name}]\nhost = 127.0.0.1\nport = 1\nhost_key = ssh-ed25519 SHA256:{'A' * 43}\n" for name in "ab")
    agent.site(WWW, mode="tunnel", service="http://127.0.0.1:1").start()
    assert "keeps one of each name: 203.0.113.1" in agent.wait(WWW)["note"] and agent.wait(WWW, "AAAA")["note"] is None
    assert sim.known[WWW] == ("203.0.113.1", "2001:db8::b")
    shown = run("tunnelctl", "--socket", agent.daemon.socket, "dns")
    assert "there are 2 addresses to publish, and its provider keeps one of each name" in shown.out
    agent.sites[WWW]["relays"] = "b"
    agent.reload()
    wait_until(lambda: sim.known[WWW] == ("203.0.113.2", "2001:db8::b"), "it is the other relay's")
    assert agent.wait(WWW)["note"] is None


def test_a_site_is_published_through_its_own_relays(path: WholePath) -> None:  # noqa: F811
    """relays = NAME: no other relay is told of it."""
    ini = path.agent.conf.read_text()
    other = f"[relay other]\nhost = 127.0.0.1\nport = 1\nhost_key = ssh-ed25519 SHA256:{'A' * 43}\n"
    path.agent.conf.write_text(ini + "relays = other\n" + other)
    assert path.agent.post("/v1/reload").status == 200
    wait_until(lambda: path.site_state() != "up" and path.visit().status != 200, "this relay serves it no longer")
    path.agent.conf.write_text(ini + "relays = e2e other\n" + other)
    assert path.agent.post("/v1/reload").status == 200
    path.wait_up()
    assert path.visit().status == 200


def test_a_relay_that_stays_down_is_withdrawn(path: WholePath, started: list, folder: Path) -> None:  # noqa: F811
    """While the other one is up; and when that goes down as well, both are published."""
    bind = Bind(folder, DOMAIN).start()
    started.append(bind)
    path.agent.stop()
    path.agent.state_dir.mkdir(mode=0o700, exist_ok=True)
    known = {"e2e": [["203.0.113.1"], []], "other": [["203.0.113.2"], []]}
    (path.agent.state_dir / "dns.json").write_text(json.dumps({"v": 1, "names": [], "accounts": {}, "relays": known}))
    ini = path.agent.conf.read_text().replace("[agent]\n", "[agent]\nwithdraw_after = 3s\n")
    keys = "".join(f"{k} = {v}\n" for k, v in bind.keys().items())
    path.agent.conf.write_text(ini + f"dns = bind\nfamilies = ipv4\n[relay other]\nhost = 127.0.0.1\nport = 1\nhost_key = ssh-ed25519 "
                               f"SHA256:{'A' * 43}\n[provider bind]\ntype = rfc2136\n{keys}")
    path.relay.conf.write_text(path.relay.conf.read_text().replace("[relay]\n", "[relay]\npublish = 203.0.113.1\n"))
    path.relay.stop()
    path.start_relay()
    path.start_agent()
    path.wait_up()
    wait_until(lambda: bind.values(DOMAIN, "A") == ["203.0.113.1"], "the one that is up is published alone")
    path.agent.conf.write_text(path.agent.conf.read_text().replace(f"port = {path.sshd.port}\n", "port = 1\n"))
    assert path.agent.post("/v1/reload").status == 200
    wait_until(lambda: bind.values(DOMAIN, "A") == ["203.0.113.1", "203.0.113.2"], "nobody is up, so everybody is published")


def memory_with(pid: int, secret: bytes) -> tuple[list[str], int]:
    """Where it is in a process: mappings that a core would hold, and how many others."""
    dumped, hidden = [], 0
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for area in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path(f"/proc/{pid}/smaps").read_text())[1:]:
            begin, end = (int(n, 16) for n in area.split()[0].split("-"))
            flags = area.rpartition("VmFlags:")[2].split()
            if "rd" not in flags or "[v" in area.splitlines()[0]:
                continue
            mem.seek(begin)
            try:
                found = secret in mem.read(end - begin)
            except OSError:
                continue
            hidden += found and "dd" in flags
            if found and "dd" not in flags:
                dumped.append(area.splitlines()[0])
    return dumped, hidden


@pytest.mark.parametrize("kind", [Cloudflare, Ovh, Porkbun, Dyndns2, DuckDns], ids=lambda k: k.kind)
def test_a_core_holds_no_secret(daemons: Callable[..., Daemon], sims: Callable, kind: type[Simulator]) -> None:
    """Once requests are over, a credential is in memory that is locked and never dumped, and nowhere else: be it sent as a header,
    in a body or in a URL. A sanitizer keeps what was freed; and who looks up functions late keeps registers on the stack."""
    sim = sims(kind)
    name = "sassy-cat.duckdns.org" if kind is DuckDns else WWW
    if kind is Dyndns2:
        sim.known[name] = ()
    agent = DnsAgent(daemons, sim.kind, sim.keys()).site(name, families="ipv4").start(env={"LD_BIND_NOW": "1"})
    agent.wait(name)
    if not agent.daemon.memory_kb:
        return
    sent = [w for r in sim.requests for w in (r.headers.get("Authorization") or "").split()[1:]]
    for secret in {*sim.secrets.values(), *sent}:
        dumped, hidden = memory_with(agent.daemon.pid, secret.encode())
        assert dumped == [] and hidden == (secret in sim.secrets.values())


def resident_kb(pid: int, library: str) -> int:
    """How much of it is in memory for this process."""
    areas = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path(f"/proc/{pid}/smaps").read_text())[1:]
    return sum(int(re.search(r"^Rss:\s+(\d+)", area, re.MULTILINE)[1]) for area in areas if library in area.splitlines()[0])


def test_what_requests_need_is_let_go(daemons: Callable[..., Daemon], sims: Callable) -> None:
    """libcurl and the libraries it brings take 3 MB of code while they run, and next to nothing at rest; and work again."""
    sim = sims(Cloudflare)
    agent = DnsAgent(daemons, sim.kind, sim.keys()).site(WWW).start()
    agent.wait(WWW), agent.wait(WWW, "AAAA")
    wait_until(lambda: resident_kb(agent.daemon.pid, "/libcurl.so") < 300, "libcurl is at rest")
    assert resident_kb(agent.daemon.pid, "/libgnutls.so") < 500
    agent.address["sources"] = "fixed:192.0.2.2 fixed:2001:db8::2"
    agent.reload()
    wait_until(lambda: sim.zones[ZONE].values(WWW, "A") == ["192.0.2.2"] and agent.record(WWW)["state"] == "ok", "it is asked again")
