"""FreeDNS: a token for each record, in the path; sentences for answers, and always 200."""

from __future__ import annotations

import ipaddress

from dns_sim.base import Reply, Request, Simulator, route


class FreeDns(Simulator):
    kind = "freedns"
    secrets = {"token_file": "dHg1R0p5TmF4VnRx", "key_file": "c0VjT25EdE9rRW42"}
    more = {"zone": "www.example.org"}

    def __init__(self, *args: object, **more: object) -> None:
        self.known: dict[int, str] = {}
        super().__init__(*args, **more)

    @route("GET", r"/u/([^/]+)/")
    def update(self, request: Request, token: str) -> Reply:
        assert [key for key, _ in request.query] == ["address"]
        address = request.one("address")
        version = ipaddress.ip_address(address).version
        record = {self.secrets["token_file"]: 4, self.secrets["key_file"]: 6}.get(token)
        if record is None:
            return Reply.text(200, 'ERROR: Invalid update URL (2)\n')
        assert record == version, "the token is of the other record"
        if self.known.get(version) == address:
            return Reply.text(200, f"No IP change detected for www.example.org with IP {address}, skipping update\n")
        self.known[version] = address
        return Reply.text(200, f"Updated www.example.org to {address}\n")

    def errors(self) -> dict[str, list[Reply]]:
        return {"auth": [Reply.text(200, "ERROR: Invalid update URL (2)"), Reply.text(200, "ERROR: Unable to locate this record")],
                "transient": [Reply(503)], "throttled": [Reply.text(429, "", retry_after="9")],
                "badreply": [Reply.text(200, "Upd"), Reply.text(200, "It was Updated"), Reply.text(200, "has not changed")],
                "nochange": [Reply.text(200, "ERROR: Address 192.0.2.1 has not changed.")]}
