"""A CA that fails, lies, stalls or is not there, and a relay that lives with it: what it says, when it asks again, and that
visitors notice nothing. (What the ACME client by itself makes of it is in test_acme_faults.py.)"""

from __future__ import annotations

import signal
import ssl
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from acme_client import certificates
from acme_sim import LOST, NOT_JSON, STALE, AcmeSim, chains, html, problem, sims, text  # noqa: F401 (a fixture)
from acme_sim.sim import renewal_id
from clock import Clock
from path import DOMAIN, Front, fronts  # noqa: F401 (a fixture)
from programs import limit, wait_until
from test_certs import Certs
from visitor import connect
from x509 import shown


class SimCerts(Certs):
    """As with Pebble; the authority is a simulator, or several."""

    def __init__(self, fronts: Callable[..., Front], sim: Any, started: list, domains: str, items: list, **how: Any) -> None:  # noqa: F811
        self.sim = sim
        super().__init__(fronts, lambda **_: sim, started, domains, items, **how)

    def renew(self, name: str = DOMAIN) -> Any:
        """As tunnelctl certs renew does it: it is over when this returns."""
        return wait_until(lambda: (r := self.relay.post(f"/v1/certs/{name}/renew")).status != 409 and r, "it can be asked for")

    def shown(self, name: str = DOMAIN) -> bytes:
        """The certificate that a visitor gets."""
        return shown(self.front.port, name)

    def newest(self) -> bytes:
        """What is in the store, once visitors get it."""
        wait_until(lambda: self.shown() == self.in_store(), "the newest certificate is served")
        return self.in_store()

    def in_store(self, name: str = DOMAIN) -> bytes:
        return ssl.PEM_cert_to_DER_cert((self.relay.state_dir / "certs" / name / "fullchain.pem").read_text().split(chains.END)[0] + chains.END)

    def next_attempt_in(self, name: str = DOMAIN) -> float:
        """Seconds."""
        at = datetime.strptime(self.cert(name)["next_attempt"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
        return at.timestamp() - time.time()


SUGGESTED = "the authority suggests it"


@pytest.fixture
def relays(fronts: Callable[..., Front], started: list) -> Iterator[Callable[..., SimCerts]]:  # noqa: F811
    made: list[SimCerts] = []

    def make(sim: AcmeSim, domains: str = DOMAIN, items: list | None = None, **how: Any) -> SimCerts:
        made.append(SimCerts(fronts, sim, started, domains, items or domains.split(), **how))
        return made[-1]

    yield make
    for one in made:
        one.http.close()
        one.https.close()


FAULTS = [
    ("newOrder", text(500), "500"),
    ("newOrder", html(200), "127.0.0.1"),
    ("newOrder", NOT_JSON, "127.0.0.1"),
    ("newOrder", LOST, "127.0.0.1"),
    ("newOrder", problem(429, "rateLimited", "too many; see https://example.org/limits", retry_after=1), "https://example.org/limits"),
    ("newOrder", problem(400, "rejectedIdentifier", "policy forbids"), "policy forbids"),
    ("newOrder", problem(403, "userActionRequired", "agree at https://example.org/terms"), "https://example.org/terms"),
    ("finalize", problem(403, "caa", "CAA record for a.test"), "CAA record"),
]
CHAINS = {chains.wrong_key: "key", chains.without_name: DOMAIN, chains.expired: "expired", chains.by_a_stranger: "certificate"}


def test_no_fault_touches_what_is_served(sims: Callable[..., AcmeSim], relays: Callable[..., SimCerts]) -> None:  # noqa: F811
    """Neither before the first certificate nor with one; a visitor's connection stays through all of it."""
    sim = sims(ari=False)
    sim.fault("newOrder", text(500), times=1000)
    c = relays(sim)
    failed = c.wait("failing")
    assert "500" in failed["last_error"] and 30 < c.next_attempt_in() < 120, failed
    sim.mend()
    assert c.renew().status == 200
    c.wait("valid")
    first = c.newest()
    with connect(c.front.port, unverified(), DOMAIN) as visitor:
        sim.may_hurry = True
        for kind, fault, words in FAULTS:
            sim.mend()
            sim.fault(kind, fault, times=3)
            reply = c.renew()
            assert reply.status >= 400 and words in str(reply.json), (kind, words, reply)
            cert = c.cert()
            assert words in cert["last_error"] and cert["state"] != "valid" and c.shown() == c.in_store() == first, cert
        sim.mend()
        for chain, words in CHAINS.items():
            sim.chain = chain
            reply = c.renew()
            assert reply.status >= 400 and words in str(reply.json) and c.shown() == c.in_store() == first, (words, reply)
        sim.chain = chains.right
        assert c.renew().status == 200
        assert c.wait("valid")["last_error"] is None and c.newest() != first
        visitor.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        assert visitor.recv(12) == b"HTTP/1.1 200"
    assert len(sim.accounts) == 1


def unverified() -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    return tls


def test_what_the_authority_asks_for_outlives_a_restart(sims: Callable[..., AcmeSim], relays: Callable[..., SimCerts]) -> None:  # noqa: F811
    """A rate limit of a day holds for a day; nothing is asked at a start."""
    sim = sims()
    sim.fault("newOrder", problem(429, "rateLimited", "too many", retry_after=86400), times=1000)
    c = relays(sim)
    c.wait("failing")
    assert c.next_attempt_in() > 86000
    asked = len(sim.requests)
    for _ in range(2):
        c.restart()
        assert c.cert()["state"] == "failing" and c.next_attempt_in() > 86000
    assert len(sim.requests) == asked


def test_a_count_that_cannot_be_read_stops_orders_alone(sims: Callable[..., AcmeSim], relays: Callable[..., SimCerts],  # noqa: F811
                                                        folder: Path) -> None:
    """What the authority has counted is unknown, so nothing is ordered; what there is, is served. It heals by itself."""
    sim, clock = sims(), Clock(folder)
    c = relays(sim, env=clock.environment)
    c.wait("valid")
    first, asked = c.newest(), len(sim.issued)
    counted = c.relay.state_dir / "acme" / "limits.json"
    counted.write_text("{")
    c.restart()
    assert "limits.json" in c.wait("failing")["last_error"]
    wait_until(lambda: c.shown() == first, "what there is, is served")
    reply = c.relay.post(f"/v1/certs/{DOMAIN}/renew")
    assert reply.status == 500 and "limits.json" in str(reply.json), reply
    counted.unlink()
    clock.wait(61)
    c.wait("valid")
    assert c.shown() == first and len(sim.issued) == asked
    sim.may_hurry = True
    assert c.renew().status == 200 and c.newest() != first


def test_a_window_that_is_always_past(sims: Callable[..., AcmeSim], relays: Callable[..., SimCerts]) -> None:  # noqa: F811
    """Renewals with `replaces` count towards no limit of the authority's, so nobody stops us but ourselves."""
    sim = sims()
    past = datetime.utcnow() - timedelta(days=2)
    sim.window = (past, past + timedelta(hours=1))
    c = relays(sim)
    for _ in range(2):
        wait_until(lambda: c.cert()["names"] and c.listed()["renewal_why"] == SUGGESTED, "the authority has said when")
        assert 3600 < c.next_attempt_in() < 86400 + 60
        c.restart()
        wait_until(lambda: c.front.site_state() == "up", "the site is up again")
    assert len(sim.issued) == 1


def test_renewal_in_its_window(sims: Callable[..., AcmeSim], relays: Callable[..., SimCerts]) -> None:  # noqa: F811
    """One window, one renewal, which says what it replaces; an authority that knows better is believed."""
    sim = sims()
    c = relays(sim)
    wait_until(lambda: c.cert()["names"] and c.listed()["renewal_why"] == SUGGESTED, "the authority has said when")
    begin, end = (sim.issued[0].not_valid_after - timedelta(days=30), sim.issued[0].not_valid_after - timedelta(days=27))
    listed = c.listed()
    at = datetime.strptime(listed["next_renewal"], "%Y-%m-%dT%H:%M:%SZ")
    assert begin <= at <= end and listed["renewal_why"], listed
    c.restart()
    assert c.listed()["next_renewal"] == listed["next_renewal"], "the moment that was chosen stays"
    sim.replaced.add(renewal_id(sim.issued[0]))
    assert c.renew().status == 200 and len(sim.issued) == 2
    assert [bool(o.replaces) for o in sim.orders.values()] == [False, False]


def test_nobody_waits_for_another(sims: Callable[..., AcmeSim], relays: Callable[..., SimCerts]) -> None:  # noqa: F811
    """Of thirty names every third fails in some way; the others are served."""
    sim = sims()
    names = [f"{n}.many.test" for n in range(30)]
    for n in range(0, 30, 3):
        sim.verdicts[names[n]] = (("dns", "connection", "caa")[n % 9 // 3], f"words about {names[n]}")
    sim.fault("newAccount", STALE, times=3)
    c = relays(sim, "*.many.test", names)
    for n, name in enumerate(names):
        cert = c.wait("valid" if n % 3 else "failing", name)
        assert n % 3 or f"words about {name}" in cert["last_error"], cert
    assert len(sim.issued) == 20 and len(sim.orders) <= 44 and len(sim.accounts) == 1
    assert 1 < sim.most_at_once <= 8


def test_what_the_configuration_asks_for(sims: Callable[..., AcmeSim], relays: Callable[..., SimCerts]) -> None:  # noqa: F811
    """A profile, and the chain to another root; a profile that the authority has not is never ordered."""
    sim = sims()
    c = relays(sim, acme={"profile": "shortlived", "preferred_chain": "Simulated Root B"})
    c.wait("valid")
    assert {o.profile for o in sim.orders.values()} == {"shortlived"}
    chain = (c.relay.state_dir / "certs" / DOMAIN / "fullchain.pem").read_text()
    assert certificates(chain)[-1].issuer.rfc4514_string() == "CN=Simulated Root B"
    orders = len(sim.asked("newOrder"))
    c.reload(profile="cheap")
    assert c.renew().status == 502 and "shortlived" in c.cert()["last_error"] and len(sim.asked("newOrder")) == orders
    assert c.shown() == c.in_store()


def test_one_agent_orders_so_much_a_day(sims: Callable[..., AcmeSim], relays: Callable[..., SimCerts]) -> None:  # noqa: F811
    """Whoever has its key claims another name again and again: two a day for each that it may have at a time, and then no more."""
    sim = sims()
    c = relays(sim, "*.many.test", ["n0.many.test"], may="max_domains = 1\n")
    for n in range(3):
        name = f"n{n}.many.test"
        c.claim(name)
        said = c.wait("valid" if n < 2 else "failing", name)
    assert "orders for one agent within a day" in said["last_error"] and c.next_attempt_in("n2.many.test") > 80000, said
    assert len(sim.orders) == 2 and len(sim.issued) == 2


def test_the_clock(sims: Callable[..., AcmeSim], relays: Callable[..., SimCerts]) -> None:  # noqa: F811
    sim = sims()
    sim.clock_offset_s = -400 * 86400
    c = relays(sim)
    assert "clock" in c.wait("failing")["last_error"]
    issued = len(sim.issued)
    assert c.renew().status >= 400 and len(sim.issued) <= issued + 1


def test_a_stop_while_it_waits(sims: Callable[..., AcmeSim], relays: Callable[..., SimCerts]) -> None:  # noqa: F811
    """The relay ends at once, and its next start goes on with the order that has begun."""
    sim = sims()
    sim.processing_polls, sim.retry_after = 1000, 5
    sim.may_hurry = True
    c = relays(sim)
    wait_until(lambda: sim.asked("finalize"), "it is being issued")
    begin = time.monotonic()
    c.relay.stop()
    assert time.monotonic() - begin < limit(5)
    sim.processing_polls, sim.retry_after = 0, None
    c.front.start_relay()
    c.agent.start()
    c.wait("valid")
    assert len(sim.asked("newOrder")) == len(sim.issued) == 1


KILLS = ("newAccount", "newOrder", "authz", "challenge", "finalize", "cert")


def test_killed_at_any_moment(sims: Callable[..., AcmeSim], relays: Callable[..., SimCerts]) -> None:  # noqa: F811
    """kill -9 whenever the authority has done what it was asked for, and nobody has heard of it: in the end there is one account,
    one order and one certificate, which fits the key that was made for it."""
    sim = sims()

    def kill(sim: AcmeSim, request: Any, go: Callable) -> None:
        go()
        c.relay.send(signal.SIGKILL)

    for kind in KILLS:
        sim.fault(kind, kill)
    c = relays(sim)
    for kind in KILLS:
        wait_until(lambda: not c.relay.running, f"it was killed by {kind}")
        assert not sim.pending(kind), kind
        c.relay.wait()
        c.front.start_relay()
        c.agent.start()
    c.wait("valid")
    assert c.newest()
    assert (len(sim.accounts), len(sim.orders), len(sim.issued)) == (1, 1, 1)


def test_an_end_that_comes_near_is_shouted(sims: Callable[..., AcmeSim], relays: Callable[..., SimCerts]) -> None:  # noqa: F811
    """A certificate of a few seconds, and an authority that has gone: it is served to its end and beyond, and everybody is told."""
    sim = sims(ari=False, life=timedelta(seconds=10))
    sim.begin = timedelta(0)
    c = relays(sim)
    wait_until(lambda: sim.issued, "it is there")
    sim.fault("newOrder", text(500, retry_after=600), times=1000)
    wait_until(lambda: c.cert()["names"], "it is installed")
    first = c.newest()
    c.wait("expired")
    assert c.shown() == c.in_store() == first and len(sim.issued) == 1
    assert "500" in c.cert()["last_error"]
    c.relay.wait_log("a certificate ends soon, and cannot be renewed")
    assert "cannot be renewed" in c.agent.wait_heard("notice")["text"]
    sim.mend()
    sim.life, sim.may_hurry = timedelta(days=90), True
    assert c.renew().status == 200 and c.wait("valid")
    assert c.newest() != first
