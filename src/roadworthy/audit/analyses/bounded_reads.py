"""Reads of an upload that take no more than a limit, and what stands beside them."""

import ast
from collections.abc import Iterator

from roadworthy.audit.dataflow.constant_conditions import is_taken, never_holds
from roadworthy.audit.dataflow.expressions import dotted
from roadworthy.audit.dataflow.reach import Reached
from roadworthy.audit.dataflow.values import Frame
from roadworthy.audit.source.flow import Block, Call
from roadworthy.audit.source.nodes import mentions, walk

__all__ = ["is_for_no_limit", "refuses_the_rest"]


def is_for_no_limit(call: Call, frame: Frame) -> bool:
    """Return whether a read of everything stands where a limit was not set, and one may be.

    `if limit: photo.read(limit + 1) ... else: photo.read()` reads everything where the caller
    gives no limit; a caller that never gives one is told so.
    """
    for block in call.blocks("if", "else"):
        if not isinstance(block.node, ast.If):
            continue
        limited, test = _other_way(block, block.node)
        if any(_is_by(one, block.node.test) for one in _bounded(limited, frame)):
            return not never_holds(test, frame.function, frame.chain)
    return False


def _other_way(block: Block, node: ast.If) -> tuple[list[ast.stmt], ast.expr]:
    """Return the branch that is not taken, and what holds where it is."""
    if block.kind == "else":
        return node.body, node.test
    return node.orelse, ast.UnaryOp(ast.Not(), node.test)


def _is_by(read: ast.Call, test: ast.expr) -> bool:
    """Return whether a condition asks for the limit that a read is given."""
    limits = [node.id for node in walk(read.args[0]) if isinstance(node, ast.Name)]
    return any(mentions(test, name) for name in limits)


def _bounded(body: list[ast.stmt], frame: Frame) -> Iterator[ast.Call]:
    for statement in body:
        for node in walk(statement):
            if isinstance(node, ast.Call) and _is_bounded(node, frame):
                yield node


def _is_bounded(call: ast.Call, frame: Frame) -> bool:
    """Return whether a call reads so many bytes: `photo.read(limit + 1)`."""
    match call:
        case ast.Call(func=ast.Attribute(value=owner, attr="read"), args=[size]):
            everything = isinstance(size, ast.UnaryOp | ast.Constant)
            return not everything and frame.has(owner)
        case _:
            return False


def refuses_the_rest(frame: Frame) -> bool:
    """Return whether a function reads a little more than is allowed, and raises if it is there."""
    read = {name for call in frame.function.flow.calls for name in _read_into(call, frame)}
    return bool(read) and any(
        isinstance(node, ast.If) and _is_too_long(node.test, read) and _raises(node.body)
        for node in frame.nodes
    )


def _read_into(call: Call, frame: Frame) -> Iterator[str]:
    """Return the name of what a bounded read gives, where this caller gets as far as that."""
    if not (_is_bounded(call.node, frame) and isinstance(call.statement, ast.Assign)):
        return
    if is_taken(Reached(call, None, frame.function, frame.chain)):
        yield from map(dotted, call.statement.targets)


def _is_too_long(test: ast.expr, read: set[str]) -> bool:
    """Return whether a condition asks for more bytes than something: `len(content) > limit`."""
    match test:
        case ast.Compare(left=left, ops=[ast.Gt() | ast.GtE()], comparators=[_]):
            return _length_of(left) in read
        case ast.Compare(left=_, ops=[ast.Lt() | ast.LtE()], comparators=[right]):
            return _length_of(right) in read
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(_is_too_long(one, read) for one in values)
        case _:
            return False


def _length_of(node: ast.expr) -> str:
    match node:
        case ast.Call(func=ast.Name(id="len"), args=[one]):
            return dotted(one)
        case _:
            return "?"


def _raises(body: list[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Raise)
