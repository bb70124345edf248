"""README.md is run: every command in it, in its order, against real daemons; and what it says of them is looked at.

Each section with an indented block is tried here, or by another test that names its heading: blocks("## Heading"). A
command that no test knows fails the last tests of this file, so that the words cannot rot."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

from admin import Place
from daemon import Daemon
from dns_agent import DnsAgent
from dns_sim.cloudflare import Cloudflare
from pairing import Pairing
from path import path, user  # noqa: F401 (path is a fixture)
from pebble import Names, Pebble, pebbles  # noqa: F401 (a fixture)
from programs import BUILD, PATIENCE_S, ROOT, environment, need, program, run, wait_until
from sshd import Sshd
from test_certs_import import Authority, certbot
from visitor import context, connect
from website import Site
from words import Block, Words, displayed

README = Words.of_readme()
NAME = "sassy-cat-pics.com"
E2E, HERE = Path(__file__).parent, "here"

# What is run elsewhere: the command as it stands there, a file, and what has to be in that file.
ELSEWHERE = {
    "sh scripts/demo": (HERE, "test_the_demo"),
    "sh scripts/demo --dns": (HERE, "test_the_demo"),
    "sh scripts/test": (".ci/run", "sh scripts/test"),
    "sh scripts/setup build": (".ci/run", "sh scripts/test"),  # which begins with `sh scripts/setup test`, and build is its first part
    "sh scripts/deb --help": (HERE, "test_what_the_scripts_say"),
    "make deb": ("scripts/deb-try", "Tries the packages of build/deb/"),
    "make bench": ("scripts/bench", "accept"),
    "sh scripts/container": ("scripts/container-try", "sh scripts/container --try"),
    "sudo systemctl disable nginx": ("tests/e2e/test_lived_in.py", "nginx"),  # nothing of ours
    "make help": (HERE, "test_what_the_scripts_say"),
    "make uninstall": (HERE, "test_installed_and_taken_away"),
    "make MODE=release": (HERE, "test_installed_and_taken_away"),
    "sudo make MODE=release install": (HERE, "test_installed_and_taken_away"),
}
# Those in sentences that are run here: where, and what they have to end with (None: that is the machine's matter) and print.
IN_SENTENCES: dict[str, tuple[str, int | None, str]] = {
    "tunnelctl status": ("both", 0, "tunnel-"),
    "tunnelctl dns": ("home", 0, NAME),
    "tunnelctl dns providers": ("home", 0, "cloudflare"),
    "tunnelctl dns providers cloudflare": ("home", 0, "credential  dash.cloudflare.com"),
    "tunnelctl certs": ("vm", 0, NAME),
    "tunnelctl agents": ("vm", 0, f"{NAME} *.{NAME}"),
    "tunnelctl doctor": ("both", None, "pass  daemon"),
    "tunnelctl doctor --before": ("both", None, "pass"),
    f"tunnelctl add blog.{NAME} http://127.0.0.1:8080": ("home", 0, f"added blog.{NAME}"),
}
TRIED_HERE = {"Two commands", "Live in ten minutes", "Certificates", "With containers", "Dynamic DNS alone", "The status page",
              "Metrics", "The tree"}

SHIMS = {
    "sudo": 'exec "$@"\n',
    "apt": 'echo "$@" >>"$HOME/apt"\n',
    # In the test, /etc/tunnel is a folder of its own, and a file may get further lines that are the test's.
    "tee": 'for file; do :; done\nsed "s|/etc/tunnel|$ETC|g" | cat - $(ls "$file.more" 2>/dev/null) >"$HOME/teed"\n'
           'exec /usr/bin/tee "$@" <"$HOME/teed"\n',
    # What is in the container is on this machine.
    "podman": 'if [ "$1" = exec ]; then shift 2 && exec "$@"; fi\necho "$@" >>"$HOME/podman"\n',
    # The user of a package that is not installed here.
    "install": 'exec /usr/bin/install $(echo "$@" | sed "s/-g tunnel-agent//")\n',
}


class Typist:
    """Types commands on one of the machines, as a person does who has read the words."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon, self.home, self.etc = daemon, folder, folder / "etc"
        (folder / "bin").mkdir(parents=True)
        self.etc.mkdir()
        for name, text in SHIMS.items():
            (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}")
            (folder / "bin" / name).chmod(0o755)
        (folder / "bin" / "tunnelctl").symlink_to(program("tunnelctl"))
        self.words: dict[str, str] = {"/etc/tunnel": str(self.etc)}

    def type(self, command: str, code: int | None = 0, stdin: str = "") -> str:
        for word, other in self.words.items():
            command = command.replace(word, other)
        path = f"{self.home}/bin:{os.environ['PATH']}"
        done = subprocess.run(["sh", "-euc", command], cwd=self.home, input=stdin, text=True, capture_output=True, timeout=PATIENCE_S,
                              env=environment(PATH=path, HOME=str(self.home), ETC=str(self.etc), TUNNEL_SOCKET=str(self.daemon.socket)))
        assert code in (None, done.returncode), f"{command}\nended with {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def installed(self) -> list[str]:
        """The packages that apt was given."""
        return re.findall(r"\./build/deb/([a-z-]+)_\*\.deb", (self.home / "apt").read_text())

    def configure(self, **keys: object) -> None:
        """The sample as the package brings it, with the test's own places in its first section."""
        role = self.daemon.role
        sample = (ROOT / f"conf/{role}.ini").read_text()
        own = {"name": "e2e", "state_dir": self.daemon.state_dir, "control_socket": self.daemon.socket, **keys}
        if "; admin_listen =" in sample:
            own["admin_listen"] = ""
        lines = "".join(f"{key} = {value}\n" for key, value in own.items())
        self.daemon.conf = self.etc / f"{role}.ini"
        self.daemon.conf.write_text(sample.replace(f"[{role}]\n", f"[{role}]\n{lines}"))


class Machines(Pairing):
    """A VM and a house as the packages leave them: sample files, and nothing else. Its authority is Pebble."""

    def __init__(self, daemons: Callable[..., Daemon], started: list, folder: Path, pebbles: Callable[..., Pebble],  # noqa: F811
                 cloudflare: Cloudflare) -> None:
        self.folder = folder
        super().__init__(daemons, started, folder)
        self.pebble = pebbles(tls_port=self.port)
        self.site = Site()
        started.append(self.site)
        (folder / "public").mkdir()
        self.public = Names(folder / "public").start()  # what the house sees of DNS
        started.append(self.public)
        self.public.default("192.0.2.9")
        agent = daemons("agent")
        self.home = Typist(agent, folder / "home")
        self.home.configure(name="pi", resolvers=self.public.address)
        agent.start()
        keys = cloudflare.keys()
        self.token = Path(keys.pop("token_file")).read_text()
        (self.home.etc / "agent.d").mkdir()
        self._more(self.home.etc / "agent.d" / "cloudflare.ini", keys)
        self._more(self.vm.etc / "relay.ini", self.pebble.keys())
        self.home.words["http://127.0.0.1:80 "] = f"{self.site.url} "

    def _more(self, file: Path, keys: dict[str, Any]) -> None:
        Path(f"{file}.more").write_text("".join(f"{key} = {value}\n" for key, value in keys.items()))

    def configure_relay(self, further: str = "", **keys: object) -> None:
        self.vm = Typist(self.relay, self.folder / "vm")
        self.vm.configure(listen_https=f"127.0.0.1:{self.port}", listen_http="", lane_socket=self.lane_socket, lane_user=user(),
                          ssh_port=self.sshd.port, publish="127.0.0.1", workers=1)

    def page(self) -> str:
        done = subprocess.run([need("curl"), "-sS", "--cacert", self.pebble.root(), "--connect-to", f"::127.0.0.1:{self.port}",
                               f"https://{NAME}/"], capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def wait_record(self, state: str) -> None:
        wait_until(lambda: re.search(rf"{NAME} +A +{state} +127\.0\.0\.1 ", self.home.type("tunnelctl dns")), f"the record is {state}")

    def cert_state(self) -> str:
        sites = self.relay.get("/v1/status").json["domains"]
        return next((site["cert"]["state"] for site in sites if site["name"] == NAME), "none")


@pytest.fixture
def cloudflare(started: list, folder: Path) -> Cloudflare:
    started.append(Cloudflare(folder, NAME))
    return started[-1]


@pytest.fixture
def machines(daemons: Callable[..., Daemon], started: list, folder: Path, pebbles: Callable[..., Pebble],  # noqa: F811
             cloudflare: Cloudflare) -> Machines:
    return Machines(daemons, started, folder, pebbles, cloudflare)


# ---- live in ten minutes ----


def on_the_vm(m: Machines, block: Block) -> str:
    """Returns the token."""
    *before, invite = block.commands()
    for command in before:
        m.vm.type(command)
    assert set(m.vm.installed()) == {"tunnelctl", "tunnel-relay"}
    assert "email = you@example.com" in (m.vm.etc / "relay.ini").read_text()
    (line,) = m.vm.type(invite).splitlines()
    assert re.fullmatch(r"tunnelctl join [\w-]+", line)
    return line.split()[2]


def at_home(m: Machines, block: Block, token: str) -> None:
    m.home.words["TOKEN"] = token
    install, join, add = block.commands()
    m.home.type(install)
    assert set(m.home.installed()) == {"tunnelctl", "tunnel-agent"}
    assert "the lane is up" in m.home.type(join)
    assert f"added {NAME}" in m.home.type(add)
    m.wait_up(NAME)
    m.wait_record("manual")
    m.public.default("127.0.0.1")  # a person sets it
    m.wait_record("ok")


def the_name(m: Machines, block: Block, cloudflare: Cloudflare) -> None:
    provider, token, remove, add = block.commands()
    assert "[provider cloudflare]" in m.home.type(provider)
    m.home.type(token, stdin=m.token)
    m.home.type(remove)
    m.home.type(add)
    zone = cloudflare.zones[NAME]
    wait_until(lambda: zone.values(NAME, "A") == ["127.0.0.1"], "the record is there")
    m.wait_up(NAME)
    wait_until(lambda: m.cert_state() == "valid", "the certificate is there", 2 * PATIENCE_S)  # a first try may have failed between remove and add


def certificates(m: Machines, block: Block) -> None:
    """With a certificate of another program for a site that the relay does not have yet."""
    shown, renew, imported = block.commands()
    assert re.search(rf"^\s*{NAME} .* valid ", m.vm.type(shown), re.M)
    before = m.pebble.issued()
    assert m.vm.type(renew).startswith(f"{NAME}: valid, from acme, good for ") and m.pebble.issued() == before + 1
    (m.folder / "pki").mkdir()
    authority = Authority(m.folder / "pki")
    m.vm.words["/etc/letsencrypt"] = str(certbot(m.folder / "letsencrypt", authority, NAME, authority.issue(NAME, days=300)))
    assert NAME in m.vm.type(imported)


def in_sentences(m: Machines) -> None:
    known = {each.command for each in README.inline()}
    for command, (where, code, says) in IN_SENTENCES.items():
        assert command in known, f"README.md has no {command} any more"
        for machine in {"both": [m.vm, m.home], "vm": [m.vm], "home": [m.home]}[where]:
            assert says in machine.type(command, code), command


def doctors(m: Machines) -> None:
    """All is well but that visitors would have to come to ports 443 and 80; how this machine is, is its own matter."""
    ours = {"daemon:", "configuration:", "lane", "authority:", "port:", "lanes:", "house:", "service:", "certificate:", "DNS:"}
    for machine in (m.vm, m.home):
        said = machine.type("tunnelctl doctor", None)
        assert not ours & {line.split()[1] for line in said.splitlines() if line.startswith("  fail ")}, said


def test_live_in_ten_minutes(machines: Machines, cloudflare: Cloudflare) -> None:
    """The section, top to bottom; and with what it has made, that of certificates and the commands in sentences."""
    build, vm, home, name = README.section("Live in ten minutes")
    assert build.commands() == ["sh scripts/setup build", "make deb"]
    assert [block.lead for block in (vm, home, name)] == ["On the VM", "At home", "The name"]
    at_home(machines, home, on_the_vm(machines, vm))
    the_name(machines, name, cloudflare)
    assert machines.page().startswith("GET / HTTP/1.1")
    (block,) = README.section("Certificates")
    certificates(machines, block)
    assert machines.page().startswith("GET / HTTP/1.1")
    doctors(machines)
    in_sentences(machines)


# ---- dynamic DNS alone ----


def test_dynamic_dns_alone(daemons: Callable[..., Daemon], folder: Path, cloudflare: Cloudflare) -> None:
    ini, commands = README.section("Dynamic DNS alone")
    home = Typist(daemons("agent"), folder / "home")
    keys = cloudflare.keys()
    shutil.copy(keys.pop("token_file"), home.etc / "cloudflare.token")
    text = ini.text.replace("/etc/tunnel", str(home.etc))
    home.daemon.conf = home.etc / "agent.ini"
    home.daemon.conf.write_text(text)
    done = run("tunnel-agent", "-c", home.daemon.conf, "--check")
    assert (done.code, done.err) == (0, ""), done
    own = f"state_dir = {home.daemon.state_dir}\ncontrol_socket = {home.daemon.socket}\nresolvers = 127.0.0.1:1\n"
    own += "admin_listen =\n" if "; admin_listen =" in (ROOT / "conf/agent.ini").read_text() else ""
    more = "".join(f"{key} = {value}\n" for key, value in keys.items())
    text = text.replace("name = pi\n", f"name = pi\n{own}").replace("type       = cloudflare\n", f"type       = cloudflare\n{more}")
    home.daemon.configure(f"{text}\n[address]\nsources = fixed:192.0.2.1\n")
    home.daemon.start()
    zone = cloudflare.zones[NAME]
    wait_until(lambda: zone.values(NAME, "A") == zone.values(f"www.{NAME}", "A") == ["192.0.2.1"], "both records are there")
    providers, one, dry, shown = commands.commands()
    kinds = [line for line in home.type(providers).splitlines()[1:] if line.startswith("  ")]
    assert len(kinds) > 20 and "over 20 kinds" in "\n".join(README.lines)
    assert "least" not in home.type(one) and "limited to the one zone" in home.type(one)
    wait_until(lambda: "0 records to be changed" in home.type(dry), "all is as it should be")
    assert re.search(rf"^\s*{NAME} +A +ok +192\.0\.2\.1 +192\.0\.2\.1 ", home.type(shown), re.M)


# ---- with containers ----


def test_with_containers(machines: Machines) -> None:
    """What is typed into the containers, without containers; scripts/container-try starts these, with the same volumes."""
    m, (build, vm, home) = machines, README.section("With containers")
    assert build.commands() == ["sh scripts/container"]
    ini, run_, invite = vm.commands()
    m.vm.type(ini)
    done = run("tunnel-relay", "-c", m.vm.home / "relay.ini", "--check")
    assert (done.code, done.err) == (0, "")
    m.vm.type(run_)
    m.vm.words["relay.example.net"] = "127.0.0.1"
    m.home.words["TOKEN"] = m.vm.type(invite).split()[-1]
    m.home.words["http://127.0.0.1:80"] = m.site.url
    run_, join, add = home.commands()
    for command in (run_, join, add):
        m.home.type(command)
    m.wait_up(NAME)
    tried = (ROOT / "scripts/container-try").read_text()
    for machine, side in ((m.vm, "relay"), (m.home, "agent")):
        words = (machine.home / "podman").read_text().replace(str(machine.etc), "/etc/tunnel").split()
        assert words[0] == "run" and words[-1] == f"tunnel-{side}"
        for before, word in zip(words, words[1:]):
            assert before != "-v" or word.split(":", 1)[1] in tried, f"scripts/container-try has no volume {word}"


# ---- metrics ----


@pytest.mark.parametrize("section, shows", [("Metrics", "# TYPE tunnel_"), ("The status page", "<h2>Domains</h2>")])
def test_from_elsewhere(daemons: Callable[..., Daemon], started: list, folder: Path, sshd: Sshd, section: str,
                        shows: str) -> None:
    (block,) = README.section(section)
    forward, *ask = block.commands()
    forward = forward.removesuffix(" &") + " &"
    ask = ask or ["curl http://127.0.0.1:9180/"]  # what a browser does then
    here, there = Place(), Place()
    started.extend([here, there])
    relay = daemons("relay", admin_listen=there.listen).start()
    vm = Typist(relay, folder / "typist")
    *options, host = sshd.command()
    (vm.home / "bin" / "ssh").write_text(f'#!/bin/sh\nexec {shlex.join(map(str, options))} "$@"\n')
    (vm.home / "bin" / "ssh").chmod(0o755)
    vm.words = {"9180:127.0.0.1:9180": f"{here.port}:{there.listen}", "relay.example.net &": f"{host} & pid=$!;",
                "curl http://127.0.0.1:9180": f"curl --retry 60 --retry-connrefused --retry-delay 1 http://{here.listen}"}
    said = vm.type(f"trap 'kill $pid' EXIT\n{forward}\n{ask[0]}")
    assert shows in said


# ---- by what you see ----


def row(sees: str) -> str:
    (line,) = [line for line in README.lines if line.startswith("| ") and sees in line]
    return line


def quoted(sees: str) -> list[str]:
    return re.findall(r'"([^"]+)"', row(sees).split(" | ")[0])


def test_pages_by_what_you_see(path) -> None:  # noqa: F811
    """The rows of the table quote the pages; here are those pages."""
    assert path.visit("GET", "/").status == 200

    path.agent.stop()
    reply = wait_until(lambda: (r := path.visit("GET", "/")).status == 503 and r, "the house is away")
    (says,) = quoted("| 503, ")
    assert says.encode() in reply.body.data
    path.agent.conf.write_text(path.agent.conf.read_text().replace(path.site.url, "http://127.0.0.1:1") + "max_body = 10\n")
    path.start_agent()
    path.wait_up()

    reply = path.visit("GET", "/")
    refused, unreachable = quoted("| 502, ")
    assert reply.status == 502 and refused.encode() in reply.body.data
    done = run("tunnelctl", "--socket", path.agent.socket, "status")
    assert done.code == 1 and "refused" in done.out
    pages = (ROOT / "relay/edge/exchange_ended.c").read_text()
    assert unreachable in pages and quoted("| 504, ")[0] in pages

    reply = path.visit("POST", "/", body=b"x" * 11)
    assert reply.status == 413 and re.search(r'says "(.*?)"', row("413"))[1].encode() in reply.body.data

    (says,) = quoted("| 404, ")
    with path.visitor(host="other.test") as visitor:  # a name that no certificate of ours is for
        assert visitor.ask("GET", "/").status in (404, 421)
    assert says in pages
    with pytest.raises(OSError, match="UNRECOGNIZED_NAME|unrecognized name"):
        connect(path.port, context(path.root), "other.test").close()


def test_a_new_host_key_by_what_you_see(machines: Machines) -> None:
    """What is seen, and that a new invitation is the remedy."""
    m, (says,) = machines, quoted("at home, and another one")

    def pair() -> None:
        m.home.words["TOKEN"] = m.vm.type("sudo tunnelctl invite pi --domains a.test").split()[-1]
        assert "the lane is up" in m.home.type("sudo tunnelctl join TOKEN")

    pair()
    m.sshd.process.terminate()
    m.sshd.process.wait(PATIENCE_S)
    (m.sshd.folder / "host_key").unlink()
    m.sshd.new_key("host_key")
    m.sshd.start_again()
    m.vm.type("sudo tunnelctl revoke pi")  # or the sessions that are there would go on
    wait_until(lambda: says in m.home.type("tunnelctl status || true"), "the agent has seen the new key")
    pair()


# ---- what is around it ----


def outside_make() -> dict[str, str]:
    """The tests may have been started by a make, with settings that are not for the next one."""
    return {key: value for key, value in environment().items() if not key.startswith(("MAKE", "MFLAGS"))}


@pytest.mark.parametrize("how", [["--once"], ["--dns", "--once"]], ids=" ".join)
def test_the_demo(how: list[str]) -> None:
    """As the words have it, but that it ends by itself. It builds nothing here, because make finds all of it built."""
    if BUILD.resolve() != ROOT / "build/debug":
        pytest.skip("the demo runs what `make` builds, which is not what is tested here")
    done = subprocess.run(["sh", "scripts/demo", "--no-setup", *how], cwd=ROOT, capture_output=True, text=True,
                          timeout=PATIENCE_S * 3, env=outside_make())
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_scripts_say() -> None:
    assert "arm64" in subprocess.run(["sh", "scripts/deb", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, env=outside_make()).stdout
    assert "install" in said and "bench" in said


def test_installed_and_taken_away(folder: Path) -> None:
    """By this build, whichever it is: what differs from release are the flags of the compiler."""
    mode = BUILD.resolve().name
    if BUILD.resolve() != ROOT / "build" / mode or mode not in ("debug", "asan", "tsan", "release"):
        pytest.skip("no build of make's")

    def make(target: str) -> None:
        done = subprocess.run(["make", "-s", f"MODE={mode}", f"DESTDIR={folder}", target], cwd=ROOT, capture_output=True, text=True,
                              timeout=PATIENCE_S * 5, env=outside_make())
        assert done.returncode == 0, done.stdout + done.stderr

    make("install")
    assert {"relay.ini", "agent.ini"} <= {file.name for file in (folder / "usr/local/share/doc/tunnel/examples").iterdir()}
    for name in ("sbin/tunnel-relay", "sbin/tunnel-agent", "bin/tunnelctl", "libexec/tunnel-lane"):
        assert subprocess.run([folder / "usr/local" / name, "--help"], capture_output=True, timeout=PATIENCE_S).returncode == 0
    for page in (ROOT / "conf/man").iterdir():
        assert (folder / f"usr/local/share/man/man{page.name[-1]}" / page.name).exists(), f"{page.name} is not installed"
    make("uninstall")
    assert [file for file in folder.rglob("*") if not file.is_dir()] == []


def test_the_tree() -> None:
    (tree,) = README.section("The tree")
    for line in tree.text.splitlines():
        assert (ROOT / line.split()[0]).is_dir(), line
    assert (ROOT / "shared/ctl").is_dir()


def test_manual_pages_are_there() -> None:
    pages = {page.name.rpartition(".")[0] for page in (ROOT / "conf/man").iterdir()}
    for each in README.inline():
        if each.command.startswith("man "):
            assert each.command.split()[1] in pages, f"README.md:{each.line}"


# ---- nothing is left out ----


def tried_by(section: str) -> list[Path]:
    """Other tests that read this section: they name its heading."""
    heading = re.compile(rf'"#+ {re.escape(section)}"')
    return [file for file in E2E.glob("test_*.py") if file != Path(__file__) and heading.search(file.read_text())]


def test_each_section_is_tried() -> None:
    for block in README.blocks():
        assert block.section in TRIED_HERE or tried_by(block.section), \
            f"README.md:{block.line}: no test runs the block of {block.section!r}; one that does has to name that heading"


def test_each_command_is_run() -> None:
    for command, (file, text) in ELSEWHERE.items():
        there = text in globals() if file == HERE else text in (ROOT / file).read_text()
        assert there, f"{command}: {file} has no {text!r} any more"
    for each in README.inline():
        here = each.command in IN_SENTENCES or each.command in ELSEWHERE or each.command.startswith("man ")
        assert here or any(each.command.removeprefix("sudo ") in file.read_text() for file in tried_by(each.section)), \
            f"README.md:{each.line}: no test runs {each.command!r}; see IN_SENTENCES and ELSEWHERE"
    for section in ("Two commands", "Live in ten minutes"):
        for command in README.section(section)[0].commands():
            assert command in ELSEWHERE, f"no test runs {command!r}"


EXAMPLES = {
    "tunnelctl.1": [f'tunnelctl invite pi --domains "{NAME} *.{NAME}"', "sudo tunnelctl join AQDFc2..."],
    "relay.ini.5": [f"[domain {NAME}]\nupstream = 127.0.0.1:1337\naliases  = www.{NAME}"],
}


@pytest.mark.parametrize("page", sorted(page.name for page in (ROOT / "conf/man").iterdir()))
def test_examples_of_the_manual(page: str, folder: Path) -> None:
    """Commands are those of README.md, which are run above; ini sections are accepted by the daemon."""
    examples = displayed(f"conf/man/{page}")
    assert examples == EXAMPLES.get(page, []), f"{page} has other examples than this test runs"
    for example in examples:
        if example.startswith("["):
            (folder / "x.ini").write_text(example)
            role = "agent" if page == "agent.ini.5" else "relay"
            done = run(f"tunnel-{role}", "-c", folder / "x.ini", "--check")
            assert done.code == 0, done
        else:
            words = example.replace("AQDFc2...", "TOKEN")
            assert any(words in block.text for block in README.blocks()), f"{page}: {example}"


# ---- what all other words name ----

PAGES = sorted(page.relative_to(ROOT) for page in (ROOT / "conf/man").iterdir())
OTHER_WORDS = [Path("CONTRIBUTING.md"), Path("CHANGELOG.md"), Path("conf/relay.ini"), Path("conf/agent.ini"), *PAGES]


def named(text: str, tool: str) -> list[str]:
    """What is called by its command: in backquotes, in bold, behind .Ic, .Dl and .Ql, and as what is to be run."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    quoted_ = [" ".join(each.split()) for each in re.findall(r"`([^`]+)`|\\fB([^\\]+)\\fR|^\.(?:Ic|Dl|Ql) (.+)$|run: ([\w -]+)", text, re.M)
               for each in each if each]
    return [found[1] for each in quoted_ if (found := re.match(rf"(?:sudo )?{tool}(\S.*)", each))]


def test_commands_that_are_named_are_there() -> None:
    """Of tunnelctl, in all the words and in what the programs say themselves."""
    there = set(re.findall(r"^  ([a-z]+) ", run("tunnelctl", "--help").out, re.M))
    assert {"status", "add", "dns"} <= there
    sources = [path.relative_to(ROOT) for side in ("relay", "agent", "shared") for path in (ROOT / side).rglob("*.c")]
    for page in [*OTHER_WORDS, Path("README.md"), *sources]:
        text = (ROOT / page).read_text()
        spoken = re.findall(r"(?:run:?|see|with|by|use) tunnelctl ([a-z]+)", text) if page.suffix == ".c" else named(text, "tunnelctl ")
        for words in spoken:
            first = re.sub(r"^(--?\S+( \S+\.sock)? )*", "", words).split()
            assert not first or not first[0].isalpha() or first[0] in there or first[0] == "TOKEN", f"{page} names tunnelctl {words}"


def test_targets_and_scripts_that_are_named_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in [*OTHER_WORDS, Path("README.md")]:
        text = (ROOT / page).read_text()
        for words in named(text, "make "):
            for word in [word for word in words.split() if re.fullmatch(r"[a-z-]+", word)][:1]:
                assert word in targets, f"{page} names make {words}"
        for words in named(text, "sh "):
            assert (ROOT / words.split()[0]).is_file() or not words.startswith("scripts/"), f"{page} names sh {words}"
