"""What there is to judge, counted by the engine as if it were mistakes."""

import ast
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, get_args

from roadworthy.audit.dataflow.starters import Runs, has_starter_name
from roadworthy.audit.dataflow.statuses import argument
from roadworthy.audit.fastapi.error_headers import Sends, carries_code, sent_by
from roadworthy.audit.fastapi.handlers import registered_in
from roadworthy.audit.fastapi.health_routes import is_health
from roadworthy.audit.model.finding import Severity
from roadworthy.audit.model.rule import Hit, Looks, Rule
from roadworthy.audit.source import names
from roadworthy.audit.source.nodes import walk

__all__ = ["CENSUS"]

_INSTALLS: Final = frozenset({"roadworthy.problems.install"})


# Functions at module level, because other processes are sent them.


def _every_route(route: Any) -> Iterator[Hit]:
    yield Hit(place=route.place, message=route.title)


def _patch_route(route: Any) -> Iterator[Hit]:
    if "PATCH" in route.methods:
        yield from _every_route(route)


def _async_route(route: Any) -> Iterator[Hit]:
    if route.is_async:
        yield from _every_route(route)


def _upload_route(route: Any) -> Iterator[Hit]:
    if route.uploads:
        yield from _every_route(route)


def _health_route(route: Any) -> Iterator[Hit]:
    if is_health(route):
        yield from _every_route(route)


def _cleaned_up(dependency: Any) -> Iterator[Hit]:
    if dependency.function.is_generator:
        yield Hit(place=dependency.place, message=dependency.function.name)


def _background(function: Any) -> Iterator[Hit]:
    for call in _calls(function):
        if has_starter_name(_name(call).rpartition(".")[2], Runs.AFTERWARDS, Runs.TASK):
            yield Hit(place=function.module.place(call, function), message="starts work")


def _with_headers(function: Any) -> Iterator[Hit]:
    yield from (hit for hit, has in _errors(function) if has)


def _without_headers(function: Any) -> Iterator[Hit]:
    yield from (hit for hit, has in _errors(function) if not has)


def _errors(function: Any) -> Iterator[tuple[Hit, bool]]:
    """Yield each `HTTPException(...)`, and whether it has headers."""
    for call in _calls(function):
        if _name(call).rpartition(".")[2] == "HTTPException":
            hit = Hit(place=function.module.place(call, function), message="an error")
            yield hit, _has(call, function)


def _has(call: ast.Call, function: Any) -> bool:
    if any(one.arg is None for one in call.keywords):
        return True  # **options may have it
    return carries_code(argument(call, "headers", 2), function)


def _contracts(module: Any) -> Iterator[Hit]:
    """Yield where this library answers errors, with a code in each."""
    for scope in (module, *module.functions):
        for call in scope.flow.calls:
            found = names.resolve(call.node.func, scope)
            if found is not None and found.name in _INSTALLS:
                yield Hit(place=module.place(call.node), message=found.name)


def _handlers(module: Any, *, sends: Sends) -> Iterator[Hit]:
    for one in registered_in(module):
        if sent_by(one) == sends:
            yield Hit(place=one.place, message=one.name)


def _calls(function: Any) -> Iterator[ast.Call]:
    for node in walk(function.node):
        if isinstance(node, ast.Call):
            yield node


def _name(call: ast.Call) -> str:
    """Return what is called, as far as it is names with dots."""
    node: ast.expr = call.func
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts))


def _counting(code: str, looks: Looks, check: Callable[[Any], Iterator[Hit]]) -> Rule:
    return Rule(
        code=code,
        name=code,
        severity=Severity.LOW,
        looks=looks,
        check=check,
        summary="",
        why="",
        mend="",
    )


CENSUS: Final = (
    _counting("#patches", "route", _patch_route),
    _counting("#dependencies", "dependency", _cleaned_up),
    _counting("#routes", "route", _every_route),
    _counting("#async-routes", "route", _async_route),
    _counting("#uploads", "route", _upload_route),
    _counting("#health", "route", _health_route),
    _counting("#background", "function", _background),
    _counting("#errors-without-headers", "function", _without_headers),
    _counting("#errors-with-headers", "function", _with_headers),
    _counting("#contracts", "module", _contracts),
    *(
        _counting(f"#handlers: {sends}", "module", partial(_handlers, sends=sends))
        for sends in get_args(Sends)
    ),
)
"""Rules that find what there is, mistaken or not; their codes start with `#`."""
