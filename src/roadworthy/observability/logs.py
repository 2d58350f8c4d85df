"""Log formatters and a filter: the ids of request, job and trace in every line.

    logging.config.dictConfig(log_config())        # or uvicorn.run(..., log_config=log_config())

Where structlog writes, `add_ids` is one of its processors.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from opentelemetry import trace

from roadworthy._internal.running_job import job_id
from roadworthy.observability.redaction import REDACTED, Redaction
from roadworthy.problems import request_id

__all__ = ["ConsoleFormatter", "IdFilter", "JsonFormatter", "add_ids", "log_config"]

Style = Literal["json", "console"]

_IDS: Final = ("request_id", "job_id", "trace_id", "span_id")
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    *("message", "asctime", "taskName", "color_message"),
    *_IDS,
}
"""What a record has by itself; the rest came with `extra`."""
_BREAKS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def log_config(
    style: Style = "json",
    *,
    level: str = "INFO",
    levels: Mapping[str, str] | None = None,
    redact: Iterable[str] = (),
) -> dict[str, Any]:
    """Return what `logging.config.dictConfig` and `uvicorn.run(log_config=...)` take.

    Lines go to standard error. `levels` are those of single loggers; uvicorn's own is
    WARNING, since `RequestLog` has the requests, without their query strings. `redact`
    names fields of `extra` whose values are not written, beside those of passwords,
    tokens and cookies.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"ids": {"()": IdFilter}},
        "formatters": {
            "json": {"()": JsonFormatter, "redact": tuple(redact)},
            "console": {"()": ConsoleFormatter},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": style,
                "filters": ["ids"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            name: {"level": own} for name, own in {"uvicorn": "WARNING", **(levels or {})}.items()
        },
    }


class IdFilter(logging.Filter):
    """Give each record the ids of request, job and trace: put it on the handler.

    Where records go through a queue, it belongs to the handler that puts them there.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the ids that the record has not got yet; outside of a request its id is `-`."""
        own = vars(record)
        for name, value in _ids().items():
            own.setdefault(name, value)
        own.setdefault("request_id", "-")
        return True


def add_ids(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Add the ids to an event: `structlog.configure(processors=[add_ids, ...])`."""
    for name, value in _ids().items():
        event.setdefault(name, value)
    return event


class JsonFormatter(logging.Formatter):
    """Write a record as one line of JSON, an exception in a field of its own."""

    def __init__(self, *, redact: Iterable[str] = ()) -> None:
        super().__init__()
        self._redaction = Redaction(redact)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: time, level, logger, message, ids, and what `extra` added."""
        own = vars(record)
        line: dict[str, Any] = {
            "time": _time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: own[name] for name in _IDS if name in own},
        }
        for name in sorted(own.keys() - _OWN):
            # Who calls a field "level" shall not change the line's.
            line[f"extra.{name}" if name in line else name] = self._told(name, own[name])
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return _dumped(line)

    def _told(self, name: str, value: object) -> object:
        return REDACTED if self._redaction.hides(name) else value


class ConsoleFormatter(logging.Formatter):
    """Write a record for people; a message cannot look like another line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return time, level, logger, ids and message, and the exception below them."""
        own = vars(record)
        ids = [own.get("request_id", "-")]
        ids += [f"job={own['job_id']}"] if "job_id" in own else []
        ids += [f"trace={own['trace_id']}"] if own.get("trace_id", ids[0]) != ids[0] else []
        message = _BREAKS.sub(lambda found: repr(found[0])[1:-1], record.getMessage())
        text = (
            f"{_time(record.created)} {record.levelname:<7} {record.name} "
            f"[{' '.join(ids)}] {message}"
        )
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if record.stack_info:
            text += "\n" + self.formatStack(record.stack_info)
        return text


def _ids() -> dict[str, str]:
    ids: dict[str, str] = {}
    if (request := request_id()) is not None:
        ids["request_id"] = request
    if (job := job_id.get()) is not None:
        ids["job_id"] = job
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        ids["trace_id"] = trace.format_trace_id(context.trace_id)
        ids["span_id"] = trace.format_span_id(context.span_id)
    return ids


def _time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
    return moment.replace("+00:00", "Z")


def _dumped(line: dict[str, Any]) -> str:
    try:
        return json.dumps(line, default=str, allow_nan=False)
    except (TypeError, ValueError):  # no number, no key, or a circle: JSON has none of them
        return json.dumps({name: str(value) for name, value in line.items()})
