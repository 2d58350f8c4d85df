"""Functions of a file by name and source, to see which have only moved."""

import ast
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from roadworthy.audit.source.newer import Unreadable, parse

__all__ = ["Definition", "definitions_in"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A function with its decorators, and the lines that it stands in."""

    name: str
    """Qualified, as `where` of a finding: `Orders.add`."""
    text: str
    """Its lines without the indentation that they share."""
    first: int
    last: int


def definitions_in(source: bytes) -> list[Definition]:
    """Return the functions of a file, outer ones first; none where it cannot be read."""
    try:
        tree = parse(source)
    except (Unreadable, RecursionError):
        return []
    lines = source.decode("utf-8", errors="replace").split("\n")
    return list(_within(tree.body, "", lines))


def _within(body: list[ast.stmt], prefix: str, lines: list[str]) -> Iterator[Definition]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{node.name}"
            if not isinstance(node, ast.ClassDef):
                yield _definition(node, name, lines)
            yield from _within(node.body, f"{name}.", lines)
            continue
        for inner in ("body", "orelse", "finalbody"):
            yield from _within(getattr(node, inner, []), prefix, lines)


def _definition(
    node: ast.FunctionDef | ast.AsyncFunctionDef, name: str, lines: list[str]
) -> Definition:
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    last = node.end_lineno or node.lineno
    return Definition(name, textwrap.dedent("\n".join(lines[first - 1 : last])), first, last)
