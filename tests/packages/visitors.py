"""Visitors of a relay while its package is upgraded.

One downloads, one waits for the answer to a long poll, one has a WebSocket open; then /tmp/open is written. While /tmp/draining
is there and the old relay finishes its work, the WebSocket still carries; a visitor who comes then, or at any time until
/tmp/upgraded is there, waits at most, and is answered. Afterwards the download and the poll have come whole, and a
WebSocket can be opened again. Exit code 0: so it was.
"""

import base64
import os
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

from house import PIECE, PIECES

PATIENCE_S = 60
TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE  # the relay's own root
DRAINING, UPGRADED = Path("/tmp/draining"), Path("/tmp/upgraded")
bad: list[str] = []


def ask(path: str, *fields: str) -> tuple[ssl.SSLSocket, object]:
    """A connection that has asked for it, and what reads from it."""
    sock = TLS.wrap_socket(socket.create_connection(("127.0.0.1", 443), PATIENCE_S), server_hostname="site.test")
    sock.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: site.test", *fields, "", ""]).encode())
    return sock, sock.makefile("rb")


def head(reader) -> str:
    status = reader.readline().decode().strip()
    while reader.readline().strip():
        pass
    return status


def check(well: bool, what: str) -> None:
    if not well:
        bad.append(what)


def download() -> None:
    sock, reader = ask("/download", "Connection: close")
    status = head(reader)
    began.release()
    content = reader.read()
    check(" 200" in status and content == PIECE * PIECES, f"the download: {status}, {len(content)} bytes")
    sock.close()


def poll() -> None:
    sock, reader = ask("/poll", "Connection: close")
    began.release()
    status = head(reader)
    check(" 200" in status and reader.read() == b"from the house\n", f"the long poll: {status}")
    sock.close()


class WebSocket:
    def __init__(self) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock, self.reader = ask("/socket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}")
        check(" 101" in head(self.reader), "the WebSocket's handshake")

    def carries(self, text: bytes) -> bool:
        self.sock.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
        return self.reader.read(2 + len(text)) == bytes([0x81, len(text)]) + text


def web_socket() -> None:
    ws = WebSocket()
    check(ws.carries(b"before"), "the WebSocket")
    began.release()
    wait_for(DRAINING)
    check(ws.carries(b"meanwhile"), "the WebSocket, while the relay drains")
    wait_for(UPGRADED)
    check(WebSocket().carries(b"afterwards"), "the WebSocket, opened again")


def newcomers() -> None:
    longest = count = 0
    while not UPGRADED.exists():
        at = time.monotonic()
        try:
            sock, reader = ask("/", "Connection: close")
            status = head(reader)
            check(" 200" in status and reader.read() == b"from the house\n", f"a newcomer: {status}")
            sock.close()
        except OSError as why:
            check(False, f"a newcomer: {why}")
        count, longest = count + 1, max(longest, time.monotonic() - at)
        time.sleep(0.05)
    print(f"{count} newcomers; the one who waited longest waited {longest:.1f} s")


def wait_for(file: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.02)


def guarded(work) -> None:
    try:
        work()
    except Exception as why:  # whatever it was, it is what this program is for
        bad.append(f"{work.__name__}: {why!r}")


began = threading.Semaphore(0)
threads = [threading.Thread(target=guarded, args=[work], daemon=True) for work in (download, poll, web_socket)]
for thread in threads:
    thread.start()
for _ in threads:
    if not began.acquire(timeout=PATIENCE_S):
        sys.exit("visitors: they do not come in: " + "; ".join(bad))
Path("/tmp/open").touch()
threads.append(threading.Thread(target=guarded, args=[newcomers], daemon=True))
threads[-1].start()
for thread in threads:
    thread.join(2 * PATIENCE_S)
    check(not thread.is_alive(), "somebody waits still")
print("\n".join(bad) or "all of them were served")
sys.exit(1 if bad else 0)
