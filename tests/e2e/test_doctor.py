"""tunnelctl doctor: real faults of the whole path, and each named by the end that can see it, with its own remedy.

What cannot be had on one machine (an address of Cloudflare, an account that a test may not lock) is in the tables of
tests/unit/*/doctor, as all of these are."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

import pytest

from authority import authorities, loopback  # noqa: F401 (a fixture)
from clock import Clock
from daemon import Daemon
from disk import fill, tiny_disks  # noqa: F401 (a fixture)
from netns import Hosts, nat_tool, require_netns, sh
from path import DOMAIN, LIKE_A_VM, WholePath, new_key, path, user  # noqa: F401 (a fixture)
from programs import PATIENCE_S, Result, limit, need, program, run, wait_until
from sshd import Sshd
from test_preflight import listening, proxy
from website import Site
from x509 import make_pair


class Step(NamedTuple):
    about: str
    step: str
    state: str
    text: str
    remedy: str


class Report:
    def __init__(self, done: Result) -> None:
        assert not done.err, done.err
        self.code, reply = done.code, json.loads(done.out)
        self.role, self.state = reply["role"], reply["state"]
        self.steps = [Step(s["about"], s["step"], s["state"], s["text"], s["remedy"] or "") for s in reply["steps"]]
        worst = {s.state for s in self.steps}
        assert self.state == ("fail" if "fail" in worst else "warn" if "warn" in worst else "pass")
        assert all(bool(s.remedy) == (s.state != "pass") and "\n" not in s.text + s.remedy for s in self.steps), self.steps

    def says(self, state: str, step: str, text: str, remedy: str = "", about: str | None = None) -> bool:
        return any(s.state == state and s.step == step and text in s.text and remedy in s.remedy and about in (None, s.about)
                   for s in self.steps)

    def named(self, *fault: Any, **more: Any) -> None:
        assert self.says(*fault, **more), (fault, more, self.steps)


def doctor(at: Daemon | None, *args: object, code: int | None = None, **how: Any) -> Report:
    report = Report(run("tunnelctl", *(["--socket", at.socket] if at else []), "--json", "doctor", *args, **how))
    assert report.code == (code if code is not None else int(report.state == "fail")), report.steps
    return report


# ---- the whole path: services, DNS, ports, certificates, sshd ----


class Sick(WholePath):
    """A relay where the world looks for it. a.test is well; each other site has a fault, and its name."""

    def __init__(self, deaf: Deaf, address: Callable[[int], str], expired: Any, *where: Any, **how: Any) -> None:
        self.deaf, self.host, self.expired = deaf, address(1), expired
        super().__init__(*where, **{**listening(address(1)), "publish": f"{address(1)} {address(4)} {address(5)}"}, **how)

    def start_relay(self) -> None:
        self.relay.conf.write_text(
            self.relay.conf.read_text() +
            f"[acme]\ndirectory = https://127.0.0.1:1/directory\nresolvers = {self.agent_keys['resolvers']}\n"
            f"[domain expired.test]\nupstream = 127.0.0.1:1\ncert_file = {self.expired.cert}\nkey_file = {self.expired.key}\n")
        super().start_relay()

    def _agent_ini(self, agent: Daemon, folder: Path) -> str:
        return super()._agent_ini(agent, folder).replace("service = ", "dns = manual\nservice = ")


class Deaf:
    """Takes connections, and says nothing."""

    title = "the silent service"

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"

    def log(self) -> str:
        return ""

    def end(self) -> None:
        self.server.close()


class Distrustful(Deaf):
    """As Home Assistant: a request that came through a proxy is answered 400, unless that one is in trusted_proxies."""

    title = "the service that trusts no proxy"

    def __init__(self, status: str = "400 Bad Request") -> None:
        super().__init__()
        self.status = status.encode()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                with self.server.accept()[0] as s:
                    head = s.recv(65536)
                    s.sendall(b"HTTP/1.1 " + self.answer(head.lower()) + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def answer(self, head: bytes) -> bytes:
        return self.status if b"x-forwarded-for" in head else b"200 OK"


class Answers(Distrustful):
    """The same status and fields to whoever asks; with known, only by names other than this one."""

    title = "the service that answers one thing"
    known = b""

    def answer(self, head: bytes) -> bytes:
        return self.status if self.known not in head or not self.known else b"200 OK"


class ByIPv6(Answers):
    def __init__(self) -> None:
        super().__init__("200 OK")
        self.v6 = socket.create_server(("::1", int(self.url.rpartition(":")[2])), family=socket.AF_INET6)
        self.server.shutdown(socket.SHUT_RDWR)  # somebody waits for visitors in it, and would keep it


def test_services_that_visitors_cannot_use(daemons, started, folder) -> None:
    forbids, strange = Distrustful("403 Forbidden"), Answers("421 Misdirected Request")
    strange.known = b"host: localhost\r\n"
    circle, home = Answers("301 Moved\r\nLocation: https://circle.test/"), Answers("302 Found\r\nLocation: http://10.0.0.7:8123/x")
    closed, v6 = Answers("403 Forbidden"), ByIPv6()
    services = {"forbids.test": forbids, "strange.test": strange, "circle.test": circle, "home.test": home, "closed.test": closed,
                "v6.test": v6}
    started += services.values()
    house = WholePath(daemons, started, folder, services={name: s.url for name, s in services.items()})
    report = doctor(house.agent)
    report.named("fail", "service", "answers 403 to requests with proxy headers", "trusted_proxies", about="forbids.test")
    report.named("fail", "service", "answers 421 to GET / for strange.test, and 200 for localhost", "server_name", about="strange.test")
    report.named("fail", "service", "in a circle", "X-Forwarded-Proto", about="circle.test")
    report.named("warn", "service", "redirects visitors to http://10.0.0.7:8123/x", "https://home.test", about="home.test")
    report.named("warn", "service", "answers 403 to GET /", "index page", about="closed.test")
    report.named("fail", "service", "but somebody does at [::1]:", "service of [domain v6.test]", about="v6.test")
    house.close()


@pytest.fixture
def sick(daemons, started, folder, authorities) -> Iterator[Sick]:  # noqa: F811
    address = loopback()
    relay, closed, balancer, shut80, shut443 = (address(i) for i in (1, 2, 3, 4, 5))
    (bind,) = authorities({"a.test": f"@ A {relay}", "refused.test": f"@ A {relay}", "silent.test": f"@ A {relay}",
                           "distrust.test": f"@ A {relay}", "expired.test": f"@ A {relay}", "wrong.test": f"@ A {closed}",
                           "proxied.test": f"@ A {balancer}", "stale.test": f"@ A {relay}\n@ AAAA 2001:db8::9",
                           "shut80.test": f"@ A {shut80}", "shut443.test": f"@ A {shut443}"})
    deaf, distrustful = Deaf(), Distrustful()
    started += [deaf, distrustful]
    services = {"refused.test": "http://127.0.0.1:1", "silent.test": deaf.url, "distrust.test": distrustful.url,
                **{f"{name}.test": distrustful.url for name in ("wrong", "proxied", "stale", "shut80", "shut443")}}
    made = Sick(deaf, address, make_pair(folder, "expired", ["expired.test"], days=-1), daemons, started, folder, services=services,
                agent_keys={"resolvers": bind.address})
    with proxy(balancer, relay), proxy(shut80, relay, (443,)), proxy(shut443, relay, (80,)):
        yield made
    made.close()


def test_the_whole_path(sick: Sick) -> None:
    house = doctor(sick.agent)
    house.named("fail", "service", "nobody listens at http://127.0.0.1:1", "start the service", about="refused.test")
    house.named("fail", "service", "is silent", "curl -m 5", about="silent.test")
    house.named("fail", "service", "answers 400 to requests with proxy headers", "trusted_proxies: [127.0.0.1]", about="distrust.test")
    house.named("fail", "DNS", "wrong.test is at the wrong address", f"wrong.test A {sick.host}", about="wrong.test")
    house.named("fail", "DNS", "stale AAAA record: it leads to 2001:db8::9", "delete the AAAA record", about="stale.test")
    house.named("warn", "outside", "port 80 of", "ufw allow 80/tcp", about="shut80.test")
    house.named("fail", "outside", "port 443 of", "ufw allow 443/tcp", about="shut443.test")
    house.named("pass", "lanes", "1 of 1 are up")
    assert house.says("pass", "service", "answers 200", about=DOMAIN) and house.code == 1

    well = doctor(sick.agent, DOMAIN, code=0)  # what others lack does not concern it
    assert {s.about for s in well.steps} == {"", "relay e2e", DOMAIN}
    well.named("pass", "outside", f"port 443 of {sick.host} is open, seen from this house")
    refused = run("tunnelctl", "--socket", sick.agent.socket, "doctor", "none.test")
    assert refused.code == 1 and "no [domain none.test]" in refused.err

    vm = doctor(sick.relay)
    vm.named("fail", "authority", "the CA of [acme] cannot be reached at https://127.0.0.1:1/directory", "curl -I")
    vm.named("fail", "certificate", "the certificate has expired", "cert_file of [domain expired.test]", about="expired.test")
    vm.named("warn", "DNS", "proxied.test is proxied", "trusted_proxies", about="proxied.test")
    vm.named("fail", "DNS", "wrong.test is at the wrong address", f"wrong.test A {sick.host}")
    vm.named("fail", "DNS", "stale AAAA record", "delete the AAAA record 2001:db8::9")
    vm.named("fail", "outside", "port 80 of", "ufw allow 80/tcp", about="shut80.test")
    vm.named("fail", "outside", "port 443 of", "ufw allow 443/tcp", about="shut443.test")
    vm.named("pass", "outside", f"port 443 of {sick.host} leads here, as agent pi sees it", about=DOMAIN)
    vm.named("pass", "lane socket", "is there")

    sick.lane_socket.unlink()
    text = run("tunnelctl", "--socket", sick.relay.socket, "doctor", DOMAIN)
    assert text.code == 1 and "the lane socket" in text.out and "remedy: start the relay again" in text.out, text

    # It ends with the daemon, and nobody gets in its way meanwhile.
    deaf = sick.deaf.server
    deaf.settimeout(PATIENCE_S)
    with socket.socket(socket.AF_UNIX) as first:
        first.settimeout(PATIENCE_S)
        first.connect(str(sick.agent.socket))
        drain(deaf)
        asked = time.monotonic()
        first.sendall(b"GET /v1/doctor?domain=silent.test HTTP/1.1\r\nHost: x\r\n\r\n")
        deaf.accept()[0].close()
        assert sick.agent.get("/v1/doctor").status == 409 and sick.agent.get("/v1/version").status == 200
        began = time.monotonic()
        sick.agent.stop()
        assert time.monotonic() - began < limit(5)
        assert b" 503 " in first.recv(65536) or began - asked > 3  # it had said all by then


def drain(server: socket.socket) -> None:
    """Who waits there is forgotten."""
    server.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
    server.settimeout(PATIENCE_S)


SETTINGS = [
    ("DisableForwarding yes", "fail", "DisableForwarding is yes", "DisableForwarding no"),
    ("AllowUsers somebody", "fail", "AllowUsers (somebody) is without", "to AllowUsers"),
    ("GatewayPorts yes", "warn", "open to the network", "GatewayPorts no"),
    ("PubkeyAcceptedAlgorithms rsa-sha2-512", "fail", "is without ssh-ed25519", "PubkeyAcceptedAlgorithms +ssh-ed25519"),
    ("KexAlgorithms sntrup761x25519-sha512@openssh.com", "fail", "nothing that agents speak", "add curve25519-sha256"),
    ("ChrootDirectory /var/empty", "fail", "ChrootDirectory is set", "ChrootDirectory none"),
    (f"Match User {user()}\nAuthorizedKeysFile .ssh/of_nobody", "fail", "does not ask tunnel-lane which keys", "Include /etc/ssh/sshd_config.d/*.conf"),
    ("ClientAliveInterval 0", "warn", "ClientAliveInterval is unset", "ClientAliveInterval 15"),
    (f"Match User {user()}\nAllowTcpForwarding no", "fail", "AllowTcpForwarding is no", "AllowTcpForwarding remote"),
]


ELSEWHERE = "Match Address *,!127.0.0.0/8\nAllowTcpForwarding no"


def test_sshd_has_other_settings_for_who_comes_from_elsewhere(daemons, started, folder) -> None:
    """No agent has been here, so it is asked for an address that is nobody's."""
    sshd = Sshd(folder, LIKE_A_VM + ELSEWHERE)
    keys = folder / "authorized_keys"
    keys.write_text(f'command="exec tunnel-lane pi" {keys.read_text()}')
    started.append(sshd.start())
    doctor(daemons("relay", lane_user=user(), ssh_port=sshd.port).start()).named(
        "fail", "sshd settings", "AllowTcpForwarding is no for who comes from 192.0.2.1", "AllowTcpForwarding remote")


def test_a_clock_ahead(path: WholePath, folder) -> None:  # noqa: F811
    """Two days, and the relay knows better."""
    clock = Clock(folder)
    path.agent.stop()
    path.agent.start(env=clock.environment)
    wait_until(lambda: path.agent.get("/v1/status").json["relays"][0]["state"] == "up", "a lane is up")
    assert doctor(path.agent).says("pass", "clock", "UTC")
    clock.jump(2 * 86400)
    doctor(path.agent).named("warn", "clock", "s ahead of that of relay e2e", "timedatectl set-ntp true")


def restart_sshd(path: WholePath, further: str) -> None:  # noqa: F811
    """With other settings, on the same port; sessions that are there stay."""
    path.sshd.end()
    path.sshd.further = LIKE_A_VM.replace("MaxStartups 100\n", "") + further
    path.sshd.start_again()


def end_sessions(path: WholePath) -> None:  # noqa: F811
    for session in path.sessions():
        with contextlib.suppress(ProcessLookupError):
            os.kill(session.sshd, signal.SIGTERM)


def wait_failed(agent: Daemon, at: str) -> None:
    """Its lane, in this step; a session that began before is over."""
    wait_until(lambda: (lane := agent.get("/v1/status").json["relays"][0]["lanes"][0])["failed_at"] == at
               and lane["state"] == "dead", f"a session fails at {at}")


def test_the_way_in(path: WholePath) -> None:  # noqa: F811
    """sshd's settings as the relay's side sees them, and what they do to the agent's sessions."""
    for further, state, text, remedy in SETTINGS:
        restart_sshd(path, further)
        doctor(path.relay, DOMAIN).named(state, "sshd settings", text, remedy)
    end_sessions(path)  # forwarding is what the last one refuses
    wait_failed(path.agent, "forward")
    doctor(path.agent).named("fail", "forward", "sshd opens no port", "AllowTcpForwarding remote")

    restart_sshd(path, "AllowUsers somebody")
    wait_failed(path.agent, "login")
    doctor(path.agent).named("fail", "login", "let in before", "tunnelctl invite pi")

    restart_sshd(path, "MaxStartups 1:100:1")
    with wait_until(lambda: only_caller(path.sshd.port), "sshd has nobody else at its door"):
        doctor(path.relay, DOMAIN).named("fail", "sshd settings", "MaxStartups is reached", "100:30:200")
        doctor(path.agent).named("fail", "port", "turns callers away", "MaxStartups 100:30:200")

    for suffix in ("", ".pub"):
        (path.sshd.folder / f"host_key{suffix}").unlink()
    path.sshd.new_key("host_key")
    restart_sshd(path, "")
    wait_failed(path.agent, "hostkey")
    doctor(path.agent).named("fail", "host key", "the host key has changed", "host_key of [relay e2e]")


def only_caller(port: int) -> socket.socket | None:
    s = socket.create_connection(("127.0.0.1", port))
    if s.recv(4) == b"SSH-":
        return s
    s.close()
    return None


# ---- an agent that does not come as far ----


def reconfigured(agent: Daemon, old: str, new: str) -> None:
    text = agent.conf.read_text()
    assert old in text
    agent.conf.write_text(text.replace(old, new))
    assert agent.post("/v1/reload").status == 200


def test_keys_and_ports(daemons, started, folder) -> None:
    address = loopback()
    need_low_ports()
    here, nobody = address(1), address(2)
    house = WholePath(daemons, started, folder, ssh_on_https="on", listen_https=f"{here}:443", listen_http=f"{here}:80", publish=here)
    reconfigured(house.agent, "host = 127.0.0.1", f"host = {here}")  # sshd listens on 127.0.0.1 alone; 443 leads to it
    wait_until(lambda: house.agent.get("/v1/status").json["relays"][0]["state"] == "up", "a lane is up by port 443")
    report = doctor(house.agent, DOMAIN)
    report.named("warn", "port", f"port {house.sshd.port} of {here} is closed", f"open port {house.sshd.port}", about="relay e2e")
    report.named("pass", "lanes", "1 of 1 are up")

    reconfigured(house.relay, (folder / "agent_key.pub").read_text().strip(), new_key(folder, "other_key"))
    wait_failed(house.agent, "login")
    doctor(house.agent, DOMAIN).named("fail", "login", "it was revoked at the relay", "tunnelctl invite pi")

    reconfigured(house.agent, f"key_file = {folder}/agent_key", f"key_file = {unknown_key(folder)}")
    wait_failed(house.agent, "login")
    doctor(house.agent).named("fail", "login", "not enrolled at the relay", "tunnelctl invite pi")

    reconfigured(house.agent, f"host = {here}", f"host = {nobody}")
    doctor(house.agent).named("fail", "port", f"neither port {house.sshd.port} nor port 443 of {nobody}", "or 443")
    house.close()


def unknown_key(folder: Path) -> Path:
    new_key(folder, "unknown_key")
    return folder / "unknown_key"


def need_low_ports() -> None:
    if os.geteuid() != 0:
        pytest.skip("ports below 1024 need root")


PRIVATE_FILES = 'exec unshare -m sh -c \'mount --make-rprivate / && mount --bind "$RESOLV" /etc/resolv.conf && exec "$0" "$@"\' "$0" "$@"'


def test_a_sick_machine(daemons, folder, authorities, tiny_disks) -> None:  # noqa: F811
    """A Pi without a clock, a name server, or room on its card; and what tunnelctl sees by itself."""
    need("unshare")
    (bind,) = authorities({"a.test": ""})
    nobody = bind.address.rpartition(".")[0] + ".254"
    resolv, clock = folder / "resolv.conf", Clock(folder, at=1000.0)
    resolv.write_text(f"nameserver {nobody}\noptions timeout:1 attempts:1\n")
    new_key(folder, "key")
    agent = daemons("agent")
    tiny_disks(agent.state_dir)
    well = (f"[agent]\nstate_dir = {agent.state_dir}\ncontrol_socket = {agent.socket}\n[relay fra1]\nhost = relay.a.test\n"
            f"key_file = {folder}/key\nhost_key = ssh-ed25519 SHA256:{'A' * 42}A\n")
    agent.conf.write_text(well)
    agent.start(env={**clock.environment, "RESOLV": str(resolv)}, shell=PRIVATE_FILES)
    filler = fill(agent.state_dir)
    (folder / "key").chmod(0o644)

    report = doctor(agent)
    report.named("fail", "clock", "1970-01-01", "timedatectl set-ntp true")
    report.named("fail", "name", "no name server answers", "/etc/resolv.conf", about="relay fra1")
    report.named("fail", "disk", "the disk is full", "make room")
    report.named("fail", "configuration", f"{folder}/key has mode 0644", f"chmod 600 {folder}/key")
    report.named("fail", "secrets", "has mode 0644", f"chmod 600 {folder}/key")

    resolv.write_text(f"nameserver {bind.address}\noptions timeout:1 attempts:1\n")
    filler.unlink()
    (folder / "key").chmod(0o600)
    agent.conf.write_text(well + "port = ssh\n")
    report = doctor(agent)
    report.named("fail", "name", "there is no machine of the name relay.a.test", "host of [relay fra1]")
    report.named("fail", "configuration", f"{agent.conf.name}:8: ", "tunnelctl reload")
    report.named("warn", "disk", "almost full", "make room")  # it has one megabyte in all
    assert not any(s.step == "secrets" and s.state != "pass" for s in report.steps)

    agent.stop()
    report = doctor(agent, code=3)
    report.named("fail", "daemon", "does not run", "systemctl start")


def test_a_locked_account(daemons, sshd) -> None:  # noqa: F811
    """One that is on the machine: a test locks none of its own. This sshd is without PAM."""
    need_low_ports()
    locked = [line.split(":")[0] for line in Path("/etc/shadow").read_text().splitlines() if line.split(":")[1].startswith("!")]
    if not locked:
        pytest.skip("no account of this machine is locked")
    relay = daemons("relay", lane_user=locked[0], ssh_port=sshd.port).start()
    doctor(relay).named("fail", "account", f"the account {locked[0]} is locked", f"usermod -p '*' {locked[0]}")


# ---- before ----


def test_a_bare_machine() -> None:
    """In a network of its own, where ports are free, and somebody else's."""
    require_netns()
    with Hosts("vm", "world") as hosts:
        hosts.link("vm", "world", "10.77.9.1/24", "10.77.9.2/24")
        holder = hosts.inside("vm", lambda: socket.create_server(("0.0.0.0", 443)))
        if nat_tool() == "nft":
            rules = "table inet f { chain input { type filter hook input priority 0; policy drop; tcp dport 443 accept; }; }"
            sh("ip", "netns", "exec", hosts.namespaces["vm"], "nft", rules)

        done = sh_json(hosts, "vm")
        report = Report(done)
        report.named("warn", "port 443", f"held by pid {os.getpid()}", "trusted_proxies")
        report.named("pass", "port 80", "free for the relay")
        report.named("fail", "port 22", "nobody listens there", "apt install openssh-server")
        report.named("warn", "address", "(10.77.9.1): it is behind NAT", "publish = ADDRESS")
        report.named("pass", "memory", "MB in all")
        report.named("pass", "clock", "20")
        if nat_tool() == "nft":
            report.named("fail", "firewall", "nftables lets nobody in by port 80", "tcp dport 80")
        assert report.code == 1
        holder.close()

    pi = doctor(None, "--before", env={"TUNNEL_SOCKET": "/nowhere"})
    assert pi.role == "relay"
    agents = Report(run("tunnelctl", "--agent", "--json", "doctor", "--before"))
    assert agents.role == "agent" and not any(s.step.startswith("port") for s in agents.steps)
    assert run("tunnelctl", "doctor", "no name").code == 2
    assert run("tunnelctl", "doctor", "--before", "a.test").code == 2 and run("tunnelctl", "status", "--before").code == 2


def sh_json(hosts: Hosts, host: str) -> Result:
    done = subprocess.run(["ip", "netns", "exec", hosts.namespaces[host], program("tunnelctl"), "--json", "doctor", "--before"],
                          capture_output=True, text=True, check=False)
    return Result(done.returncode, done.stdout, done.stderr)
