"""A real sshd of our own: host key, configuration, log and users' keys in one folder, on a free port of loopback.

    sshd = Sshd(folder).start()
    sshd.ssh("true").returncode == 0
"""

from __future__ import annotations

import os
import pwd
import re
import socket
import subprocess
from pathlib import Path

from programs import PATIENCE_S, need, unavailable, wait_until

# HOME: what this user's shell reads at its start is not what is tested, and may take its time.
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
SetEnv HOME={folder}
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
LogLevel {log_level}
{further}
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Sshd:
    title = "sshd"

    def __init__(self, folder: Path, further: str = "", log_level: str = "VERBOSE") -> None:
        """`further` is put at the end of the configuration. It serves the user who runs it, and nobody else."""
        self.program, self.folder, self.further, self.log_level = need("sshd"), folder, further, log_level
        me = pwd.getpwuid(os.geteuid())
        self.user, self.port = me.pw_name, 0
        if me.pw_shell.endswith(("nologin", "false")):
            unavailable(f"nobody can log in as {self.user}, whose shell is {me.pw_shell}")
        self.process: subprocess.Popen | None = None
        self.new_key("host_key")
        (folder / "authorized_keys").write_text(self.new_key("client_key"))

    def new_key(self, name: str) -> str:
        """Makes a key pair in the folder and returns its public half."""
        path = self.folder / name
        subprocess.run([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        return path.with_suffix(".pub").read_text()

    def start(self) -> Sshd:
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # where it locks its unprivileged half up
        for _ in range(10):  # another program may take the port first
            self.port = free_port()
            self._spawn()
            if wait_until(lambda: self.process.poll() is not None or self._greets(), "sshd greets") == "SSH-2.0":
                return self
            if "in use" not in self.log():
                break
        raise AssertionError(f"sshd did not start\n{self.log()}")

    def _spawn(self) -> None:
        conf = self.folder / "sshd_config"
        conf.write_text(CONFIG.format(port=self.port, folder=self.folder, further=self.further,
                                    log_level=self.log_level))
        host_key = (self.folder / "host_key.pub").read_text()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key}")
        with open(self.folder / "sshd.log", "wb") as log:
            self.process = subprocess.Popen([self.program, "-D", "-e", "-f", conf], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)

    def _greets(self) -> str:
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE_S) as s:
                return s.recv(7).decode()
        except OSError:
            return ""

    def command(self, *args: str, key: str = "client_key") -> list[str]:
        """The client's command line, which believes nothing but this folder."""
        options = [f"IdentityFile={self.folder / key}", f"UserKnownHostsFile={self.folder / 'known_hosts'}",
                   "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "BatchMode=yes", "ExitOnForwardFailure=yes"]
        joined = [word for option in options for word in ("-o", option)]
        return [need("ssh"), "-F", "none", *joined, "-p", str(self.port), f"{self.user}@127.0.0.1", *args]

    def ssh(self, *args: str, key: str = "client_key") -> subprocess.CompletedProcess:
        return subprocess.run(self.command(*args, key=key), stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=PATIENCE_S)

    def forward_back(self, port: int) -> tuple[subprocess.Popen, int]:
        """Opens a reverse tunnel to one of our ports. Returns the client, for terminate(), and sshd's port."""
        spec = f"127.0.0.1:0:127.0.0.1:{port}"
        client = subprocess.Popen(self.command("-N", "-R", spec), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        line = client.stderr.readline().decode()  # the client's end would end this wait, too
        found = re.match(r"Allocated port (\d+) for remote forward", line)
        if not found:
            client.kill()
            raise AssertionError(f"no port for the reverse tunnel: {line}{client.communicate()[1].decode()}")
        return client, int(found[1])

    def log(self) -> str:
        path = self.folder / "sshd.log"
        if path.exists():
            self._last_log = path.read_text(errors="replace")
        return self._last_log

    def end(self) -> str | None:
        self.log()
        if not self.process:
            return None
        if self.process.poll() is not None:
            return f"sshd died with {self.process.returncode}"
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "sshd did not end"
        return None
