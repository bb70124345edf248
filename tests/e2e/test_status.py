"""tunnelctl status: what is wrong comes first; one domain in depth; every member of its JSON stands in the manual."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import threading
from pathlib import Path

import pytest

from path import DOMAIN, path
from ports import port_paths, services
from programs import PATIENCE_S, environment, program, run, wait_until
from test_log import watching

MANUAL = Path(__file__).resolve().parents[2] / "conf/man/tunnelctl.1"
# Members that the answers below have no reason to show.
RARE = re.compile(r"domains\[\]\.(upstream|routes\[\]\..*|certs\[\]\..*|dns\.records\[\]\.(provider|public)\[\]|dns)"
                  r"|leaving\[\].*|relays\[\]\.(protocol|remote_.*|service.*)|notices\[\]\..*|domains\[\]\.guard\..*|domains\[\]\.cert"
                  r"|domains\[\]\.cert\.(failures|deploy_.*)|alerts\.webhook\..*")


def ctl(daemon, *words):
    return run("tunnelctl", "--socket", daemon.socket, *words)


def members(value, at=""):
    """Their names, as the manual has them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from members(inner, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        yield f"{at}[]"
        for inner in value:
            yield from members(inner, f"{at}[]") if isinstance(inner, (dict, list)) else ()
    if at and not isinstance(value, list) and not at.endswith("[]"):
        yield at


def documented():
    text = MANUAL.read_text()
    part = text[text.index(".Sh THE STATUS AS JSON"):text.index(".Sh OTHER ANSWERS AS JSON")]
    both, relay, agent = [set(re.findall(r"^\.It Li (\S+)$", one, re.MULTILINE)) for one in part.split(".Bl ")[1:]]
    return {"relay": both | relay, "agent": both | agent}


def test_every_member_of_the_answer_is_documented(port_paths, services):
    made = port_paths({"a": {"service": services().url}})
    with made.agent.conf.open("a") as conf:
        conf.write("[domain d.test]\nmode = direct\ndns = manual\n[address]\nsources = fixed:203.0.113.9\n")
    assert made.agent.post("/v1/reload").status == 200
    wait_until(lambda: made.agent.get("/v1/status").json["domains"][1]["dns"]["records"][0]["wanted"], "it is known")
    assert made.visit().status == 200
    for daemon in (made.relay, made.agent):
        answer, known = json.loads(ctl(daemon, "--json", "status").out), documented()[daemon.role]
        shown = set(members(answer))
        parents = {name.rpartition(".")[0] for name in shown}
        null = {name[:-2] for name in known if name.endswith("[]")}  # a list that is not known yet
        assert shown - known - parents - null == set(), daemon.role
        assert {name for name in known - shown if not RARE.fullmatch(name)} == set(), daemon.role
        one = json.loads(ctl(daemon, "--json", "status", DOMAIN).out)
        assert one["domain"]["name"] == DOMAIN
        assert set(members(one["domain"])) <= {name[len("domains[]."):] for name in shown}


def documented_of_others():
    """In answers to other commands than status."""
    text, like = MANUAL.read_text(), documented()
    part = text[text.index(".Sh OTHER ANSWERS AS JSON"):text.index(".Sh EXAMPLES")]
    known = set(re.findall(r"^\.It Li (\S+)$", part, re.MULTILINE))
    known |= {name.replace("domains[].cert.", "certs[].", 1) for name in like["relay"]}
    return known | {name.replace("domains[].dns.records[]", "records[]", 1) for name in like["agent"]}


def test_every_member_of_other_answers_is_documented(path):
    with path.agent.conf.open("a") as conf:
        conf.write("[provider p]\ntype = cloudflare\ntoken_file = env:HOME\n"
                   "[domain d.test]\nmode = direct\ndns = manual\n[address]\nsources = fixed:203.0.113.9\n")
    said = [ctl(path.agent, "--json", *words.split()).out
            for words in ("check", "reload", "version", "ban 192.0.2.7", "ban", "dns", "dns sync")]
    said += [ctl(path.relay, "--json", *words.split()).out for words in ("agents", "ban", "certs")]
    said += [ctl(path.relay, "--json", "revoke", "nobody").out]
    assert ctl(path.relay, "invite", "nas", "--domains", "n.test", "--host", "127.0.0.1").code == 0
    said += [ctl(path.relay, "--json", "agents").out]
    shown = {name for one in said if "banned" not in json.loads(one) for name in members(json.loads(one))}
    known = documented_of_others()
    null = {name[:-2] for name in known if name.endswith("[]")}
    assert shown - known - {name.rpartition(".")[0] for name in shown} - null == set()


def test_what_is_wrong_comes_first(path):
    relay, agent = path.relay, path.agent
    assert ctl(relay, "status").code == 0 and "wrong" not in ctl(relay, "status").out
    path.site.end()
    assert path.visit().status == 502
    done = ctl(agent, "status")
    lines = done.out.splitlines()
    assert done.code == 1 and lines[2] == "wrong" and lines[3].startswith(f"  {DOMAIN}: {path.site.url}: ")
    assert "refused" in lines[3] and re.search(r"; since \d+s$", lines[3])
    deep = ctl(agent, "status", DOMAIN)
    assert deep.code == 1 and "refused, for " in deep.out and lines[3] in deep.out.replace(" 1s", " 0s") + done.out
    agent.kill()
    wait_until(lambda: path.lane_states() == ["dead"], "it is away")
    done = ctl(relay, "status")
    lines = done.out.splitlines()
    assert done.code == 1 and lines[2] == "wrong"
    assert lines[3].startswith(f"  {DOMAIN}: down: no lane of agent pi is up; look at tunnelctl status on its machine")
    assert lines[4].startswith("  pi: ") and "; since " in lines[4]
    deep = ctl(relay, "status", DOMAIN)
    assert deep.code == 1 and "agents        pi" in deep.out and "down, for " in deep.out and "certificate   valid" in deep.out
    done = ctl(relay, "status", "b.test")
    assert done.code == 1 and "there is no domain b.test here" in done.err


def test_it_goes_on_until_it_is_told_to_end(path):
    with watching(path.relay, "status", "--watch", tty=True) as (process, seen):
        wait_until(lambda: seen().count("tunnel-relay") >= 2, "it is shown again")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    with watching(path.agent, "status", DOMAIN, "--watch", tty=True) as (process, seen):
        wait_until(lambda: "mode" in seen(), "it is shown")
        path.agent.kill()
        assert process.wait(PATIENCE_S) == 3


def on_a_terminal(status, folder, lines, columns):
    """What is shown of this answer there: its lines, each as often as it takes lines of the screen."""
    where = str(folder / "impostor.sock")
    far, near = pty.openpty()
    fcntl.ioctl(near, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(where)
        listener.listen()
        process = subprocess.Popen([program("tunnelctl"), "--socket", where, "status"], stdout=near, env=environment(NO_COLOR="1"))
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            content = json.dumps(status).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
        os.close(near)
        text = b""
        with contextlib.suppress(OSError):  # so it says that nobody writes any more
            while more := os.read(far, 65536):
                text += more
        os.close(far)
        process.wait(PATIENCE_S)
    (folder / "impostor.sock").unlink()
    return [line[i:i + columns] for line in text.decode().splitlines() for i in range(0, len(line) or 1, columns)]


def many(domains, bad):
    """A relay's status with so many domains, and so many of them whose certificate fails."""
    cert = {"state": "valid", "issuer": "acme", "not_after": "2099-01-01T00:00:00Z", "names": [], "last_error": None}
    failing = {**cert, "state": "failing", "last_error": "the authority says: " + "no " * 40, "failing_since": "2026-01-01T00:00:00Z"}
    return {"role": "relay", "name": "fra1", "version": "1", "uptime_s": 9, "listeners": [],
            "lanes": [{"agent": "pi", "lane": i, "state": "up", "since": "2026-01-01T00:00:00Z", "rtt_ms": 9, "streams": 0} for i in range(8)],
            "domains": [{"name": f"n{i}.example.org", "state": "up", "agents": ["pi"], "requests": i, "errors": 0,
                         "cert": failing if i >= domains - bad else cert} for i in range(domains)]}


@pytest.mark.parametrize("domains, bad", [(3, 0), (3, 1), (200, 0), (200, 2), (200, 200)])
def test_it_fits_on_a_screen(folder, domains, bad):
    shown = on_a_terminal(many(domains, bad), folder, 24, 80)
    assert len(shown) <= 23, "\n".join(shown)  # and one for what is typed next
    text = "\n".join(shown)
    assert ("wrong" in shown) == (bad > 0) and ("; since " in text.replace("\n", "")) == (bad > 0)
    if domains > 100:
        assert len(shown) >= 22 and re.search(r"^  and \d+ more$", text, re.M)
    if bad > 100:
        assert re.search(r"^  and \d+ more; to see all: tunnelctl status \| less$", text, re.M)
    whole = on_a_terminal(many(domains, bad), folder, 2000, 200)
    assert len(re.findall(r"\.example\.org +up ", "\n".join(whole))) == domains and "more" not in "\n".join(whole)


def at_home(domains, notices):
    """An agent's status whose rows are wider than 80 columns, with what its relay has said at length."""
    since = "2026-01-01T00:00:00Z"
    return {"role": "agent", "name": "pi", "version": "1", "uptime_s": 9, "tcp": [],
            "relays": [{"name": "fra1", "port": 22, "lanes": [{"lane": 0, "port": 22, "state": "up", "since": since, "rtt_ms": 9}]}],
            "domains": [{"name": f"a-name-of-some-length-{i}.sassy-cat-pics.com", "mode": "tunnel", "service": "http://192.168.178.1:8080",
                         "service_state": "ok", "routes": [], "dns": {"records": []}, "certs": []} for i in range(domains)],
            "notices": [{"relay": "fra1", "level": "warn", "text": "no " * 60, "at": since}] * notices}


@pytest.mark.parametrize("domains, notices", [(3, 0), (3, 9), (200, 0), (200, 9)])
def test_rows_that_are_wider_than_it_fit_as_well(folder, domains, notices):
    shown = on_a_terminal(at_home(domains, notices), folder, 24, 80)
    text = "\n".join(shown)
    assert len(shown) <= 24, text  # what is worst is shown of each table, and may take a line more
    assert "a-name-of-some-length-0." in text and ("from the relays" in shown) == (notices > 0)
    if domains == 3 and not notices:
        assert "more" not in text  # there is room for all
    narrow = "\n".join(on_a_terminal(at_home(domains, notices), folder, 8, 80))
    assert "none" not in narrow, narrow  # they are there, though not shown


EVIL = "\x1b]0;x\x07\x1b[31m\r\n\x9b2J"


@pytest.mark.parametrize("status", [
    {"role": "relay", "name": EVIL, "version": EVIL, "uptime_s": 1,
     "lanes": [{"agent": EVIL, "lane": 1, "state": "dead", "since": EVIL, "last_error": EVIL, "next_attempt": EVIL}],
     "domains": [{"name": EVIL, "state": EVIL, "agents": [EVIL], "last_error": EVIL, "last_error_since": EVIL,
                  "cert": {"state": "expired", "not_after": EVIL, "last_error": EVIL}},
                 {"name": "b", "state": "down", "agents": [], "cert": {"state": EVIL}}],
     "tcp": [{"name": EVIL, "listen": EVIL, "state": "refused", "agent": EVIL, "why": EVIL}]},
    {"role": "agent", "name": EVIL, "version": EVIL, "uptime_s": 1,
     "relays": [{"name": EVIL, "port": 22, "protocol": "plain", "remote_address": EVIL, "service": EVIL, "service_state": EVIL,
                 "service_detail": EVIL, "lanes": [{"lane": 0, "port": 443, "state": "up", "last_error": EVIL}]}],
     "domains": [{"name": EVIL, "mode": EVIL, "service": EVIL, "service_state": EVIL, "service_detail": EVIL,
                  "routes": [{"path": EVIL, "service": EVIL, "service_state": EVIL, "service_detail": EVIL}],
                  "dns": {"records": [{"name": EVIL, "type": EVIL, "state": "failed", "last_error": EVIL}]},
                  "certs": [{"relay": EVIL, "state": "failing", "not_after": EVIL, "last_error": EVIL}]}],
     "notices": [{"relay": EVIL, "text": EVIL, "at": EVIL}],
     "tcp": [{"name": EVIL, "listen": EVIL, "claim": "refused", "claim_why": EVIL, "service": EVIL, "service_detail": EVIL}]},
], ids=["relay", "agent"])
def test_text_of_a_peer_says_nothing_to_the_terminal(folder, status):
    where = str(folder / "impostor.sock")
    said = [json.dumps(status).encode()]
    said.append(json.dumps({**status, "domain": status["domains"][0]}).encode())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(where)
        listener.listen()

        def serve():
            for content in said:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)

        thread = threading.Thread(target=serve)
        thread.start()
        for words in (["status"], ["status", "a.test"]):
            done = run("tunnelctl", "--socket", where, *words)
            assert done.code == 1 and done.out, done
            assert all(line.isprintable() for line in done.out.split("\n")), done.out
        thread.join()
