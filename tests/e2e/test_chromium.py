"""Chromium, the browser, through the whole chain: pages, WebSocket, server-sent events, large uploads."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import zlib

import pytest

from chromium import Chromium
from http1 import Body, Head, Peer, content
from path import houses
from programs import limit, wait_until
from upgraded import WebSockets
from website import Site

MB = 1_000_000
KINDS = {"script": "text/javascript", "style": "text/css", "image": "image/bmp"}


def bmp(n: int) -> bytes:
    """A picture of its own width, n + 1, whose points look random."""
    width, height = n + 1, 200
    points = b"".join(content(height * ((3 * width + 3) & ~3), n))
    size = 54 + len(points)
    return (b"BM" + b"".join(v.to_bytes(4, "little") for v in (size, 0, 54, 40, width, height, 1 | 24 << 16, 0,
                                                                len(points), 0, 0, 0, 0)) + points)


def thing(kind: str, n: int) -> bytes:
    """Scripts and styles of about 50 KB, which do something that can be seen, and pictures."""
    noise = base64.b64encode(b"".join(content(40_000, n))).decode()
    if kind == "script":
        return f"ran.push({n}); // {noise}".encode()
    return f".style{n} {{ width: {n + 1}px }} /* {noise} */".encode() if kind == "style" else bmp(n)


def integrity(data: bytes) -> str:
    """What makes the browser itself refuse any other content."""
    return f"sha256-{base64.b64encode(hashlib.sha256(data).digest()).decode()}"


class Pages(Site):
    """A site as browsers like it: a page of 60 things, half of them by Content-Length, half in chunks."""

    left = False  # whoever followed the stream

    def _reply(self, peer: Peer, kind: str, data: bytes, fields: str = "", chunked: bool = False) -> bool:
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(data)}"
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{framing}\r\n{fields}\r\n")
        if not chunked:
            peer.send(data)
            return True
        for at in range(0, len(data), 7001):
            peer.send_chunk(data[at:at + 7001])
        peer.send("0\r\n\r\n")
        return True

    def _page(self, peer: Peer, head: Head, body: Body, *_: int) -> bool:
        lines = ['<!doctype html><title>60 things</title><link rel="icon" href="data:,"><script>ran = []</script>']
        for n in range(20):
            lines += [f'<link rel="stylesheet" href="/style/{n}" integrity="{integrity(thing("style", n))}">',
                      f'<script src="/script/{n}" integrity="{integrity(thing("script", n))}"></script>',
                      f'<p class="style{n}"><img src="/image/{n}"></p>']
        compressed = zlib.compressobj(wbits=31)
        data = compressed.compress("\n".join(lines).encode()) + compressed.flush()
        return self._reply(peer, "text/html", data, "Content-Encoding: gzip\r\nSet-Cookie: one=1; Path=/\r\n"
                           "Set-Cookie: two=2; Path=/; Secure; HttpOnly\r\n", chunked=True)

    def _thing(self, peer: Peer, head: Head, body: Body, n: int) -> bool:
        kind = head.target.split("/")[1]
        return self._reply(peer, KINDS[kind], thing(kind, n), "Cache-Control: max-age=3600\r\n", chunked=n % 2 == 1)

    _script = _style = _image = _thing

    def _stream(self, peer: Peer, head: Head, body: Body, *_: int) -> bool:
        """Each time it is asked: one event after the other from site.events; None ends the answer."""
        try:
            return self._events(peer, head, body)
        except OSError:
            self.left = True
            raise


@pytest.fixture
def browse(houses, started, folder):
    """browse({"ws.test": url}) is the house, with Pages at page.test, and a browser; browser.house is the former."""

    def make(services=None, **how):
        site = Pages()
        started.append(site)
        house = houses({"page.test": site.url, **(services or {})}, **how)
        browser = Chromium(folder, house.root, house.port)
        browser.house = house
        started.append(browser)
        return site, browser

    return make


def failed(browser):
    return [e["params"] for e in browser.events if e["method"] == "Network.loadingFailed"]


def test_a_page_of_60_things(browse):
    site, browser = browse()
    page = browser.open("https://page.test/page")
    assert page.run("ran") == list(range(20)), "each script ran once, in order"
    assert page.run("[...document.images].map(i => i.naturalWidth)") == list(range(1, 21))
    assert page.run("[...document.querySelectorAll('p')].map(p => p.offsetWidth)") == list(range(1, 21))
    # A picture has no hash in its tag; asked for again, with one, it comes from the browser's own memory.
    hashes = [integrity(thing("image", n)) for n in range(20)]
    sizes = page.run(f"await Promise.all({json.dumps(hashes)}.map(async (integrity, n) =>"
                     " (await (await fetch(`/image/${n}`, {integrity, cache: 'force-cache'})).arrayBuffer()).byteLength))")
    assert sizes == [len(bmp(n)) for n in range(20)]
    assert failed(browser) == []
    heard = [e["params"]["response"] for e in browser.events if e["method"] == "Network.responseReceived"]
    came = [r for r in heard if r["url"].startswith("https://page.test") and not r.get("fromDiskCache")]
    assert len(came) >= 61 and {r["protocol"] for r in came} == {"h2"} and len({r["connectionId"] for r in came}) == 1

    responses = [e["params"]["response"] for e in browser.events if e["method"] == "Network.responseReceived"]
    fresh = [r for r in responses if not r.get("fromDiskCache")]
    assert len(fresh) == 61 and all(r["status"] == 200 and r["securityState"] == "secure" for r in fresh)
    assert len(site.seen) == 61 and len({seen.head.target for seen in site.seen}) == 61
    cookies = [seen.head.get("cookie") for seen in site.seen]
    assert cookies == [None] + ["one=1; two=2"] * 60
    for seen in site.seen:
        assert seen.head.get("host") == "page.test"
        assert (seen.head.get("x-forwarded-proto"), seen.head.get("x-forwarded-for")) == ("https", "127.0.0.1")
        assert seen.head.get("accept-encoding").startswith("gzip") and "Chrome" in seen.head.get("user-agent")


def test_a_page_again(browse):
    """What the browser has kept it does not ask for; what must be asked anew arrives anew."""
    site, browser = browse()
    page = browser.open("https://page.test/page")
    page.open("https://page.test/page")
    assert page.run("[ran.length, document.images.length]") == [20, 20]
    assert len(site.seen) == 62
    page.call("Network.setCacheDisabled", cacheDisabled=True)
    page.open("https://page.test/page")
    assert page.run("ran") == list(range(20))
    assert page.run("[...document.images].map(i => i.naturalWidth)") == list(range(1, 21))
    assert len(site.seen) == 62 + 61 and failed(browser) == []


OPEN_SOCKET = """
    var got = [], closed = null, failures = 0, socket = new WebSocket('wss://ws.test/ws', ['second']);
    socket.binaryType = 'arraybuffer';
    socket.onmessage = e => got.push(e.data);
    socket.onerror = () => failures++;
    var ended = new Promise(done => socket.onclose = e => done([e.code, e.reason, e.wasClean]));
    await new Promise(opened => socket.onopen = opened);
    [socket.protocol, socket.extensions]"""
ECHO = """
    const wanted = got.length + 1;
    socket.send(message);
    while (got.length < wanted) {
        if (socket.readyState > 1) throw Error('the socket is closed');
        await new Promise(done => setTimeout(done, 1));
    }"""


def test_a_websocket(browse, started):
    server = WebSockets()
    started.append(server)
    _, browser = browse({"ws.test": server.url})
    page = browser.open("https://page.test/echo")
    protocol, extensions = page.run(OPEN_SOCKET)
    assert protocol == "second" and extensions.startswith("permessage-deflate")
    for n, text in enumerate(["hello", "", "üñí 🐈 " * 10_000]):
        assert page.run(f"var message = {json.dumps(text)}; {{ {ECHO} }} got[{n}] === message")
    assert page.run(f"""
        var message = new Uint8Array(4 << 20);
        for (let at = 0; at < message.length; at += 65536) crypto.getRandomValues(message.subarray(at, at + 65536));
        {{ {ECHO} }}
        const echo = new Uint8Array(got[3]);
        echo.length === message.length && echo.every((byte, at) => byte === message[at])""")
    assert page.run("for (let n = 0; n < 500; n++) socket.send(`m${n}`);"
                    "while (got.length < 504) await new Promise(done => setTimeout(done, 1));"
                    "got.slice(4).every((text, n) => text === `m${n}`)")
    assert page.run("socket.send('close, please'); await ended") == [4001, "as you wish", True]
    page.run(OPEN_SOCKET)
    assert page.run("socket.close(4002, 'good bye'); await ended") == [4002, "good bye", True]
    wait_until(lambda: len(server.closed) == 2, "the server has seen both ends")
    assert server.closed[1] == (4002, "good bye") and page.run("failures") == 0


def test_a_websocket_on_a_connection_by_http_2(browse, started):
    """Once it has one to the site, the browser opens its WebSockets on that (RFC 8441): no other connection is made."""
    server = WebSockets()
    started.append(server)
    _, browser = browse({"ws.test": server.url}, access_log="visits", access_log_format="json")
    page = browser.open("https://ws.test/")  # answered with 426 (Upgrade Required)
    assert page.run(OPEN_SOCKET)[0] == "second" and page.run("socket.extensions").startswith("permessage-deflate")
    assert page.run(f"""
        var message = new Uint8Array(16 << 20);
        for (let at = 0; at < message.length; at += 65536) crypto.getRandomValues(message.subarray(at, at + 65536));
        {{ {ECHO} }}
        const echo = new Uint8Array(got[0]);
        echo.length === message.length && echo.every((byte, at) => byte === message[at])""")
    assert page.run("for (let n = 0; n < 500; n++) socket.send(`m${n}`);"
                    "while (got.length < 501) await new Promise(done => setTimeout(done, 1));"
                    "got.slice(1).every((text, n) => text === `m${n}`)")
    assert page.run("socket.send('close, please'); await ended") == [4001, "as you wish", True]
    page.run(OPEN_SOCKET)
    assert page.run("socket.close(4002, 'good bye'); await ended") == [4002, "good bye", True]
    wait_until(lambda: len(server.closed) == 2, "the server has seen both ends")
    assert server.closed[1] == (4002, "good bye") and page.run("failures") == 0
    log = browser.house.relay.conf.parent / "visits"
    wait_until(lambda: log.read_text().count('"/ws"') == 2, "both are in the access log")
    seen = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(e["method"], e["protocol"], e["status"], e["complete"]) for e in seen if e["path"] == "/ws"] == [("GET", "HTTP/2.0", 101, True)] * 2, seen


def test_server_sent_events(browse):
    site, browser = browse()
    page = browser.open("https://page.test/echo")
    page.run("""
        var got = [], opened = 0, events = new EventSource('/stream');
        events.onopen = () => opened++;
        events.onmessage = e => got.push([e.data, e.lastEventId]);""")
    for n in range(20):
        written = time.monotonic()
        site.events.put(b"retry: 100\nid: %d\ndata: event %d\n\n" % (n, n))
        page.run(f"while (got.length < {n + 1}) await new Promise(done => setTimeout(done, 1));")
        assert time.monotonic() - written < limit(0.1, noise=20) or n == 0, "each comes at once"
    site.events.put(None)  # the answer ends, and the browser asks again for what follows
    site.events.put(b"id: 20\ndata: event 20\n\n")
    page.run("while (got.length < 21) await new Promise(done => setTimeout(done, 1));")
    assert page.run("got") == [[f"event {n}", str(n)] for n in range(21)]
    assert page.run("opened") == 2
    assert site.seen[-1].head.get("last-event-id") == "19" and site.seen[-1].head.get("accept") == "text/event-stream"
    page.run("events.close()")
    wait_until(lambda: browser.house.status()["lanes"][0]["streams"] == 0, "the stream has ended, with no event", limit(5))
    wait_until(lambda: site.events.put(b": is anybody there?\n\n") or site.left, "the service is told that he has left")


def test_a_large_upload(browse):
    """The browser makes the bytes, as a person's file: a Blob; what the service has read has the right hash."""
    site, browser = browse()
    page = browser.open("https://page.test/echo")
    pieces = 1000
    block = bytes(range(256)) * (MB // 256)
    digest = hashlib.sha256()
    for _ in range(pieces):
        digest.update(block)
    status, text = page.run(f"""
        const block = new Uint8Array({len(block)}).map((_, at) => at % 256);
        const file = new Blob(Array({pieces}).fill(new Blob([block])));
        const reply = await fetch('/echo/1', {{method: 'POST', body: file}});
        [reply.status, await reply.text()]""")
    assert status == 200 and text.endswith(f"\n{pieces * len(block)} {digest.hexdigest()}\n")
    assert site.seen[-1].body.sha256 == digest.hexdigest()
    assert site.seen[-1].head.get("content-length") == str(pieces * len(block))


def test_a_download_and_one_that_is_given_up(browse):
    site, browser = browse()
    page = browser.open("https://page.test/echo")
    got = page.run(f"""
        const data = await (await fetch('/chunked/{50 * MB}/3')).arrayBuffer();
        const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
        Array.from(hash, byte => byte.toString(16).padStart(2, '0')).join('')""")
    expected = hashlib.sha256()
    for piece in content(50 * MB, 3):
        expected.update(piece)
    assert got == expected.hexdigest()
    cut = page.run(f"""
        var stop = new AbortController();
        const answer = await fetch('/bytes/{4000 * MB}/3', {{signal: stop.signal}});
        await answer.body.getReader().read();
        stop.abort();
        answer.status""")
    assert cut == 200
    # The service stops, long before it has sent all, and the next question is answered.
    wait_until(lambda: standing(site), "the service is told")
    assert site.sent < 2000 * MB
    assert page.run("(await fetch('/echo')).status") == 200


def standing(site):
    before = site.sent
    time.sleep(0.3)
    return site.sent == before
