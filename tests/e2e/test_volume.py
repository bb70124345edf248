"""Large and many: every byte arrives, and memory stays where it was."""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from far_path import LONG
from http1 import content, content_sha256
from path import path, private_kb
from programs import PATIENCE_S, wait_until

MB = 1_000_000
MAY_GROW_KB = 16 * 1024
IN_KERNEL = 100 * MB  # what sockets of three connections in a row may hold; how much is the kernel's own choice


# ---- every byte ----


@pytest.mark.parametrize("kind", ["bytes", "chunked", "until-close"])
@pytest.mark.parametrize("size", [0, 1, 1024, 3 * MB])
def test_downloads(path, size, kind):
    reply = path.visit("GET", f"/{kind}/{size}/7")
    assert (reply.body.size, reply.body.sha256) == (size, content_sha256(size, 7))
    assert reply.body.trailers == (b"X-Sum: right\r\n" if kind == "chunked" else b"")


def test_100_mb_down(path):
    reply = path.visit("GET", f"/bytes/{100 * MB}/1")
    assert (reply.body.size, reply.body.sha256) == (100 * MB, content_sha256(100 * MB, 1))


def upload(visitor, target, size, seed=0, chunked=False):
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    visitor.send(f"PUT {target} HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n\r\n")
    for piece in content(size, seed):
        visitor.send_chunk(piece) if chunked else visitor.send(piece)
    visitor.send("0\r\n\r\n" if chunked else "")
    return visitor.reply("PUT")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 1024, 3 * MB])
def test_uploads(path, size, chunked):
    with path.visitor() as visitor:
        assert upload(visitor, "/echo", size, 7, chunked).status == 200
    (seen,) = path.site.seen
    assert (seen.body.size, seen.body.sha256) == (size, content_sha256(size, 7))


def test_100_mb_up(path):
    with path.visitor() as visitor:
        assert upload(visitor, "/echo", 100 * MB, 2).status == 200
    assert path.site.seen[0].body.sha256 == content_sha256(100 * MB, 2)


# ---- many ----


def test_100_requests_at_once(path):
    """Each asks for another content, and sends another one, while all the others do."""
    together = threading.Barrier(100)

    def visit(n):
        with path.visitor() as visitor:
            together.wait(PATIENCE_S)
            down = visitor.ask("GET", f"/chunked/{n * 1777}/{n}")
            up = upload(visitor, f"/echo/{n}", n * 1999, 1000 + n)
            assert (down.status, down.body.size, down.body.sha256) == (200, n * 1777, content_sha256(n * 1777, n))
            expected = f"{n * 1999} {content_sha256(n * 1999, 1000 + n)}\n"
            assert up.body.data.startswith(b"PUT /echo/%d HTTP/1.1" % n) and up.body.data.endswith(expected.encode())

    with ThreadPoolExecutor(100) as pool:
        list(pool.map(visit, range(100)))
    assert len(path.site.seen) == 200


def test_100_requests_reuse_a_connection(path):
    with path.visitor() as visitor:
        for n in range(100):
            assert visitor.ask("GET", f"/bytes/{n}").body.size == n
    assert path.site.connections <= 2


def test_100_visitors_reuse_a_connection(path):
    for n in range(100):
        assert path.visit("GET", f"/bytes/{n}").body.size == n
    assert path.site.connections <= 2


# ---- slow ones ----


class Memory:
    """How much the processes along the path have grown."""

    def __init__(self, path):
        # A sanitizer keeps what was freed, so under one there is nothing to see in our own programs.
        ours = {"relay": path.relay.pid, "agent": path.agent.pid} if path.relay.memory_kb else {}
        self.pids = {**ours, "sshd": path.session().sshd}
        self.before = {name: private_kb(pid) for name, pid in self.pids.items()}

    def check(self):
        grown = {name: private_kb(pid) - self.before[name] for name, pid in self.pids.items()}
        assert all(kb < MAY_GROW_KB for kb in grown.values()), f"grown by kB: {grown}"


def wait_stuck(sent):
    """Until nothing has moved for half a second."""
    last = [-1, time.monotonic()]

    def stands():
        now = sent()
        if now != last[0]:
            last[:] = now, time.monotonic()
        return time.monotonic() - last[1] > 0.5

    wait_until(stands, "backpressure stops the sender")
    return sent()


def test_a_slow_reader_holds_no_memory(path):
    path.visit("GET", f"/bytes/{MB}")
    memory = Memory(path)
    with path.visitor() as visitor:
        visitor.send(f"GET /bytes/{200 * MB}/3 HTTP/1.1\r\nHost: a.test\r\n\r\n")
        head, digest = visitor.head(), hashlib.sha256()
        for _ in range(3):
            for _ in range(5 * MB // 1000):
                digest.update(visitor.exactly(1000))
            assert wait_stuck(lambda: path.site.sent) < IN_KERNEL
            memory.check()
        body = visitor.body(head._replace(fields=[("Content-Length", str(185 * MB))]), "GET")
        assert body.size == 185 * MB
    memory.check()


def test_a_slow_site_holds_no_memory(path):
    path.visit("GET", f"/bytes/{MB}")
    memory, sent = Memory(path), 0

    def send(visitor):
        nonlocal sent
        visitor.send(f"PUT /slow-read HTTP/1.1\r\nHost: a.test\r\nContent-Length: {200 * MB}\r\n\r\n")
        for piece in content(200 * MB, 4):
            visitor.send(piece)
            sent += len(piece)

    with path.visitor() as visitor, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send, visitor)
        assert wait_stuck(lambda: sent) < IN_KERNEL
        memory.check()
        path.site.gate.set()
        assert visitor.reply("PUT").status == 200
        sending.result()
    memory.check()
    assert path.site.seen[-1].body.sha256 == content_sha256(200 * MB, 4)


def test_a_reader_who_pauses_gets_all_of_a_last_answer(path):
    """The connection ends behind it, and he is given the time that he needs."""
    size = 20 * MB
    with path.visitor() as visitor:
        visitor.send(f"GET /bytes/{size}/5 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        assert visitor.head()
        digest = hashlib.sha256(visitor.exactly(size - 3 * MB // 2))
        time.sleep(4)
        digest.update(visitor.exactly(3 * MB // 2))
    assert digest.hexdigest() == content_sha256(size, 5)


def test_a_visitor_who_leaves_in_mid_upload_is_noticed(path):
    path.site.gate.set()
    with path.visitor() as visitor:
        visitor.send(f"PUT /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: {MB}\r\n\r\n" + "x" * 1000)
        wait_until(lambda: path.status()["lanes"][0]["streams"] == 1, "it is on its way")
    wait_until(lambda: path.status()["lanes"][0]["streams"] == 0, "the stream is given up")


# ---- very large ----


@pytest.mark.parametrize("size", [500 * MB, pytest.param(10_000 * MB, marks=pytest.mark.skipif(
    not LONG, reason="takes minutes; E2E_LONG=1"))])
def test_huge_ones_both_ways_at_once_in_little_memory(path, size):
    path.visit("GET", f"/bytes/{MB}")
    memory, over = Memory(path), threading.Event()

    def sample():
        while not over.wait(0.2):
            memory.check()

    def download():
        with path.visitor() as visitor:
            return visitor.ask("GET", f"/bytes/{size}/8")

    def upload_it():
        with path.visitor() as visitor:
            return upload(visitor, "/echo", size, 9)

    with ThreadPoolExecutor(3) as pool:
        sampling, down, up = pool.submit(sample), pool.submit(download), pool.submit(upload_it)
        try:
            assert (down.result().body.size, down.result().body.sha256) == (size, content_sha256(size, 8))
            assert up.result().status == 200
        finally:
            over.set()
        sampling.result()
    assert path.site.seen[-1].body.sha256 == content_sha256(size, 9)
