"""The simulator of a CA is as strict as it says, and its faults are what they are called; Client is right, so it complains of
nothing that conforms."""

from __future__ import annotations

import http.client
import time
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Callable

import pytest

from acme_client import Client, Reply, b64, bind, certificates, compact, ec, jwk_of, new_csr, serialization, sign, utils, x509
from acme_sim import (BINARY, CUT, DRIP, HUGE, LOST, NOT_JSON, STALE, TRUNCATED, WRONG_TYPE, AcmeSim, chains, changed, deep,
                      html, problem, redirect, sims, text)  # noqa: F401 (a fixture)
from acme_sim.sim import renewal_id
from programs import limit

EAB = {"kid-1": b64(b"k" * 32)}


@pytest.fixture
def sim(sims: Callable[..., AcmeSim]) -> AcmeSim:  # noqa: F811
    return sims()


def client_of(sim: AcmeSim) -> Client:
    return Client(sim.directory, sim.ca_file)


def blamed(sim: AcmeSim, reply: Reply, problem: str, words: str = "") -> None:
    """It was refused, as a violation, the only one."""
    assert (reply.problem, len(sim.violations)) == (problem, 1), (reply.body, sim.violations)
    assert words in sim.violations[0]
    sim.violations.clear()


def test_a_certificate(sim: AcmeSim) -> None:
    client, names = client_of(sim), ["a.test", "*.b.test", "b.test"]
    sim.validation_polls = sim.processing_polls = 2
    leaf, issuer = certificates(client.obtain(names, "dns-01", profile="tlsserver"))
    assert leaf.issuer == issuer.subject and issuer.issuer.rfc4514_string() == "CN=Simulated Root A"
    assert len(sim.issued) == len(sim.orders) == 1
    assert client.obtain(names) and len(sim.authorizations) == 3, "authorizations are not used again"
    assert certificates(client.obtain(["192.0.2.1", "2001:db8::1"]))


def test_accounts(sims: Callable[..., AcmeSim]) -> None:  # noqa: F811
    sim = sims(eab=EAB)
    client = client_of(sim)
    new = client.directory["newAccount"]
    agreed = {"termsOfServiceAgreed": True}
    assert client.post(new, {**agreed}).problem == "externalAccountRequired"
    assert client.post(new, {"onlyReturnExisting": True}).problem == "accountDoesNotExist"
    assert client.post(new, {**agreed, "externalAccountBinding": bind(client.key, new, "kid-2", EAB["kid-1"])}).problem == "unauthorized"
    assert client.post(new, {**agreed, "externalAccountBinding": bind(client.key, new, "kid-1", b64(b"x" * 32))}).problem == "unauthorized"
    assert client.register(externalAccountBinding=bind(client.key, new, "kid-1", EAB["kid-1"])).status == 201
    account, client.kid = client.kid, ""
    assert client.register().status == 200 and client.kid == account
    # the key is changed, and then the account is no more
    other = ec.generate_private_key(ec.SECP256R1())
    url, payload = client.directory["keyChange"], compact({"account": account, "oldKey": jwk_of(client.key)})
    inner = sign(other, {"alg": "ES256", "url": url, "jwk": jwk_of(other)}, payload)
    assert client.post(url, inner).status == 200
    client.key = other
    assert client.post(url, sign(other, {"alg": "ES256", "url": url, "jwk": jwk_of(other)},
                                 compact({"account": account, "oldKey": jwk_of(other)}))).status == 409
    assert client.post(account, {"status": "deactivated"}).json["status"] == "deactivated"
    assert client.order(["a.test"]).problem == "unauthorized"
    sim.forget_accounts()
    assert client.order(["a.test"]).problem == "accountDoesNotExist"


def test_what_is_signed_wrongly(sim: AcmeSim) -> None:
    client = client_of(sim)
    new, order = client.directory["newAccount"], {"identifiers": [{"type": "dns", "value": "a.test"}]}
    blamed(sim, client.post(new, {}), "userActionRequired")
    client.register()
    url = client.directory["newOrder"]
    rows: list[tuple[dict[str, Any], str, str]] = [
        ({"signed_url": f"{url}/"}, "unauthorized", "url is"),
        ({"nonce": "never-given-out"}, "badNonce", "never given out"),
        ({"nonce": None}, "malformed", "the protected header has"),
        ({"kid": None}, "malformed", "the protected header has"),
        ({"jwk": jwk_of(client.key)}, "malformed", "the protected header has"),
        ({"alg": "HS256"}, "badSignatureAlgorithm", "alg HS256"),
        ({"key": ec.generate_private_key(ec.SECP256R1())}, "malformed", "the signature is wrong"),
        ({"content_type": "application/json"}, "malformed", "Content-Type"),
        ({"b64": False}, "malformed", "the protected header has"),
    ]
    for how, problem_type, words in rows:
        blamed(sim, client.post(url, order, **how), problem_type, words)
    client.agent = "curl"
    blamed(sim, client.post(url, order), "malformed", "User-Agent")
    client.agent = Client.agent
    blamed(sim, client.ask("GET", url), "malformed", "GET of newOrder")
    blamed(sim, client.ask("GET", f"{sim.origin}/elsewhere"), "malformed", "nothing at this URL")
    # the nonce of a request that was well signed is spent; bytes are never sent again; DER is no signature
    nonce = client.nonce()
    assert client.post(url, order, nonce=nonce).status == 201
    blamed(sim, client.post(url, order, nonce=nonce), "badNonce", "used before")
    message = sign(client.key, {"alg": "ES256", "url": url, "kid": client.kid, "nonce": client.nonce()}, compact(order))
    assert client.ask("POST", url, compact(message), Content_Type="application/jose+json").status == 200
    blamed(sim, client.ask("POST", url, compact(message), Content_Type="application/jose+json"), "malformed", "sent before")
    message = sign(client.key, {"alg": "ES256", "url": url, "kid": client.kid, "nonce": client.nonce()}, b"{}")
    r, s = (int.from_bytes(client_half, "big") for client_half in (b"\1" * 32, b"\2" * 32))
    message["signature"] = b64(utils.encode_dss_signature(r, s))
    blamed(sim, client.ask("POST", url, compact(message), Content_Type="application/jose+json"), "malformed", "a signature of")
    message["signature"] += "="
    blamed(sim, client.ask("POST", url, compact(message), Content_Type="application/jose+json"), "malformed", "base64url")


def test_what_is_asked_wrongly(sim: AcmeSim) -> None:
    client = client_of(sim)
    for names, problem_type in ((["A.test"], "rejectedIdentifier"), (["a_b.test"], "rejectedIdentifier"), (["a.test"] * 2, "malformed"),
                                ([], "malformed")):
        blamed(sim, client.order(names), problem_type)
    blamed(sim, client.order(["a.test"], notAfter="2030-01-01T00:00:00Z"), "malformed", "members")
    blamed(sim, client.order(["a.test"], replaces="AAAA.BBBB"), "malformed", "never issued")
    assert client.order(["a.test"], profile="cheap").problem == "invalidProfile"
    order = client.order(["a.test", "b.test"])
    authorization = client.post(order.json["authorizations"][0])
    challenge = authorization.json["challenges"][0]
    blamed(sim, client.post(order.json["authorizations"][0], {}), "malformed")
    blamed(sim, client.post(challenge["url"], {"keyAuthorization": "x"}), "malformed", "not {}")
    csr = {"csr": b64(new_csr(ec.generate_private_key(ec.SECP256R1()), ["a.test", "b.test"]))}
    blamed(sim, client.post(order.json["finalize"], csr), "orderNotReady")
    client.answer(order, "http-01")
    blamed(sim, client.post(challenge["url"], {}), "malformed", "of an authorization that is valid")
    blamed(sim, client.post(order.json["finalize"], csr), "orderNotReady", "not known to be ready")
    assert client.post(order.fields["Location"]).json["status"] == "ready"
    for bad in (new_csr(client.key, ["a.test", "b.test"]), new_csr(ec.generate_private_key(ec.SECP256R1()), ["a.test"])):
        blamed(sim, client.post(order.json["finalize"], {"csr": b64(bad)}), "badCSR")
    sim.processing_polls = 1
    assert client.post(order.json["finalize"], csr).json["status"] == "processing"
    blamed(sim, client.post(order.json["finalize"], csr), "orderNotReady", "again")
    assert client.post(order.fields["Location"]).json["status"] == "processing"
    done = client.post(order.fields["Location"]).json
    blamed(sim, client.post(done["certificate"], {}), "malformed", "POST-as-GET")
    leaf = certificates(client.post(done["certificate"]).body.decode())[0]
    stranger = Client(sim.directory, sim.ca_file)
    stranger.register()
    blamed(sim, stranger.post(done["certificate"]), "unauthorized")
    der = b64(leaf.public_bytes(serialization.Encoding.DER))
    blamed(sim, stranger.post(sim._url("revokeCert"), {"certificate": der}), "unauthorized")
    blamed(sim, client.post(sim._url("revokeCert"), {"certificate": der, "reason": 2}), "badRevocationReason")
    assert client.post(sim._url("revokeCert"), {"certificate": der, "reason": 4}).status == 200
    assert client.post(sim._url("revokeCert"), {"certificate": der}).problem == "alreadyRevoked"
    assert sim.revoked == {leaf.serial_number: 4}


def test_patience(sim: AcmeSim) -> None:
    client = client_of(sim)
    order = client.order(["a.test"])
    sim.fault("order", problem(429, "rateLimited", "slowly", retry_after=1))
    sim.fault("order", problem(503, "rateLimited", "slowly", retry_after=sim.date(1)))
    url = order.fields["Location"]
    assert client.post(url).fields["retry-after"] == "1"
    time.sleep(1.1)
    assert client.post(url).status == 503 and not sim.violations
    time.sleep(2.1)
    assert client.post(url).status == 200 and not sim.violations
    sim.retry_after, sim.validation_polls = 100, 1
    challenge = client.post(order.json["authorizations"][0]).json["challenges"][0]
    assert client.post(challenge["url"], {}).fields["Retry-After"] == "100"
    assert client.post(order.json["authorizations"][0]).json["status"] == "pending"
    assert client.post(order.json["authorizations"][0]).json["status"] == "valid"
    assert len(sim.violations) == 1 and "before Retry-After" in sim.violations.pop()


def test_renewal_information(sim: AcmeSim) -> None:
    client = client_of(sim)
    first = certificates(client.obtain(["a.test"]))[0]
    url = f"{client.directory['renewalInfo']}/{renewal_id(first)}"
    window = client.ask("GET", url)
    assert window.json["suggestedWindow"]["start"] < window.json["suggestedWindow"]["end"] and window.fields["Retry-After"] == "21600"
    sim.may_hurry, sim.window = True, (datetime(2020, 1, 1), datetime(2020, 1, 2))
    assert client.ask("GET", url).json["suggestedWindow"] == {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}
    assert certificates(client.obtain(["a.test"], replaces=renewal_id(first)))
    assert client.order(["a.test"], replaces=renewal_id(first)).problem == "alreadyReplaced"
    blamed(sim, client.ask("GET", url + "A"), "malformed", "never issued")


def test_verdicts(sim: AcmeSim) -> None:
    client = client_of(sim)
    sim.verdicts.update({"b.test": ("dns", "no such name"), ("c.test", "http-01"): ("connection", "no route")})
    for name, kind, wrong in (("a.test", "http-01", ""), ("b.test", "dns-01", "dns"), ("c.test", "dns-01", ""), ("c.test", "http-01", "connection")):
        sim.reuses_authorizations = sim.reuses_orders = False
        order = client.order([name])
        client.answer(order, kind)
        seen = client.post(order.json["authorizations"][0]).json
        error = next((c["error"]["type"] for c in seen["challenges"] if "error" in c), "")
        assert error.rpartition(":")[2] == wrong
        assert client.post(order.fields["Location"]).json["status"] == ("invalid" if wrong else "ready")


def test_faults(sim: AcmeSim) -> None:
    client = client_of(sim)
    order = client.order(["a.test"])
    url, whole = order.fields["Location"], order.body

    def next_is(fault: Any) -> Reply:
        sim.fault("order", fault)
        return client.post(url)

    assert next_is(html(200)).body.startswith(b"<!DOCTYPE") and next_is(text(500)).status == 500
    assert next_is(redirect("https://127.0.0.1/")).fields["Location"] == "https://127.0.0.1/"
    assert next_is(WRONG_TYPE).fields["Content-Type"] == "text/plain"
    assert next_is(TRUNCATED).body == whole[:len(whole) * 2 // 3]
    assert len(next_is(HUGE).body) > 8 << 20 and next_is(BINARY).body and next_is(NOT_JSON).body == b"It works!"
    assert next_is(deep()).body.count(b"[") == 100_000
    assert next_is(changed(lambda o: o.update(status="odd"))).json["status"] == "odd"
    nonce = client.nonce()
    sim.fault("order", STALE)
    stale = client.post(url, nonce=nonce)
    assert stale.problem == "badNonce" and stale.fields["Replay-Nonce"]
    for fault, wrong in ((LOST, (OSError, http.client.HTTPException)), (CUT, http.client.IncompleteRead)):
        sim.fault("order", fault)
        with pytest.raises(wrong):
            client.post(url)
    sim.fault("newOrder", LOST)
    with pytest.raises((OSError, http.client.HTTPException)):
        client.order(["lost.test"])
    assert [o.names for o in sim.orders.values()] == [["a.test"], ["lost.test"]]
    sim.fault("directory", changed(lambda d: {"newNonce": d["newNonce"]}))
    assert set(client_of(sim).directory) == {"newNonce"}
    begin = time.monotonic()
    sim.fault("newNonce", DRIP)  # it has no body, and is not slow
    client.ask("HEAD", client.directory["newNonce"])
    assert time.monotonic() - begin < limit(5)
    assert sim.pending("order") == 0 and not sim.violations
    sim.clock_offset_s = 86400 * 365
    ahead = parsedate_to_datetime(client.post(url).fields["Date"]).timestamp() - time.time()
    assert abs(ahead - 86400 * 365) < 3600


@pytest.mark.parametrize("chain", [*chains.BAD, chains.with_a_private_key, chains.very_long], ids=lambda chain: chain.__name__)
def test_chains(sim: AcmeSim, chain: Callable) -> None:
    sim.chain = chain
    client, key = client_of(sim), ec.generate_private_key(ec.SECP256R1())
    shown = client.obtain(["a.test", "b.test"], key=key)
    if chain in (chains.empty, chains.garbage):
        assert len(shown) < 200
        return
    first = certificates(shown + ("\n" if chain is chains.cut_off else ""))[0]
    if chain is chains.leaf_last:
        assert first == sim.authority.intermediates[0]
        return
    now, names = datetime.utcnow(), first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert (first.public_key().public_numbers() == key.public_key().public_numbers()) == (chain is not chains.wrong_key)
    assert names.get_values_for_type(x509.DNSName) == (["a.test"] if chain is chains.without_name else ["a.test", "b.test"])
    assert (first.not_valid_after < now, first.not_valid_before > now) == (chain is chains.expired, chain is chains.not_yet)


def test_the_other_chain(sim: AcmeSim) -> None:
    client = client_of(sim)
    order = client.order(["a.test"])
    client.answer(order, "http-01")
    client.post(order.fields["Location"])
    client.post(order.json["finalize"], {"csr": b64(new_csr(ec.generate_private_key(ec.SECP256R1()), ["a.test"]))})
    reply = client.post(client.post(order.fields["Location"]).json["certificate"])
    links = reply.fields.get_all("Link")
    assert len(links) == 2
    other = next(link.split(">")[0][1:] for link in links if "alternate" in link)
    one, two = (certificates(r.body.decode()) for r in (reply, client.post(other)))
    assert one[0] == two[0] and [c[1].issuer.rfc4514_string()[-1] for c in (one, two)] == ["A", "B"]
