"""One line of the log for each request, cheap enough to be always on.

    problems.install(app, observe=RequestLog())

The line has the method, the route's template, the status, the milliseconds and the
request id. It has no path, no query and no header: these may hold what only the client
should know. A call of `logging` costs more than the rest of this library together, so
the line is made and written directly, unless a logger is given.
"""

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime
from functools import lru_cache
from time import time
from typing import Any, Literal, Protocol

from opentelemetry import trace
from opentelemetry.context import get_current
from starlette.types import Scope

from roadworthy import _fastapi
from roadworthy.problems.request_ids import current, request_id

__all__ = ["RequestLog"]


class _Stream(Protocol):
    def write(self, text: str, /) -> Any: ...


class _Structured(Protocol):
    def info(self, event: str, /, **fields: Any) -> Any: ...


class RequestLog:
    """Write a line to `stream` (standard error) after each response.

    A request whose client left before there was an answer has status 499, as nginx has it.

    Args:
        style: `"json"`, or `"console"` for people.
        stream: The text stream to write to.
        log: A `logging.Logger` that writes the lines instead, or structlog's logger, whose
            event is `request`.
    """

    def __init__(
        self,
        *,
        style: Literal["json", "console"] = "json",
        stream: _Stream | None = None,
        log: logging.Logger | _Structured | None = None,
    ) -> None:
        self._line = _json if style == "json" else _console
        self._stream = stream
        self._log = log
        self._lines: list[str] = []

    def __call__(self, scope: Scope, status: int | None, seconds: float) -> None:
        """Write the line of one response."""
        route = getattr(_fastapi.route_of(scope), "path_format", None) or "-"
        if self._log is not None:
            _tell(self._log, scope["method"], route, status or 499, seconds * 1000)
            return
        line = self._line(time(), scope["method"], route, status or 499, seconds * 1000)
        self._lines.append(line)
        if len(self._lines) == 1:
            # Requests that end in one turn of the event loop share one write.
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        lines, self._lines = "".join(self._lines), []
        (self._stream or sys.stderr).write(lines)


def _json(now: float, method: str, route: str, status: int, milliseconds: float) -> str:
    second = int(now)
    return (
        f"{_second_json(second)}{int((now - second) * 1000):03}"
        f'{_request_json(method, route, status)}{milliseconds:.1f},"request_id":"{current.get()}"'
        f"{_trace()}}}\n"
    )


@lru_cache(maxsize=4)
def _second_json(now: int) -> str:
    return f'{{"time":"{_second(now)}.'


@lru_cache(maxsize=4096)
def _request_json(method: str, route: str, status: int) -> str:
    return (
        f'Z","level":"INFO","logger":"roadworthy.request","method":"{method}",'
        f'"route":{json.dumps(route)},"status":{status},"milliseconds":'
    )


def _console(now: float, method: str, route: str, status: int, milliseconds: float) -> str:
    when = f"{_second(int(now))}.{int(now % 1 * 1000):03}Z"
    return (
        f"{when} INFO    roadworthy.request [{request_id()}] "
        f"{method} {route} {status} {milliseconds:.1f} ms\n"
    )


def _trace() -> str:
    if not get_current():
        return ""  # nobody traces: asking for the span would cost more than the line
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f',"trace_id":"{trace.format_trace_id(context.trace_id)}"'


def _tell(
    log: logging.Logger | _Structured, method: str, route: str, status: int, milliseconds: float
) -> None:
    fields: dict[str, Any] = {
        "method": method,
        "route": route,
        "status": status,
        "milliseconds": round(milliseconds, 1),
        "request_id": request_id(),
    }
    if isinstance(log, logging.Logger):
        log.info("%s %s %s", method, route, status, extra=fields)
    else:
        log.info("request", **fields)


@lru_cache(maxsize=4)
def _second(now: int) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S")
