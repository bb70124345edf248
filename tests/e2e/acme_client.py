"""A small ACME client of the tests' own. It is right unless it is told to be wrong: with it we learn whether a server,
Pebble or acme_sim.py, is what tests take it for.

    client = Client(server.directory, server.ca_file)
    chain = client.obtain(["a.test"])               # where the server believes every answer
    reply = client.post(url, {...}, kid=None)       # any request, with what it is made of changed
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ipaddress
import json
import os
import ssl
from pathlib import Path
from typing import Any, NamedTuple, Sequence
from urllib.parse import urlsplit

import pytest

from programs import PATIENCE_S, wait_until
from x509 import is_address

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, utils
except ImportError:
    if os.environ.get("E2E_REQUIRE") == "all":
        raise
    pytest.skip("python3-cryptography is not installed; run: sh scripts/setup test", allow_module_level=True)

END = b"-----END CERTIFICATE-----\n"
OURS: Any = object()  # as it should be


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def jwk_of(key: Any) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {"crv": "P-256", "kty": "EC", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}


def sign(key: Any, protected: dict[str, Any], payload: bytes) -> dict[str, str]:
    """A flattened JWS with ES256."""
    first, second = b64(compact(protected)), b64(payload)
    r, s = utils.decode_dss_signature(key.sign(f"{first}.{second}".encode(), ec.ECDSA(hashes.SHA256())))
    return {"protected": first, "payload": second, "signature": b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))}


def bind(key: Any, url: str, kid: str, mac_key: str) -> dict[str, str]:
    """External account binding."""
    first, second = b64(compact({"alg": "HS256", "kid": kid, "url": url})), b64(compact(jwk_of(key)))
    return {"protected": first, "payload": second,
            "signature": b64(hmac.digest(unb64(mac_key), f"{first}.{second}".encode(), hashlib.sha256))}


def certificates(chain: str) -> list[x509.Certificate]:
    """Of a file, in order. (cryptography has a call of its own for this from version 39 on.)"""
    return [x509.load_pem_x509_certificate(part.encode() + END) for part in chain.split(END.decode())[:-1]]


def new_csr(key: Any, names: Sequence[str]) -> bytes:
    alternatives = [x509.IPAddress(ipaddress.ip_address(n)) if is_address(n) else x509.DNSName(n) for n in names]
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = request.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


class Reply(NamedTuple):
    status: int
    fields: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The last word of its type; empty when it is none."""
        if self.fields.get_content_type() != "application/problem+json":
            return ""
        return self.json["type"].rpartition(":")[2]


class Client:
    agent = "tunnel-relay/test (+https://example.org)"

    def __init__(self, directory: str, ca_file: Path, key: Any = None) -> None:
        self.ca_file, self.key = ca_file, key or ec.generate_private_key(ec.SECP256R1())
        self.kid = ""
        self.nonces: list[str] = []
        self.directory = self.ask("GET", directory).json

    # ---- requests ----

    def ask(self, method: str, url: str, body: bytes | None = None, **fields: str) -> Reply:
        parts = urlsplit(url)
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=PATIENCE_S,
                                                 context=ssl.create_default_context(cafile=str(self.ca_file)))
        try:
            connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body,
                               {"User-Agent": self.agent, **{k.replace("_", "-"): v for k, v in fields.items()}})
            got = connection.getresponse()
            reply = Reply(got.status, got.msg, got.read())
        finally:
            connection.close()
        if nonce := reply.fields.get("Replay-Nonce"):
            self.nonces.append(nonce)
        return reply

    def nonce(self) -> str:
        if not self.nonces:
            self.ask("HEAD", self.directory["newNonce"])
        return self.nonces.pop()

    def post(self, url: str, payload: Any = None, *, key: Any = None, signed_url: Any = OURS, kid: Any = OURS, jwk: Any = OURS,
             nonce: Any = OURS, content_type: str = "application/jose+json", accept: str = "", **protected: Any) -> Reply:
        """payload None: POST-as-GET. None for what stands in the protected header leaves it out."""
        key = key or self.key
        for _ in range(10):
            header = {"alg": "ES256", "url": url if signed_url is OURS else signed_url,
                      "nonce": self.nonce() if nonce is OURS else nonce,
                      "kid": (self.kid or None) if kid is OURS else kid,
                      "jwk": (None if self.kid else jwk_of(key)) if jwk is OURS else jwk, **protected}
            body = sign(key, {k: v for k, v in header.items() if v is not None}, b"" if payload is None else compact(payload))
            reply = self.ask("POST", url, compact(body), Content_Type=content_type, **({"Accept": accept} if accept else {}))
            if reply.problem != "badNonce" or nonce is not OURS:
                break
        return reply

    # ---- a conversation ----

    def register(self, **members: Any) -> Reply:
        reply = self.post(self.directory["newAccount"], {"termsOfServiceAgreed": True, **members})
        assert reply.status in (200, 201), reply.body
        self.kid = reply.fields["Location"]
        return reply

    def order(self, names: Sequence[str], **members: Any) -> Reply:
        if not self.kid:
            self.register()
        identifiers = [{"type": "ip" if is_address(n) else "dns", "value": n} for n in names]
        return self.post(self.directory["newOrder"], {"identifiers": identifiers, **members})

    def answer(self, order: Reply, type: str) -> None:
        """Says of each authorization that it may be validated in this way, and waits for what comes of it."""
        for url in order.json["authorizations"]:
            if (authorization := self.post(url).json)["status"] != "pending":
                continue
            challenge = next(c for c in authorization["challenges"] if c["type"] == type)
            assert self.post(challenge["url"], {}).status == 200
            wait_until(lambda: self.post(url).json["status"] != "pending", "the authorization is decided")

    def wait(self, url: str, *states: str) -> dict[str, Any]:
        return wait_until(lambda: (o := self.post(url).json)["status"] in states and o, f"the order is one of {states}")

    def obtain(self, names: Sequence[str], type: str = "http-01", key: Any = None, **members: Any) -> str:
        order = self.order(names, **members)
        assert order.status == 201, order.body
        url = order.fields["Location"]
        self.answer(order, type)
        ready = self.wait(url, "ready", "invalid")
        assert ready["status"] == "ready", ready
        done = self.post(ready["finalize"], {"csr": b64(new_csr(key or ec.generate_private_key(ec.SECP256R1()), names))})
        assert done.status == 200, done.body
        return self.post(self.wait(url, "valid")["certificate"], accept="application/pem-certificate-chain").body.decode()
