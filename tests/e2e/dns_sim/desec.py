"""deSEC's REST API, version 1: domains by the name in them, and sets changed in bulk."""

from __future__ import annotations

import collections
import ipaddress
import re
import time
from typing import Any, Optional

from dns_sim.base import Reply, Request, Simulator, route


def refusal(status: int, detail: str, **headers: str) -> Reply:
    return Reply.json(status, {"detail": detail}, **headers)


class Desec(Simulator):
    kind, prefix = "desec", "/api/v1"
    limit = (50, 60.0)  # reads; changes have limits of their own
    secrets = {"token_file": "i-T3b1h_OI-H9ab8tRS98stGtURe"}
    minimum_ttl = 60

    def __init__(self, *args: Any, **more: Any):
        super().__init__(*args, **more)
        self.changes: collections.deque[float] = collections.deque()

    def credential(self, request: Request) -> Optional[Reply]:
        kind, _, token = request.headers["Authorization"].partition(" ")
        assert kind == "Token" and request.path.endswith("/"), "paths end with a slash"
        return None if token == self.secrets["token_file"] else refusal(401, "Invalid token.")

    def throttle(self) -> Reply:
        return refusal(429, "Request was throttled. Expected available in 27 seconds.", retry_after="27")

    def errors(self) -> dict[str, list[Reply]]:
        return {
            "auth": [refusal(401, "Invalid token."), refusal(401, "Authentication credentials were not provided.")],
            "config": [refusal(403, "Insufficient token permissions."), refusal(404, "Not found."),
                       Reply.json(400, {"ttl": ["Ensure this value is greater than or equal to 3600."]}),
                       Reply.json(400, [{"records": ["Cannot parse record contents."]}]),
                       Reply.json(400, {"non_field_errors": ["RRset conflicts"]})],
            "throttled": [self.throttle()],
            "transient": [refusal(500, "x"), Reply.html(502), Reply.html(503), Reply(504)],
            "badreply": [Reply.json(200, {"name": "example.org"}), Reply.json(200, [{"name": "other.example"}]), Reply.json(200, [{}])],
        }

    def shown(self, name: str) -> dict[str, Any]:
        return {"created": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z", "name": name,
                "minimum_ttl": self.minimum_ttl, "touched": "2026-01-01T00:00:00Z"}

    @route("GET", r"/domains/")
    def domains(self, request: Request) -> Reply:
        assert {key for key, _ in request.query} == {"owns_qname"}
        name = request.one("owns_qname")
        assert name == name.lower() and not name.endswith(".") and "*" not in name
        owners = sorted((z for z in self.zones if self.zones[z].covers(name)), key=len)
        return Reply.json(200, [self.shown(owners[-1])] if owners else [])

    @route("GET", r"/domains/([^/]+)/")
    def domain(self, request: Request, name: str) -> Reply:
        return Reply.json(200, self.shown(name)) if name in self.zones else refusal(404, "Not found.")

    @route("GET", r"/domains/([^/]+)/rrsets/([^/]+)/([A-Z]+)/")
    def read(self, request: Request, zone: str, subname: str, type: str) -> Reply:
        z = self.zones[zone]
        assert not z.covers(subname) and type in ("A", "AAAA", "TXT", "CNAME")
        found = z.find(z.whole(subname), type)
        if not found:
            return refusal(404, "Not found.")
        return Reply.json(200, {"created": "2026-01-01T00:00:00Z", "domain": zone, "subname": "" if subname == "@" else subname,
                                "name": found[0].name + ".", "type": type, "ttl": found[0].ttl, "records": [r.content for r in found],
                                "touched": "2026-01-01T00:00:00Z"})

    def paced(self) -> Optional[Reply]:
        now = time.monotonic()
        self.changes.append(now)
        minute = [at for at in self.changes if at > now - 60]
        assert len([at for at in self.changes if at > now - 1]) <= 2, "more than 2 changes a second"
        return self.throttle() if len(minute) > 15 else None

    @route("PATCH", r"/domains/([^/]+)/rrsets/")
    def bulk(self, request: Request, zone: str) -> Reply:
        z, body = self.zones[zone], request.json()
        assert request.headers["Content-Type"] == "application/json" and isinstance(body, list) and body
        if refused := self.paced():
            return refused
        answer = []
        for item in body:
            assert {"subname", "type"} <= set(item) <= {"subname", "type", "ttl", "records"}, "members of a set"
            assert item["subname"] != "@" and not z.covers(item["subname"]) and item["type"] in ("A", "AAAA", "TXT")
            name = z.whole(item["subname"])
            there = z.find(name, item["type"])
            records = item.get("records", [r.content for r in there])
            ttl = item.get("ttl", there[0].ttl if there else None)
            for value in records:
                if item["type"] == "TXT":
                    assert re.fullmatch(r'"(?:[^"\\]|\\.){0,255}"( "(?:[^"\\]|\\.){0,255}")*', value), "TXT in quotes"
                else:
                    assert ipaddress.ip_address(value).version == (4 if item["type"] == "A" else 6)
            if records and ttl is None:
                return Reply.json(400, [{"ttl": ["This field is required."]}])
            if records and ttl < self.minimum_ttl:
                return Reply.json(400, [{"ttl": [f"Ensure this value is greater than or equal to {self.minimum_ttl}."]}])
            assert (sorted(records), ttl) != (sorted(r.content for r in there), there[0].ttl if there else None), "nothing changes"
            z.replace(name, item["type"], records, ttl or 0)
            if records:
                answer.append({"domain": zone, "subname": item["subname"], "name": name + ".", "type": item["type"], "ttl": ttl,
                               "records": records})
        return Reply.json(200, answer)
