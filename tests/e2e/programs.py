"""The programs under test: where they are, how they are run to their end, and what that end must never look like."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple, NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
PATIENCE_S = 60  # for what takes milliseconds on an idle machine
EXACT = os.environ.get("E2E_EXACT") == "1"
SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:")
FROM_SUPERVISORS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
                    "JOURNAL_STREAM", "TUNNEL_SOCKET", "NO_COLOR", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return self.err.splitlines()


def limit(seconds: float, noise: float = 4) -> float:
    """What still counts as in time. Other tests run beside this one, and on a busy machine; E2E_EXACT=1, on a quiet one,
    holds the programs to what is promised."""
    return seconds if EXACT else seconds * noise


def program(name: str) -> str:
    path = BUILD / name
    if not path.exists():
        pytest.exit(f"{path} is not there; run: make (or name the build folder with BUILD)", returncode=1)
    return str(path)


def environment(**changes: str) -> dict[str, str]:
    """Ours, without what a supervisor or a person has set for us."""
    kept = {key: value for key, value in os.environ.items() if key not in FROM_SUPERVISORS}
    return {**kept, **changes}


def identity(user: str | None) -> dict[str, Any]:
    """Arguments of Popen that make the process another user's; needs root."""
    return {"user": user, "group": "nogroup", "extra_groups": []} if user else {}


def run(name: str, *args: object, env: dict[str, str] | None = None, user: str | None = None, cwd: object = None,
        stdin: bytes = b"") -> Result:
    """Runs a program until it ends by itself."""
    command = [program(name), *map(str, args)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=PATIENCE_S, cwd=cwd,
                          env=environment(**(env or {})), **identity(user))
    out, err = done.stdout.decode(), done.stderr.decode()  # strict: what we print is UTF-8
    assert not SANITIZER.search(err), err
    assert done.returncode >= 0, f"{command} ended by signal {-done.returncode}\n{err}"
    return Result(done.returncode, out, err)


def wait_until(condition: Callable[[], Any], what: str, timeout: float = PATIENCE_S) -> Any:
    """Asks until the answer is yes, and returns it."""
    late = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > late:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(0.005)
    return answer


def accepts(port: int) -> bool:
    """Whether somebody does, on loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
        return True
    except OSError:
        return False


def unavailable(reason: str) -> NoReturn:
    """Skips the test; in CI, where all must be there, fails it."""
    if os.environ.get("E2E_REQUIRE") == "all":
        pytest.fail(reason)
    pytest.skip(reason)


def need(name: str) -> str:
    """The path of a program that the machine has to have."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return path or unavailable(f"{name} is not installed; run: sh scripts/setup test")


class Program:
    """A server of others, which a test starts as self.process; what ends before the test does has died."""

    title = "server"
    process: subprocess.Popen | None = None

    def stop(self) -> None:
        process, self.process = self.process, None
        process.kill()
        process.wait(PATIENCE_S)

    def end(self) -> str | None:
        if self.process is None:
            return None
        if self.process.poll() is not None:
            return f"{self.title} died with {self.process.returncode}"
        self.stop()
        return None


def need_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
