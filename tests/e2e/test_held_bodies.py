"""Bodies that are held because they may have to be sent again: they count in max_buffered, and none is held in vain."""

from __future__ import annotations

import threading
import time

import pytest

from programs import wait_until
from test_share import fronts, shared
from visitor import context, request_bytes

VISITORS, SIZE = 40, 60_000  # far more than 1m together, and each less than what may be held of one
SHED = "a stream that stood still was reset: all together hold too much"


@pytest.fixture
def gate():
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
def asked(shared, gate):
    """asked(names, method) is a relay of whose agents each has taken whole requests, but answers none before the gate is
    open, and those who wait for it."""
    visitors = []

    def serve(stream):
        stream.agent.say("consumed", stream=stream.id, total=stream.received - stream.header_bytes)
        gate.wait()
        stream.answer("taken")

    def make(names, method):
        front = shared(names, max_buffered="1m")
        for agent in front.agents.values():
            agent.serve = serve
        tls = context(front.root)
        for _ in range(VISITORS):
            visitors.append(front.visitor(tls=tls))
            visitors[-1].send(request_bytes(method, visitors[-1].host, "/", "", bytes(SIZE)))
        came = lambda: sum(head.method == method for agent in front.agents.values() for head, _ in agent.requests)
        wait_until(lambda: came() >= VISITORS, "all of it has come")
        return front, visitors

    yield make
    for visitor in visitors:
        visitor.close()


@pytest.mark.parametrize("names, method", [(("pi",), "PUT"), (("pi", "nas"), "POST")], ids=["again", "elsewhere"])
def test_held_bodies_count(asked, names, method):
    """A PUT can be sent to the same house again; a POST only to another, when the service was not even reached."""
    front, _ = asked(names, method)
    front.relay.wait_log(SHED)


def test_what_could_go_nowhere_else_is_not_held(asked, gate):
    front, visitors = asked(("pi",), "POST")
    time.sleep(6)  # several looks at who stands still
    assert SHED not in front.relay.log()
    gate.set()
    assert {visitor.reply().status for visitor in visitors} == {200}
