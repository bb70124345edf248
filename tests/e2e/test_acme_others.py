"""What other authorities do differently, and rightly: whatever RFC 8555 leaves open, the client takes as it comes.

Each row is acme_sim with habits of others (of Let's Encrypt, ZeroSSL, Google, Buypass, step-ca, or of a proxy in front of them) that
get on with each other."""

from __future__ import annotations

import gzip
import json
from typing import Any, Callable, NamedTuple

import pytest

from acme_sim import AcmeSim, chains, sims  # noqa: F401 (a fixture)
from acme_sim.faults import Reply, problem_reply
from test_acme_faults import Acme, acme, acmes, www  # noqa: F401 (fixtures)

Do = Callable[[AcmeSim], None]
NAMES = ("a.test", "b.test")


def to_all(sim: AcmeSim, how: Callable[[Reply], Any], *kinds: str) -> None:
    """Every reply of these kinds is changed, for good."""

    def fault(sim: AcmeSim, request: Any, go: Callable[[], Reply]) -> Reply:
        reply = go()
        how(reply)
        sim._faults[request.kind].append(fault)
        return reply

    for kind in kinds:
        sim.fault(kind, fault)


def with_json(how: Callable[[dict], Any]) -> Callable[[Reply], None]:
    def change(reply: Reply) -> None:
        if reply.type == "application/json" and reply.body:
            value = json.loads(reply.body)
            how(value)
            reply.body = json.dumps(value, indent=2).encode()

    return change


def field(name: str, change: Callable[[str], str]) -> Callable[[Reply], None]:
    def apply(reply: Reply) -> None:
        reply.fields = [(n, change(value) if n == name else value) for n, value in reply.fields]

    return apply


def without(*members: str) -> Callable[[Reply], None]:
    return with_json(lambda o: [o.pop(m, None) for m in members])


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def relative(sim: AcmeSim) -> None:
    to_all(sim, field("Location", path_of), "newAccount", "newOrder")


def other_statuses(sim: AcmeSim) -> None:
    to_all(sim, lambda r: setattr(r, "status", 200), "newOrder")
    to_all(sim, lambda r: setattr(r, "status", 204), "newNonce")
    to_all(sim, lambda r: setattr(r, "status", 202), "challenge", "finalize")


def few_nonces(sim: AcmeSim) -> None:
    """None but where one is asked for."""
    to_all(sim, lambda r: setattr(r, "keeps_nonce", False), "newAccount", "newOrder", "authz", "challenge", "finalize", "cert", "order")


def spare_orders(sim: AcmeSim) -> None:
    to_all(sim, without("expires"), "newOrder", "order", "finalize", "authz")
    to_all(sim, without("contact", "orders"), "newAccount")


def verbose(sim: AcmeSim) -> None:
    def more(o: dict) -> None:
        o.update({"x-unknown": {"list": [None, 1.5, True]}, "notBefore": "2026-01-01T00:00:00.123456789+02:00", "notAfter": None, "error": None,
                  "replaces": None})
        if "expires" in o:
            o["expires"] = "2033-11-30T12:00:00.999999999+01:30"

    def of_challenges(o: dict) -> None:
        more(o)
        o.setdefault("wildcard", False)
        for challenge in o["challenges"]:
            challenge.update({"keyAuthorization": "a.b", "validated": None, "validationRecord": [{"url": "http://a.test/"}], "error": None})
        o["challenges"] += [{"type": "dns-account-01", "status": "pending"}, {"type": "device-attest-01", "url": None, "nonce": ""}]

    to_all(sim, with_json(more), "directory", "newAccount", "newOrder", "order", "finalize", "challenge")
    to_all(sim, with_json(of_challenges), "authz")


def other_order(sim: AcmeSim) -> None:
    def turn(o: dict) -> None:
        o["identifiers"] = [{**i, "value": i["value"].upper()} for i in reversed(o["identifiers"])]
        o["authorizations"].reverse()

    to_all(sim, with_json(turn), "newOrder", "order", "finalize")


def bare_directory(sim: AcmeSim) -> None:
    to_all(sim, without("meta", "renewalInfo", "keyChange"), "directory")


def null_directory(sim: AcmeSim) -> None:
    to_all(sim, with_json(lambda d: d.update(meta=None, renewalInfo=None, newAuthz=None)), "directory")


def without_retry_after(sim: AcmeSim) -> None:
    """It says neither that it is done nor when to come again."""
    sim.validation_polls = sim.processing_polls = 1
    sim.retry_after = None


def windows_pem(sim: AcmeSim) -> None:
    def change(reply: Reply) -> None:
        reply.body = b"\r\nsubject=a\r\n" + reply.body.replace(b"\n", b"\r\n") + b"\r\n\r\n  \r\n"
        reply.type = "application/pem-certificate-chain; charset=utf-8"

    to_all(sim, change, "cert")


def no_last_newline(sim: AcmeSim) -> None:
    to_all(sim, lambda r: setattr(r, "body", r.body.rstrip()), "cert")


def leaf_alone(sim: AcmeSim) -> None:
    sim.chain = lambda w: chains.pem(w.leaf())


def with_the_root(sim: AcmeSim) -> None:
    sim.chain = lambda w: chains.right(w) + chains.pem(w.authority.roots[0])


def in_pieces(sim: AcmeSim) -> None:
    """As proxies send what they do not know the length of, behind an interim response."""
    to_all(sim, lambda r: setattr(r, "chunked", True), "directory", "newOrder", "order", "authz", "challenge", "finalize", "cert")


def compressed(sim: AcmeSim) -> None:
    """To whoever does not say that he would rather have it as it is."""

    def fault(sim: AcmeSim, request: Any, go: Callable[[], Reply]) -> Reply:
        reply = go()
        if "identity" not in request.headers.get("Accept-Encoding", ""):
            reply.body = gzip.compress(reply.body)
            reply.fields.append(("Content-Encoding", "gzip"))
        sim._faults[request.kind].append(fault)
        return reply

    for kind in ("directory", "newAccount", "newOrder", "authz", "challenge", "finalize", "cert", "order"):
        sim.fault(kind, fault)


def charset(sim: AcmeSim) -> None:
    to_all(sim, lambda r: setattr(r, "type", 'Application/JSON;charset="utf-8"'), "directory", "newAccount", "newOrder", "order", "authz", "finalize")


def ways_lost(sim: AcmeSim) -> None:
    """The answer to an accepted challenge is an error: another look at the authorization tells."""

    def fault(sim: AcmeSim, request: Any, go: Callable[[], Reply]) -> Reply:
        go()
        return problem_reply(400, "malformed", "the challenge is processing already")

    sim.fault("challenge", fault, times=2)


TOGETHER: tuple[tuple[Do, ...], ...] = (
    (relative, other_statuses, spare_orders, other_order, windows_pem),
    (few_nonces, verbose, bare_directory, in_pieces, no_last_newline),
    (null_directory, charset, leaf_alone, ways_lost),
    (compressed, without_retry_after, with_the_root),
)


@pytest.mark.parametrize("habits", TOGETHER, ids=lambda habits: habits[0].__name__)
def test_other_habits(acme: Acme, habits: tuple[Do, ...]) -> None:  # noqa: F811
    sim = acme.sim
    for habit in habits:
        habit(sim)
    result = acme.order(*NAMES)
    assert result["class"] == "ok" and result["orders"] == 1, result
    acme.check(NAMES)
    again = acme.order(*NAMES, key="p384")  # authorizations are valid at once, and so the order is ready
    assert again["class"] == "ok", again
    assert (len(sim.accounts), len(sim.issued)) == (1, 2)
    assert len(sim.asked("newAccount")) == 1 and len(sim.asked("challenge")) == 2


def test_problems_in_any_dress(acme: Acme) -> None:  # noqa: F811
    """As plain JSON, without a status of their own, with members that nobody knows; or a word that is no URN of the RFC's."""
    about_b = {"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "not b", "identifier": {"type": "dns", "value": "B.test"},
               "x": 1}
    said = {"type": "urn:ietf:params:acme:error:malformed", "detail": "some names", "instance": "https://ca.test/why", "subproblems": [about_b],
            "algorithms": ["ES256"], "x": None}
    rows = [(Reply(403, json.dumps(said).encode()), "refused", ("some names", "https://ca.test/why", "not b")),
            (Reply(403, b'{"type": "about:blank", "detail": "ask sales"}'), "config", ("ask sales",)),
            (Reply(400, b'{"type": "https://ca.test/problems/strange", "title": "Strange"}', "application/problem+json; charset=utf-8"),
             "config", ("strange",)),
            (Reply(400, b'["nothing"]', "application/problem+json"), "config", ("400",)),
            (Reply(409, b"", "application/problem+json"), "config", ("409",))]
    for reply, result, words in rows:
        acme.sim.fault("newOrder", lambda sim, request, go: reply)  # noqa: B023 (it is called at once)
        said_of = acme.order(*NAMES)
        assert said_of["class"] == result, said_of
        for word in words:
            assert word in said_of["text"], (word, said_of)
    acme.sim.fault("newOrder", lambda sim, request, go: rows[0][0])
    assert [f["name"] for f in acme.order(*NAMES)["failures"]] == ["b.test"]


def test_links_in_any_form(acme: Acme) -> None:  # noqa: F811
    """Several in one field and several fields, with commas in quotes; what leads nowhere, or elsewhere, is passed over."""
    sim = acme.sim

    def links(reply: Reply) -> None:
        other = next((value.split(">")[0][1:] for name, value in reply.fields if "alternate" in value), None)
        if other:
            reply.fields = [(n, v) for n, v in reply.fields if "alternate" not in v] + [
                ("Link", f'<{sim.directory}>;rel="index", <>;rel="alternate", <//elsewhere.test/>;rel="alternate"'),
                ("Link", f'<http://127.0.0.1/>; rel="alternate", <{path_of(other)}.9>; rel=alternate; title="a, <b>"'),
                ("Link", f'<{path_of(other)}>; title="x, y"; rel="alternate"')]

    to_all(sim, links, "cert")
    sim.may_hurry = True
    result = acme.order("a.test", preferred_chain="root b", timeout_ms=10_000)
    assert result["class"] == "ok", result
    assert acme.chain[-1].issuer.rfc4514_string() == "CN=Simulated Root B"
    sim.violations.clear()  # a link that leads nowhere is followed, once
