"""Many visitors at once: ten thousand who do nothing, and five hundred who download while everything about the relay changes."""

from __future__ import annotations

import random
import resource
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fake_agent import FakeAgent
from http1 import content_sha256
from path import DOMAIN, WholePath, fronts, new_key, private_kb
from programs import PATIENCE_S, limit, wait_until
from test_descriptors import assert_rests
from visitor import connect, context, request_bytes
from website import Site
from x509 import make_pair, shown

IDLE = 10_000
# From 3.2 on OpenSSL has an object for each direction of a connection, with room for 32 records at once that only
# hardware fills: 4.4 kB each, and no way to have them smaller. All its memory is 13.8 kB with 3.0, 21.3 kB with 3.5.
IDLE_KB = 20 if ssl.OPENSSL_VERSION_INFO < (3, 2) else 24
DOWNLOADS, RELOADS, SIZE = 500, 200, 100_000


# ---- idle ----


@pytest.fixture
def front(fronts, started):
    started.append(Site())
    made = fronts("other.test")
    made.relay.conf.write_text(f"{made.relay.conf.read_text()}[domain {DOMAIN}]\nupstream = 127.0.0.1:{started[0].port}\n")
    made.start_relay()
    return made


@pytest.fixture
def many_descriptors():
    """Two thirds of what one process may have are enough for the idle ones, on either side."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE * 3 // 2:
        pytest.skip(f"needs {IDLE * 3 // 2} descriptors in one process, and the hard limit (ulimit -Hn) is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def become_idle(front, tls, session, n):
    """A TLS connection, one in ten of which has been answered already. What is left of it here is its descriptor."""
    plain = socket.socket()
    plain.settimeout(PATIENCE_S)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # leaves no port behind
    plain.bind((f"127.1.{n // 250}.{n % 250 + 1}", 0))
    plain.connect(("127.0.0.1", front.port))
    made = tls.wrap_socket(plain, server_hostname=DOMAIN, session=session)
    if n % 10 == 0:
        made.sendall(request_bytes("GET", DOMAIN, "/bytes/1"))
        assert made.recv(100).startswith(b"HTTP/1.1 200 OK")
    return made.detach()


def test_10000_idle_connections(front, many_descriptors):
    sanitized = not front.relay.memory_kb
    wanted, tls = IDLE // 5 if sanitized else IDLE, context(front.root)
    with front.visitor(tls=tls) as visitor:
        assert visitor.ask("GET", "/bytes/1").status == 200
        session = visitor.socket.session
    before, began = private_kb(front.relay.pid), time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        idle = list(pool.map(lambda n: become_idle(front, tls, session, n), range(wanted)))
    try:
        print(f"{wanted} connections in {time.monotonic() - began:.1f} s")
        assert front.relay.descriptors >= wanted
        each_kb = (private_kb(front.relay.pid) - before) / wanted
        print(f"the relay's private memory per idle TLS connection: {each_kb:.1f} kB")
        assert sanitized or each_kb <= IDLE_KB
        began = time.monotonic()
        assert {front.visit("GET", "/bytes/1000").status for _ in range(20)} == {200}
        assert time.monotonic() - began < limit(2)
        assert_rests(front.relay.pid)
    finally:
        for fd in idle:
            socket.socket(fileno=fd).close()
    wait_until(lambda: front.relay.descriptors < 100, "all have gone")
    assert front.visit().status == 200


# ---- changes ----


@pytest.fixture
def path(daemons, started, folder):
    made = WholePath(daemons, started, folder, lanes=2, workers=2)
    yield made
    made.close()


def download_all_the_time(path, tls, n, together, stop):
    """On one connection, until told to stop. Returns how many were whole and right."""
    expected, times = content_sha256(SIZE, n), 0
    with path.visitor(tls=tls) as visitor:
        together.wait(PATIENCE_S)
        while not stop.is_set():
            visitor.send(request_bytes("GET", DOMAIN, f"/bytes/{SIZE}/{n}"))
            reply = visitor.reply()
            assert (reply.status, reply.body.sha256) == (200, expected)
            times += 1
            time.sleep(random.uniform(0, 2))  # one in several is in flight at any time, and there are many
    return times


def another_agent(path, folder):
    """A lane that comes and goes, beside those that carry the downloads."""
    key = new_key(folder, "other_key")
    path.relay.conf.write_text(f"{path.relay.conf.read_text()}[agent other]\nkey = {key}\ndomains = b.test\n")
    assert path.relay.post("/v1/reload").status == 200
    return FakeAgent(path.lane_socket, ["b.test"], name="other")


def change(path, plain, pairs, n):
    """Another configuration each time: access log, certificate, headers, and who may connect."""
    pair = pairs[n % 2]
    logged = f"access_log = {path.relay.folder / 'access.txt'}\n" if n % 3 else ""
    text = plain.replace("[relay]\n", f"[relay]\n{logged}tls_profile = {('intermediate', 'modern')[n % 5 == 0]}\n")
    site = "" if n % 4 == 3 else f"[domain {DOMAIN}]\ncert_file = {pair.cert}\nkey_file = {pair.key}\n"
    path.relay.conf.write_text(f"{text}{site}")
    reply = path.relay.post("/v1/reload")
    assert reply.status == 200, reply


def test_200_changes_under_500_downloads(path, started, folder):
    pairs = [make_pair(folder, name, [DOMAIN]) for name in ("first", "second")]
    other = another_agent(path, folder)
    started.append(other)
    plain, tls = path.relay.conf.read_text(), context(path.root)
    together, stop = threading.Barrier(DOWNLOADS + 1), threading.Event()
    with ThreadPoolExecutor(DOWNLOADS) as pool:
        visitors = [pool.submit(download_all_the_time, path, tls, n, together, stop) for n in range(DOWNLOADS)]
        try:
            together.wait(PATIENCE_S)
            for n in range(RELOADS):
                if n % 20 == 5:
                    other.start()
                if n % 20 == 15:
                    other.leave()
                change(path, plain, pairs, n)
                assert not any(visitor.done() for visitor in visitors), [v.exception() for v in visitors if v.done()]
            wait_until(lambda: len(path.site.seen) > 3 * DOWNLOADS, "all have downloaded")
        finally:
            stop.set()
            together.abort()
        times = [visitor.result() for visitor in visitors]
    print(f"{sum(times)} downloads of {SIZE} bytes, {RELOADS} reloads")
    assert min(times) > 0
    change(path, plain, pairs, 0)
    wait_until(lambda: shown(path.port, DOMAIN) == pairs[0].der, "the last certificate is shown")
    assert path.lane_states().count("up") >= 2
