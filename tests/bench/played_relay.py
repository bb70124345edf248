"""The relay's part, played: the conversation with each lane on a socket that tunnel-lane joins, and streams by hand.

tests/bench/laneload.c opens streams too, where their speed is what counts."""

import hashlib
import hmac
import json
import secrets
import socket
import struct
import threading
import time

import chain

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
WAIT_S = 20
# Credit is not needed here. Python, woken for each line of it, would take CPU time from the lane that no relay takes, and
# that the arms without a relay have for themselves; so many lines are read at once.
CREDIT_S = 0.01


def header(*tlvs):
    payload = b"".join(struct.pack("!BH", kind, len(value)) + value for kind, value in tlvs)
    return SIGNATURE + struct.pack("!BBH", 0x20, 0, len(payload)) + payload


class Lane:
    """One conversation. It is up once its claim is answered."""

    def __init__(self, conn):
        self.conn, self.secret = conn, secrets.token_bytes(32)
        self.boot, self.port, self.up, self.streams = None, 0, False, 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        rest = b""
        try:
            while data := self.conn.recv(1 << 16):
                *lines, rest = (rest + data).split(b"\n")
                others = [line for line in lines if not line.startswith(b'{"type":"consumed"')]
                for line in others:
                    if not line.startswith(b'{"type":"ended"'):
                        self.take(json.loads(line))
                if lines and not others:
                    time.sleep(CREDIT_S)
        except OSError:
            pass  # the agent has ended
        self.up = False

    def take(self, line):
        if line["type"] == "hello":
            self.boot, self.port = line["boot"], line["port"]
            self.say(type="welcome", v=1, relay="bench", lane_id="1", secret=self.secret.hex(), heartbeat_s=5,
                     seen_from="127.0.0.1", publish=["192.0.2.1"], time="2026-01-01T00:00:00Z")
        elif line["type"] == "claim":
            self.say(type="claimed", serial=line["serial"],
                     items=[{"item": item["item"], "ok": True, "why": ""} for item in line["items"]])
            self.up = True
        elif line["type"] == "ping":
            self.say(type="pong", **{key: line[key] for key in ("n", "t", "rtt_ms")})

    def say(self, **message):
        self.conn.sendall(json.dumps(message).encode() + b"\n")

    def target(self, site):
        """How laneload is told of it."""
        return f"127.0.0.1:{self.port}/{self.secret.hex()}/domain:{site}.localhost"


class Stream:
    """A warm stream of a lane."""

    def __init__(self, lane):
        self.lane, self.id, random = lane, secrets.token_bytes(8), secrets.token_bytes(16)
        self.sock = socket.create_connection(("127.0.0.1", lane.port), timeout=WAIT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = self.proof(b"agent", random)
        self.sock.sendall(header((0xE0, self.id), (0xE1, random), (0xE2, self.proof(b"relay", random))))
        lane.streams += 1

    def proof(self, word, random):
        return hmac.digest(self.lane.secret, word + self.id + random, hashlib.sha256)[:16]

    def warm(self):
        if self.sock.recv(16, socket.MSG_WAITALL) != self.answer:
            raise chain.Failed("lane_bench: a stream was not answered as it should be")
        return self

    def use(self, more=b""):
        self.sock.sendall(header((0xE4, b"domain:bench.localhost")) + more)
        return self

    def close(self):
        self.sock.close()
        self.lane.streams -= 1


class Relay:
    """Welcomes every lane that joins."""

    def __init__(self, path):
        self.lanes = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            self.lanes.append(Lane(self.listener.accept()[0]))

    def wait_new(self, boots, n):
        """The lanes of an agent that is none of these, once it has n."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            lanes = [lane for lane in self.lanes if lane.up and lane.boot not in boots]
            if len(lanes) >= n:
                return lanes
            time.sleep(0.02)
        raise chain.Failed(f"lane_bench: no {n} lanes came up within {WAIT_S} s")
