"""The status page on both admin listeners: readable as it comes, live by /events, nothing from elsewhere, and only for whom
it is meant."""

from __future__ import annotations

import base64
import html
import json
import re
import socket
import subprocess
from contextlib import contextmanager

import pytest

from admin import Place
from chromium import Chromium
from path import DOMAIN, WholePath
from programs import PATIENCE_S, need, wait_until
from website import Site

SECTIONS = {"relay": ("Traffic", "Lanes", "Domains", "Certificates", "DNS"),
            "agent": ("Traffic", "Lanes", "Domains", "Certificates", "DNS")}
# What would be asked of somebody, this machine or another one; an icon and two pieces of the page itself are not.
EXTERNAL = re.compile(r"<[^>]*\b(src|srcset|href|action|data|poster|ping|background)\s*=(?!\"data:,\")|url\(|@import"
                      r"|<[^>]*https?://|<(iframe|object|embed|base)\b", re.IGNORECASE)


@pytest.fixture
def places(started):
    made = {"relay": Place(), "agent": Place()}
    started.extend(made.values())
    return made


@pytest.fixture
def whole(daemons, started, folder, places):
    path = WholePath(daemons, started, folder, admin_listen=places["relay"].listen,
                     agent_keys={"admin_listen": places["agent"].listen})
    with path.agent.conf.open("a") as conf:
        conf.write("[domain d.test]\nmode = direct\ndns = manual\n[address]\nsources = fixed:203.0.113.9\n")
    assert path.agent.post("/v1/reload").status == 200
    yield path
    path.close()


def curl(place, target="/", *more):
    done = subprocess.run([need("curl"), "-sS", "--fail", "--max-time", str(PATIENCE_S), *more,
                           f"http://{place.listen}{target}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def words(page):
    """What a person sees who has neither style nor script."""
    body = re.sub(r"(?s)<(style|script)>.*?</\1>", "", page)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", re.sub("</?b>", "", body))).split())


class Watching:
    """Whoever reads /events, by curl."""

    def __init__(self, place, *more):
        self.process = subprocess.Popen([need("curl"), "-sS", "-N", "--max-time", str(PATIENCE_S), *more, f"http://{place.listen}/events"],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def event(self):
        line = self.process.stdout.readline()
        assert line.startswith("data: "), line or self.process.stderr.read()
        assert self.process.stdout.readline() == "\n"
        return json.loads(line[len("data: "):])

    def part(self, name, text):
        """The first event in which that part says so."""
        while text not in words((event := self.event())["parts"].get(name, "")):
            pass
        return event

    def end(self):
        self.process.kill()
        self.process.communicate()


@contextmanager
def watching(place, *more):
    watcher = Watching(place, *more)
    try:
        yield watcher
    finally:
        watcher.end()


def test_as_it_comes(whole, places):
    """By curl, without JavaScript: what it says, and that it needs nobody else."""
    assert whole.visit().status == 200
    wait_until(lambda: "203.0.113.9" in curl(places["agent"]), "the house's address is there")
    for role, place in places.items():
        page = curl(place)
        assert len(page.encode()) < 60_000 and not EXTERNAL.search(page), EXTERNAL.search(page)
        text = words(page)
        for heading in SECTIONS[role]:
            assert f"<h2>{heading}</h2>" in page
        assert re.search(r"as of 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", text)
        assert "Without JavaScript this stays as it was then: reload it." in text
        assert DOMAIN in text and f"tunnel-{role}" in text and "up" in text
    relay, agent = (words(curl(places[role])) for role in ("relay", "agent"))
    assert "All is well" in relay and re.search(rf"{DOMAIN} up \d+s pi 1 0 ", relay)
    assert re.search(rf"{DOMAIN} valid internal 20\d\d-\d\d-\S+, \d+d \d+h left in ", relay)
    assert f"tunnel {whole.site.url} " in agent and "d.test A manual manual 203.0.113.9" in agent
    assert "Certificates No relay has told of any yet." in agent  # those of the internal root are not told of
    assert re.search(r"\be2e 0 up \d+s (\d+ ms|–) ", agent) and re.search(r"\bpi \d+ up \d+s ", relay)


def test_what_protects_it(daemons, role, places, folder):
    place, secret = places[role], folder / "password"
    daemon = daemons(role, admin_listen=place.listen).start()
    answer = place.ask("/")
    policy = dict(part.strip().split(" ", 1) for part in answer.fields["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in answer.fields["Content-Security-Policy"]
    for kind, tag in (("style", "style"), ("script", "script")):
        digest = subprocess.run([need("openssl"), "dgst", "-sha256", "-binary"], check=True, capture_output=True,
                                input=re.search(rf"(?s)<{tag}>(.*?)</{tag}>", answer.text).group(1).encode()).stdout
        assert policy[f"{kind}-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert answer.fields["Content-Type"] == "text/html; charset=utf-8" and answer.fields["Cache-Control"] == "no-store"
    assert answer.fields["X-Content-Type-Options"] == "nosniff" and answer.fields["Referrer-Policy"] == "no-referrer"
    assert not [name for name in answer.fields if name.lower().startswith("access-control")]
    head = place.ask("/", "HEAD")
    assert head.status == 200 and head.text == "" and int(head.fields["Content-Length"]) > 5000
    assert place.ask("/events", "HEAD").fields["Content-Type"] == "text/event-stream"
    for target in ("/", "/events"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            refused = place.ask(target, method)
            assert refused.status == 405 and refused.fields["Allow"] == "GET, HEAD"
        assert place.ask(target, host="evil.example").status == 403
        assert place.ask(target, host="127.0.0.1.evil.example:9180").status == 403

    # With a password from now on: whoever watches has to come again, and to know it.
    with watching(place) as watcher:
        assert watcher.event()["parts"]
        secret.write_text("word")
        secret.chmod(0o600)
        daemon.configure(admin_listen=place.listen, admin_password_file=secret)
        assert daemon.post("/v1/reload").status == 200
        watcher.process.communicate(timeout=PATIENCE_S)
        assert watcher.process.returncode == 0, "the answer ends as it should"
    assert place.ask("/").status == place.ask("/events").status == 401
    assert place.ask("/", password="word", host="vm.example").status == 200
    with watching(place, "-u", "admin:word") as watcher:
        assert f"tunnel-{role}" in watcher.event()["title"]


def test_what_changes_is_told(whole, places):
    with watching(places["relay"]) as relay, watching(places["agent"]) as agent:
        first = relay.event()
        assert set(first["parts"]) == {"head", "sum", "wrong", "traffic", "lanes", "domains", "certs", "dns", "ports", "notices"}
        assert first["title"] == "e2e · tunnel-relay" and agent.event()["title"].endswith("pi · tunnel-agent")
        assert whole.visit().status == 200
        later = relay.part("domains", "pi 1 0")
        assert "dns" not in later["parts"], "what has not changed is not sent again"
        whole.site.end()
        assert whole.visit().status == 502
        agent.part("wrong", f"{DOMAIN}: {whole.site.url}: ")
        whole.agent.stop()
        down = relay.part("wrong", f"{DOMAIN}: down: no lane of agent pi is up")
        assert down["title"].startswith("(") and "to be seen to" in words(down["parts"]["sum"])
        assert agent.process.wait(PATIENCE_S) == 0, "the stream ends with the agent"


def test_no_more_watchers_than_there_is_room_for(daemons, role, places):
    place = places[role]
    daemon = daemons(role, admin_listen=place.listen).start()
    talks = [socket.create_connection(("127.0.0.1", place.port)) for _ in range(8)]
    for talk in talks:
        talk.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        talk.settimeout(PATIENCE_S)
        assert talk.recv(4096).startswith(b"HTTP/1.1 200 ")
    refused = place.ask("/events")
    assert refused.status == 503 and "close one of them" in refused.text
    assert place.ask("/").status == 200
    talks.pop().close()
    with watching(place) as watcher:
        wait_until(lambda: place.ask("/healthz").status == 200, "it answers")
    wait_until(lambda: place.ask("/events", "HEAD").status == 200, "there is room again")
    del watcher
    for talk in talks:
        talk.close()
    assert daemon.get("/v1/version").status == 200


class Foreign(Site):
    """A site with a page of somebody else's."""

    def __init__(self, page):
        super().__init__()
        self.page = page.encode()

    def _page(self, peer, head, body, *_):
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(self.page)}\r\n\r\n")
        peer.send(self.page)
        return True


def test_pages_of_others_do_not_watch(daemons, role, places, started, folder):
    """What another site's page asks for by the owner's browser is refused; a link to the page is followed."""
    place = places[role]
    daemon = daemons(role, admin_listen=place.listen).start()
    for site in ("cross-site", "same-site"):
        said = place.ask("/events", fields={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"})
        assert said.status == 403 and "another site" in said.text
        for target in ("/metrics", "/healthz", "/readyz"):
            assert place.ask(target, fields={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}).status == 200
    evil = Foreign(f"""<!doctype html><body><a href="http://{place.listen}/">status</a><script>
        for (let n = 0; n < 12; n++) {{
            new EventSource('http://{place.listen}/events?' + n);
            fetch('http://{place.listen}/events?f' + n, {{mode: 'no-cors'}});
        }}
        for (const tag of ['img', 'iframe', 'object'])
            document.body.append(Object.assign(document.createElement(tag), {{[tag == 'object' ? 'data' : 'src']: 'http://{place.listen}/events?' + tag}}));
        </script>""")
    started.append(evil)
    browser = Chromium(folder, None, evil.port)
    started.append(browser)
    page = browser.open("http://evil.test/page")
    heard = lambda: [e["params"]["response"] for e in browser.events if e["method"] == "Network.responseReceived"
                     and place.listen in e["params"]["response"]["url"]]
    wait_until(lambda: page.run("1") and len(heard()) >= 12, "it has been answered")
    assert {response["status"] for response in heard()} == {403}
    with watching(place) as watcher:
        assert watcher.event()["parts"], "there is a place for whom it is meant"
    page.run("document.querySelector('a').click()")

    def is_live() -> bool:
        try:
            return page.run("document.getElementById('live')?.textContent") == "live"
        except AssertionError as e:
            assert "navigated or closed" in str(e)  # it is on its way there
            return False

    wait_until(is_live, "the owner's own page is live")
    assert daemon.get("/v1/version").status == 200


def screenshot(page, file, width, height, scheme):
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    data = page.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
    file.write_bytes(base64.b64decode(data))
    wide, background = page.run("[document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]")
    assert wide <= width, "nothing has to be pushed sideways"
    assert file.stat().st_size > 5000
    return sum(map(int, re.findall(r"\d+", background)[:3])) > 3 * 128


def test_in_a_browser(whole, places, started, folder):
    """Both pages in one browser: nothing is asked of anybody else, values move without a reload, light and dark, phone and
    desktop; and readable where JavaScript is off."""
    browser = Chromium(folder, whole.root, whole.port)
    started.append(browser)
    pages = {role: browser.open(f"http://{place.listen}/") for role, place in places.items()}
    for page in pages.values():
        page.call("Log.enable")  # which tells of what came before, too
    cell = "document.querySelector('#domains td[data-l=Requests]').textContent"
    relay, agent = pages["relay"], pages["agent"]
    relay.run("window.mine = 1")
    before = int(relay.run(cell))
    for _ in range(3):
        assert whole.visit(target="/bytes/100000/1").status == 200
    wait_until(lambda: int(relay.run(cell)) == before + 3, "the number of requests moves")
    wait_until(lambda: "kB" in relay.run("document.querySelector('#traffic').textContent"), "the plot moves")
    wait_until(lambda: "kB" in agent.run("document.querySelector('#traffic').textContent"), "at home, too")
    assert relay.run("document.getElementById('live').textContent") == "live"
    assert relay.run("window.mine") == 1, "it is still the same page"
    for role, page in pages.items():
        for name, width, height in (("desktop", 1280, 1000), ("phone", 390, 844)):
            assert screenshot(page, folder / f"{role}-{name}-light.png", width, height, "light")
            assert not screenshot(page, folder / f"{role}-{name}-dark.png", width, height, "dark")
    asked = {event["params"]["request"]["url"] for event in browser.events if event["method"] == "Network.requestWillBeSent"}
    own = {f"http://{place.listen}{target}" for place in places.values() for target in ("/", "/events")} | {"data:,"}
    assert asked <= own
    assert not [event for event in browser.events if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]

    whole.agent.kill()
    wait_until(lambda: agent.run("document.getElementById('live').textContent").startswith("not live"), "it says so itself")
    wait_until(lambda: "down" in relay.run("document.querySelector('#domains .bad')?.textContent ?? ''"), "it turns bad")
    assert "seen to" in relay.run("document.title + document.getElementById('sum').textContent")
    screenshot(relay, folder / "relay-wrong.png", 1280, 1000, "light")
    relay.call("Emulation.setScriptExecutionDisabled", value=True)
    relay.open(f"http://{places['relay'].listen}/")
    relay.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
    (folder / "relay-no-javascript.png").write_bytes(base64.b64decode(
        relay.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]))
    tree = relay.call("Accessibility.getFullAXTree")["nodes"]
    said = " ".join(node["name"]["value"] for node in tree if "name" in node)
    for text in ("reload it", "Lanes", "Domains", "Certificates", "DNS", DOMAIN, "no lane of agent pi is up"):
        assert text in said
