"""Disks that are full: of 1 MB, in the place of a folder.

    tiny_disks(state); fill(state)         # by the fixture; imported where it is used
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest

from programs import need_root


@pytest.fixture
def tiny_disks(folder: Path) -> Iterator[Callable[[Path], Path]]:
    """tiny_disks(daemon's folder for state) mounts one there: in the test's own folder, which outlives it."""
    need_root()
    mounted = []

    def mount(state: Path) -> Path:
        state.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", state], check=False,
                              capture_output=True)
        if done.returncode != 0:
            pytest.skip("cannot mount a tmpfs here")
        mounted.append(state)
        return state

    yield mount
    for state in mounted:
        subprocess.run(["umount", "-l", state], check=True)


def fill(state: Path) -> Path:
    """Until not a byte more fits."""
    filler = state / "filler"
    with open(filler, "wb", buffering=0) as f:
        for size in (65536, 4096, 1):
            try:
                while True:
                    f.write(bytes(size))
            except OSError:
                pass
    return filler
