"""Half of an upload by raw TCP does not look whole to the service, whoever of those in between goes away."""

from __future__ import annotations

import signal
import socket
import threading

import pytest

from ports import exactly, port_paths, read_all, receive, services
from programs import PATIENCE_S, wait_until
from upgraded import CLOSE_WAIT


def test_an_agent_that_is_killed(port_paths, services):
    """What the visitor had ended, and the kernel has all of, still arrives."""
    going, ended_too, killed = threading.Event(), threading.Event(), threading.Event()

    def cut(sock):
        exactly(sock, 100_000)
        going.set()
        return receive(sock)

    def whole(sock):
        wait_until(lambda: sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == CLOSE_WAIT, "the end has come")
        ended_too.set()
        assert killed.wait(PATIENCE_S * 2)
        return receive(sock)[0]

    a, b = services(cut), services(whole)
    path = port_paths({"a": {"service": a.url}, "b": {"service": b.url}})
    with path.connect("a") as uploads, path.connect("b") as ended:
        uploads.sendall(bytes(100_000))
        ended.sendall(bytes(50_000))
        ended.shutdown(socket.SHUT_WR)
        assert going.wait(PATIENCE_S)
        assert ended_too.wait(PATIENCE_S)
        path.agent.kill()
        killed.set()
        assert isinstance(a.result(), ConnectionResetError) and b.result() == 50_000


@pytest.mark.parametrize("how", ["killed", "drained"])
def test_a_relay_that_goes(port_paths, services, how):
    """sshd tells the agent of an end either way: of the visitor's own, and of a relay that has gone."""
    going = threading.Event()

    def serve(sock):
        exactly(sock, 100_000)
        going.set()
        return receive(sock)

    service = services(serve)
    path = port_paths({"a": {"service": service.url}}, drain="1s")
    with path.connect("a") as visitor:
        visitor.sendall(bytes(100_000))
        assert going.wait(PATIENCE_S)
        path.relay.kill() if how == "killed" else path.relay.stop()
        assert isinstance(service.result(), ConnectionResetError)
    path.start_relay()
    wait_until(lambda: path.port_status("a")["state"] == "up", "the port is up")
    service.serve = receive
    with path.connect("a") as visitor:
        visitor.sendall(b"whole")
        visitor.shutdown(socket.SHUT_WR)
        assert read_all(visitor) == b""
    wait_until(lambda: len(service.results) == 2, "the service has the whole")
    assert service.results[1][0] == 5


def test_an_agent_that_drains(port_paths, services):
    """What the last stream has said goes on from sshd before its session ends; it was lost three times out of four."""
    going = threading.Event()

    def serve(sock):
        exactly(sock, 1)
        going.set()
        receive(sock)
        sock.sendall(b"thanks")

    path = port_paths({"a": {"service": services(serve).url}})
    for _ in range(4):
        with path.connect("a") as visitor:
            visitor.sendall(b"1")
            assert going.wait(PATIENCE_S)
            stopping = threading.Thread(target=path.agent.stop)
            stopping.start()
            path.agent.wait_log("stopping")
            visitor.sendall(bytes(100_000))
            visitor.shutdown(socket.SHUT_WR)
            assert read_all(visitor) == b"thanks"
            stopping.join()
        going.clear()
        path.start_agent()
        path.wait_ports()


def test_the_last_end_before_a_relay_that_drains_goes(port_paths, services):
    """The service has ended before, so the relay has nothing more to do for them; the visitor has meant his end all the same."""
    ended = threading.Event()

    def serve(sock):
        exactly(sock, 1)
        sock.shutdown(socket.SHUT_WR)
        ended.set()
        return receive(sock)[0]

    service = services(serve)
    path = port_paths({"a": {"service": service.url}}, drain="20s")
    with path.connect("a") as visitor:
        visitor.sendall(b"1")
        assert ended.wait(PATIENCE_S) and read_all(visitor) == b""
        path.relay.send(signal.SIGTERM)
        path.relay.wait_log("stopping")
        visitor.sendall(bytes(100_000))
        visitor.shutdown(socket.SHUT_WR)
        assert service.result() == 100_000
    path.relay.stop()
