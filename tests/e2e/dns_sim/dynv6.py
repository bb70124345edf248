"""dynv6: records by REST v2, and the addresses of a zone's own name by a URL: they are members of the zone, and no records."""

from __future__ import annotations

import ipaddress
from typing import Any, Optional

from dns_sim.base import Record, Reply, Request, Simulator, Zone, route

TTL = 60
OWN = {"A": "ipv4address", "AAAA": "ipv6prefix"}


class Dynv6(Simulator):
    kind = "dynv6"
    secrets = {"token_file": "Jx3uR1tSxPqQ9vYt5oZbE7nWkLm2aC"}

    def zone_id(self, name: str) -> str:
        return str(next(self.counter))

    def credential(self, request: Request) -> Optional[Reply]:
        if request.path == "/api/update":
            assert "Authorization" not in request.headers
            right = request.one("token") == self.secrets["token_file"]
            return None if right else Reply.text(401, "invalid authentication token")
        kind, _, token = request.headers["Authorization"].partition(" ")
        assert kind == "Bearer" and not request.query and request.headers["Accept"] == "application/json"
        return None if token == self.secrets["token_file"] else Reply(401)

    def throttle(self) -> Reply:
        return Reply.text(429, "", retry_after="9")

    def errors(self) -> dict[str, list[Reply]]:
        return {"auth": [Reply(401), Reply.text(401, "invalid authentication token"), Reply(403)],
                "config": [Reply(404), self.invalid("data", "is not an IPv4 address")], "throttled": [self.throttle(), Reply(429)],
                "transient": [Reply(500), Reply(502), Reply.html(504)],
                "badreply": [Reply.json(200, {}), Reply.json(200, [{"id": 1}]), Reply.json(200, [{"id": {}, "name": "example.org"}]),
                             Reply(200), Reply.text(200, "addresses updated")]}

    def update_errors(self) -> dict[str, list[Reply]]:
        """Of the URL for addresses, which answers with words."""
        return {"auth": [Reply.text(401, "invalid authentication token"), Reply(403)], "config": [Reply.text(404, "zone not found")],
                "transient": [Reply(502)], "throttled": [self.throttle()],
                "badreply": [Reply.text(200, "addresses upd"), Reply.text(200, "Addresses updated, or so"), Reply.html(), Reply(204)]}

    def invalid(self, field: str, message: str) -> Reply:
        return Reply.json(422, {"error": {"name": "ValidationError", "message": f"{field} {message}",
                                          "fields": [{"name": field, "message": message}]}})

    # ---- zones ----

    def own(self, zone: Zone, type: str) -> Optional[Record]:
        return next(iter(zone.find(zone.name, type)), None)

    def zone_shown(self, zone: Zone) -> dict[str, Any]:
        held = {key: self.own(zone, type) for type, key in OWN.items()}
        return {"name": zone.name, **{key: r.content + r.more.get("length", "") if r else "" for key, r in held.items()},
                "id": int(zone.id), "createdAt": "2024-11-27T14:24:02+01:00", "updatedAt": "2024-11-27T14:24:02+01:00"}

    def by_id(self, id: str) -> Optional[Zone]:
        return next((zone for zone in self.zones.values() if zone.id == id), None)

    @route("GET", r"/api/v2/zones")
    def list_zones(self, request: Request) -> Reply:
        return Reply.json(200, [self.zone_shown(zone) for zone in self.zones.values()])

    @route("GET", r"/api/v2/zones/(\d+)")
    def show_zone(self, request: Request, id: str) -> Reply:
        zone = self.by_id(id)
        return Reply.json(200, self.zone_shown(zone)) if zone else Reply(404)

    @route("GET", r"/api/update")
    def update(self, request: Request) -> Reply:
        sent = dict(request.query)
        assert set(sent) <= {"zone", "token", "ipv4", "ipv6"} and len(sent) == len(request.query)
        new = {f"A{'AAA' * (key == 'ipv6')}": sent[key] for key in ("ipv4", "ipv6") if key in sent}
        assert new, "no family is told"
        zone = self.zones.get(sent["zone"])
        if zone is None:
            return Reply.text(404, "zone not found")
        before = self.zone_shown(zone)
        for type, value in new.items():
            address, slash, bits = value.partition("/")
            zone.records = [r for r in zone.records if (r.name, r.type) != (zone.name, type)]
            if value != "-":
                assert ipaddress.ip_address(address).version == (4 if type == "A" else 6) and (type == "AAAA" or not slash)
                assert not slash or 0 <= int(bits) <= 128
                zone.add(zone.name, type, address, TTL, length=slash + bits)
        return Reply.text(200, "addresses unchanged" if before == self.zone_shown(zone) else "addresses updated")

    # ---- records ----

    def shown(self, zone: Zone, r: Record) -> dict[str, Any]:
        target = r.content if r.content.endswith(".") or r.type != "CNAME" else f"{r.content}.{zone.name}"
        expanded = r.more.get("expanded", target)
        return {"type": r.type, "name": zone.relative(r.name, ""), "data": r.content, "priority": None, "port": None, "weight": None,
                "flags": 0, "tag": "", "id": int(r.id), "zoneID": int(zone.id),
                **({"expandedData": expanded} if expanded != r.content else {})}

    def kept(self, zone: Zone) -> list[Record]:
        return [r for r in zone.records if r.name != zone.name or r.type not in OWN]

    @route("GET", r"/api/v2/zones/(\d+)/records")
    def list_records(self, request: Request, id: str) -> Reply:
        zone = self.by_id(id)
        return Reply.json(200, [self.shown(zone, r) for r in self.kept(zone)]) if zone else Reply(404)

    def refused(self, zone: Zone, type: str, name: str, data: str) -> Optional[Reply]:
        assert type in ("A", "AAAA", "TXT") and name not in ("@", zone.name) and not name.endswith((".", "." + zone.name))
        assert name or type not in OWN, "the addresses of a zone's own name are no records"
        assert type != "TXT" or '"' not in data, "TXT is sent without quotes"
        if type in OWN and ipaddress.ip_address(data).version != (4 if type == "A" else 6):
            return self.invalid("data", "is no such address")
        return self.invalid("name", "has a CNAME record") if zone.find(zone.whole(name), "CNAME") else None

    @route("POST", r"/api/v2/zones/(\d+)/records")
    def create(self, request: Request, id: str) -> Reply:
        zone, body = self.by_id(id), request.json()
        assert request.headers["Content-Type"] == "application/json" and set(body) == {"type", "name", "data"}
        if zone is None:
            return Reply(404)
        refused = self.refused(zone, **body)
        return refused or Reply.json(200, self.shown(zone, zone.add(zone.whole(body["name"]), body["type"], body["data"], TTL)))

    @route("PATCH", r"/api/v2/zones/(\d+)/records/(\d+)")
    def change(self, request: Request, id: str, record: str) -> Reply:
        zone, body = self.by_id(id), request.json()
        assert request.headers["Content-Type"] == "application/json" and set(body) == {"name", "data"}
        found = next((r for r in self.kept(zone) if r.id == record), None) if zone else None
        if found is None:
            return Reply(404)
        assert zone.whole(body["name"]) == found.name
        refused = self.refused(zone, found.type, **body)
        if not refused:
            found.content = body["data"]
            found.more.pop("expanded", None)
        return refused or Reply.json(200, self.shown(zone, found))

    @route("DELETE", r"/api/v2/zones/(\d+)/records/(\d+)")
    def delete(self, request: Request, id: str, record: str) -> Reply:
        zone = self.by_id(id)
        found = next((r for r in self.kept(zone) if r.id == record), None) if zone else None
        assert not request.body
        if found is None:
            return Reply(404)
        zone.records.remove(found)
        return Reply(204)
