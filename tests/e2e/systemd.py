"""A systemd that is really running: a user's manager, in a mount namespace and a cgroup of its own, with units of ours.

    manager = Systemd(folder, {"x.service": "[Service]…"}).start()
    manager.ctl("start", "x.service"); manager.show("x.service", "ActiveState")
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from programs import PATIENCE_S, environment, need, need_root, wait_until

MANAGER = "/lib/systemd/systemd"
# It refuses to run where /run says that there is no systemd, and needs a cgroup that is its own. What a unit may not see is
# covered by what is inaccessible, which the machine's own manager would have made.
BEGIN = """\
mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/user/0 && chmod 700 /run/user/0 || exit 77
[ ! -e /sys/fs/cgroup/cgroup.procs ] && { umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup || exit 77; }
mkdir -p -m 000 /run/systemd/inaccessible/dir && : >/run/systemd/inaccessible/reg && mkfifo /run/systemd/inaccessible/fifo || exit 77
mkdir -p "/sys/fs/cgroup/$NAME" && echo $$ >"/sys/fs/cgroup/$NAME/cgroup.procs" || exit 77
echo mounted
exec """ + MANAGER + """ --user --log-target=console
"""
END = 'find "/sys/fs/cgroup/$NAME" -depth -type d -exec rmdir {} +'


class Systemd:
    title = "systemd"

    def __init__(self, folder: Path, units: dict[str, str]) -> None:
        need_root()
        if not os.access(MANAGER, os.X_OK):
            pytest.skip("there is no systemd on this machine")
        if not os.path.ismount("/sys/fs/cgroup"):
            pytest.skip("systemd needs /sys/fs/cgroup, which is not mounted here")
        self.folder, self.process = folder / "systemd", None
        (self.folder / "systemd" / "user").mkdir(parents=True)
        for name, text in units.items():
            (self.folder / "systemd" / "user" / name).write_text(text)
        self.env = environment(NAME=folder.name, XDG_RUNTIME_DIR="/run/user/0", XDG_CONFIG_HOME=str(self.folder))

    def start(self) -> Systemd:
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen([need("unshare"), "-m", "--propagation", "private", "sh", "-c", BEGIN], env=self.env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(self._runs, "systemd runs")
        return self

    def _inside(self, *command: object) -> subprocess.CompletedProcess:
        return subprocess.run([need("nsenter"), "-t", str(self.process.pid), "-m", *map(str, command)], env=self.env,
                              capture_output=True, text=True, timeout=PATIENCE_S)

    def _runs(self) -> bool:
        if self.process.poll() is not None:
            pytest.skip(f"systemd cannot be run here: {self.log()}")
        return "mounted" in self.log() and self._inside(shutil.which("systemctl"), "--user", "is-system-running").stdout.strip() == "running"

    def ctl(self, *words: str) -> subprocess.CompletedProcess:
        return self._inside("systemctl", "--user", *words)

    def show(self, unit: str, key: str) -> str:
        return self.ctl("show", "--value", "-p", key, unit).stdout.strip()

    def log(self) -> str:
        log = self.folder / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    def end(self) -> None:
        if not self.process or self.process.poll() is not None:
            return
        with open(f"/proc/{self.process.pid}/ns/mnt", "rb") as space:  # which outlives it, for what is left to do
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE_S)
            self.process.kill()
            self.process.wait()
            subprocess.run([need("nsenter"), f"--mount=/proc/self/fd/{space.fileno()}", "sh", "-c", END], env=self.env,
                           pass_fds=[space.fileno()], capture_output=True, timeout=PATIENCE_S)
