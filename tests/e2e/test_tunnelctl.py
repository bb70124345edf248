"""What tunnelctl prints, and how it ends: 0 well, 1 something is wrong, 2 used wrongly, 3 no daemon answers."""

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from programs import PATIENCE_S, environment, limit, program, run

COMMANDS = ["status", "version", "reload", "check"]
PLACES = [Path("/run/tunnel-relay/control.sock"), Path("/run/tunnel-agent/control.sock")]


def is_usage(result):
    code, out, err = result
    assert (code, out) == (2, "") and "tunnelctl --help" in err.splitlines()[-1]
    return err


def no_daemon(result, reason):
    assert result.code == 3 and result.errors[0].startswith("tunnelctl: no daemon answers: ")
    assert str(reason) in result.err and len(result.errors) == 1


@pytest.fixture
def nobody_here():
    if any(place.exists() for place in PLACES):
        pytest.skip("a daemon is installed on this machine")


# ---- by itself ----


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(ctl, option):
    code, out, err = ctl(option)
    assert (code, err) == (0, "")
    assert out.startswith("usage: tunnelctl ") and all(len(line) <= 80 for line in out.splitlines())
    assert all(f"\n  {command} " in out for command in COMMANDS)
    for name in ("--socket", "--relay", "--agent", "--json", "$TUNNEL_SOCKET", *map(str, PLACES)):
        assert name in out


def test_its_own_version(ctl):
    assert ctl("--version") == (0, f"tunnelctl {run('tunnel-relay', '--version').out.split()[1]}\n", "")


@pytest.mark.parametrize("arguments", [
    [], ["--json"], ["nonsense"], ["Status"], [""], ["--nonsense", "status"], ["--socket"],
    ["--relay", "--agent", "status"], ["status", "one", "two"], ["version", "one"], ["reload", "one"], ["check", "one", "two"],
])
def test_used_wrongly(ctl, arguments):
    is_usage(ctl(*arguments))


def test_what_was_wrong_is_named(ctl, relay):
    assert "no command nonsense" in is_usage(ctl("nonsense"))
    assert "command" in is_usage(ctl())
    assert "status takes one DOMAIN, but was also given two" in is_usage(ctl("status", "one", "two", at=relay))
    assert "two" in is_usage(ctl("check", "one", "two", at=relay))


# ---- with a daemon ----


def test_status(daemon, ctl):
    code, out, err = ctl("status", at=daemon)
    first, *rest = out.splitlines()
    assert (code, err) == (0, "")
    assert first.startswith(f"tunnel-{daemon.role}  e2e  version {daemon.get('/v1/version').json['version']}  up ")
    assert rest == ["", "lanes  none" if daemon.role == "relay" else "relays  none", "", "domains  none"]


def test_version(daemon, ctl):
    version = daemon.get("/v1/version").json["version"]
    code, out, err = ctl("version", at=daemon)
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [["tunnelctl", version],
                                                           [f"tunnel-{daemon.role}", version, f"({daemon.conf})"]]


def test_reload(daemon, ctl):
    assert ctl("reload", at=daemon) == (0, "reloaded\n", "")


@pytest.mark.parametrize("command, method", [("status", "GET"), ("version", "GET"), ("reload", "POST")])
def test_json_is_the_answer_of_the_daemon(daemon, ctl, command, method):
    code, out, err = ctl("--json", command, at=daemon)
    answer = (daemon.get if method == "GET" else daemon.post)(f"/v1/{command}").body.decode()
    assert (code, err) == (0, "") and json.loads(out)
    assert re.sub(r'"uptime_s":\d+', "", out) == re.sub(r'"uptime_s":\d+', "", answer)
    assert ctl(command, "--json", at=daemon).code == 0  # wherever it stands


@pytest.mark.parametrize("command", COMMANDS)
def test_80_columns(daemons, ctl, command):
    relay = daemons("relay", name="n" * 32).start()
    out = ctl(command, at=relay).out
    assert out and all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize("command", ["status", "top", "--help", "--version"])
def test_a_full_disk_is_not_well(relay, command):
    with open("/dev/full", "w") as full:
        command = [program("tunnelctl"), "--socket", relay.socket, command]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment())
    assert done.returncode == 1
    assert done.stderr.startswith("tunnelctl: cannot write the output")


# ---- colours ----


def on_terminal(*arguments, **env):
    """What it prints where a person sees it."""
    ours, its = pty.openpty()
    done = subprocess.run([program("tunnelctl"), *map(str, arguments)], stdin=its, stdout=its, stderr=its,
                          env=environment(**{"TERM": "xterm", **env}), timeout=PATIENCE_S)
    os.close(its)
    with open(ours, "rb", buffering=0) as terminal:
        printed = b""
        try:
            while piece := terminal.read(4096):
                printed += piece
        except OSError:
            pass  # how Linux says that the other end is closed
    return done.returncode, printed.decode().replace("\r\n", "\n")


def test_colours_on_a_terminal(daemon, ctl):
    code, printed = on_terminal("--socket", daemon.socket, "status")
    assert code == 0 and printed.startswith("\033[1m") and "\033[0m" in printed
    plain = printed.replace("\033[1m", "").replace("\033[0m", "")
    assert "\033" not in plain and plain.splitlines()[1:] == ctl("status", at=daemon).out.splitlines()[1:]


def test_no_colour_when_asked(relay):
    assert "\033" not in on_terminal("--socket", relay.socket, "status", NO_COLOR="1")[1]
    assert "\033" in on_terminal("--socket", relay.socket, "status", NO_COLOR="")[1]  # empty is as good as unset
    assert "\033" not in on_terminal("--socket", relay.socket, "status", TERM="dumb")[1]


def test_json_has_no_colour(relay):
    code, printed = on_terminal("--json", "--socket", relay.socket, "status")
    assert code == 0 and json.loads(printed)["role"] == "relay"


def test_no_escape_sequences_without_a_terminal(relay, ctl):
    relay.configure("[relay]\nname = \033[31mred\n\033[32m = green\n")
    for command in COMMANDS:
        _, out, err = ctl(command, at=relay)
        assert "\033" not in out + err
    for line in ctl("check", at=relay).errors:
        assert line.isprintable()


# ---- which daemon ----


def test_which_socket(daemons, ctl):
    relay, agent = daemons("relay").start(), daemons("agent").start()
    env = {"TUNNEL_SOCKET": str(agent.socket)}
    assert ctl("status", env=env).out.startswith("tunnel-agent")
    assert ctl("status", at=relay, env=env).out.startswith("tunnel-relay")
    assert ctl("status", "--relay", at=agent).out.startswith("tunnel-agent")
    assert ctl("status", at=relay, env={"TUNNEL_SOCKET": "/nowhere"}).code == 0


@pytest.mark.parametrize("option, place", zip(["--relay", "--agent"], PLACES))
def test_a_side_counts_more_than_the_environment(relay, ctl, nobody_here, option, place):
    no_daemon(ctl(option, "status", env={"TUNNEL_SOCKET": str(relay.socket)}), place)


@pytest.mark.parametrize("env", [{}, {"TUNNEL_SOCKET": ""}])
def test_nobody_here(ctl, nobody_here, env):
    result = ctl("status", env=env)
    no_daemon(result, PLACES[0])
    assert str(PLACES[1]) in result.err and "--socket" in result.err


# ---- nobody answers ----


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("json_", [[], ["--json"]])
def test_no_daemon_there(folder, ctl, command, json_):
    path = folder / "nothing.sock"
    result = ctl(*json_, "--socket", path, command)
    no_daemon(result, f"{path}: No such file or directory")
    if [command, *json_] == ["version"]:
        assert result.out == f"tunnelctl     {ctl('--version').out.split()[1]}\n"  # its own it knows nevertheless
    else:
        assert result.out == ""


def test_the_socket_of_the_environment_is_named(folder, ctl):
    no_daemon(ctl("status", env={"TUNNEL_SOCKET": str(folder / "nothing.sock")}), folder / "nothing.sock")


def test_the_socket_of_a_dead_daemon(daemon, ctl):
    daemon.kill()
    no_daemon(ctl("status", at=daemon), f"{daemon.socket}: Connection refused")


def test_what_is_no_socket(folder, ctl):
    (folder / "file").write_text("precious")
    for path in (folder, folder / "file", folder / ("s" * 200), "/dev/null"):
        no_daemon(ctl("--socket", path, "status"), path)
    assert (folder / "file").read_text() == "precious"


def test_a_socket_of_another_user(relay, ctl):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    program_of_all = shutil.copy(program("tunnelctl"), relay.folder)  # the build folder may be closed to that user
    said = {}
    for command in ("status", "doctor"):
        done = subprocess.run([program_of_all, "--socket", relay.socket, command], capture_output=True, text=True,
                              env=environment(), user="nobody", group="nogroup", extra_groups=[])
        said[command] = done.stdout + done.stderr
        assert done.returncode == 3
    assert f"{relay.socket}: Permission denied; run this with sudo, or as" in said["status"]
    assert f"this user may not use {relay.socket}\n" in said["doctor"] and "does not run" not in said["doctor"]
    assert "remedy: run this with sudo" in said["doctor"]


# ---- somebody else answers ----


@pytest.fixture
def impostor(folder):
    """impostor(bytes) listens on a control socket and says these bytes to everyone, whatever is asked."""
    path, threads = folder / "impostor.sock", []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve(said):
            connection, _ = listener.accept()
            with connection:
                try:
                    connection.recv(4096)
                    connection.sendall(said)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # it has heard enough

        def start(said):
            threads.append(threading.Thread(target=serve, args=(said,)))
            threads[-1].start()
            return path

        yield start
        for thread in threads:
            thread.join()


def http(content, status=200, fields=""):
    return f"HTTP/1.1 {status} Fine\r\nContent-Length: {len(content)}\r\n{fields}\r\n".encode() + content


@pytest.mark.parametrize("said", [
    b"", b"\0" * 1000, b"x" * (65 << 20), b"SSH-2.0-OpenSSH_9.2\r\n", b"220 smtp.example.net\r\n",
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, b"HTTP/2 200\r\n\r\n", http(b"")[:-2],
    http(b""), http(b"hello"), http(b"[]"), http(b'{"role": "relay"'), http(b'{"a": "\xff"}'), http(b"{}")[:-1],
    http(b"{}", fields="Transfer-Encoding: chunked\r\n"), http(b"nonsense", status=500),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
], ids=lambda said: repr(said)[:40])
@pytest.mark.parametrize("command", ["status", "check"])
def test_junk_is_no_daemon(ctl, impostor, command, said):
    code, out, err = ctl("--socket", impostor(said), command)
    assert (code, out) == (3, "")
    assert err.startswith("tunnelctl: ") and len(err.splitlines()) == 1 and len(err) < 300


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize("said", [b"{}", b'{"role": "relay", "lanes": [7], "domains": []}'])
def test_an_object_that_is_no_status(ctl, impostor, said, options):
    code, out, err = ctl(*options, "--socket", impostor(http(said)), "status")
    assert (code, out) == (3, said.decode() if options else "")
    assert err.startswith("tunnelctl: the daemon's answer is not a status; ") and len(err.splitlines()) == 1


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_an_error_of_the_daemon_is_told(ctl, impostor, status):
    said = http(b'{"error": "out of order"}', status)
    assert ctl("--socket", impostor(said), "status") == (1, "", "tunnelctl: out of order\n")
    assert ctl("--json", "--socket", impostor(said), "status") == (1, '{"error": "out of order"}', "")


@pytest.mark.slow
def test_a_hanging_daemon_is_waited_for_ten_seconds(relay, ctl):
    began = time.monotonic()
    relay.send(signal.SIGSTOP)
    with ThreadPoolExecutor() as pool:
        results = [pool.submit(ctl, command, at=relay) for command in COMMANDS]
    assert 9 < time.monotonic() - began < limit(30)
    for result in results:
        no_daemon(result.result(), "10 s")
    relay.send(signal.SIGCONT)
    assert ctl("status", at=relay).code == 0


# ---- check ----

BAD = "[{role}]\nname = Ümlaut\ndrain = soon\nlog_levle = debug\n"


@pytest.fixture
def idle(role, daemons):
    """A daemon that is configured and does not run."""
    return daemons(role)


def names_each_error(daemon, lines):
    assert len(lines) == 3
    assert all(line.startswith(f"{daemon.conf}:{number}: ") for number, line in enumerate(lines, 2))


def test_check_a_good_file(idle, ctl):
    assert ctl("check", idle.conf) == (0, f"{idle.conf}: ok\n", "")
    assert ctl("check", idle.conf.name, cwd=idle.folder) == (0, f"{idle.conf.name}: ok\n", "")
    assert not idle.state_dir.exists() and not idle.socket.exists()


def test_check_a_bad_file(idle, ctl):
    idle.configure(BAD.format(role=idle.role))
    code, out, err = ctl("check", idle.conf)
    assert (code, out) == (1, "")
    names_each_error(idle, err.splitlines())
    assert ctl("check", idle.conf) == run(f"tunnel-{idle.role}", "--check", "-c", idle.conf)


def test_check_what_the_daemon_runs_on(daemon, ctl):
    assert ctl("check", at=daemon) == (0, f"{daemon.conf}: ok\n", "")
    daemon.configure(BAD.format(role=daemon.role))
    code, out, err = ctl("check", at=daemon)
    assert (code, out) == (1, "")
    names_each_error(daemon, err.splitlines())
    assert ctl("check", env={"TUNNEL_SOCKET": str(daemon.socket)}) == (code, out, err)
    assert daemon.get("/v1/status").json["name"] == "e2e" and "configuration error" not in daemon.log()


def test_check_as_json(daemon, ctl):
    good = {"ok": True, "file": str(daemon.conf), "errors": []}
    for file in ([], [daemon.conf]):
        code, out, err = ctl("--json", "check", *file, at=daemon)
        assert (code, json.loads(out), err) == (0, good, "")
    daemon.configure(BAD.format(role=daemon.role))
    for file in ([], [daemon.conf]):
        code, out, err = ctl("--json", "check", *file, at=daemon)
        assert (code, err) == (1, "")
        bad = json.loads(out)
        assert bad == {"ok": False, "file": str(daemon.conf), "errors": ctl("check", daemon.conf).errors}
        names_each_error(daemon, bad["errors"])


def test_check_a_file_of_the_other_side(relay, daemons, ctl):
    agent = daemons("agent")
    assert ctl("check", agent.conf, at=relay) == (0, f"{agent.conf}: ok\n", "")
    assert ctl("check", "--relay", agent.conf).code == 1


def test_check_finds_the_section_behind_comments(idle, ctl):
    idle.configure(f"; what [{idle.role}] may say\n;[{idle.role}]\n\n[{idle.role}] ; here\nname = e2e\n")
    assert ctl("check", idle.conf).code == 0


def test_check_a_file_that_could_be_either_ones(folder, ctl):
    (folder / "some.ini").write_text("; for later\n")
    err = is_usage(ctl("check", folder / "some.ini"))
    assert f"{folder}/some.ini" in err and "--relay or --agent" in err


@pytest.mark.parametrize("side", [[], ["--relay"], ["--agent"]])
def test_check_a_file_that_is_not_there(folder, ctl, side):
    code, out, err = ctl(*side, "check", folder / "nothing.ini")
    assert (code, out) == (1, "") and f"{folder}/nothing.ini" in err and "No such file" in err


def test_check_without_a_file_or_a_daemon(ctl, nobody_here):
    if any(Path(f"/etc/tunnel/{role}.ini").exists() for role in ("relay", "agent")):
        pytest.skip("a daemon is configured on this machine")
    err = is_usage(ctl("check"))
    assert "/etc/tunnel/relay.ini" in err and "/etc/tunnel/agent.ini" in err


def test_check_uses_the_daemon_that_is_installed_beside_it(idle, folder):
    (folder / "bin").mkdir()
    (folder / "sbin").mkdir()
    ctl = shutil.copy(program("tunnelctl"), folder / "bin")
    command, env = [ctl, "check", idle.conf], environment(PATH="/nothing")
    without = subprocess.run(command, capture_output=True, text=True, env=env)
    assert without.returncode == 1 and f"cannot run tunnel-{idle.role}: " in without.stderr
    shutil.copy(program(f"tunnel-{idle.role}"), folder / "sbin")
    assert subprocess.run(command, capture_output=True, text=True, env=env).stdout == f"{idle.conf}: ok\n"
