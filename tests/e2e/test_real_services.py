"""Services as people run them, behind the whole chain: what each stack does must arrive as if nothing were between."""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import pytest

from far_path import lined
from http1 import content
from path import houses
from programs import need
from sshd import free_port
from stacks import Stack, nginx

MB = 1_000_000
FILE = b"".join(content(2 * MB, 1))
TEXT = b"".join(b"line %d of a text that is worth compressing\n" % n for n in range(2000))

# ---- the stacks: each serves ./file and ./text, and answers POST /app with the size and the hash of the body ----

FILES_AND_APP = """
import hashlib, http.server, sys

class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = sys.argv[2]

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        data = f"{len(body)} {hashlib.sha256(body).hexdigest()} {self.headers['X-Forwarded-Proto']}".encode()
        self.send_response(201)
        self.send_header("Set-Cookie", "one=1")
        self.send_header("Set-Cookie", "two=2")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

http.server.ThreadingHTTPServer.request_queue_size = 64  # with its 5 the kernel resets some of a crowd
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
WSGI = """
import hashlib, os, sys, wsgiref.simple_server

def app(environ, start):
    cookies = [("Set-Cookie", "one=1"), ("Set-Cookie", "two=2")]
    if environ["REQUEST_METHOD"] == "POST":
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start("201 Created", cookies)
        return [f"{len(body)} {hashlib.sha256(body).hexdigest()} {environ['HTTP_X_FORWARDED_PROTO']}".encode()]
    name = environ["PATH_INFO"].lstrip("/")
    if not os.path.exists(name):
        start("404 Not Found", [])
        return [b"there is no ", name.encode()]
    start("200 OK", [("Content-Type", "application/octet-stream")])  # no length: it ends with the connection
    return iter(lambda file=open(name, "rb"): file.read(65536), b"")

wsgiref.simple_server.WSGIServer.request_queue_size = 64  # with its 5 the kernel resets some of a crowd
wsgiref.simple_server.make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""
PHP = """<?php
$name = ltrim(parse_url($_SERVER["REQUEST_URI"], PHP_URL_PATH), "/");
if ($_SERVER["REQUEST_METHOD"] == "POST") {
    $body = file_get_contents("php://input");
    http_response_code(201);
    header("Set-Cookie: one=1", false);
    header("Set-Cookie: two=2", false);
    echo strlen($body), " ", hash("sha256", $body), " ", $_SERVER["HTTP_X_FORWARDED_PROTO"];
} elseif (is_file($name)) {
    readfile($name);
} else {
    http_response_code(404);
    echo "there is no $name";
}
"""
NODE = """
const crypto = require("crypto"), fs = require("fs"), http = require("http");
http.createServer((asked, reply) => {
    if (asked.method === "POST") {
        const digest = crypto.createHash("sha256");
        let size = 0;
        asked.on("data", (piece) => { digest.update(piece); size += piece.length; });
        asked.on("end", () => {
            reply.writeHead(201, { "Set-Cookie": ["one=1", "two=2"] });
            reply.end(`${size} ${digest.digest("hex")} ${asked.headers["x-forwarded-proto"]}`);
        });
    } else if (fs.existsSync("." + asked.url)) {
        fs.createReadStream("." + asked.url).pipe(reply);
    } else {
        reply.writeHead(404).end(`there is no ${asked.url}`);
    }
}).listen(Number(process.argv[1]), "127.0.0.1");
"""


def script(text, *arguments):
    return lambda port: [sys.executable, "-c", text, port, *arguments]


STACKS = {
    "http.server, HTTP/1.0": script(FILES_AND_APP, "HTTP/1.0"),
    "http.server, HTTP/1.1": script(FILES_AND_APP, "HTTP/1.1"),
    "wsgiref": script(WSGI),
    "PHP": lambda port: [need("php"), "-S", f"127.0.0.1:{port}", "router.php"],
    "Node": lambda port: [need("node"), "-e", NODE, "--", port],
}


@pytest.fixture
def behind(houses, started, folder):
    """behind("PHP") is the house with this service at s.test."""

    def make(stack):
        own = folder / "service"
        own.mkdir()
        (own / "file").write_bytes(FILE)
        (own / "text").write_bytes(TEXT)
        (own / "router.php").write_text(PHP)
        port = free_port()
        started.append(Stack("service", STACKS[stack](port), port, own))
        return houses({"s.test": started[-1].url})

    return make


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack(behind, stack):
    """On one connection of the visitor's, whatever becomes of the service's."""
    house = behind(stack)
    with house.visitor("s.test") as visitor:
        for _ in range(3):
            for name, data in (("file", FILE), ("text", TEXT)):
                reply = visitor.ask("GET", f"/{name}")
                assert (reply.status, reply.body.size) == (200, len(data))
                assert reply.body.sha256 == hashlib.sha256(data).hexdigest()
            for body in (b"", b"a=1&b=%C3%BC", FILE):
                reply = visitor.ask("POST", "/app", "Content-Type: application/octet-stream\r\n", body)
                told = f"{len(body)} {hashlib.sha256(body).hexdigest()} https"
                assert (reply.status, reply.body.data.decode()) == (201, told)
                assert reply.head.all("set-cookie") == ["one=1", "two=2"]
            assert visitor.ask("GET", "/nothing").status == 404
            assert visitor.ask("HEAD", "/file").body.size == 0


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_with_many_visitors(behind, stack):
    house = behind(stack)

    def visit(n):
        body = FILE[:n * 5000]
        reply = house.visit("POST", "/app", body=body, name="s.test")
        assert reply.body.data.decode() == f"{len(body)} {hashlib.sha256(body).hexdigest()} https"
        reply = house.visit("GET", "/file", name="s.test")
        assert reply.body.sha256 == hashlib.sha256(FILE).hexdigest()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(visit, range(32)))


# ---- what a visitor must not ask twice for ----

CACHED = """
    root {folder}/files;
    default_type text/plain;
    client_max_body_size 1k;
    location /down {{ return 503 "come back\\n"; add_header Retry-After 7 always; }}
"""


def test_conditions_and_parts_of_nginx(houses, started, folder):
    (folder / "files").mkdir()
    (folder / "files" / "text").write_bytes(TEXT)
    started.append(nginx(folder, CACHED.format(folder=folder)))
    house = houses({"s.test": started[-1].url})
    with house.visitor("s.test") as visitor:
        first = visitor.ask("GET", "/text")
        tag, date = first.head.get("etag"), first.head.get("last-modified")
        for fields, status, size in [
                (f"If-None-Match: {tag}\r\n", 304, 0), (f"If-Modified-Since: {date}\r\n", 304, 0),
                ('If-None-Match: "other"\r\n', 200, len(TEXT)), ('If-Match: "other"\r\n', 412, None),
                (f"If-Modified-Since: {formatdate(0, usegmt=True)}\r\n", 200, len(TEXT)),
                (f"If-Range: {tag}\r\nRange: bytes=10-19\r\n", 206, 10),
                ('If-Range: "other"\r\nRange: bytes=10-19\r\n', 200, len(TEXT)),
                (f"Range: bytes={len(TEXT)}-\r\n", 416, None)]:
            reply = visitor.ask("GET", "/text", fields)
            assert (reply.status, reply.body.size) == (status, reply.body.size if size is None else size), fields
            if status in (200, 206, 304):
                assert reply.head.get("etag") == tag
        reply = visitor.ask("GET", "/down")
        assert (reply.status, reply.head.get("retry-after"), reply.body.data) == (503, "7", b"come back\n")
        assert visitor.ask("POST", "/text", body=FILE[:2000]).status == 413


# ---- a service that closes connections that have been idle for long ----

CLOSES = """
import collections, http.server, json, sys
counts = collections.Counter()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, timeout, wbufsize = "HTTP/1.1", 60, -1

    def answer(self):
        self.connection.settimeout(60)  # a request that is slow in coming is another matter
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        counts[self.path] += 1
        data = json.dumps([len(body), counts[self.path]]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.connection.settimeout(float(sys.argv[2]))

    do_GET = do_POST = do_PUT = do_DELETE = answer

http.server.ThreadingHTTPServer.request_queue_size = 64  # with its 5 the kernel resets some of a crowd
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
SENT = [("GET", b""), ("PUT", b"x" * 300), ("PUT", b"x" * 100_000), ("POST", b"x" * 300), ("DELETE", b"")]
VISITORS, EACH, IDLE_S, DELAY_S = 24, 5, 1.3, 0.03


def test_no_request_is_lost_to_a_connection_that_closes(lined, started, folder):
    """A far house: while the service's end is on its way, the relay sends the next request, and each of them is answered
    and has come to the service once. What is not sent twice goes on no connection that is as old."""
    port = free_port()
    started.append(Stack("service", script(CLOSES, IDLE_S)(port), port, folder))
    house = lined(delay=f"{DELAY_S * 1000:g}ms", services={f"s{n}.test": started[-1].url for n in range(VISITORS)})

    def visit(n):
        luck, wrong = random.Random(n), []
        with house.visitor(f"s{n}.test") as visitor:
            for i in range(EACH):
                method, body = SENT[(n + i) % len(SENT)]
                reply = visitor.ask(method, f"/{n}-{i}", body=body)
                if reply.status != 200 or json.loads(reply.body.data) != [len(body), 1]:
                    wrong.append((method, n, i, reply.status, reply.body.data))
                time.sleep(luck.uniform(IDLE_S - 3 * DELAY_S, IDLE_S))
        return wrong

    with ThreadPoolExecutor(VISITORS) as pool:
        assert sum(pool.map(visit, range(VISITORS)), []) == []
