"""A relay and agents that do not know each other yet, and a real sshd between them.

    token = pairing.invite("pi", "a.test")     # pairing: sshd and tunnel-relay are up
    agent = pairing.new_agent()                # tunnel-agent, up, without any relay in its configuration
    pairing.join(agent, token)
"""

from __future__ import annotations

import base64
import json
import os
import pwd
import socket
import struct
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from daemon import Daemon
from path import DOMAIN, LIKE_A_VM, VmSshd
from programs import PATIENCE_S, Result, need, run, wait_until
from visitor import Reply, Visitor
from website import Site


class Pairing:
    def __init__(self, daemons: Callable[..., Daemon], started: list, folder: Path) -> None:
        self.daemons, self.started = daemons, started
        (folder / "sshd").mkdir()
        self.sshd = VmSshd(folder / "sshd", LIKE_A_VM)
        started.append(self.sshd)
        self.relay = daemons("relay")
        self.follow_relay()
        self.sshd.start()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.lane_socket = self.relay.folder / "lane.sock"
        self.configure_relay()
        self.relay.start()
        self.site: Site | None = None

    def follow_relay(self) -> None:
        self.sshd.follow(self.relay.state_dir / "authorized_keys")

    # ---- the relay ----

    def configure_relay(self, further: str = "", **keys: object) -> None:
        own = {"name": "e2e", "state_dir": self.relay.state_dir, "admin_listen": "", "control_socket": self.relay.socket,
               "lane_socket": self.lane_socket, "lane_user": pwd.getpwuid(os.geteuid()).pw_name, "workers": "1",
               "listen_https": f"127.0.0.1:{self.port}", "listen_http": "", "ssh_port": self.sshd.port, **keys}
        lines = [f"{key} = {value}" for key, value in own.items()]
        self.relay.configure("\n".join(["[relay]", *lines, further, ""]))

    def ctl(self, at: Daemon, *args: object) -> Result:
        return run("tunnelctl", "--socket", at.socket, *args)

    def try_invite(self, name: str = "pi", domains: str = DOMAIN, *args: object) -> Result:
        return self.ctl(self.relay, "invite", name, "--domains", domains, "--host", "127.0.0.1", *args)

    def invite(self, name: str = "pi", domains: str = DOMAIN, *args: object) -> str:
        """The token, of a line that is alone on stdout."""
        done = self.try_invite(name, domains, *args)
        assert done.code == 0, done.err
        (line,) = done.out.splitlines()
        assert line.startswith("tunnelctl join ") and not done.err
        return line.split()[2]

    def agents(self) -> dict[str, Any]:
        return self.relay.get("/v1/agents").json

    def enrolled(self) -> list[str]:
        return [agent["name"] for agent in self.agents()["agents"]]

    def open_invites(self) -> list[str]:
        return [invite["name"] for invite in self.agents()["invites"]]

    def keys(self) -> list[str]:
        return (self.relay.state_dir / "authorized_keys").read_text().splitlines()

    def enrolling(self) -> bool:
        """A session over a one-time key has come as far as its forced command."""
        for proc in Path("/proc").glob("[0-9]*"):
            try:
                command = (proc / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it has just ended
            if command[0].endswith(b"tunnel-lane") and b"--enrol" in command and os.fsencode(self.lane_socket) in command:
                return True
        return False

    # ---- agents ----

    def new_agent(self, name: str = "pi", domain: str | None = DOMAIN, further: str = "") -> Daemon:
        agent = self.daemons("agent")
        lines = ["[agent]", f"name = {name}", f"state_dir = {agent.state_dir}", f"control_socket = {agent.socket}", "admin_listen ="]
        if domain:
            if not self.site:
                self.site = Site()
                self.started.append(self.site)
            lines += [f"[domain {domain}]", f"service = {self.site.url}"]
        agent.configure("\n".join([*lines, further, ""]))
        return agent.start()

    def join(self, agent: Daemon, token: str) -> Result:
        return self.ctl(agent, "join", token)

    def section(self, agent: Daemon) -> Path:
        return agent.folder / "agent.d" / "relay-e2e.ini"

    # ---- visitors ----

    def site_state(self, name: str = DOMAIN) -> str | None:
        sites = self.relay.get("/v1/status").json["domains"]
        return next((site["state"] for site in sites if site["name"] == name), None)

    def wait_up(self, name: str = DOMAIN) -> None:
        wait_until(lambda: self.site_state(name) == "up", f"{name} is up")

    def visit(self, target: str = "/echo", name: str = DOMAIN) -> Reply:
        with Visitor(self.port, self.relay.state_dir / "internal" / "root.pem", name) as visitor:
            return visitor.ask("GET", target)


@pytest.fixture
def pairing(daemons: Callable[..., Daemon], started: list, folder: Path) -> Iterator[Pairing]:
    yield Pairing(daemons, started, folder)


class Enrolment:
    """What tunnel-lane --enrol ID is to the relay: a connection to the lane socket, and lines both ways."""

    def __init__(self, path: Path, invitation: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(path))
        self._in = self.socket.makefile("rb")
        self.say(type="lane", v=1, enrol=invitation, ssh="192.0.2.1 1 192.0.2.2 22", sshd_pid=1)

    def say(self, **message: object) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def hear(self) -> dict[str, Any] | None:
        line = self._in.readline()
        return json.loads(line) if line else None

    def enrol(self, name: str, key: str) -> dict[str, Any] | None:
        self.say(type="enrol", v=1, name=name, key=key)
        return self.hear()

    def close(self) -> None:
        self._in.close()
        self.socket.close()


def fingerprint(line: str) -> str:
    """Of a key's line, with options or a comment or without, as sshd's %f."""
    key = " ".join(line[line.index("ssh-ed25519 "):].split()[:2])
    done = subprocess.run([need("ssh-keygen"), "-l", "-f", "-"], input=key, capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def one_time_key(token: str, public: str, path: Path) -> Path:
    """Writes the private key that is in a token as a file for ssh; public is its line in authorized_keys."""
    seed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[24:56]
    blob = base64.b64decode(public.split()[-1])
    private = bytes(8) + blob + string(seed + blob[-32:]) + string(b"")
    private += bytes(range(1, 1 + -len(private) % 8))
    whole = b"openssh-key-v1\0" + string(b"none") * 2 + string(b"") + b"\0\0\0\1" + string(blob) + string(private)
    text = base64.b64encode(whole).decode()
    path.write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----\n")
    path.chmod(0o600)
    return path
