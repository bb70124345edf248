"""The words that people read, taken apart so that tests can run them: README.md and the manual pages.

    readme = Words.of_readme()
    for block in readme.section("Certificates"): block.kind, block.commands()
    readme.inline()                                # the commands that stand in sentences: `tunnelctl status`
    ini_of("conf/man/relay.ini.5")                 # the ini blocks of a manual page

A block is what stands indented by four blanks, as one reads it. Its kind is ini when it begins with a [section] or a
comment of one, otherwise commands; what is neither has a name of its own in the tests that read it.
"""

from __future__ import annotations

import re
import textwrap
from typing import Iterator, NamedTuple

from programs import ROOT

COMMAND = re.compile(r"(sudo |tunnelctl |make\b|sh scripts/|man |ssh -L|curl )")


class Block(NamedTuple):
    section: str
    lead: str  # the bold words that the last paragraph before it began with
    line: int
    text: str

    @property
    def is_ini(self) -> bool:
        return self.text.lstrip().startswith(("[", ";"))

    def commands(self) -> list[str]:
        """Without the comments behind them; one that goes on in the next line is put together."""
        lines = [re.sub(r"\s{2,}#.*", "", line).strip() for line in self.text.splitlines() if line.strip()]
        return re.sub(r"\s*\\\n", " ", "\n".join(lines)).splitlines()


class Inline(NamedTuple):
    section: str
    line: int
    command: str


class Words:
    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()

    @staticmethod
    def of_readme() -> "Words":
        return Words((ROOT / "README.md").read_text())

    def _walk(self) -> Iterator[tuple[int, str, str]]:
        """Number, section and text of each line that is not in a fenced drawing."""
        section, fenced = "", False
        for number, line in enumerate(self.lines, 1):
            if line.startswith("```"):
                fenced = not fenced
            elif not fenced:
                if heading := re.match(r"#+ (.*)", line):
                    section = heading[1]
                yield number, section, line

    def blocks(self) -> list[Block]:
        found: list[Block] = []
        open_, lead, before = False, "", ""
        for number, section, line in self._walk():
            if line.startswith("    "):
                if open_:
                    found[-1] = found[-1]._replace(text=f"{found[-1].text}\n{line[4:]}")
                else:
                    found.append(Block(section, lead, number, line[4:]))
                open_ = True
            elif not line and open_ and self._goes_on(number):
                found[-1] = found[-1]._replace(text=f"{found[-1].text}\n")
            else:
                open_ = False
                if not before and (bold := re.match(r"\*\*(.*?)\.?\*\*", line)):
                    lead = bold[1]
                elif line.startswith("#"):
                    lead = ""
            before = line
        return found

    def _goes_on(self, blank: int) -> bool:
        """Ini files have empty lines between sections; commands that belong together have none."""
        return blank < len(self.lines) and self.lines[blank].startswith("    [")

    def section(self, title: str) -> list[Block]:
        return [block for block in self.blocks() if block.section == title]

    def inline(self) -> list[Inline]:
        """One command each, as it is to be typed; one that is broken over two lines is put together."""
        rows = [(number, section, line) for number, section, line in self._walk() if not line.startswith("    ")]
        text = "\n".join(line for _, _, line in rows)
        found = []
        for match in re.finditer(r"`([^`]+)`", text):
            command = " ".join(match[1].split())
            number, section, _ = rows[text.count("\n", 0, match.start())]
            if COMMAND.match(command):
                found.append(Inline(section, number, command))
        return found


def roff(text: str) -> str:
    return text.replace("\\(dq", '"').replace("\\&", "").replace("\\-", "-").replace("\\e", "\\")


def displayed(page: str, section: str = "EXAMPLES") -> list[str]:
    """What a section of a manual page shows as it is: its .Bd blocks and .Dl lines."""
    text = (ROOT / page).read_text()
    part = re.search(rf'^\.Sh "?{section}"?\n(.*?)(?=^\.Sh |\Z)', text, re.M | re.S)
    if not part:
        return []
    found = re.findall(r"^\.Bd [^\n]*\n(.*?)^\.Ed$|^\.Dl ([^\n]*)$", part[1], re.M | re.S)
    return [textwrap.dedent(roff(block or line)).strip() for block, line in found]
