"""Before a name's first order: does it lead here, seen from the house? And a name that is published at two relays."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

from acme_sim import sims  # noqa: F401 (a fixture)
from authority import authorities, loopback  # noqa: F401 (a fixture)
from daemon import Daemon
from path import DOMAIN, LIKE_A_VM, Front, VmSshd, WholePath, fronts  # noqa: F401 (a fixture)
from pebble import Pebble, pebbles  # noqa: F401 (a fixture)
from programs import need, wait_until
from test_dns01 import At, cert, section, wait_valid


@contextlib.contextmanager
def proxy(at: str, to: str, ports: tuple[int, ...] = (80, 443)) -> Iterator[None]:
    """A load balancer in front: these ports of one address lead to those of another one."""
    stop = threading.Event()

    def join(a: socket.socket, b: socket.socket) -> None:
        with a, b:
            while not stop.is_set():
                for s in select.select([a, b], [], [], 0.2)[0]:
                    with contextlib.suppress(OSError):
                        if data := s.recv(65536):
                            (b if s is a else a).sendall(data)
                            continue
                    return

    def accept(server: socket.socket, port: int) -> None:
        with server:
            while not stop.is_set():
                if select.select([server], [], [], 0.2)[0]:
                    with contextlib.suppress(OSError):
                        pair = server.accept()[0], socket.create_connection((to, port))
                        threading.Thread(target=join, args=pair, daemon=True).start()

    for port in ports:
        threading.Thread(target=accept, args=(socket.create_server((at, port)), port), daemon=True).start()
    yield
    stop.set()


def listed(front: Front, name: str) -> dict[str, Any]:
    return next(c for c in front.relay.get("/v1/certs").json["certs"] if c["name"] == name)


def listening(address: str) -> dict[str, object]:
    """A relay where the world looks for it."""
    return {"listen_https": f"{address}:443", "listen_http": f"{address}:80", "publish": address}


class Ahead(WholePath):
    """a.test leads here, shut.test to a closed place, none.test nowhere, proxied.test through somebody else's machine; self.test
    needs no agent."""

    def __init__(self, acme: dict[str, object], *where: Any, **how: Any) -> None:
        self.acme = acme
        super().__init__(*where, services={f"{name}.test": "http://127.0.0.1:1" for name in ("shut", "none", "proxied")}, **how)

    def start_relay(self) -> None:
        self.relay.conf.write_text(self.relay.conf.read_text() + section("acme", self.acme) +
                                   section("domain self.test", {"upstream": "127.0.0.1:1"}))
        super().start_relay()


def test_looked_at_from_the_house(daemons, started, folder, authorities, pebbles):
    address = loopback()
    relay, closed, balancer = (address(i) for i in (1, 2, 3))
    (bind,) = authorities({"a.test": f"@ A {relay}", "shut.test": f"@ A {closed}", "none.test": "", "self.test": f"@ A {relay}",
                           "proxied.test": f"@ A {balancer}"})
    pebble = pebbles(http_port=80, tls_port=443, dns=At(bind), authz_reuse=0)
    acme = {**pebble.keys(), "preflight": "on", "challenges": "tls-alpn-01 http-01"}
    with proxy(balancer, relay):
        house = Ahead(acme, daemons, started, folder, agent_keys={"resolvers": bind.address}, **listening(relay))
        for name in ("a.test", "proxied.test", "self.test"):
            wait_valid(house, name)
        wait_until(lambda: cert(house, "shut.test")["last_error"] and cert(house, "none.test")["last_error"], "the others are held back")
        shut, none = (cert(house, name)["last_error"] for name in ("shut.test", "none.test"))
        assert "does not lead to this relay" in shut and f"agent pi: {closed} port 443" in shut and relay in shut, shut
        assert "none.test has no address in DNS" in none and relay in none, none
        assert pebble.orders() == 3 and cert(house, "shut.test")["state"] == "waiting"
        warnings = {name: listed(house, name)["warning"] or "" for name in ("a.test", "proxied.test", "self.test")}
        assert warnings["a.test"] == ""
        assert "is no address of this relay" in warnings["proxied.test"]
        assert "only this relay itself has looked" in warnings["self.test"]
        assert house.agent.log().count("looked from outside for a relay") >= 3

        assert house.relay.post("/v1/certs/shut.test/renew").status != 404  # a person knows better
        wait_until(lambda: pebble.orders() > 3, "it is ordered nevertheless")
    house.close()


def test_who_may_issue_is_looked_at(fronts, sims, authorities):  # noqa: F811
    """CAA records are a warning: the authority looks itself."""
    address = loopback()
    relay = address(1)
    (bind,) = authorities({"a.test": f'@ A {relay}\n@ CAA 0 issue "ca.test"', "b.test": f'@ A {relay}\n@ CAA 0 issue "other.test"',
                           "c.test": f'@ A {relay}\n@ CAA 128 tbs "who knows"'})
    sim = sims()
    front = fronts("a.test b.test c.test", **listening(relay))
    front.relay.conf.write_text(front.relay.conf.read_text() + section("acme", {**sim.keys(), "preflight": "on", "resolvers": bind.address}) +
                                "".join(section(f"domain {name}.test", {"upstream": "127.0.0.1:1"}) for name in "abc"))
    front.start_relay()
    for name, said in (("a.test", "ca.test issue"), ("b.test", "the CAA records of b.test do not let ca.test issue"), ("c.test", "tbs")):
        wait_until(lambda: cert(front, name)["state"] == "valid", f"{name}: {cert(front, name)}")
        assert (said in listed(front, name)["warning"]) == (name != "a.test"), listed(front, name)


class Both(WholePath):
    """An agent with two relays; each has an sshd of its own."""

    def __init__(self, addresses: list[str], daemons: Callable[..., Daemon], started: list, folder: Path, bind: str) -> None:
        self.addresses, self.daemons, self.started_things = addresses, daemons, started
        super().__init__(daemons, started, folder, agent_keys={"resolvers": bind}, **listening(addresses[0]))

    def _agent_ini(self, agent: Daemon, folder: Path) -> str:
        text = super()._agent_ini(agent, folder)
        own = folder / "second"
        own.mkdir()
        sshd = VmSshd(own, LIKE_A_VM)
        self.started_things.append(sshd)
        sshd.start()
        key = (folder / "agent_key.pub").read_text().strip()
        self.second = Front(self.daemons, key, DOMAIN, ssh_port=sshd.port, **listening(self.addresses[1]))
        sshd.follow(self.second.relay.state_dir / "authorized_keys")
        self.second.start_relay()
        shown = subprocess.run([need("ssh-keygen"), "-l", "-f", sshd.folder / "host_key.pub"], check=True, capture_output=True, text=True)
        return text + section("relay second", {"host": "127.0.0.1", "port": sshd.port, "user": sshd.user, "lanes": 1,
                                               "key_file": folder / "agent_key", "host_key": f"ssh-ed25519 {shown.stdout.split()[1]}"})


def test_two_relays(daemons, started, folder, authorities, pebbles):
    """The CA asks the second relay alone, which has not ordered anything: the agent has passed the answer on. By either way."""
    address = loopback()
    first, second = address(1), address(2)
    (bind,) = authorities({"a.test": f"@ A {second}"})
    pebble = pebbles(http_port=80, tls_port=443, dns=At(bind), authz_reuse=0)
    both = Both([first, second], daemons, started, folder, bind.address)
    both.second.wait_up()
    plain = both.relay.conf.read_text()
    serials = set()
    for way in ("http-01", "tls-alpn-01"):
        both.relay.conf.write_text(plain + section("acme", {**pebble.keys(), "challenges": way, "preflight": "on"}))
        assert both.relay.post("/v1/reload").status == 200
        if serials:
            wait_until(lambda: both.relay.post("/v1/certs/a.test/renew").status == 200, "it is renewed")
        wait_until(lambda: cert(both, "a.test")["state"] == "valid" and
                   {c["serial"] for c in listed(both, "a.test")["certificates"]} - serials, f"{way}: {cert(both, 'a.test')}")
        serials |= {c["serial"] for c in listed(both, "a.test")["certificates"]}
    assert pebble.issued() == 2 and "INVALID" not in pebble.log()
    assert cert(both.second, "a.test")["issuer"] != cert(both, "a.test")["issuer"]
    both.close()
    both.second.close()
