"""`Dependency`: a function that FastAPI calls for a route."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from roadworthy.audit.model.place import Place
from roadworthy.audit.source import annotations, libraries, names
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Assigned, Class, Function, Param, Scope

__all__ = ["Dependency", "Need", "is_injected", "needs_in", "needs_of", "needs_of_class"]


@dataclass(frozen=True, eq=False)
class Dependency:
    """What stands in `Depends(...)`: a function, or the method that a call of it runs."""

    function: Function
    scope: str | None
    """`function` or `request`, where `Depends` says it."""
    asked: ast.Call
    """The first `Depends(...)` that was seen of it."""

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
    """`Depends(...)`, wherever it is kept."""
    scope: Scope
    """Where that call is written."""
    around: Scope | None = None
    """Where it is asked for: annotations are looked up there."""

    @property
    def target(self) -> ast.expr | None:
        """Return what `Depends` is given: `get_db` of `Depends(get_db)`."""
        named = (one.value for one in self.call.keywords if one.arg == "dependency")
        return self.call.args[0] if self.call.args else next(named, None)

    @cached_property
    def dependency(self) -> Dependency | None:
        """Return what fills it, where that is code of the project."""
        target, scope = self.target, self.scope
        if target is None:
            target, scope = self._class
        function = _callable(target, scope)
        if function is None:
            return None
        return Dependency(function, _scope(self.call), self.call)

    @property
    def _class(self) -> tuple[ast.expr | None, Scope]:
        """Return the annotation: `Depends()` calls that class."""
        if self.param is None:
            return None, self.scope
        annotation, scope, _ = annotations.unwrap(self.param.annotation, self.around or self.scope)
        return annotation, scope


@remembered
def needs_of(function: Function) -> tuple[Need, ...]:
    """Return the parameters of a function that FastAPI fills by `Depends`."""
    return tuple(need for param in function.params for need in _needs(param, function.around))


def is_injected(param: Param, function: Function) -> bool:
    """Return whether another container fills a parameter: `FromDishka[Settings]`."""
    annotation, scope, metadata = annotations.unwrap(param.annotation, function.around)
    marks = [(annotation, scope), (param.default, function.around), *metadata]
    return any(_injects(node, where) for node, where in marks)


def _injects(node: ast.expr | None, scope: Scope) -> bool:
    match node:
        case ast.Subscript(value=of) | ast.Call(func=of):
            ref = names.resolve(of, scope)
            return ref is not None and ref.name in libraries.INJECTS
        case _:
            return False


def needs_in(call: ast.Call, scope: Scope) -> Iterator[Need]:
    """Return what `dependencies=[Depends(...)]` in a call asks for."""
    for keyword in call.keywords:
        if keyword.arg == "dependencies":
            for node, where in _listed(keyword.value, scope):
                yield from _asked(node, where, None, scope)


def needs_of_class(cls: Class) -> Iterator[Need]:
    """Return the attributes of a controller that FastAPI fills by `Depends`."""
    for bindings in cls.names.values():
        for one in bindings:
            if isinstance(one, Assigned):
                yield from _marked(one.value, one.annotation, cls, None)


def _needs(param: Param, around: Scope) -> Iterator[Need]:
    yield from _marked(param.default, param.annotation, around, param)


def _marked(
    default: ast.expr | None, annotation: ast.expr | None, scope: Scope, param: Param | None
) -> Iterator[Need]:
    """Return what a default asks for, or else the metadata of `Annotated`."""
    found = list(_asked(default, scope, param, scope))
    if not found and annotation is not None:
        _, _, metadata = annotations.unwrap(annotation, scope)
        found = [need for one, where in metadata for need in _asked(one, where, param, scope)]
    yield from found


def _asked(
    node: ast.expr | None, scope: Scope, param: Param | None, around: Scope
) -> Iterator[Need]:
    """Return the `Depends(...)` that an expression is, or leads to."""
    asked = annotations.asked_for(node, scope)
    if asked is not None:
        yield Need(param, *asked, around)


def _listed(node: ast.expr, scope: Scope, hops: int = 3) -> Iterator[tuple[ast.expr, Scope]]:
    """Return the elements of a list, also of one in a variable, or of several joined."""
    match node:
        case ast.List(elts=elts) | ast.Tuple(elts=elts):
            for one in elts:
                if isinstance(one, ast.Starred):
                    yield from _listed(one.value, scope, hops)
                else:
                    yield one, scope
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _listed(left, scope, hops)
            yield from _listed(right, scope, hops)
        case ast.Name() | ast.Attribute() if hops:
            made = annotations.definition(node, scope)
            if made is not None and made[0].value is not None:
                yield from _listed(made[0].value, made[1], hops - 1)
        case _:
            pass


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
