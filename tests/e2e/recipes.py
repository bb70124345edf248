"""conf/man/tunnel-recipes.7, and a house that follows one of its recipes.

    recipe = Recipe("A PLAIN SITE")
    recipe.agent()                         # the ini file for the house, as it stands there
    recipe.file("# settings.py")           # another file, without its first line
    house = recipes(recipe.agent(), {"127.0.0.1:80": "127.0.0.1:4711"})
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from daemon import Daemon
from path import DOMAIN, WholePath
from programs import PATIENCE_S, ROOT, need, wait_until
from sshd import free_port
from stacks import Stack
from words import displayed

PAGE = "conf/man/tunnel-recipes.7"
NGINX = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{text}
}}
"""


def replaced(text: str, others: dict[str, object]) -> str:
    for word, other in others.items():
        assert word in text, f"the recipe has no {word}:\n{text}"
        text = text.replace(word, str(other))
    return text


class Recipe:
    def __init__(self, title: str) -> None:
        self.title, self.files = title, displayed(PAGE, title)
        assert self.files, f"{PAGE} has no recipe {title}"

    def file(self, first: str) -> str:
        (found,) = [text for text in self.files if text.split("\n", 1)[0] == first]
        return found.split("\n", 1)[1] + "\n"

    def agent(self, which: str = "") -> str:
        """The one for /etc/tunnel/agent.d, of those whose first line ends with `which`."""
        (first,) = [line for text in self.files if (line := text.split("\n", 1)[0]).startswith("; /etc/tunnel/agent.d/") and line.endswith(which)]
        return self.file(first)


def titles() -> list[str]:
    text = (ROOT / PAGE).read_text()
    return [title for title in re.findall(r"^\.Sh (.*)$", text, re.M) if displayed(PAGE, title)]


class RecipeHouse(WholePath):
    def __init__(self, daemons: Callable[..., Daemon], started: list, folder: Path, ini: str, others: dict[str, object] | None = None,
                 relay_ini: str = "", may: str = "", **how: Any) -> None:
        """others: what stands in the place of the addresses in the recipe. may: further lines of the relay's [agent pi]."""
        self.ini, self.relay_ini, self.may = replaced(ini, others or {}), relay_ini, may
        sites = re.findall(r"^\[domain (.*)\]$", self.ini, re.M)
        aliases = [name for line in re.findall(r"^aliases *= (.*)$", self.ini, re.M) for name in line.split()]
        self.names = " ".join([*sites, *aliases])
        super().__init__(daemons, started, folder, **how)
        for name in sites:
            self.wait_up(name)
        for name in re.findall(r"^\[tcp (.*)\]$", self.ini, re.M):
            wait_until(lambda: any(p["name"] == name and p["state"] == "up" for p in self.status()["tcp"]), f"port {name} is up")

    def start_relay(self) -> None:
        text = self.relay.conf.read_text().replace(f"domains = {DOMAIN}\n", f"domains = {DOMAIN} {self.names}\n")
        self.relay.configure(text + self.relay_ini)
        super().start_relay()

    def _agent_ini(self, *args: Any) -> str:
        return super()._agent_ini(*args) + self.ini

    def curl(self, *args: object, code: int = 0, root: object = None) -> str:
        """Of any name, by the relay's port."""
        done = subprocess.run([need("curl"), "-sS", "--cacert", str(root or self.root), "--connect-to", f"::127.0.0.1:{self.port}",
                               *map(str, args)], capture_output=True, text=True, timeout=PATIENCE_S * 3)
        assert done.returncode == code, f"curl ended with {done.returncode}: {done.stderr}"
        return done.stdout


@pytest.fixture
def recipes(daemons: Callable[..., Daemon], started: list, folder: Path) -> Iterator[Callable[..., RecipeHouse]]:
    made: list[RecipeHouse] = []

    def make(*args: Any, **how: Any) -> RecipeHouse:
        made.append(RecipeHouse(daemons, started, folder, *args, **how))
        return made[-1]

    yield make
    for house in made:
        house.close()


def nginx(folder: Path, text: str, port: int = 0) -> Stack:
    """text is what stands in its http { }; in it {port} is a free one, unless it has one already."""
    port = port or free_port()
    conf = folder / "nginx.conf"
    conf.write_text(NGINX.format(folder=folder, text=text.replace("{port}", str(port))))
    return Stack("nginx", [need("nginx"), "-e", "stderr", "-p", folder, "-c", conf], port, folder)
