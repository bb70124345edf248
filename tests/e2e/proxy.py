"""A proxy that TLS goes through (CONNECT), and that knows where hosts are which this machine has never heard of.

    proxy = Proxy({"acme-v02.api.letsencrypt.org": sim.port}); daemon.start(env=proxy.environment)
    proxy.asked                  # for which hosts, in order; all others are refused
"""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import threading


class Way(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        host = self.rfile.readline().split(b" ")[1].decode().removesuffix(":443")
        while self.rfile.readline().strip():
            pass
        self.server.asked.append(host)
        port = self.server.ports.get(host)
        if port is None:
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", port)) as there, contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            self.join(self.connection, there)

    @staticmethod
    def join(a: socket.socket, b: socket.socket) -> None:
        while True:
            for s in select.select([a, b], [], [])[0]:
                data = s.recv(65536)
                if not data:
                    return
                (b if s is a else a).sendall(data)


class Proxy(socketserver.ThreadingTCPServer):
    title, daemon_threads = "proxy", True

    def __init__(self, ports: dict[str, int]) -> None:
        self.ports, self.asked = ports, []
        super().__init__(("127.0.0.1", 0), Way)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        return {"https_proxy": f"http://127.0.0.1:{self.server_address[1]}", "no_proxy": ""}

    def log(self) -> str:
        return "".join(f"CONNECT {host}\n" for host in self.asked)

    def end(self) -> None:
        self.shutdown()
        self.server_close()
