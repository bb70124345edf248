"""An agent called mallory, enrolled as it should be, that does what it should not; and an honest one that is visited.

    with siege.undisturbed():              # siege: sshd, relay, the honest agent pi with two lanes, a site a.test
        mallory = siege.mallory().start()  # a FakeAgent, over a real SSH session, that may serve b.test and *.b.test
        mallory.say("hello", ...)
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple, Sequence

import pytest

from daemon import Daemon
from fake_agent import FakeAgent
from http1 import Cut, each_connection
from pairing import Enrolment
from path import WholePath, new_key, private_kb
from programs import PATIENCE_S, limit, run, wait_until
from raw_ssh import RawSsh

GROWN_KB = 8 * 1024  # what a hostile agent may cost the relay
NAME, DOMAINS = "mallory", "b.test *.b.test"


class Bystander:
    """Another program of the relay's machine: it notes what comes, and answers nothing or always the same."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer, self.heard = answer, []
        self.server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.server.getsockname()[1]
        each_connection(self.server, self._hear)

    def _hear(self, sock: socket.socket) -> None:
        heard = bytearray()
        self.heard.append(heard)
        with sock, contextlib.suppress(OSError):
            while piece := sock.recv(65536):
                heard += piece
                if len(heard) >= 65:
                    sock.sendall(self.answer)

    def __enter__(self) -> Bystander:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        assert all(len(heard) in (0, 65) for heard in self.heard), [bytes(heard) for heard in self.heard]


class Hostile(FakeAgent):
    """Over a real SSH session; its port is the one that sshd listens on for it."""

    title = "the hostile agent"

    def __init__(self, siege: Siege, items: Sequence[str | tuple[str, list[str]]] = ("b.test",), listens: bool = True) -> None:
        super().__init__(siege.lane_socket, items, NAME)
        self.siege, self.listens, self.house = siege, listens, self.port
        self.answers_pings = True

    def join(self) -> Hostile:
        ours, theirs = socket.socketpair()
        *command, host = self.siege.sshd.command(key=str(self.siege.key))
        self.client = subprocess.Popen([*command, "-T", "-R", f"127.0.0.1:0:127.0.0.1:{self.house}", host], stdin=theirs,
                                       stdout=theirs, stderr=subprocess.PIPE, text=True)
        theirs.close()
        self.lane = ours
        line = self.client.stderr.readline()
        found = re.match(r"Allocated port (\d+) for remote forward", line)
        assert found, line
        self.port = int(found[1])
        threading.Thread(target=self.client.stderr.read, daemon=True).start()
        if self.listens:
            threading.Thread(target=self._hear, args=(ours,), daemon=True).start()
        return self

    def hello(self, port: int | None = None, **fields: Any) -> None:
        self.say("hello", **{"v": 1, "boot": self.boot, "lane": 1, "port": port or self.port, "version": "0.0", **fields})

    def send(self, data: bytes) -> None:
        with self._saying:
            self.lane.sendall(data)

    def _take(self, line: dict[str, Any]) -> None:
        if line["type"] != "ping" or self.answers_pings:
            super()._take(line)
        else:
            self.heard.append(line)

    def answers(self) -> None:
        """All that was sent before this was taken by a lane that lives."""
        before = len(self.heard)
        self.say("ping", n=4711, t=1, rtt_ms=-1)
        wait_until(lambda: any(line["type"] == "pong" and line["n"] == 4711 for line in self.heard[before:]), "a pong")

    def refused(self) -> str:
        """Why. Returns when tunnel-lane is back at the relay."""
        why = self.wait_heard("error")["why"]
        self.wait_heard("resync")
        self.heard.clear()
        return why

    def end(self) -> str | None:
        super().end()
        if hasattr(self, "client"):
            self.client.kill()
            self.client.wait()
        return None  # what it thinks of the relay is not asked


class Visit(NamedTuple):
    status: int | str
    seconds: float


class Siege(WholePath):
    def __init__(self, daemons: Callable[..., Daemon], started: list, folder: Path, **how: Any) -> None:
        self.started = started
        super().__init__(daemons, started, folder, lanes=2, **how)
        self.key = folder / NAME
        self.enrol(NAME, DOMAINS, new_key(folder, NAME))
        wait_until(lambda: self.lane_states() == ["up", "up"], "the honest agent has its lanes")

    def enrol(self, name: str, domains: str, key: str) -> None:
        done = run("tunnelctl", "--socket", self.relay.socket, "invite", name, "--domains", domains, "--host", "127.0.0.1")
        assert done.code == 0, done.err
        (invite,) = self.relay.get("/v1/agents").json["invites"]
        way = Enrolment(self.lane_socket, invite["id"])
        answer = way.enrol(name, key)
        way.close()
        assert answer["type"] == "enrolled", answer

    def mallory(self, *args: Any, **how: Any) -> Hostile:
        made = Hostile(self, *args, **how)
        self.started.append(made)
        return made

    def raw(self) -> RawSsh:
        return RawSsh(self.sshd, self.key).connect()

    # ---- what the relay says ----

    def lanes_of(self, name: str) -> list[dict[str, Any]]:
        return [lane for lane in self.status()["lanes"] if lane["agent"] == name and lane["state"] != "dead"]

    def honest(self) -> list[tuple[int, str]]:
        return [(lane["lane"], lane["state"]) for lane in self.lanes_of("pi")]

    def told(self, *words: str) -> bool:
        """In one line of the relay's log, which names mallory."""
        return any(f'agent="{NAME}"' in line and all(word in line for word in words)
                   for line in self.relay.log().splitlines())

    def wait_told(self, *words: str) -> None:
        wait_until(lambda: self.told(*words), f"the relay's log names {NAME} and says {words}")

    # ---- the others ----

    def _visit_on(self, stop: threading.Event, visits: list[Visit]) -> None:
        while not stop.is_set():
            begin = time.monotonic()
            try:
                status: int | str = self.visit("GET", "/echo").status
            except (AssertionError, OSError, Cut) as e:
                status = repr(e)
            visits.append(Visit(status, time.monotonic() - begin))
            stop.wait(0.05)

    @contextlib.contextmanager
    def undisturbed(self, lanes: bool = True) -> Iterator[list[Visit]]:
        """What is done meanwhile is known by mallory's name, and nobody else notices it."""
        before, memory = self.honest(), private_kb(self.relay.pid)
        stop, visits = threading.Event(), []
        visitor = threading.Thread(target=self._visit_on, args=(stop, visits))
        visitor.start()
        try:
            yield visits
            enough = len(visits) + 3
            wait_until(lambda: len(visits) >= enough, "further visits")
        finally:
            stop.set()
            visitor.join()
        assert all(visit.status == 200 for visit in visits), visits
        assert max(visit.seconds for visit in visits) < limit(2), visits
        if lanes:
            assert self.honest() == before
        assert self.told()
        if self.relay.memory_kb:  # a sanitizer keeps what was freed
            wait_until(lambda: private_kb(self.relay.pid) - memory < GROWN_KB, "the relay's memory is bounded",
                       timeout=limit(3))

    # ---- the end ----

    def revoke(self) -> float:
        """Returns when it was done."""
        done = run("tunnelctl", "--socket", self.relay.socket, "revoke", NAME)
        assert done.code == 0, done.err
        return time.monotonic()


@pytest.fixture
def sieges(daemons: Callable[..., Daemon], started: list, folder: Path) -> Iterator[Callable[..., Siege]]:
    made: list[Siege] = []

    def make(**how: Any) -> Siege:
        made.append(Siege(daemons, started, folder, **how))
        return made[-1]

    yield make
    for siege in made:
        siege.close()


@pytest.fixture
def siege(sieges: Callable[..., Siege]) -> Siege:
    return sieges()
