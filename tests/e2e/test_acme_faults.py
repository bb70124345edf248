"""A CA that fails, lies, stalls or is not there: for each, the right report, and no harm. By the ACME client alone, without a
relay (tests/acmecall); what the relay makes of it is in test_certs_faults.py.

No harm is: no certificate that is not what was asked for, no second account, no order too many, nothing that RFC 8555 forbids
(acme_sim counts that as a violation), and everything comes to an end."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, NamedTuple, Sequence

import pytest

from acme_client import b64, certificates, serialization, x509
from acme_sim import (BINARY, CUT, DRIP, HUGE, LOST, NOT_JSON, STALE, TRUNCATED, WRONG_TYPE, AcmeSim, chains, changed, deep,
                      html, problem, redirect, sims, text)  # noqa: F401 (a fixture)
from acme_sim.sim import renewal_id
from acmecall import Caller, Www, www  # noqa: F401 (a fixture)
from programs import limit

NAMES = ("a.test", "b.test")


class Acme:
    """Orders by the relay's client, as the relay does it: with what it was told of the order before."""

    def __init__(self, sim: AcmeSim, folder: Path, www: Www) -> None:  # noqa: F811
        self.sim, self.folder, self.conf, self.left = sim, folder, {}, []
        self.key, self.out = folder / "key.pem", folder / "chain.pem"
        self.url, self.names = "", ()
        self.more = {"www": www.folder, "dns": f"http://127.0.0.1:{www.port}"}

    def call(self, *words: object, **keys: object) -> dict[str, Any]:
        return Caller(self.folder, {**self.sim.keys(), **self.conf}, **self.more)(*words, **keys)

    def order(self, *names: str, **keys: object) -> dict[str, Any]:
        if names != self.names:
            self.url, self.names = "", names
        self.out.unlink(missing_ok=True)
        result = self.call("order", *names, key_file=self.key, out=self.out, **{"resume_url": self.url, **keys})
        if result["notes"]:
            self.url = result["notes"][-1] or ""
        if result["class"] == "ok":
            self.url = ""
        assert self.out.exists() == (result["class"] == "ok")
        for shown in result["shown"]:
            self.left.remove(shown[1:]) if shown[0] == "-" else self.left.append(shown)
        assert not self.left, "answers are still shown"
        return result

    @property
    def chain(self) -> list[Any]:
        return certificates(self.out.read_text())

    def renewal_id(self) -> str:
        return renewal_id(self.chain[0])

    def window(self, id: str) -> dict[str, Any]:
        return self.call("renewal-info", id)

    def check(self, names: Sequence[str]) -> None:
        """What has come is for these names and the key that was made for it."""
        leaf, key = self.chain[0], serialization.load_pem_private_key(self.key.read_bytes(), None)
        assert leaf.public_key().public_numbers() == key.public_key().public_numbers()
        alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert sorted(alternatives.get_values_for_type(x509.DNSName)) == sorted(names)


@pytest.fixture
def acmes(sims: Callable[..., AcmeSim], folder: Path, www: Www) -> Callable[..., Acme]:  # noqa: F811
    return lambda **how: Acme(sims(**how), folder, www)


@pytest.fixture
def acme(acmes: Callable[..., Acme]) -> Acme:
    return acmes()


class Row(NamedTuple):
    id: str
    faults: list  # (kind, fault, times)
    result: str  # class of the failure; "ok": it succeeds nevertheless
    words: tuple = ()  # in the report
    retry_ms: tuple = ()  # what it says of when to come again, at least and at most
    most: int = 60  # requests, all in all
    timeout_ms: int = 20_000


def always(kind: str, fault: Any) -> list:
    return [(kind, fault, 1000)]


def some(kind: str, fault: Any, times: int = 1) -> list:
    return [(kind, fault, times)]


def twice(title: str, kinds: Sequence[str], fault: Any, words: Sequence[str] = (), result: str = "later") -> list[Row]:
    """What passes by itself within one order is waited for; all else is another order's, later."""
    return [Row(f"{kind}: {title}", [(kind, fault, 2 if kind in PATIENT else 1000)], "ok" if kind in PATIENT else result,
                () if kind in PATIENT else tuple(words)) for kind in kinds]


LIMITED = "too many certificates for a.test: retry after 2030-01-01 00:00:00 UTC: see https://example.org/limits"
ABOUT_B = {"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "forbidden", "identifier": {"type": "dns", "value": "b.test"}}
KINDS = ("directory", "newNonce", "newAccount", "newOrder", "authz", "challenge", "order", "finalize", "cert")
JSON_KINDS = ("directory", "newOrder", "authz", "finalize", "order")
PATIENT = ("authz", "order", "finalize", "cert")  # asked again within one order

ROWS = [
    # nonces
    Row("some nonces are stale", some("newOrder", STALE, 9), "ok"),
    Row("a storm of stale nonces", [(k, STALE, 5) for k in ("newAccount", "newOrder", "authz", "challenge", "finalize", "cert")], "ok",
        most=90),
    Row("all nonces are stale", always("newOrder", STALE), "later", ("nonce",), most=140),
    # limits, in both forms
    Row("rateLimited", some("newOrder", problem(429, "rateLimited", LIMITED, retry_after=7)), "later", (LIMITED,), (6000, 7000)),
    Row("rateLimited for a day", some("newOrder", problem(429, "rateLimited", LIMITED, retry_after=86400)), "later", (LIMITED,),
        (86390_000, 86400_000)),
    Row("rateLimited until a date", some("newOrder", lambda sim, r, go: problem(429, "rateLimited", LIMITED, sim.date(100))(sim, r, go)),
        "later", (LIMITED,), (90_000, 102_000)),
    Row("503 of a proxy", some("newOrder", text(503, b"busy", retry_after=9)), "later", ("503",), (8000, 9000)),
    Row("a paused name", some("newOrder", problem(429, "rateLimited", "paused; unpause at https://example.org/unpause?t=1")), "later",
        ("https://example.org/unpause?t=1",)),
    Row("limited while it is issued", some("finalize", problem(429, "rateLimited", LIMITED, retry_after=1)), "ok"),
    # refusals
    Row("a name that is refused", some("newOrder", problem(400, "rejectedIdentifier", "policy forbids", subproblems=[ABOUT_B])), "refused",
        ("policy forbids", "b.test", "forbidden")),
    Row("CAA", some("finalize", problem(403, "caa", "CAA record for a.test prevents issuance")), "config", ("CAA record for a.test",)),
    Row("a bad CSR", some("finalize", problem(400, "badCSR", "no")), "refused", ("no",)),
    Row("new terms", some("newOrder", problem(403, "userActionRequired", "agree at https://example.org/terms")), "account",
        ("https://example.org/terms",)),
    Row("orderNotReady", some("finalize", problem(403, "orderNotReady", "not yet"), 2), "ok"),
    # what never arrives, though it was done
    *[Row(f"{kind}: the reply is lost", some(kind, LOST), "ok" if kind in PATIENT + ("challenge",) else "later") for kind in KINDS],
    *[Row(f"{kind}: the reply breaks off", some(kind, CUT), "ok" if kind in PATIENT + ("challenge",) else "later")
      for kind in KINDS if kind != "newNonce"],
    # what it says is nothing we know
    *twice("500", KINDS, text(500), ("500",)),
    *twice("a proxy's page, 502", ("directory", "newOrder", "authz"), html(502), ("502",)),
    *twice("a web page, 200", JSON_KINDS + ("newAccount",), html(200), ("127.0.0.1",)),
    Row("cert: always a web page, 200", always("cert", html(200)), "later", ("certificate",), timeout_ms=2000),
    *twice("truncated", JSON_KINDS + ("cert",), TRUNCATED),
    *twice("not JSON", JSON_KINDS, NOT_JSON),
    *twice("not UTF-8", ("newOrder", "authz"), BINARY),
    *twice("nested deeply", ("directory", "newOrder", "order"), deep()),
    *twice("8 MiB", ("directory", "newOrder", "cert"), HUGE),
    *twice("another content type", ("newOrder", "authz"), WRONG_TYPE, ("text/plain",)),
    Row("a status nobody knows", always("newOrder", changed(lambda o: o.update(status="jolly"))), "later", ("jolly",)),
    Row("no finalize", always("newOrder", changed(lambda o: o.pop("finalize") and None)), "later", ("finalize",)),
    Row("finalize without TLS", always("newOrder", changed(lambda o: o.update(finalize="http://127.0.0.1/"))), "later", ("finalize",)),
    Row("other names", always("newOrder", changed(lambda o: o["identifiers"][0].update(value="elsewhere.test"))), "later", ("other names",)),
    Row("a token that is a path", always("authz", changed(lambda a: [c.update(token="../../etc/passwd") for c in a["challenges"]][1:0] or None)),
        "", timeout_ms=5000),
    Row("an authorization for another", always("authz", changed(lambda a: a["identifier"].update(value="elsewhere.test"))), "later",
        ("elsewhere.test",), timeout_ms=5000),
    Row("a directory without newOrder", always("directory", changed(lambda d: d.pop("newOrder") and None)), "config", ("newOrder", "directory")),
    Row("a directory of plain HTTP", always("directory", changed(lambda d: d.update(newNonce="http://127.0.0.1/"))), "config", ("newNonce",)),
    Row("only challenges of other kinds", always("authz", changed(lambda a: a.update(challenges=a["challenges"][3:]))), "config",
        ("challenge",)),
    # redirects
    Row("a POST that is redirected", always("newOrder", redirect("https://127.0.0.1/")), "config", ("redirect",)),
    Row("a directory that is redirected in circles", always("directory", redirect("/directory")), "config", ("redirect",), most=20),
    Row("a directory that is redirected to plain HTTP", always("directory", redirect("http://127.0.0.1/directory")), "config", ("redirect",)),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id.replace(" ", "-"))
def test_a_fault(acme: Acme, row: Row) -> None:
    sim = acme.sim
    for kind, fault, times in row.faults:
        sim.fault(kind, fault, times=times)
    first = acme.order(*NAMES, timeout_ms=row.timeout_ms)
    assert first["class"] == row.result or (row.result == "" and first["class"] in ("later", "config")), first
    for word in row.words:
        assert word in first["text"], first
    if row.retry_ms:
        assert row.retry_ms[0] <= first["retry_after_ms"] <= row.retry_ms[1], first
    assert len(sim.requests) <= row.most
    sim.mend()
    sim.may_hurry = True  # we do not wait for what it asked
    if row.result != "ok":
        again = acme.order(*NAMES)
        assert again["class"] == "ok", again
    acme.check(NAMES)
    assert len(sim.accounts) == 1 and len(sim.issued) == 1, (sim.accounts, sim.orders)
    assert len(sim.orders) <= 2


@pytest.mark.parametrize("chain", chains.BAD, ids=lambda chain: chain.__name__)
def test_a_bad_certificate(acme: Acme, chain: Callable) -> None:
    acme.sim.chain = chain
    result = acme.order(*NAMES, timeout_ms=2000)
    assert result["class"] == "later", result
    words = {chains.wrong_key: "key", chains.without_name: "b.test", chains.expired: "expired", chains.not_yet: "clock"}
    assert words.get(chain, "certificate") in result["text"], result
    acme.sim.chain = chains.right
    again = acme.order(*NAMES)
    # what will be good some day is waited for; what is no good is not taken again
    assert again["class"] == ("later" if chain is chains.not_yet else "ok"), again
    assert len(acme.sim.orders) == (1 if chain is chains.not_yet else 2)


@pytest.mark.parametrize("date", [False, True], ids=["seconds", "date"])
def test_it_takes_its_time(acme: Acme, date: bool) -> None:
    sim = acme.sim
    sim.validation_polls = sim.processing_polls = 2
    sim.retry_after = (lambda: sim.date(1)) if date else 1
    begin = time.monotonic()
    assert acme.order(*NAMES)["class"] == "ok"
    assert time.monotonic() - begin > 3
    assert len(sim.asked("finalize")) == 1


def test_a_retry_after_beyond_all_patience(acme: Acme) -> None:
    """It is another time's, and nobody sleeps; the order is carried on with then."""
    sim = acme.sim
    sim.processing_polls, sim.retry_after = 1, 86400
    begin = time.monotonic()
    result = acme.order(*NAMES, timeout_ms=60_000)
    assert result["class"] == "later" and 86000_000 < result["retry_after_ms"] <= 86400_000, result
    assert time.monotonic() - begin < limit(15)
    sim.may_hurry, sim.retry_after = True, None
    assert acme.order(*NAMES)["class"] == "ok"
    assert len(sim.orders) == len(sim.issued) == len(sim.asked("newOrder")) == 1


@pytest.mark.slow
def test_a_slow_drip_is_given_up(acme: Acme) -> None:
    acme.sim.fault("newOrder", DRIP, times=100)
    begin = time.monotonic()
    result = acme.order(*NAMES, timeout_ms=2_000)
    assert result["class"] == "later", result
    assert time.monotonic() - begin < 60 + 30  # the deadline of one request, and a busy machine


def test_names_fail_each_by_itself(acme: Acme) -> None:
    sim = acme.sim
    sim.verdicts.update({"b.test": ("connection", "192.0.2.1: connection refused"), "c.test": ("caa", "CAA forbids")})
    result = acme.order("a.test", "b.test", "c.test", challenges="http-01")
    failed = {f["name"]: f for f in result["failures"] if f["class"] != "ok"}
    assert set(failed) == {"b.test", "c.test"} and failed["c.test"]["class"] == "config", result
    assert "192.0.2.1: connection refused" in failed["b.test"]["text"] and failed["b.test"]["validations"] == 1
    assert len(sim.orders) == 1
    assert acme.order("a.test")["class"] == "ok"
    assert [a.name for a in sim.authorizations.values() if a.status == "pending"] == []


def test_the_next_way_when_nobody_is_reached(acme: Acme) -> None:
    sim = acme.sim
    sim.verdicts.update({("a.test", "tls-alpn-01"): ("connection", "refused"), ("a.test", "http-01"): ("unauthorized", "a page")})
    assert acme.order("a.test", "b.test", challenges="tls-alpn-01 http-01 dns-01")["class"] == "ok"
    assert [a.accepted for a in sim.authorizations.values() if a.name == "a.test"] == ["tls-alpn-01", "http-01", "dns-01"]
    assert len(sim.asked("newOrder")) == 3
    # not when the CA may not: CAA forbids whichever way it is
    sim.verdicts["d.test"] = ("caa", "CAA forbids")
    assert acme.order("d.test", challenges="tls-alpn-01 http-01 dns-01")["class"] == "config"
    assert len(sim.asked("newOrder")) == 4


def test_already_replaced(acme: Acme) -> None:
    sim = acme.sim
    acme.order("a.test")
    sim.replaced.add(acme.renewal_id())
    result = acme.order("a.test", replaces=acme.renewal_id())
    assert result["class"] == "ok" and result["without_replaces"] is True
    other = acme.order("a.test", replaces=acme.renewal_id())
    assert other["class"] == "ok" and not other["without_replaces"]
    assert len(sim.asked("newOrder")) == 4


def test_profiles_and_chains(acme: Acme) -> None:
    result = acme.order("a.test", profile="cheap")
    assert result["class"] == "refused" and "shortlived" in result["text"] and not acme.sim.asked("newOrder"), result
    assert acme.order("a.test", profile="shortlived", preferred_chain="root b")["class"] == "ok"
    assert acme.chain[-1].issuer.rfc4514_string() == "CN=Simulated Root B"
    assert acme.order("a.test", preferred_chain="root c")["class"] == "ok"
    assert acme.chain[-1].issuer.rfc4514_string() == "CN=Simulated Root A"


def test_accounts_that_are_gone(acme: Acme) -> None:
    """A CA that was set up anew gets an account once; one that was closed stays closed until a person has done something."""
    sim = acme.sim
    assert acme.order("a.test")["class"] == "ok"
    sim.forget_accounts()
    assert acme.order("b.test")["class"] == "ok" and len(sim.accounts) == 1
    next(iter(sim.accounts.values())).status = "deactivated"
    for _ in range(3):
        result = acme.order("c.test")
        assert result["class"] == "account" and "deactivated" in result["text"], result
    assert len(sim.accounts) == 1
    # a CA that loses every account at once does not make us ask for accounts in a loop
    sim.fault("newOrder", *[lambda sim, r, go: (sim.accounts.clear(), problem(400, "accountDoesNotExist", "who?")(sim, r, go))[1]] * 50)
    next(iter(sim.accounts.values())).status = "valid"
    before = len(sim.asked("newAccount"))
    for _ in range(10):
        assert acme.order("d.test")["class"] in ("later", "account")
    assert len(sim.asked("newAccount")) - before <= 10


def test_external_account_binding(acmes: Callable[..., Acme], folder: Path) -> None:
    acme = acmes(eab={"kid-1": b64(b"k" * 32)})
    result = acme.order("a.test")
    assert result["class"] == "account" and "eab_kid" in result["text"], result
    key = folder / "eab.key"
    key.touch(mode=0o600)
    key.write_text(b64(b"wrong" * 8))
    acme.conf.update(eab_kid="kid-1", eab_key_file=key)
    assert acme.order("a.test")["class"] in ("account", "config")
    key.write_text(b64(b"k" * 32) + "\n")
    assert acme.order("a.test")["class"] == "ok" and len(acme.sim.accounts) == 1


@pytest.mark.parametrize("years", [-1, 1])
def test_clocks_differ(acme: Acme, years: int) -> None:
    """It is said how far, and nothing is ordered again for it."""
    acme.sim.clock_offset_s = years * 365 * 86400
    result = acme.order("a.test")
    assert result["class"] == "later" and "clock" in result["text"], result
    assert acme.order("a.test")["class"] == "later"
    assert len(acme.sim.issued) <= 2


def test_nobody_is_there(acme: Acme) -> None:
    acme.sim.end()
    result = acme.order("a.test")
    assert result["class"] == "later" and "127.0.0.1" in result["text"], result


def test_somebody_else_is_there(acme: Acme, sims: Callable[..., AcmeSim]) -> None:  # noqa: F811
    """Its TLS certificate is not by whom we trust."""
    acme.conf["ca_file"] = sims().ca_file
    result = acme.order("a.test")
    assert result["class"] in ("later", "config") and "certificate" in result["text"] and not acme.sim.requests, result


def test_renewal_information(acme: Acme) -> None:
    sim = acme.sim
    acme.order("a.test")
    id = acme.renewal_id()
    assert acme.window(id)["class"] == "ok"
    sim.may_hurry = True
    for fault in (text(500), html(200), TRUNCATED, changed(lambda w: w.clear()), HUGE,
                  changed(lambda w: w["suggestedWindow"].update(start="2030-01-02T00:00:00Z", end="2030-01-01T00:00:00Z")),
                  changed(lambda w: w["suggestedWindow"].update(start="soon")), redirect("http://127.0.0.1/")):
        sim.fault("renewalInfo", fault)
        result = acme.window(id)
        assert result["class"] in ("later", "config", "refused") and result["text"], result
    sim.fault("renewalInfo", redirect(f"{sim.directory[:-10]}{sim.asked('renewalInfo')[0].target}"))
    assert acme.window(id)["class"] == "ok"
