"""The ports that agents open: who may, who has one, when it opens and closes, and what its visitors notice of it all."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from clock import Clock
from fake_agent import FakeAgent
from http1 import content
from netns import Hosts, require_netns
from path import Front, edges, fronts, new_key
from ports import PortPath, echo, exactly, hold_port, port_paths, read_all, receive, reset, services
from programs import PATIENCE_S, limit, wait_until


def refuses(address):
    try:
        socket.create_connection(address, PATIENCE_S).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False
    return False


def answers(address, word=b"hello"):
    with socket.create_connection(address, PATIENCE_S) as visitor:
        visitor.sendall(word)
        return exactly(visitor, len(word)) == word


@pytest.fixture
def service(services):
    return services()


# ---- open and closed ----


def test_a_port_opens_and_closes_with_its_claim(port_paths, service):
    path = port_paths({})
    first = {"service": service.url}
    path.reload_ports({"a": first})
    path.wait_ports()
    assert answers(path.address("a"))
    path.reload_ports({"a": first, "b": first})
    path.wait_ports()
    assert answers(path.address("a")) and answers(path.address("b"))
    path.reload_ports({"b": first})
    wait_until(lambda: refuses(path.address("a")), "the port is closed")
    assert path.port_status("a") is None and answers(path.address("b"))
    path.reload_ports({"a": first, "b": first})
    path.wait_ports()
    assert answers(path.address("a")) and answers(path.address("b"))


@pytest.mark.parametrize("workers", [1, 4])
def test_connections_outlive_every_reload(port_paths, services, workers):
    service, other = services(), services(lambda sock: sock.sendall(b"other"))
    path = port_paths({"a": {"service": service.url}, "b": {"service": service.url}}, workers=workers)
    with path.connect("a") as a, path.connect("b") as b:
        for visitor in (a, b):
            visitor.sendall(b"1")
            assert exactly(visitor, 1) == b"1"
        path.reload_ports({"b": {"service": other.url}})  # one is gone, one has another service
        wait_until(lambda: refuses(path.address("a")), "the port is closed")
        for visitor in (a, b):
            visitor.sendall(b"2")
            assert exactly(visitor, 1) == b"2"
        with path.connect("b") as new:
            assert read_all(new) == b"other"
        path.reload_ports({"b": {"service": other.url, "deny": "127.0.0.1"}})
        path.agent.wait_log("claim")
        for visitor in (a, b):
            visitor.sendall(b"3")
            assert exactly(visitor, 1) == b"3"
            visitor.shutdown(socket.SHUT_WR)
            assert read_all(visitor) == b""


def test_a_name_may_change_and_the_port_stays(port_paths, service):
    path = port_paths({"a": {"service": service.url}})
    listen = "127.0.0.1:{}".format(path.address("a")[1])
    with path.connect("a") as visitor:
        visitor.sendall(b"1")
        exactly(visitor, 1)
        stop = threading.Event()
        failed = []

        def come():
            while not stop.is_set():
                try:
                    assert answers(path.address("a"))
                except ConnectionResetError:
                    pass  # the agent has the new name before the relay hears of it
                except (OSError, AssertionError) as e:
                    failed.append(e)

        thread = threading.Thread(target=come)
        thread.start()
        for i in range(5):
            path.reload_ports({f"name{i}": {"service": service.url, "listen": listen}})
            wait_until(lambda: path.port_status(f"name{i}"), "the new name")
        stop.set()
        thread.join()
        assert not failed
        visitor.sendall(b"2")
        assert exactly(visitor, 1) == b"2"


@pytest.mark.parametrize("workers", [1, 4])
def test_ports_that_come_and_go_under_load(port_paths, service, workers):
    """Who comes to a port that stays notices nothing; who comes to one that goes is served, reset or refused."""
    path = port_paths({"stays": {"service": service.url}, "goes": {"service": service.url}}, workers=workers)
    stop, wrong, served = threading.Event(), [], []

    def come(name):
        while not stop.is_set():
            try:
                answers(path.address(name))
                served.append(name)
            except OSError as e:
                if name == "stays":
                    wrong.append(repr(e))
            except AssertionError as e:
                wrong.append(repr(e))

    threads = [threading.Thread(target=come, args=(name,)) for name in ("stays", "goes") for _ in range(2)]
    for thread in threads:
        thread.start()
    both, one = dict(path.ports), {"stays": path.ports["stays"]}
    for _ in range(10):
        path.reload_ports(one)
        wait_until(lambda: not path.port_status("goes"), "it has gone")
        path.reload_ports(both)
        path.wait_ports()
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong and served.count("stays") > 10 and served.count("goes") > 0
    wait_until(lambda: path.port_status("stays")["connections"] == 0, "all have ended")


# ---- who may have it ----


def refused_with(path, name, text):
    wait_until(lambda: text in ((path.port_status(name) or {}).get("why") or ""), f"{name} is refused")
    assert path.port_status(name)["state"] == "refused"
    wait_until(lambda: text in (path.agent_port_status(name)["claim_why"] or ""), "the agent knows")
    assert path.agent_port_status(name)["claim"] == "refused"
    path.agent.wait_log(text.replace('"', '\\"'))


def test_why_a_port_is_refused(port_paths, service, ctl):
    class Few(PortPath):
        may = "tcp_ports = 20000-20001 65535"

    path = port_paths({"a": {"service": service.url, "listen": 20002}}, cls=Few, wait=False)
    refused_with(path, "a", "agent pi may not open port 20002: add it to tcp_ports in the relay's [agent pi]")
    for at in (path.relay, path.agent):
        shown = ctl("status", at=at)
        assert shown.code == 1 and "refused" in shown.out and "may not open port 20002" in shown.out
        assert ctl("status", "--json", at=at).code == 1


def test_a_port_that_others_hold(port_paths, service):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        path = port_paths({"a": {"service": service.url, "listen": f"127.0.0.1:{port}"}}, wait=False)
        refused_with(path, "a", f"cannot listen on 127.0.0.1:{port}: it is held by pid {os.getpid()} (")
    # It is tried again.
    wait_until(lambda: path.port_status("a")["state"] == "up", "the port is had")
    wait_until(lambda: path.agent_port_status("a")["claim"] == "accepted", "the agent knows")
    assert path.agent_port_status("a")["claim_why"] is None and answers(("127.0.0.1", port))


def test_the_relays_own_port(port_paths, service):
    path = port_paths({}, wait=False)
    path.reload_ports({"a": {"service": service.url, "listen": f"127.0.0.1:{path.port}"}})
    refused_with(path, "a", f"the relay itself listens on port {path.port}")
    assert path.visit("GET", "/echo").status == 200
    path.reload_ports({"a": {"service": service.url, "listen": f"127.0.0.1:{path.sshd.port}"}})
    refused_with(path, "a", "(sshd); end that one, or listen elsewhere")


def test_an_address_that_the_relay_has_not(port_paths, service):
    path = port_paths({"a": {"service": service.url, "listen": "192.0.2.77:20003"}}, wait=False)
    refused_with(path, "a", "cannot listen on 192.0.2.77:20003: this machine has no such address")


def test_two_agents_and_one_port(edges):
    with hold_port() as held:
        port = held.getsockname()[1]
        front = edges("a.test")
        text = front.relay.conf.read_text().replace("domains = a.test", f"domains = a.test\ntcp_ports = {port}")
        key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
        front.relay.conf.write_text(text + f"[agent nas]\nkey = {key}\ntcp_ports = {port}\n")
        front.relay.send(signal.SIGHUP)
        front.relay.wait_log("reloaded")
        policy = {"listen": f"127.0.0.1:{port}"}
        pi, nas = front.agent, FakeAgent(front.lane_socket, [], name="nas")
        try:
            for agent in (pi, nas):
                agent.start()
            answered = claim(pi, "tcp:game", policy)
            assert answered == {"item": "tcp:game", "ok": True, "why": ""}
            answered = claim(nas, "tcp:mine", {"listen": f":{port}"})
            assert answered["why"] == (f"port {port} is open for agent pi already, for its [tcp game]; a port is not "
                                       "shared, so listen on another")
            wait_until(lambda: [p["state"] for p in front.status()["tcp"] if p["agent"] == "nas"] == ["refused"], "refused")
            claim(pi, "tcp:other", {"listen": "127.0.0.1:1"})
            wait_until(lambda: [p["state"] for p in front.status()["tcp"] if p["agent"] == "nas"] == ["up"], "it is free")
        finally:
            nas.end()


def claim(agent, item, policy):
    agent.serial = getattr(agent, "serial", 1) + 1
    agent.say("claim", serial=agent.serial, part=1, last=True, items=[{"item": item, "aliases": [], "policy": policy}])
    return wait_until(lambda: next((m["items"][0] for m in agent.heard if m["type"] == "claimed" and
                                    m["serial"] == agent.serial), None), "an answer")


@pytest.mark.parametrize("policy, why", [
    (None, "it does not say where to listen"),
    ({}, 'member "listen"'),
    ({"listen": 5}, 'member "listen"'),
    ({"listen": "example.com:5000"}, 'member "listen"'),
    ({"listen": "127.0.0.1:0"}, 'member "listen"'),
    ({"listen": "127.0.0.1:20004", "allow": ["x"]}, 'member "allow"'),
    ({"listen": "127.0.0.1:20004", "allow": "10.0.0.0/8"}, 'member "allow"'),
    ({"listen": "127.0.0.1:20004", "deny": [7]}, 'member "deny"'),
    ({"listen": "127.0.0.1:20004", "deny": ["10.0.0.0/8"] * 501}, 'member "deny"'),
])
def test_a_claim_that_makes_no_sense(edge_with_ports, policy, why):
    answered = claim(edge_with_ports.agent, "tcp:game", policy)
    assert not answered["ok"] and why in answered["why"]
    assert claim(edge_with_ports.agent, "tcp:Not A Name", {"listen": "127.0.0.1:20004"})["ok"] is False


@pytest.fixture
def edge_with_ports(edges):
    front = edges("a.test")
    front.relay.conf.write_text(front.relay.conf.read_text() + "\n")
    text = front.relay.conf.read_text().replace("domains = a.test", "domains = a.test\ntcp_ports = 1024-65535")
    front.relay.conf.write_text(text)
    front.relay.send(signal.SIGHUP)
    front.relay.wait_log("reloaded")
    front.agent.start()
    return front


@pytest.mark.parametrize("words, error", [
    ("0", "0 is neither a port from 1 to 65535 nor a range of them"),
    ("65536", "65536 is neither"), ("5-4", "5-4 is neither"), ("a", "a is neither"), ("1-", "1- is neither"),
    ("-1", "-1 is neither"), ("10-20-30", "10-20-30 is neither"),
])
def test_a_list_of_ports_that_is_none(daemons, words, error):
    relay = daemons("relay")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
    relay.conf.write_text(relay.conf.read_text() + f"[agent pi]\nkey = {key}\ntcp_ports = 80 {words}\n")
    assert error in relay.refused()


@pytest.mark.parametrize("lines, error", [
    ("service = tcp://127.0.0.1:1", "listen"),
    ("listen = 5000", "service"),
    ("listen = 5000 5001\nservice = tcp://127.0.0.1:1", "more than one address; write a further [tcp NAME]"),
    ("listen = host:5000\nservice = tcp://127.0.0.1:1", "listen"),
    ("listen = 5000\nservice = http://127.0.0.1:1", "the bytes are carried as they are"),
    ("listen = 5000\nservice = https://127.0.0.1:1", "the bytes are carried as they are"),
    ("listen = 5000\nservice = tcp://127.0.0.1", "not tcp://HOST:PORT"),
    ("listen = 5000\nservice = tcp://127.0.0.1:1\nproxy_protocol = v3", "proxy_protocol"),
    ("listen = 5000\nservice = tcp://127.0.0.1:1\nallow = everybody", "allow"),
    ("listen = 5000\nservice = tcp://127.0.0.1:1\n[tcp b]\nlisten = 127.0.0.1:5000\nservice = tcp://127.0.0.1:1",
     "is where [tcp a] listens already"),
])
def test_a_section_that_makes_no_sense(daemons, lines, error):
    agent = daemons("agent")
    agent.conf.write_text(agent.conf.read_text() + f"[tcp a]\n{lines}\n")
    assert error in agent.refused()


@pytest.fixture
def vm():
    require_netns()
    with Hosts("vm") as hosts:
        yield hosts


def test_ports_below_1024_are_bound_at_the_start(vm, daemons, folder, started):
    """By a process that may bind them then, and not later; they refuse visitors until they are claimed."""
    front = Front(daemons, new_key(folder, "key"), "a.test\ntcp_ports = 25 587 2525", listen_https="127.0.0.1:4443")
    vm.inside("vm", lambda: Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0"))
    inside = f'exec ip netns exec {vm.namespaces["vm"]} setpriv --bounding-set=-net_bind_service "$0" "$@"'
    front.relay.start(shell=inside)
    vm.inside("vm", lambda: Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("1024"))
    agent = vm.inside("vm", lambda: FakeAgent(front.lane_socket, []))
    started.append(agent)
    agent.carry = lambda stream: (stream.send(f"220 {stream.item}\r\n"), stream.read(1))

    def greeting(port):
        with vm.inside("vm", lambda: socket.create_connection(("127.0.0.1", port), PATIENCE_S)) as visitor:
            return visitor.recv(100)

    def is_closed(port):
        return vm.inside("vm", lambda: refuses(("127.0.0.1", port)))

    assert all(is_closed(port) for port in (25, 587, 2525))
    with pytest.raises(OSError, match="in use"), vm.inside("vm", lambda: socket.socket()) as other:
        vm.inside("vm", lambda: other.bind(("127.0.0.1", 25)))
    agent.start()
    for _ in range(3):
        assert claim(agent, "tcp:mail", {"listen": ":25"})["ok"]
        wait_until(lambda: front.status()["tcp"][0]["state"] == "up", "the port is up")
        wait_until(lambda: not is_closed(25), "it is open")
        assert greeting(25) == b"220 tcp:mail\r\n" and is_closed(587)
        assert claim(agent, "tcp:post", {"listen": ":587"})["ok"]
        wait_until(lambda: is_closed(25), "the other one is closed")
        wait_until(lambda: not is_closed(587), "it is open")
        assert greeting(587) == b"220 tcp:post\r\n"
    refused = claim(agent, "tcp:mail", {"listen": "127.0.0.1:25"})
    assert not refused["ok"] and "ports below 1024 need root or CAP_NET_BIND_SERVICE" in refused["why"]


# ---- the house is away ----


def test_a_lane_that_dies_is_a_reset_never_an_end(port_paths, services):
    """In the middle of much: what was cut off must not look whole."""
    path = port_paths({"a": {"service": services(lambda sock: [sock.sendall(p) for p in content(1 << 30, 1)]).url}})
    with path.connect("a") as visitor:
        exactly(visitor, 100_000)
        os.kill(path.session().sshd, signal.SIGKILL)
        with pytest.raises(ConnectionResetError):
            receive(visitor)


def test_an_idle_connection_on_a_lane_that_dies_is_reset(port_paths, service):
    path = port_paths({"a": {"service": service.url}})
    with path.connect("a") as visitor:
        visitor.sendall(b"x")
        exactly(visitor, 1)
        os.kill(path.session().sshd, signal.SIGKILL)
        with pytest.raises(ConnectionResetError):
            exactly(visitor, 1)


def test_who_comes_while_the_house_is_away_waits_so_long(port_paths, service):
    path = port_paths({"a": {"service": service.url}}, park="2s")
    path.agent.kill()
    wait_until(lambda: path.port_status("a")["state"] == "down", "the agent is away")
    began = time.monotonic()
    with path.connect("a") as visitor, pytest.raises(ConnectionResetError):
        visitor.sendall(b"hello")
        exactly(visitor, 5)
    assert 1.9 < time.monotonic() - began < limit(3)


def test_nobody_waits_where_park_is_zero(port_paths, service):
    path = port_paths({"a": {"service": service.url}})
    path.agent.kill()
    wait_until(lambda: path.port_status("a")["state"] == "down", "the agent is away")
    with pytest.raises(ConnectionResetError), path.connect("a") as visitor:
        exactly(visitor, 5)


@pytest.mark.parametrize("speaks_first", ["visitor", "service"])
def test_who_waits_is_served_when_the_house_is_back(port_paths, services, speaks_first):
    service = services(echo if speaks_first == "visitor" else lambda sock: (sock.sendall(b"hello"), echo(sock)))
    path = port_paths({"a": {"service": service.url}}, park="60s")
    path.agent.kill()
    wait_until(lambda: path.port_status("a")["state"] == "down", "the agent is away")
    visitors = [path.connect("a") for _ in range(40)]
    if speaks_first == "visitor":
        for visitor in visitors:
            visitor.sendall(b"hello")
    path.agent.start()
    for visitor in visitors:
        assert exactly(visitor, 5) == b"hello"
        visitor.sendall(b"more")
        assert exactly(visitor, 4) == b"more"
        visitor.close()


class TimedPath(PortPath):
    """The relay's time goes by as self.clock says."""

    def start_relay(self):
        self.clock = Clock(self.folder)
        self.relay.start(env=self.clock.environment, **self.spawning())


def test_nobody_waits_for_a_house_that_has_been_away_for_long(port_paths, service):
    path = port_paths({"a": {"service": service.url}}, cls=TimedPath, park="300s")
    path.agent.kill()
    wait_until(lambda: path.port_status("a")["state"] == "down", "the agent is away")
    with path.connect("a") as early:
        wait_until(lambda: path.port_status("a")["connections"] == 1, "he waits")
        path.clock.jump(61)
        with pytest.raises(ConnectionResetError), path.connect("a") as late:
            exactly(late, 1)
        path.agent.start()
        early.sendall(b"hello")
        assert exactly(early, 5) == b"hello"


def test_nothing_times_out(port_paths, service):
    path = port_paths({"a": {"service": service.url}}, cls=TimedPath)
    with path.connect("a") as idle:
        idle.sendall(b"before")
        exactly(idle, 6)
        for _ in range(3):
            path.clock.wait(7)  # an agent that is heard of every 5 s lives for another 15
            assert path.port_status("a")["connections"] == 1
        path.clock.jump(86400)
        idle.sendall(b"after")
        assert exactly(idle, 5) == b"after"


def test_who_waits_and_leaves_is_forgotten(port_paths, service):
    path = port_paths({"a": {"service": service.url}}, park="60s")
    path.agent.kill()
    wait_until(lambda: path.port_status("a")["state"] == "down", "the agent is away")
    visitors = [path.connect("a") for _ in range(10)]
    wait_until(lambda: path.port_status("a")["connections"] == 10, "they wait")
    for visitor in visitors:
        reset(visitor)
    wait_until(lambda: path.port_status("a")["connections"] == 0, "they have gone")


def test_a_relay_that_starts_again_opens_its_ports(port_paths, services):
    service = services(lambda sock: (sock.sendall(b"hello"), echo(sock)))
    path = port_paths({"a": {"service": service.url}}, park="60s")
    path.agent.send(signal.SIGSTOP)
    path.relay.kill()
    assert refuses(path.address("a"))
    path.start_relay()
    assert path.is_open("a") and path.port_status("a")["state"] == "expected"
    with path.connect("a") as visitor:
        wait_until(lambda: path.port_status("a")["connections"] == 1, "he waits")
        path.agent.send(signal.SIGCONT)
        assert exactly(visitor, 5) == b"hello"
    wait_until(lambda: path.port_status("a")["state"] == "up", "the port is up")


def test_a_relay_that_is_killed_is_a_reset_never_an_end(port_paths, services):
    """The kernel would end its connections in order. Whoever has ended with the service before it keeps what he has got."""
    path = port_paths({"a": {"service": services(lambda sock: [sock.sendall(p) for p in content(1 << 30, 1)]).url},
                       "b": {"service": services(lambda sock: sock.sendall(b"all of it")).url}})
    with path.connect("a") as cut, path.connect("b") as served:
        exactly(cut, 100_000)
        assert exactly(served, 9) == b"all of it" and read_all(served) == b""
        path.relay.kill()
        with pytest.raises(ConnectionResetError):
            receive(cut)
    path.start_relay()


def test_a_relay_that_ends_closes_its_ports_at_once(port_paths, service):
    """Nobody is let in whom nobody serves; who is inside goes on, as long as the drain lasts."""
    path = port_paths({"a": {"service": service.url}}, drain="30s")
    with path.connect("a") as visitor:
        visitor.sendall(b"1")
        exactly(visitor, 1)
        path.relay.send(signal.SIGTERM)
        wait_until(lambda: refuses(path.address("a")), "the port is closed")
        visitor.sendall(b"2")
        assert exactly(visitor, 1) == b"2"
        visitor.shutdown(socket.SHUT_WR)
        assert read_all(visitor) == b""
    assert path.relay.wait() == 0
    path.start_relay()


def test_a_port_is_taken_away_by_a_reload_of_the_relay(port_paths, service):
    path = port_paths({"a": {"service": service.url}})
    with path.connect("a") as visitor:
        visitor.sendall(b"1")
        exactly(visitor, 1)
        whole = path.relay.conf.read_text()
        path.relay.conf.write_text(whole.replace("tcp_ports = 1024-65535", "tcp_ports = 7"))
        path.relay.send(signal.SIGHUP)
        wait_until(lambda: refuses(path.address("a")), "the port is closed")
        refused_with(path, "a", "add it to tcp_ports")
        visitor.sendall(b"2")
        assert exactly(visitor, 1) == b"2"
        path.relay.conf.write_text(whole)
        path.relay.send(signal.SIGHUP)
        wait_until(lambda: path.agent_port_status("a")["claim"] == "accepted", "the agent knows")
        assert answers(path.address("a"))


# ---- sites ----


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_site_that_wants_to_know_its_visitors(port_paths, services, version):
    """Each connection to its service is one visitor's, and begins with his name."""
    seen = []

    def serve(sock):
        head = exactly(sock, 16 if version == "v2" else 6)
        if version == "v2":
            rest = exactly(sock, struct.unpack("!H", head[14:])[0])
            assert head[:14] == b"\r\n\r\n\0\r\nQUIT\n\x21\x11"
            seen.append(struct.unpack("!HH", rest[8:12]))
        else:
            line = head
            while not line.endswith(b"\r\n"):
                line += sock.recv(1)
            assert line.startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 ")
            seen.append(tuple(int(n) for n in line.split()[4:]))
        data = b""
        while True:
            piece = sock.recv(65536)
            if not piece:
                return
            data += piece
            while b"\r\n\r\n" in data:
                _, _, data = data.partition(b"\r\n\r\n")
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    service = services(serve)

    class ProxyPath(PortPath):
        def _agent_ini(self, *args):
            text = super()._agent_ini(*args)
            return text.replace(f"service = {self.site.url}",
                                f"service = {service.url.replace('tcp', 'http')}\nproxy_protocol = {version}")

    path = port_paths({}, cls=ProxyPath)
    ports = []
    for _ in range(2):
        with path.visitor() as visitor:
            ports.append((visitor.socket.getsockname()[1], path.port))
            for _ in range(3):
                assert visitor.ask("GET", "/").status == 200
    assert sorted(set(seen)) == sorted(ports)
    assert len(seen) == 2, "a visitor's requests go on by one connection"
