"""PowerDNS Authoritative Server, HTTP API version 1: for what the real one (test_dns_servers.py) cannot be made to say.

It answers as older ones do: with the whole zone, whichever set was asked for."""

from __future__ import annotations

import ipaddress
import json
from typing import Any, Optional

from dns_sim.base import Reply, Request, Simulator, route


def refusal(status: int, error: str) -> Reply:
    return Reply.json(status, {"error": error})


class PowerDnsSim(Simulator):
    kind, prefix = "powerdns", "/api/v1/servers/localhost"
    secrets = {"key_file": "api-Key_0123456789"}

    def zone_id(self, name: str) -> str:
        return name + "."

    def credential(self, request: Request) -> Optional[Reply]:
        return None if request.headers["X-API-Key"] == self.secrets["key_file"] else Reply.text(401, "Unauthorized")

    def errors(self) -> dict[str, list[Reply]]:
        return {
            "auth": [Reply.text(401, "Unauthorized"), Reply.html(403)],
            "config": [refusal(404, "Not Found"), refusal(400, "Unable to parse Domain Name: too long"), refusal(409, "Conflict"),
                       refusal(422, "RRset www.example.org. IN A: Conflicts with pre-existing RRset")],
            "transient": [refusal(500, "Internal Server Error"), Reply.html(502), Reply.html(503)],
            "badreply": [Reply.json(200, {"id": "example.org."}), Reply.json(200, [{}]), Reply.json(200, "ok"), Reply(200)],
        }

    @route("GET", r"/zones")
    def find(self, request: Request) -> Reply:
        name = request.one("zone")
        assert len(request.query) == 1 and name == name.lower() and name.endswith(".")
        return Reply.json(200, [{"id": z.id, "name": z.id, "kind": "Native", "url": f"{self.prefix}/zones/{z.id}"}
                                for z in self.zones.values() if z.id == name])

    @route("GET", r"/zones/([^/]+)")
    def read(self, request: Request, zone: str) -> Reply:
        assert {key for key, _ in request.query} == {"rrset_name", "rrset_type"}
        z = self.zone_of(zone)
        assert z.covers(request.one("rrset_name").removesuffix("."))
        sets: dict[tuple[str, str], dict[str, Any]] = {("ns." + z.name, "A"): {
            "name": f"ns.{z.id}", "type": "A", "ttl": 300, "comments": [], "records": [{"content": "192.0.2.53", "disabled": False}]}}
        for r in z.records:
            one = sets.setdefault((r.name, r.type), {"name": r.name + ".", "type": r.type, "ttl": r.ttl, "comments": [], "records": []})
            one["records"].append({"content": r.content, "disabled": False})
        return Reply.json(200, {"id": z.id, "name": z.id, "kind": "Native", "rrsets": list(sets.values())})

    @route("PATCH", r"/zones/([^/]+)")
    def write(self, request: Request, zone: str) -> Reply:
        z, body = self.zone_of(zone), request.json()
        assert request.headers["Content-Type"] == "application/json" and set(body) == {"rrsets"}
        for one in body["rrsets"]:
            name = one["name"].removesuffix(".")
            assert one["name"] == name + "." == one["name"].lower() and z.covers(name) and one["type"] in ("A", "AAAA", "TXT")
            if one["changetype"] == "DELETE":
                assert set(one) == {"name", "type", "changetype"}
                z.replace(name, one["type"], [], 0)
                continue
            assert one["changetype"] == "REPLACE" and set(one) == {"name", "type", "changetype", "ttl", "records"} and one["records"]
            assert all(set(r) == {"content", "disabled"} and r["disabled"] is False for r in one["records"])
            values = [r["content"] for r in one["records"]]
            for value in values:
                if one["type"] == "TXT":
                    assert isinstance(json.loads(value), str), "TXT is quoted"
                else:
                    assert ipaddress.ip_address(value).version == (4 if one["type"] == "A" else 6)
            z.replace(name, one["type"], values, one["ttl"])
        return Reply(204)
