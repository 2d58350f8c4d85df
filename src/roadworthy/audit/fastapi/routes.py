"""`Route`: what answers requests, with what FastAPI gives it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from roadworthy.audit.fastapi import models, mounts
from roadworthy.audit.fastapi.dependencies import (
    Dependency,
    Need,
    is_injected,
    needs_in,
    needs_of,
    needs_of_class,
)
from roadworthy.audit.model.place import Place
from roadworthy.audit.source import annotations, libraries, names
from roadworthy.audit.source.memory import remembered
from roadworthy.audit.source.module import Class, Function, Module, Param, Scope
from roadworthy.audit.source.nodes import last_name, words
from roadworthy.audit.source.ref import Ref

__all__ = ["Body", "Route", "is_upload", "is_upload_type", "route_of", "routes_in", "routes_of"]

_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "trace"})
_OTHERS: Final = frozenset({"api_route", "route"})
_ROUTERS: Final = ("fastapi.FastAPI", "fastapi.APIRouter")
_NOT_ROUTERS: Final = frozenset(
    {"client", "session", "cache", "mock", "httpx", "requests", "redis", "responses"}
)


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A parameter that holds the request's body, as a Pydantic model."""

    name: str
    model: Class


@dataclass(eq=False)
class Route:
    """A path operation: the function, its methods, and where it is mounted."""

    function: Function
    methods: frozenset[str]
    """In upper case."""
    path: str
    """As the decorator says it, with the router's own prefix where that is known."""
    decorator: ast.Call
    router: Ref | None

    @property
    def module(self) -> Module:
        """Return the file that its function is in."""
        return self.function.module

    @cached_property
    def title(self) -> str:
        """Return a method and the path that clients use: `PATCH /v1/orders/{id}`."""
        func = self.decorator.func
        router = func.value if isinstance(func, ast.Attribute) else None
        above = "" if router is None else mounts.prefixes(router, self.function.around)[0]
        return f"{'/'.join(sorted(self.methods))} {above}{self.path}"

    @property
    def is_async(self) -> bool:
        """Return whether it runs on the event loop."""
        return self.function.is_async

    @property
    def place(self) -> Place:
        """Return where its signature is."""
        return self.function.place()

    @cached_property
    def needs(self) -> tuple[Need, ...]:
        """Return what it gets by `Depends`, directly."""
        return (*needs_of(self.function), *self._undelivered, *self._of_class)

    @property
    def _of_class(self) -> tuple[Need, ...]:
        """Return what its class gets: `session: Session = Depends(...)` in a controller."""
        return () if self.function.cls is None else tuple(needs_of_class(self.function.cls))

    @cached_property
    def _undelivered(self) -> tuple[Need, ...]:
        """Return what its decorator and its router depend on, without a value."""
        found = list(needs_in(self.decorator, self.function.around))
        func = self.decorator.func
        router = func.value if isinstance(func, ast.Attribute) else None
        made = None if router is None else annotations.definition(router, self.function.around)
        if made is not None and isinstance(made[0].value, ast.Call):
            found += needs_in(made[0].value, made[1])
        return tuple(found)

    @cached_property
    def dependencies(self) -> tuple[Dependency, ...]:
        """Return all dependencies, also those of dependencies, each once."""
        found: dict[str, Dependency] = {}
        waiting = list(self.needs)
        while waiting:
            need = waiting.pop(0)
            one = need.dependency
            if one is not None and one.key not in found:
                found[one.key] = one
                waiting += one.needs
        return tuple(found.values())

    @cached_property
    def bodies(self) -> tuple[Body, ...]:
        """Return its parameters that are Pydantic models taken from the body."""
        return tuple(
            Body(param.name, ref.cls)
            for param in self.function.params
            if (ref := self._body(param)) is not None and ref.cls is not None
        )

    @cached_property
    def uploads(self) -> tuple[Param, ...]:
        """Return its parameters that are uploaded files, or lists of them."""
        return tuple(param for param in self.function.params if is_upload(param, self.function))

    def option(self, name: str) -> ast.expr | None:
        """Return what the decorator says, such as `status_code`."""
        return next((k.value for k in self.decorator.keywords if k.arg == name), None)

    def _body(self, param: Param) -> Ref | None:
        if any(need.param is param for need in self.needs) or is_injected(param, self.function):
            return None
        annotation, scope, _ = annotations.unwrap(param.annotation, self.function.around)
        ref = names.type_of(annotation, scope)
        return ref if models.is_model(ref) and not _is_one_of(annotation, scope) else None


def _is_one_of(annotation: ast.expr | None, scope: Scope) -> bool:
    """Return whether an annotation is a union of several models: which one, is not known."""
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            parts = [left, right]
        case ast.Subscript(slice=ast.Tuple(elts=parts)):
            pass
        case _:
            return False
    return sum(models.is_model(names.type_of(part, scope)) for part in parts) > 1 or any(
        _is_one_of(part, scope) for part in parts
    )


def is_upload(param: Param, function: Function) -> bool:
    """Return whether a parameter is an uploaded file, or a list of them."""
    if is_upload_type(param.annotation, function.around):
        return True
    metadata = annotations.unwrap(param.annotation, function.around)[2]
    marks = [*metadata, (param.default, function.around)]
    return any(_is_file(one, where) for one, where in marks)


def is_upload_type(annotation: ast.expr | None, scope: Scope) -> bool:
    """Return whether an annotation says that something is an `UploadFile`, or a list of them."""
    inner, where, _ = annotations.unwrap(annotation, scope)
    ref = names.type_of(inner, where)
    if ref is not None and ref.name in libraries.COLLECTIONS and ref.args:
        ref = ref.args[0]
    return names.is_a(ref, "fastapi.UploadFile")


def _is_file(node: ast.expr | None, scope: Scope) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = names.resolve(node.func, scope)
    return called is not None and called.name == "fastapi.File"


def routes_of(module: Module) -> tuple[Route, ...]:
    """Return the routes that a module declares, found once."""
    return routes_in(module)


def route_of(function: Function) -> Route | None:
    """Return the route that a function of the same module answers, or None."""
    return next((one for one in routes_of(function.module) if one.function is function), None)


@remembered
def routes_in(module: Module) -> tuple[Route, ...]:
    """Return the routes that a module declares, by decorators or by calls."""
    return tuple(_routes_in(module))


def _routes_in(module: Module) -> Iterator[Route]:
    for function in module.functions:
        for decorator in function.node.decorator_list:
            if isinstance(decorator, ast.Call):
                yield from _decorated(function, decorator)
    yield from _added(module)


def _decorated(function: Function, decorator: ast.Call) -> Iterator[Route]:
    yield from _declared(decorator, function, function.around)


def _declared(declaration: ast.Call, function: Function, scope: Scope) -> Iterator[Route]:
    """Return the route of `router.get(...)`, or of `wrapper(router.get, ...)`."""
    func, declaration = _unwrapped(declaration)
    if not isinstance(func, ast.Attribute) or func.attr not in _METHODS | _OTHERS:
        return
    router = names.resolve(func.value, scope)
    if not _is_router(router, func.value, declaration, scope.module):
        return
    methods = frozenset({func.attr.upper()}) if func.attr in _METHODS else _listed(declaration)
    path = _prefix(func.value, scope) + _path(declaration, scope)
    yield Route(function, methods, path, declaration, router)


def _unwrapped(call: ast.Call) -> tuple[ast.expr, ast.Call]:
    """Return a declaration's method, and its call as if nothing wrapped it."""
    first = call.args[0] if call.args else None
    if isinstance(call.func, ast.Name) and isinstance(first, ast.Attribute):
        made = ast.Call(first, call.args[1:], call.keywords)
        return first, ast.copy_location(made, call)
    return call.func, call


def _is_router(router: Ref | None, node: ast.expr, decorator: ast.Call, module: Module) -> bool:
    if router is None or (router.entity is None and not router.is_instance):
        return _reads_like_router(node, decorator, module)
    if not router.is_instance:
        return False
    if names.is_a(router, *_ROUTERS):
        return True
    if router.cls is None:
        return router.name.endswith(("Router", "FastAPI")) and _takes_path(decorator)
    return any(one.cls is None and one.name.endswith("Router") for one in names.bases(router.cls))


def _reads_like_router(node: ast.expr, decorator: ast.Call, module: Module) -> bool:
    """Return whether what nobody can tell the type of is used as a router of FastAPI is."""
    known = _NOT_ROUTERS.isdisjoint(words(last_name(node)))
    return known and _takes_path(decorator) and b"fastapi" in module.source.lower()


def _takes_path(decorator: ast.Call) -> bool:
    first = decorator.args[0] if decorator.args else _keyword(decorator, "path")
    return isinstance(first, ast.Constant | ast.JoinedStr | ast.Name | ast.Attribute | ast.BinOp)


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((one.value for one in call.keywords if one.arg == name), None)


def _listed(call: ast.Call) -> frozenset[str]:
    value = _keyword(call, "methods")
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return frozenset(
            one.value.upper()
            for one in value.elts
            if isinstance(one, ast.Constant) and isinstance(one.value, str)
        )
    return frozenset({"GET"})


def _path(call: ast.Call, scope: Scope) -> str:
    first = call.args[0] if call.args else _keyword(call, "path")
    return "" if first is None else mounts.text_of(first, scope)


def _prefix(node: ast.expr, scope: Scope) -> str:
    """Return the prefix that a router was made with, where it is written out."""
    made = annotations.definition(node, scope)
    return "" if made is None else mounts.prefix_of(*made)


def _added(module: Module) -> Iterator[Route]:
    """Return the routes that calls declare.

    These are `router.add_api_route(path, endpoint)` and `router.get(path)(endpoint)`.
    """
    scopes: list[Scope] = [module, *module.functions]
    for scope in scopes:
        if isinstance(scope, Class) or not (scope is module or b"add_api" in module.source):
            continue
        for call in scope.flow.calls:
            func = call.node.func
            if isinstance(func, ast.Attribute) and func.attr == "add_api_route":
                yield from _added_by(call.node, scope)
            elif isinstance(func, ast.Call) and call.node.args:
                yield from _called_with(call.node.args[0], func, scope)


def _called_with(endpoint: ast.expr, declaration: ast.Call, scope: Scope) -> Iterator[Route]:
    found = names.resolve(endpoint, scope)
    if found is not None and found.function is not None:
        yield from _declared(declaration, found.function, scope)


def _added_by(call: ast.Call, scope: Scope) -> Iterator[Route]:
    endpoint = call.args[1] if len(call.args) > 1 else _keyword(call, "endpoint")
    found = names.resolve(endpoint, scope)
    if found is not None and found.function is not None:
        router = names.resolve(call.func.value, scope)  # type: ignore[attr-defined]
        yield Route(found.function, _listed(call), _path(call, scope), call, router)
