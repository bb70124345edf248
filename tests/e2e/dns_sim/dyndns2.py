"""dyndns2 services: names with an address of each family, and a word for an answer. They differ in what they are sent."""

from __future__ import annotations

import base64
import ipaddress
from typing import Optional
from urllib.parse import parse_qsl

from dns_sim.base import Reply, Request, Simulator, route


class Dyndns2(Simulator):
    kind = "dyndns2"
    secrets = {"password_file": "dyn-Password_0123456789"}
    more = {"user": "me"}
    path = "/nic/update"
    known: dict[str, tuple[str, ...]]  # name -> its addresses
    lists = True  # both families by one request, as a list
    takes_v6 = True

    def __init__(self, *args: object, **more: object) -> None:
        self.known = {}
        super().__init__(*args, **more)
        self.url = self.origin + self.path

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
        return self.take(request.one("hostname"), request.one("myip").split(","))

    def take(self, name: str, addresses: list[str]) -> Reply:
        kinds = [ipaddress.ip_address(a).version for a in addresses]
        assert kinds in ([4], [6], [4, 6]), f"addresses {addresses}"
        assert len(kinds) == 1 or self.lists, "two addresses by one request"
        assert 6 not in kinds or self.takes_v6, "an IPv6 address"
        if name not in self.known:
            return Reply.text(200, "nohost")
        before = self.known[name]
        if self.lists:
            self.known[name] = tuple(addresses)
        else:
            self.known[name] = tuple(sorted([a for a in before if (":" in a) != (":" in addresses[0])] + addresses, key=lambda a: ":" in a))
        return Reply.text(200, f"{'nochg' if before == self.known[name] else 'good'} {','.join(addresses)}\r\n")


class Dyn(Dyndns2):
    kind = "dyn"


class NoIp(Dyndns2):
    kind = "noip"


class Strato(Dyndns2):
    kind = "strato"


class Infomaniak(Dyndns2):
    kind, lists = "infomaniak", False


class Loopia(Dyndns2):
    kind, lists = "loopia", False


class SelfHost(Dyndns2):
    kind, lists = "selfhost", False


class DnsOMatic(Dyndns2):
    kind, takes_v6 = "dnsomatic", False


class DynHost(Dyndns2):
    kind, takes_v6 = "dynhost", False
    path = "/nic/update?system=dyndns"

    @route("GET", r"/nic/update")
    def update(self, request: Request) -> Reply:
        assert {key for key, _ in request.query} == {"system", "hostname", "myip"} and request.one("system") == "dyndns"
        return self.take(request.one("hostname"), [request.one("myip")])


class Inwx(Dyndns2):
    """The user stands for the name; a parameter for each family."""

    kind, v6_key = "inwx", "myipv6"
    more = {"user": "me", "zone": "www.example.org"}

    @route("GET", r"/nic/update")
    def update(self, request: Request) -> Reply:
        assert {key for key, _ in request.query} <= {"myip", self.v6_key}
        return self.take("www.example.org", [a for a in (request.one("myip"), request.one(self.v6_key)) if a is not None])


class AllInkl(Inwx):
    kind, v6_key, path = "all-inkl", "myip6", "/"

    @route("GET", r"/nic/update")
    def update(self, request: Request) -> Reply:
        raise AssertionError("its path is /")

    @route("GET", r"/")
    def update_here(self, request: Request) -> Reply:
        return Inwx.update(self, request)


class HurricaneElectric(Dyndns2):
    """POST of a form; A, AAAA and TXT are records of their own, that are there already."""

    kind, lists, more = "he", False, {}
    txt: str = ""

    def credential(self, request: Request) -> Optional[Reply]:
        assert "Authorization" not in request.headers and request.headers["Content-Type"] == "application/x-www-form-urlencoded"
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))
        return None if form["password"] == self.secrets["password_file"] else Reply.text(200, "badauth")

    @route("GET", r"/nic/update")
    def update(self, request: Request) -> Reply:
        raise AssertionError("the key would stand in logs")

    @route("POST", r"/nic/update")
    def post(self, request: Request) -> Reply:
        form = dict(parse_qsl(request.body.decode(), strict_parsing=True))
        assert set(form) in ({"hostname", "password", "myip"}, {"hostname", "password", "txt"}) and not request.query
        if "myip" in form:
            return self.take(form["hostname"], [form["myip"]])
        if form["hostname"] != "_acme-challenge.www.example.org":
            return Reply.text(200, "nohost")
        before, self.txt = self.txt, form["txt"]
        return Reply.text(200, f"{'nochg' if before == self.txt else 'good'} \"{self.txt}\"")
