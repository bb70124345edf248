"""What comes before a name's first certificate in earnest: the staging area, and a look whether the name leads here at all."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Callable

from acme_client import serialization
from acme_sim import AcmeSim, problem, sims  # noqa: F401 (a fixture)
from acme_sim.sim import renewal_id
from authority import authorities, loopback  # noqa: F401 (a fixture)
from clock import Clock
from path import DOMAIN, Front, fronts  # noqa: F401 (a fixture)
from programs import wait_until
from proxy import Proxy
from test_certs import section
from test_certs_faults import SUGGESTED, SimCerts, relays  # noqa: F401 (a fixture)
from test_preflight import listed, listening

EARNEST, STAGING = "acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org"


def test_the_staging_area_comes_first(sims, relays, started, folder):  # noqa: F811
    """With directory = letsencrypt, and as Let's Encrypt two simulators that lie behind a proxy: what fails in the staging area is
    not ordered in earnest; what has worked once does not go there again."""
    staging, earnest = sims(host=STAGING, ari=False), sims(host=EARNEST, ari=False)
    trusted = folder / "both.pem"
    trusted.write_text(staging.ca_file.read_text() + earnest.ca_file.read_text())
    proxy = Proxy({STAGING: staging.port, EARNEST: earnest.port})
    started.append(proxy)
    staging.verdicts["b.test"] = ("connection", "192.0.2.7: connection refused")
    staging.may_hurry = True
    acme = {"directory": "letsencrypt", "ca_file": trusted, "staging_first": "on"}
    c = relays(earnest, "a.test www.a.test b.test", ["b.test"], acme=acme, env=proxy.environment)
    failed = c.wait("failing", "b.test")
    assert "staging: " in failed["last_error"] and "192.0.2.7: connection refused" in failed["last_error"], failed
    assert not earnest.requests and EARNEST not in proxy.asked

    c.claim("b.test", DOMAIN)  # nobody waits for b.test
    assert c.wait("valid")["issuer"] == "acme"
    assert [o.names for o in earnest.orders.values()] == [[DOMAIN]]
    assert [o.names for o in staging.orders.values() if o.issued] == [[DOMAIN]]
    assert (len(staging.accounts), len(earnest.accounts)) == (1, 1)
    first = c.newest()
    wait_until(lambda: earnest.issued[0].public_bytes(serialization.Encoding.DER) == first, "what is served is the real one")

    ordered = len(staging.orders)
    c.claim("b.test", (DOMAIN, ["www.a.test"]))
    wait_until(lambda: len(c.cert()["names"]) == 2, "the alias is covered, too")
    assert c.renew().status == 200 and len(earnest.issued) == 3
    assert len(staging.orders) == ordered, "neither a further name nor a renewal goes there"
    asked = [c.renew() for _ in range(4)]
    assert [reply.status for reply in asked] == [200, 200, 200, 502], "five for the same names within a week"
    assert "5 certificates for the same names" in asked[-1].json["error"] and len(earnest.orders) == len(earnest.issued) == 6
    assert c.cert()["state"] == "valid" and c.cert()["last_error"] is None
    assert c.shown() == c.in_store()

    staging.verdicts.clear()
    assert c.renew("b.test").status == 200
    assert c.wait("valid", "b.test")["last_error"] is None and len(earnest.issued) == 7


class Late(SimCerts):
    """A relay where the world looks for it, for whose site nobody listens yet; its clock and the authority's go together."""

    def __init__(self, fronts: Callable[..., Front], started: list, sim: AcmeSim, clock: Clock, address: str, elsewhere: str,
                 resolver: str) -> None:  # noqa: F811
        self.clock, self.sim = clock, sim
        self.front = fronts("unused.test", **{**listening(address), "publish": f"{address} {elsewhere}"})
        self.relay = self.front.relay
        acme = {**sim.keys(), "preflight": "on", "resolvers": resolver}
        self.relay.conf.write_text(self.relay.conf.read_text() + section("acme", acme) +
                                   section("domain a.test", {"upstream": "127.0.0.1:1"}) + section("domain b.test", {"upstream": "127.0.0.1:1"}))
        self.start()

    def start(self) -> None:
        self.relay.start(env=self.clock.environment)

    def restart(self) -> None:
        self.relay.stop()
        self.start()

    def passes(self, seconds: int) -> None:
        self.clock.wait(seconds)
        self.sim.clock_offset_s += seconds

    def meta(self, name: str = DOMAIN) -> dict[str, Any]:
        return json.loads((self.relay.state_dir / "certs" / name / "meta.json").read_text())


def test_held_back_for_a_day_at_most(fronts, sims, authorities, started, folder):  # noqa: F811
    """A name that does not lead here: a person may order it nevertheless; after a day it is ordered all the same, however often the
    relay was started again; what has a certificate is renewed wherever its name leads."""
    address = loopback()
    (bind,) = authorities({f"{name}.test": f"@ A {address(2)}" for name in "ab"})
    sim, clock = sims(life=timedelta(days=90)), Clock(folder)
    sim.may_hurry = True
    c = Late(fronts, started, sim, clock, address(1), address(2), bind.address)
    held = wait_until(lambda: (cert := c.cert())["last_error"] and cert, "it is held back")
    assert held["state"] == "waiting", held
    for words in (f"{address(2)} port 443", f"{address(2)} port 80", "does not lead to this relay", address(1)):
        assert words in held["last_error"], (words, held)
    since = wait_until(lambda: c.meta()["held_since"], "since when is noted")
    wait_until(lambda: c.cert("b.test")["last_error"], "the other one, too")

    assert c.renew("b.test").status == 200 and c.wait("valid", "b.test")
    assert [o.names for o in sim.orders.values()] == [["b.test"]]

    c.passes(20 * 3600)
    c.restart()
    wait_until(lambda: c.cert()["last_error"], "it is still held back")
    assert c.meta()["held_since"] == since and len(sim.orders) == 1
    c.passes(4 * 3600 + 1)
    wait_until(lambda: c.cert()["state"] == "valid", f"it is ordered all the same: {c.cert()}")
    assert len(sim.issued) == 2 and c.meta()["held_since"] is None

    def moment() -> datetime:
        wait_until(lambda: c.listed()["renewal_why"] == SUGGESTED, "the authority has said when")
        return datetime.strptime(c.listed()["next_renewal"], "%Y-%m-%dT%H:%M:%SZ")

    chosen, (of_b, of_a) = moment(), sim.issued
    third = of_a.not_valid_after - timedelta(days=30)
    assert third <= chosen <= third + timedelta(days=3)
    c.relay.kill()
    c.start()
    assert moment() == chosen, "what was chosen outlives a kill"
    c.passes(int((chosen - sim.now()).total_seconds()) - 60)
    wait_until(lambda: sim.asked("renewalInfo")[-1].status == 200 and moment() == chosen, "the authority still says the same")
    assert not any(o.replaces for o in sim.orders.values() if o.names == [DOMAIN]), "not before its time"
    c.passes(120)
    wait_until(lambda: renewal_id(of_a) in sim.replaced, "it is renewed, and says what it replaces")
    assert [o.replaces for o in sim.orders.values() if o.names == [DOMAIN]] == ["", renewal_id(of_a)]
    assert {o.replaces for o in sim.orders.values() if o.names == ["b.test"]} <= {"", renewal_id(of_b)}
    wait_until(lambda: c.cert()["state"] == "valid" and c.in_store() != of_a.public_bytes(serialization.Encoding.DER), "it is there")


def test_a_clock_that_leaps_and_comes_back(sims, relays, folder):  # noqa: F811
    """A year ahead and back, and a year behind and back: what there is, is served, nothing is ordered again and again, and no
    mistake of the clock's stays in the status."""
    sim, clock = sims(), Clock(folder)
    sim.may_hurry = True
    c = relays(sim, env=clock.environment)
    c.wait("valid")
    first = c.newest()
    clock.jump(400 * 86400)
    wait_until(lambda: "clock" in (c.cert()["last_error"] or ""), "it is said that the clocks differ")
    assert c.shown() == first
    clock.jump(-400 * 86400)
    wait_until(lambda: c.cert()["last_try"][:4] <= c.cert()["not_after"][:4], "when it was tried is no moment to come")
    clock.wait(90)
    back = c.wait("valid")
    assert back["last_error"] is None and len(sim.orders) <= 2, back
    clock.jump(-400 * 86400)
    c.relay.kill()
    c.relay.start(**c.front.spawning(), **c.env)
    wait_until(lambda: c.shown() == first, "it is served nevertheless")
    clock.jump(400 * 86400)
    clock.wait(90)
    c.wait("valid")
    assert len(sim.orders) <= 2 and c.shown() == c.in_store()
