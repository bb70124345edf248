"""Certificates that look after themselves: a claim, Pebble, and visitors who are served."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from authority import Authority, authorities
from clock import Clock
from fake_agent import FakeAgent
from path import DOMAIN, Front, edges, fronts
from pebble import Pebble, pebbles
from programs import PATIENCE_S, ROOT, wait_until
from visitor import Visitor, connect, context


def section(name: str, keys: dict[str, object]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in keys.items()), ""])


class Certs:
    """A relay on ports that Pebble validates at, and what it says of its certificates."""

    def __init__(self, fronts: Callable[..., Front], pebbles: Callable[..., Pebble], started: list, domains: str, items: list,
                 acme: dict[str, object] | None = None, pebble: dict[str, Any] | None = None, more: str = "", may: str = "",
                 env: dict[str, str] | None = None, **keys: object) -> None:
        self.http = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.https = socket.create_server(("127.0.0.1", 0), backlog=1024)
        http, https = (s.getsockname()[1] for s in (self.http, self.https))
        self.http_port = http
        self.pebble = pebbles(http_port=http, tls_port=https, **(pebble or {}))
        self.front = fronts(domains, inherited=[self.http, self.https], listen_https=f"127.0.0.1:{https}",
                            listen_http=f"127.0.0.1:{http}", **keys)
        self.front.port = https
        self.relay, self.more = self.front.relay, more
        self.plain = self.relay.conf.read_text() + may
        self.configure(**(acme or {}))
        self.env = {"env": env} if env else {}
        self.relay.start(**self.front.spawning(), **self.env)
        self.agent = FakeAgent(self.front.lane_socket, items)
        started.append(self.agent)
        self.agent.start()

    def configure(self, **acme: object) -> None:
        self.relay.conf.write_text(self.plain + section("acme", {**self.pebble.keys(), **acme}) + self.more)

    def reload(self, **acme: object) -> None:
        self.configure(**acme)
        reply = self.relay.post("/v1/reload")
        assert reply.status == 200, reply

    def cert(self, name: str = DOMAIN) -> dict[str, Any]:
        return next((site["cert"] for site in self.front.status()["domains"] if site["name"] == name), {"state": None})

    def listed(self, name: str = DOMAIN) -> dict[str, Any]:
        return next(cert for cert in self.relay.get("/v1/certs").json["certs"] if cert["name"] == name)

    def wait(self, state: str, name: str = DOMAIN) -> dict[str, Any]:
        wait_until(lambda: self.cert(name)["state"] == state, f"{name} is {state}: {self.cert(name)}")
        return self.cert(name)

    def serial(self, name: str = DOMAIN) -> str:
        return self.listed(name)["certificates"][0]["serial"]

    def visit(self, name: str = DOMAIN, host: str | None = None) -> int:
        """Whoever trusts Pebble's root alone."""
        with Visitor(self.front.port, self.pebble.root(), name, host=host) as visitor:
            return visitor.ask().status

    def claim(self, *items: Any) -> None:
        self.agent.items = FakeAgent(self.front.lane_socket, items).items
        self.agent.claim()

    def restart(self) -> None:
        self.relay.stop()
        self.relay.start(**self.front.spawning(), **self.env)
        self.agent.start()


@pytest.fixture
def certs(fronts: Callable[..., Front], pebbles: Callable[..., Pebble], started: list) -> Iterator[Callable[..., Certs]]:
    made: list[Certs] = []

    def make(domains: str = DOMAIN, items: list | None = None, **how: Any) -> Certs:
        made.append(Certs(fronts, pebbles, started, domains, items or domains.split(), **how))
        return made[-1]

    yield make
    for one in made:
        one.http.close()
        one.https.close()


def test_a_claim_is_enough(certs: Callable[..., Certs]) -> None:
    c = certs("a.test www.a.test", [(DOMAIN, ["www.a.test"])], acme={"challenges": "tls-alpn-01"})
    cert = c.wait("valid")
    assert (cert["issuer"], sorted(cert["names"]), cert["last_error"]) == ("acme", ["a.test", "www.a.test"], None)
    wait_until(lambda: c.front.site_state() == "up", "the site is up")
    assert c.visit() == 200 and c.visit("www.a.test") == 200
    folder = c.relay.state_dir / "certs" / DOMAIN
    for name in ("fullchain.pem", "privkey.pem", "meta.json"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    orders = c.pebble.orders()
    assert orders == 1
    c.restart()
    wait_until(lambda: c.front.site_state() == "up", "the site is up again")
    assert c.visit() == 200
    assert c.cert()["state"] == "valid" and c.pebble.orders() == orders


def test_in_bad_weather(certs: Callable[..., Certs]) -> None:
    """Of ten nonces three are refused, validations take their time, and authorizations are used again."""
    c = certs("a.test b.test", acme={"challenges": "http-01", "key_types": "ecdsa rsa"},
              pebble={"nonce_reject": 30, "authz_reuse": 100, "sleep_s": 1})
    for name in ("a.test", "b.test"):
        c.wait("valid", name)
    assert sorted(pair["key"].split()[0] for pair in c.listed()["certificates"]) == ["ecdsa", "rsa"]
    for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"):
        tls = context(c.pebble.root(), version=ssl.TLSVersion.TLSv1_2)
        tls.set_ciphers(suite)
        with connect(c.front.port, tls, DOMAIN) as visitor:
            assert visitor.cipher()[0] == suite
    assert c.pebble.issued() == 4
    c.relay.stop()  # or a file is being written
    assert_described(c.relay.state_dir)


def assert_described(state_dir: Path) -> None:
    """Every file, and every word of meta.json, stands in tunnel-certs(5); none is anybody else's."""
    page = re.sub(r"\\f[BR]", "", (ROOT / "conf/man/tunnel-certs.5").read_text())
    words = set(re.findall(r"[\w.-]+", page))

    def keys(value: Any) -> set[str]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        return set(value if isinstance(value, dict) else []).union(*map(keys, inner))

    found = list((state_dir / "certs").rglob("*")) + list((state_dir / "acme").rglob("*"))
    for path in found:
        assert path.lstat().st_mode & 0o077 == 0 or path.is_symlink(), path
        assert path.name in words or path.parent.name in ("certs", "acme") or path.name.isdigit(), path
        if path.name == "meta.json":
            assert keys(json.loads(path.read_text())) <= words, keys(json.loads(path.read_text())) - words
    assert {path.name for path in found} >= {"fullchain-rsa.pem", "privkey-rsa.pem", "meta.json", "current", "account.key", "limits.json"}


def test_two_hundred_at_once(certs: Callable[..., Certs]) -> None:
    names = [f"n{i}.many.test" for i in range(200)]
    c = certs("*.many.test", names, may="max_domains = 200\n", pebble={"authz_reuse": 0})
    wait_until(lambda: [site["cert"]["state"] for site in c.front.status()["domains"]].count("valid") == 200, "all are valid", 3 * PATIENCE_S)
    assert c.pebble.orders() == c.pebble.issued() == 200
    for name in names[::40]:
        assert c.visit(name) == 200


def test_restarts_order_nothing(certs: Callable[..., Certs]) -> None:
    """Fifty of them; one site has its certificate, the other one's order fails."""
    c = certs("a.test b.test", [DOMAIN], acme={"challenges": "http-01"}, pebble={"authz_reuse": 0})
    c.wait("valid")
    c.pebble.dns.servfail("b.test")
    c.claim(DOMAIN, "b.test")
    before = c.wait("failing", "b.test")
    orders = c.pebble.orders()
    for i in range(50):
        c.relay.kill() if i % 2 else c.relay.stop()
        c.front.start_relay()
    c.agent.start()
    wait_until(lambda: c.front.site_state() == "up", "the site is up")
    assert c.wait("failing", "b.test")["next_attempt"] == before["next_attempt"]
    assert c.pebble.orders() == orders and c.cert()["state"] == "valid"
    assert c.visit() == 200


def test_an_alias_that_fails_is_left_out(certs: Callable[..., Certs]) -> None:
    c = certs("a.test www.a.test bad.a.test", [(DOMAIN, ["www.a.test"])], acme={"challenges": "http-01"}, pebble={"authz_reuse": 0})
    c.wait("valid")
    serial = c.serial()
    c.pebble.dns.servfail("bad.a.test")
    c.claim((DOMAIN, ["www.a.test", "bad.a.test"]))
    wait_until(lambda: c.listed()["left_out"], "it is left out")
    assert c.wait("valid")["last_error"] is None and c.serial() == serial  # what is there does for the others
    assert [left["name"] for left in c.listed()["left_out"]] == ["bad.a.test"] and c.pebble.issued() == 1
    assert c.agent.wait_heard("notice")["text"].startswith("bad.a.test is left out of the certificate of a.test: ")
    assert c.visit("www.a.test") == 200


def test_a_new_site_without_the_name_that_fails(certs: Callable[..., Certs]) -> None:
    c = certs("a.test b.test bad.b.test", [DOMAIN], acme={"challenges": "tls-alpn-01"}, pebble={"authz_reuse": 0})
    c.pebble.dns.servfail("bad.b.test")
    c.claim(DOMAIN, ("b.test", ["bad.b.test"]))
    assert c.wait("valid", "b.test")["names"] == ["b.test"]
    (left,) = c.listed("b.test")["left_out"]
    assert left["name"] == "bad.b.test" and "bad.b.test" in left["why"]
    assert c.visit("b.test") == 200


def test_renewal_touches_no_connection(certs: Callable[..., Certs], folder: Path) -> None:
    """A life of 24 seconds: half of it is over soon. The hook is told of each new one, whatever comes of that."""
    hook = folder / "hook"
    hook.write_text(f"#!/bin/sh\nenv | grep ^TUNNEL_ | sort >> {folder}/told\ntest -s $TUNNEL_CERT || exit 3\nexit 1\n")
    hook.chmod(0o755)
    c = certs(acme={"deploy_hook": hook}, pebble={"validity_s": 24})
    c.wait("valid")
    wait_until(lambda: c.front.site_state() == "up", "the site is up")
    first = c.serial()
    with Visitor(c.front.port, c.pebble.root(), DOMAIN) as visitor:
        assert visitor.ask().status == 200
        wait_until(lambda: c.serial() != first, "it is renewed")
        assert visitor.ask().status == 200
    assert c.visit() == 200
    c.relay.wait_log("a program did not end well", 2)
    told = (folder / "told").read_text()
    assert told.count(f"TUNNEL_DOMAIN={DOMAIN}\n") >= 2 and f"TUNNEL_NAMES={DOMAIN}\n" in told and "TUNNEL_ISSUER=acme\n" in told
    assert f"TUNNEL_CERT={c.relay.state_dir}/certs/{DOMAIN}/current/fullchain.pem\n" in told and " status=1 " in c.relay.log()


def test_a_hook_that_was_cut_off_is_run_again(certs: Callable[..., Certs], folder: Path) -> None:
    """The relay is killed while it runs; the next start runs it again, and no further one does."""
    hook, told, go_on = folder / "hook", folder / "told", folder / "go_on"
    hook.write_text(f"#!/bin/sh\necho $TUNNEL_DOMAIN >> {told}\nwhile ! test -e {go_on}; do sleep 0.1; done\n")
    hook.chmod(0o755)
    c = certs(acme={"deploy_hook": hook})
    wait_until(lambda: told.exists() and told.read_text() == f"{DOMAIN}\n", "it runs")
    c.relay.kill()
    go_on.touch()
    c.front.start_relay()
    c.agent.start()
    wait_until(lambda: told.read_text() == 2 * f"{DOMAIN}\n", "it is run again")
    left = c.relay.state_dir / "certs" / DOMAIN
    wait_until(lambda: not (left / "deploy.begun").exists() and not (left / "deploy.due").exists(), "it has ended")
    c.restart()
    c.wait("valid")
    assert told.read_text() == 2 * f"{DOMAIN}\n" and c.pebble.issued() == 1


def test_a_hook_that_fails_is_told_of_until_it_does_not(certs: Callable[..., Certs], ctl: Callable, folder: Path) -> None:
    """The certificate is served; what the hook takes it to may have the old one, which nobody would notice otherwise."""
    hook, told = folder / "hook", folder / "told"
    hook.write_text(f"#!/bin/sh\necho $TUNNEL_DOMAIN >> {told}\nexit 3\n")
    hook.chmod(0o755)
    c = certs(acme={"deploy_hook": hook})
    c.wait("valid")
    wait_until(lambda: c.cert()["deploy_error"], "its failure is seen")
    seen = c.cert()
    assert f"deploy_hook {hook} ended with exit code 3" in seen["deploy_error"] and "tunnelctl reload" in seen["deploy_error"]
    assert seen["state"] == "valid" and seen["last_error"] is None and c.listed()["deploy_error"] == seen["deploy_error"]
    for command in "status", "certs":
        shown = ctl(command, at=c.relay)
        assert shown.code == 1 and "ended with exit code 3" in shown.out, shown
    c.restart()
    wait_until(lambda: told.read_text() == 2 * f"{DOMAIN}\n", "a restart runs it again")
    wait_until(lambda: c.cert()["deploy_error"], "it is known of, and fails again")
    assert c.cert()["deploy_failing_since"] == seen["deploy_failing_since"]
    hook.chmod(0o644)
    c.reload(deploy_hook=hook)
    wait_until(lambda: "cannot be run" in c.cert()["deploy_error"], "it has lost its mode")
    hook.write_text(f"#!/bin/sh\necho $TUNNEL_DOMAIN >> {told}\n")
    hook.chmod(0o755)
    c.reload(deploy_hook=hook)
    wait_until(lambda: c.cert()["deploy_error"] is None, "it has done its work")
    assert told.read_text() == 3 * f"{DOMAIN}\n" and not (c.relay.state_dir / "certs" / DOMAIN / "deploy.failed").exists()
    assert ctl("certs", at=c.relay).code == 0 and c.pebble.issued() == 1


def test_a_hook_that_never_ends_is_ended(certs: Callable[..., Certs], folder: Path) -> None:
    """Behind a minute, with all that it has started; the site is served, and renewed, meanwhile."""
    hook, told, clock = folder / "hook", folder / "told", Clock(folder)
    hook.write_text(f"#!/bin/sh\nsleep 600 &\necho $$ $! >> {told}\nwait\n")
    hook.chmod(0o755)
    c = certs(acme={"deploy_hook": hook, "challenges": "http-01"}, env=clock.environment)
    c.wait("valid")
    wait_until(lambda: told.exists() and told.read_text().endswith("\n"), "it runs")
    begun = told.read_text().split()
    with connect(c.front.port, context(c.pebble.root()), DOMAIN):
        assert c.relay.post(f"/v1/certs/{DOMAIN}/renew").status == 200 and c.pebble.issued() == 2
    clock.wait(61)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in begun), "all of it has been ended")
    c.relay.wait_log("a program did not end well")
    assert " signal=9" in c.relay.log() and "longer than a minute" in c.cert()["deploy_error"]
    wait_until(lambda: len(told.read_text().split()) == 4, "the one for the second certificate runs")
    clock.wait(61)
    c.relay.wait_log("a program did not end well", 2)


def test_names_of_the_lan_beside_public_ones(certs: Callable[..., Certs]) -> None:
    """Per name: no public authority knows those of the LAN, whichever of them the site is called by."""
    c = certs("a.test www.a.test a.lan a.home.arpa nas.lan nas.test",
              [(DOMAIN, ["a.lan", "www.a.test", "a.home.arpa"]), ("nas.lan", ["nas.test"])])

    def told(name: str) -> list[str]:
        return [line["state"] for line in c.agent.heard if line["type"] == "cert" and line["item"] == f"domain:{name}"]

    assert (c.wait("valid")["issuer"], sorted(c.cert()["names"])) == ("acme", [DOMAIN, "www.a.test"])
    assert c.cert("nas.lan")["issuer"] == "internal" and c.cert("nas.lan")["names"] == ["nas.lan"]
    wait_until(lambda: c.listed("nas.test")["state"] == "valid", "the public alias has its own")
    assert (c.listed("nas.test")["issuer"], c.listed("nas.test")["names"]) == ("acme", ["nas.test"])
    assert (c.listed("a.lan")["issuer"], c.listed("a.lan")["names"]) == ("internal", ["a.lan", "a.home.arpa"])
    lan = next(site for site in c.front.status()["domains"] if site["name"] == "nas.lan")
    assert [(cert["name"], cert["state"]) for cert in lan["certs"]] == [("nas.test", "valid")]
    wait_until(lambda: told("nas.test")[-1:] == ["valid"], "its agent hears of the alias's, too")
    c.agent.leave()
    c.agent.start()
    wait_until(lambda: told("nas.test")[-2:] == ["valid", "valid"], "and so does who comes later")
    wait_until(lambda: c.front.site_state() == "up", "the site is up")
    root = c.relay.state_dir / "internal" / "root.pem"
    c.more = section(f"domain {DOMAIN}", {"hsts": "1d"})
    c.reload(challenges="http-01")
    for name, trusted in (("a.test", c.pebble.root()), ("www.a.test", c.pebble.root()), ("nas.test", c.pebble.root()),
                          ("a.lan", root), ("a.home.arpa", root), ("nas.lan", root)):
        with Visitor(c.front.port, trusted, name) as visitor:
            reply = visitor.ask()
            assert reply.status == 200, name
            assert (reply.head.get("strict-transport-security") is not None) == (name in ("a.test", "www.a.test")), name
    assert c.pebble.issued() == 2
    c.claim((DOMAIN, ["www.a.test"]), {"item": "domain:nas.lan", "aliases": ["nas.test"], "policy": {"issuer": "internal"}})
    wait_until(lambda: told("nas.test")[-1] == "none", "an authority's no more")


def test_the_longest_keys(certs: Callable[..., Certs]) -> None:
    c = certs(acme={"challenges": "http-01", "key_types": "p384 rsa4096"}, pebble={"eab": True})
    c.wait("valid")
    wait_until(lambda: len(c.listed()["certificates"]) == 2, "both are there")
    assert sorted(pair["key"] for pair in c.listed()["certificates"]) == ["ecdsa P-384", "rsa 4096"]
    for suite in ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"):
        tls = context(c.pebble.root(), version=ssl.TLSVersion.TLSv1_2)
        tls.set_ciphers(suite)
        with connect(c.front.port, tls, DOMAIN) as visitor:
            assert visitor.cipher()[0] == suite


def test_dns_that_changes_lets_the_next_try_begin(certs: Callable[..., Certs], folder: Path) -> None:
    """With preflight = off: an address that was wrong is mended, and nobody has to ask for anything."""
    clock = Clock(folder)
    c = certs(acme={"challenges": "http-01"}, pebble={"authz_reuse": 0}, env=clock.environment)
    c.wait("valid")
    c.pebble.dns.a("b.test", "127.0.0.9")
    c.more = section("domain b.test", {"upstream": "127.0.0.1:1"})  # no lane, which would not outlive the leap in time
    c.reload(challenges="http-01")
    for _ in range(2):  # so that its next try is hours away
        c.wait("failing", "b.test")
        c.relay.post("/v1/certs/b.test/renew")
    noted = c.relay.state_dir / "certs" / "b.test" / "meta.json"
    wait_until(lambda: json.loads(noted.read_text())["dns"], "what DNS says is noted")
    c.pebble.dns.a("b.test")
    orders = c.pebble.orders()
    clock.wait(301)
    wait_until(lambda: c.pebble.orders() > orders, "it is ordered again")
    c.wait("valid", "b.test")
    assert "DNS has changed" in c.relay.log()


@pytest.mark.parametrize("granted", ["b.test", "*.test.test"])  # listed also while nobody claims it, or forgotten then
def test_who_is_added_again_need_not_wait(certs: Callable[..., Certs], granted: str) -> None:
    """What a person does who has mended something. A restart of the relay is nothing of the kind."""
    name = granted.replace("*", "b")
    c = certs(f"{DOMAIN} {granted}", items=[DOMAIN], acme={"challenges": "http-01"}, pebble={"authz_reuse": 0})
    c.wait("valid")
    c.pebble.dns.a(name, "127.0.0.9")
    c.claim(DOMAIN, name)
    for _ in range(2):  # so that its next try is ten minutes away
        c.wait("failing", name)
        c.relay.post(f"/v1/certs/{name}/renew")
    c.restart()
    c.wait("failing", name)
    time.sleep(1.5)
    assert "the site was added again" not in c.relay.log()
    c.claim(DOMAIN)
    time.sleep(1.5)
    c.pebble.dns.a(name)
    c.claim(DOMAIN, name)
    c.wait("valid", name)
    assert c.relay.log().count("the site was added again") == 1


def test_another_authority_takes_over(certs: Callable[..., Certs]) -> None:
    """The first one is not there; the second one is asked when the first one has failed twice."""
    c = certs(acme={"directory": "https://127.0.0.1:9/dir"})
    assert "127.0.0.1" in c.wait("failing")["last_error"]
    c.more = section("acme second", c.pebble.keys())
    c.reload(directory="https://127.0.0.1:9/dir")
    statuses = [502]
    while statuses[-1] == 502 and len(statuses) < 5:  # how often it is by itself depends
        statuses.append(c.relay.post(f"/v1/certs/{DOMAIN}/renew").status)
    assert statuses[-1] == 200
    assert c.cert()["state"] == "valid" and c.cert()["issuer"] == "second" and c.visit() == 200
    assert [(had["name"], had["failures"]) for had in c.listed()["issuers"]] == [("acme", 2), ("second", 0)]


def test_renew_and_revoke(certs: Callable[..., Certs]) -> None:
    c = certs(acme={"challenges": "http-01"})
    c.wait("valid")
    first = c.serial()
    reply = c.relay.post(f"/v1/certs/{DOMAIN}/renew")
    assert reply.status == 200 and reply.json["certificates"][0]["serial"] == c.serial() != first
    second = c.serial()
    assert c.relay.post(f"/v1/certs/{DOMAIN}/revoke", b'{"reason": "boredom"}').status == 400
    assert c.relay.post(f"/v1/certs/{DOMAIN}/revoke", b'{"reason": "superseded"}').status == 200
    assert c.pebble.certificate(int(second, 16))["Status"] == "Revoked"
    wait_until(lambda: c.serial() != second and c.cert()["state"] == "valid", "there is another one")
    assert c.relay.post("/v1/certs/b.test/renew").status == 404
    assert c.visit() == 200


def test_who_issues_for_whom(certs: Callable[..., Certs]) -> None:
    """By name, by what the agent asks for, and over both by the relay's own section."""
    local = ["nas.lan", "nas", "x.internal", "x.home.arpa", "192.168.7.7"]
    c = certs(f"a.test b.test c.test d.test {' '.join(local)}",
              [DOMAIN, *local, {"item": "domain:b.test", "aliases": [], "policy": {"issuer": "internal"}},
               {"item": "domain:c.test", "aliases": [], "policy": {"issuer": "internal"}},
               {"item": "domain:d.test", "aliases": [], "policy": {"issuer": "elsewhere"}}],
              more="[domain c.test]\nissuer = acme\n")
    for name in (DOMAIN, "c.test"):
        assert c.wait("valid", name)["issuer"] == "acme"
    for name in ("b.test", *local):
        assert c.wait("valid", name)["issuer"] == "internal"
    c.relay.wait_log("the relay has no issuer elsewhere")
    assert c.pebble.orders() == 2
    c.relay.conf.write_text(c.plain)
    assert c.relay.post("/v1/reload").status == 200
    assert c.wait("valid")["issuer"] == "internal"  # without [acme] all are
    with c.front.visitor() as visitor:
        assert visitor.ask().status == 200


def test_one_certificate_for_all_that_a_wildcard_covers(authorities: Callable[..., list[Authority]], certs: Callable[..., Certs]) -> None:
    """The agent may serve *.a.test, and dns-01 works: nobody orders one for each of its sites."""
    (server,) = authorities({"a.test": "@ A 127.0.0.1\n* A 127.0.0.1"})

    class At:
        address = f"{server.address}:53"

    keys = {"type": "rfc2136", **server.keys()}
    c = certs("a.test *.a.test", ["x.a.test", "y.a.test"], acme={"dns": "bind"}, pebble={"dns": At(), "authz_reuse": 0},
              more=section("provider bind", keys))
    for name in ("x.a.test", "y.a.test"):
        assert c.wait("valid", name)["names"] == ["*.a.test"]
        assert c.visit(name) == 200
    c.claim("x.a.test", "z.a.test", DOMAIN)
    assert c.wait("valid")["names"] == [DOMAIN] and c.wait("valid", "z.a.test")["names"] == ["*.a.test"]
    assert c.visit("z.a.test") == 200 and c.pebble.orders() == 2
