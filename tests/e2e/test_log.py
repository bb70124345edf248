"""tunnelctl log and top: requests as they happen, what of them is kept, and the end of both."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import termios
import time

import control
from path import DOMAIN, WholePath, houses, path  # noqa: F401 (fixtures)
from programs import PATIENCE_S, environment, program, run, wait_until


@contextlib.contextmanager
def watching(daemon, *words, tty=False, lines=0):
    """tunnelctl, and what it has printed so far."""
    far, near = pty.openpty() if tty else (None, None)
    if lines:
        termios.tcsetwinsize(near, (lines, 100))
    process = subprocess.Popen([program("tunnelctl"), "--socket", daemon.socket, *words], env=environment(),
                               stdout=near if tty else subprocess.PIPE, stderr=subprocess.PIPE)
    if tty:
        os.close(near)
    out = far if tty else process.stdout.fileno()
    os.set_blocking(out, False)
    seen = bytearray()

    def more():
        with contextlib.suppress(BlockingIOError, OSError):
            seen.extend(os.read(out, 1 << 16))
        return seen.decode(errors="replace")

    try:
        yield process, more
    finally:
        process.kill()
        process.communicate()
        if tty:
            os.close(far)


def test_requests_are_seen_as_they_happen(path):
    relay = path.relay  # its access_log is off
    with watching(relay, "log", "-f") as (human, seen), watching(relay, "--json", "log", "-f") as (script, lines):
        def asked():
            path.visit("GET", "/one?x=1")
            return "/one?x=1" in seen() and lines().count("\n") >= 1

        wait_until(asked, "lines come")  # the watchers may still have been on their way
        line = next(line for line in seen().splitlines() if "/one?x=1" in line)
        assert " 127.0.0.1 200 GET " in line and line.endswith(" ms  pi")
        first = json.loads(lines().splitlines()[0])
        assert (first["status"], first["domain"], first["agent"], first["complete"]) == (200, DOMAIN, "pi", True)
        script.send_signal(signal.SIGINT)
        assert script.wait(PATIENCE_S) == 0
        path.visit("GET", "/two")
        wait_until(lambda: "/two" in seen(), "the other one goes on")
        done = run("tunnelctl", "--socket", relay.socket, "log")
        assert done.code == 1 and "access_log is off" in done.err
        relay.stop()
        assert human.wait(PATIENCE_S) == 3
    assert run("tunnelctl", "--socket", path.agent.socket, "log", "-f").code == 1  # it sees no requests


def test_json_stays_json_whatever_a_visitor_says(daemons, started, folder):
    """What hides or turns text around is escaped as JSON has it: for scripts, and on a terminal."""
    made = WholePath(daemons, started, folder, access_log="visits", access_log_format="json")
    said = "a\u200b\u202eb"
    with contextlib.closing(made), watching(made.relay, "--json", "log", "-f") as (_, lines):
        def asked():
            made.visit("GET", "/hidden", f"User-Agent: {said}\r\n")
            return lines().count("\n") >= 1

        wait_until(asked, "lines come")
        wait_until(lambda: "/hidden" in run("tunnelctl", "--socket", made.relay.socket, "log").out, "it is kept")
        kept = [run("tunnelctl", "--socket", made.relay.socket, *words, "log").out for words in ((), ("--json",))]
        for line in (text.splitlines()[0] for text in (lines(), *kept)):
            assert json.loads(line)["user_agent"] == said and "\\u200b\\u202e" in line, line


def test_last_lines_and_a_watcher_that_does_not_read(daemons, started, folder):
    made = WholePath(daemons, started, folder, access_log="visits", access_log_format="json")
    with contextlib.closing(made), socket.socket(socket.AF_UNIX) as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(str(made.relay.socket))
        stuck.sendall(control.request_bytes("GET", "/v1/log"))
        wait_until(lambda: b"200 OK" in stuck.recv(4096), "it watches")
        long = "x" * 3000
        with made.visitor() as visitor:  # far more than is queued for somebody
            for number in range(300):
                assert visitor.ask("GET", f"/{number}/{long}").status == 200
        with made.visitor() as visitor:
            assert visitor.ask("GET", "/last").status == 200
        wait_until(lambda: "/last" in run("tunnelctl", "--socket", made.relay.socket, "log").out, "it is kept")
        last = run("tunnelctl", "--socket", made.relay.socket, "log").out
        assert "/299/" in last and "/0/" not in last and 32_000 < len(last) < 80_000
        stuck.setblocking(False)
        text = bytearray()

        def told():
            made.visit("GET", "/again")
            with contextlib.suppress(BlockingIOError):
                while True:
                    text.extend(stuck.recv(65536))
            return b'{"lost":' in text

        wait_until(told, "once it reads again, it is told what it has missed")
        with contextlib.ExitStack() as many:  # the number of watchers is bounded
            replies = []
            for _ in range(9):
                one = many.enter_context(socket.socket(socket.AF_UNIX))
                one.settimeout(PATIENCE_S)
                one.connect(str(made.relay.socket))
                one.sendall(control.request_bytes("GET", "/v1/log"))
                replies.append(one.recv(12)[9:])
            assert replies.count(b"200") == 7 and replies.count(b"503") == 2


def test_top(path):
    path.visit()
    once = run("tunnelctl", "--socket", path.relay.socket, "top").out
    assert DOMAIN in once and "REQUESTS/S" in once
    with watching(path.relay, "top", tty=True) as (process, seen):
        def moves():
            path.visit()
            row = next((line.split() for line in reversed(seen().splitlines()) if line.split()[:1] == [DOMAIN]), None)
            return row and float(row[2]) > 0

        wait_until(moves, "the rate is shown")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    with watching(path.agent, "top", tty=True) as (process, seen):
        wait_until(lambda: "LANE" in seen() and "e2e" in seen(), "lanes are shown")
        path.agent.stop()
        assert process.wait(PATIENCE_S) == 3


def test_top_fits_on_the_screen(houses):
    """Of many sites the busiest, and what there is besides, instead of the last ones."""
    made = houses({f"n{i}.test": "http://127.0.0.1:1" for i in range(20)})
    with watching(made.relay, "top", tty=True, lines=12) as (_, seen):
        shown = wait_until(lambda: (parts := seen().split("\033[3J"))[2:] and parts[1], "it is shown twice")
    rows = shown.split("\r\n")
    assert len(rows) <= 12 and "which have less to do" in shown and any(r.split()[:1] == ["LANE"] for r in rows), shown
    assert "a.test" in shown or "n0.test" in shown, shown
