"""The agent keeps DNS right: against a real BIND, and against the strict simulator of Cloudflare."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from clock import Clock
from daemon import Daemon
from disk import fill, tiny_disks  # noqa: F401
from dns_agent import DnsAgent
from dns_sim.base import Reply, Zone
from dns_sim.cloudflare import Cloudflare, refusal
from far_path import networked  # noqa: F401
from nameserver import Bind
from path import DOMAIN, WholePath, path  # noqa: F401
from programs import run, wait_until

ZONE = "example.org"
WWW = f"www.{ZONE}"
V4, V6 = "192.0.2.1", "2001:db8::1"


@pytest.fixture
def bind(started: list, folder: Path) -> Bind:
    server = Bind(folder, ZONE)
    server.start()
    started.append(server)
    return server


@pytest.fixture
def sim(started: list, folder: Path) -> Cloudflare:
    started.append(Cloudflare(folder, ZONE))
    return started[-1]


@pytest.fixture
def agent(daemons: Callable[..., Daemon], sim: Cloudflare) -> DnsAgent:
    return DnsAgent(daemons, sim.kind, sim.keys())


def test_a_record_appears_and_follows(daemons: Callable[..., Daemon], bind: Bind) -> None:
    agent = DnsAgent(daemons, bind.kind, bind.keys()).site(WWW, aliases=f"*.{WWW}").start()
    agent.wait(WWW), agent.wait(WWW, "AAAA"), agent.wait(f"*.{WWW}"), agent.wait(f"*.{WWW}", "AAAA")
    assert (bind.values(WWW, "A"), bind.values(WWW, "AAAA"), bind.values(f"x.{WWW}", "A")) == ([V4], [V6], [V4])
    agent.address["sources"] = "fixed:192.0.2.2 fixed:2001:db8::2"
    agent.reload()
    wait_until(lambda: bind.values(WWW, "A") == ["192.0.2.2"], "the new address is there")
    record = agent.wait(WWW)
    assert record["wanted"] == record["provider"] == ["192.0.2.2"] and record["last_change"]
    status = agent.daemon.get("/v1/status").json
    assert status["public"]["v4"] == "192.0.2.2"
    [domain] = status["domains"]
    assert domain["mode"] == "direct" and domain["dns"]["provider"] == "main" and len(domain["dns"]["records"]) == 4


def has_libcurl(agent: Daemon) -> bool:
    return "/libcurl.so" in Path(f"/proc/{agent.pid}/maps").read_text()


def test_libcurl_is_loaded_by_who_needs_it(path: WholePath, agent: DnsAgent) -> None:  # noqa: F811
    assert path.visit().status == 200 and not has_libcurl(path.agent)
    agent.site(WWW).start()
    agent.wait(WWW)
    assert has_libcurl(agent.daemon)


def test_restarts_send_nothing_and_write_nothing(agent: DnsAgent, sim: Cloudflare) -> None:
    agent.site(WWW).start()
    agent.wait(WWW), agent.wait(WWW, "AAAA")
    agent.daemon.stop()
    before, file = len(sim.requests), agent.daemon.state_dir / "dns.json"
    stamp = file.stat()
    for _ in range(100):
        agent.daemon.start()
        assert agent.record(WWW)["state"] == "ok" and agent.record(WWW)["provider"] == [V4]
        agent.daemon.stop()
    assert len(sim.requests) == before
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (stamp.st_mtime_ns, stamp.st_ino)


def test_what_is_right_already_is_not_written(agent: DnsAgent, sim: Cloudflare) -> None:
    zone = sim.zones[ZONE]
    zone.add("www", "A", V4, ttl=1, proxied=True)
    zone.add("www", "AAAA", V6, ttl=1, proxied=True)
    agent.site(WWW).start()
    agent.wait(WWW), agent.wait(WWW, "AAAA")
    assert sim.writes == []


def test_a_zone_made_anew_is_found_again(agent: DnsAgent, sim: Cloudflare) -> None:
    """Its id is another one, and for the old one Cloudflare says 400 and 7003, not 404."""
    agent.site(WWW).site(f"b.{ZONE}").start()
    for name in (WWW, f"b.{ZONE}"):
        agent.wait(name), agent.wait(name, "AAAA")
    old, dispatch = sim.zones[ZONE].id, sim.dispatch
    new = sim.zones[ZONE] = Zone(ZONE, "f" * 32, sim.ids())
    sim.dispatch = lambda r: (refusal(400, 7003, "Could not route to /zones/x, perhaps your object identifier is invalid?")
                              if "/dns_records" in r.path and f"/zones/{sim.zones[ZONE].id}/" not in r.path else dispatch(r))
    plan = agent.sync(dry=True)
    assert ([p["action"] for p in plan["plan"]], plan["errors"]) == (["create"] * 4, [])
    assert {r["state"] for r in agent.sync()["records"]} == {"ok"}
    for name in (WWW, f"b.{ZONE}"):
        assert (new.values(name, "A"), new.values(name, "AAAA")) == ([V4], [V6])
    asked = len(sim.requests)
    agent.sync()
    assert not [r for r in sim.requests[asked:] if r.path.endswith("/zones") or old in r.path]
    new.id = "e" * 32  # and again, within the minute in which zones are known
    assert {r["state"] for r in agent.sync()["records"]} == {"ok"}


def test_a_cname_in_the_way_is_reported(agent: DnsAgent, sim: Cloudflare) -> None:
    sim.zones[ZONE].add("www", "CNAME", "elsewhere.test", ttl=300)
    agent.site(WWW).site(f"b.{ZONE}").start()
    record = agent.wait(WWW, state="foreign")
    assert "CNAME" in record["last_error"] and "elsewhere.test" in record["last_error"]
    agent.wait(f"b.{ZONE}"), agent.wait(f"b.{ZONE}", "AAAA")
    assert sim.zones[ZONE].values(WWW, "CNAME") == ["elsewhere.test"] and sim.zones[ZONE].values(WWW, "A") == []
    asked = len(sim.requests)
    agent.daemon.stop()
    agent.start()
    assert agent.wait(WWW, state="foreign")
    agent.daemon.stop()
    assert len(sim.requests) == asked


def test_records_of_others_stay(agent: DnsAgent, sim: Cloudflare) -> None:
    zone = sim.zones[ZONE]
    zone.add("www", "A", "198.51.100.1"), zone.add("www", "A", "198.51.100.2")
    zone.add("one", "A", "198.51.100.3")
    zone.add("www", "MX", "mail.example.org")
    agent.address["sources"] = f"fixed:{V4}"
    agent.site(WWW).site(f"one.{ZONE}").start()
    assert "198.51.100.1" in agent.wait(WWW, state="foreign")["last_error"]
    agent.wait(f"one.{ZONE}")
    plan = {p["name"]: (p["action"], p["from"], p["to"]) for p in agent.sync(dry=True)["plan"] if p["type"] == "A"}
    assert plan == {WWW: ("foreign", ["198.51.100.1", "198.51.100.2"], [V4]), f"one.{ZONE}": ("keep", [V4], [V4])}
    assert zone.values(WWW, "A") == ["198.51.100.1", "198.51.100.2"] and zone.values("one", "A") == [V4]
    zone.add("one", "A", "198.51.100.9")  # beside ours
    agent.address["sources"] = "fixed:192.0.2.2"
    agent.reload()
    wait_until(lambda: zone.values("one", "A") == ["192.0.2.2", "198.51.100.9"], "ours is changed, theirs stays")
    assert "198.51.100.9" in agent.wait(f"one.{ZONE}", state="foreign")["last_error"]
    del agent.sites[f"one.{ZONE}"]
    agent.reload()
    time.sleep(0.5)
    assert zone.values(WWW, "MX") == ["mail.example.org"] and "198.51.100.9" in zone.values("one", "A")


def test_a_site_taken_out_is_deleted_if_we_made_it(agent: DnsAgent, sim: Cloudflare) -> None:
    zone = sim.zones[ZONE]
    zone.add("old", "A", "198.51.100.3")
    zone.add("old", "AAAA", "2001:db8::99")
    agent.site(WWW).site(f"old.{ZONE}").start()
    for name in (WWW, f"old.{ZONE}"):
        agent.wait(name), agent.wait(name, "AAAA")
    agent.sites.clear()
    agent.reload()
    wait_until(lambda: zone.values(WWW, "A") == zone.values(WWW, "AAAA") == [], "what we made is gone")
    wait_until(lambda: json.loads(agent.memory())["names"] == [], "nothing is remembered")
    assert zone.values("old", "A") == [V4] and zone.values("old", "AAAA") == [V6]


def test_a_site_taken_out_while_the_agent_is_down(agent: DnsAgent, sim: Cloudflare) -> None:
    agent.site(WWW).start()
    agent.wait(WWW), agent.wait(WWW, "AAAA")
    agent.daemon.stop()
    agent.sites.clear()
    agent.start()
    wait_until(lambda: sim.zones[ZONE].records == [], "what we made is gone")


def test_a_site_left_without_a_provider_keeps_its_record(agent: DnsAgent, sim: Cloudflare) -> None:
    """With dns = manual it is the very record that is to be set by hand; with mode = none DNS is left alone."""
    zone = sim.zones[ZONE]
    agent.address["sources"] = f"fixed:{V4}"
    for name in ("manual", "none", "out"):
        agent.site(f"{name}.{ZONE}")
    agent.start()
    for name in ("manual", "none", "out"):
        agent.wait(f"{name}.{ZONE}")
    agent.sites[f"manual.{ZONE}"]["dns"] = "manual"
    agent.sites[f"none.{ZONE}"]["mode"] = "none"
    del agent.sites[f"out.{ZONE}"]
    agent.reload()
    wait_until(lambda: {n["name"]: n["provider"] for n in json.loads(agent.memory())["names"]} == {f"manual.{ZONE}": "manual"},
               "what we made for one that is taken out is gone, and nothing else is ours")
    said = [line for line in agent.daemon.log().splitlines() if "no longer kept by this agent; it stays as it is" in line]
    assert sorted(line.split('name="')[1].split(".")[0] for line in said) == ["manual", "none"]
    agent.sites.clear()
    agent.reload()
    agent.daemon.stop()
    assert {r.name for r in zone.records} == {f"manual.{ZONE}", f"none.{ZONE}"}


def test_a_site_taken_out_while_its_provider_is_asked(agent: DnsAgent, sim: Cloudflare, bind: Bind) -> None:
    """Its job has a copy of the name, and makes the record after nobody wants it any longer."""
    zone, moved = sim.zones[ZONE], f"d.{ZONE}"
    agent.providers["other"] = {"type": bind.kind, **bind.keys()}
    for name in ("a", "b", "c", "d"):
        agent.site(f"{name}.{ZONE}")
    agent.site(WWW).start()
    wait_until(lambda: len(zone.records) >= 3, "some of its records are there")
    assert len(zone.records) < 8 and agent.provider()["state"] == "working"
    for name in ("a", "b", "c"):
        del agent.sites[f"{name}.{ZONE}"]
    agent.sites[moved]["dns"] = "other"
    agent.reload()
    agent.wait(WWW), agent.wait(WWW, "AAAA")
    wait_until(lambda: {r.name for r in zone.records} == {WWW}, "what was made meanwhile is gone")
    wait_until(lambda: {(n["name"], n["provider"]) for n in json.loads(agent.memory())["names"]} == {(WWW, "main"), (moved, "other")},
               "nothing else is remembered")
    assert bind.values(moved, "A") == [V4] and bind.values(moved, "AAAA") == [V6]


def test_a_family_that_is_given_up_while_its_provider_is_asked(agent: DnsAgent, sim: Cloudflare) -> None:
    zone = sim.zones[ZONE]
    agent.site(WWW).site(f"b.{ZONE}").start()
    wait_until(lambda: len(zone.records) >= 1, "one of its records is there")
    assert len(zone.records) < 3 and agent.provider()["state"] == "working"
    agent.sites[f"b.{ZONE}"]["families"] = agent.sites[WWW]["families"] = "ipv4"
    agent.reload()
    wait_until(lambda: [r.type for r in zone.records] == ["A", "A"], "what was made of it meanwhile is gone")


def test_a_family_that_is_no_longer_kept(agent: DnsAgent, sim: Cloudflare) -> None:
    zone = sim.zones[ZONE]
    zone.add("old", "AAAA", V6, ttl=1)
    agent.site(WWW).site(f"old.{ZONE}").start()
    for name in (WWW, f"old.{ZONE}"):
        agent.wait(name), agent.wait(name, "AAAA")
    for name in (WWW, f"old.{ZONE}"):
        agent.sites[name]["families"] = "ipv4"
    agent.reload()
    wait_until(lambda: agent.records().get((WWW, "AAAA"), {}).get("provider") == [], "what we made of it is gone")
    assert zone.values(WWW, "AAAA") == []
    assert zone.values("old", "AAAA") == [V6] and zone.values(WWW, "A") == zone.values("old", "A") == [V4]
    asked = len(sim.requests)
    agent.daemon.stop()
    agent.start()
    assert {type for _, type in agent.records()} == {"A"} and len(sim.requests) == asked


def test_cleanup_on_stop(agent: DnsAgent, sim: Cloudflare) -> None:
    agent.site(WWW, cleanup_on_stop="on").site(f"b.{ZONE}").start()
    for name in (WWW, f"b.{ZONE}"):
        agent.wait(name), agent.wait(name, "AAAA")
    agent.daemon.stop()
    assert {r.name for r in sim.zones[ZONE].records} == {f"b.{ZONE}"}
    agent.start()
    agent.wait(WWW), agent.wait(WWW, "AAAA")


def test_owner_txt(daemons: Callable[..., Daemon], sim: Cloudflare, agent: DnsAgent) -> None:
    zone = sim.zones[ZONE]
    agent.site(WWW, owner_txt="on").start()
    agent.wait(WWW), agent.wait(WWW, "AAAA")
    assert zone.values(f"_tunnel-owner.{WWW}", "TXT") == ["heritage=tunnel,agent=pi"]
    other = DnsAgent(daemons, sim.kind, sim.keys()).site(WWW, owner_txt="on")
    other.address["sources"] = "fixed:198.51.100.7"
    other.write()
    other.daemon.conf.write_text(other.daemon.conf.read_text().replace("name = pi", "name = other"))
    other.daemon.start()
    assert "pi" in other.wait(WWW, state="foreign")["last_error"]
    assert zone.values(WWW, "A") == [V4]
    agent.sites.clear()
    agent.reload()
    wait_until(lambda: zone.records == [], "ours, and that it was ours, are gone")


def test_ttl_and_proxied(agent: DnsAgent, sim: Cloudflare) -> None:
    zone = sim.zones[ZONE]
    zone.add("www", "A", "198.51.100.3", ttl=3600, comment="mine")
    agent.address["sources"] = f"fixed:{V4}"
    agent.site(WWW).start()
    agent.wait(WWW)
    [record] = zone.find(WWW, "A")
    assert (record.content, record.ttl, record.more["comment"]) == (V4, 3600, "mine")
    agent.sites[WWW].update(ttl="2m")
    agent.reload()
    wait_until(lambda: zone.find(WWW, "A")[0].ttl == 120, "the ttl is ours")
    agent.sites[WWW].update(proxied="on")
    agent.reload()
    wait_until(lambda: zone.find(WWW, "A")[0].more["proxied"] and agent.record(WWW)["state"] == "ok", "it is proxied")
    asked = len(sim.writes)
    agent.daemon.stop()
    agent.start()
    agent.daemon.stop()
    assert len(sim.writes) == asked


def test_sync_and_dry_run(agent: DnsAgent, sim: Cloudflare) -> None:
    zone = sim.zones[ZONE]
    agent.site(WWW).start()
    agent.wait(WWW), agent.wait(WWW, "AAAA")
    zone.find(WWW, "A")[0].content = "198.51.100.66"
    plan = agent.sync(dry=True)
    changes = {(p["name"], p["type"]): (p["action"], p["from"], p["to"]) for p in plan["plan"]}
    assert changes == {(WWW, "A"): ("change", ["198.51.100.66"], [V4]), (WWW, "AAAA"): ("keep", [V6], [V6])}
    assert zone.values(WWW, "A") == ["198.51.100.66"] and plan["errors"] == []
    done = agent.sync(domain=WWW)
    assert {r["state"] for r in done["records"]} == {"ok"} and zone.values(WWW, "A") == [V4]
    agent.site("www.elsewhere.test").reload()
    assert "www.elsewhere.test" in agent.wait("www.elsewhere.test", state="failed")["last_error"]
    plan = agent.sync(dry=True)  # which that hides nothing of
    assert [(p["name"], p["action"]) for p in plan["plan"]] == [(WWW, "keep")] * 2
    assert len(plan["errors"]) == 1 and "www.elsewhere.test" in plan["errors"][0]
    assert agent.daemon.post("/v1/dns/sync", b'{"domain": "nowhere.test"}').status == 404
    assert agent.daemon.post("/v1/dns/sync", b'{"dry": true}').status == 400


def test_sync_of_a_site_by_any_of_its_names(agent: DnsAgent, sim: Cloudflare) -> None:
    sim.zones["xn--bcher-kva.example"] = zone = Zone("xn--bcher-kva.example", sim.zone_id("xn--bcher-kva.example"), sim.ids())
    agent.address["sources"] = f"fixed:{V4}"
    agent.site("bücher.example", aliases="*.bücher.example").site(WWW).start()
    for name in (zone.name, f"*.{zone.name}", WWW):
        agent.wait(name)
    for name in ("bücher.example", "Bücher.example.", "XN--BCHER-KVA.Example", "xn--bcher-kva.example.", "*.bücher.example"):
        asked = len(sim.requests)
        done = run("tunnelctl", "--json", "--socket", agent.daemon.socket, "dns", "sync", name)
        assert done.code == 0 and {r["name"] for r in json.loads(done.out)["records"]} == {zone.name, f"*.{zone.name}"}
        assert len(sim.requests) > asked and not [r for r in sim.requests[asked:] if WWW in r.target]
    for wrong in ("nowhere.test", "..", "a" * 300):
        assert run("tunnelctl", "--socket", agent.daemon.socket, "dns", "sync", wrong).code == 1


def test_a_bad_credential_stops_until_the_configuration_changes(agent: DnsAgent, sim: Cloudflare) -> None:
    token = Path(agent.providers["main"]["token_file"])
    good = token.read_text()
    token.write_text("wrong-0123456789-wrong\n")
    agent.site(WWW).site(f"b.{ZONE}").start()
    assert "token" in agent.wait(WWW, state="failed")["last_error"]
    wait_until(lambda: agent.provider()["state"] == "auth", "the provider is stopped")
    asked = len(sim.requests)
    for _ in range(5):
        agent.daemon.stop()
        agent.start()
        assert agent.provider()["state"] == "auth"
        assert agent.sync()["errors"]
    agent.reload()
    assert len(sim.requests) == asked
    token.write_text(good)
    agent.reload()
    agent.wait(WWW), agent.wait(f"b.{ZONE}")
    assert agent.provider()["state"] == "ok"


def test_throttling_is_obeyed_and_delays_nobody_else(agent: DnsAgent, sim: Cloudflare, bind: Bind) -> None:
    agent.providers["other"] = {"type": bind.kind, **bind.keys()}
    sim.fail(*[Reply.json(429, {"success": False, "errors": [{"code": 971, "message": "slow down"}]}, retry_after="3600")] * 3)
    agent.site(f"a.{ZONE}").site(f"b.{ZONE}").site(f"c.{ZONE}", dns="other").start()
    agent.wait(f"c.{ZONE}"), agent.wait(f"c.{ZONE}", "AAAA")
    wait_until(lambda: agent.provider()["state"] == "throttled", "it is left alone")
    assert len(sim.requests) == 1 and bind.values(f"c.{ZONE}", "A") == [V4]
    agent.daemon.stop()
    agent.start()
    assert agent.provider()["state"] == "throttled" and agent.provider()["hold_until"]
    assert len(sim.requests) == 1


@pytest.mark.slow
def test_an_outage_backs_off_and_heals(agent: DnsAgent, sim: Cloudflare) -> None:
    down = True
    sim.fail(*[lambda request: Reply(503) if down else None] * 400)
    for i in range(20):
        agent.site(f"n{i}.{ZONE}")
    agent.start()
    wait_until(lambda: agent.provider()["state"] == "transient", "it is taken for down")
    assert len(sim.requests) <= 4
    down = False
    sim.next.clear()
    assert agent.sync()["errors"] == []
    assert len(sim.zones[ZONE].records) == 40


def test_on_change(agent: DnsAgent, sim: Cloudflare, folder: Path) -> None:
    hook, out = folder / "hook", folder / "out"
    hook.write_text(f'#!/bin/sh\nenv >{out}.env\necho "$TUNNEL_SITE $TUNNEL_NAME $TUNNEL_TYPE $TUNNEL_PROVIDER [$TUNNEL_OLD] [$TUNNEL_NEW]" >>{out}\n')
    hook.chmod(0o755)
    agent.agent_keys["on_change"] = str(hook)
    sim.zones[ZONE].add("www", "A", "198.51.100.3")
    agent.address["sources"] = f"fixed:{V4}"
    agent.site(WWW).start(env={"DNS_TOKEN": "of another provider"})
    wait_until(out.exists, "the hook ran")
    wait_until(lambda: out.read_text() == f"{WWW} {WWW} A main [198.51.100.3] [{V4}]\n", "and was told")
    assert "DNS_TOKEN" not in Path(f"{out}.env").read_text()  # nothing else of the agent's own


def test_manual_says_what_to_set(agent: DnsAgent, sim: Cloudflare, bind: Bind) -> None:
    agent.agent_keys["resolvers"] = f"127.0.0.1:{bind.port}"
    agent.site(WWW, dns="manual", families="ipv4").site(f"fixed.{ZONE}", dns="manual", families="ipv4").start()
    record = agent.record(WWW)
    assert (record["state"], record["wanted"]) == ("manual", [V4]) and f"{WWW}. 300 IN A {V4}" in record["last_error"]
    shown = run("tunnelctl", "--socket", agent.daemon.socket, "dns")
    assert shown.code == 0 and f"set by hand: {WWW}. 300 IN A {V4}" in shown.out
    assert agent.record(WWW)["public"] == [] and agent.record(f"fixed.{ZONE}")["public"] == ["192.0.2.99"]
    agent.address["sources"] = "fixed:192.0.2.99"
    agent.reload()
    assert agent.record(f"fixed.{ZONE}")["state"] == "ok" and sim.requests == []


def test_what_the_public_sees(daemons: Callable[..., Daemon], bind: Bind) -> None:
    agent = DnsAgent(daemons, bind.kind, bind.keys(), resolvers=f"127.0.0.1:{bind.port}").site(WWW, aliases=f"*.{WWW}").start()
    agent.wait(WWW), agent.wait(f"*.{WWW}", "AAAA")
    public = {(r["name"], r["type"]): r["public"] for r in agent.daemon.get("/v1/dns?public").json["records"]}
    assert public == {(WWW, "A"): [V4], (WWW, "AAAA"): [V6], (f"*.{WWW}", "A"): [V4], (f"*.{WWW}", "AAAA"): [V6]}


def test_hundreds_of_domains_keep_the_pace(agent: DnsAgent, sim: Cloudflare) -> None:
    agent.address["sources"] = f"fixed:{V4}"
    sim.limit = None  # its 1200 in five minutes are kept by the interval between two requests, which would take that long here
    for i in range(500):
        agent.site(f"n{i}.{ZONE}")
    for i in range(500):
        sim.zones[ZONE].add(f"n{i}", "A", V4, ttl=1)
    agent.start()
    wait_until(lambda: len(sim.requests) >= 20, "it works")
    assert sim.writes == []
    gaps = [b.at - a.at for a, b in zip(sim.requests, sim.requests[1:])]
    assert sum(gaps) / len(gaps) > 0.24  # four a second


def test_a_full_disk_stops_nothing(tiny_disks: Callable[[Path], Path], agent: DnsAgent, sim: Cloudflare) -> None:  # noqa: F811
    filler = fill(tiny_disks(agent.daemon.state_dir))
    agent.site(WWW).start()
    agent.wait(WWW)
    assert "cannot be written" in agent.daemon.log() and not (agent.daemon.state_dir / "dns.json").exists()
    filler.unlink()
    agent.address["sources"] = "fixed:192.0.2.2 fixed:2001:db8::2"
    agent.reload()
    wait_until(lambda: agent.record(WWW)["provider"] == ["192.0.2.2"], "the new address is there")
    wait_until((agent.daemon.state_dir / "dns.json").exists, "it is written down")


def test_broken_memory_is_as_good_as_none(agent: DnsAgent, sim: Cloudflare) -> None:
    agent.site(WWW).start()
    agent.wait(WWW), agent.wait(WWW, "AAAA")
    agent.daemon.stop()
    file = agent.daemon.state_dir / "dns.json"
    text = file.read_bytes()
    for broken in (b"", b"{", text[: len(text) // 2], b'{"v": 9}', b'{"v":1,"names":[{"name":"..","A":3}],"relays":7,"accounts":[]}'):
        file.write_bytes(broken)
        agent.daemon.start()
        agent.wait(WWW), agent.wait(WWW, "AAAA")
        agent.daemon.stop()
    assert len(sim.writes) == 2


def test_secrets_are_never_shown(agent: DnsAgent, sim: Cloudflare) -> None:
    secret = sim.secrets["token_file"]
    sim.fail(Reply.json(400, {"success": False, "errors": [{"code": 1, "message": f"bad token {secret}"}]}))
    agent.agent_keys["log_level"] = "debug"
    agent.site(WWW).start()
    agent.wait(WWW, state="failed")
    shown = agent.daemon.log() + json.dumps(agent.daemon.get("/v1/status").json) + json.dumps(agent.daemon.get("/v1/dns").json)
    shown += json.dumps(agent.daemon.get("/v1/config").json) + Path(f"/proc/{agent.daemon.pid}/cmdline").read_text() + agent.memory().decode()
    assert secret not in shown and "bad token ***" in shown


def test_stopping_in_the_middle(agent: DnsAgent, sim: Cloudflare) -> None:
    """A request that hangs holds nobody up."""
    release = []
    sim.fail(lambda request: wait_until(lambda: release, "let go") and None)
    agent.site(WWW).start()
    wait_until(lambda: sim.requests, "it asks")
    started = time.monotonic()
    agent.daemon.stop()
    release.append(1)
    assert time.monotonic() - started < 30


def test_the_relays_addresses_are_published(path: WholePath, started: list, folder: Path) -> None:
    """mode = tunnel, the default: what the relay's welcome says, and says again when it has changed; and what is remembered."""
    bind = Bind(folder, DOMAIN)
    bind.start()
    started.append(bind)
    ini = path.agent.conf.read_text()
    keys = "".join(f"{k} = {v}\n" for k, v in bind.keys().items())
    path.agent.conf.write_text(ini + f"dns = bind\nttl = 1m\n[provider bind]\ntype = rfc2136\n{keys}")
    assert path.agent.post("/v1/reload").status == 200
    record = wait_until(lambda: path.agent.get("/v1/dns").json["records"], "there are records")[0]
    assert record["state"] == "waiting" and "publish" in record["last_error"]  # loopback is no public address
    relay = path.relay.conf.read_text()
    path.relay.conf.write_text(relay.replace("[relay]\n", "[relay]\npublish = 203.0.113.10 2001:db8::10\n"))
    lanes = [lane["since"] for lane in path.status()["lanes"]]
    assert path.relay.post("/v1/reload").status == 200
    wait_until(lambda: bind.values(DOMAIN, "A") == ["203.0.113.10"], "the relay's address is published")
    wait_until(lambda: bind.values(DOMAIN, "AAAA") == ["2001:db8::10"], "both of them")
    assert bind.ttl(DOMAIN, "A") == 60 and lanes == [lane["since"] for lane in path.status()["lanes"]]
    assert path.visit("GET", "/echo").status == 200
    path.agent.stop()
    path.relay.stop()
    path.agent.start()
    records = path.agent.get("/v1/dns").json["records"]
    assert [(r["wanted"], r["state"]) for r in records] == [(["203.0.113.10"], "ok"), (["2001:db8::10"], "ok")]
    path.start_relay()


def test_a_relay_behind_its_providers_nat(networked: Callable, folder: Path) -> None:  # noqa: F811
    """It finds no public address of its own: the one that its agents reach it at is published."""
    def records() -> list[tuple[str, list[str]]]:
        return [(record["type"], record["wanted"]) for record in path.agent.get("/v1/dns").json["records"]]

    path = networked(host="5.5.5.5", expect_up=False)
    (folder / "key").write_text("c2VjcmV0c2VjcmV0c2VjcmV0")
    (folder / "key").chmod(0o600)
    provider = f"[provider bind]\ntype = rfc2136\nserver = 127.0.0.1\nzone = {DOMAIN}\nkey_name = k\nkey_file = {folder}/key\n"
    path.agent.conf.write_text(path.agent.conf.read_text() + f"dns = bind\n{provider}")
    assert path.agent.post("/v1/reload").status == 200
    path.hosts.destination("router", "5.5.5.5", path.hosts.address("vm", "router"))
    path.wait_lanes(1)
    assert path.status()["lanes"] and wait_until(records, "there are records") == [("A", ["5.5.5.5"]), ("AAAA", [])]
    path.hosts.ip("vm", "addr", "add", "5.5.5.7/32", "dev", "lo")
    wait_until(lambda: records() == [("A", ["5.5.5.7"]), ("AAAA", [])], "an address of its own comes before that")
    path.relay.conf.write_text(path.relay.conf.read_text().replace("[relay]\n", "[relay]\npublish = 5.5.5.6\n"))
    assert path.relay.post("/v1/reload").status == 200
    wait_until(lambda: records() == [("A", ["5.5.5.6"]), ("AAAA", [])], "what is configured counts alone")


def test_tunnelctl_dns(agent: DnsAgent, sim: Cloudflare) -> None:
    def ctl(*words: str) -> Any:
        return run("tunnelctl", "--socket", agent.daemon.socket, *words)

    zone = sim.zones[ZONE]
    agent.site(WWW).start()
    agent.wait(WWW), agent.wait(WWW, "AAAA")
    shown = ctl("dns")
    assert shown.code == 0 and WWW in shown.out and V4 in shown.out and V6 in shown.out
    zone.find(WWW, "A")[0].content = "198.51.100.66"
    plan = ctl("dns", "sync", "--dry-run")
    assert plan.code == 0 and "-   198.51.100.66\n+   192.0.2.1\n" in plan.out and "1 record to be changed, 1 as it should be" in plan.out
    assert zone.values(WWW, "A") == ["198.51.100.66"]
    assert ctl("dns", "sync", WWW).code == 0 and zone.values(WWW, "A") == [V4]
    zone.records.clear()
    zone.add("www", "CNAME", "elsewhere.test")
    assert ctl("status").code == 0 and "DNS" in ctl("status").out
    plan = ctl("dns", "sync", "--dry-run")
    assert plan.code == 1 and f"{WWW} A at main: foreign, a CNAME record" in plan.out
    assert "0 records to be changed, 0 as they should be, 2 with a record of somebody else in the way" in plan.out
    foreign = ctl("dns", "sync")
    assert foreign.code == 1 and "CNAME record to elsewhere.test is in the way" in foreign.out
    assert ctl("dns").code == ctl("--json", "dns").code == ctl("status").code == 1
    assert "is in the way" in ctl("status").out
    assert json.loads(ctl("--json", "dns").out)["records"][0]["state"] == "foreign"
    for wrong in (["dns", "nonsense"], ["dns", "sync", "a", "b"], ["dns", "--dry-run"], ["dns", "providers", "nobody"], ["status", "--dry-run"]):
        assert ctl(*wrong).code == 2
    assert ctl("dns", "sync", "nowhere.test").code == 1
    one = ctl("dns", "providers", "cloudflare")
    assert one.code == 0 and "[provider cloudflare]\ntype = cloudflare\ntoken_file" in one.out
    assert {p["type"] for p in json.loads(ctl("--json", "dns", "providers").out)["providers"]} >= {"cloudflare", "powerdns", "rfc2136"}


def test_the_clock_says_1970(agent: DnsAgent, sim: Cloudflare, folder: Path) -> None:
    clock = Clock(folder, at=1000.0)
    agent.site(WWW).start(env=clock.environment)
    assert "clock is not set" in agent.wait(WWW, state="failed")["last_error"] and sim.requests == []
    clock.jump(time.time() - 1000)
    agent.wait(WWW), agent.wait(WWW, "AAAA")


def test_two_relays_one_down(agent: DnsAgent, sim: Cloudflare) -> None:
    """What an earlier run has been told by relays is published, when none of them is up, until one says otherwise."""
    agent.daemon.state_dir.mkdir(mode=0o700)
    relays = {"a": [["203.0.113.1"], []], "b": [["203.0.113.2"], ["2001:db8::b"]]}
    (agent.daemon.state_dir / "dns.json").write_text(json.dumps({"v": 1, "names": [], "accounts": {}, "relays": relays}))
    agent.extra = "".join(f"[relay {name}]\nhost = 127.0.0.1\nport = 1\nhost_key = ssh-ed25519 SHA256:{'A' * 43}\n" for name in "ab")
    agent.site(WWW, mode="tunnel", service="http://127.0.0.1:1").start()
    assert agent.wait(WWW)["provider"] == ["203.0.113.1", "203.0.113.2"]
    assert agent.wait(WWW, "AAAA")["provider"] == ["2001:db8::b"]
    assert sim.zones[ZONE].values(WWW, "A") == ["203.0.113.1", "203.0.113.2"]


def test_a_provider_that_hangs_delays_nobody_else(agent: DnsAgent, sim: Cloudflare, bind: Bind) -> None:
    release: list[int] = []
    agent.providers["other"] = {"type": bind.kind, **bind.keys()}
    sim.fail(lambda request: wait_until(lambda: release, "let go") and None)
    agent.site(WWW).site(f"c.{ZONE}", dns="other").start()
    wait_until(lambda: sim.requests, "it hangs")
    agent.wait(f"c.{ZONE}"), agent.wait(f"c.{ZONE}", "AAAA")
    assert agent.record(WWW)["state"] == "updating"
    agent.sites[f"d.{ZONE}"] = {"mode": "direct", "dns": "other"}
    agent.reload()
    agent.wait(f"d.{ZONE}")
    release.append(1)
    agent.wait(WWW)


def test_a_captive_portal(agent: DnsAgent, sim: Cloudflare) -> None:
    sim.fail(*[Reply.html()] * 3)
    agent.site(WWW).start()
    assert "not JSON" in agent.wait(WWW, state="failed")["last_error"]
    sim.next.clear()
    assert agent.sync()["errors"] == []
    agent.wait(WWW), agent.wait(WWW, "AAAA")
