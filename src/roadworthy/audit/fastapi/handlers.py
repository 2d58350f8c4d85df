"""Exception handlers: what an application answers itself, and with what."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from roadworthy.audit.dataflow.statuses import argument, status_of
from roadworthy.audit.model.place import Place
from roadworthy.audit.source import names
from roadworthy.audit.source.module import Assigned, Class, Function, Module, Scope
from roadworthy.audit.source.ref import Ref

__all__ = ["EVERYTHING", "Registered", "registered_anywhere", "registered_in"]

EVERYTHING: Final = frozenset({"builtins.Exception", "builtins.BaseException", "500"})
"""Names of what a handler for all exceptions is registered for."""
_MARK: Final = b"exception_handler"


@dataclass(frozen=True, slots=True, eq=False)
class Registered:
    """An exception, and the function that answers where it leaves a route."""

    name: str
    """Dotted, or a status code; empty where the code does not tell."""
    exception: Ref | None
    function: Function | None
    node: ast.AST
    """The decorator, the call, or the key in `exception_handlers={...}`."""
    scope: Scope

    @property
    def place(self) -> Place:
        """Return where it is registered."""
        return self.scope.module.place(self.node, self.scope)


def registered_in(module: Module) -> Iterator[Registered]:
    """Return the exception handlers that a module registers."""
    if _MARK not in module.source:
        return
    for function in module.functions:
        for decorator in function.node.decorator_list:
            if _calls(decorator, "exception_handler"):
                yield _decorated(decorator, function)  # type: ignore[arg-type]
    scopes: list[Scope] = [module, *module.functions]
    for scope in scopes:
        if not isinstance(scope, Class):
            yield from _in_calls(scope)


def registered_anywhere(module: Module) -> tuple[Registered, ...]:
    """Return the exception handlers of a module's whole project."""
    codebase = module.codebase
    key = (registered_anywhere, codebase.project(module.path))
    if key not in codebase.facts:
        asked = codebase.lasting.get(key, codebase.mentioning(_MARK, near=module.path))
        modules = [one for one in map(codebase.module, asked) if one is not None]
        found = tuple(one for each in modules for one in registered_in(each))
        codebase.facts[key] = found
        codebase.lasting[key] = sorted({one.scope.module.path for one in found})
    known: tuple[Registered, ...] = codebase.facts[key]
    return known


def _calls(node: ast.AST, name: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == name
    )


def _decorated(decorator: ast.Call, function: Function) -> Registered:
    scope = function.outer or function.module
    asked = argument(decorator, "exc_class_or_status_code", 0)
    return _registered(asked, function, decorator, scope)


def _in_calls(scope: Module | Function) -> Iterator[Registered]:
    for call in scope.flow.calls:
        node = call.node
        if _calls(node, "add_exception_handler"):
            asked = argument(node, "exc_class_or_status_code", 0)
            function = _function(argument(node, "handler", 1), scope)
            yield _registered(asked, function, node, scope)
        elif isinstance(node.func, ast.Call) and _calls(node.func, "exception_handler"):
            asked = argument(node.func, "exc_class_or_status_code", 0)
            function = _function(argument(node, "func", 0), scope)
            yield _registered(asked, function, node, scope)
        given = argument(node, "exception_handlers")
        if given is not None and not _is_elsewhere(node, scope):
            yield from _in_mapping(given, scope)


def _is_elsewhere(call: ast.Call, scope: Scope) -> bool:
    """Return whether they are given to an application of another framework."""
    found = names.resolve(call.func, scope)
    if found is None or found.entity is not None:
        return False
    return not found.name.startswith(("fastapi.", "starlette.", "builtins."))


def _in_mapping(given: ast.expr, scope: Scope) -> Iterator[Registered]:
    mapping, where = _mapping(given, scope)
    if mapping is None:
        yield Registered("", None, None, given, scope)
        return
    for key, value in zip(mapping.keys, mapping.values, strict=True):
        if key is None:
            yield from _in_mapping(value, where)
            continue
        yield _registered(key, _function(value, where), key, where)


def _function(given: ast.expr | None, scope: Scope) -> Function | None:
    """Return the function that is registered, also through `cast(Any, answer)`."""
    if isinstance(given, ast.Call) and len(given.args) == _CAST:
        called = names.resolve(given.func, scope)
        if called is not None and called.name == "typing.cast":
            given = given.args[1]
    answers = names.resolve(given, scope)
    return None if answers is None else answers.function


_CAST: Final = 2
"""As many arguments has `typing.cast`."""


def _mapping(given: ast.expr, scope: Scope) -> tuple[ast.Dict | None, Scope]:
    if isinstance(given, ast.Dict):
        return given, scope
    here: Scope | None = scope
    while here is not None and isinstance(given, ast.Name):
        for binding in here.names.get(given.id, ()):
            if isinstance(binding, Assigned) and isinstance(binding.value, ast.Dict):
                return binding.value, here
        here = here.outer
    return None, scope


def _registered(
    asked: ast.expr | None, function: Function | None, node: ast.AST, scope: Scope
) -> Registered:
    status = status_of(asked, scope)
    if status is not None:
        return Registered(str(status), None, function, node, scope)
    ref = names.resolve(asked, scope)
    return Registered("" if ref is None else ref.name, ref, function, node, scope)
