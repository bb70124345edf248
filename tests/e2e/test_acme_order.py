"""Certificates from Pebble, by the code of the relay alone: orders, accounts, revocation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

from cryptography import x509

from acmecall import Caller, Www, callers, www  # noqa: F401 (fixtures)
from pebble import Pebble, pebbles  # noqa: F401 (a fixture)
from x509 import openssl


def names_of(path: Path) -> set[str]:
    leaf = x509.load_pem_x509_certificate(path.read_bytes())
    assert not leaf.subject.rdns or leaf.subject
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}


def test_orders(pebbles: Callable[..., Pebble], callers: Callable[..., Caller], www: Www, folder: Path) -> None:
    pebble = pebbles(http_port=www.port, nonce_reject=5)
    call, out = callers(pebble), folder / "chain.pem"
    done = call("order", "a.test", "b.test", out=out, key_file=folder / "key.pem")
    assert done["class"] == "ok", done
    openssl("verify", "-CAfile", pebble.root(), "-untrusted", out, out)
    assert names_of(out) == {"a.test", "b.test"}
