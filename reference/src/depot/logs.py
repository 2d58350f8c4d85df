"""One line for each request, and the request id in every line of the log."""

import json
import logging
import time
from typing import Any, Final, Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from depot import times
from roadworthy.problems import RequestIdFilter

__all__ = ["JsonFormatter", "RequestLog", "config"]

log = logging.getLogger("depot.request")

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "request_id",
    "color_message",
    "taskName",
}


def config(style: Literal["json", "console"]) -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": RequestIdFilter}},
        "formatters": {
            "json": {"()": JsonFormatter},
            "console": {
                "format": "%(asctime)s %(levelname)-7s %(name)s [%(request_id)s] %(message)s"
            },
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": style,
                "filters": ["request_id"],
            }
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
        # Uvicorn tells of every start and stop; ours are the lines about requests.
        "loggers": {"uvicorn": {"level": "WARNING"}, "alembic": {"level": "WARNING"}},
    }


class JsonFormatter(logging.Formatter):
    """Write a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: time, level, logger, message, request id, and what `extra` added."""
        line = {
            "time": times.text(times.of_timestamp(record.created)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", "-"),
            **{name: value for name, value in vars(record).items() if name not in _OWN},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class RequestLog:
    """Write one line for each request: method, route, status, milliseconds."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, and write the line when it is over."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        status = 500
        began = time.perf_counter()

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            return await self.app(scope, receive, note)
        finally:
            _write(scope, status, (time.perf_counter() - began) * 1000)


def _write(scope: Scope, status: int, milliseconds: float) -> None:
    # The route's template: a path may hold what only the client should know.
    route = getattr(scope.get("route"), "path", None) or "(no route)"
    log.info(
        "%s %s %d %.1f ms",
        scope["method"],
        route,
        status,
        milliseconds,
        extra={
            "method": scope["method"],
            "route": route,
            "status": status,
            "milliseconds": round(milliseconds, 1),
        },
    )
