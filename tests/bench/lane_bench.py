"""A lane beside ssh -R, without the edge: the bench plays the relay, and loads the ports that sshd granted.

  lane     laneload, sshd, tunnel-agent, origin; `lanes2` is the same with two lanes
  session  laneload, sshd, ssh -R beside a command that runs, origin
  nNT      laneload, sshd, ssh -R -nNT, origin

The origin is nginx for pages, and bulksite for bulk. All stand all the time and take turns; what counts are the ratios
within a run. Before that come the extra round trips of a first request over a long line, and the agent's private memory.
The traffic of an idle lane to a real relay is counted for a minute meanwhile. Every byte that comes back is compared.

Prints one JSON object a line, as daemon_bench.py does. $BUILD is the folder of the programs."""

import contextlib
import json
import os
import pathlib
import re
import resource
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time

import chain
from chain import Failed
from loads import Arm, start_bulk
from played_relay import Relay, Stream, WAIT_S

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from line import Line  # noqa: E402

PAGE = bytes(range(256)) * 4
ROUNDS, SECONDS, CONNECTIONS = 10, 1.2, 64  # short ones: what else the machine does hits the arms alike
BULK_ROUNDS, BULK_SECONDS = 7, 0.7
DELAY_MS, FIRST_REQUESTS = 50, 5
STREAMS, ABORTED, ABORTED_BEFORE, BATCH = 1000, 10000, 1000, 50
IDLE_SECONDS = 60  # one of the relay's proofs is in it
TRAFFIC = {"bytes_sent": 1, "bytes_received": 1, "segs_out": 52, "segs_in": 52}  # 52: IPv4, TCP with timestamps
REQUEST = b"GET /page HTTP/1.1\r\nHost: bench.localhost\r\n\r\n"
STEP_MS = (36, 48)  # where an answer is that waited for a delayed acknowledgement


def say(name, value, unit, better, **more):
    print(json.dumps({"name": f"lane_{name}", "value": round(value, 3), "unit": unit, "better": better, **more}),
          flush=True)


class Bench(chain.Chain):
    """The chain's parts, with the relay played here."""

    def begin(self):
        self.relay = Relay(self.folder / "bench.sock")
        self.origin = self.start_origin(PAGE)
        self.bulk_port = start_bulk(self)
        self.make_keys()
        self.start_sshd()

    def join(self, name, n, **how):
        """An agent, and its lanes."""
        boots = {lane.boot for lane in self.relay.lanes}
        sites = {"bench": self.origin_port, "bulk": self.bulk_port}
        agent = self.start_agent(name, key="lane_key", **sites, **how)
        return agent, self.relay.wait_new(boots, n)

    def lane_arm(self, name, n):
        lanes = f"lanes = {n}\nmax_lanes = {n}"
        (agent, lanes), session = self.new_session(lambda: self.join(f"agent_{name}", n, lanes=lanes))
        get, bulk = ([lane.target(site) for lane in lanes] for site in ("bench", "bulk"))
        return Arm(name, get, bulk, {"agent": [agent.pid], "sshd": session})

    def ssh_arm(self, name, *how):
        services = (self.origin_port, self.bulk_port)
        (ssh, ports), session = self.new_session(lambda: self.start_ssh(name, *how, services=services))
        get, bulk = ([f"127.0.0.1:{port}"] for port in ports)
        return Arm(name, get, bulk, {"ssh": [ssh.pid], "sshd": session})


SSH_ARMS = {"session": ("-T", chain.ADDRESS, "exec cat"), "nNT": ("-nNT", chain.ADDRESS)}


def open_streams(lanes, n):
    """As the relay does: on the lane that has the fewest."""
    streams = []
    for _ in range(n):
        streams.append(Stream(min(lanes, key=lambda lane: lane.streams)))
    return [stream.warm() for stream in streams]


# ---- requests and bulk, beside ssh -R ----


def measure_side_by_side(there):
    arms = [there.lane_arm("lane", 1), *(there.ssh_arm(name, *how) for name, how in SSH_ARMS.items()),
            there.lane_arm("lanes2", 2)]
    for arm in arms:
        arm.load(there, "get", CONNECTIONS, 0.5)  # everything is open and warm
    for way, rounds, connections, seconds in (("get", ROUNDS, CONNECTIONS, SECONDS),
                                              ("down", BULK_ROUNDS, 1, BULK_SECONDS),
                                              ("up", BULK_ROUNDS, 1, BULK_SECONDS)):
        for number in range(rounds):
            turn = arms if way == "get" else arms[:3]
            for arm in turn if number % 2 == 0 else reversed(turn):
                arm.add(way, arm.load(there, way, connections, seconds))
    report_requests(arms)
    report_bulk(arms[:3])


def say_rates(arms, way, name, unit, targets):
    ours, *others = arms
    for arm in arms:
        rates = [run["rate"] for run in arm.runs[way]]
        say(f"{arm.name}_{name}", statistics.median(rates), unit, "more", lowest=min(rates), highest=max(rates))
    for arm in others:
        ratios = [a["rate"] / b["rate"] for a, b in zip(ours.runs[way], arm.runs[way])]
        target = {"target": targets[arm.name]} if arm.name in targets else {}
        say(f"{name}_to_{arm.name}", statistics.median(ratios), "x", "more", lowest=min(ratios),
            highest=max(ratios), **target)


def bars(arm):
    """The latencies of all runs: how many there are in each bar of the histogram."""
    return [sum(counts) for counts in zip(*(run["bars"] for run in arm.runs["get"]))]


def step_share(arm):
    width, counts = arm.runs["get"][0]["bar_ms"], bars(arm)
    return 100 * sum(counts[STEP_MS[0] // width:STEP_MS[1] // width]) / sum(counts)


def report_requests(arms):
    say_rates(arms, "get", "requests", "1/s", {"nNT": 6, "session": 1})
    for arm in arms:
        for key in "p50", "p99":
            say(f"{arm.name}_{key}", arm.median("get", lambda run: run[key]), "ms", "less")
        target = {"target": 0.1} if arm.name == "lane" else {}
        say(f"{arm.name}_40ms_step", step_share(arm), "%", "less", bar_ms=arm.runs["get"][0]["bar_ms"],
            bars=bars(arm), **target)
        for part in arm.parts:
            cpu = arm.median("get", lambda run: run["cpu"][part] * 1e6 / run["requests"])
            say(f"{arm.name}_cpu_{part}", cpu, "us/request", "less")


def report_bulk(arms):
    for way in "down", "up":
        say_rates(arms, way, way, "MB/s", {"nNT": 0.9, "session": 0.9})
        for arm in arms:
            for part in arm.parts:
                cpu = arm.median(way, lambda run: run["cpu"][part] * 1e9 / run["bytes"])
                say(f"{arm.name}_{way}_cpu_{part}", cpu, "s/GB", "less")


# ---- a first request over a long line ----


def first_byte_ms(connect):
    """From the moment that a visitor is there to the first byte for it."""
    began = time.monotonic()
    sock = connect()
    sock.settimeout(WAIT_S)
    if not sock.recv(1):
        raise Failed("lane_bench: no answer to a first request")
    took = (time.monotonic() - began) * 1000
    sock.close()
    return took


def connect_to(port):
    sock = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
    sock.sendall(REQUEST)
    return sock


def measure_round_trips(there):
    folder = there.folder / "line"
    folder.mkdir()
    line = there.ends.enter_context(Line(folder))
    line.start([(chain.ADDRESS, there.ssh_port)], listen=f"{chain.ADDRESS}:0", delay=f"{DELAY_MS}ms")
    _, (lane,) = there.join("far", 1, port=line.port())
    warm = open_streams([lane], FIRST_REQUESTS)
    say_round_trips("lane", [first_byte_ms(lambda: stream.use(REQUEST).sock) for stream in warm], target=0.1)
    for name, how in SSH_ARMS.items():
        _, (port,) = there.start_ssh(f"far_{name}", *how, port=line.port())
        say_round_trips(name, [first_byte_ms(lambda: connect_to(port)) for _ in range(FIRST_REQUESTS)])


def say_round_trips(name, took_ms, **target):
    say(f"{name}_first_request", statistics.median(took_ms) / (2 * DELAY_MS) - 1, "extra RTT", "less", **target)


# ---- memory ----


def page_over(stream):
    """Reads one whole answer."""
    answer = b""
    while len(answer) < len(PAGE) or not answer.endswith(PAGE):
        data = stream.sock.recv(65536)
        if not data:
            raise Failed("lane_bench: a stream ended in its answer")
        answer += data


def abort_batch(lane, n):
    """Ends streams where they are: not yet dialled, half asked, half answered, or in a long upload."""
    streams = open_streams([lane], n)
    upload = b"POST /page HTTP/1.1\r\nHost: bench.localhost\r\nContent-Length: 1000000\r\n\r\n" + bytes(65536)
    for i, stream in enumerate(streams):
        stream.use((b"", REQUEST[:20], REQUEST, upload)[i % 4])
    lane.conn.sendall(b"".join(b'{"type":"abort","stream":"%s"}\n' % stream.id.hex().encode() for stream in streams))
    for stream in streams:
        with contextlib.suppress(ConnectionResetError):
            while stream.sock.recv(65536):
                pass  # until the agent has closed the channel
        stream.close()


def wait_calm(pid):
    """Until what has ended is cleared away: the memory of a second ago is that of now."""
    before = -1
    for _ in range(10):
        now = chain.private_mb(pid)
        if now == before:
            break
        before = now
        time.sleep(1)
    return now


def measure_memory(there):
    agent, lanes = there.join("memory", 2, lanes="")
    boot = lanes[0].boot
    warm = [stream for lane in lanes for stream in open_streams([lane], 2)]
    say("agent_private_idle", wait_calm(agent.pid), "MB", "less", target=4)

    streams = open_streams(lanes, STREAMS)
    for stream in streams:
        stream.use(REQUEST)
    for stream in streams:
        page_over(stream)
    until = time.monotonic() + WAIT_S  # so many streams make the agent open all of its lanes
    while sum(lane.up and lane.boot == boot for lane in there.relay.lanes) < 8 and time.monotonic() < until:
        time.sleep(0.1)
    say("agent_private_1000_streams", wait_calm(agent.pid), "MB", "less", target=20)
    for stream in streams:
        stream.close()
    say("agent_private_after_streams", wait_calm(agent.pid), "MB", "less", target=4)

    for _ in range(ABORTED_BEFORE // BATCH):
        abort_batch(lanes[0], BATCH)
    before = wait_calm(agent.pid)
    for _ in range(ABORTED // BATCH):
        abort_batch(lanes[0], BATCH)
    after = wait_calm(agent.pid)
    say("agent_private_after_10000_aborted", after, "MB", "less")
    say("agent_growth_by_10000_aborted", after - before, "MB", "less", target=0.5)
    for stream in warm:
        stream.close()


# ---- traffic of an idle lane ----


def traffic(there, pid):
    """Bytes on the line of an agent's one connection to sshd, headers included, both ways."""
    lines = chain.run("ss", "-tinpOH", "dst", f"{chain.ADDRESS}:{there.ssh_port}").splitlines()
    counted = dict(re.findall(r"(\w+):(\d+)", next(line for line in lines if f"pid={pid}," in line)))
    return sum(int(counted[key]) * weight for key, weight in TRAFFIC.items())


def start_idle(there):
    """A real relay and one lane. Says what it cost when it is called again, after a minute."""
    there.start_relay()
    pid = there.start_agent("idle").pid
    time.sleep(3)  # its warm streams are open
    measured = []

    def measure():
        before, began = traffic(there, pid), time.monotonic()
        time.sleep(IDLE_SECONDS)
        measured.append((traffic(there, pid) - before) / (time.monotonic() - began))

    thread = threading.Thread(target=measure, daemon=True)
    thread.start()

    def report():
        thread.join()
        say("idle_traffic_hour", measured[0] * 3600 / 1e3, "kB", "less")
        say("idle_traffic_day", measured[0] * 86400 / 1e6, "MB", "less", target=10)

    return report


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end as well
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))  # each of many streams needs some
    build = pathlib.Path(os.environ["BUILD"])
    chain.look_for(build)
    with tempfile.TemporaryDirectory(prefix="tunnel-bench.") as name, Bench(build, name) as there:
        there.begin()
        report_idle = start_idle(there)
        measure_round_trips(there)
        measure_memory(there)
        measure_side_by_side(there)
        report_idle()


main()
