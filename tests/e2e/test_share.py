"""One name served by several agents: who gets which request, and what visitors notice when some of them die."""

from __future__ import annotations

import collections
import json
import os
import signal
import socket
import subprocess
import threading

import pytest

from fake_agent import FakeAgent
from http1 import Peer, each_connection
from path import DOMAIN, LIKE_A_VM, Front, VmSshd, fronts, new_key
from programs import need, wait_until
from visitor import context
from website import Site

FOUR = ("pi", "nas", "box", "den")  # pi is in the configuration of each Front


class Load:
    """Visitors who ask one request after the other, each on a connection that is kept, until the end of the block."""

    def __init__(self, front: Front, visitors: int = 6, pause_s: float = 0.01) -> None:
        self.front, self.pause_s = front, pause_s
        self.tls = context(front.root)
        self.answered: collections.Counter[str] = collections.Counter()  # by whom
        self.failed: list[str] = []
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._visit, daemon=True) for _ in range(visitors)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        self.wait_more(20)
        return self

    def __exit__(self, *why: object) -> None:
        self.ending.set()
        for thread in self.threads:
            thread.join()

    @property
    def requests(self) -> int:
        return sum(self.answered.values())

    def wait_more(self, n: int = 100) -> None:
        enough = self.requests + n
        wait_until(lambda: self.requests >= enough, "visitors are answered")

    def _visit(self) -> None:
        with self.front.visitor(tls=self.tls) as visitor:
            while not self.ending.is_set():
                try:
                    reply = visitor.ask()
                except Exception as e:
                    self.failed.append(repr(e))
                    return
                if reply.status != 200:
                    self.failed.append(f"{reply.status} {reply.body}")
                self.answered[reply.head.get("x-served-by")] += 1
                self.ending.wait(self.pause_s)


def sections(folder, names, extra=""):
    """[agent] sections for those that Front does not know."""
    return "".join(f"[agent {name}]\nkey = {new_key(folder, f'key_{name}')}\ndomains = {DOMAIN}\n{extra}"
                   for name in names if name != "pi")


def serve(stream):
    stream.answer("hello", fields=f"X-Served-By: {stream.agent.name}\r\n")


@pytest.fixture
def shared(fronts, folder, started):
    """shared(FOUR, share="balance") is a relay with fake agents of these names, all up: front.agents."""

    def make(names=FOUR, policies=None, share="balance", conf="", start=True, **keys):
        front = fronts(DOMAIN, **keys)
        front.relay.conf.write_text(front.relay.conf.read_text() + sections(folder, names) + conf)
        front.start_relay()
        front.agents = {}
        for i, name in enumerate(names):
            policy = policies[i] if policies else {"share": share}
            agent = FakeAgent(front.lane_socket, [{"item": f"domain:{DOMAIN}", "aliases": [], "policy": policy}], name)
            agent.serve = serve
            front.agents[name] = agent
            started.append(agent)
            if start:
                agent.start()
        if start:
            wait_until(lambda: front.lane_states().count("up") == len(names), "all lanes are up")
            wait_until(lambda: front.visit().status == 200, "workers follow")
        return front

    return make


def served_by(front, method="GET", **how):
    reply = front.visit(method, **how)
    assert reply.status == 200
    return reply.head.get("x-served-by")


def count(front, n=20, **how):
    return collections.Counter(served_by(front, **how) for _ in range(n))


def die(agent):
    """As when its machine is switched off: nothing is explained any more."""
    agent.ended = None
    agent.close_port()
    for stream in agent.streams:
        stream.explained = True
        stream.drop()
    agent.leave()


def site_of(front):
    return next(site for site in front.status()["domains"] if site["name"] == DOMAIN)


# ---- who may ----


def test_both_have_to_say_so_and_are_told(shared):
    front = shared(("pi", "nas"), start=False)
    pi, nas = front.agents["pi"].start(), front.agents["nas"]
    nas.items[0]["policy"] = {}
    (answer,) = nas.start().wait_heard("claimed")["items"]
    assert not answer["ok"] and "pi already, with share = balance, and this claim has share = off" in answer["why"]
    nas.items[0]["policy"] = {"share": "balance"}
    assert nas.claim()["items"][0]["ok"]
    assert site_of(front)["agents"] == ["pi", "nas"]
    pi.items[0]["policy"] = {}
    (answer,) = pi.claim()["items"]
    assert not answer["ok"] and "nas already" in answer["why"]
    wait_until(lambda: site_of(front)["agents"] == ["nas"], "nas has it alone")
    wait_until(lambda: front.visit().status == 200, "its lane is up")
    wait_until(lambda: count(front, 5) == {"nas": 5}, "workers follow")


def test_the_relays_own_section_decides(shared):
    front = shared(("pi", "nas"), [{}, {"share": "off"}], conf=f"[domain {DOMAIN}]\nshare = balance\n")
    assert site_of(front)["agents"] == ["pi", "nas"]
    wait_until(lambda: set(count(front, 8)) == {"pi", "nas"}, "both are asked")
    text = front.relay.conf.read_text()
    front.relay.conf.write_text(text.replace("share = balance", "share = off"))
    assert front.relay.post("/v1/reload").status == 200
    wait_until(lambda: site_of(front)["agents"] == ["pi"], "who had it first keeps it")
    heard = wait_until(lambda: [line for line in front.agents["nas"].heard if line["type"] == "claimed"][1:], "news")
    assert "the relay's own section of it has share = off" in heard[-1]["items"][0]["why"]


def test_an_agent_that_may_not_serve_the_name_cannot_join(shared, folder, started):
    front = shared(("pi",))
    front.relay.conf.write_text(front.relay.conf.read_text() +
                                f"[agent out]\nkey = {new_key(folder, 'key_out')}\ndomains = other.test\n")
    assert front.relay.post("/v1/reload").status == 200
    agent = FakeAgent(front.lane_socket, [{"item": f"domain:{DOMAIN}", "aliases": [], "policy": {"share": "balance"}}], "out")
    started.append(agent)
    (answer,) = agent.start().wait_heard("claimed")["items"]
    assert not answer["ok"] and "may not serve" in answer["why"]
    assert site_of(front)["agents"] == ["pi"]


def test_status_shows_all_of_them(shared, ctl):
    front = shared()
    assert sorted(site_of(front)["agents"]) == sorted(FOUR)
    line = next(line for line in ctl("status", at=front.relay).out.splitlines() if DOMAIN in line)
    assert all(name in line for name in FOUR)
    for name in FOUR[:3]:
        die(front.agents[name])
    wait_until(lambda: front.lane_states().count("up") == 1, "one is left")
    assert front.site_state() == "up"
    die(front.agents["den"])
    wait_until(lambda: front.site_state() == "down", "none is left")


# ---- balance ----


@pytest.mark.parametrize("workers", [1, 2])
def test_one_after_the_other_when_all_are_idle(shared, workers):
    front = shared(workers=workers)
    wait_until(lambda: set(count(front, 8)) == set(FOUR), "all four are in use")
    found = count(front, 40)
    assert set(found) == set(FOUR) and max(found.values()) <= 20


@pytest.mark.parametrize("workers", [1, 2])
def test_the_one_with_the_least_to_do(shared, workers):
    """Three requests hang at one agent; of six that hang then, all are with the other, before it is equal."""
    front = shared(("pi", "nas"), workers=workers)
    gate, hanging = threading.Event(), collections.Counter()

    def hang(stream):
        hanging[stream.agent.name] += 1
        gate.wait()
        serve(stream)

    pi, nas = front.agents["pi"], front.agents["nas"]
    pi.serve = nas.serve = hang
    visitors = [front.visitor() for _ in range(6)]
    try:
        for i, visitor in enumerate(visitors):
            visitor.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            wait_until(lambda: sum(hanging.values()) == i + 1, "it has come")
            assert abs(hanging["pi"] - hanging["nas"]) <= 1
        gate.set()
        assert {visitor.reply().status for visitor in visitors} == {200}
    finally:
        gate.set()
        for visitor in visitors:
            visitor.close()


# ---- standby ----


def test_the_lowest_priority_that_is_up_gets_all(shared):
    front = shared(("pi", "nas", "box"), [{"share": "standby", "priority": n} for n in (20, 10, 30)])
    wait_until(lambda: count(front, 4) == {"nas": 4}, "nas gets all")
    assert count(front, 20) == {"nas": 20}
    die(front.agents["nas"])
    wait_until(lambda: front.lane_states().count("up") == 2, "nas is gone")
    assert count(front, 20) == {"pi": 20}
    die(front.agents["pi"])
    assert count(front, 20) == {"box": 20}


def test_standing_by_ends_when_the_first_is_back(shared, started):
    front = shared(("pi", "nas"), [{"share": "standby", "priority": n} for n in (1, 2)])
    wait_until(lambda: count(front, 4) == {"pi": 4}, "pi gets all")
    die(front.agents["pi"])
    assert count(front, 5) == {"nas": 5}
    again = FakeAgent(front.lane_socket, front.agents["pi"].items, "pi")
    again.serve = serve
    started.append(again)
    again.start()
    wait_until(lambda: count(front, 4) == {"pi": 4}, "pi gets all again")


def test_a_service_that_is_down_makes_room_for_who_stands_by(shared):
    front = shared(("pi", "nas"), [{"share": "standby", "priority": n} for n in (1, 2)])
    pi = front.agents["pi"]
    pi.say("service", item=f"domain:{DOMAIN}", route="", state="refused", detail="")
    wait_until(lambda: count(front, 4) == {"nas": 4}, "nas gets all")
    pi.say("service", item=f"domain:{DOMAIN}", route="", state="ok", detail="")
    wait_until(lambda: count(front, 4) == {"pi": 4}, "pi gets all again")


# ---- services that are down ----


def stop_service(agent, how="refused", under_way="eof"):
    """Streams to it end. The agent does not say that it is down, as a real one would."""
    agent.carry = lambda stream: stream.end(how)
    for stream in agent.used:
        stream.end(under_way)


def start_service(agent):
    agent.carry = agent._serve_all


@pytest.mark.parametrize("how", ["refused", "unreachable", "silent"])
@pytest.mark.parametrize("method,body", [("GET", b""), ("POST", b""), ("POST", b"x" * 10000), ("DELETE", b"")],
                         ids=["get", "post", "post-10k", "delete"])
def test_what_was_refused_goes_to_another(shared, how, method, body):
    front = shared()
    for name in FOUR[:2]:
        stop_service(front.agents[name], how)
    for _ in range(20):
        assert served_by(front, method, body=body) in FOUR[2:]
    came = [request for name in FOUR[2:] for request in front.agents[name].requests if request[0].method == method]
    assert {came_body.size for _, came_body in came[-20:]} == {len(body)}


def test_it_is_tried_again_now_and_then(shared):
    front = shared(("pi", "nas"))
    pi = front.agents["pi"]
    stop_service(pi)
    assert count(front, 20) == {"nas": 20}
    before = len(pi.used)
    assert before <= 4
    wait_until(lambda: (served_by(front), len(pi.used) > before)[1], "it is tried")
    start_service(pi)
    wait_until(lambda: served_by(front) == "pi", "it is back")
    wait_until(lambda: set(count(front, 4)) == {"pi", "nas"}, "both are in use")


def test_all_are_down(shared):
    front = shared()
    for agent in front.agents.values():
        stop_service(agent)
    for method in ("GET", "POST"):
        assert front.visit(method).status == 502
    for agent in front.agents.values():
        start_service(agent)
    wait_until(lambda: front.visit().status == 200, "somebody is back")


# ---- deaths ----


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("share", ["balance", "standby"])
def test_two_of_four_die_under_load(shared, share, workers):
    front = shared(policies=[{"share": share, "priority": i} for i in range(4)], workers=workers)
    with Load(front) as load:
        load.wait_more()
        die(front.agents["pi"])
        load.wait_more()
        die(front.agents["nas"])
        load.wait_more()
    assert load.failed == [] and load.answered["box"] + load.answered["den"] > 0


def test_two_of_four_die_at_once_under_load(shared):
    front = shared()
    with Load(front) as load:
        load.wait_more()
        for name in FOUR[:2]:
            die(front.agents[name])
        load.wait_more(200)
    assert load.failed == []


def test_services_die_under_load(shared):
    """Requests that were under way are broken off, later ones refused."""
    front = shared()
    with Load(front) as load:
        for name in FOUR[:3]:
            stop_service(front.agents[name], under_way="reset")
            load.wait_more()
    assert load.failed == []


# ---- memory ----


def test_what_is_shared_is_remembered(shared):
    front = shared(("pi", "nas", "box"))
    file = front.relay.state_dir / "claims.json"
    kept = wait_until(lambda: (sites := json.loads(file.read_text())["sites"]) and len(sites) == 3 and sites, "it is kept")
    assert [(site["agent"], site["name"], site["policy"]) for site in kept] == \
        [(name, DOMAIN, {"share": "balance"}) for name in ("pi", "nas", "box")]
    for agent in front.agents.values():
        agent.leave()
    front.relay.stop()
    front.start_relay()
    assert site_of(front)["agents"] == ["pi", "nas", "box"] and site_of(front)["state"] == "expected"
    box = FakeAgent(front.lane_socket, front.agents["box"].items, "box")
    box.serve = serve
    try:
        box.start()
        assert box.wait_heard("claimed")["items"][0]["ok"]
        front.wait_up()
        assert site_of(front)["agents"] == ["pi", "nas", "box"]
        assert count(front, 4) == {"box": 4}
    finally:
        box.end()


# ---- several machines with one key ----


def test_instances_share_without_a_word(shared, started):
    front = shared(("pi", "nas"), start=False)
    text = front.relay.conf.read_text()
    front.relay.conf.write_text(text.replace("[agent nas]", "[agent nas]\ninstances = 3"))
    assert front.relay.post("/v1/reload").status == 200
    machines = []
    for i in range(3):
        machine = FakeAgent(front.lane_socket, [DOMAIN], "nas")
        machine.serve = lambda stream, i=i: stream.answer(fields=f"X-Served-By: {i}\r\n")
        started.append(machine)
        machines.append(machine.start())
    wait_until(lambda: set(count(front, 9)) == {"0", "1", "2"}, "all three are asked")
    machines[1].say("service", item=f"domain:{DOMAIN}", route="", state="refused", detail="")
    wait_until(lambda: set(count(front, 6)) == {"0", "2"}, "its service is down there alone")
    with Load(front) as load:
        die(machines[2])
        load.wait_more()
    assert load.failed == []


# ---- names of requests ----


def test_one_request_id_everywhere_and_none_for_visitors(shared):
    front = shared(("pi", "nas"), access_log="stdout", access_log_format="json")
    stop_service(front.agents["pi"])
    for _ in range(4):
        reply = front.visit(fields="X-Request-ID: of-a-visitor\r\n")
        assert reply.head.get("x-request-id") is None
    ids = [head.get("x-request-id") for head, _ in front.agents["nas"].requests]
    assert "of-a-visitor" not in ids and len(set(ids)) == len(ids)
    lines = wait_until(lambda: [json.loads(line) for line in front.relay.log().splitlines()
                                if line.startswith("{") and f'"{ids[-1]}"' in line], "its line is in the log")
    assert [line["agent"] for line in lines] == ["nas"]


# ---- real ones ----


def answer_all(sock, name):
    peer = Peer(sock)
    while peer.head():
        peer.send(f"HTTP/1.1 200 OK\r\nX-Served-By: {name}\r\nContent-Length: 2\r\n\r\nok")


class House:
    """A real agent with its own site, or another service, and its SSH sessions on the VM."""

    def __init__(self, front, daemons, started, folder, name, share, service=None):
        self.front, self.name, self.site = front, name, service or Site()
        if not service:
            self.site._echo = lambda peer, *_: peer.send(
                f"HTTP/1.1 200 OK\r\nX-Served-By: {name}\r\nContent-Length: 2\r\n\r\nok") or True
        started.append(self.site)
        self.started = started
        self.agent = daemons("agent")
        shown = subprocess.run([need("ssh-keygen"), "-l", "-f", front.sshd.folder / "host_key.pub"], check=True,
                               capture_output=True, text=True).stdout
        self.agent.configure(f"""[agent]
name = {name}
state_dir = {self.agent.state_dir}
admin_listen =
control_socket = {self.agent.socket}
[relay e2e]
host = 127.0.0.1
port = {front.sshd.port}
user = {front.sshd.user}
key_file = {folder / f"key_{name}"}
host_key = ssh-ed25519 {shown.split()[1]}
lanes = 2
[domain {DOMAIN}]
service = {self.site.url}
share = {share}
verify = {"off" if self.site.url.startswith("https:") else "on"}
""")
        self.agent.start()

    def stop_service(self):
        self.started.remove(self.site)
        self.site.end()

    def kill_sessions(self):
        """sshd's processes for it, at once."""
        for proc in os.listdir("/proc"):
            try:
                command = open(f"/proc/{proc}/cmdline", "rb").read().split(b"\0")
                parent = int(open(f"/proc/{proc}/stat").read().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue  # no process, or it has just ended
            if command[0].endswith(b"tunnel-lane") and os.fsencode(self.front.lane_socket) in command \
                    and self.name.encode() in command:
                os.kill(parent, signal.SIGKILL)


@pytest.fixture
def houses(fronts, daemons, started, folder):
    def make(share="balance", names=("one", "two", "three", "four"), service=lambda: None):
        front = fronts(DOMAIN, workers=2)
        (folder / "sshd").mkdir()
        front.sshd = VmSshd(folder / "sshd", LIKE_A_VM)
        started.append(front.sshd)
        front.sshd.start()
        front.relay.conf.write_text(front.relay.conf.read_text().replace("[relay]", f"[relay]\nssh_port = {front.sshd.port}")
                                    .partition("[agent pi]")[0] + sections(folder, names))
        front.sshd.follow(front.relay.state_dir / "authorized_keys")
        front.start_relay()
        front.houses = [House(front, daemons, started, folder, name, share, service()) for name in names]
        wait_until(lambda: front.lane_states().count("up") == 2 * len(names), "all lanes are up")
        return front

    return make


def test_real_agents_die_under_load(houses):
    front = houses()
    one, two, three, four = front.houses
    with Load(front) as load:
        wait_until(lambda: len(load.answered) == 4, "all of them are in use")
        one.agent.kill()
        load.wait_more()
        two.kill_sessions()
        load.wait_more()
        three.stop_service()
        load.wait_more()
    assert load.failed == []
    assert set(load.answered) == {"one", "two", "three", "four"}


def test_two_of_four_real_agents_die_at_once(houses):
    front = houses()
    with Load(front) as load:
        wait_until(lambda: len(load.answered) == 4, "all of them are in use")
        front.houses[0].agent.send(signal.SIGKILL)
        front.houses[1].kill_sessions()
        load.wait_more(300)
    front.houses[0].agent.wait()
    assert load.failed == []


def test_a_real_service_comes_back(houses):
    """Nobody is sent to it while it is down; when it is back it is found by itself."""
    front = houses()
    one = front.houses[0]
    port = one.site.port
    one.stop_service()
    for _ in range(20):
        assert served_by(front, "PUT", body=b"x") != "one"  # the end of a kept connection may still be on its way
    again = socket.create_server(("127.0.0.1", port))
    each_connection(again, lambda sock: answer_all(sock, "one"))
    wait_until(lambda: served_by(front) == "one", "it is asked again")
    again.close()
