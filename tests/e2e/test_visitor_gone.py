"""Whoever is joined to a service by bytes alone has no time limit; so when he is gone, that has to be found, whatever the
service does or does not do: raw TCP, WebSocket by HTTP/1.1 and by HTTP/2."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from types import SimpleNamespace

import pytest

from clock import Clock
from http2 import Visitor2
from path import DOMAIN
from ports import port_paths, read_all, reset
from programs import PATIENCE_S, wait_until
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


def started_again(path, folder):
    clock = Clock(folder)
    path.relay.stop()
    path.relay.start(env=clock.environment, **path.spawning())
    return clock


def takes_nothing(peer):
    peer.socket.shutdown(socket.SHUT_WR)
    return breaks(peer.socket)


def goes_on_for_a_minute_alone(house, clock):
    """Both sides have ended, and the service might still take what is there."""
    clock.wait(50)
    time.sleep(5)
    assert used(house) == 1
    clock.wait(20)
    assert house.service.result() is True
    wait_until(lambda: used(house) == 0, "nothing is left of it")


def test_both_have_ended_by_http2_and_nothing_is_taken(shared, folder):
    clock = started_again(shared.path, folder)
    shared.path.wait_up(DOMAIN)
    shared.service.serve = takes_nothing
    with shared.come() as visitor:
        stream = visitor.open()
        fill(visitor, stream)
        visitor.finish(stream)
        assert visitor.reply(stream).ended
    goes_on_for_a_minute_alone(shared, clock)


def test_both_have_ended_and_nothing_is_taken(port_paths, started, folder):
    service = Service()
    started.append(service)
    service._live = lambda peer: service.results.append(takes_nothing(peer))
    path = port_paths({"raw": {"service": service.url.replace("http", "tcp")}})
    clock = started_again(path, folder)
    path.wait_ports()
    visitor = path.connect("raw")
    sent, still = 0, 0
    while still < 15:  # a piece more than is taken: behind it his end still finds room
        if path.port_status("raw")["bytes_in"] == sent:
            visitor.sendall(PIECE)
            sent, still = sent + len(PIECE), 0
        else:
            time.sleep(0.1)
            still += 1
    visitor.close()
    goes_on_for_a_minute_alone(SimpleNamespace(path=path, service=service), clock)
