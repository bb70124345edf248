"""sshd with our drop-in, for which the test has to be root: sshd runs AuthorizedKeysCommand only from folders of root's."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from programs import ROOT, need, need_root, program, unavailable

GENERATOR = ROOT / "conf" / "sshd" / "sshd-drop-in"


def drop_in(*args: object, check: bool = True) -> subprocess.CompletedProcess:
    return subprocess.run(["sh", GENERATOR, *map(str, args)], capture_output=True, text=True, check=check)


def accepted(folder: Path, text: str, *extended: str) -> subprocess.CompletedProcess:
    """What sshd says to a configuration that is only this text; its settings for `extended`, as sshd -T -C takes it."""
    conf = folder / "drop_in_config"
    conf.write_text(f"HostKey {folder}/host_key\n{text}")
    how = ["-T", "-C", ",".join(extended)] if extended else ["-t"]
    return subprocess.run([need("sshd"), *how, "-f", conf], capture_output=True, text=True)


@pytest.fixture
def libexec() -> Iterator[Path]:
    """A folder with tunnel-lane that sshd trusts: nobody but root can write anywhere above it."""
    need_root()
    for place in ("/run", "/var/lib", "/root"):
        if os.statvfs(place).f_flag & os.ST_NOEXEC:
            continue
        path = Path(tempfile.mkdtemp(prefix="e2e-", dir=place))
        path.chmod(0o755)
        shutil.copy(program("tunnel-lane"), path)
        yield path
        shutil.rmtree(path)
        return
    unavailable("there is no folder of root's where programs can run")
