"""tunnelctl backup and restore: a new VM or a new SD card carries on; hostile and damaged archives change nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import socketserver
import subprocess
import tarfile
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from pairing import pairing
from path import DOMAIN
from programs import need, run, wait_until


def tree(*folders):
    """What is there: modes and contents; sockets, locks and logs say nothing to another machine."""
    return {str(file): (oct(file.stat().st_mode), file.read_bytes() if file.is_file() else None)
            for folder in folders for file in [folder, *sorted(folder.rglob("*"))]
            if file.name != "lock" and (file.is_dir() or file.is_file())}


def backup(daemon, to):
    done = run("tunnelctl", "--socket", daemon.socket, "backup", to)
    assert done.code == 0, done.err
    assert to.stat().st_mode & 0o777 == 0o600
    return done.out


def restore(daemon, archive, *words):
    return run("tunnelctl", "restore", archive, "--config", daemon.conf, "--state-dir", daemon.state_dir, *words)


def destroy(daemon):
    shutil.rmtree(daemon.state_dir)
    daemon.conf.unlink()
    shutil.rmtree(daemon.folder / f"{daemon.role}.d", ignore_errors=True)


def end_sessions(pairing):
    """As when their machine is gone."""
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            command = (proc / "cmdline").read_bytes().split(b"\0")
            parent = int((proc / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
        if command[0].endswith(b"tunnel-lane") and os.fsencode(pairing.lane_socket) in command:
            os.kill(parent, signal.SIGKILL)


@pytest.fixture
def joined(pairing):
    """All is up, and visitors are served."""
    pairing.house = pairing.new_agent()
    assert pairing.join(pairing.house, pairing.invite()).code == 0
    pairing.wait_up()
    assert pairing.visit().status == 200
    return pairing


def test_another_machine_carries_on(joined, folder):
    relay, agent = joined.relay, joined.house
    assert run("tunnelctl", "--socket", relay.socket, "ban", "203.0.113.7").code == 0
    archive, card = folder / "relay.tar", folder / "agent.tar"
    backup(relay, archive)
    backup(agent, card)
    assert DOMAIN in tarfile.open(archive).extractfile(str(relay.state_dir / "agents.json")[1:]).read().decode()
    names = subprocess.run(["tar", "-tf", card], check=True, capture_output=True, text=True).stdout.splitlines()
    assert names[0] == "manifest.json" and str(agent.folder / "agent.d/relay-e2e.ini")[1:] in names

    relay.stop()
    before = tree(relay.state_dir)
    destroy(relay)
    done = restore(relay, archive)
    assert done.code == 0, done.err
    assert "systemctl start tunnel-relay" in done.out and "host key" in done.out
    assert tree(relay.state_dir) == before
    relay.start()
    joined.wait_up()
    assert joined.visit().status == 200  # with the certificate's root, and the lane that was there before
    assert "203.0.113.7" in run("tunnelctl", "--socket", relay.socket, "ban").out

    agent.stop()
    before = tree(agent.state_dir, agent.folder / "agent.d")
    destroy(agent)
    assert restore(agent, card).code == 0
    assert tree(agent.state_dir, agent.folder / "agent.d") == before
    agent.start()
    joined.wait_up()
    assert joined.visit().status == 200


def round_trip(daemon, archive, *, conf=None, cwd=None):
    """All that the daemon has read is on the new machine, which understands it alike. What backup has said."""
    def dump():
        done = run(f"tunnel-{daemon.role}", "-c", conf or daemon.conf, "--dump", cwd=cwd)
        assert done.code == 0, done.err
        return done.out

    dumped, files = dump(), daemon.folder / f"{daemon.role}.d"
    said = backup(daemon, archive)
    daemon.stop()
    before = tree(daemon.state_dir, files)
    destroy(daemon)
    done = restore(daemon, archive)
    assert done.code == 0, done.err
    assert tree(daemon.state_dir, files) == before and dump() == dumped
    daemon.start(conf=conf, cwd=cwd)
    return said


def drop_in(daemon, name, text):
    files = daemon.folder / f"{daemon.role}.d"
    files.mkdir(exist_ok=True)
    (files / name).write_text(text)


SITE = {"agent": "[provider p]\ntype = cloudflare\ntoken_file = env:HOME\n[domain a.test]\nservice = http://127.0.0.1:80\ndns = p\n",
        "relay": "[agent pi]\ndomains = a.test\nkey = ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHz+vJAoEvvBWnTrR2izXe8L05agjPE67ZI7+YlPN7cH\n"}


@pytest.mark.parametrize("way", ["{}.ini", "./{}.ini", "{}.d/../{}.ini"])
def test_a_configuration_that_is_named_relatively(daemons, role, way, folder):
    """Whoever makes the backup stands in another folder than the daemon."""
    daemon, conf = daemons(role), way.replace("{}", role)
    drop_in(daemon, "site.ini", SITE[role])
    daemon.start(conf=conf, cwd=daemon.folder)
    assert "not in it" not in round_trip(daemon, folder / "a.tar", conf=conf, cwd=daemon.folder)


@pytest.mark.parametrize("text", ["[acme]\n", "; nothing yet\n", ""])
def test_files_without_a_key(daemons, text, folder):
    relay = daemons("relay")
    drop_in(relay, "acme.ini", text)
    assert "not in it" not in round_trip(relay.start(), folder / "a.tar")


def test_paths_that_go_up(daemons, folder):
    """They start at the folder of the file that holds them, and the archive holds where they lead."""
    agent = daemons("agent")
    token, more = agent.folder / "cloudflare.token", agent.folder / "more.ini"
    agent.configure(state_dir="agent.d/../state", include="agent.d/*.ini agent.d/../more.ini")
    drop_in(agent, "x.ini", "[provider x]\ntype = cloudflare\ntoken_file = ../cloudflare.token\n")
    more.write_text("[address]\nsources = fixed:203.0.113.9\n")
    token.write_text("secret")
    token.chmod(0o600)
    agent.start()
    assert "not in it" not in round_trip(agent, folder / "a.tar")
    names = tarfile.open(folder / "a.tar").getnames()
    assert {str(token)[1:], str(more)[1:]} <= set(names) and len(names) == len(set(names))
    outside = folder / "outside.token"
    token.rename(outside)
    drop_in(agent, "x.ini", "[provider x]\ntype = cloudflare\ntoken_file = ../../outside.token\n")
    assert agent.post("/v1/reload").status == 200
    assert f"not in it, because it is not beside {agent.conf}: {outside}\n" in backup(agent, folder / "b.tar")
    said = run("tunnelctl", "--socket", agent.socket, "--json", "backup", folder / "c.tar")
    assert json.loads(said.out)["left_out"] == [str(outside)]


def test_logs_are_neither_configuration_nor_state(daemons, folder):
    """Wherever they are, and however large; what they hold by then does not keep a backup from being restored."""
    relay = daemons("relay", log="relay.log", access_log="state/visits")
    relay.start()
    logs = [relay.folder / "relay.log", relay.state_dir / "visits"]
    for log in logs:
        os.truncate(log, 257 << 20)
    said = backup(relay, folder / "a.tar")
    assert all(f"not in it, because it is a log: {log}\n" in said for log in logs), said
    assert not {str(log)[1:] for log in logs} & set(tarfile.open(folder / "a.tar").getnames())
    done = run("tunnelctl", "--socket", relay.socket, "--json", "backup", folder / "b.tar")
    assert json.loads(done.out)["left_out"] == [str(log) for log in logs]
    relay.stop()
    done = restore(relay, folder / "a.tar")
    assert done.code == 0, done.err


def test_a_link_to_the_configuration(daemons, folder):
    """What it includes is beside the link, and so is a file in its place on the new machine."""
    agent = daemons("agent")
    drop_in(agent, "site.ini", SITE["agent"])
    agent.conf.rename(folder / "real.ini")
    agent.conf.symlink_to(folder / "real.ini")
    assert "not in it" not in round_trip(agent.start(), folder / "a.tar")
    assert agent.conf.read_text() == (folder / "real.ini").read_text()


def test_a_configuration_without_a_name(daemons, folder):
    """Our own standard input is another one than the daemon's."""
    agent = daemons("agent")
    agent.start(conf="/dev/stdin", cwd=agent.folder, shell=f'exec "$0" "$@" <{agent.conf}')
    done = run("tunnelctl", "--socket", agent.socket, "backup", folder / "a.tar")
    assert done.code == 1 and "has read its configuration from /dev/stdin; start it with -c" in done.err
    assert not (folder / "a.tar").exists()


def test_a_daemon_of_an_older_version(folder):
    """It does not say what it has read, and no backup is better than half of one."""
    answers = {"/v1/version": {"role": "agent", "version": "0", "config": str(folder / "agent.ini")},
               "/v1/config": {"file": "agent.ini", "sections": [{"kind": "agent", "name": None, "options": [
                   {"key": "state_dir", "value": str(folder), "origin": "agent.ini:2"}]}]}}

    class Old(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(answers[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with socketserver.UnixStreamServer(str(folder / "old.sock"), Old) as old:
        threading.Thread(target=old.serve_forever, daemon=True).start()
        done = run("tunnelctl", "--socket", folder / "old.sock", "backup", folder / "a.tar")
        old.shutdown()
    assert done.code == 1 and "restart it, so that it is of the same version as tunnelctl" in done.err, done
    assert not (folder / "a.tar").exists()


def test_only_what_root_may_read_asks_for_root(daemons, folder):
    agent = daemons("agent")
    drop_in(agent, "x.ini", "")
    agent.start()
    (agent.folder / "agent.d/x.ini").unlink()
    done = run("tunnelctl", "--socket", agent.socket, "backup", folder / "a.tar")
    assert done.code == 1 and "agent.d/x.ini: No such file" in done.err and "run: tunnelctl reload" in done.err
    assert "as root" not in done.err
    if os.geteuid() != 0:
        return  # nobody is kept from anything that we could make
    agent = daemons("agent")
    drop_in(agent, "x.ini", "")
    for place in (agent.folder / "agent.d", agent.folder / "agent.d/x.ini"):
        shutil.chown(place, "nobody")
    agent.start(user="nobody")
    for place, said in {agent.folder / "agent.d/x.ini": "cannot open ", agent.folder / "agent.d": "cannot look at "}.items():
        place.chmod(0)
        done = run("tunnelctl", "--socket", agent.socket, "backup", agent.folder / "a.tar", user="nobody")
        assert done.code == 1 and f"run this as root, or as who owns these files: {said}" in done.err, done.err
        place.chmod(0o755)
    assert run("tunnelctl", "--socket", agent.socket, "backup", agent.folder / "a.tar", user="nobody").code == 0


def test_a_new_host_key_takes_one_command_at_home(joined, folder):
    """The relay's state came along, but its new VM has an sshd of its own."""
    relay, agent = joined.relay, joined.house
    archive = folder / "relay.tar"
    backup(relay, archive)
    relay.stop()
    destroy(relay)
    assert joined.sshd.end() is None
    end_sessions(joined)
    for name in ("host_key", "host_key.pub"):
        (joined.sshd.folder / name).unlink()
    subprocess.run([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", joined.sshd.folder / "host_key"], check=True)
    assert restore(relay, archive).code == 0
    joined.sshd.start_again()
    relay.start()
    wait_until(lambda: "host key" in json.dumps(agent.get("/v1/status").json["relays"]), "the agent sees another machine")
    assert joined.ctl(relay, "revoke", "pi").code == 0  # as tunnelctl restore has said
    assert joined.join(agent, joined.invite()).code == 0
    joined.wait_up()
    assert joined.visit().status == 200 and joined.enrolled() == ["pi"]


def test_what_is_here_is_not_lost(joined, folder):
    relay = joined.relay
    archive, empty, others = folder / "relay.tar", relay.state_dir / "empty", folder / "others"
    empty.mkdir(mode=0o700)
    backup(relay, archive)
    done = restore(relay, archive)
    assert done.code == 1 and "stop the daemon first" in done.err and "systemctl stop tunnel-relay" in done.err
    relay.stop()
    assert restore(relay, archive).code == 0  # it is as it was
    agents = relay.state_dir / "agents.json"
    agents.write_text("{}")
    done = restore(relay, archive)
    assert done.code == 1 and str(agents) in done.err and "--force" in done.err and agents.read_text() == "{}"
    assert restore(relay, archive, "--force").code == 0 and agents.read_text() != "{}"
    done = run("tunnelctl", "restore", archive)
    assert done.code == 1 and f"--config {relay.conf} --state-dir {relay.state_dir}" in done.err
    others.mkdir(mode=0o755)
    empty.rmdir()
    empty.symlink_to(others)  # no file of the backup lies in it, but it would be given another mode
    done = restore(relay, archive, "--force")
    assert done.code == 1 and f"{empty} is here and no folder" in done.err and others.stat().st_mode & 0o777 == 0o755
    empty.unlink()
    relay.state_dir.rename(folder / "disk")
    relay.state_dir.symlink_to(folder / "disk")  # of a person who has put it on another disk
    (folder / "disk").chmod(0o750)
    assert restore(relay, archive).code == 0 and (folder / "disk").stat().st_mode & 0o777 == 0o700
    assert (folder / "disk/empty").stat().st_mode & 0o777 == 0o700
    inside = relay.state_dir / "internal"
    inside.rename(folder / "elsewhere")
    inside.symlink_to(folder / "elsewhere")
    done = restore(relay, archive, "--force")
    assert done.code == 1 and f"{inside} is here and no folder" in done.err


class Archive:
    """A backup that can be taken apart and put together in another way."""

    def __init__(self, path: Path) -> None:
        with tarfile.open(path) as archive:
            self.members = [[member, archive.extractfile(member).read()] for member in archive]
        self.manifest = json.loads(self.members[0][1])

    def find(self, name: str) -> list:
        return next(member for member in self.members if member[0].name.endswith(name))

    def write(self, path: Path) -> bytes:
        self.members[0][1] = json.dumps(self.manifest).encode()
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for member, content in self.members:
                member.size = len(content) if member.type == tarfile.REGTYPE else 0
                archive.addfile(member, io.BytesIO(content) if member.type == tarfile.REGTYPE else None)
        return path.read_bytes()


def rename(archive, path, name=None):
    entry = archive.manifest["files"][0]
    archive.members[1][0].name = name or path[1:]
    entry["path"] = path


def relink(archive, kind):
    member = archive.members[1][0]
    member.type, member.linkname = kind, "/etc/passwd"


def extra(archive):
    archive.members.append([tarfile.TarInfo("etc/cron.d/x"), b"x"])


def change(archive):
    archive.members[1][1] = archive.members[1][1] + b"x"


def entry_says(**what):
    return lambda archive: archive.manifest["files"][0].update(what)


def manifest_says(**what):
    return lambda archive: archive.manifest.update(what)


HOSTILE = {
    "as it is": (lambda archive: None, ""),
    "absolute": (lambda archive: rename(archive, "/etc/passwd", "/etc/passwd"), "neither state nor configuration"),
    "absolute in the archive": (lambda archive: setattr(archive.members[1][0], "name", "/" + archive.members[1][0].name),
                                "may lead elsewhere"),
    "..": (lambda archive: rename(archive, archive.manifest["state_dir"] + "/../../x"), "may lead elsewhere"),
    "elsewhere": (lambda archive: rename(archive, "/etc/cron.d/x"), "neither state nor configuration"),
    "symlink": (lambda archive: relink(archive, tarfile.SYMTYPE), "no regular file"),
    "hard link": (lambda archive: relink(archive, tarfile.LNKTYPE), "no regular file"),
    "fifo": (lambda archive: relink(archive, tarfile.FIFOTYPE), "no regular file"),
    "extra": (extra, "but not in manifest.json"),
    "missing": (lambda archive: archive.members.pop(1), "missing, or not at its place"),
    "changed": (change, "is damaged"),
    "no manifest": (lambda archive: archive.members.reverse(), "its first file is not manifest.json"),
    "setuid": (entry_says(mode="4755"), "the mode 4755"),
    "setuid in the archive": (lambda archive: setattr(archive.members[1][0], "mode", 0o4755), "has the mode"),
    "everybody writes": (entry_says(mode="0666"), "the mode 0666"),
    "another's": (entry_says(owner="daemon"), "whose owner is daemon"),
    "nobody's": (manifest_says(owner="no-such-user"), ""),
    "newer": (manifest_says(v=2), "newer version"),
    "another role": (manifest_says(role="king"), "neither relay nor agent"),
    "relative": (manifest_says(state_dir="state"), "not absolute"),
}


def test_only_a_file_is_replaced(daemon, ctl, folder):
    """An archive takes the place of what is there: /dev/stdout would be gone for all others."""
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("pipe")
    for place, said in {folder / "pipe": "a device or a pipe", folder / "link": "a link", "-": "standard output"}.items():
        done = ctl("backup", place, at=daemon, cwd=folder)
        assert done.code == 1 and "nothing was backed up" in done.err and said in done.err
    assert (folder / "pipe").is_fifo() and (folder / "link").is_symlink() and not (folder / "-").exists()


def test_hostile_archives_change_nothing(joined, folder):
    relay = joined.relay
    good, bad = folder / "good.tar", folder / "bad.tar"
    backup(relay, good)
    relay.stop()
    destroy(relay)
    for name, (work, words) in HOSTILE.items():
        archive = Archive(good)
        work(archive)
        archive.write(bad)
        done = restore(relay, bad)
        if name == "as it is" or (name == "nobody's" and done.code == 0):
            assert done.code == 0, done.err  # so it is the one change that is refused
            destroy(relay)
            continue
        assert done.code == 1 and words in done.err, (name, done)
        assert not relay.state_dir.exists() and not relay.conf.exists(), name
    whole = good.read_bytes()
    for n in (0, 100, 512, 700, len(whole) // 2, len(whole) - 1024):
        bad.write_bytes(whole[:n])
        assert restore(relay, bad).code == 1
    for n in (3, 120, 150, 300, 600):  # a bit of a header, or of the manifest, is another one
        bad.write_bytes(whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1:])
        done = restore(relay, bad)
        assert done.code == 1, n
    assert not relay.state_dir.exists()
    assert restore(relay, good).code == 0
    relay.start()
    joined.wait_up()
