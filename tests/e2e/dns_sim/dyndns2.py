"""A dyndns2 service: names with an address of each family, and a word for an answer."""

from __future__ import annotations

import base64
import ipaddress
from typing import Optional

from dns_sim.base import Reply, Request, Simulator, route


class Dyndns2(Simulator):
    kind = "dyndns2"
    secrets = {"password_file": "dyn-Password_0123456789"}
    more = {"user": "me"}
    known: dict[str, tuple[str, ...]]  # name -> its addresses

    def __init__(self, *args: object, **more: object) -> None:
        self.known = {}
        super().__init__(*args, **more)
        self.url = self.origin + "/nic/update"

    def credential(self, request: Request) -> Optional[Reply]:
        kind, _, text = request.headers["Authorization"].partition(" ")
        assert kind == "Basic"
        return None if base64.b64decode(text).decode() == f"me:{self.secrets['password_file']}" else Reply.text(200, "badauth")

    def errors(self) -> dict[str, list[Reply]]:
        return {cls: [Reply.text(200, word) for word in words.split()] for cls, words in {
            "auth": "badauth !donator badsys badagent", "config": "notfqdn nohost !yours !active numhost", "abuse": "abuse",
            "transient": "dnserr 911", "throttled": "interval", "badreply": "OK Good goodness",
        }.items()} | {"throttled": [Reply.text(200, "interval"), Reply.text(429, "", retry_after="60")]}

    @route("GET", r"/nic/update")
    def update(self, request: Request) -> Reply:
        assert {key for key, _ in request.query} == {"hostname", "myip"}
        name, addresses = request.one("hostname"), request.one("myip").split(",")
        kinds = [ipaddress.ip_address(a).version for a in addresses]
        assert kinds in ([4], [6], [4, 6]), f"addresses {addresses}"
        if name not in self.known:
            return Reply.text(200, "nohost")
        before, self.known[name] = self.known[name], tuple(addresses)
        return Reply.text(200, f"{'nochg' if before == tuple(addresses) else 'good'} {request.one('myip')}\r\n")


class Dyn(Dyndns2):
    kind = "dyn"


class NoIp(Dyndns2):
    kind = "noip"
