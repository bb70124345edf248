"""A reload applies everything or nothing, says why, and disturbs nobody."""

import contextlib
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from control import Connection
from path import edges, fronts, path
from programs import limit, wait_until

BAD = "[relay]\nname = Ümlaut\ndrain = soon\nlog_levle = debug\n"


def reload_by_signal(daemon, times=1):
    before = daemon.log().count(" reloaded ")
    daemon.send(signal.SIGHUP)
    daemon.wait_log(" reloaded ", before + times)


# ---- what is applied ----


@pytest.mark.parametrize("by", ["signal", "tunnelctl"])
def test_new_values_are_in_force(daemon, ctl, by):
    pid = daemon.pid
    daemon.configure(name="other", drain="1m", log_level="debug")
    if by == "signal":
        reload_by_signal(daemon)
    else:
        assert ctl("reload", at=daemon) == (0, "reloaded\n", "")
    options = daemon.options()
    assert [options[key]["value"] for key in ("name", "drain", "log_level")] == ["other", "1m", "debug"]
    assert daemon.get("/v1/status").json["name"] == "other"
    assert daemon.running and daemon.pid == pid


def test_a_key_taken_out_is_the_default_again(relay, ctl):
    relay.configure(drain="1s")
    assert ctl("reload", at=relay).code == 0
    relay.configure()
    assert ctl("reload", at=relay).code == 0
    drain = relay.options()["drain"]
    assert (drain["value"], drain["origin"]) == ("10s", "default")


def test_the_log_level_decides_what_is_written(relay, ctl):
    relay.configure(log_level="error")
    assert ctl("reload", at=relay).code == 0
    length = len(relay.log())
    assert ctl("reload", at=relay).code == 0
    assert len(relay.log()) == length  # "reloaded" is only information
    relay.configure(log_level="info")
    assert ctl("reload", at=relay).code == 0
    assert len(relay.log()) > length


def test_a_log_file_is_opened_anew(daemons, ctl):
    relay = daemons("relay", log="relay.log").start()
    current, rotated = relay.folder / "relay.log", relay.folder / "relay.log.1"
    assert "started" in current.read_text() and relay.stderr.read_text() == ""
    current.rename(rotated)
    assert ctl("reload", at=relay).code == 0
    assert "reloaded" in current.read_text()
    assert "reloaded" not in rotated.read_text()
    assert current.stat().st_mode & 0o007 == 0


def test_who_rotates_logs_may_send_usr1_at_any_time(daemons, role):
    """As to nginx: it reloads, as SIGHUP does. From the first moment to the last neither it nor SIGUSR2 is deadly."""
    def rain():
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            with contextlib.suppress(ProcessLookupError):
                os.kill(daemon.pid, number)

    def ignores():
        words = dict(line.split(":", 1) for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines())
        return int(words["SigIgn"], 16) >> (signal.SIGUSR2 - 1) & 1

    daemon = daemons(role, log="own.log").spawn()
    wait_until(ignores, "it has begun")
    wait_until(lambda: rain() or daemon.socket.exists(), "it has started")
    daemon.wait_ready()
    current, rotated = daemon.folder / "own.log", daemon.folder / "own.log.1"
    current.rename(rotated)
    daemon.send(signal.SIGUSR1)
    wait_until(lambda: current.exists() and "reloaded" in current.read_text(), "the log is opened anew")
    daemon.send(signal.SIGTERM)
    wait_until(lambda: rain() or daemon.process.poll() is not None, "it has ended")
    assert daemon.wait() == 0 and "stopped" in current.read_text()


def test_the_log_moves_from_stderr_to_a_file_and_back(relay, ctl):
    relay.configure(log="relay.log")
    assert ctl("reload", at=relay).code == 0
    assert "reloaded" in (relay.folder / "relay.log").read_text()
    relay.configure()
    assert ctl("reload", at=relay).code == 0
    assert "reloaded" in relay.stderr.read_text()


def test_drain_counts_from_the_last_reload(daemons, ctl):
    relay = daemons("relay", drain="1h").start()
    relay.configure(drain="200ms")
    assert ctl("reload", at=relay).code == 0
    with Connection(relay.socket) as half:
        half.send(b"GET /v1/status HTTP/1.1\r\n")
        relay.get("/v1/version")
        relay.stop(timeout=limit(5))


# ---- what is refused ----


def bad_file(daemon):
    daemon.configure(BAD.replace("relay", daemon.role))
    return [f"{daemon.conf}:{line}: " for line in (2, 3, 4)]


def test_a_bad_file_changes_nothing_and_tunnelctl_tells_each_error(daemon, ctl):
    before, starts = daemon.get("/v1/config").body, bad_file(daemon)
    code, out, err = ctl("reload", at=daemon)
    assert (code, out) == (1, "")
    *lines, last = err.splitlines()
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts)), err
    assert last.startswith("tunnelctl: ") and "nothing was changed" in last
    assert daemon.get("/v1/config").body == before


def test_a_bad_file_is_told_to_the_log(daemon):
    before, starts = daemon.get("/v1/config").body, bad_file(daemon)
    daemon.send(signal.SIGHUP)
    daemon.wait_log("reload refused")
    for start in starts:
        assert f'configuration error error="{start}' in daemon.log()
    assert daemon.get("/v1/config").body == before


def test_the_answer_of_the_socket_and_of_json_are_the_same(relay, ctl):
    bad_file(relay)
    reply = relay.post("/v1/reload")
    assert reply.status == 422
    assert set(reply.json) == {"error", "errors"} and len(reply.json["errors"]) == 3
    assert ctl("--json", "reload", at=relay) == (1, reply.body.decode(), "")


def test_a_missing_file_is_refused(relay, ctl):
    relay.conf.unlink()
    code, _, err = ctl("reload", at=relay)
    assert code == 1 and str(relay.conf) in err
    relay.configure()
    assert ctl("reload", at=relay).code == 0


@pytest.mark.parametrize("key", ["state_dir", "control_socket"])
def test_what_cannot_change_while_running_is_refused(relay, ctl, key):
    relay.configure(name="other", **{key: relay.folder / "elsewhere"})
    code, _, err = ctl("reload", at=relay)
    assert code == 1
    assert f"relay.{key} = {relay.folder / 'elsewhere'}: " in err.splitlines()[0] and "restart" in err
    assert relay.get("/v1/status").json["name"] == "e2e"


def test_a_log_that_cannot_be_opened_is_refused(relay, ctl):
    relay.configure(name="other", log="/proc/nothing/relay.log")
    code, _, err = ctl("reload", at=relay)
    assert code == 1 and f"{relay.conf}:6: relay.log = /proc/nothing/relay.log: " in err
    assert relay.get("/v1/status").json["name"] == "e2e"


# ---- many ----


def names_seen(daemon, stop):
    """Asks for the name over and over, on a connection that is kept and on new ones."""
    seen = []
    with Connection(daemon.socket) as kept:
        while not stop.is_set():
            seen.append(kept.ask("GET", "/v1/status").json["name"])
            seen.append(daemon.get("/v1/status").json["name"])
    return seen


def test_200_reloads_in_a_row_under_load(relay):
    pid, stop = relay.pid, threading.Event()
    with ThreadPoolExecutor() as pool:
        pollers = [pool.submit(names_seen, relay, stop) for _ in range(3)]
        try:
            for i in range(200):
                relay.configure(name=f"name-{i}")
                assert relay.post("/v1/reload").status == 200
                if i == 50:
                    memory, descriptors = relay.memory_kb, relay.descriptors
        finally:
            stop.set()
    seen = [name for poller in pollers for name in poller.result()]
    assert len(seen) > 100 and all(name.startswith(("e2e", "name-")) for name in seen)
    assert relay.pid == pid and relay.get("/v1/status").json["name"] == "name-199"
    assert relay.memory_kb <= memory + 512
    assert relay.descriptors <= descriptors + len(pollers)


def test_many_signals_in_a_row(relay):
    for i in range(50):
        relay.configure(name=f"name-{i}")
        os.kill(relay.pid, signal.SIGHUP)
        assert relay.get("/v1/status").status == 200
    reload_by_signal(relay)
    assert relay.get("/v1/status").json["name"] == "name-49"


# ---- what agents hear of it ----


def verdicts(agent, after):
    """What the relay has said of each item behind the first `after` lines; what came last counts."""
    return {answer["item"]: answer["ok"] for line in agent.heard[after:] if line["type"] == "claimed"
            for answer in line["items"]}


def test_agents_are_told_what_a_reload_takes_and_gives(edges):
    edge = edges("a.test b.test", ["a.test", "b.test"])
    edge.agent.start()
    edge.wait_up("b.test")
    both = edge.relay.conf.read_text()
    for domains, wanted in (("a.test", {"domain:a.test": True, "domain:b.test": False}),
                            ("a.test b.test", {"domain:a.test": True, "domain:b.test": True})):
        heard = len(edge.agent.heard)
        edge.relay.conf.write_text(both.replace("a.test b.test", domains))
        reload_by_signal(edge.relay)
        wait_until(lambda: verdicts(edge.agent, heard) == wanted, "the agent is told")
    heard = len(edge.agent.heard)
    reload_by_signal(edge.relay)
    edge.agent.say("ping", n=1, t=1, rtt_ms=0)
    edge.agent.wait_heard("pong", heard)
    assert verdicts(edge.agent, heard) == {}  # nothing has changed


def test_the_agents_status_follows_a_reload_of_the_relay(path):
    def claim():
        return path.agent.get("/v1/status").json["domains"][0]["claim"]

    before = path.relay.conf.read_text()
    wait_until(lambda: claim() == "accepted", "the claim is accepted")
    for domains, wanted in (("b.test", "refused"), ("a.test", "accepted")):
        path.relay.conf.write_text(before.replace("domains = a.test", f"domains = {domains}"))
        reload_by_signal(path.relay)
        wait_until(lambda: claim() == wanted, f"the claim is {wanted}")
    wait_until(lambda: path.visit("GET", "/echo").status == 200, "workers follow")
