"""What a supervisor such as systemd gives and wants: readiness, watchdog, the journal, inherited sockets."""

import os
import re
import signal
import shlex
import socket
import sys
import time
from pathlib import Path

import pytest

from control import Connection, request_bytes
from programs import PATIENCE_S, limit, wait_until

INHERIT = shlex.join([sys.executable, "-I", "-S", str(Path(__file__).with_name("inherit.py"))])


# ---- notifications ----


class Told:
    """A datagram socket, and what the environment says about it."""

    def __init__(self, path, abstract):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.bind("\0" + path if abstract else path)
        self.env = {"NOTIFY_SOCKET": "@" + path if abstract else path}

    def next(self):
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())


@pytest.fixture(params=["path", "abstract"])
def told(request, folder):
    supervisor = Told(str(folder / "notify"), request.param == "abstract")
    yield supervisor
    supervisor.socket.close()


def test_ready_reloading_stopping(daemons, role, told):
    daemon = daemons(role).spawn(env=told.env)
    assert told.next() == {"READY": "1"}
    assert daemon.get("/v1/version").status == 200  # ready means ready
    before = time.monotonic_ns() // 1000
    daemon.send(signal.SIGHUP)
    reloading = told.next()
    assert reloading.pop("RELOADING") == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert told.next() == {"READY": "1"}
    daemon.stop()
    assert told.next() == {"STOPPING": "1"}


def test_what_is_stopping_is_not_ready_again(daemons, told):
    relay = daemons("relay", drain="1h").start(env=told.env)
    with Connection(relay.socket) as held:
        held.ask("GET", "/v1/version")
        held.send(b"GET /v1/version HTTP/1.1\r\n")
        relay.get("/v1/version")  # asked after that, so the half has been read
        for number, line in (signal.SIGTERM, "stopping"), (signal.SIGHUP, "reload refused"):
            relay.send(number)
            relay.wait_log(line)
    assert relay.wait() == 0
    told.socket.setblocking(False)
    assert [told.next(), told.next()] == [{"READY": "1"}, {"STOPPING": "1"}]
    with pytest.raises(BlockingIOError):
        told.next()


def test_a_refused_reload_ends_the_reloading_too(daemons, told):
    relay = daemons("relay").start(env=told.env)
    assert told.next() == {"READY": "1"}
    relay.configure("nonsense\n")
    relay.send(signal.SIGHUP)
    assert "RELOADING" in told.next()
    assert told.next() == {"READY": "1"}
    assert "reload refused" in relay.log()


def test_a_failed_start_is_never_ready(daemons, told):
    relay = daemons("relay", state_dir="/dev/null")
    relay.refused(env=told.env)
    told.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        told.next()


def test_the_watchdog_is_fed(daemons, told):
    daemons("relay").start(env={**told.env, "WATCHDOG_USEC": "200000"})
    began = time.monotonic()
    heard = [told.next() for _ in range(6)]
    assert heard.count({"WATCHDOG": "1"}) >= 5
    assert time.monotonic() - began < limit(5)  # six times in 600 ms, on an idle machine


def test_another_process_is_watched(daemons, told):
    relay = daemons("relay").start(env={**told.env, "WATCHDOG_USEC": "2000", "WATCHDOG_PID": "1"})
    relay.stop()
    assert [told.next(), told.next()] == [{"READY": "1"}, {"STOPPING": "1"}]


def test_a_supervisor_that_is_gone_does_no_harm(daemons):
    relay = daemons("relay").start(env={"NOTIFY_SOCKET": "/proc/nothing/notify"})
    assert relay.get("/v1/status").status == 200


# ---- the journal ----


def test_lines_for_the_journal_have_its_prefix(daemons):
    relay = daemons("relay")
    relay.stderr.touch()
    stat = relay.stderr.stat()
    relay.start(env={"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"})
    relay.configure("nonsense\n")
    relay.post("/v1/reload")
    relay.stop()
    lines = relay.log().splitlines()
    assert lines[0].startswith("<6>started ") and lines[-1] == "<6>stopped"
    assert all(re.match(r"<[346]>[a-z]", line) for line in lines), lines
    assert any(line.startswith("<3>reload refused") for line in lines)


def test_stderr_that_was_redirected_is_not_the_journal(daemons):
    relay = daemons("relay").start(env={"JOURNAL_STREAM": "8:12345"})
    assert not relay.log().startswith("<")


# ---- inherited sockets ----


@pytest.fixture
def listening(daemons):
    """A relay, and the control socket that its supervisor has opened for it."""
    relay = daemons("relay")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(relay.socket))
        s.listen(128)
        yield relay, s


def inherit(relay, sock, **env):
    return relay.spawn(fds=[sock.fileno()], env=env, shell=f'exec {INHERIT} {sock.fileno()} "$0" "$@"')


def test_an_inherited_control_socket_is_used_and_stays(listening):
    relay, sock = listening
    inode = relay.socket.stat().st_ino
    inherit(relay, sock, LISTEN_FDNAMES="control").wait_ready()
    relay.stop()
    assert relay.socket.stat().st_ino == inode
    assert "not in the configuration" not in relay.log()


def test_a_restart_loses_no_connection(listening):
    relay, sock = listening
    inherit(relay, sock).wait_ready().stop()
    waiting = [Connection(relay.socket) for _ in range(50)]
    for connection in waiting:
        connection.send(request_bytes("GET", "/v1/status"))
    inherit(relay, sock)
    for connection in waiting:
        assert connection.reply().status == 200
        connection.close()


def test_requests_go_on_through_restarts(listening):
    relay, sock = listening
    inherit(relay, sock)
    for restart in range(1, 11):
        for _ in range(10):
            assert relay.get("/v1/version").status == 200
        relay.send(signal.SIGTERM)
        relay.wait_log("stopping", restart)  # from here on it accepts nobody, and who comes waits for the next one
        with Connection(relay.socket) as meanwhile:
            meanwhile.send(request_bytes("GET", "/v1/status"))
            relay.wait()
            inherit(relay, sock)
            assert meanwhile.reply().status == 200


def test_what_was_asked_before_the_signal_is_answered(listening):
    relay, sock = listening
    inherit(relay, sock).wait_ready()
    relay.send(signal.SIGSTOP)
    with Connection(relay.socket) as asked:
        asked.send(request_bytes("GET", "/v1/status"))
        asked.finish()
        relay.send(signal.SIGTERM)
        relay.send(signal.SIGCONT)
        assert relay.wait() == 0
        inherit(relay, sock).wait_ready()  # the answer may come from either of them
        reply = asked.reply()
    assert reply and reply.status == 200


def test_sockets_for_another_process_are_left_alone(listening):
    relay, sock = listening
    relay.spawn(fds=[sock.fileno()], env={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    assert relay.wait() == 1
    assert f"held by pid {os.getpid()}" in relay.log()


def test_an_unknown_inherited_socket_is_told(daemons):
    relay = daemons("relay")
    with socket.create_server(("127.0.0.1", 0)) as unknown:
        inherit(relay, unknown, LISTEN_FDNAMES="mystery").wait_ready()
    assert re.search(r'warn  an inherited socket is not in the configuration fd=3 name="mystery"', relay.log())
    other = daemons("relay").start()
    wait_until(lambda: relay.descriptors == other.descriptors, "it is closed, and the probes' connections are, too")


def test_a_descriptor_that_is_not_there_is_refused(daemons):
    relay = daemons("relay")
    relay.spawn(env={"LISTEN_FDS": "1"}, shell='export LISTEN_PID=$$; exec "$0" "$@"')
    assert relay.wait() == 1
    assert "LISTEN_FDS names descriptor 3, which is not open" in relay.log()
