"""What is told of jobs: metrics and spans, and the trace that a job carries on.

They go to OpenTelemetry, which FastAPI brings; without a configured SDK they cost
next to nothing.
"""

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from roadworthy._instruments import counter, gauge, histogram

__all__ = ["attempt", "backlog", "ended", "enqueued", "fail", "started", "trace_id", "traceparent"]

_NAME: Final = "roadworthy.jobs"
_SECONDS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 14400.0)
"""Edges of the histograms: jobs take from milliseconds to hours."""
_NO_SPAN: Final = nullcontext(trace.INVALID_SPAN)
_W3C: Final = TraceContextTextMapPropagator()


def traceparent() -> str | None:
    """Return the current trace as W3C's `traceparent` writes it, or None."""
    if not trace.get_current_span().get_span_context().is_valid:
        return None
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent")


def trace_id() -> str | None:
    """Return the id of the current trace, as log lines have it, or None."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def attempt(
    task: str, *, parent: str | None, attributes: Mapping[str, Any]
) -> AbstractContextManager[trace.Span]:
    """Be in a span of an attempt, in the trace of the request that enqueued the job."""
    if parent is None and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _NO_SPAN  # there is nobody to tell: a span costs a third of a short job
    return _span(task, parent, attributes)


@contextmanager
def _span(task: str, parent: str | None, attributes: Mapping[str, Any]) -> Generator[trace.Span]:
    context = _W3C.extract({"traceparent": parent}) if parent else None
    tracer = trace.get_tracer(_NAME)
    with tracer.start_as_current_span(
        f"job {task}",
        context=context,
        kind=SpanKind.CONSUMER,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


def fail(span: trace.Span, error_code: str) -> None:
    """Mark the span as failed; the exception's text stays in the log."""
    span.set_status(Status(StatusCode.ERROR, error_code))
    span.set_attribute("error.type", error_code)


def enqueued(task: str, queue: str, count: int) -> None:
    """Count jobs that were enqueued; some of them may be rolled back."""
    if count:
        _jobs("enqueued", "Jobs that were enqueued.").add(count, _labels(task, queue))


def started(task: str, queue: str, waited: timedelta) -> None:
    """Count an attempt that begins, and how long the job has been due."""
    labels = _labels(task, queue)
    _jobs("started", "Attempts that began.").add(1, labels)
    histogram(_NAME, f"{_NAME}.wait", _SECONDS, "From when a job was due to its start.").record(
        max(0.0, waited.total_seconds()), labels
    )


def ended(task: str, queue: str, outcome: str, seconds: float) -> None:
    """Count an attempt that ended as succeeded, retried, dead, cancelled or released."""
    labels = _labels(task, queue)
    _jobs(outcome, f"Attempts that ended as {outcome}.").add(1, labels)
    histogram(_NAME, f"{_NAME}.duration", _SECONDS, "How long an attempt took.").record(
        seconds, {**labels, "outcome": outcome}
    )


def backlog(queue: str, *, depth: int, oldest: timedelta) -> None:
    """Set how many jobs of a queue wait to run, and since when the oldest could have."""
    gauge(_NAME, f"{_NAME}.depth", "{job}", "Jobs that are due and wait.").set(
        depth, {"queue": queue}
    )
    gauge(_NAME, f"{_NAME}.age", "s", "How long the oldest of them has waited.").set(
        oldest.total_seconds(), {"queue": queue}
    )


def _jobs(name: str, description: str) -> metrics.Counter:
    return counter(_NAME, f"{_NAME}.{name}", "{job}", description)


def _labels(task: str, queue: str) -> dict[str, str]:
    return {"task": task, "queue": queue}
