"""`tunnelctl add` and `remove`: one site's file, and a reload; whatever is wrong leaves everything as it was."""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import pytest

from daemon import Daemon
from programs import Result, run



class House:
    def __init__(self, daemon: Daemon) -> None:
        self.daemon, self.files = daemon, daemon.conf.parent / "agent.d"

    def ctl(self, *words: str) -> Result:
        return run("tunnelctl", "--socket", self.daemon.socket, *words)

    def sites(self) -> list[str]:
        return [site["name"] for site in self.daemon.get("/v1/status").json["domains"]]

    def state(self) -> Any:
        return self.sites(), sorted((f.name, f.read_text()) for f in self.files.glob("*")) if self.files.exists() else []


@pytest.fixture
def house(daemons: Callable[..., Daemon]) -> House:
    daemon = daemons("agent")
    daemon.conf.write_text(daemon.conf.read_text() + "[provider main]\ntype = command\ncommand = /bin/true\n")
    return House(daemon.start())


def test_a_site_comes_and_goes(house: House) -> None:
    done = house.ctl("add", "Sassy-Cat.example.", "http://127.0.0.1:80", "--dns", "main")
    file = house.files / "sassy-cat.example.ini"
    assert (done.code, done.out) == (0, f"added sassy-cat.example, in {file}; see tunnelctl status\n"), done.err
    assert file.read_text().splitlines()[1:] == ["[domain sassy-cat.example]", "service = http://127.0.0.1:80", "dns     = main"]
    assert house.sites() == ["sassy-cat.example"]
    assert run("tunnel-agent", "-c", house.daemon.conf, "--check").code == 0
    done = house.ctl("remove", "SASSY-CAT.example")
    assert (done.code, done.out) == (0, "removed sassy-cat.example\n") and house.state() == ([], [])


@pytest.mark.parametrize("given, name, file", [("*.a.test", "*.a.test", "_.a.test.ini"),
                                               ("bücher.test", "xn--bcher-kva.test", "xn--bcher-kva.test.ini")])
def test_names(house: House, given: str, name: str, file: str) -> None:
    assert house.ctl("add", given, "unix:/run/x.sock").code == 0
    assert house.sites() == [name] and (house.files / file).exists()
    assert json.loads(house.ctl("--json", "status", f"{given}.").out)["domain"]["name"] == name
    assert house.ctl("remove", given).code == 0 and house.state() == ([], [])


def test_json_is_the_answer_to_the_reload(house: House) -> None:
    assert "error" not in json.loads(house.ctl("--json", "add", "a.test", "http://127.0.0.1:80").out)


@pytest.mark.parametrize("words, says", [
    (["b.test", "ftp://127.0.0.1"], "ftp"),
    (["b.test", "http://127.0.0.1:80", "--dns", "other"], "other"),
    (["a.test", "http://127.0.0.1:81"], "is there already, at "),
])
def test_what_is_refused_leaves_nothing(house: House, words: list[str], says: str) -> None:
    assert house.ctl("add", "a.test", "http://127.0.0.1:80").code == 0
    before = house.state()
    done = house.ctl("add", *words)
    assert done.code == 1 and says in done.err and not done.out, done
    assert house.state() == before


@pytest.mark.parametrize("words", [["add", "a.test"], ["add", "a..test", "http://127.0.0.1:80"], ["add", "a.test", "x y"],
                                   ["add", "a.test", "http://127.0.0.1:80", "--dns", "a b"], ["remove"], ["remove", "-"],
                                   ["status", "--dns", "main"]])
def test_wrong_usage(house: House, words: list[str]) -> None:
    done = house.ctl(*words)
    assert (done.code, done.out) == (2, "") and "tunnelctl --help" in done.err and house.state() == ([], [])


def test_what_a_person_wrote_is_not_removed(house: House) -> None:
    house.files.mkdir()
    (house.files / "a.test.ini").write_text("[domain a.test]\nservice = http://127.0.0.1:80\n")
    (house.files / "others.ini").write_text("[domain b.test]\nservice = http://127.0.0.1:80\n")
    house.daemon.post("/v1/reload")
    before = house.state()
    for name, file in ("a.test", "a.test.ini:2"), ("b.test", "others.ini:2"):
        done = house.ctl("remove", name)
        assert done.code == 1 and file in done.err and "did not write" in done.err
    done = house.ctl("remove", "c.test")
    assert done.code == 1 and "there is no [domain c.test]" in done.err and house.state() == before
    (house.files / "c.test.ini").write_text("; not included yet\n")
    done = house.ctl("add", "c.test", "http://127.0.0.1:80")
    assert done.code == 1 and "is there already" in done.err and (house.files / "c.test.ini").read_text() == "; not included yet\n"


def test_a_file_with_another_section_is_not_removed(house: House) -> None:
    assert house.ctl("add", "a.test", "http://127.0.0.1:80").code == 0
    file = house.files / "a.test.ini"
    written = file.read_text()
    file.write_text(written + "ttl = 60s\n\n[domain f.x] ; mine\nservice = http://127.0.0.1:81\n")
    house.daemon.post("/v1/reload")
    before = house.state()
    done = house.ctl("remove", "a.test")
    assert (done.code, done.out) == (1, "") and house.state() == before
    for words in f"{file}:6", "[domain f.x]", "take [domain a.test] out", "tunnelctl reload":
        assert words in done.err, done.err
    assert house.ctl("remove", "f.x").code == 1 and house.state() == before
    file.write_text(written + "ttl = 60s\n; and a comment\n")
    house.daemon.post("/v1/reload")
    assert house.ctl("remove", "a.test").code == 0 and house.state() == ([], [])


def test_a_removal_that_is_refused_changes_nothing(house: House) -> None:
    """Here by what somebody else has broken meanwhile; the file has its mode and its time again."""
    assert house.ctl("add", "a.test", "http://127.0.0.1:80").code == 0
    file = house.files / "a.test.ini"
    file.chmod(0o640)
    was = file.stat()
    (house.files / "b.ini").write_text("[domain b.test]\nservice = gopher://127.0.0.1\n")
    before = house.state()
    done = house.ctl("remove", "a.test")
    assert done.code == 1 and "gopher" in done.err and "a.test was not removed" in done.err and house.state() == before
    now = file.stat()
    assert (now.st_mode, now.st_ino, now.st_mtime_ns) == (was.st_mode, was.st_ino, was.st_mtime_ns)
    (house.files / "b.ini").unlink()
    assert house.ctl("remove", "a.test").code == 0 and house.state() == ([], [])


def test_a_file_whose_name_ends_alike_is_another_one(house: House) -> None:
    house.files.mkdir()
    (house.files / "my-a.test.ini").write_text("[domain a.test]\nservice = http://127.0.0.1:80\n")
    (house.files / "a.test.ini").write_text("; written by tunnelctl add\n; nothing else\n")
    house.daemon.post("/v1/reload")
    before = house.state()
    done = house.ctl("remove", "a.test")
    assert done.code == 1 and "my-a.test.ini:2, which tunnelctl did not write" in done.err and house.state() == before


def test_a_file_of_the_same_name_in_another_folder(house: House) -> None:
    house.daemon.conf.write_text(house.daemon.conf.read_text().replace("[agent]\n", "[agent]\ninclude = agent.d/*.ini sites/*.ini\n"))
    for folder, text in ("sites", "[domain a.test]\nservice = http://127.0.0.1:80\n"), ("agent.d", "; written by tunnelctl add\n"):
        (house.daemon.conf.parent / folder).mkdir()
        (house.daemon.conf.parent / folder / "a.test.ini").write_text(text)
    assert house.daemon.post("/v1/reload").status == 200
    before = house.state()
    for words in ["remove", "a.test"], ["add", "a.test", "http://127.0.0.1:81"]:
        done = house.ctl(*words)
        assert done.code == 1 and "sites/a.test.ini:2" in done.err and house.state() == before


def test_a_link_to_the_configuration(house: House, folder: Path) -> None:
    """Sites are included from beside it, not from beside what it leads to."""
    house.daemon.stop()
    link = folder / "linked" / "agent.ini"
    link.parent.mkdir()
    link.symlink_to(house.daemon.conf)
    house.daemon.start(conf=link)
    assert house.ctl("add", "a.test", "http://127.0.0.1:80").code == 0
    assert (link.parent / "agent.d" / "a.test.ini").exists() and house.sites() == ["a.test"]
    assert house.ctl("remove", "a.test").code == 0 and house.state() == ([], [])


def test_a_configuration_that_is_wrong_elsewhere_loses_no_site(house: House) -> None:
    assert house.ctl("add", "a.test", "http://127.0.0.1:80").code == 0
    (house.files / "broken.ini").write_text("[domain b.test]\nnonsense = 1\n")
    before = house.state()
    for words in ["remove", "a.test"], ["add", "c.test", "http://127.0.0.1:80"]:
        done = house.ctl(*words)
        assert done.code == 1 and "nonsense" in done.err and house.state() == before


# ---- several at once ----


def at_once(house: House, commands: list[list[str]]) -> list[Result]:
    with ThreadPoolExecutor(len(commands)) as pool:
        return list(pool.map(lambda words: house.ctl(*words), commands))


def test_several_at_once(house: House) -> None:
    good = [f"ok{n}.test" for n in range(4)]
    bad = [["add", f"bad{n}.test", "foo"] for n in range(4)]
    results = at_once(house, [words for pair in zip(bad, [["add", name, "http://127.0.0.1:80"] for name in good]) for words in pair])
    for n, (refused, done) in enumerate(zip(results[::2], results[1::2])):
        assert done.code == 0, done.err
        assert refused.code == 1 and set(re.findall(r"\w+\.test", refused.err)) == {f"bad{n}.test"}, refused.err
    assert sorted(house.sites()) == good
    for done in at_once(house, [["remove", name] for name in good]):
        assert done.code == 0, done.err
    assert house.state() == ([], [])


def test_the_same_at_once(house: House) -> None:
    results = at_once(house, [["add", "a.test", f"http://127.0.0.1:{port}"] for port in range(80, 86)])
    assert sorted(done.code for done in results) == [0, 1, 1, 1, 1, 1]
    assert all("is there already" in done.err for done in results if done.code)
    results = at_once(house, [["remove", "a.test"]] * 6)
    assert sorted(done.code for done in results) == [0, 1, 1, 1, 1, 1]
    assert all("there is no [domain a.test]" in done.err for done in results if done.code) and house.state() == ([], [])


def test_the_folder_is_waited_for_and_not_for_ever(house: House) -> None:
    folder = os.open(house.daemon.conf.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    done = house.ctl("add", "a.test", "http://127.0.0.1:80")
    assert (done.code, done.out) == (1, "") and f"another tunnelctl is changing {house.daemon.conf.parent}" in done.err, done
    assert house.state() == ([], [])
    with ThreadPoolExecutor() as pool:
        later = pool.submit(house.ctl, "add", "a.test", "http://127.0.0.1:80")
        time.sleep(0.5)
        assert not later.done() and house.state() == ([], [])
        os.close(folder)
        assert later.result().code == 0 and house.sites() == ["a.test"]


# ---- where it cannot be ----


def test_a_folder_that_is_not_included(house: House) -> None:
    house.daemon.conf.write_text(house.daemon.conf.read_text().replace("[agent]\n", "[agent]\ninclude = sites/*.ini\n"))
    house.daemon.post("/v1/reload")
    done = house.ctl("add", "a.test", "http://127.0.0.1:80")
    assert done.code == 1 and "add agent.d/*.ini to it" in done.err and house.state() == ([], [])


def test_a_relay_has_no_such_command(relay: Daemon) -> None:
    done = run("tunnelctl", "--socket", relay.socket, "add", "a.test", "http://127.0.0.1:80")
    assert done.code == 2 and "relay's control socket" in done.err
