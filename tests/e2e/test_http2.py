"""HTTP/2 for visitors: what curl, h2load and a client with its own frames get, through the whole path and from a fake agent."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import threading

import pytest

from http1 import content, content_sha256
from http2 import Visitor2
from path import DOMAIN, edge, edges, fronts, path
from programs import PATIENCE_S, limit, need, wait_until
from test_ports import up
from visitor import connect, context

MB = 1_000_000
PROTOCOL_ERROR, NO_ERROR, INTERNAL_ERROR, CANCEL, ENHANCE_YOUR_CALM = 1, 0, 2, 8, 11


def curl(front, target, *args):
    command = [need("curl"), "-sS", "--http2", "--cacert", front.root, "--resolve", f"{DOMAIN}:{front.port}:127.0.0.1", *args,
               f"https://{DOMAIN}:{front.port}{target}"]
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S * 2,
                          check=False)


def visitor(front, name=DOMAIN, **how):
    return Visitor2(front.port, front.root, name, **how)


# ---- what is spoken ----


@pytest.mark.parametrize("offered, spoken", [(("h2", "http/1.1"), "h2"), (("http/1.1", "h2"), "h2"), (("http/1.1",), "http/1.1"),
                                             ((), None)])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_it_is_preferred_where_it_is_offered(edge, offered, spoken, version):
    with connect(edge.port, context(edge.root, offered, version), DOMAIN) as sock:
        assert sock.selected_alpn_protocol() == spoken


def test_it_can_be_turned_off(edges):
    edge = up(edges(http2="off"))
    with connect(edge.port, context(edge.root, ("h2", "http/1.1")), DOMAIN) as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"
    edge.relay.conf.write_text(edge.relay.conf.read_text().replace("http2 = off", "http2 = on"))
    assert edge.relay.post("/v1/reload").status == 200

    def chosen():
        with connect(edge.port, context(edge.root, ("h2", "http/1.1")), DOMAIN) as sock:
            return sock.selected_alpn_protocol()

    wait_until(lambda: chosen() == "h2", "each worker has heard of it")


# ---- curl and h2load ----


def test_curl_and_what_the_service_sees(path):
    done = curl(path, "/echo?a=b", "-w", "%{http_version} %{http_code}", "-H", "Cookie: a=1", "-H", "X-Up: UP")
    text = done.stdout.decode()
    assert text.endswith("2 200"), done
    assert text.startswith("GET /echo?a=b HTTP/1.1\r\n")
    for line in (rf"Host: {DOMAIN}:{path.port}", r"x-up: UP", r"cookie: a=1", r"X-Forwarded-Proto: https",
                 rf"X-Forwarded-Host: {DOMAIN}:{path.port}"):
        assert re.search(rf"^{line}\r$", text, re.MULTILINE), (line, text)


def test_100_mb_both_ways_with_curl(path, folder):
    down = folder / "down"
    assert curl(path, f"/bytes/{100 * MB}/1", "-o", down).returncode == 0
    assert down.stat().st_size == 100 * MB
    assert subprocess.run(["sha256sum", down], capture_output=True, text=True, check=True).stdout.split()[0] == content_sha256(100 * MB, 1)
    with (folder / "up").open("wb") as up_file:
        for piece in content(100 * MB, 2):
            up_file.write(piece)
    for how in (["-T", folder / "up"], ["-T", folder / "up", "-H", "Content-Length:"]):
        assert curl(path, "/echo", *how).returncode == 0
        assert path.site.seen[-1].body.sha256 == content_sha256(100 * MB, 2)


def test_h2load_with_100_streams(path):
    done = subprocess.run([need("h2load"), "-n", "2000", "-c", "2", "-m", "100", f"--connect-to=127.0.0.1:{path.port}",
                           f"https://{DOMAIN}:{path.port}/bytes/1000"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done
    assert len(path.site.seen) == 2000


# ---- requests and responses ----


def test_100_streams_at_once(path):
    with visitor(path) as v:
        streams = [v.ask("GET", f"/bytes/{1000 * n}/{n}") for n in range(100)]
        for n, stream in enumerate(streams):
            reply = v.reply(stream)
            assert (reply.status, reply.size, reply.sha256) == (200, 1000 * n, content_sha256(1000 * n, n))


@pytest.mark.parametrize("kind", ["bytes", "chunked", "until-close"])
def test_every_framing_of_a_service(path, kind):
    with visitor(path) as v:
        reply = v.get("GET", f"/{kind}/200000/3")
    assert (reply.status, reply.sha256) == (200, content_sha256(200000, 3))
    names = {name for name, _ in reply.fields}
    assert not names & {"connection", "transfer-encoding", "keep-alive"} and all(name == name.lower() for name in names)
    assert reply.trailers == ([("x-sum", "right")] if kind == "chunked" else [])


def test_heads_without_bodies(edge):
    edge.agent.serve = lambda s: s.send("HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n" if "204" in s.requests[-1][0].target
                                        else "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n" if "304" in s.requests[-1][0].target
                                        else "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
    with visitor(edge) as v:
        for method, target, status in (("GET", "/204", 204), ("GET", "/304", 304), ("HEAD", "/", 200)):
            reply = v.get(method, target)
            assert (reply.status, reply.size) == (status, 0)
        assert dict(reply.fields)["content-length"] == "7"


def test_interim_answers(edge):
    edge.agent.serve = lambda s: s.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
                                        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    with visitor(edge) as v:
        reply = v.get("POST", "/", [("expect", "100-continue")], b"body")
        assert [dict(fields)[":status"] for fields in reply.interim] == ["100", "103"]
        assert (reply.status, reply.beginning) == (200, b"hi")


def test_what_a_request_becomes(edge):
    with visitor(edge) as v:
        for ask in (("POST", "/x", [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers"), ("content-length", "4")], b"body"),
                    ("POST", "/y", [("trailer", "x-sum")], b"longer", [("x-sum", "42")]), ("PUT", "/z", (), b"")):
            reply = v.get(*ask)
            assert reply.reset is None and reply.status == 200, (ask, reply.reset, reply.fields, reply.beginning)
    (first, first_body), (second, second_body), (third, _) = edge.agent.requests
    assert first.all("cookie") == ["a=1; b=2"] and first.get("te") == "trailers" and first_body.size == 4
    assert first.get("content-length") == "4" and second.get("transfer-encoding") == "chunked"
    assert second_body.size == 6 and second_body.trailers.lower() == b"x-sum: 42\r\n"
    assert third.get("transfer-encoding") is None


@pytest.mark.parametrize("fields, pseudo", [
    ([("Upper", "1")], None), ([("connection", "close")], None), ([("transfer-encoding", "chunked")], None),
    ([("te", "gzip")], None), ([("host", "other.test")], None), ([("x", "a\nb")], None), ([("upgrade", "x")], None),
    ([], [(":method", "GET"), (":scheme", "ftp"), (":authority", DOMAIN), (":path", "/")]),
    ([], [(":method", "GET"), (":scheme", "https"), (":authority", DOMAIN), (":path", "/ HTTP/1.1")]),
    ([], [(":method", "GET"), (":scheme", "https"), (":authority", DOMAIN)]),
    ([], [(":method", "GET"), (":scheme", "https"), (":authority", DOMAIN), (":path", "/"), (":other", "x")]),
])
def test_malformed_requests_are_reset(edge, fields, pseudo):
    with visitor(edge) as v:
        assert v.get("GET", "/", fields, pseudo=pseudo).reset == PROTOCOL_ERROR
        assert v.get().status == 200
    assert len(edge.agent.requests) == 1


@pytest.mark.parametrize("length, body", [("3", b"four"), ("5", b"four")])
def test_a_body_of_another_length_is_reset(edge, length, body):
    with visitor(edge) as v:
        assert v.get("POST", "/", [("content-length", length)], body).reset == PROTOCOL_ERROR
        assert v.get().status == 200


def test_pages_of_ours(edges):
    edge = up(edges("a.test b.test", ["a.test", "b.test"], max_header="8k", max_uri="1k", access_log="visits", access_log_format="json"))
    with visitor(edge) as v:
        assert v.get("GET", "/", pseudo=[(":method", "GET"), (":scheme", "https"), (":authority", "b.test"), (":path", "/")]).status == 421
        assert v.get("GET", "/", pseudo=[(":method", "GET"), (":scheme", "https"), (":authority", "c.test"), (":path", "/")]).status == 404
        assert v.get("GET", "/" + "x" * 2000).status == 414
        assert v.get("GET", "/", [(f"x-{n}", "y" * 1000) for n in range(10)]).status == 431
        reply = v.get("GET", "/", pseudo=[(":method", "CONNECT"), (":authority", "a.test:443")])
        assert reply.status == 405 and "connection" not in dict(reply.fields)
        assert v.get().status == 200
    lines = wait_until(lambda: (got := (edge.relay.folder / "visits").read_text().splitlines()) and len(got) == 6 and got, "six lines")
    assert [(json.loads(line)["protocol"], json.loads(line)["status"]) for line in lines] == [
        ("HTTP/2.0", status) for status in (421, 404, 414, 431, 405, 200)]


def test_an_early_answer(path):
    with visitor(path) as v:
        stream = v.ask("POST", "/early", body=None)
        reply = v.reply(stream)
        assert (reply.status, reply.beginning) == (413, b"enough")
        wait_until(lambda: reply.reset is not None or not v.hear(), "the rest is not asked for")
        assert reply.reset == NO_ERROR
        assert v.get("GET", "/echo").status == 200


def test_a_policys_413(edges, fronts):
    edge = edges(DOMAIN, [{"item": f"domain:{DOMAIN}", "aliases": [], "policy": {"max_body": 1000}}])
    up(edge)
    with visitor(edge) as v:
        assert v.get("POST", "/", [("content-length", "2000")], b"x" * 2000).status == 413
        assert v.get("POST", "/", (), b"x" * 2000).status == 413
        assert v.get("POST", "/", (), b"x" * 1000).status == 200


# ---- what breaks, and what stands still ----


def test_a_response_that_breaks_off_is_reset(path):
    with visitor(path) as v:
        assert v.get("GET", "/broken/100000").reset == INTERNAL_ERROR
        assert v.get("GET", "/echo").status == 200


def test_a_reset_reaches_the_service(edge):
    with visitor(edge) as v:
        edge.agent.serve = lambda s: s.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        stream = v.ask("GET", "/")
        while not v.replies[stream].size:
            v.hear()
        v.h2.reset_stream(stream, CANCEL)
        v.send()
        wait_until(lambda: edge.agent.aborted, "it is aborted")
        edge.agent.serve = lambda s: s.answer("whole")
        assert v.get().beginning == b"whole"


def test_a_stalled_download_stops_itself_alone(path):
    with visitor(path) as v:
        slow = v.ask("GET", f"/bytes/{20 * MB}/1")
        v.stalled.add(slow)
        for n in range(5):
            assert v.get("GET", f"/bytes/{MB}/{n}").sha256 == content_sha256(MB, n)
        assert v.replies[slow].size <= 65535
        assert path.site.sent < 5 * MB + 15 * MB
        v.stalled.clear()
        v.h2.increment_flow_control_window(30 * MB, slow)
        v.send()
        assert v.reply(slow).sha256 == content_sha256(20 * MB, 1)


def test_a_stalled_upload_stops_itself_alone(path):
    data = b"".join(content(8 * MB, 4))
    with visitor(path) as v:
        slow = v.ask("POST", "/slow-read", body=None)
        said = 0
        while said < len(data) and (room := min(v.h2.local_flow_control_window(slow), 16384)):
            v.h2.send_data(slow, data[said:said + room])
            v.send()
            said += room
            if not v.h2.local_flow_control_window(slow):
                v.get("GET", "/echo")  # while that is answered, what is to come of room has come
        assert said < len(data)
        assert v.get("GET", f"/bytes/{MB}/5").sha256 == content_sha256(MB, 5)
        path.site.gate.set()
        v.say(slow, data[said:], ends=True)
        assert v.reply(slow).status == 200
    assert path.site.seen[-1].body.sha256 == content_sha256(8 * MB, 4)


def test_parked_over_http2(edges):
    edge = edges(park="60s")
    with visitor(edge) as v:
        stream = v.ask("POST", "/", (), b"body")
        wait_until(lambda: edge.status()["domains"][0]["parked"] == 1, "it is parked")
        edge.agent.start()
        assert v.reply(stream).status == 200
    assert edge.agent.requests[0][1].size == 4


# ---- the end ----


def test_drain_with_goaway(path):
    with visitor(path) as v:
        stream = v.ask("GET", "/slow")
        wait_until(lambda: path.site.seen, "the site has seen it")
        stopping = threading.Thread(target=path.relay.stop)
        stopping.start()
        while len(v.goaways) < 2:
            assert v.hear()
        assert v.goaways == [(NO_ERROR, 2**31 - 1), (NO_ERROR, stream)]
        path.site.gate.set()
        assert v.reply(stream).status == 200
        v.end()
        stopping.join()
    path.start_relay()
    path.wait_up()
    with visitor(path) as v:
        assert v.get("GET", "/echo").status == 200


def test_who_has_come_may_still_ask_once(path):
    with visitor(path) as v:
        while not v.h2.remote_settings.max_concurrent_streams < 1000:
            assert v.hear()
        stopping = threading.Thread(target=path.relay.stop)
        stopping.start()
        wait_until(lambda: "stopping" in path.relay.log(), "the relay is stopping")
        assert v.get("GET", "/echo").status == 200
        assert v.end()[-1] == (NO_ERROR, 1)
        stopping.join()


@pytest.mark.parametrize("fields", [[("X-Upper", "1")], [("x", "a\nb")], [(":path", "/")]])
def test_malformed_trailers_are_reset(edge, fields):
    with visitor(edge) as v:
        assert v.get("POST", "/", (), b"body", fields).reset == PROTOCOL_ERROR
        assert v.get().status == 200


# ---- floods ----


def frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def flood(v, raw):
    """Sends it again and again until the relay has had enough. What it says last."""
    v.socket.settimeout(PATIENCE_S)
    try:
        for _ in range(1000):
            v.socket.sendall(raw)
    except OSError:
        pass
    try:
        while data := v.socket.recv(65536):
            v.take(data)
    except OSError:
        pass  # a reset, or an end without a close_notify
    return [error for error, _ in v.goaways]


@pytest.mark.parametrize("raw", [
    frame(6, payload=b"pingpong") * 100, frame(4) * 100, frame(2, stream=1, payload=b"\0\0\0\3\x10") * 100,
], ids=["ping", "settings", "priority"])
def test_floods_of_frames(edge, raw):
    with visitor(edge) as v:
        assert ENHANCE_YOUR_CALM in flood(v, raw)
    with visitor(edge) as v:
        assert v.get().status == 200


def test_rapid_reset(edge):
    with visitor(edge) as v:
        head = v.h2.encoder.encode([(":method", "GET"), (":scheme", "https"), (":authority", DOMAIN), (":path", "/")])
        head = v.h2.encoder.encode([(":method", "GET"), (":scheme", "https"), (":authority", DOMAIN), (":path", "/")])
        raw = b"".join(frame(1, 5, n, head) + frame(3, 0, n, b"\0\0\0\x08") for n in range(1, 4001, 2))
        # The dynamic table of the relay has nothing in it yet: the first head has to bring it.
        assert ENHANCE_YOUR_CALM in flood(v, raw) or v.goaways
    assert len(edge.agent.requests) <= 400
    with visitor(edge) as v:
        assert v.get().status == 200


def test_a_flood_of_continuations(edge):
    with visitor(edge) as v:
        v.send(frame(1, 1, 1))
        assert ENHANCE_YOUR_CALM in flood(v, frame(9, 0, 1) * 100)
