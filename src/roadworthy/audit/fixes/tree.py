"""A file's concrete syntax: where nodes are, and how one is replaced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from roadworthy.audit.refusal import CannotRun

try:
    import libcst as cst
    from libcst import metadata
    from libcst.codemod import CodemodContext
    from libcst.codemod.visitors import AddImportsVisitor, RemoveImportsVisitor
except ModuleNotFoundError as missing:
    raise CannotRun("--fix needs libcst. Type: pip install 'roadworthy[audit]'") from missing

__all__ = [
    "Change",
    "Tree",
    "Unreadable",
    "dotted",
    "with_argument",
    "with_import",
    "without_unused",
]

Unreadable = cst.ParserSyntaxError
"""A file that libcst does not understand."""

Node = TypeVar("Node", bound=cst.CSTNode)


@dataclass(frozen=True, slots=True)
class Change:
    """A new text; its imports are changed last, as that moves other lines."""

    text: bytes
    imports: tuple[str, ...] = ()
    """Dotted names that it needs: `asyncio`, or `fastapi.HTTPException`."""
    unused: tuple[str, ...] = ()
    """Modules that it may need no more."""

    def finished(self) -> bytes:
        """Return the text with its imports."""
        text = self.text
        for name in self.imports:
            text = with_import(text, name)
        for name in self.unused:
            text = without_unused(text, name)
        return text


class Tree:
    """The syntax of a file, which is not changed: each change gives a new text."""

    def __init__(self, source: bytes) -> None:
        wrapper = metadata.MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
        self.module = wrapper.module
        self._places = wrapper.resolve(metadata.PositionProvider)
        self._parents = wrapper.resolve(metadata.ParentNodeProvider)

    def within(self, kind: type[Node], first: int, last: int) -> Sequence[Node]:
        """Return the nodes of a kind that begin between two lines, in their order."""
        found = [
            (place.start.line, place.start.column, node)
            for node, place in self._places.items()
            if isinstance(node, kind) and first <= place.start.line <= last
        ]
        return [node for *_, node in sorted(found, key=lambda one: one[:2])]

    def at(self, kind: type[Node], line: int, column: int) -> Node | None:
        """Return the node of a kind that begins at a place, both from 1."""
        for node in self.within(kind, line, line):
            if self._places[node].start.column == column - 1:
                return node
        return None

    def above(self, node: cst.CSTNode, kind: type[Node]) -> Node | None:
        """Return the nearest node of a kind that a node stands in."""
        above = self._parents.get(node)
        while above is not None and not isinstance(above, kind):
            above = self._parents.get(above)
        return above

    def replaced(self, old: cst.CSTNode, new: cst.CSTNode) -> bytes:
        """Return the text with one node replaced."""
        return self.replaced_all({old: new})

    def replaced_all(self, nodes: Mapping[Any, cst.CSTNode]) -> bytes:
        """Return the text with some nodes replaced, none of which is within another."""
        module: Any = self.module
        for old, new in nodes.items():
            module = module.deep_replace(old, new)
        text: bytes = module.bytes
        return text

    def imported(self, *names: str) -> str | None:
        """Return what a file calls the first of some dotted names that it imports."""
        for statement in self.within(cst.ImportFrom, 1, 10**9):
            if statement.module is None or isinstance(statement.names, cst.ImportStar):
                continue
            for alias in statement.names:
                if f"{dotted(statement.module)}.{dotted(alias.name)}" in names:
                    asname = alias.asname.name if alias.asname else alias.name
                    return dotted(asname)
        return None


def with_import(source: bytes, name: str) -> bytes:
    """Return a text that imports a dotted name: `asyncio`, or `fastapi.HTTPException`."""
    module, _, attribute = name.rpartition(".")
    context = CodemodContext()
    AddImportsVisitor.add_needed_import(context, module or name, attribute if module else None)
    return AddImportsVisitor(context).transform_module(cst.parse_module(source)).bytes


def without_unused(source: bytes, name: str) -> bytes:
    """Return a text that does not import a module, unless something in it is used."""
    context = CodemodContext()
    RemoveImportsVisitor.remove_unused_import(context, name)
    return RemoveImportsVisitor(context).transform_module(cst.parse_module(source)).bytes


def dotted(node: cst.CSTNode) -> str:
    """Return a name with its dots, or nothing where it is something else."""
    match node:
        case cst.Name(value=name):
            return name
        case cst.Attribute(value=value, attr=cst.Name(value=name)):
            before = dotted(value)
            return f"{before}.{name}" if before else ""
        case _:
            return ""


def with_argument(call: cst.Call, name: str, value: str) -> cst.Call:
    """Return a call with one more keyword argument, spelled as its others are."""
    more = cst.Arg(
        keyword=cst.Name(name),
        value=cst.parse_expression(value),
        equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
    )
    if not call.args:
        return call.with_changes(args=[more])
    *before, last = call.args
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    return call.with_changes(
        args=[*before, last.with_changes(comma=comma), more.with_changes(comma=last.comma)]
    )
