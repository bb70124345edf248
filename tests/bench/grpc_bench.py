"""Unary calls of gRPC through the whole path: ours, and nginx's grpc_pass with ssh -R.

  tunnel   h2load, TLS, tunnel-relay, sshd, tunnel-agent, origin
  session  h2load, TLS, nginx that keeps its connections, sshd, ssh -R beside a command that runs, origin
  nNT      the same with ssh -R -nNT

The origin is nghttpd, which speaks HTTP/2 without TLS and ends each answer with grpc-status. All stand all the time and
take turns; what counts are the ratios within a run. A call that fails has status 200 as well, but no message, so the
bytes of all messages are compared. CPU time is per call. 50x10 is 50 visitors with 10 calls at once each.

Prints one JSON object a line, as daemon_bench.py does. $BUILD is the folder of the programs."""

import functools
import os
import pathlib
import signal
import statistics
import sys
import tempfile

import chain
import visitors
from visitors import cpu, rate

METHOD = "bench.Echo/Say.grpc"
MESSAGE = bytes(range(100))
CALL = "content-type: application/grpc", "te: trailers"
LOADS = (1, 1, 1000), (1, 100, 10000), (50, 10, 10000)  # connections, calls at once on each, and in all
ROUNDS = 6
# Our calls/s, times those of that arm. One call at a time takes both nearly as long, and the scheduler decides.
TARGETS = {("1x100", "session"): 1.0, ("50x10", "session"): 1.0}

say = functools.partial(visitors.say, "grpc")


class Arm(visitors.Arm):
    def asked(self):
        """What h2load and nghttp are told, so that each request is a call."""
        body = self.there.folder / "call"
        body.write_bytes(chain.grpc_message(MESSAGE))
        return [f"-d{body}", *(f"-H{header}" for header in CALL)]

    def check(self):
        """An answer must be one of gRPC, and end with its status."""
        authority = f"-H:authority: {chain.DOMAIN}:{self.port}"
        said = chain.run("nghttp", "-nv", "--no-dep", *self.asked(), authority,
                         f"https://{chain.ADDRESS}:{self.port}/{METHOD}")
        wanted = ":status: 200", "content-type: application/grpc", "grpc-status: 0", "The negotiated protocol: h2"
        missing = [word for word in wanted if word not in said]
        if missing:
            raise chain.Failed(f"{chain.BENCH}: {self.name}: an answer without {', '.join(missing)}:\n{said}")

    def call(self, connections, streams, calls):
        """What h2load saw, with how long the calls took, in milliseconds."""
        log = self.there.folder / "calls"
        log.unlink(missing_ok=True)
        seen = self.h2load(connections, streams, calls, *self.asked(), f"--log-file={log}", path=METHOD)
        wanted = calls * len(chain.grpc_message(MESSAGE))
        if seen["body_bytes"] != wanted:
            raise chain.Failed(f"{chain.BENCH}: {self.name}: {seen['body_bytes']} bytes of messages instead of {wanted}")
        took = sorted(int(line.split()[2]) / 1e3 for line in log.read_text().splitlines())
        seen["p50"], seen["p99"] = took[len(took) // 2], took[len(took) * 99 // 100]
        return seen


def start(there):
    """The arms. Each begins with a session of its own in the one sshd."""
    origin = there.start_grpc_origin(METHOD, MESSAGE)
    there.make_keys()
    there.make_certificate()
    there.start_sshd()

    relay, port = there.start_relay()
    agent, session = there.new_session(lambda: there.start_agent(scheme="h2c"))
    parts = {"relay": [relay.pid], "sshd": session, "agent": [agent.pid], "origin": [origin.pid]}
    yield Arm(there, "tunnel", port, parts)

    for name, how in ("session", ["-T", chain.ADDRESS, "exec cat"]), ("nNT", ["-nNT", chain.ADDRESS]):
        (ssh, (house,)), session = there.new_session(lambda: there.start_ssh(name, *how))
        front, port = there.start_grpc_front(f"{name}_nginx", f"127.0.0.1:{house}")
        parts = {"nginx": [front.pid], "sshd": session, "ssh": [ssh.pid], "origin": [origin.pid]}
        yield Arm(there, name, port, parts)


def warm(arm, connections, streams):
    """Opens what the load needs, by and by: behind a port of ssh -R 128 connections may wait to be taken, not 500."""
    for some in (*range(10, connections, 10), connections):
        arm.call(some, streams, 5 * some * streams)


def measure(arms):
    for arm in arms:
        arm.check()
    for connections, streams, calls in LOADS:  # the fewest first: what ssh does takes longer for each connection kept
        for arm in arms:
            warm(arm, connections, streams)
        for number in range(ROUNDS):
            for arm in arms if number % 2 == 0 else reversed(arms):
                arm.add(f"{connections}x{streams}", arm.call(connections, streams, calls))


def report(arms):
    ours, *others = arms
    for what in ours.runs:
        for arm in arms:
            rates = [rate(run) for run in arm.runs[what]]
            say(f"{arm.name}_{what}_calls", statistics.median(rates), "1/s", "more", lowest=min(rates), highest=max(rates))
        for arm in others:
            ratios = [rate(a) / rate(b) for a, b in zip(ours.runs[what], arm.runs[what])]
            target = {"target": TARGETS[what, arm.name]} if (what, arm.name) in TARGETS else {}
            say(f"{what}_to_{arm.name}", statistics.median(ratios), "x", "more", lowest=min(ratios), highest=max(ratios),
                **target)
    for what in ours.runs:
        for arm in arms:
            for key in "p50", "p99":
                say(f"{arm.name}_{what}_{key}", arm.median(what, lambda run: run[key]), "ms", "less")
            say(f"{arm.name}_{what}_cpu", arm.median(what, cpu), "us", "less")
            for part in arm.parts:
                say(f"{arm.name}_{what}_cpu_{part}", arm.median(what, lambda run: run["cpu"][part]), "us", "less")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end as well
    build = pathlib.Path(os.environ["BUILD"])
    chain.look_for(build)
    with tempfile.TemporaryDirectory(prefix="tunnel-bench.") as name, chain.Chain(build, name) as there:
        arms = list(start(there))
        measure(arms)
        report(arms)


main()
