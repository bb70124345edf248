"""What README.md says, so that the tests run what people read: the indented blocks of a section.

    commands, ini = blocks("## Some section")[:2]
"""

from __future__ import annotations

import textwrap

from programs import ROOT


def blocks(heading: str) -> list[str]:
    """Each without its indent; a section ends where the next one of any depth begins."""
    lines = (ROOT / "README.md").read_text().splitlines()
    begin = lines.index(heading) + 1
    end = next((i for i in range(begin, len(lines)) if lines[i].startswith("#")), len(lines))
    found: list[list[str]] = [[]]
    for line in lines[begin:end]:
        if line.startswith("    ") or (not line and found[-1]):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [textwrap.dedent("\n".join(block)).strip("\n") for block in found if block]


def replaced(text: str, **words: str) -> str:
    """With other words for those that stand there; each has to be there."""
    for word, other in words.items():
        assert word in text, f"README.md has no {word} in:\n{text}"
        text = text.replace(word, other)
    return text
