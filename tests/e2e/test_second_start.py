"""Two daemons in one place: the second says who holds it, and the first does not notice."""

import os
import signal
import socket

import pytest

from programs import ROOT, wait_until


def holder(daemon):
    return f"pid {daemon.pid} (tunnel-{daemon.role})"


def unharmed(daemon, inode):
    assert daemon.running
    assert daemon.get("/v1/status").json["name"] == "e2e"
    assert daemon.socket.stat().st_ino == inode


def test_the_same_control_socket(daemon, daemons):
    inode = daemon.socket.stat().st_ino
    said = daemons(daemon.role, control_socket=daemon.socket).refused()
    assert str(daemon.socket) in said and holder(daemon) in said and "control_socket" in said
    unharmed(daemon, inode)


def test_the_same_state_folder(daemon, daemons):
    inode = daemon.socket.stat().st_ino
    second = daemons(daemon.role, state_dir=daemon.state_dir)
    said = second.refused()
    assert str(daemon.state_dir) in said and holder(daemon) in said and "state_dir" in said
    assert not second.socket.exists()
    unharmed(daemon, inode)


def test_the_same_configuration(daemon):
    first, inode = daemon.process, daemon.socket.stat().st_ino
    said = daemon.refused()
    daemon.process = first
    assert holder(daemon) in said
    unharmed(daemon, inode)


def test_another_program_on_the_control_socket(daemons):
    relay = daemons("relay")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(relay.socket))
        other.listen()
        assert f"pid {os.getpid()} (" in relay.refused()
        assert relay.socket.is_socket()


def test_two_at_once_leave_one(daemons):
    """Both find the file of a dead process, and exactly one may take it."""
    first, second = daemons("relay"), daemons("relay")
    second.configure(control_socket=first.socket)
    second.socket = first.socket
    first.start().kill()
    both = first.spawn(), second.spawn()
    loser = wait_until(lambda: next((d for d in both if not d.running), None), "one of them gives up")
    winner = second if loser is first else first
    assert loser.wait() == 1
    assert holder(winner) in loser.log()
    winner.wait_ready()


def test_the_socket_of_a_killed_daemon_is_taken_over(daemon):
    daemon.kill()
    assert daemon.socket.exists()
    daemon.start()
    assert daemon.get("/v1/version").status == 200


def test_a_file_that_is_no_socket_is_left_alone(daemons, role):
    daemon = daemons(role)
    daemon.socket.write_text("precious")
    said = daemon.refused()
    assert str(daemon.socket) in said and "not a socket" in said
    assert daemon.socket.read_text() == "precious"


def test_a_symbolic_link_is_left_alone(daemons):
    relay = daemons("relay")
    relay.socket.symlink_to(ROOT / "Makefile")
    assert "not a socket" in relay.refused()
    assert relay.socket.is_symlink() and (ROOT / "Makefile").is_file()


@pytest.mark.parametrize("length, well", [(107, True), (108, False)])
def test_how_long_the_path_of_the_socket_may_be(daemons, length, well):
    relay = daemons("relay")
    relay.socket = relay.folder / ("s" * (length - len(str(relay.folder)) - 1))
    relay.configure(control_socket=relay.socket)
    if well:
        relay.start().stop()
    else:
        said = relay.refused()
        assert str(relay.socket) in said and "107" in said


def test_after_the_end_another_may_have_the_place(daemons):
    first, second = daemons("relay"), daemons("relay")
    second.configure(control_socket=first.socket, state_dir=first.state_dir)
    second.socket = first.socket
    first.start().stop()
    second.start().stop(signal.SIGINT)
