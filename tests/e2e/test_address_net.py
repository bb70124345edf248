"""The house's public address, from real parts: web services by TLS, BIND, the kernel's interfaces and radvd, miniupnpd; and
a real relay behind a real router. Each test has a network of its own."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from address_net import HOUSE6, OUTER, Net
from daemon import Daemon
from far_path import NetPath, networked  # noqa: F401
from netns import Hosts, require_netns
from programs import need, wait_until
from test_address import sources
from x509 import make_pair


@pytest.fixture(autouse=True)
def netns_needed() -> None:
    require_netns()


@pytest.fixture
def net(started: list, folder: Path) -> Iterator[Net]:
    with Hosts("pi", "router", "net") as hosts:
        yield Net(hosts, folder, started)
        for thing in started:
            if isinstance(thing, Daemon) and thing.running:
                thing.stop()  # while its host is there


def wanted(agent: Daemon, type: str = "A") -> Any:
    return next((r["wanted"] for r in agent.get("/v1/dns").json["records"] if r["type"] == type), None)


def follows(agent: Daemon, address: str | None, type: str = "A") -> None:
    expected = [address] if address else []
    wait_until(lambda: wanted(agent, type) == expected, f"{address} is wanted; {agent.get('/v1/dns').json['records']}")


def said(agent: Daemon, family: str = "ipv4") -> dict[str, str | None]:
    return {name: s["said"] for name, s in sources(agent, family).items()}


def touch_network(net: Net) -> None:
    """Something that this machine's kernel tells of, and that means nothing."""
    net.hosts.ip("pi", "addr", "replace", "192.168.77.99/24", "dev", "to-router")


def test_built_in_services_tell_both_families(net: Net, daemons: Callable[..., Daemon]) -> None:
    net.services()
    net.name_server(OUTER, HOUSE6)
    agent = net.agent(daemons, "quorum = 4")
    follows(agent, OUTER), follows(agent, HOUSE6, "AAAA")
    for family, address in (("ipv4", OUTER), ("ipv6", HOUSE6)):
        telling = [name for name, text in said(agent, family).items() if text]
        assert {said(agent, family)[name] for name in telling} == {address}
        assert sum(name.startswith("web") for name in telling) >= 4 and sum(name.startswith("dns") for name in telling) == 3
    assert len(net.web.asked) == 8  # as many as the quorum needs, and no more


def test_a_new_address_is_noticed_at_once_when_the_network_changes(net: Net, daemons: Callable[..., Daemon]) -> None:
    web = net.services()
    agent = net.agent(daemons, "sources = web")
    follows(agent, OUTER)
    hosts = {host for host, _ in web.asked}
    net.hosts.change_address("router", "net", "81.2.69.143/24")
    net.hosts.route("router", "default", "81.2.69.1")
    touch_network(net)
    follows(agent, "81.2.69.143")
    assert len({host for host, _ in web.asked} - hosts) > 0  # not always the same ones are asked


@pytest.mark.parametrize("answer, why", [("page", "portal"), ("redirect", "portal.example"), ("private", "RFC 1918")])
def test_a_captive_portal_is_not_believed(net: Net, daemons: Callable[..., Daemon], answer: str, why: str) -> None:
    web = net.services()
    agent = net.agent(daemons, "sources = web url:https://mine.example.net/me?key=s3cret")
    follows(agent, OUTER)
    web.answer = answer
    touch_network(net)
    wait_until(lambda: all(why in (s["why"] or "") for s in sources(agent).values()), f"all are refused: {sources(agent)}")
    assert wanted(agent) == [OUTER]  # nothing is known to have changed
    assert "s3cret" not in agent.log() and "s3cret" not in str(sources(agent))
    assert "url:https://mine.example.net" in sources(agent)


def test_a_portal_that_shows_a_certificate_of_its_own(net: Net, daemons: Callable[..., Daemon]) -> None:
    net.services()
    net.ca = make_pair(net.folder, "other", ["other.test"])  # all that this machine trusts
    agent = net.agent(daemons, "sources = web")
    wait_until(lambda: all("certificate" in (s["why"] or "") or "SSL" in (s["why"] or "") for s in sources(agent).values()), "refused")
    assert agent.get("/v1/dns").json["records"][0]["state"] in ("waiting", "manual") and not wanted(agent)


def test_forged_dns_is_not_enough(net: Net, daemons: Callable[..., Daemon]) -> None:
    """Three name servers say one thing, and web services another; then the name servers alone say anything."""
    web = net.services()
    net.name_server("81.2.69.66", HOUSE6)
    agent = net.agent(daemons, "sources = web dns")
    follows(agent, OUTER), follows(agent, HOUSE6, "AAAA")
    web.answer = "page"
    touch_network(net)
    wait_until(lambda: not any(text for name, text in said(agent).items() if name.startswith("web")), "the web is silent")
    wait_until(lambda: [text for text in said(agent).values() if text] == 3 * ["81.2.69.66"], "the name servers still speak")
    assert wanted(agent) == [OUTER]


def test_a_relays_view_behind_a_router(networked: Callable[..., NetPath], started: list) -> None:  # noqa: F811
    """And, from the network's change on, the new one; while the relay is away its view does not count."""
    path = networked(lanes=1)
    ini = path.agent.conf.read_text()
    path.agent.conf.write_text(f"{ini}mode = direct\ndns = manual\n[address]\nsources = relay\n")
    assert path.agent.post("/v1/reload").status == 200
    view = wait_until(lambda: sources(path.agent).get("relay e2e"), "the relay has told")
    assert "RFC 1918" in view["why"]
    path.hosts.change_address("pi", "router", "81.2.69.7/24")
    path.hosts.ip("router", "addr", "add", "81.2.69.1/24", "dev", "to-pi")
    path.hosts.route("pi", "default", "81.2.69.1")
    follows(path.agent, "81.2.69.7")
    path.hosts.take_down("pi", "router")
    wait_until(lambda: not said(path.agent).get("relay e2e"), "its view does not count")
    assert wanted(path.agent) == ["81.2.69.7"]  # and no other one is known
    path.kill_sessions()  # which would not hear of the end, and outlive the test by a quarter of an hour


# ---- interfaces ----


def interface(net: Net, *words: str) -> None:
    net.hosts.ip("pi", "-6", "addr", *words, "dev", "to-router")


@pytest.mark.slow
def test_an_interfaces_prefixes(net: Net, daemons: Callable[..., Daemon]) -> None:
    agent = net.agent(daemons, "sources = interface:to-router", "host_id = ::1234")
    follows(agent, "2a02:ff0:77:1::1234", "AAAA")
    assert "RFC 1918" in sources(agent)["interface:to-router"]["why"]
    interface(net, "change", f"{HOUSE6}/64", "valid_lft", "7000", "preferred_lft", "6000")
    interface(net, "add", "2a02:ff0:77:2::5/64", "valid_lft", "90000", "preferred_lft", "80000")  # lives longer
    interface(net, "add", "fd00:77::5/64")
    follows(agent, "2a02:ff0:77:2::1234", "AAAA")
    assert said(agent, "ipv6") == {"interface:to-router": "2a02:ff0:77:2::5"}
    interface(net, "change", "2a02:ff0:77:2::5/64", "valid_lft", "90000", "preferred_lft", "0")  # deprecated
    follows(agent, "2a02:ff0:77:1::1234", "AAAA")
    net.hosts.ip("pi", "addr", "add", "81.2.69.9/24", "dev", "to-router")
    follows(agent, "81.2.69.9")


def test_an_interface_that_is_not_there(net: Net, daemons: Callable[..., Daemon]) -> None:
    agent = net.agent(daemons, "sources = interface:ppp7")
    wait_until(lambda: "no interface ppp7" in (sources(agent)["interface:ppp7"]["why"] or ""), "it is told")
    net.hosts.ip("pi", "link", "add", "ppp7", "type", "veth", "peer", "name", "ppp8")
    net.hosts.ip("pi", "addr", "add", "81.2.69.10/32", "dev", "ppp7")
    net.hosts.ip("pi", "link", "set", "ppp7", "up")
    follows(agent, "81.2.69.10")


def radvd_conf(prefix: str, preferred: int) -> str:
    return (f"interface to-pi {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4;\n"
            f"prefix {prefix} {{ AdvValidLifetime 7200; AdvPreferredLifetime {preferred}; }}; }};\n")


def test_router_advertisements_with_temporary_addresses(net: Net, daemons: Callable[..., Daemon], folder: Path) -> None:
    """radvd gives a prefix, the kernel makes a lasting and a temporary address of it: the lasting one is published, and what is
    seen from outside, the temporary one, speaks for it."""
    radvd = need("radvd")
    net.services()
    for key, value in (("accept_ra", "1"), ("use_tempaddr", "2"), ("autoconf", "1"), ("addr_gen_mode", "0")):
        net.hosts._sysctl("pi", f"net/ipv6/conf/to-router/{key}", value)
    interface(net, "del", f"{HOUSE6}/64")
    (folder / "radvd.conf").write_text(radvd_conf("2a02:ff0:77:1::/64", 3600))
    net.hosts.run("router", [radvd, "-n", "-m", "stderr", "-C", str(folder / "radvd.conf"), "-p", str(folder / "radvd.pid")],
                  stderr=open(folder / "radvd.log", "wb"))
    show = lambda: net.hosts.ip("pi", "-6", "addr", "show", "dev", "to-router", "scope", "global")  # noqa: E731
    wait_until(lambda: "temporary" in show() and "mngtmpaddr" in show() and "tentative" not in show(), "there are addresses")
    lasting = next(line.split()[1].split("/")[0] for line in show().splitlines() if "mngtmpaddr" in line)
    agent = net.agent(daemons, "sources = interface:to-router web")
    follows(agent, lasting, "AAAA")
    outside = {text for name, text in said(agent, "ipv6").items() if text and name.startswith("web")}
    assert outside and lasting not in outside  # temporary ones


# ---- routers ----


def miniupnpd(net: Net, folder: Path, *more: str) -> subprocess.Popen:
    program = need("miniupnpd")
    if not shutil.which("nft"):
        pytest.skip("nft is missing")
    (folder / "miniupnpd.conf").write_text(
        "ext_ifname=to-net\nlistening_ip=to-pi\nenable_natpmp=yes\nenable_upnp=yes\nport=5000\nuuid=fe8ac08c-1acc-4464-a5f8-1e59a968b99a\n"
        f"lease_file={folder}/leases\nsecure_mode=no\nnotify_interval=60\nallow 1024-65535 0.0.0.0/0 1024-65535\n" + "\n".join(more) + "\n")
    tables = "\n".join(["table inet filter {", "chain forward { type filter hook forward priority 0; policy accept; }",
                        "chain miniupnpd {}", "chain prerouting_miniupnpd {}", "chain postrouting_miniupnpd {}", "}"])
    subprocess.run(["ip", "netns", "exec", net.hosts.namespaces["router"], "nft", tables], check=True)
    return net.hosts.run("router", [program, "-d", "-f", str(folder / "miniupnpd.conf"), "-P", str(folder / "miniupnpd.pid")],
                         stdout=open(folder / "miniupnpd.log", "ab"), stderr=subprocess.STDOUT)


@pytest.mark.parametrize("speaks", ["upnp", "pmp", "both"])
def test_a_real_router_is_asked(net: Net, daemons: Callable[..., Daemon], folder: Path, speaks: str) -> None:
    off = {"upnp": ["enable_natpmp=no"], "pmp": ["enable_upnp=no"], "both": []}[speaks]
    miniupnpd(net, folder, *off)
    agent = net.agent(daemons, "sources = router\ninterval = 2s")
    follows(agent, OUTER)
    assert wanted(agent, "AAAA") is None or wanted(agent, "AAAA") == []
    net.hosts.change_address("router", "net", "81.2.69.143/24")
    follows(agent, "81.2.69.143")


def test_a_real_router_is_asked_by_pcp(net: Net, daemons: Callable[..., Daemon], folder: Path) -> None:
    """miniupnpd, with its NAT-PMP taken away: what begins with version 0 goes to somebody who says that it is not spoken."""
    miniupnpd(net, folder, "enable_upnp=no")
    rules = ["chain old { type filter hook prerouting priority raw; iifname to-pi udp dport 5351 @th,64,8 0 notrack udp dport set 5399; }",
             "chain back { type filter hook output priority raw; udp sport 5399 notrack udp sport set 5351; }"]
    subprocess.run(["ip", "netns", "exec", net.hosts.namespaces["router"], "nft", "\n".join(["table ip pcp {", *rules, "}"])], check=True)
    refuser = net.hosts.inside("router", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    refuser.bind(("192.168.77.1", 5399))

    def refuse() -> None:
        with contextlib.suppress(OSError):
            while True:
                _, peer = refuser.recvfrom(2048)
                refuser.sendto(struct.pack("!BBHI", 0, 128, 1, 0), peer)  # RFC 6886: unsupported version

    threading.Thread(target=refuse, daemon=True).start()
    agent = net.agent(daemons, "sources = router\ninterval = 2s")
    follows(agent, OUTER)
    log = folder / "miniupnpd.log"
    wait_until(lambda: "PCP MAP: added mapping" in log.read_text(), "a port is mapped")
    wait_until(lambda: re.search(r"PCP.*removed", log.read_text()), f"and taken back\n{log.read_text()}")
    refuser.close()


class PcpRouter(threading.Thread):
    """Speaks PCP alone, as RFC 6887 has it; keeps what it was asked."""

    def __init__(self, net: Net, outer: str) -> None:
        super().__init__(daemon=True)
        self.outer, self.lifetimes = outer, []
        self.sock = net.hosts.inside("router", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.sock.bind(("192.168.77.1", 5351))
        self.start()

    def run(self) -> None:
        while True:
            try:
                packet, peer = self.sock.recvfrom(2048)
            except OSError:
                return
            if packet[0] != 2:
                self.sock.sendto(bytes([2, 0x80 | packet[1] & 0x7F, 0, 1]) + bytes(20), peer)  # UNSUPP_VERSION
                continue
            assert len(packet) == 60 and packet[1] == 1 and packet[36] == 17
            assert packet[8:24] == bytes(10) + b"\xff\xff" + socket.inet_aton(peer[0])
            assert struct.unpack("!H", packet[40:42])[0] == peer[1]
            [lifetime] = struct.unpack("!I", packet[4:8])
            self.lifetimes.append(lifetime)
            answer = bytes([2, 0x81, 0, 0]) + packet[4:8] + bytes(4) + bytes(12) + packet[24:44]
            self.sock.sendto(answer + bytes(10) + b"\xff\xff" + socket.inet_aton(self.outer), peer)


def test_a_router_that_speaks_pcp_alone(net: Net, daemons: Callable[..., Daemon]) -> None:
    """And is behind a provider's own one: that shows, and is refused."""
    router = PcpRouter(net, OUTER)
    agent = net.agent(daemons, "sources = router\ninterval = 2s")
    follows(agent, OUTER)
    wait_until(lambda: len(router.lifetimes) >= 2, "the mapping is taken back")
    assert router.lifetimes[0] > 0 and router.lifetimes[1] == 0
    router.outer = "100.64.3.4"
    wait_until(lambda: "CGNAT" in (sources(agent)["router"]["why"] or ""), "it is told")
    assert wanted(agent) == [OUTER]
    router.sock.close()


def test_a_house_without_a_helpful_router(net: Net, daemons: Callable[..., Daemon]) -> None:
    agent = net.agent(daemons, "sources = router")
    wait_until(lambda: "UPnP" in (sources(agent)["router"]["why"] or ""), "it is told")
    assert wanted(agent) is None
