"""The trace of a job: a span for each attempt, in the trace of its request.

Spans go to OpenTelemetry, whose API is installed with FastAPI. Without a configured SDK they cost
next to nothing.
"""

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["attempt", "fail", "trace_id", "traceparent"]

_TRACER: Final = "roadworthy.jobs"
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
    """Open a span for an attempt, in the trace of the request that enqueued the job."""
    if parent is None and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _NO_SPAN  # the span is not recorded: it would cost a third of a short job
    return _span(task, parent, attributes)


@contextmanager
def _span(task: str, parent: str | None, attributes: Mapping[str, Any]) -> Generator[trace.Span]:
    context = _W3C.extract({"traceparent": parent}) if parent else None
    tracer = trace.get_tracer(_TRACER)
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
