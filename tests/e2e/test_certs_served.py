"""Certificates as visitors meet them: before the first one, with two keys, when the next one comes, and who answers the CA."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import subprocess
from typing import Any

import pytest

from http1 import Peer
from path import edges, fronts
from pebble import pebbles
from programs import PATIENCE_S, need, wait_until
from test_ports import quiet_port
from visitor import Visitor, connect, context, request_bytes


class Served:
    """A relay of three workers, each with listening sockets of its own, in front of Pebble."""

    def __init__(self, edges, pebbles, items: list[dict], pebble: dict | None = None, **acme: object) -> None:
        self.http, self.https = quiet_port(), quiet_port()
        self.pebble = pebbles(http_port=self.http, tls_port=self.https, **(pebble or {}))
        names = [name for item in items for name in [item["item"].removeprefix("domain:"), *item["aliases"]]]
        self.edge = edges(" ".join(names), items, workers="3", listen_http=f"127.0.0.1:{self.http}",
                          listen_https=f"127.0.0.1:{self.https}")
        self.edge.port = self.https
        self.relay, self.agent = self.edge.relay, self.edge.agent
        conf = self.relay.conf.read_text() + "[acme]\n" + "".join(f"{k} = {v}\n" for k, v in {**self.pebble.keys(), **acme}.items())
        self.relay.conf.write_text(conf)
        assert self.relay.post("/v1/reload").status == 200

    def claim(self) -> Served:
        self.agent.start()
        return self

    def cert(self, name: str) -> dict[str, Any]:
        return next(site["cert"] for site in self.edge.status()["domains"] if site["name"] == name)

    def wait(self, state: str, *names: str) -> None:
        for name in names:
            wait_until(lambda: self.cert(name)["state"] == state, f"{name} is {state}: {self.cert(name)}")

    def visit(self, name: str, target: str = "/"):
        with Visitor(self.https, self.pebble.root(), name) as visitor:
            return visitor.ask(target=target)

    def plain(self, name: str):
        with Peer(socket.create_connection(("127.0.0.1", self.http), PATIENCE_S)) as peer:
            peer.send(request_bytes("GET", name, "/x"))
            return peer.head()

    def blind(self, name: str) -> Visitor:
        """Who trusts everybody."""
        tls = context(self.edge.root)
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        return Visitor(self.https, self.edge.root, name, tls=tls)

    def s_client(self, name: str, *args: object) -> str:
        command = [need("openssl"), "s_client", "-connect", f"127.0.0.1:{self.https}", "-servername", name,
                   "-CAfile", self.pebble.root(), "-verify_return_error", *args]
        done = subprocess.run([str(word) for word in command], input="Q\n", capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False)
        return done.stdout + done.stderr


def item(name: str, aliases: list[str] | None = None, **policy: object) -> dict:
    return {"item": f"domain:{name}", "aliases": aliases or [], "policy": policy}


@pytest.mark.parametrize("challenge", ["tls-alpn-01", "http-01"])
def test_every_worker_answers_the_ca(edges, pebbles, challenge):
    """Were one behind, a validation in three would fail, and a further order be made."""
    items = [item(f"n{n}.test", [f"www.n{n}.test"], https=["redirect", "only", "both"][n % 3]) for n in range(12)]
    s = Served(edges, pebbles, items, challenges=challenge).claim()
    s.wait("valid", *(f"n{n}.test" for n in range(12)))
    assert (s.pebble.orders(), s.pebble.issued()) == (12, 12)
    for n in range(12):
        assert s.visit(f"n{n}.test").status == s.visit(f"www.n{n}.test").status == 200


def test_before_the_first_certificate(edges, pebbles):
    s = Served(edges, pebbles, [item("a.test", ["www.a.test"], hsts_s=86400), item("only.test", https="only")],
               challenges="http-01")
    for name in ("a.test", "www.a.test", "only.test"):
        s.pebble.dns.servfail(name)
    s.claim()
    s.wait("failing", "a.test", "only.test")
    assert s.plain("a.test").status == 200 and s.plain("only.test").status == 404
    seen = s.s_client("a.test")
    assert "self-signed certificate" in seen and "Temporary certificate" in seen and "Internal root" not in seen
    with s.blind("a.test") as early:
        first = early.ask()
        assert first.status == 200 and first.head.get("strict-transport-security") is None
        certificate = early.socket.getpeercert(binary_form=True)
        with s.blind("www.a.test") as other:
            assert other.socket.getpeercert(binary_form=True) == certificate
        s.pebble.dns.servfail("a.test", False)
        assert s.relay.post("/v1/certs/a.test/renew").status < 300
        s.wait("valid", "a.test")
        reply = s.visit("a.test")
        assert reply.status == 200 and reply.head.get("strict-transport-security") == "max-age=86400"
        head = s.plain("a.test")
        assert head.status == 308 and head.get("location").startswith("https://a.test:")
        assert s.plain("www.a.test").status == 200  # it was left out, and a browser would keep the redirect
        assert early.ask().status == 200  # the connection of before
    with s.blind("only.test") as visitor:  # which still waits
        assert visitor.ask().status == 200


def test_two_keys_and_the_next_certificate(edges, pebbles):
    """Who can check only one kind of signature gets that one, by TLS 1.2 and 1.3; connections stay over a renewal."""
    s = Served(edges, pebbles, [item("a.test")], pebble={"validity_s": 86400}, key_types="ecdsa rsa").claim()
    s.wait("valid", "a.test")
    wait_until(lambda: s.pebble.issued() == 2, "both certificates are there")
    wait_until(lambda: "Server public key is 2048 bit" in s.s_client("a.test", "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"), "RSA is shown")
    for args, key in [
            ((), "256"), (("-tls1_2",), "256"), (("-tls1_3", "-sigalgs", "ECDSA+SHA256:RSA+SHA256"), "256"),
            (("-tls1_3", "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"), "2048"), (("-tls1_2", "-sigalgs", "RSA+SHA256"), "2048"),
            (("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), "2048"), (("-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"), "2048"),
            (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), "256"), (("-tls1_2", "-cipher", "aRSA"), "2048"),
            (("-tls1_2", "-cipher", "aECDSA"), "256"), (("-tls1_2", "-cipher", "ALL:@SECLEVEL=0"), "256")]:
        said = s.s_client("a.test", *args)
        assert f"Server public key is {key} bit" in said and "Verify return code: 0 (ok)" in said, (args, said)
    # The chain is each one's own.
    for sigalgs in ("ECDSA+SHA256", "RSA-PSS+SHA256:RSA+SHA256"):
        assert s.s_client("a.test", "-sigalgs", sigalgs, "-showcerts").count("-----BEGIN CERTIFICATE-----") == 2, sigalgs
    with Visitor(s.https, s.pebble.root(), "a.test") as visitor:
        before = visitor.socket.getpeercert(binary_form=True)
        visitor.send(b"POST /long HTTP/1.1\r\nHost: a.test\r\nContent-Length: 200000\r\n\r\n" + bytes(100_000))
        assert s.relay.post("/v1/certs/a.test/renew").status < 300

        def another() -> bool:
            with Visitor(s.https, s.pebble.root(), "a.test") as new:
                return new.socket.getpeercert(binary_form=True) != before

        wait_until(another, "a new certificate is shown")
        visitor.send(bytes(100_000))
        assert visitor.reply("POST").status == 200
    head, body = s.agent.requests[-1]
    assert body.sha256 == hashlib.sha256(bytes(200_000)).hexdigest()


def test_the_end_waits_for_no_ca(edges, pebbles):
    """Pebble takes its time over each validation; a relay that is told to end is not kept by it, nor is its order lost."""
    s = Served(edges, pebbles, [item("a.test")], pebble={"sleep_s": 6}, challenges="http-01").claim()
    wait_until(lambda: s.pebble.orders() == 1, "the order is there")
    s.wait("ordering", "a.test")
    s.relay.stop()
    assert "cut off" not in s.relay.log()
    s.edge.start_relay()
    s.agent.start()
    s.wait("valid", "a.test")


@pytest.mark.parametrize("challenge", ["tls-alpn-01", "http-01"])
def test_an_address_has_a_certificate(edges, pebbles, challenge):
    """Who visits it names no server. Of itself 127.0.0.1 would be the internal issuer's, as the bare name of a LAN is."""
    s = Served(edges, pebbles, [item("127.0.0.1", issuer="acme"), item("nas"), item("a.test")], challenges=challenge).claim()
    s.wait("valid", "127.0.0.1", "a.test", "nas")
    assert s.pebble.orders() == 2 and [s.cert(name)["issuer"] for name in ("127.0.0.1", "nas", "a.test")] == ["acme", "internal", "acme"]
    assert s.visit("127.0.0.1").status == s.visit("a.test").status == 200
    with Visitor(s.https, s.edge.root, "nas") as visitor:
        assert visitor.ask().status == 200
    with Visitor(s.https, s.pebble.root(), "127.0.0.1") as visitor:
        assert visitor.ask(host="a.test").status == 421
    assert s.plain("127.0.0.1").get("location") == f"https://127.0.0.1:{s.https}/x"
    reloaded = s.relay.conf.read_text() + "[domain ::1]\nupstream = 127.0.0.1:9\n"
    s.relay.conf.write_text(reloaded)
    assert s.relay.post("/v1/reload").status == 200
    s.wait("valid", "::1")
    assert s.plain("[0:0::1]").get("location") == f"https://[::1]:{s.https}/x"
    assert s.visit("127.0.0.1").status == 200  # of two addresses it is the one that he came to
