"""An agent without SSH: joins the relay's lane socket as tunnel-lane would, and answers streams on a port of its own.

    agent = FakeAgent(lane_socket, ["a.test"]).start()
    agent.serve = lambda stream: stream.answer("hello")    # stream is a Peer: what the service would see and say

Every step can go wrong on purpose: `reply` decides how openings are answered, `ended` how the end of a stream is
explained to the relay.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import io
import json
import os
import secrets
import socket
import struct
import threading
from pathlib import Path
from typing import Any, Callable, Sequence

from http1 import PIECE, Body, Cut, Head, Peer
from programs import PATIENCE_S, wait_until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def tlvs(data: bytes) -> dict[int, bytes]:
    found = {}
    while data:
        kind, n = struct.unpack("!BH", data[:3])
        assert kind not in found and len(data) >= 3 + n, data
        found[kind], data = data[3:3 + n], data[3 + n:]
    return found


class Counted(io.RawIOBase):
    """A socket's bytes; after each read it is told how many they are."""

    def __init__(self, sock: socket.socket, read: Callable[[int], None]) -> None:
        self.sock, self.read_bytes = sock, read

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        n = self.sock.recv_into(room)
        self.read_bytes(n)
        return n


class Stream(Peer):
    """One connection of the relay to the lane's port."""

    def __init__(self, agent: FakeAgent, sock: socket.socket) -> None:
        super().__init__(sock)
        self._in = io.BufferedReader(Counted(sock, self._count), PIECE)
        self.agent = agent
        self.received = self.header_bytes = self.consumed = self.told = self.most_untold = 0
        self.id = ""
        self.opening = self.right = b""  # what came, and what the answer to it is
        self.addresses = b""  # of a PROXY header, as they stand there
        self.item: str | None = None  # None: nobody uses it yet
        self.route: str | None = None
        self.requests: list[tuple[Head, Body]] = []
        self.explained = self.answered = False

    def _count(self, n: int) -> None:
        """Gives the relay credit for what was read, as an agent does for what its service has taken."""
        self.received += n
        if not self.header_bytes:
            return
        self.most_untold = max(self.most_untold, self.received - self.header_bytes - self.told)
        if self.received - self.header_bytes - self.consumed >= 65536:
            self.consumed = self.received - self.header_bytes
            if self.agent.line_s:
                threading.Timer(self.agent.line_s, self._tell, [self.consumed]).start()
            else:
                self._tell(self.consumed)

    def _tell(self, total: int) -> None:
        self.told = max(self.told, total)
        with contextlib.suppress(OSError):  # the test is over
            self.agent.say("consumed", stream=self.id, total=total)

    def _proof(self, word: bytes, opening: dict[int, bytes]) -> bytes:
        return hmac.new(self.agent.secret, word + opening[0xE0] + opening[0xE1], hashlib.sha256).digest()[:16]

    def open(self) -> None:
        """Reads the opening, which must be exactly as the design says, and answers it."""
        self.opening = self.exactly(65)
        assert self.opening[:16] == SIGNATURE + b"\x20\x00\x00\x31"
        opening = tlvs(self.opening[16:])
        assert [(kind, len(value)) for kind, value in opening.items()] == [(0xE0, 8), (0xE1, 16), (0xE2, 16)]
        # The welcome comes by another connection: that it was sent first does not mean that we have read it.
        wait_until(lambda: self.agent.secret and opening[0xE2] == self._proof(b"relay", opening), "a right proof")
        self.id = opening[0xE0].hex()
        self.right = self._proof(b"agent", opening)
        answers = {"right": self.right, "wrong": self.right[::-1], "longer": self.right + b"!", "none": b""}
        self.send(answers[self.agent.reply])
        self.answered = True

    def wait_used(self) -> bool:
        """Reads the second header: LOCAL, or PROXY with addresses. False: the stream was never used."""
        head = self._in.read(16)
        if not head:
            return False
        size = {b"\x20\x00": 0, b"\x21\x11": 12, b"\x21\x21": 36}.get(head[12:14])
        assert head[:12] == SIGNATURE and size is not None, head
        length = struct.unpack("!H", head[14:])[0]
        self.addresses = self.exactly(size)
        header = tlvs(self.exactly(length - size))
        self.header_bytes = 65 + 16 + length
        assert set(header) <= {0xE3, 0xE4}
        self.item = header[0xE4].decode()
        self.route = header[0xE3].decode() if 0xE3 in header else None
        return True

    # ---- as the service ----

    def request(self) -> tuple[Head, Body] | None:
        """The next one, whole; None at the end."""
        head = self.head()
        if not head:
            return None
        if head.get("expect"):
            self.send("HTTP/1.1 100 Continue\r\n\r\n")
        self.requests.append((head, self.body(head)))
        self.agent.requests.append(self.requests[-1])
        return self.requests[-1]

    def answer(self, body: bytes | str = b"", status: str = "200 OK", fields: str = "") -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send(f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(data)}\r\n\r\n".encode() + data)

    def end(self, how: str | None = "eof") -> None:
        """Tells the relay how the stream ended (None: does not), and ends it."""
        if how and not self.explained:
            self.agent.say("ended", stream=self.id, how=how, detail="by the test")
        self.explained = True
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the relay was faster

    def drop(self) -> None:
        """Both directions at once, without a word."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended


class FakeAgent:
    title = "the fake agent"

    def __init__(self, lane_socket: Path, domains: Sequence[str | tuple[str, list[str]] | dict], name: str = "pi") -> None:
        """A domain is its name, its name and aliases, or an item as a claim has it."""
        self.lane_socket, self.name = lane_socket, name
        self.items = [d if isinstance(d, dict) else {"item": f"domain:{d[0]}", "aliases": d[1], "policy": {}}
                      for d in ((d, []) if isinstance(d, str) else d for d in domains)]
        self.boot, self.number, self.serial, self.secret = secrets.token_hex(8), 1, 0, b""  # number: of its lane
        self.reply = "right"  # or wrong, longer, none
        self.line_s = 0.0  # how long its word of what was consumed is on the way
        self.ended: str | None = "eof"  # how the end of a served stream is explained; None: not at all
        self.serve: Callable[[Stream], None] = lambda stream: stream.answer(self.name)  # what was just requested
        self.carry: Callable[[Stream], None] = self._serve_all  # from the second header to the end
        self.streams: list[Stream] = []  # in the order in which they came
        self.requests: list[tuple[Head, Body]] = []  # likewise
        self.heard: list[dict[str, Any]] = []  # what the relay has said
        # What is answered to a txt, fetch or challenge; None: nothing. By default it sets nothing, cannot look, passes on.
        self.words: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
            "txt": lambda line: {"ok": False, "why": "no provider"},
            "fetch": lambda line: {"ok": False, "status": -1, "why": "the fake agent does not look"},
            "challenge": lambda line: {"ok": True, "why": ""}}
        self.wrong: list[str] = []
        self._saying = threading.Lock()
        self.port = self._listen()

    # ---- life ----

    def start(self) -> FakeAgent:
        self.join()
        self.greet()
        return self

    def join(self) -> None:
        lane = socket.socket(socket.AF_UNIX)
        lane.connect(str(self.lane_socket))
        threading.Thread(target=self._hear, args=(lane,), daemon=True).start()
        first = {"type": "lane", "v": 1, "agent": self.name, "ssh": "192.0.2.7 50000 192.0.2.1 22", "sshd_pid": os.getpid()}
        with self._saying:  # the end of a stream of the lane before may be told at any time
            lane.sendall(json.dumps(first).encode() + b"\n")
            self.lane = lane

    def greet(self) -> None:
        """hello and claim; returns when both are answered."""
        before = len(self.heard)
        self.say("hello", v=1, boot=self.boot, lane=self.number, port=self.port, version="0.0")
        self.wait_heard("welcome", before)
        self.claim()

    def claim(self) -> dict[str, Any]:
        before, self.serial = len(self.heard), self.serial + 1
        self.say("claim", serial=self.serial, part=1, last=True, items=self.items)
        return self.wait_heard("claimed", before)

    def leave(self) -> None:
        """The conversation ends; the port stays."""
        self.lane.shutdown(socket.SHUT_RDWR)
        self.lane.close()

    def end(self) -> str | None:
        self.close_port()
        try:
            self.leave()
        except (AttributeError, OSError):
            pass  # it never joined, or the test has done so
        for stream in self.streams:
            stream.drop()
        return "; ".join(self.wrong) or None

    def log(self) -> str:
        return "".join(f"{line}\n" for line in self.heard)

    # ---- conversation ----

    def say(self, kind: str, **fields: Any) -> None:
        with self._saying:
            self.lane.sendall(json.dumps({"type": kind, **fields}).encode() + b"\n")

    def _hear(self, lane: socket.socket) -> None:
        with lane.makefile("rb") as lines:
            try:
                for line in lines:
                    self._take(json.loads(line))
            except OSError:
                pass  # we have left

    def _take(self, line: dict[str, Any]) -> None:
        if line["type"] == "welcome":
            self.secret = bytes.fromhex(line["secret"])
        elif line["type"] == "ping":
            self.say("pong", n=line["n"], t=line["t"], rtt_ms=line["rtt_ms"])
        elif line["type"] in self.words:
            answer = self.words[line["type"]](line)
            if answer is not None:
                self.say({"fetch": "fetched"}.get(line["type"], f"{line['type']}_done"), id=line["id"], **answer)
        elif line["type"] == "abort":
            for stream in self.streams:
                if stream.id == line["stream"]:
                    stream.drop()
        self.heard.append(line)

    def wait_heard(self, kind: str, after: int = 0) -> dict[str, Any]:
        """The first such line behind the first `after` ones."""
        return wait_until(lambda: next((line for line in self.heard[after:] if line["type"] == kind), None),
                          f"the relay says {kind}")

    @property
    def aborted(self) -> list[str]:
        return [line["stream"] for line in self.heard if line["type"] == "abort"]

    # ---- streams ----

    def _listen(self) -> int:
        self.server = socket.create_server(("127.0.0.1", 0), backlog=1024)
        threading.Thread(target=self._accept, args=(self.server,), daemon=True).start()
        return self.server.getsockname()[1]

    def close_port(self) -> None:
        """The port is free for anybody; streams that are open stay."""
        try:
            self.server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed already
        self.server.close()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE_S)
            self.streams.append(Stream(self, sock))
            threading.Thread(target=self._live, args=(self.streams[-1],), daemon=True).start()

    def _live(self, stream: Stream) -> None:
        try:
            stream.open()
            if stream.wait_used():
                self.carry(stream)
                stream.end(self.ended)
                while stream.read(65536):
                    pass  # the relay closes in its turn
        except (Cut, OSError):
            pass  # the relay has given it up
        except Exception as e:  # an assertion among them: in a thread it would go unseen
            self.wrong.append(f"stream {stream.id}: {e!r}")
        stream.close()

    def _serve_all(self, stream: Stream) -> None:
        while not stream.explained and stream.request():
            self.serve(stream)

    @property
    def used(self) -> list[Stream]:
        return [stream for stream in self.streams if stream.item]
