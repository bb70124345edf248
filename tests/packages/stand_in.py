"""Stands in for systemd in a root folder that has none, for the units of our packages and for sshd.

    python3 stand_in.py serve              runs what it is told to; the logs are /tmp/NAME.log
    systemctl ARGUMENT...                  (this file, by that name) tells it, and notes what it was told in /tmp/systemctl.log

It reads the installed units and does what systemd would with those lines of theirs that matter when a package is installed,
upgraded and removed: ListenStream (held while services come and go; restarting the socket ends its service and closes them),
ExecStartPre, ExecStart, User, Type=notify, StateDirectory, RuntimeDirectory and whether it outlives a restart, Requires
and Wants, WantedBy, Also.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

UNITS, DOOR, PATIENCE_S = Path("/usr/lib/systemd/system"), "/run/stand-in.sock", 100
FAILED = 1


class Unit:
    def __init__(self, name: str) -> None:
        self.name, self.rows = name, []
        for line in (UNITS / name).read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                self.rows.append((key, value))
        self.pid, self.sockets = 0, []

    def all(self, key: str) -> list[str]:
        return [value for k, value in self.rows if k == key]

    def one(self, key: str, otherwise: str = "") -> str:
        return (self.all(key) or [otherwise])[-1]


class Manager:
    def __init__(self) -> None:
        self.units: dict[str, Unit] = {}

    def unit(self, name: str) -> Unit:
        if name not in self.units:
            self.units[name] = Unit(name)
        return self.units[name]

    def daemon_reload(self) -> int:
        for name, old in list(self.units.items()):
            if not (UNITS / name).exists():
                del self.units[name]
                continue
            new = self.units[name] = Unit(name)
            new.pid, new.sockets = old.pid, old.sockets
        return 0

    def enable(self, unit: Unit) -> None:
        for target in unit.all("WantedBy"):
            folder = Path("/etc/systemd/system", target + ".wants")
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                (folder / unit.name).symlink_to(UNITS / unit.name)
        for name in unit.one("Also").split():
            self.enable(self.unit(name))

    # ---- sockets ----

    def open(self, unit: Unit) -> int:
        for port in unit.all("ListenStream") if not unit.sockets else []:
            s = socket.create_server(("::", int(port)), family=socket.AF_INET6, backlog=4096, dualstack_ipv6=True)
            unit.sockets.append(s)
        return 0

    def close(self, unit: Unit) -> int:
        service = self.unit(unit.name.replace(".socket", ".service"))
        self.stop(service, restarts=False)
        for s in unit.sockets:
            s.close()
        unit.sockets = []
        return 0

    # ---- services ----

    def start(self, unit: Unit) -> int:
        if unit.pid:
            return 0
        sockets = []
        for name in " ".join(unit.all("Requires") + unit.all("Wants")).split():
            if not name.endswith(".socket"):
                continue
            self.open(self.unit(name))
            sockets += self.unit(name).sockets
        user = pwd.getpwnam(unit.one("User"))
        for parent, key in (("/var/lib", "StateDirectory"), ("/run", "RuntimeDirectory"), ("/var/log", "LogsDirectory")):
            if unit.one(key):
                folder = Path(parent, unit.one(key))
                folder.mkdir(exist_ok=True)
                folder.chmod(int(unit.one(key + "Mode"), 8))
                os.chown(folder, user.pw_uid, user.pw_gid)
        for command in unit.all("ExecStartPre"):
            if subprocess.run(command.split(), user=user.pw_uid, group=user.pw_gid, check=False).returncode != 0:
                return FAILED
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        told.bind("\0stand-in-" + unit.name + str(time.monotonic_ns()))
        told.settimeout(PATIENCE_S)
        unit.pid = os.fork()
        if unit.pid == 0:
            self.become(unit, user, sockets, told)
        os.set_blocking(told.fileno(), True)
        while b"READY=1" not in told.recv(4096):
            pass
        told.close()
        return 0

    def become(self, unit: Unit, user: pwd.struct_passwd, sockets: list, told: socket.socket) -> None:
        log = os.open(f"/tmp/{unit.name.removesuffix('.service')}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        copies = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD_CLOEXEC, 50) for s in sockets]
        os.dup2(log, 1)
        os.dup2(log, 2)
        for at, fd in enumerate(copies, 3):
            os.dup2(fd, at)
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET": "@" + told.getsockname()[1:].decode()}
        if copies:
            env |= {"LISTEN_FDS": str(len(copies)), "LISTEN_PID": str(os.getpid())}
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        command = unit.one("ExecStart").split()
        os.execve(command[0], command, env)

    def stop(self, unit: Unit, restarts: bool) -> int:
        if unit.pid:
            os.kill(unit.pid, signal.SIGTERM)
            os.waitpid(unit.pid, 0)
            unit.pid = 0
        if unit.one("RuntimeDirectory") and not (restarts and unit.one("RuntimeDirectoryPreserve") == "restart"):
            shutil.rmtree(Path("/run", unit.one("RuntimeDirectory")), ignore_errors=True)
        return 0

    # ---- what it is told ----

    def do(self, words: list[str]) -> int:
        words = [w for w in words if not w.startswith("--")]
        action, names = words[0], words[1:]
        if action == "daemon-reload":
            return self.daemon_reload()
        if action == "reload" and names == ["ssh.service"]:
            os.kill(int(Path("/run/sshd.pid").read_text()), signal.SIGHUP)
            return 0
        units = [self.unit(name) for name in names]
        if action == "preset":
            for unit in units:
                self.enable(unit)
            return 0
        if action in ("is-active", "is-enabled"):
            there = [u.pid or u.sockets if action == "is-active" else list(Path("/etc/systemd/system").glob("*/" + u.name)) for u in units]
            return 0 if all(there) else 3
        if action in ("stop", "restart"):
            for unit in sorted(units, key=lambda u: u.name.endswith(".socket")):
                _ = self.close(unit) if unit.name.endswith(".socket") else self.stop(unit, action == "restart")
        if action in ("start", "restart"):
            return max(self.open(u) if u.name.endswith(".socket") else self.start(u) for u in units)
        return 0 if action == "stop" else FAILED


def serve() -> None:
    manager = Manager()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(DOOR)
        door.listen()
        while True:
            caller, _ = door.accept()
            with caller:
                words = caller.recv(4096).decode().split("\n")
                try:
                    code = manager.do(words)
                except (OSError, KeyError, ValueError) as why:
                    print(words, why, file=sys.stderr, flush=True)
                    code = FAILED
                with Path("/tmp/systemctl.log").open("a") as log:
                    log.write(" ".join([*words, "->", str(code)]) + "\n")
                caller.send(str(code).encode())


def tell(words: list[str]) -> int:
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(DOOR)
        s.send("\n".join(words).encode())
        code = int(s.recv(10))
    if "is-enabled" in words:
        print("disabled" if code else "enabled")
    return code


if __name__ == "__main__":
    sys.exit(serve() if sys.argv[1:] == ["serve"] else tell(sys.argv[1:]))
