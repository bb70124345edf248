"""tunnelctl ban and unban: a relay's hold for every visitor, an agent's for what it serves; both outlast a restart."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.request

import pytest

from admin import Place
from fake_agent import FakeAgent
from netns import Hosts, require_netns
from path import DOMAIN, Front, WholePath, new_key
from programs import PATIENCE_S, run, wait_until
from website import Site

OWN = "own.test"  # a site of the relay's own configuration
VISITOR, OTHER = "203.0.113.7", "198.51.100.8"


def ctl(daemon, *words):
    return run("tunnelctl", "--socket", daemon.socket, *words)


def listed(daemon):
    return {ban["address"]: ban for ban in json.loads(ctl(daemon, "--json", "ban").out)["bans"]}


@pytest.fixture
def house(daemons, started, folder):
    """Visitors come by a trusted proxy, which names them."""
    site, place = Site(), Place()
    started.extend([site, place])

    class House(WholePath):
        may = f"[domain {OWN}]\nupstream = 127.0.0.1:{site.url.rpartition(':')[2]}"

    made = House(daemons, started, folder, trusted_proxies="127.0.0.1 192.0.2.200", access_log="visits",
                 admin_listen=place.listen)
    made.wait_up(OWN)

    def status(address, name=DOMAIN):
        return made.visit(name=name, fields=f"X-Forwarded-For: {address}\r\n").status

    made.status_for, made.place = status, place
    yield made
    made.close()


def test_a_relay_bans_everywhere_and_remembers(house):
    relay = house.relay
    assert house.status_for(VISITOR) == 200 and house.status_for("2001:db8::7") == 200
    assert ctl(relay, "ban", VISITOR, "--for", "1h").out == f"banned {VISITOR} for 1h 0m\n"
    assert ctl(relay, "ban", "2001:db8::/64").code == 0
    wait_until(lambda: house.status_for(VISITOR) == 403, "workers follow")
    assert house.status_for(VISITOR, OWN) == 403 and house.status_for("2001:db8::9") == 403
    assert house.status_for(OTHER) == 200 and house.status_for(OTHER, OWN) == 200
    with house.visitor() as visitor:  # who is here already is refused with his next request
        assert visitor.ask(fields=f"X-Forwarded-For: {OTHER}\r\n").status == 200
        assert visitor.ask(fields=f"X-Forwarded-For: {VISITOR}\r\n").status == 403
    hits = sum(ban["hits"] for ban in listed(relay).values())
    assert f'refused_requests_total{{reason="banned"}} {hits}\n' in house.place.ask("/metrics").text
    assert listed(relay)[VISITOR]["hits"] >= 3 and listed(relay)[VISITOR]["agent"] is None
    relay.kill()
    house.start_relay()
    house.wait_up()
    assert house.status_for(VISITOR) == 403 and set(listed(relay)) == {VISITOR, "2001:db8::/64"}
    assert ctl(relay, "unban", VISITOR).out == f"unbanned {VISITOR}\n"
    assert ctl(relay, "unban", "2001:db8::/64").code == 0
    wait_until(lambda: house.status_for(VISITOR) == 200, "workers follow")
    assert ctl(relay, "ban").out == "nobody is banned\n"
    ctl(relay, "ban", VISITOR, "--for", "1s")
    wait_until(lambda: not listed(relay), "it ends")
    assert house.status_for(VISITOR) == 200


def test_an_agent_bans_at_its_own_sites(house):
    relay, agent = house.relay, house.agent
    assert ctl(agent, "ban", "203.0.113.0/24", "--for", "2h").code == 0
    wait_until(lambda: house.status_for(VISITOR) == 403, "the relay follows")
    assert house.status_for(VISITOR, OWN) == 200 and house.status_for(OTHER) == 200
    assert listed(relay)["203.0.113.0/24"]["agent"] == "pi"
    assert ctl(relay, "unban", "203.0.113.0/24").code == 1  # it is not the relay's own

    def hits():
        ctl(agent, "ban", "203.0.113.0/24", "--for", "2h")  # the relay answers with what it has counted
        return listed(agent)["203.0.113.0/24"]["hits"]

    wait_until(lambda: hits() >= 1, "the agent hears of hits")
    house.relay.stop()
    agent.stop()
    house.start_relay()
    agent.start()
    house.wait_up()
    assert house.status_for(VISITOR) == 403 and set(listed(agent)) == {"203.0.113.0/24"}
    house.relay.stop()
    assert ctl(agent, "unban", "203.0.113.0/24").code == 0  # while the relay cannot hear it
    house.start_relay()
    house.wait_up()
    wait_until(lambda: house.status_for(VISITOR) == 200, "the relay follows")
    assert not listed(agent) and not listed(relay)


REFUSED = {
    "127.0.0.1": "an address of this machine itself", "::1": "an address of this machine itself",
    "0.0.0.0/0": "so wide", "2000::/3": "so wide", "203.0.113.7/24": "bits behind the /", "visitor": "not an address",
}


def test_who_cannot_be_banned(house):
    for address, words in REFUSED.items():
        for daemon in (house.relay, house.agent):
            done = ctl(daemon, "ban", address)
            assert done.code == 1 and words in done.err and not listed(daemon)
    done = ctl(house.relay, "ban", "192.0.2.0/24")
    assert done.code == 1 and "192.0.2.200 is one of the relay's trusted_proxies" in done.err
    assert ctl(house.agent, "ban", "192.0.2.0/24").code == 0  # it does not know the relay's proxies
    wait_until(lambda: "e2e refuses it: 192.0.2.200 is one of" in ctl(house.agent, "ban").out, "the relay says why")
    assert house.status_for("192.0.2.7") == 200
    done = ctl(house.agent, "ban", VISITOR, "--for", "25h")
    assert done.code == 1 and "a ban holds here for 1d at most" in done.err


@pytest.fixture
def street():
    require_netns()
    with Hosts("home", "vm") as hosts:
        hosts.link("home", "vm", "10.78.1.1/24", "10.78.1.2/24")
        yield hosts


def test_connections_are_refused_as_they_come(street, daemons, folder, started):
    """Where no proxy is in front: at the sockets of sites, at ports, and of sites that end TLS themselves."""
    front = Front(daemons, new_key(folder, "key"), "a.test p.test\ntcp_ports = 2525", listen_https="10.78.1.2:4443",
                  admin_listen="127.0.0.1:9180")  # of the host of its own
    front.relay.start(shell=f'exec ip netns exec {street.namespaces["vm"]} "$0" "$@"')
    agent = street.inside("vm", lambda: FakeAgent(front.lane_socket, [
        "a.test", {"item": "domain:p.test", "aliases": [], "policy": {"tls": "passthrough"}},
        {"item": "tcp:mail", "aliases": [], "policy": {"listen": "10.78.1.2:2525"}}]))
    started.append(agent)
    street.inside("vm", agent.start)
    front.wait_up()

    def end_of(port, name=None):
        """What becomes of a visitor: reset, or he is let in (and hears nothing, or a handshake)."""
        try:
            with street.inside("home", lambda: socket.create_connection(("10.78.1.2", port), PATIENCE_S)) as visitor:
                visitor.settimeout(0.5)
                if not name:
                    return "reset" if visitor.recv(1) == b"" else "served"
                anybody = ssl.create_default_context()
                anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
                anybody.wrap_socket(visitor, server_hostname=name).close()
        except (ConnectionError, ssl.SSLEOFError):
            return "reset"
        except TimeoutError:
            pass
        return "served"

    def refused(why):
        with street.inside("vm", lambda: urllib.request.urlopen("http://127.0.0.1:9180/metrics", timeout=PATIENCE_S)) as page:
            begin = f'tunnel_relay_refused_requests_total{{reason="{why}"}} '
            return next(int(line[len(begin):]) for line in page.read().decode().splitlines() if line.startswith(begin))

    assert end_of(4443, "a.test") == "served" and end_of(2525) == "served"
    agent.say("ban", address="10.78.1.1", seconds=3600)
    assert agent.wait_heard("ban")["address"] == "10.78.1.1"
    wait_until(lambda: end_of(2525) == "reset", "workers follow")
    assert end_of(4443, "p.test") == "reset"
    assert end_of(4443, "a.test") == "served"  # its request will not be
    assert listed(front.relay)["10.78.1.1"]["hits"] == refused("banned") >= 2
    agent.say("ban", address="10.78.1.1", seconds=0)
    wait_until(lambda: end_of(2525) == "served", "workers follow")
    assert ctl(front.relay, "ban", "10.78.1.0/30").code == 0
    wait_until(lambda: end_of(4443, "a.test") == "reset", "workers follow")
    before = refused("banned")
    assert end_of(2525) == "reset" and end_of(4443, "p.test") == "reset"
    assert refused("banned") == before + 2 and refused("crowd") == 0
