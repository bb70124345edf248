"""BIND at the very place where the world looks for name servers, port 53, on addresses of loopback that are this test's alone.

    first, second = authorities(["a.test"], 2)    # both are NS of the zone; second is not told what first is
    first.address                                 # "127.77.3.1"; also good as a resolver, for these zones
    first.keys()                                  # of a [provider] section
    first.set("_acme-challenge.a.test", "TXT", "value"); first.values("_acme-challenge.a.test", "TXT")
    first.asked("_acme-challenge.a.test", "TXT")  # how often

Port 53 needs root; without, such tests are skipped."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import Callable

import pytest

from dnscall import Caller
from nameserver import SECRET, NameServer
from netns import require_netns, sh
from programs import need

_numbers = count(1)


def loopback() -> Callable[[int], str]:
    """address(n), n from 1 to 254: nobody else's on this machine, for as long as we live."""
    net = f"127.{64 + os.getpid() // 256 % 128}.{os.getpid() % 256}"
    first = next(_numbers) * 16 % 240
    return lambda n: f"{net}.{first + n}"


def need_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("ports below 1024 need root")


class Authority(NameServer):
    title = "named"

    def __init__(self, folder: Path, address: str, servers: list[str], zones: dict[str, str]) -> None:
        """zones: further lines of each."""
        super().__init__(folder, *zones, port=53)
        self.address, self.servers, self.lines = address, servers, zones

    def start(self) -> NameServer:
        """BIND listens where an interface has an address, and lo has only its first one."""
        sh("ip", "addr", "replace", f"{self.address}/32", "dev", "lo")
        return super().start()

    def end(self) -> str | None:
        sh("ip", "addr", "del", f"{self.address}/32", "dev", "lo")
        return super().end()

    def command(self) -> list[str]:
        program, conf = need("named"), ""
        for zone, lines in self.lines.items():
            names = "".join(f"@ NS ns{i}\nns{i} A {address}\n" for i, address in enumerate(self.servers))
            (self.folder / f"{zone}.zone").write_text(f"$TTL 60\n@ SOA ns0 admin 1 3600 600 86400 1\n{names}{lines}\n")
            conf += (f'zone "{zone}" {{ type primary; file "{self.folder}/{zone}.zone"; '
                     f'update-policy {{ grant pi zonesub ANY; }}; }};\n')
        (self.folder / "named.conf").write_text(
            f'key pi {{ algorithm hmac-sha256; secret "{SECRET}"; }};\n'
            f'options {{ directory "{self.folder}"; listen-on port 53 {{ {self.address}; }}; listen-on-v6 {{ none; }}; '
            f'pid-file none; session-keyfile none; recursion yes; dnssec-validation no; notify no; querylog yes; '
            f'managed-keys-directory "{self.folder}"; }};\ncontrols {{ }};\n{conf}')
        return [program, "-g", "-4", "-n", "1", "-c", str(self.folder / "named.conf")]

    def set(self, name: str, type: str, *values: str) -> None:
        """These alone; none: nothing is there."""
        call = Caller("rfc2136", self.keys())
        said = call("set", name, type, 60, -1, *values) if values else call("clear", name, type)
        assert said["class"] in ("ok", "nochange"), said

    def asked(self, name: str, type: str) -> int:
        return self.log().count(f"query: {name} IN {type} ")


@pytest.fixture
def authorities(started: list, folder: Path) -> Callable[..., list[Authority]]:
    """authorities({"a.test": "more lines"}, 2) starts as many servers, each by itself."""
    require_netns()  # the same rights, and the same tool

    def make(zones: dict[str, str], n: int = 1) -> list[Authority]:
        address = loopback()
        servers = [address(i + 1) for i in range(n)]
        made = [Authority(folder / f"authority{i}", servers[i], servers, zones) for i in range(n)]
        for server in made:
            started.append(server.start())
        return made

    return make
