"""What the event loop runs beside routes: sockets, middleware, exception handlers."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from roadworthy.audit.dataflow.statuses import argument
from roadworthy.audit.fastapi.dependencies import Dependency
from roadworthy.audit.fastapi.handlers import registered_in
from roadworthy.audit.fastapi.routes import Route, routes_of
from roadworthy.audit.source import names
from roadworthy.audit.source.module import Class, Function, Module, Scope
from roadworthy.audit.source.ref import Ref

__all__ = ["Entry", "LoopEntry", "entered_by_the_loop"]

_MIDDLEWARE: Final = ("starlette.middleware.base.BaseHTTPMiddleware",)
_LISTED: Final = frozenset({"starlette.middleware.Middleware"})
_SOCKETS: Final = frozenset({"add_api_websocket_route", "add_websocket_route"})
_MARKS: Final = (b"websocket", b"iddleware", b"exception_handler")
"""What stands in every file that has one of these."""


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A function that the server's loop calls, and that no route leads to."""

    function: Function

    @property
    def is_async(self) -> bool:
        """Return whether it runs on the event loop; a `def` handler runs in a thread."""
        return self.function.is_async

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """Return what it gets by `Depends`: nothing."""
        return ()


LoopEntry: TypeAlias = Route | Entry
"""A function that is called for a request or a connection: of a route, or another one."""


def entered_by_the_loop(module: Module) -> tuple[LoopEntry, ...]:
    """Return what a module gives the loop to enter: its routes, and the rest."""
    found: dict[Function, LoopEntry] = {one.function: one for one in routes_of(module)}
    if any(mark in module.source for mark in _MARKS):
        for entry in _others(module):
            found.setdefault(entry.function, entry)
    return tuple(found.values())


def _others(module: Module) -> Iterator[LoopEntry]:
    for function in module.functions:
        for decorator in function.node.decorator_list:
            yield from _decorated(decorator, function)
    for cls in module.classes:
        if names.is_a(Ref.of(cls), *_MIDDLEWARE):
            yield from _methods(cls, "dispatch")
    handlers = (one.function for one in registered_in(module))
    yield from (Entry(function) for function in handlers if function is not None)
    scopes: list[Module | Function] = [module, *module.functions]
    for scope in scopes:
        for call in scope.flow.calls:
            yield from _called(call.node, scope)


def _decorated(decorator: ast.expr, function: Function) -> Iterator[LoopEntry]:
    """Return what `@app.websocket("/desk")` and `@app.middleware("http")` make of a function."""
    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
        return
    if decorator.func.attr in {"websocket", "websocket_route"}:
        yield Route(function, frozenset(), "", decorator, None)
    elif decorator.func.attr == "middleware":
        yield Entry(function)


def _called(call: ast.Call, scope: Scope) -> Iterator[LoopEntry]:
    """Return what a call registers: a socket's endpoint, or middleware of any form."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name in _SOCKETS:
        endpoint = names.resolve(argument(call, "endpoint", 1), scope)
        if endpoint is not None and endpoint.function is not None:
            yield Route(endpoint.function, frozenset(), "", call, None)
    elif name == "add_middleware" or _is_listed(call, scope):
        given = names.resolve(argument(call, "middleware_class", 0) or argument(call, "cls"), scope)
        if given is not None and given.cls is not None:
            yield from _methods(given.cls, "__call__")
        dispatch = names.resolve(argument(call, "dispatch"), scope)
        if dispatch is not None and dispatch.function is not None:
            yield Entry(dispatch.function)


def _is_listed(call: ast.Call, scope: Scope) -> bool:
    found = names.resolve(call.func, scope)
    return found is not None and found.entity is None and found.name in _LISTED


def _methods(cls: Class, name: str) -> Iterator[Entry]:
    """Return a method of a class of the project; those that it inherits are their own class's."""
    for binding in cls.names.get(name, ()):
        if isinstance(binding, Function):
            yield Entry(binding)
