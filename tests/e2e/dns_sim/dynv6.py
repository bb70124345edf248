"""dynv6: a zone's addresses by a URL, and its records by REST v2."""

from __future__ import annotations

import itertools
import ipaddress
from typing import Optional

from dns_sim.base import Reply, Request, Simulator, route


class Dynv6(Simulator):
    kind = "dynv6"
    secrets = {"token_file": "Jx3uR1tSxPqQ9vYt5oZbE7nWkLm2aC"}

    def __init__(self, *args: object, **more: object) -> None:
        self.known: dict[str, dict[str, str]] = {"www.example.org": {}, "example.org": {}}
        self.numbers = itertools.count(7000)
        self.records: dict[int, dict] = {}
        self.zone_ids = {4711: "example.org", 4712: "www.example.org"}
        super().__init__(*args, **more)

    def credential(self, request: Request) -> Optional[Reply]:
        if request.path == "/api/update":
            assert "Authorization" not in request.headers
            return None if request.one("token") == self.secrets["token_file"] else Reply.text(401, "invalid authentication token")
        assert request.headers["Accept"] == "application/json"
        return None if request.headers["Authorization"] == f"Bearer {self.secrets['token_file']}" else Reply(401)

    @route("GET", r"/api/update")
    def update(self, request: Request) -> Reply:
        sent = dict(request.query)
        assert set(sent) <= {"zone", "token", "ipv4", "ipv6"} and len(sent) == len(request.query)
        new = {k: v for k, v in sent.items() if k in ("ipv4", "ipv6")}
        assert new and all(ipaddress.ip_address(v).version == int(k[-1]) for k, v in new.items())
        zone = self.known.get(sent["zone"])
        if zone is None:
            return Reply.text(404, "zone not found")
        before = dict(zone)
        zone.update(new)
        return Reply.text(200, "addresses unchanged" if before == zone else "addresses updated")

    @route("GET", r"/api/v2/zones")
    def zones_list(self, request: Request) -> Reply:
        return Reply.json(200, [{"id": id, "name": name, "ipv4address": "", "ipv6prefix": ""} for id, name in self.zone_ids.items()])

    @route("GET", r"/api/v2/zones/(\d+)/records")
    def list(self, request: Request, zone: str) -> Reply:
        return Reply.json(200, [{**r, "id": id} for id, r in self.records.items() if r["zoneID"] == int(zone)])

    @route("POST", r"/api/v2/zones/(\d+)/records")
    def create(self, request: Request, zone: str) -> Reply:
        body = request.json()
        assert set(body) == {"type", "name", "data"} and body["type"] == "TXT" and int(zone) in self.zone_ids
        id = next(self.numbers)
        self.records[id] = {**body, "zoneID": int(zone), "expandedData": body["data"]}
        return Reply.json(200, {**self.records[id], "id": id})

    @route("DELETE", r"/api/v2/zones/(\d+)/records/(\d+)")
    def delete(self, request: Request, zone: str, id: str) -> Reply:
        assert self.records[int(id)]["zoneID"] == int(zone)
        del self.records[int(id)]
        return Reply(204)

    def errors(self) -> dict[str, list[Reply]]:
        return {"auth": [Reply.text(401, "invalid authentication token"), Reply(403)], "config": [Reply.text(404, "zone not found")],
                "transient": [Reply(502)], "throttled": [Reply.text(429, "", retry_after="9")],
                "badreply": [Reply.text(200, "addresses upd"), Reply.text(200, "Addresses updated, or so")]}
