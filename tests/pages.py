"""The pages of the documentation, their code blocks, and the commands that they name."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from cyclopts import App

from vpr_aesvc.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block of a page. ``line`` is that of its first line."""

    language: str
    text: str
    line: int


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Code blocks in the order of the page, without the indent that a list gives them."""
    text = page.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        found.append(Block(match[2], textwrap.dedent(match[3]), text.count("\n", 0, match.start(3)) + 1))
    return found


def without_blocks(page: Path) -> str:
    return _BLOCK.sub("", page.read_text())


def code_spans(page: Path) -> list[str]:
    """What stands between backticks outside of code blocks."""
    return re.findall(r"`([^`]+)`", without_blocks(page))


def commands(of: App = app, words: tuple[str, ...] = ()) -> dict[tuple[str, ...], set[str]]:
    """The words of each command -> the options that it has."""
    found: dict[tuple[str, ...], set[str]] = {}
    for name in of:
        if name.startswith("-"):
            continue
        command = of[name]
        if command.default_command is None:
            found |= commands(command, (*words, name))
        else:
            names = {option for argument in command.assemble_argument_collection() for option in argument.names}
            found[(*words, name)] = {option for option in names if option.startswith("-")} | {"--help", "-h"}
    return found
