"""Alerts: what an operator is told by a webhook, a program and GET /v1/events, of real trouble that begins and ends; and what becomes
of an alert that nobody takes. Time passes for the daemons when a test says so."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

import control
from admin import Place
from acme_sim import AcmeSim, problem, sims  # noqa: F401 (a fixture)
from clock import Clock
from daemon import Daemon
from dns_agent import DnsAgent
from dns_sim.base import Reply
from dns_sim.dyndns2 import Dyndns2
from far_path import FarPath
from path import DOMAIN, fronts  # noqa: F401 (a fixture)
from programs import PATIENCE_S, Result, run, wait_until
from readme import blocks, replaced
from test_metrics import Scraped
from test_certs_faults import SimCerts, relays  # noqa: F401 (a fixture)
from webhook import Webhook

SECRET = "tk-0123456789"


@pytest.fixture
def webhook(started: list) -> Webhook:
    started.append(Webhook())
    return started[-1]


def events(daemon: Daemon) -> list[dict[str, Any]]:
    return [json.loads(line) for line in daemon.get("/v1/events?last").body.splitlines()]


def told(daemon: Daemon) -> list[tuple[str, str, str]]:
    return [(e["kind"], e["subject"], e["state"]) for e in events(daemon)]


def wait_told(daemon: Daemon, *expected: str, clock: Clock, step: float = 2) -> dict[str, Any]:
    """Until the last event is this one; while time passes in steps: a lane outlives small ones."""
    def is_told() -> Any:
        clock.wait(step)
        time.sleep(0.2)
        return told(daemon)[-1:] == [expected] and events(daemon)[-1]

    return wait_until(is_told, f"{expected}; told is {told(daemon)}")


def alerts(daemon: Daemon, way: str = "webhook") -> dict[str, Any]:
    return daemon.get("/v1/status").json["alerts"][way]


def ask_for_one(daemon: Daemon) -> Any:
    reply = daemon.post("/v1/events/test")
    assert reply.status == 200
    return reply.json


class Watcher:
    """GET /v1/events, as it comes."""

    def __init__(self, daemon: Daemon) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(daemon.socket))
        self.socket.settimeout(PATIENCE_S)
        self.socket.sendall(control.request_bytes("GET", "/v1/events"))
        self._in = self.socket.makefile("rb")
        assert self._in.readline().split()[1] == b"200"
        while self._in.readline() != b"\r\n":
            pass
        self._lines: list[bytes] = []

    def next(self) -> dict[str, Any] | None:
        """None: the stream has ended."""
        while not self._lines:
            size = int(self._in.readline() or b"0", 16)
            chunk = self._in.read(size + 2)[:size]
            if not chunk:
                return None
            self._lines += chunk.splitlines()
        return json.loads(self._lines.pop(0))

    def end(self) -> None:
        self._in.close()
        self.socket.close()


class Watched(FarPath):
    """Both daemons by clocks of the test's."""

    def __init__(self, daemons: Callable[..., Daemon], started: list, folder: Path, **how: Any) -> None:
        for name in ("relay", "agent"):
            (folder / f"{name}-clock").mkdir()
        self.clocks = {name: Clock(folder / f"{name}-clock") for name in ("relay", "agent")}
        super().__init__(daemons, started, folder, heartbeat="1s", **how)

    def start_relay(self) -> None:
        self.relay.start(env=self.clocks["relay"].environment, **self.spawning())

    def start_agent(self) -> None:
        self.agent.start(env=self.clocks["agent"].environment)


@pytest.fixture
def watched(daemons: Callable[..., Daemon], started: list, folder: Path) -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(**how: Any) -> Watched:
        made.append(Watched(daemons, started, folder, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


def failing_hook(folder: Path, times: int) -> Path:
    """Notes each run in folder/runs, and fails so often."""
    hook = folder / "hook"
    hook.write_text(f"#!/bin/sh\necho \"$TUNNEL_EVENT_ID $TUNNEL_EVENT_KIND $TUNNEL_EVENT_SUBJECT $TUNNEL_EVENT_STATE\" "
                    f">>'{folder}/runs'\ntest $(wc -l <'{folder}/runs') -gt {times}\n")
    hook.chmod(0o755)
    return hook


def runs(folder: Path) -> list[str]:
    path = folder / "runs"
    return path.read_text().splitlines() if path.exists() else []


def test_an_agent_that_goes_and_comes(watched: Callable[..., Watched], webhook: Webhook, folder: Path) -> None:
    """A redial and a restart of the relay are nothing; a minute without a lane is told, and the end of it; each by every way,
    once it is taken."""
    path = watched(webhook=webhook.url, on_event=failing_hook(folder, 2))
    relay, clock = path.relay, path.clocks["relay"]
    watcher = Watcher(relay)
    relay.stop()
    path.start_relay()
    path.wait_up()
    path.agent.kill()
    wait_until(lambda: path.lane_states() == ["dead"], "its lane is gone")
    path.start_agent()
    path.wait_up()
    assert watcher.next() is None and events(relay) == []
    watcher = Watcher(relay)
    webhook.answers(500)
    path.agent.kill()
    wait_until(lambda: path.lane_states() == ["dead"], "its lane is gone")
    event = wait_told(relay, "agent", "pi", "down", clock=clock, step=20)
    assert "pi is down: " in event["text"] and "tunnelctl status" in event["remedy"] and event["id"] == 1
    assert event["since"] < event["at"]
    assert watcher.next() == event
    wait_until(lambda: (clock.wait(2), webhook.json() and len(runs(folder)) >= 3)[1], "it is delivered")
    path.start_agent()
    path.wait_up()
    event = wait_told(relay, "agent", "pi", "up", clock=clock)
    assert "is up again, after " in event["text"] and watcher.next() == event
    wait_until(lambda: len(webhook.json()) == 2 and len(runs(folder)) == 4, "it is delivered")
    assert webhook.json() == events(relay) and [got.answered for got in webhook.got] == [500, 200, 200]
    assert {(e["role"], e["name"]) for e in webhook.json()} == {("relay", "e2e")}
    assert runs(folder) == ["1 agent pi down"] * 3 + ["2 agent pi up"]
    relay.stop()
    assert watcher.next() is None
    watcher.end()


def test_what_the_agent_tells(watched: Callable[..., Watched], webhook: Webhook) -> None:
    """A service that is gone, and a relay that cannot be reached."""
    path = watched(agent_keys={"webhook": f"json {webhook.url}/x"})
    agent, clock = path.agent, path.clocks["agent"]
    path.site.end()
    assert path.visit().status in (502, 503)
    path.kill_sshd()
    wait_until(lambda: (clock.wait(20), time.sleep(0.2), len(told(agent)) == 2)[2], f"both are told: {told(agent)}")
    said = {event["kind"]: event for event in events(agent)}
    assert said["service"]["subject"] == DOMAIN and path.site.url in said["service"]["text"]
    assert said["relay"]["subject"] == "e2e" and "tunnelctl doctor" in said["relay"]["remedy"]
    path.sshd.start_again()
    wait_told(agent, "relay", "e2e", "up", clock=clock)
    wait_until(lambda: len(webhook.json()) == 3, "all is delivered")
    assert webhook.json() == events(agent) and {got.path for got in webhook.got} == {"/x"}


def test_what_nobody_takes(daemons: Callable[..., Daemon], started: list, folder: Path, ctl: Callable[..., Result]) -> None:
    """It waits, is there after a restart, and is told in order; who says when is asked then; what is refused is given up."""
    clock, port = Clock(folder), 0
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    agent = daemons("agent", webhook=f"http://127.0.0.1:{port}/{SECRET}").start(env=clock.environment)
    assert ask_for_one(agent)["to"] == ["webhook"]
    ask_for_one(agent)
    state = wait_until(lambda: (a := alerts(agent))["last_error"] and a, "it is said")
    assert state["pending"] == 2 and state["to"] == f"127.0.0.1:{port}" and state["last_error_since"] and state["next_attempt"]
    shown = ctl("status", at=agent)
    assert f"alerts: webhook does not take them: cannot ask 127.0.0.1:{port}" in shown.out and "2 wait; since" in shown.out
    agent.stop()
    hook = Webhook(port)
    started.append(hook)
    hook.answers((429, {"Retry-After": "3000"}))
    agent.start(env=clock.environment)
    wait_until(lambda: hook.got, "it is asked")
    wait_until(lambda: "429" in (alerts(agent)["last_error"] or ""), "it is said")
    clock.wait(700)
    time.sleep(0.3)
    agent.get("/v1/status")
    assert len(hook.got) == 1
    hook.answers(200, 200, 404, 302)
    for _ in range(3):
        ask_for_one(agent)
    clock.wait(2400)
    wait_until(lambda: len(hook.got) == 6, "it is told in the end")
    wait_until(lambda: alerts(agent)["pending"] == 0, "nothing waits")
    assert [e["id"] for e in hook.json()] == [1, 2, 5] and alerts(agent)["given_up"] == 2
    assert alerts(agent)["last_error"] is None and alerts(agent)["last_delivered"]
    assert agent.log().count("an alert is given up") == 2 and SECRET not in agent.log()
    assert SECRET not in json.dumps([agent.get("/v1/config").json, agent.get("/v1/status").json])
    hook.answers(403)
    ask_for_one(agent)
    wait_until(lambda: "webhook_token_file" in (alerts(agent)["last_error"] or ""), "what is refused is said")
    agent.kill()  # nothing is delivered twice that was taken long ago
    agent.start(env=clock.environment)
    ask_for_one(agent)
    wait_until(lambda: len(hook.got) == 8, "it is told")
    assert json.loads(hook.got[-1].body)["id"] == 7


def test_what_answers_there_speaks_no_http(daemons: Callable[..., Daemon], started: list) -> None:
    """Such as a captive portal, or another daemon at that port for a while: it is tried again, and the URL is not blamed."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        agent = daemons("agent", webhook=f"http://127.0.0.1:{port}/").start()
        ask_for_one(agent)
        other.settimeout(PATIENCE_S)
        asks, _ = other.accept()
        with asks:
            asks.recv(4096)
            asks.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    state = wait_until(lambda: (a := alerts(agent))["last_error"] and a, "it is said")
    assert (state["pending"], state["given_up"]) == (1, 0), state
    assert f"cannot ask 127.0.0.1:{port}: what answers there does not speak HTTP" in state["last_error"]
    started.append(hook := Webhook(port))
    wait_until(lambda: hook.json(), "it is told in the end")


def test_ntfy(daemons: Callable[..., Daemon], webhook: Webhook, folder: Path) -> None:
    token = folder / "token"
    token.write_text(f"{SECRET}\n")
    token.chmod(0o600)
    relay = daemons("relay", webhook=f"ntfy {webhook.url}/topic", webhook_token_file=token).start()
    ask_for_one(relay)
    wait_until(lambda: webhook.got, "it is told")
    got = webhook.got[0]
    assert got.path == "/topic" and got.body.decode() == "this is a test: somebody asked for it, and nothing is wrong"
    assert (got.fields["title"], got.fields["tags"], got.fields["priority"]) == ("e2e: this is a test", "bell,test", "default")
    assert got.fields["authorization"] == f"Bearer {SECRET}" and got.fields["user-agent"].startswith("tunnel-relay/")
    token.write_text("two\nlines\n")
    ask_for_one(relay)
    wait_until(lambda: "the token alone" in (alerts(relay)["last_error"] or ""), "it is said")
    token.write_text(SECRET)
    relay.configure(name="other", webhook=f"{webhook.url}/json", webhook_token_file=token)
    assert relay.post("/v1/reload").status == 200  # and is tried at once
    wait_until(lambda: len(webhook.got) == 2, "it is told")
    assert webhook.got[1].path == "/json" and json.loads(webhook.got[1].body)["name"] == "other"
    relay.configure()
    assert relay.post("/v1/reload").status == 200
    assert ask_for_one(relay)["to"] == [] and alerts(relay) is None and len(events(relay)) == 3
    assert len(webhook.got) == 2


def test_as_the_readme_has_it(daemons: Callable[..., Daemon], webhook: Webhook) -> None:
    conf, command = blocks("## Alerts")
    key, value = replaced(conf, **{"https://ntfy.sh": webhook.url}).split(" = ")
    relay = daemons("relay", **{key: value}).start()
    command = replaced(command, sudo="", **{"/run/tunnel-relay/control.sock": str(relay.socket)})
    said = subprocess.run(["sh", "-c", command], capture_output=True, check=True, text=True).stdout
    assert json.loads(said)["to"] == ["webhook"]
    wait_until(lambda: webhook.got, "it is told")
    assert webhook.got[0].path == "/a-name-that-nobody-guesses" and webhook.got[0].fields["title"] == "e2e: this is a test"


BAD = [
    ("webhook", f"{SECRET}", "is no URL; write https://HOST/PATH"),
    ("webhook", f"slack https://a.test/{SECRET}", "is no URL; write https://HOST/PATH"),
    ("webhook", f"https://a.test/ {SECRET}", "holds a blank"),
    ("webhook", f"https:///{SECRET}", "names no host"),
    ("webhook_token_file", "env:HOME", "goes with webhook"),
    ("webhook_token_file", "/nowhere", "/nowhere"),
    ("on_event", "/etc/passwd", "chmod +x"),
    ("on_event", "/nowhere", "no such program"),
]


@pytest.mark.parametrize(("key", "value", "why"), BAD)
def test_what_the_configuration_must_not_say(role: str, daemons: Callable[..., Daemon], key: str, value: str, why: str) -> None:
    daemon = daemons(role, **{key: value})
    done = run(f"tunnel-{role}", "--check", "-c", daemon.conf)
    assert done.code == 1 and f"{role}.{key}" in done.err and why in done.err and SECRET not in done.err, done.err


def test_events_can_be_watched(daemon: Daemon) -> None:
    """The last ones first, however many there were; and as many watchers as there are places."""
    for _ in range(110):
        ask_for_one(daemon)
    assert [e["id"] for e in events(daemon)] == list(range(11, 111))
    watchers = [Watcher(daemon) for _ in range(8)]
    assert control.ask(daemon.socket, "GET", "/v1/events").status == 503
    ask_for_one(daemon)
    for watcher in watchers:
        assert [watcher.next()["id"] for _ in range(101)] == list(range(11, 112))
        watcher.end()
    wait_until(lambda: told(daemon) and len(watchers) == 8, "they are gone")
    assert daemon.get("/v1/events?x").status == 400 and daemon.post("/v1/events").status == 405
    assert daemon.post("/v1/events/test", b'{"x": 1}').status == 400
    daemon.stop()
    daemon.start()
    assert ask_for_one(daemon)["event"]["id"] == 112
    (daemon.state_dir / "alerts.json").write_text("{")
    daemon.stop(signal.SIGTERM)
    (daemon.state_dir / "alerts.json").write_text('{"last_id": "x"}')
    daemon.start()
    assert "alerts of before are forgotten" in daemon.log() and events(daemon) == []


def test_a_certificate_that_fails(sims: Callable[..., AcmeSim], relays: Callable[..., SimCerts], webhook: Webhook,  # noqa: F811
                                  folder: Path) -> None:
    """One failure is nothing; the second is told, and that it is well again."""
    sim, clock = sims(ari=False), Clock(folder)
    sim.fault("newOrder", problem(403, "caa", "CAA record for a.test forbids it"), times=1000)
    c = relays(sim, webhook=webhook.url, heartbeat="1s", env=clock.environment)
    c.wait("failing")
    assert c.renew().status == 200 or c.cert()["failures"] >= 2
    wait_until(lambda: c.cert()["failures"] >= 2, "it has failed again")
    wait_until(lambda: told(c.relay), "it is told")  # by its own time: what waits for the authority would wait for longer
    (event,) = events(c.relay)
    assert (event["kind"], event["subject"], event["state"]) == ("certificate", DOMAIN, "trouble")
    assert "CAA record for a.test" in event["text"] and f"tunnelctl certs renew {DOMAIN}" in event["remedy"]
    sim.mend()
    c.renew()
    c.wait("valid")
    wait_told(c.relay, "certificate", DOMAIN, "well", clock=clock)
    wait_until(lambda: len(webhook.json()) == 2, "both are delivered")


def test_a_record_that_fails(daemons: Callable[..., Daemon], started: list, folder: Path, webhook: Webhook) -> None:
    """A service that is asked once for each try: what paces several waits by the machine's own clock."""
    sim, clock, name = Dyndns2(folder), Clock(folder), "www.example.org"
    sim.known[name] = ()
    started.append(sim)
    sim.fail(*[Reply(500)] * 50)
    agent = DnsAgent(daemons, sim.kind, sim.keys(), webhook=webhook.url).site(name, families="ipv4")
    agent.start(env=clock.environment)
    failed = agent.wait(name, state="failed")
    event = wait_told(agent.daemon, "dns", f"{name} A", "trouble", clock=clock, step=20)
    assert failed["last_error"] in event["text"] and "tunnelctl dns sync" in event["remedy"]
    sim.next.clear()
    wait_told(agent.daemon, "dns", f"{name} A", "well", clock=clock, step=20)
    wait_until(lambda: len(webhook.json()) == 2, "both are delivered")


def test_what_metrics_and_doctor_say(daemons: Callable[..., Daemon], role: str, started: list, folder: Path, webhook: Webhook) -> None:
    """A program that fails, and a webhook that does: counted by way, and a step with its remedy; and nothing once both are well."""
    place = Place()
    started.append(place)
    webhook.answers(503, 404)
    daemon = daemons(role, admin_listen=place.listen, webhook=webhook.url, on_event=failing_hook(folder, 1)).start()

    def value(name: str, way: str) -> float:
        return Scraped(place)[f'tunnel_{role}_alerts_{name}{{way="{way}"}}']

    def steps() -> dict[str, tuple[str, str]]:
        done = run("tunnelctl", "--socket", daemon.socket, "--json", "doctor")
        return {s["text"].split()[0]: (s["state"], s["text"] + " -> " + (s["remedy"] or ""))
                for s in json.loads(done.out)["steps"] if s["step"] == "alerts"}

    assert [value(name, way) for name in ("failed_total", "failing") for way in ("webhook", "hook")] == [0] * 4
    ask_for_one(daemon)
    wait_until(lambda: value("given_up_total", "webhook") == 1 and value("failed_total", "hook") == 1, "both have failed")
    assert value("failed_total", "webhook") == 2 and value("failing", "webhook") == 1
    state, text = steps()["webhook"]
    assert state == "warn" and "404" in text and "webhook_token_file" in text and "/v1/events/test" in text
    ask_for_one(daemon)
    wait_until(lambda: value("failing", "webhook") == value("failing", "hook") == value("waiting", "hook") == 0, "both are well")
    assert value("failed_total", "hook") == 1 and value("delivered_total", "hook") == 2 and value("delivered_total", "webhook") == 1
    assert {state for state, _ in steps().values()} == {"pass"}
