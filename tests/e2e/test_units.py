"""The systemd units: what they forbid the daemons is rated by systemd itself, and the relay finds its ports in the socket."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from ports import hold_port
from programs import limit, program, unavailable, wait_until
from systemd import Systemd

UNITS = Path(__file__).resolve().parents[2] / "conf/systemd"
EXPOSURE = 2.0  # systemd's own measure, from 0 to 10


@pytest.fixture
def analyze(folder: Path):
    if not (tool := shutil.which("systemd-analyze")):
        unavailable("systemd-analyze is not installed; run: sh scripts/setup test")
    hardening = (UNITS / "hardening.conf.in").read_text()
    for name in ("tunnel-relay.service", "tunnel-agent.service", "tunnel-relay.socket"):
        text = (UNITS / name).read_text().replace("@hardening@", hardening)
        (folder / name).write_text(re.sub(r"@sbindir@/tunnel-\w+", "/bin/true", text))
    return lambda *words: subprocess.run([tool, *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["tunnel-relay", "tunnel-agent"])
def test_they_may_do_little(analyze, name: str) -> None:
    said = analyze("security", "--offline=yes", f"./{name}.service").stdout
    exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert exposure and float(exposure[1]) < EXPOSURE, said


def test_they_are_understood(analyze) -> None:
    said = analyze("verify", "--man=no", "./tunnel-relay.service", "./tunnel-agent.service", "./tunnel-relay.socket")
    assert said.returncode == 0 and not said.stderr, said.stderr


# ---- the socket unit, and who else holds its ports ----

NOT_OF_A_USERS_MANAGER = re.compile(r"^(ExecStartPre|User|Group|\w+Directory|\w+DirectoryMode|\w+DirectoryPreserve|LimitNOFILE|"
                                    r"AmbientCapabilities|CapabilityBoundingSet|@hardening@).*\n", re.M)


def test_a_socket_unit_that_cannot_have_its_ports(daemons, started, folder) -> None:
    """The relay runs without it, takes them when they are free, and the unit has them from the next restart on."""
    relay = daemons("relay")
    with hold_port() as http:
        at = f"127.0.0.1:{http.getsockname()[1]}"
        relay.configure(listen_http=at)
        service = NOT_OF_A_USERS_MANAGER.sub("", (UNITS / "tunnel-relay.service").read_text())
        service = re.sub("ExecStart=.*", f"ExecStart={program('tunnel-relay')} -c {relay.conf}", service)
        sockets = (UNITS / "tunnel-relay.socket").read_text().replace("=443", f"={relay.listen_https}").replace("=80", f"={at}")
        manager = Systemd(folder, {"tunnel-relay.service": service, "tunnel-relay.socket": sockets})
        started.append(manager)
        manager.start()

        def states() -> dict[str, str]:
            return {one["listen"]: one["state"] for one in relay.get("/v1/status").json["listeners"]}

        def both() -> tuple[str, str]:
            return manager.show("tunnel-relay.service", "ActiveState"), manager.show("tunnel-relay.socket", "ActiveState")

        with socket.create_server(http.getsockname()):
            for verb in ("start", "restart"):
                done = manager.ctl(verb, "tunnel-relay.service")
                assert done.returncode == 0, done.stderr + manager.log()
                assert both() == ("active", "failed")
                assert states() == {relay.listen_https: "up", at: "held"}
                assert f"cannot listen on {at}: it is held by pid" in manager.show("tunnel-relay.service", "StatusText")
        wait_until(lambda: states()[at] == "up", "the relay has it", limit(5))
        wait_until(lambda: manager.show("tunnel-relay.service", "StatusText") == "", "nothing is waited for")
        assert both() == ("active", "failed")
        for unit in ("tunnel-relay.service", "tunnel-relay.socket"):
            assert manager.ctl("restart", unit).returncode == 0, manager.log()
            wait_until(lambda: both() == ("active", "active"), f"both run after {unit}")  # its restart is that of the other, too
            assert set(states().values()) == {"up"}
        manager.ctl("kill", "-s", "KILL", "tunnel-relay.service")
        socket.create_connection(http.getsockname(), 60).close()  # who comes meanwhile waits
        wait_until(lambda: both() == ("active", "active"), "it runs again")
        assert manager.ctl("stop", "tunnel-relay.socket", "tunnel-relay.service").returncode == 0
        assert both() == ("inactive", "inactive")
