"""Raw TCP through the whole path, beside ssh -R: small messages back and forth, and bulk both ways.

  tunnel   laneload, a port of tunnel-relay ([tcp NAME]), sshd, tunnel-agent, origin
  session  laneload, sshd, ssh -R beside a command that runs, origin
  nNT      laneload, sshd, ssh -R -nNT, origin

The ports of ssh -R are sshd's own, so the tunnel has one process more on its way. All stand all the time and take turns;
what counts are the ratios within a run. `alone` is one visitor instead of 64. Every byte that comes back is compared.

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
from loads import Arm, start_bulk

PAGE = bytes(range(256)) * 4
VISITORS = 64
PLAN = (("all", "get", VISITORS, 6, 1.2), ("alone", "get", 1, 4, 0.7), ("down", "down", 1, 6, 0.7),
        ("up", "up", 1, 6, 0.7))  # what it is called, the way, visitors, rounds, seconds of each
SSH_ARMS = {"session": ("-T", chain.ADDRESS, "exec cat"), "nNT": ("-nNT", chain.ADDRESS)}

say = functools.partial(visitors.say, "tcp")


def start(there):
    origin = there.start_origin(PAGE)
    bulk = start_bulk(there)
    there.make_keys()
    there.start_sshd()

    ports = {chain.free_port(): there.origin_port, chain.free_port(): bulk}
    relay, _ = there.start_relay(f"""
[agent pi]
key = {(there.folder / "agent_key.pub").read_text().strip()}
domains = {chain.DOMAIN}
tcp_ports = {" ".join(map(str, ports))}
""")
    agent, session = there.new_session(lambda: there.start_agent(ports=ports))
    get, down = ([f"{chain.ADDRESS}:{port}"] for port in ports)
    yield Arm("tunnel", get, down, {"relay": [relay.pid], "sshd": session, "agent": [agent.pid]})

    for name, how in SSH_ARMS.items():
        services = (there.origin_port, bulk)
        (ssh, given), session = there.new_session(lambda: there.start_ssh(name, *how, services=services))
        get, down = ([f"127.0.0.1:{port}"] for port in given)
        yield Arm(name, get, down, {"ssh": [ssh.pid], "sshd": session})
    assert origin.poll() is None


def wait_open(arm):
    """The agent is up before its claim is answered."""
    for target in (arm.targets["get"] + arm.targets["down"]):
        chain.wait_answers(int(target.rpartition(":")[2]))


def measure(there, arms):
    wait_open(arms[0])
    for arm in arms:
        arm.load(there, "get", VISITORS, 0.5)  # everything is open and warm
    for what, way, connections, rounds, seconds in PLAN:
        for number in range(rounds):
            for arm in arms if number % 2 == 0 else reversed(arms):
                arm.add(what, arm.load(there, way, connections, seconds))


def report(arms):
    ours, *others = arms
    for what, way, *_ in PLAN:
        unit, name = ("1/s", f"{what}_round_trips") if way == "get" else ("MB/s", what)
        for arm in arms:
            rates = [run["rate"] for run in arm.runs[what]]
            say(f"{arm.name}_{name}", statistics.median(rates), unit, "more", lowest=min(rates), highest=max(rates))
        for arm in others:
            ratios = [a["rate"] / b["rate"] for a, b in zip(ours.runs[what], arm.runs[what])]
            say(f"{name}_to_{arm.name}", statistics.median(ratios), "x", "more", lowest=min(ratios),
                highest=max(ratios))
    for what, way, *_ in PLAN:
        for arm in arms:
            if way == "get":
                for key in "p50", "p99":
                    say(f"{arm.name}_{what}_{key}", arm.median(what, lambda run: run[key]), "ms", "less")
            for part in arm.parts:
                if way == "get":
                    cost = arm.median(what, lambda run: run["cpu"][part] * 1e6 / run["requests"])
                    say(f"{arm.name}_{what}_cpu_{part}", cost, "us", "less")
                else:
                    cost = arm.median(what, lambda run: run["cpu"][part] * 1e9 / run["bytes"])
                    say(f"{arm.name}_{what}_cpu_{part}", cost, "s/GB", "less")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end as well
    build = pathlib.Path(os.environ["BUILD"])
    chain.look_for(build)
    with tempfile.TemporaryDirectory(prefix="tunnel-bench.") as name, chain.Chain(build, name) as there:
        arms = list(start(there))
        measure(there, arms)
        report(arms)


main()
