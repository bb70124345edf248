"""Each thing that can go wrong on the way, one by one: afterwards the site works again by itself, with every byte."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clock import Clock
from disk import fill, tiny_disks
from far_path import ETC_OF_NETNS, LONG, LinePath, lined, networked, seconds_until
from http1 import content, content_sha256
from path import new_key
from programs import limit, wait_until
from test_volume import upload

MB = 1_000_000
BACK_S = limit(2)
YEAR_S = 365 * 86400


def carries(path: LinePath, down: int, up: int) -> None:
    """Both ways at once, and not a byte is another."""
    with ThreadPoolExecutor(2) as pool:
        downloads = pool.submit(path.visit, "GET", f"/bytes/{down}/5")
        with path.visitor() as visitor:
            assert upload(visitor, "/echo/1", up, 6).status == 200
        body = downloads.result().body
    assert (body.size, body.sha256) == (down, content_sha256(down, 5))
    seen = next(seen.body for seen in reversed(path.site.seen) if seen.head.target == "/echo/1")
    assert (seen.size, seen.sha256) == (up, content_sha256(up, 6))


# ---- the line ----


@pytest.mark.parametrize("settings, size", [({"delay": "300ms"}, 2 * MB), ({"rate": "1mbit"}, 300_000),
                                            ({"delay": "300ms", "rate": "1mbit"}, 200_000)],
                         ids=["300ms", "1mbit", "both"])
def test_a_slow_line_is_only_slow(lined, settings, size):
    path = lined(lanes=2, **settings)
    path.wait_lanes(2)
    carries(path, size, size)
    assert path.sshd.logins() == 2 and path.up_at_relay() == 2
    if "delay" in settings:
        wait_until(lambda: all((lane["rtt_ms"] or 0) >= 600 for lane in path.lanes_of_agent()), "the delay is shown")


def test_a_line_that_becomes_slow_and_fast_again(lined):
    path = lined(lanes=2)
    path.wait_lanes(2)
    for settings in ({"delay": "300ms"}, {"rate": "1mbit"}, {"delay": None}, {"rate": None}):
        path.line.set(**settings)
        carries(path, 100_000, 100_000)
    assert path.sshd.logins() == 2


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("end", ["cut", "reset"])
def test_a_line_that_ends_under_load(lined, end, lanes):
    """Whoever was being served learns of it; whoever comes then is served."""
    path = lined(lanes=lanes)
    path.wait_lanes(lanes)
    with path.visitor() as visitor:
        visitor.send(f"GET /bytes/{1000 * MB} HTTP/1.1\r\nHost: a.test\r\n\r\n")
        visitor.exactly(MB)
        getattr(path.line, end)()
        assert seconds_until(path.works, "the site works") < BACK_S
        with pytest.raises((OSError, AssertionError)):
            while True:
                assert visitor.read(MB)
    path.wait_lanes(lanes, limit(5))
    carries(path, MB, MB)


@pytest.mark.slow
@pytest.mark.parametrize("direction, most_s", [(None, limit(16, 2)), pytest.param("up", limit(50, 2), marks=pytest.mark.skipif(
    not LONG, reason="takes 45 s; E2E_LONG=1"))])
def test_a_line_that_swallows_under_load(lined, direction, most_s):
    """A lane that lost something is half-open then, and is replaced as soon as the agent knows. Where it hears the relay
    still, which does not hear it, that takes longer: a real network acknowledges nothing that it has lost."""
    path = lined()
    with path.visitor() as visitor:
        visitor.send(f"GET /bytes/{1000 * MB} HTTP/1.1\r\nHost: a.test\r\n\r\n")
        visitor.exactly(MB)
        path.line.swallow(direction)
        time.sleep(1)
        if direction:
            path.line.go()
        seconds_until(lambda: path.retries(), "the agent has noticed", most_s)
        path.line.go()
        # A handshake may have begun that nobody answers; and the relay ends what has lost its agent.
        seconds_until(path.works, "the site works", 35)
        wait_until(lambda: len(path.sessions()) == 1, "the old session is gone", limit(35))
    carries(path, MB, MB)


# ---- programs that end ----


def kill_sshd(path):
    path.kill_sshd()
    path.sshd.start_again()


def restart_sshd(path):
    path.sshd.process.terminate()
    path.sshd.process.wait()
    path.kill_sessions()
    path.sshd.start_again()


def kill_sessions(path):
    path.kill_sessions()


def restart_relay(path):
    path.relay.stop()
    path.start_relay()


def kill_relay(path):
    path.relay.kill()
    path.start_relay()


def kill_agent(path):
    path.agent.kill()
    path.start_agent()


def kill_all(path):
    path.relay.kill()
    path.agent.kill()
    path.kill_sshd()
    path.start_agent()  # and finds nobody
    path.start_relay()
    path.sshd.start_again()


@pytest.mark.parametrize("fault", [kill_sshd, restart_sshd, kill_sessions, restart_relay, kill_relay, kill_agent,
                                   kill_all], ids=lambda fault: fault.__name__)
def test_back_within_2_s_after(lined, fault):
    path = lined(lanes=2)
    path.wait_lanes(2)
    assert path.works()
    fault(path)
    assert seconds_until(path.works, "the site works") <= BACK_S
    path.wait_lanes(2, limit(5))
    wait_until(lambda: len(path.sessions()) == 2, "nothing is left of the old sessions")
    carries(path, MB, MB)


# ---- sshd's limits ----


@pytest.mark.slow
def test_keys_change_under_load_both_ways(lined):
    """RekeyLimit 16M: several changes each way while both are full."""
    path = lined(lanes=1, sshd_options="RekeyLimit 16M\n")
    carries(path, 70 * MB, 70 * MB)
    assert path.sshd.logins() == 1 and "lane down" not in path.agent.log()


def test_sshd_that_takes_no_more_connections(lined):
    """MaxStartups is reached by others. The agent keeps asking, but not so often that sshd would shut it out. The others
    come from an address of theirs, for which sshd makes them wait when they go."""
    path = lined(sshd_options="MaxStartups 3\nLoginGraceTime 60\n")
    strangers = []

    def crowd():
        """Until one is turned away."""
        strangers.append(socket.create_connection(("127.0.0.1", path.sshd.port), 5, ("127.0.0.2", 0)))
        return not strangers[-1].recv(4).startswith(b"SSH-")

    wait_until(crowd, "sshd is full")
    assert len(strangers) == 4
    path.kill_sessions()
    seconds_until(lambda: path.site_state() == "down", "the relay knows", 5)
    before = path.sshd.log().count("drop connection")
    time.sleep(4)
    assert path.site_state() == "down"
    assert len(path.retries()) <= limit(8) and path.sshd.log().count("drop connection") > before
    assert "handshake" in path.lanes_of_agent()[0]["last_error"]
    for stranger in strangers:
        stranger.close()
    assert seconds_until(path.works, "the site works", 10) < limit(7)  # the last wait may have been 6.4 s


# ---- the disk ----


class OnTinyDisks(LinePath):
    mount = None

    def start_relay(self) -> None:
        if not self.relay.state_dir.exists():
            self.mount(self.relay.state_dir)
        super().start_relay()

    def start_agent(self) -> None:
        if not self.agent.state_dir.exists():
            self.mount(self.agent.state_dir)
        super().start_agent()


def test_a_full_disk_stops_nothing(tiny_disks, daemons, started, folder):
    """Nothing that is there is lost, lanes come back, and what cannot be written is told of."""
    OnTinyDisks.mount = staticmethod(tiny_disks)
    path = OnTinyDisks(daemons, started, folder, lanes=2)
    try:
        path.wait_lanes(2)
        fillers = [fill(daemon.state_dir) for daemon in (path.relay, path.agent)]
        keys = path.relay.state_dir / "authorized_keys"
        text = keys.read_text()
        path.kill_sessions()
        assert seconds_until(path.works, "the site works") < BACK_S
        for restart in (restart_relay, kill_relay, kill_agent):
            restart(path)
            assert seconds_until(path.works, "the site works") < limit(3)
        # Another agent is to be let in, which needs a new authorized_keys.
        (path.folder / "more").mkdir()
        with open(path.relay.conf, "a") as conf:
            conf.write(f"[agent more]\nkey = {new_key(path.folder / 'more', 'key')}\n")
        path.relay.post("/v1/reload")
        path.relay.wait_log("cannot write authorized_keys")
        assert keys.read_text() == text and path.works()
        for filler in fillers:
            filler.unlink()
        path.relay.post("/v1/reload")
        wait_until(lambda: " more" in keys.read_text(), "the new key is let in")
        path.wait_lanes(2, limit(5))
    finally:
        path.agent.end()
        path.close()


# ---- names ----


def test_a_relay_whose_name_cannot_be_looked_up(networked):
    """First not at all, then it can, then not again: what it meant before will do, because the host key proves it."""
    path = networked(host="relay.example", expect_up=False)
    hosts = ETC_OF_NETNS / path.hosts.namespaces["pi"] / "hosts"
    wait_until(lambda: "cannot look up relay.example" in str(path.lanes_of_agent()[0]["last_error"]), "it is told of")
    hosts.write_text(f"{path.hosts.address('vm', 'router')} relay.example\n")
    assert seconds_until(lambda: path.site_state() == "up", "the lane is up") < BACK_S
    hosts.write_text("")
    time.sleep(5.5)  # until what was found is too old to be taken as it is
    sessions = path.sessions()
    path.kill_sessions()
    took = seconds_until(lambda: path.sessions() and not set(path.sessions()) & set(sessions) and path.up_at_relay(),
                         "the lane is back")
    assert took < limit(3)


def test_a_house_whose_ipv6_leads_nowhere(networked):
    """It has an address and a route, and the system prefers it; so IPv4 is tried beside it, and not behind it."""
    path = networked(host="relay.example", expect_up=False)
    interface = path.hosts._links["pi", "router"]
    path.hosts.ip("pi", "-6", "addr", "add", "2001:db8::2/64", "dev", interface, "nodad")
    path.hosts.ip("pi", "-6", "neigh", "add", "2001:db8::1", "lladdr", "02:00:00:00:00:01", "dev", interface)
    hosts = ETC_OF_NETNS / path.hosts.namespaces["pi"] / "hosts"
    hosts.write_text(f"2001:db8::1 relay.example\n{path.hosts.address('vm', 'router')} relay.example\n")
    took = []
    for _ in range(4):
        seconds_until(path.up_at_relay, "the lane is up")
        sessions = path.sessions()
        path.kill_sessions()
        took.append(seconds_until(lambda: path.sessions() and not set(path.sessions()) & set(sessions), "another session"))
    assert min(took) < 1.9  # tried one behind the other, IPv6 alone would cost 2 s


# ---- clocks ----


def test_a_clock_at_1970_and_clocks_that_jump(lined, folder):
    """A Pi has no clock of its own. Nothing that a lane does goes by the time of day."""
    path = lined(lanes=2)
    path.wait_lanes(2)
    path.agent.stop()
    clock = Clock(folder, at=1000)
    path.agent.start(env=clock.environment)
    assert path.agent.log().count("1970-01-01") > 0
    path.wait_lanes(2, limit(5))
    carries(path, MB, MB)
    logins = path.sshd.logins()
    for seconds in (56 * YEAR_S, -10 * YEAR_S, 3600, -7200):
        clock.jump(seconds)
        assert path.works()
        time.sleep(1.2)
    assert path.up_at_relay() == 2 == path.up_at_agent() and path.sshd.logins() == logins
    clock.jump(-20 * YEAR_S)
    path.kill_sessions()
    assert seconds_until(path.works, "the site works") < BACK_S
    assert path.sshd.logins() > logins
