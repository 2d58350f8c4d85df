"""A file's concrete syntax: where nodes are, and how one is replaced."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar

from roadworthy.audit.fixes.imports import with_import, without_unused
from roadworthy.audit.model.refusal import NotInstalled

try:
    import libcst as cst
    from libcst import matchers, metadata
except ModuleNotFoundError as missing:
    raise NotInstalled("--fix needs libcst. Type: pip install 'roadworthy[audit]'") from missing

__all__ = [
    "Change",
    "Tree",
    "Unreadable",
    "cst",
    "dotted",
    "finished",
    "matchers",
    "tree_of",
    "with_argument",
]

Unreadable = cst.ParserSyntaxError
"""A file that libcst does not understand."""

Node = TypeVar("Node", bound=cst.CSTNode)


@dataclass(frozen=True, slots=True)
class Change:
    """Nodes to put in the place of others; imports are changed after all of them."""

    tree: "Tree"
    nodes: Mapping[Any, cst.CSTNode]
    imports: tuple[str, ...] = ()
    """Dotted names that it needs: `asyncio`, or `fastapi.HTTPException`."""
    unused: tuple[str, ...] = ()
    """Modules that it may need no more."""

    @property
    def text(self) -> bytes:
        """Return the text without the imports."""
        return self.tree.replaced_all(self.nodes)

    def finished(self) -> bytes:
        """Return the text with its imports."""
        return finished(self.text, self.imports, self.unused)


def finished(text: bytes, imports: Iterable[str], unused: Iterable[str]) -> bytes:
    """Return a text with some imports, and without others that it does not use."""
    for name in dict.fromkeys(imports):
        text = with_import(text, name)
    for name in dict.fromkeys(unused):
        text = without_unused(text, name)
    return text


@lru_cache(maxsize=64)
def tree_of(source: bytes) -> "Tree":
    """Return the syntax of a file, which several fixes may ask for.

    Raises:
        Unreadable: libcst does not understand it.
    """
    return Tree(source)


class _Replacing(cst.CSTTransformer):
    """Put other nodes in the place of some, in one pass."""

    def __init__(self, nodes: Mapping[Any, cst.CSTNode]) -> None:
        super().__init__()
        self._nodes = {id(old): new for old, new in nodes.items()}

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        """Return the new node of one that is to be replaced."""
        return self._nodes.get(id(original_node), updated_node)


class Tree:
    """The syntax of a file, which is not changed: each change gives a new text."""

    def __init__(self, source: bytes) -> None:
        wrapper = metadata.MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
        self.module = wrapper.module
        self.source = source
        self._wrapper = wrapper

    @cached_property
    def _places(self) -> Mapping[cst.CSTNode, Any]:
        return self._wrapper.resolve(metadata.PositionProvider)

    @cached_property
    def _parents(self) -> Mapping[cst.CSTNode, cst.CSTNode]:
        return self._wrapper.resolve(metadata.ParentNodeProvider)

    @cached_property
    def _lines(self) -> Mapping[int, Sequence[tuple[int, cst.CSTNode]]]:
        """The nodes that begin in each line, with their columns, in their order."""
        found: dict[int, list[tuple[int, cst.CSTNode]]] = {}
        for node, place in self._places.items():
            found.setdefault(place.start.line, []).append((place.start.column, node))
        return {line: sorted(nodes, key=lambda one: one[0]) for line, nodes in found.items()}

    def within(self, kind: type[Node], first: int, last: int) -> Sequence[Node]:
        """Return the nodes of a kind that begin between two lines, in their order."""
        lines = sorted(self._lines) if last - first > len(self._lines) else range(first, last + 1)
        return [
            node
            for line in lines
            if first <= line <= last
            for _, node in self._lines.get(line, ())
            if isinstance(node, kind)
        ]

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

    def all_above(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Yield the nodes that a node stands in, from within."""
        above = self._parents.get(node)
        while above is not None:
            yield above
            above = self._parents.get(above)

    def line(self, node: cst.CSTNode) -> int:
        """Return the line that a node begins in."""
        line: int = self._places[node].start.line
        return line

    def lines_added(self, old: cst.CSTNode, new: cst.CSTNode) -> int:
        """Return how many lines more a node has than the one in its place."""
        code = self.module.code_for_node
        return code(new).count("\n") - code(old).count("\n")

    def replaced_all(self, nodes: Mapping[Any, cst.CSTNode]) -> bytes:
        """Return the text with some nodes replaced, none of which is within another."""
        module: Any = self.module.visit(_Replacing(nodes))
        text: bytes = module.bytes
        return text

    def imported_as(self, name: str) -> str | None:
        """Return what a file calls a module that it imports as something else."""
        for statement in self.within(cst.Import, 1, 10**9):
            for alias in statement.names:
                if dotted(alias.name) == name and alias.asname is not None:
                    return dotted(alias.asname.name)
        return None

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
