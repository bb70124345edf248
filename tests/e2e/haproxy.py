"""A real HAProxy in front of the relay.

    proxy = Haproxy(folder, "mode tcp", f"server relay 127.0.0.1:{port} send-proxy-v2").start()
    …connect to proxy.port
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from programs import PATIENCE_S, need

CONF = """\
defaults
  timeout connect 60s
  timeout client 60s
  timeout server 60s
listen front
  bind fd@{fd}
"""


class Haproxy:
    title = "haproxy"

    def __init__(self, folder: Path, *lines: str) -> None:
        """The lines are those of its one section; it inherits a listening socket on self.port."""
        self.program, self.folder = need("haproxy"), folder
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        folder.mkdir()
        conf = CONF.format(fd=self.socket.fileno()) + "".join(f"  {line}\n" for line in lines)
        (folder / "haproxy.cfg").write_text(conf)
        self.process: subprocess.Popen | None = None

    def start(self) -> Haproxy:
        with open(self.folder / "haproxy.log", "ab") as log:
            self.process = subprocess.Popen([self.program, "-db", "-f", self.folder / "haproxy.cfg"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, pass_fds=[self.socket.fileno()])
        return self

    def log(self) -> str:
        return (self.folder / "haproxy.log").read_text(errors="replace")

    def end(self) -> str | None:
        self.socket.close()
        if self.process.poll() is not None:
            return f"haproxy died with {self.process.returncode}"
        self.process.kill()
        self.process.wait(PATIENCE_S)
        return None
