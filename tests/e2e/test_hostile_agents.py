"""Hostile agents: each is refused, bounded and logged with its name, and the other agents notice nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drop_in import drop_in, libexec
from fake_agent import FakeAgent
from hostile import GROWN_KB, NAME, Bystander, siege, sieges
from pairing import Enrolment, Pairing
from path import new_key, private_kb
from programs import PATIENCE_S, limit, need, wait_until

MAX_LANES = 24  # of one agent, at the relay
LINE_BYTES = 64 * 1024


def ss(*what: object) -> list[str]:
    done = subprocess.run([need("ss"), "-Htn", *map(str, what)], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def listeners(*ports: int | None) -> set[str]:
    """Sockets that listen there, by inode: a port that is free again may soon be somebody else's, as it may be at
    another address meanwhile."""
    found = (re.search(r" 127\.0\.0\.1:(\d+) .* ino:(\d+)", line) for line in ss("-le"))
    return {match[2] for match in found if match and int(match[1]) in ports}


# ---- who never answers ----


@pytest.mark.slow
def test_who_never_answers(siege):
    """Each is given half a minute; so this test comes first."""
    with siege.undisturbed(), Bystander() as program:
        silent, unproved, speechless = (siege.mallory() for _ in range(3))
        silent.answers_pings = False
        silent.reply = "right"
        for lane in (silent, unproved, speechless):
            lane.boot = silent.boot
            lane.join()
        silent.hello(lane=1)  # and not a word more
        unproved.hello(lane=2, port=program.port)  # whoever answers there does not know the secret
        stop = threading.Event()

        def speak() -> None:
            while not stop.wait(0.5):
                for lane in (unproved, speechless):  # who says much, but no hello
                    with contextlib.suppress(OSError):
                        lane.say("ping", n=1, t=1, rtt_ms=-1)

        speaker = threading.Thread(target=speak)
        speaker.start()
        siege.wait_told("lane is silent")
        wait_until(lambda: not siege.lanes_of(NAME), "all are gone")
        stop.set()
        speaker.join()
        assert siege.told("ending a lane", "nobody answers rightly at the port that it names")
        assert siege.told("ending a lane", "does not say hello")
        for lane in (silent, unproved, speechless):
            assert lane.client.wait(limit(5)) != 0  # the SSH session is over


# ---- ports ----


@pytest.mark.parametrize("whose", ["another agent's", "the visitors'", "sshd's", "a low one"])
def test_a_port_that_it_does_not_own(siege, whose):
    with siege.undisturbed():
        theirs = [session.port for session in siege.sessions() if session.port]
        mallory = siege.mallory().join()
        for port in {"another agent's": theirs, "the visitors'": [siege.port], "sshd's": [siege.sshd.port],
                     "a low one": [1, 22, 80, 443, 1023]}[whose]:
            mallory.hello(port)
            assert ("another agent's" if port in theirs else "cannot be a lane's") in mallory.refused()
        siege.wait_told("lane refused", "port")
        mallory.greet()  # and with its own port it is as welcome as ever
        siege.wait_up("b.test")
        assert siege.visit(name="b.test").body.data == NAME.encode()


def test_a_port_that_another_agent_will_have(siege, folder):
    """It was there first, with a guess; but only the other one can answer there."""
    siege.enrol("shed", "c.test", new_key(folder, "shed"))
    shed = FakeAgent(siege.lane_socket, ["c.test"], "shed")
    siege.started.append(shed)
    with siege.undisturbed():
        mallory = siege.mallory().join()
        mallory.hello(shed.port)
        mallory.wait_heard("welcome")
        shed.reply = "none"  # to openings that are not meant for it
        shed.join()
        shed.say("hello", v=1, boot=shed.boot, lane=1, port=shed.port, version="0")
        shed.wait_heard("welcome")
        shed.reply = "right"
        shed.greet()
        siege.wait_up("c.test")
        assert "another agent's" in mallory.refused()
        mallory.hello(shed.port)
        assert "another agent's" in mallory.refused()
        assert siege.visit(name="c.test").status == 200
    shed.wrong.clear()  # the proofs that mallory's lane was to be opened with were none of its own


@pytest.mark.parametrize("answer", [b"", bytes(16), b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"],
                         ids=["silent", "16 bytes", "http"])
def test_a_port_where_some_other_program_listens(siege, answer):
    with siege.undisturbed(), Bystander(answer) as program:
        mallory = siege.mallory().join()
        mallory.port = program.port
        mallory.greet()
        wait_until(lambda: any(program.heard), "openings come there")
        if answer:
            siege.wait_told("answered by a stranger")
        assert siege.visit("POST", "/", "X-Visitor: secret\r\n", b"secret", name="b.test").status == 503
        assert [lane["state"] for lane in siege.lanes_of(NAME)] == ["opening"]


@pytest.fixture
def binder(siege, folder):
    """binder(a, b): mallory's sshd listens on port a, by number, and carries what comes to our port b."""
    control = folder / "mux.sock"
    *command, host = siege.sshd.command(key=str(siege.key))
    master = subprocess.Popen([*command, "-T", "-M", "-S", control, host], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: siege.lanes_of(NAME) and control.exists(), "mallory is logged in")

    def bind(port, to):
        forward = [*command, "-S", control, "-O", "forward", "-R", f"127.0.0.1:{port}:127.0.0.1:{to}", host]
        wait_until(lambda: subprocess.run(forward, capture_output=True).returncode == 0, "mallory has the port")
        assert listeners(port)

    yield bind
    siege.revoke()
    master.kill()
    master.communicate()


def test_a_freed_port_that_it_binds_by_number(siege, folder, binder):
    """The relay believes in it yet: the honest lane's conversation lives."""
    siege.enrol("shed", "c.test", new_key(folder, "shed"))
    lanes = [FakeAgent(siege.lane_socket, ["c.test"], "shed") for _ in range(2)]
    siege.started.extend(lanes)
    lanes[1].boot = lanes[0].boot
    with siege.undisturbed(), Bystander(bytes(16)) as thief:
        for number, lane in enumerate(lanes):
            lane.join()
            lane.say("hello", v=1, boot=lane.boot, lane=number, port=lane.port, version="0")
            lane.wait_heard("welcome")
            lane.claim()
        wait_until(lambda: [lane["state"] for lane in siege.lanes_of("shed")] == ["up", "up"], "both lanes are up")
        lanes[0].close_port()
        binder(lanes[0].port, thief.port)
        for stream in lanes[0].streams:
            stream.drop()
        for _ in range(20):
            assert siege.visit("GET", "/", "X-Visitor: secret\r\n", name="c.test").status == 200
        wait_until(lambda: any(thief.heard), "an opening comes to mallory")
        assert len(lanes[1].requests) == 20 and not lanes[0].requests
        assert 'answered by a stranger agent="shed"' in siege.relay.log()


def test_the_port_of_a_killed_session(siege, binder):
    with siege.undisturbed(lanes=False) as visits, Bystander(bytes(16)) as thief:
        dead = next(session for session in siege.sessions() if session.port)
        os.kill(dead.sshd, signal.SIGKILL)
        binder(dead.port, thief.port)
        enough = len(visits) + 10
        wait_until(lambda: len(visits) >= enough, "visitors are served")
        wait_until(lambda: [state for _, state in siege.honest()] == ["up", "up"], "the honest lane is back")
        mallory = siege.mallory().join()
        mallory.hello(dead.port)  # as the port that sshd gave, which it may have been
        mallory.wait_heard("welcome")
        wait_until(lambda: any(thief.heard), "an opening comes to mallory")


# ---- names ----


def test_names_that_are_another_agents(siege):
    stolen = ["a.test", "A.TEST", "a.test.", "*.a.test", "*.test", "*", "x.a.test", "a.test/", " a.test"]
    with siege.undisturbed():
        mallory = siege.mallory([*stolen, ("b.test", []), ("x.b.test", ["a.test"]), ("*.b.test", [])]).join()
        mallory.hello()
        mallory.wait_heard("welcome")
        answers = {item["item"]: item for item in mallory.claim()["items"]}
        for name in [*stolen, "x.b.test"]:
            answer = answers.pop(f"domain:{name}")
            assert not answer["ok"] and answer["why"], answer
        assert [answer["ok"] for answer in answers.values()] == [True, True]
        siege.wait_told("claim refused", 'item="domain:a.test"')
        siege.wait_up("b.test")
        assert siege.visit(name="b.test").body.data == siege.visit(name="y.b.test").body.data == NAME.encode()
        (site,) = (site for site in siege.status()["domains"] if site["name"] == "a.test")
        assert site["agents"] == ["pi"] and site["state"] == "up"


# ---- junk ----

JUNK = {
    "no json": b"junk", "half an object": b'{"type":"ping"', "no object": b"[]", "a number": b"1", "nothing": b"",
    "something behind it": b'{"type":"ping","n":1,"t":1} x', "a member twice": b'{"type":"ping","type":"pong"}',
    "no utf-8": b'{"type":"ping","x":"\xff\xfe"}', "a NUL": b'{"type":"ping"\0}', "a NUL in a text": b'{"type":"pi\\u0000ng"}',
    "half a surrogate": b'{"type":"\\ud800"}', "deep": b"[" * 60000, "deep objects": b'{"a":' * 12000,
    "a huge number": b'{"type":"ping","n":' + b"9" * 400 + b',"t":1}', "beyond all": b'{"type":"ping","n":1e999,"t":1}',
    "a fraction": b'{"type":"ping","n":1.5,"t":1,"rtt_ms":-1}', "a negative port": b'{"type":"hello","v":1,"boot":"b","lane":1,"port":-1,"version":"0"}',
    "no type": b'{"typ":"ping"}', "a type of another kind": b'{"type":{"a":[]}}', "members of another kind":
    b'{"type":"claim","serial":"1","part":true,"last":0,"items":{}}', "an item of another kind":
    b'{"type":"claim","serial":1,"part":1,"last":true,"items":[["domain:b.test"]]}', "a version to come": b'{"type":"hello","v":2}',
    "many members": b'{"type":"x","a":[' + b"{}," * 21000 + b"{}", "too many items":
    b'{"type":"claim","serial":1,"part":1,"last":true,"items":[' + b",".join([b'{"item":"x","aliases":[]}'] * 1001) + b"]}",
    "a stream of another kind": b'{"type":"ended","stream":7,"how":"eof"}', "how of another kind":
    b'{"type":"ended","stream":"0000000000000001","how":"so"}',
}
IGNORED = [
    {"type": "later"}, {"type": "later", "v": 1, "x": [[[{}]]]}, {"type": "ping", "n": 1, "t": 1, "rtt_ms": -1, "more": {}},
    {"type": "ended", "stream": "00000000000000ff", "how": "reset", "detail": "x"}, {"type": "consumed", "stream": "f" * 16, "total": 9},
    {"type": "consumed", "stream": "0" * 16, "total": 2**62}, {"type": "pong", "n": 99, "t": 2**62, "rtt_ms": -1},
    {"type": "service", "item": "domain:a.test", "route": "", "state": "refused", "detail": ""},
    {"type": "abort", "stream": "0" * 16}, {"type": "claimed", "serial": 1, "items": []}, {"type": "end", "v": 1},
]


def test_junk(siege):
    """The lane ends each time, and tunnel-lane comes again with the same session."""
    with siege.undisturbed():
        mallory = siege.mallory().join()
        for n, (what, line) in enumerate(JUNK.items()):
            if n % 3 == 0:
                mallory.hello()
                mallory.wait_heard("welcome")
            mallory.send(line + b"\n")
            try:
                assert mallory.refused()
            except AssertionError as e:
                raise AssertionError(f"{what}: {e}") from None
        siege.wait_told("lane refused", "error=")
        mallory.send(b'{"type":"' + b"x" * LINE_BYTES + b'"}\n')
        assert "longer than" in mallory.wait_heard("error")["why"]
        siege.wait_told("the agent reports an error", "longer than 65536 bytes")
        assert mallory.client.wait(limit(5)) != 0  # that one ends with its session


def test_what_is_ignored(siege):
    with siege.undisturbed():
        mallory = siege.mallory().join()
        mallory.say("claim", serial=1, part=1, last=True, items=mallory.items)  # before its hello
        mallory.hello()
        mallory.wait_heard("welcome")
        for message in IGNORED:
            mallory.send(json.dumps(message).encode() + b"\n")
        mallory.answers()
        assert not [line for line in mallory.heard if line["type"] in ("claimed", "error", "away")]
        first = mallory.secret
        mallory.greet()  # a second hello begins anew
        assert mallory.secret != first
        siege.wait_up("b.test")
        for message in IGNORED:
            mallory.send(json.dumps(message).encode() + b"\n")
        mallory.answers()
        assert siege.visit(name="b.test").status == 200
        (site,) = (site for site in siege.status()["domains"] if site["name"] == "a.test")
        assert site["service_state"] == "ok"


# ---- floods ----


def line(kind: str, **fields: object) -> bytes:
    return json.dumps({"type": kind, **fields}, separators=(",", ":")).encode() + b"\n"


def claims(items: list[dict], n: int) -> bytes:
    return b"".join(line("claim", serial=serial, part=1, last=True, items=items) for serial in range(2, n + 2))


def floods() -> dict[str, bytes]:
    services = [line("service", item="domain:b.test", route="", state=state, detail="") for state in ("ok", "refused")]
    sites = [{"item": f"domain:x{n}.b.test", "aliases": [], "policy": {}} for n in range(100)]
    names = [[{"item": f"domain:{turn}-{n}.b.test", "aliases": [], "policy": {}} for n in range(100)] for turn in range(40)]
    return {
        "pings": line("ping", n=1, t=1, rtt_ms=-1) * 3000,
        "claims": claims([{"item": "domain:b.test", "aliases": [], "policy": {}}], 2000),
        "large claims": claims(sites, 100),
        "ever new names": b"".join(line("claim", serial=2 + turn, part=1, last=True, items=items)
                                   for turn, items in enumerate(names)),
        "one large claim's last word": line("claim", serial=2, part=1, last=True, items=[{"item": "x" * 40, "aliases": []}] * 900) +
        line("claim", serial=2, part=1, last=True, items=[]) * 2000,
        "services": b"".join(services) * 1500,
        "consumed": line("consumed", stream="00000000000000ff", total=1) * 3000,
        "ended": line("ended", stream="00000000000000ff", how="eof", detail="") * 3000,
        "unknown": line("later", x=1) * 3000,
        "empty objects": b'{"type":"later","x":[' + b"{}," * 21000 + b"{}]}\n",
        "hellos": line("hello", v=1, boot="b", lane=1, port=40000, version="0") * 1000,
    }


def cpu_s(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def keep_sending(mallory, data: bytes) -> threading.Thread:
    """As fast as it is taken, until the connection ends."""

    def send() -> None:
        with contextlib.suppress(OSError):
            while True:
                mallory.send(data)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("kind", floods())
def test_a_flood_of(siege, kind):
    with siege.undisturbed() as visits:
        mallory = siege.mallory()
        mallory.start()
        siege.wait_up("b.test")
        begin, before, seen = time.monotonic(), cpu_s(siege.relay.pid), len(visits)
        keep_sending(mallory, floods()[kind])
        siege.wait_told("says too much")
        wait_until(lambda: time.monotonic() - begin > 2.5 and len(visits) > seen + 10, "it has gone on for a while")
        busy = (cpu_s(siege.relay.pid) - before) / (time.monotonic() - begin)
        assert not siege.relay.memory_kb or busy < 0.5, busy


def test_a_flood_without_reading_the_answers(siege):
    """What the relay has to say waits outside, too; and who is behind it is cut off at once."""
    with siege.undisturbed():
        raw, memory = siege.raw(), private_kb(siege.relay.pid)
        channel, port = raw.session(window=4096), raw.listen()
        listening = listeners(port)
        channel.say("hello", v=1, boot="b", lane=1, port=port, version="0")
        thread = keep_sending(channel, floods()["one large claim's last word"])
        siege.wait_told("does not read what it is told")
        assert private_kb(siege.relay.pid) - memory < GROWN_KB or not siege.relay.memory_kb
        wait_gone([raw], listening, siege.revoke())
        thread.join(PATIENCE_S)


# ---- thousands of them ----


def wait_gone(clients, listening, since) -> None:
    """No listener and no connection is left of these clients, a second after that moment."""
    ours = {(client.sshd.port, client.port) for client in clients}

    def left() -> bool:
        words = (line.split() for line in ss("state", "established"))
        ends = {tuple(int(address.rpartition(":")[2]) for address in line[2:4]) for line in words}
        return bool(ours & ends or listening & {match[1] for line in ss("-le") if (match := re.search(r"ino:(\d+)", line))})

    assert listening
    wait_until(lambda: not left(), "no connection, and nobody listens", timeout=since + limit(1) - time.monotonic())


@pytest.mark.parametrize("sessions, lanes", [("1", 1), ("1000", MAX_LANES)], ids=["as the drop-in has it", "a careless sshd"])
def test_many_channels_on_one_connection(sieges, sessions, lanes):
    siege = sieges(sshd_options=f"MaxSessions {sessions}\n")
    with siege.undisturbed():
        raw = siege.raw()
        opened = [raw.session() for _ in range(lanes)]
        assert all(opened)
        wait_until(lambda: len(siege.lanes_of(NAME)) == lanes, "as many lanes")
        further = [raw.session() for _ in range(3)]
        if lanes == 1:
            assert further == [None] * 3
            siege.revoke()
        else:
            siege.wait_told("ending a lane", "too many lanes")
        wait_until(lambda: not siege.lanes_of(NAME), "the relay has let go of them")
        assert siege.told("lane")
        raw.end()


def test_many_connections(siege):
    with siege.undisturbed():
        with ThreadPoolExecutor(4) as pool:
            clients = list(pool.map(lambda _: siege.raw(), range(MAX_LANES + 6)))
        channels = [client.session() for client in clients]
        siege.wait_told("ending a lane", "too many lanes")
        assert len(siege.lanes_of(NAME)) <= MAX_LANES and all(channels)
        ports = [client.listen() for client in clients[:MAX_LANES - 2]]
        listening = listeners(*ports)
        wait_gone(clients, listening, siege.revoke())
        assert siege.lanes_of(NAME) == []


def test_thousands_of_forwards(siege):
    """sshd has as many as it may have descriptors; each is its own process, so nobody else is short of them."""
    resource.prlimit(siege.sshd.process.pid, resource.RLIMIT_NOFILE, (1024, 1024))  # as on a VM
    with siege.undisturbed():
        raw = siege.raw()
        channel = raw.session()
        ports = [raw.listen()]
        channel.say("hello", v=1, boot="b", lane=1, port=ports[0], version="0")
        channel.hear("welcome")
        while len(ports) < 5000 and (port := raw.listen()):
            ports.append(port)
        assert 500 < len(ports) < 1024
        listening = listeners(*ports)
        assert len(listening) == len(ports)
        wait_gone([raw], listening, siege.revoke())
        assert siege.told("ending a lane", "not known here any more")


# ---- the end ----


@pytest.mark.parametrize("how", ["keeps its channels", "closes its session channel", "says nothing", "is many"])
def test_revoke_leaves_nothing_of_a_client_that(siege, how):
    """It has a listener, and the relay's streams are its channels; it answers no close."""
    with siege.undisturbed():
        clients = [siege.raw() for _ in range(8 if how == "is many" else 1)]
        ports = []
        for number, raw in enumerate(clients):
            channel = raw.session()
            ports.append(raw.listen())
            if how != "says nothing":
                channel.say("hello", v=1, boot="b", lane=number, port=ports[-1], version="0")
                channel.hear("welcome")
                wait_until(lambda: ss("state", "established", "sport", "=", f":{ports[-1]}"), "the relay's streams")
        wait_until(lambda: len(siege.lanes_of(NAME)) == len(clients), "its lanes")
        listening = listeners(*ports)
        if how == "closes its session channel":
            begin = time.monotonic()
            channel.close()  # tunnel-lane takes the session along: afterwards nothing could end it
            wait_gone(clients, listening, begin + limit(1))
        wait_gone(clients, listening, siege.revoke())
        wait_until(lambda: siege.lanes_of(NAME) == [], "the relay knows of none")
        siege.wait_told("lane down")
        done = siege.sshd.ssh(key=str(siege.key))
        assert b"Permission denied" in done.stderr


class Guarded(Pairing):
    """With the drop-in, which here waits for a second only."""

    def __init__(self, daemons, started, folder, libexec):
        self.libexec = libexec
        super().__init__(daemons, started, folder)

    def follow_relay(self):
        text = drop_in("--user", self.sshd.user, "--relay-user", self.sshd.user, "--libexec", self.libexec, "--state-dir",
                       self.relay.state_dir).stdout
        if "UnusedConnectionTimeout" not in text:
            pytest.skip("this sshd does not know UnusedConnectionTimeout")
        self.sshd.further = text.replace("UnusedConnectionTimeout 10s", "UnusedConnectionTimeout 1s")


def test_a_session_without_tunnel_lane_outlives_revoke_until_it_is_unused(daemons, started, folder, libexec):
    """ssh -N -R starts no tunnel-lane that could end it. While something on the relay's machine is connected to its port it
    stays; no site is served by it, as no lane names the port."""
    pairing = Guarded(daemons, started, folder, libexec)
    pairing.invite(NAME, "b.test")
    (invite,) = pairing.agents()["invites"]
    way, key = Enrolment(pairing.lane_socket, invite["id"]), folder / NAME
    assert way.enrol(NAME, new_key(folder, NAME))["type"] == "enrolled"
    way.close()
    with socket.create_server(("127.0.0.1", 0)) as house:
        *command, host = pairing.sshd.command(key=str(key))
        client = subprocess.Popen([*command, "-N", "-R", f"127.0.0.1:0:127.0.0.1:{house.getsockname()[1]}", host],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        port = int(client.stderr.readline().split()[2])
        listening = listeners(port)
        with socket.create_connection(("127.0.0.1", port)):
            house.settimeout(PATIENCE_S)
            with house.accept()[0]:
                assert pairing.ctl(pairing.relay, "revoke", NAME).code == 0
                assert b"Permission denied" in pairing.sshd.ssh(key=str(key)).stderr
                assert client.poll() is None and listeners(port) == listening and pairing.relay.get("/v1/status").json["lanes"] == []
        begin = time.monotonic()
        client.wait(PATIENCE_S)
        assert time.monotonic() - begin < limit(3)
        wait_until(lambda: not listening & listeners(port), "it listens no more", timeout=limit(1))
        client.stderr.close()
