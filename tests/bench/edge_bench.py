"""The edge beside nginx and HAProxy: TLS 1.3 to visitors, kept connections to an origin on the same machine, no tunnel.

  relay    one worker, a site with `upstream`
  nginx    one process, with 64 connections to the origin kept
  haproxy  one thread, http-reuse always

All have the same certificate, set the same headers, and write no access log. They stand all the time and take turns; what
counts are the ratios within a run. CPU time is the server's alone, from the kernel. Memory is private, of connections that
have each made one request and now do nothing.

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
from visitors import VISITORS, Arm, cpu

PAGE = bytes(range(256)) * 4
ROUNDS, SECONDS = 5, 1
VISIT_ROUNDS = 11  # whose cost is nearly all OpenSSL's: what is between the arms is little, and drowns in less
H2_LOADS = (1, 100), (50, 10)  # connections, and requests at once on each
H2_REQUESTS = 20000
THREADS = 8  # of visitors that come anew each time: the server is busy all the while
BULK_MB = 256
HELD, HELD_KB = 5000, 16

say = functools.partial(visitors.say, "edge")


def start(there):
    """The arms, in front of one origin with /page, /bulk to fetch and /echo to send to."""
    echo = chain.free_port()
    there.start("echosite", [there.build / "echosite", f"{chain.ADDRESS}:{echo}"], lambda: chain.answers(echo))
    there.start_origin(PAGE, f"""
                location /echo {{
                    proxy_pass http://{chain.ADDRESS}:{echo};
                    proxy_http_version 1.1;
                    proxy_request_buffering off;
                }}""")
    with open(there.folder / "site" / "bulk", "wb") as bulk:
        bulk.truncate(BULK_MB << 20)
    there.make_certificate()
    origin = f"{chain.ADDRESS}:{there.origin_port}"
    relay, port = there.start_relay(f"""
[domain {chain.DOMAIN}]
upstream = {origin}
cert_file = {there.folder}/nginx.pem
key_file = {there.folder}/nginx.key
""")
    yield Arm(there, "relay", port, {"relay": [relay.pid]})
    for name, begin in ("nginx", functools.partial(there.start_front, "nginx")), ("haproxy", there.start_haproxy):
        server, port = begin(origin)
        yield Arm(there, name, port, {name: [server.pid]})


def in_turns(arms, what, play, rounds=ROUNDS):
    for _ in range(rounds):
        for arm in arms:
            arm.add(what, play(arm))


def report(arms, what, name, unit, key, better="less", against=True):
    """The median of each arm, and of our ratio to nginx in the same round, which is to be 1 or better."""
    ours, nginx = arms[:2]
    for arm in arms:
        say(f"{arm.name}_{name}", arm.median(what, key), unit, better)
    if against:
        ratios = [key(a) / key(b) for a, b in zip(ours.runs[what], nginx.runs[what])]
        spread = {"lowest": min(ratios), "highest": max(ratios)}
        say(f"{name}_to_nginx", statistics.median(ratios), "x", better, target=1.0, **spread)


def each_cpu_us(run):
    return cpu(run) * 1e6 / run["connections"]


def each_cpu_second(run):
    return run["connections"] / cpu(run)


def each_second(run):
    return run["connections"] / run["seconds"]


def measure_requests(arms):
    in_turns(arms, "kept", lambda arm: arm.load(VISITORS, SECONDS))
    report(arms, "kept", "request_cpu", "us", cpu)
    for how in "full", "resumed":
        in_turns(arms, f"visit {how}", lambda arm: arm.tlsload("visit", how, THREADS, SECONDS), VISIT_ROUNDS)
        report(arms, f"visit {how}", f"request_{how}_cpu", "us", each_cpu_us)


def measure_http2(arms):
    for connections, streams in H2_LOADS:
        what = f"{connections}x{streams}"
        in_turns(arms, what, lambda arm: arm.h2load(connections, streams, H2_REQUESTS))
        report(arms, what, f"http2_{what}_cpu", "us", cpu)


def measure_handshakes(arms):
    for how in "full", "resumed":
        in_turns(arms, f"greet {how}", lambda arm: arm.tlsload("greet", how, THREADS, SECONDS))
        report(arms, f"greet {how}", f"handshakes_{how}", "1/s", each_second, "more", against=False)
        report(arms, f"greet {how}", f"handshakes_{how}_each_cpu_s", "1/s", each_cpu_second, "more", against=False)


def measure_bulk(arms):
    for way in "down", "up":
        in_turns(arms, way, lambda arm: arm.tlsload(way, BULK_MB))
        report(arms, way, f"{way}_cpu", "s/GB", lambda run: cpu(run) * 1e9 / run["bytes"])


def measure_memory(arms):
    for arm in arms:
        target = {"target": HELD_KB} if arm is arms[0] else {}
        say(f"{arm.name}_idle_memory", arm.held_kb(HELD), "KB", "less", **target)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end as well
    build = pathlib.Path(os.environ["BUILD"])
    chain.look_for(build)
    with tempfile.TemporaryDirectory(prefix="tunnel-bench.") as name, chain.Chain(build, name) as there:
        arms = list(start(there))
        visitors.check_all(arms, PAGE)
        for arm in arms:
            arm.load(VISITORS, 1)  # everything is open and warm
        measure_memory(arms)
        measure_requests(arms)
        measure_http2(arms)
        measure_handshakes(arms)
        measure_bulk(arms)


main()
