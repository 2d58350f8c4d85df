"""Turn docstrings into Markdown: examples become blocks of code, and sections become lists."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby

__all__ = ["NOT_RUN", "code", "prose"]

NOT_RUN = "<!-- not run: a part of a program -->"
SECTION = re.compile(r"(Args|Raises|Returns|Yields):$")
ENTRY = re.compile(r"(\*{0,2}\w+(?:, \w+)*): ")


def prose(text: str | None, *, of_a_module: bool = False) -> str:
    """Return a docstring as Markdown."""
    # The docstring of a module has no margin of its own, and may begin with an example.
    clean = (text or "").strip() if of_a_module else inspect.cleandoc(text or "")
    return "\n\n".join(parts(clean.splitlines()))


def parts(lines: list[str]) -> Iterator[str]:
    """Yield the paragraphs, examples and sections of a docstring."""
    section = None
    for indented, group in groupby(attached(lines), lambda line: line.startswith("    ")):
        text = "\n".join(group).strip("\n")
        if not indented:
            *_, last = text.splitlines() or [""]
            section = SECTION.match(last)
            text = text.removesuffix(last) + f"**{section[1]}**" if section else text
            yield from map(shown, filter(None, text.strip().split("\n\n")))
        else:
            yield listed(text) if section else code(textwrap.dedent(text))


def attached(lines: list[str]) -> Iterator[str]:
    """Yield lines, empty ones as parts of the indented block in which they stand."""
    for number, line in enumerate(lines):
        around = [
            next((one for one in side if one), "") for side in (lines[number::-1], lines[number:])
        ]
        inside = not line and all(one.startswith("    ") for one in around)
        yield "    " if inside else line


def listed(text: str) -> str:
    """Return the entries of a section as a list, each `name: what it is` with its name as code."""
    items: list[str] = []
    for line in textwrap.dedent(text).splitlines():
        if line.startswith(" ") and items:
            items[-1] += f"\n  {line.strip()}"
        elif line:
            items.append("- " + ENTRY.sub(r"`\1`: ", line, count=1))
    return "\n".join(items)


def shown(paragraph: str) -> str:
    """Return a paragraph, as code if it is: an example may stand at the margin of a docstring."""
    lone_word = paragraph.isidentifier()
    return paragraph if lone_word or told(paragraph) == "text" else code(paragraph)


def code(text: str, language: str | None = None) -> str:
    """Return an example as a block: shown as Python where it is Python."""
    language = language or ("pycon" if text.startswith(">>>") else told(text))
    text = "\n".join(line.rstrip() for line in text.splitlines())
    return f"{NOT_RUN}\n```{language}\n{text}\n```"


def told(text: str) -> str:
    """Return "python" for what can be compiled, also before a function, or "text"."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for after in ("", "\ndef below(): ..."):
        with suppress(SyntaxError):
            compile(text + after, "example", "exec", flags)
            return "python"
    return "text"
