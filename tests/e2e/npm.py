"""Packages of npm that Debian does not have: installed once into build/npm, where nothing but the tests looks.

    run_node("grpc.js", "serve")   # a script beside this file, which finds them
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path
from typing import Any

from netns import back_into_the_machines
from programs import PATIENCE_S, need, unavailable

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "build" / "npm"
PACKAGES = {"@grpc/grpc-js": "1.14"}


def installed() -> bool:
    return all((FOLDER / "node_modules" / name / "package.json").exists() for name in PACKAGES)


def environment() -> dict[str, str]:
    """For node, once the packages are there."""
    need("node")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several tests begin at once
        if not installed():
            wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
            done = subprocess.run([need("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", FOLDER, *wanted],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S * 4, check=False,
                                  preexec_fn=back_into_the_machines)
            if done.returncode != 0 or not installed():
                unavailable(f"npm cannot install {wanted}: {done.stderr.strip()[-300:]}")
    return dict(os.environ, NODE_PATH=str(FOLDER / "node_modules"))


def run_node(script: str, *args: object, **how: Any) -> subprocess.Popen:
    words = [need("node"), str(HERE / script), *map(str, args)]
    return subprocess.Popen(words, env=environment(), text=True, **how)
