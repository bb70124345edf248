"""The edge: TLS, routing and HTTP/1.1 between a visitor and a service that does what it wants. The service's bytes come
from the fake agent, so they are exactly what each test says."""

from __future__ import annotations

import socket
import ssl
import time
from email.utils import parsedate_to_datetime

import pytest

from http1 import Peer
from path import edge, edges, fronts
from programs import PATIENCE_S, wait_until
from visitor import connect, context, request_bytes


def serving(edge, data, end=True):
    """Lets the service answer each request with these bytes, and then end the connection or not."""

    def serve(stream):
        stream.send(data)
        if end:
            stream.end(edge.agent.ended)

    edge.agent.serve = serve


def sent_page(reply):
    """True for a page of our own, that does not say who made it."""
    text = reply.head.raw + reply.body.data
    return (reply.head.get("content-type") == "text/html; charset=utf-8" and str(reply.status).encode() in text and
            reply.head.get("server") is None and b"tunnel" not in text.lower() and b"0.1" not in text)


# ---- TLS ----


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_versions_and_alpn(edge, version):
    with Peer(connect(edge.port, context(edge.root, ["h3", "http/1.1"], version), "a.test")) as visitor:
        assert visitor.socket.version() == version.name.replace("_", ".")
        assert visitor.socket.selected_alpn_protocol() == "http/1.1"
        visitor.send(request_bytes("GET", "a.test"))
        assert visitor.head().status == 200


def test_alpn_is_not_needed(edge):
    with Peer(connect(edge.port, context(edge.root, []), "a.test")) as visitor:
        assert visitor.socket.selected_alpn_protocol() is None
        visitor.send(request_bytes("GET", "a.test"))
        assert visitor.head().status == 200


@pytest.mark.parametrize("name", ["a.test", "A.Test", "www.a.test", "b.test", "any.w.test"])
def test_the_certificate_is_the_names(edge, name):
    with edge.visitor(name) as visitor:
        assert visitor.ask().status == 200


@pytest.mark.parametrize("name", ["other.test", "w.test", "x.y.w.test", "x.a.test", None])
def test_an_unknown_name_is_refused(edge, name):
    tls = context(edge.root)
    tls.check_hostname = False
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        connect(edge.port, tls, name)


def test_an_unknown_protocol_is_refused(edge):
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        connect(edge.port, context(edge.root, ["h3"]), "a.test")


def test_an_old_version_is_refused(edge):
    tls = context(edge.root)
    tls.set_ciphers("DEFAULT:@SECLEVEL=0")
    tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        connect(edge.port, tls, "a.test")


@pytest.mark.parametrize("hello", [b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(64)])
def test_what_is_not_tls_is_closed(edge, hello):
    with socket.create_connection(("127.0.0.1", edge.port), PATIENCE_S) as s:
        s.sendall(hello)
        s.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while piece := s.recv(4096):
                answer += piece
        except ConnectionResetError:
            pass
        assert len(answer) <= 7  # an alert
    assert edge.visit().status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed_by_its_own_site_only(edge, version):
    tls = context(edge.root, version=version)
    with edge.visitor(tls=tls) as visitor:
        assert visitor.ask().status == 200  # and by now the ticket has come
        session = visitor.socket.session
    with edge.visitor(tls=tls, session=session) as visitor:
        assert visitor.socket.session_reused
        assert visitor.ask().status == 200
    with edge.visitor("b.test", tls=tls, session=session) as visitor:
        assert not visitor.socket.session_reused
        assert visitor.ask().status == 200
        assert visitor.ask(host="a.test").status == 421


# ---- answers of our own ----


@pytest.mark.parametrize("host, status", [
    ("a.test", 200), ("A.TEST:443", 200), ("a.test:", 200), ("a.test.", 200), ("www.a.test", 200),
    ("b.test", 421), ("x.w.test", 421), ("other.test", 404), ("w.test", 404), ("127.0.0.1", 404), ("[::1]:8443", 404),
])
def test_the_host_decides(edge, host, status):
    reply = edge.visit(host=host)
    assert reply.status == status
    assert status == 200 or sent_page(reply)


@pytest.mark.parametrize("request_, status", [
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost : a.test\r\n\r\n", 400),
    ("GET / HTTP/1.1\nHost: a.test\n\n", 400),
    ("GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
    ("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (f"GET /{'a' * 20000} HTTP/1.1\r\nHost: a.test\r\n\r\n", 414),
    (f"GET / HTTP/1.1\r\nHost: a.test\r\nX: {'a' * 70000}\r\n\r\n", 431),
    ("GET / HTTP/1.1\r\nHost: a.test\r\nExpect: miracles\r\n\r\n", 417),
    ("GET / HTTP/2.7\r\nHost: a.test\r\n\r\n", 505),
    ("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 405),
])
def test_what_no_service_should_see(edge, request_, status):
    with edge.visitor() as visitor:
        visitor.send(request_ + "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n")
        reply = visitor.reply()
        assert (reply.status, reply.head.get("connection")) == (status, "close")
        assert sent_page(reply)
        assert visitor.ended()
    assert edge.agent.requests == []


def test_every_answer_says_when_it_came(edge):
    serving(edge, b"HTTP/1.1 204 No Content\r\n\r\n")
    for host, status in ("a.test", 204), ("b.test", 421), ("other.test", 404):
        reply = edge.visit(host=host)
        when, = reply.head.all("date")
        assert reply.status == status and abs(parsedate_to_datetime(when).timestamp() - time.time()) < 60
    serving(edge, b"HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n")
    assert edge.visit().head.all("date") == ["Sun, 06 Nov 1994 08:49:37 GMT"]


@pytest.mark.parametrize("request_, status", [
    ("HEAD / HTTP/1.1\r\n\r\n", 400),
    (f"HEAD /{'a' * 20000} HTTP/1.1\r\nHost: a.test\r\n\r\n", 414),
    ("HEAD / HTTP/1.1\r\nHost: other.test\r\n\r\n", 404),
    ("HEAD / HTTP/1.1\r\nHost: b.test\r\n\r\n", 421),
], ids=["bad", "long", "unknown", "misdirected"])
def test_pages_for_head_have_no_body(edge, request_, status):
    with edge.visitor() as visitor:
        visitor.send(request_)
        reply = visitor.reply("HEAD")
        assert reply.status == status and int(reply.head.get("content-length")) > 0
        assert visitor.ended()


def test_connect_is_told_what_is_allowed(edge):
    with edge.visitor() as visitor:
        visitor.send("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n")
        reply = visitor.reply()
        assert reply.status == 405 and "GET" in reply.head.get("allow") and "CONNECT" not in reply.head.get("allow")


@pytest.mark.parametrize("method, target", [("OPTIONS", "*"), ("GET", "/"), ("POST", "/"), ("options", "/")])
def test_an_absolute_form_without_a_path(edge, method, target):
    with edge.visitor() as visitor:
        assert visitor.ask(method, f"https://{visitor.host}").status == 200
    assert edge.agent.requests[0][0].first == f"{method} {target} HTTP/1.1"


@pytest.mark.parametrize("how, status", [("refused", 502), ("unreachable", 502), ("silent", 504), ("reset", 502),
                                         ("eof", 502), (None, 502)])
def test_a_service_that_gives_no_answer(edge, how, status):
    edge.agent.serve = lambda stream: stream.end(how)
    edge.agent.ended = how
    with edge.visitor() as visitor:
        for method in ("GET", "HEAD", "POST"):
            reply = visitor.ask(method)
            assert reply.status == status
            assert sent_page(reply) or method == "HEAD" and reply.body.size == 0
    assert len(edge.agent.requests) == 3  # on three new streams: nothing was tried twice


@pytest.mark.parametrize("answer", [
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nxx",
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    b"HTTP/1.1 200 OK\r\n folded\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Len",
])
def test_a_service_that_does_not_speak_http(edge, answer):
    serving(edge, answer)
    with edge.visitor() as visitor:
        reply = visitor.ask()
        assert reply.status == 502 and sent_page(reply)
        edge.agent.serve = lambda stream: stream.answer("well again")
        assert visitor.ask().body.data == b"well again"


def test_a_site_without_a_lane(fronts):
    front = fronts()
    front.start_relay()
    with front.visitor() as visitor:
        reply = visitor.ask()
        assert reply.status == 503 and sent_page(reply)
        assert int(reply.head.get("retry-after")) > 0
        assert visitor.ask("POST", body=b"x" * 1000).status == 503
    site = front.status()["domains"][0]
    assert (site["state"], site["requests"], site["errors"]) == ("expected", 2, 2)


def test_a_site_whose_agent_has_left(edge):
    edge.agent.leave()
    wait_until(lambda: edge.site_state() == "down", "the lane is down")
    assert edge.visit().status == 503


# ---- what the service sees ----

SPOOFED = """\
X-Forwarded-For: 10.0.0.1
x-forwarded-for: 10.0.0.2
X_Forwarded_For: 10.0.0.3
X-FORWARDED_PROTO: http
X-Forwarded-Proto: http
X-Forwarded-Host: evil.test
X-Forwarded-Port: 1
X-Real-IP: 10.0.0.4
X_Real_IP: 10.0.0.5
Forwarded: for=10.0.0.6
X-Request-ID: chosen
X_Request_ID: chosen
""".replace("\n", "\r\n")


def test_who_asks_is_told_by_the_relay_alone(edge):
    edge.visit(fields=SPOOFED)
    head, _ = edge.agent.requests[0]
    host = f"a.test:{edge.port}"
    assert head.get("x-forwarded-for") == head.get("x-real-ip") == "127.0.0.1"
    assert head.get("x-forwarded-proto") == "https"
    assert head.get("x-forwarded-host") == head.get("host") == host
    assert head.get("x-forwarded-port") == str(edge.port)
    assert head.get("forwarded") == f'for=127.0.0.1;host="{host}";proto=https'
    assert len(head.get("x-request-id")) == 32
    assert b"10.0.0." not in head.raw and b"evil" not in head.raw and b"chosen" not in head.raw
    assert not any("_" in name for name, _ in head.fields)


def test_each_request_has_an_id_of_its_own(edge):
    with edge.visitor() as visitor:
        for _ in range(3):
            visitor.ask()
    assert len({head.get("x-request-id") for head, _ in edge.agent.requests}) == 3


def test_other_fields_arrive_as_they_were(edge):
    fields = "Cookie: a=1; b=2\r\naCCept: */*\r\nX-Two: 1\r\nX-Two: 2\r\nX-Under_Score: kept\r\nX-Umlaut: \u00e4\r\n"
    with edge.visitor() as visitor:
        visitor.ask("GET", "/p%20a/th?q=%2f&x=a+b", fields, host="A.Test")
    head, _ = edge.agent.requests[0]
    assert head.first == "GET /p%20a/th?q=%2f&x=a+b HTTP/1.1"
    assert head.raw.split(b"\r\nX-Forwarded-For")[0] == f"{head.first}\r\nHost: A.Test\r\n{fields}".encode()[:-2]


HOPS = ("Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: secret\r\nProxy-Connection: x\r\nTE: gzip\r\n"
        "Upgrade: h2c\r\nX-Stays: yes\r\n")


def test_hop_by_hop_fields_end_at_the_relay(edge):
    serving(edge, f"HTTP/1.1 200 OK\r\n{HOPS}Content-Length: 2\r\n\r\nok".encode(), end=False)
    reply = edge.visit(fields=HOPS)
    head, _ = edge.agent.requests[0]
    for seen in (head, reply.head):
        assert seen.get("x-stays") == "yes"
        for name in ("connection", "keep-alive", "x-hop", "proxy-connection", "te", "upgrade"):
            assert seen.get(name) is None, name
    assert reply.body.data == b"ok"


def test_an_alias_and_a_wildcard_use_streams_of_their_item(edge):
    for name, item in (("www.a.test", "domain:a.test"), ("x.w.test", "domain:*.w.test"), ("b.test", "domain:b.test")):
        with edge.visitor(name) as visitor:
            visitor.ask()
            visitor.ask()
        (stream,) = [s for s in edge.agent.used if s.item == item]
        assert [head.get("host") for head, _ in stream.requests] == [visitor.host] * 2
