"""How fast linesim carries bytes when it delays nothing, and when it delays them by 5 ms.

Prints one JSON object a line: name, value, unit, better, and target where there is one.
$BUILD is the folder of the programs."""

import json
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from line import Line  # noqa: E402

SECONDS = 3
CHUNK = 1 << 20


def send_until(sock: socket.socket, end: float) -> None:
    chunk = bytes(CHUNK)
    while time.monotonic() < end:
        sock.sendall(chunk)
    sock.shutdown(socket.SHUT_WR)


def megabytes_per_second(**settings: str) -> float:
    """From the first byte to the last, so the start of the program does not count."""
    with socket.create_server(("127.0.0.1", 0)) as server, Line() as line:
        line.start([server.getsockname()], **settings)
        with socket.create_connection(("127.0.0.1", line.port())) as sender:
            receiver, _ = server.accept()
            start = time.monotonic()
            thread = threading.Thread(target=send_until, args=(sender, start + SECONDS))
            thread.start()
            total, room = 0, bytearray(CHUNK)
            while n := receiver.recv_into(room):
                total += n
            thread.join()
            receiver.close()
            return total / (time.monotonic() - start) / 1e6


def say(name: str, value: float, **more: float) -> None:
    row = {"name": name, "value": round(value, 1), "unit": "MB/s", "better": "more", **more}
    print(json.dumps(row), flush=True)


def main() -> None:
    say("linesim_clear", megabytes_per_second(), target=200)
    say("linesim_delay_5ms", megabytes_per_second(delay="5ms"))


if __name__ == "__main__":
    main()
