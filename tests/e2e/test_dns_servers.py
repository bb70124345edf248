"""Real name servers: BIND and Knot by signed updates (RFC 2136, TSIG), PowerDNS by its HTTP API."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest

from clock import Clock
from dnscall import Caller
from nameserver import SECRET, Bind, Knot, NameServer, PowerDns, free_port
from programs import need

ZONE = "example.org"
WWW = f"www.{ZONE}"
CHALLENGE = f"_acme-challenge.{WWW}"
VALUE, OTHER = "a" * 43, "b" * 43


@pytest.fixture
def servers(started: list, folder: Path) -> Callable[..., NameServer]:
    def make(kind: type[NameServer], *zones: str) -> NameServer:
        server = kind(folder, *(zones or (ZONE,)))
        server.start()
        started.append(server)
        return server

    return make


@pytest.fixture(params=[Bind, Knot, PowerDns], ids=lambda kind: kind.title)
def server(request: pytest.FixtureRequest, servers: Callable[..., NameServer]) -> NameServer:
    return servers(request.param)


@pytest.fixture(params=[Bind, Knot], ids=lambda kind: kind.title)
def signed(request: pytest.FixtureRequest, servers: Callable[..., NameServer]) -> NameServer:
    return servers(request.param)


def caller(server: NameServer, env: dict[str, str] | None = None, **changes: str) -> Caller:
    call = Caller(server.kind, {**server.keys(), **changes}, env)
    call.secrets = [SECRET]
    return call


def test_sets(server: NameServer) -> None:
    call = caller(server)
    assert call("zone", f"a.b.{ZONE}")["zone"] == ZONE
    assert call("zone", ZONE)["zone"] == ZONE
    assert call("zone", f"x.alias.{ZONE}")["zone"] == ZONE
    assert call("zone", f"alias.{ZONE}")["zone"] == ZONE
    assert call("zone", "elsewhere.test")["class"] == "config"
    for name in (ZONE, WWW, f"*.{ZONE}", f"a.b.c.{ZONE}"):
        asked = name.replace("*", "any-thing")
        assert call("read", name, "A")["values"] == []
        assert call("set", name, "A", -1, -1, "192.0.2.1", "192.0.2.2")["class"] == "ok"
        assert call("set", name, "AAAA", 120, -1, "2001:db8::1")["class"] == "ok"
        assert server.values(asked, "A") == ["192.0.2.1", "192.0.2.2"] and server.values(asked, "AAAA") == ["2001:db8::1"]
        assert server.ttl(asked, "AAAA") == 120
        assert call("set", name, "A", -1, -1, "192.0.2.2", "192.0.2.1")["class"] == "nochange"
        assert call("set", name, "A", 90, -1, "192.0.2.3")["class"] == "ok"
        assert (server.values(asked, "A"), server.ttl(asked, "A")) == (["192.0.2.3"], 90)
        assert call("set", name, "A", -1, -1, "192.0.2.4")["class"] == "ok"
        assert (server.values(asked, "A"), server.ttl(asked, "A")) == (["192.0.2.4"], 90)
        assert call("clear", name, "A")["class"] == "ok"
        assert call("clear", name, "AAAA")["class"] == "ok"
        assert server.values(asked, "A") == [] and call("read", name, "A")["values"] == []
    assert server.values(f"fixed.{ZONE}", "A") == ["192.0.2.99"]


def test_a_cname_is_seen(server: NameServer) -> None:
    call = caller(server)
    assert call("read", f"alias.{ZONE}", "CNAME")["values"] == [f"fixed.{ZONE}"]
    assert call("read", f"alias.{ZONE}", "A")["values"] == []
    assert call("read", f"fixed.{ZONE}", "CNAME")["values"] == []


@pytest.mark.parametrize("record, text", [("NS ns.elsewhere.test.", f"sub.{ZONE} is delegated to other servers by an NS record in {ZONE}"),
                                          ("DNAME elsewhere.test.", f"a DNAME record at sub.{ZONE} says that all names below it")],
                         ids=["NS", "DNAME"])
def test_what_is_below_is_elsewhere(signed: NameServer, record: str, text: str) -> None:
    """An update would be taken, and never be seen: nothing is sent, and nothing is there once that record is gone."""
    def update(what: str) -> None:
        subprocess.run([need("nsupdate"), "-y", f"hmac-sha256:pi:{SECRET}"], check=True, text=True,
                       input=f"server 127.0.0.1 {signed.port}\nzone {ZONE}\nupdate {what}\nsend\n")

    below, call = f"x.sub.{ZONE}", caller(signed)
    update(f"add sub.{ZONE} 300 {record}")
    for words in (("read", below, "A"), ("read", below, "CNAME"), ("set", below, "A", -1, -1, "192.0.2.1"), ("add-txt", below, VALUE)):
        reply = call(*words)
        assert reply["class"] == "config" and text in reply["text"], words
    for name in (WWW, f"x.alias.{ZONE}", f"sub2.{ZONE}"):
        assert call("read", name, "A")["class"] == "ok"
    update(f"delete sub.{ZONE} {record.split()[0]}")
    assert call("read", below, "A")["values"] == []
    assert call("set", below, "A", -1, -1, "192.0.2.1")["class"] == "ok" and signed.values(below, "A") == ["192.0.2.1"]


def test_txt_beside_others(server: NameServer) -> None:
    call = caller(server)
    odd = 'v=x; "quoted" \\back'
    for value in (OTHER, VALUE, odd, "x" * 600):
        assert call("add-txt", CHALLENGE, value)["class"] == "ok"
    assert sorted(call("read", CHALLENGE, "TXT")["values"]) == sorted([OTHER, VALUE, odd, "x" * 600])
    assert call("remove-txt", CHALLENGE, VALUE)["class"] == "ok"
    assert call("remove-txt", CHALLENGE, VALUE)["class"] == "nochange"
    assert sorted(call("read", CHALLENGE, "TXT")["values"]) == sorted([OTHER, odd, "x" * 600])


def test_a_truncated_answer_is_asked_for_by_tcp(signed: NameServer) -> None:
    call = caller(signed)
    values = [f"{i:02d}" + "x" * 200 for i in range(20)]
    assert call("set", CHALLENGE, "TXT", 60, -1, *values)["class"] == "ok"  # itself longer than 512 bytes
    assert sorted(call("read", CHALLENGE, "TXT")["values"]) == values
    assert call("set", CHALLENGE, "TXT", 60, -1, *values[:15])["class"] == "ok"
    assert sorted(call("read", CHALLENGE, "TXT")["values"]) == values[:15]


def test_key_files(signed: NameServer) -> None:
    statement = f'# made by tsig-keygen\nkey "pi" {{\n\talgorithm HMAC-SHA256; // the usual\n\tsecret "{SECRET}";\n}};\n'
    signed.key.write_text(statement)
    keys = {key: value for key, value in signed.keys().items() if key in ("server", "key_file")}
    call = Caller("rfc2136", keys)
    assert call("set", WWW, "A", -1, -1, "192.0.2.1")["class"] == "ok"
    call.keys["key_file"], call.env = "env:E2E_TSIG", {"E2E_TSIG": statement}
    assert call("set", WWW, "A", -1, -1, "192.0.2.2")["class"] == "ok"
    call.keys["key_file"], call.env = "credential:tsig", {"CREDENTIALS_DIRECTORY": str(signed.folder)}
    (signed.folder / "tsig").write_text(SECRET)
    assert call("read", WWW, "A")["class"] == "auth"  # the secret alone has no name
    call.keys["key_name"] = "pi."
    assert call("read", WWW, "A")["values"] == ["192.0.2.2"]
    for wrong in ("not base64!", "key pi { secret; };", f'key "pi" {{ algorithm hmac-md5; secret "{SECRET}"; }};', f"{SECRET} {SECRET}"):
        signed.key.write_text(wrong)
        answer = Caller("rfc2136", signed.keys())("read", WWW, "A")
        assert answer["class"] == "auth" and SECRET not in answer["text"], wrong


def test_wrong_keys(signed: NameServer) -> None:
    wrong = signed.folder / "wrong.key"
    wrong.touch(mode=0o600)
    wrong.write_text("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=X"[:-1].replace("MDEy", "MDFy"))
    assert caller(signed, key_file=str(wrong))("read", WWW, "A")["class"] == "auth"
    nobody = caller(signed, key_name="nobody.")("set", WWW, "A", -1, -1, "192.0.2.1")
    assert nobody["class"] == "auth", nobody
    assert caller(signed, key_algorithm="hmac-sha512")("read", WWW, "A")["class"] == "auth"
    reader = caller(signed, key_name="reader.", key_algorithm="hmac-sha512")
    refused = reader("set", WWW, "A", -1, -1, "192.0.2.1")
    assert refused["class"] in ("config", "auth") and signed.values(WWW, "A") == []
    if isinstance(signed, Bind):  # Knot shows nothing at all to a key that may not do anything
        assert refused["class"] == "config" and reader("read", f"fixed.{ZONE}", "A")["values"] == ["192.0.2.99"]


def test_a_wrong_clock(signed: NameServer, folder: Path) -> None:
    """Knot says of a signed "your clock is wrong" what time it is, as BIND does: good for an hour's difference."""
    clock = Clock(folder)
    clock.jump(-3600)
    call = caller(signed, env=clock.environment)
    assert call("set", WWW, "A", -1, -1, "192.0.2.1")["class"] == "ok"
    assert signed.values(WWW, "A") == ["192.0.2.1"]


def test_two_updates_race(signed: NameServer) -> None:
    """Each says what it has read; one that is late is told so, and nothing of the other's is lost."""
    call = caller(signed)
    results: list[str] = []
    values = [f"{i}" * 43 for i in range(8)]
    threads = [threading.Thread(target=lambda v=v: results.append(call("add-txt", CHALLENGE, v)["class"])) for v in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(results) <= {"ok", "transient"} and "ok" in results
    assert len(signed.values(CHALLENGE, "TXT")) == results.count("ok")


def test_nobody_there(folder: Path) -> None:
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_text(SECRET)
    answer = Caller("rfc2136", {"server": f"127.0.0.1:{free_port()}", "key_file": str(key), "key_name": "pi"})("read", WWW, "A")
    assert answer["class"] == "transient" and "127.0.0.1" in answer["text"]
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        start = time.monotonic()
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        assert Caller("rfc2136", {"server": server, "key_file": str(key), "key_name": "pi"})("read", WWW, "A")["class"] == "transient"
        assert time.monotonic() - start < 60


@pytest.fixture
def liar(folder: Path) -> Iterator[tuple[Caller, list[Callable[[bytes], bytes]]]]:
    """A server that answers what a function makes of the question."""
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_text(SECRET)
    answers: list[Callable[[bytes], bytes]] = []
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(0.1)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    question, peer = udp.recvfrom(65535)
                    udp.sendto(answers[0](question), peer)
                except TimeoutError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield Caller("rfc2136", {"server": f"127.0.0.1:{udp.getsockname()[1]}", "key_file": str(key), "key_name": "pi",
                                 "zone": ZONE}), answers
        done.set()
        thread.join()


def test_an_unsigned_answer_is_no_success(liar: tuple[Caller, list]) -> None:
    call, answers = liar
    for rcode, cls in ((0, "badreply"), (3, "badreply"), (5, "config"), (2, "transient")):
        # the question without its TSIG record, as an answer
        answers[:] = [lambda q, rcode=rcode: q[:2] + bytes([0x84, rcode]) + b"\0\1\0\0\0\0\0\0" + q[12:12 + q[12:].index(b"\0") + 5]]
        assert call("zone", WWW)["class"] == cls, rcode
    answers[:] = [lambda q: q[:2] + b"\x84\0" + q[4:]]  # the question's own signature
    assert call("zone", WWW)["class"] == "badreply"


def test_what_is_no_answer_is_not_one(liar: tuple[Caller, list]) -> None:
    call, answers = liar
    answers[:] = [lambda q: bytes([q[0] ^ 1]) + q[1:]]  # another id
    assert call("zone", WWW)["class"] == "transient"
