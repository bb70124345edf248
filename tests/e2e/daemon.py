"""One tunnel-relay or tunnel-agent: its folder, its configuration, its life.

    relay = Daemon("relay", folder, drain="30s").start()
    relay.get("/v1/status"); relay.configure(name="other"); relay.send(signal.SIGHUP); relay.stop()
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, Sequence

import control
from programs import PATIENCE_S, SANITIZER, environment, identity, program, wait_until


def reserve_port() -> socket.socket:
    """Holds a free port of 127.0.0.1 for a relay: nobody gets it by chance, and who asks for it may listen there."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


class Daemon:
    def __init__(self, role: str, folder: Path, text: str | None = None, **keys: object) -> None:
        self.role, self.folder = role, folder
        self.title = f"{folder.name} (tunnel-{role})"
        self.conf = folder / f"{role}.ini"
        self.socket = folder / "control.sock"
        self.lane_socket = folder / "lane.sock"
        self.state_dir = folder / "state"
        self.stderr = folder / "stderr.log"
        self.process: subprocess.Popen | None = None
        self._last_log = ""
        self._port = reserve_port() if role == "relay" else None
        self.configure(text, **keys)

    # ---- configuration ----

    def configure(self, text: str | None = None, **keys: object) -> None:
        """Writes the configuration: text as it is, or the smallest one with other or further keys (None: without)."""
        values = {"name": "e2e", "state_dir": self.state_dir, "control_socket": self.socket, "admin_listen": "", **keys}
        if self._port:
            values = {**values, "lane_socket": self.lane_socket, "listen_https": self.listen_https, "listen_http": "", **keys}
        lines = [f"{key} = {value}" for key, value in values.items() if value is not None]
        self.conf.write_text("\n".join([f"[{self.role}]", *lines, ""]) if text is None else text)

    # ---- life ----

    def spawn(self, *, conf: object = None, cwd: object = None, env: dict[str, str] | None = None,
              user: str | None = None, fds: Sequence[int] = (), shell: str = 'exec "$0" "$@"') -> Daemon:
        """Starts the process, through a line of shell, and does not wait for it."""
        path = program(f"tunnel-{self.role}")
        if user:
            path = shutil.copy(path, self.folder)  # the build folder may be closed to that user
            shutil.chown(self.folder, user)
        command = ["sh", "-c", shell, path, "-c", str(conf or self.conf)]
        with open(self.stderr, "ab") as stderr:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, cwd=cwd,
                                            env=environment(**(env or {})), pass_fds=fds, **identity(user))
        return self

    def wait_ready(self) -> Daemon:
        wait_until(self._answers, f"{self.title} answers")
        return self

    def _answers(self) -> bool:
        assert self.running, f"ended with {self.process.returncode} instead of starting\n{self.log()}"
        try:
            return self.get("/v1/version").status == 200
        except OSError:
            return False

    def start(self, **how: Any) -> Daemon:
        return self.spawn(**how).wait_ready()

    def refused(self, **how: Any) -> str:
        """Starts what must not start, and returns why it did not."""
        begin = len(self.log())
        self.spawn(**how)
        assert self.wait() == 1, self.log()
        return self.log()[begin:]

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = PATIENCE_S) -> int:
        """The exit code; the process has to end by itself."""
        process, self.process = self.process, None
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{self.title} did not end within {timeout:g} s\n{self.log()}") from None

    def stop(self, number: int = signal.SIGTERM, timeout: float = PATIENCE_S) -> None:
        self.send(number)
        code = self.wait(timeout)
        assert code == 0, f"{self.title} ended with {code}\n{self.log()}"

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.wait()

    def end(self) -> str | None:
        """Ends what the test has left. Returns what was wrong with this life."""
        wrong = None
        try:
            if self.process and not self.running:
                wrong = f"{self.title} died with {self.wait()}"
            elif self.process:
                self.send(signal.SIGCONT)
                self.stop()
        except AssertionError as e:
            wrong = str(e)
        if self._port:
            self._port.close()
        self._last_log = self.log()
        if SANITIZER.search(self._last_log):
            wrong = f"{self.title}: a sanitizer's report"
        return wrong

    # ---- what can be asked ----

    @property
    def listen_https(self) -> str:
        """A relay's own place for visitors."""
        return f"127.0.0.1:{self._port.getsockname()[1]}"

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def pid(self) -> int:
        return self.process.pid

    def get(self, target: str) -> control.Reply:
        return control.ask(self.socket, "GET", target)

    def post(self, target: str, body: bytes = b"") -> control.Reply:
        return control.ask(self.socket, "POST", target, body)

    def options(self) -> dict[str, dict]:
        """key -> {"value", "origin"}, of the section that names the daemon."""
        sections = self.get("/v1/config").json["sections"]
        return {option["key"]: option for option in sections[0]["options"]}

    def log(self) -> str:
        files = sorted(self.folder.glob("*.log*")) if self.folder.exists() else []
        return "".join(f.read_text(errors="replace") for f in files) or self._last_log

    def wait_log(self, text: str, times: int = 1) -> None:
        wait_until(lambda: self.log().count(text) >= times, f"{text!r} in the log of {self.title}")

    def _proc_status_kb(self, field: str) -> int:
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)[1])

    @property
    def memory_kb(self) -> int:
        """Resident; 0 under a sanitizer, which keeps what was freed (and reserves terabytes, by which we know)."""
        return 0 if self._proc_status_kb("VmSize") > 1 << 30 else self._proc_status_kb("VmRSS")

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))
