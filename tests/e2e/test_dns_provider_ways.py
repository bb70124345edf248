"""What is special to one DNS provider, against its simulator: what it keeps, what it waits for, and what its failures say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest

from daemon import Daemon
from dns_agent import DnsAgent
from dns_sim.base import Reply, Request, Simulator
from dns_sim.desec import Desec
from dns_sim.digitalocean import DigitalOcean
from dns_sim.dynv6 import Dynv6
from dns_sim.gandi import Gandi
from dns_sim.hetzner import Hetzner
from dns_sim.ovh import Ovh
from dns_sim.porkbun import Porkbun
from dns_sim.route53 import Route53
from dns_sim.route53 import refusal as aws_refusal
from dnscall import Caller
from programs import wait_until

ZONE = "example.org"
WWW = f"www.{ZONE}"
CHALLENGE = f"_acme-challenge.{WWW}"
VALUE = "a" * 43


@pytest.fixture
def sims(started: list, folder: Path) -> Callable[..., Any]:
    def make(kind: type[Simulator], *zones: str) -> Any:
        started.append(kind(folder, *(zones or (ZONE,))))
        return started[-1]

    return make


def set_a(sim: Simulator, *values: str, ttl: int = -1, name: str = WWW) -> dict[str, Any]:
    return Caller.of(sim)("set", name, "A", ttl, -1, *values)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Desec, DigitalOcean, Gandi, Hetzner, Ovh, Porkbun, Route53])
def test_the_agent_follows(daemons: Callable[..., Daemon], sims: Callable, kind: type[Simulator]) -> None:
    """From the configuration to the records, a new address, and a site that is taken out; with no secret in sight."""
    sim = sims(kind)
    sim.zones[ZONE].add("other", "A", "192.0.2.77", ttl=3600)
    agent = DnsAgent(daemons, sim.kind, sim.keys()).site(WWW).site(f"b.{ZONE}", families="ipv4").start()
    agent.wait(WWW), agent.wait(WWW, "AAAA"), agent.wait(f"b.{ZONE}")
    zone = sim.zones[ZONE]
    assert (zone.values(WWW, "A"), zone.values(WWW, "AAAA")) == (["192.0.2.1"], ["2001:db8::1"])
    agent.address["sources"] = "fixed:192.0.2.2 fixed:2001:db8::1"
    del agent.sites[f"b.{ZONE}"]
    agent.reload()
    wait_until(lambda: [zone.values(n, "A") for n in (WWW, f"b.{ZONE}")] == [["192.0.2.2"], []], "the records follow", 120)
    assert zone.values(f"other.{ZONE}", "A") == ["192.0.2.77"]
    agent.wait(WWW)
    shown = agent.daemon.log() + str(agent.daemon.get("/v1/dns").json) + str(agent.daemon.get("/v1/status").json) + agent.memory().decode()
    assert not [key for key, secret in sim.secrets.items() if secret in shown]


# ---- Route 53 ----


@pytest.mark.parametrize("kind, words", [("alias", "an alias"), ("policy", "routed by a policy")])
def test_route53_sets_that_are_no_plain_ones(sims: Callable, kind: str, words: str) -> None:
    sim = sims(Route53)
    sim.zones[ZONE].add("www", "A", "192.0.2.1", **{kind: "elsewhere.example"})
    answer = set_a(sim, "192.0.2.9")
    assert answer["class"] == "config" and words in answer["text"] and sim.writes == []
    assert Caller.of(sim)("read", WWW, "AAAA")["class"] == "ok"


def test_route53_zones_of_one_name(sims: Callable) -> None:
    sim = sims(Route53)
    sim.private += [ZONE, f"dev.{ZONE}"]
    assert set_a(sim, "192.0.2.1", name=f"www.dev.{ZONE}")["class"] == "ok"
    sim.doubled.append(ZONE)
    answer = set_a(sim, "192.0.2.2")
    assert answer["class"] == "config" and sim.zones[ZONE].id in answer["text"] and "two public zones" in answer["text"]


def test_route53_temporary_credentials(sims: Callable) -> None:
    sim = sims(Route53)
    sim.session_token = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQ=="
    sim.secrets = {**sim.secrets, "token_file": sim.session_token}
    assert set_a(sim, "192.0.2.1")["class"] == "ok"


def test_route53_foreign_txt_stays_as_it_is_written(sims: Callable) -> None:
    """Escapes in octal, and pieces that we would cut elsewhere: both stay to the byte, also when a set is deleted."""
    sim = sims(Route53)
    theirs = ['"caf\\303\\251"', '"v=DKIM1; p=" "abc" "def"']
    for value in theirs:
        sim.zones[ZONE].add(CHALLENGE, "TXT", value, ttl=77)
    call = Caller.of(sim)
    assert call("add-txt", CHALLENGE, VALUE)["class"] == "ok"
    found = sim.zones[ZONE].find(CHALLENGE, "TXT")
    assert sorted(r.content for r in found) == sorted([*theirs, f'"{VALUE}"']) and {r.ttl for r in found} == {77}
    assert call("remove-txt", CHALLENGE, VALUE)["class"] == "ok"
    assert sorted(r.content for r in sim.zones[ZONE].find(CHALLENGE, "TXT")) == sorted(theirs)
    assert call("clear", CHALLENGE, "TXT")["class"] == "ok"
    assert sim.zones[ZONE].records == []


def test_route53_txt_waits_for_all_name_servers(sims: Callable) -> None:
    sim = sims(Route53)
    sim.sync_after = 2
    assert Caller.of(sim)("add-txt", CHALLENGE, VALUE)["class"] == "ok"
    assert [r.path for r in sim.requests[-2:]] == ["/change/" + list(sim.changes)[0]] * 2
    before = len(sim.requests)
    assert set_a(sim, "192.0.2.1")["class"] == "ok"
    assert not any("/change/" in r.path for r in sim.requests[before:])


def test_somebody_else_changes_the_set_meanwhile(sims: Callable) -> None:
    """Between reading and writing: a value that was added there is not lost."""
    for kind, step in ((Route53, 3), (Hetzner, 3)):
        sim = sims(kind)
        sim.zones[ZONE].add("www", "A", "192.0.2.1", ttl=300)

        def meddle(request: Request) -> None:
            sim.zones[ZONE].add("www", "A", "192.0.2.200", ttl=300)

        sim.fail(*[lambda request: None] * step, meddle)
        answer = set_a(sim, "192.0.2.2")
        assert answer["class"] == "transient" and "meanwhile" in answer["text"], kind
        assert sim.zones[ZONE].values(WWW, "A") == ["192.0.2.1", "192.0.2.200"] and sim.writes == []


def test_route53_may_not_wait(sims: Callable) -> None:
    sim = sims(Route53)
    sim.fail(*[lambda request: None] * 6, aws_refusal(403, "AccessDenied", "not authorized to perform: route53:GetChange"))
    answer = Caller.of(sim)("add-txt", CHALLENGE, VALUE)
    assert answer["class"] == "config" and "GetChange" in answer["text"]


# ---- DigitalOcean, Gandi ----


def test_targets_as_they_are_written(sims: Callable) -> None:
    for kind in (DigitalOcean, Gandi):
        sim = sims(kind)
        sim.zones[ZONE].add("www", "CNAME", "@")
        sim.zones[ZONE].add("a", "CNAME", "Other.example.com.")
        assert Caller.of(sim)("read", WWW, "CNAME")["values"] == [ZONE]
        assert Caller.of(sim)("read", f"a.{ZONE}", "CNAME")["values"] == ["other.example.com"]
    sim.zones[ZONE].add("b", "CNAME", "web")
    assert Caller.of(sim)("read", f"b.{ZONE}", "CNAME")["values"] == [f"web.{ZONE}"]


def test_a_page_that_is_not_found_is_no_answer(sims: Callable) -> None:
    """A server in between says 404 to everything: then the next shorter name is not asked for, as if it were a zone."""
    for kind in (DigitalOcean, Gandi, Hetzner):
        sim = sims(kind)
        sim.fail(Reply.html(404))
        assert set_a(sim, "192.0.2.1")["class"] == "config" and len(sim.requests) == 1


# ---- Hetzner ----


def test_hetzner_comments_and_ttl(sims: Callable) -> None:
    sim = sims(Hetzner)
    sim.zones[ZONE].add("www", "A", "192.0.2.1", ttl=None, comment="web")
    sim.zones[ZONE].add("www", "A", "192.0.2.2", ttl=None, comment="spare")
    assert set_a(sim, "192.0.2.2", "192.0.2.9")["class"] == "ok"
    found = {r.content: (r.more.get("comment"), r.ttl) for r in sim.zones[ZONE].find(WWW, "A")}
    assert found == {"192.0.2.2": ("spare", None), "192.0.2.9": ("web", None)}
    assert set_a(sim, "192.0.2.2", "192.0.2.9", ttl=120)["class"] == "ok"
    assert [r.path.rpartition("/")[2] for r in sim.writes] == ["set_records", "change_ttl"]
    assert {r.ttl for r in sim.zones[ZONE].find(WWW, "A")} == {120}


@pytest.mark.parametrize("code, cls", [("locked", "transient"), ("action_failed", "transient"), ("protected", "config"),
                                       ("incorrect_zone_mode", "config")])
def test_hetzner_actions_that_fail(sims: Callable, code: str, cls: str) -> None:
    sim = sims(Hetzner)
    sim.fails = {"code": code, "message": "it did not work"}
    answer = set_a(sim, "192.0.2.1")
    assert answer["class"] == cls and "it did not work" in answer["text"]


def test_hetzner_secondary_zone(sims: Callable) -> None:
    sim = sims(Hetzner)
    sim.mode = "secondary"
    answer = set_a(sim, "192.0.2.1")
    assert answer["class"] == "config" and "secondary" in answer["text"] and sim.writes == []


# ---- deSEC ----


def test_desec_ttl(sims: Callable) -> None:
    sim = sims(Desec)
    sim.minimum_ttl = 3600
    assert set_a(sim, "192.0.2.1")["class"] == "ok"
    assert sim.zones[ZONE].find(WWW, "A")[0].ttl == 3600
    answer = set_a(sim, "192.0.2.1", ttl=60)
    assert answer["class"] == "config" and "greater than or equal to 3600" in answer["text"] and "ttl" in answer["text"]


def test_desec_changes_a_minute(sims: Callable) -> None:
    sim = sims(Desec)
    sim.changes.extend([__import__("time").monotonic() - 30] * 15)
    answer = set_a(sim, "192.0.2.1")
    assert (answer["class"], answer["retry_after_ms"]) == ("throttled", 27000)


# ---- Porkbun ----


def test_porkbun_closed_domain_and_wrong_files(sims: Callable) -> None:
    sim = sims(Porkbun)
    sim.opted_in = False
    answer = set_a(sim, "192.0.2.1")
    assert answer["class"] == "config" and "API ACCESS" in answer["text"]
    before = len(sim.requests)
    call = Caller.of(sim)
    Path(call.keys["secret_file"]).write_text('{"secret": "sk1_1"}')
    answer = call("read", WWW, "A")
    assert answer["class"] == "auth" and "secret_file" in answer["text"] and len(sim.requests) == before


def test_porkbun_asks_once_for_its_domains(sims: Callable) -> None:
    sim = sims(Porkbun, ZONE, *[f"n{i}.example" for i in range(1005)])
    answers = Caller.of(sim).all(("zone", WWW), ("zone", "a.n1004.example"), ("zone", "www.elsewhere.test"))
    assert [a["class"] for a in answers] == ["ok", "ok", "config"] and answers[1]["zone"] == "n1004.example"
    assert [r.json()["start"] for r in sim.requests] == ["0", "1000"]


def test_porkbun_parking_records_are_seen(sims: Callable) -> None:
    sim = sims(Porkbun)
    sim.zones[ZONE].add("*", "CNAME", "pixie.porkbun.com")
    sim.zones[ZONE].add("", "ALIAS", "pixie.porkbun.com")
    answers = Caller.of(sim).all(("read", f"*.{ZONE}", "CNAME"), ("read", ZONE, "ALIAS"))
    assert [a["values"] for a in answers] == [["pixie.porkbun.com"]] * 2


# ---- OVH ----


def test_ovh_a_refresh_that_failed_is_made_up_for(sims: Callable) -> None:
    """The records are right then, but nobody sees them: the next call publishes them first, whatever it is about."""
    sim = sims(Ovh)
    sim.fail(*[lambda request: None] * 5, Reply(500))
    answers = Caller.of(sim).all(("set", WWW, "A", -1, -1, "192.0.2.1"), ("set", WWW, "A", -1, -1, "192.0.2.1"))
    assert [a["class"] for a in answers] == ["transient", "nochange"]
    assert [r.path.rpartition("/")[2] for r in sim.writes] == ["record", "refresh", "refresh"]
    assert sim.published[ZONE] == sim.state(sim.zones[ZONE]) != []


def test_ovh_a_key_that_may_not_refresh(sims: Callable) -> None:
    """It is never taken for done, though the records look right; and other zones do not wait for that one."""
    sim = sims(Ovh, ZONE, "example.net")
    sim.may_refresh = False
    answers = Caller.of(sim).all(*[("set", WWW, "A", -1, -1, "192.0.2.1")] * 2, ("read", "www.example.net", "A"))
    assert [a["class"] for a in answers] == ["config", "config", "ok"] and "consumer key" in answers[1]["text"]


def test_ovh_one_refresh_for_several_records(sims: Callable) -> None:
    sim = sims(Ovh)
    assert set_a(sim, "192.0.2.1", "192.0.2.2", "192.0.2.3")["class"] == "ok"
    assert [r.path.rpartition("/")[2] for r in sim.writes] == ["record"] * 3 + ["refresh"]


def test_ovh_key_with_the_least_rights(sims: Callable) -> None:
    sim = sims(Ovh, ZONE, "example.net")
    sim.granted = {ZONE}
    assert set_a(sim, "192.0.2.1")["class"] == "ok"
    answer = set_a(sim, "192.0.2.1", name="www.example.net")
    assert answer["class"] == "config" and "www.example.net" in answer["text"]
    assert Caller.of(sim, zone=ZONE)("read", WWW, "A")["values"] == ["192.0.2.1"]


def test_ovh_asks_for_the_time_once_and_again_when_it_is_wrong(sims: Callable) -> None:
    sim = sims(Ovh)
    call = Caller.of(sim)
    assert [a["class"] for a in call.all(*[("read", WWW, "A")] * 3)] == ["ok"] * 3
    assert [r.path for r in sim.requests].count("/auth/time") == 1
    sim.requests.clear()
    sim.fail(lambda request: Reply.json(200, 1000000))
    assert [a["class"] for a in call.all(*[("read", WWW, "A")] * 2)] == ["transient", "ok"]
    assert [r.path for r in sim.requests].count("/auth/time") == 1 and sim.requests[0].path == "/1.0/auth/time"


# ---- dynv6 ----


def is_update(request: Request) -> bool:
    return request.path == "/api/update"


def test_dynv6_the_zones_own_addresses(daemons: Callable[..., Daemon], sims: Callable) -> None:
    """Both families by one call, and only what is wrong; ours alone are taken away; names below and wildcards are records."""
    sim = sims(Dynv6, ZONE, f"sub.{ZONE}")
    zone = sim.zones[ZONE]
    zone.add("", "TXT", "v=spf1 -all"), zone.add("keep", "A", "198.51.100.7")
    zone.add("cname", "CNAME", "elsewhere.test.")
    wildcard, alias = f"*.{ZONE}", f"cname.{ZONE}"
    agent = DnsAgent(daemons, sim.kind, sim.keys()).site(ZONE).site(wildcard, families="ipv4").site(alias, families="ipv4").start()
    agent.wait(ZONE), agent.wait(ZONE, "AAAA"), agent.wait(wildcard)
    assert [zone.values(ZONE, t) for t in ("A", "AAAA")] == [["192.0.2.1"], ["2001:db8::1"]] and zone.values(wildcard, "A") == ["192.0.2.1"]
    assert "elsewhere.test" in agent.wait(alias, state="foreign")["last_error"]
    told = [r for r in sim.requests if is_update(r)]
    assert [set(dict(r.query)) for r in told] == [{"zone", "token", "ipv4", "ipv6"}]
    asked = len(sim.requests)
    agent.daemon.stop()
    agent.start()
    assert agent.record(ZONE)["state"] == "ok" and len(sim.requests) == asked
    agent.address["sources"] = "fixed:192.0.2.2 fixed:2001:db8::1"
    agent.reload()
    wait_until(lambda: zone.values(ZONE, "A") == zone.values(wildcard, "A") == ["192.0.2.2"], "the records follow", 120)
    agent.wait(ZONE)
    told = [r for r in sim.requests if is_update(r)]
    assert len(told) == 2 and set(dict(told[1].query)) == {"zone", "token", "ipv4"}, "the other family is left alone"
    assert zone.values(ZONE, "AAAA") == ["2001:db8::1"]
    agent.sites.clear()
    agent.reload()
    wait_until(lambda: sorted((r.name, r.content) for r in zone.records) == [
        (f"cname.{ZONE}", "elsewhere.test."), (ZONE, "v=spf1 -all"), (f"keep.{ZONE}", "198.51.100.7")], "only what we made is gone", 120)
    told = [r for r in sim.requests if is_update(r)]
    assert len(told) == 3 and {k: v for k, v in told[2].query if k != "token"} == {"zone": ZONE, "ipv4": "-", "ipv6": "-"}
    shown = agent.daemon.log() + agent.memory().decode()
    assert sim.secrets["token_file"] not in shown


def test_dynv6_an_address_of_others_at_the_zone(daemons: Callable[..., Daemon], sims: Callable) -> None:
    """It gives way, is not taken away with the site, and the user's length of the prefix stays."""
    sim = sims(Dynv6)
    zone = sim.zones[ZONE]
    zone.add("", "A", "198.51.100.1"), zone.add("", "AAAA", "2001:db8:1::", length="/56")
    agent = DnsAgent(daemons, sim.kind, sim.keys()).site(ZONE).start()
    agent.wait(ZONE), agent.wait(ZONE, "AAAA")
    assert zone.values(ZONE, "A") == ["192.0.2.1"]
    assert [(r.content, r.more["length"]) for r in zone.find(ZONE, "AAAA")] == [("2001:db8::1", "/56")]
    agent.sites.clear()
    agent.reload()
    wait_until(lambda: json.loads(agent.memory())["names"] == [], "nothing is remembered")
    assert zone.values(ZONE, "A") == ["192.0.2.1"] and zone.values(ZONE, "AAAA") == ["2001:db8::1"]


def test_dynv6_one_address_of_each_family_at_the_zone(daemons: Callable[..., Daemon], sims: Callable) -> None:
    sim = sims(Dynv6)
    answer = Caller.of(sim)("set", ZONE, "A", -1, -1, "192.0.2.1", "192.0.2.2")
    assert answer["class"] == "config" and ZONE in answer["text"] and sim.zones[ZONE].records == []


def test_dynv6_errors_of_the_update_url(sims: Callable) -> None:
    sim = sims(Dynv6)
    call = Caller.of(sim)
    for cls, replies in sim.update_errors().items():
        for reply in replies:
            sim.fail(reply)
            answer = call("update", ZONE, "192.0.2.1", "-")
            assert answer["class"] == cls and len(answer["text"]) > 20, (reply, answer)
            if "retry-after" in reply.headers:
                assert answer["retry_after_ms"] == int(reply.headers["retry-after"]) * 1000
    sim.fail(lambda request: None, Reply(500))  # behind the list of zones, which says how long the prefix is
    assert call("update", ZONE, "-", "2001:db8::1")["class"] == "transient"
    assert sim.zones[ZONE].records == [] and call("update", f"www.{ZONE}", "192.0.2.1", "-")["class"] == "config"
    assert [a["class"] for a in call.all(*[("update", ZONE, "192.0.2.1", "2001:db8::1")] * 2)] == ["ok", "nochange"]


def test_dynv6_a_zone_made_anew(daemons: Callable[..., Daemon], sims: Callable) -> None:
    """Another id of the same zone: the first call of the old one says that it is gone, and the next look finds the new one."""
    sim = sims(Dynv6)
    agent = DnsAgent(daemons, sim.kind, sim.keys()).site(ZONE, families="ipv4").start()
    agent.wait(ZONE)
    sim.zones[ZONE].id = "99"
    sim.zones[ZONE].records.clear()
    agent.sync()
    agent.sync()
    wait_until(lambda: sim.zones[ZONE].values(ZONE, "A") == ["192.0.2.1"], "it is found and filled")


def test_dynv6_data_that_stands_for_an_address(sims: Callable) -> None:
    """A network card's number behind the zone's prefix is what it expands to; targets are relative unless they end with a dot."""
    sim = sims(Dynv6)
    zone = sim.zones[ZONE]
    zone.add("nas", "AAAA", "00:11:22:33:44:55", expanded="2001:db8::211:22ff:fe33:4455")
    zone.add("a", "CNAME", "nas"), zone.add("b", "CNAME", "nas.example.net.")
    zone.add("odd", "AAAA", "00:11:22:33:44:55")
    answers = Caller.of(sim).all(("read", f"nas.{ZONE}", "AAAA"), ("set", f"nas.{ZONE}", "AAAA", -1, -1, "2001:db8::211:22ff:fe33:4455"),
                                 ("read", f"a.{ZONE}", "CNAME"), ("read", f"b.{ZONE}", "CNAME"), ("read", f"odd.{ZONE}", "AAAA"))
    assert [a.get("values") for a in (answers[0], *answers[2:4])] == [["2001:db8::211:22ff:fe33:4455"], [f"nas.{ZONE}"], ["nas.example.net"]]
    assert answers[1]["class"] == "nochange" and answers[4]["class"] == "badreply" and sim.writes == []


def test_dynv6_txt_in_the_right_zone(sims: Callable) -> None:
    sim = sims(Dynv6, ZONE, WWW)
    sim.zones[ZONE].add("_acme-challenge.www", "TXT", "elsewhere"), sim.zones[WWW].add("_acme-challenge", "TXT", "foreign")
    answers = Caller.of(sim).all(("add-txt", CHALLENGE, "one"), ("add-txt", CHALLENGE, "two"), ("remove-txt", CHALLENGE, "one"))
    assert [a["class"] for a in answers] == ["ok"] * 3
    assert sim.zones[WWW].values(CHALLENGE, "TXT") == ["foreign", "two"]
    assert [r.content for r in sim.zones[ZONE].records] == ["elsewhere"]
