"""Request ids: one id in every log line and error that a request causes.

The id is the caller's `X-Request-ID` if that is safe to log, else a new one. It is kept in a
context variable, so tasks and threads that the request starts have it, too.
"""

import logging
import re
from collections.abc import Container, Iterable
from contextvars import ContextVar
from os import register_at_fork, urandom
from typing import Final

from opentelemetry import trace

__all__ = ["RequestIdFilter", "accept", "current", "new_request_id", "request_id"]

_CALLERS: Final = frozenset({b"x-request-id", b"traceparent"})
"""Headers in which callers send an id."""
_SAFE = re.compile(rb"[A-Za-z0-9._-]{1,128}")

current: ContextVar[str | None] = ContextVar("roadworthy_request_id", default=None)
"""The id of the request being served; read it with `request_id()`."""


def request_id() -> str | None:
    """Return the id of the request being served, or None outside of one."""
    return current.get()


def accept(
    headers: Iterable[tuple[bytes, bytes]],
    *,
    traced: bool = False,
    names: Container[bytes] = _CALLERS,
) -> str:
    """Return the caller's id if it is 1 to 128 of `[A-Za-z0-9._-]`, else a new one.

    If the request is `traced` and begins its trace, the new id is that of the trace, which other
    services get in `traceparent`. A trace of the caller is not used: it may have many requests.

    Args:
        headers: The headers of the request.
        traced: Whether the request is traced.
        names: The names of the headers, if known: mostly no header here is among them.
    """
    if b"x-request-id" in names or b"traceparent" in names:
        for name, value in headers:
            if name == b"x-request-id" and _SAFE.fullmatch(value):
                return value.decode()
            if name == b"traceparent":
                traced = False
    return (traced and _trace_id()) or new_request_id()


def new_request_id() -> str:
    """Return 32 hexadecimal digits that are unique and that nobody can guess."""
    if not _drawn:
        # The system is asked for many at a time: a call costs more than an id.
        block = urandom(_BYTES * _AT_ONCE)
        _drawn.extend(block[at : at + _BYTES].hex() for at in range(0, len(block), _BYTES))
    return _drawn.pop()


_BYTES: Final = 16
_AT_ONCE: Final = 256
_drawn: list[str] = []
# A forked process would give the same ids as its parent.
register_at_fork(after_in_child=_drawn.clear)


def _trace_id() -> str | None:
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


class RequestIdFilter(logging.Filter):
    """Give every log record a `request_id`: put it on the handler, not on a logger.

    handler.addFilter(RequestIdFilter())
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id to a record without one; outside of a request, `-`."""
        if not hasattr(record, "request_id"):
            record.request_id = current.get() or "-"
        return True
