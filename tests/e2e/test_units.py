"""The systemd units: what they forbid the daemons is rated by systemd itself, and the relay finds its ports in the socket."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from programs import unavailable

UNITS = Path(__file__).resolve().parents[2] / "conf/systemd"
EXPOSURE = 2.0  # systemd's own measure, from 0 to 10


@pytest.fixture
def analyze(folder: Path):
    if not (tool := shutil.which("systemd-analyze")):
        unavailable("systemd-analyze is not installed; run: sh scripts/setup test")
    hardening = (UNITS / "hardening.conf.in").read_text()
    for name in ("tunnel-relay.service", "tunnel-agent.service", "tunnel-relay.socket"):
        text = (UNITS / name).read_text().replace("@hardening@", hardening)
        (folder / name).write_text(re.sub(r"@sbindir@/tunnel-\w+", "/bin/true", text))
    return lambda *words: subprocess.run([tool, *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["tunnel-relay", "tunnel-agent"])
def test_they_may_do_little(analyze, name: str) -> None:
    said = analyze("security", "--offline=yes", f"./{name}.service").stdout
    exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert exposure and float(exposure[1]) < EXPOSURE, said


def test_they_are_understood(analyze) -> None:
    said = analyze("verify", "--man=no", "./tunnel-relay.service", "./tunnel-agent.service", "./tunnel-relay.socket")
    assert said.returncode == 0 and not said.stderr, said.stderr
