"""Raw TCP through the whole path: bytes as they are, both ways, and ends as they come."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import threading
import time

import pytest

from http1 import content, content_sha256
from ports import echo, exactly, hold_port, port_paths, read_all, receive, reset, services
from programs import PATIENCE_S, need, wait_until

BIG = int(os.environ.get("E2E_TCP_MB", "200")) * 1_000_000


@pytest.fixture
def path(port_paths, services):
    service = services()
    made = port_paths({"raw": {"service": service.url}})
    made.service = service
    return made


# ---- bytes ----


def test_bytes_come_back(path):
    with path.connect("raw") as visitor:
        for piece in (b"x", b"\0" * 70_000, bytes(range(256)) * 100):
            visitor.sendall(piece)
            assert exactly(visitor, len(piece)) == piece
        visitor.shutdown(socket.SHUT_WR)
        assert read_all(visitor) == b""
    wait_until(lambda: path.port_status("raw")["connections"] == 0, "the connection has ended")
    assert path.port_status("raw")["connections_total"] == 1
    assert path.port_status("raw")["bytes_in"] == path.port_status("raw")["bytes_out"] == 1 + 70_000 + 25_600
    agent = path.agent_port_status("raw")
    assert (agent["bytes_in"], agent["bytes_out"], agent["connections_total"]) == (95_601, 95_601, 1)


def test_a_service_may_speak_first(path):
    path.service.serve = lambda sock: (sock.sendall(b"220 mail ready\r\n"), exactly(sock, 6), sock.sendall(b"221 bye\r\n"))
    with path.connect("raw") as visitor:
        assert exactly(visitor, 16) == b"220 mail ready\r\n"
        visitor.sendall(b"QUIT\r\n")
        assert read_all(visitor) == b"221 bye\r\n"


def test_a_visitor_may_say_all_and_then_wait(path):
    """Half-close: the service answers only to the whole."""

    def serve(sock):
        size, digest = receive(sock)
        time.sleep(0.3)
        sock.sendall(f"{size} {digest}".encode())

    path.service.serve = serve
    with path.connect("raw") as visitor:
        for piece in content(3_000_000, 1):
            visitor.sendall(piece)
        visitor.shutdown(socket.SHUT_WR)
        assert read_all(visitor).decode() == f"3000000 {content_sha256(3_000_000, 1)}"


def test_a_service_may_say_all_and_then_listen(path):
    def serve(sock):
        sock.sendall(b"first")
        sock.shutdown(socket.SHUT_WR)
        return receive(sock)

    path.service.serve = serve
    with path.connect("raw") as visitor:
        assert read_all(visitor) == b"first"
        time.sleep(0.3)
        for piece in content(3_000_000, 2):
            visitor.sendall(piece)
        visitor.shutdown(socket.SHUT_WR)
        assert path.service.result() == (3_000_000, content_sha256(3_000_000, 2))


def test_a_visitor_who_says_nothing_and_ends(path):
    path.service.serve = read_all
    with path.connect("raw") as visitor:
        visitor.shutdown(socket.SHUT_WR)
        assert read_all(visitor) == b""
    assert path.service.result() == b""


@pytest.mark.parametrize("first", [b"", b"some bytes"])
def test_a_reset_of_the_visitor_is_one_for_the_service(path, first):
    path.service.serve = read_all
    visitor = path.connect("raw")
    visitor.sendall(first)
    wait_until(lambda: path.port_status("raw")["connections"] == 1, "it is carried")
    wait_until(lambda: path.agent_port_status("raw")["bytes_in"] == len(first) and
               path.agent_port_status("raw")["connections"] == 1, "the service has it")
    reset(visitor)
    assert isinstance(path.service.result(), ConnectionResetError)


@pytest.mark.parametrize("first", [b"", b"some bytes"])
def test_a_reset_of_the_service_is_one_for_the_visitor(path, first):
    def serve(sock):
        sock.sendall(first)
        exactly(sock, 1)
        reset(sock)

    path.service.serve = serve
    with path.connect("raw") as visitor:
        assert exactly(visitor, len(first)) == first
        visitor.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            read_all(visitor)


def test_who_goes_on_after_the_service_has_closed_is_reset(path):
    path.service.serve = lambda sock: sock.sendall(b"bye")
    with path.connect("raw") as visitor:
        assert read_all(visitor) == b"bye"
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            for _ in range(600):
                visitor.sendall(b"x" * 1000)
                time.sleep(0.05)


def test_a_service_that_refuses_is_a_reset(port_paths):
    with hold_port() as held:
        path = port_paths({"none": {"service": f"tcp://127.0.0.1:{held.getsockname()[1]}"}})
        for _ in range(2):
            with pytest.raises((ConnectionResetError, BrokenPipeError)), path.connect("none") as visitor:
                visitor.sendall(b"hello?")
                read_all(visitor)
        wait_until(lambda: path.port_status("none")["service_state"] == "refused", "the relay knows")
        assert path.agent_port_status("none")["service_state"] == "refused"
        wait_until(lambda: path.port_status("none")["errors"] == 2, "both are counted")


def test_a_unix_socket(port_paths, services, folder):
    path = port_paths({"raw": {"service": services(path=folder / "s.sock").url}})
    with path.connect("raw") as visitor:
        visitor.sendall(b"hello")
        assert exactly(visitor, 5) == b"hello"
        visitor.shutdown(socket.SHUT_WR)
        assert read_all(visitor) == b""


def test_ipv6(port_paths, services):
    path = port_paths({"raw": {"service": services().url, "host": "::1"}})
    with path.connect("raw") as visitor:
        visitor.sendall(b"hello")
        assert exactly(visitor, 5) == b"hello"


def test_all_addresses(port_paths, services):
    with hold_port() as held:
        port = held.getsockname()[1]
        path = port_paths({"raw": {"service": services().url, "listen": port}})
        assert path.port_status("raw")["listen"] == f":{port}"
        for host in ("127.0.0.1", "127.0.0.2", "::1"):
            with socket.create_connection((host, port), PATIENCE_S) as visitor:
                visitor.sendall(b"hello")
                assert exactly(visitor, 5) == b"hello"


@pytest.mark.parametrize("workers", [1, 3])
def test_much_both_ways(port_paths, services, workers):
    path = port_paths({"raw": {"service": services().url}}, workers=workers)
    got = []
    with path.connect("raw") as visitor:
        reader = threading.Thread(target=lambda: got.append(receive(visitor)))
        reader.start()
        for piece in content(BIG, 5):
            visitor.sendall(piece)
        visitor.shutdown(socket.SHUT_WR)
        reader.join()
    assert got == [(BIG, content_sha256(BIG, 5))]


def test_a_slow_reader_slows_the_service(path):
    sent = []

    def serve(sock):
        for piece in content(60_000_000, 6):
            sock.sendall(piece)
            sent.append(len(piece))

    path.service.serve = serve
    with path.connect("raw") as visitor:
        exactly(visitor, 1)
        time.sleep(2)
        assert sum(sent) < 40_000_000, "it has to wait"
        size, _ = receive(visitor)
        assert size == 60_000_000 - 1


def test_real_ssh(port_paths, started):
    """The VM's own sshd is the service, too: a protocol whose server speaks first."""
    path = port_paths({})
    path.reload_ports({"ssh": {"service": f"tcp://127.0.0.1:{path.sshd.port}"}})
    path.wait_ports()
    (path.sshd.folder / "plain_keys").write_text((path.sshd.folder / "client_key.pub").read_text())
    port = path.address("ssh")[1]
    known = path.sshd.folder / "known_through"
    known.write_text(f"[127.0.0.1]:{port} " + (path.sshd.folder / "host_key.pub").read_text())
    scan = subprocess.run([need("ssh-keyscan"), "-T", "30", "-t", "ed25519", "-p", str(port), "127.0.0.1"],
                          capture_output=True, text=True, timeout=PATIENCE_S)
    assert (path.sshd.folder / "host_key.pub").read_text().split()[1] in scan.stdout
    command = [need("ssh"), "-F", "none", "-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes", "-o",
               f"IdentityFile={path.folder / 'agent_key'}", "-o", "BatchMode=yes", "-p", str(port),
               f"{path.sshd.user}@127.0.0.1", "x"]
    ssh = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        line = ssh.stdout.readline()  # logged in: this key runs tunnel-lane, and the relay speaks
        assert ssh.poll() is None or b"Permission denied" not in ssh.stderr.read()
        assert path.sshd.logins() >= 2, line
    finally:
        ssh.kill()
        ssh.communicate()


def test_two_thousand_connections(port_paths, services):
    n = 2000
    path = port_paths({"raw": {"service": services().url}}, lanes=None, park="30s")
    visitors = []
    try:
        for i in range(n):
            visitors.append(path.connect("raw"))
            visitors[-1].sendall(b"%08d" % i)
        for i, visitor in enumerate(visitors):
            assert exactly(visitor, 8) == b"%08d" % i
        assert path.port_status("raw")["connections"] == n
        for i, visitor in enumerate(visitors):
            visitor.sendall(b"again%03d" % (i % 1000))
        for i, visitor in enumerate(visitors):
            assert exactly(visitor, 8) == b"again%03d" % (i % 1000)
        # Not all at once: on a busy machine the agent's word of an end may come after 250 ms, which makes it a reset.
        for some in (visitors[i:i + 50] for i in range(0, n, 50)):
            for visitor in some:
                visitor.shutdown(socket.SHUT_WR)
            for visitor in some:
                assert read_all(visitor) == b""
    finally:
        for visitor in visitors:
            visitor.close()
    wait_until(lambda: path.port_status("raw")["connections"] == 0, "all have ended")
    assert path.port_status("raw")["errors"] == 0


# ---- who comes ----


def v2_header(source, dest, family):
    size = 12 if family == socket.AF_INET else 36
    kind = 0x11 if family == socket.AF_INET else 0x21
    return (b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, kind, size) + socket.inet_pton(family, source[0]) +
            socket.inet_pton(family, dest[0]) + struct.pack("!HH", source[1], dest[1]))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_proxy_header_names_the_visitor(port_paths, services, version, host):
    service = services(lambda sock: (sock.sendall(b"hi"), read_all(sock))[1])  # it speaks first, and then listens
    path = port_paths({"raw": {"service": service.url, "proxy_protocol": version, "host": host}})
    with path.connect("raw") as visitor:
        source, dest = visitor.getsockname()[:2], visitor.getpeername()[:2]
        assert exactly(visitor, 2) == b"hi"
        visitor.sendall(b"hello")
        visitor.shutdown(socket.SHUT_WR)
        assert read_all(visitor) == b""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    line = f"PROXY TCP{6 if ':' in host else 4} {source[0]} {dest[0]} {source[1]} {dest[1]}\r\n".encode()
    assert service.result() == (line if version == "v1" else v2_header(source, dest, family)) + b"hello"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_an_ipv4_visitor_of_all_addresses_is_an_ipv4_visitor(port_paths, services, version):
    service = services(read_all)
    with hold_port() as held:
        port = held.getsockname()[1]
        port_paths({"raw": {"service": service.url, "proxy_protocol": version, "listen": f":{port}"}})
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as visitor:
            source = visitor.getsockname()
            visitor.shutdown(socket.SHUT_WR)
            assert read_all(visitor) == b""
    line = f"PROXY TCP4 127.0.0.1 127.0.0.1 {source[1]} {port}\r\n".encode()
    assert service.result() == (line if version == "v1" else v2_header(source, ("127.0.0.1", port), socket.AF_INET))


@pytest.mark.parametrize("keys, allowed, refused", [
    ({"allow": "127.0.0.2/31"}, ["127.0.0.2", "127.0.0.3"], ["127.0.0.1", "127.0.0.4"]),
    ({"deny": "127.0.0.2"}, ["127.0.0.1", "127.0.0.3"], ["127.0.0.2"]),
    ({"allow": "127.0.0.0/8", "deny": "127.0.0.2 127.0.0.3"}, ["127.0.0.1"], ["127.0.0.2", "127.0.0.3"]),
    ({"allow": "::1"}, ["::1"], ["127.0.0.1"]),
    ({"deny": "::/0"}, ["127.0.0.1"], ["::1"]),
    ({"deny": "0.0.0.0/0"}, ["::1"], ["127.0.0.1"]),
])
def test_allow_and_deny(port_paths, services, keys, allowed, refused):
    with hold_port() as held:
        port = held.getsockname()[1]
        path = port_paths({"raw": {"service": services().url, "listen": port, **keys}}, access_log_format="json")
        for source in allowed + refused:
            target = "::1" if ":" in source else "127.0.0.1"
            with contextlib.ExitStack() as outcome:
                if source in refused:
                    outcome.enter_context(pytest.raises((ConnectionResetError, BrokenPipeError)))
                with socket.create_connection((target, port), PATIENCE_S, source_address=(source, 0)) as visitor:
                    visitor.sendall(b"hello")
                    assert exactly(visitor, 5) == b"hello"
        assert path.port_status("raw")["connections_total"] == len(allowed)


def test_so_many_from_each_source(port_paths, services):
    path = port_paths({"raw": {"service": services().url}}, max_per_source=3, max_connections=5)

    def come(source):
        try:
            visitor = socket.create_connection(path.address("raw"), PATIENCE_S, source_address=(source, 0))
            visitor.sendall(b"hello")
            return visitor if visitor.recv(5) == b"hello" else None
        except (ConnectionResetError, BrokenPipeError):
            return None

    first = [come("127.0.0.2") for _ in range(4)]
    assert [bool(v) for v in first] == [True, True, True, False]
    second = [come("127.0.0.3") for _ in range(3)]
    assert [bool(v) for v in second] == [True, True, False]  # five in all
    first[0].close()
    wait_until(lambda: path.port_status("raw")["connections"] == 4, "one has gone")
    wait_until(lambda: come("127.0.0.3"), "another may come")
    path.relay.wait_log("max_per_source")
    path.relay.wait_log("max_connections")
    for visitor in first + second:
        if visitor:
            visitor.close()


def test_the_limits_count_over_all_listeners(port_paths, services):
    path = port_paths({"raw": {"service": services().url}}, max_per_source=1)
    with path.connect("raw") as visitor:
        visitor.sendall(b"x")
        exactly(visitor, 1)
        with pytest.raises(OSError):
            path.visit("GET", "/echo")
    wait_until(lambda: path.port_status("raw")["connections"] == 0, "it has gone")
    assert path.visit("GET", "/echo").status == 200


# ---- the access log ----


@pytest.mark.parametrize("format_", ["json", "combined"])
def test_a_line_for_each_connection(port_paths, services, folder, format_):
    log = folder / "access.log"
    path = port_paths({"raw": {"service": services().url, "deny": "127.0.0.9"}}, access_log=log,
                      access_log_format=format_)
    with path.connect("raw") as visitor:
        visitor.sendall(b"hello")
        exactly(visitor, 5)
        visitor.shutdown(socket.SHUT_WR)
        read_all(visitor)
    wait_until(lambda: log.read_text().count("\n") == 1, "a line")
    gone = path.connect("raw")
    gone.sendall(b"x")
    exactly(gone, 1)
    reset(gone)
    wait_until(lambda: log.read_text().count("\n") == 2, "two lines")
    with contextlib.suppress(ConnectionResetError):
        socket.create_connection(path.address("raw"), PATIENCE_S, source_address=("127.0.0.9", 0)).close()
    wait_until(lambda: log.read_text().count("\n") == 3, "three lines")
    at = "127.0.0.1:{}".format(path.address("raw")[1])
    if format_ == "combined":
        ends = [line.partition('"')[2] for line in log.read_text().splitlines()]
        assert ends == [f'TCP {at}" 200 5 "-" "-"', f'TCP {at}" 200 1 "-" "-"', f'TCP {at}" 403 0 "-" "-"']
        return
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["status"], line["bytes_in"], line["bytes_out"], line["complete"]) for line in lines] == [
        (200, 5, 5, True), (200, 1, 1, False), (403, 0, 0, False)]
    assert lines[0]["client"] == "127.0.0.1" and lines[0]["domain"] == "tcp:raw" and lines[0]["agent"] == "pi"
    assert (lines[0]["method"], lines[0]["path"]) == ("TCP", at) and lines[0]["lane"] > 0
