"""An agent that keeps DNS right, without a relay: its configuration in pieces, and what it says of its records."""

from __future__ import annotations

import json
from typing import Any, Callable

from daemon import Daemon
from programs import wait_until


class DnsAgent:
    """agent = DnsAgent(daemons, provider_keys); agent.site("www.example.org"); agent.start(); agent.settled()"""

    def __init__(self, daemons: Callable[..., Daemon], kind: str, keys: dict[str, str], **agent_keys: object) -> None:
        self.daemon = daemons("agent")
        self.providers = {"main": {"type": kind, **keys}}
        self.address = {"sources": "fixed:192.0.2.1 fixed:2001:db8::1"}
        self.sites: dict[str, dict[str, str]] = {}
        self.agent_keys = agent_keys
        self.extra = ""

    def site(self, name: str, **keys: str) -> "DnsAgent":
        self.sites[name] = {"mode": "direct", "dns": "main", **keys}
        return self

    def write(self) -> "DnsAgent":
        own = {"name": "pi", "state_dir": self.daemon.state_dir, "admin_listen": "", "control_socket": self.daemon.socket, **self.agent_keys}
        sections = [("agent", own), ("address", self.address)]
        sections += [(f"provider {name}", keys) for name, keys in self.providers.items()]
        sections += [(f"domain {name}", keys) for name, keys in self.sites.items()]
        text = "".join(f"[{title}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()) for title, keys in sections)
        self.daemon.configure(text + self.extra)
        return self

    def start(self, **how: Any) -> "DnsAgent":
        self.write()
        self.daemon.start(**how)
        return self

    def reload(self) -> None:
        self.write()
        reply = self.daemon.post("/v1/reload")
        assert reply.status == 200, reply.body

    def records(self) -> dict[tuple[str, str], dict[str, Any]]:
        reply = self.daemon.get("/v1/dns")
        assert reply.status == 200
        return {(r["name"], r["type"]): r for r in reply.json["records"]}

    def provider(self, name: str = "main") -> dict[str, Any]:
        return next(p for p in self.daemon.get("/v1/dns").json["providers"] if p["name"] == name)

    def record(self, name: str, type: str = "A") -> dict[str, Any]:
        return self.records()[name, type]

    def wait(self, name: str, type: str = "A", state: str = "ok") -> dict[str, Any]:
        """Until the record is in that state; and returns it."""
        return wait_until(lambda: (r := self.records().get((name, type))) and r["state"] == state and r,
                          f"{name} {type} is {state}; it is {self.records().get((name, type))}")

    def sync(self, dry: bool = False, domain: str | None = None) -> Any:
        body = {"dry_run": dry, **({"domain": domain} if domain else {})}
        reply = self.daemon.post("/v1/dns/sync", json.dumps(body).encode())
        assert reply.status == 200, reply.body
        return reply.json

    def memory(self) -> bytes:
        return (self.daemon.state_dir / "dns.json").read_bytes()
