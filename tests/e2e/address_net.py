"""A house behind a router, and a piece of internet: real networks, in which the built-in services of [address] have their
real names and addresses.

    pi ──(192.168.77.0/24, 2a02:ff0:77:1::/64)── router ──(81.2.69.0/24, 2a02:ff0:99::/64)── net

    net.web.answer = "address" | "page" | "redirect" | "private" | "silent"      # web services, by TLS
    net.name_server("81.2.69.142", "2a02:…")                                     # BIND, at the servers' own addresses
"""

from __future__ import annotations

import http.server
import ipaddress
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

from daemon import Daemon
from netns import Hosts
from programs import PATIENCE_S, need, wait_until
from x509 import Pair, make_pair, sign

OUTER, OUTER_GATEWAY, HOUSE6 = "81.2.69.142", "81.2.69.1", "2a02:ff0:77:1::5"
WEB4, WEB6 = "81.2.70.10", "2a02:ff0:98::10"
NAMES4 = ["api.ipify.org", "v4.ident.me", "checkipv4.dedyn.io", "ip4.nnev.de"]
NAMES6 = ["api6.ipify.org", "v6.ident.me", "checkipv6.dedyn.io", "ip6.nnev.de"]
BOTH = ["api.cloudflare.com", "ifconfig.io", "mine.example.net"]
DNS4 = {"opendns": "208.67.222.222", "cloudflare": "1.1.1.1", "google": "216.239.32.10"}
DNS6 = {"opendns": "2620:119:35::35", "cloudflare": "2606:4700:4700::1111", "google": "2001:4860:4802:32::a"}
PORTAL = b"<!DOCTYPE html><html><body>Welcome! Please log in.\nip=81.2.69.66\n</body></html>"


class Web:
    """All web services at once: whoever asks is told his address, in the form of that service."""

    title = "web services"

    def __init__(self, hosts: Hosts, host: str, pair: Pair) -> None:
        self.answer, self.asked = "address", []
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pair.cert, pair.key)
        self.servers = []
        for address in (WEB4, WEB6):
            kind = type("Server", (http.server.ThreadingHTTPServer,), {
                "address_family": 10 if ":" in address else 2, "daemon_threads": True})
            server = hosts.inside(host, lambda: kind((address, 443), self._handler()))
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers.append(server)

    def _handler(self) -> type:
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = PATIENCE_S

            def do_GET(self) -> None:
                web.asked.append((self.headers["Host"], self.path))
                status, headers, body = web.reply(self.headers["Host"], self.path, self.client_address[0])
                self.send_response(status)
                for key, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def reply(self, host: str, path: str, peer: str) -> tuple[int, dict[str, str], bytes]:
        if self.answer == "page":
            return 200, {"Content-Type": "text/html"}, PORTAL
        if self.answer == "redirect":
            return 302, {"Location": "http://portal.example/login"}, b""
        said = "192.168.77.2" if self.answer == "private" else peer
        if host == "api.cloudflare.com":
            assert path == "/cdn-cgi/trace"
            return 200, {}, f"fl=1f1\nh={host}\nip={said}\nts=1.0\nvisit_scheme=https\n".encode()
        assert path == ("/ip" if host == "ifconfig.io" else "/" if host != "mine.example.net" else "/me?key=s3cret")
        return 200, {}, said.encode() + (b"\n" if host.endswith(".io") else b"")

    def log(self) -> str:
        return "\n".join(map(str, self.asked))

    def end(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()


class Net:
    def __init__(self, hosts: Hosts, folder: Path, started: list) -> None:
        self.hosts, self.folder, self.started = hosts, folder, started
        hosts.link("pi", "router", "192.168.77.2/24", "192.168.77.1/24", v6=(f"{HOUSE6}/64", "2a02:ff0:77:1::1/64"))
        hosts.link("router", "net", f"{OUTER}/24", f"{OUTER_GATEWAY}/24", v6=("2a02:ff0:99::2/64", "2a02:ff0:99::1/64"))
        hosts.forward("router")
        hosts.masquerade("router", "net")
        hosts.route("pi", "default", "192.168.77.1")
        hosts.route("pi", "default", "2a02:ff0:77:1::1")
        hosts.route("router", "default", OUTER_GATEWAY)
        hosts.route("router", "default", "2a02:ff0:99::1")
        hosts.route("net", "2a02:ff0:77::/48", "2a02:ff0:99::2")
        for address in (WEB4, WEB6, *DNS4.values(), *DNS6.values()):
            hosts.ip("net", "addr", "add", address, "dev", "lo")

    def services(self) -> Web:
        self.ca = make_pair(self.folder, "ca", ["ca.test"])
        sign(self.ca, self.ca, ["basicConstraints=critical,CA:TRUE"])
        pair = make_pair(self.folder, "web", [*NAMES4, *NAMES6, *BOTH])
        names = ",".join(f"DNS:{name}" for name in (*NAMES4, *NAMES6, *BOTH))
        sign(pair, self.ca, [f"subjectAltName={names}"])
        self.web = Web(self.hosts, "net", pair)
        self.started.append(self.web)
        return self.web

    def name_server(self, v4: str, v6: str) -> None:
        """BIND, which tells everybody these; of the zones that tell who asks."""
        named, folder = need("named"), self.folder / "bind"
        folder.mkdir(exist_ok=True)
        head = "$TTL 0\n@ SOA ns. admin. 1 60 60 60 0\n@ NS ns.invalid.\n"
        for version, address in ((4, v4), (6, v6)):
            (folder / f"opendns{version}").write_text(f"{head}@ A {v4}\n@ AAAA {v6}\n")
            (folder / f"google{version}").write_text(f'{head}@ TXT "{address}"\n')
            (folder / f"cloudflare{version}").write_text(f'$TTL 0\n@ CH SOA ns. admin. 1 60 60 60 0\n@ CH NS ns.\n@ CH TXT "{address}"\n')
        view = ('view {name}{v} {cls} {{ match-destinations {{ {dest} }}; recursion no; {zones} }};\n')
        text = (f'options {{ directory "{folder}"; listen-on {{ any; }}; listen-on-v6 {{ any; }}; pid-file none; '
                f'session-keyfile none; dnssec-validation no; managed-keys-directory "{folder}"; }};\ncontrols {{ }};\n')
        for version, dest in ((4, "0.0.0.0/0;"), (6, "::/0;")):
            zones = "".join(f'zone "{zone}" {{ type primary; file "{file}{version}"; }}; '
                            for zone, file in (("myip.opendns.com", "opendns"), ("o-o.myaddr.l.google.com", "google")))
            text += view.format(name="in", v=version, cls="in", dest=dest, zones=zones)
            chaos = f'zone "whoami.cloudflare" ch {{ type primary; file "cloudflare{version}"; }};'
            text += view.format(name="ch", v=version, cls="ch", dest=dest, zones=chaos)
        (folder / "named.conf").write_text(text)
        with open(folder / "log", "ab") as log:
            process = self.hosts.run("net", [named, "-g", "-n", "1", "-c", str(folder / "named.conf")], stdout=log, stderr=log)

        def answers() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            dig = ["ip", "netns", "exec", self.hosts.namespaces["pi"], need("dig"), "+short", "+time=1", "+tries=1"]
            asked = subprocess.run([*dig, "@2606:4700:4700::1111", "whoami.cloudflare", "CH", "TXT"], capture_output=True, text=True)
            return v6 in asked.stdout

        wait_until(answers, "named answers")

    def on_pi(self) -> str:
        """A line of shell: the host "pi", where the names and the authority of our services are known."""
        hosts, cas = self.folder / "hosts", self.folder / "cas.pem"
        lines = [f"{WEB4} {name}" for name in (*NAMES4, *BOTH)] + [f"{WEB6} {name}" for name in (*NAMES6, *BOTH)]
        hosts.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
        cas.write_text(self.ca.cert.read_text() if hasattr(self, "ca") else "")
        return (f'exec ip netns exec {self.hosts.namespaces["pi"]} sh -c \'mount --bind {hosts} /etc/hosts && '
                f'mount --bind {cas} /etc/ssl/certs/ca-certificates.crt && exec "$0" "$@"\' "$0" "$@"')

    def agent(self, daemons: Any, address: str, domain: str = "") -> Daemon:
        agent = daemons("agent")
        agent.conf.write_text(f"[agent]\nname = pi\nstate_dir = {agent.state_dir}\nadmin_listen =\ncontrol_socket = {agent.socket}\nlog_level = debug\n"
                              f"resolvers = {WEB4}\n[address]\n{address}\n"
                              f"[domain www.example.org]\nmode = direct\ndns = manual\n{domain}\n")
        agent.start(shell=self.on_pi())
        return agent


def prefix_of(address: str) -> str:
    return str(ipaddress.ip_network(f"{address}/64", strict=False).network_address)
