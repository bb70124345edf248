"""All works under what the systemd units forbid: both daemons run as services of a real systemd, with conf/systemd's own
restrictions, and are asked for whatever needs more of a machine than sockets."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from functools import partial
from pathlib import Path
from typing import Any, Callable

import pytest

from daemon import Daemon
from nameserver import Bind
from path import DOMAIN, WholePath
from ports import hold_port
from programs import BUILD, ROOT, need, program, run, wait_until
from systemd import Systemd

UNITS = ROOT / "conf/systemd"
# What is another machine's: its users, and its folders.
PLACES = re.compile(r"^(ExecStartPre|User|Group|\w+Directory|\w+DirectoryMode|\w+DirectoryPreserve|PartOf|Wants|After|LimitNOFILE)=.*\n", re.M)


def unit(role: str, daemon: Daemon, folder: Path) -> str:
    text = (UNITS / f"tunnel-{role}.service").read_text().replace("@hardening@", (UNITS / "hardening.conf.in").read_text())
    text = PLACES.sub("", text)
    # A user's manager is told things where homes are; the machine's own, elsewhere.
    text = text.replace("ProtectHome=yes", "ProtectHome=tmpfs\nBindPaths=/run/user/0/systemd/notify")
    text = re.sub("ExecStart=.*", f"ExecStart={program(f'tunnel-{role}')} -c {daemon.conf}\nBindPaths={folder}\nReadWritePaths={folder}\nBindReadOnlyPaths={BUILD}\n"
                  f"StandardError=append:{daemon.stderr}", text)
    return re.sub(r"\[Install\].*", "", text, flags=re.S)


def restrictions(pid: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def inside(pid: int, command: str) -> int:
    return subprocess.run([need("nsenter"), "-t", str(pid), "-m", "sh", "-c", command], capture_output=True).returncode


class Restricted(WholePath):
    """Its relay listens at a port of its own, as the one of a package does; a hook is run by each daemon, and BIND is kept right."""

    def __init__(self, bind: Bind, port: int, *where: Any, **how: Any) -> None:
        self.bind = bind
        super().__init__(*where, listen_https=f"127.0.0.1:{port}", access_log=where[2] / "access.log", publish="192.0.2.7", **how)
        self.port = port

    def _agent_ini(self, agent: Daemon, folder: Path) -> str:
        hook = folder / "hook"
        hook.write_text(f'#!/bin/sh\n: >{folder}/begun\nsleep 1\nprintf "%s %s\\n" "$TUNNEL_NAME" "$TUNNEL_NEW" >>{folder}/changed\n')
        hook.chmod(0o755)
        text = super()._agent_ini(agent, folder).replace("[agent]\n", f"[agent]\non_change = {hook}\ninclude = agent.d/*.ini\n")
        return text.replace("service = ", "dns = bind\nservice = ") + "".join(
            ["[provider bind]\ntype = rfc2136\n", *(f"{key} = {value}\n" for key, value in self.bind.keys().items())])


@pytest.mark.skipif(BUILD.resolve().name.startswith(("asan", "tsan")), reason="a sanitizer needs what the units forbid (ptrace)")
def test_all_works(daemons: Callable[..., Daemon], started: list, folder: Path) -> None:
    bind = Bind(folder, DOMAIN)
    started.append(bind.start())
    with hold_port() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        house = Restricted(bind, held.getsockname()[1], daemons, started, folder, lanes=2)
        run_restricted(house, started, folder)
        house.close()


def run_restricted(house: Restricted, started: list, folder: Path) -> None:
    house.agent.stop()
    house.relay.stop()
    wait_until((folder / "changed").exists, "the record was made")
    (folder / "changed").unlink()
    (folder / "begun").unlink()
    manager = Systemd(folder, {f"tunnel-{role}.service": unit(role, daemon, folder)
                               for role, daemon in (("relay", house.relay), ("agent", house.agent))})
    started.append(manager)
    manager.start()
    pids = {}
    for role in ("relay", "agent"):
        done = manager.ctl("start", f"tunnel-{role}.service")  # ready, as they say themselves
        assert done.returncode == 0, manager.ctl("status", f"tunnel-{role}.service").stdout + manager.log()
        pids[role] = int(manager.show(f"tunnel-{role}.service", "MainPID"))
        kernel = restrictions(pids[role])
        assert (kernel["NoNewPrivs"], kernel["Seccomp"]) == ("1", "2")
        assert int(kernel["CapBnd"], 16) == (1 << 10 if role == "relay" else 0)
        assert inside(pids[role], f"touch {folder}/x") == 0 and inside(pids[role], "touch /usr/x") != 0  # ProtectSystem
        assert inside(pids[role], "ls /root/* /proc/kmsg") != 0

    # A page, a large body, another connection; what is logged, and what only the kernel can tell.
    house.wait_up()
    assert house.visit("POST", "/echo", body=os.urandom(1 << 20)).status == 200
    ctl = {"relay": partial(run, "tunnelctl", "--socket", house.relay.socket), "agent": partial(run, "tunnelctl", "--socket", house.agent.socket)}
    wait_until(lambda: "/echo" in (folder / "access.log").read_text() and ctl["relay"]("log").code == 0, "it is in the access log")
    assert ctl["relay"]("ban", "203.0.113.9").code == 0 and ctl["agent"]("ban", "203.0.113.8").code == 0
    for role in ("relay", "agent"):
        wait_until(lambda: ctl[role]("status").code == 0, f"all is well at the {role}")
        report = json.loads(ctl[role]("--json", "doctor").out)
        assert [step["state"] for step in report["steps"] if step["step"] == "disk"] == ["pass"]
        assert any(step["step"] in ("memory", "clock") for step in report["steps"])

    # DNS: what is there is changed by a job on a thread, and a program is told.
    house.relay.conf.write_text(house.relay.conf.read_text().replace("192.0.2.7", "192.0.2.8"))
    assert ctl["relay"]("reload").code == 0
    house.agent.conf.write_text(house.agent.conf.read_text().replace("lanes = 2", "lanes = 1"))
    assert ctl["agent"]("reload").code == 0
    wait_until((folder / "begun").exists, "the hook runs")
    for role in ("relay", "agent"):  # a restart, as of an upgrade
        assert manager.ctl("restart", f"tunnel-{role}.service").returncode == 0, manager.log()
    assert house.bind.values(DOMAIN, "A") == ["192.0.2.8"]
    assert (folder / "changed").read_text() == f"{DOMAIN} 192.0.2.8\n", "nobody ends a hook in its midst"
    wait_until(lambda: ctl["agent"]("status").code == 0, "all is well again")
    assert house.visit("GET", "/").status == 200
    for role, daemon in (("relay", house.relay), ("agent", house.agent)):
        assert manager.ctl("stop", f"tunnel-{role}.service").returncode == 0
        assert manager.show(f"tunnel-{role}.service", "Result") == "success", daemon.log()
        assert "perm" not in daemon.log().lower(), daemon.log()  # "Operation not permitted" would be a restriction's
