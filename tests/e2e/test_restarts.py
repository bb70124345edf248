"""The relay is restarted again and again on a socket that its supervisor keeps, while visitors come all the time: they may
have to wait, and nobody is refused, reset or hung up on."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from http1 import Body
from http2 import Visitor2
from path import DOMAIN, fronts
from programs import limit, wait_until
from visitor import context, request_bytes
from website import Site


@pytest.fixture
def front(fronts, started):
    """A site without an agent: it is there as soon as the relay is."""
    started.append(Site())
    made = fronts("other.test", workers=2)
    made.relay.conf.write_text(f"{made.relay.conf.read_text()}[domain {DOMAIN}]\nupstream = 127.0.0.1:{started[0].port}\n")
    made.start_relay()
    return made


def visit_all_the_time(front, stop, hesitates_s):
    """Each time by a new connection; asks at once, or thinks before. Returns how many times, and the longest of them."""
    tls, times, longest_s, dice = context(front.root), 0, 0.0, random.Random(hesitates_s)
    while not stop.is_set():
        began = time.monotonic()
        with front.visitor(tls=tls) as visitor:
            time.sleep(dice.uniform(0, hesitates_s))
            visitor.send(request_bytes("GET", DOMAIN, "/bytes/1000"))
            reply = visitor.reply()
            assert (reply.status, reply.body.size) == (200, 1000)
        times, longest_s = times + 1, max(longest_s, time.monotonic() - began)
    return times, longest_s


def test_20_restarts_lose_no_visitor(front):
    stop = threading.Event()
    with ThreadPoolExecutor() as pool:
        visitors = [pool.submit(visit_all_the_time, front, stop, hesitates_s) for hesitates_s in (0, 0, 0, 0.05, 0.3)]
        try:
            for _ in range(20):
                front.relay.stop()
                front.start_relay()
                assert not any(visitor.done() for visitor in visitors)
        finally:
            stop.set()
        results = [visitor.result() for visitor in visitors]
    assert all(times > 10 and longest_s < limit(6) for times, longest_s in results), results


def test_who_has_come_may_still_ask(front):
    """In every stage of coming; and who has been answered, or says nothing, does not keep the relay."""
    with front.visitor() as fresh, front.visitor() as served, front.visitor() as silent:
        assert served.ask("GET", "/bytes/10").status == 200
        began = time.monotonic()
        front.relay.send(15)
        assert served.ended()
        assert front.relay.running
        assert fresh.ask("GET", "/bytes/10").status == 200
        assert fresh.ended() and silent.ended()
        assert front.relay.wait() == 0
        assert time.monotonic() - began < limit(6)


def test_a_request_in_progress_is_finished(front):
    with front.visitor() as visitor:
        visitor.send(request_bytes("GET", DOMAIN, "/bytes/20000000"))
        head = visitor.head()
        front.relay.send(15)
        wait_until(lambda: "stopping" in front.relay.log(), "it drains")
        assert visitor.body(head, "GET").size == 20000000
        assert visitor.ended()
    assert front.relay.wait() == 0


# ---- what has no end of its own ----


@pytest.fixture
def patient(fronts, started):
    """A relay that would wait for a minute, in front of a site that sends events."""
    started.append(Site())
    made = fronts("other.test", workers=2, drain="60s")
    made.relay.conf.write_text(f"{made.relay.conf.read_text()}[domain {DOMAIN}]\nupstream = 127.0.0.1:{started[0].port}\n")
    made.start_relay()
    made.site = started[0]
    return made


def watch(patient, visitor):
    """Its further events, behind the first."""
    visitor.send(request_bytes("GET", DOMAIN, "/events"))
    events = visitor.pieces(visitor.head(), Body())
    patient.site.events.put(b"data: 1\n\n")
    assert next(events) == b"data: 1\n\n"
    return events


def test_events_are_not_waited_for(patient):
    with patient.visitor() as visitor:
        watch(patient, visitor)
        patient.relay.send(15)
        assert patient.relay.wait(limit(15)) == 0


def test_events_by_http2_are_not_waited_for(patient):
    with Visitor2(patient.port, patient.root, DOMAIN) as visitor:
        stream = visitor.ask("GET", "/events")
        patient.site.events.put(b"data: 1\n\n")
        visitor.until(stream, 9)
        patient.relay.send(15)
        assert patient.relay.wait(limit(15)) == 0


def test_events_go_on_while_others_are_waited_for(patient):
    with patient.visitor() as watcher, patient.visitor() as visitor:
        events = watch(patient, watcher)
        visitor.send(request_bytes("GET", DOMAIN, "/bytes/40000000"))
        head = visitor.head()
        patient.relay.send(15)
        wait_until(lambda: "stopping" in patient.relay.log(), "it drains")
        time.sleep(2)  # longer than it would last without the download
        patient.site.events.put(b"data: 2\n\n")
        assert next(events) == b"data: 2\n\n"
        assert visitor.body(head, "GET").size == 40000000
        assert patient.relay.wait(limit(15)) == 0
