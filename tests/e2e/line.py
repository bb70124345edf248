"""A bad line between two programs, at will: starts tests/linesim and steers it.

    with Line().start([("127.0.0.1", sshd_port)], delay="50ms", rate="1mbit") as line:
        connect(line.port(0)); line.stall(); ...; line.go()

Directions: "up" is from who connects to the target, "down" is back; None is both. linesim --help tells the
rest. The log of the line is in its folder, and in the text of every LineError.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Sequence, Union

ROOT = Path(__file__).resolve().parents[2]
Target = Union[int, str, tuple]  # a port on 127.0.0.1, (host, port), or as linesim writes it: "unix:/path"


class LineError(Exception):
    """The line could not be started, died, or refused a command."""


def build_folder() -> Path:
    return ROOT / os.environ.get("BUILD", "build")


def address_text(target: Target) -> str:
    if isinstance(target, int):
        return f"127.0.0.1:{target}"
    if isinstance(target, tuple):
        host, port = target[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return target


class Line:
    """One linesim process. All targets are behind the same line and share its rate and queue."""

    def __init__(self, folder: Path | None = None, prefix: Sequence[str] = ()) -> None:
        """`prefix` goes in front of the command, such as ["ip", "netns", "exec", "pi"]."""
        self._own_folder = tempfile.TemporaryDirectory(prefix="linesim-") if folder is None else None
        self.folder = Path(self._own_folder.name) if self._own_folder else folder
        self.prefix = list(prefix)
        self.process: subprocess.Popen | None = None
        self.addresses: list[str] = []
        self._control: Any = None
        self._answers: Any = None

    def start(self, targets: Sequence[Target], listen: str = "127.0.0.1:0", **settings: Any) -> Line:
        """Starts one listener per target. Settings are delay, jitter, rate, queue, for both directions."""
        try:
            self._start(targets, listen, settings)
        except BaseException:
            with contextlib.suppress(LineError):
                self.stop()
            raise
        return self

    def _start(self, targets: Sequence[Target], listen: str, settings: dict[str, Any]) -> None:
        path = self.folder / "control"
        command = [*self.prefix, str(build_folder() / "linesim"), "--control", str(path)]
        for target in targets:
            command += ["--listen", f"{listen}={address_text(target)}"]
        for key, value in settings.items():
            command += [f"--{key}", str(value)]
        with open(self.folder / "linesim.log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        ready = self.process.stdout.readline().decode().split()  # the end of the process ends this wait, too
        if ready[:1] != ["ready"]:
            self._fail(f"{' '.join(command)} did not start")
        self.addresses = ready[1:]
        self._control = socket.socket(socket.AF_UNIX)
        self._control.settimeout(20)
        self._control.connect(str(path))
        self._answers = self._control.makefile("rb")

    def command(self, text: str) -> dict:
        """Sends one command of linesim's control socket and returns its answer."""
        try:
            self._control.sendall(text.encode() + b"\n")
            line = self._answers.readline()
        except OSError as e:
            self._fail(f"{text}: {e}")
        answer = json.loads(line) if line else self._fail(f"{text}: no answer")
        if not answer["ok"]:
            self._fail(f"{text}: {answer['error']}")
        return answer

    def port(self, index: int = 0) -> int:
        return int(self.addresses[index].rpartition(":")[2])

    def set(self, direction: str | None = None, **settings: Any) -> None:
        """line.set(delay="50ms"), line.set("down", rate="1mbit", queue="256k"), line.set(rate=None)"""
        words = [f"{key} {'none' if value is None else value}" for key, value in settings.items()]
        self.command(" ".join(["set", direction or "", *words]))

    def stall(self, direction: str | None = None) -> None:
        self.command(f"stall {direction or ''}")

    def swallow(self, direction: str | None = None) -> None:
        self.command(f"swallow {direction or ''}")

    def go(self, direction: str | None = None) -> None:
        self.command(f"go {direction or ''}")

    def reset(self, connection: int | None = None) -> int:
        """Returns how many connections were reset."""
        return self.command(f"reset {connection or ''}")["ended"]

    def cut(self, connection: int | None = None) -> int:
        return self.command(f"cut {connection or ''}")["ended"]

    def refuse(self, on: bool = True) -> None:
        self.command(f"refuse {'on' if on else 'off'}")

    def stats(self) -> dict:
        return self.command("stats")

    def connections(self) -> list[dict]:
        return self.command("list")["connections"]

    def log(self) -> str:
        path = self.folder / "linesim.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self) -> None:
        """Ends the process; an exit status other than 0 (a sanitizer's report, say) is an error."""
        process, self.process = self.process, None
        try:
            if process:
                self._stop(process)
        finally:
            if self._own_folder:
                self._own_folder.cleanup()

    def _stop(self, process: subprocess.Popen) -> None:
        for opened in (self._answers, self._control):
            if opened:
                opened.close()
        process.terminate()
        try:
            status = process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        process.stdout.close()
        if status != 0:
            self._fail(f"ended with status {status}")

    def _fail(self, what: str) -> Any:
        raise LineError(f"linesim: {what}\n{self.log()}")

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
