"""While the house is away: requests wait for it, a few go at a time when it is back, and pages say what is down."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest

from fake_agent import FakeAgent
from http1 import content, content_sha256
from path import DOMAIN, WholePath, edges, fronts
from programs import limit, need, run, wait_until
from visitor import Visitor, context, request_bytes
from website import Site

LONG = "5m"


def parked(edge, name=DOMAIN):
    return next(site["parked"] for site in edge.status()["domains"] if site["name"] == name)


def wait_parked(edge, n=1, name=DOMAIN):
    wait_until(lambda: parked(edge, name) == n, f"{n} requests are parked")


@pytest.fixture
def away(edges):
    """The agent has never been there."""
    return edges(park=LONG)


def asking(edge, *what, **how):
    """A visitor who has asked, and waits."""
    visitor = edge.visitor()
    visitor.send(request_bytes(what[0] if what else "GET", visitor.host, *what[1:], **how))
    return visitor


def leave(edge):
    edge.agent.leave()
    wait_until(lambda: edge.site_state() in ("down", "parked"), "the lane is down")


def is_silent(visitor, seconds=0.3):
    visitor.socket.settimeout(seconds)
    try:
        return not visitor.socket.recv(1)
    except TimeoutError:
        return True
    finally:
        visitor.socket.settimeout(60)


# ---- parked ----


def test_a_request_waits_for_the_house(away):
    with asking(away) as visitor:
        wait_parked(away)
        assert away.site_state() == "parked"
        away.agent.start()
        assert visitor.reply().body.data == b"pi"
        assert away.site_state() == "up" and parked(away) == 0
        assert visitor.ask().status == 200  # the connection goes on
    assert len(away.agent.requests) == 2
    (site,) = away.status()["domains"]
    assert (site["requests"], site["errors"]) == (2, 0)


def test_a_lane_that_is_cut_and_comes_back(edges):
    edge = edges(park=LONG)
    edge.agent.start()
    assert edge.visit().status == 200
    for _ in range(2):
        leave(edge)
        with asking(edge, "POST", body=b"late") as visitor:
            wait_parked(edge)
            edge.agent.start()
            assert visitor.reply().status == 200
        assert edge.agent.requests[-1][1].data == b"late"


def test_ten_seconds_are_the_default(daemons):
    assert daemons("relay").start().options()["park"]["value"] == "10s"


@pytest.mark.parametrize("value", ["-1s", "301s", "10"])
def test_bounds_of_park(daemons, value):
    relay = daemons("relay", park=value)
    assert "park" in relay.refused() and "0s to 5m" in relay.log()


def test_no_longer_than_park(edges):
    edge = edges(park="1s")
    began = time.monotonic()
    reply = edge.visit()
    assert reply.status == 503 and time.monotonic() - began >= 1
    assert int(reply.head.get("retry-after")) > 0
    assert parked(edge) == 0 and edge.site_state() == "expected"


def test_not_at_all(edges):
    edge = edges(park="0s")
    began = time.monotonic()
    assert edge.visit().status == 503 and time.monotonic() - began < limit(0.5)


def test_each_site_may_say_how_long(edges):
    edge = edges("a.test b.test", park="0s")
    edge.agent.items = [{"item": "domain:a.test", "aliases": [], "policy": {"park_ms": 300000}},
                        {"item": "domain:b.test", "aliases": [], "policy": {}}]
    edge.agent.start()
    edge.wait_up()
    leave(edge)
    with asking(edge) as visitor:
        wait_parked(edge)
        assert edge.visit(name="b.test").status == 503
        edge.agent.start()
        assert visitor.reply().status == 200


def test_a_crowd_goes_at_a_pace(away):
    came = []

    def serve(stream):
        came.append(time.monotonic())
        stream.answer("well")

    away.agent.serve = serve
    with ThreadPoolExecutor(200) as pool:
        replies = [pool.submit(away.visit) for _ in range(200)]
        wait_parked(away, 200)
        away.agent.start()
        assert {reply.result().status for reply in replies} == {200}
    assert len(came) == 200
    assert max(came) - min(came) > 1  # 16 each tenth of a second


def test_too_many_are_answered_at_once(edges):
    edge = edges(park=LONG)
    visitors = [asking(edge) for _ in range(512)]
    wait_parked(edge, 512)
    assert edge.visit().status == 503
    visitors.pop().close()
    wait_parked(edge, 511)
    with asking(edge):
        wait_parked(edge, 512)
    for visitor in visitors:
        visitor.close()
    wait_parked(edge, 0)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_arrives_late_but_whole(edges, chunked, workers):
    edge, size = edges(park=LONG, workers=workers), 8 << 20

    def send(visitor):
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        visitor.send(f"POST / HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n\r\n")
        for piece in content(size):
            visitor.send_chunk(piece) if chunked else visitor.send(piece)
        if chunked:
            visitor.send("0\r\n\r\n")

    with edge.visitor() as visitor:
        sender = threading.Thread(target=send, args=(visitor,))
        sender.start()
        wait_parked(edge)
        assert sender.is_alive()  # he is not read
        edge.agent.start()
        sender.join()  # before anything is read: one connection of TLS is not for two threads at once
        assert visitor.reply().status == 200
    assert edge.agent.requests[0][1].sha256 == content_sha256(size)


def test_nobody_is_told_to_continue_while_parked(away):
    with away.visitor() as visitor:
        visitor.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        wait_parked(away)
        assert is_silent(visitor)
        away.agent.start()
        assert visitor.head().status == 100
        visitor.send("late")
        assert visitor.reply().status == 200
    assert away.agent.requests[0][1].data == b"late"


def close(visitor):
    visitor.close()


@pytest.mark.parametrize("goes", [close, Visitor.break_off])
@pytest.mark.parametrize("sent", [0, 10, 500000])
def test_who_leaves_makes_room(away, goes, sent):
    with asking(away) as stays:
        visitor = away.visitor()
        length = f"Content-Length: {sent * 2}\r\n" if sent else ""
        visitor.send(f"POST / HTTP/1.1\r\nHost: a.test\r\n{length}\r\n".encode() + b"x" * sent)
        wait_parked(away, 2)
        goes(visitor)
        wait_until(lambda: parked(away) == 1, "his place is free", timeout=limit(3))
        away.agent.start()
        assert stays.reply().status == 200
    assert len(away.agent.requests) == 1


def test_who_ends_his_side_may_wait(away):
    with asking(away) as visitor:
        wait_parked(away)
        socket.socket.shutdown(visitor.socket, socket.SHUT_WR)
        assert is_silent(visitor, 2.5)
        away.agent.start()
        assert visitor.reply().status == 200
        assert visitor.ended()


def test_who_is_not_read_and_ends_his_side_is_answered_at_once(away):
    with asking(away, "POST", body=b"late") as visitor:
        wait_parked(away)
        socket.socket.shutdown(visitor.socket, socket.SHUT_WR)
        assert visitor.reply().status == 503
        assert visitor.ended()


def test_who_cannot_be_told_from_who_is_gone_is_answered_at_once(away):
    with away.visitor(tls=context(away.root, version=ssl.TLSVersion.TLSv1_2)) as visitor:
        visitor.send(request_bytes("GET", visitor.host))
        wait_parked(away)
        socket.socket.shutdown(visitor.socket, socket.SHUT_WR)
        assert visitor.reply().status == 503
        assert visitor.ended()


def test_any_head_may_wait(edges):
    """As many fields as a head may have, and as long as it may be."""
    edge = edges(park=LONG, max_uri="1m", max_header="1m")
    many = "".join(f"Accept: {n}/html\r\n" for n in range(127))
    with asking(edge, "GET", "/", many) as first, asking(edge, "GET", "/" + "x" * 1000000) as second:
        wait_parked(edge, 2)
        edge.agent.start()
        assert first.reply().status == second.reply().status == 200
    assert len(edge.agent.requests[0][0].all("accept") + edge.agent.requests[1][0].all("accept")) == 127


def test_what_was_pipelined_follows(away):
    with away.visitor() as visitor:
        visitor.send(request_bytes("GET", "a.test", "/1") + request_bytes("GET", "a.test", "/2"))
        wait_parked(away)
        away.agent.start()
        assert [visitor.reply().status for _ in range(2)] == [200, 200]
    assert [head.target for head, _ in away.agent.requests] == ["/1", "/2"]


# ---- while the relay changes ----


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_answers_all_at_once(edges, workers):
    edge = edges(park=LONG, workers=workers, drain="60s")
    visitors = [asking(edge) for _ in range(20)]
    wait_parked(edge, 20)
    edge.relay.send(signal.SIGTERM)
    for visitor in visitors:
        assert visitor.reply().status == 503
        assert visitor.ended()
        visitor.close()
    assert edge.relay.wait(limit(5)) == 0


def test_a_second_signal_cuts(edges):
    edge = edges(park=LONG)
    with asking(edge, "POST", body=b"x" * 100) as visitor:
        wait_parked(edge)
        edge.relay.send(signal.SIGTERM)
        assert visitor.reply("POST").status == 503
        edge.relay.send(signal.SIGTERM)
        edge.relay.wait()


def rewrite(edge, old, new):
    text = edge.relay.conf.read_text()
    assert old in text
    edge.relay.conf.write_text(text.replace(old, new))
    assert edge.relay.post("/v1/reload").status == 200


def test_a_site_that_is_gone_is_unknown(away):
    with asking(away) as visitor:
        wait_parked(away)
        rewrite(away, "domains = a.test", "domains = other.test")
        assert visitor.reply().status == 404


def test_a_site_that_gets_an_upstream_meanwhile(away, started):
    site = Site()
    started.append(site)
    with asking(away, "GET", "/echo") as visitor:
        wait_parked(away)
        rewrite(away, "[agent pi]", f"[domain a.test]\nupstream = 127.0.0.1:{site.port}\n[agent pi]")
        assert visitor.reply().status == 200


def test_a_reload_alone_changes_nothing(away):
    with asking(away) as visitor:
        wait_parked(away)
        rewrite(away, "park = 5m", "park = 1s")
        assert is_silent(visitor, 1.5)
        away.agent.start()
        assert visitor.reply().status == 200


@pytest.fixture
def house(daemons, started, folder):
    made = WholePath(daemons, started, folder, park="1m")
    yield made
    made.close()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_relay_is_restarted_while_the_house_is_away(house, how):
    assert house.visit().status == 200
    house.agent.stop()
    getattr(house.relay, how)()
    house.start_relay()
    assert house.site_state() == "expected"
    with asking(house, "POST", "/echo", body=b"late") as visitor:
        wait_parked(house)
        house.agent.start()
        reply = visitor.reply()
        assert reply.status == 200 and b"POST /echo" in reply.body.data
    assert house.site.seen[-1].body.data == b"late"


def test_a_killed_agent_is_missed_by_nobody_who_may_ask_again(house):
    with asking(house, "GET", "/slow") as get, asking(house, "POST", "/slow", body=b"once") as post, \
            asking(house, "PUT", "/slow", body=b"twice") as put:
        wait_until(lambda: len(house.site.seen) == 3, "the site has seen them")
        house.agent.kill()
        assert post.reply().status == 502
        wait_parked(house, 2)
        house.site.gate.set()
        house.agent.start()
        assert get.reply().status == put.reply().status == 200
    bodies = [seen.body.data for seen in house.site.seen if seen.head.method == "PUT"]
    assert bodies == [b"twice", b"twice"]
    assert [seen.head.method for seen in house.site.seen].count("POST") == 1


def test_a_killed_ssh_session_too(house):
    with asking(house, "GET", "/slow") as visitor:
        wait_until(lambda: house.site.seen, "the site has seen it")
        os.kill(house.session().sshd, signal.SIGKILL)
        house.site.gate.set()
        assert visitor.reply().status == 200


# ---- curl ----


def curl(house, target, *args):
    """curl, started."""
    return subprocess.Popen([need("curl"), "-sS", "--cacert", house.root, "--resolve", f"a.test:{house.port}:127.0.0.1",
                             *args, f"https://a.test:{house.port}{target}"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, text=True)


def test_curl_is_parked_with_its_upload(house, folder):
    size = 3 << 20  # from 1 MiB on curl wants to be told to continue
    (folder / "upload").write_bytes(b"".join(content(size)))
    house.agent.stop()
    with curl(house, "/echo", "-T", folder / "upload") as upload, curl(house, "/echo") as get:
        wait_parked(house, 2)
        house.agent.start()
        assert f"{size} {content_sha256(size)}" in upload.communicate()[0]
        assert "GET /echo" in get.communicate()[0]


def test_a_killed_curl_makes_room(house):
    house.agent.stop()
    with curl(house, "/echo") as get:
        wait_parked(house)
        get.kill()
    wait_until(lambda: parked(house) == 0, "its place is free", timeout=limit(3))


# ---- a lane dies under a request ----


@pytest.fixture
def lanes(edges, started):
    """Two lanes of one agent; the first request of each method at all is lost with its stream."""
    edge = edges(park=LONG)
    edge.agent.start()
    other = FakeAgent(edge.lane_socket, [])
    other.items, other.boot, other.serial = edge.agent.items, edge.agent.boot, 1
    started.append(other)
    other.join()
    other.say("hello", v=1, boot=other.boot, lane=2, port=other.port, version="0.0")
    other.wait_heard("welcome")
    wait_until(lambda: edge.lane_states() == ["up", "up"], "both are up")
    edge.agents = [edge.agent, other]
    edge.seen = []

    def serve(stream):
        edge.seen.append(stream.requests[-1])
        if len(edge.seen) == 1:
            stream.explained = True
            stream.drop()
        else:
            stream.answer("well")

    for agent in edge.agents:
        agent.serve, agent.ended = serve, None
    return edge


@pytest.mark.parametrize("size", [0, 1, 30000, 65000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_held_is_sent_again(lanes, size, chunked):
    body = b"".join(content(size))
    with lanes.visitor() as visitor:
        if chunked:
            visitor.send("PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
            if body:
                visitor.send_chunk(body)
            visitor.send("0\r\nX-Sum: right\r\n\r\n")
        else:
            visitor.send(request_bytes("PUT", "a.test", "/", body=body))
        assert visitor.reply().body.data == b"well"
        assert visitor.ask().status == 200
    assert [(head.method, got.size, got.data) for head, got in lanes.seen[:2]] == [("PUT", size, body)] * 2
    if chunked:
        assert lanes.seen[1][1].trailers == b"X-Sum: right\r\n"


@pytest.mark.parametrize("method, size", [("PUT", 70000), ("POST", 10), ("PATCH", 0)])
def test_what_is_not_held_or_may_not_be_sent_twice_is_not(lanes, method, size):
    reply = lanes.visit(method, body=b"x" * size)
    assert reply.status == 502 and b"lost before it had answered" in reply.body.data
    assert len(lanes.seen) == 1


def test_the_last_lane_dies_with_a_request(edges):
    edge, gone = edges(park=LONG), threading.Event()

    def serve(stream):
        edge.agent.serve = lambda s: s.answer("well")
        edge.agent.leave()
        stream.explained = True
        stream.drop()
        gone.set()

    edge.agent.serve, edge.agent.ended = serve, None
    edge.agent.start()
    with asking(edge, "PUT", body=b"held") as visitor:
        assert gone.wait(60)
        wait_parked(edge)
        edge.agent.start()
        assert visitor.reply().body.data == b"well"
    assert [body.data for _, body in edge.agent.requests] == [b"held"] * 2


def test_what_kills_each_lane_is_given_up(edges):
    edge = edges(park=LONG)

    def serve(stream):
        edge.agent.leave()
        stream.explained = True
        stream.drop()
        threading.Thread(target=back).start()

    def back():
        wait_until(lambda: edge.site_state() != "up", "the lane is down")
        edge.agent.start()

    edge.agent.serve, edge.agent.ended = serve, None
    edge.agent.start()
    assert edge.visit().status == 502
    assert len(edge.agent.requests) == 4


# ---- pages ----


def facts(edge, accept="application/json", **how):
    reply = edge.visit(fields=f"Accept: {accept}\r\n", **how)
    assert reply.head.get("content-type") == accept and int(reply.head.get("content-length")) == reply.body.size
    said = json.loads(reply.body.data)
    assert said["status"] == reply.status and said["request_id"] == reply.head.get("x-request-id")
    assert re.fullmatch("[0-9a-f]{32}", said["request_id"])
    return said


def seconds_ago(text):
    return (datetime.now(timezone.utc) - datetime.fromisoformat(text.replace("Z", "+00:00"))).total_seconds()


def test_the_page_says_since_when(edges):
    edge = edges()
    edge.agent.start()
    edge.wait_up()
    leave(edge)
    reply = edge.visit()
    text = reply.body.data.decode()
    assert reply.status == 503 and reply.head.get("content-type") == "text/html; charset=utf-8"
    assert "is offline" in text and re.search(r"Since \d+ \w+ 20\d\d, \d\d:\d\d UTC", text)
    assert reply.head.get("x-request-id") in text
    said = facts(edge)
    assert said["cause"] == "offline" and said["title"] == "Service Unavailable" and "offline" in said["detail"]
    assert -1 <= seconds_ago(said["since"]) < limit(10)
    state = next(s["since"] for s in edge.status()["domains"])  # of the site, a moment after its agent's
    assert abs(seconds_ago(said["since"]) - seconds_ago(state)) < 1.5


def test_json_as_it_is_asked_for(edges):
    edge = edges()
    assert facts(edge, "application/json")["status"] == 503
    assert facts(edge, "application/problem+json")["status"] == 503
    for accept in ("*/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"):
        assert edge.visit(fields=f"Accept: {accept}\r\n").head.get("content-type") == "text/html; charset=utf-8"


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_head_has_no_body(edges, accept):
    edge = edges(park="1s")
    with edge.visitor() as visitor:
        reply = visitor.ask("HEAD", fields=f"Accept: {accept}\r\n")
        assert reply.status == 503 and reply.body.size == 0
        assert int(reply.head.get("content-length")) > 100 and reply.head.get("content-type").startswith(accept)
        assert visitor.ask("HEAD").status == 503  # nothing was left on the connection


@pytest.mark.parametrize("how, status, cause", [
    ("refused", 502, "refused"), ("unreachable", 502, "unreachable"), ("silent", 504, "silent"),
    ("reset", 502, "broken"), ("eof", 502, "broken"), (None, 502, "lost"),
])
def test_pages_tell_what_is_down(edges, how, status, cause):
    edge = edges()
    edge.agent.serve, edge.agent.ended = lambda stream: stream.end(how), how
    edge.agent.start()
    edge.wait_up()
    first = facts(edge)
    assert (first["status"], first["cause"]) == (status, cause)
    if cause not in ("refused", "unreachable", "silent"):
        assert first["since"] is None
        return
    assert -1 <= seconds_ago(first["since"]) < limit(10)
    time.sleep(1.1)
    assert facts(edge)["since"] == first["since"]
    edge.agent.serve = lambda stream: stream.answer("well")
    assert edge.visit().status == 200
    edge.agent.serve = lambda stream: stream.end(how)
    assert facts(edge)["since"] > first["since"]  # it was well in between


def test_pages_of_a_real_house(house, started):
    started.remove(house.site)
    house.site.end()
    assert facts(house)["cause"] == "refused"
    assert house.status()["domains"][0]["service_state"] == "refused"


def test_pages_that_are_for_no_site(edges):
    edge = edges()
    with edge.visitor() as visitor:
        reply = visitor.ask("GET", fields="Accept: application/json\r\n", host="other.test")
        assert reply.status == 404 and json.loads(reply.body.data)["request_id"] == reply.head.get("x-request-id")


def test_nothing_tells_what_we_are(edges):
    edge = edges()
    version = run("tunnelctl", "--version").out.split()[-1]
    for fields in ("", "Accept: application/json\r\n"):
        reply = edge.visit(fields=fields)
        text = (reply.head.raw + reply.body.data).decode().lower()
        assert "tunnel" not in text and "relay" not in text and version not in text and "server:" not in text


def test_the_log_names_the_request(edges, folder):
    log = folder / "access.log"
    edge = edges(access_log=log, access_log_format="json", park="1s")
    said = facts(edge)
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"), "the line is there")
    line = json.loads(log.read_text())
    assert line["request_id"] == said["request_id"] and line["status"] == 503 and line["domain"] == DOMAIN
    assert line["duration_ms"] >= 1000 and line["complete"] is True and line["lane"] is None


def test_the_log_of_a_parked_request(edges, folder):
    log = folder / "access.log"
    edge = edges(access_log=log, access_log_format="json", park=LONG)
    with asking(edge, "POST", body=b"late") as visitor:
        wait_parked(edge)
        edge.agent.start()
        assert visitor.reply().status == 200
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"), "the line is there")
    line = json.loads(log.read_text())
    assert (line["status"], line["agent"], line["domain"], line["bytes_in"]) == (200, "pi", DOMAIN, 4)


# ---- a site's own page ----

PAGE = """<!doctype html><style>h1{color:red} @media print{h1{color:black}}</style>
<h1>Oh no: {status} {title}</h1><p>{text} ({since}) at {domain}, request {request_id}, ünïcödé { title }
"""


def check_own_page(edge, reply, since=True):
    text = reply.body.data.decode()
    assert reply.status == 503 and reply.head.get("content-type") == "text/html; charset=utf-8"
    assert text.startswith("<!doctype html><style>h1{color:red} @media print{h1{color:black}}</style>")
    assert "<h1>Oh no: 503 Service Unavailable</h1>" in text and "is offline. (" in text
    assert f"at {DOMAIN}, request {reply.head.get('x-request-id')}, ünïcödé {{ title }}" in text
    assert not since or re.search(r"\(\d+ \w+ 20\d\d, \d\d:\d\d UTC\)", text)


def test_the_agent_brings_a_page(edges):
    edge = edges()
    edge.agent.items[0]["policy"] = {"error_page": PAGE}
    edge.agent.start()
    edge.wait_up()
    leave(edge)
    check_own_page(edge, edge.visit())
    assert facts(edge)["status"] == 503  # JSON is for programs
    edge.relay.stop()
    edge.start_relay()
    check_own_page(edge, edge.visit())  # it is remembered


def test_the_relay_has_a_page(edges, folder):
    page = folder / "error.html"
    page.write_text(PAGE)
    edge = edges()
    rewrite(edge, "[agent pi]", f"[domain a.test]\nerror_page = {page}\n[agent pi]")
    wait_until(lambda: b"<style>" in edge.visit().body.data, "workers follow a reload soon, not at once")
    check_own_page(edge, edge.visit())
    page.write_text(PAGE + "changed")
    assert edge.relay.post("/v1/reload").status == 200
    wait_until(lambda: edge.visit().body.data.endswith(b"changed"), "the page is the new one")


@pytest.mark.parametrize("role", ["relay", "agent"])
@pytest.mark.parametrize("text, wrong", [
    (b"line\n<p>{statsu}", "line 2: {statsu} is no placeholder; there are {status}"),
    (b"\xff", "not UTF-8"),
    (b"x" * (24 * 1024 + 1), "larger than"),
    (b"", "empty"),
])
def test_a_page_that_is_wrong(daemons, folder, role, text, wrong):
    page = folder / "error.html"
    page.write_bytes(text)
    daemon = daemons(role)
    daemon.conf.write_text(daemon.conf.read_text() + f"[domain a.test]\nerror_page = {page}\n"
                           + ("service = http://127.0.0.1:1\n" if role == "agent" else ""))
    result = run(f"tunnel-{role}", "--check", "-c", daemon.conf)
    assert result.code == 1
    (error,) = [line for line in result.errors if "error_page" in line]
    assert wrong in error and str(page) in error


def test_a_claim_with_a_page_that_is_wrong_is_refused(edges):
    edge = edges()
    edge.agent.items[0]["policy"] = {"error_page": "{nonsense}"}
    edge.agent.start()
    (answer,) = edge.agent.wait_heard("claimed")["items"]
    assert not answer["ok"] and "{nonsense} is no placeholder" in answer["why"]
