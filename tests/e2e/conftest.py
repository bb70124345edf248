"""Fixtures: a folder, daemons, tunnelctl and sshd. What they start they end, and its log is shown when a test fails."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from daemon import Daemon
from netns import own_network
from programs import Result, run
from sshd import Sshd

STARTED = pytest.StashKey[list]()  # what has a title, a log and an end


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or not getattr(config.option, "numprocesses", None):  # whoever runs tests, not who gives them out
        own_network()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = (yield).get_result()
    for thing in item.stash.get(STARTED, []) if report.failed else []:
        report.sections.append((f"log of {thing.title}", thing.log()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones begin early, spread over the first half: at the end nobody waits for the last of them."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = [item for item in items if not item.get_closest_marker("slow")]
    step = len(items) // 2 // max(len(slow), 1)
    for n, item in enumerate(slow):
        others.insert(n * (step + 1), item)
    items[:] = others


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """E2E_FAILED=FILE: the names of the tests that failed, a line each."""
    if path := os.environ.get("E2E_FAILED"):
        failed = {report.nodeid for how in ("failed", "error") for report in terminalreporter.stats.get(how, [])}
        Path(path).write_text("".join(f"tests/e2e/{name}\n" for name in sorted(failed)))


@pytest.fixture
def folder() -> Iterator[Path]:
    """The test's own; its path is short, because a Unix socket's has to fit into 108 bytes."""
    path = Path(tempfile.mkdtemp(prefix="e2e-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def started(request: pytest.FixtureRequest, folder: Path) -> Iterator[list]:
    """What is put in here is ended after the test, and the test fails if that life was not well."""
    things = request.node.stash[STARTED] = []
    yield things
    wrong = [problem for thing in reversed(things) if (problem := thing.end())]
    if wrong:
        pytest.fail("\n".join(wrong))


@pytest.fixture
def daemons(started: list, folder: Path) -> Callable[..., Daemon]:
    """daemons("relay", drain="1s") makes one with a folder of its own, not started yet."""

    def make(role: str, text: str | None = None, **keys: object) -> Daemon:
        own = folder / f"{role}{len(started) + 1}"
        own.mkdir()
        started.append(Daemon(role, own, text, **keys))
        return started[-1]

    return make


@pytest.fixture
def relay(daemons: Callable[..., Daemon]) -> Daemon:
    return daemons("relay").start()


@pytest.fixture
def agent(daemons: Callable[..., Daemon]) -> Daemon:
    return daemons("agent").start()


@pytest.fixture(params=["relay", "agent"])
def role(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def daemon(role: str, daemons: Callable[..., Daemon]) -> Daemon:
    """Either of them, for what they do alike: the test runs twice."""
    return daemons(role).start()


@pytest.fixture
def ctl() -> Callable[..., Result]:
    """ctl("status", at=relay) runs tunnelctl and returns code, out and err."""

    def tunnelctl(*args: object, at: Daemon | None = None, **how: Any) -> Result:
        return run("tunnelctl", *(["--socket", at.socket] if at else []), *args, **how)

    return tunnelctl


@pytest.fixture
def sshd(started: list, folder: Path) -> Sshd:
    own = folder / "sshd"
    own.mkdir()
    server = Sshd(own)
    started.append(server)
    return server.start()
