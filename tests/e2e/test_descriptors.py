"""Descriptors run out: visitors wait outside, those inside are served, and it passes by itself."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from http1 import content_sha256
from path import WholePath, path
from programs import PATIENCE_S, limit, wait_until

FEW = 240  # of which 60 are kept for those inside
MB = 1_000_000


class Cramped(WholePath):
    """Its relay may have no more descriptors than these, whatever it asks for."""

    def spawning(self):
        how = super().spawning()
        return {**how, "shell": f"ulimit -n {FEW}; {how['shell']}"}


@pytest.fixture
def cramped(daemons, started, folder):
    made = Cramped(daemons, started, folder)
    yield made
    made.close()


def cpu_s(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def crowd(path, n):
    """So many connections that say nothing. Inside, each lives for ten seconds; then the next comes in."""
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", path.port))
    return sockets


def is_full(path):
    return path.relay.descriptors >= FEW - FEW // 4


def assert_rests(pid, seconds=1.5):
    before = cpu_s(pid)
    time.sleep(seconds)
    assert cpu_s(pid) - before < limit(0.1) + 0.02


def test_visitors_wait_while_descriptors_are_short(cramped):
    inside = [cramped.visitor() for _ in range(20)]
    assert {visitor.ask("GET", "/bytes/10").status for visitor in inside} == {200}
    download, waiting = cramped.visitor(), []
    download.send(f"GET /bytes/{30 * MB}/1 HTTP/1.1\r\nHost: a.test\r\n\r\n")
    head, digest = download.head(), hashlib.sha256(download.exactly(MB))
    outside = crowd(cramped, 3 * FEW)
    try:
        wait_until(lambda: is_full(cramped), "the relay is full")
        cramped.relay.wait_log("connections have to wait")
        with ThreadPoolExecutor(20) as pool:
            waiting = [pool.submit(cramped.visit) for _ in range(5)]
            assert_rests(cramped.relay.pid)
            for _ in range(3):  # all of them at once: each needs a stream, and that a descriptor
                asked = list(pool.map(lambda visitor: visitor.ask("GET", "/bytes/1000"), inside))
                assert [(reply.status, reply.body.size) for reply in asked] == [(200, 1000)] * len(inside)
            digest.update(download.exactly(29 * MB))
            assert digest.hexdigest() == content_sha256(30 * MB, 1) and head.status == 200
            assert cramped.lane_states() == ["up"]
            assert is_full(cramped) and cramped.relay.descriptors < FEW - 10
            assert not any(visit.done() for visit in waiting)
            for s in outside:
                s.close()
            assert {visit.result().status for visit in waiting} == {200}
    finally:
        for s in [*outside, download.socket, *(visitor.socket for visitor in inside)]:
            s.close()
    assert cramped.visit().status == 200
    # Each full house is told, five times in ten seconds at most.
    assert cramped.relay.log().count("connections have to wait") <= 30


def test_no_descriptor_at_all(path):
    """Not even one for those inside: they keep what they have, and it passes."""
    soft, hard = resource.prlimit(path.relay.pid, resource.RLIMIT_NOFILE)
    with path.visitor() as inside:
        assert inside.ask("GET", "/bytes/10").status == 200
        resource.prlimit(path.relay.pid, resource.RLIMIT_NOFILE, (3, hard))
        outside = crowd(path, 20)
        path.relay.wait_log("Too many open files")
        assert inside.ask("GET", "/bytes/1000").body.size == 1000  # by the stream that is there
        assert_rests(path.relay.pid)
        assert len(re.findall(r"connections have to wait", path.relay.log())) <= 10
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(path.visit)
            resource.prlimit(path.relay.pid, resource.RLIMIT_NOFILE, (soft, hard))
            assert waiting.result(PATIENCE_S).status == 200
        for s in outside:
            s.close()
    assert path.lane_states() == ["up"]


def test_daemons_take_as_many_as_they_may(daemon):
    """The soft limit is what shells and supervisors set for old programs."""
    soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    assert soft == hard
    daemon.stop()
    daemon.start(shell='ulimit -S -n 64; exec "$0" "$@"')
    assert resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE) == (hard, hard)


def test_more_requests_than_descriptors(cramped):
    """Each takes two. Those that get none wait for one or are told so; the others are answered, and nothing else suffers."""
    visitors = [cramped.visitor() for _ in range(110)]
    for visitor in visitors:
        visitor.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
    cramped.relay.wait_log("cannot open a stream")
    assert_rests(cramped.relay.pid)
    cramped.site.gate.set()
    statuses = [visitor.reply().status for visitor in visitors]
    for visitor in visitors:
        visitor.close()
    assert set(statuses) <= {200, 503} and statuses.count(200) > FEW // 4
    assert cramped.lane_states() == ["up"]
    assert cramped.visit().status == 200
    assert cramped.relay.log().count("cannot open a stream") <= 12
