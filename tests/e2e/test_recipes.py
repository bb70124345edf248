"""The recipes of conf/man/tunnel-recipes.7: each is read out of the page and followed, with real servers and clients.

Those that need a package which `sh scripts/setup test` does not bring, or long, run with E2E_LONG=1."""

from __future__ import annotations

import hashlib
import http.server
import ipaddress
import json
import os
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable

import pytest

from far_path import LONG
from path import DOMAIN
from pairing import Pairing, pairing  # noqa: F401 (a fixture)
from ports import RawService, hold_port
from programs import PATIENCE_S, environment, need, program, unavailable, wait_until
from recipes import Recipe, RecipeHouse, nginx, recipes, replaced, titles  # noqa: F401 (recipes is a fixture)
from secure import Certificates, server_context
from sshd import Sshd, free_port
from stacks import Stack
from stock import fingerprint, wait_state
from test_grpc import GrpcService, ask
from test_readme import Typist
from upgraded import WebSockets
from visitor import context
from website import Site

NAME = "sassy-cat-pics.com"
MB = 1_000_000
Make = Callable[..., RecipeHouse]


def only_long() -> None:
    if not LONG:
        pytest.skip("needs E2E_LONG=1")


def in_page(url: str) -> str:
    """127.0.0.1:PORT of a server's URL."""
    return url.split("://")[1]


# ---- sites ----


def test_a_plain_site(recipes: Make, started: list, folder: Path) -> None:  # noqa: F811
    (folder / "www").mkdir()
    (folder / "www" / "index.html").write_text("cats")
    started.append(nginx(folder, f"server {{ listen 127.0.0.1:{{port}}; root {folder}/www; }}"))
    house = recipes(Recipe("A PLAIN SITE").agent(), {"127.0.0.1:80": in_page(started[-1].url)})
    assert house.curl(f"https://{NAME}/") == "cats"
    assert house.curl("-L", "-w", " %{url_effective}", f"https://www.{NAME}/?a=b") == f"cats https://{NAME}/?a=b"


def test_for_some_alone(recipes: Make, started: list, folder: Path) -> None:  # noqa: F811
    recipe, site = Recipe("FOR SOME ALONE"), Site()
    started.append(site)
    text = replaced(recipe.file("# at home, once for each user"), {"sudo install -m 640 -g tunnel-agent": "install -m 640", "/etc/tunnel": folder,
                                                                     "openssl passwd -6": "openssl passwd -6 secret"})
    subprocess.run(["sh", "-euc", text], check=True)
    house = recipes(recipe.agent("nas.sassy-cat-pics.com.ini") + recipe.agent("cats.sassy-cat-pics.com.ini"),
                    {"127.0.0.1:5000": in_page(site.url), "127.0.0.1:8081": in_page(site.url), "/etc/tunnel": folder}, trusted_proxies="127.0.0.1")
    for address, code in (("203.0.113.7", "200"), ("2001:db8::7", "200"), ("198.51.100.7", "403")):
        assert house.curl("-o", "/dev/null", "-w", "%{http_code}", "-H", f"X-Forwarded-For: {address}", f"https://nas.{NAME}/") == code
    for who, code in (("me:secret", "200"), ("me:wrong", "401"), ("you:secret", "401")):
        assert house.curl("-o", "/dev/null", "-w", "%{http_code}", "-u", who, f"https://cats.{NAME}/") == code
    assert site.seen[-1].head.get("authorization")


class App(http.server.BaseHTTPRequestHandler):
    """Believes its proxies as Home Assistant does: what is not as it should be is answered with 400."""

    conf: dict[str, Any] = {}
    seen: list[tuple[str, str, str]] = []

    def refused(self) -> str | None:
        forwarded, proto, host = (self.headers.get_all(f"X-Forwarded-{name}") or [] for name in ("For", "Proto", "Host"))
        if not forwarded:
            return None
        if self.conf.get("use_x_forwarded_for") != "true" or self.client_address[0] not in self.conf["trusted_proxies"]:
            return "a proxy that is not trusted"
        if len(forwarded) > 1 or len(proto) > 1 or len(host) > 1:
            return "a field came twice"
        addresses = [str(ipaddress.ip_address(word.strip())) for word in forwarded[0].split(",")]
        if len(proto[0].split(",")) not in (1, len(addresses)):
            return "X-Forwarded-Proto does not fit"
        self.seen.append((addresses[-1], proto[0], host[0]))
        return None

    def do_GET(self) -> None:
        why = self.refused()
        body = (why or "well").encode()
        self.send_response(400 if why else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def yaml_of(text: str) -> dict[str, Any]:
    """Of that one file."""
    return {"use_x_forwarded_for": re.search(r"use_x_forwarded_for: (\w+)", text)[1],
            "trusted_proxies": re.findall(r"^ +- (\S+)$", text, re.M)}


def test_an_app_that_checks_its_proxies(recipes: Make) -> None:  # noqa: F811
    recipe = Recipe("AN APP THAT CHECKS ITS PROXIES")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        house = recipes(recipe.agent(), {"127.0.0.1:8123": f"127.0.0.1:{server.server_port}"})
        ask_it = ("-w", " %{http_code}", "-H", "X-Forwarded-For: 192.0.2.66", f"https://app.{NAME}/")
        App.conf, App.seen = {}, []
        assert house.curl(*ask_it) == "a proxy that is not trusted 400"
        App.conf = yaml_of(recipe.file("# configuration.yaml"))
        assert house.curl(*ask_it) == "well 200" and App.seen == [("127.0.0.1", "https", f"app.{NAME}")]
    finally:
        server.shutdown()
        server.server_close()


DJANGO = """
import sys
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.urls import path
import django, wsgiref.simple_server
{page}
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=ALLOWED_HOSTS, SECURE_PROXY_SSL_HEADER=SECURE_PROXY_SSL_HEADER,
                   SECURE_SSL_REDIRECT=SECURE_SSL_REDIRECT, CSRF_TRUSTED_ORIGINS=CSRF_TRUSTED_ORIGINS,
                   MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.csrf.CsrfViewMiddleware"])
django.setup()

def show(request):
    from django.middleware.csrf import get_token
    return HttpResponse(f"{{request.build_absolute_uri()}} {{request.is_secure()}} {{get_token(request)}}")

urlpatterns = [path("", show)]
wsgiref.simple_server.make_server("127.0.0.1", int(sys.argv[1]), WSGIHandler()).serve_forever()
"""
FLASK = """
import sys
from flask import Flask, request
app = Flask(__name__)
{page}
@app.route("/")
def show():
    return f"{{request.url}} {{request.remote_addr}} {{request.is_secure}}"

app.run("127.0.0.1", int(sys.argv[1]))
"""


@pytest.fixture
def wsgi(recipes: Make, started: list, folder: Path) -> Callable[[str, str], RecipeHouse]:  # noqa: F811
    """wsgi("flask", program): the app of the recipe; {page} is what the page says of it."""

    def make(module: str, text: str, first: str) -> RecipeHouse:
        only_long()
        if subprocess.run(["/usr/bin/python3", "-c", f"import {module}"], capture_output=True).returncode != 0:
            unavailable(f"{module} is not installed; run: apt-get install python3-{module}")
        recipe, port = Recipe("AN APP THAT CHECKS ITS PROXIES"), free_port()
        (folder / "app.py").write_text(text.format(page=recipe.file(first)))
        started.append(Stack(module, ["/usr/bin/python3", folder / "app.py", port], port, folder))
        return recipes(recipe.agent(), {"127.0.0.1:8123": f"127.0.0.1:{port}"})

    return make


def test_django(wsgi: Callable[..., RecipeHouse], folder: Path) -> None:
    house, url = wsgi("django", DJANGO, "# settings.py"), f"https://app.{NAME}/"
    said = house.curl("-c", folder / "jar", url).split()
    assert said[:2] == [url, "True"]
    posted = house.curl("-b", folder / "jar", "-H", f"Origin: https://app.{NAME}", "-H", f"Referer: {url}", "-d",
                        f"csrfmiddlewaretoken={said[2]}", url)
    assert posted.startswith(f"{url} True ")


def test_flask(wsgi: Callable[..., RecipeHouse]) -> None:
    house = wsgi("flask", FLASK, "# app.py")
    assert house.curl(f"https://app.{NAME}/") == f"https://app.{NAME}/ 127.0.0.1 True"
    with house.visitor(f"app.{NAME}", at="127.0.0.1") as visitor:
        reply = visitor.ask("GET", "/", host=f"app.{NAME}:8443")
        assert reply.body.data.decode().startswith(f"https://app.{NAME}:8443/ ")


def test_large_uploads(recipes: Make, started: list, folder: Path) -> None:  # noqa: F811
    recipe, size = Recipe("LARGE UPLOADS"), (2000 if LONG else 20) * MB
    (folder / "up").mkdir()
    # nginx's own processes may be another user's
    (folder / "up").chmod(0o777)
    text = f"server {{ listen 127.0.0.1:{{port}}; location / {{ root {folder}/up; dav_methods PUT; }}\n"
    started.append(nginx(folder, text + recipe.file("# nginx, in its server { }") + "}"))
    house = recipes(recipe.agent(), {"127.0.0.1:8080": in_page(started[-1].url)})
    block, digest = os.urandom(MB), hashlib.sha256()
    with open(folder / "large", "wb") as file:
        for _ in range(size // MB):
            file.write(block)
            digest.update(block)
    assert house.curl("-T", folder / "large", "-w", "%{http_code}", f"https://cloud.{NAME}/large") == "201"
    with open(folder / "up" / "large", "rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest.hexdigest()
    with house.visitor(f"cloud.{NAME}") as visitor:
        visitor.send(f"PUT /more HTTP/1.1\r\nHost: cloud.{NAME}\r\nContent-Length: {20 * 2**30 + 1}\r\n\r\n")
        assert visitor.reply("PUT").status == 413


def test_websocket(recipes: Make, started: list) -> None:  # noqa: F811
    server = WebSockets()
    started.append(server)
    house = recipes(Recipe("WEBSOCKET").agent(), {"127.0.0.1:8765": in_page(server.url)})

    async def talk() -> Any:
        name = f"chat.{NAME}"
        async with server.library.connect(f"wss://{name}:{house.port}/", host="127.0.0.1", ssl=context(house.root), server_hostname=name) as ws:
            await ws.send("hello")
            return await ws.recv()

    assert server.run(talk(), PATIENCE_S) == "hello"


def test_grpc(recipes: Make, started: list) -> None:  # noqa: F811
    service = GrpcService()
    started.append(service)
    house = recipes(Recipe("GRPC").agent(), {"127.0.0.1:50051": f"127.0.0.1:{service.port}"})
    seen = ask(house, "unary", name=f"grpc.{NAME}")
    assert seen["code"] == 0 and seen["right"]


# ---- TCP ----


def test_a_game_server(pairing: Pairing, folder: Path, started: list) -> None:  # noqa: F811
    """From a pairing on, with the commands as they stand there; the server is one that speaks first."""
    recipe = Recipe("A GAME SERVER")
    service = RawService(lambda sock: (sock.sendall(b"220 who are you?\n"), sock.recv(100), sock.sendall(b"welcome\n")))
    started.append(service)
    agent = pairing.new_agent()
    assert pairing.join(agent, pairing.invite()).code == 0
    pairing.wait_up()
    vm = Typist(pairing.relay, folder / "vm")
    (vm.etc / "relay.d").mkdir()
    dump = vm.home / "bin" / "tunnel-relay"
    dump.write_text(f'#!/bin/sh\nexec {program("tunnel-relay")} -c {pairing.relay.conf} "$@"\n')
    dump.chmod(0o755)
    pairing.relay.conf.write_text(pairing.relay.conf.read_text().replace("[relay]\n", f"[relay]\ninclude = {vm.etc}/relay.d/*.ini\n"))
    with hold_port() as held:
        port = held.getsockname()[1]
        for command in recipe.file("# on the VM").splitlines():
            vm.type(replaced(command, {"25565": port} if "25565" in command else {}))
        ini = replaced(recipe.agent(), {"listen  = 25565": f"listen  = 127.0.0.1:{port}", "tcp://127.0.0.1:25565": service.url})
        agent.conf.write_text(agent.conf.read_text() + ini)
        assert agent.post("/v1/reload").status == 200
        wait_until(lambda: any(p["state"] == "up" for p in pairing.relay.get("/v1/status").json["tcp"]), "the port is open")
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as player, player.makefile("rwb", 0) as lines:
            assert lines.readline() == b"220 who are you?\n"
            lines.write(b"me\n")
            assert lines.readline() == b"welcome\n"
        assert pairing.visit().status == 200


def test_prometheus_reads_an_exporter(recipes: Make, started: list, folder: Path) -> None:  # noqa: F811
    """Both are real: prometheus on the VM scrapes prometheus-node-exporter at home."""
    only_long()
    recipe = Recipe("PROMETHEUS AND ITS EXPORTERS")
    at, port = free_port(), free_port()
    started.append(Stack("exporter", [need("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{at}"], at, folder))
    with hold_port() as held:
        visitors = held.getsockname()[1]
        recipes(recipe.agent("exporter.ini"),
                {"= 127.0.0.1:9100": f"= 127.0.0.1:{visitors}", "tcp://127.0.0.1:9100": f"tcp://127.0.0.1:{at}"}, may=f"tcp_ports = {visitors}")
        text = replaced(recipe.file("# /etc/prometheus/prometheus.yml on the VM"), {"127.0.0.1:9100": f"127.0.0.1:{visitors}"})
        (folder / "prometheus.yml").write_text(f"global:\n  scrape_interval: 1s\n{text}")
        url = f"http://127.0.0.1:{port}"
        started.append(Stack("prometheus", [need("prometheus"), "--config.file", folder / "prometheus.yml", "--storage.tsdb.path",
                                            folder / "tsdb", f"--web.listen-address=127.0.0.1:{port}"], port, folder))

        def is_up() -> bool:
            done = subprocess.run([need("curl"), "-sS", "-G", "--data-urlencode", 'query=up{job="pi"} == 1', f"{url}/api/v1/query"],
                                  capture_output=True, text=True, timeout=PATIENCE_S)
            return done.returncode == 0 and bool(json.loads(done.stdout)["data"]["result"]) if done.stdout.startswith("{") else False

        wait_until(is_up, "prometheus has read the exporter")


def test_prometheus_at_home(recipes: Make, started: list, folder: Path) -> None:  # noqa: F811
    only_long()
    recipe, port = Recipe("PROMETHEUS AND ITS EXPORTERS"), free_port()
    external = re.search(r'"(--web\.external-url=\S+)"', recipe.file("# /etc/default/prometheus at home"))[1]
    (folder / "prometheus.yml").write_text("")
    command = [need("prometheus"), "--config.file", folder / "prometheus.yml", "--storage.tsdb.path", folder / "tsdb"]
    started.append(Stack("prometheus", [*command, f"--web.listen-address=127.0.0.1:{port}", external], port, folder))
    house = recipes(recipe.agent(f"prometheus.{NAME}.ini"), {"127.0.0.1:9090": f"127.0.0.1:{port}"})
    wait_until(lambda: "Ready" in house.curl(f"https://prometheus.{NAME}/-/ready"), "it is ready")
    sent = house.curl("-o", "/dev/null", "-w", "%{redirect_url}", f"https://prometheus.{NAME}/")
    assert re.fullmatch(rf"https://prometheus\.{NAME}/\w*/?(graph|query)", sent), "to its own name"


# ---- registries and engines ----


def test_a_docker_registry(recipes: Make, started: list, folder: Path) -> None:  # noqa: F811
    """Debian's, and skopeo: push and pull of an image with a layer of 200 MB."""
    only_long()
    recipe, port = Recipe("A DOCKER REGISTRY"), free_port()
    text = replaced(recipe.file("# /etc/docker/registry/config.yml"), {"/var/lib/docker-registry": folder / "store", "127.0.0.1:5000": f"127.0.0.1:{port}"})
    (folder / "config.yml").write_text(text)
    started.append(Stack("registry", [need("docker-registry"), "serve", folder / "config.yml"], port, folder))
    house = recipes(recipe.agent(), {"127.0.0.1:5000": f"127.0.0.1:{port}"})
    image(folder / "image", folder / "blob", 200)
    (folder / "certs").mkdir()
    shutil.copy(house.root, folder / "certs" / "ca.crt")
    (folder / "hosts").write_text(f"127.0.0.1 registry.{NAME} localhost\n")
    there = f"docker://registry.{NAME}:{house.port}/cats:1"
    for source, to, certs in ((f"dir:{folder}/image", there, "--dest-cert-dir"), (there, f"dir:{folder}/back", "--src-cert-dir")):
        done = in_own_hosts(folder, need("skopeo"), "--insecure-policy", "copy", certs, folder / "certs", source, to)
        assert done.returncode == 0, done.stderr
    (layer,) = [entry for entry in json.loads((folder / "back" / "manifest.json").read_text())["layers"]]
    back = folder / "back" / layer["digest"].removeprefix("sha256:")
    with open(back, "rb") as file:
        assert f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == layer["digest"] and back.stat().st_size >= 200 * MB


def in_own_hosts(folder: Path, *command: object) -> subprocess.CompletedProcess:
    """With an /etc/hosts that nobody else sees."""
    line = f'mount --bind {folder}/hosts /etc/hosts && exec "$0" "$@"'
    private = [need("unshare"), "-m", "-r", "sh", "-c", line]
    if subprocess.run([*private, "true"], capture_output=True).returncode != 0:
        pytest.skip("needs a mount namespace of its own")
    return subprocess.run([*private, *map(str, command)], capture_output=True, text=True, timeout=PATIENCE_S * 5, env=environment())


def image(folder: Path, blob: Path, megabytes: int) -> None:
    """One of skopeo's `dir:` format, whose only layer is that large and cannot be compressed."""
    folder.mkdir()
    with open(blob, "wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(MB))
    subprocess.run([need("tar"), "-C", blob.parent, "-cf", folder / "layer", blob.name], check=True)

    def put(path: Path) -> dict[str, Any]:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        path.rename(folder / digest)
        return {"digest": f"sha256:{digest}", "size": size}

    layer = put(folder / "layer")
    (folder / "config").write_text(json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {
        "type": "layers", "diff_ids": [layer["digest"]]}}))
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    (folder / "manifest.json").write_text(json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", **put(folder / "config")},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar", **layer}]}))


def engine_behind_nginx(recipe: Recipe, folder: Path, engine: object, own: Certificates) -> Stack:
    pair, port = own.pair("engine", [f"docker.{NAME}"]), free_port()
    text = replaced(recipe.file("# nginx"), {
        "127.0.0.1:2376": f"127.0.0.1:{port}", "/etc/docker/tls/cert.pem": pair.cert, "/etc/docker/tls/key.pem": pair.key,
        "/etc/docker/tls/ca.pem": own.root, "/run/podman/podman.sock": engine})
    return nginx(folder, text, port)


def test_a_docker_api(recipes: Make, started: list, folder: Path) -> None:  # noqa: F811
    """Whoever has no certificate learns nothing; nginx tells those who have one, and asks the engine, at its socket."""
    (folder / "own").mkdir()
    recipe, own, engine = Recipe("A DOCKER API WITH MUTUAL TLS"), Certificates(folder / "own"), Site(path=folder / "podman.sock")
    started.append(engine)
    started.append(engine_behind_nginx(recipe, folder, folder / "podman.sock", own))
    house = recipes(recipe.agent(), {"127.0.0.1:2376": in_page(started[-1].url)})
    client, url = own.pair("client", ["client.test"]), f"https://docker.{NAME}/_ping"
    assert "400" in house.curl("-o", "/dev/null", "-w", "%{http_code}", url, root=own.root) and engine.seen == []
    assert house.curl("--cert", client.cert, "--key", client.key, url, root=own.root).startswith("GET /_ping ")


def test_podman_by_its_api(recipes: Make, started: list, folder: Path) -> None:  # noqa: F811
    only_long()
    (folder / "own").mkdir()
    recipe, own = Recipe("A DOCKER API WITH MUTUAL TLS"), Certificates(folder / "own")
    engine = subprocess.Popen([need("podman"), "system", "service", "--time=0", f"unix://{folder}/podman.sock"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: (folder / "podman.sock").exists() or engine.poll() is not None, "podman serves")
        if engine.poll() is not None:
            unavailable("podman does not run here")
        started.append(engine_behind_nginx(recipe, folder, folder / "podman.sock", own))
        house = recipes(recipe.agent(), {"127.0.0.1:2376": in_page(started[-1].url)})
        client = own.pair("client", ["client.test"])
        asked = ("--cert", client.cert, "--key", client.key)
        assert house.curl(*asked, f"https://docker.{NAME}/_ping", root=own.root) == "OK"
        assert "ApiVersion" in house.curl(*asked, f"https://docker.{NAME}/version", root=own.root)
    finally:
        engine.terminate()
        engine.wait(PATIENCE_S)


LIMITS = "--ulimit=nofile=1024:1024 --ulimit=nproc=1024:1024"  # a test machine may not be let raise its own


def test_busybox_in_a_container(recipes: Make, folder: Path) -> None:  # noqa: F811
    """The image is made here, of Debian's busybox, because no registry may be at hand."""
    only_long()
    recipe, port, busybox = Recipe("BUSYBOX HTTPD IN A CONTAINER"), free_port(), need("busybox")
    (folder / "www").mkdir()
    (folder / "www" / "index.html").write_text("from a container\n")
    (folder / "context").mkdir()
    shutil.copy(busybox, folder / "context" / "busybox")
    (folder / "context" / "Dockerfile").write_text('FROM scratch\nCOPY busybox /bin/busybox\nENV PATH=/bin\nENTRYPOINT ["/bin/busybox"]\n')
    tag = f"busybox-of-e2e-{os.getpid()}"
    podman = need("podman")
    built = subprocess.run([podman, "build", "-q", "-t", tag, folder / "context"], capture_output=True, text=True, timeout=PATIENCE_S * 3)
    if built.returncode != 0:
        unavailable(f"podman builds nothing here: {built.stderr}")
    command = replaced(recipe.file("# at home").strip(), {
        "podman run": f"podman run {LIMITS}", "--name site": f"--name {tag}", "/srv/www": folder / "www",
        "127.0.0.1:8080": f"127.0.0.1:{port}", " busybox httpd": f" {tag} httpd"})
    try:
        done = subprocess.run(["sh", "-euc", command], capture_output=True, text=True, timeout=PATIENCE_S * 3)
        if done.returncode != 0:
            unavailable(f"podman runs nothing here: {done.stderr}")
        house = recipes(recipe.agent(), {"127.0.0.1:8080": f"127.0.0.1:{port}"})
        wait_until(lambda: house.curl(f"https://box.{NAME}/") == "from a container\n", "the page comes")
    finally:
        subprocess.run([podman, "rm", "-f", tag], capture_output=True)
        subprocess.run([podman, "rmi", "-f", tag], capture_output=True)


# ---- proxies at home ----


def test_nginx_with_its_own_sites(recipes: Make, started: list, folder: Path) -> None:  # noqa: F811
    recipe = Recipe("A REVERSE PROXY AT HOME")
    sites = "".join(f'server {{ listen 127.0.0.1:{{port}}; server_name {name}; return 200 "{name} $remote_addr\\n"; }}\n'
                    for name in (NAME, f"blog.{NAME}", f"wiki.{NAME}"))
    started.append(nginx(folder, recipe.file("# nginx, in its http { }") + sites))
    house = recipes(recipe.agent("all.ini"), {"127.0.0.1:8080": in_page(started[-1].url)})
    for name in (NAME, f"blog.{NAME}", f"wiki.{NAME}"):
        assert house.curl("--interface", "127.0.0.7", f"https://{name}/") == f"{name} 127.0.0.7\n"


def test_haproxy_with_its_own_sites(recipes: Make, started: list, folder: Path) -> None:  # noqa: F811
    recipe, blog, wiki = Recipe("A REVERSE PROXY AT HOME"), Site(), Site()
    started.extend([blog, wiki])
    port = free_port()
    text = replaced(recipe.file("# haproxy.cfg"), {"127.0.0.1:8081": f"127.0.0.1:{port}"})
    backends = "".join(f"backend {name}.{NAME}\n  mode http\n  option forwardfor\n  server home {in_page(site.url)}\n"
                       for name, site in (("blog", blog), ("wiki", wiki)))
    conf = folder / "haproxy.cfg"
    conf.write_text(f"defaults\n  timeout connect 60s\n  timeout client 60s\n  timeout server 60s\n{text}{backends}")
    started.append(Stack("haproxy", [need("haproxy"), "-db", "-f", conf], port, folder))
    house = recipes(recipe.agent("HAProxy"), {"127.0.0.1:8081": f"127.0.0.1:{port}"})
    for name, site in (("blog", blog), ("wiki", wiki)):
        assert house.curl("--interface", "127.0.0.7", f"https://{name}.{NAME}/").startswith("GET / HTTP/1.1")
        assert site.seen[-1].head.all("x-forwarded-for")[-1] == "127.0.0.7"


# ---- coming from others ----


def test_coming_from_ssh_r(recipes: Make, started: list, folder: Path, daemons: Callable[..., Any]) -> None:  # noqa: F811
    """The old tunnel behind the relay, then the agent instead of it; and the agent in the place of autossh alone."""
    recipe, site = Recipe("COMING FROM AUTOSSH, NGINX AND CERTBOT"), Site()
    (folder / "old").mkdir()
    sshd = Sshd(folder / "old").start()
    started.extend([site, sshd])
    client, port = sshd.forward_back(site.port)
    try:
        upstream = replaced(recipe.file("; /etc/tunnel/relay.d/pics.ini"), {"127.0.0.1:1337": f"127.0.0.1:{port}"})
        house = recipes(recipe.agent("ssh -R has served"), {"localhost:80": f"localhost:{site.port}"}, relay_ini=upstream)
        assert house.curl(f"https://www.{NAME}/").startswith("GET / HTTP/1.1")
        (own,) = [domain for domain in house.status()["domains"] if domain["name"] == NAME]
        assert own["upstream"] == f"127.0.0.1:{port}"
    finally:
        client.terminate()
        client.communicate()
    house.relay.conf.write_text(house.relay.conf.read_text().replace(upstream, ""))
    assert house.relay.post("/v1/reload").status == 200
    wait_until(lambda: "GET / HTTP/1.1" in house.curl(f"https://www.{NAME}/"), "the agent serves it")

    port = free_port()
    ini = replaced(recipe.agent("relay-vm.ini"), {
        NAME: "127.0.0.1", "vm-user": sshd.user, "ssh-ed25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA": fingerprint(sshd),
        "= 1337": f"= {port}", "http://127.0.0.1:80": site.url})
    alone = daemons("agent")
    alone.configure(f"{alone.conf.read_text()}{ini}port = {sshd.port}\nkey_file = {sshd.folder}/client_key\n")
    alone.start()
    wait_state(alone, "up")
    done = subprocess.run([need("curl"), "-sS", f"http://127.0.0.1:{port}/"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout.startswith("GET / HTTP/1.1"), done.stderr


def test_coming_from_frp(recipes: Make, started: list, folder: Path) -> None:  # noqa: F811
    (folder / "own").mkdir()
    own = Certificates(folder / "own")
    site, tls = Site(), Site(tls=server_context(own.pair("own", [f"own.{NAME}"]), alpn=()))
    (folder / "home").mkdir()
    sshd = Sshd(folder / "home").start()
    started.extend([site, tls, sshd])
    with hold_port() as held:
        port = held.getsockname()[1]
        house = recipes(Recipe("COMING FROM FRP").agent(),
                        {"127.0.0.1:8080": in_page(site.url), "127.0.0.1:8443": in_page(tls.url), "listen  = 6000": f"listen  = 127.0.0.1:{port}",
                         "tcp://127.0.0.1:22": f"tcp://127.0.0.1:{sshd.port}"}, may=f"tcp_ports = {port}")
        assert house.curl(f"https://www.{NAME}/").startswith("GET / HTTP/1.1")
        assert house.curl(f"https://own.{NAME}/", root=own.root).startswith("GET / HTTP/1.1")
        done = sshd.ssh("-o", f"HostKeyAlias=[127.0.0.1]:{sshd.port}", "-p", str(port), "echo from home")
        assert done.stdout == b"from home\n", done.stderr


def test_coming_from_boringproxy(recipes: Make, started: list, folder: Path) -> None:  # noqa: F811
    recipe, site = Recipe("COMING FROM BORINGPROXY"), Site()
    started.append(site)
    house = recipes("")
    house.relay.conf.write_text(house.relay.conf.read_text().replace(f"domains = {DOMAIN} ", f"domains = {DOMAIN} *.{NAME} "))
    assert house.relay.post("/v1/reload").status == 200
    home = Typist(house.agent, folder / "typist")
    (command,) = recipe.file("# at home").splitlines()
    home.type(replaced(command, {"http://127.0.0.1:8080": site.url}))
    house.wait_up(f"pics.{NAME}")
    assert house.curl(f"https://pics.{NAME}/").startswith("GET / HTTP/1.1")
    (home.home / ".ssh").mkdir()
    keys, ours = home.home / ".ssh" / "authorized_keys", "ssh-ed25519 AAAA me@home\n"
    keys.write_text(f'{ours}command="echo This key permits tunnels only",permitlisten="127.0.0.1:9001" ssh-rsa AAAA boringproxy-pics.{NAME}-9001\n')
    (command,) = recipe.file("# on the VM, as that user").splitlines()
    home.type(command)
    assert keys.read_text() == ours


# ---- nothing is left out ----


def test_each_recipe_is_tried() -> None:
    """By its title; and each file of it, by its first line."""
    here = Path(__file__).read_text()
    for title in titles():
        assert f'Recipe("{title}")' in here, f"no test follows {title}"
        for file in Recipe(title).files:
            first = file.split("\n", 1)[0]
            assert first.startswith("; /etc/tunnel/agent.d/") or f'"{first}"' in here or first in NOT_RUN, f"no test reads {first} of {title}"


# Stopping what no test machine runs; the command before it is run by test_readme.py.
NOT_RUN = {"# on the VM": "sudo tunnelctl certs import /etc/letsencrypt\nsudo systemctl disable --now nginx certbot.timer\n"}


def test_what_is_not_run() -> None:
    assert Recipe("COMING FROM AUTOSSH, NGINX AND CERTBOT").file("# on the VM") == NOT_RUN["# on the VM"]
