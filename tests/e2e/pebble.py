"""Pebble, the ACME server of Let's Encrypt for tests, and pebble-challtestsrv, the name server that it asks.

    pebble = pebbles(http_port=P, tls_port=Q)     # it validates at 127.0.0.1:P and :Q, whatever the name is
    pebble.keys()                                 # of an [acme] section: directory, ca_file, resolvers, preflight; with eab=True also eab_*
    pebble.dns.a("b.test", "127.0.0.9")           # lies about DNS
    pebble.orders(), pebble.issued()              # how many it has been asked for, and how many certificates it has made
    pebble.stop(); pebble.start()                 # it has forgotten accounts and root; the directory's URL is the same

Its state is in memory. Nothing sleeps and no nonce is refused unless a test asks for that.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import struct
import subprocess
import urllib.request
from pathlib import Path
from typing import Any, Callable

import pytest

from daemon import reserve_port
from nameserver import free_port
from programs import PATIENCE_S, Program, need, wait_until
from x509 import make_pair

EAB_KID, EAB_KEY = "kid-1", base64.urlsafe_b64encode(b"a key of 48 bytes, known to the test's CA and us").decode()
TAKEN = "address already in use"


class Server(Program):
    """A program that listens where it is told; when somebody else was there first, it is told another place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def move(self) -> None:
        """To other ports."""
        raise NotImplementedError

    def environment(self) -> dict[str, str] | None:
        return None

    def start(self) -> Any:
        while True:
            begin = len(self.log())
            with open(self.folder / f"{self.title}.log", "ab") as log:
                self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                env=self.environment(), cwd=self.folder)
            wait_until(lambda: self.process.poll() is not None or self.answers(), f"{self.title} answers")
            if self.process.poll() is None:
                return self
            assert TAKEN in self.log()[begin:], self.log()[begin:]
            self.move()

    def log(self) -> str:
        path = self.folder / f"{self.title}.log"
        return path.read_text(errors="replace") if path.exists() else ""


def query(name: str, type: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split("."))
    return struct.pack(">6H", 4711, 0x100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, type, 1)


class Names(Server):
    """pebble-challtestsrv: every name has the address 127.0.0.1 and no IPv6 one, until a test says otherwise.

    Names are whole ones and need no dot at their end here."""

    title = "pebble-challtestsrv"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.management = reserve_port()
        self.move()

    def move(self) -> None:
        self.port = free_port()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        place = f"127.0.0.1:{self.management.getsockname()[1]}"
        program = need("pebble-challtestsrv")
        usage = subprocess.run([program, "-h"], capture_output=True, text=True, check=False, timeout=PATIENCE_S).stderr
        dns = "-dns01" if "-dns01 " in usage else "-dnsserver"  # up to 2.4, and later
        return [program, "-management", place, dns, self.address, "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "",
                *(["-doh", ""] if "-doh " in usage else [])]

    def answers(self) -> bool:
        """By UDP and by TCP, and its management."""
        try:
            with socket.socket(type=socket.SOCK_DGRAM) as udp:
                udp.settimeout(0.2)
                udp.connect(("127.0.0.1", self.port))
                udp.send(query("a.test"))
                udp.recv(512)
            for port in (self.port, self.management.getsockname()[1]):
                socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            return False
        return True

    def end(self) -> str | None:
        self.management.close()
        return super().end()

    # ---- what it is to say ----

    def _tell(self, what: str, **about: Any) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.management.getsockname()[1]}/{what}", json.dumps(about).encode())
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=PATIENCE_S) as reply:
            return reply.read()

    def default(self, ipv4: str, ipv6: str = "") -> None:
        """The addresses of names that no test has given any; an empty one is none."""
        self._tell("set-default-ipv4", ip=ipv4)
        self._tell("set-default-ipv6", ip=ipv6)

    def a(self, name: str, *addresses: str) -> None:
        """Instead of the default; none: the default again."""
        self._tell("clear-a", host=name)
        if addresses:
            self._tell("add-a", host=name, addresses=addresses)

    def aaaa(self, name: str, *addresses: str) -> None:
        self._tell("clear-aaaa", host=name)
        if addresses:
            self._tell("add-aaaa", host=name, addresses=addresses)

    def txt(self, name: str, value: str) -> None:
        """One more."""
        self._tell("set-txt", host=f"{name}.", value=value)

    def clear_txt(self, name: str) -> None:
        self._tell("clear-txt", host=f"{name}.")

    def cname(self, name: str, target: str | None) -> None:
        self._tell("set-cname" if target else "clear-cname", host=name, **({"target": target} if target else {}))

    def caa(self, name: str, *policies: tuple[str, str]) -> None:
        """caa("a.test", ("issue", "ca.test")); none: none."""
        self._tell("clear-caa", host=name)
        if policies:
            self._tell("add-caa", host=name, policies=[{"tag": tag, "value": value} for tag, value in policies])

    def servfail(self, name: str, on: bool = True) -> None:
        self._tell("set-servfail" if on else "clear-servfail", host=name)

    def asked(self, name: str) -> list[str]:
        """The types that were asked for, in order: "A", "TXT", …"""
        types = {1: "A", 5: "CNAME", 6: "SOA", 16: "TXT", 28: "AAAA", 257: "CAA", 2: "NS"}
        history = json.loads(self._tell("dns-request-history", host=name) or "null") or []
        return [types.get(seen["Question"]["Qtype"], str(seen["Question"]["Qtype"])) for seen in history]


class Pebble(Server):
    title = "pebble"

    def __init__(self, folder: Path, dns: Any, http_port: int, tls_port: int, *, nonce_reject: int = 0, authz_reuse: int = 50,
                 eab: bool = False, validity_s: int | None = None, sleep_s: int = 0, always_valid: bool = False, alternates: int = 0,
                 chain_length: int = 1, strict: bool = False) -> None:
        """nonce_reject: of a hundred; authz_reuse: likewise, how often an authorization that is valid serves a further order;
        sleep_s: how long a validation waits at most; alternates: how many further chains it offers."""
        super().__init__(folder)
        self.dns, self.http_port, self.tls_port, self.eab, self.validity_s = dns, http_port, tls_port, eab, validity_s
        self.strict = strict
        self.variables = {"PEBBLE_WFE_NONCEREJECT": nonce_reject, "PEBBLE_AUTHZREUSE": authz_reuse, "PEBBLE_CHAIN_LENGTH": chain_length,
                          "PEBBLE_ALTERNATE_ROOTS": alternates, **({"PEBBLE_VA_SLEEPTIME": sleep_s} if sleep_s else {"PEBBLE_VA_NOSLEEP": 1}),
                          **({"PEBBLE_VA_ALWAYS_VALID": 1} if always_valid else {})}
        self.pair = make_pair(folder, "pebble", ["127.0.0.1", "localhost"])
        self.held = [reserve_port(), reserve_port()]

    @property
    def ca_file(self) -> Path:
        """Whom to trust for the conversation with it; not who signs what it issues."""
        return self.pair.cert

    @property
    def directory(self) -> str:
        return f"https://127.0.0.1:{self.held[0].getsockname()[1]}/dir"

    def keys(self) -> dict[str, object]:
        """Of an [acme] section."""
        more: dict[str, object] = {}
        if self.eab:
            path = self.folder / "eab.key"
            path.touch(mode=0o600)
            path.write_text(EAB_KEY + "\n")
            more = {"eab_kid": EAB_KID, "eab_key_file": path}
        return {"issuer": "acme", "directory": self.directory, "ca_file": self.ca_file, "resolvers": self.dns.address,
                "preflight": "off", "staging_first": "off", **more}

    # ---- its life ----

    def environment(self) -> dict[str, str]:
        return {**{k: v for k, v in os.environ.items() if not k.startswith("PEBBLE_")}, **{k: str(v) for k, v in self.variables.items()}}

    def command(self) -> list[str]:
        acme, management = (f"127.0.0.1:{held.getsockname()[1]}" for held in self.held)
        conf: dict[str, Any] = {
            "listenAddress": acme, "managementListenAddress": management, "certificate": str(self.pair.cert),
            "privateKey": str(self.pair.key), "httpPort": self.http_port, "tlsPort": self.tls_port, "ocspResponderURL": "",
            "externalAccountBindingRequired": self.eab}
        if self.eab:
            conf["externalAccountMACKeys"] = {EAB_KID: EAB_KEY}
        if self.validity_s:
            conf["certificateValidityPeriod"] = self.validity_s
            conf["profiles"] = {"default": {"description": "for tests", "validityPeriod": self.validity_s}}  # from 2.7 on
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": conf}))
        return [need("pebble"), "-config", str(self.folder / "pebble.json"), "-dnsserver", self.dns.address,
                *(["-strict"] if self.strict else [])]

    def answers(self) -> bool:
        try:
            return bool(self.get(self.directory) and self._manage("roots/0"))
        except OSError:
            return False

    def end(self) -> str | None:
        for held in self.held:
            held.close()
        return super().end()

    # ---- what can be asked of it ----

    def get(self, url: str) -> bytes:
        tls = ssl.create_default_context(cafile=str(self.ca_file))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))
        with opener.open(url, timeout=PATIENCE_S) as reply:
            return reply.read()

    def _manage(self, what: str) -> bytes:
        return self.get(f"https://127.0.0.1:{self.held[1].getsockname()[1]}/{what}")

    def root(self, n: int = 0) -> Path:
        """A file with the root that its certificates lead to; n > 0: of a further chain."""
        path = self.folder / f"root{n}.pem"
        path.write_bytes(self._manage(f"roots/{n}"))
        return path

    def certificate(self, serial: int) -> dict[str, Any]:
        """Status ("Valid", "Revoked"), and once it is revoked Reason."""
        return json.loads(self._manage(f"cert-status-by-serial/{serial:x}"))

    def posts(self, path: str) -> int:
        return self.log().count(f"POST {path} ->")

    def orders(self) -> int:
        return self.log().count("Added order ")

    def issued(self) -> int:
        return self.log().count("Issued certificate serial")


@pytest.fixture
def pebbles(started: list, folder: Path) -> Callable[..., Pebble]:
    """pebbles(http_port=P, tls_port=Q, eab=True) starts one. Its name server is one of its own, dns=ANOTHER.dns, or whatever
    has an address ("127.0.0.1:53")."""

    def make(http_port: int = 5, tls_port: int = 5, dns: Any = None, **how: Any) -> Pebble:
        own = folder / f"pebble{len(started)}"
        own.mkdir()
        if dns is None:
            dns = Names(own).start()
            started.append(dns)
        made = Pebble(own, dns, http_port, tls_port, **how).start()
        started.append(made)
        return made

    return make
