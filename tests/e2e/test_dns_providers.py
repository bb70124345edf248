"""Each DNS provider against the strict simulator of it: sets, TXT beside values of others, zones, and every error class.

A provider is a row of PROVIDERS; its simulator knows its documented errors. What one cannot do is in its row."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable, NamedTuple

import pytest

from dns_sim.base import Reply, Simulator
from dns_sim.cloudflare import Cloudflare
from dns_sim.desec import Desec
from dns_sim.digitalocean import DigitalOcean
from dns_sim.dynv6 import Dynv6
from dns_sim.gandi import Gandi
from dns_sim.hetzner import Hetzner
from dns_sim.ovh import Ovh
from dns_sim.porkbun import Porkbun
from dns_sim.powerdns import PowerDnsSim
from dns_sim.route53 import Route53
from dnscall import Caller
from x509 import make_pair

ZONE = "example.org"
WWW = f"www.{ZONE}"
CHALLENGE = f"_acme-challenge.{WWW}"
VALUE, OTHER = "a" * 43, "b" * 43


class Provider(NamedTuple):
    sim: type[Simulator]
    ttl: int = 600  # one that it takes
    several: bool = True  # values of one name and type


PROVIDERS = [
    Provider(Cloudflare),
    Provider(Desec),
    Provider(DigitalOcean),
    Provider(Dynv6, ttl=60),
    Provider(Gandi),
    Provider(Hetzner),
    Provider(Ovh),
    Provider(Porkbun),
    Provider(PowerDnsSim),
    Provider(Route53),
]


@pytest.fixture(params=PROVIDERS, ids=lambda p: p.sim.kind)
def provider(request: pytest.FixtureRequest) -> Provider:
    return request.param


@pytest.fixture
def sims(started: list, folder: Path) -> Callable[..., Simulator]:
    def make(kind: type[Simulator], *zones: str, **more: Any) -> Simulator:
        started.append(kind(folder, *(zones or (ZONE,)), **more))
        return started[-1]

    return make


@pytest.fixture
def sim(provider: Provider, sims: Callable[..., Simulator]) -> Simulator:
    return sims(provider.sim)


def test_a_set_is_made_changed_and_deleted(sim: Simulator, provider: Provider) -> None:
    call, zone = Caller.of(sim), sim.zones[ZONE]
    assert call("read", WWW, "A")["values"] == []
    assert call("set", WWW, "A", -1, -1, "192.0.2.1")["class"] == "ok"
    assert call("set", WWW, "AAAA", -1, -1, "2001:DB8:0::1")["class"] == "ok"
    assert zone.values(WWW, "A") == ["192.0.2.1"] and zone.values(WWW, "AAAA") == ["2001:db8::1"]
    before = len(sim.writes)
    assert call("set", WWW, "A", -1, -1, "192.0.2.1")["class"] == "nochange"
    assert call("read", WWW, "A")["values"] == ["192.0.2.1"]
    assert call("set", WWW, "A", provider.ttl, -1, "192.0.2.2")["class"] == "ok"
    assert (zone.values(WWW, "A"), zone.find(WWW, "A")[0].ttl) == (["192.0.2.2"], provider.ttl)
    assert len(sim.writes) > before
    assert call("clear", WWW, "A")["class"] == "ok"
    assert zone.values(WWW, "A") == [] and zone.values(WWW, "AAAA") == ["2001:db8::1"]
    assert call("clear", WWW, "A")["class"] == "nochange"


def test_what_the_user_set_stays(sim: Simulator, provider: Provider) -> None:
    record = sim.zones[ZONE].add("www", "A", "192.0.2.1", ttl=provider.ttl, comment="mine", proxied=False)
    assert Caller.of(sim)("set", WWW, "A", -1, -1, "192.0.2.9")["class"] == "ok"
    [after] = sim.zones[ZONE].find(WWW, "A")
    assert (after.content, after.ttl) == ("192.0.2.9", provider.ttl)
    if after.id == record.id:
        assert after.more["comment"] == "mine"


def test_several_values(sim: Simulator, provider: Provider) -> None:
    if not provider.several:
        pytest.skip("it holds one value")
    call, zone = Caller.of(sim), sim.zones[ZONE]
    assert call("set", WWW, "A", -1, -1, "192.0.2.1", "192.0.2.2", "192.0.2.3")["class"] == "ok"
    assert zone.values(WWW, "A") == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert call("set", WWW, "A", -1, -1, "192.0.2.3", "192.0.2.4")["class"] == "ok"
    assert zone.values(WWW, "A") == ["192.0.2.3", "192.0.2.4"]


@pytest.mark.parametrize("name", [ZONE, f"*.{ZONE}", f"a.b.c.{ZONE}", f"*.sub.{ZONE}"])
def test_apex_wildcard_and_deep_names(sim: Simulator, name: str) -> None:
    call = Caller.of(sim)
    assert call("set", name, "A", -1, -1, "192.0.2.1")["class"] == "ok"
    assert call("read", name, "A")["values"] == ["192.0.2.1"]
    assert sim.zones[ZONE].values(name, "A") == ["192.0.2.1"]
    assert call("set", name, "A", -1, -1, "192.0.2.2")["class"] == "ok"
    assert sim.zones[ZONE].values(name, "A") == ["192.0.2.2"]
    assert call("clear", name, "A")["class"] == "ok"
    assert sim.zones[ZONE].records == []


def test_the_zone_is_found_by_asking(provider: Provider, sims: Callable[..., Simulator]) -> None:
    sim = sims(provider.sim, "example.co.uk", "sub.example.co.uk")
    call = Caller.of(sim)
    assert call("zone", "www.example.co.uk")["zone"] == "example.co.uk"
    assert call("zone", "a.b.sub.example.co.uk")["zone"] == "sub.example.co.uk"
    assert call("zone", "example.co.uk")["zone"] == "example.co.uk"
    missing = call("zone", "www.elsewhere.test")
    assert missing["class"] == "config" and "www.elsewhere.test" in missing["text"]


def test_txt_keeps_a_foreign_value(sim: Simulator) -> None:
    call, zone = Caller.of(sim), sim.zones[ZONE]
    assert call("add-txt", CHALLENGE, OTHER)["class"] == "ok"
    assert call("add-txt", CHALLENGE, VALUE)["class"] == "ok"
    assert zone.values(CHALLENGE, "TXT") == [VALUE, OTHER]
    assert call("add-txt", CHALLENGE, VALUE)["class"] == "nochange"
    assert call("remove-txt", CHALLENGE, VALUE)["class"] == "ok"
    assert zone.values(CHALLENGE, "TXT") == [OTHER]
    assert call("remove-txt", CHALLENGE, VALUE)["class"] == "nochange"
    assert call("remove-txt", CHALLENGE, OTHER)["class"] == "ok"
    assert zone.records == []


def test_every_error_class(sim: Simulator) -> None:
    call = Caller.of(sim)
    for cls, replies in sim.errors().items():
        for reply in replies:
            sim.next.clear()
            sim.fail(*[reply] * 4)
            answer = call("read", WWW, "A")
            assert answer["class"] == cls, (cls, reply, answer)
            assert len(answer["text"]) > 20
            if "retry-after" in reply.headers:
                assert answer["retry_after_ms"] == int(reply.headers["retry-after"]) * 1000


@pytest.mark.parametrize("fault, classes", [
    (Reply.html(), {"badreply"}), (Reply(200, b'{"success": tru'), {"badreply"}), (Reply(500), {"transient"}),
    (Reply.html(503), {"transient", "throttled"}), ("break", {"transient"}), (Reply(200, b"x" * (2 << 20)), {"badreply"}),
    (Reply(302, b"", {"Location": "https://127.0.0.1:1/"}), {"badreply"}),
], ids=["html", "half", "500", "503", "reset", "huge", "redirect"])
def test_faults_are_never_a_success(sim: Simulator, fault: Any, classes: set[str]) -> None:
    sim.fail(*[fault if isinstance(fault, Reply) else (lambda request: fault)] * 4)
    assert Caller.of(sim)("set", WWW, "A", -1, -1, "192.0.2.1")["class"] in classes
    assert sim.zones[ZONE].records == []


@pytest.mark.slow
def test_a_fault_at_every_step(provider: Provider, sims: Callable[..., Simulator]) -> None:
    """Whichever request of a change fails: it is no success, and the next attempt makes all of it right."""
    sim = sims(provider.sim)
    assert Caller.of(sim)("set", WWW, "A", -1, -1, "192.0.2.1")["class"] == "ok"
    steps = len(sim.requests)
    for step in range(steps):
        sim.zones[ZONE].records.clear()
        sim.times.clear()
        sim.fail(*[lambda request: None] * step, Reply(500))
        answers = Caller.of(sim).all(*[("set", WWW, "A", -1, -1, "192.0.2.1")] * 2)
        assert answers[0]["class"] == "transient" and answers[1]["class"] in ("ok", "nochange"), (step, answers)
        assert sim.zones[ZONE].values(WWW, "A") == ["192.0.2.1"]


def test_a_wrong_credential(sim: Simulator) -> None:
    call = Caller.of(sim)
    for key in sim.secrets:
        path = sim.folder / "wrong"
        path.touch(mode=0o600)
        path.write_text("wrong-0123456789-wrong\n")
        call.keys[key] = str(path)
    assert call("set", WWW, "A", -1, -1, "192.0.2.1")["class"] == "auth"
    call.keys.update(sim.keys())
    for key in sim.secrets:
        call.keys[key] = str(sim.folder / "nowhere")
    assert call("read", WWW, "A")["class"] == "auth"


def test_nobody_there_and_nobody_trusted(provider: Provider, sims: Callable[..., Simulator], folder: Path) -> None:
    sim = sims(provider.sim)
    other = make_pair(folder, "other", ["127.0.0.1"])
    assert Caller.of(sim, ca_file=str(other.cert))("read", WWW, "A")["class"] == "transient"
    assert sim.requests == []
    expired = sims(provider.sim, pair=make_pair(folder, "expired", ["127.0.0.1"], days=-1))
    assert Caller.of(expired)("read", WWW, "A")["class"] == "transient"
    assert expired.requests == []


def test_requests_keep_their_pace(sim: Simulator) -> None:
    """The simulator fails the test when its limits are not kept."""
    start = time.monotonic()
    answers = Caller.of(sim).all(*[("set", f"n{i}.{ZONE}", "A", -1, -1, f"192.0.2.{i}") for i in range(4)])
    assert [a["class"] for a in answers] == ["ok"] * 4
    assert time.monotonic() - start < 60


def test_rate_headers_are_obeyed(sims: Callable[..., Simulator]) -> None:
    """Whatever the provider: nothing is left for two seconds, so the next request waits; for an hour, and it is not made."""
    sim = sims(Cloudflare)
    in_a_while = {"X-RateLimit-Remaining": lambda: "0", "X-RateLimit-Reset": lambda: str(int(time.time()) + 3)}
    for headers in ({"Ratelimit": lambda: '"default";r=0;t=2'}, in_a_while,
                    {"RateLimit-Remaining": lambda: "0", "RateLimit-Reset": lambda: "2"}):
        sim.requests.clear()
        sim.fail(lambda request, h=headers: Reply(200, b'{"success": true, "result": []}', {k: v() for k, v in h.items()}))
        assert Caller.of(sim)("zone", WWW)["class"] == "ok"
        assert sim.requests[1].at - sim.requests[0].at > 1, headers
    sim.requests.clear()
    sim.fail(lambda request: Reply(200, b'{"success": true, "result": []}', {"Ratelimit": '"default";r=0;t=3600'}))
    answer = Caller.of(sim)("zone", WWW)
    assert (answer["class"], len(sim.requests)) == ("throttled", 1) and 3590000 < answer["retry_after_ms"] <= 3600000


def test_retry_after_as_a_date(sims: Callable[..., Simulator]) -> None:
    sim = sims(Cloudflare)
    at = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))
    sim.fail(Reply(429, b"", {"Retry-After": at}))
    assert 90000 < Caller.of(sim)("zone", WWW)["retry_after_ms"] <= 100000


def test_where_secrets_may_be(sims: Callable[..., Simulator]) -> None:
    sim = sims(Cloudflare)
    call = Caller.of(sim)
    token = Path(call.keys["token_file"])
    token.chmod(0o644)
    answer = call("zone", WWW)
    assert answer["class"] == "auth" and "chmod 600" in answer["text"] and sim.requests == []
    call.keys["token_file"] = "env:E2E_TOKEN"
    assert call("zone", WWW)["class"] == "auth" and sim.requests == []
    call.env = {"E2E_TOKEN": sim.secrets["token_file"]}
    assert call("zone", WWW)["class"] == "ok"
    call.keys["token_file"], call.env = "credential:cf", {"CREDENTIALS_DIRECTORY": str(sim.folder)}
    (sim.folder / "cf").write_text(sim.secrets["token_file"])
    assert call("zone", WWW)["class"] == "ok"
    for wrong in ("credential:../x", "credential:", "credential:none"):
        call.keys["token_file"] = wrong
        assert call("zone", WWW)["class"] == "auth"
