"""Services as people run them in a house: a program of somebody else's, on a free port of loopback.

    server = nginx(folder, "location / { root …; }")    # a Stack, started; its url is what an agent is told
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Sequence

from programs import accepts, environment, need, wait_until
from sshd import free_port

NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    include /etc/nginx/mime.types;
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    server {{
        listen 127.0.0.1:{port};
        {server}
    }}
}}
"""


class Stack:
    def __init__(self, title: str, command: Sequence[object], port: int, folder: Path, **env: str) -> None:
        """Started, and answering on its port."""
        self.title, self.port, self.url = title, port, f"http://127.0.0.1:{port}"
        self._file, self._last_log = folder / f"{title}.log", ""
        with open(self._file, "wb") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=folder, env=environment(**env))
        wait_until(self._accepts, f"{title} accepts")

    def _accepts(self) -> bool:
        assert self.process.poll() is None, self.log()
        return accepts(self.port)

    def log(self) -> str:
        if self._file.exists():
            self._last_log = self._file.read_text(errors="replace")
        return self._last_log

    def end(self) -> str | None:
        self.log()
        died = self.process.poll() is not None
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:  # it waits for a client
            self.process.kill()
            self.process.wait()
        return f"{self.title} died with {self.process.returncode}" if died else None


def nginx(folder: Path, server: str) -> Stack:
    port = free_port()
    conf = folder / "nginx.conf"
    conf.write_text(NGINX.format(folder=folder, port=port, server=server))
    return Stack("nginx", [need("nginx"), "-e", "stderr", "-p", folder, "-c", conf], port, folder)
