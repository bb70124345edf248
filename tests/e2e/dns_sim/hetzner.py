"""Hetzner Cloud's API, version 1: zones, sets of records, and actions that take a while."""

from __future__ import annotations

import ipaddress
import re
import zlib
from typing import Any, Optional

from dns_sim.base import Record, Reply, Request, Simulator, Zone, route


def refusal(status: int, code: str, message: str, **headers: str) -> Reply:
    return Reply.json(status, {"error": {"code": code, "message": message, "details": {}}}, **headers)


class Hetzner(Simulator):
    kind, prefix = "hetzner", "/v1"
    limit = (3600, 3600.0)
    secrets = {"token_file": "jEheVytlAoFl7F8MqUQ7jAo2hOXASztXjEheVytlAoFl7F8MqUQ7jAo2hOXASztX"}
    steps = 1  # how often an action is still running
    mode = "primary"

    def __init__(self, *args: Any, **more: Any):
        super().__init__(*args, **more)
        self.actions: dict[str, int] = {}
        self.fails: Optional[dict[str, str]] = None  # the error of the next action

    def zone_id(self, name: str) -> str:
        return str(zlib.crc32(name.encode()))

    def credential(self, request: Request) -> Optional[Reply]:
        kind, _, token = request.headers["Authorization"].partition(" ")
        assert kind == "Bearer" and "Auth-API-Token" not in request.headers
        return None if token == self.secrets["token_file"] else refusal(401, "unauthorized", "unable to authenticate")

    def throttle(self) -> Reply:
        return refusal(429, "rate_limit_exceeded", "limit of 3600 requests per hour reached")

    def none(self) -> Reply:
        return refusal(404, "not_found", "resource not found")

    def errors(self) -> dict[str, list[Reply]]:
        return {
            "auth": [refusal(401, "unauthorized", "unable to authenticate"), refusal(403, "token_readonly", "token is only allowed to read"),
                     refusal(403, "forbidden", "insufficient permissions")],
            "config": [self.none(), refusal(422, "invalid_input", "invalid input in field 'ttl'"),
                       refusal(422, "incorrect_zone_mode", "This operation is not supported for this Zone's mode."),
                       refusal(403, "protected", "RRSet is protected")],
            "throttled": [self.throttle(), refusal(429, "rate_limit_exceeded", "limit reached", retry_after="11")],
            "transient": [refusal(423, "locked", "zone is locked"), refusal(409, "conflict", "resource has changed"),
                          refusal(409, "uniqueness_error", "RRSet already exists"), refusal(503, "maintenance", "x"),
                          refusal(500, "server_error", "internal"), Reply.html(502)],
            "badreply": [Reply.json(200, {"zones": []}), Reply.json(200, {"zone": {"id": None, "name": "example.org"}}), Reply(200)],
        }

    # ---- zones and actions ----

    @route("GET", r"/zones/([^/]+)")
    def zone(self, request: Request, name: str) -> Reply:
        assert not request.query
        z = self.zones.get(name) or next((z for z in self.zones.values() if z.id == name), None)
        if not z:
            return self.none()
        return Reply.json(200, {"zone": {"id": int(z.id), "name": z.name, "mode": self.mode, "ttl": 3600, "status": "ok", "labels": {},
                                         "protection": {"delete": False}, "record_count": len(z.records)}})

    def action(self, command: str, **more: Any) -> Reply:
        id = str(next(self.counter))
        self.actions[id] = self.steps
        return Reply.json(201, {"action": self.action_shown(id, command), **more})

    def action_shown(self, id: str, command: str) -> dict[str, Any]:
        running = self.actions[id] > 0
        self.actions[id] -= running
        error = None if running else self.fails
        return {"id": int(id), "command": command, "status": "running" if running else "error" if error else "success",
                "progress": 50 if running else 100, "started": "2026-01-01T00:00:00Z", "finished": None, "resources": [], "error": error}

    @route("GET", r"/actions/(\d+)")
    def poll(self, request: Request, id: str) -> Reply:
        return Reply.json(200, {"action": self.action_shown(id, "set_rrset_records")})

    # ---- sets ----

    def shown(self, z: Zone, name: str, type: str, found: list[Record]) -> dict[str, Any]:
        return {"id": f"{name}/{type}", "name": name, "type": type, "ttl": found[0].ttl, "labels": {}, "zone": int(z.id),
                "protection": {"change": False}, "records": [{"value": r.content, "comment": r.more.get("comment", "")} for r in found]}

    def place(self, zone: str, name: str, type: str) -> tuple[Zone, list[Record]]:
        z = self.zone_of(zone) if zone.isdigit() else self.zones[zone]
        assert name and not z.covers(name) and name == name.lower() and type in ("A", "AAAA", "TXT", "CNAME")
        return z, z.find(z.whole(name), type)

    @route("GET", r"/zones/([^/]+)/rrsets/([^/]+)/([A-Z]+)")
    def read(self, request: Request, zone: str, name: str, type: str) -> Reply:
        z, found = self.place(zone, name, type)
        return Reply.json(200, {"rrset": self.shown(z, name, type, found)}) if found else self.none()

    def checked(self, type: str, records: Any) -> None:
        assert isinstance(records, list) and 1 <= len(records)
        assert len({r["value"] for r in records}) == len(records)
        for record in records:
            assert set(record) <= {"value", "comment"} and isinstance(record.get("comment", ""), str)
            if type == "TXT":
                assert re.fullmatch(r'"(?:[^"\\]|\\.){0,255}"( "(?:[^"\\]|\\.){0,255}")*', record["value"]), "TXT in quotes"
            else:
                assert ipaddress.ip_address(record["value"]).version == (4 if type == "A" else 6)

    def put(self, z: Zone, name: str, type: str, records: list[dict[str, str]], ttl: int) -> None:
        z.replace(z.whole(name), type, [], 0)
        for r in records:
            z.add(z.whole(name), type, r["value"], ttl, **({"comment": r["comment"]} if r.get("comment") else {}))

    @route("POST", r"/zones/([^/]+)/rrsets")
    def create(self, request: Request, zone: str) -> Reply:
        body = request.json()
        assert request.headers["Content-Type"] == "application/json"
        assert {"name", "type", "records"} <= set(body) <= {"name", "type", "records", "ttl", "labels"}
        z, found = self.place(zone, body["name"], body["type"])
        self.checked(body["type"], body["records"])
        if found:
            return refusal(409, "uniqueness_error", "RRSet already exists")
        if body.get("ttl") is not None and not 60 <= body["ttl"] <= 2147483647:
            return refusal(422, "invalid_input", "invalid input in field 'ttl'")
        self.put(z, body["name"], body["type"], body["records"], body.get("ttl"))
        made = self.shown(z, body["name"], body["type"], z.find(z.whole(body["name"]), body["type"]))
        return self.action("create_rrset", rrset=made)

    @route("POST", r"/zones/([^/]+)/rrsets/([^/]+)/([A-Z]+)/actions/set_records")
    def set_records(self, request: Request, zone: str, name: str, type: str) -> Reply:
        body = request.json()
        assert request.headers["Content-Type"] == "application/json" and set(body) == {"records"}
        z, found = self.place(zone, name, type)
        self.checked(type, body["records"])
        if not found:
            return self.none()
        self.put(z, name, type, body["records"], found[0].ttl)
        return self.action("set_rrset_records")

    @route("POST", r"/zones/([^/]+)/rrsets/([^/]+)/([A-Z]+)/actions/change_ttl")
    def change_ttl(self, request: Request, zone: str, name: str, type: str) -> Reply:
        body = request.json()
        assert request.headers["Content-Type"] == "application/json" and set(body) == {"ttl"}
        z, found = self.place(zone, name, type)
        if not found:
            return self.none()
        if body["ttl"] is not None and not 60 <= body["ttl"] <= 2147483647:
            return refusal(422, "invalid_input", "invalid input in field 'ttl'")
        for record in found:
            record.ttl = body["ttl"]
        return self.action("change_rrset_ttl")

    @route("DELETE", r"/zones/([^/]+)/rrsets/([^/]+)/([A-Z]+)")
    def delete(self, request: Request, zone: str, name: str, type: str) -> Reply:
        z, found = self.place(zone, name, type)
        assert not request.body
        if not found:
            return self.none()
        z.replace(z.whole(name), type, [], 0)
        return self.action("delete_rrset")
