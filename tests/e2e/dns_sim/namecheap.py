"""Namecheap's dynamic DNS: hosts of a domain that are there as A + Dynamic DNS; XML that says of itself it is UTF-16."""

from __future__ import annotations

import ipaddress

from dns_sim.base import Reply, Request, Simulator, route


def answer(*errors: str) -> Reply:
    lines = "".join(f"<Err{n}>{text}</Err{n}>" for n, text in enumerate(errors, 1))
    return Reply(200, ('<?xml version="1.0" encoding="utf-16"?><interface-response><Command>SETDNSHOST</Command><Language>eng</Language>'
                       f"<ErrCount>{len(errors)}</ErrCount><errors>{lines}</errors><ResponseCount>0</ResponseCount><responses />"
                       f"<Done>{'false' if errors else 'true'}</Done><debug><![CDATA[]]></debug></interface-response>").encode(),
                 {"Content-Type": "text/html"})


class Namecheap(Simulator):
    kind = "namecheap"
    secrets = {"password_file": "5f2ab1c09d4e4f0b8b8d6a2f6f0e7c11"}
    more = {"zone": "example.org"}

    def __init__(self, *args: object, **more: object) -> None:
        self.known: dict[str, str] = {"www": "", "@": "", "*": ""}
        super().__init__(*args, **more)

    @route("GET", r"/update")
    def update(self, request: Request) -> Reply:
        assert [key for key, _ in request.query] == ["host", "domain", "password", "ip"]
        assert ipaddress.ip_address(request.one("ip")).version == 4
        if request.one("password") != self.secrets["password_file"]:
            return answer("Passwords do not match")
        if request.one("domain") != "example.org":
            return answer("Domain name not found")
        if request.one("host") not in self.known:
            return answer("No Records updated. A record not Found;")
        self.known[request.one("host")] = request.one("ip")
        return answer()

    def errors(self) -> dict[str, list[Reply]]:
        half = answer().body[:200]
        return {"auth": [answer("Passwords do not match")], "transient": [Reply(503)], "throttled": [Reply.text(429, "", retry_after="9")],
                "config": [answer("Domain name not active"), answer("No Records updated. A record not Found;", "x")],
                "badreply": [Reply(200, half), Reply.text(200, "<ErrCount>0</ErrCount>"), Reply(200, answer().body.replace(b"<Done>true", b"<Done>"))]}
