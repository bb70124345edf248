"""The control socket under abuse: every wrong request gets its JSON error or is dropped, and nobody else notices."""

import json
import random
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from control import Connection, request_bytes
from programs import PATIENCE_S, need, wait_until

STATUS = request_bytes("GET", "/v1/status")
RELOAD = request_bytes("POST", "/v1/reload", b'{"a": [1, 2]}')
CHUNKED = b"POST /v1/reload HTTP/1.1\r\nHost: tunnel\r\nTransfer-Encoding: chunked\r\n\r\n"
CLIENT_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(range(256)) * 2
BODY_BYTES, PLACES = 64 * 1024, 64  # HTTP_SERVER_BODY_BYTES, HTTP_SERVER_CONNECTIONS


@pytest.fixture
def relay(relay, ctl):
    """One that is asked by tunnelctl all through the test, and answers every time."""
    over = threading.Event()

    def person():
        answers = []
        while not over.wait(0.01):
            answers.append(ctl("status", at=relay))
        return [*answers, ctl("status", at=relay)]

    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(person)
        yield relay
        over.set()
    wrong = [a for a in answers.result() if a.code != 0 or not a.out.startswith("tunnel-relay  e2e  ") or a.err]
    assert not wrong, f"{len(wrong)} of {len(answers.result())} askings went wrong, the first so: {wrong[0]}"


def short(value):
    """Names a case by its beginning."""
    return repr(value)[:40]


def is_error(reply, status):
    assert reply and reply.status == status, reply
    assert reply.version == "HTTP/1.1" and reply.fields["content-type"] == "application/json"
    assert reply.json["error"] and set(reply.json) == {"error"}


def is_refused(connection, status):
    """An error, behind which nothing on this connection is looked at."""
    reply = connection.reply()
    is_error(reply, status)
    assert reply.fields["connection"] == "close"
    assert connection.closed()


def lets_go(relay, descriptors):
    wait_until(lambda: relay.descriptors <= descriptors + 2, "the connections are closed")  # 2: tunnelctl may be there


# ---- what is no request ----


@pytest.mark.parametrize("junk, status", [
    (b"\x00\x01\x02\x03", 400),
    (b"\xff" * 40000, 400),
    (b"hello?\r\n\r\n", 400),
    (b"{}\n", 400),
    (CLIENT_HELLO, 400),
    (b"SSH-2.0-OpenSSH_9.2\r\n", 400),
    (b"\r\n" * 100, 400),
    (b" GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET  / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\n\n", 400),
    (b"GET /v1/status\r\n", 400),  # HTTP/0.9
    (b"GET /v1/status HTTP/0.9\r\n\r\n", 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET / HTTQ/1.1\r\n\r\n", 400),
    (b"G" * 1000 + b" / HTTP/1.1\r\n\r\n", 501),
    (b"GET /v1/status HTTP/1.1\r\n\r\n", 400),  # without a Host
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", 417),
], ids=short)
def test_junk(relay, junk, status):
    with Connection(relay.socket) as connection:
        connection.send_what_it_takes(junk)
        is_refused(connection, status)


def test_junk_of_every_kind(relay):
    """What chance makes, alone and in the middle of a good request, always ends in an answer or a closed connection."""
    chance = random.Random(7)
    for _ in range(300):
        junk, at = chance.randbytes(chance.choice([1, 10, 100, 5000])), chance.randrange(len(RELOAD))
        with Connection(relay.socket) as connection:
            connection.send_what_it_takes(RELOAD[:at] + junk + RELOAD[at + len(junk):])
            connection.finish()
            while reply := connection.reply():
                assert reply.status == 200 or reply.json["error"]


# ---- what is too large ----


@pytest.mark.parametrize("head, status", [
    (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET /" + b"a" * (1 << 20), 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (1 << 20), 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 2000 + b"\r\n", 431),
], ids=short)
def test_a_huge_head(relay, head, status):
    with Connection(relay.socket) as connection:
        connection.send_what_it_takes(head)
        is_refused(connection, status)


@pytest.mark.parametrize("length, status", [
    (BODY_BYTES + 1, 413),
    (10**17, 413),
    (10**30, 400),
    (-1, 400),
    ("0x10", 400),
    ("5, 5", 400),
    ("5\r\nContent-Length: 5", 400),
    ("5\r\nTransfer-Encoding: chunked", 400),
], ids=short)
def test_a_wrong_content_length(relay, length, status):
    with Connection(relay.socket) as connection:
        connection.send(request_bytes("POST", "/v1/reload", fields=f"Content-Length: {length}\r\n"))
        connection.send_what_it_takes(b"x" * (4 * BODY_BYTES))
        is_refused(connection, status)


@pytest.mark.parametrize("body, status", [
    (b"8000\r\n" + b" " * 0x8000 + b"\r\n8001\r\n" + b" " * 0x8001 + b"\r\n0\r\n\r\n", 413),
    (b"100000\r\n" + b" " * 0x100000 + b"\r\n0\r\n\r\n", 413),
    (b"1\r\n \r\n" * (BODY_BYTES + 1) + b"0\r\n\r\n", 413),
    (b"ffffffffffffffffffff\r\n", 400),
    (b"xyz\r\n", 400),
    (b"-1\r\n", 400),
    (b"\r\n", 400),
    (b"5\nabcde", 400),
    (b"2\r\n{}0\r\n\r\n", 400),
    (b"2;" + b"x" * 100000 + b"\r\n{}\r\n0\r\n\r\n", 400),
    (b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 20000 + b"\r\n", 400),
], ids=short)
def test_a_wrong_chunked_body(relay, body, status):
    with Connection(relay.socket) as connection:
        connection.send_what_it_takes(CHUNKED + body)
        is_refused(connection, status)


def test_an_unknown_coding(relay):
    with Connection(relay.socket) as connection:
        connection.send(request_bytes("POST", "/v1/reload", fields="Transfer-Encoding: gzip, chunked\r\n"))
        is_refused(connection, 501)


def test_the_largest_body_is_taken(relay):
    spaces = b"{" + b" " * (BODY_BYTES - 2) + b"}"
    with Connection(relay.socket) as connection:
        assert connection.ask("POST", "/v1/reload", spaces).status == 200
        connection.send(CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(spaces), spaces))
        assert connection.reply().status == 200
        connection.send(CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in b'{ }') + b"0\r\n\r\n")
        assert connection.reply().status == 200


# ---- what is well-formed, and wrong ----


@pytest.mark.parametrize("body", [
    b"{", b"{}}", b"reload", b"{'a': 1}", b'{"a": 1, "a": 2}', b'{"a": "\xff\xfe"}', b'{"a": "\x00"}', b'{"a": 1e999}',
    b"[]", b'"text"', b"1", b"null", b"true", b"\xef\xbb\xbf{}", b"\x00", b" ",
    b"[" * 60000, b'{"a":' * 10000, b'{"unknown": 1}', b'{"": 1}', b'{"%b": 1}' % ("ä" * 10000).encode(),
], ids=short)
def test_a_wrong_body(relay, body):
    before = relay.log().count("reloaded")
    with Connection(relay.socket) as connection:
        is_error(connection.ask("POST", "/v1/reload", body), 400)
        assert connection.ask("GET", "/v1/status").status == 200  # the connection is as good as before
    assert relay.log().count("reloaded") == before


@pytest.mark.parametrize("method, target, allow", [
    ("POST", "/v1/status", "GET, HEAD"),
    ("DELETE", "/v1/version", "GET, HEAD"),
    ("get", "/v1/config", "GET, HEAD"),
    ("PUT", "/v1/config?x=y", "GET, HEAD"),
    ("GET", "/v1/reload", "POST"),
    ("HEAD", "/v1/reload", "POST"),
    ("OPTIONS", "/v1/reload", "POST"),
], ids=short)
def test_a_wrong_method(relay, method, target, allow):
    with Connection(relay.socket) as connection:
        reply = connection.ask(method, target)
        assert (reply.status, reply.fields["allow"]) == (405, allow)
        if method != "HEAD":
            is_error(reply, 405)
            assert all(other in reply.json["error"] for other in (method, *allow.split(", ")))
        assert connection.ask("GET", "/v1/status").status == 200


@pytest.mark.parametrize("target", [
    "/", "/v1", "/v1/", "/v1/status/", "/v1/statu", "/v1/status/example.net", "/V1/STATUS", "//v1/status", "/v2/status",
    "/v1/../v1/status", "/v1/status%00", '/"\\{}', "/%22%0a%1b[31m", "/" + "a" * 4000, "/?/v1/status",
], ids=short)
def test_an_unknown_path(relay, target):
    with Connection(relay.socket) as connection:
        is_error(connection.ask("GET", target), 404)
        assert connection.ask("GET", "/v1/status").status == 200


# ---- unusual, and right ----


def test_http_1_0(relay):
    with Connection(relay.socket) as connection:
        connection.send(b"GET /v1/status HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        connection.send(b"GET /v1/status HTTP/1.0\r\n\r\n")
        kept, closing = connection.reply(), connection.reply()
        assert (kept.status, kept.fields["connection"]) == (200, "keep-alive")
        assert (closing.status, closing.fields["connection"]) == (200, "close")
        assert connection.closed()


def test_a_head_is_a_get_without_content(relay):
    with Connection(relay.socket) as connection:
        get, head = connection.ask("GET", "/v1/version"), connection.ask("HEAD", "/v1/version")
        assert (head.status, head.fields, head.body) == (get.status, get.fields, b"")
        head = connection.ask("HEAD", "/nothing")
        assert (head.status, head.body) == (404, b"") and int(head.fields["content-length"]) > 0
        assert connection.ask("GET", "/v1/version") == get


@pytest.mark.parametrize("target", ["/v1/status?", "/v1/status?a=b&c", "http://tunnel/v1/status"])
def test_other_spellings_of_a_target(relay, target):
    assert relay.get(target).status == 200


def test_byte_by_byte(relay):
    with Connection(relay.socket) as connection:
        for byte in request_bytes("POST", "/v1/reload", b"{}"):
            connection.send(bytes([byte]))
        assert connection.reply().status == 200


def test_500_requests_at_once(relay):
    kinds = 125 * [("GET", "/v1/version", 200), ("GET", "/nothing", 404), ("PUT", "/", 404), ("PUT", "/v1/status", 405)]
    with Connection(relay.socket) as connection:
        connection.send(b"".join(request_bytes(method, target) for method, target, _ in kinds))
        assert [connection.reply().status for _ in kinds] == [status for _, _, status in kinds]
        assert connection.ask("GET", "/v1/status").status == 200


# ---- who does not read, does not go on, or does not stay ----


def fill(connection, request):
    """Sends requests until the daemon takes no more, and returns how many it has been sent whole."""
    sent, many = 0, request * 1000
    connection.socket.settimeout(0.3)
    try:
        while sent < 64 << 20:
            sent += connection.socket.send(many[sent % len(request):])
    except TimeoutError:
        pass
    connection.socket.settimeout(PATIENCE_S)
    return sent // len(request)


def test_a_client_that_does_not_read(relay):
    descriptors, memory = relay.descriptors, relay.memory_kb
    with Connection(relay.socket) as connection:
        assert fill(connection, STATUS) * len(STATUS) < 4 << 20
        assert relay.memory_kb <= memory + 4096
    lets_go(relay, descriptors)


def test_a_client_that_reads_late_gets_every_answer(relay):
    with Connection(relay.socket) as connection:
        for _ in range(fill(connection, STATUS)):
            assert connection.reply().status == 200


@pytest.mark.parametrize("request_", [STATUS, RELOAD, CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"], ids=short)
@pytest.mark.parametrize("end", [Connection.finish, Connection.close])
def test_half_a_request_is_not_answered(relay, request_, end):
    descriptors, before = relay.descriptors, relay.log().count("reloaded")
    for length in range(len(request_)):
        with Connection(relay.socket) as connection:
            connection.send(request_[:length])
            end(connection)
            assert end is Connection.close or connection.closed()
    lets_go(relay, descriptors)
    assert relay.log().count("reloaded") == before


def test_200_who_leave_without_their_answer(relay):
    descriptors = relay.descriptors
    for _ in range(200):
        with Connection(relay.socket) as connection:
            connection.send(STATUS * 3)
    lets_go(relay, descriptors)


@pytest.mark.slow
def test_half_a_request_is_waited_for_ten_seconds(relay):
    parts = [STATUS[:1], STATUS[:-1], RELOAD[:-1], CHUNKED, CHUNKED + b"2\r\n{"]
    connections = [Connection(relay.socket) for _ in parts]
    for connection, part in zip(connections, parts):
        connection.send(part)
    for connection in connections:
        is_refused(connection, 408)
        connection.close()


@pytest.mark.parametrize("said", [b"", STATUS[:-1], RELOAD[:-1], STATUS], ids=["nothing", "head", "body", "all"])
def test_1000_connections(relay, said):
    """They all stay open; those that have been idle longest give way."""
    descriptors, connections = relay.descriptors, []
    try:
        for _ in range(1000):
            connections.append(Connection(relay.socket))
            connections[-1].send_what_it_takes(said)
        assert relay.get("/v1/status").status == 200
        assert relay.descriptors <= descriptors + PLACES + 2
    finally:
        for connection in connections:
            connection.close()
    lets_go(relay, descriptors)


def test_1000_connections_by_ten_clients_at_once(relay):
    def client():
        replies = []
        for _ in range(100):
            with Connection(relay.socket) as connection:
                connection.send_what_it_takes(STATUS)
                replies.append(connection.reply())
        return replies

    descriptors = relay.descriptors
    with ThreadPoolExecutor(10) as pool:
        replies = [reply for done in [pool.submit(client) for _ in range(10)] for reply in done.result()]
    assert len(replies) == 1000 and all(reply and reply.status == 200 for reply in replies)
    lets_go(relay, descriptors)


# ---- curl ----


@pytest.fixture
def curl(relay):
    path = need("curl")

    def ask(*args):
        """status and body, as curl understands them"""
        always = [path, "-sS", "-m", str(PATIENCE_S), "-w", "\n%{http_code}", "--unix-socket", str(relay.socket)]
        done = subprocess.run([*always, *args], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    return ask


def test_curl_get(relay, curl):
    status, body = curl("http://tunnel/v1/version")
    assert status == 200 and json.loads(body) == relay.get("/v1/version").json
    assert curl("-0", "http://tunnel/v1/version") == (200, body)


def test_curl_post(curl):
    assert curl("-d", "{}", "http://tunnel/v1/reload") == (200, '{"reloaded":true}\n')
    assert curl("-d", "{}", "-H", "Transfer-Encoding: chunked", "http://tunnel/v1/reload")[0] == 200
    assert curl("-d", "{}", "-H", "Expect: 100-continue", "http://tunnel/v1/reload")[0] == 200
    assert curl("-X", "POST", "http://tunnel/v1/reload")[0] == 200
    status, body = curl("-d", "no=json", "http://tunnel/v1/reload")
    assert status == 400 and "not JSON" in json.loads(body)["error"]


def test_curl_head(relay, curl):
    status, head = curl("-I", "http://tunnel/v1/version")
    assert status == 200 and head.startswith("HTTP/1.1 200 OK\n")
    assert f"Content-Length: {len(relay.get('/v1/version').body)}\n" in head


@pytest.mark.parametrize("size, how", [(200_000, ()), (200_000, ("-H", "Transfer-Encoding: chunked")), (2_000_000, ())])
def test_curl_reads_why_its_upload_is_refused(folder, curl, size, how):
    """The refusal comes while it is still sending, and reaches it nevertheless."""
    (folder / "large").write_bytes(b" " * size)
    status, body = curl("--data-binary", f"@{folder}/large", *how, "http://tunnel/v1/reload")
    assert status == 413 and "64 KiB" in json.loads(body)["error"]
