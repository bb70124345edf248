"""What the relay counts for a site lasts as long as the site: an agent that claims name after name leaves nothing behind."""

from __future__ import annotations

from path import DOMAIN, edges, fronts
from programs import wait_until


def requests(edge, name):
    return next((site["requests"] for site in edge.status()["domains"] if site["name"] == name), None)


def claim(edge, *names):
    """Of these the last one is used once workers follow."""
    edge.agent.items = [{"item": f"domain:{name}", "aliases": [], "policy": {}} for name in names]
    edge.agent.claim()
    wait_until(lambda: all(edge.visit(name=name).status == 200 for name in names), "workers follow")


def test_counts_of_names_that_nobody_claims_are_forgotten(edges):
    edge = edges("a.test b.test *.w.test")
    edge.relay.conf.write_text(edge.relay.conf.read_text() + "[domain n.w.test]\nmax_body = 1m\n")
    assert edge.relay.post("/v1/reload").status == 200
    edge.agent.start()
    edge.wait_up()
    claim(edge, DOMAIN, "x.w.test", "n.w.test")
    for _ in range(5):
        for name in (DOMAIN, "x.w.test", "n.w.test", "b.test"):
            edge.visit(name=name)
    before = {name: requests(edge, name) for name in (DOMAIN, "x.w.test", "n.w.test", "b.test")}
    assert before[DOMAIN] >= 5 and before["x.w.test"] >= 5 and before["n.w.test"] >= 5
    claim(edge, DOMAIN)
    wait_until(lambda: edge.visit(name="x.w.test").status != 200, "workers follow")
    assert requests(edge, "x.w.test") is None
    edge.agent.items += [{"item": f"domain:{name}", "aliases": [], "policy": {}} for name in ("x.w.test", "n.w.test")]
    edge.agent.claim()
    wait_until(lambda: requests(edge, "n.w.test") is not None, "it is back")
    assert requests(edge, "x.w.test") == 0
    assert requests(edge, DOMAIN) > before[DOMAIN]  # it was there all the time
    assert requests(edge, "n.w.test") == before["n.w.test"]  # the relay's own configuration names it
    assert requests(edge, "b.test") == before["b.test"]  # expected: it is named in an agent's section


def test_counts_outlive_the_agent(edges):
    edge = edges()
    edge.agent.start()
    wait_until(lambda: edge.visit().status == 200, "it is up")
    before = requests(edge, DOMAIN)
    edge.agent.leave()
    wait_until(lambda: edge.site_state() == "down", "it is down")
    assert requests(edge, DOMAIN) == before > 0
    edge.agent.start()
    wait_until(lambda: edge.visit().status == 200, "it is back")
    assert requests(edge, DOMAIN) > before
