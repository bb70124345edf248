"""Hundreds of transfers that stand still, each way at once: memory stays bounded, and everybody else is served."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections import Counter

import pytest

from path import WholePath, private_kb
from programs import limit, wait_until
from visitor import context

HUGE = 1_000_000_000
STALLED = 200


@pytest.fixture
def path(daemons, started, folder):
    return WholePath(daemons, started, folder, lanes=2, agent_keys={"max_buffered": "24m"}, max_buffered="24m")


def stalled(path, request):
    """A visitor who has asked and reads nothing of the answer."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    plain.connect(("127.0.0.1", path.port))
    tls = context(path.root).wrap_socket(plain, server_hostname="a.test")
    tls.sendall(request.encode())
    tls.setblocking(False)
    return tls


def pour(uploads):
    """Sends into all of them until none takes a byte for a second."""
    sent, moved_at, body = 0, time.monotonic(), bytes(16384)
    while time.monotonic() - moved_at < 1:
        for tls in uploads:
            try:
                sent += tls.send(body)
                moved_at = time.monotonic()
            except ssl.SSLWantWriteError:
                pass
            except OSError:
                uploads.remove(tls)  # it was the fattest, and stood still
                break
    return sent


def test_200_stalled_transfers_each_way(path):
    assert path.visit("GET", "/bytes/1000").status == 200
    before = {name: private_kb(daemon.pid) for name, daemon in (("relay", path.relay), ("agent", path.agent))}
    downloads = [stalled(path, f"GET /bytes/{HUGE}/{n} HTTP/1.1\r\nHost: a.test\r\n\r\n") for n in range(STALLED)]
    uploads = [stalled(path, f"PUT /slow-read HTTP/1.1\r\nHost: a.test\r\nContent-Length: {HUGE}\r\n\r\n")
               for _ in range(STALLED)]
    assert pour(uploads) > 20_000_000
    for _ in range(3):
        began = time.monotonic()
        assert path.visit("GET", "/bytes/1000").body.size == 1000
        assert time.monotonic() - began < limit(5)
    if path.relay.memory_kb:  # a sanitizer keeps what was freed
        wait_until(lambda: all(private_kb(daemon.pid) - before[name] < 64 * 1024
                               for name, daemon in (("relay", path.relay), ("agent", path.agent))),
                   "memory is bounded", 40)
    assert set(path.lane_states()) == {"up"}
    for tls in downloads + uploads:
        tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, as of a killed browser
        tls.close()
    wait_until(lambda: sum(lane["streams"] for lane in path.status()["lanes"]) == 0, "all streams are gone")
    assert path.visit("GET", "/bytes/1000").body.size == 1000


@pytest.mark.parametrize("keys, admitted, refusal", [({"agent_keys": {"max_streams": 60}}, 60, 502),
                                                     ({"max_streams": 30}, 60, 503)], ids=["agent's", "relay's"])
def test_no_more_than_max_streams_stand_still(daemons, started, folder, keys, admitted, refusal):
    """The agent's counts connections to services, the relay's those that each of two lanes carries."""
    path = WholePath(daemons, started, folder, lanes=2, **keys)
    try:
        wait_until(lambda: path.lane_states() == ["up", "up"], "both lanes are up")
        visitors = [path.visitor() for _ in range(admitted + 20)]
        for number, visitor in enumerate(visitors):  # a POST takes no stream that another one has left
            visitor.send(f"POST /bytes/{HUGE}/{number} HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")
        statuses = [visitor.head().status for visitor in visitors]
        assert Counter(statuses) == {200: admitted, refusal: 20}
        assert path.streams() <= admitted + 2 * 16  # warm ones, beside those of the agent
        for visitor in visitors:
            visitor.break_off()
        wait_until(lambda: path.visit("GET", "/bytes/1000").status == 200, "there is room again")
        if "agent_keys" in keys:
            assert "as many streams as max_streams admits are in use" in path.agent.log()
    finally:
        path.close()
