"""What bash and zsh offer behind tunnelctl: all of its commands, and names that the daemon knows."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import termios
import time
from pathlib import Path
from typing import Callable

import pytest

from daemon import Daemon
from programs import PATIENCE_S, need, program, run

FOLDER = Path(__file__).resolve().parents[2] / "conf/completions"
COMMANDS = set(re.findall(r"^  (\w+) ", run("tunnelctl", "--help").out, re.MULTILINE))


def offered(*words: str, socket: str = "/nowhere") -> set[str]:
    """By bash, for the last of these words."""
    script = f"""source {FOLDER}/tunnelctl.bash; COMP_WORDS=(tunnelctl "$@"); COMP_CWORD=$#; _tunnelctl
                 printf '%s\\n' "${{COMPREPLY[@]}}" """
    path = f"{Path(program('tunnelctl')).parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-euc", script, "bash", *words], capture_output=True, text=True, check=True,
                          env=os.environ | {"PATH": path, "TUNNEL_SOCKET": str(socket)})
    assert not done.stderr
    return set(done.stdout.split())


def test_commands_are_those_of_the_help() -> None:
    assert COMMANDS >= {"status", "invite", "add"}
    assert offered("") == COMMANDS and offered("--json", "--relay", "") == COMMANDS
    assert offered("re") == {name for name in COMMANDS if name.startswith("re")}


@pytest.mark.parametrize("words, wanted", [
    (["--"], {"--socket", "--relay", "--agent", "--json", "--help", "--version"}),
    (["invite", "pi", "--"], {"--domains", "--for", "--host"}),
    (["dns", ""], {"sync", "providers", "import"}),
    (["certs", ""], {"renew", "revoke", "import"}),
    (["add", "--"], {"--dns"}),
    (["ban", "--"], {"--for"}),
    (["log", "--"], {"--follow"}),
    (["status", "--"], {"--watch"}),
    (["restore", "--"], {"--config", "--state-dir", "--force"}),
    (["invite", "--domains", ""], set()),
])
def test_what_follows(words: list[str], wanted: set[str]) -> None:
    assert offered(*words) == wanted


def test_names_that_the_daemon_knows(daemons: Callable[..., Daemon]) -> None:
    agent = daemons("agent")
    agent.conf.write_text(agent.conf.read_text() + "[domain a.test]\nservice = http://127.0.0.1:80\n")
    agent.start()
    assert offered("remove", "a", socket=agent.socket) == {"a.test"}
    assert offered("--socket", str(agent.socket), "remove", "a") == {"a.test"}  # the one that the line names
    assert "cloudflare" in offered("dns", "providers", "c")


@pytest.mark.parametrize("file", ["tunnelctl.bash", "_tunnelctl"])
def test_each_option_is_known(file: str) -> None:
    options = set(re.findall(r"--[a-z-]+", run("tunnelctl", "--help").out)) | {"--follow"}
    assert {"--domains", "--dry-run", "--state-dir"} < options
    known = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", (FOLDER / file).read_text()))
    assert options - known == set() and known - options - {"--"} == set()


def test_zsh_knows_the_same_commands() -> None:
    text = (FOLDER / "_tunnelctl").read_text()
    assert set(re.findall(r"^        '([a-z]+):", text, re.MULTILINE)) == COMMANDS


def offered_by_zsh(folder: Path, line: str, socket: str = "/nowhere") -> set[str]:
    """All words that stand on the terminal when what fits the end of the line has been listed."""
    begin = (f"PS1=; fpath=({FOLDER} $fpath); autoload -Uz compinit; compinit -u -d {folder}/dump; LISTMAX=0; "
             "over() { print -n '\\n<ov''er>' }; zle -N over; bindkey '^E' over; "
             "zle-line-init() { print -n '<be''gun>' }; zle -N zle-line-init\n")  # which is when it reads keys by itself
    path = f"{Path(program('tunnelctl')).parent}:{os.environ['PATH']}"
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (50, 200))
    shell = subprocess.Popen([need("zsh"), "-f", "-i"], stdin=its, stdout=its, stderr=its, start_new_session=True,
                             env={"PATH": path, "HOME": str(folder), "TERM": "vt100", "TUNNEL_SOCKET": socket})
    os.close(its)

    def hear(mark: bytes) -> bytes:
        heard, late = b"", time.monotonic() + PATIENCE_S
        while mark not in heard:
            assert time.monotonic() < late, heard
            if select.select([ours], [], [], 1)[0]:
                heard += os.read(ours, 65536)
        return heard

    try:
        os.write(ours, begin.encode())
        hear(b"<begun>")
        os.write(ours, line.encode() + b"\x04\x05")  # ^D lists, ^E says that this is all
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\0", "", hear(b"<over>").decode())
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
    return set(shown.split())


def test_zsh_offers_them(daemons: Callable[..., Daemon], folder: Path) -> None:
    assert offered_by_zsh(folder, "tunnelctl re") & COMMANDS == {name for name in COMMANDS if name.startswith("re")}
    assert offered_by_zsh(folder, "tunnelctl ") >= COMMANDS
    agent = daemons("agent")
    agent.conf.write_text(agent.conf.read_text() + "".join(f"[domain {n}.test]\nservice = http://127.0.0.1:80\n" for n in ("a1", "a2", "b")))
    agent.start()
    shown = offered_by_zsh(folder, "tunnelctl remove a", str(agent.socket))
    assert {"a1.test", "a2.test"} <= shown and "b.test" not in shown
    shown = offered_by_zsh(folder, f"tunnelctl --socket {agent.socket} remove ")  # the one that the line names
    assert {"a1.test", "a2.test", "b.test"} <= shown
    assert {"desec", "duckdns"} <= offered_by_zsh(folder, "tunnelctl dns providers d")
