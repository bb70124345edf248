"""The server: accounts, orders, authorizations, certificates, renewal information; strict (see the package's text)."""

from __future__ import annotations

import base64
import collections
import email.utils
import itertools
import json
import re
import secrets
import ssl
import threading
import time
import traceback
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

import pytest

from acme_client import x509
from cryptography.hazmat.primitives import serialization
from x509 import is_address

from . import chains, jws
from .faults import Fault, PROBLEM, Reply, problem_reply
from .jws import Key, Refused, must, object_of, unb64
from .transport import Request, Server

AGENT = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._+~-]+( .+)?")
HOST = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
REASONS = (0, 1, 4, 5)
TYPES = ("http-01", "tls-alpn-01", "dns-01")
RESOURCES = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")


def rfc3339(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def renewal_id(certificate: x509.Certificate) -> str:
    """RFC 9773: the authority key's id and the serial number, as they stand in the certificate."""
    key = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    number = certificate.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (key, serial))


@dataclass
class Account:
    id: str
    key: Key
    status: str = "valid"
    contact: list[str] = field(default_factory=list)


@dataclass
class Authorization:
    id: str
    account: Account
    name: str  # without *.
    wildcard: bool
    types: Sequence[str]
    status: str = "pending"
    polls: int = 0  # how often it was asked for since the challenge was accepted
    accepted: str = ""  # the type
    error: Optional[dict] = None
    tokens: dict[str, str] = field(default_factory=dict)


@dataclass
class Order:
    id: str
    account: Account
    names: list[str]
    authorizations: list[Authorization]
    expires: datetime
    profile: str = ""
    replaces: str = ""
    finalized: bool = False
    shown_ready: bool = False
    polls: int = 0  # while it is processed
    error: Optional[dict] = None
    chain: str = ""
    issued: Optional[x509.Certificate] = None
    wanted: Any = None


class AcmeSim:
    title = "acme_sim"

    def __init__(self, folder: Path, *, ari: bool = True, profiles: Sequence[str] = ("classic", "tlsserver", "shortlived"),
                 eab: Optional[dict[str, str]] = None, life: timedelta = timedelta(days=90), host: str = "") -> None:
        """eab: the keys for external account binding, which is then required: {"kid-1": base64url}. life: of a certificate.
        host: it believes that it is https://HOST, and whoever calls it that has to find the way to its port (proxy.py)."""
        self.folder, self.ari, self.profiles, self.eab, self.life = folder, ari, profiles, eab, life
        self.authority, self.chain = chains.Authority(), chains.right
        # What a test may change at any time.
        self.verdicts: dict[Any, tuple[str, str]] = {}  # name, or (name, type) -> type and detail of its problem
        self.validation_polls = self.processing_polls = 0  # how often "not yet" is said
        self.retry_after: Any = None  # what is said with it: seconds, or a function that makes the field's text
        self.window: Optional[tuple[datetime, datetime]] = None  # of every certificate; None: the last third of its life
        self.window_retry_s = 21600
        self.order_life, self.begin = timedelta(hours=1), timedelta(hours=-1)  # begin: of a certificate, from now
        self.challenge_types: Sequence[str] = TYPES
        self.reuses_orders = self.reuses_authorizations = True
        self.may_hurry = False  # whether it is no violation to come before Retry-After is over
        # What a test may look at.
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self.accounts: dict[str, Account] = {}
        self.orders: dict[str, Order] = {}
        self.authorizations: dict[str, Authorization] = {}
        self.issued: list[x509.Certificate] = []
        self.replaced: set[str] = set()
        self.most_at_once = 0  # orders that were under way
        self.revoked: dict[int, Optional[int]] = {}
        # Its own.
        self._serials: dict[int, Order] = {}
        self._faults: dict[str, collections.deque[Fault]] = collections.defaultdict(collections.deque)
        self._nonces: set[str] = set()
        self._used: set[str] = set()
        self._bodies: set[bytes] = set()
        self._not_before: dict[str, float] = {}
        self._counter, self._lock, self._ending = itertools.count(1), threading.RLock(), threading.Event()
        self._prefix = f"/acme/{secrets.token_hex(3)}"  # nobody may know its URLs by heart
        self.ca_file = folder / "acme_sim.pem"
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(chains.own_pair(self.ca_file, folder / "acme_sim.key", host), folder / "acme_sim.key")
        self._server = Server(tls, self._answer, self._ending)
        self.port = self._server.server_address[1]
        self.origin = f"https://{host or f'127.0.0.1:{self.port}'}"
        self.directory = f"{self.origin}/directory"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    # ---- what tests use ----

    def keys(self) -> dict[str, object]:
        """Of an [acme] section."""
        return {"issuer": "acme", "directory": self.directory, "ca_file": self.ca_file, "preflight": "off", "staging_first": "off",
                "resolvers": "127.0.0.1:9"}

    @property
    def clock_offset_s(self) -> int:
        """How far its clock is ahead, in Date and in all that it signs."""
        return self._server.clock_offset_s

    @clock_offset_s.setter
    def clock_offset_s(self, seconds: int) -> None:
        self._server.clock_offset_s = seconds

    def fault(self, kind: str, *faults: Fault, times: int = 1) -> None:
        """The next requests of this kind get these. Kinds: directory, newNonce, newAccount, account, keyChange, newOrder, order,
        authz, challenge, finalize, cert, revokeCert, renewalInfo."""
        with self._lock:
            self._faults[kind].extend(faults * times)

    def pending(self, kind: str) -> int:
        """How many of these nobody has met yet."""
        return len(self._faults[kind])

    def mend(self) -> None:
        with self._lock:
            self._faults.clear()

    def asked(self, kind: str) -> list[Request]:
        with self._lock:
            return [r for r in self.requests if r.kind == kind]

    def now(self) -> datetime:
        return datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(seconds=self.clock_offset_s)

    def date(self, seconds: float) -> str:
        """So far from now, as Retry-After has it in its other form."""
        return email.utils.formatdate(int(time.time() + self.clock_offset_s + seconds) + 1, usegmt=True)

    def forget_accounts(self) -> None:
        """As a CA that has been set up anew."""
        with self._lock:
            self.accounts.clear()

    def log(self) -> str:
        return "".join(f"{r.method} {r.target} ({r.kind}) {r.status or 'no reply'}\n" for r in list(self.requests)[-200:])

    def end(self) -> str:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        return "\n".join(f"{self.title}: {v}" for v in self.violations)

    # ---- one request ----

    def _answer(self, request: Request) -> Optional[Reply]:
        with self._lock:
            self.requests.append(request)
            try:
                reply = self._judged(request)
            except Refused as no:
                if no.violation:
                    self._violation(request, str(no))
                reply = problem_reply(no.status, no.type, no.detail, **no.more)
            except Exception as wrong:  # what a malformed request breaks, or a mistake of this file's
                where = traceback.extract_tb(wrong.__traceback__)[-1]
                self._violation(request, f"{wrong!r} ({where.name}:{where.lineno})")
                reply = problem_reply(500, "serverInternal", "the simulator does not understand this")
            return self._dress(request, reply) if reply else None

    def _violation(self, request: Request, what: str) -> None:
        self.violations.append(f"{request.method} {request.target} ({request.kind}): {what}")

    def _judged(self, request: Request) -> Optional[Reply]:
        self._find(request)
        self._common(request)
        function = getattr(self, f"_{request.kind}")
        if request.method == "POST":
            message, account, key = self._signed(request)
            go = lambda: function(request, message, account, key)  # noqa: E731
        else:
            go = lambda: function(request)  # noqa: E731
        if self._faults[request.kind]:
            return self._faults[request.kind].popleft()(self, request, go)
        return go()

    def _dress(self, request: Request, reply: Reply) -> Reply:
        if reply.keeps_nonce:
            reply.fields += [("Link", f'<{self.directory}>;rel="index"'), ("Cache-Control", "public, max-age=0, no-cache")]
            if request.kind not in ("directory", "renewalInfo"):
                nonce = secrets.token_urlsafe(16)
                self._nonces.add(nonce)
                reply.fields.append(("Replay-Nonce", nonce))
        said = next((value for name, value in reply.fields if name == "Retry-After"), None)
        if said is None:
            self._not_before.pop(request.target, None)
        else:
            self._not_before[request.target] = time.monotonic() + self._seconds(said)
        return reply

    def _seconds(self, said: str) -> float:
        if said.isdigit():
            return int(said)
        at = email.utils.parsedate_to_datetime(said).timestamp()
        return at - time.time() - self.clock_offset_s - 1  # it has no parts of a second

    def _url(self, kind: str, id: str = "") -> str:
        return f"{self.origin}{self._prefix}/{kind}" + (f"/{id}?part=a%2fb" if id else "")

    def _find(self, request: Request) -> None:
        if request.target == "/directory":
            request.kind = "directory"
            return
        match = re.fullmatch(re.escape(self._prefix) + r"/([A-Za-z]+)(?:/([A-Za-z0-9._-]+))?(\?part=a%2fb)?", request.target)
        if match and match[1] == "renewalInfo":
            request.kind, request.id = match[1], match[2] or ""
            return
        known = match and hasattr(self, f"_{match[1]}") and (match[1] in RESOURCES) == (not match[2]) == (not match[3])
        must(known, "there is nothing at this URL", status=404)
        request.kind, request.id = match[1], match[2] or ""

    def _common(self, request: Request) -> None:
        agent = request.headers.get("User-Agent", "")
        must(AGENT.fullmatch(agent), f"User-Agent is {agent!r}, not name/version")
        allowed = ("GET",) if request.kind in ("directory", "renewalInfo") else ("GET", "HEAD") if request.kind == "newNonce" else ("POST",)
        must(request.method in allowed, f"{request.method} of {request.kind}", status=405)
        early = self._not_before.get(request.target, 0) - request.at
        if early > 0.1 and not self.may_hurry:
            self._violation(request, f"{early:.1f} s before Retry-After is over")

    def _signed(self, request: Request) -> tuple[jws.Message, Optional[Account], Key]:
        type = request.headers.get("Content-Type")
        must(type == "application/jose+json", f"Content-Type is {type!r}", status=415)
        must(request.body not in self._bodies, "the very same message was sent before")
        self._bodies.add(request.body)
        message = jws.read(request.body)
        header = message.protected
        by_key = request.kind == "newAccount" or (request.kind == "revokeCert" and "jwk" in header)
        must(set(header) == {"alg", "nonce", "url", "jwk" if by_key else "kid"}, f"the protected header has {sorted(header)}")
        must(header["url"] == self.origin + request.target, f"url is {header['url']}", "unauthorized", 401)
        account = None if by_key else self._account_of(header["kid"])
        key = jws.key_of(header["jwk"]) if by_key else account.key
        jws.verify(message, key.key)
        self._spend(header["nonce"])
        if account and account.status != "valid":
            raise Refused("unauthorized", f"the account is {account.status}", 403, violation=False)
        return message, account, key

    def _account_of(self, kid: Any) -> Account:
        must(isinstance(kid, str) and kid.startswith(self._url("account") + "/"), f"kid is {kid!r}")
        account = self.accounts.get(kid.split("/")[-1].split("?")[0])
        if not account:
            raise Refused("accountDoesNotExist", "there is no such account", violation=False)
        return account

    def _spend(self, nonce: Any) -> None:
        must(isinstance(nonce, str) and nonce in self._nonces | self._used, f"this nonce was never given out: {nonce!r}", "badNonce")
        must(nonce not in self._used, "this nonce was used before", "badNonce")
        self._nonces.discard(nonce)
        self._used.add(nonce)

    def _new_id(self) -> str:
        return f"{next(self._counter)}-{secrets.token_urlsafe(6)}"

    # ---- directory, nonces, accounts ----

    def _directory(self, request: Request) -> Reply:
        meta: dict[str, Any] = {"termsOfService": f"{self.origin}/terms", "caaIdentities": ["ca.test"], "website": None}
        if self.profiles:
            meta["profiles"] = {name: f"{self.origin}/profiles/{name}" for name in self.profiles}
        if self.eab is not None:
            meta["externalAccountRequired"] = True
        urls = {kind: self._url(kind) for kind in (*RESOURCES, *(["renewalInfo"] if self.ari else []))}
        return Reply(200, json.dumps({secrets.token_hex(4): "any member may be here", **urls, "newAuthz": None, "meta": meta}).encode())

    def _newNonce(self, request: Request) -> Reply:  # noqa: N802 (as in the directory)
        return Reply(204 if request.method == "GET" else 200, fields=[("Cache-Control", "no-store")])

    def _show_account(self, account: Account, status: int = 200) -> Reply:
        body = {"status": account.status, "contact": account.contact, "orders": self._url("orders", account.id)}
        return Reply(status, json.dumps(body).encode(), fields=[("Location", self._url("account", account.id))])

    def _newAccount(self, request: Request, message: jws.Message, _: None, key: Key) -> Reply:  # noqa: N802
        asked = object_of(message.payload, "the payload")
        must(set(asked) <= {"contact", "termsOfServiceAgreed", "onlyReturnExisting", "externalAccountBinding"}, f"members {sorted(asked)}")
        found = next((a for a in self.accounts.values() if a.key.jwk == key.jwk), None)
        if found:
            if found.status != "valid":
                raise Refused("unauthorized", f"the account is {found.status}", 403, violation=False)
            return self._show_account(found)
        if asked.get("onlyReturnExisting"):
            raise Refused("accountDoesNotExist", "no account has this key", violation=False)
        must(asked.get("termsOfServiceAgreed") is True, "the terms are not agreed to", "userActionRequired", 403)
        self._check_contact(asked)
        if self.eab is not None:
            if "externalAccountBinding" not in asked:
                raise Refused("externalAccountRequired", "an account has to be bound", 403, violation=False)
            jws.check_binding(asked["externalAccountBinding"], self._url("newAccount"), key.jwk, self.eab)
        account = Account(self._new_id(), key, contact=asked.get("contact") or [])
        self.accounts[account.id] = account
        must(len(self.accounts) <= 10, "an account again", "rateLimited", 429)
        return self._show_account(account, 201)

    def _check_contact(self, asked: dict) -> None:
        for contact in asked.get("contact") or []:
            must(re.fullmatch(r"mailto:[^@ ,?]+@[^@ ,?]+", contact), f"contact {contact!r}", "invalidContact")

    def _account(self, request: Request, message: jws.Message, account: Account, key: Key) -> Reply:
        must(account.id == request.id, "another account's URL", "unauthorized", 403)
        if message.payload:
            asked = object_of(message.payload, "the payload")
            must(set(asked) <= {"contact", "status", "termsOfServiceAgreed"}, f"members {sorted(asked)}")
            must(asked.get("status", "deactivated") == "deactivated", "status of an account")
            self._check_contact(asked)
            account.contact = asked.get("contact", account.contact)
            account.status = asked.get("status", account.status)
        return self._show_account(account)

    def _keyChange(self, request: Request, message: jws.Message, account: Account, key: Key) -> Reply:  # noqa: N802
        inner = jws.read(object_of(message.payload, "the payload"), "the inner message")
        must(set(inner.protected) == {"alg", "url", "jwk"}, f"the inner header has {sorted(inner.protected)}")
        must(inner.protected["url"] == message.protected["url"], "the inner url")
        new = jws.key_of(inner.protected["jwk"])
        jws.verify(inner, new.key)
        asked = object_of(inner.payload, "the inner payload")
        must(asked == {"account": self._url("account", account.id), "oldKey": account.key.jwk}, f"the inner payload is {asked}")
        if any(a.key.jwk == new.jwk for a in self.accounts.values()):
            raise Refused("malformed", "an account has this key already", 409, violation=False)
        account.key = new
        return self._show_account(account)

    # ---- orders ----

    def _newOrder(self, request: Request, message: jws.Message, account: Account, key: Key) -> Reply:  # noqa: N802
        asked = object_of(message.payload, "the payload")
        must(set(asked) <= {"identifiers", "profile", "replaces"}, f"members {sorted(asked)}")
        names = [self._name_of(i) for i in asked.get("identifiers") or []]
        must(names and len(set(names)) == len(names), f"names {names}")
        if asked.get("profile", "") not in ("", *self.profiles):
            raise Refused("invalidProfile", f"no profile {asked['profile']!r}", violation=False)
        if "replaces" in asked:
            self._check_replaces(asked["replaces"], account, names)
        for order in self.orders.values() if self.reuses_orders else []:
            if order.account is account and sorted(order.names) == sorted(names) and self._status(order) in ("pending", "ready"):
                return self._show_order(order, 200)
        order = Order(self._new_id(), account, names, [self._authorize(account, name) for name in names], self.now() + self.order_life,
                      asked.get("profile", ""), asked.get("replaces", ""))
        self.orders[order.id] = order
        open = sum(self._status(o) in ("pending", "ready", "processing") for o in self.orders.values())
        self.most_at_once = max(self.most_at_once, open)
        return self._show_order(order, 201)

    def _name_of(self, identifier: Any) -> str:
        must(isinstance(identifier, dict) and set(identifier) == {"type", "value"}, f"identifier {identifier}")
        name = identifier["value"]
        must(identifier["type"] == ("ip" if is_address(name) else "dns"), f"identifier {identifier}")
        must(is_address(name) or HOST.fullmatch(name), f"{name!r} is no host name in lower case", "rejectedIdentifier")
        return name

    def _check_replaces(self, id: Any, account: Account, names: list[str]) -> None:
        order = next((o for o in self.orders.values() if o.issued and renewal_id(o.issued) == id), None)
        must(order, f"replaces {id!r}, which was never issued")
        must(order.account is account and set(order.names) & set(names), "replaces another's certificate", "unauthorized", 403)
        if id in self.replaced:
            raise Refused("alreadyReplaced", "this certificate has been replaced already", 409, violation=False)

    def _authorize(self, account: Account, name: str) -> Authorization:
        wildcard, base = name.startswith("*."), name[2:] if name.startswith("*.") else name
        if self.reuses_authorizations:
            for found in self.authorizations.values():
                if (found.account, found.name, found.wildcard, found.status) == (account, base, wildcard, "valid"):
                    return found
        types = [t for t in self.challenge_types if (t == "dns-01" or not wildcard) and (t != "dns-01" or not is_address(name))]
        made = Authorization(self._new_id(), account, base, wildcard, types)
        made.tokens = {t: secrets.token_urlsafe(24) for t in types}
        self.authorizations[made.id] = made
        return made

    def _status(self, order: Order) -> str:
        if order.chain:
            return "valid"
        if order.error or any(a.status not in ("pending", "processing", "valid") for a in order.authorizations):
            return "invalid"
        if order.finalized:
            return "processing"
        if self.now() > order.expires:
            return "invalid"
        return "ready" if all(a.status == "valid" for a in order.authorizations) else "pending"

    def _show_order(self, order: Order, status: int = 200) -> Reply:
        state = self._status(order)
        order.shown_ready = order.shown_ready or state == "ready"
        body = {"status": state, "expires": rfc3339(order.expires), "identifiers": [self._identifier(n) for n in order.names],
                "authorizations": [self._url("authz", a.id) for a in order.authorizations], "finalize": self._url("finalize", order.id),
                **({"profile": order.profile} if order.profile else {}), **({"error": order.error} if order.error else {}),
                **({"certificate": self._url("cert", order.id)} if state == "valid" else {})}
        fields = [("Location", self._url("order", order.id))]
        return Reply(status, json.dumps(body).encode(), fields=fields + (self._patience() if state == "processing" else []))

    @staticmethod
    def _identifier(name: str) -> dict[str, str]:
        return {"type": "ip" if is_address(name) else "dns", "value": name}

    def _patience(self) -> list[tuple[str, str]]:
        if self.retry_after is None:
            return []
        return [("Retry-After", str(self.retry_after() if callable(self.retry_after) else self.retry_after))]

    def _get_only(self, message: jws.Message) -> None:
        must(message.payload == b"", f"a POST-as-GET has the payload {message.payload[:100]!r}")

    def _mine(self, things: dict[str, Any], id: str, account: Account) -> Any:
        must(id in things, "there is no such thing", status=404)
        must(things[id].account is account, "another account's", "unauthorized", 403)
        return things[id]

    def _order(self, request: Request, message: jws.Message, account: Account, key: Key) -> Reply:
        self._get_only(message)
        order = self._mine(self.orders, request.id, account)
        if self._status(order) == "processing":
            order.polls += 1
            if order.polls > self.processing_polls:
                self._issue(order)
        return self._show_order(order)

    # ---- authorizations ----

    def _authz(self, request: Request, message: jws.Message, account: Account, key: Key) -> Reply:
        a = self._mine(self.authorizations, request.id, account)
        if message.payload:
            must(object_of(message.payload, "the payload") == {"status": "deactivated"}, "the payload of an authorization")
            a.status = "deactivated"
        self._go_on(a)
        body: dict[str, Any] = {"status": "pending" if a.status == "processing" else a.status, "identifier": self._identifier(a.name),
                                "expires": rfc3339(self.now() + self.order_life),
                                "challenges": [self._show_challenge(a, t) for t in a.types] +
                                [{"type": "persist-99", "url": self._url("challenge", f"{a.id}.persist-99"), "status": "pending"}]}
        if a.wildcard:
            body["wildcard"] = True
        return Reply(200, json.dumps(body).encode(), fields=self._patience() if a.status == "processing" else [])

    def _show_challenge(self, a: Authorization, type: str) -> dict[str, Any]:
        shown: dict[str, Any] = {"type": type, "url": self._url("challenge", f"{a.id}.{type}"), "token": a.tokens[type], "status": "pending"}
        if a.accepted == type:
            shown["status"] = a.status
            if a.error:
                shown["error"] = a.error
        return shown

    def _challenge(self, request: Request, message: jws.Message, account: Account, key: Key) -> Reply:
        id, _, type = request.id.partition(".")
        a = self._mine(self.authorizations, id, account)
        must(type in a.types, f"there is no {type}", status=404)
        if message.payload:
            must(object_of(message.payload, "the payload") == {}, "the payload of a challenge is not {}")
            must(a.status == "pending", f"a challenge of an authorization that is {a.status}")
            a.status, a.accepted = "processing", type
        fields = [("Link", f'<{self._url("authz", a.id)}>;rel="up"')]
        return Reply(200, json.dumps(self._show_challenge(a, type)).encode(), fields=fields + self._patience())

    def _go_on(self, a: Authorization) -> None:
        if a.status != "processing":
            return
        a.polls += 1
        if a.polls <= self.validation_polls:
            return
        bad = self.verdicts.get((a.name, a.accepted)) or self.verdicts.get(a.name)
        a.status = "invalid" if bad else "valid"
        if bad:
            a.error = {"type": PROBLEM + bad[0], "detail": bad[1], "status": 400}

    # ---- certificates ----

    def _finalize(self, request: Request, message: jws.Message, account: Account, key: Key) -> Reply:
        order = self._mine(self.orders, request.id, account)
        asked = object_of(message.payload, "the payload")
        must(set(asked) == {"csr"}, f"members {sorted(asked)}")
        must(not order.finalized, "an order is finalized again", "orderNotReady", 403)
        must(self._status(order) == "ready" and order.shown_ready, "an order is finalized that is not known to be ready", "orderNotReady", 403)
        csr = x509.load_der_x509_csr(unb64(asked["csr"], "csr"))
        self._check_csr(csr, order)
        order.finalized = True
        now = self.now()
        order.wanted = chains.Wanted(self.authority, csr.public_key(), order.names, now + self.begin, now + self.begin + self.life)
        if self.processing_polls == 0:
            self._issue(order)
        return self._show_order(order)

    def _check_csr(self, csr: Any, order: Order) -> None:
        must(csr.is_signature_valid, "the signature of the CSR", "badCSR")
        must(len(csr.subject) == 0, f"the CSR's subject is {csr.subject}", "badCSR")
        must([e.oid._name for e in csr.extensions] == ["subjectAltName"], f"extensions {[e.oid._name for e in csr.extensions]}", "badCSR")
        found = [str(getattr(name, "value")) for name in csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value]
        must(sorted(found) == sorted(order.names), f"the CSR is for {found}, the order for {order.names}", "badCSR")
        public = [k.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
                  for k in (csr.public_key(), *(a.key.key for a in self.accounts.values()))]
        must(public[0] not in public[1:], "the CSR is for an account's key", "badCSR")
        held = [o for o in self.orders.values() if o.wanted and o.wanted.key.public_numbers() == csr.public_key().public_numbers()]
        must(not held, "the CSR is for a key that had a certificate already", "badCSR")

    def _issue(self, order: Order) -> None:
        order.chain = self.chain(order.wanted) or "\n"
        first = order.chain.split(chains.END)[0] + chains.END
        try:
            order.issued = x509.load_pem_x509_certificate(first.encode())
        except ValueError:
            return  # the script wants that
        self.issued.append(order.issued)
        self._serials[order.issued.serial_number] = order
        if order.replaces:
            self.replaced.add(order.replaces)

    def _cert(self, request: Request, message: jws.Message, account: Account, key: Key) -> Reply:
        self._get_only(message)
        id, _, alternate = request.id.partition(".")
        order = self._mine(self.orders, id, account)
        must(order.chain, "there is no certificate yet", status=404)
        accept = request.headers.get("Accept", "application/pem-certificate-chain")
        must("application/pem-certificate-chain" in accept or "*/*" in accept, f"Accept is {accept}", status=406)
        chain = order.chain if not alternate else order.chain.replace(chains.pem(self.authority.intermediates[0]),
                                                                      chains.pem(self.authority.intermediates[1]))
        fields = [("Link", f'<{self._url("cert", order.id + ".1")}>;rel="alternate"')] if not alternate else []
        return Reply(200, chain.encode(), "application/pem-certificate-chain", fields)

    def _revokeCert(self, request: Request, message: jws.Message, account: Optional[Account], key: Key) -> Reply:  # noqa: N802
        asked = object_of(message.payload, "the payload")
        must(set(asked) <= {"certificate", "reason"} and "certificate" in asked, f"members {sorted(asked)}")
        certificate = x509.load_der_x509_certificate(unb64(asked["certificate"], "certificate"))
        order = self._serials.get(certificate.serial_number)
        must(order and order.issued == certificate, "it was not issued here", status=404)
        must(asked.get("reason", 0) in REASONS, f"reason {asked.get('reason')}", "badRevocationReason")
        must(order.account is account or certificate.public_key().public_numbers() == key.key.public_numbers(), "not yours", "unauthorized", 403)
        if certificate.serial_number in self.revoked:
            raise Refused("alreadyRevoked", "it has been revoked already", violation=False)
        self.revoked[certificate.serial_number] = asked.get("reason")
        return Reply(200)

    def _renewalInfo(self, request: Request) -> Reply:  # noqa: N802
        certificate = next((c for c in self.issued if renewal_id(c) == request.id), None)
        must(self.ari and certificate, f"renewal information of {request.id!r}, which was never issued", status=404)
        life = certificate.not_valid_after - certificate.not_valid_before
        begin, end = self.window or (certificate.not_valid_after - life / 3, certificate.not_valid_after - life / 3 + life / 30)
        body = {"suggestedWindow": {"start": rfc3339(begin), "end": rfc3339(end)}, "explanationURL": f"{self.origin}/why"}
        return Reply(200, json.dumps(body).encode(), fields=[("Retry-After", str(self.window_retry_s))])


@pytest.fixture
def sims(started: list, folder: Path) -> Callable[..., AcmeSim]:
    """sims(ari=False, life=timedelta(days=6)) is one; a violation fails the test."""

    def make(**how: Any) -> AcmeSim:
        own = folder / f"sim{len(started)}"
        own.mkdir()
        started.append(AcmeSim(own, **how))
        return started[-1]

    return make
