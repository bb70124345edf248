"""A request that may not be done twice reaches one house alone, where an https:// service may have read it."""

from __future__ import annotations

import socket
import ssl

import pytest

from programs import wait_until
from secure import server_context
from test_share import House, Site, houses, fronts
from website import notify
from x509 import make_pair

BODY = b"x" * 5000


def garble(peer):
    """A record that nobody has encrypted: TLS breaks at the agent."""
    socket.socket.sendall(peer.socket, b"\x17\x03\x03\x00\x20" + bytes(32))
    peer.socket.recv(1)


def alert(peer):
    """An alert in clear, which is not one of the handshake's."""
    socket.socket.sendall(peer.socket, b"\x15\x03\x03\x00\x02\x02\x50")
    peer.socket.recv(1)


def close(peer):
    """Without a close_notify."""


@pytest.fixture
def services(folder):
    """services(how) makes https:// services that read all of a POST, and then break off in this way; a GET they answer."""
    made = []

    def make(how):
        tls = server_context(make_pair(folder, f"service{len(made)}", ["127.0.0.1"]))
        tls.minimum_version = tls.maximum_version = make.version
        service = Site(tls=tls)
        service.notifies = how is notify

        def answer(peer, head, *_):
            if head.method == "GET":
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                return True
            how(peer)
            return False

        service._echo = answer
        made.append(service)
        return service

    make.made = made
    return make


@pytest.mark.parametrize("how", [garble, alert, close, notify])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_post_that_may_have_been_read_is_not_sent_to_another(houses, services, version, how):
    services.version = version
    front = houses(names=("one", "two"), service=lambda: services(how))
    wait_until(lambda: front.visit().status == 200, "workers follow")
    for n in range(1, 5):
        reply = front.visit("POST", "/", body=BODY)
        came = [seen for service in services.made for seen in service.seen if seen.head.method == "POST"]
        assert reply.status == 502 and len(came) == n and came[-1].body.size == len(BODY)
