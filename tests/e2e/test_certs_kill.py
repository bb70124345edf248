"""A relay that is killed at any moment, again and again, while it orders certificates."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Callable

from path import edges, fronts  # noqa: F401 (fixtures)
from pebble import pebbles  # noqa: F401 (a fixture)
from programs import wait_until
from test_certs import Certs, certs  # noqa: F401 (a fixture)

KILLS, SITES = 12, 10
PATIENT_S = 150  # a name whose validation was cut off is tried again after a minute


def test_every_order_is_taken_up_again(certs: Callable[..., Certs]) -> None:  # noqa: F811
    names = [f"s{i}.test" for i in range(SITES)]
    c = certs(" ".join(names), names, acme={"challenges": "http-01", "key_types": "ecdsa rsa"})
    store = c.relay.state_dir / "certs"
    for _ in range(KILLS):
        time.sleep(random.uniform(0, 0.4))  # anywhere
        c.relay.kill()
        # What is there is whole. Before the first version counts, its links point to nothing.
        for notes in filter(Path.exists, store.glob("*/meta.json")):
            json.loads(notes.read_text())
        for chain in filter(Path.exists, store.glob("*/fullchain*.pem")):
            assert chain.read_text().count("-----END CERTIFICATE-----") == 2
            assert "-----END" in (chain.parent / chain.name.replace("fullchain", "privkey")).read_text()
        c.front.start_relay()
        c.agent.start()
    for name in names:
        wait_until(lambda: c.cert(name)["state"] == "valid" and len(c.listed(name)["certificates"]) == 2,
                   f"{name} has both certificates: {c.cert(name)}", PATIENT_S)
    assert c.pebble.issued() == 2 * SITES
    left = [path for path in store.rglob("*") if path.name.startswith(".") or path.name == "order.key"]
    assert left == []
