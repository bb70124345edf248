"""What comes before a name's first certificate in earnest: the staging area, and a look whether the name leads here at all."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Callable

from acme_client import serialization
from acme_sim import AcmeSim, problem, sims  # noqa: F401 (a fixture)
from acme_sim.sim import renewal_id
from authority import authorities, loopback  # noqa: F401 (a fixture)
from clock import Clock
from path import DOMAIN, Front, fronts  # noqa: F401 (a fixture)
from programs import wait_until
from proxy import Proxy
from test_certs import section
from test_certs_faults import SimCerts, relays  # noqa: F401 (a fixture)
from test_preflight import listed, listening

EARNEST, STAGING = "acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org"


def test_the_staging_area_comes_first(sims, relays, started, folder):  # noqa: F811
    """With directory = letsencrypt, and as Let's Encrypt two simulators that lie behind a proxy: what fails in the staging area is
    not ordered in earnest; what has worked once does not go there again."""
    staging, earnest = sims(host=STAGING, ari=False), sims(host=EARNEST, ari=False)
    trusted = folder / "both.pem"
    trusted.write_text(staging.ca_file.read_text() + earnest.ca_file.read_text())
    proxy = Proxy({STAGING: staging.port, EARNEST: earnest.port})
    started.append(proxy)
    staging.verdicts["b.test"] = ("connection", "192.0.2.7: connection refused")
    staging.may_hurry = True
    acme = {"directory": "letsencrypt", "ca_file": trusted, "staging_first": "on"}
    c = relays(earnest, "a.test www.a.test b.test", ["b.test"], acme=acme, env=proxy.environment)
    failed = c.wait("failing", "b.test")
    assert "staging: " in failed["last_error"] and "192.0.2.7: connection refused" in failed["last_error"], failed
    assert not earnest.requests and EARNEST not in proxy.asked

    c.claim("b.test", DOMAIN)  # nobody waits for b.test
    assert c.wait("valid")["issuer"] == "acme"
    assert [o.names for o in earnest.orders.values()] == [[DOMAIN]]
    assert [o.names for o in staging.orders.values() if o.issued] == [[DOMAIN]]
    assert (len(staging.accounts), len(earnest.accounts)) == (1, 1)
    first = c.newest()
    wait_until(lambda: earnest.issued[0].public_bytes(serialization.Encoding.DER) == first, "what is served is the real one")

    ordered = len(staging.orders)
    c.claim("b.test", (DOMAIN, ["www.a.test"]))
    wait_until(lambda: len(c.cert()["names"]) == 2, "the alias is covered, too")
    assert c.renew().status == 200 and len(earnest.issued) == 3
    assert len(staging.orders) == ordered, "neither a further name nor a renewal goes there"

    staging.verdicts.clear()
    assert c.renew("b.test").status == 200
    assert c.wait("valid", "b.test")["last_error"] is None and len(earnest.issued) == 4
