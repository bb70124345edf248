"""How many lanes there are, and which of them a stream goes to."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter

import pytest

from far_path import LONG, lined, seconds_until
from path import Session
from programs import limit, wait_until
from visitor import Visitor, request_bytes


class Crowd:
    """Visitors with long-lived connections: each listens for events that do not come."""

    def __init__(self, path):
        self.path, self.visitors = path, []

    def add(self, n: int) -> Crowd:
        added: list[Visitor] = []
        for _ in range(n):
            added.append(self.path.visitor())
            added[-1].send(request_bytes("GET", "a.test", "/events"))
        for visitor in added:
            assert visitor.head().status == 200
        self.visitors += added
        return self

    def leave(self) -> None:
        for visitor in self.visitors:
            visitor.break_off()
        self.visitors = []

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


def streams(path) -> list[int]:
    """Of each lane that is up, as the relay counts."""
    return [lane["streams"] for lane in path.status()["lanes"] if lane["state"] == "up"]


# ---- how many ----


def test_two_lanes_by_default(lined):
    path = lined(lanes=None)
    path.wait_lanes(2, limit(5))
    time.sleep(1.5)  # two looks at what there is to do
    assert path.up_at_relay() == 2 and path.sshd.logins() == 2


def test_more_lanes_open_under_many_streams(lined):
    """300 connections: two lanes would have 150 each, three have 100."""
    path = lined(lanes=None)
    path.wait_lanes(2)
    with Crowd(path) as crowd:
        crowd.add(250)
        time.sleep(1.5)
        assert path.up_at_relay() == 2 and max(streams(path)) - min(streams(path)) <= 2
        crowd.add(50)
        assert seconds_until(lambda: path.up_at_relay() == 3, "a third lane is up") < limit(4)
        path.wait_lanes(3)
        # Connections stay where they are; whoever comes now goes to the new one.
        before = sorted(streams(path))
        assert before[0] < 50
        crowd.add(40)
        assert sorted(streams(path)) == [before[0] + 40, *before[1:]]
        assert path.works()
        crowd.leave()
        wait_until(lambda: sum(streams(path)) <= 1, "the connections are gone")
        if not LONG:
            return  # the calm minute is lane_count_test's
        assert 55 < seconds_until(lambda: path.up_at_relay() == 2, "one lane is closed", 75)
        path.wait_lanes(2)
        assert path.works() and path.sshd.logins() == 3


def test_never_more_than_max_lanes(lined):
    path = lined(lanes=None)
    text = path.agent.conf.read_text()
    path.agent.conf.write_text(text.replace("[domain", "max_lanes = 2\n[domain"))
    path.agent.post("/v1/reload")
    with Crowd(path) as crowd:
        crowd.add(270)
        time.sleep(2.5)
        assert path.up_at_relay() == 2 and path.sshd.logins() == 2
        path.agent.conf.write_text(text)
        path.agent.post("/v1/reload")
        wait_until(lambda: path.up_at_relay() == 3, "a third lane is up")


# ---- which one ----


def test_streams_go_to_the_lane_with_the_least_to_do(lined):
    path = lined(lanes=3)
    path.wait_lanes(3)
    with Crowd(path) as crowd:
        for n in range(1, 11):
            crowd.add(3)
            assert streams(path) == [n] * 3
        os.kill(path.sessions()[0].sshd, signal.SIGKILL)
        wait_until(lambda: sorted(streams(path)) == [0, 10, 10], "the lane is back, without its streams")
        crowd.add(10)
        assert streams(path) == [10] * 3


# ---- when one dies ----


class Load:
    """Visitors who ask again and again, each over a connection of its own for as long as it is kept."""

    def __init__(self, path, visitors: int):
        self.path, self.done, self.answers = path, threading.Event(), Counter()
        self.threads = [threading.Thread(target=self._visit, args=(n,)) for n in range(visitors)]

    def _visit(self, seed: int) -> None:
        rng = random.Random(seed)
        while not self.done.is_set():
            try:
                with self.path.visitor() as visitor:
                    for _ in range(20):
                        method, size = rng.choice(["GET", "HEAD", "OPTIONS", "DELETE"]), rng.choice([1, 100, 8000])
                        reply = visitor.ask(method, "/echo", f"X-Long: {'x' * size}\r\n")
                        self.answers[reply.status] += 1
            except Exception as e:
                self.answers[repr(e)] += 1

    def __enter__(self) -> Load:
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        for t in self.threads:
            t.join()


def kill(session: Session) -> None:
    os.kill(session.sshd, signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_lane_that_dies_under_load_loses_no_request(lined, workers):
    """One of two, five times. What may be asked again is asked again on the other one."""
    path = lined(lanes=2, workers=workers)
    path.wait_lanes(2)
    with Load(path, 12) as load:
        for n in range(5):
            before = sum(load.answers.values())
            wait_until(lambda: sum(load.answers.values()) > before + 100, "visitors are served")
            kill(path.sessions()[n % 2])
            wait_until(lambda: path.up_at_relay() < 2, "one lane is down")
            path.wait_lanes(2)
    assert set(load.answers) == {200}, load.answers
    assert path.sshd.logins() == 7
