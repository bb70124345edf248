"""What Prometheus is told: well-formed (promtool), what has happened is counted, and whatever the dashboard and the alert
rules in conf/ name is served."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess

import pytest

from admin import Place
from path import DOMAIN, WholePath, edge, edges, fronts
from programs import ROOT, need, wait_until
from visitor import connect, context

SAMPLE = re.compile(r"^([a-z_]+)(\{.*\})? (\S+)$")


def promtool(*args, text=None):
    done = subprocess.run([need("promtool"), *args], input=text, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr.replace("SUCCESS", "").strip(), done.stdout + done.stderr


class Scraped(dict):
    """name{labels} -> value"""

    def __init__(self, place):
        text = place.ask("/metrics").text
        promtool("check", "metrics", text=text)
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        assert all(map(SAMPLE.match, lines)), text
        super().__init__((line.rpartition(" ")[0], float(line.rpartition(" ")[2])) for line in lines)
        assert len(self) == len(lines)
        self.families = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
        assert self.families == set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE))


@pytest.fixture
def places(started):
    made = [Place(), Place()]
    started.extend(made)
    return made


@pytest.fixture
def whole(daemons, started, folder, places):
    path = WholePath(daemons, started, folder, admin_listen=places[0].listen,
                     agent_keys={"admin_listen": places[1].listen})
    yield path
    path.close()


def test_what_conf_names_is_served(whole, places):
    families = Scraped(places[0]).families | Scraped(places[1]).families | {"up"}
    rules = (ROOT / "conf/prometheus/tunnel.rules.yml").read_text()
    dashboard = (ROOT / "conf/grafana/tunnel.json").read_text()
    promtool("check", "rules", str(ROOT / "conf/prometheus/tunnel.rules.yml"))
    named = set(re.findall(r"\b(?:tunnel_(?:relay|agent)|process)_[a-z_]+", rules + dashboard))
    assert len(named) > 25
    assert {re.sub("_bucket$", "", name) for name in named} <= families
    panels = json.loads(dashboard)["panels"]
    assert all(panel["targets"] for panel in panels)
    assert not {"_"} & {name[-1] for name in families}


# What a dashboard of somebody else's may count on, by what it is about.
NAMES = {
    "lanes": ["relay_lanes", "relay_lane_up", "agent_lane_up", "agent_relay_up"],
    "rtt": ["relay_lane_rtt_seconds", "agent_lane_rtt_seconds"],
    "streams": ["relay_lane_streams", "agent_lane_streams"],
    "bytes": ["relay_received_bytes_total", "relay_sent_bytes_total", "relay_lane_received_bytes_total", "agent_lane_sent_bytes_total"],
    "requests": ["relay_requests_total"],
    "latency": ["relay_edge_latency_seconds", "relay_lane_latency_seconds", "relay_service_latency_seconds"],
    "handshakes": ["relay_tls_handshakes_total"],
    "certificates": ["relay_certificate_remaining_seconds", "relay_certificate_expiry_timestamp_seconds"],
    "renewals": ["relay_certificate_orders_total", "relay_certificate_renewal_failing"],
    "DNS": ["agent_dns_updates_total", "agent_dns_record_ok"],
    "who is not served": ["relay_parked_requests_total", "relay_domain_parked_requests", "relay_refused_requests_total"],
    "memory": ["relay_memory_private_bytes", "agent_memory_private_bytes"],
    "alerts": ["relay_alerts_failed_total", "agent_alerts_failed_total", "relay_alerts_failing", "agent_alerts_delivered_total"],
    "build": ["relay_build_info", "agent_build_info"],
}
LABELS = {"domain", "code", "reason", "result", "state", "agent", "lane", "relay", "le", "outcome", "version", "name", "type", "provider", "port", "route", "way"}


def test_what_there_is(whole, places):
    """Each by its name, and no label that a visitor could fill."""
    assert whole.visit(target="/").status == 200
    scraped = [Scraped(place) for place in places]
    families = scraped[0].families | scraped[1].families
    assert {f"tunnel_{name}" for names in NAMES.values() for name in names} <= families
    labels = {label for one in scraped for sample in one for label in re.findall(r'[{,]([a-z_]+)="', sample)}
    assert {"domain", "code", "reason"} <= labels <= LABELS, labels - LABELS
    assert {f'tunnel_relay_requests_total{{domain="{DOMAIN}",code="{code}"}}' for code in
            ("1xx", "2xx", "3xx", "4xx", "5xx", "none")} <= set(scraped[0])


def test_both_ends_count_the_same_requests(whole, places):
    before = Scraped(places[0])
    for _ in range(5):
        assert whole.visit(target="/").status == 200
    status = {code: f'tunnel_relay_requests_total{{domain="{DOMAIN}",code="{code}"}}' for code in ("2xx", "5xx", "none")}
    after = Scraped(places[0])
    assert after[status["2xx"]] - before[status["2xx"]] == 5 and after[status["5xx"]] == 0
    for kind in ("edge", "service"):
        count = f"tunnel_relay_{kind}_latency_seconds_count"
        assert after[count] - before[count] == 5
        assert 0 < after[f"tunnel_relay_{kind}_latency_seconds_sum"] < 60
    assert after["tunnel_relay_lane_latency_seconds_count"] >= 1
    assert after['tunnel_relay_tls_handshakes_total{result="full"}'] == before.get(
        'tunnel_relay_tls_handshakes_total{result="full"}') + 5
    assert after[f'tunnel_relay_sent_bytes_total{{domain="{DOMAIN}"}}'] > 0
    assert after[f'tunnel_relay_domain_up{{domain="{DOMAIN}"}}'] == 1
    assert sum(value for name, value in after.items() if name.startswith("tunnel_relay_lane_up{")) == 1
    assert after["process_start_time_seconds"] > 1e9 and after["tunnel_relay_memory_private_bytes"] > 1e5

    agent = Scraped(places[1])
    assert agent['tunnel_agent_relay_up{relay="e2e"}'] == 1
    assert agent[f'tunnel_agent_service_up{{domain="{DOMAIN}"}}'] == 1
    assert places[1].ask("/readyz").status == 200


def test_who_is_not_served_and_why(edge_with_admin, places):
    edge, place = edge_with_admin, places[0]

    def counted(name):
        return Scraped(place)[f"tunnel_relay_{name}"]

    with edge.visitor() as visitor:
        assert visitor.ask(fields="Bad Field: x\r\n").status == 400
    with edge.visitor(host="other.test") as visitor:
        assert visitor.ask().status == 404
    with edge.visitor(host="b.test") as visitor:
        assert visitor.ask().status == 421
    assert counted('refused_requests_total{reason="malformed"}') == 1
    assert counted('refused_requests_total{reason="unknown_site"}') == 1
    assert counted('refused_requests_total{reason="misdirected"}') == 1
    assert counted('requests_total{domain="b.test",code="4xx"}') == 1
    with pytest.raises(ssl.SSLError):
        connect(edge.port, context(edge.root), "unknown.test")
    wait_until(lambda: counted('tls_handshakes_total{result="failed"}') == 1, "the handshake is known to have failed")
    socket.create_connection(("127.0.0.1", edge.port)).close()  # as who looks whether somebody listens
    full = counted('tls_handshakes_total{result="full"}')
    assert edge.visit().status == 200  # behind that one
    assert counted('tls_handshakes_total{result="full"}') == full + 1
    assert counted('tls_handshakes_total{result="failed"}') == 1
    assert "other.test" not in place.ask("/metrics").text and "unknown.test" not in place.ask("/metrics").text

    edge.agent.leave()
    wait_until(lambda: edge.site_state() != "up", "the house is away")
    assert edge.visit().status == 503
    assert counted('refused_requests_total{reason="away"}') == 1
    assert counted('requests_total{domain="a.test",code="5xx"}') == 1
    assert counted('domain_up{domain="a.test"}') == 0


@pytest.fixture
def edge_with_admin(edges, places):
    made = edges("a.test b.test", ["a.test", "b.test"], admin_listen=places[0].listen)
    made.agent.start()
    made.wait_up("a.test")
    made.wait_up("b.test")
    return made
