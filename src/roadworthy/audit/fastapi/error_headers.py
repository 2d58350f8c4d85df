"""What headers a handler of exceptions sends: a code for machines, or none."""

# pyright: reportReturnType=false

import ast
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

from roadworthy.audit.dataflow.statuses import argument, is_http_exception, response_status
from roadworthy.audit.fastapi.handlers import Registered
from roadworthy.audit.source import names
from roadworthy.audit.source.module import Assigned, Function, Scope

__all__ = ["Sends", "carries_code", "sent_by"]

Sends: TypeAlias = Literal["a code", "those of the exception", "none", "not known"]
"""What the answers of a handler carry."""
_ORDER: Final[tuple[Sends, ...]] = ("not known", "none", "those of the exception", "a code")
_STANDARD: Final = frozenset(
    {
        *("www-authenticate", "retry-after", "allow", "location", "cache-control", "vary"),
        *("content-type", "content-length", "etag", "x-request-id", "access-control-allow-origin"),
    }
)
"""Headers that have another meaning than which error it was."""
_FORWARDS: Final = ("http_exception_handler",)


def sent_by(registered: Registered) -> Sends:
    """Return what the answers of a handler carry; the least of several."""
    if registered.function is None:
        return "not known"
    found = _of_function(registered.function, 1)
    if found == "those of the exception" and not is_http_exception(registered.exception):
        return "not known"
    return found


def carries_code(headers: ast.expr | None, scope: Scope) -> bool:
    """Return whether headers of an error may say which one it is."""
    return _of_headers(headers, scope) != "none"


def _of_function(function: Function, hops: int) -> Sends:
    if _sets_one(function):
        return "a code"
    found = [_of_answer(one, function, hops) for one in _answers(function)]
    return min(found, key=_ORDER.index, default="not known")  # pyright: ignore[reportReturnType]


def _answers(function: Function) -> Iterator[ast.expr | None]:
    """Yield what a function returns; a name stands for what it was given."""
    for event in function.flow.returns:
        value = getattr(event.node, "value", None)
        value = value.value if isinstance(value, ast.Await) else value
        given: list[ast.expr | None] = [*_given(value, function)]
        yield from given or [value]


def _given(value: ast.expr | None, scope: Scope) -> Iterator[ast.expr]:
    if isinstance(value, ast.Name):
        for binding in scope.names.get(value.id, ()):
            if isinstance(binding, Assigned) and binding.how == "=" and binding.value is not None:
                yield binding.value


def _of_answer(value: ast.expr | None, function: Function, hops: int) -> Sends:
    if not isinstance(value, ast.Call):
        return "not known"
    if response_status(value, function) is not None:
        if any(one.arg is None for one in value.keywords):
            return "not known"
        return _of_headers(argument(value, "headers", 2), function)
    ref = names.resolve(value.func, function)
    if ref is not None and ref.name.endswith(_FORWARDS) and ref.function is None:
        return "those of the exception"
    if ref is not None and ref.function is not None and hops:
        return _of_function(ref.function, hops - 1)
    return "not known"


def _of_headers(node: ast.expr | None, scope: Scope) -> Sends:
    """Return what a value for `headers=` carries."""
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return "none"
    match node:
        case ast.Attribute(attr="headers"):
            return "those of the exception"
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value="headers"), *_]):
            return "those of the exception"
        case ast.BoolOp(values=[first, *_]):
            return _of_headers(first, scope)
        case ast.Dict(keys=keys, values=values):
            parts = [_of_entry(k, v, scope) for k, v in zip(keys, values, strict=True)]
            return max(parts, key=_ORDER.index, default="none")  # pyright: ignore[reportReturnType]
        case _:
            found = [_of_headers(one, scope) for one in _given(node, scope)]
            return min(found, key=_ORDER.index, default="not known")


def _of_entry(key: ast.expr | None, value: ast.expr, scope: Scope) -> Sends:
    if key is None:  # **more
        return _of_headers(value, scope)
    if isinstance(key, ast.Constant) and str(key.value).lower() in _STANDARD:
        return "none"
    return "a code"


def _sets_one(function: Function) -> bool:
    """Return whether it gives its answer a header: `response.headers["X-Code"] = …`."""
    return any(
        isinstance(target, ast.Subscript)
        and isinstance(target.value, ast.Attribute)
        and target.value.attr == "headers"
        and _of_entry(target.slice, target.slice, function) == "a code"
        for event in function.flow.assigns
        if isinstance(event.node, ast.Assign)
        for target in event.node.targets
    )
