"""One line of the log for each request, cheap enough to be always on.

    problems.install(app, observe=RequestLog())

The line has the method, the route's template, the status, the milliseconds and the
request id. It has no path, no query and no header: these may hold what only the client
should know. A call of `logging` costs more than the rest of this library together, so
the line is made and written directly.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from functools import lru_cache
from time import time
from typing import Any, Literal, Protocol

from starlette.types import Scope

from roadworthy import _fastapi
from roadworthy.problems import request_id

__all__ = ["RequestLog"]


class _Stream(Protocol):
    def write(self, text: str, /) -> Any: ...


class RequestLog:
    """Write a line to `stream` (standard error) after each response.

    `style` is `"json"`, or `"console"` for people. A request whose client left before
    there was an answer has status 499, as nginx has it.
    """

    def __init__(
        self, *, style: Literal["json", "console"] = "json", stream: _Stream | None = None
    ) -> None:
        self._line = _json if style == "json" else _console
        self._stream = stream
        self._lines: list[str] = []

    def __call__(self, scope: Scope, status: int | None, seconds: float) -> None:
        """Write the line of one response."""
        route = getattr(_fastapi.route_of(scope), "path_format", None) or "-"
        line = self._line(time(), scope["method"], route, status or 499, seconds * 1000)
        self._lines.append(line)
        if len(self._lines) == 1:
            # Requests that end in one turn of the event loop share one write.
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        lines, self._lines = "".join(self._lines), []
        (self._stream or sys.stderr).write(lines)


def _json(now: float, method: str, route: str, status: int, milliseconds: float) -> str:
    return (
        f'{{"time":"{_second(int(now))}.{int(now % 1 * 1000):03}Z","level":"INFO",'
        f'"logger":"roadworthy.request","method":"{method}","route":{_quoted(route)},'
        f'"status":{status},"milliseconds":{milliseconds:.1f},"request_id":"{request_id()}"}}\n'
    )


def _console(now: float, method: str, route: str, status: int, milliseconds: float) -> str:
    when = f"{_second(int(now))}.{int(now % 1 * 1000):03}Z"
    return (
        f"{when} INFO    roadworthy.request [{request_id()}] "
        f"{method} {route} {status} {milliseconds:.1f} ms\n"
    )


@lru_cache(maxsize=4)
def _second(now: int) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=4096)
def _quoted(route: str) -> str:
    return json.dumps(route)
