"""Coroutines that a function starts beside itself, with `create_task(work())`."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.dataflow.starters import Runs, starts
from roadworthy.audit.source import names
from roadworthy.audit.source.flow import Call
from roadworthy.audit.source.module import Function, Scope
from roadworthy.audit.source.nodes import walk

__all__ = ["is_dropped", "is_start", "left_behind"]

_KEEPS: Final = frozenset({"add", "append", "add_done_callback"})
"""What holds on to a task, and does not wait for it."""


def is_start(call: Call, scope: Scope) -> bool:
    """Return whether a call starts a task of asyncio."""
    return starts(names.resolve(call.node.func, scope), Runs.TASK)


def is_dropped(call: Call) -> bool:
    """Return whether nobody holds the result of a call."""
    if call.dropped and not call.awaited:
        return True
    statement = call.statement
    return (
        isinstance(statement, ast.Assign)
        and statement.value is call.node
        and all(isinstance(one, ast.Name) and one.id == "_" for one in statement.targets)
    )


def left_behind(function: Function) -> Iterator[ast.Call]:
    """Return the calls of coroutines that run on when the function has ended."""
    for call in function.flow.calls:
        if not is_start(call, function) or not call.node.args:
            continue
        started = call.node.args[0]
        if isinstance(started, ast.Call) and (is_dropped(call) or _is_only_kept(call, function)):
            yield started


def _is_only_kept(call: Call, function: Function) -> bool:
    """Return whether a task is given a name that nobody waits for: `running.add(task)`."""
    match call.statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is call.node:
            return all(_keeps(one, name) for one in _uses(name, function))
        case _:
            return False


def _uses(name: str, function: Function) -> list[ast.AST]:
    """Return the statements that use a name; whole ones, for what is around it decides."""
    parts = [part for one in function.node.body for part in walk(one)]
    simple = [one for one in parts if isinstance(one, ast.stmt) and not hasattr(one, "body")]
    return [
        one
        for one in simple
        if any(
            isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Load)
            for part in walk(one)
        )
    ]


def _keeps(statement: ast.AST, name: str) -> bool:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=attr))):
            return attr in _KEEPS or (owner == name and attr == "set_name")
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=attr))):
            return attr in _KEEPS
        case _:
            return False
