"""The authority behind the simulator, and the many ways in which what it hands out can be wrong.

Each function makes the PEM text that is downloaded for an order: sim.chain = wrong_key. right() is the usual one."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Sequence

from acme_client import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from x509 import is_address

ROOTS = ("Simulated Root A", "Simulated Root B")
DAY = timedelta(days=1)
END = "-----END CERTIFICATE-----\n"


def new_key() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])


def pem(*certificates: x509.Certificate) -> str:
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in certificates)


def own_pair(cert: Path, key: Path, host: str = "") -> Path:
    """For the server's own TLS: whoever is to talk to it has to trust this certificate."""
    own, now = new_key(), datetime.utcnow()
    names = x509.SubjectAlternativeName([x509.DNSName(host or "localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder().subject_name(named("acme_sim")).issuer_name(named("acme_sim")).public_key(own.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - DAY).not_valid_after(now + 1000 * DAY)
    cert.write_text(pem(made.add_extension(names, critical=False).sign(own, hashes.SHA256())))
    key.write_bytes(own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return cert


class Authority:
    """Two roots; one intermediate, which either has signed."""

    def __init__(self) -> None:
        self.root_keys, self.key = [new_key() for _ in ROOTS], new_key()
        now = datetime.utcnow()
        self.roots = [self._sign(key.public_key(), named(name), named(name), key, now - DAY, now + 3650 * DAY, issuer=True)
                      for key, name in zip(self.root_keys, ROOTS)]
        self.intermediates = [self._sign(self.key.public_key(), named("Simulated Issuer"), named(name), key, now - DAY, now + 1000 * DAY,
                                         issuer=True) for key, name in zip(self.root_keys, ROOTS)]

    def _sign(self, subject_key: Any, subject: x509.Name, issuer_name: x509.Name, key: Any, begin: datetime, end: datetime,
              names: Sequence[str] = (), issuer: bool = False) -> x509.Certificate:
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer_name).public_key(subject_key)
        made = made.serial_number(x509.random_serial_number() | 1 << 158).not_valid_before(begin).not_valid_after(end)
        made = made.add_extension(x509.BasicConstraints(ca=issuer, path_length=None), critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(subject_key), critical=False)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        if names:
            alternatives = [x509.IPAddress(ipaddress.ip_address(n)) if is_address(n) else x509.DNSName(n) for n in names]
            made = made.add_extension(x509.SubjectAlternativeName(alternatives), critical=True)
        return made.sign(key, hashes.SHA256())

    def leaf(self, key: Any, names: Sequence[str], begin: datetime, end: datetime) -> x509.Certificate:
        return self._sign(key, named(""), named("Simulated Issuer"), self.key, begin, end, names)

    def stranger(self, key: Any, names: Sequence[str], begin: datetime, end: datetime) -> x509.Certificate:
        """By a key that no issuer has."""
        return self._sign(key, named(""), named("Simulated Issuer"), new_key(), begin, end, names)


class Wanted:
    """What a chain is made for."""

    def __init__(self, authority: Authority, key: Any, names: Sequence[str], begin: datetime, end: datetime) -> None:
        self.authority, self.key, self.names, self.begin, self.end = authority, key, list(names), begin, end

    def leaf(self, **other: Any) -> x509.Certificate:
        return self.authority.leaf(**{"key": self.key, "names": self.names, "begin": self.begin, "end": self.end, **other})


def right(w: Wanted, root: int = 0) -> str:
    return pem(w.leaf(), w.authority.intermediates[root])


def wrong_key(w: Wanted) -> str:
    return pem(w.leaf(key=new_key().public_key()), w.authority.intermediates[0])


def without_name(w: Wanted) -> str:
    """The last of its names is missing; when there was but one, it is another's."""
    return pem(w.leaf(names=w.names[:-1] or ["elsewhere.test"]), w.authority.intermediates[0])


def expired(w: Wanted) -> str:
    now = datetime.utcnow()
    return pem(w.leaf(begin=now - 90 * DAY, end=now - DAY), w.authority.intermediates[0])


def not_yet(w: Wanted) -> str:
    now = datetime.utcnow()
    return pem(w.leaf(begin=now + 2 * DAY, end=now + 90 * DAY), w.authority.intermediates[0])


def leaf_last(w: Wanted) -> str:
    return pem(w.authority.intermediates[0], w.leaf())


def by_a_stranger(w: Wanted) -> str:
    """Its issuer's name is the one that follows, but not its key."""
    return pem(w.authority.stranger(w.key, w.names, w.begin, w.end), w.authority.intermediates[0])


def empty(w: Wanted) -> str:
    return ""


def cut_off(w: Wanted) -> str:
    return right(w)[:-200]


def garbage(w: Wanted) -> str:
    return "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"


def with_a_private_key(w: Wanted) -> str:
    """Harmless in itself; whoever takes over all that comes has a strange file."""
    key = new_key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return right(w) + key.decode()


def very_long(w: Wanted) -> str:
    """A thousand issuers."""
    return pem(w.leaf()) + pem(w.authority.intermediates[0]) * 1000


BAD = (wrong_key, without_name, expired, not_yet, leaf_last, by_a_stranger, empty, cut_off, garbage)
