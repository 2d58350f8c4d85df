"""Find what is put into a dict of a module: `made["a"] = session()`."""

import ast
from collections.abc import Iterator

from roadworthy.audit.source.module import Function, Module, Scope

__all__ = ["under"]


def under(node: ast.Subscript, scope: Scope) -> Iterator[tuple[ast.expr, Scope]]:
    """Yield what is put under the key that an expression asks for, and where."""
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=key)):
            pass
        case _:
            return
    module = scope.module
    if name not in module.names or _hides(scope, name):
        return
    scopes: list[Module | Function] = [module, *module.functions]
    for where in scopes:
        if not _hides(where, name):
            for value in _put(where, name, key):
                yield value, where


def _hides(scope: Scope, name: str) -> bool:
    """Return whether a function means something of its own by a name."""
    return isinstance(scope, Function) and (name in scope.names or scope.param(name) is not None)


def _put(scope: Module | Function, name: str, key: object) -> Iterator[ast.expr]:
    body = scope.tree.body if isinstance(scope, Module) else scope.node.body
    for statement in _statements(body):
        match statement:
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id=to), slice=ast.Constant(value=at))],
                value=value,
            ) if to == name and at == key:
                yield value
            case _:
                pass


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements and those in their blocks, without functions and classes."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        yield statement
        for part in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, part, None) or [])
