"""A VM that already has a web server: nginx holds the ports, stays in front, or goes behind; and the move from one to the other
by the very commands of README.md."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from daemon import Daemon
from path import DOMAIN, edges, fronts  # noqa: F401 (fixtures)
from ports import hold_port
from programs import BUILD, PATIENCE_S, Program, Result, accepts, environment, limit, need, need_root, wait_until
from readme import blocks, replaced
from test_certs_import import Authority, authority, certbot  # noqa: F401 (a fixture)
from test_supervisor import Told
from website import Site
from x509 import Pair

SECTION = "## A VM that already has a web server"
HOST = "sassy-cat-pics.com"  # as it stands there
NGINX = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {servers}
}}
"""
FALLS_TO_NGINX = ("server {{ listen 127.0.0.1:{http}; return 200 nginx; }}\n"
                  "server {{ listen 127.0.0.1:{https} ssl; ssl_certificate {pair.cert}; ssl_certificate_key {pair.key}; return 200 nginx; }}")


class Nginx(Program):
    """A real one that can be stopped and started again."""

    title = "nginx"

    def __init__(self, folder: Path, servers: str, port: int) -> None:
        self.folder, self.port, self.process = folder / "nginx", port, None
        self.folder.mkdir()
        (self.folder / "nginx.conf").write_text(NGINX.format(folder=self.folder, servers=servers))

    def start(self) -> Nginx:
        with open(self.folder / "error.log", "ab") as log:
            self.process = subprocess.Popen([need("nginx"), "-e", "stderr", "-p", self.folder, "-c", self.folder / "nginx.conf"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._accepts, "nginx accepts")
        return self

    def _accepts(self) -> bool:
        assert self.process.poll() is None, self.log()
        return accepts(self.port)

    def log(self) -> str:
        log = self.folder / "error.log"
        return log.read_text(errors="replace") if log.exists() else ""


@pytest.fixture
def held() -> Iterator[Callable[[], int]]:
    """held() is a port of 127.0.0.1 that nobody gets by chance."""
    made: list[socket.socket] = []

    def make() -> int:
        made.append(hold_port())
        return made[-1].getsockname()[1]

    yield make
    for sock in made:
        sock.close()


def listeners(relay: Daemon) -> dict[str, dict[str, Any]]:
    return {listener["kind"]: listener for listener in relay.get("/v1/status").json["listeners"]}


def wait_served(relay: Daemon) -> None:
    wait_until(lambda: all(one["state"] == "up" for one in listeners(relay).values()), "the relay has its ports", limit(5))


# ---- nginx holds the ports ----


def test_nginx_holds_the_ports(edges, started, folder, held, authority, ctl):
    http, https = held(), held()
    pair = authority.issue(DOMAIN)
    nginx = Nginx(folder, FALLS_TO_NGINX.format(http=http, https=https, pair=pair), http)
    started.append(nginx.start())
    front = edges(listen_https=f"127.0.0.1:{https}", listen_http=f"127.0.0.1:{http}", workers="2")
    relay, front.port = front.relay, https
    name = f"pid {nginx.process.pid} (nginx)"
    for kind, port in (("http", http), ("https", https)):
        listener = listeners(relay)[kind]
        assert (listener["state"], listener["listen"], listener["holder"]) == ("held", f"127.0.0.1:{port}", name), listener
        assert f"cannot listen on 127.0.0.1:{port}: it is held by {name}; " in listener["last_error"]
    assert relay.log().count("another program holds a port of visitors") == 2 and name in relay.log()
    shown = ctl("status", at=relay)
    assert shown.code == 1 and len(re.findall(rf"^  127\S+ \(https?\) is not served for \d+s: .*{re.escape(name)}; end that one.*"
                                              "takes it as soon as it is free$", shown.out, re.M)) == 2, shown
    assert ctl("status", "--json", at=relay).code == 1

    # All else works: lanes, and what is reloaded.
    front.agent.start()
    front.wait_up()
    assert relay.post("/v1/reload").status == 200
    assert {one["state"] for one in listeners(relay).values()} == {"held"}

    nginx.stop()
    wait_served(relay)
    assert relay.log().count("a port of visitors is free, and taken") == 2
    assert all(one["last_error"] is None for one in listeners(relay).values())
    for _ in range(8):  # of either worker
        assert front.visit().status == 200
    with socket.create_connection(("127.0.0.1", http), PATIENCE_S) as plain:
        plain.sendall(b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert f"\r\nLocation: https://a.test:{https}/x\r\n" in plain.recv(2000).decode()
    assert ctl("status", at=relay).code == 0


def test_one_of_two_is_held(edges, held):
    """The other is served meanwhile, and a redirect leads where TLS will be."""
    http, https = held(), held()
    with socket.create_server(("127.0.0.1", https)) as holder:
        front = edges(listen_https=f"127.0.0.1:{https}", listen_http=f"127.0.0.1:{http}")
        assert {kind: one["state"] for kind, one in listeners(front.relay).items()} == {"https": "held", "http": "up"}
        front.agent.start()
        front.wait_up()
        with socket.create_connection(("127.0.0.1", http), PATIENCE_S) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            assert f"\r\nLocation: https://a.test:{https}/\r\n" in plain.recv(2000).decode()
        # Who holds it changes: that is told, too.
        with subprocess.Popen(["sh", "-c", "read _"], stdin=subprocess.PIPE, pass_fds=[holder.fileno()]) as heir:
            holder.close()
            assert listeners(front.relay)["https"]["state"] == "held"
            heir.stdin.close()
    front.port = https
    wait_served(front.relay)
    assert front.visit().status == 200


def test_a_holder_that_the_relays_user_cannot_see(daemons, held, ctl):
    """As under systemd. Who asks may see it, mostly as root; and is told what to run when he does not."""
    need_root()
    https = held()
    with socket.create_server(("127.0.0.1", https)):
        relay = daemons("relay", listen_https=f"127.0.0.1:{https}").start(user="nobody")
        listener = listeners(relay)["https"]
        assert listener["holder"] is None and f"'sudo ss -ltnp sport = :{https}' names it" in listener["last_error"], listener
        assert f"\n  127.0.0.1:{https} is held by pid {os.getpid()} (" in ctl("status", at=relay).out
        assert f"{https} is held by pid" not in ctl("status", at=relay, user="nobody").out


def test_the_supervisor_is_told(fronts, folder, held):
    https = held()
    told = Told(str(folder / "notify"), abstract=False)
    with socket.create_server(("127.0.0.1", https)):
        front = fronts(listen_https=f"127.0.0.1:{https}")
        front.relay.start(env=told.env)
        ready = told.next()
        assert ready["READY"] == "1" and f"cannot listen on 127.0.0.1:{https}: it is held by pid {os.getpid()}" in ready["STATUS"]
        front.relay.send(signal.SIGHUP)
        assert told.next()["RELOADING"] == "1"
        assert told.next()["STATUS"] == ready["STATUS"]
    assert told.next() == {"STATUS": ""}
    told.socket.close()


def test_it_ends_while_it_waits(fronts, held):
    https = held()
    with socket.create_server(("127.0.0.1", https)):
        for number in (signal.SIGTERM, signal.SIGINT):
            front = fronts(listen_https=f"127.0.0.1:{https}")
            front.relay.start()
            front.relay.stop(number)


def test_its_own_port_is_not_waited_for(fronts, held):
    at = f"127.0.0.1:{held()}"
    assert f"has the port that listen_https = {at} has" in fronts(listen_https=at, listen_http=at).relay.refused()


# ---- nginx in front, and behind ----


def site_of(started: list) -> Site:
    started.append(Site())
    return started[-1]


def curl(port: int, trusted: Path, *args: object) -> str:
    done = subprocess.run([need("curl"), "-sS", "--fail", "--cacert", trusted, "--connect-to", f"::127.0.0.1:{port}", *map(str, args)],
                          capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nginx_stays_in_front(daemons, started, folder, held, authority):
    """As README.md says it: the site learns who its visitor is, and that he came by https."""
    relay_ini, server = blocks("### nginx stays in front, for other sites too")
    http, tls, front = held(), held(), held()
    site, relay, pair = site_of(started), daemons("relay"), authority.issue(HOST)
    keys = replaced(relay_ini, **{"127.0.0.1:8443": f"127.0.0.1:{tls}", "127.0.0.1:8080": f"127.0.0.1:{http}"})
    own = dict(line.split(" = ") for line in re.sub(" +", " ", keys).splitlines())
    relay.configure(**own)
    relay.conf.write_text(relay.conf.read_text() + f"[acme]\nissuer = internal\n[domain {HOST}]\nupstream = 127.0.0.1:{site.port}\n")
    relay.start()
    live = f"/etc/letsencrypt/live/{HOST}"
    servers = replaced(server, **{"listen 443": f"listen 127.0.0.1:{front}", f"{live}/fullchain.pem": str(pair.cert),
                                  f"{live}/privkey.pem": str(pair.key), "127.0.0.1:8080": f"127.0.0.1:{http}"})
    started.append(Nginx(folder, servers, front).start())
    curl(front, pair.cert, "--interface", "127.0.0.77", "-H", "X-Forwarded-For: 6.6.6.6", f"https://{HOST}/echo")
    head = site.seen[-1].head
    assert head.get("x-forwarded-for") == "6.6.6.6, 127.0.0.77, 127.0.0.1" and head.get("x-real-ip") == "127.0.0.77"
    assert (head.get("x-forwarded-proto"), head.get("host")) == ("https", HOST)
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    curl(front, pair.cert, "--http1.1", *(word for field in upgrade for word in ("-H", field)), f"https://{HOST}/echo")
    head = site.seen[-1].head
    assert (head.get("upgrade"), head.get("connection").lower()) == ("websocket", "upgrade")
    body = folder / "body"
    body.write_bytes(os.urandom(3 << 20))
    curl(front, pair.cert, "-T", body, f"https://{HOST}/echo")
    assert site.seen[-1].body.size == 3 << 20


def test_nginx_behind_the_relay(daemons, started, folder, held, authority):
    (sites,) = blocks("### The relay in front, and nginx behind it")
    plain, secure, pair = held(), held(), authority.issue("mail.example.net")
    started.append(Nginx(folder, f"""
        server {{ listen 127.0.0.1:{plain}; return 200 "$host $http_x_forwarded_for $http_x_forwarded_proto"; }}
        server {{ listen 127.0.0.1:{secure} ssl; ssl_certificate {pair.cert}; ssl_certificate_key {pair.key};
                  return 200 "$ssl_server_name $scheme"; }}""", plain).start())
    relay = daemons("relay")
    relay.conf.write_text(relay.conf.read_text() + "[acme]\nissuer = internal\n" + replaced(
        sites, **{"127.0.0.1:8081": f"127.0.0.1:{plain}", "127.0.0.1:8444": f"127.0.0.1:{secure}"}) + "\n")
    relay.start()
    port, root = int(relay.listen_https.rsplit(":", 1)[1]), relay.state_dir / "internal" / "root.pem"
    assert curl(port, root, "--interface", "127.0.0.77", "https://shop.example.net/") == "shop.example.net 127.0.0.77 https"
    assert curl(port, pair.cert, "https://mail.example.net/") == "mail.example.net https"


# ---- the move ----


class Machine:
    """Where the commands are run: its systemctl starts and stops nginx and the relay, and its sudo needs no password."""

    def __init__(self, folder: Path, nginx: Nginx, relay: Daemon, trusted: Path) -> None:
        self.nginx, self.relay, self.done = nginx, relay, []
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(folder / "systemd"))
        self.server.listen()
        self._tool("sudo", 'exec "$@"')
        self._tool("systemctl", f'exec {need("curl")} -sS -f --unix-socket {folder}/systemd -d "$*" http://systemd/')
        (self.bin / "tunnelctl").symlink_to(BUILD / "tunnelctl")
        self.env = environment(PATH=f"{self.bin}:{os.environ['PATH']}", TUNNEL_SOCKET=str(relay.socket), CURL_CA_BUNDLE=str(trusted))
        threading.Thread(target=self._serve, daemon=True).start()

    def _tool(self, name: str, text: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            with sock:
                words = sock.recv(4096).decode().split("\r\n\r\n", 1)[1]
                self._systemctl(*words.split())
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def _systemctl(self, verb: str, *units: str) -> None:
        self.done.append((verb, *units))
        for unit in units:
            if unit == "nginx":
                self.nginx.start() if verb == "start" else self.nginx.stop()
            elif unit == "tunnel-relay":
                self.relay.stop()
                if verb == "restart":
                    self.relay.start()

    def run(self, command: str) -> Result:
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=self.env, timeout=PATIENCE_S)
        return Result(done.returncode, done.stdout, done.stderr)

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


def test_the_move_from_nginx_and_back(daemons, started, folder, held, authority):
    """Visitors have an answer at every moment but that of the change itself, and never a certificate that they do not trust."""
    http, https, trial = held(), held(), held()
    commands, back = blocks(SECTION)
    bring, restart, status, attempt, switch = commands.splitlines()
    (words,) = re.findall("`(listen_https = [^`]*)`", (Path(__file__).parents[2] / "README.md").read_text())
    key, value = replaced(words, **{":443": f"127.0.0.1:{https}", ":8443": f"127.0.0.1:{trial}"}).split(" = ")

    pair = authority.issue(HOST, f"www.{HOST}")
    letsencrypt = certbot(folder / "letsencrypt", authority, HOST, pair)
    live = letsencrypt / "live" / HOST
    nginx = Nginx(folder, FALLS_TO_NGINX.format(http=http, https=https, pair=Pair(live / "fullchain.pem", live / "privkey.pem")), https)
    started.append(nginx.start())
    site, relay = site_of(started), daemons("relay")
    sites = f"[acme]\ndirectory = https://127.0.0.1:9/dir\npreflight = off\n[domain {HOST}]\nupstream = 127.0.0.1:{site.port}\n"
    relay.configure(listen_https=f"127.0.0.1:{https}", listen_http=f"127.0.0.1:{http}")
    relay.conf.write_text(relay.conf.read_text() + sites)
    relay.start()
    wait_until(lambda: relay.get("/v1/status").json["domains"][0]["cert"]["last_error"], "the order in vain is over")
    machine = Machine(folder, nginx, relay, authority.root.cert)

    def is_nginx() -> bool:
        return curl(https, authority.root.cert, f"https://{HOST}/") == "nginx"

    assert is_nginx()
    done = machine.run(replaced(bring, **{"/etc/letsencrypt": str(letsencrypt)}))
    assert done.code == 0 and f"  {HOST}: taken" in done.out, done
    relay.configure(listen_http=f"127.0.0.1:{http}", **{key: value})
    relay.conf.write_text(relay.conf.read_text() + sites)
    assert machine.run(restart).code == 0
    done = machine.run(status)
    assert done.code == 1 and done.out.count(f"pid {nginx.process.pid} (nginx)") == 2, done
    done = machine.run(replaced(attempt, **{":8443": f":{trial}", f"{HOST}/": f"{HOST}/echo"}))
    assert done.code == 0 and f"Host: {HOST}" in done.out, done
    assert is_nginx()

    for _ in range(2):  # there, back, and there once more
        assert machine.run(switch).code == 0
        wait_served(relay)
        assert curl(https, authority.root.cert, f"https://{HOST}/echo").startswith("GET /echo HTTP/1.1")
        assert machine.run(back).code == 0
        assert is_nginx()
        relay.start()
    machine.close()
    assert machine.done == [("restart", "tunnel-relay")] + 2 * [
        ("stop", "nginx"), ("stop", "tunnel-relay.socket", "tunnel-relay"), ("start", "nginx")]
