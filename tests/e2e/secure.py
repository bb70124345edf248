"""Services that speak TLS: an authority of the test's own, certificates by it, and the whole path to such a service.

    house = Certificates(folder)                # house.root; house.pair("nas", ["127.0.0.1"]) makes further ones
    path = SecurePath(daemons, started, folder) # path.site shows one for 127.0.0.1 and localhost; the agent trusts house
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Callable, Sequence

from path import WholePath
from website import Site
from x509 import Pair, alternatives, make_pair, sign

NAMES = ("127.0.0.1", "localhost")


class Certificates:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = make_pair(folder, "authority", ["authority.test"])
        sign(self.authority, self.authority, ["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign"])

    @property
    def root(self) -> Path:
        return self.authority.cert

    def pair(self, name: str, names: Sequence[str] = NAMES, days: int = 30) -> Pair:
        return sign(make_pair(self.folder, name, names), self.authority, [alternatives(names)], days)

    def self_signed(self, name: str, names: Sequence[str] = NAMES) -> Pair:
        return make_pair(self.folder, name, names)


def server_context(pair: Pair, alpn: Sequence[str] = ("h2", "http/1.1")) -> ssl.SSLContext:
    """It prefers what the agent does not speak. context.asked has the names that clients have asked for."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pair.cert, pair.key)
    if alpn:
        made.set_alpn_protocols(list(alpn))
    asked: list[str | None] = []
    made.sni_callback = lambda sock, name, context: asked.append(name)
    made.asked = asked  # type: ignore[attr-defined]
    return made


class SecurePath(WholePath):
    """The whole path; its site, or another service, speaks TLS."""

    def __init__(self, daemons: Callable[..., Any], started: list, folder: Path, service: Any = None,
                 pair: Pair | None = None, domain: dict[str, object] | None = None,
                 trust: dict[str, str] | None = None, **how: Any) -> None:
        """domain: further keys of the site's section, or others; trust: the agent's environment."""
        self.house = Certificates(folder)
        self.tls = server_context(pair or self.house.pair("service"))
        self.service, self.domain = service, domain or {}
        self.trust = trust if trust is not None else {"SSL_CERT_FILE": str(self.house.root)}
        super().__init__(daemons, started, folder, **how)

    def _make_site(self) -> Site:
        return Site(tls=self.tls)

    def start_agent(self) -> None:
        self.agent.start(env=self.trust)

    def _agent_ini(self, *args: Any) -> str:
        keys = {"service": (self.service or self.site).url, **self.domain}
        plain = super()._agent_ini(*args).rpartition("service = ")[0]
        return plain + "\n".join(f"{key} = {value}" for key, value in keys.items()) + "\n"

    def set_domain(self, **keys: object) -> None:
        """The agent goes on with these keys."""
        self.domain = keys
        self.agent.configure(self._agent_ini(self.agent, self.folder))
        assert self.agent.post("/v1/reload").status == 200

    def site_status(self) -> dict[str, Any]:
        """As the agent sees it."""
        (domain,) = self.agent.get("/v1/status").json["domains"]
        return domain
