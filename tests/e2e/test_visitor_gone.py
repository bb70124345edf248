"""Whoever is joined to a service by bytes alone has no time limit; so when he is gone, that has to be found, whatever the
service does or does not do: raw TCP, WebSocket by HTTP/1.1 and by HTTP/2."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from client_hello import client_hello, records
from clock import Clock
from http2 import Visitor2
from path import DOMAIN, fronts
from ports import port_paths, read_all, reset
from programs import PATIENCE_S, wait_until
from test_upstream import add_domain
from test_websocket_h2 import fill
from upgraded import Service, Through, break_off, end_with_fin, upgrade

PIECE = bytes(65536)


def breaks(sock: socket.socket) -> bool:
    """Whether it is reset, without a byte's being read."""
    poller = select.poll()
    poller.register(sock, 0)
    return bool(poller.poll(PATIENCE_S * 1000) and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


class House(SimpleNamespace):
    """path, and service: what it is has in serve; come(): a visitor, as a socket or a Peer of bytes alone."""


@pytest.fixture(params=["raw", "websocket"])
def house(request, daemons, started, folder, port_paths):
    service = Service()
    started.append(service)
    if request.param == "raw":
        service._live = lambda peer: service.results.append(service.serve(peer))
        path = port_paths({"raw": {"service": service.url.replace("http", "tcp")}})
        yield House(path=path, service=service, come=lambda: path.connect("raw"), end=lambda v: v.shutdown(socket.SHUT_WR),
                    reset=reset, pour=lambda v: v)
        return
    path = Through(service, daemons, started, folder)
    yield House(path=path, service=service, come=lambda: upgrade(path), end=end_with_fin, reset=break_off,
                pour=lambda v: v.socket)
    path.close()


def used(house):
    return house.path.streams()


def pour(sock: socket.socket) -> None:
    """Until nothing is taken any more."""
    sock.settimeout(1.5)
    with contextlib.suppress(TimeoutError):
        while True:
            sock.send(PIECE)
    sock.settimeout(PATIENCE_S)


def test_gone_while_the_service_takes_nothing(house):
    house.service.serve = lambda peer: breaks(peer.socket)
    visitor = house.come()
    pour(house.pour(visitor))
    assert used(house) == 1
    house.reset(visitor)
    assert house.service.result() is True
    wait_until(lambda: used(house) == 0, "nothing is left of it")


def test_gone_while_the_service_says_nothing(house):
    """He had said all, and was waiting for the answer: nobody reads from him any more."""

    def serve(peer):
        while peer.read(65536):
            pass
        return breaks(peer.socket)

    house.service.serve = serve
    visitor = house.come()
    (visitor.sendall if isinstance(visitor, socket.socket) else visitor.send)(b"hello?")
    house.end(visitor)
    time.sleep(5)  # longer than the relay waits before it asks whether he is gone
    assert used(house) == 1
    house.reset(visitor)
    assert house.service.result() is True
    wait_until(lambda: used(house) == 0, "nothing is left of it")


# ---- by HTTP/2 ----


@pytest.fixture
def shared(daemons, started, folder):
    service = Service()
    started.append(service)
    path = Through(service, daemons, started, folder)
    yield SimpleNamespace(path=path, service=service, come=lambda: Visitor2(path.port, path.root, DOMAIN))
    path.close()


@pytest.mark.parametrize("how", ["stream", "connection"])
def test_gone_by_http2_while_the_service_takes_nothing(shared, how):
    shared.service.serve = lambda peer: breaks(peer.socket)
    with shared.come() as visitor:
        stream = visitor.open()
        fill(visitor, stream)
        if how == "stream":
            visitor.reset(stream)
        else:
            reset(visitor.socket)
        assert shared.service.result() is True
        wait_until(lambda: used(shared) == 0, "nothing is left of it")


# ---- nobody waits for it any more ----


@pytest.fixture
def timed(fronts, started, folder):
    """A relay whose clock is set, in front of a service that ends its side at once and takes nothing."""
    service, front, clock = Service(), fronts("other.test"), Clock(folder)
    started.append(service)

    def takes_nothing(peer):
        peer.socket.shutdown(socket.SHUT_WR)
        return breaks(peer.socket)

    def start(**keys):
        add_domain(front, f"127.0.0.1:{service.port}", **keys)
        front.relay.start(env=clock.environment, **front.spawning())
        return front

    service.serve = takes_nothing
    return SimpleNamespace(service=service, clock=clock, start=start)


def goes_on_for_a_minute_alone(timed):
    """Both sides have ended, and the service might still take what is there."""
    timed.clock.wait(20)  # the minute has begun when the last piece was taken: on a busy machine that is a while ago
    time.sleep(3)
    assert not timed.service.results
    timed.clock.wait(40)
    assert timed.service.result() is True


def test_both_have_ended_by_http2_and_nothing_is_taken(timed):
    front = timed.start()
    with Visitor2(front.port, front.root, DOMAIN) as visitor:
        stream = visitor.open()
        fill(visitor, stream)
        visitor.finish(stream)
        assert visitor.reply(stream).ended
        goes_on_for_a_minute_alone(timed)


def unread(visitor: socket.socket) -> int:
    """How much of his the relay has not read; or he has not got rid of."""
    own, theirs = (f"0100007F:{port:04X}" for _, port in (visitor.getsockname(), visitor.getpeername()))
    ends = [line.split()[1:5] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(queues.partition(":")[2 if at == theirs else 0], 16) for at, to, _, queues in ends if {at, to} == {own, theirs})


def test_both_have_ended_and_nothing_is_taken(timed):
    """Where TLS is passed through, so that nobody looks at the bytes."""
    front = timed.start(tls="passthrough")
    timed.service._live = lambda peer: timed.service.results.append(timed.service.serve(peer))
    with socket.create_connection(("127.0.0.1", front.port), PATIENCE_S) as visitor:
        visitor.sendall(records(client_hello(DOMAIN)))
        still = 0
        while still < 15:  # a piece more than goes on: behind it his end still finds room
            still = still + 1 if unread(visitor) else 0
            if still:
                time.sleep(0.1)
            else:
                visitor.sendall(PIECE)
    goes_on_for_a_minute_alone(timed)
