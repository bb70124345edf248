"""HTTP/2 under load while the relay is reloaded and restarted, and while lanes and the agent come and go: no request fails."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from http1 import content_sha256
from http2 import Visitor2
from path import DOMAIN, WholePath
from programs import PATIENCE_S, environment, need, wait_until
from test_http2 import visitor

MB = 1_000_000
AT_ONCE = 10  # requests of one connection


@pytest.fixture
def whole(daemons, started, folder):
    made = WholePath(daemons, started, folder, lanes=2, workers=2, park="60s")
    yield made
    made.close()


def h2load(front, n, target, clients=4, streams=25):
    """How many of n were answered rightly."""
    done = subprocess.run([need("h2load"), "-n", str(n), "-c", str(clients), "-m", str(streams), f"--connect-to=127.0.0.1:{front.port}",
                           f"https://{DOMAIN}:{front.port}{target}"], capture_output=True, text=True, timeout=PATIENCE_S * 5, check=False)
    assert done.returncode == 0, done
    succeeded, failed, errored, timeout = map(int, re.search(
        r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", done.stdout).groups())
    assert (failed, errored, timeout) == (0, 0, 0) and f"{succeeded} 2xx" in done.stdout, done.stdout
    return succeeded


class Load:
    """Visitors who ask all the time, by HTTP/2. Who hears of an end asks nothing new there, takes what is under way, and
    comes again; so nobody has a reason to fail."""

    def __init__(self, front, visitors=3, may_break=False):
        """may_break: an answer that has begun, when its lane dies."""
        self.may_break = may_break
        self.front, self.over, self.answers, self.connections = front, threading.Event(), 0, 0
        self.pool = ThreadPoolExecutor(visitors)
        self.visitors = [self.pool.submit(self._come_again, seed) for seed in range(visitors)]

    def _come_again(self, seed):
        while not self.over.is_set():
            self.connections += 1
            with visitor(self.front) as v:
                self._ask(v, seed)

    def _ask(self, v, seed):
        waiting, n = {}, 0
        while waiting or not (self.over.is_set() or v.goaways):
            while len(waiting) < AT_ONCE and not v.goaways and not self.over.is_set():
                n += 1
                size = n * 997 % 20_000
                upload = n % 3 == 0
                stream = v.ask("PUT", "/echo", (), b"x" * size) if upload else v.ask("GET", f"/bytes/{size}/{seed}")
                waiting[stream] = None if upload else content_sha256(size, seed)
            assert v.hear() or not waiting, (v.goaways, waiting)
            for stream in [s for s in waiting if v.replies[s].ended or v.replies[s].reset is not None]:
                reply, wanted = v.replies.pop(stream), waiting.pop(stream)
                assert reply.fields and reply.status == 200, (stream, reply.reset, reply.fields)
                broken = reply.reset is not None
                assert not broken or self.may_break and not reply.ended, (stream, reply.reset)
                assert broken or wanted in (None, reply.sha256)
                self.answers += not broken

    def goes_on(self, n=50):
        """Until there are so many more answers."""
        before = self.answers
        wait_until(lambda: self.answers >= before + n or self.failed(), "there are answers")
        self.check()

    def failed(self):
        return any(v.done() for v in self.visitors)

    def check(self):
        for v in self.visitors:
            if v.done():
                v.result()

    def __enter__(self):
        self.goes_on()
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        self.pool.shutdown()
        if not kind:
            self.check()


def test_h2load_50_by_10(whole):
    """Of a hundred thousand requests not one fails; a sanitizer takes its time, and gets a tenth."""
    n = 100_000 if whole.relay.memory_kb else 10_000
    assert h2load(whole, n, "/bytes/100", clients=50, streams=10) == n


def test_200_reloads(whole):
    over = threading.Event()

    def load():
        total = 0
        while not over.is_set():
            total += h2load(whole, 500, "/bytes/2000")
        return total

    with ThreadPoolExecutor(1) as pool, Load(whole, 1) as steady:
        loaded = pool.submit(load)
        try:
            for n in range(200):
                whole.relay.conf.write_text(re.sub("max_uri = .*\n", "", whole.relay.conf.read_text()).replace(
                    "park = 60s\n", f"park = 60s\nmax_uri = {8192 + n}\n"))
                assert whole.relay.post("/v1/reload").status == 200
                assert not loaded.done()
        finally:
            over.set()
        assert loaded.result() >= 500
        assert steady.connections == 1, "nobody had to come again"


def test_10_restarts(whole):
    with Load(whole) as load:
        for _ in range(10):
            wait_until(lambda: whole.lane_states() == ["up"] * 2 and whole.status()["domains"][0]["parked"] == 0, "nobody waits")
            whole.relay.stop()
            whole.start_relay()
            load.goes_on()


def test_node_and_restarts(whole):
    """Node's http2 module: it hears of the end in time, and asks again elsewhere."""
    node = subprocess.Popen([need("node"), Path(__file__).with_name("clients.js"), "http2again"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=environment(PORT=str(whole.port), NODE_EXTRA_CA_CERTS=str(whole.root)))
    try:
        for _ in range(10):
            before = len(whole.site.seen)
            wait_until(lambda: len(whole.site.seen) > before + 100 or node.poll() is not None, "it asks")
            wait_until(lambda: whole.lane_states() == ["up"] * 2 and whole.status()["domains"][0]["parked"] == 0, "nobody waits")
            whole.relay.stop()
            whole.start_relay()
        out, err = node.communicate(timeout=PATIENCE_S)
    finally:
        node.kill()
    assert node.returncode == 0, err
    seen = json.loads(out)
    assert seen["answers"] > 1000 and seen["sessions"] > 10, seen


def test_lanes_that_die(whole):
    wait_until(lambda: len(whole.sessions()) == 2, "there are two lanes")
    with Load(whole, may_break=True) as load:
        for _ in range(5):
            os.kill(whole.sessions()[0].sshd, signal.SIGTERM)
            load.goes_on()
            wait_until(lambda: len(whole.sessions()) == 2, "there are two lanes again")


def test_an_agent_that_comes_and_goes(whole):
    with Load(whole) as load:
        for _ in range(5):
            whole.agent.stop()
            whole.start_agent()
            load.goes_on()


def test_a_download_across_everything_but_its_lane(whole):
    """A long one goes on while the others come and go."""
    with Visitor2(whole.port, whole.root, DOMAIN) as v, Load(whole, 1):
        stream = v.ask("GET", f"/bytes/{100 * MB}/7")
        for n in range(20):
            whole.relay.conf.write_text(re.sub("max_uri = .*\n", "", whole.relay.conf.read_text()).replace(
                "park = 60s\n", f"park = 60s\nmax_uri = {8192 + n}\n"))
            assert whole.relay.post("/v1/reload").status == 200
            assert v.hear()
        assert v.reply(stream).sha256 == content_sha256(100 * MB, 7)
