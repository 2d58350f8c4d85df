"""Whether a handler of HTTPExceptions answers with their detail."""

# pyright: reportArgumentType=false

import ast
from dataclasses import dataclass, field
from typing import Final

from roadworthy.audit.dataflow.statuses import status_of
from roadworthy.audit.source import names
from roadworthy.audit.source.module import Function, bodies
from roadworthy.audit.source.nodes import root
from roadworthy.audit.source.ref import Ref

__all__ = ["Answering"]

_TELLS_NOTHING: Final = frozenset({"status_code", "headers"})
"""Attributes of an HTTPException that hold no text."""
_SILENT: Final = frozenset({f"builtins.{one}" for one in ("type", "isinstance", "len", "bool")})
_TEXT: Final = "builtins.str"
_COMPARED: Final = {
    ast.Eq: int.__eq__,
    ast.NotEq: int.__ne__,
    ast.Lt: int.__lt__,
    ast.LtE: int.__le__,
    ast.Gt: int.__gt__,
    ast.GtE: int.__ge__,
}


@dataclass(slots=True)
class Answering:
    """A handler that answers one exception; what is not known may go either way."""

    function: Function
    name: str
    """The parameter that is the exception."""
    status: int | None
    kind: Ref | None
    """What the exception's detail is an instance of, where that is known."""
    held: set[str] = field(default_factory=set[str])
    """Names that hold the detail."""
    said: dict[str, bool | None] = field(default_factory=dict[str, bool | None])
    """Names that stand for a condition."""
    same: set[str] = field(default_factory=set[str])
    """Names that stand for the status."""
    is_replaced: bool = False
    """Whether the exception has another detail by now."""
    shows: bool = False
    """Whether an answer holds the detail."""

    @classmethod
    def of(cls, function: Function, status: int | None, kind: Ref | None) -> "Answering":
        """Run a handler for an exception with a status, and a kind of detail."""
        params = function.params[1:] if function.is_bound else function.params
        if len(params) < 2:  # noqa: PLR2004 - the request, and the exception
            return cls(function, "", status, kind, shows=True)
        made = cls(function, params[1].name, status, kind)
        made._run(function.node.body)
        return made

    def _run(self, body: list[ast.stmt]) -> bool:
        """Run statements, and return whether they leave the handler."""
        return any(self._step(one) for one in body)

    def _step(self, statement: ast.stmt) -> bool:  # noqa: C901 - a table
        match statement:
            case ast.Return(value=value) | ast.Raise(exc=value):
                self.shows |= self._tells(value)
                return True
            case ast.If(test=test, body=body, orelse=orelse):
                return self._branch(test, body, orelse)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self._assign(target, value)
            case ast.AugAssign(target=target, value=value) if self._tells(value):
                self._hold(target)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner)) as call):
                if self._tells(call):  # `content.update(detail=error.detail)`
                    self._hold(owner)
            case _:
                self._inside(statement)
        return False

    def _branch(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt]) -> bool:
        holds = self._truth(test)
        if holds is not None:
            return self._run(body if holds else orelse)
        before, was_replaced = set(self.held), self.is_replaced
        left = self._run(body)
        after, is_replaced = self.held, self.is_replaced
        self.held, self.is_replaced = before, was_replaced
        left_too = self._run(orelse)
        if left_too:
            self.held, self.is_replaced = after, is_replaced
        elif not left:
            self.held |= after
            self.is_replaced &= is_replaced
        return left and left_too

    def _inside(self, statement: ast.stmt) -> None:
        """Run the blocks of a statement, each of which may run or not."""
        iterated = getattr(statement, "iter", None)
        if iterated is not None and self._tells(iterated):
            self._hold(getattr(statement, "target", iterated))
        for body in bodies(statement):
            before, was_replaced = set(self.held), self.is_replaced
            self._run(body)
            self.held |= before
            self.is_replaced &= was_replaced

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        tells = self._tells(value)
        match target:
            case ast.Name(id=name):
                self.held.discard(name)
                self.same.discard(name)
                self.said[name] = self._truth(value)
                if self._is_status(value):
                    self.same.add(name)
            case ast.Attribute(value=ast.Name(id=name), attr="detail") if name == self.name:
                self.is_replaced = not tells
            case _:
                pass
        if tells:
            self._hold(target)

    def _hold(self, target: ast.expr) -> None:
        parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
        for one in parts:
            first = root(one)
            if isinstance(first, ast.Name) and first.id != self.name:
                self.held.add(first.id)

    def _tells(self, node: ast.AST | None) -> bool:
        """Return whether an expression may hold the detail."""
        match node:
            case None | ast.Compare() | ast.Lambda():
                return False
            case ast.Name(id=name):
                return name in self.held or (name == self.name and not self.is_replaced)
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name == self.name:
                return attr not in _TELLS_NOTHING and not self.is_replaced
            case ast.IfExp(test=test, body=body, orelse=orelse):
                holds = self._truth(test)
                shown = holds is not False and self._tells(body)
                return shown or (holds is not True and self._tells(orelse))
            case ast.Call(func=func) if self._is_silent(func):
                return False
            case _:
                return any(self._tells(child) for child in ast.iter_child_nodes(node))

    def _is_silent(self, func: ast.expr) -> bool:
        ref = names.resolve(func, self.function)
        return ref is not None and ref.name in _SILENT

    def _truth(self, test: ast.expr) -> bool | None:  # noqa: PLR0911 - a table
        """Return whether a condition holds for this exception; None where it may do both."""
        match test:
            case ast.Constant(value=bool() as value):
                return value
            case ast.Name(id=name):
                return self.said.get(name)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                found = self._truth(operand)
                return None if found is None else not found
            case ast.BoolOp(op=op, values=values):
                return _joined([self._truth(one) for one in values], ends=isinstance(op, ast.Or))
            case ast.Compare(left=left, ops=ops, comparators=rights):
                lefts = [left, *rights]
                found_all = [self._compared(*one) for one in zip(lefts, ops, rights, strict=False)]
                return _joined(found_all, ends=False)
            case ast.Call(func=ast.Name(id="isinstance"), args=[asked, kinds]):
                return self._is_kind(asked, kinds)
            case _:
                return None

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> bool | None:
        one = self._number(left)
        if isinstance(op, ast.In | ast.NotIn):
            among = self._numbers(right)
            if one is None or among is None:
                return None
            return (one in among) is isinstance(op, ast.In)
        other, compare = self._number(right), _COMPARED.get(type(op))
        if one is None or other is None or compare is None:
            return None
        return compare(one, other)

    def _number(self, node: ast.expr) -> int | None:
        if self._is_status(node):
            return self.status
        match node:
            case ast.BinOp(left=left, op=ast.FloorDiv(), right=right):
                one, other = self._number(left), self._number(right)
                return one // other if one is not None and other else None
            case _:
                return status_of(node, self.function)

    def _numbers(self, node: ast.expr) -> frozenset[int | None] | range | None:
        """Return the numbers in a list, a tuple, a set or a range that is written out."""
        match node:
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                found = frozenset(self._number(one) for one in parts)
                return None if None in found else found
            case ast.Call(func=ast.Name(id="range"), args=[first, last]):
                low, high = self._number(first), self._number(last)
                return None if low is None or high is None else range(low, high)
            case _:
                return None

    def _is_status(self, node: ast.expr) -> bool:
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr="status_code"):
                return owner == self.name
            case ast.Name(id=name):
                return name in self.same
            case _:
                return False

    def _is_kind(self, asked: ast.expr, kinds: ast.expr) -> bool | None:
        """Return whether the detail is of some kinds, where both are known."""
        if self.kind is None or self.kind.name != _TEXT or not self._tells(asked):
            return None
        if isinstance(asked, ast.Name) and asked.id == self.name:
            return None
        listed = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
        found = [names.resolve(one, self.function) for one in listed]
        if any(one is None or not one.name.startswith("builtins.") for one in found):
            return None
        return any(one is not None and one.name == _TEXT for one in found)


def _joined(found: list[bool | None], *, ends: bool) -> bool | None:
    """Return what parts say together: one that `ends` decides, else all must be known."""
    if ends in found:
        return ends
    return None if None in found else not ends
