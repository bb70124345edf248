"""conf/sshd: sshd takes the drop-in, and with it nobody can do more than an agent has to, as the real ssh client finds."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time

import pytest

from drop_in import accepted, drop_in, libexec
from pairing import Pairing, fingerprint
from path import LIKE_A_VM, VmSshd, fronts
from programs import PATIENCE_S, limit, need, wait_until
from sshd import Sshd


# ---- what is written ----


def test_sshd_accepts_it(sshd):
    done = drop_in("--user", sshd.user, "--relay-user", sshd.user)
    checked = accepted(sshd.folder, done.stdout)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", ""), checked


def test_what_is_in_force_for_the_tunnels_user(sshd):
    text = drop_in("--user", sshd.user, "--relay-user", sshd.user, "--libexec", "/opt/libexec", "--state-dir", "/srv/x").stdout
    shown = accepted(sshd.folder, text, f"user={sshd.user}", "host=h", "addr=192.0.2.1").stdout.splitlines()
    for line in ["authorizedkeysfile none", "authorizedkeyscommand /opt/libexec/tunnel-lane --keys %f --state-dir /srv/x",
                 f"authorizedkeyscommanduser {sshd.user}", "authenticationmethods publickey", "passwordauthentication no",
                 "kbdinteractiveauthentication no", "allowtcpforwarding remote", "allowstreamlocalforwarding no",
                 "allowagentforwarding no", "x11forwarding no", "permittunnel no", "permittty no", "permituserrc no",
                 "permitlisten 127.0.0.1:*", "maxsessions 1", "clientaliveinterval 15", "clientalivecountmax 3",
                 "unusedconnectiontimeout 10"]:
        assert line in shown, line
    others = accepted(sshd.folder, text, "user=somebody", "host=h", "addr=192.0.2.1").stdout.splitlines()
    assert "permittty yes" in others and "authenticationmethods any" in others  # everybody else is left alone


def test_older_sshds_get_what_they_know(tmp_path):
    for version, known in [("8.4p1 Debian-5", False), ("9.1p1", False), ("9.2p1", True), ("10.0p2", True)]:
        fake = tmp_path / "sshd"
        fake.write_text(f"#!/bin/sh\necho 'OpenSSH_{version}, OpenSSL 3.0' >&2\nexit 1\n")
        fake.chmod(0o755)
        text = drop_in("--sshd", fake).stdout
        assert ("UnusedConnectionTimeout 10s" in text) == known, version
        assert "@" not in text.replace("openssh.com", "") and "AuthorizedKeysCommandUser tunnel-relay" in text
        assert "--keys %f\n" in text


def test_wrong_usage():
    for args in (["--user"], ["--user", "a b"], ["--user", "a|b"], ["--nothing"], ["--state-dir", ""]):
        done = drop_in(*args, check=False)
        assert (done.returncode, done.stdout) == (2, "") and done.stderr


# ---- what it forbids: the key itself may do everything here ----


class Guarded(Sshd):
    def __init__(self, folder, libexec):
        super().__init__(folder)
        self.state_dir = folder / "state"
        self.state_dir.mkdir()
        self.know("client_key")
        self.further = drop_in("--user", self.user, "--relay-user", self.user, "--libexec", libexec, "--state-dir",
                               self.state_dir).stdout

    def know(self, name):
        (self.state_dir / "authorized_keys").write_text((self.folder / f"{name}.pub").read_text())

    def client(self, *options, command=(), **how):
        """Runs ssh with these options in front of the host."""
        whole = self.command()
        return subprocess.run([*whole[:-1], *options, whole[-1], *command], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE_S, **how)


@pytest.fixture
def guarded(started, folder, libexec):
    (folder / "sshd").mkdir()
    server = Guarded(folder / "sshd", libexec)
    started.append(server)
    return server.start()


def test_a_key_that_the_relay_knows_logs_in_and_no_other_does(guarded):
    assert guarded.ssh("echo", "hello").stdout == b"hello\n"
    guarded.new_key("other")
    (guarded.folder / "authorized_keys").write_text((guarded.folder / "other.pub").read_text())  # sshd's own file
    assert b"Permission denied (publickey)" in guarded.ssh("true", key="other").stderr
    guarded.know("other")
    assert guarded.ssh("true", key="other").returncode == 0 and guarded.ssh("true").returncode == 255


@pytest.mark.parametrize("method", ["password", "keyboard-interactive", "hostbased", "gssapi-with-mic", "none"])
def test_only_a_key(guarded, method):
    done = guarded.client("-o", "BatchMode=no", "-o", f"PreferredAuthentications={method}")
    assert done.returncode == 255 and "Permission denied (publickey)." in done.stderr


def test_listening_on_loopback_is_what_is_left(guarded):
    with socket.create_server(("127.0.0.1", 0)) as house:
        client, port = guarded.forward_back(house.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port)):
            house.settimeout(PATIENCE_S)
            house.accept()[0].close()
        client.terminate()
        client.communicate()


@pytest.mark.parametrize("address", ["0.0.0.0:0", "*:0", "[::]:0", "[::1]:0", "127.0.0.2:0", "localhost:0", "/tmp/e2e-forbidden"])
def test_listening_elsewhere(guarded, address):
    done = guarded.client("-N", "-R", f"{address}:127.0.0.1:9")
    assert done.returncode == 255 and "remote port forwarding failed" in done.stderr, done.stderr
    assert not os.path.exists("/tmp/e2e-forbidden")


def test_connecting_from_the_vm(guarded):
    done = guarded.client("-W", f"127.0.0.1:{guarded.port}")
    assert "administratively prohibited" in done.stderr


def test_connecting_to_a_socket_of_the_vm(guarded, folder):
    local, remote = folder / "in.sock", folder / "out.sock"
    with socket.socket(socket.AF_UNIX) as service, socket.socket(socket.AF_UNIX) as s:
        service.bind(str(remote))
        service.listen()
        service.setblocking(False)
        whole = guarded.command("-N")
        client = subprocess.Popen([*whole[:-2], "-N", "-L", f"{local}:{remote}", whole[-2]], stdin=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        wait_until(lambda: local.exists() and s.connect_ex(str(local)) == 0, "ssh listens")
        assert s.recv(1) == b""
        with pytest.raises(BlockingIOError):
            service.accept()
        client.terminate()
        client.wait()
    assert "refused streamlocal port forward" in guarded.log()


def test_no_terminal(guarded):
    assert "PTY allocation request failed" in guarded.client("-tt", command=["true"]).stderr


def test_no_agent(guarded, folder):
    path = folder / "agent.sock"
    agent = subprocess.Popen([need("ssh-agent"), "-D", "-a", path], stdout=subprocess.DEVNULL)
    wait_until(path.exists, "ssh-agent listens")
    done = guarded.client("-A", command=["echo", "[$SSH_AUTH_SOCK]"], env={**os.environ, "SSH_AUTH_SOCK": str(path)})
    agent.terminate()
    agent.wait()
    assert done.stdout == "[]\n"


def test_no_x11(guarded):
    done = guarded.client("-Y", command=["echo", "[$DISPLAY]"], env={**os.environ, "DISPLAY": "127.0.0.1:1.0"})
    assert done.stdout == "[]\n" and "X11 forwarding request failed" in done.stderr


def test_no_tunnel_device(guarded):
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("there is no /dev/net/tun here, so the client does not even ask")
    done = guarded.client("-N", "-w", "any:any", "-v")
    assert "Tunnel forwarding failed" in done.stderr or "administratively prohibited" in done.stderr, done.stderr


def test_no_second_session(guarded, folder):
    """Of one connection: more of them are shells of a client that shares it."""
    control = folder / "mux.sock"
    master = subprocess.Popen([*guarded.command()[:-1], "-M", "-S", control, guarded.command()[-1], "sleep", "60"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(control.exists, "the master's socket")
    wait_until(lambda: "Starting session" in guarded.log(), "its session")
    done = guarded.client("-S", control, command=["echo", "second"])
    assert done.stdout == "" or guarded.log().count("Accepted publickey") == 2, done  # it had to log in once more
    assert "no more sessions" in guarded.log()
    master.terminate()
    master.wait()


def test_a_connection_that_starts_nothing_ends(guarded):
    begin = time.monotonic()
    client = subprocess.Popen([*guarded.command()[:-1], "-N", "-R", "127.0.0.1:0:127.0.0.1:9", guarded.command()[-1]],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert "Allocated port" in client.stderr.readline()
    client.wait(30)
    client.stderr.close()
    assert 5 < time.monotonic() - begin < limit(20)


def test_who_comes_by_port_443(guarded):
    """From those addresses nobody logs in but the tunnel's user."""
    assert guarded.client("-b", "127.64.0.9", command=["echo", "hello"]).stdout == "hello\n"
    whole = guarded.command()
    for source in ("127.64.0.9", "127.127.255.254"):
        done = subprocess.run([*whole[:-1], "-b", source, "nobody@127.0.0.1"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 255 and "nobody@127.0.0.1: Permission denied ()." in done.stderr
    done = subprocess.run([*whole[:-1], "-b", "127.63.0.9", "nobody@127.0.0.1"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=PATIENCE_S)
    assert "Permission denied" not in done.stderr  # the machine's own business: this sshd lets the key in


# ---- with a relay ----


def through(front, guarded, *command, options=()):
    """ssh by the relay's port for visitors."""
    first = ["-p", str(front.port), "-o", f"HostKeyAlias=[127.0.0.1]:{guarded.port}", *options]  # of a -p, the first counts
    program, *rest = guarded.command()
    return subprocess.run([program, *first, *rest, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE_S)


def test_the_tunnels_user_comes_by_the_relays_port(guarded, fronts):
    front = fronts(ssh_port=guarded.port)
    front.start_relay()
    assert through(front, guarded, "echo", "hello").stdout == "hello\n"
    assert re.search(r"Accepted publickey for \S+ from 127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.", guarded.log())


def test_root_cannot_even_be_tried_there(guarded, fronts):
    """The same key, the same sshd: it is another one's who is the tunnel's user."""
    guarded.further = drop_in("--user", "daemon", "--relay-user", guarded.user, "--state-dir", guarded.state_dir).stdout
    guarded.process.terminate()
    guarded.process.wait()
    guarded.start()
    front = fronts(ssh_port=guarded.port)
    front.start_relay()
    assert guarded.client(command=["echo", "hello"]).stdout == "hello\n"
    done = through(front, guarded, "true")
    assert done.returncode == 255 and f"{guarded.user}@127.0.0.1: Permission denied ()." in done.stderr
    done = through(front, guarded, options=["-o", "BatchMode=no", "-o",
                                            "PreferredAuthentications=password,keyboard-interactive,hostbased"])
    assert f"{guarded.user}@127.0.0.1: Permission denied ()." in done.stderr


class GuardedPairing(Pairing):
    def __init__(self, daemons, started, folder, libexec):
        self.libexec = libexec
        super().__init__(daemons, started, folder)

    def follow_relay(self):
        self.sshd.further = drop_in("--user", self.sshd.user, "--relay-user", self.sshd.user, "--libexec", self.libexec,
                                    "--state-dir", self.relay.state_dir).stdout


def test_pairing_through_it(daemons, started, folder, libexec):
    pairing = GuardedPairing(daemons, started, folder, libexec)
    agent, token = pairing.new_agent(), pairing.invite()
    assert pairing.join(agent, token).code == 0
    pairing.wait_up()
    assert pairing.visit().status == 200
    pairing.relay.stop()  # sshd asks for keys without the relay
    agent.stop()
    pairing.sshd.process.terminate()
    pairing.sshd.process.wait()
    pairing.sshd.start_again()
    agent.start()
    wait_until(lambda: pairing.sshd.logins() >= 1 and "relay away" in agent.log(), "the agent logs in")
    pairing.relay.start()
    pairing.wait_up()
    other = pairing.join(pairing.new_agent("other", None), token)
    assert other.code == 1 and "used already" in other.err
    assert pairing.ctl(pairing.relay, "revoke", "pi").code == 0
    wait_until(lambda: "refuses the key" in agent.log() or "for good" in agent.log(), "the agent is refused")
