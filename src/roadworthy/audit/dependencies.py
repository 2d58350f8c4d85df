"""`Dependency`: a function that FastAPI calls for a route."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from roadworthy.audit import aliases, libraries, names
from roadworthy.audit.module import Assigned, Class, Function, Param, Scope
from roadworthy.audit.place import Place

__all__ = ["Dependency", "Need", "needs_in", "needs_of", "needs_of_class"]


@dataclass(frozen=True, eq=False)
class Dependency:
    """What stands in `Depends(...)`: a function, or the method that a call of it runs."""

    function: Function
    scope: str | None
    """`function` or `request`, where `Depends` says it."""
    asked: ast.Call
    """The first `Depends(...)` that was seen of it."""
    asked_in: Scope

    @property
    def key(self) -> str:
        """Return what tells dependencies apart."""
        return f"{self.function.module.path}:{self.function.qualname}:{self.scope}"

    @property
    def place(self) -> Place:
        """Return where its signature is."""
        return self.function.place()

    @cached_property
    def needs(self) -> "tuple[Need, ...]":
        """Return what it gets by `Depends` itself."""
        return needs_of(self.function)


@dataclass(frozen=True, eq=False)
class Need:
    """A parameter that is filled by `Depends`."""

    param: Param | None
    """None where the value is not used: `dependencies=[Depends(...)]`."""
    call: ast.Call
    scope: Scope

    @cached_property
    def dependency(self) -> Dependency | None:
        """Return what fills it, where that is code of the project."""
        target = self.call.args[0] if self.call.args else self._class
        function = _callable(target, self.scope)
        if function is None:
            return None
        return Dependency(function, _scope(self.call), self.call, self.scope)

    @property
    def _class(self) -> ast.expr | None:
        """Return the annotation: `Depends()` calls that class."""
        if self.param is None:
            return None
        return aliases.unwrap(self.param.annotation, self.scope)[0]


def needs_of(function: Function) -> tuple[Need, ...]:
    """Return the parameters of a function that FastAPI fills by `Depends`."""
    return tuple(need for param in function.params for need in _needs(param, function))


def needs_in(call: ast.Call, scope: Scope) -> Iterator[Need]:
    """Return what `dependencies=[Depends(...)]` in a call asks for."""
    for keyword in call.keywords:
        if keyword.arg == "dependencies" and isinstance(keyword.value, ast.List | ast.Tuple):
            for one in keyword.value.elts:
                if isinstance(one, ast.Call) and _is_depends(one, scope):
                    yield Need(None, one, scope)


def needs_of_class(cls: Class) -> Iterator[Need]:
    """Return the attributes of a controller that FastAPI fills by `Depends`."""
    for bindings in cls.names.values():
        for one in bindings:
            value = one.value if isinstance(one, Assigned) else None
            if isinstance(value, ast.Call) and _is_depends(value, cls):
                yield Need(None, value, cls)


def _needs(param: Param, function: Function) -> Iterator[Need]:
    around = function.around
    if isinstance(param.default, ast.Call) and _is_depends(param.default, around):
        yield Need(param, param.default, around)
        return
    _, _, metadata = aliases.unwrap(param.annotation, around)
    for one, scope in metadata:
        if isinstance(one, ast.Call) and _is_depends(one, scope):
            yield Need(param, one, scope)


def _is_depends(call: ast.Call, scope: Scope) -> bool:
    called = names.resolve(call.func, scope)
    return called is not None and called.name in libraries.DEPENDS


def _scope(call: ast.Call) -> str | None:
    for keyword in call.keywords:
        if keyword.arg == "scope" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None


def _callable(target: ast.expr | None, scope: Scope) -> Function | None:
    """Return the function that runs when FastAPI calls something."""
    if isinstance(target, ast.Call) and (made := _made_by(target, scope)) is not None:
        return made
    found = names.resolve(target, scope)
    if found is None:
        return None
    if found.function is not None:
        return found.function
    if found.cls is None:
        return None
    name = "__call__" if found.is_instance else "__init__"
    member = names.member(found, name)
    return None if member is None else member.function


def _made_by(call: ast.Call, scope: Scope) -> Function | None:
    """Return the inner function that a factory of dependencies returns."""
    factory = names.resolve(call.func, scope)
    if factory is None or factory.function is None:
        return None
    for event in factory.function.flow.returns:
        returned = names.resolve(getattr(event.node, "value", None), factory.function)
        if returned is not None and returned.function is not None:
            return returned.function
        if returned is not None and isinstance(returned.cls, Class) and returned.is_instance:
            member = names.member(returned, "__call__")
            return None if member is None else member.function
    return None
