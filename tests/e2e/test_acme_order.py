"""Certificates from Pebble, by the code of the relay alone: orders, accounts, revocation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from acmecall import Caller, Www, callers, www  # noqa: F401 (fixtures)
from pebble import Pebble, pebbles  # noqa: F401 (a fixture)
from x509 import openssl

Make = Callable[..., Any]


def leaf_of(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names_of(path: Path) -> set[str]:
    names = leaf_of(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}


def fine(said: dict[str, Any]) -> dict[str, Any]:
    assert said["class"] == "ok" and not said["text"], json.dumps(said, indent=1)
    return said


def test_orders(pebbles: Make, callers: Make, www: Www, folder: Path) -> None:
    """Names, a wildcard beside its base, addresses; each type of key; and the account is made once."""
    pebble = pebbles(http_port=www.port, nonce_reject=20, chain_length=2, strict=True)
    call, out, key = callers(pebble, challenges="http-01,dns-01", email="me@example.com"), folder / "chain.pem", folder / "key.pem"
    said = fine(call("order", "a.test", "b.test", "*.a.test", out=out, key_file=key))
    openssl("verify", "-CAfile", pebble.root(), "-untrusted", out, out)
    assert names_of(out) == {"a.test", "b.test", "*.a.test"} and said["orders"] == 1 and not said["failures"]
    assert sorted(said["shown"]) == sorted(f"{sign}{shown}" for sign in ("", "-") for shown in
                                           ("http-01 a.test", "http-01 b.test", "dns-01 a.test"))
    assert key.stat().st_mode & 0o777 == 0o600
    assert not list(www.folder.iterdir()) and said["notes"] == [said["notes"][0]]

    kinds = {"p384": (ec.EllipticCurvePublicKey, 384), "rsa": (rsa.RSAPublicKey, 2048), "ecdsa": (ec.EllipticCurvePublicKey, 256)}
    for kind, (type_, bits) in kinds.items():
        fine(call("order", "127.0.0.1", "c.test", out=out, key=kind))
        public = leaf_of(out).public_key()
        assert isinstance(public, type_) and public.key_size == bits and names_of(out) == {"127.0.0.1", "c.test"}

    account = call.folder / "account.key"
    assert (account.stat().st_mode & 0o777, call.folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert pebble.log().count("There are now 1 accounts in memory") == 1


def test_nine_of_ten_nonces_are_refused(pebbles: Make, callers: Make, www: Www) -> None:
    fine(callers(pebbles(http_port=www.port, nonce_reject=90))("order", "a.test"))


def test_many_at_once(pebbles: Make, callers: Make, www: Www) -> None:
    """With one account, which is made once, and whose key changes in the middle of it; no nonce is used twice."""
    pebble = pebbles(http_port=www.port, nonce_reject=5)
    call = callers(pebble)
    orders = [("order", f"a{i}.test", f"b{i}.test") for i in range(24)]
    for said in call.all(*orders, at_once=True):
        assert fine(said)["orders"] == 1
    changed, *said = call.all(("rollover",), *(("account",) for _ in range(8)), at_once=True)
    assert fine(changed) and len({fine(one)["url"] for one in said}) == 1
    assert pebble.orders() == pebble.issued() == 24 and pebble.posts("/sign-me-up") < 30
    assert pebble.log().count("There are now 1 accounts in memory") == 1


def test_other_ways_are_tried(pebbles: Make, callers: Make, www: Www) -> None:
    """tls-alpn-01 reaches nobody (nothing listens there); http-01 cannot be shown; dns-01 it is. A second order is needed,
    because a failed challenge kills its order; no third one."""
    pebble = pebbles(http_port=www.port, authz_reuse=0)
    call = callers(pebble, challenges="tls-alpn-01,http-01,dns-01", unable="http-01")
    said = fine(call("order", "a.test", "b.test"))
    assert said["orders"] == 2 and said["notes"][1] is None and len(said["notes"]) == 3
    for failure in said["failures"]:
        assert failure["class"] == "ok" and failure["validations"] == 1, failure
        assert "tls-alpn-01: unauthorized: " in failure["text"] and "http-01: cannot be shown" in failure["text"]
    assert {failure["name"] for failure in said["failures"]} == {"a.test", "b.test"}


def test_failing_names_are_told(pebbles: Make, callers: Make, www: Www) -> None:
    """The caller hears whose fault it is, and can order the others, whose proofs are not wasted."""
    pebble = pebbles(http_port=www.port, authz_reuse=100)
    pebble.dns.a("b.test", "127.0.0.9")
    call = callers(pebble)
    first, second = call.all(("order", "a.test", "b.test"), ("order", "a.test"))
    assert first["class"] == "config" and first["text"].startswith("b.test: http-01: connection: "), first
    assert [(f["name"], f["validations"]) for f in first["failures"]] == [("b.test", 1)] and first["notes"][-1] is None
    assert fine(second)["shown"] == []
    none = call("order", "*.a.test")
    assert none["class"] == "config" and "a wildcard needs dns-01" in none["failures"][0]["text"], none
    refused = call("order", "no_such_thing", "a.test")
    assert refused["class"] == "config" and refused["notes"] == [] and "illegal character" in refused["text"], refused


def test_resumes(pebbles: Make, callers: Make, www: Www, folder: Path) -> None:
    """Whenever it is cut off, the same order is carried on with, also when the certificate was issued already."""
    pebble = pebbles(http_port=www.port, authz_reuse=0)
    call, key, out = callers(pebble, key_file=folder / "key.pem"), folder / "key.pem", folder / "chain.pem"
    url = ""
    for where in ("open", "put", "taken"):
        cut = call("order", "a.test", resume_url=url, stop_at=where)
        assert cut["class"] == "stopped", cut
        url = next(note for note in reversed(cut["notes"] or [url]) if note)
        assert not list(www.folder.iterdir())
    done = fine(call("order", "a.test", resume_url=url, out=out))
    made = key.read_text()
    again = fine(call("order", "a.test", resume_url=url, out=out))
    assert pebble.orders() == 1 and pebble.issued() == 1 and done["orders"] == again["orders"] == 0
    openssl("x509", "-in", out, "-noout")
    assert key.read_text() == made

    other = fine(call("order", "b.test", resume_url=url))  # for other names it is of no use
    key.unlink()
    lost = fine(call("order", "b.test", resume_url=other["notes"][-1]))  # and without its key neither
    assert other["notes"][0] is lost["notes"][0] is None and pebble.issued() == 3


def test_chains(pebbles: Make, callers: Make, www: Www, folder: Path) -> None:
    pebble = pebbles(http_port=www.port, alternates=2)
    call, out = callers(pebble), folder / "chain.pem"
    for i in range(3):
        root = x509.load_pem_x509_certificate(pebble.root(i).read_bytes())
        wish = root.subject.rfc4514_string().removeprefix("CN=")
        assert not fine(call("order", "a.test", out=out, preferred_chain=wish))["other_chain"]
        openssl("verify", "-CAfile", pebble.root(i), "-untrusted", out, out)
    assert fine(call("order", "a.test", out=out, preferred_chain="Another Root"))["other_chain"]
    openssl("verify", "-CAfile", pebble.root(0), "-untrusted", out, out)
    assert "the CA has " in call("order", "a.test", profile="shortlived")["text"]


def test_binding(pebbles: Make, callers: Make, www: Www, folder: Path) -> None:
    pebble = pebbles(http_port=www.port, eab=True)
    call = callers(pebble)
    without = call("order", "a.test", eab_kid="")
    assert without["class"] == "account" and "set eab_kid and eab_key_file" in without["text"], without
    wrong = folder / "wrong.key"
    wrong.touch(mode=0o600)
    wrong.write_text("bm90IHRoZSBrZXk")
    refused, held_back = call.all(("order", "a.test"), ("order", "b.test"), eab_key_file=wrong)
    assert refused["class"] == held_back["class"] != "ok" and pebble.posts("/sign-me-up") == 1, refused
    wrong.write_text("no base64url!")
    assert "eab_key_file" in call("order", "a.test", eab_key_file=wrong)["text"]
    fine(call("order", "a.test"))


def test_life_of_an_account(pebbles: Make, callers: Make, www: Www, folder: Path) -> None:
    pebble = pebbles(http_port=www.port)
    call, out, leaf_key = callers(pebble), folder / "chain.pem", folder / "key.pem"
    key, next_key, state = (call.folder / name for name in ("account.key", "account.key.next", "account.json"))
    url = fine(call("account"))["url"]

    before = key.read_text()
    rolled = call.all(("rollover",), ("order", "a.test"), ("account",), out=out, key_file=leaf_key)
    assert [fine(said) for said in rolled] and rolled[2]["url"] == url and key.read_text() != before and not next_key.exists()

    # A key change whose reply was lost: the CA has the new key already, or has never heard of it.
    next_key.touch(mode=0o600)
    next_key.write_text(key.read_text())
    key.write_text(before)
    fine(call("order", "b.test"))
    next_key.touch(mode=0o600)
    next_key.write_text(before)
    fine(call("order", "b.test"))
    assert not next_key.exists() and key.read_text() != before

    # What is revoked once may be again; without the account, the certificate's own key will do.
    serial = leaf_of(out).serial_number
    assert pebble.certificate(serial)["Status"] == "Valid"
    fine(call("revoke", out, 4))
    assert pebble.certificate(serial) | {"Status": "Revoked", "Reason": 4} == pebble.certificate(serial)
    fine(call("revoke", out, 4))
    (folder / "other").mkdir()
    stranger = Caller(folder / "other", pebble.keys())
    fine(call("order", "c.test", out=out, key_file=leaf_key))
    assert stranger("revoke", out, 1)["class"] != "ok"
    fine(stranger("revoke", out, 1, leaf_key))

    # The CA has forgotten all: another account, once. One that was deactivated stays so.
    pebble.stop()
    pebble.start()
    fine(call("order", "a.test"))
    fine(call("deactivate"))
    for said in call.all(("order", "a.test"), ("account",), ("rollover",)):
        assert said["class"] == "account" and "deactivated" in said["text"], said
    state.write_text(json.dumps({**json.loads(state.read_text()), "deactivated": False}))
    said = call("order", "a.test")  # by somebody else, that is
    assert said["class"] == "account" and "refuses our account" in said["text"], said


def test_accounts_are_not_made_in_a_loop(pebbles: Make, callers: Make, www: Www) -> None:
    pebble = pebbles(http_port=www.port)
    call = callers(pebble)
    for _ in range(5):
        fine(call("account"))
        state = json.loads((call.folder / "account.json").read_text())
        (call.folder / "account.json").write_text(json.dumps({**state, "kid": None}))
        pebble.stop()
        pebble.start()
    said = call("account")
    assert said["class"] == "later" and "which is enough" in said["text"] and said["retry_after_ms"] > 3600_000, said


def test_no_ca_is_there(callers: Make, folder: Path, www: Www) -> None:
    conf: dict[str, object] = {"directory": "https://127.0.0.1:9/dir"}
    said = Caller(folder, conf)("order", "a.test")
    assert said["class"] == "later" and "cannot ask 127.0.0.1:9" in said["text"], said
    said = Caller(folder, {"directory": "http://127.0.0.1:9/dir"})("order", "a.test")
    assert said["class"] == "config" and "over TLS alone" in said["text"], said
