"""How a site treats its visitors: without TLS, under its other name, headers of its responses, longest body, routes."""

from __future__ import annotations

import functools
import os
import socket

import pytest

from http1 import Peer
from path import DOMAIN, edges, fronts
from programs import run, wait_until
from visitor import Reply, request_bytes
from website import Site
from x509 import make_pair


class PlainVisitor(Peer):
    """Without TLS."""

    def __init__(self, port: int, host: str) -> None:
        self.host = host
        super().__init__(socket.create_connection(("127.0.0.1", port), 30))

    def ask(self, method: str = "GET", target: str = "/", fields: str = "", body: bytes = b"", host: str | None = None):
        self.send(request_bytes(method, host or self.host, target, fields, body))
        head = self.head()
        assert head, "the relay ended the connection instead of answering"
        return Reply(head, self.body(head, method))


@pytest.fixture
def site(started):
    started.append(Site())
    return started[-1]


@pytest.fixture
def served(fronts, site):
    """served(https="both") is a relay with a.test at the site, and a port without TLS: front.plain_port."""

    def make(name=DOMAIN, aliases="www.a.test", sections="", start=True, **keys):
        plain = socket.create_server(("127.0.0.1", 0), backlog=128)
        front = fronts("other.test", inherited=[plain], listen_http=f"127.0.0.1:{plain.getsockname()[1]}")
        front.plain_port = plain.getsockname()[1]
        own = {"upstream": f"127.0.0.1:{site.port}", "aliases": aliases, **keys}
        lines = [f"[domain {name}]", *(f"{key} = {value}" for key, value in own.items() if value is not None)]
        front.relay.conf.write_text(front.relay.conf.read_text() + "\n".join(lines) + f"\n{sections}\n")
        if start:
            front.start_relay()
        return front

    return make


def plainly(front, method="GET", target="/", host=DOMAIN, **how):
    with PlainVisitor(front.plain_port, host) as visitor:
        return visitor.ask(method, target, **how)


# ---- without TLS ----


def test_redirect_keeps_method_path_and_query(served, site):
    front = served()
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"):
        for target in ("/", "/a/b?c=d&e=%2F", "/%C3%A4?x", "//evil.test/x", "/?https://evil.test"):
            reply = plainly(front, method, target, body=b"1234" if method in ("POST", "PUT") else b"")
            assert reply.status == 308 and not site.seen
            assert reply.head.get("location") == f"https://a.test:{front.port}{target}" and reply.head.get("date")


def test_redirect_goes_to_the_name_that_was_asked_for(served):
    front = served()
    for host, wanted in (("a.test:8080", "a.test"), ("A.TEST", "a.test"), ("www.a.test", "www.a.test"),
                         ("a.test.", "a.test"), ("a.test.:80", "a.test")):
        assert plainly(front, host=host).head.get("location") == f"https://{wanted}:{front.port}/"


def test_both_serves_without_tls_too(served, site):
    front = served(https="both")
    with PlainVisitor(front.plain_port, DOMAIN) as visitor:
        for n in range(3):
            reply = visitor.ask("POST", "/echo", body=b"x" * n)
            assert reply.status == 200 and reply.head.get("strict-transport-security") is None
    head = site.seen[-1].head
    assert head.get("x-forwarded-proto") == "http" and head.get("x-forwarded-port") == str(front.plain_port)
    assert "proto=http;" in head.get("forwarded") + ";"
    assert front.visit("GET", "/echo").status == 200
    assert site.seen[-1].head.get("x-forwarded-proto") == "https"


@pytest.mark.parametrize("method, target, host", [
    ("GET", "/", DOMAIN), ("POST", "/echo", "www.a.test"), ("GET", "/.well-known/acme-challenge/unknown", DOMAIN),
])
def test_only_answers_nothing_without_tls(served, site, method, target, host):
    front = served(https="only")
    assert plainly(front, method, target, host=host).status == 404
    assert not site.seen
    assert front.visit("GET", "/echo").status == 200


def test_unknown_names_and_junk_without_tls(served, site):
    front = served(https="both")
    assert plainly(front, host="unknown.test").status == 404
    assert plainly(front, "CONNECT", "a.test:443", host="a.test:443").status == 405
    for junk in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"GET /\n\n"):
        with PlainVisitor(front.plain_port, DOMAIN) as visitor:
            visitor.send(junk + b"\r\n\r\n")
            head = visitor.head()
            assert head and head.status == 400
    assert not site.seen


def test_listen_http_when_empty_is_nothing(fronts, site):
    front = fronts("other.test")
    front.start_relay()
    assert "listen_http" in front.relay.options() and front.relay.options()["listen_http"]["value"] == ""


# ---- the other name ----


@pytest.mark.parametrize("word, asked, wanted", [
    ("add", "a.test", "www.a.test"), ("add", "www.a.test", None), ("strip", "www.a.test", "a.test"), ("strip", "a.test", None),
])
def test_www(served, word, asked, wanted):
    front = served(www=word)
    reply = front.visit("GET", "/echo?q=1", name=asked)
    if wanted:
        assert reply.status == 308 and reply.head.get("location") == f"https://{wanted}:{front.port}/echo?q=1"
    else:
        assert reply.status == 200
    straight = plainly(front, target="/x", host=asked)
    assert straight.head.get("location") == f"https://{wanted or asked}:{front.port}/x"  # both in one step


def with_www(edges, aliases, word="add"):
    """The relay wants it, of a site whose agent claims these names too."""
    edge = edges("a.test *.a.test", [(DOMAIN, aliases)])
    edge.relay.conf.write_text(edge.relay.conf.read_text() + f"[domain {DOMAIN}]\nwww = {word}\n")
    assert edge.relay.post("/v1/reload").status == 200
    edge.agent.start()
    edge.wait_up()
    return edge


def trouble(edge):
    (site,) = [site for site in edge.status()["domains"] if site["name"] == DOMAIN]
    return site["last_error"]


@pytest.mark.parametrize("word", ["add", "strip"])
def test_www_without_that_name_is_told_of(edges, ctl, word):
    edge = with_www(edges, ["x.a.test"], word)
    says = f"www = {word} does nothing without www.a.test: add that to aliases in the agent's [domain a.test]"
    told = "a site is not served as it should be"
    wait_until(lambda: trouble(edge) == says, "it is shown")
    shown = ctl("status", at=edge.relay)
    assert shown.code == 1 and f"  a.test: {says}; since " in shown.out
    edge.agent.claim()
    assert edge.relay.post("/v1/reload").status == 200
    assert edge.visit().status == 200 and edge.relay.log().count(told) == 1
    for aliases, wrong in ((["www.a.test"], None), ([], says), (["*.a.test"], None)):
        edge.agent.items[0]["aliases"] = aliases
        edge.agent.claim()
        wait_until(lambda: trouble(edge) == wrong, "it is shown")
    assert edge.relay.log().count(told) == 2 and ctl("status", at=edge.relay).code == 0


def test_a_wildcard_among_the_aliases_is_its_www(edges):
    edge = with_www(edges, ["*.a.test"])
    assert trouble(edge) is None
    wait_until(lambda: edge.visit().status == 308, "workers follow")
    assert edge.visit().head.get("location") == f"https://www.a.test:{edge.port}/"
    assert edge.visit(name="www.a.test").status == 200


@pytest.mark.parametrize("name, aliases, well", [
    ("a.test", "*.a.test", True), ("www.a.b.test", "*.b.test", True), ("www.a.test", "a.test", True),
    ("a.test", "*.www.a.test", False), ("a.b.test", "*.b.test", False), ("www.a.test", "*.a.test", False),
])
def test_which_aliases_are_the_other_name(daemons, name, aliases, well):
    agent = daemons("agent")
    agent.conf.write_text(agent.conf.read_text()
                          + f"[domain {name}]\nservice = http://127.0.0.1:1\nwww = add\naliases = {aliases}\n")
    result = run("tunnel-agent", "--check", "-c", agent.conf)
    assert result.code == (0 if well else 1), result.err
    assert well or "needs both names; add " in result.err


# ---- headers of responses ----


def answering(edge, fields, status="200 OK"):
    def serve(stream):
        stream.answer("hello", status, fields)

    edge.agent.serve = serve


def claimed(edges, policy, section="", **keys):
    """The agent asks for it in its claim."""
    edge = edges(items=[{"item": f"domain:{DOMAIN}", "aliases": [], "policy": policy}], **keys)
    edge.agent.start()
    edge.wait_up()
    return edge


def test_set_and_unset_headers(edges):
    edge = claimed(edges, {"set_header": {"X-Frame-Options": "DENY", "server": "mine"}, "unset_header": ["X-Powered-By"]})
    answering(edge, "X-Frame-Options: ALLOW\r\nx-powered-by: PHP\r\nServer: nginx/1\r\nSERVER: b\r\nX-Kept: 1\r\n")
    reply = edge.visit()
    assert reply.head.get("x-frame-options") == "DENY" and reply.head.get("server") == "mine"
    assert reply.head.all("x-powered-by") == [] and reply.head.get("x-kept") == "1" and reply.body.data == b"hello"


def test_set_and_unset_headers_of_an_upgrade(edges):
    edge = claimed(edges, {"set_header": {"X-Frame-Options": "DENY"}, "unset_header": ["X-Powered-By"]})
    edge.agent.serve = lambda stream: stream.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n"
                                                  b"X-Powered-By: PHP\r\nX-Kept: 1\r\n\r\n")
    with edge.visitor() as visitor:
        visitor.send(request_bytes("GET", DOMAIN, fields="Connection: Upgrade\r\nUpgrade: foo\r\n"))
        head = visitor.head()
    assert (head.status, head.get("x-kept"), head.get("x-frame-options")) == (101, "1", "DENY")
    assert head.all("x-powered-by") == []


def test_the_relays_own_section_wins(edges, fronts):
    front = edges(items=[{"item": f"domain:{DOMAIN}", "aliases": [], "policy":
                          {"set_header": {"X-A": "agent", "X-B": "agent"}, "unset_header": ["X-C"], "max_body": 10}}])
    front.relay.conf.write_text(front.relay.conf.read_text() + f"[domain {DOMAIN}]\nset_header x-a = relay\n"
                                "set_header X-C = relay\nunset_header X-B =\nmax_body = 20\n")
    assert run("tunnelctl", "--socket", front.relay.socket, "reload").code == 0
    front.agent.start()
    front.wait_up()
    answering(front, "X-A: service\r\nX-B: service\r\nX-C: service\r\n")
    reply = front.visit("POST", "/", body=b"x" * 15)
    assert (reply.head.all("x-a"), reply.head.all("x-b"), reply.head.all("x-c")) == (["relay"], [], ["relay"])
    assert front.visit("POST", "/", body=b"x" * 21).status == 413


def test_hsts_waits_for_a_certificate_that_browsers_trust(served, folder, site):
    pair = make_pair(folder, DOMAIN, [DOMAIN, "www.a.test"])
    front = served(hsts="365d", cert_file=pair.cert, key_file=pair.key, https="both",
                   sections=f"[domain b.test]\nupstream = 127.0.0.1:{site.port}\nhsts = 1h\n")
    assert front.visit("GET", "/echo", name="b.test").head.all("strict-transport-security") == []  # of our own root
    front.root = pair.cert
    assert front.visit("GET", "/echo").head.get("strict-transport-security") == "max-age=31536000"
    assert plainly(front, target="/echo").head.all("strict-transport-security") == []


def test_hsts_of_our_own_pages(served, folder):
    pair = make_pair(folder, DOMAIN, [DOMAIN, "www.a.test"])
    front = served(hsts="365d", cert_file=pair.cert, key_file=pair.key, max_body="10", https="both")
    for visit, told in ((front.visit, ["max-age=31536000"]), (functools.partial(plainly, front), [])):
        front.root = pair.cert
        reply = visit("POST", "/echo", body=b"x" * 20)
        assert reply.status == 413 and reply.head.all("strict-transport-security") == told


@pytest.mark.parametrize("keys, told", [
    ({"hsts": "1h"}, ["max-age=3600"]), ({"set_header Strict-Transport-Security": "max-age=9; preload"}, ["max-age=9; preload"]),
    ({"hsts": "1h", "unset_header Strict-Transport-Security": ""}, []),
])
def test_the_other_name_is_for_tls_alone_too(served, folder, keys, told):
    pair = make_pair(folder, DOMAIN, [DOMAIN, "www.a.test"])
    front = served(www="add", cert_file=pair.cert, key_file=pair.key, https="both", **keys)
    front.root = pair.cert
    reply = front.visit()
    assert (reply.status, reply.head.all("strict-transport-security")) == (308, told)
    assert front.visit("GET", "/echo", name="www.a.test").head.all("strict-transport-security") == told
    assert plainly(front).head.all("strict-transport-security") == []


@pytest.mark.parametrize("policy, why", [
    ({"https": "maybe"}, "https"), ({"max_body": -1}, "max_body"), ({"max_body": "1"}, "max_body"),
    ({"set_header": {"Content-Length": "1"}}, "Content-Length"), ({"set_header": {"transfer-encoding": "x"}}, "transfer-encoding"),
    ({"set_header": {"X-A": "a\r\nX-B: b"}}, "X-A"), ({"set_header": {"X A": "a"}}, "X A"), ({"set_header": ["X-A"]}, "set_header"),
    ({"unset_header": ["X:"]}, "X:"), ({"unset_header": {"X": ""}}, "unset_header"), ({"hsts_s": 10**12}, "hsts_s"),
    ({"routes": ["api"]}, "api"), ({"routes": ["/a", "/a"]}, "twice"), ({"routes": ["/a/../b"]}, "/a/../b"),
    ({"error_page": ""}, "error_page"), ({"error_page": "x" * 24577}, "error_page"), ({"park_ms": 10**9}, "park_ms"), ([], "policy"),
])
def test_a_policy_that_is_wrong_is_refused_with_the_reason(edges, policy, why):
    edge = edges(items=[{"item": f"domain:{DOMAIN}", "aliases": [], "policy": policy}])
    edge.agent.start()
    (item,) = edge.agent.wait_heard("claimed")["items"]
    assert not item["ok"] and why in item["why"]


def test_members_of_later_versions_are_ignored(edges):
    edge = claimed(edges, {"of_version_9": {"x": [1]}, "max_body": 5})
    assert edge.visit("POST", "/", body=b"123456").status == 413
    assert edge.visit("POST", "/", body=b"12345").status == 200


# ---- longest body ----


def test_max_body(served, site):
    front = served(max_body="10k")
    assert front.visit("POST", "/echo", body=b"x" * 10240).status == 200
    with front.visitor() as visitor:
        visitor.send("POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10241\r\n\r\n")
        assert visitor.reply("POST").status == 413
    before = len(site.seen)
    with front.visitor() as visitor:
        visitor.send("POST /echo HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(11):
            visitor.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
        assert visitor.reply("POST").status == 413
    assert len(site.seen) == before


# ---- routes ----


def test_the_longest_path_that_covers_it_wins(edges):
    edge = claimed(edges, {"routes": ["/api", "/static/", "/api/v2"]})
    for target, route in (("/", None), ("/api", "/api"), ("/api/", "/api"), ("/api/users?x=/static", "/api"), ("/apis", None), ("/API", None),
            ("/api/v2", "/api/v2"), ("/api/v2/x", "/api/v2"), ("/api/v22", "/api"), ("/%61pi/x", "/api"), ("/api/../x", None),
            ("/x/../api/v2", "/api/v2"), ("//api", "/api"), ("/./api", "/api"), ("/api%2Fv2", "/api/v2"), ("/static", None),
            ("/static/a.css", "/static/"), ("/static/../api", "/api"), ("/x?/api", None), ("/api?q", "/api"), ("/api/v2?q", "/api/v2"),
    ):
        assert edge.visit("GET", target).status == 200
        used = [s.route for s in edge.agent.used if s.requests and s.requests[-1][0].target == target]
        assert used == [route], target


def test_a_stream_stays_with_its_route(edges):
    edge = claimed(edges, {"routes": ["/api"]})
    with edge.visitor() as visitor:
        for target in ("/", "/api", "/x", "/api/y"):
            assert visitor.ask("GET", target).status == 200
    assert sorted(((s.route or ""), [head.target for head, _ in s.requests]) for s in edge.agent.used) == [
        ("", ["/", "/x"]), ("/api", ["/api", "/api/y"])]


def test_routes_of_the_relay_itself(served, site, started):
    started.append(other := Site())
    front = served(**{"route /api": f"127.0.0.1:{other.port}"})
    assert front.visit("GET", "/echo").status == 200 and front.visit("GET", "/api?1").status == 200
    assert ([s.head.target for s in site.seen], [s.head.target for s in other.seen]) == (["/echo"], ["/api?1"])


# ---- names with letters beyond a-z ----


def test_a_name_in_both_its_forms(served, site):
    front = served(name="bücher.test", aliases="www.bücher.test *.bücher.test", https="both")
    assert [d["name"] for d in front.status()["domains"] if d["name"] != "other.test"] == ["xn--bcher-kva.test"]
    for host in ("xn--bcher-kva.test", "XN--BCHER-KVA.test.", "bücher.test", "BÜCHER.Test:80", "www.bücher.test", "kinder.bücher.test"):
        reply = plainly(front, "GET", "/echo", host=host)
        assert reply.status == 200 and site.seen[-1].head.raw.split(b"Host: ")[1].startswith(host.encode()), host
    assert front.visit("GET", "/echo", name="xn--bcher-kva.test").status == 200
    assert plainly(front, "GET", "/echo", host="bucher.test").status == 404


def test_a_path_of_the_relays_own_needs_no_agent(fronts, site):
    front = fronts("other.test")
    front.relay.conf.write_text(front.relay.conf.read_text() + f"[domain {DOMAIN}]\nroute /api = 127.0.0.1:{site.port}\n")
    front.start_relay()
    assert front.visit("GET", "/api").status == 200 and front.visit("GET", "/").status == 503


def test_no_hsts_by_anybody_over_our_own_root(edges):
    edge = claimed(edges, {"set_header": {"strict-transport-security": "max-age=1"}})
    assert edge.visit().head.all("strict-transport-security") == []
    edge = claimed(edges, {"hsts_s": 60})
    answering(edge, "Strict-Transport-Security: max-age=5\r\n")
    assert edge.visit().head.all("strict-transport-security") == []


def test_a_fifo_in_place_of_a_page_holds_up_nothing(served, folder):
    page = folder / "page.html"
    page.write_text("<p>{text}</p>")
    front = served(error_page=page, max_body="10k")
    page.unlink()
    os.mkfifo(page)
    done = run("tunnelctl", "--socket", front.relay.socket, "reload")
    assert done.code == 1 and "is a FIFO, not a file" in done.err + done.out
    assert front.visit("POST", "/echo", body=b"x" * 10241).status == 413  # as before


def test_the_longest_of_paths_is_resolved_to_its_end(edges):
    edge = claimed(edges, {"routes": ["/", "/api"]})
    for target in ("/" + "A" * 900 + "/../api", "/x" * 3000 + "/.." * 3000 + "/api/y", "/%2e" * 1000 + "/api"):
        assert edge.visit("GET", target).status == 200
        assert [s.route for s in edge.agent.used if s.requests and s.requests[-1][0].target == target] == ["/api"]
