"""The admin listener of both daemons: what is answered there, to whom, and that a held port keeps nobody from being
served."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time

import pytest

from admin import Place, listening
from path import edge, edges, fronts
from programs import need, run, wait_until
from visitor import request_bytes


@pytest.fixture
def place(started):
    made = Place()
    started.append(made)
    return made


@pytest.fixture
def admin(place, role, daemons):
    """Either daemon, with its admin listener at place."""
    daemon = daemons(role, admin_listen=place.listen).start()
    assert place.answers()
    return daemon


def test_what_is_there(admin, place):
    assert admin.get("/v1/status").json["admin"] == {"listen": place.listen, "state": "up", "last_error": None}
    assert place.ask("/healthz")[::2] == (200, "ok\n")
    assert place.ask("/readyz")[::2] == (200, "ok\n")  # this agent has no relay to be connected to
    metrics = place.ask("/metrics")
    assert metrics.status == 200 and metrics.fields["Content-Type"].startswith("text/plain; version=0.0.4")
    assert f'tunnel_{admin.role}_build_info{{version="' in metrics.text
    head = place.ask("/metrics", "HEAD")
    assert head.status == 200 and head.text == "" and int(head.fields["Content-Length"]) > 100
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        refused = place.ask("/metrics", method)
        assert refused.status == 405 and refused.fields["Allow"] == "GET, HEAD"
        assert place.ask("/v1/reload", method).status == 404  # nothing of the control socket is here
    assert place.ask("/v1/status").status == 404


def test_asked_to_end_again_and_again(role, daemons, place):
    """By somebody without patience, while a browser watches: it ends in order, whatever of it has ended already."""
    daemon = daemons(role, admin_listen=place.listen)
    for n in range(20):
        daemon.start()
        with socket.create_connection(("127.0.0.1", place.port)) as watcher:
            watcher.sendall(request_bytes("GET", "localhost", "/events"))
            assert watcher.recv(100).startswith(b"HTTP/1.1 200")
            for _ in range(5):
                daemon.send(signal.SIGTERM)
                time.sleep(n / 5000)
            daemon.stop()


def test_asked_to_end_without_a_pause(role, daemons):
    """From the first signal to the very last moment of the process."""
    daemon = daemons(role)
    for n in range(10):
        number = (signal.SIGTERM, signal.SIGINT)[n % 2]
        daemon.start()
        daemon.send(number)
        while daemon.running:
            daemon.send(number)
            daemon.send(signal.SIGHUP)
        code = daemon.wait()
        assert code == 0


@pytest.mark.parametrize("host, status", [
    ("127.0.0.1", 200), ("127.9.9.9:1", 200), ("localhost:9180", 200), ("LOCALHOST", 200), ("[::1]:9180", 200),
    ("evil.example", 403), ("localhost.evil.example:9180", 403), ("127.0.0.1.evil.example", 403),
    ("10.0.0.1", 403), ("[::2]", 403), ("2130706433", 403),
])
def test_no_name_of_somebody_else(daemons, place, host, status):
    daemons("agent", admin_listen=place.listen).start()
    assert place.ask("/metrics", host=host).status == status


def test_password(daemons, place, folder):
    secret = folder / "password"
    secret.write_text("s3cret: with colon\n")
    secret.chmod(0o600)
    relay = daemons("relay", admin_listen=place.listen, admin_password_file=secret).start()
    for wrong in (None, "", "s3cret", "s3cret: with colon\n", "S3cret: with colon", "x" * 5000):
        refused = place.ask("/metrics", password=wrong)
        assert refused.status == 401 and refused.fields["WWW-Authenticate"].startswith("Basic "), wrong
    assert place.ask("/metrics", password="s3cret: with colon", user="root").status == 401
    assert "wrong password at the admin listener" in relay.log() and "s3cret" not in relay.log()
    assert place.ask("/nothing").status == 401  # nor is told what is there
    assert place.ask("/metrics", password="s3cret: with colon", host="relay.example.net").status == 200

    secret.write_text("another")
    assert relay.post("/v1/reload").status == 200
    assert place.ask("/metrics", password="s3cret: with colon").status == 401
    assert place.ask("/metrics", password="another").status == 200
    assert "s3cret" not in relay.log() and "another" not in relay.log()


def test_guesses(daemons, role, place, folder):
    """Ten wrong passwords of one address, then none of it is looked at for a while; who gives none, and who is known, is not
    concerned."""
    secret = folder / "password"
    secret.write_text("word")
    secret.chmod(0o600)
    daemon = daemons(role, admin_listen=place.listen, admin_password_file=secret).start()
    curl = [need("curl"), "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{place.listen}/healthz"]
    other = [*curl, "--interface", "127.0.0.2"]
    code = lambda command, password: subprocess.run([*command, "-u", f"admin:{password}"], capture_output=True, text=True).stdout
    assert code(other, "word") == "200"
    said = [place.ask("/metrics", password=f"guess {n}") for n in range(14)]
    assert [answer.status for answer in said][:10] == [401] * 10 and said[-1].status == 429
    assert 1 <= int(said[-1].fields["Retry-After"]) <= 6 and "wait" in said[-1].text
    assert place.ask("/metrics").status == 401  # which asks for one, as ever
    guesses = [code(other, f"guess {n}") for n in range(14)]
    assert guesses[:10] == ["401"] * 10 and "429" in guesses[10:]
    assert code(other, "word") == "200"  # from where it has come before
    assert 'wrong password at the admin listener peer="127.0.0.1"' in daemon.log() and "guess" not in daemon.log()
    secret.write_text("another")
    assert daemon.post("/v1/reload").status == 200
    assert code(other, "word") in ("401", "429")


def test_check(daemons, role, folder):
    open_to_all = daemons(role, admin_listen=":9999")
    said = run(f"tunnel-{role}", "-c", open_to_all.conf, "--check")
    assert said.code == 1 and f"{role}.admin_listen = :9999: " in said.err and "admin_password_file" in said.err
    secret = folder / "password"
    secret.write_text("word")
    secret.chmod(0o644)
    open_to_all.configure(admin_listen="0.0.0.0:9999", admin_password_file=secret)
    said = run(f"tunnel-{role}", "-c", open_to_all.conf, "--check")
    assert said.code == 1 and "admin_password_file" in said.err and "chmod 600" in said.err
    secret.chmod(0o600)
    assert run(f"tunnel-{role}", "-c", open_to_all.conf, "--check").code == 0
    secret.write_text("\n")
    said = run(f"tunnel-{role}", "-c", open_to_all.conf, "--check")
    assert said.code == 1 and "empty" in said.err
    open_to_all.configure(admin_listen="127.0.0.1:1 127.0.0.1:2")
    assert "one address" in run(f"tunnel-{role}", "-c", open_to_all.conf, "--check").err


def test_a_held_port(daemons, role, place, ctl):
    """The daemon says who holds it and goes on, and takes it once it is free."""
    with listening(place):
        daemon = daemons(role, admin_listen=place.listen).start()
        told = daemon.get("/v1/status").json["admin"]
        assert told["state"] == "waiting" and f"pid {os.getpid()} (" in told["last_error"]
        daemon.wait_log("the admin listener has to wait")
        shown = ctl("status", at=daemon)
        assert shown.code == 0 and f"no admin listener (/metrics) for now: {told['last_error']}\n" in shown.out
        assert daemon.post("/v1/reload").status == 200 and not daemon.get("/v1/status").json["admin"]["state"] == "up"
    if daemon.role == "relay":
        assert daemon.post("/v1/reload").status == 200  # a reload does not wait until it is tried again
    wait_until(place.answers, "the port is taken when it is free")
    assert daemon.get("/v1/status").json["admin"]["last_error"] is None


def test_reload(admin, place, started):
    other = Place()
    started.append(other)
    idle = socket.create_connection(("127.0.0.1", place.port))
    admin.configure(admin_listen=other.listen)
    assert admin.post("/v1/reload").status == 200
    assert other.answers() and not place.answers()
    assert idle.recv(1) == b""
    idle.close()
    with listening(place):
        admin.configure(admin_listen=place.listen)
        refused = admin.post("/v1/reload")
        assert refused.status == 422 and f"pid {os.getpid()} (" in refused.json["errors"][0]
        assert other.answers()
    admin.configure(admin_listen="")
    assert admin.post("/v1/reload").status == 200
    assert not other.answers()
    assert admin.get("/v1/status").json["admin"] == {"listen": "", "state": "off", "last_error": None}
    admin.configure(admin_listen=other.listen)
    assert admin.post("/v1/reload").status == 200 and other.answers()


def test_the_same_port_on_more_addresses(daemons, place, folder):
    secret = folder / "password"
    secret.write_text("word")
    secret.chmod(0o600)
    agent = daemons("agent", admin_listen=place.listen, admin_password_file=secret).start()
    agent.configure(admin_listen=f"0.0.0.0:{place.port}", admin_password_file=secret)
    assert agent.post("/v1/reload").status == 200
    assert place.ask("/healthz", password="word").status == 200
    assert agent.get("/v1/status").json["admin"]["listen"] == f"0.0.0.0:{place.port}"


def test_not_ready(daemons, place):
    """An agent that reaches no relay says so; a relay says that it drains, until it has ended."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        agent = daemons("agent", admin_listen=place.listen)
        agent.conf.write_text(agent.conf.read_text() + "[relay r]\nhost = 127.0.0.1\n"
                              f"port = {nobody.getsockname()[1]}\nhost_key = ssh-ed25519 SHA256:{'A' * 43}\n")
        agent.start()
        said = place.ask("/readyz")
        assert said.status == 503 and said.text == "no lane to a relay is up\n"
        assert place.ask("/healthz").status == 200
        agent.stop()


def test_a_crowd_of_silent_ones(admin, place):
    """Who connects and says nothing has no place when somebody asks."""
    silent = [socket.create_connection(("127.0.0.1", place.port)) for _ in range(200)]
    assert place.ask("/healthz").status == 200
    half = socket.create_connection(("127.0.0.1", place.port))
    half.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 20000)
    assert b" 431 " in half.recv(4096)
    for s in [*silent, half]:
        s.close()
    assert admin.get("/v1/version").status == 200


def test_draining(edges, place):
    """While requests in progress go on the relay says that it is no longer for new ones."""
    edge = edges(admin_listen=place.listen, drain="60s")
    edge.agent.serve = lambda stream: None
    edge.agent.start()
    edge.wait_up("a.test")
    with edge.visitor() as visitor:
        visitor.send(request_bytes("GET", "a.test"))
        wait_until(lambda: edge.status()["domains"][0]["requests"] == 1, "the request is there")
        assert place.ask("/readyz").status == 200
        edge.relay.send(signal.SIGTERM)
        wait_until(lambda: place.ask("/readyz").status == 503, "it drains")
        assert place.ask("/readyz").text == "stopping\n" and place.ask("/healthz").status == 200
    assert edge.relay.wait() == 0
