"""Request ids: one id in every log line and error that a request causes.

It is the caller's `X-Request-ID` where that is safe to log, else a new one. It is a
context variable, so whatever the request starts (tasks, threads) carries it along.
"""

import logging
import re
from collections.abc import Iterable
from contextvars import ContextVar
from os import urandom

from opentelemetry import trace

__all__ = ["RequestIdFilter", "accept", "current", "request_id"]

_SAFE = re.compile(rb"[A-Za-z0-9._-]{1,128}")

current: ContextVar[str | None] = ContextVar("roadworthy_request_id", default=None)
"""The id of the request being served; read it with `request_id()`."""


def request_id() -> str | None:
    """Return the id of the request being served, or None outside of one."""
    return current.get()


def accept(headers: Iterable[tuple[bytes, bytes]], *, traced: bool = False) -> str:
    """Return the caller's id if it is 1 to 128 of `[A-Za-z0-9._-]`, else a new one.

    Where the request is `traced` and begins its trace, the new one is the trace's: what
    it calls hears it in `traceparent`. A caller's trace may have many requests.
    """
    for name, value in headers:
        if name == b"x-request-id" and _SAFE.fullmatch(value):
            return value.decode()
        if name == b"traceparent":
            traced = False
    return (traced and _trace_id()) or urandom(16).hex()


def _trace_id() -> str | None:
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


class RequestIdFilter(logging.Filter):
    """Give every log record a `request_id`: put it on the handler, not on a logger.

    handler.addFilter(RequestIdFilter())
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id where the record has none yet, `-` outside of a request."""
        if not hasattr(record, "request_id"):
            record.request_id = current.get() or "-"
        return True
