"""The sshd fixture itself: what later tests build on must hold."""

import socket

from programs import PATIENCE_S


def test_a_key_logs_in_and_runs_a_command(sshd):
    done = sshd.ssh("echo", "hello")
    assert (done.returncode, done.stdout) == (0, b"hello\n"), done.stderr
    assert sshd.ssh("true").returncode == 0
    assert sshd.ssh("exit 7").returncode == 7


def test_another_key_does_not(sshd):
    sshd.new_key("stranger")
    done = sshd.ssh("true", key="stranger")
    assert done.returncode == 255
    assert b"Permission denied" in done.stderr


def test_a_reverse_tunnel_gets_a_port_that_carries_bytes_both_ways(sshd):
    with socket.create_server(("127.0.0.1", 0)) as house:
        house.settimeout(PATIENCE_S)
        client, port = sshd.forward_back(house.getsockname()[1])
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as visitor:
                visitor.sendall(b"ping")
                inside, _ = house.accept()
                with inside:
                    assert inside.recv(16) == b"ping"
                    inside.sendall(b"pong")
                    assert visitor.recv(16) == b"pong"
        finally:
            client.terminate()
            client.communicate()
