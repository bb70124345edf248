"""gRPC through the whole path, to h2c:// and https:// services: a client and a server of others' making."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from http2 import Visitor2
from npm import run_node
from path import DOMAIN, houses
from programs import PATIENCE_S, need, unavailable, wait_until
from test_https_service import secure
from x509 import make_pair

NAME = "grpc.test"


class GrpcService:
    """Ends with the test, because its standard input does."""

    title = "the service of gRPC"

    def __init__(self, *key_and_certificate, process=None) -> None:
        self.process = process or run_node("grpc.js", "serve", *key_and_certificate, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        self.port = json.loads(line)["port"]

    def log(self) -> str:
        return f"port {self.port}, exit code {self.process.poll()}"

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()


def ask(path, *questions, name=NAME, timeout=PATIENCE_S * 2):
    """What came of these, of one client over one connection."""
    node = run_node("grpc.js", "ask", path.port, path.root, name, *questions, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE)
    try:
        out, err = node.communicate(timeout=timeout)
    finally:
        node.kill()
    assert node.returncode == 0 and out, err
    results = json.loads(out)
    return results[questions[0]] if len(questions) == 1 else results


@pytest.fixture(params=["h2c", "https"])
def house(request, houses, started, folder):
    if request.param == "https":
        pair = make_pair(folder, "service", ["localhost"])
        service = GrpcService(pair.key, pair.cert)
        url = f"https://127.0.0.1:{service.port}\nverify = off"
    else:
        service = GrpcService()
        url = f"h2c://127.0.0.1:{service.port}"
    started.append(service)
    made = houses({NAME: url})
    made.service = service
    return made


def test_unary_with_metadata_and_trailers(house):
    seen = ask(house, "unary")
    assert seen["code"] == 0 and seen["right"]
    assert seen["head"]["x-said"] == "hello" and seen["head"]["x-forwarded-proto-seen"] == "https"
    assert seen["trailers"]["x-trail"] == "yes" and seen["bin"] == [0, 255, 1]


def test_a_status_comes_as_it_was_given(house):
    seen = ask(house, "fail")
    assert seen["code"] == 9 and seen["details"] == "as you wished: 100 %, ä"
    assert seen["trailers"]["x-trail"] == "yes"


def test_streams_in_all_directions(house):
    seen = ask(house, "down", "up", "both")
    assert seen["down"]["n"] == 1000 and seen["down"]["right"] and seen["down"]["code"] == 0
    assert seen["down"]["trailers"]["x-trail"] == "yes"
    assert seen["up"]["n"] == 500 and seen["up"]["sha"] == seen["up"]["wanted"]
    assert seen["both"]["right"] and seen["both"]["code"] == 0


def test_a_client_may_cancel(house):
    seen = ask(house, "cancel")
    assert seen == {"codes": [1, 1, 1], "cancelled": 3, "after": 0}


def test_a_service_may_give_up(house):
    seen = ask(house, "quit")
    assert seen["got"] == "half" and seen["code"] == 10 and seen["details"] == "gave up"


def test_time_limits(house):
    assert ask(house, "deadline") == {"code": 4, "told": "true"}


def test_visitors_share_a_connection(house):
    assert ask(house, "many") == 200
    for _ in range(3):
        assert ask(house, "unary")["code"] == 0
    many = [run_node("grpc.js", "ask", house.port, house.root, NAME, "idle=2", "many", stdin=subprocess.DEVNULL,
                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(3)]
    for node in many:
        assert json.loads(node.communicate(timeout=PATIENCE_S)[0])["many"] == 200
    assert ask(house, "seen")["connections"] <= 4  # an idle one does not stay for ever


def test_visitors_share_a_connection_at_once(house):
    many = [run_node("grpc.js", "ask", house.port, house.root, NAME, "idle=3", "seen", stdin=subprocess.DEVNULL,
                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(4)]
    seen = [json.loads(node.communicate(timeout=PATIENCE_S)[0]) for node in many]
    assert all(one["idle"]["got"] == ["first", "second"] for one in seen)
    assert {one["seen"]["connections"] for one in seen} == {1}


def test_one_who_does_not_read_delays_nobody(house):
    seen = ask(house, "slow")
    assert seen["others"] == 50 and seen["n"] == 10000 and seen["code"] == 0


def test_a_service_that_dies_ends_its_calls(house):
    node = run_node("grpc.js", "ask", house.port, house.root, NAME, "idle=60", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL)
    wait_until(lambda: house.streams() > 2, "both calls are under way")
    house.service.process.kill()
    broken = json.loads(node.communicate(timeout=PATIENCE_S * 2)[0])["idle"]["broken"]
    assert broken["code"] in (13, 14)
    seen = ask(house, "unary")
    assert seen["code"] == 14 and "refused" in seen["details"]


@pytest.mark.slow
def test_an_idle_stream_outlives_every_time_limit(houses, started):
    """All that can be set is 2 s, and nothing is said for 20 times as long."""
    service = GrpcService()
    started.append(service)
    two = {"drain": "2s"}
    house = houses({NAME: f"h2c://127.0.0.1:{service.port}\npark = 2s"}, park="2s", heartbeat="2s", agent_keys=two, **two)
    assert ask(house, "idle=41", "unary")["idle"]["got"] == ["first", "second"]


# ---- by gRPC's own core ----


def run_c(*args, **how):
    """In Debian's python3, which has it as a package."""
    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", "import grpc"], capture_output=True, check=False).returncode != 0:
        unavailable("python3-grpcio is not installed; run: sh scripts/setup test")
    return subprocess.Popen([python, str(Path(__file__).with_name("grpc_c.py")), *map(str, args)], text=True, **how)


def test_the_core_in_c(houses, started):
    service = GrpcService(process=run_c("serve", stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    started.append(service)
    house = houses({NAME: f"h2c://127.0.0.1:{service.port}"})
    client = run_c("ask", house.port, house.root, NAME, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    seen = json.loads(client.communicate(timeout=PATIENCE_S * 3)[0])
    assert seen == {"unary": [1_000_000, "yes", [0, 255]], "fail": ["FAILED_PRECONDITION", "as you wished: ä", "yes"],
                    "down": [30_000_000, "yes"], "up": "30000000", "both": sum(range(500)), "idle": ["first", "second"],
                    "cancelled": "yes"}


# ---- https:// services that have no HTTP/2 ----


def grpc_status(path, name=DOMAIN):
    with Visitor2(path.port, path.root, name) as visitor:
        reply = visitor.get("POST", "/s.S/M", [("content-type", "application/grpc"), ("te", "trailers")], b"hello")
        return dict(reply.fields).get("grpc-status")


def test_an_https_service_that_chooses_no_http2(secure):
    """It is well for all that is no gRPC, and said to be so."""
    path = secure()
    path.tls.set_alpn_protocols(["http/1.1"])
    assert path.visit("GET", "/echo").status == 200
    assert grpc_status(path) == "14"
    assert path.visit("GET", "/echo").status == 200
    assert path.site_status()["service_state"] == "ok"
    path.tls.set_alpn_protocols(["h2"])  # it says so, and speaks HTTP/1.1
    assert grpc_status(path) == "14"


def test_an_https_service_that_ends_the_handshake(houses, folder):
    """As OpenSSL's own server does where no protocol is common."""
    pair = make_pair(folder, "service", ["localhost"])
    words = [need("openssl"), "s_server", "-accept", "127.0.0.1:0", "-key", pair.key, "-cert", pair.cert, "-alpn", "http/1.1", "-www"]
    server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        while not (line := server.stdout.readline()).startswith("ACCEPT"):
            assert line, "it has ended"
        house = houses({NAME: f"https://127.0.0.1:{line.split(':')[-1].strip()}\nverify = off"})
        assert house.visit(name=NAME).status == 200
        assert grpc_status(house, NAME) == "14"
        assert "does not choose HTTP/2 in its TLS handshake (ALPN h2)" in house.agent.log()
        assert next(s for s in house.agent.get("/v1/status").json["domains"] if s["name"] == NAME)["service_state"] == "ok"
        assert house.visit(name=NAME).status == 200
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
