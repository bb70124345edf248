"""Signed requests, judged: RFC 7515 as RFC 8555 narrows it, and nothing looser."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from typing import Any, NamedTuple

from acme_client import compact
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
CURVES = {"P-256": (ec.SECP256R1(), 32, "ES256", hashes.SHA256()), "P-384": (ec.SECP384R1(), 48, "ES384", hashes.SHA384())}


class Refused(Exception):
    """A problem document. With violation it is one that no client of ours may ever cause."""

    def __init__(self, type: str, detail: str, status: int = 400, violation: bool = True, **more: Any) -> None:
        super().__init__(f"{type}: {detail}")
        self.type, self.detail, self.status, self.violation, self.more = type, detail, status, violation, more


def must(condition: Any, detail: str, type: str = "malformed", status: int = 400) -> None:
    if not condition:
        raise Refused(type, detail, status)


def unb64(text: Any, what: str) -> bytes:
    must(isinstance(text, str) and BASE64URL.fullmatch(text), f"{what} is not base64url without padding")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as e:
        raise Refused("malformed", f"{what}: {e}") from None
    must(base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text, f"{what} has bits left over")
    return data


def object_of(data: bytes, what: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        must(len({k for k, _ in pairs}) == len(pairs), f"{what} has a member twice")
        return dict(pairs)

    try:
        value = json.loads(data, object_pairs_hook=once)
    except ValueError as e:
        raise Refused("malformed", f"{what} is not JSON: {e}") from None
    must(isinstance(value, dict), f"{what} is not an object")
    return value


class Key(NamedTuple):
    jwk: dict[str, str]
    key: Any

    @property
    def thumbprint(self) -> str:
        """RFC 7638."""
        return base64.urlsafe_b64encode(hashlib.sha256(compact(self.jwk)).digest()).rstrip(b"=").decode()


def key_of(jwk: Any) -> Key:
    must(isinstance(jwk, dict), "jwk is not an object")
    if jwk.get("kty") == "RSA":
        must(set(jwk) == {"kty", "n", "e"}, f"jwk has {sorted(jwk)}")
        n, e = (int.from_bytes(unb64(jwk[k], k), "big") for k in "ne")
        must(n.bit_length() in (2048, 3072, 4096), "RSA of these bits", "badPublicKey")
        return Key(jwk, rsa.RSAPublicNumbers(e, n).public_key())
    must(set(jwk) == {"kty", "crv", "x", "y"} and jwk["kty"] == "EC" and jwk["crv"] in CURVES, f"jwk has {sorted(jwk)}", "badPublicKey")
    curve, size = CURVES[jwk["crv"]][:2]
    x, y = (unb64(jwk[k], k) for k in "xy")
    must(len(x) == len(y) == size, f"coordinates of {len(x)} and {len(y)} bytes, not {size}")
    return Key(jwk, ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve).public_key())


class Message(NamedTuple):
    protected: dict[str, Any]
    payload: bytes
    signed: bytes
    signature: bytes


def read(body: Any, what: str = "the request") -> Message:
    value = object_of(body, what) if isinstance(body, bytes) else body
    must(isinstance(value, dict) and set(value) == {"protected", "payload", "signature"}, f"{what} is no flattened JWS: {str(value)[:200]}")
    protected = object_of(unb64(value["protected"], "protected"), "protected")
    return Message(protected, unb64(value["payload"], "payload"), f"{value['protected']}.{value['payload']}".encode(),
                   unb64(value["signature"], "signature"))


def verify(message: Message, key: Any) -> None:
    alg = message.protected.get("alg")
    try:
        if isinstance(key, rsa.RSAPublicKey):
            must(alg == "RS256", f"alg {alg} for a key of RSA", "badSignatureAlgorithm")
            key.verify(message.signature, message.signed, padding.PKCS1v15(), hashes.SHA256())
            return
        size, wanted, digest = next(c[1:] for c in CURVES.values() if c[0].name == key.curve.name)
        must(alg == wanted, f"alg {alg} for a key of {key.curve.name}", "badSignatureAlgorithm")
        must(len(message.signature) == 2 * size, f"a signature of {len(message.signature)} bytes, not {2 * size}")
        r, s = (int.from_bytes(half, "big") for half in (message.signature[:size], message.signature[size:]))
        key.verify(utils.encode_dss_signature(r, s), message.signed, ec.ECDSA(digest))
    except InvalidSignature:
        raise Refused("malformed", "the signature is wrong") from None


def check_binding(binding: Any, url: str, jwk: dict[str, str], keys: dict[str, str]) -> None:
    """External account binding, RFC 8555 section 7.3.4."""
    message = read(binding, "externalAccountBinding")
    must(message.protected.get("alg") == "HS256", "the binding's alg")
    must("nonce" not in message.protected, "the binding has a nonce")
    must(message.protected.get("url") == url, "the binding's url")
    must(object_of(message.payload, "the binding's payload") == jwk, "the binding is for another key")
    kid = message.protected.get("kid")
    if kid not in keys:
        raise Refused("unauthorized", f"no such binding: {kid}", 401, violation=False)
    right = hmac.digest(base64.urlsafe_b64decode(keys[kid] + "=="), message.signed, hashlib.sha256)
    if not hmac.compare_digest(right, message.signature):
        raise Refused("unauthorized", "the binding's key is another one", 401, violation=False)
