"""The agent's side of what relays ask and tell about certificates. The relay's part is played by the test, the name server is
BIND: what a relay gets of the zone, and what not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from clock import Clock
from authority import Authority, authorities, loopback, need_root  # noqa: F401 (a fixture)
from programs import ROOT, run, wait_until
from test_agent_link import House, Lane, house  # noqa: F401 (a fixture)

VALUE, OTHER = "A" * 43, "B" * 43
CHALLENGE = "_acme-challenge.a.test"


def configure(house: House, bind: Authority | None = None, relays: tuple[str, ...] = ("fra1",), extra: str = "",
              resolver: str = "") -> None:
    """The house with *.a.test and a.test at BIND, and plain.test without."""
    house.configure({})
    text = (house.path / "agent.ini").read_text()
    head, relay = text.split("[relay fra1]\n")
    resolvers = f"resolvers = {resolver or (bind.address if bind else '127.0.0.1:1')}\n"
    text = head + resolvers + "".join(f"[relay {name}]\n{relay}" for name in relays)
    provider = "".join(f"{k} = {v}\n" for k, v in bind.keys().items()) if bind else ""
    text += f"[provider bind]\ntype = rfc2136\n{provider}" if bind else ""
    dns = "mode = none\ndns = bind\n" if bind else ""
    text += f"[domain *.a.test]\naliases = a.test\nservice = http://127.0.0.1:1\n{dns}"
    text += f"[domain plain.test]\nservice = http://127.0.0.1:1\n{dns}{extra}"
    (house.path / "agent.ini").write_text(text)


def start(house: House, **environment: str) -> None:
    house.log = open(house.path / "agent.log", "ab")
    house.agent = subprocess.Popen([ROOT / os.environ.get("BUILD", "build") / "tunnel-agent", "-c", house.path / "agent.ini"],
                                   stderr=house.log, env={**os.environ, **environment})


def lane_of(house: House) -> Lane:
    lane = house.lane()
    lane.greet()
    return lane


class Asker:
    """Asks by a lane, and waits for the answer with the same id."""

    def __init__(self, lane: Lane) -> None:
        self.lane, self.last = lane, 0

    def __call__(self, kind: str, answer: str, **fields: Any) -> dict[str, Any]:
        self.last += 1
        id: Any = self.last if self.last % 2 else f"id {self.last}"  # it is the asker's to choose
        self.lane.send(type=kind, id=id, **fields)
        return self.lane.wait(answer, lambda m: m["id"] == id)

    def txt(self, op: str, name: str = CHALLENGE, value: str = VALUE) -> str:
        """"" when it is done, or why not."""
        done = self("txt", "txt_done", op=op, name=name, value=value)
        assert done["ok"] == (done["why"] == ""), done
        return done["why"]

    def fetch(self, name: str, address: str, port: int = 80, path: str = "/.well-known/tunnel-check/0aZ_-9") -> dict[str, Any]:
        return self("fetch", "fetched", name=name, address=address, port=port, path=path)


class Machine(ThreadingHTTPServer):
    """Answers one path at port 80 of an address, with this text."""

    def __init__(self, address: str, path: str, text: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == path else 404)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__((address, 80), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_: Any) -> None:
        self.shutdown()
        self.server_close()


def test_txt(house, authorities):
    """Two values at once, beside one of somebody else's; by a CNAME; and each is cleared again: when the relay says so, and at the
    next start after a kill."""
    (bind,) = authorities({"a.test": f'{CHALLENGE}. TXT "somebody else\'s"', "d.test": "", "plain.test": "_acme-challenge CNAME x.d.test."})
    configure(house, bind, extra="txt = on\n")
    start(house)
    ask = Asker(lane_of(house))
    assert ask.txt("set") == "" and ask.txt("set", value=OTHER) == "" and ask.txt("set") == ""
    assert bind.values(CHALLENGE, "TXT") == sorted([VALUE, OTHER, "somebody else's"])
    assert ask.txt("set", "_acme-challenge.plain.test") == ""
    assert bind.values("x.d.test", "TXT") == [VALUE]
    assert ask.txt("clear") == "" and bind.values(CHALLENGE, "TXT") == sorted([OTHER, "somebody else's"])
    assert ask.txt("clear") == "" and ask.txt("clear", value="C" * 43) == ""  # nothing of it is there

    house.agent.send_signal(signal.SIGKILL)
    house.agent.wait()
    start(house)
    wait_until(lambda: bind.values(CHALLENGE, "TXT") == ["somebody else's"] and not bind.values("x.d.test", "TXT"),
               "the next start clears what was left behind")
    ask = Asker(lane_of(house))
    assert ask.txt("clear", value=OTHER) == "" and ask.txt("set") == "" and VALUE in bind.values(CHALLENGE, "TXT")
    assert (house.path / "txt.json").stat().st_mode & 0o777 == 0o600


def test_txt_of_an_hour_ago(house, authorities):
    """Whatever has become of the relay that asked for it."""
    (bind,) = authorities({"a.test": "", "plain.test": ""})
    clock = Clock(house.path)
    configure(house, bind)
    start(house, **clock.environment)
    ask = Asker(lane_of(house))
    assert ask.txt("set") == "" and bind.values(CHALLENGE, "TXT") == [VALUE]
    clock.wait(3590)
    assert ask.txt("set", value=OTHER) == ""
    assert bind.values(CHALLENGE, "TXT") == [VALUE, OTHER]
    clock.wait(30)
    wait_until(lambda: bind.values(CHALLENGE, "TXT") == [OTHER], "the first is cleared")


def test_txt_that_is_not_set(house, authorities):
    """A relay that somebody else has taken over gets nothing of the zone but what a wildcard's certificate needs."""
    (bind,) = authorities({"a.test": "", "plain.test": ""})
    before = {zone: bind.dig("+noall", "+answer", zone, "SOA") for zone in bind.zones}
    configure(house, bind)
    start(house)
    ask = Asker(lane_of(house))
    for name, value, why in ((f"_acme-challenge.www.a.test", VALUE, "claims no *.www.a.test"),
                             ("_acme-challenge.plain.test", VALUE, "claims no *.plain.test"),  # it does not say txt = on
                             ("_acme-challenge.other.test", VALUE, "claims no *.other.test"),
                             ("a.test", VALUE, "sets nothing else"), ("_dmarc.a.test", VALUE, "sets nothing else"),
                             (CHALLENGE, "v=spf1 -all", "43 characters"), (CHALLENGE, VALUE + "A", "43 characters")):
        assert why in ask.txt("set", name, value), (name, value)
    assert {zone: bind.dig("+noall", "+answer", zone, "SOA") for zone in bind.zones} == before
    values = [f"{'V' * 42}{i}" for i in range(5)]
    assert [ask.txt("set", value=value) for value in values[:4]] == [""] * 4
    assert "4 values are set" in ask.txt("set", value=values[4])
    assert ask.txt("set", value=values[0]) == ""  # which is there
    assert ask.txt("clear", value=values[0]) == "" and ask.txt("set", value=values[4]) == ""
    assert bind.values(CHALLENGE, "TXT") == values[1:]


def test_txt_without_a_provider(house):
    configure(house)
    start(house)
    ask = Asker(lane_of(house))
    assert "has no [provider] in dns" in ask.txt("set")


def test_fetch(house, authorities):
    """What the house sees of a site: the nonce, another machine, nothing; and where it does not look."""
    address = loopback()
    relay, stranger, closed, unpublished = (address(i) for i in range(1, 5))
    (bind,) = authorities({"a.test": f"@ A {relay}\n@ A {stranger}\n@ A {closed}\n*.x A {relay}\n@ AAAA 2001:db8::1", "plain.test": ""})
    configure(house, bind)
    start(house)
    ask = Asker(lane_of(house))
    nonce = "0aZ_-9"
    path = f"/.well-known/tunnel-check/{nonce}"
    with Machine(relay, path, nonce), Machine(stranger, path, "welcome"), Machine(unpublished, path, nonce):
        seen = ask.fetch("a.test", relay)
        assert (seen["ok"], seen["status"], seen["why"]) == (True, 200, "")
        seen = ask.fetch("a.test", relay, path="/.well-known/tunnel-check/another")
        assert (seen["ok"], seen["status"]) == (False, 404) and "HTTP status 404" in seen["why"]
        seen = ask.fetch("a.test", stranger)
        assert (seen["ok"], seen["status"]) == (False, 200) and "something else" in seen["why"]
        seen = ask.fetch("a.test", closed)
        assert (seen["ok"], seen["status"]) == (False, 0) and f"{closed} port 80: " in seen["why"]
        for fields, why in (({"name": "b.test"}, "does not claim b.test"), ({"port": 22}, "ports 80 and 443 alone"),
                            ({"path": "/admin?reboot=1"}, "a nonce alone"), ({"address": unpublished}, "finds no address"),
                            ({"address": "router.lan"}, "is no address"), ({"address": "192.168.1.1"}, "finds no address")):
            seen = ask.fetch(**{"name": "a.test", "address": relay, **fields})
            assert (seen["ok"], seen["status"]) == (False, -1) and why in seen["why"], seen


def test_challenges_are_passed_on(house):
    """To all other relays, and the one who asks hears of it when they have it."""
    configure(house, relays=("fra1", "fra2", "fra3"))
    start(house)
    lanes = [house.lane() for _ in range(3)]
    for lane in lanes:
        lane.greet()
    wait_until(lambda: all(relay["state"] == "up" for relay in house.status()["relays"]), "all are up")
    first, second, third = lanes
    said = {"name": "x.a.test", "token": "tok", "answer": f"tok.{VALUE}", "op": "set", "how": "http-01"}
    first.send(type="challenge", id="one", **said)
    heard = [lane.wait("challenge") for lane in (second, third)]
    for passed in heard:
        assert {k: passed[k] for k in said} == said
    second.send(type="challenge_done", id=heard[0]["id"], ok=True, why="")
    assert not first.find("challenge_done")
    third.send(type="challenge_done", id=heard[1]["id"], ok=True, why="")
    assert first.wait("challenge_done")["ok"] is True and first.find("challenge_done")[0]["id"] == "one"

    second.send(type="challenge", id=2, **{**said, "how": "tls-alpn-01"})
    heard = [lane.wait("challenge", n=n) for lane, n in ((first, 1), (third, 2))]
    assert heard[0]["how"] == "tls-alpn-01"
    first.send(type="challenge_done", id=heard[0]["id"], ok=False, why="not served here")
    done = second.wait("challenge_done")
    assert done["ok"] is False and re.fullmatch(r"relay fra\d: not served here", done["why"])

    first.send(type="challenge", id=3, **{**said, "name": "b.test"})
    assert "does not claim" in first.wait("challenge_done", lambda m: m["id"] == 3)["why"]


def test_certificates_and_notices_in_the_status(house):
    configure(house)
    start(house)
    lane = lane_of(house)
    lane.send(type="cert", item="domain:plain.test", state="failing", not_after="2026-12-24T00:00:00Z", why="plain.test has no address in DNS")
    lane.send(type="cert", item="domain:*.a.test", state="waiting", not_after="", why="")
    lane.send(type="cert", item="domain:gone.test", state="valid", not_after="", why="")  # ours no more
    lane.send(type="notice", level="warn", text="the relay goes down at noon\x1b[0m")

    def told():
        status = house.status()
        return status if status["notices"] else None

    status = wait_until(told, "the notice is in the status")
    certs = {domain["name"]: domain["certs"] for domain in status["domains"]}
    assert certs["plain.test"][0].pop("since")
    assert certs["plain.test"] == [{"name": "plain.test", "relay": "fra1", "state": "failing", "not_after": "2026-12-24T00:00:00Z",
                                    "last_error": "plain.test has no address in DNS"}]
    assert certs["*.a.test"][0]["state"] == "waiting" and certs["*.a.test"][0]["not_after"] is None
    assert status["notices"][0]["text"].startswith("the relay goes down at noon") and "\x1b" not in status["notices"][0]["text"]
    shown = run("tunnelctl", "--socket", house.path / "control.sock", "status").out
    assert "plain.test: certificate at fra1: failing" in shown and "no address in DNS" in shown
    assert "fra1: the relay goes down at noon" in shown
