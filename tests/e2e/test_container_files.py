"""conf/container: what the images hold is accepted by the programs that read it there. scripts/container-try runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from drop_in import accepted, drop_in
from programs import run

IMAGES = Path(__file__).resolve().parents[2] / "conf/container"


@pytest.mark.parametrize("side", ["relay", "agent"])
def test_the_ini_file(side: str) -> None:
    done = run(f"tunnel-{side}", "-c", IMAGES / side / f"{side}.ini", "--check")
    assert done.code == 0, done


def test_the_sshd_of_the_relay(sshd) -> None:
    own = [line for line in (IMAGES / "relay/sshd_config").read_text().splitlines() if not line.startswith(("HostKey", "Include"))]
    part = drop_in("--user", sshd.user, "--relay-user", sshd.user).stdout
    checked = accepted(sshd.folder, "\n".join([*own, part]))
    assert (checked.returncode, checked.stderr) == (0, ""), checked
    in_force = accepted(sshd.folder, "\n".join([*own, part]), f"user={sshd.user}", "host=x", "addr=192.0.2.1").stdout.splitlines()
    assert {"port 2222", "usepam no", "passwordauthentication no", "allowusers tunnel"} <= set(in_force), in_force
