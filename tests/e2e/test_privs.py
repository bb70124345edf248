"""Started by root, a daemon becomes the owner of its state folder: for good, and with all that a reload needs."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import Callable, Iterator

import pytest

from control import ask
from daemon import Daemon
from programs import limit, need, need_root, program, wait_until
from test_lived_in import listeners

USER = "nobody"
PORTS = 1 << 10  # CAP_NET_BIND_SERVICE


@pytest.fixture(autouse=True)
def root() -> None:
    need_root()


def give(daemon: Daemon) -> Daemon:
    daemon.state_dir.mkdir(mode=0o700)
    for path in (daemon.folder, daemon.state_dir):
        shutil.chown(path, USER)
    return daemon


def standing(daemon: Daemon) -> dict[str, list[str]]:
    lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    return {key: value.split() for key, value in (line.split(":", 1) for line in lines)}


def is_users(daemon: Daemon) -> None:
    """In every thread, with no way back."""
    nobody = pwd.getpwnam(USER)
    groups = sorted(str(g) for g in os.getgrouplist(USER, nobody.pw_gid))
    kept = PORTS if daemon.role == "relay" else 0
    for task in Path(f"/proc/{daemon.pid}/task").iterdir():
        own = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        assert own["Uid"].split() == 4 * [str(nobody.pw_uid)] and own["Gid"].split() == 4 * [str(nobody.pw_gid)], own
        assert sorted(own["Groups"].split()) == groups
        assert [int(own[key], 16) for key in ("CapPrm", "CapEff", "CapInh", "CapAmb")] == [kept, kept, 0, 0], own


def reload(daemon: Daemon) -> None:
    before = daemon.log().count(" reloaded ")
    daemon.send(signal.SIGHUP)
    daemon.wait_log(" reloaded ", before + 1)


def test_it_becomes_the_owner_of_its_state_folder(daemons, role):
    daemon = give(daemons(role))
    daemon.configure(log=daemon.folder / "own.log")
    daemon.start()
    is_users(daemon)
    assert f'its state folder\'s owner from now on user="{USER}"' in daemon.log()
    for path in (daemon.socket, daemon.folder / "own.log", *daemon.state_dir.rglob("*")):
        assert path.owner() == USER, path
    (daemon.folder / "own.log").rename(daemon.folder / "own.log.1")
    reload(daemon)
    assert (daemon.folder / "own.log").owner() == USER
    daemon.stop()
    assert not daemon.socket.exists()
    daemon.start()  # nothing of the first life is in the way, neither of root nor of the user
    daemon.stop()
    daemon.start(user=USER)


def test_roots_stays_roots(daemons, role):
    daemon = daemons(role).start()
    assert standing(daemon)["Uid"] == 4 * ["0"] and "from now on" not in daemon.log()


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """A folder of root's alone, as /run and /var/log are."""
    path = Path(tempfile.mkdtemp(prefix="e2e-", dir="/run"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_folders_and_logs_where_only_root_may_make_them(daemons, run_folder):
    relay = give(daemons("relay"))
    relay.socket = run_folder / "tunnel-relay" / "control.sock"
    relay.configure(lane_socket=run_folder / "lanes" / "lane.sock", log=run_folder / "relay.log", access_log=run_folder / "access.log",
                    control_socket=relay.socket)
    relay.start()
    for path in ("tunnel-relay", "lanes", "relay.log", "access.log"):
        assert (run_folder / path).owner() == USER, path
    reload_of = ask(relay.socket, "POST", "/v1/reload", b"")
    assert reload_of.status == 200, reload_of
    relay.stop()


def test_nobody_leads_root_elsewhere(daemons, run_folder):
    """The user's own link on the way to what root would make for him."""
    relay = give(daemons("relay"))
    (relay.folder / "way").symlink_to(run_folder)
    os.chown(relay.folder / "way", pwd.getpwnam(USER).pw_uid, -1, follow_symlinks=False)
    relay.configure(log=relay.folder / "way" / "relay.log")
    assert "cannot open the log" in relay.refused()
    relay.configure(lane_socket=relay.folder / "way" / "lanes" / "lane.sock")
    assert "cannot make the folder" in relay.refused()
    assert list(run_folder.iterdir()) == []


def test_what_the_user_cannot_read_is_told_at_the_start(daemons):
    agent = give(daemons("agent"))
    token = agent.folder / "token"
    token.write_text("secret")
    token.chmod(0o600)
    plain = agent.conf.read_text()
    agent.conf.write_text(plain + f"[provider cloudflare]\ntype = cloudflare\ntoken_file = {token}\n")
    said = agent.refused()
    assert f"cannot read {token} as user {pwd.getpwnam(USER).pw_uid}; chown it to that user" in said and "started by root" in said
    shutil.chown(token, USER)
    agent.conf.chmod(0o600)
    said = agent.refused()
    assert f"cannot open {agent.conf}: Permission denied" in said and f"is to run as {USER}" in said
    agent.conf.chmod(0o644)
    agent.start()
    is_users(agent)


def test_what_root_has_left_there_is_told(daemons, role):
    daemon = give(daemons(role))
    (daemon.state_dir / "lock").touch(mode=0o600)
    assert "chown -R its folder to that user" in daemon.refused()


# ---- ports below 1024 ----


@pytest.fixture
def address() -> Callable[[int], str]:
    """An address of loopback where nobody else is."""
    return lambda last: f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.{last}"


def accepts(at: str, port: int) -> bool:
    try:
        socket.create_connection((at, port), 5).close()
        return True
    except OSError:
        return False


def test_ports_below_1024(daemons, address):
    relay = give(daemons("relay"))
    relay.configure(listen_https=f"{address(1)}:443", listen_http=f"{address(1)}:80 {address(2)}:80")
    with socket.create_server((address(2), 80)):
        relay.start()
        is_users(relay)
        assert accepts(address(1), 443) and accepts(address(1), 80)
        reload(relay)
    # One that was held meanwhile can be had although root is no more.
    wait_until(lambda: all(one["state"] == "up" for one in relay.get("/v1/status").json["listeners"]), "it has them all", limit(5))
    wait_until(lambda: accepts(address(2), 80), "it is served")
    relay.stop()


def test_ports_below_1024_as_the_unit_has_it(daemons, address):
    """AmbientCapabilities= lets the user have them; programs that the relay runs have nothing of it."""
    relay = give(daemons("relay"))
    relay.configure(listen_https=f"{address(4)}:443")
    shutil.copy(program("tunnel-relay"), relay.folder)
    nobody = pwd.getpwnam(USER)
    relay.start(shell=f'exec {need("setpriv")} --reuid={USER} --regid={nobody.pw_gid} --init-groups --inh-caps=-all,+net_bind_service '
                      f'--ambient-caps=-all,+net_bind_service --bounding-set=-all,+net_bind_service {relay.folder}/tunnel-relay "$@"')
    assert accepts(address(4), 443)
    assert [int(standing(relay)[key][0], 16) for key in ("CapEff", "CapAmb")] == [PORTS, 0]


def test_ports_below_1024_as_a_user(daemons, address):
    relay = give(daemons("relay"))
    relay.configure(listen_https=f"{address(3)}:443")
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) > 443:
        assert f"cannot listen on {address(3)}:443: ports below 1024 need root or CAP_NET_BIND_SERVICE" in relay.refused(user=USER)
