"""`Flow`: what happens in a body of code, each with the blocks that it stands in."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["Block", "Call", "Event", "Flow", "Handler"]

# Not frozen: there are so many of these that setting their fields took a tenth of an audit.
Kind = Literal["if", "else", "try", "handler", "finally", "with", "loop", "case"]


@dataclass(slots=True, eq=False)
class Block:
    """A block of statements, and the one around it."""

    kind: Kind
    """`else` is the other branch of an `if`; what follows a `try` without error is `try`."""
    node: ast.AST
    outer: "Block | None"

    def chain(self) -> "Iterator[Block]":
        """Return this block and those around it, from within."""
        block: Block | None = self
        while block is not None:
            yield block
            block = block.outer


@dataclass(slots=True, eq=False)
class Event:
    """Something that happens: a node, and the block around it."""

    node: ast.AST
    block: Block | None
    statement: ast.stmt

    def blocks(self, *kinds: Kind) -> Iterator[Block]:
        """Return the blocks around it, from within; only of some kinds if given."""
        for block in self.block.chain() if self.block is not None else ():
            if not kinds or block.kind in kinds:
                yield block

    def tries(self) -> Iterator[ast.Try]:
        """Return the statements that could handle what it raises, from within."""
        for block in self.blocks("try"):
            if isinstance(block.node, ast.Try):
                yield block.node


@dataclass(slots=True, eq=False)
class Call(Event):
    """A call, and what is done with its result."""

    node: ast.Call  # pyright: ignore[reportIncompatibleVariableOverride]
    awaited: bool
    dropped: bool
    """Whether nobody looks at the result."""
    parent: ast.AST | None
    """The expression that it is a part of; None where it is the whole statement's value."""


@dataclass(slots=True, eq=False)
class Handler(Event):
    """An `except` clause, with its statement and what happens in it."""

    node: ast.ExceptHandler  # pyright: ignore[reportIncompatibleVariableOverride]
    tried: ast.Try


class Flow:
    """Everything that happens in a body, in the order of the text."""

    def __init__(self, body: list[ast.stmt]) -> None:
        self.body = body
        self.calls: list[Call] = []
        self.returns: list[Event] = []
        self.raises: list[Event] = []
        self.yields: list[Event] = []
        """`yield` and `yield from`."""
        self.awaits: list[Event] = []
        self.handlers: list[Handler] = []
        self.assigns: list[Event] = []
        """Assign, AnnAssign with a value, AugAssign."""
        self.globals: list[Event] = []
        """`global` statements."""
        self.compares: list[Event] = []
        self.withs: list[Event] = []
        """`with` and `async with` statements."""
        self.lambdas: list[Event] = []
        self._statements(body, None)

    @property
    def self_assigned(self) -> Iterator[tuple[str, ast.expr | None, ast.expr | None]]:
        """Return what is assigned to attributes of `self`: name, value, annotation."""
        for event in self.assigns:
            match event.node:
                case ast.Assign(targets=targets, value=value):
                    yield from ((name, value, None) for name in _of_self(targets))
                case ast.AnnAssign(target=target, value=value, annotation=annotation):
                    yield from ((name, value, annotation) for name in _of_self([target]))
                case _:
                    pass

    def _statements(self, body: list[ast.stmt], block: Block | None) -> None:
        for statement in body:
            self._statement(statement, block)

    def _statement(self, statement: ast.stmt, block: Block | None) -> None:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return
            case ast.If() | ast.While() | ast.For() | ast.AsyncFor():
                self._branch(statement, block)
            case ast.Try() | ast.TryStar():
                self._try(statement, block)
            case ast.With() | ast.AsyncWith():
                self._with(statement, block)
            case ast.Match():
                self._match(statement, block)
            case _:
                self._simple(statement, block)

    def _branch(
        self, statement: ast.If | ast.While | ast.For | ast.AsyncFor, block: Block | None
    ) -> None:
        if isinstance(statement, ast.For | ast.AsyncFor):
            self._expression(statement.iter, statement, block)
            inner: Kind = "loop"
        else:
            self._expression(statement.test, statement, block)
            inner = "if" if isinstance(statement, ast.If) else "loop"
        self._statements(statement.body, Block(inner, statement, block))
        self._statements(statement.orelse, Block("else", statement, block))

    def _try(self, statement: ast.Try | ast.TryStar, block: Block | None) -> None:
        tried = statement if isinstance(statement, ast.Try) else _as_try(statement)
        self._statements(tried.body, Block("try", tried, block))
        for handler in tried.handlers:
            self.handlers.append(Handler(handler, block, statement, tried))
            self._statements(handler.body, Block("handler", handler, block))
        self._statements(tried.orelse, block)
        self._statements(tried.finalbody, Block("finally", tried, block))

    def _with(self, statement: ast.With | ast.AsyncWith, block: Block | None) -> None:
        self.withs.append(Event(statement, block, statement))
        for item in statement.items:
            self._expression(item.context_expr, statement, block, parent=item)
        self._statements(statement.body, Block("with", statement, block))

    def _match(self, statement: ast.Match, block: Block | None) -> None:
        self._expression(statement.subject, statement, block)
        for case in statement.cases:
            self._statements(case.body, Block("case", case, block))

    def _simple(self, statement: ast.stmt, block: Block | None) -> None:
        event = Event(statement, block, statement)
        match statement:
            case ast.Return():
                self.returns.append(event)
            case ast.Raise():
                self.raises.append(event)
            case ast.Assign() | ast.AugAssign():
                self.assigns.append(event)
            case ast.AnnAssign() if statement.value is not None:
                self.assigns.append(event)
            case ast.Global():
                self.globals.append(event)
            case _:
                pass
        dropped = isinstance(statement, ast.Expr)
        for child in _parts(statement):
            if isinstance(child, ast.expr):
                self._expression(child, statement, block, dropped=dropped)

    def _expression(
        self,
        node: ast.AST,
        statement: ast.stmt,
        block: Block | None,
        *,
        parent: ast.AST | None = None,
        dropped: bool = False,
    ) -> None:
        kind = type(node)
        if kind is ast.Call:
            call: Any = node
            awaited = isinstance(parent, ast.Await)
            self.calls.append(Call(call, block, statement, awaited, dropped, parent))
        elif kind is ast.Lambda:
            self.lambdas.append(Event(node, block, statement))
            return
        elif kind in _NOTED:
            getattr(self, _NOTED[kind]).append(Event(node, block, statement))
        still = dropped and kind is ast.Await
        for child in _parts(node):
            self._expression(child, statement, block, parent=node, dropped=still)


_NOTED: Final[dict[type[ast.AST], str]] = {
    ast.Await: "awaits",
    ast.Yield: "yields",
    ast.YieldFrom: "yields",
    ast.Compare: "compares",
}
_LEAVES: Final = frozenset({ast.Name, ast.Constant})
"""Expressions that hold no others."""
_SILENT: Final = frozenset(
    {*("ctx", "op", "ops", "id", "attr", "arg", "kind", "conversion"), *("type_comment", "simple")}
)
"""Fields of what says how, and holds no expression."""
_fields: Final[dict[type[ast.AST], tuple[str, ...]]] = {}


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """Return the expressions in a node; ast.iter_child_nodes takes twice the time."""
    kind = type(node)
    if kind not in _fields:
        _fields[kind] = tuple(name for name in kind._fields if name not in _SILENT)
    for name in _fields[kind]:
        value = getattr(node, name, None)
        if type(value) is list:
            for one in value:  # pyright: ignore[reportUnknownVariableType]
                if isinstance(one, ast.AST) and type(one) not in _LEAVES:
                    yield one
        elif isinstance(value, ast.AST) and type(value) not in _LEAVES:
            yield value


def _of_self(targets: list[ast.expr]) -> Iterator[str]:
    for target in targets:
        match target:
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                yield name
            case _:
                pass


def _as_try(statement: ast.TryStar) -> ast.Try:
    made = ast.Try(statement.body, statement.handlers, statement.orelse, statement.finalbody)
    return ast.copy_location(made, statement)
