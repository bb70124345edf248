"""The whole path at 1 KiB and keep-alive: ours, and the recipe by hand with and without a session channel.

  tunnel   wrk, TLS, tunnel-relay, sshd, tunnel-agent, origin
  session  wrk, TLS, nginx, sshd, ssh -R beside a command that runs, origin
  nNT      wrk, TLS, nginx, sshd, ssh -R -nNT, origin

All three stand all the time and take turns; what counts are the ratios within a run. `alone` is one visitor
instead of 64. CPU time and system calls are per request; strace slows what it looks at, so its tables show
fewer but fuller polls than there are without it.

Prints one JSON object a line, as daemon_bench.py does. $BUILD is the folder of the programs."""

import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import statistics
import sys
import tempfile

import chain

PAGE = bytes(range(256)) * 4
ROUNDS = 6
SECONDS = 3
VISITORS = 64
ALONE_ROUNDS = 3  # of one second, with one visitor

WRK_SCRIPT = """
wrk.resolve = function(_, port) wrk.addrs = wrk.lookup("%s", port) end
function done(summary, latency)
    local e = summary.errors
    print(string.format('{"requests": %%d, "seconds": %%f, "errors": %%d, "p50": %%f, "p99": %%f}',
        summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.timeout + e.status,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


class Arm:
    """One way from wrk to the origin: its port, and by name the processes on it."""

    def __init__(self, name, port, parts):
        self.name, self.port, self.parts = name, port, parts
        self.runs, self.alone = [], []

    def check(self):
        """The page must come through whole, twice over one connection. Says how it was encrypted."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection((chain.ADDRESS, self.port), timeout=20) as sock, \
                context.wrap_socket(sock, server_hostname=chain.DOMAIN) as visitor:
            for _ in range(2):
                visitor.sendall(f"GET /page HTTP/1.1\r\nHost: {chain.DOMAIN}\r\n\r\n".encode())
                answer = http.client.HTTPResponse(visitor)
                answer.begin()
                page = answer.read()
                if answer.status != 200 or page != PAGE:
                    raise chain.Failed(f"chain_bench: {self.name} brings, with status {answer.status}, "
                                       f"{len(page)} bytes that are not the page")
            return visitor.version(), visitor.cipher()[0]

    def load(self, script, visitors, seconds):
        """What wrk saw, and the CPU time that it cost each part."""
        before = {part: chain.cpu_seconds(pids) for part, pids in self.parts.items()}
        report = chain.run("wrk", "-t1", f"-c{visitors}", f"-d{seconds}s", "-s", script,
                           f"https://{chain.DOMAIN}:{self.port}/page")
        seen = json.loads(report.splitlines()[-1])
        if seen["errors"] or not seen["requests"]:
            raise chain.Failed(f"chain_bench: {self.name}: wrk counts errors:\n{report}")
        seen["cpu"] = {part: (chain.cpu_seconds(pids) - before[part]) * 1e6 / seen["requests"]
                       for part, pids in self.parts.items()}
        return seen

    def system_share(self, part):
        """How much of its time the kernel spent for it, since it started."""
        own, system = chain.ticks(self.parts[part])
        return system / max(own + system, 1)

    def system_calls(self, script, part, folder):
        """Per request, by name, while strace looks at this one part."""
        with chain.strace(self.parts[part], folder / "calls") as table:
            requests = self.load(script, VISITORS, 2)["requests"]
        return {name: calls / requests for name, calls in table.items()}


def say(name, value, unit, better, **more):
    row = {"name": f"chain_{name}", "value": value, "unit": unit, "better": better, **more}
    print(json.dumps(rounded(row)), flush=True)


def rounded(value):
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return round(value, 3) if isinstance(value, float) else value


def start(there):
    """The arms. Each begins with a session of its own in the one sshd."""
    origin = there.start_origin(PAGE)
    there.make_keys()
    there.make_certificate()
    there.start_sshd()

    relay, port = there.start_relay()
    agent, session = there.new_session(there.start_agent)
    parts = {"relay": [relay.pid], "sshd": session, "agent": [agent.pid], "origin": [origin.pid]}
    yield Arm("tunnel", port, parts)

    for name, how in (("session", ["-T", chain.ADDRESS, "exec cat"]), ("nNT", ["-nNT", chain.ADDRESS])):
        (ssh, (house,)), session = there.new_session(lambda: there.start_ssh(name, *how))
        front, port = there.start_front(f"{name}_nginx", house)
        parts = {"nginx": [front.pid], "sshd": session, "ssh": [ssh.pid], "origin": [origin.pid]}
        yield Arm(name, port, parts)


def measure(arms, script):
    ways = {arm.name: arm.check() for arm in arms}
    if len(set(ways.values())) > 1:
        raise chain.Failed(f"chain_bench: visitors are not encrypted alike: {ways}")
    for arm in arms:
        arm.load(script, VISITORS, 1)  # everything is open and warm
    for _ in range(ROUNDS):
        for arm in arms:
            arm.runs.append(arm.load(script, VISITORS, SECONDS))
    for _ in range(ALONE_ROUNDS):
        for arm in arms:
            arm.alone.append(arm.load(script, 1, 1))


def median(runs, key):
    return statistics.median(key(run) for run in runs)


def rate(run):
    return run["requests"] / run["seconds"]


def report(arms):
    ours, *others = arms
    for arm in arms:
        rates = [rate(run) for run in arm.runs]
        spread = {"lowest": min(rates), "highest": max(rates)}
        say(f"{arm.name}_requests", statistics.median(rates), "1/s", "more", **spread)
    for arm in others:
        ratios = [rate(a) / rate(b) for a, b in zip(ours.runs, arm.runs)]
        spread = {"lowest": min(ratios), "highest": max(ratios)}
        say(f"ratio_to_{arm.name}", statistics.median(ratios), "x", "more", **spread)
    for arm in arms:
        for name, runs in (arm.name, arm.runs), (f"{arm.name}_alone", arm.alone):
            for key in "p50", "p99":
                say(f"{name}_{key}", median(runs, lambda run: run[key]), "ms", "less")
    for arm in arms:
        say(f"{arm.name}_cpu", median(arm.runs, lambda run: sum(run["cpu"].values())), "us", "less")
        for part in arm.parts:
            say(f"{arm.name}_cpu_{part}", median(arm.runs, lambda run: run["cpu"][part]), "us", "less",
                system_share=arm.system_share(part))


def report_calls(arms, script, folder):
    for arm in arms:
        for part in arm.parts:
            try:
                calls = arm.system_calls(script, part, folder)
            except PermissionError as why:
                print(f"chain_bench: the calls of {part} cannot be counted: {why}", file=sys.stderr)
                continue
            most = {name: n for name, n in sorted(calls.items(), key=lambda item: -item[1]) if n >= 0.01}
            say(f"{arm.name}_calls_{part}", sum(calls.values()), "/request", "less", calls=most)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end as well
    build = pathlib.Path(os.environ["BUILD"])
    chain.look_for(build)
    with tempfile.TemporaryDirectory(prefix="tunnel-bench.") as name, chain.Chain(build, name) as there:
        script = there.write("wrk.lua", WRK_SCRIPT % chain.ADDRESS)
        arms = list(start(there))
        measure(arms, script)
        report(arms)
        report_calls(arms, script, there.folder)


main()
