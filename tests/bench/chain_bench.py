"""The whole path at 1 KiB and keep-alive: ours, and the recipe by hand, as it is written everywhere and tuned.

  tunnel   wrk, TLS, tunnel-relay, sshd, tunnel-agent with the two lanes that it has by default, origin
  session  wrk, TLS, nginx that keeps its connections, sshd, ssh -R beside a command that runs, origin
  nNT      the same with ssh -R -nNT
  recipe   wrk, TLS, nginx with a plain proxy_pass, sshd, ssh -R -nNT, origin

All of them stand all the time and take turns; what counts are the ratios within a run. `alone` is one visitor
instead of 64. CPU time and system calls are per request; strace slows what it looks at, so its tables show
fewer but fuller polls than there are without it.

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
from visitors import VISITORS, Arm, cpu, rate

PAGE = bytes(range(256)) * 4
ROUNDS = 6
SECONDS = 3
ALONE_ROUNDS = 3  # of one second, with one visitor
TARGETS = {"session": 1.0, "nNT": None, "recipe": 5.0}  # our requests/s, times those of that arm

say = functools.partial(visitors.say, "chain")


def start(there):
    """The arms. Each begins with a session of its own in the one sshd."""
    origin = there.start_origin(PAGE)
    there.make_keys()
    there.make_certificate()
    there.start_sshd()

    relay, port = there.start_relay()
    agent, session = there.new_session(lambda: there.start_agent(lanes="", up=2))
    parts = {"relay": [relay.pid], "sshd": session, "agent": [agent.pid], "origin": [origin.pid]}
    yield Arm(there, "tunnel", port, parts)

    beside, alone = ["-T", chain.ADDRESS, "exec cat"], ["-nNT", chain.ADDRESS]
    for name, how, tuned in (("session", beside, True), ("nNT", alone, True), ("recipe", alone, False)):
        (ssh, (house,)), session = there.new_session(lambda: there.start_ssh(name, *how))
        front, port = there.start_front(f"{name}_nginx", f"127.0.0.1:{house}", tuned)
        parts = {"nginx": [front.pid], "sshd": session, "ssh": [ssh.pid], "origin": [origin.pid]}
        yield Arm(there, name, port, parts)


def measure(arms):
    visitors.check_all(arms, PAGE)
    for arm in arms:
        arm.load(VISITORS, 1)  # everything is open and warm
    for _ in range(ROUNDS):
        for arm in arms:
            arm.add("all", arm.load(VISITORS, SECONDS))
    for _ in range(ALONE_ROUNDS):
        for arm in arms:
            arm.add("alone", arm.load(1, 1))


def report(arms):
    ours, *others = arms
    for arm in arms:
        rates = [rate(run) for run in arm.runs["all"]]
        spread = {"lowest": min(rates), "highest": max(rates)}
        say(f"{arm.name}_requests", statistics.median(rates), "1/s", "more", **spread)
    for arm in others:
        ratios = [rate(a) / rate(b) for a, b in zip(ours.runs["all"], arm.runs["all"])]
        spread = {"lowest": min(ratios), "highest": max(ratios)}
        say(f"ratio_to_{arm.name}", statistics.median(ratios), "x", "more", target=TARGETS[arm.name], **spread)
    for arm in arms:
        for name, runs in (arm.name, "all"), (f"{arm.name}_alone", "alone"):
            for key in "p50", "p99":
                say(f"{name}_{key}", arm.median(runs, lambda run: run[key]), "ms", "less")
    for arm in arms:
        say(f"{arm.name}_cpu", arm.median("all", cpu), "us", "less")
        for part in arm.parts:
            say(f"{arm.name}_cpu_{part}", arm.median("all", lambda run: run["cpu"][part]), "us", "less",
                system_share=arm.system_share(part))


def report_calls(arms):
    for arm in arms:
        for part in arm.parts:
            try:
                calls = arm.system_calls(part)
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
        arms = list(start(there))
        measure(arms)
        report(arms)
        report_calls(arms)


main()
