"""[domain NAME] upstream = HOST:PORT: a site without any agent, such as behind a hand-made `ssh -R`."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
import time

import pytest

from clock import Clock
from http1 import Cut, content_sha256
from path import DOMAIN, edges, fronts
from programs import PATIENCE_S, limit, wait_until
from sshd import free_port
from stock import plain_agent, wait_state
from website import Site


@pytest.fixture
def site(started):
    started.append(Site())
    return started[-1]


def add_domain(front, upstream, name=DOMAIN, **keys):
    lines = [f"[domain {name}]", f"upstream = {upstream}", *(f"{key} = {value}" for key, value in keys.items())]
    front.relay.conf.write_text(front.relay.conf.read_text() + "\n".join(lines) + "\n")


def reload(front):
    before = front.relay.log().count("reloaded")
    front.relay.send(signal.SIGHUP)
    front.relay.wait_log("reloaded", before + 1)


def is_served(front, name):
    """Workers follow a reload soon, not at once."""
    try:
        return front.visit("GET", "/echo", name=name).status == 200
    except ssl.SSLError:
        return False


@pytest.fixture
def stock(fronts):
    """stock("127.0.0.1:1337") is a relay, started, with that upstream for a.test and no agent's site."""

    def make(upstream, name=DOMAIN, start=True, **keys):
        front = fronts("other.test")
        add_domain(front, upstream, name, **keys)
        if start:
            front.start_relay()
        return front

    return make


def test_requests_go_there_and_connections_are_kept(stock, site):
    front = stock(f"127.0.0.1:{site.port}", aliases="www.a.test")
    with front.visitor() as visitor:
        for _ in range(5):
            assert visitor.ask("GET", "/echo").status == 200
        assert visitor.ask("POST", "/echo", body=b"x" * 1000).status == 200
    assert site.connections == 1
    head = site.seen[0].head
    assert head.get("host").startswith(DOMAIN) and head.get("x-forwarded-for") == "127.0.0.1"
    assert head.get("x-forwarded-proto") == "https" and head.raw.startswith(b"GET /echo HTTP/1.1\r\n")
    assert front.visit("GET", "/echo", name="www.a.test").status == 200


def test_status(stock, site, ctl):
    front = stock(f"127.0.0.1:{site.port}", aliases="www.a.test")
    front.visit()
    found = next(d for d in front.status()["domains"] if d["name"] == DOMAIN)
    assert found["agents"] == [] and found["state"] == "up" and found["upstream"] == f"127.0.0.1:{site.port}"
    assert found["aliases"] == ["www.a.test"] and found["requests"] == 1 and found["errors"] == 0
    assert found["cert"]["state"] == "valid" and found["cert"]["names"] == [DOMAIN, "www.a.test"]
    assert f"127.0.0.1:{site.port}" in ctl("status", at=front.relay).out


def test_bodies_both_ways(stock, site):
    front = stock(f"127.0.0.1:{site.port}")
    for kind in ("bytes", "chunked", "until-close"):
        reply = front.visit("GET", f"/{kind}/20000000/3")
        assert reply.status == 200 and reply.body.sha256 == content_sha256(20000000, 3), kind
    body = b"0123456789abcdef" * 2000000
    assert front.visit("POST", "/echo", body=body).status == 200
    assert site.seen[-1].body.size == len(body)


def test_a_service_that_does_not_read_holds_its_visitor(stock, site):
    front = stock(f"127.0.0.1:{site.port}")
    before = front.relay.memory_kb
    with front.visitor() as visitor:
        visitor.send(b"POST /slow-read HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n")
        sent = []

        def pour():
            for _ in range(1000):
                visitor.send(b"x" * 100000)
                sent.append(100000)

        thread = threading.Thread(target=pour)
        thread.start()
        wait_until(lambda: (len(sent), time.sleep(0.7))[0] == len(sent), "a standstill")
        assert sum(sent) < 50000000 and front.relay.memory_kb <= before + 16384
        site.gate.set()
        thread.join()
        assert visitor.reply("POST").status == 200
    assert site.seen[-1].body.size == 100000000


def test_an_answer_that_breaks_off_is_a_reset(stock, site):
    front = stock(f"127.0.0.1:{site.port}")
    with pytest.raises(Exception):
        front.visit("GET", "/broken/100000")
    assert front.visit("GET", "/echo").status == 200


def test_a_visitor_who_leaves_resets_the_service(stock, site):
    front = stock(f"127.0.0.1:{site.port}")
    with front.visitor() as visitor:
        visitor.send(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
        wait_until(lambda: site.seen, "the request has come")
    site.gate.set()
    wait_until(lambda: not site._peers, "the service's connection has ended")
    assert front.visit("GET", "/echo").status == 200


def test_refused_is_502_and_comes_back(stock, started):
    port = free_port()
    front = stock(f"127.0.0.1:{port}")
    assert front.visit().status == 502
    assert front.visit("POST", "/", body=b"x").status == 502
    assert next(d for d in front.status()["domains"] if d["name"] == DOMAIN)["errors"] == 2
    server = socket.create_server(("127.0.0.1", port))
    try:
        threading.Thread(target=lambda: serve_once(server), daemon=True).start()
        assert front.visit().status == 200
    finally:
        server.close()


def serve_once(server):
    sock = server.accept()[0]
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    sock.close()


def test_no_such_name_is_502(stock):
    assert stock("no-such-host.invalid:80").visit().status == 502


@pytest.mark.slow
def test_silence_is_504(stock):
    """A queue that is full: further connections get no answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        fill = []
        for _ in range(4):
            c = socket.socket()
            c.setblocking(False)
            c.connect_ex(("127.0.0.1", port))
            fill.append(c)
        assert stock(f"127.0.0.1:{port}").visit().status == 504
        for c in fill:
            c.close()


# ---- nothing moves for five minutes ----


@pytest.fixture
def patient(stock, site, folder):
    """A relay for which time goes by as fast as front.clock says."""
    front = stock(f"127.0.0.1:{site.port}", start=False)
    front.clock = Clock(folder)
    front.relay.start(**{"env": front.clock.environment, **front.spawning()})
    return front


@pytest.mark.parametrize("request_", [
    b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"HEAD /slow HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"POST /slow HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /slow-read HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n",
], ids=["get", "head", "post", "upload"])
def test_a_service_that_says_nothing_is_504(patient, site, request_):
    with patient.visitor() as visitor:
        visitor.send(request_)
        if b"slow-read" in request_:
            visitor.socket.settimeout(1)  # so long after the last byte that was taken
            with pytest.raises(TimeoutError):
                while True:
                    visitor.send(bytes(65536))
            visitor.socket.settimeout(PATIENCE_S)
        else:
            wait_until(lambda: site.seen, "the request has come")
        patient.clock.wait(290)
        time.sleep(limit(0.5))
        patient.clock.wait(20)
        reply = visitor.reply(request_.split()[0].decode())
        assert (reply.status, reply.head.get("connection")) == (504, "close")
        assert visitor.ended()
    site.gate.set()
    wait_until(lambda: not site._peers, "the service's connection has ended")
    assert patient.visit("GET", "/echo").status == 200


def test_a_service_that_goes_silent_breaks_its_answer(patient, site):
    site.events.put(b"data: 1\n\n")
    with patient.visitor() as visitor:
        visitor.send(b"GET /events HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert visitor.head().status == 200 and visitor.exactly(14) == b"9\r\ndata: 1\n\n\r\n"
        patient.clock.wait(310)
        with pytest.raises((Cut, ConnectionResetError, ssl.SSLEOFError)):
            visitor.line()
        assert visitor.was_reset()


def counted(front):
    (site,) = [d for d in front.status()["domains"] if d["name"] == DOMAIN]
    return site["requests"], site["errors"]


def test_a_visitor_who_says_nothing_is_closed(patient):
    with patient.visitor() as visitor:
        visitor.send(b"POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc")
        wait_until(lambda: counted(patient) == (1, 0), "the request has come")
        time.sleep(limit(0.1))
        patient.clock.wait(310)
        assert visitor.ended()
    assert counted(patient) == (1, 0)


def test_a_kept_connection_that_has_ended_is_not_noticed(stock, started):
    """The service closes behind each answer without saying so: the next visitor gets another connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                serve_once(server)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    front = stock(f"127.0.0.1:{server.getsockname()[1]}")
    with front.visitor() as visitor:
        for _ in range(20):
            assert visitor.ask("GET", "/").status == 200
    server.close()


def test_a_name_as_upstream_and_a_wildcard(stock, site):
    front = stock(f"localhost:{site.port}", "*.a.test")
    assert front.visit(name="x.a.test").status == 200


def test_a_visitor_who_leaves_during_the_dial(stock):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        fill = [socket.socket() for _ in range(4)]
        for c in fill:
            c.setblocking(False)
            c.connect_ex(("127.0.0.1", port))
        front = stock(f"127.0.0.1:{port}")
        for _ in range(5):
            with front.visitor() as visitor:
                visitor.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc")
                time.sleep(0.05)
        assert front.status()["role"] == "relay"
        for c in fill:
            c.close()


def test_reload_moves_adds_and_removes(stock, site, started):
    second = Site()
    started.append(second)
    front = stock(f"127.0.0.1:{site.port}")
    plain = front.relay.conf.read_text()
    with front.visitor() as visitor:
        assert visitor.ask("GET", "/echo").status == 200
        front.relay.conf.write_text(plain.replace(str(site.port), str(second.port)))
        reload(front)
        wait_until(lambda: visitor.ask("GET", "/echo").status == 200 and second.connections, "the new upstream")
    add_domain(front, f"127.0.0.1:{site.port}", "b.test")
    reload(front)
    wait_until(lambda: is_served(front, "b.test"), "the new site")
    front.relay.conf.write_text(plain.partition("[domain ")[0])
    reload(front)
    wait_until(lambda: front.site_state() is None, "the site is gone")


def test_it_wins_over_an_agent(edges, site):
    front = edges("a.test b.test", ["a.test", "b.test"])
    front.agent.start()
    front.wait_up()
    add_domain(front, f"127.0.0.1:{site.port}")
    reload(front)
    wait_until(lambda: any("upstream" in d for d in front.status()["domains"]), "the section is followed")
    found = {d["name"]: d["agents"] for d in front.status()["domains"]}
    assert found == {"a.test": [], "b.test": ["pi"]}
    wait_until(lambda: front.visit("GET", "/echo").status == 200 and site.connections, "the upstream is asked")


def test_a_hand_made_tunnel(stock, sshd, site):
    """ssh -R, as people have it, behind the relay's upstream; when it is killed the answer is 502."""
    client, port = sshd.forward_back(site.port)
    front = stock(f"127.0.0.1:{port}")
    with front.visitor() as visitor:
        for _ in range(3):
            assert visitor.ask("GET", "/echo").status == 200
    reply = front.visit("GET", "/bytes/10000000/5")
    assert reply.body.sha256 == content_sha256(10000000, 5)
    client.terminate()
    client.communicate()
    wait_until(lambda: front.visit().status == 502, "the tunnel is missed")


def test_with_a_plain_agent(stock, sshd, site, daemons):
    """Both stock halves together: the agent's plain forward on sshd, and behind it the relay's upstream."""
    port = free_port()
    agent = plain_agent(daemons, sshd, port, site.url).start()
    wait_state(agent, "up")
    front = stock(f"127.0.0.1:{port}")
    for _ in range(3):
        assert front.visit("GET", "/echo").status == 200
    body = b"0123456789abcdef" * 500000
    assert front.visit("POST", "/echo", body=body).status == 200 and site.seen[-1].body.size == len(body)
    assert front.visit("GET", "/chunked/10000000/5").body.sha256 == content_sha256(10000000, 5)
    agent.stop()
    assert front.visit().status == 502
