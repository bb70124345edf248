"""What the relay shows to those who validate names. Three workers, none of which may be behind when it says that it is shown.

A fake agent passes on what another relay's CA will ask for, which this relay puts up as it puts up what its own CA asks."""

from __future__ import annotations

import hashlib
import re
import secrets
import socket
import ssl
import subprocess

import pytest

from fake_agent import FakeAgent
from path import edges, fronts, new_key
from programs import PATIENCE_S, need
from test_ports import quiet_port, up
from visitor import connect, context, request_bytes
from http1 import Peer

TRIES = 45  # by so many connections the kernel leads to each of three workers, but once in 27 million
ACME = "/.well-known/acme-challenge/"
SITES = [("a.test", {}), ("only.test", {"https": "only"}), ("both.test", {"https": "both"}), ("*.w.test", {}),
         ("www.x.test", {"https": "redirect"})]
PRINT = "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"


class Shown:
    """A relay with its own listening sockets, one for each worker, and what it was asked to show."""

    def __init__(self, edges) -> None:
        self.http, self.https = quiet_port(), quiet_port()
        names = [name for name, _ in SITES]
        items = [{"item": f"domain:{name}", "aliases": [], "policy": policy} for name, policy in SITES]
        self.edge = edges(" ".join(names), items, workers="3", listen_http=f"127.0.0.1:{self.http}",
                          listen_https=f"127.0.0.1:{self.https}")
        self.edge.port = self.https
        self.edge.agent.start()
        self.edge.wait_up("a.test")
        self.asked = 0

    def tell(self, op: str, name: str, token: str, answer: str, how: str = "http-01") -> dict:
        """Returns when the relay says that it is done."""
        self.asked += 1
        before = len(self.edge.agent.heard)
        self.edge.agent.say("challenge", id=self.asked, op=op, name=name, token=token, answer=answer, how=how)
        done = self.edge.agent.wait_heard("challenge_done", before)
        assert done["id"] == self.asked
        return done

    def put(self, name: str, how: str = "http-01") -> tuple[str, str]:
        """A token, and the answer to it."""
        token = secrets.token_urlsafe(24)
        assert self.tell("set", name, token, f"{token}.{PRINT}", how)["ok"] is True
        return token, f"{token}.{PRINT}"

    def ask(self, host: str, target: str, method: str = "GET"):
        with Peer(socket.create_connection(("127.0.0.1", self.http), PATIENCE_S)) as peer:
            peer.send(request_bytes(method, host, target))
            head = peer.head()
            return head, peer.body(head, method)

    def secure(self, name: str, alpn: list[str], version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLSocket:
        tls = context(self.edge.root, alpn, version)
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        return connect(self.https, tls, name)


@pytest.fixture
def shown(edges) -> Shown:
    return Shown(edges)


def test_http_01_is_answered_by_every_worker_at_once(shown):
    for name in ("a.test", "only.test", "both.test", "www.x.test"):
        token, answer = shown.put(name)
        for _ in range(TRIES):
            head, body = shown.ask(name, ACME + token)
            assert (head.status, body.data) == (200, answer.encode())
            assert head.get("content-type") == "application/octet-stream" and not head.get("location")
        head, body = shown.ask(name, ACME + token, "HEAD")
        assert (head.status, body.data, head.get("content-length")) == (200, b"", str(len(answer)))
        assert shown.ask(name, f"{ACME}{token}?x", "GET")[0].status == 200
        with shown.edge.visitor(name) as visitor:  # as after a redirect of another server's
            assert visitor.ask(target=ACME + token).body.data == answer.encode()
        assert shown.tell("clear", name, token, answer)["ok"] is True
    assert not shown.edge.agent.requests


def test_nothing_else_is_answered(shown):
    token, answer = shown.put("a.test")
    for name, target, method, status in [
            ("a.test", ACME + token + "x", "GET", 308), ("a.test", ACME + token[:-1], "GET", 308),
            ("a.test", ACME, "GET", 308), ("a.test", "/" + ACME + token, "GET", 308), ("a.test", ACME + token, "POST", 308),
            ("both.test", ACME + token, "GET", 200),  # told for one name, by an agent: another's visitors ask their service
            ("only.test", ACME + token, "GET", 404), ("nobody.test", ACME + token, "GET", 404)]:
        head, body = shown.ask(name, target, method)
        assert head.status == status, (name, target)
        assert answer.encode() not in body.data
    for token, answer in [("../../etc/passwd", "../../etc/passwd." + PRINT), ("a b", "a b." + PRINT),
                          ("t" * 129, "t" * 129 + "." + PRINT), ("good", "other." + PRINT), ("good", "good." + "<script>")]:
        done = shown.tell("set", "a.test", token, answer)
        assert done["ok"] is False and done["why"], token
    done = shown.tell("set", "nobody.test", "token", "token." + PRINT)
    assert done["ok"] is False and "does not serve nobody.test" in done["why"]


def test_who_has_a_wildcard_has_no_say_about_anothers_name(shown, folder, started):
    edge = shown.edge
    edge.relay.conf.write_text(edge.relay.conf.read_text() +
                               f"[agent nas]\nkey = {new_key(folder, 'nas')}\ndomains = w.test shop.w.test\n")
    assert edge.relay.post("/v1/reload").status == 200
    started.append(FakeAgent(edge.lane_socket, ["w.test", "shop.w.test"], "nas"))
    started[-1].start()
    edge.wait_up("w.test"), edge.wait_up("shop.w.test")
    for name in "w.test", "shop.w.test":
        done = shown.tell("set", name, "token", f"token.{PRINT}")
        assert done["ok"] is False and f"does not serve {name}" in done["why"]
    assert shown.put("other.w.test")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_alpn_01_is_answered_by_every_worker_at_once(shown, version):
    token, answer = shown.put("a.test", "tls-alpn-01")
    digest = hashlib.sha256(answer.encode()).digest()
    for _ in range(TRIES):
        with shown.secure("a.test", ["acme-tls/1"], version) as tls:
            assert tls.selected_alpn_protocol() == "acme-tls/1"
            certificate = tls.getpeercert(binary_form=True)
            assert bytes.fromhex("06082b060105050701 1f 0101ff 0422 0420") + digest in certificate  # critical
            assert b"\x82\x06a.test" in certificate and bytes.fromhex("0603550403") not in certificate  # no common name
    with shown.secure("a.test", ["acme-tls/1"], version) as tls:
        tls.sendall(request_bytes("GET", "a.test"))
        assert tls.recv(1) == b""  # there is nothing behind the handshake
    for alpn in (["http/1.1"], ["acme-tls/1", "http/1.1"], []):
        with shown.edge.visitor("a.test", tls=context(shown.edge.root, alpn, version)) as visitor:
            assert visitor.ask().status == 200
    for name in ("both.test", "nobody.test", None):
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            shown.secure(name, ["acme-tls/1"], version)
    shown.tell("clear", "a.test", token, answer, "tls-alpn-01")
    for _ in range(TRIES):
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            shown.secure("a.test", ["acme-tls/1"], version)


def test_openssl_reads_the_certificate(shown):
    """By another library than the test's own, and with the words of RFC 8737."""
    _, answer = shown.put("a.test", "tls-alpn-01")
    said = subprocess.run([need("openssl"), "s_client", "-connect", f"127.0.0.1:{shown.https}", "-servername", "a.test",
                           "-alpn", "acme-tls/1"], input="", capture_output=True, text=True, timeout=PATIENCE_S, check=False).stdout
    assert "ALPN protocol: acme-tls/1" in said
    text = subprocess.run([need("openssl"), "x509", "-noout", "-text"], input=said, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=True).stdout
    assert re.search(r"1\.3\.6\.1\.5\.5\.7\.1\.31: critical", text) and "DNS:a.test\n" in text
    assert hashlib.sha256(answer.encode()).hexdigest() in subprocess.run(
        [need("openssl"), "x509", "-outform", "DER"], input=said.encode(), capture_output=True, timeout=PATIENCE_S, check=True).stdout.hex()


def test_reloads_take_nothing_away(shown):
    token, answer = shown.put("a.test")
    shown.put("both.test", "tls-alpn-01")
    for n in range(5):
        conf = shown.edge.relay.conf
        conf.write_text(conf.read_text() + f"[domain r{n}.test]\nupstream = 127.0.0.1:9\n")
        assert shown.edge.relay.post("/v1/reload").status == 200
        for _ in range(TRIES // 3):
            assert shown.ask("a.test", ACME + token)[1].data == answer.encode()
            shown.secure("both.test", ["acme-tls/1"]).close()
