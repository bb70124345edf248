"""The fixtures themselves: Pebble and its name server do what other tests take for granted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Callable

from acme_client import Client, bind, certificates
from pebble import EAB_KEY, EAB_KID, Pebble, pebbles  # noqa: F401 (a fixture)
from x509 import openssl


def test_issues(pebbles: Callable[..., Pebble], folder: Path) -> None:
    pebble = pebbles(always_valid=True, authz_reuse=0, nonce_reject=50, eab=True, validity_s=600, chain_length=2, alternates=1)
    client = Client(pebble.directory, pebble.ca_file)
    client.register(externalAccountBinding=bind(client.key, client.directory["newAccount"], EAB_KID, EAB_KEY))
    chain = folder / "chain.pem"
    chain.write_text(client.obtain(["a.test", "b.test"]))
    openssl("verify", "-CAfile", pebble.root(), "-untrusted", chain, chain)
    leaf, *issuers = certificates(chain.read_text())
    assert leaf.not_valid_after - leaf.not_valid_before < timedelta(seconds=601) and len(issuers) == 2
    assert pebble.root(1).read_text() != pebble.root().read_text()
    assert pebble.certificate(leaf.serial_number)["Status"] == "Valid"
    assert (pebble.orders(), pebble.issued()) == (1, 1)
    pebble.stop()
    pebble.start()
    assert client.post(client.kid).status == 400  # it has forgotten the account


def test_is_lied_to(pebbles: Callable[..., Pebble]) -> None:
    pebble = pebbles()
    pebble.dns.servfail("b.test")
    pebble.dns.caa("a.test", ("issue", "ca.test"))
    client = Client(pebble.directory, pebble.ca_file)
    order = client.order(["b.test"])
    client.answer(order, "dns-01")
    assert client.post(order.fields["Location"]).json["status"] == "invalid" and pebble.issued() == 0
    assert "TXT" in pebble.dns.asked("_acme-challenge.b.test")
