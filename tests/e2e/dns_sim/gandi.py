"""Gandi LiveDNS, version 5: one set of records per name and type."""

from __future__ import annotations

import ipaddress
from typing import Optional

from dns_sim.base import Reply, Request, Simulator, route


def refusal(status: int, message: str, object: str, cause: str, **headers: str) -> Reply:
    return Reply.json(status, {"code": status, "message": message, "object": object, "cause": cause}, **headers)


class Gandi(Simulator):
    kind, prefix = "gandi", "/v5/livedns"
    limit = (1000, 60.0)
    secrets = {"token_file": "pat_0123456789abcdef0123456789abcdef01234567"}

    def credential(self, request: Request) -> Optional[Reply]:
        kind, _, token = request.headers["Authorization"].partition(" ")
        assert kind == "Bearer", "Apikey is deprecated"
        if token == self.secrets["token_file"]:
            return None
        return refusal(401, "The server could not verify that you authorized to access the document you requested.",
                       "HTTPUnauthorized", "Unauthorized")

    def throttle(self) -> Reply:
        return refusal(429, "Too many requests", "HTTPTooManyRequests", "Too Many Requests", retry_after="60")

    def none(self, message: str = "The resource could not be found.") -> Reply:
        return refusal(404, message, "HTTPNotFound", "Not Found")

    def errors(self) -> dict[str, list[Reply]]:
        return {
            "auth": [refusal(401, "The server could not verify that you authorized", "HTTPUnauthorized", "Unauthorized"),
                     refusal(403, "Access was denied to this resource.", "HTTPForbidden", "Forbidden")],
            "config": [self.none(), Reply.json(400, {"status": "error", "errors": [
                {"location": "body", "name": "rrset_ttl", "description": "rrset_ttl must be 300 or more"}]})],
            "throttled": [self.throttle()],
            "transient": [refusal(500, "Internal error", "HTTPInternalServerError", "x"), Reply.html(502), Reply.html(503)],
            "badreply": [Reply.json(200, {"fqdn": "other.example"}), Reply.json(200, "ok"), Reply(200)],
        }

    @route("GET", r"/domains/([^/]+)")
    def domain(self, request: Request, name: str) -> Reply:
        assert name == name.lower() and not request.query
        if name not in self.zones:
            return self.none("The resource could not be found.")
        return Reply.json(200, {"fqdn": name, "domain_href": f"{self.url}/domains/{name}", "automatic_snapshots": True})

    @route("GET", r"/domains/([^/]+)/records/([^/]+)/([A-Z]+)")
    def read(self, request: Request, zone: str, name: str, type: str) -> Reply:
        z = self.zones[zone]
        assert not z.covers(name) and type in ("A", "AAAA", "TXT", "CNAME", "ALIAS")
        found = z.find(z.whole(name), type)
        if not found:
            return refusal(404, f"Can't find the DNS record {name}/{type} in the zone", "dns-record", "Not Found")
        return Reply.json(200, {"rrset_name": name, "rrset_type": type, "rrset_ttl": found[0].ttl,
                                "rrset_values": [r.content for r in found], "rrset_href": f"{self.url}{request.path}"})

    @route("PUT", r"/domains/([^/]+)/records/([^/]+)/([A-Z]+)")
    def write(self, request: Request, zone: str, name: str, type: str) -> Reply:
        z, body = self.zones[zone], request.json()
        assert request.headers["Content-Type"] == "application/json" and not z.covers(name)
        assert set(body) == {"rrset_values", "rrset_ttl"} and body["rrset_values"] and type in ("A", "AAAA", "TXT")
        if not 300 <= body["rrset_ttl"] <= 2592000:
            return Reply.json(400, {"status": "error", "errors": [{"location": "body", "name": "rrset_ttl", "description": "300 or more"}]})
        for value in body["rrset_values"]:
            if type != "TXT":
                assert ipaddress.ip_address(value).version == (4 if type == "A" else 6)
        values = [v if type != "TXT" or v.startswith('"') else f'"{v}"' for v in body["rrset_values"]]
        z.replace(z.whole(name), type, values, body["rrset_ttl"])
        return Reply.json(201, {"message": "DNS Record Created"})

    @route("DELETE", r"/domains/([^/]+)/records/([^/]+)/([A-Z]+)")
    def delete(self, request: Request, zone: str, name: str, type: str) -> Reply:
        z = self.zones[zone]
        assert not request.body and not z.covers(name)
        if not z.find(z.whole(name), type):
            return self.none()
        z.replace(z.whole(name), type, [], 0)
        return Reply(204)
