"""Answers that take as long as their client wants: streams, events and files."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.source import names
from roadworthy.audit.source.module import Function

__all__ = ["maker_of", "streams_of"]

_STREAMS: Final = frozenset(
    {
        *("starlette.responses.StreamingResponse", "starlette.responses.FileResponse"),
        *("sse_starlette.EventSourceResponse", "sse_starlette.sse.EventSourceResponse"),
        *("fastapi.sse.EventSourceResponse", "fastapi.EventSourceResponse"),
    }
)


_ANSWERS: Final = frozenset({"starlette.responses.Response", "fastapi.Response"})
"""What a helper says that it returns, whichever kind of answer it makes."""
_DEEPEST: Final = 2


def streams_of(route: Route) -> Iterator[tuple[ast.AST, ast.expr | None]]:
    """Yield where a route answers with a stream, and what is answered.

    A route that yields is one as a whole.
    """
    function = route.function
    if function.is_generator:
        yield function.flow.yields[0].node, None
        return
    for event in function.flow.returns:
        value = event.node.value if isinstance(event.node, ast.Return) else None
        if value is not None and _is_stream(value, function):
            yield event.node, value


def _is_stream(value: ast.expr, function: Function, depth: int = _DEEPEST) -> bool:
    """Return whether something is an answer that is sent piece by piece."""
    ref = names.resolve(value, function)
    if ref is not None and ref.is_instance and names.is_a(ref, *_STREAMS):
        return True
    if not depth or ref is None or ref.name not in _ANSWERS:
        return False
    maker = maker_of(value, function)
    return maker is not None and any(
        isinstance(event.node, ast.Return)
        and event.node.value is not None
        and _is_stream(event.node.value, maker, depth - 1)
        for event in maker.flow.returns
    )


def maker_of(value: ast.expr, function: Function) -> Function | None:
    """Return the function of the project that makes an answer: `await served(file)`."""
    call = value.value if isinstance(value, ast.Await) else value
    called = names.resolve(call.func, function) if isinstance(call, ast.Call) else None
    return None if called is None else called.function
