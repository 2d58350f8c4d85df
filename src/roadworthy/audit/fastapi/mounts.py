"""Where routers are included: the prefixes that their routes have for clients."""

import ast
from collections.abc import Iterator
from typing import Final, TypeAlias

from roadworthy.audit.source import annotations
from roadworthy.audit.source.flow import Call
from roadworthy.audit.source.memory import lasting, remembered
from roadworthy.audit.source.module import Assigned, Class, Function, Module, Project, Scope
from roadworthy.audit.source.nodes import last_name, written

__all__ = ["around", "prefix_of", "prefixes", "text_of"]

_Router: TypeAlias = tuple[str, int, int, int]
"""What tells a router apart: file, line and column of its value, and its place in a tuple."""
_UNKNOWN: Final[_Router] = ("", 0, 0, 0)
_INCLUDES: Final = b"include_router("

_DEEPEST = 5
"""Routers in routers; more are hardly seen."""


def prefixes(router: ast.expr, scope: Scope) -> list[str]:
    """Return the prefixes that a router is included under; `""` if unknown."""
    made = annotations.definition(router, scope)
    if made is None:
        return [""]
    return list(dict.fromkeys(_above(_mounts(scope.module), _router(made), _DEEPEST)))


def around(router: ast.expr, scope: Scope) -> Iterator[tuple[ast.Call, Scope]]:
    """Return the calls that include a router, and those that made what includes it."""
    including = _including_files(scope.module)
    waiting = [annotations.definition(router, scope)]
    seen: set[_Router] = set()
    for made in waiting:  # grows while it is read
        if made is None or _router(made) in seen:
            continue
        seen.add(_router(made))
        if isinstance(made[0].value, ast.Call):
            yield made[0].value, made[1]
        for call, where in _calls_including(_router(made), including, scope.module.codebase):
            yield call, where
            waiting.append(_includer(call, where))


def _calls_including(
    router: _Router, including: dict[_Router, list[str]], codebase: Project
) -> Iterator[tuple[ast.Call, Scope]]:
    for module in map(codebase.module, including.get(router, ())):
        for child, call, where in () if module is None else _inclusions(module):
            if child == router:
                yield call, where


def _router(made: tuple[Assigned, Scope]) -> _Router:
    assigned, scope = made
    node = assigned.value or assigned.annotation
    if node is None:
        return _UNKNOWN
    return scope.module.path, node.lineno, node.col_offset, assigned.at


@lasting
def _including_files(near: Module) -> dict[_Router, list[str]]:
    """Return, by router, the files of a project that include it."""
    codebase = near.codebase
    found: dict[_Router, list[str]] = {}
    for path in codebase.mentioning(_INCLUDES, near=near.path):
        module = codebase.module(path)
        for child in {one for one, _, _ in (() if module is None else _inclusions(module))}:
            found.setdefault(child, []).append(path)
    return found


def _includer(call: ast.Call, scope: Scope) -> tuple[Assigned, Scope] | None:
    """Return what includes a router by a call."""
    func = call.func
    return annotations.definition(func.value, scope) if isinstance(func, ast.Attribute) else None


@remembered
def _inclusions(module: Module) -> tuple[tuple[_Router, ast.Call, Scope], ...]:
    """Return each router that a file includes, with the call that does it."""
    return tuple(_find_inclusions(module))


def _find_inclusions(module: Module) -> Iterator[tuple[_Router, ast.Call, Scope]]:
    scopes: list[Module | Function] = [module, *module.functions]
    for scope in scopes:
        for call in scope.flow.calls:
            if last_name(call.node.func) == "include_router" and call.node.args:
                child = annotations.definition(call.node.args[0], scope)
                if child is not None and isinstance(call.node.func, ast.Attribute):
                    yield _router(child), call.node, scope


def _above(
    mounts: dict[_Router, list[tuple[_Router, str]]], router: _Router, left: int
) -> list[str]:
    if router not in mounts or not left:
        return [""]
    return [
        f"{above}{prefix}"
        for parent, prefix in mounts[router]
        for above in _above(mounts, parent, left - 1)
    ]


@lasting
def _mounts(near: Module) -> dict[_Router, list[tuple[_Router, str]]]:
    """Return, by router of a project, what includes it and under which prefix."""
    codebase = near.codebase
    found: dict[_Router, list[tuple[_Router, str]]] = {}
    for path in codebase.mentioning(_INCLUDES, near=near.path):
        module = codebase.module(path)
        for child, parent, prefix in () if module is None else _includes(module):
            found.setdefault(child, []).append((parent, prefix))
    return found


def _includes(module: Module) -> Iterator[tuple[_Router, _Router, str]]:
    scopes: list[Scope] = [module, *module.functions]
    for scope in scopes:
        for call in () if isinstance(scope, Class) else scope.flow.calls:
            func = call.node.func
            if isinstance(func, ast.Attribute) and func.attr == "include_router":
                yield from _included(call, func.value, scope)


def _included(
    call: Call, includer: ast.expr, scope: Scope
) -> Iterator[tuple[_Router, _Router, str]]:
    child = annotations.definition(call.node.args[0], scope) if call.node.args else None
    parent = annotations.definition(includer, scope)
    if child is not None:
        own = "" if parent is None else prefix_of(parent[0], parent[1])
        above = _UNKNOWN if parent is None else _router(parent)
        yield _router(child), above, f"{own}{_written(call.node, scope)}"


def prefix_of(made: Assigned, scope: Scope) -> str:
    """Return the prefix that a router was made with, where it is written out."""
    return _written(made.value, scope) if isinstance(made.value, ast.Call) else ""


def _written(call: ast.Call, scope: Scope) -> str:
    for keyword in call.keywords:
        if keyword.arg == "prefix":
            return text_of(keyword.value, scope)
    return ""


def text_of(node: ast.expr, scope: Scope) -> str:
    """Return the text of an expression; what is not known of it stands in braces."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Name() | ast.Attribute():
            made = annotations.definition(node, scope)
            value = None if made is None else made[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                return value.value
            return "{" + written(node) + "}"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text_of(left, scope) + text_of(right, scope)
        case ast.JoinedStr(values=parts):
            return "".join(_part(part) for part in parts)
        case _:
            return ""


def _part(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else f"{{{written(part)[3:-2]}}}"
