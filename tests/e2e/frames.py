"""The rows of tests/conformance/http2.rows, played to whoever speaks HTTP/2. The file says what its lines mean.

    why = play(row, connected_socket)     # None: all is as the row wants it
"""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path
from typing import Callable, NamedTuple

from programs import unavailable

try:
    import hpack
except ImportError:
    hpack = None  # type: ignore[assignment]

FILE = Path(__file__).resolve().parents[1] / "conformance" / "http2.rows"
KINDS = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION"]
CODES = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
         "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"]
FLAGS = {"es": 1, "eh": 4, "pad": 8, "pri": 32, "ack": 1}
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WORD = re.compile(r'"[^"]*"|\{[^}]*\}+|\S+')
PROBE = "x-probe"  # a field of the request that is asked behind a row


class Row:
    def __init__(self, name: str) -> None:
        self.name = name
        self.rfc: list[str] = []
        self.suite: list[str] = []
        self.allow: list[str] = []
        self.steps: list[tuple[str, str]] = []  # in their order
        self.bare, self.seen = False, None  # type: bool, str | None

    def wants(self, what: str) -> bool:
        return any(verb in ("want", "await") and text.split()[0] == what for verb, text in self.steps)

    @property
    def ends(self) -> bool:
        return self.wants("connection") or self.wants("closed")


class Table:
    def __init__(self, path: Path = FILE) -> None:
        self.lets: dict[str, str] = {}
        self.rows: list[Row] = []
        for line in path.read_text().splitlines():
            verb, _, text = line.partition(" ")
            if verb == "let":
                name, _, self.lets[name] = text.partition(" ")
                self.lets[name] = text.partition(" ")[2]
            elif verb == "row":
                self.rows.append(Row(text))
            elif line and not line.startswith("#"):
                self._take(self.rows[-1], verb, text)

    @staticmethod
    def _take(row: Row, verb: str, text: str) -> None:
        if verb in ("rfc", "suite", "allow"):
            getattr(row, verb).extend(text.split())
        elif verb == "seen":
            row.seen = text
        elif verb == "bare":
            row.bare = True
        else:
            assert verb.split("*")[0] in ("send", "raw", "await", "want"), (row.name, verb)
            row.steps.append((verb, text))

    def pieces(self, words: str) -> bytes:
        return b"".join(self._piece(word) for word in WORD.findall(words))

    def _piece(self, word: str) -> bytes:
        if word[0] == '"':
            return word[1:-1].encode()
        if word[0] == "{":
            name, _, value = word[1:-1].partition("=") if word[1] != "=" else ("", "=", word[2:-1])
            return b"\0" + string(unescaped(name)) + string(unescaped(value))
        if word[0] == "@":
            return self.pieces(self.lets[word])
        times, star, digits = word.partition("*")
        return bytes.fromhex(digits) * int(times) if star else bytes.fromhex(word)


def unescaped(text: str) -> bytes:
    return re.sub(rb"%(..)", lambda found: bytes.fromhex(found[1].decode()), text.encode())


def string(data: bytes) -> bytes:
    """RFC 7541 5.2 without Huffman, its length by 5.1 with a prefix of seven bits."""
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, head = len(data) - 127, b"\x7f"
    while rest > 127:
        head, rest = head + bytes([rest & 127 | 128]), rest >> 7
    return head + bytes([rest]) + data


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def kind_of(word: str) -> int:
    return KINDS.index(word) if word in KINDS else int(word)


def flags_of(words: str) -> int:
    return sum(FLAGS[word] if word in FLAGS else int(word[1:], 16) for word in words.split(",") if word != "-")


class Said(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        at = {RST_STREAM: 0, GOAWAY: 4}[self.kind]
        return int.from_bytes(self.payload[at:at + 4], "big")

    def __str__(self) -> str:
        code = f" {CODES[self.code]}" if self.kind in (RST_STREAM, GOAWAY) else ""
        return f"{KINDS[self.kind]} {self.flags:x} {self.stream} ({len(self.payload)} bytes){code}"


class Wrong(Exception):
    """What was wanted has not come."""


class Talk:
    """One row on one connection."""

    def __init__(self, table: Table, row: Row, sock: socket.socket | ssl.SSLSocket, lenient: bool) -> None:
        if hpack is None:
            unavailable("python3-h2 is not installed; run: sh scripts/setup test")
        self.table, self.row, self.socket, self.lenient = table, row, sock, lenient
        self.said: list[Said] = []
        self.status: dict[int, int] = {}
        self.looked_at, self.rest, self.closed = 0, b"", False
        self.decoder = hpack.Decoder()
        self.next_stream, self.highest = 1, 0
        self.to_send = b""

    # ---- both ways ----

    def flush(self) -> None:
        try:
            self.socket.sendall(self.to_send)
        except OSError:
            pass  # it has ended already, which reading shows
        self.to_send = b""

    def hear(self) -> None:
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise Wrong("nothing comes any more") from None
        except OSError:
            data = b""
        self.closed = self.closed or not data
        self.rest += data
        while len(self.rest) >= 9 and len(self.rest) >= (size := 9 + int.from_bytes(self.rest[:3], "big")):
            self._take(Said(self.rest[3], self.rest[4], int.from_bytes(self.rest[5:9], "big"), self.rest[9:size]))
            self.rest = self.rest[size:]

    def _take(self, said: Said) -> None:
        self.said.append(said)
        if said.kind == HEADERS:  # always whole, and without padding, from those that are played to
            fields = dict(self.decoder.decode(said.payload, raw=True))
            if b":status" in fields:
                self.status.setdefault(said.stream, int(fields[b":status"]))

    def until(self, happened: Callable[[], bool]) -> bool:
        """False: the connection has ended, and it has not."""
        while not happened():
            if self.closed:
                return False
            self.hear()
        return True

    # ---- what a row says ----

    def greet(self) -> None:
        self.to_send = PREFACE + frame(SETTINGS, 0, 0)
        self.flush()
        if not self.until(lambda: any(s.kind == SETTINGS and not s.flags for s in self.said)):
            raise Wrong("no SETTINGS")
        self.to_send = frame(SETTINGS, 1, 0)
        self.flush()
        self.until(lambda: any(s.kind == SETTINGS and s.flags for s in self.said))
        self.looked_at = len(self.said)

    def stream(self, word: str) -> int:
        if word == "+":
            number, self.next_stream = self.next_stream, self.next_stream + 2
        else:
            number = int(word.lstrip("R"))
        self.highest = max(self.highest, number)
        return number | (1 << 31 if word[0] == "R" else 0)

    def step(self, verb: str, text: str) -> None:
        if verb == "raw":
            self.to_send += self.table.pieces(text)
        elif verb in ("await", "want"):
            self.flush()
            self.check(text)
        else:
            kind, flags, stream, *rest = text.split(" ", 3)
            payload = self.table.pieces(rest[0] if rest else "")
            for _ in range(int(verb.partition("*")[2] or 1)):
                self.to_send += frame(kind_of(kind), flags_of(flags), self.stream(stream), payload)

    def _next(self, fits: Callable[[Said], bool]) -> bool:
        while self.looked_at < len(self.said):
            self.looked_at += 1
            if fits(self.said[self.looked_at - 1]):
                return True
        return False

    def _frame(self, words: str) -> Callable[[], bool]:
        kind, flags, stream, *rest = words.split(" ", 3)
        payload = self.table.pieces(rest[0]) if rest else None
        return lambda: self._next(lambda s: (s.kind, s.flags, s.stream) == (kind_of(kind), flags_of(flags), int(stream))
                                  and payload in (None, s.payload))

    def _error(self, kind: int, stream: int, codes: set[int]) -> bool:
        return any(s.kind == kind and s.stream == stream and s.code in codes for s in self.said)

    def _lenient(self, what: str, codes: set[int]) -> bool:
        """As the public suite sees it: an end is an end, and who ends the connection has reset the stream."""
        if self.closed or any(s.kind == GOAWAY and s.code in codes for s in self.said):
            return True
        return what == "stream" and any(s.kind == RST_STREAM and s.code in codes for s in self.said)

    def check(self, thing: str) -> None:
        what, _, rest = thing.partition(" ")
        words = rest.split()
        codes = {CODES.index(code) for code in [*words[-1:], *self.row.allow] if code in CODES}
        if self.lenient and what in ("connection", "stream"):
            good = self.until(lambda: self._lenient(what, codes))
        elif what in ("connection", "closed"):
            self.until(lambda: False)
            good = what == "closed" or self._error(GOAWAY, 0, {CODES.index(words[0])})
        elif what == "stream":
            good = self.until(lambda: self._error(RST_STREAM, int(words[0]), {CODES.index(words[1])}))
        elif what == "frame":
            good = self.until(self._frame(rest))
        elif what == "data":
            good = self.until(lambda: self._next(lambda s: (s.kind, s.stream, len(s.payload)) == (DATA, *map(int, words))))
        elif what == "end":
            good = self.until(lambda: any(s.stream == int(words[0]) and s.kind <= HEADERS and s.flags & 1 for s in self.said))
        else:
            assert what == "status", thing
            good = self.until(lambda: int(words[0]) in self.status) and self.status[int(words[0])] == int(words[1])
        if not good:
            raise Wrong(f"no '{thing}'")

    def probe(self) -> None:
        """Whatever was wrong, another request is answered, and nothing was that should not be."""
        number = self.highest + 1 + self.highest % 2
        if number < 1 << 31:
            self.to_send += frame(HEADERS, 5, number, self.table.pieces(f"@get {{{PROBE}=1}}"))
            self.flush()
            if not self.until(lambda: number in self.status) or self.status[number] != 200:
                raise Wrong("the next request is not answered")
        resets = [s.stream for s in self.said if s.kind == RST_STREAM]
        if any(s.kind == GOAWAY for s in self.said) or resets and not self.row.wants("stream"):
            raise Wrong("an error")
        if len(set(resets)) < len(resets):
            raise Wrong("a stream is reset twice")

    def play(self) -> None:
        if not self.row.bare:
            self.greet()
        for verb, text in self.row.steps:
            self.step(verb, text)
        if not self.row.ends and not self.lenient:
            self.probe()


def play(table: Table, row: Row, sock: socket.socket | ssl.SSLSocket, lenient: bool = False) -> str | None:
    """What is wrong. lenient: as the public suite judges, and other codes that the row allows are as good."""
    talk = Talk(table, row, sock, lenient)
    try:
        with sock:
            talk.play()
    except Wrong as wrong:
        end = "; then the end" if talk.closed else ""
        return f"{row.name}: {wrong}; what was said: {', '.join(map(str, talk.said))}{end}"
    return None
