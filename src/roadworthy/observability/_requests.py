"""What FastAPI's telemetry leaves out of requests: codes of errors, and how they ended late."""

import re
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.metrics import Meter
from opentelemetry.trace import Status, StatusCode
from starlette.types import Scope

from roadworthy import _fastapi
from roadworthy.observability._guards import SpanGuard, Verdict
from roadworthy.problems import Outcome, request_id

__all__ = ["RequestWatcher"]

_METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FIRST_ERROR: Final = 400
_CLIENT_CLOSED: Final = 499
"""The status that nginx logs where there is nobody to read one."""


class RequestWatcher:
    """Count how requests ended, and say it on their spans."""

    def __init__(self, meter: Meter, guard: SpanGuard | None) -> None:
        self._guard = guard
        self._errors = meter.create_counter(
            "roadworthy.requests.errors", "{request}", "Answers of 400 and above, by their code."
        )
        self._late = meter.create_counter(
            "roadworthy.requests.late_failures",
            "{request}",
            "What failed after the response had begun, and so has no status.",
        )
        self._left = meter.create_counter(
            "roadworthy.requests.clients_left",
            "{request}",
            "Requests whose client had gone before it had all of the response.",
        )

    def began(self, scope: Scope) -> None:
        """Name the request on its span, and hold that until it is over."""
        if self._guard is None or scope.get(_fastapi.TELEMETRY) is None:
            return
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attribute("roadworthy.request_id", request_id() or "")
            self._guard.watch(span.get_span_context().span_id)

    def ended(self, scope: Scope, outcome: Outcome) -> None:
        """Count what went wrong."""
        status, failure = outcome.status, outcome.failure
        if status is not None and status >= _FIRST_ERROR:
            self._errors.add(1, {**_labels(scope, status), "error.code": _code(outcome)})
        if failure is not None:
            self._late.add(1, {**_labels(scope, status), "error.type": _type(failure)})
        elif outcome.client_left:
            self._left.add(1, _labels(scope, None))
        if self._guard is not None:
            span_id = trace.get_current_span().get_span_context().span_id
            self._guard.settle(span_id, _verdict(outcome))


def _verdict(outcome: Outcome) -> Verdict | None:
    if outcome.failure is not None:
        status = Status(StatusCode.ERROR, "failed after the response had begun")
        return Verdict(status, {"error.type": _type(outcome.failure)})
    if outcome.client_left:  # no error of the server: 4xx leave the status of a span alone
        attributes = {"error.type": "client_left", "http.response.status_code": _CLIENT_CLOSED}
        return Verdict(Status(StatusCode.UNSET), attributes)
    return None


def _labels(scope: Scope, status: int | None) -> dict[str, Any]:
    method = scope["method"]
    labels: dict[str, Any] = {"http.request.method": method if method in _METHODS else "_OTHER"}
    if route := _fastapi.template_of(scope):
        labels["http.route"] = route
    if status is not None:
        labels["http.response.status_code"] = status
    return labels


def _code(outcome: Outcome) -> str:
    code = outcome.error_code or ""
    return code if _CODE.fullmatch(code) else "unknown"


def _type(error: BaseException) -> str:
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
