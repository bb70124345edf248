"""Services that are told addresses and have a way of their own: DuckDNS, Namecheap, FreeDNS, Hurricane Electric, INWX and
all-inkl, and whatever a template of a URL or a program reaches. The table of what they share is in SERVICES."""

from __future__ import annotations

import json
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from daemon import Daemon
from dns_agent import DnsAgent
from dns_sim.base import Reply, Request, Simulator, route
from dns_sim.duckdns import DuckDns
from dns_sim.dyndns2 import AllInkl, DnsOMatic, Dyndns2, DynHost, HurricaneElectric, Infomaniak, Inwx, Loopia, SelfHost
from dns_sim.freedns import FreeDns
from dns_sim.namecheap import Namecheap
from dnscall import Caller
from programs import run, wait_until

WWW = "www.example.org"
V4, V6, OTHER = "192.0.2.1", "2001:db8::1", "192.0.2.9"


class ByUrl(Simulator):
    """What a template of url reaches: a service with words of its own."""

    kind = "url"
    secrets = {"token_file": "url-Token/with?odd&chars=%41"}
    more = {"success": "OK nochg", "zone": "example.org"}

    def __init__(self, *args: object, **more: object) -> None:
        self.known: dict[str, dict[str, str]] = {WWW: {}}
        super().__init__(*args, **more)
        self.url = self.origin + "/set/{zone}?host={name}&a={ip}&aaaa={ip6}&fixed=1&key={token}"

    @route("GET", r"/set/example.org")
    def set(self, request: Request) -> Reply:
        sent = dict(request.query)
        assert set(sent) <= {"host", "a", "aaaa", "fixed", "key"} and {"host", "fixed", "key"} <= set(sent)
        assert "" not in sent.values() and "{" not in request.target
        if sent["key"] != self.secrets["token_file"]:
            return Reply.text(200, "badauth")
        if sent["host"] not in self.known:
            return Reply.text(200, "nohost")
        before, self.known[sent["host"]] = self.known[sent["host"]], {k: sent[k] for k in ("a", "aaaa") if k in sent}
        return Reply.text(200, "nochg" if before == self.known[sent["host"]] else "OK done")

    def errors(self) -> dict[str, list[Reply]]:
        return {"auth": [Reply.text(200, "badauth"), Reply(401)], "config": [Reply.text(200, "nohost"), Reply(404)],
                "abuse": [Reply.text(200, "abuse")], "throttled": [Reply(429), Reply.text(200, "interval")],
                "transient": [Reply(500), Reply.text(200, "911")],
                "badreply": [Reply.text(200, "good 192.0.2.1"), Reply.text(200, "OKAY"), Reply.text(200, "not OK")]}


@dataclass
class Service:
    sim: type
    name: str
    held: Callable[[Any], Any]  # what it was told of that name: (v4, v6)
    other: Optional[str]  # a name it has not, and what it is to us
    other_class: str = "config"
    v6: bool = True
    one_by_one: bool = False  # a request for each family
    says_nochange: bool = True


SERVICES = {s.sim.kind: s for s in [
    Service(DuckDns, "www.sassy-cat.duckdns.org", lambda sim: tuple(sim.known["sassy-cat"].get(k) for k in ("ip", "ipv6")),
            "x.example.org"),
    Service(Namecheap, WWW, lambda sim: (sim.known["www"] or None, None), "nobody.example.org", v6=False, says_nochange=False),
    Service(FreeDns, WWW, lambda sim: (sim.known.get(4), sim.known.get(6)), "a.test", one_by_one=True),
    Service(HurricaneElectric, WWW, lambda sim: both(sim.known[WWW]), "a.test", one_by_one=True),
    Service(Infomaniak, WWW, lambda sim: both(sim.known[WWW]), "a.test", one_by_one=True),
    Service(Loopia, WWW, lambda sim: both(sim.known[WWW]), "a.test", one_by_one=True),
    Service(SelfHost, WWW, lambda sim: both(sim.known[WWW]), "a.test", one_by_one=True),
    Service(Inwx, WWW, lambda sim: both(sim.known[WWW]), "a.test"),
    Service(AllInkl, WWW, lambda sim: both(sim.known[WWW]), "a.test"),
    Service(DnsOMatic, WWW, lambda sim: both(sim.known[WWW]), "a.test", v6=False),
    Service(DynHost, WWW, lambda sim: both(sim.known[WWW]), "a.test", v6=False),
    Service(ByUrl, WWW, lambda sim: tuple(sim.known[WWW].get(k) for k in ("a", "aaaa")), "a.test"),
]}


def both(addresses: tuple[str, ...]) -> tuple[Optional[str], Optional[str]]:
    return (next((a for a in addresses if ":" not in a), None), next((a for a in addresses if ":" in a), None))


@pytest.fixture(params=SERVICES.values(), ids=lambda s: s.sim.kind)
def service(request: pytest.FixtureRequest) -> Service:
    return request.param


@pytest.fixture
def sim(service: Service, started: list, folder: Path) -> Any:
    started.append(service.sim(folder))
    started[-1].known.setdefault(WWW, ()) if isinstance(started[-1], Dyndns2) else None
    return started[-1]


def test_tells_what_changes(service: Service, sim: Any) -> None:
    call, v6 = Caller.of(sim), V6 if service.v6 else "-"
    assert call("update", service.name, V4, v6)["class"] == "ok"
    assert service.held(sim) == (V4, V6 if service.v6 else None)
    if service.says_nochange:
        assert call("update", service.name, V4, v6)["class"] == "nochange"
    assert call("update", service.name, OTHER, "-")["class"] == "ok"
    assert service.held(sim)[0] == OTHER
    if service.v6:
        assert call("update", service.name, "-", "2001:db8::2")["class"] == "ok"
        assert service.held(sim)[1] == "2001:db8::2"
    answer = call("update", service.other, V4, "-")
    assert answer["class"] == service.other_class and len(answer["text"]) > 30


def test_a_wrong_credential(service: Service, sim: Any, folder: Path) -> None:
    wrong = folder / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("Wrong-credential_1234")
    call = Caller.of(sim, **{key: str(wrong) for key in sim.secrets})
    call.secrets = ["Wrong-credential_1234"]
    answer = call.all(*[("update", service.name, V4, "-")] * 3)[-1]
    assert answer["class"] == "auth" and service.held(sim) in ((None, None), (None,))


def test_every_error_class(service: Service, sim: Any) -> None:
    call = Caller.of(sim)
    for cls, replies in sim.errors().items():
        for reply in replies:
            sim.fail(reply)
            answer = call("update", service.name, V4, "-")
            assert answer["class"] == cls and (cls == "nochange" or len(answer["text"]) > 20), (reply, answer)
            if reply.headers.get("retry-after"):
                assert answer["retry_after_ms"] == 1000 * int(reply.headers["retry-after"])


@pytest.mark.parametrize("fault, cls", [
    (Reply.html(), "badreply"), (Reply.text(200, ""), "badreply"), (Reply(500), "transient"), ("break", "transient"),
    (Reply(204), "badreply"), (Reply(302, b"OK", {"Location": "https://127.0.0.1:1/"}), "badreply"),
    (Reply(200, b"x" * (3 << 20)), "badreply"), (Reply.json(200, {"good": "OK"}), "badreply"),
], ids=["html", "empty", "500", "reset", "204", "redirect", "huge", "json"])
def test_faults_are_never_a_success(service: Service, sim: Any, fault: Any, cls: str) -> None:
    before = service.held(sim)
    sim.fail(fault if isinstance(fault, Reply) else lambda request: fault)
    assert Caller.of(sim)("update", service.name, V4, "-")["class"] == cls and service.held(sim) == before


@pytest.mark.parametrize("service", [s for s in SERVICES.values() if s.one_by_one], ids=lambda s: s.sim.kind)
def test_a_family_that_failed_is_made_up_for_alone(service: Service, sim: Any) -> None:
    sim.fail(lambda request: None, Reply(500))
    first, second = Caller.of(sim).all(("update", service.name, V4, V6), ("update", service.name, V4, V6))
    assert (first["class"], second["class"]) == ("transient", "ok") and len(sim.requests) == 3
    assert service.held(sim) == (V4, V6)


def test_the_agent_tells_it_once(service: Service, sim: Any, daemons: Callable[..., Daemon]) -> None:
    agent = DnsAgent(daemons, sim.kind, sim.keys())
    agent.site(service.name, **({} if service.v6 else {"families": "ipv4"})).start()
    agent.wait(service.name)
    if service.v6:
        agent.wait(service.name, "AAAA")
    assert service.held(sim) == (V4, V6 if service.v6 else None)
    told = len(sim.requests)
    assert told == (2 if service.one_by_one else 1)
    for _ in range(3):
        agent.daemon.stop()
        agent.start()
        assert agent.record(service.name)["state"] == "ok"
    agent.reload()
    agent.daemon.stop()
    assert len(sim.requests) == told
    seen = agent.daemon.log() + agent.memory().decode()
    assert not [s for s in sim.secrets.values() if s in seen], "a secret is shown"


# ---- what only one of them has ----


def test_duckdns_ko(started: list, folder: Path) -> None:
    started.append(sim := DuckDns(folder))
    call, name = Caller.of(sim), "sassy-cat.duckdns.org"
    update, txt = ("update", name, V4, "-"), ("add-txt", f"_acme-challenge.{name}", "abc")
    sim.fail(*[Reply.text(200, "KO")] * 3)
    assert [a["class"] for a in call.all(update, update, update, update)] == ["transient", "transient", "auth", "ok"]
    replies = call.all(txt, *[("update", "other.duckdns.org", V4, "-")] * 3)
    assert [a["class"] for a in replies] == ["ok", "transient", "transient", "config"]


@pytest.mark.parametrize("kind", [DuckDns, HurricaneElectric], ids=lambda k: k.kind)
def test_one_txt(started: list, folder: Path, kind: type) -> None:
    started.append(sim := kind(folder))
    name = "_acme-challenge.sassy-cat.duckdns.org" if kind is DuckDns else f"_acme-challenge.{WWW}"
    call = Caller.of(sim)
    assert call("add-txt", name, "aB_-9")["class"] == "ok"
    assert (sim.known["sassy-cat"]["txt"] if kind is DuckDns else sim.txt) == "aB_-9"
    assert call("remove-txt", name, "aB_-9")["class"] == ("ok" if kind is DuckDns else "nochange")
    if kind is DuckDns:
        assert "txt" not in sim.known["sassy-cat"]


def test_namecheap_hosts(started: list, folder: Path) -> None:
    started.append(sim := Namecheap(folder))
    call = Caller.of(sim)
    assert call("update", "example.org", V4, "-")["class"] == "ok" and sim.known["@"] == V4
    assert call("update", "*.example.org", V4, "-")["class"] == "ok" and sim.known["*"] == V4
    assert call("update", "www.example.net", V4, "-")["class"] == "config"
    assert call("update", WWW, "-", V6)["class"] == "config" and len(sim.requests) == 2


def test_freedns_without_the_other_token(started: list, folder: Path) -> None:
    started.append(sim := FreeDns(folder))
    call = Caller.of(sim)
    del call.keys["key_file"]
    answer = call("update", WWW, V4, V6)
    assert answer["class"] == "config" and "families = ipv4" in answer["text"] and not sim.requests
    assert call("update", WWW, V4, "-")["class"] == "ok"


@pytest.mark.parametrize("keys, wrong", [
    ({"url": "https://a.test/?h={name}&i={ip}&x={foo}"}, "none of {ip}"),
    ({"url": "https://a.test/?h={name}&i={ip}&x={ip"}, "none of {ip}"),
    ({"url": "https://a.test/?h={name}"}, "neither {ip} nor {ip6}"),
    ({"url": "https://a.test/{ip}?h={name}"}, "in front of the ?"),
    ({"url": "https://a.test/?h={name}&i={ip}&t={token}"}, "no token_file"),
    ({"url": "https://a.test/?h={name}&i={ip}", "token_file": "env:X"}, "other way round"),
    ({"url": "https://a.test/?h={name}&i={ip}&z={zone}"}, "no zone"),
    ({"url": "https://a.test/?h={name}&i={ip}", "user": "me"}, "user without password_file"),
    ({"url": "https://me:secret@a.test/?h={name}&i={ip}"}, "holds no password"),
    ({"url": "https://a.test/?h={name}&i={ip}", "success": None}, "has no success"),
], ids=lambda v: v if isinstance(v, str) else "")
def test_templates_that_are_wrong(daemons: Callable[..., Daemon], keys: dict[str, Optional[str]], wrong: str) -> None:
    agent = DnsAgent(daemons, "url", {k: v for k, v in {"success": "OK", **keys}.items() if v is not None})
    agent.site(WWW).write()
    checked = run("tunnel-agent", "--check", "-c", agent.daemon.conf, env={"X": "a-token"})
    assert checked.code != 0 and wrong in checked.out + checked.err


def test_a_template_says_what_it_takes(started: list, folder: Path) -> None:
    started.append(sim := ByUrl(folder))
    call = Caller.of(sim)
    call.keys["url"] = sim.origin + "/set/{zone}?host={name}&a={ip}&fixed=1&key={token}"
    answer = call("update", WWW, V4, V6)
    assert answer["class"] == "config" and "{ip6}" in answer["text"] and not sim.requests
    call.keys.update(url=sim.origin + "/set/{zone}?host=www.example.org&a={ip}&fixed=1&key={token}")
    assert call("update", WWW, V4, "-")["class"] == "config"  # whose zone is not that name
    sim.fail(Reply(204))
    call.keys.update(url=sim.url, success="204")
    assert call("update", WWW, V4, V6)["class"] == "ok"


# ---- type = command ----

PROGRAM = """#!/usr/bin/python3
import json, os, sys, time
token = sys.stdin.read()
with open({log!r}, "a") as f:
    f.write(json.dumps({{"args": sys.argv[1:], "env": dict(os.environ), "token": token, "fds": os.listdir("/proc/self/fd")}}) + "\\n")
{body}
"""


class Command:
    def __init__(self, folder: Path, body: str = ""):
        self.log, self.program, self.token = folder / "calls", folder / "set-dns", folder / "command.token"
        self.program.write_text(PROGRAM.format(log=str(self.log), body=body))
        self.program.chmod(0o700)
        self.token.touch(mode=0o600)
        self.token.write_text("command-Token_0123\n")
        self.keys = {"command": str(self.program), "token_file": str(self.token), "zone": "example.org"}
        self.call = Caller("command", self.keys)
        self.call.secrets = ["command-Token_0123"]

    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


def test_a_command_is_told(folder: Path) -> None:
    command = Command(folder, "print('fine')")
    command.call.env = {"SECRET_OF_THE_DAEMON": "x"}
    assert command.call("update", WWW, V4, "-")["class"] == "ok"
    assert command.call("add-txt", f"_acme-challenge.{WWW}", "a b;$(id)'\"")["class"] == "ok"
    assert command.call("remove-txt", f"_acme-challenge.{WWW}", "x")["class"] == "ok"
    update, add, clear = command.calls()
    assert update["args"] == ["update", WWW, V4, "-"] and update["token"] == "command-Token_0123\n"
    env = {k: v for k, v in update["env"].items() if k.startswith("TUNNEL_")}
    assert env == {"TUNNEL_ACTION": "update", "TUNNEL_NAME": WWW, "TUNNEL_ZONE": "example.org", "TUNNEL_IP": V4, "TUNNEL_IP6": ""}
    assert set(update["env"]) - set(env) <= {"PATH", "LANG", "LC_CTYPE"} and len(update["fds"]) == 5
    assert add["args"] == ["set-txt", f"_acme-challenge.{WWW}", "a b;$(id)'\""] and add["env"]["TUNNEL_TXT"] == "a b;$(id)'\""
    assert clear["args"] == ["clear-txt", f"_acme-challenge.{WWW}"]


@pytest.mark.parametrize("body, cls, text", [
    ("sys.exit(0)", "ok", ""), ("print('later\\nmore'); sys.exit(1)", "transient", "later"), ("sys.exit(2)", "auth", "says nothing"),
    ("print('no such zone', file=sys.stderr); sys.exit(3)", "config", "no such zone"), ("sys.exit(4)", "throttled", ""),
    ("sys.exit(5)", "abuse", ""), ("sys.exit(6)", "nochange", ""), ("sys.exit(7)", "badreply", "0 to 6"),
    ("os.kill(os.getpid(), 9)", "badreply", "signal 9"), ("print('x' * 3000000); sys.exit(0)", "ok", ""),
    ("print(token); sys.exit(1)", "transient", "***"), ("os.close(1); os.close(2); time.sleep(0.3); os._exit(6)", "nochange", ""),
    ("print('\\x1b[31mred'); sys.exit(1)", "transient", "\\x1b[31mred"),
], ids=["0", "1", "2", "3", "4", "5", "6", "7", "signal", "much", "token", "silent", "control"])
def test_how_a_command_ends(folder: Path, body: str, cls: str, text: str) -> None:
    answer = Command(folder, body).call("update", WWW, V4, V6)
    assert answer["class"] == cls and text in answer["text"]


def test_a_command_that_cannot_be_run(folder: Path) -> None:
    command = Command(folder)
    command.program.chmod(stat.S_IRUSR)
    assert command.call("update", WWW, V4, V6)["class"] == "config"
    command.program.unlink()
    answer = command.call("update", WWW, V4, V6)
    assert answer["class"] == "config" and "cannot be run" in answer["text"]


def test_a_command_that_hangs_ends_with_the_agent(folder: Path, daemons: Callable[..., Daemon]) -> None:
    command = Command(folder, f"""
import subprocess
p = subprocess.Popen(["sleep", "600"])
open({str(folder / "pid")!r}, "w").write(str(p.pid))
time.sleep(600)""")
    agent = DnsAgent(daemons, "command", command.keys)
    agent.site(WWW).start()
    wait_until(lambda: (folder / "pid").exists() and (folder / "pid").read_text(), "it runs")
    began = time.monotonic()
    agent.daemon.stop()
    assert time.monotonic() - began < 30
    pid = int((folder / "pid").read_text())
    wait_until(lambda: not os.path.exists(f"/proc/{pid}") or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2],
               "what it has started is ended too")


def test_the_agent_runs_a_command_once(folder: Path, daemons: Callable[..., Daemon]) -> None:
    command = Command(folder)
    agent = DnsAgent(daemons, "command", command.keys)
    agent.site(WWW).start()
    agent.wait(WWW), agent.wait(WWW, "AAAA")
    agent.daemon.stop()
    agent.start()
    assert agent.record(WWW)["state"] == "ok" and [c["args"] for c in command.calls()] == [["update", WWW, V4, V6]]


def test_a_service_of_one_family_is_told_once(started: list, folder: Path, daemons: Callable[..., Daemon]) -> None:
    started.append(sim := DnsOMatic(folder))
    sim.known[WWW] = ()
    agent = DnsAgent(daemons, sim.kind, sim.keys())
    agent.site(WWW).start()  # families = both, and it takes IPv4 alone
    agent.wait(WWW)
    for _ in range(3):
        agent.daemon.stop()
        agent.start()
        assert agent.record(WWW)["state"] == "ok"
    assert sim.known[WWW] == (V4,) and len(sim.requests) == 1
    told = agent.records().get((WWW, "AAAA"))
    assert told is None or told["state"] != "ok", told
