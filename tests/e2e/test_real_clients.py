"""curl, wrk, Node's fetch and http, the ws package and Python's http.client through the whole chain. Chromium has a
file of its own, test_chromium.py."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from http1 import TCP_CLOSE, content, content_sha256
from path import houses
from programs import environment, need, unavailable, wait_until
from stacks import nginx
from upgraded import WebSockets
from visitor import context, request_bytes

MB = 1_000_000
PATIENCE_S = 300
TEXT = "".join(f"line {n} of a text that is worth compressing\n" for n in range(5000))
FILES = """
    root {folder}/files;
    gzip on;
    gzip_types text/plain;
    gzip_min_length 100;
    default_type text/plain;
    absolute_redirect off;
    location = /old {{ return 301 /text; }}
    location = /file {{ default_type application/octet-stream; }}
    location = /head {{ add_header Set-Cookie one=1; add_header Set-Cookie two=2; return 204; }}
"""
FILE_BYTES = 5 * MB


@pytest.fixture
def files(started, folder):
    """nginx, with a text that it compresses and a file that it serves in parts."""
    (folder / "files").mkdir()
    (folder / "files" / "text").write_text(TEXT)
    (folder / "files" / "file").write_bytes(b"".join(content(FILE_BYTES, 9)))
    started.append(nginx(folder, FILES.format(folder=folder)))
    return started[-1]


@pytest.fixture
def house(houses, files):
    return houses({"nginx.test": files.url})


# ---- curl ----


class Curl:
    def __init__(self, house, folder, version):
        names = ("a.test", "nginx.test")
        self.version = version
        self.command = [need("curl"), "-sS", f"--http{version}", "--cacert", house.root, "--max-time", str(PATIENCE_S),
                        *(word for name in names for word in ("--resolve", f"{name}:{house.port}:127.0.0.1"))]
        self.port, self.folder = house.port, folder

    def url(self, path, name="a.test"):
        return f"https://{name}:{self.port}{path}"

    def __call__(self, *arguments, stdin=b"", code=0):
        done = subprocess.run([*self.command, *map(str, arguments)], input=stdin, capture_output=True,
                              timeout=PATIENCE_S)
        assert done.returncode == code, f"curl ended with {done.returncode}: {done.stderr.decode()}"
        return done.stdout

    def head(self, *arguments, **how):
        """Status, fields (in lower case, the last answer's, without trailers) and body."""
        body = self("-D", self.folder / "head", *arguments, **how)
        heads = (self.folder / "head").read_bytes().decode().lower().split("\r\n\r\n")
        first, *lines = [head for head in heads if head.startswith("http/")][-1].split("\r\n")
        return int(first.split()[1]), [tuple(line.split(": ", 1)) for line in lines], body


@pytest.fixture(params=["1.1", "2"])
def curl(request, house, folder):
    """Each of its tests with both, but where it is told otherwise."""
    return Curl(house, folder, request.param)


def test_curl_keeps_its_connection(house, curl):
    urls = [curl.url(f"/{kind}/{n}00000/{n}") for n in range(1, 6) for kind in ("bytes", "chunked")]
    outs = [curl.folder / f"out{n}" for n in range(len(urls))]
    told = curl("-w", "%{http_code} %{http_version} %{num_connects}\n",
                *(word for url, out in zip(urls, outs) for word in ("-o", out, url)))
    assert told.decode().splitlines() == [f"200 {curl.version} 1"] + [f"200 {curl.version} 0"] * 9
    for n, out in enumerate(outs):
        seed = n // 2 + 1
        assert hashlib.sha256(out.read_bytes()).hexdigest() == content_sha256(seed * 100_000, seed)


def test_curl_many_at_once(house, curl):
    outs = {n: curl.folder / f"out{n}" for n in range(50)}
    curl("--parallel", "--parallel-max", "50", "--parallel-immediate",
         *(word for n, out in outs.items() for word in ("-o", out, curl.url(f"/bytes/{n * 17_777}/{n}"))))
    for n, out in outs.items():
        assert hashlib.sha256(out.read_bytes()).hexdigest() == content_sha256(n * 17_777, n)


@pytest.mark.parametrize("how", [["-0"], ["--tls-max", "1.2"], ["--tlsv1.3"],
                                 ["-H", "Connection: close"]], ids=" ".join)
def test_curl_speaks(house, curl, how):
    """Whatever it offers, an answer of unknown length arrives whole, and the service sees the same request."""
    status, fields, body = curl.head(*how, curl.url("/chunked/100000/5"))
    assert status == 200 and hashlib.sha256(body).hexdigest() == content_sha256(100_000, 5)
    assert (("transfer-encoding", "chunked") in fields) == (how != ["-0"] and curl.version == "1.1"), "nobody else knows chunks"
    seen = house.site.seen[-1].head
    assert seen.first == "GET /chunked/100000/5 HTTP/1.1" and seen.get("host") == f"a.test:{house.port}"
    assert seen.get("user-agent").startswith("curl/") and seen.get("accept") == "*/*"
    assert (seen.get("x-forwarded-proto"), seen.get("x-forwarded-for")) == ("https", "127.0.0.1")


@pytest.mark.parametrize("how", [["-T", "{file}"], ["-T", "-"], ["--data-binary", "@{file}"],
                                 ["-H", "Expect:", "-T", "{file}"], ["-0", "-T", "{file}"]], ids=" ".join)
def test_curl_uploads(house, curl, how):
    data = b"".join(content(20 * MB, 3))
    file = curl.folder / "data"
    file.write_bytes(data)
    status, fields, body = curl.head(*(word.format(file=file) for word in how), curl.url("/echo"), stdin=data)
    assert status == 200 and body.endswith(f"{len(data)} {hashlib.sha256(data).hexdigest()}\n".encode())
    assert house.site.seen[-1].head.method == ("POST" if "--data-binary" in how else "PUT")


def test_curl_sends_a_form(house, curl):
    """-F makes a multipart body; what the service gets has the parts, byte for byte."""
    data = bytes(range(256)) * 1000
    (curl.folder / "data").write_bytes(data)
    curl("-F", "name=Ünï", "-F", f"file=@{curl.folder}/data", curl.url("/echo"))
    seen = house.site.seen[-1]
    assert seen.head.get("content-type").startswith("multipart/form-data; boundary=")
    assert data in seen.body.data and "Ünï".encode() in seen.body.data


def test_curl_asks_for_parts(house, curl):
    file = b"".join(content(FILE_BYTES, 9))
    url = curl.url("/file", "nginx.test")
    status, fields, body = curl.head("-r", "1000-1999", url)
    assert (status, body) == (206, file[1000:2000])
    assert ("content-range", f"bytes 1000-1999/{FILE_BYTES}") in fields and ("content-length", "1000") in fields
    assert curl("-r", "-5", url) == file[-5:]
    status, fields, body = curl.head("-r", "0-9,100-109", url)
    assert status == 206 and file[:10] in body and file[100:110] in body
    assert dict(fields)["content-type"].startswith("multipart/byteranges")
    assert curl.head("-r", f"{FILE_BYTES}-", url)[0] == 416
    out = curl.folder / "part"
    out.write_bytes(file[:2 * MB])
    curl("-C", "-", "-o", out, url)  # goes on where it stopped
    assert out.read_bytes() == file


def test_curl_compressed(house, curl):
    url = curl.url("/text", "nginx.test")
    status, fields, body = curl.head("--compressed", url)
    assert (status, body.decode()) == (200, TEXT)
    assert ("content-encoding", "gzip") in fields and (curl.version == "2" or ("transfer-encoding", "chunked") in fields)
    raw = curl("-H", "Accept-Encoding: gzip", url)
    assert len(raw) < len(TEXT) / 5 and gzip.decompress(raw).decode() == TEXT
    status, fields, body = curl.head(url)
    assert body.decode() == TEXT and "content-encoding" not in dict(fields)


def test_curl_asks_only_for_what_is_new(house, curl):
    url, tag = curl.url("/file", "nginx.test"), curl.folder / "etag"
    assert curl("--etag-save", tag, "-w", "%{http_code}", "-o", "/dev/null", url) == b"200"
    status, fields, body = curl.head("--etag-compare", tag, url)
    assert (status, body) == (304, b"") and dict(fields)["etag"] == tag.read_text().strip()
    two = curl("-w", "%{http_code} %{num_connects}\n", "-H", f"If-None-Match: {tag.read_text().strip()}", url, url)
    assert two.decode().splitlines() == ["304 1", "304 0"], "behind a 304 the connection goes on"


def test_curl_follows_and_looks(house, curl):
    assert curl("-L", "-w", "%{url_effective} %{num_redirects}", "-o", "/dev/null",
                curl.url("/old", "nginx.test")) == curl.url("/text", "nginx.test").encode() + b" 1"
    status, fields, _ = curl.head("-I", curl.url("/file", "nginx.test"))
    assert status == 200 and ("content-length", str(FILE_BYTES)) in fields
    status, fields, body = curl.head(curl.url("/head", "nginx.test"))
    assert (status, body) == (204, b"") and "content-length" not in dict(fields)
    assert [value for name, value in fields if name == "set-cookie"] == ["one=1", "two=2"]


def test_curl_knows_a_broken_answer(house, curl):
    curl(curl.url("/broken/100000"), "-o", "/dev/null", code={"1.1": 56, "2": 92}[curl.version])  # a reset, of the connection or of the stream
    for size in (100_000, 3 * MB):  # it sees its answer before the rest of its request is refused
        assert curl("-w", "%{http_code}", "-o", "/dev/null", curl.url("/early"), "--data-binary", "@-", stdin=b"x" * size) == b"413"


# ---- wrk ----

CHECK = """
local wrong = 0
function setup(thread) threads = threads or {}; table.insert(threads, thread) end
function init() right = "%s"; wrong_here = 0 end
function response(status, headers, body)
    if status ~= 200 or body ~= right then wrong_here = wrong_here + 1 end
end
function done(summary, latency, requests)
    for _, thread in ipairs(threads) do wrong = wrong + thread:get("wrong_here") end
    local e = summary.errors
    io.write(string.format("COUNTS %%d %%d %%d\\n", summary.requests, wrong,
        e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def start_wrk(house, folder, seconds, connections=32):
    """On /small, and looks at every answer. wrk finds names by /etc/hosts alone, so it gets one that nobody else sees."""
    (folder / "files" / "small").write_text("x" * 1024)
    (folder / "check.lua").write_text(CHECK % ("x" * 1024))
    (folder / "hosts").write_text("127.0.0.1 nginx.test localhost\n")
    line = f'mount --bind {folder}/hosts /etc/hosts && exec "$0" "$@"'
    private = [need("unshare"), "-m", "-r", "sh", "-c", line]
    if subprocess.run([*private, "true"], capture_output=True).returncode != 0:
        pytest.skip("needs a mount namespace of its own")
    return subprocess.Popen([*private, need("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "-s", folder / "check.lua",
                             f"https://nginx.test:{house.port}/small"], stdout=subprocess.PIPE, text=True)


def served(wrk):
    """How many requests, of which each got the right answer."""
    out = wrk.communicate(timeout=PATIENCE_S)[0]
    requests, wrong, errors = map(int, re.search(r"COUNTS (\d+) (\d+) (\d+)", out).groups())
    assert (wrong, errors) == (0, 0), out
    return requests


def test_wrk(house, files, folder):
    requests = served(start_wrk(house, folder, 2))
    assert requests > 200
    logged = (folder / "access.log").read_text().count('"GET /small HTTP/1.1" 200 1024')
    assert requests <= logged <= requests + 32, "one request each, and those that the end of wrk has cut off"


def test_many_short_requests_keep_together_on_one_lane(houses, files, folder):
    """Also when some beside them last."""
    house, streams, listeners = houses({"nginx.test": files.url}, lanes=2), Counter(), []
    with start_wrk(house, folder, 5) as wrk:
        time.sleep(2)
        while wrk.poll() is None:
            if len(listeners) < 8:
                listeners.append(house.visitor())
                listeners[-1].send(request_bytes("GET", "a.test", "/events"))
            streams.update({n: lane["streams"] for n, lane in enumerate(house.status()["lanes"])})
            time.sleep(0.3)
        a_second = served(wrk) // 5
    for listener in listeners:
        listener.break_off()
    if a_second < 2000:
        pytest.skip(f"this machine serves only {a_second} requests a second: not many")
    assert len(streams) == 2 and max(streams.values()) > 0.8 * streams.total(), streams


def cpu_ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_who_comes_keeps_off_a_lane_that_stands_still(houses, files, folder):
    """What was under way on it has to wait."""
    house = houses({"nginx.test": files.url}, lanes=2)
    with start_wrk(house, folder, 20, connections=6) as first:
        time.sleep(1.5)
        home = max((session.sshd for session in house.sessions()), key=cpu_ticks)
        os.kill(home, signal.SIGSTOP)
        try:
            time.sleep(1)
            with start_wrk(house, folder, 4, connections=6) as others:
                time.sleep(2)
                streams = [lane["streams"] for lane in house.status()["lanes"]]
                served(others)
        finally:
            os.kill(home, signal.SIGCONT)
            first.terminate()
    assert max(streams) <= 6, f"{streams}: six wait on that lane, and nobody else"


# ---- Node ----


def ask_node(house, question):
    done = subprocess.run([need("node"), Path(__file__).with_name("clients.js"), question], capture_output=True,
                          text=True, timeout=PATIENCE_S,
                          env=environment(PORT=str(house.port), NODE_EXTRA_CA_CERTS=str(house.root),
                                          NODE_PATH="/usr/share/nodejs"))
    if "Cannot find module 'ws'" in done.stderr:
        unavailable("node-ws is not installed; run: sh scripts/setup test")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_node_fetch(house):
    seen = ask_node(house, "fetch")
    for seed, kind in enumerate(("down", "chunked", "close"), 1):
        assert seen[kind] == [200, 3 * MB, content_sha256(3 * MB, seed)], kind
    assert "X-Mine: yes\r\n" in seen["echo"].replace("x-mine", "X-Mine") and "a=1; b=2" in seen["echo"]
    assert seen["head"] == [200, 0, hashlib.sha256().hexdigest()]
    assert seen["up"].endswith(f"\n{2 * MB} {seen['sent']}\n")
    assert seen["stream"].endswith(f"\n{3 * MB} {seen['streamed']}\n")
    assert "transfer-encoding: chunked" in seen["stream"].lower()
    assert "multipart/form-data" in seen["form"] and int(seen["form"].split()[-2]) > 2 * MB
    assert seen["many"] == [[200, n * 1777, content_sha256(n * 1777, n)] for n in range(60)]
    assert seen["broken"] == "TypeError" and seen["after"] == 200


def test_node_fetch_of_nginx(house):
    seen = ask_node(house, "nginx")
    assert (seen["coding"], seen["vary"]) == ("gzip", None)
    assert seen["text"] == hashlib.sha256(TEXT.encode()).hexdigest()
    assert seen["again"] == [304, 0] and seen["tag"] is True
    file = b"".join(content(FILE_BYTES, 9))
    assert seen["range"] == f"bytes 1000-1999/{FILE_BYTES}"
    assert seen["part"] == [206, 1000, hashlib.sha256(file[1000:2000]).hexdigest()]
    assert seen["moved"] == f"https://nginx.test:{house.port}/text"


def test_node_http_reuses_its_connection(house):
    assert ask_node(house, "agent") == {"right": 100, "sockets": 1}
    assert len(house.site.seen) == 100


def test_node_ws(houses, started):
    server = WebSockets()
    started.append(server)
    seen = ask_node(houses({"ws.test": server.url}), "ws")
    assert seen["protocol"] == "second" and "permessage-deflate" in seen["extensions"]
    assert seen["texts"] == [True] * 3 and seen["binary"] and seen["pong"] == "are you there"
    assert seen["theirs"] == [4001, "as you wish"] and seen["ours"] == [4002, "good bye"]
    assert seen["broken"] == 1006 and seen["refused"] == 200
    wait_until(lambda: len(server.closed) == 3, "the server has seen all ends")
    assert server.closed[1:] == [(4002, "good bye"), (1006, "")]


# ---- Python ----


def test_http_client(house):
    connection = http.client.HTTPSConnection("a.test", house.port, context=context(house.root, alpn=()),
                                             timeout=PATIENCE_S)
    connection._create_connection = lambda _address, *how: http.client.socket.create_connection(
        ("127.0.0.1", house.port), *how)

    def ask(method, target, body=None, **how):
        connection.request(method, target, body, **how)
        reply = connection.getresponse()
        return reply, reply.read()

    reply, body = ask("GET", "/bytes/1000000/4")
    socket_ = connection.sock
    assert reply.status == 200 and hashlib.sha256(body).hexdigest() == content_sha256(MB, 4)
    reply, body = ask("GET", "/chunked/1000000/5")
    assert reply.chunked and hashlib.sha256(body).hexdigest() == content_sha256(MB, 5)
    reply, body = ask("HEAD", "/bytes/777")
    assert (reply.length, reply.getheader("Content-Length"), body) == (0, "777", b"")
    _, body = ask("PUT", "/echo", content(3 * MB, 6))  # an iterable: it goes in chunks
    assert body.endswith(f"{3 * MB} {content_sha256(3 * MB, 6)}\n".encode())
    _, body = ask("POST", "/echo", b"x" * 100_000, headers={"X-Mine": "yes"})
    assert body.endswith(f"100000 {hashlib.sha256(b'x' * 100_000).hexdigest()}\n".encode()) and b"X-Mine: yes" in body
    assert connection.sock is socket_, "all on one connection"
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):  # 3.11 takes a reset for an end, 3.13 does not
        ask("GET", "/broken/1000")
    assert socket_.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_CLOSE, "a reset"
