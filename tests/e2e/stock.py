"""Stock peers: Dropbear, and an agent that holds one plain forward on any SSH server.

    server = Dropbear(folder).start()          # or an Sshd
    agent = plain_agent(daemons, server, free_port(), "http://127.0.0.1:80").start()
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
from pathlib import Path
from typing import Callable

from daemon import Daemon
from programs import PATIENCE_S, need, need_root, wait_until
from sshd import Sshd, free_port


class Dropbear:
    """A real Dropbear on a free port of loopback. It finds keys only in its user's home, so it gets a home of its own,
    mounted where nobody else sees it; this needs root."""

    title = "dropbear"

    def __init__(self, folder: Path) -> None:
        need_root()
        self.program, self.folder, self.process = need("dropbear"), folder, None
        self.user, self.home, self.port = "root", pwd.getpwnam("root").pw_dir, 0
        (folder / "home" / ".ssh").mkdir(parents=True, mode=0o700)
        (folder / "home").chmod(0o700)
        subprocess.run([need("dropbearkey"), "-t", "ed25519", "-f", folder / "host_key"], check=True,
                       capture_output=True)
        shown = subprocess.run([need("dropbearkey"), "-y", "-f", folder / "host_key"], check=True,
                               capture_output=True, text=True).stdout
        (line,) = (line for line in shown.splitlines() if line.startswith("ssh-ed25519 "))
        (folder / "host_key.pub").write_text(line + "\n")
        self.allow(self.new_key("client_key"))

    def new_key(self, name: str) -> str:
        path = self.folder / name
        subprocess.run([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        return path.with_suffix(".pub").read_text()

    def allow(self, line: str) -> None:
        path = self.folder / "home" / ".ssh" / "authorized_keys"
        path.write_text(line)
        path.chmod(0o600)

    def start(self) -> Dropbear:
        self.port = self.port or free_port()
        script = f"mount --bind {self.folder}/home {self.home} && exec {self.program} \"$@\""
        with open(self.folder / "dropbear.log", "ab") as log:
            self.process = subprocess.Popen(
                [need("unshare"), "-m", "sh", "-c", script, "dropbear", "-F", "-E", "-s", "-r", self.folder / "host_key",
                 "-p", f"127.0.0.1:{self.port}", "-P", self.folder / "pid"], stdin=subprocess.DEVNULL, stderr=log)
        wait_until(self._greets, "dropbear greets")
        return self

    def _greets(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as s:
                return s.recv(4) == b"SSH-"
        except OSError:
            return False

    def sessions(self) -> list[int]:
        """The processes of sessions: this one's children."""
        return children(self.process.pid)

    def end_sessions(self) -> None:
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(pid, 9)

    def kill(self) -> None:
        self.end_sessions()
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        path = self.folder / "dropbear.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def end(self) -> str | None:
        if self.process.poll() is not None:
            return None
        self.end_sessions()
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        return None


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
        if parent == pid:
            found.append(int(stat.parent.name))
    return found


def fingerprint(server: Sshd | Dropbear, key: str = "host_key") -> str:
    shown = subprocess.run([need("ssh-keygen"), "-l", "-f", server.folder / f"{key}.pub"], check=True,
                           capture_output=True, text=True).stdout
    return f"ssh-ed25519 {shown.split()[1]}"


def plain_agent(daemons: Callable[..., Daemon], server: Sshd | Dropbear, port: int, service: str,
                **keys: object) -> Daemon:
    """An agent, not started yet, with [relay vm] protocol = plain; keys of that section, None: without."""
    agent = daemons("agent")
    configure(agent, server, port, service, **keys)
    return agent


def configure(agent: Daemon, server: Sshd | Dropbear, port: int, service: str, **keys: object) -> None:
    own = {"name": "pi", "state_dir": agent.state_dir, "admin_listen": "", "control_socket": agent.socket, "log_level": "debug"}
    relay = {"host": "127.0.0.1", "port": server.port, "user": server.user, "key_file": server.folder / "client_key",
             "host_key": fingerprint(server), "protocol": "plain", "remote_port": port, "service": service, **keys}
    sections = {"agent": own, "relay vm": relay}
    agent.configure("\n".join(line for name, values in sections.items() for line in
                              [f"[{name}]", *(f"{k} = {v}" for k, v in values.items() if v is not None)]) + "\n")


def relay_status(agent: Daemon) -> dict:
    return agent.get("/v1/status").json["relays"][0]


def wait_state(agent: Daemon, state: str) -> None:
    wait_until(lambda: relay_status(agent)["state"] == state, f"the forward is {state}")
