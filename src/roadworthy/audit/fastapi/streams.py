"""Answers that take as long as their client wants: streams, events and files."""

import ast
from collections.abc import Iterator
from typing import Final

from roadworthy.audit.fastapi.routes import Route
from roadworthy.audit.source import names
from roadworthy.audit.source.ref import Ref

__all__ = ["streams_of"]

_STREAMS: Final = frozenset(
    {
        *("starlette.responses.StreamingResponse", "starlette.responses.FileResponse"),
        *("sse_starlette.EventSourceResponse", "sse_starlette.sse.EventSourceResponse"),
        *("fastapi.sse.EventSourceResponse", "fastapi.EventSourceResponse"),
    }
)


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
        if value is not None and _is_stream(names.resolve(value, function)):
            yield event.node, value


def _is_stream(ref: Ref | None) -> bool:
    """Return whether something is an answer that is sent piece by piece."""
    return ref is not None and ref.is_instance and names.is_a(ref, *_STREAMS)
