"""The access log: one line for each request that had a head, in a form that no visitor can break; rotated under load;
and never in anybody's way, whatever becomes of the file."""

import json
import os
import re
import signal
import stat
import threading
import time
from collections import Counter

import pytest

from path import DOMAIN, edge, edges, fronts
from programs import PATIENCE_S, limit, wait_until
from visitor import request_bytes
from website import Site

COMBINED = re.compile(r'(?P<client>\S+) - - \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\] '
                      r'"(?P<request>(?:[ !#-\[\]-~]|\\x[0-9a-f]{2})*)" (?P<status>\d{3}) (?P<bytes>\d+) '
                      r'"(?P<referer>(?:[ !#-\[\]-~]|\\x[0-9a-f]{2})*)" "(?P<agent>(?:[ !#-\[\]-~]|\\x[0-9a-f]{2})*)"')
FIELDS = ["time", "request_id", "client", "host", "method", "path", "protocol", "tls", "status", "bytes_in", "bytes_out",
          "duration_ms", "service_ms", "lane", "agent", "domain", "referer", "user_agent", "complete"]
NAMES = "a.test www.a.test b.test"
ITEMS = [("a.test", ["www.a.test"]), "b.test"]


def stop(edge):
    """The agent goes first: the relay waits for whoever holds its lane socket."""
    edge.agent.leave()
    edge.relay.stop()


class Logged:
    """A relay with an access log, and a fake agent."""

    def __init__(self, edges, form, text="", **keys):
        self.edge = edges(NAMES, ITEMS, access_log="visits", access_log_format=form, **keys)
        self.form, self.agent = form, self.edge.agent
        self.path = self.edge.relay.folder / "visits"
        self.agent.start()
        for name in ("a.test", "b.test"):
            self.edge.wait_up(name)

    def read(self, path=None):
        """What is there, all of which are whole lines."""
        text = (path or self.path).read_bytes().decode()  # strict: it is UTF-8
        assert text == "" or text.endswith("\n")
        lines = text.split("\n")[:-1]
        if self.form == "json":
            return [json.loads(line) for line in lines]
        return [found.groupdict() if (found := COMBINED.fullmatch(line)) else pytest.fail(line) for line in lines]

    def wait(self, n):
        """The next n lines are there, and no more of them."""
        wait_until(lambda: self.path.read_bytes().count(b"\n") >= n, f"{n} lines")
        lines = self.read()
        assert len(lines) == n
        return lines

    def one(self):
        return self.wait(1)[0]

    def configure(self, before, after):
        text = self.edge.relay.conf.read_text()
        assert before in text
        self.edge.relay.conf.write_text(text.replace(before, after))

    def reload(self):
        return self.edge.relay.post("/v1/reload")


@pytest.fixture(params=["combined", "json"])
def logged(request, edges):
    return Logged(edges, request.param)


@pytest.fixture
def combined(edges):
    return Logged(edges, "combined")


@pytest.fixture
def told(edges):
    return Logged(edges, "json")


# ---- what a line says ----


def test_it_is_off_unless_told(edge):
    edge.visit()
    assert edge.relay.options()["access_log"]["value"] == "off"
    assert edge.relay.log().count("GET") == 0


def test_a_combined_line(combined):
    before = int(time.time())
    combined.agent.serve = lambda stream: stream.answer("hello")
    combined.edge.visit("GET", "/a?b=%20", "User-Agent: test/1.0 (x)\r\nReferer: https://b.test/\r\n")
    line = combined.one()
    when = time.strptime(line.pop("time"), "%d/%b/%Y:%H:%M:%S +0000")
    assert before <= time.mktime(when) - time.timezone <= time.time()
    assert line == {"client": "127.0.0.1", "request": "GET /a?b=%20 HTTP/1.1", "status": "200", "bytes": "5",
                    "referer": "https://b.test/", "agent": "test/1.0 (x)"}


def test_a_json_line(told):
    def serve(stream):
        time.sleep(0.05)
        stream.answer(b"x" * 100000, status="201 Created")

    told.agent.serve = serve
    with told.edge.visitor() as visitor:
        assert visitor.ask("POST", "/form", "User-Agent: test\r\n", b"y" * 5000).status == 201
        tls, host = visitor.socket.version(), visitor.host
    line = told.one()
    assert list(line) == FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line.pop("request_id") == told.agent.requests[0][0].get("x-request-id")
    assert 49 <= line.pop("service_ms") <= line.pop("duration_ms") < PATIENCE_S * 1000
    (lane,) = told.edge.status()["lanes"]
    assert line == {"client": "127.0.0.1", "host": host, "method": "POST", "path": "/form", "protocol": "HTTP/1.1",
                    "tls": tls, "status": 201, "bytes_in": 5000, "bytes_out": 100000, "lane": lane["lane"],
                    "agent": "pi", "domain": "a.test", "referer": None, "user_agent": "test", "complete": True}


def test_bytes_are_those_of_bodies(told):
    """Without the frames of chunks, without heads, and none where there is no body."""
    told.agent.serve = lambda stream: stream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                                  "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n")
    with told.edge.visitor() as visitor:
        visitor.send(request_bytes("PUT", DOMAIN, fields="Transfer-Encoding: chunked\r\n").replace(
            b"Content-Length: 0\r\n", b"") + b"2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n")
        visitor.reply("PUT")
        told.agent.serve = lambda stream: stream.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        visitor.ask("HEAD")
    put, head = told.wait(2)
    assert (put["bytes_in"], put["bytes_out"], head["bytes_in"], head["bytes_out"]) == (3, 7, 0, 0)


def test_an_old_client_and_an_interim_answer(told):
    told.agent.serve = lambda stream: stream.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                                                  "HTTP/1.1 204 No Content\r\n\r\n")
    with told.edge.visitor() as visitor:
        visitor.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
        visitor.reply()
    line = told.one()
    assert (line["protocol"], line["status"], line["complete"]) == ("HTTP/1.0", 204, True)


def test_an_alias_is_the_site_and_each_request_has_its_line(told):
    with told.edge.visitor("www.a.test") as visitor:
        for i in range(5):
            visitor.ask("GET", f"/{i}")
    lines = told.wait(5)
    assert [line["path"] for line in lines] == [f"/{i}" for i in range(5)]
    assert {line["domain"] for line in lines} == {"a.test"}
    assert len({line["request_id"] for line in lines}) == 5


def test_a_site_without_an_agent(fronts, started):
    site = Site()
    started.append(site)
    front = fronts("other.test", access_log="visits", access_log_format="json")
    front.relay.conf.write_text(f"{front.relay.conf.read_text()}[domain {DOMAIN}]\nupstream = 127.0.0.1:{site.port}\n")
    front.start_relay()
    assert front.visit("GET", "/bytes/10").status == 200
    path = front.relay.folder / "visits"
    wait_until(lambda: path.read_text(), "a line")
    line = json.loads(path.read_text())
    assert (line["domain"], line["lane"], line["agent"], line["bytes_out"]) == (DOMAIN, None, None, 10)
    assert line["service_ms"] >= 0


# ---- answers of our own ----


@pytest.mark.parametrize("request_, known", [
    ("GET / HTTP/1.1\r\n\r\n", (400, "GET", "/", None, "a.test")),
    ("GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n", (400, "GET", "/", "HTTP/1.1", "a.test")),
    ("GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n", (400, "GET", None, None, "a.test")),
    ("\x7f\x7f\x7f\r\n\r\n", (400, None, None, None, "a.test")),
    (f"GET /{'a' * 20000} HTTP/1.1\r\nHost: a.test\r\n\r\n", (414, "GET", None, None, "a.test")),
    ("GET / HTTP/2.7\r\nHost: a.test\r\n\r\n", (505, "GET", "/", None, "a.test")),
    ("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", (405, "CONNECT", "a.test:443", "HTTP/1.1", "a.test")),
    ("GET /x HTTP/1.1\r\nHost: other.test\r\n\r\n", (404, "GET", "/x", "HTTP/1.1", None)),
    ("GET /x HTTP/1.1\r\nHost: b.test\r\n\r\n", (421, "GET", "/x", "HTTP/1.1", "b.test")),
], ids=["no-host", "two-hosts", "two-blanks", "junk", "long", "version", "connect", "unknown", "misdirected"])
def test_what_no_service_has_seen(told, request_, known):
    with told.edge.visitor() as visitor:
        visitor.send(request_)
        reply = visitor.reply()
    line = told.one()
    assert tuple(line[key] for key in ("status", "method", "path", "protocol", "domain")) == known
    assert reply.status == known[0] and line["bytes_out"] == reply.body.size > 0
    assert (line["lane"], line["agent"], line["service_ms"], line["complete"]) == (None, None, None, True)
    assert len(line["request_id"]) == 32


def test_a_refused_head_in_combined(combined):
    with combined.edge.visitor() as visitor:
        visitor.send("\x7f\r\n\r\n")
        visitor.reply()
    with combined.edge.visitor() as visitor:
        visitor.send("GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        visitor.reply()
    assert [(line["request"], line["status"]) for line in combined.wait(2)] == [("-", "400"), ("GET", "400")]


@pytest.mark.parametrize("how, status", [("refused", 502), ("silent", 504), ("reset", 502)])
def test_a_service_that_gives_no_answer(told, how, status):
    told.agent.serve = lambda stream: stream.end(how)
    reply = told.edge.visit("POST", "/", body=b"abc")
    line = told.one()
    assert (line["status"], line["bytes_in"], line["bytes_out"]) == (status, 3, reply.body.size)
    assert (line["agent"], line["service_ms"], line["complete"]) == ("pi", None, True)


def test_a_site_without_a_lane(told):
    told.agent.leave()
    wait_until(lambda: told.edge.site_state() == "down", "the lane is down")
    assert told.edge.visit().status == 503
    line = told.one()
    assert (line["status"], line["lane"], line["agent"], line["domain"]) == (503, None, None, "a.test")


def test_a_head_that_does_not_come_is_no_request(told):
    with told.edge.visitor() as visitor:
        visitor.send("GET / HTTP/1.1\r\nHost: a.t")
    told.edge.visit("GET", "/next")
    assert told.one()["path"] == "/next"


# ---- what is broken off ----


def test_a_visitor_who_leaves_before_the_answer(told):
    asked, gate = threading.Event(), threading.Event()

    def serve(stream):
        asked.set()
        gate.wait(PATIENCE_S)

    told.agent.serve = serve
    with told.edge.visitor() as visitor:
        visitor.send(request_bytes("GET", DOMAIN, "/slow"))
        asked.wait(PATIENCE_S)
        visitor.break_off()
        line = told.one()
        gate.set()
    assert (line["path"], line["status"], line["bytes_out"], line["complete"]) == ("/slow", 499, 0, False)
    assert line["agent"] == "pi" and line["service_ms"] is None


def test_a_service_that_breaks_off(told):
    def serve(stream):
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        stream.end("reset")

    told.agent.serve = serve
    with told.edge.visitor() as visitor:
        visitor.send(request_bytes("GET", DOMAIN))
        line = told.one()
    assert (line["status"], line["bytes_out"], line["complete"]) == (200, 3, False)


def test_a_visitor_who_leaves_in_the_middle_of_his_body(told):
    with told.edge.visitor() as visitor:
        visitor.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc")
        wait_until(lambda: told.agent.used, "the service has a part of it")
        visitor.break_off()
    line = told.one()
    assert (line["method"], line["bytes_in"], line["complete"]) == ("POST", 3, False)


def test_what_is_in_progress_at_the_end_has_a_line(told):
    asked = threading.Event()

    def serve(stream):
        asked.set()
        stream.read(1)  # until the relay gives it up

    told.agent.serve = serve
    told.configure("[relay]\n", "[relay]\ndrain = 0s\n")
    assert told.reload().status == 200
    with told.edge.visitor() as visitor:
        visitor.send(request_bytes("GET", DOMAIN, "/last"))
        asked.wait(PATIENCE_S)
        told.edge.relay.send(signal.SIGTERM)
        told.one()
    stop(told.edge)
    assert [(line["path"], line["complete"]) for line in told.read()] == [("/last", False)]


# ---- injection ----

FORGED = b'" 200 1 "-" "-"\t127.0.0.1 - - [x] \\x22 \\" \\u0022 {"a":1} %s%n \x80\xff\xc3\xbc\xed\xa0\x80'


def test_nothing_a_visitor_sends_is_more_than_text(logged):
    """And each byte that a field or a target may have comes through as it is."""
    target = bytes(b for b in range(0x21, 0x7f) if b != ord("#"))
    for field in (b"User-Agent", b"Referer"):
        with logged.edge.visitor() as visitor:
            visitor.send(b"GET /" + target + b" HTTP/1.1\r\nHost: a.test\r\n" + field + b": " + FORGED + b"\r\n\r\n")
            assert visitor.reply().status == 200
    agent, referer = logged.wait(2)
    if logged.form == "json":
        text = FORGED.replace(b"\xed\xa0\x80", b"\xff\xff\xff").replace(b"\x80", b"\xff")
        shown = text.decode(errors="replace")
        assert (agent["user_agent"], agent["referer"]) == (shown, None)
        assert (referer["user_agent"], referer["referer"]) == (None, shown)
        assert agent["path"] == "/" + target.decode()
    else:
        shown = "".join(chr(b) if 0x20 <= b < 0x7f and b not in b'"\\' else f"\\x{b:02x}" for b in FORGED)
        assert (agent["agent"], agent["referer"]) == (shown, "-")
        assert (referer["agent"], referer["referer"]) == ("-", shown)
        sent = "".join(chr(b) if b not in b'"\\' else f"\\x{b:02x}" for b in target)
        assert agent["request"] == f"GET /{sent} HTTP/1.1"


def test_lines_are_bounded(logged):
    with logged.edge.visitor() as visitor:
        visitor.ask("GET", f"/{'a' * 15000}", f"User-Agent: {chr(34) * 20000}\r\nReferer: {'b' * 20000}\r\n")
    (line,) = logged.wait(1)
    assert len(logged.path.read_bytes()) <= 8192
    path = line["path"] if logged.form == "json" else line["request"].split()[1]
    agent = line["user_agent"] if logged.form == "json" else line["agent"]
    assert path.startswith("/aaaa") and path.endswith("a...") and len(path) > 4000
    assert agent.endswith("...") and line["referer"].endswith("b...")


# ---- per domain ----


def asked_paths(logged, n):
    return [line["path"] for line in logged.wait(n)]


def test_a_site_that_is_not_logged(told):
    """Its section needs no upstream, and takes nothing away from the agent."""
    with told.edge.relay.conf.open("a") as conf:
        conf.write("[domain b.test]\naccess_log = off\n")
    assert told.reload().status == 200
    told.edge.wait_up("b.test")
    wait_until(lambda: is_logged(told, "b.test") is False, "the workers follow")
    before = told.path.read_bytes().count(b"\n")
    told.edge.visit("GET", "/shown")
    told.edge.visit("GET", "/alias", name="www.a.test")
    for _ in range(3):
        assert told.edge.visit("GET", "/hidden", name="b.test").status == 200
    with told.edge.visitor("b.test") as visitor:
        visitor.send("GET  / HTTP/1.1\r\n\r\n")
        assert visitor.reply().status == 400
    told.edge.visit("GET", "/last")
    assert asked_paths(told, before + 3)[before:] == ["/shown", "/alias", "/last"]
    told.configure("[domain b.test]\naccess_log = off\n", "")
    assert told.reload().status == 200
    wait_until(lambda: is_logged(told, "b.test"), "the workers follow")


def is_logged(logged, name):
    """Asks, and then a site that is logged in any case."""
    before = logged.path.read_bytes().count(b"\n")
    logged.edge.visit("GET", "/probe", name=name)
    logged.edge.visit("GET", "/behind")
    lines = wait_until(lambda: lines if (lines := logged.read()[before:]) and lines[-1]["path"] == "/behind" else None,
                       "a line")
    return any(line["path"] == "/probe" for line in lines)


# ---- reload ----


def test_the_file_is_made_for_us_and_our_group(combined):
    assert stat.S_IMODE(combined.path.stat().st_mode) == 0o640


def test_another_path_and_format(combined):
    other = combined.edge.relay.folder / "other"
    combined.edge.visit("GET", "/1")
    combined.configure("access_log = visits", "access_log = other")
    combined.configure("access_log_format = combined", "access_log_format = json")
    assert combined.reload().status == 200
    assert other.exists()
    combined.edge.visit("GET", "/2")
    combined.configure("access_log = other", "access_log = off")
    assert combined.reload().status == 200
    combined.edge.visit("GET", "/3")
    stop(combined.edge)
    assert [line["request"] for line in combined.read()] == ["GET /1 HTTP/1.1"]
    combined.form = "json"
    assert [line["path"] for line in combined.read(other)] == ["/2"]


def test_from_off_to_on(edge):
    edge.relay.conf.write_text(edge.relay.conf.read_text().replace("[relay]\n", "[relay]\naccess_log = visits\n"))
    assert edge.relay.post("/v1/reload").status == 200
    edge.visit("GET", "/on")
    wait_until(lambda: "GET /on " in (edge.relay.folder / "visits").read_text(), "a line")


@pytest.mark.parametrize("where", ["/proc/nothing/visits", "no/visits", ".", "fifo"])
def test_a_path_that_cannot_be_opened_refuses_a_reload(combined, ctl, where):
    os.mkfifo(combined.edge.relay.folder / "fifo")
    combined.configure("access_log = visits", f"access_log = {where}")
    combined.configure("name = e2e", "name = other")
    code, _, err = ctl("reload", at=combined.edge.relay)
    assert code == 1 and re.match(rf"{re.escape(str(combined.edge.relay.conf))}:\d+: relay\.access_log = \S+: cannot open ",
                                  err), err
    assert ("start the program that reads it first" in err) == (where == "fifo")
    combined.edge.visit("GET", "/still")
    assert combined.one()["request"] == "GET /still HTTP/1.1"
    assert combined.edge.status()["name"] == "e2e"


@pytest.mark.parametrize("where", ["/proc/nothing/visits", "fifo"])
def test_a_path_that_cannot_be_opened_refuses_a_start(daemons, where):
    relay = daemons("relay", access_log=where)
    os.mkfifo(relay.folder / "fifo")
    said = relay.refused()
    if where == "fifo":  # whether somebody reads it is not known before
        assert "cannot start" in said and 'error="access_log: cannot open ' in said and where in said
    else:
        assert re.search(rf"{re.escape(str(relay.conf))}:\d+: relay\.access_log = {where}: cannot open the log ", said), said


def ask_on(logged, number, enough, asked):
    """Numbered requests, one after the other, on connections of ten each."""
    i = 0
    while not enough.is_set():
        with logged.edge.visitor() as visitor:
            for _ in range(10):
                assert visitor.ask("GET", f"/{number}/{i}").status == 200
                i += 1
    asked.append([f"/{number}/{j}" for j in range(i)])


@pytest.mark.parametrize("by", ["signal", "tunnelctl"])
def test_20_rotations_under_load(edges, ctl, by):
    logged = Logged(edges, "json", workers=2)
    enough, asked, rotated, relay = threading.Event(), [], [], logged.edge.relay
    threads = [threading.Thread(target=ask_on, args=(logged, n, enough, asked)) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        for i in range(20):
            rotated.append(relay.folder / f"visits.{i}")
            logged.path.rename(rotated[-1])
            if i % 2:  # as logrotate's `create` does
                logged.path.touch(mode=0o640)
            if by == "tunnelctl":
                assert ctl("reload", at=relay).code == 0
            else:
                relay.send(signal.SIGHUP)
                relay.wait_log(" reloaded ", i + 1)
            wait_until(lambda: logged.path.exists() and logged.path.stat().st_size, "a line in the new file")
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    stop(logged.edge)
    lines = Counter(line["path"] for path in [*rotated, logged.path] for line in logged.read(path))
    assert lines == Counter(path for paths in asked for path in paths)
    assert len(asked) == 3 and "lost" not in relay.log()


# ---- what must not stop the relay ----


def lost_lines(relay):
    return sum(map(int, re.findall(r" lost=(\d+)", relay.log())))


def test_a_disk_that_is_full(edges):
    edge = edges(access_log="/dev/full")
    edge.agent.start()
    edge.wait_up()
    for i in range(30):
        assert edge.visit("GET", f"/{i}").status == 200
    edge.relay.wait_log("cannot write the access log")
    assert "/dev/full: No space left on device" in edge.relay.log()
    assert edge.relay.post("/v1/reload").status == 200  # it can be opened
    assert edge.visit().status == 200
    stop(edge)
    assert lost_lines(edge.relay) == 31


def test_a_fifo_without_its_reader_blocks_nobody(edges, folder):
    """The reader stops reading, and then goes."""
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        edge = edges(access_log=fifo)
        edge.agent.start()
        edge.wait_up()
        began = time.monotonic()
        with edge.visitor() as visitor:
            for i in range(100):  # which is more than a pipe holds
                assert visitor.ask("GET", f"/{i}/{'a' * 5000}").status == 200
        assert time.monotonic() - began < limit(5)
        first = wait_until(lambda: os.read(reader, 4096), "a line")
        assert first.startswith(b"127.0.0.1 - - [") and b'"GET /0/aaa' in first
    finally:
        os.close(reader)
    edge.relay.wait_log("cannot write the access log")
    assert edge.visit().status == 200
    reader = os.open(fifo, os.O_RDONLY)  # somebody reads again: the rest comes
    os.set_blocking(reader, False)
    rest = bytearray()

    def last_line():
        try:
            rest.extend(os.read(reader, 65536))
        except BlockingIOError:
            pass
        return b'"GET / HTTP/1.1" 200' in rest

    wait_until(last_line, "the last line")
    os.close(reader)
    stop(edge)


def test_standard_output(edges):
    """Which the tests' daemons have together with their standard error."""
    edge = edges(access_log="stdout")
    edge.agent.start()
    edge.wait_up()
    edge.visit("GET", "/out")
    edge.relay.wait_log('"GET /out HTTP/1.1" 200')


def test_an_upgrade_has_a_line_when_it_ends(told):
    def serve(stream):
        stream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello")
        assert stream.exactly(4) == b"ping"
        stream.send("pong")
        stream.end()

    told.agent.serve = serve
    with told.edge.visitor() as visitor:
        visitor.send(request_bytes("GET", DOMAIN, "/ws", "Connection: Upgrade\r\nUpgrade: echo\r\n"))
        assert visitor.head().status == 101 and visitor.exactly(5) == b"hello"
        assert told.path.read_bytes() == b""
        told.edge.relay.post("/v1/reload")
        visitor.send("ping")
        assert visitor.exactly(4) == b"pong" and visitor.ended()
        visitor.socket.unwrap()
    line = told.one()
    assert (line["status"], line["path"], line["bytes_in"], line["bytes_out"]) == (101, "/ws", 4, 9)
    assert (line["domain"], line["agent"], line["complete"]) == (DOMAIN, "pi", True)
