"""The code blocks and links of README.md and docs/.

A comment in front of a block says what it is:

    <!-- continues -->      runs after the Python block before it, in the same module
    <!-- prints -->         is exactly what the Python block before it printed
    <!-- not run: why -->   is shown only
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.source import REPOSITORY

__all__ = ["FILES", "Block", "Example", "blocks_of", "examples", "links_of", "pages", "targets_of"]

FILES = "https://github.com/roadworthy/roadworthy/blob/main/"
"""Where a file of the repository can be read by who has no copy of it."""

_BLOCK = re.compile(
    r"^(?:<!-- (?P<comment>[^\n]*?) -->\n\s*)?^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block and where it starts."""

    page: Path
    line: int
    language: str
    comment: str
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """A Python block with all those it continues, and what it should print."""

    blocks: tuple[Block, ...]
    prints: str | None = None

    def __str__(self) -> str:
        last = self.blocks[-1]
        return f"{last.page.relative_to(REPOSITORY)}:{last.line}"


def pages() -> list[Path]:
    """List the pages that users read."""
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page that are there to be used."""
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        comment = match["comment"] or ""
        if not comment.startswith("not run: "):
            line = text.count("\n", 0, match.start("text"))
            yield Block(page, line, match["language"], comment, match["text"])


def examples(page: Path) -> Iterator[Example]:
    """Yield the Python blocks of a page, each with what goes before and what it prints."""
    running: list[Block] = []
    waiting: Example | None = None
    for block in blocks_of(page):
        if block.comment == "prints" and waiting:
            waiting = Example(waiting.blocks, block.text)
        elif block.language == "python":
            if waiting:
                yield waiting
            running = [*running, block] if block.comment == "continues" else [block]
            waiting = Example(tuple(running))
    if waiting:
        yield waiting


def links_of(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links that point into the repository, from the page on."""
    for target in targets_of(page):
        if target.startswith(FILES):
            yield os.path.relpath(REPOSITORY / target.removeprefix(FILES), page.parent)
        elif not re.match(r"https?:|mailto:", target):
            yield target


def targets_of(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links as they are written."""
    prose = _BLOCK.sub("", page.read_text())
    yield from (match["target"] for match in _LINK.finditer(prose))
