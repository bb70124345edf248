"""DigitalOcean's API, version 2: domains and their records."""

from __future__ import annotations

import ipaddress
from typing import Any, Optional

from dns_sim.base import Record, Reply, Request, Simulator, Zone, route


def refusal(status: int, id: str, message: str, **headers: str) -> Reply:
    return Reply.json(status, {"id": id, "message": message, "request_id": "4d9d8375-3c56-4925-a3e7-eb137fed17e9"}, **headers)


class DigitalOcean(Simulator):
    kind, prefix = "digitalocean", "/v2"
    limit = (250, 60.0)
    secrets = {"token_file": "dop_v1_0123456789abcdef0123456789abcdef"}

    def credential(self, request: Request) -> Optional[Reply]:
        kind, _, token = request.headers["Authorization"].partition(" ")
        assert kind == "Bearer"
        return None if token == self.secrets["token_file"] else refusal(401, "unauthorized", "Unable to authenticate you")

    def throttle(self) -> Reply:
        return refusal(429, "too_many_requests", "API Rate limit exceeded.", retry_after="23")

    def errors(self) -> dict[str, list[Reply]]:
        return {
            "auth": [refusal(401, "unauthorized", "Unable to authenticate you"),
                     refusal(403, "forbidden", "You are not authorized to perform this operation")],
            "config": [refusal(404, "not_found", "The resource you were accessing could not be found."),
                       refusal(422, "unprocessable_entity", "IP address did not match IPv4 format (e.g. 127.0.0.1).")],
            "throttled": [self.throttle(), refusal(429, "too_many_requests", "API Rate limit exceeded.")],
            "transient": [refusal(500, "server_error", "Unexpected server-side error"), Reply.html(502), Reply(504)],
            "badreply": [Reply.json(200, {"domain": {"name": "other.example"}}), Reply.json(200, []), Reply(200)],
        }

    def shown(self, zone: Zone, r: Record) -> dict[str, Any]:
        return {"id": int(r.id), "type": r.type, "name": zone.relative(r.name), "data": r.content, "priority": None, "port": None,
                "ttl": r.ttl, "weight": None, "flags": None, "tag": None}

    @route("GET", r"/domains/([^/]+)")
    def domain(self, request: Request, name: str) -> Reply:
        assert name == name.lower() and not request.query
        if name not in self.zones:
            return refusal(404, "not_found", "The resource you were accessing could not be found.")
        return Reply.json(200, {"domain": {"name": name, "ttl": 1800, "zone_file": ""}})

    @route("GET", r"/domains/([^/]+)/records")
    def list_records(self, request: Request, zone: str) -> Reply:
        assert {key for key, _ in request.query} <= {"name", "type", "per_page", "page"}
        name, z = request.one("name"), self.zones[zone]
        assert z.covers(name) and 1 <= int(request.one("per_page") or 20) <= 200, "name is the whole name"
        found = z.find(name, request.one("type"))
        return Reply.json(200, {"domain_records": [self.shown(z, r) for r in found], "links": {}, "meta": {"total": len(found)}})

    def checked(self, zone: Zone, body: dict[str, Any]) -> Optional[Reply]:
        assert set(body) <= {"type", "name", "data", "ttl", "priority", "port", "weight", "flags", "tag"}
        assert body["type"] in ("A", "AAAA", "TXT") and isinstance(body.get("ttl", 1800), int)
        if "name" in body:
            assert body["name"] and not zone.covers(body["name"]), "name is relative to the domain"
        if body.get("ttl", 1800) < 30:
            return refusal(422, "unprocessable_entity", "TTL must be greater than or equal to 30")
        if "data" in body and body["type"] != "TXT":
            assert ipaddress.ip_address(body["data"]).version == (4 if body["type"] == "A" else 6)
        assert body["type"] != "TXT" or '"' not in body.get("data", ""), "TXT is sent without quotes"
        return None

    @route("POST", r"/domains/([^/]+)/records")
    def create(self, request: Request, zone: str) -> Reply:
        body, z = request.json(), self.zones[zone]
        assert request.headers["Content-Type"] == "application/json" and {"type", "name", "data"} <= set(body)
        if refused := self.checked(z, body):
            return refused
        record = z.add(z.whole(body["name"]), body["type"], body["data"], body.get("ttl", 1800))
        return Reply.json(201, {"domain_record": self.shown(z, record)})

    @route("PATCH", r"/domains/([^/]+)/records/(\d+)")
    def change(self, request: Request, zone: str, id: str) -> Reply:
        body, z = request.json(), self.zones[zone]
        record = z.by_id(id)
        assert request.headers["Content-Type"] == "application/json" and "type" in body
        if not record:
            return refusal(404, "not_found", "The resource you were accessing could not be found.")
        if refused := self.checked(z, body):
            return refused
        assert record.type == body["type"] and z.whole(body.get("name", z.relative(record.name))) == record.name
        record.content, record.ttl = body.get("data", record.content), body.get("ttl", record.ttl)
        return Reply.json(200, {"domain_record": self.shown(z, record)})

    @route("DELETE", r"/domains/([^/]+)/records/(\d+)")
    def delete(self, request: Request, zone: str, id: str) -> Reply:
        z = self.zones[zone]
        assert not request.body
        if not z.by_id(id):
            return refusal(404, "not_found", "The resource you were accessing could not be found.")
        z.records.remove(z.by_id(id))
        return Reply(204)
