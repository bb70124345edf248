"""Where the relay listens: addresses, workers, sockets of a supervisor, and ports that somebody else holds."""

from __future__ import annotations

import errno
import os
import random
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from path import edges, fronts


def quiet_port():
    """A port that is free on all addresses and from which the kernel does not serve itself."""
    for _ in range(100):
        port = random.randrange(20000, 32000)
        try:
            with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True):
                return port
        except OSError as e:
            assert e.errno == errno.EADDRINUSE, e
    raise AssertionError("no free port in a hundred")


def up(edge):
    edge.agent.start()
    edge.wait_up()
    return edge


def seen_by_service(edge, **how):
    """Visits, and returns the head that the service got."""
    with edge.visitor(**how) as visitor:
        assert visitor.ask().status == 200
    return edge.agent.requests[-1][0]


def threads(front):
    return len(os.listdir(f"/proc/{front.relay.pid}/task"))


# ---- addresses ----


def test_all_addresses(edges):
    port = quiet_port()
    edge = up(edges(listen_https=f":{port}"))
    for at, told in (("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("127.0.0.5", None)):
        head = seen_by_service(edge, port=port, at=at)
        assert told is None or head.get("x-forwarded-for") == head.get("x-real-ip") == told
        assert head.get("x-forwarded-port") == str(port)
        forwarded = 'for="[::1]"' if at == "::1" else "for=127.0.0."
        assert head.get("forwarded").startswith(forwarded)


def test_several_addresses(edges):
    four, six = quiet_port(), quiet_port()
    edge = up(edges(listen_https=f"127.0.0.1:{four} [::1]:{six}, 127.0.0.2:{four}"))
    for at, port in (("127.0.0.1", four), ("::1", six), ("127.0.0.2", four)):
        assert seen_by_service(edge, port=port, at=at).get("x-forwarded-port") == str(port)
    for at, port in (("::1", four), ("127.0.0.1", six), ("127.0.0.3", four)):
        with pytest.raises(ConnectionRefusedError):
            edge.visitor(port=port, at=at)


@pytest.mark.parametrize("own", [True, False], ids=["its own sockets", "inherited"])
@pytest.mark.parametrize("workers, threads_of_them", [("1", 1), ("2", 2), ("auto", len(os.sched_getaffinity(0)))])
def test_workers(edges, workers, threads_of_them, own):
    port = quiet_port()
    edge = up(edges(workers=workers, **({"listen_https": f"127.0.0.1:{port}"} if own else {})))
    assert threads(edge) == 1 + threads_of_them
    visitors = [edge.visitor(port=port if own else None) for _ in range(40)]
    for visitor in visitors:
        assert visitor.ask().status == 200
        visitor.close()
    # Both have had visitors: each has streams of its own.
    assert len(edge.agent.used) >= threads_of_them


def test_a_stopped_relay_leaves_its_port(edges):
    port = quiet_port()
    edge = up(edges(listen_https=f"127.0.0.1:{port}"))
    for _ in range(3):
        seen_by_service(edge, port=port)
        edge.agent.leave()
        edge.relay.stop()
        edge.start_relay()
        edge.agent.start()
        edge.wait_up()


# ---- a port that somebody holds ----


def waits_because(relay):
    (listener,) = relay.get("/v1/status").json["listeners"]
    assert listener["state"] == "held", listener
    return listener["last_error"]


@pytest.mark.parametrize("held, wanted", [("127.0.0.1", "127.0.0.1:"), ("127.0.0.1", ":"), ("0.0.0.0", "127.0.0.1:"),
                                          ("::1", "[::1]:"), ("::", "[::1]:"), ("::1", ":")])
def test_a_port_held_by_another_program_is_told(fronts, held, wanted):
    with socket.create_server((held, 0), family=socket.AF_INET6 if ":" in held else socket.AF_INET) as holder:
        where = f"{wanted}{holder.getsockname()[1]}"
        why = waits_because(fronts(listen_https=where).relay.start())
    name = Path("/proc/self/comm").read_text().strip()
    assert f"cannot listen on {where}: it is held by pid {os.getpid()} ({name}); " in why


def test_a_port_held_by_another_relay_is_told(edges, fronts):
    port = quiet_port()
    first = edges(listen_https=f":{port}", workers="2")
    for wanted in (f":{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
        why = waits_because(fronts(listen_https=wanted).relay.start())
        assert f"cannot listen on {wanted}: it is held by pid {first.relay.pid} (tunnel-relay)" in why


OTHERS = """
import socket, sys
held = [socket.create_server((at, int(sys.argv[1])), family=socket.AF_INET6 if ":" in at else socket.AF_INET)
        for at in sys.argv[2:]]
print("listening", flush=True)
sys.stdin.read()
"""


def test_the_one_in_the_way_is_named(fronts):
    """Not another program that listens on the same port of another address."""
    port = quiet_port()
    with socket.create_server(("127.0.0.1", port)) as held, \
            subprocess.Popen([sys.executable, "-c", OTHERS, str(port), "127.0.0.9", "::1"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"listening\n"
        assert f"held by pid {os.getpid()} (" in waits_because(fronts(listen_https=f"127.0.0.1:{port}").relay.start())
        for at in ("127.0.0.9", "[::1]"):
            assert f"held by pid {other.pid} (" in waits_because(fronts(listen_https=f"{at}:{port}").relay.start())
        other.stdin.close()


def test_nothing_listens_where_a_start_was_refused(fronts):
    free = quiet_port()
    fronts(listen_https=f"127.0.0.1:{free} 192.0.2.77:{free}").relay.refused()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", free))


# ---- sockets of a supervisor ----


def test_several_inherited_sockets(edges):
    """Those that the configuration names are used, each by its address; another one is told and closed."""
    with socket.create_server(("127.0.0.1", 0)) as four, \
            socket.create_server(("::1", 0), family=socket.AF_INET6) as six, \
            socket.create_server(("127.0.0.1", 0)) as unknown:
        ports = [s.getsockname()[1] for s in (four, six, unknown)]
        edge = edges(listen_https=f"127.0.0.1:{ports[0]} [::1]:{ports[1]}", inherited=[unknown, six, four], workers="2")
        up(edge)
        for at, port in (("127.0.0.1", ports[0]), ("::1", ports[1])):
            assert seen_by_service(edge, port=port, at=at).get("x-forwarded-port") == str(port)
        assert "an inherited socket is not in the configuration" in edge.relay.log()


def test_an_inherited_socket_for_all_addresses(edges):
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as both:
        port = both.getsockname()[1]
        edge = up(edges(listen_https=f":{port}", inherited=[both]))
        for at in ("127.0.0.1", "::1"):
            assert seen_by_service(edge, port=port, at=at).get("x-real-ip") == at
        assert "not in the configuration" not in edge.relay.log()


def test_an_inherited_socket_for_all_addresses_of_ipv4(edges):
    with socket.create_server(("0.0.0.0", 0)) as four:
        port = four.getsockname()[1]
        edge = up(edges(listen_https=f":{port}", inherited=[four]))
        assert seen_by_service(edge, port=port).get("x-real-ip") == "127.0.0.1"
        with pytest.raises(ConnectionRefusedError):
            edge.visitor(port=port, at="::1")


def test_two_inherited_sockets_for_all_addresses(edges):
    """As systemd makes them with BindIPv6Only=ipv6-only."""
    with socket.create_server(("0.0.0.0", 0)) as four:
        port = four.getsockname()[1]
        with socket.create_server(("::", port), family=socket.AF_INET6) as six:
            edge = up(edges(listen_https=f":{port}", inherited=[four, six], workers="2"))
            for at in ("127.0.0.1", "::1"):
                assert seen_by_service(edge, port=port, at=at).get("x-real-ip") == at
    assert "not in the configuration" not in edge.relay.log()


def test_visitors_who_come_while_the_relay_is_away_wait(edges):
    edge = up(edges())
    edge.agent.leave()
    edge.relay.stop()
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(edge.visit) for _ in range(8)]
        edge.start_relay()
        assert {visit.result().status for visit in waiting} == {503}  # an answer: the agent is not back yet
    edge.agent.start()
    edge.wait_up()
    assert edge.visit().status == 200
