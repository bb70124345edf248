"""DuckDNS: labels with one A, one AAAA and one TXT; OK or KO, with a little more when verbose."""

from __future__ import annotations

from dns_sim.base import Reply, Request, Simulator, route


class DuckDns(Simulator):
    kind = "duckdns"
    secrets = {"token_file": "a7c4d0ad-114e-40ef-ba1d-d217904a50f2"}

    def __init__(self, *args: object, **more: object) -> None:
        self.known: dict[str, dict[str, str]] = {"sassy-cat": {}}
        super().__init__(*args, **more)

    @route("GET", r"/update")
    def update(self, request: Request) -> Reply:
        sent = dict(request.query)
        assert len(sent) == len(request.query) and sent["verbose"] == "true"
        assert set(sent) <= {"domains", "token", "ip", "ipv6", "txt", "clear", "verbose"} and "." not in sent["domains"]
        assert ("txt" in sent) != ("ip" in sent or "ipv6" in sent), "TXT has a call of its own"
        assert "ip" not in sent or sent["ip"].count(".") == 3, "an empty ip stands for the connection's address"
        if sent["token"] != self.secrets["token_file"] or sent["domains"] not in self.known:
            return Reply.text(200, "KO")
        record = self.known[sent["domains"]]
        before = dict(record)
        if sent.get("clear") == "true":
            assert "txt" in sent
            record.pop("txt", None)
        else:
            assert "clear" not in sent
            record.update({k: v for k, v in sent.items() if k in ("ip", "ipv6", "txt")})
        change = "NOCHANGE" if record == before else "UPDATED"
        if "txt" in sent:
            return Reply.text(200, f"OK\n{record.get('txt', '')}\n{change}")
        return Reply.text(200, f"OK\n{record.get('ip', '')}\n{record.get('ipv6', '')}\n{change}")

    def errors(self) -> dict[str, list[Reply]]:
        return {"transient": [Reply.text(200, "KO"), Reply(503)], "throttled": [Reply.text(429, "slow down", retry_after="9")],
                "badreply": [Reply.text(200, "OKAY"), Reply.text(200, "ok"), Reply.text(200, "O")]}
