"""OVHcloud's API, version 1.0: signed requests, records by number, and nothing is published before a refresh."""

from __future__ import annotations

import hashlib
import ipaddress
import time
from typing import Any, Optional

from dns_sim.base import Record, Reply, Request, Simulator, Zone, route

APPLICATION = "7kbG7Bk7S9Nt7ZSV"


def refusal(status: int, code: str, message: str, **headers: str) -> Reply:
    words = {400: "400 Bad Request", 403: "403 Forbidden", 404: "404 Not Found", 429: "429 Too Many Requests"}
    return Reply.json(status, {"errorCode": code, "httpCode": words.get(status, str(status)), "message": message},
                      **headers)


class Ovh(Simulator):
    kind, prefix = "ovh", "/1.0"
    limit = (60, 5.0)
    secrets = {"secret_file": "EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF", "key_file": "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1"}
    more = {"id": APPLICATION}
    ahead_s = 4000  # of the server's clock: it is what counts
    may_refresh = True

    def __init__(self, *args: Any, **more: Any):
        super().__init__(*args, **more)
        self.granted: Optional[set[str]] = None  # zones that the consumer key reaches; None: all
        self.published = {name: [] for name in self.zones}

    def state(self, zone: Zone) -> list[tuple]:
        return sorted((r.name, r.type, r.content, r.ttl) for r in zone.records)

    def end(self) -> str:
        for name, zone in self.zones.items():
            if self.may_refresh and self.published[name] != self.state(zone) and self.writes:
                self.violations.append(f"changes of {name} were not published by a refresh")
        return super().end()

    def credential(self, request: Request) -> Optional[Reply]:
        if request.path == "/1.0/auth/time":
            assert "X-Ovh-Signature" not in request.headers
            return None
        key, at, sign = (request.headers[f"X-Ovh-{name}"] for name in ("Consumer", "Timestamp", "Signature"))
        if request.headers["X-Ovh-Application"] != APPLICATION:
            return refusal(403, "INVALID_KEY", "This application key is invalid")
        if key != self.secrets["key_file"]:
            return refusal(403, "INVALID_CREDENTIAL", "This credential is not valid")
        if abs(int(at) - (time.time() + self.ahead_s)) > 30:
            return refusal(400, "QUERY_TIME_OUT", "Query out of time")
        text = "+".join([self.secrets["secret_file"], key, request.method, self.origin + request.target, request.body.decode(), at])
        if sign != "$1$" + hashlib.sha1(text.encode()).hexdigest():
            return refusal(400, "INVALID_SIGNATURE", "Invalid signature")
        zone = request.path.split("/")[4:5]
        if self.granted is not None and (len(request.path.split("/")) < 6 or zone[0] not in self.granted):
            return refusal(403, "NOT_GRANTED_CALL", "This call has not been granted")
        return None

    def throttle(self) -> Reply:
        return refusal(429, "TOO_MANY_REQUESTS", "Too many requests", retry_after="5")

    def none(self) -> Reply:
        return refusal(404, "NOT_FOUND", "This service does not exist")

    def errors(self) -> dict[str, list[Reply]]:
        return {
            "auth": [refusal(403, "INVALID_CREDENTIAL", "This credential is not valid"), refusal(403, "NOT_CREDENTIAL", "This credential does not exist"),
                     refusal(400, "INVALID_SIGNATURE", "Invalid signature"), refusal(403, "INVALID_KEY", "This application key is invalid")],
            "config": [refusal(403, "NOT_GRANTED_CALL", "This call has not been granted"), self.none(),
                       Reply.json(403, {"class": "Client::Forbidden", "message": "This call has not been granted"}),
                       refusal(400, "INVALID_ARGUMENT", "Invalid field")],
            "throttled": [self.throttle()],
            "transient": [refusal(400, "QUERY_TIME_OUT", "Query out of time"), refusal(500, "INTERNAL_ERROR", "x"), Reply.html(502), Reply(504)],
            "badreply": [Reply.json(200, {}), Reply.json(200, "soon"), Reply(200)],
        }

    @route("GET", r"/auth/time")
    def auth_time(self, request: Request) -> Reply:
        return Reply.json(200, int(time.time()) + self.ahead_s)

    @route("GET", r"/domain/zone/([^/]+)/record")
    def list_records(self, request: Request, zone: str) -> Reply:
        assert {key for key, _ in request.query} <= {"fieldType", "subDomain"}
        if zone not in self.zones:
            return self.none()
        z, type, name = self.zones[zone], request.one("fieldType"), request.one("subDomain")
        assert type in ("A", "AAAA", "TXT", "CNAME", "NS") and name != "@" and not z.covers(name), "the top is empty"
        if type == "NS":
            return Reply.json(200, [1, 2] if name == "" else [])
        return Reply.json(200, [int(r.id) for r in z.find(z.whole(name), type)])

    def shown(self, z: Zone, r: Record) -> dict[str, Any]:
        return {"id": int(r.id), "zone": z.name, "fieldType": r.type, "subDomain": z.relative(r.name, ""), "ttl": r.ttl,
                "target": f'"{r.content}"' if r.type == "TXT" else r.content}

    @route("GET", r"/domain/zone/([^/]+)/record/(\d+)")
    def read(self, request: Request, zone: str, id: str) -> Reply:
        z = self.zones[zone]
        return Reply.json(200, self.shown(z, z.by_id(id))) if z.by_id(id) else refusal(404, "NOT_FOUND", "The requested object does not exist")

    def checked(self, body: dict[str, Any], type: str) -> None:
        assert isinstance(body.get("ttl", 0), int) and (body.get("ttl", 0) == 0 or body["ttl"] >= 60)
        if type == "TXT":
            assert '"' not in body["target"], "TXT is sent without quotes"
        else:
            assert ipaddress.ip_address(body["target"]).version == (4 if type == "A" else 6)

    @route("POST", r"/domain/zone/([^/]+)/record")
    def create(self, request: Request, zone: str) -> Reply:
        body, z = request.json(), self.zones[zone]
        assert request.headers["Content-Type"] == "application/json"
        assert {"fieldType", "target"} <= set(body) <= {"fieldType", "subDomain", "target", "ttl"} and body["fieldType"] in ("A", "AAAA", "TXT")
        assert body.get("subDomain", "") != "@" and not z.covers(body.get("subDomain", ""))
        self.checked(body, body["fieldType"])
        record = z.add(z.whole(body.get("subDomain", "")), body["fieldType"], body["target"], body.get("ttl", 0))
        return Reply.json(200, self.shown(z, record))

    @route("PUT", r"/domain/zone/([^/]+)/record/(\d+)")
    def change(self, request: Request, zone: str, id: str) -> Reply:
        body, z = request.json(), self.zones[zone]
        record = z.by_id(id)
        assert request.headers["Content-Type"] == "application/json" and set(body) <= {"subDomain", "target", "ttl"}
        if not record:
            return refusal(404, "NOT_FOUND", "The requested object does not exist")
        self.checked(body, record.type)
        record.content, record.ttl = body["target"], body.get("ttl", record.ttl)
        return Reply.json(200, None)

    @route("DELETE", r"/domain/zone/([^/]+)/record/(\d+)")
    def delete(self, request: Request, zone: str, id: str) -> Reply:
        z = self.zones[zone]
        if not z.by_id(id):
            return refusal(404, "NOT_FOUND", "The requested object does not exist")
        z.records.remove(z.by_id(id))
        return Reply.json(200, None)

    @route("POST", r"/domain/zone/([^/]+)/refresh")
    def refresh(self, request: Request, zone: str) -> Reply:
        assert not request.body
        if not self.may_refresh:
            return refusal(403, "NOT_GRANTED_CALL", "This call has not been granted")
        self.published[zone] = self.state(self.zones[zone])
        return Reply.json(200, None)
