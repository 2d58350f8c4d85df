"""Find the arguments of the calls that make the objects of a class."""

import ast
from collections.abc import Callable, Iterator
from typing import Final

from roadworthy.audit.source.module import Class, Function, Module, Project, Scope
from roadworthy.audit.source.ref import Ref

__all__ = ["of_objects"]

_MOST: Final = 20
"""Files that are read for the calls of one class."""


def of_objects(
    files: Project, resolve: Callable[[ast.expr, Scope], Ref | None], cls: Class, name: str
) -> Iterator[tuple[ast.expr, Scope]]:
    """Yield what fills a parameter of `__init__`, each with its scope."""
    at = _place(cls, name)
    for call, scope in _calls(files, cls):
        made = resolve(call.func, scope)
        if made is not None and made.entity is cls and not made.is_instance:
            given = _argument(call, name, at)
            if given is not None:
                yield given, scope


def _place(cls: Class, name: str) -> int:
    """Return the place among positional arguments, which `self` is none of."""
    init = next(one for one in cls.methods if one.name == "__init__")
    return [param.name for param in init.params].index(name) - 1


def _calls(files: Project, cls: Class) -> Iterator[tuple[ast.Call, Module | Function]]:
    for path in files.constructing(cls.name)[:_MOST]:
        module = files.module(path)
        scopes: list[Module | Function] = [] if module is None else [module, *module.functions]
        for scope in scopes:
            yield from ((call.node, scope) for call in scope.flow.calls if _is_of(call.node, cls))


def _is_of(call: ast.Call, cls: Class) -> bool:
    """Return whether a call may be one of this class: the rest is asked of the resolver."""
    func = call.func
    return cls.name == (func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", ""))


def _argument(call: ast.Call, name: str, at: int) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    placed = call.args[at : at + 1]
    return placed[0] if placed and not isinstance(placed[0], ast.Starred) else None
