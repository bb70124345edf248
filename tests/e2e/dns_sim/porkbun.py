"""Porkbun's API, version 3: every call is a POST with both keys in its body, and all of a record is text."""

from __future__ import annotations

import ipaddress
from typing import Any, Optional

from dns_sim.base import Record, Reply, Request, Simulator, Zone, route


def refusal(message: str, status: int = 400) -> Reply:
    return Reply.json(status, {"status": "ERROR", "message": message})


def success(**more: Any) -> Reply:
    return Reply.json(200, {"status": "SUCCESS", **more})


class Porkbun(Simulator):
    kind, prefix = "porkbun", "/api/json/v3"
    limit = (40, 30.0)
    secrets = {"key_file": "pk1_0123456789abcdef0123456789abcdef01234567", "secret_file": "sk1_89abcdef0123456789abcdef0123456701234567"}
    opted_in = True

    def credential(self, request: Request) -> Optional[Reply]:
        assert request.method == "POST" and request.headers["Content-Type"] == "application/json"
        body = request.json()
        for key, name in (("apikey", "key_file"), ("secretapikey", "secret_file")):
            assert isinstance(body[key], str)
            if body[key] != self.secrets[name]:
                return refusal(f"Invalid API key. (00{1 + (key != 'apikey')})")
        return None

    def throttle(self) -> Reply:
        return Reply.html(503)

    def errors(self) -> dict[str, list[Reply]]:
        return {
            "auth": [refusal("Invalid API key. (001)"), refusal("Invalid API key. (002)"),
                     refusal("All API requests require an API key or API token.")],
            "config": [refusal("Domain is not opted in to API access."), refusal("Invalid domain."),
                       refusal("Edit error: We were unable to edit the DNS record.", 200)],
            "throttled": [Reply.html(503), Reply(503), Reply.json(429, {"status": "ERROR", "message": "Rate limit"}, retry_after="9")],
            "transient": [Reply.html(502), Reply(500)],
            "badreply": [Reply.json(200, {"status": "MAYBE"}), Reply.json(200, {"domains": []}), success(), Reply(200)],
        }

    def members(self, request: Request, *names: str) -> dict[str, Any]:
        body = request.json()
        assert not request.query and set(body) <= {"apikey", "secretapikey", *names}, f"members {set(body)}"
        return body

    def place(self, domain: str, name: str = "") -> Any:
        if domain not in self.zones:
            return refusal("Invalid domain.")
        if not self.opted_in:
            return refusal("Domain is not opted in to API access.")
        assert name != "@" and not self.zones[domain].covers(name), "names are relative, and empty at the top"
        return self.zones[domain]

    def shown(self, r: Record) -> dict[str, Any]:
        return {"id": r.id, "name": r.name, "type": r.type, "content": r.content, "ttl": str(r.ttl), "prio": "0",
                "notes": r.more.get("comment", "")}

    @route("POST", r"/domain/listAll")
    def list_all(self, request: Request) -> Reply:
        start = int(self.members(request, "start", "includeLabels").get("start", "0"))
        names = list(self.zones)[start:start + 1000]
        return success(domains=[{"domain": n, "status": "ACTIVE", "tld": n.rpartition(".")[2], "createDate": "2026-01-01 00:00:00",
                                 "expireDate": "2027-01-01 00:00:00", "securityLock": "1", "whoisPrivacy": "1", "autoRenew": 0,
                                 "notLocal": 0} for n in names])

    @route("POST", r"/dns/retrieveByNameType/([^/]+)/([A-Z]+)((?:/[^/]+)?)")
    def read(self, request: Request, domain: str, type: str, name: str) -> Reply:
        self.members(request)
        z = self.place(domain, name[1:])
        if isinstance(z, Reply):
            return z
        assert type in ("A", "AAAA", "TXT", "CNAME", "ALIAS")
        return success(cloudflare="enabled", records=[self.shown(r) for r in z.find(z.whole(name[1:]), type)])

    def checked(self, z: Zone, body: dict[str, Any]) -> Optional[Reply]:
        assert body["type"] in ("A", "AAAA", "TXT") and all(isinstance(v, str) for v in body.values())
        assert body.get("name") != "@" and not z.covers(body.get("name", "")), "names are relative, and empty at the top"
        if body["type"] == "TXT":
            assert '"' not in body["content"], "TXT is sent without quotes"
        else:
            assert ipaddress.ip_address(body["content"]).version == (4 if body["type"] == "A" else 6)
        return refusal("Invalid TTL: it has to be at least 600.") if int(body.get("ttl", "600")) < 600 else None

    @route("POST", r"/dns/create/([^/]+)")
    def create(self, request: Request, domain: str) -> Reply:
        body, z = self.members(request, "name", "type", "content", "ttl", "prio", "notes"), self.place(domain)
        if isinstance(z, Reply):
            return z
        if refused := self.checked(z, body):
            return refused
        name = z.whole(body.get("name", ""))
        if z.find(name, "CNAME") or any(r.content == body["content"] for r in z.find(name, body["type"])):
            return refusal("Create error: We were unable to create the DNS record.")
        return success(id=int(z.add(name, body["type"], body["content"], int(body.get("ttl", "600"))).id))

    @route("POST", r"/dns/edit/([^/]+)/(\d+)")
    def edit(self, request: Request, domain: str, id: str) -> Reply:
        body, z = self.members(request, "name", "type", "content", "ttl", "prio", "notes"), self.place(domain)
        record = z.by_id(id)
        if refused := self.checked(z, body):
            return refused
        if not record:
            return refusal("Invalid record ID.")
        assert (z.whole(body.get("name", "")), body["type"]) == (record.name, record.type)
        if (record.content, str(record.ttl)) == (body["content"], body.get("ttl", "600")):
            return refusal("Edit error: We were unable to edit the DNS record.")
        record.content, record.ttl = body["content"], int(body.get("ttl", "600"))
        return success()

    @route("POST", r"/dns/delete/([^/]+)/(\d+)")
    def delete(self, request: Request, domain: str, id: str) -> Reply:
        self.members(request)
        z = self.place(domain)
        if not z.by_id(id):
            return refusal("Invalid record ID.")
        z.records.remove(z.by_id(id))
        return success()
