"""nghttp and Node's http2 module through the whole chain. curl and h2load are in test_http2.py and test_real_clients.py,
Chromium has a file of its own."""

from __future__ import annotations

import hashlib
import subprocess

from http1 import content_sha256
from path import DOMAIN, houses, path
from programs import PATIENCE_S, need
from test_real_clients import ask_node, files, house

MB = 1_000_000


def nghttp(path, *args):
    done = subprocess.run([need("nghttp"), "-H", f":authority: {DOMAIN}:{path.port}", *map(str, args)], capture_output=True,
                          timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done
    return done.stdout


def test_nghttp(path, folder):
    url = f"https://127.0.0.1:{path.port}"
    (folder / "up").write_bytes(b"x" * 300_000)
    assert hashlib.sha256(nghttp(path, f"{url}/bytes/{MB}/1")).hexdigest() == content_sha256(MB, 1)
    assert nghttp(path, "-d", folder / "up", f"{url}/echo").endswith(f"300000 {hashlib.sha256(b'x' * 300_000).hexdigest()}\n".encode())
    shown = nghttp(path, "-nv", "-m", 50, f"{url}/chunked/1000/1").decode()
    assert shown.count(":status: 200") >= 50 and "x-sum: right" in shown
    assert ":status: 200" in nghttp(path, "-nv", "--continuation", f"{url}/echo").decode()


def test_node_http2(house):
    seen = ask_node(house, "http2")
    assert seen["protocol"] == "h2" and seen["settings"] == [128, 262144]
    assert seen["many"] == [[200, n * 997, content_sha256(n * 997, n)] for n in range(100)]
    assert seen["up"] == f"{3 * MB} {seen['sent']}"
    assert seen["trailers"] == {"x-sum": "right"}
    assert seen["broken"] == "NGHTTP2_INTERNAL_ERROR"
    assert seen["early"] == [413, "enough"] and seen["continued"] == [100, 200]
    assert seen["after"] == 200 and seen["pinged"] is True
    assert seen["sessions"] == 1
