"""Cloudflare's API, version 4: zones and dns_records."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from typing import Any, Iterator, Optional

from dns_sim.base import Record, Reply, Request, Simulator, Zone, route


def envelope(result: Any, **info: int) -> dict[str, Any]:
    return {"success": True, "errors": [], "messages": [], "result": result, **({"result_info": info} if info else {})}


def refusal(status: int, code: int, message: str, **headers: str) -> Reply:
    return Reply.json(status, {"success": False, "errors": [{"code": code, "message": message, "error_chain": []}],
                               "messages": [], "result": None}, **headers)


class Cloudflare(Simulator):
    kind, prefix = "cloudflare", "/client/v4"
    limit = (1200, 300.0)
    secrets = {"token_file": "cf-Token_0123456789abcdefghijklmnopqrst"}

    def zone_id(self, name: str) -> str:
        return hashlib.md5(name.encode()).hexdigest()

    def ids(self) -> Iterator[str]:
        return (hashlib.md5(f"record {n}".encode()).hexdigest() for n in self.counter)

    def credential(self, request: Request) -> Optional[Reply]:
        kind, _, token = request.headers["Authorization"].partition(" ")
        assert kind == "Bearer" and "X-Auth-Key" not in request.headers
        return None if token == self.secrets["token_file"] else refusal(403, 10000, "Authentication error")

    def throttle(self) -> Reply:
        return refusal(429, 971, "Please wait and consider throttling your request speed", retry_after="300")

    def errors(self) -> dict[str, list[Reply]]:
        return {
            "auth": [refusal(403, 10000, "Authentication error"), refusal(403, 9109, "Unauthorized to access requested resource"),
                     refusal(400, 6003, "Invalid request headers")],
            "config": [refusal(400, 7003, "Could not route to /zones/x, perhaps your object identifier is invalid?"),
                       refusal(400, 9005, "Content for A record is invalid. Must be a valid IPv4 address")],
            "throttled": [self.throttle()],
            "transient": [refusal(400, 81058, "An identical record already exists."), Reply.html(502), Reply.html(520)],
            "badreply": [Reply.json(200, {"result": []}), Reply.json(200, {"success": "true", "result": []})],
        }

    def shown(self, r: Record) -> dict[str, Any]:
        return {"id": r.id, "name": r.name, "type": r.type, "content": r.content, "ttl": r.ttl,
                "proxied": r.more.get("proxied", False), "proxiable": r.type != "TXT", "comment": r.more.get("comment"),
                "tags": [], "settings": {}, "meta": {}, "created_on": "2026-01-01T00:00:00Z"}

    @route("GET", r"/zones")
    def list_zones(self, request: Request) -> Reply:
        name = request.one("name")
        assert name == name.lower() and 0 < int(request.one("per_page")) <= 50
        assert {key for key, _ in request.query} <= {"name", "per_page", "page", "status"}
        found = [{"id": z.id, "name": z.name, "status": "active"} for z in self.zones.values() if z.name == name]
        return Reply.json(200, envelope(found, page=1, per_page=50, count=len(found), total_count=len(found), total_pages=1))

    @route("GET", r"/zones/([0-9a-f]{32})/dns_records")
    def list_records(self, request: Request, zone: str) -> Reply:
        assert {key for key, _ in request.query} <= {"name", "type", "per_page", "page"}
        assert 5 <= int(request.one("per_page") or 100) <= 5000000
        found = self.zone_of(zone).find(request.one("name"), request.one("type"))
        return Reply.json(200, envelope([self.shown(r) for r in found], page=1, per_page=100, count=len(found),
                                        total_count=len(found), total_pages=1))

    def checked(self, zone: Zone, body: dict[str, Any], type: str) -> Optional[Reply]:
        assert set(body) <= {"type", "name", "content", "ttl", "proxied", "comment", "tags"}, f"members {set(body)}"
        assert isinstance(body.get("ttl", 1), int) and isinstance(body.get("proxied", False), bool)
        if body.get("ttl", 1) != 1 and not 60 <= body["ttl"] <= 86400:
            return refusal(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
        if "content" in body and type in ("A", "AAAA"):
            assert ipaddress.ip_address(body["content"]).version == (4 if type == "A" else 6)
        if "content" in body and type == "TXT":
            assert re.fullmatch(r'".*"', body["content"]), "a TXT value without quotes: Cloudflare warns of it"
        return None

    @route("POST", r"/zones/([0-9a-f]{32})/dns_records")
    def create(self, request: Request, zone: str) -> Reply:
        body, z = request.json(), self.zone_of(zone)
        assert request.headers["Content-Type"] == "application/json" and {"type", "name", "content", "ttl"} <= set(body)
        assert z.covers(body["name"])
        if refused := self.checked(z, body, body["type"]):
            return refused
        if any(r.content == body["content"] for r in z.find(body["name"], body["type"])):
            return refusal(400, 81058, "An identical record already exists.")
        if z.find(body["name"], "CNAME"):
            return refusal(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
        record = z.add(body["name"], body["type"], body["content"], 1 if body.get("proxied") else body["ttl"],
                       proxied=body.get("proxied", False), comment=body.get("comment"))
        return Reply.json(200, envelope(self.shown(record)))

    @route("PATCH", r"/zones/([0-9a-f]{32})/dns_records/([0-9a-f]{32})")
    def change(self, request: Request, zone: str, id: str) -> Reply:
        body, record = request.json(), self.zone_of(zone).by_id(id)
        if record is None:
            return refusal(404, 81044, "Record does not exist.")
        if refused := self.checked(self.zone_of(zone), body, record.type):
            return refused
        record.content, record.ttl = body.get("content", record.content), body.get("ttl", record.ttl)
        record.more.update({key: body[key] for key in ("proxied", "comment") if key in body})
        if record.more.get("proxied"):
            record.ttl = 1
        return Reply.json(200, envelope(self.shown(record)))

    @route("DELETE", r"/zones/([0-9a-f]{32})/dns_records/([0-9a-f]{32})")
    def delete(self, request: Request, zone: str, id: str) -> Reply:
        z, record = self.zone_of(zone), self.zone_of(zone).by_id(id)
        if record is None:
            return refusal(404, 81044, "Record does not exist.")
        z.records.remove(record)
        return Reply.json(200, envelope({"id": id}))
