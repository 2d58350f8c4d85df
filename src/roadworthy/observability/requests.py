"""How requests ended, as only the outermost layer knows it.

FastAPI's own metrics of requests are left off: they count a failed late commit and a
client that left as a 200, and cost a request several times as much as these.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import Status, StatusCode
from starlette.types import Scope

from roadworthy import _fastapi
from roadworthy.observability.guards import SpanGuard, Verdict
from roadworthy.problems import Outcome, request_id

__all__ = ["RequestWatcher"]

_METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FIRST_ERROR: Final = 400
_FIRST_SERVER_ERROR: Final = 500
_SECONDS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25),
    *(0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
"""Edges of the histogram, as OpenTelemetry's conventions for HTTP have them."""
_CLIENT_CLOSED: Final = 499
"""The status that nginx logs where there is nobody to read one."""


class RequestWatcher:
    """Measure requests, count how they ended, and say it on their spans."""

    def __init__(self, meter: Meter, guard: SpanGuard | None, untold: frozenset[str]) -> None:
        self._guard = guard
        self._untold = untold
        self._running: Counter[str] = Counter()
        self._duration = meter.create_histogram(
            "http.server.request.duration",
            "s",
            "Until the last byte of the response; told when what runs after it has ended.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        meter.create_observable_up_down_counter(
            "http.server.active_requests", [self._active], "{request}", "Requests that run."
        )
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
        if scope["path"] in self._untold:
            return
        self._running[_method(scope)] += 1
        if self._guard is None or scope.get(_fastapi.TELEMETRY) is None:
            return
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attribute("roadworthy.request_id", request_id() or "")
            self._guard.watch(span.get_span_context().span_id)

    def ended(self, scope: Scope, outcome: Outcome) -> None:
        """Measure it, and count what went wrong."""
        if scope["path"] in self._untold:
            return
        self._running[_method(scope)] -= 1
        self._duration.record(outcome.seconds, _measured(scope, outcome))
        if outcome.failure is not None or outcome.client_left or _is_error(outcome):
            self._count(scope, outcome)
        if self._guard is not None:
            span_id = trace.get_current_span().get_span_context().span_id
            self._guard.settle(span_id, _verdict(outcome))

    def _count(self, scope: Scope, outcome: Outcome) -> None:
        status, failure = outcome.status, outcome.failure
        if _is_error(outcome):
            self._errors.add(1, {**_labels(scope, status), "error.code": _code(outcome)})
        if failure is not None:
            self._late.add(1, {**_labels(scope, status), "error.type": _type(failure)})
        elif outcome.client_left:
            self._left.add(1, _labels(scope, None))

    def _active(self, _: CallbackOptions) -> Iterable[Observation]:
        for method, count in list(self._running.items()):
            yield Observation(count, {"http.request.method": method})


def _verdict(outcome: Outcome) -> Verdict | None:
    if outcome.failure is not None:
        status = Status(StatusCode.ERROR, "failed after the response had begun")
        return Verdict(status, {"error.type": _type(outcome.failure)})
    if outcome.client_left:  # no error of the server: 4xx leave the status of a span alone
        attributes = {"error.type": "client_left", "http.response.status_code": _CLIENT_CLOSED}
        return Verdict(Status(StatusCode.UNSET), attributes)
    return None


def _is_error(outcome: Outcome) -> bool:
    return outcome.status is not None and outcome.status >= _FIRST_ERROR


def _measured(scope: Scope, outcome: Outcome) -> dict[str, Any]:
    status = outcome.status
    if outcome.client_left and outcome.failure is None:
        status = _CLIENT_CLOSED
    labels = {**_labels(scope, status), "url.scheme": scope.get("scheme", "http")}
    if outcome.failure is not None:
        labels["error.type"] = _type(outcome.failure)
    elif outcome.client_left:
        labels["error.type"] = "client_left"
    elif status is not None and status >= _FIRST_SERVER_ERROR:
        labels["error.type"] = str(status)
    return labels


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else "_OTHER"


def _labels(scope: Scope, status: int | None) -> dict[str, Any]:
    labels: dict[str, Any] = {"http.request.method": _method(scope)}
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
