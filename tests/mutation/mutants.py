"""What can be taken out of a module, one mechanism at a time."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Mutant", "mutants"]

LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)
BOUNDS = re.compile(
    "timeout|seconds|lease|delay|interval|grace|period|patience|attempts|most|max_|limit",
    re.IGNORECASE,
)
FACTOR = 1000
NUMBERS = (int, float)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one mechanism less."""

    line: int
    what: str
    source: str


def mutants(source: str) -> list[Mutant]:
    """Return a module's mutants, in the order of its lines; each can be parsed."""
    text = _Text(source)
    found: list[Mutant] = []
    for node in ast.walk(ast.parse(source)):
        for what, start, end, instead in _edits(node, text):
            changed = text.replaced(start, end, instead)
            if changed != source and _parses(changed):
                line = source.count("\n", 0, start) + 1
                shown = " ".join(source[start:end].split())[:60]
                found.append(Mutant(line, f"{what}: {shown}", changed))
    return sorted(found, key=lambda one: (one.line, one.what))


Edit = tuple[str, int, int, str]


class _Text:
    """Find in a text what the tree has by line and byte."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._lines = source.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        return (
            self._at(node.lineno, node.col_offset),
            self._at(node.end_lineno or node.lineno, node.end_col_offset or 0),
        )

    def of(self, node: ast.expr) -> str:
        start, end = self.span(node)
        return self.source[start:end]

    def replaced(self, start: int, end: int, instead: str) -> str:
        return self.source[:start] + instead + self.source[end:]

    def _at(self, line: int, byte: int) -> int:
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:byte].decode())


def _edits(node: ast.AST, text: _Text) -> Iterator[Edit]:
    yield from _without_condition(node, text)
    yield from _without_statement(node, text)
    yield from _without_bounds(node, text)


def _without_condition(node: ast.AST, text: _Text) -> Iterator[Edit]:
    match node:
        case ast.If(orelse=[]) if isinstance(node.body[-1], LEAVES):
            yield "guard dropped", *text.span(node.test), "False"
        case _:
            pass
    match node:
        case ast.If() | ast.While() | ast.IfExp() if not isinstance(node.test, ast.Constant):
            yield "condition negated", *text.span(node.test), f"(not ({text.of(node.test)}))"
        case _:
            pass


def _without_statement(node: ast.AST, text: _Text) -> Iterator[Edit]:
    match node:
        case ast.Expr(value=ast.Call() | ast.Await(value=ast.Call())):
            yield "call dropped", *text.span(node), "pass"
        case ast.Raise():
            yield "raise dropped", *text.span(node), "pass"
        case ast.ExceptHandler(type=ast.expr() as caught):
            yield "except removed", *text.span(caught), "()"
        case ast.With() | ast.AsyncWith():
            yield from _without_context(node, text)
        case _:
            pass


def _without_bounds(node: ast.AST, text: _Text) -> Iterator[Edit]:
    match node:
        case ast.keyword(arg=str() as name, value=value):
            yield from _without_bound(name, value, text)
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield from _without_bound(name, value, text)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield from _without_bound(name, value, text)
        case _:
            pass


def _without_context(node: ast.With | ast.AsyncWith, text: _Text) -> Iterator[Edit]:
    """`with lock:` becomes `if True:`; where its value is used, nothing can be taken out."""
    if any(item.optional_vars for item in node.items):
        return
    start, _ = text.span(node)
    _, end = text.span(node.items[-1].context_expr)
    yield "context dropped", start, text.source.index(":", end), "if True"


def _without_bound(name: str, value: ast.expr, text: _Text) -> Iterator[Edit]:
    """A name like `timeout` is given a number, or a call with a number as its only argument."""
    if isinstance(value, ast.Call) and len(value.args) == 1 and not value.keywords:
        value = value.args[0]
    if BOUNDS.search(name) and isinstance(value, ast.Constant) and type(value.value) in NUMBERS:
        yield "bound removed", *text.span(value), f"({text.of(value)} * {FACTOR})"


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True
