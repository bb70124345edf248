"""One call to a DNS provider at a time, by the very code of the daemons (tests/dnscall/main.c)."""

from __future__ import annotations

import json
from typing import Any

from dns_sim.base import Simulator
from programs import run


class Caller:
    """Caller(sim)("read", "www.example.org", "A") -> {"class": "ok", "values": [...], ...}"""

    def __init__(self, kind: str, keys: dict[str, str], env: dict[str, str] | None = None):
        self.kind, self.keys, self.env = kind, dict(keys), env or {}
        self.secrets: list[str] = []

    @staticmethod
    def of(sim: Simulator, **changes: str) -> "Caller":
        caller = Caller(sim.kind, {**sim.keys(), **changes})
        caller.secrets = list(sim.secrets.values())
        return caller

    def __call__(self, *words: object) -> dict[str, Any]:
        return self.all(words)[0]

    def all(self, *calls: tuple) -> list[dict[str, Any]]:
        """Several calls by one process, that is with one client."""
        words: list[str] = []
        for call in calls:
            words += [*map(str, call), "then"]
        done = run("dnscall", self.kind, *[f"{k}={v}" for k, v in self.keys.items()], *words, env=self.env)
        assert done.code == 0, done.err
        for secret in self.secrets:
            assert secret not in done.out + done.err, "a secret is shown"
        return [json.loads(line) for line in done.out.splitlines()]
