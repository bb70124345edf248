"""From one VM to another, and from one SD card to another, as README.md says it, command by command. Real sshd, BIND and Pebble;
a visitor who keeps coming, by whatever address his resolver gives him, has an answer each time."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Callable

import pytest

from authority import Authority, authorities, loopback, need_root  # noqa: F401 (a fixture)
from daemon import Daemon
from path import LIKE_A_VM, VmSshd, user
from pebble import Pebble, pebbles  # noqa: F401 (a fixture)
from programs import run, wait_until
from test_backup import end_sessions
from test_dns01 import At, section
from test_readme import NAME, README, Typist
from visitor import Visitor, connect, context, request_bytes
from website import Site
from words import Block

TTL_S = 2


def of(heading: str) -> list[Block]:
    return README.section(heading.lstrip("# "))


class Vm(Typist):
    """A relay where the world looks for it, its sshd, and somebody who types there."""

    def __init__(self, name: str, address: str, daemons: Callable[..., Daemon], started: list, folder: Path, acme: str) -> None:
        super().__init__(daemons("relay"), folder / name)
        self.name, self.address, self.relay = name, address, self.daemon
        self.lane_socket = self.relay.lane_socket
        (self.home / "sshd").mkdir()
        self.sshd = VmSshd(self.home / "sshd", LIKE_A_VM)
        self.sshd.follow(self.relay.state_dir / "authorized_keys")
        started.append(self.sshd.start())
        self.conf = section("relay", {
            "name": name, "state_dir": self.relay.state_dir, "admin_listen": "", "control_socket": self.relay.socket,
            "lane_socket": self.lane_socket, "lane_user": user(), "workers": 1, "listen_https": f"{address}:443",
            "listen_http": f"{address}:80", "publish": address, "ssh_port": self.sshd.port}) + acme
        self.relay.configure(self.conf)
        self.relay.start()

    def invite(self, command: str) -> str:
        """The token; of a machine whose sshd is at loopback's own address alone."""
        return self.type(f"{command} --host 127.0.0.1").split()[-1]


class World:
    """A VM that serves the house, whose names BIND has, and a certificate of Pebble's."""

    def __init__(self, daemons: Callable[..., Daemon], started: list, folder: Path, bind: Authority, pebble: Pebble) -> None:
        self.daemons, self.started, self.folder, self.bind, self.pebble = daemons, started, folder, bind, pebble
        self.places = loopback()
        self.acme = section("acme", {**pebble.keys(), "preflight": "on"})
        self.old = self.new_vm("fra1", 1)
        self.site = Site()
        started.append(self.site)
        agent = daemons("agent")
        self.home = Typist(agent, folder / "home")
        agent.conf = self.home.etc / "agent.ini"
        agent.configure(
            section("agent", {"name": "pi", "state_dir": agent.state_dir, "admin_listen": "", "control_socket": agent.socket,
                              "include": "agent.d/*.ini", "resolvers": bind.address}) +
            section("provider bind", {"type": bind.kind, **bind.keys()}) +
            section(f"domain {NAME}", {"service": self.site.url, "dns": "bind", "ttl": f"{TTL_S}s"}))
        agent.start()
        self.agent = agent
        self.tls = context(pebble.root())
        self.home.words["TOKEN"] = self.old.invite(f'tunnelctl invite pi --domains "{NAME}"')
        assert "the lane is up" in self.home.type("tunnelctl join TOKEN")
        wait_until(lambda: self.addresses() == [self.old.address], "DNS follows")
        self.old.type(f"tunnelctl certs renew {NAME}")  # it may have looked too early, and would look again in a minute
        self.wait_dns(self.old)

    def new_vm(self, name: str, number: int) -> Vm:
        return Vm(name, self.places(number), self.daemons, self.started, self.folder, self.acme)

    def addresses(self) -> list[str]:
        return self.bind.values(NAME, "A")

    def wait_dns(self, *vms: Vm) -> None:
        """These, each with a certificate that browsers take."""
        expected = sorted(vm.address for vm in vms)
        wait_until(lambda: self.addresses() == expected, f"DNS has {expected}")
        for vm in vms:
            wait_until(lambda: cert_state(vm) == "valid", "the certificate is there")

    def visit(self, address: str) -> int:
        with Visitor(443, self.pebble.folder, NAME, tls=self.tls, at=address) as visitor:
            return visitor.ask("GET", "/echo", host=NAME).status


def cert_state(vm: Vm) -> str:
    sites = vm.relay.get("/v1/status").json["domains"]
    return next((site["cert"]["state"] for site in sites if site["name"] == NAME), "none")


class Keen:
    """A visitor who comes again and again, by each address that his resolver has; which keeps them as long as it may."""

    def __init__(self, world: World) -> None:
        self.world, self.over = world, threading.Event()
        self.served: dict[str, int] = {}
        self.failed: list[str] = []
        self.thread = threading.Thread(target=self._come, daemon=True)
        self.thread.start()

    def _come(self) -> None:
        asked_at, addresses = 0.0, []
        while not self.over.is_set():
            if time.monotonic() - asked_at >= TTL_S:
                asked_at, addresses = time.monotonic(), self.world.addresses()
            for address in addresses:
                try:
                    status = self.world.visit(address)
                except (OSError, AssertionError) as e:
                    status = e
                if status == 200:
                    self.served[address] = self.served.get(address, 0) + 1
                else:
                    self.failed.append(f"{address}: {status}")

    def wait_served_by(self, vm: Vm) -> None:
        before = self.served.get(vm.address, 0)
        wait_until(lambda: self.failed or self.served.get(vm.address, 0) > before, f"a visitor is served by {vm.name}")

    def end(self) -> None:
        self.over.set()
        self.thread.join()


@pytest.fixture
def world(daemons: Callable[..., Daemon], started: list, folder: Path, authorities, pebbles) -> World:  # noqa: F811
    need_root()
    (bind,) = authorities({NAME: ""})
    return World(daemons, started, folder, bind, pebbles(http_port=80, tls_port=443, dns=At(bind), authz_reuse=0))


def relays(world: World, which: str = "relays") -> list[str]:
    return [relay["name"] for relay in world.agent.get("/v1/status").json[which]]


def test_without_downtime(world: World) -> None:
    invite, join, leave = of("### Without downtime")
    old, home, new = world.old, world.home, world.new_vm("fra2", 2)
    keen = Keen(world)
    keen.wait_served_by(old)

    (command,) = invite.commands()
    home.words["TOKEN"] = new.invite(command)
    join_, dns, status = join.commands()
    assert "joined relay fra2" in home.type(join_)
    assert NAME in home.type(dns) and "fra2" in home.type(status, None)
    world.wait_dns(old, new)
    keen.wait_served_by(new)
    keen.wait_served_by(old)
    assert home.type(dns).count(" ok ") >= 1 and home.type(status).startswith("tunnel-agent")

    slow = connect(443, world.tls, NAME, at=old.address)  # a download that takes its time
    slow.sendall(request_bytes("PUT", NAME, "/echo", "Connection: close\r\n", b"x" * 9)[:-1])
    home.words["/etc/tunnel"] = str(home.etc)
    for command in leave.commands():
        home.type(command)
    assert (relays(world), relays(world, "leaving")) == (["fra2"], ["fra1"])
    shown = home.type("tunnelctl status")
    assert "fra1: no longer configured; its lanes stay until" in shown
    issued = world.pebble.issued()
    old.type(f"tunnelctl certs renew {NAME}")
    world.wait_dns(new)
    slow.sendall(b"x")
    assert slow.recv(99).startswith(b"HTTP/1.1 200 ")
    slow.close()
    wait_until(lambda: world.pebble.issued() > issued or relays(world, "leaving") == [], "the old relay renews its certificate")
    assert relays(world, "leaving") == ["fra1"], "the house has helped with it"
    wait_until(lambda: relays(world, "leaving") == [], "the old relay is left")
    (site,) = world.agent.get("/v1/status").json["domains"]
    assert [cert["relay"] for cert in site["certs"]] == ["fra2"], "what the old one has concerns nobody any more"
    keen.wait_served_by(new)
    old.relay.stop()
    keen.wait_served_by(new)
    keen.end()
    assert not keen.failed, keen.failed[:9]
    assert min(keen.served.values()) > 5
    assert old.relay.log().count("certificate") >= 1 and "fra1" not in home.type("tunnelctl status")


def test_the_only_relay_is_replaced_at_once(world: World) -> None:
    """In one reload. Until the new one has its lanes and DNS has followed, visitors have none but the old one."""
    home, new = world.home, world.new_vm("fra2", 2)
    home.words["TOKEN"] = new.invite(f'tunnelctl invite pi --domains "{NAME}"')
    home.type("tunnelctl join TOKEN")
    world.wait_dns(world.old, new)
    sections = [home.etc / "agent.d" / f"relay-{name}.ini" for name in ("fra1", "fra2")]
    away = [path.with_suffix(".away") for path in sections]
    sections[1].rename(away[1])
    home.type("tunnelctl reload")
    wait_until(lambda: relays(world, "leaving") == [] and world.addresses() == [world.old.address], "it was there only to be known")
    keen = Keen(world)
    keen.wait_served_by(world.old)
    sections[0].rename(away[0])
    away[1].rename(sections[1])
    home.type("tunnelctl reload")
    assert (relays(world), relays(world, "leaving")) == (["fra2"], ["fra1"])
    world.wait_dns(new)
    keen.wait_served_by(new)
    keen.end()
    assert not keen.failed, keen.failed[:9]


def test_a_restart_while_a_relay_is_left(world: World) -> None:
    """The agent is killed before DNS is changed, and so knows nothing of a relay that it was about to leave: its records go all
    the same, once the provider answers, although nobody is there any more."""
    old, home, new = world.old, world.home, world.new_vm("fra2", 2)
    home.words["TOKEN"] = new.invite(f'tunnelctl invite pi --domains "{NAME}"')
    home.type("tunnelctl join TOKEN")
    world.wait_dns(old, new)
    world.bind.process.send_signal(signal.SIGSTOP)
    (home.etc / "agent.d" / "relay-fra1.ini").unlink()
    home.type("tunnelctl reload")
    assert (relays(world), relays(world, "leaving")) == (["fra2"], ["fra1"])
    world.agent.kill()
    old.relay.stop()
    new.relay.stop()
    assert new.sshd.end() is None
    world.agent.start()
    world.bind.process.send_signal(signal.SIGCONT)
    assert (relays(world), relays(world, "leaving")) == (["fra2"], [])
    wait_until(lambda: world.addresses() == [new.address], "the dead one's record goes, whether or not the other one is there")
    new.sshd.start_again()
    new.relay.start()
    world.wait_dns(new)
    wait_until(lambda: world.visit(new.address) == 200, "visitors are served")


def test_a_new_relay_is_held_back_until_it_can_serve(world: World) -> None:
    """Its authority does not answer: it is told so, and DNS stays as it is; until there is nobody else."""
    world.acme = section("acme", {**world.pebble.keys(), "directory": "https://127.0.0.1:9/dir", "preflight": "on"})
    new = world.new_vm("fra2", 2)
    world.home.words["TOKEN"] = new.invite(f'tunnelctl invite pi --domains "{NAME}"')
    world.home.type("tunnelctl join TOKEN")
    wait_until(lambda: "relay fra2 is left out until it has a certificate" in world.home.type("tunnelctl dns"), "it is said")
    assert world.addresses() == [world.old.address]
    conf = world.agent.conf.read_text()
    world.agent.conf.write_text(conf.replace("[agent]\n", "[agent]\nwithdraw_after = 1s\n"))
    world.home.type("tunnelctl reload")
    world.old.relay.stop()  # its tunnel stays: DNS does not follow a restart
    assert world.addresses() == [world.old.address]
    end_sessions(world.old)
    assert world.old.sshd.end() is None
    wait_until(lambda: world.addresses() == [new.address], "better than nothing")
    world.old.sshd.start_again()
    world.old.relay.start()


def install_anew(daemon: Daemon, conf: str) -> None:
    """The machine is another one; the package has begun a state of its own there."""
    shutil.rmtree(daemon.state_dir)
    shutil.rmtree(daemon.conf.parent / "agent.d", ignore_errors=True)
    daemon.configure(conf)
    daemon.start()


def anywhere(at: Typist) -> None:
    """Their places are not the usual ones here."""
    at.words["--force"] = f"--force --config {at.daemon.conf} --state-dir {at.daemon.state_dir}"


def systemctl(daemon: Daemon, command: str) -> bool:
    if command.startswith("sudo systemctl "):
        daemon.start() if " start " in command else daemon.stop()
    return command.startswith("sudo systemctl ")


def test_with_keys_and_certificates(world: World) -> None:
    backup, restore, join = of("### With the old one's keys and certificates")
    vm, home, issued = world.old, world.home, world.pebble.issued()
    anywhere(vm)
    (command,) = backup.commands()
    vm.type(command)
    vm.relay.stop()
    assert vm.sshd.end() is None
    end_sessions(vm)
    vm.conf = vm.conf.replace(vm.address, world.places(3))
    for name in ("host_key", "host_key.pub"):
        (vm.sshd.folder / name).unlink()
    vm.sshd.new_key("host_key")
    install_anew(vm.relay, vm.conf)
    vm.sshd.start_again()
    *commands, invite = restore.commands()
    for command in commands:
        if not systemctl(vm.relay, command):
            said = vm.type(command)
            if "restore" in command:  # the archive has the old machine's address, which only this test writes down
                assert "tunnelctl revoke NAME" in said
                vm.relay.configure(vm.conf)
    vm.address = world.places(3)
    home.words["TOKEN"] = vm.invite(invite)
    (command,) = join.commands()
    assert "the lane is up" in home.type(command)
    world.wait_dns(vm)
    wait_until(lambda: world.visit(vm.address) == 200, "visitors are served")
    assert world.pebble.issued() == issued, "the certificate has come along"


def test_a_new_sd_card(world: World) -> None:
    backup, restore, *_ = of("### A new SD card")
    home, conf = world.home, world.agent.conf.read_text()
    anywhere(home)
    for command in backup.commands():
        home.type(command)
    world.agent.stop()
    install_anew(world.agent, conf.split("[provider")[0])
    for command in restore.commands():
        if not systemctl(world.agent, command):
            assert "restored" in home.type(command)
    wait_until(lambda: world.visit(world.old.address) == 200, "visitors are served")
    wait_until(lambda: run("tunnelctl", "--socket", world.agent.socket, "status").code == 0, "all is well")


def test_a_lost_sd_card(world: World) -> None:
    """Nobody has a backup: the VM says what has to be done first, and then the house is there again."""
    *_, anew, join = of("### A new SD card")
    vm, home = world.old, world.home
    conf, agent_d = world.agent.conf.read_text(), home.etc / "agent.d"
    world.agent.stop()
    install_anew(world.agent, conf)
    assert not list(agent_d.glob("relay-*"))
    revoke, invite = anew.commands()
    refused = run("tunnelctl", "--socket", vm.relay.socket, "invite", "pi", "--domains", NAME, "--host", "127.0.0.1")
    assert refused.code == 1 and refused.err.rstrip().endswith(f"first run: {revoke.removeprefix('sudo ')}"), refused.err
    vm.type(revoke)
    home.words["TOKEN"] = vm.invite(invite)
    (command,) = join.commands()
    assert "the lane is up" in home.type(command)
    wait_until(lambda: world.visit(vm.address) == 200, "visitors are served")


def test_purge(folder: Path) -> None:
    """scripts/deb-tried does it in a fresh Debian; here, that it is these packages."""
    (block,) = of("### And away again")
    (command,) = block.commands()
    tried = (Path(__file__).parents[2] / "scripts/deb-tried").read_text()
    assert command == "sudo apt purge tunnel-relay tunnel-agent tunnelctl"
    assert "apt-get -qq purge -y tunnel-relay tunnel-agent tunnelctl" in tried and "left behind" in tried
