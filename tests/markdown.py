"""The commands that stand in README.md, CONTRIBUTING.md and docs/, and what they are said to answer.

A `console` block has lines with a prompt: `$ ` in the checkout, `appliance# ` and the like in a machine of
the lab; `$` and `#` are the same to the tests. Lines without a prompt are the command's answer, with `…` for
anything. `^C` ends what was left running. An HTML comment `not run: reason` before a block keeps it from
being run. A YAML block whose first line is `# NAME.yaml` is the file of that name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]
ROLES = ("", "client", "production", "switch", "appliance", "target")
PROMPT = re.compile(r"([a-z]*)[$#] (.+)")
COMMAND = re.compile(
    r"^(?:[$#] )?(?:sudo|make|xdpcopy|ip|sysctl|ethtool|python3?|curl|\.venv/\S+) ", re.MULTILINE
)
EXCUSE = re.compile(r"<!-- not run:\s*(.*?)\s*-->", re.DOTALL)
FILE = re.compile(r"# (\S+\.yaml)\n")


@dataclass(frozen=True)
class Block:
    """``reason``: why its commands are not run; None: they are."""

    where: str
    language: str
    text: str
    reason: str | None

    @property
    def file(self) -> str:
        """The name of the file that it is, or nothing."""
        found = FILE.match(self.text) if self.language == "yaml" else None
        return found[1] if found else ""


@dataclass(frozen=True)
class Command:
    """What to type where, and the lines that come."""

    where: str
    role: str
    line: str
    answer: tuple[str, ...]


def pages() -> list[Path]:
    """Every page that people read."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name(page: Path) -> str:
    """For a test's id."""
    return str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name


def blocks(page: Path) -> list[Block]:
    """The blocks of code, in order."""
    found: list[Block] = []
    before = ""
    for token in _tokens(page):
        where = f"{name(page)}:{token.map[0] + 1}" if token.map else ""
        assert token.type != "code_block", f"{where}: an indented block; fence it with a language"
        if token.type == "fence":
            excuse = EXCUSE.search(before)
            assert excuse is None or excuse[1], f"{where}: not run, without a reason"
            found.append(Block(where, token.info, token.content, excuse[1] if excuse else None))
        before = token.content if token.type == "html_block" else ""
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a console block."""
    found: list[Command] = []
    for line in block.text.splitlines():
        prompt = PROMPT.fullmatch(line)
        if prompt is None:
            assert found, f"{block.where}: no prompt before {line!r}"
            last = found.pop()
            found.append(Command(last.where, last.role, last.line, (*last.answer, line)))
            continue
        assert prompt[1] in ROLES or block.reason, f"{block.where}: there is no machine {prompt[1]!r}"
        found.append(Command(block.where, prompt[1], prompt[2], ()))
    return found


def links(page: Path) -> list[str]:
    """Where its links lead."""
    found = (child for token in _tokens(page) for child in token.children or ())
    return [str(child.attrs["href"]) for child in found if child.type == "link_open"]


def _tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())
