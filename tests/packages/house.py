"""The site in the house, while packages are upgraded: 127.0.0.1:8080.

    /           a page
    /download   4 MiB, within about four seconds
    /poll       answers once there is a file /tmp/draining
    /socket     a WebSocket that sends back what it gets (short text in one frame)
"""

import base64
import contextlib
import hashlib
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PIECES, PIECE = 64, b"0123456789abcdef" * 4096


class House(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, fields: dict) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()

    def page(self, text: bytes) -> None:
        self.answer(200, {"Content-Length": str(len(text))})
        self.wfile.write(text)

    def download(self) -> None:
        self.answer(200, {"Content-Length": str(PIECES * len(PIECE))})
        for _ in range(PIECES):
            self.wfile.write(PIECE)
            time.sleep(0.06)

    def echo(self) -> None:
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.answer(101, {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept})
        with contextlib.suppress(ConnectionResetError):  # by a relay that ends
            self.send_back()
        self.close_connection = True

    def send_back(self) -> None:
        while len(head := self.rfile.read(6)) == 6 and head[0] == 0x81:
            text = bytes(b ^ head[2 + i % 4] for i, b in enumerate(self.rfile.read(head[1] & 0x7F)))
            self.wfile.write(bytes([0x81, len(text)]) + text)

    def do_GET(self) -> None:
        if self.path == "/download":
            self.download()
        elif self.path == "/socket":
            self.echo()
        else:
            while self.path == "/poll" and not Path("/tmp/draining").exists():
                time.sleep(0.05)
            self.page(b"from the house\n")

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 8080), House).serve_forever()
