"""Whom a site lets in: allow and deny, rate, basic_auth_file; from the relay's own section and from an agent's claim."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import threading
import time

import pytest

from admin import Place
from haproxy import Haproxy
from http1 import Peer
from http2 import Visitor2
from path import DOMAIN, WholePath, edges, fronts
from programs import PATIENCE_S, need, run, wait_until
from test_passthrough import Passed
from upgraded import ASKING, SWITCHING
from visitor import Reply, Visitor, context, request_bytes
from website import Site

VISITOR, OTHER = "203.0.113.7", "198.51.100.8"
SECRET = {  # hashes of it, as htpasswd, mkpasswd and openssl make them
    "bcrypt": "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
    "slow": "$2y$11$abcdefghijklmnopqrstuuViuGI07N4McP9Kl.tD6XMEzyuvcY8LG",
    "yescrypt": "$y$j75$abcdefghijklmnop$vZlXu1XtxOBWRxjOpQqONp1WYfMO0dN.H4xeSMU2ZvC",
    "sha512": "$6$rounds=1000$abcdefgh$nhYjN017qxiYztzyUpZtPnUQcnLy62KsunSLHNeLahp2EHPlAKmFFlrjEwSXGo2kgY5hR2.peKEg2VGUqIJJu1",
    "sha256": "$5$rounds=1000$abcdefgh$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4",
}
UMLAUTS = "$6$rounds=1000$abcdefgh$uKOYanS.ftwYFjbogtCoXDPg.4R3FFUlz3OZuvXEle2A.6/EQWS98d.w2UmKRCW.9Gxc0MlIOZZ6nKwpVypxU0"


def basic(user: str = "bcrypt", password: str | bytes = "secret") -> str:
    said = user.encode() + b":" + (password.encode() if isinstance(password, str) else password)
    return f"Authorization: Basic {base64.b64encode(said).decode()}\r\n"


def from_(address: str) -> str:
    return f"X-Forwarded-For: {address}\r\n"


def ctl(daemon, *words):
    return run("tunnelctl", "--socket", daemon.socket, *words)


class Guarded:
    """A relay with a.test, which has these keys in the relay's own section, and b.test, which has none. Whoever comes is
    whom X-Forwarded-For names."""

    def __init__(self, fronts, site, further, place, folder, sections="", **keys) -> None:
        self.site, self.further, self.place, self.passwords, self.serial = site, further, place, folder / "passwords", 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.plain_port = self.listener.getsockname()[1]
        relay = {key: keys.pop(key) for key in ("workers", "proxy_listeners") if key in keys}
        self.front = fronts("other.test", inherited=[self.listener], listen_http=f"127.0.0.1:{self.plain_port}",
                            trusted_proxies="127.0.0.1", access_log="visits", admin_listen=place.listen, **relay)
        self.base = self.front.relay.conf.read_text() + sections
        self.relay, self.port = self.front.relay, self.front.port
        self.set(reload=False, **keys)
        self.front.start_relay()

    def write_passwords(self, text: str | None = None) -> str:
        self.passwords.write_text(text or "# who may come in\n\n" + "".join(f"{user}:{hash}\n" for user, hash in SECRET.items()))
        return str(self.passwords)

    def text(self, **keys) -> str:
        lines = [f"upstream = 127.0.0.1:{self.site.port}", *(f"{key} = {value}" for key, value in keys.items())]
        further = [f"upstream = 127.0.0.1:{self.further.port}", f"set_header X-Serial = {self.serial}"]
        return self.base + "\n".join([f"[domain {DOMAIN}]", *lines, "[domain b.test]", *further, ""])

    def set(self, reload=True, **keys):
        self.serial += 1
        self.relay.configure(self.text(**keys))
        if reload:
            self.reload()

    def reload(self):
        assert self.relay.post("/v1/reload").status == 200
        wait_until(lambda: {self.ask(name="b.test").head.get("x-serial") for _ in range(4)} == {str(self.serial)}, "workers follow")

    def ask(self, fields="", name=DOMAIN, target="/", **how):
        return self.front.visit(target=target, fields=fields, name=name, **how)

    def status(self, fields="", name=DOMAIN):
        return self.ask(fields, name).status

    def refused(self, reason):
        (line,) = [line for line in self.place.ask("/metrics").text.splitlines() if f'refused_requests_total{{reason="{reason}"}}' in line]
        return int(line.split()[-1])


@pytest.fixture
def guarded(fronts, started, folder):
    def make(**keys):
        parts = Site(), Site(), Place()
        started.extend(parts)
        return Guarded(fronts, *parts, folder, **keys)

    return make


def curl(guarded, *args, name=DOMAIN):
    done = subprocess.run([need("curl"), "-sS", "--cacert", guarded.front.root, "--resolve", f"{name}:{guarded.port}:127.0.0.1", "-o",
                           "/dev/null", "-w", "%{http_version} %{http_code}", *args, f"https://{name}:{guarded.port}/echo"],
                          capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- by address ----


def test_allow_and_deny(guarded):
    g = guarded(allow="203.0.113.0/24 2001:db8::/32", deny="203.0.113.66 2001:db8:bad::/48")
    rows = {VISITOR: 200, "::ffff:203.0.113.7": 200, "2001:db8::7": 200, OTHER: 403, "203.0.113.66": 403,
            "::ffff:203.0.113.66": 403, "2001:db8:bad::1": 403, "2001:db9::1": 403}
    assert {address: g.status(from_(address)) for address in rows} == rows
    assert g.status() == 403  # the proxy itself
    assert g.status(from_(OTHER), "b.test") == 200
    reply = g.ask(from_(OTHER))
    page = reply.body.data.decode()
    assert reply.head.get("server") is None and "tunnel" not in page.lower() and "403 Forbidden" in page
    assert g.refused("forbidden") == 7
    wait_until(lambda: (g.relay.folder / "visits").read_text().count(" 403 ") == 7, "the log has them")
    g.set(deny="203.0.113.0/24")
    assert (g.status(from_(VISITOR)), g.status(from_(OTHER))) == (403, 200)
    g.set()
    assert g.status(from_(VISITOR)) == 200


def test_every_way_of_coming_is_refused_alike(guarded):
    g = guarded(deny=OTHER)
    fields = [("x-forwarded-for", OTHER)]
    with Visitor2(g.port, g.front.root, DOMAIN) as visitor:
        assert visitor.reply(visitor.ask(fields=fields)).status == 403
        assert visitor.reply(visitor.connect(fields=fields)).status == 403
        call = visitor.reply(visitor.ask("POST", "/a.B/C", [*fields, ("content-type", "application/grpc"), ("te", "trailers")], b"x"))
        assert call.status == 200 and dict(call.fields)["grpc-status"] == "7"
        assert visitor.reply(visitor.ask(fields=[("x-forwarded-for", VISITOR)])).status == 200  # the connection lives on
    with g.front.visitor() as visitor:
        assert visitor.ask(fields=from_(OTHER) + ASKING).status == 403
    with socket.create_connection(("127.0.0.1", g.plain_port), PATIENCE_S) as plain:
        plain.sendall(request_bytes("GET", DOMAIN, fields=from_(OTHER)))
        assert plain.recv(100).startswith(b"HTTP/1.1 403")
    assert not g.site.seen[:-1]


def test_behind_haproxy_with_a_proxy_header(fronts, started, folder):
    site, listener = Site(), socket.create_server(("127.0.0.1", 0))
    started.append(site)
    at = f"127.0.0.1:{listener.getsockname()[1]}"
    front = fronts("other.test", inherited=[listener], listen_https=at, proxy_listeners=at, trusted_proxies="127.0.0.1")
    front.relay.conf.write_text(front.relay.conf.read_text() + f"[domain {DOMAIN}]\nupstream = 127.0.0.1:{site.port}\nallow = 127.0.0.77\n")
    front.start_relay()
    proxy = Haproxy(folder / "haproxy", "mode tcp", f"server relay {at} send-proxy-v2").start()
    started.append(proxy)

    def status(source):
        plain = socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S, (source, 0))
        with context(front.root).wrap_socket(plain, server_hostname=DOMAIN) as tls:
            tls.sendall(request_bytes("GET", DOMAIN))
            return tls.recv(1000).split()[1]

    assert (status("127.0.0.77"), status("127.0.0.78")) == (b"200", b"403")


# ---- how often ----


def test_rate_over_all_workers_and_each_http(guarded):
    g = guarded(rate="3/m burst 5", workers="2")
    with Visitor2(g.port, g.front.root, DOMAIN) as visitor:
        by_h2 = [visitor.reply(visitor.ask(fields=[("x-forwarded-for", VISITOR)])).status for _ in range(2)]
    by_h1 = [g.status(from_(VISITOR)) for _ in range(6)]  # each by a connection of its own
    assert [*by_h2, *by_h1] == [200] * 5 + [429] * 3
    reply = g.ask(from_(VISITOR))
    assert reply.status == 429 and 1 <= int(reply.head.get("retry-after")) <= 20
    assert g.status(from_(OTHER)) == 200 and g.status(from_(VISITOR), "b.test") == 200
    six = [g.status(from_(f"2001:db8::{n}")) for n in range(1, 8)]
    assert six == [200] * 5 + [429] * 2 and g.status(from_("2001:db8:0:1::1")) == 200  # one /64 is one source
    with Visitor2(g.port, g.front.root, DOMAIN) as visitor:
        call = visitor.reply(visitor.ask("POST", "/a.B/C", [("x-forwarded-for", VISITOR), ("content-type", "application/grpc")], b"x"))
        assert dict(call.fields)["grpc-status"] == "8"
    assert g.refused("rate") == 7
    g.set(rate="3/m burst 5")
    assert g.status(from_(VISITOR)) == 429  # a reload forgets nothing
    g.set(rate="off")
    assert g.status(from_(VISITOR)) == 200


# ---- passwords ----


def test_passwords_of_each_kind(guarded, folder):
    g = guarded()
    text = g.write_passwords()
    g.passwords.write_text(g.passwords.read_text() + f"pässe:{UMLAUTS}\n")
    g.set(basic_auth_file=text)
    asked = g.ask()
    assert asked.status == 401 and asked.head.get("www-authenticate") == f'Basic realm="{DOMAIN}", charset="UTF-8"'
    assert asked.head.get("connection") is None
    for user in SECRET:
        if user != "slow":
            assert (user, g.status(basic(user))) == (user, 200)
            assert (user, g.status(basic(user, "secreT") + from_(f"192.0.2.{len(user)}"))) == (user, 401)
    assert g.status(basic("pässe", "pässwörd:x")) == 200
    assert g.status(basic("nobody")) == 401 and g.status("", "b.test") == 200
    assert g.site.seen[-1].head.get("authorization") == basic("pässe", "pässwörd:x")[15:-2]  # as nginx does
    assert curl(g, "-u", "bcrypt:secret", "--http1.1") == "1.1 200" and curl(g, "-u", "bcrypt:secret", "--http2") == "2 200"
    assert curl(g, "--http2") == "2 401" and curl(g, "-X", "OPTIONS", "-H", "Origin: https://x.test") == "2 401"
    assert g.refused("password") >= 5
    with g.front.visitor() as visitor:  # and the connection lives on
        assert visitor.ask().status == 401 and visitor.ask(fields=basic()).status == 200
        assert visitor.ask("POST", "/echo", basic("sha256"), b"x" * 100000).status == 200  # by now it is known
        assert visitor.ask("HEAD").status == 401


def test_bodies_websockets_and_calls(guarded):
    g = guarded(workers="2")
    g.set(basic_auth_file=g.write_passwords(), max_body="1m")
    with g.front.visitor() as visitor:  # its body comes while the password is looked at
        assert visitor.ask("POST", "/echo", basic("yescrypt"), b"x" * 500000).status == 200
        assert visitor.ask("POST", "/echo", basic("yescrypt"), b"x" * 1048577).status == 413
    with g.front.visitor() as visitor:
        assert visitor.ask("POST", "/echo", "", b"x" * 100).status == 401
    with Visitor2(g.port, g.front.root, DOMAIN) as visitor:
        said = [("authorization", basic("sha512")[15:-2])]
        streams = [visitor.ask("POST", "/echo", said, b"y" * 20000) for _ in range(20)]  # looked at once
        assert {visitor.reply(stream).status for stream in streams} == {200}
        assert visitor.reply(visitor.connect()).status == 401
        assert visitor.reply(visitor.connect(fields=said)).status not in (401, 403)  # the site's word
        call = visitor.reply(visitor.ask("POST", "/a.B/C", [("content-type", "application/grpc")], b"x"))
        assert dict(call.fields)["grpc-status"] == "16"


def test_a_websocket_of_the_agents(edges):
    edge = edges(items=[{"item": f"domain:{DOMAIN}", "aliases": [], "policy": {"basic_auth_file": f"me:{SECRET['bcrypt']}\n", "deny": [OTHER]}}])
    edge.agent.start()
    edge.wait_up()

    def carry(stream):
        if stream.head():
            stream.send(SWITCHING)
            stream.send(stream.read(100))

    edge.agent.carry = carry
    for fields, status in (("", 401), (basic("me", "wrong"), 401), (basic("me"), 101)):
        with edge.visitor() as visitor:
            visitor.send(request_bytes("GET", visitor.host, fields=fields + ASKING) + b"hello")
            assert visitor.head().status == status
            if status == 101:
                assert visitor.exactly(5) == b"hello"
    (domain,) = edge.status()["domains"]
    assert domain["guard"] == {"allow": [], "deny": [OTHER], "rate": None, "password": True}
    shown = ctl(edge.relay, "status", DOMAIN).out
    assert "not from" in shown and "asked for" in shown
    for text in (json.dumps(edge.status()), edge.relay.get("/v1/config").body.decode(), edge.relay.log(), shown):
        assert "$2y$" not in text


HOSTILE = {
    "1mb": "Basic " + "A" * 1_000_000, "no-colon": "Basic " + base64.b64encode(b"bcrypt").decode(), "no-base64": "Basic !!!!",
    "short": "Basic Zm9", "empty": "Basic ", "bare": "Basic", "nul": "Basic " + base64.b64encode(b"bcrypt:secret\0x").decode(),
    "nul-user": "Basic " + base64.b64encode(b"bcrypt\0:secret").decode(), "newline": "Basic " + base64.b64encode(b"bcrypt:secret\n").decode(),
    "long": "Basic " + base64.b64encode(b"bcrypt:" + b"s" * 600).decode(), "bearer": "Bearer " + base64.b64encode(b"bcrypt:secret").decode(),
    "padding": "Basic " + base64.b64encode(b"bcrypt:secret").decode() + "====", "no-user": "Basic " + base64.b64encode(b":secret").decode(),
    "hash": "Basic " + base64.b64encode(f"bcrypt:{SECRET['bcrypt']}".encode()).decode(), "not-utf8": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
}


def test_hostile_values(guarded):
    g = guarded(workers="1")
    g.set(basic_auth_file=g.write_passwords())
    for name, value in HOSTILE.items():
        try:
            status = g.status(f"Authorization: {value}\r\n")
        except OSError:
            status = 431  # cut off in the middle of what is too long
        assert (name, status) == (name, 431 if name == "1mb" else 401)
    assert g.status(basic() + basic()) == 401  # which of them?
    assert g.status(basic("bcrypt").replace("Basic", "bAsIc  ")) == 200
    assert not g.site.seen[1:]


def test_who_guesses_does_not_profit_by_who_has_come_in(guarded):
    g = guarded(workers="1")
    g.set(basic_auth_file=g.write_passwords())
    assert g.status(basic() + from_(OTHER)) == 200
    said = [g.status(basic(password=f"guess {n}") + from_(VISITOR)) for n in range(12)]
    assert said[:10] == [401] * 10 and said[-1] == 429
    assert g.status(basic() + from_(VISITOR)) == 429, "the right one, as somebody knows it already"
    assert g.status(basic() + from_(OTHER)) == g.status(basic() + from_("192.0.2.1")) == 200


def test_fifty_wrong_ones_at_once_disturb_nobody(guarded):
    g = guarded(workers="1")
    text = g.write_passwords(f"slow:{SECRET['slow']}\n")
    g.set(basic_auth_file=text)
    assert g.status(basic("slow") + from_(OTHER)) == 200
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda n=n: statuses.append(g.status(basic("slow" if n % 2 else "none", f"wrong{n}") + from_(VISITOR))))
               for n in range(50)]
    for thread in threads:
        thread.start()
    took = []
    while any(thread.is_alive() for thread in threads):
        began = time.monotonic()
        assert g.status("", "b.test") == 200
        assert g.status(basic("slow") + from_(OTHER)) == 200  # it is known
        took.append(time.monotonic() - began)
    for thread in threads:
        thread.join()
    assert sorted(set(statuses)) == [401, 429] and 10 <= statuses.count(401) <= 11 + sum(took) / 6, statuses
    assert sorted(took)[len(took) // 2] < 0.5, took
    tired = g.ask(basic("slow") + from_(VISITOR))  # right, but nobody listens any more; who is known there still comes in
    assert tired.status == 200 or (tired.status == 429 and int(tired.head.get("retry-after")) >= 1)


def test_who_guesses_gives_way(guarded):
    """Guesses from four addresses take all places; who comes from a fifth one gets one of them."""
    g = guarded(workers="1")
    g.set(basic_auth_file=g.write_passwords(f"slow:{SECRET['slow']}\n"))
    guessers = [g.front.visitor() for _ in range(40)]
    for n, guesser in enumerate(guessers):
        guesser.send(request_bytes("GET", DOMAIN, fields=basic("slow", f"wrong{n}") + from_(f"192.0.2.{n % 4}")))
    wait_until(lambda: g.ask(basic("slow", "more") + from_("192.0.2.1")).status in (429, 503), "there is no place for one more of them")
    assert g.status(basic("slow") + from_(OTHER)) == 200
    said = [guesser.head().status for guesser in guessers]
    assert set(said) == {401, 503} and said.count(401) >= 30, said
    for guesser in guessers:
        guesser.close()


def test_it_ends_while_passwords_are_looked_at(guarded):
    g = guarded(workers="1")
    g.set(basic_auth_file=g.write_passwords(f"slow:{SECRET['slow']}\n"))
    visitors = [g.front.visitor() for _ in range(5)]
    for n, visitor in enumerate(visitors):
        visitor.send(request_bytes("GET", visitor.host, fields=basic("slow", str(n))))
    for visitor in visitors[:3]:
        visitor.break_off()
    assert visitors[3].head().status == visitors[4].head().status == 401
    for n, visitor in enumerate(visitors[3:]):
        visitor.send(request_bytes("GET", visitor.host, fields=basic("slow", f"more{n}")))
    g.relay.stop()
    for visitor in visitors[3:]:
        visitor.close()


def test_the_file_is_read_again_on_reload(guarded):
    g = guarded()
    g.set(basic_auth_file=g.write_passwords())
    assert g.status(basic()) == 200
    g.write_passwords(f"other:{SECRET['sha256']}\n")
    assert g.status(basic()) == 200  # not yet
    g.set(basic_auth_file=g.passwords)
    assert g.status(basic()) == 401 and g.status(basic("other")) == 200
    g.passwords.write_text("me:plain\n")
    reply = g.relay.post("/v1/reload")
    assert reply.status != 200 and "line 1 has a password as it is" in reply.body.decode() and "htpasswd -B" in reply.body.decode()
    g.passwords.unlink()
    assert g.relay.post("/v1/reload").status != 200 and g.status(basic("other")) == 200  # all is as it was


def test_no_password_goes_without_tls(guarded):
    g = guarded()
    g.set(basic_auth_file=g.write_passwords())
    with socket.create_connection(("127.0.0.1", g.plain_port), PATIENCE_S) as plain:
        plain.sendall(request_bytes("GET", DOMAIN, fields=basic()))
        head = plain.recv(1000)
    assert head.startswith(b"HTTP/1.1 308") and b"www-authenticate" not in head.lower()


def test_nor_while_there_is_no_certificate_to_send_him_to(guarded, folder):
    (folder / "passwords").write_text(f"bcrypt:{SECRET['bcrypt']}\n")
    g = guarded(sections="[acme]\ndirectory = https://127.0.0.1:1/\nemail = me@a.test\npreflight = off\n", basic_auth_file=folder / "passwords")
    for name, status in ((DOMAIN, b"503"), ("b.test", b"200")):
        with socket.create_connection(("127.0.0.1", g.plain_port), PATIENCE_S) as plain:
            plain.sendall(request_bytes("GET", name, fields=basic()))
            head = plain.recv(1000)
        assert head.split()[1] == status and b"www-authenticate" not in head.lower()
    assert not g.site.seen


# ---- from an agent ----


def test_an_agents_word_and_the_relays(daemons, started, folder):
    path = WholePath(daemons, started, folder, trusted_proxies="127.0.0.1")
    passwords = folder / "house.htpasswd"
    passwords.write_text(f"# mine\nme:{SECRET['bcrypt']}:of mine\n")
    agent, relay = path.agent.conf.read_text(), path.relay.conf.read_text()

    def status(fields):
        return path.visit("GET", "/echo", fields=fields).status

    def set_agent(**keys):
        path.agent.configure(agent + "".join(f"{key} = {value}\n" for key, value in keys.items()))
        assert path.agent.post("/v1/reload").status == 200

    set_agent(allow=VISITOR, rate="1000/s", basic_auth_file=passwords)
    wait_until(lambda: status(from_(OTHER)) == 403, "the relay follows")
    assert status(from_(VISITOR)) == 401 and status(from_(VISITOR) + basic("me")) == 200
    guard = {"allow": [VISITOR], "deny": [], "rate": "1000/s", "password": True}
    assert path.status()["domains"][0]["guard"] == path.agent.get("/v1/status").json["domains"][0]["guard"] == guard
    assert "asked for" in ctl(path.agent, "status", DOMAIN).out
    claims = path.relay.state_dir / "claims.json"
    wait_until(lambda: "$2y$" in claims.read_text(), "the claim is kept")
    assert claims.stat().st_mode & 0o777 == 0o600 and "mine" not in claims.read_text()
    for daemon in (path.relay, path.agent):
        for text in (daemon.log(), *(daemon.get(f"/v1/{target}").body.decode() for target in ("config", "status", f"status/{DOMAIN}"))):
            assert "$2y$" not in text
    passwords.write_text(f"you:{SECRET['sha512']}\n")
    assert path.agent.post("/v1/reload").status == 200
    wait_until(lambda: status(from_(VISITOR) + basic("you")) == 200, "the relay follows")
    assert status(from_(VISITOR) + basic("me")) == 401
    path.relay.configure(relay + f"[domain {DOMAIN}]\nallow = {OTHER}\ndeny = 192.0.2.0/24\n")  # its own word wins
    assert path.relay.post("/v1/reload").status == 200
    wait_until(lambda: status(from_(VISITOR)) == 403, "workers follow")
    assert status(from_(OTHER) + basic("you")) == 200
    path.close()


# ---- sites that end TLS themselves ----


def test_passthrough(daemons, started, folder):
    path = Passed(daemons, started, folder, domain={"rate": "2/m", "deny": "127.0.0.9"}, access_log="visits")

    def come(source):
        with socket.create_connection(("127.0.0.1", path.port), PATIENCE_S, (source, 0)) as plain:
            try:
                with context(path.own.root).wrap_socket(plain, server_hostname=DOMAIN) as tls:
                    tls.sendall(request_bytes("GET", DOMAIN))
                    return tls.recv(1000)[9:12].decode()
            except OSError:
                return "cut off"

    sources = ["127.0.0.9", "127.0.0.7", "127.0.0.7", "127.0.0.7", "127.0.0.8"]
    assert [come(source) for source in sources] == ["cut off", "200", "200", "cut off", "200"]
    visits = path.relay.folder / "visits"
    wait_until(lambda: visits.read_text().count('"TLS ') == 5, "five lines")
    assert visits.read_text().count(" 403 ") == 1 and visits.read_text().count(" 429 ") == 1
    path.close()


def test_passthrough_with_a_password_serves_nobody(edges):
    """An agent that is not ours asks for it; a section of ours could not."""
    policy = {"tls": "passthrough", "basic_auth_file": f"me:{SECRET['bcrypt']}\n"}
    edge = edges(items=[{"item": f"domain:{DOMAIN}", "aliases": [], "policy": policy}])
    edge.agent.start()
    edge.wait_up()
    with pytest.raises(OSError):
        edge.visit()
    assert "cannot be asked for with tls = passthrough" in edge.status()["domains"][0]["last_error"] and not edge.agent.requests


# ---- what is refused ----

WRONG_POLICIES = [
    ({"rate": "often"}, "rate"), ({"rate": 5}, "rate"), ({"allow": "192.0.2.1"}, "allow"), ({"deny": ["x"]}, "deny"),
    ({"allow": ["192.0.2.1"] * 501}, "allow"), ({"basic_auth_file": "me:secret\n"}, "basic_auth_file"),
    ({"basic_auth_file": ""}, "basic_auth_file"), ({"basic_auth_file": "x" * 16385}, "basic_auth_file"),
]


def test_claims_that_are_refused(edges):
    edge = edges(" ".join(f"s{n}.test" for n in range(len(WRONG_POLICIES))),
                 items=[{"item": f"domain:s{n}.test", "aliases": [], "policy": policy} for n, (policy, _) in enumerate(WRONG_POLICIES)])
    edge.agent.start()
    heard = wait_until(lambda: next((line for line in edge.agent.heard if line["type"] == "claimed"), None), "an answer")
    for (policy, key), item in zip(WRONG_POLICIES, heard["items"]):
        assert not item["ok"] and f'"{key}"' in item["why"], (policy, item)


WRONG_FILES = {
    "me:secret": "line 1 has a password as it is", "a:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/": "line 1 has a hash of MD5",
    f"a:{SECRET['bcrypt']}\n\nb:{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=": "line 3 has a hash of SHA-1",
    f"a:{SECRET['bcrypt']}\n#\na:{SECRET['sha256']}": "line 3 names the same user as line 1", "just-a-word": "line 1 is not USER:HASH",
    "a:$2y$31$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a": "cost above 14", "# nobody": "it names nobody",
    "a:$6$rounds=999999999$abcdefgh$" + "a" * 86: "more than 1000000 rounds", "a:$y$jFT$abcdefgh$" + "a" * 43: "too much memory",
}


def test_files_that_check_refuses(guarded):
    g = guarded()
    for text, why in WRONG_FILES.items():
        g.write_passwords(text)
        g.relay.conf.write_text(g.text(basic_auth_file=g.passwords))
        done = run("tunnel-relay", "-c", g.relay.conf, "--check")
        assert done.code == 1 and f"domain {DOMAIN}.basic_auth_file = " in done.err and why in done.err and "secret" not in done.err
    for keys, key, why in [({"rate": "10"}, "rate", "not a rate (such as 10/s"), ({"rate": "0/s"}, "rate", "from 1 to 1000000"),
                           ({"allow": "house"}, "allow", "not an address"), ({"basic_auth_file": "gone"}, "basic_auth_file", "No such file"),
                           ({"deny": " ".join(f"192.0.{n // 250}.{n % 250}" for n in range(501))}, "deny", "more than 500")]:
        g.relay.conf.write_text(g.text(**keys))
        done = run("tunnel-relay", "-c", g.relay.conf, "--check")
        assert done.code == 1 and f"domain {DOMAIN}.{key} = " in done.err and why in done.err, done.err
    g.write_passwords()
    for keys, why in [({"https": "both"}, "passwords would be sent without TLS"), ({"tls": "passthrough"}, "the relay sees no requests")]:
        g.relay.conf.write_text(g.text(basic_auth_file=g.passwords, **keys).replace(f"upstream = 127.0.0.1:{g.site.port}\n", ""))
        done = run("tunnel-relay", "-c", g.relay.conf, "--check")
        assert done.code == 1 and f"domain {DOMAIN}.basic_auth_file = " in done.err and why in done.err, done.err
