"""Real name servers on loopback, each with a zone and a TSIG key: BIND, Knot, and PowerDNS with its HTTP API.

    bind = Bind(folder, "example.org").start()
    bind.keys()                             # of a [provider] section
    bind.values("www.example.org", "A")     # what it answers now, asked with dig
"""

from __future__ import annotations

import base64
import socket
import sqlite3
import subprocess
from pathlib import Path

from programs import PATIENCE_S, Program, need, wait_until

SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
ZONE_FILE = """\
$TTL 300
@ SOA ns.{zone}. admin.{zone}. 1 3600 600 86400 60
@ NS ns.{zone}.
ns A 127.0.0.1
fixed A 192.0.2.99
alias CNAME fixed
"""


def free_port() -> int:
    """Of UDP and TCP alike."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
                return tcp.getsockname()[1]
            except OSError:
                continue


class NameServer(Program):
    title = "name server"
    kind = "rfc2136"
    address = "127.0.0.1"

    def __init__(self, folder: Path, *zones: str, port: int | None = None) -> None:
        self.folder, self.zones, self.port = folder / self.title, zones, port or free_port()
        self.folder.mkdir(parents=True)
        need("dig")
        self.key = self.folder / "tsig.key"
        self.key.touch(mode=0o600)
        self.key.write_text(SECRET + "\n")

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> "NameServer":
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        wait_until(self._answers, f"{self.title} answers")
        return self

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log()
        return "SOA" in self.dig("+noall", "+answer", self.zones[0], "SOA")

    def dig(self, *words: str) -> str:
        return subprocess.run([need("dig"), "+time=1", "+tries=1", f"@{self.address}", "-p", str(self.port), *words],
                              capture_output=True, text=True, check=False, timeout=PATIENCE_S).stdout

    def values(self, name: str, type: str) -> list[str]:
        return sorted(line.replace('" "', "").strip('"') for line in self.dig("+short", name, type).splitlines()
                      if line and not line.startswith(";"))

    def ttl(self, name: str, type: str) -> int:
        return int(self.dig("+noall", "+answer", name, type).split()[1])

    def keys(self) -> dict[str, str]:
        return {"server": f"{self.address}:{self.port}", "key_file": str(self.key), "key_name": "pi.", "key_algorithm": "hmac-sha256"}

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace") if (self.folder / "log").exists() else ""


class Bind(NameServer):
    title = "named"

    def command(self) -> list[str]:
        program = need("named")
        zones = ""
        for zone in self.zones:
            (self.folder / f"{zone}.zone").write_text(ZONE_FILE.format(zone=zone))
            zones += (f'zone "{zone}" {{ type primary; file "{self.folder}/{zone}.zone"; '
                      f'update-policy {{ grant pi zonesub ANY; grant reader name nothing.{zone}. A; }}; }};\n')
        (self.folder / "named.conf").write_text(
            f'key pi {{ algorithm hmac-sha256; secret "{SECRET}"; }};\n'
            f'key reader {{ algorithm hmac-sha512; secret "{SECRET}"; }};\n'
            f'options {{ directory "{self.folder}"; listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; '
            f'pid-file none; session-keyfile none; recursion no; dnssec-validation no; notify no; '
            f'managed-keys-directory "{self.folder}"; }};\ncontrols {{ }};\n{zones}')
        return [program, "-g", "-4", "-n", "1", "-c", str(self.folder / "named.conf")]


class Knot(NameServer):
    title = "knotd"

    def command(self) -> list[str]:
        program = need("knotd")
        zones = "".join(f"  - domain: {zone}\n    storage: {self.folder}\n    file: {zone}.zone\n    acl: [ update ]\n"
                        for zone in self.zones)
        for zone in self.zones:
            (self.folder / f"{zone}.zone").write_text(ZONE_FILE.format(zone=zone))
        (self.folder / "knot.conf").write_text(
            f"server:\n    listen: 127.0.0.1@{self.port}\n    rundir: {self.folder}\n    udp-workers: 1\n    tcp-workers: 1\n"
            f"log:\n  - target: stderr\n    any: info\n"
            f"database:\n    storage: {self.folder}\n"
            f"key:\n  - id: pi\n    algorithm: hmac-sha256\n    secret: {SECRET}\n"
            f"  - id: reader\n    algorithm: hmac-sha512\n    secret: {SECRET}\n"
            f"acl:\n  - id: update\n    key: pi\n    action: update\n"
            f"zone:\n{zones}")
        return [program, "-c", str(self.folder / "knot.conf")]


class PowerDns(NameServer):
    title, kind, api_key = "pdns", "powerdns", "changeme-0123456789"

    def __init__(self, folder: Path, *zones: str) -> None:
        super().__init__(folder, *zones)
        self.api_port = free_port()
        self.key.write_text(self.api_key + "\n")

    def keys(self) -> dict[str, str]:
        return {"url": f"http://127.0.0.1:{self.api_port}/api/v1/servers/localhost", "key_file": str(self.key)}

    def command(self) -> list[str]:
        program = need("pdns_server")
        schema = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
        database = self.folder / "pdns.sqlite3"
        if not schema.exists():
            need("pdns-backend-sqlite3")
        with sqlite3.connect(database) as db:
            db.executescript(schema.read_text())
            for id, zone in enumerate(self.zones, 1):
                db.execute("INSERT INTO domains (id, name, type) VALUES (?, ?, 'NATIVE')", (id, zone))
                for name, type, content in ((zone, "SOA", f"ns.{zone} admin.{zone} 1 3600 600 86400 60"), (zone, "NS", f"ns.{zone}"),
                                            (f"fixed.{zone}", "A", "192.0.2.99"), (f"alias.{zone}", "CNAME", f"fixed.{zone}")):
                    db.execute("INSERT INTO records (domain_id, name, type, content, ttl, prio) VALUES (?, ?, ?, ?, 300, 0)",
                               (id, name, type, content))
        (self.folder / "pdns.conf").write_text(
            f"launch=gsqlite3\ngsqlite3-database={database}\nlocal-address=127.0.0.1\nlocal-port={self.port}\n"
            f"socket-dir={self.folder}\nguardian=no\ndaemon=no\napi=yes\napi-key={self.api_key}\nwebserver=yes\n"
            f"webserver-address=127.0.0.1\nwebserver-port={self.api_port}\nwebserver-allow-from=127.0.0.1\nversion-string=x\n"
            f"cache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\nzone-cache-refresh-interval=0\nsecurity-poll-suffix=\n")
        return [program, f"--config-dir={self.folder}", "--disable-syslog"]
