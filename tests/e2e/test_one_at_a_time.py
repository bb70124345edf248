"""A service that answers one connection after another, each until it is closed, as small ones do: a connection that is kept
for the next visitor keeps the others waiting."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Iterator

import pytest

from path import WholePath, houses

KEPT_S = 5  # so long a connection is kept otherwise


@pytest.fixture
def service() -> Iterator[int]:
    """Its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(peer: socket.socket) -> None:
            said = b""
            while piece := peer.recv(65536):
                said += piece
                if said.endswith((b"\r\n\r\n", b"all")):
                    time.sleep(0.9 if said.startswith(b"GET /slow") else 0)
                    said = b""
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer, contextlib.suppress(ConnectionError):
                        answer(peer)

        serving = threading.Thread(target=serve)
        serving.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    serving.join()


@pytest.fixture
def house(service, houses) -> WholePath:
    made = houses({"b.test": f"http://127.0.0.1:{service}"})
    assert made.visit("GET", "/", name="b.test").status == 200
    return made


def test_visitors_who_come_together(house):
    began = time.monotonic()
    with ThreadPoolExecutor(8) as visitors:
        replies = list(visitors.map(lambda n: house.visit("GET", f"/{n}", name="b.test"), range(8)))
    assert [reply.status for reply in replies] == [200] * 8
    assert time.monotonic() - began < KEPT_S


def test_visitors_of_several_workers(service, houses):
    """What one worker keeps is in the way of the others' visitors."""
    house, took = houses({"b.test": f"http://127.0.0.1:{service}"}, workers="3"), []
    for n in range(16):  # each comes to any of the workers
        began = time.monotonic()
        assert house.visit("GET", f"/{n}", name="b.test").status == 200
        took.append(time.monotonic() - began)
    assert max(took) < 3, took  # it were about KEPT_S


def test_who_comes_last_waits_for_those_before_him_alone(service, houses):
    """However long they take: a visitor who had waited for five seconds was not told of any more."""
    house = houses({"b.test": f"http://127.0.0.1:{service}"}, workers="3")
    began = time.monotonic()
    with ThreadPoolExecutor(10) as visitors:
        replies = list(visitors.map(lambda n: house.visit("GET", f"/slow/{n}", name="b.test"), range(10)))
    assert [reply.status for reply in replies] == [200] * 10
    assert time.monotonic() - began < 10 * 0.9 + KEPT_S - 1  # it were KEPT_S more, or twice that


def test_what_may_not_be_said_twice(house):
    """A POST does not go by a connection that was kept for longer than a second, and does not wait for it."""
    time.sleep(1.1)
    began = time.monotonic()
    assert house.visit("POST", "/", body=b"all", name="b.test").status == 200
    assert time.monotonic() - began < 3  # it were what is left of KEPT_S
