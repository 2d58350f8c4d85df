"""Processors that redact spans and log events before any exporter has them."""

from dataclasses import dataclass
from typing import Any

from opentelemetry.context import Context

from roadworthy._internal.extras import extra

with extra("telemetry", of="Telemetry"):
    from opentelemetry.sdk._logs import ReadWriteLogRecord, SynchronousMultiLogRecordProcessor
    from opentelemetry.sdk.trace import (
        Event,
        ReadableSpan,
        Span,
        SynchronousMultiSpanProcessor,
    )
from opentelemetry.trace import SpanKind, Status

from roadworthy.observability import redaction
from roadworthy.observability.redaction import Redaction

__all__ = ["LogGuard", "SpanGuard", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a request for its span, known only when all of it is over."""

    status: Status
    attributes: dict[str, Any]


@dataclass(slots=True)
class _Request:
    """A span of a request that is not over yet."""

    watched: bool = False
    span: ReadableSpan | None = None
    """The span, where it has ended: the response was sent, and something still runs."""
    verdict: Verdict | None = None


class SpanGuard(SynchronousMultiSpanProcessor):
    """Redact every span, and hold that of a request until all of the request is over.

    FastAPI ends it with the last byte of the response. What fails after that (a late
    commit, a background task) would find it gone.
    """

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # the SDK's own is not typed
        self._redaction = redaction
        self._requests: dict[int, _Request] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note the span of a request."""
        if span.kind is SpanKind.SERVER:
            self._requests[_id(span)] = _Request()
        super().on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass a span on, unless the outcome of its request is still to come."""
        span_id = _id(span)
        request = self._requests.get(span_id)
        if request is not None and request.watched and request.verdict is None:
            request.span = span
            return
        self._requests.pop(span_id, None)
        self._tell(span, request.verdict if request else None)

    def watch(self, span_id: int) -> None:
        """Hold this span until `settle`."""
        if request := self._requests.get(span_id):
            request.watched = True

    def settle(self, span_id: int, verdict: Verdict | None) -> None:
        """Pass the span on with the outcome of its request."""
        request = self._requests.get(span_id)
        if request is None:
            return
        if request.span is None:  # it has not ended, and says all this when it does
            request.watched, request.verdict = False, verdict
            return
        del self._requests[span_id]
        self._tell(request.span, verdict)

    def shutdown(self) -> None:
        """Pass on the spans that are held, and close the processors."""
        for span_id in list(self._requests):
            self.settle(span_id, None)
        super().shutdown()

    def _tell(self, span: ReadableSpan, verdict: Verdict | None) -> None:
        super().on_end(self._clean(span, verdict))

    def _clean(self, span: ReadableSpan, verdict: Verdict | None) -> ReadableSpan:
        found = span.attributes or {}
        if verdict is not None:
            found = {**found, **verdict.attributes}
        clean = self._redaction.attributes(found)
        described = span.status.description is not None
        if clean is None and verdict is None and not span.events and not described:
            return span
        return ReadableSpan(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=found if clean is None else clean,
            events=[self._event(event) for event in span.events],
            links=span.links,
            kind=span.kind,
            status=verdict.status if verdict else _without_text(span.status),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _event(self, event: Event) -> Event:
        clean = self._redaction.attributes(event.attributes or {})
        return event if clean is None else Event(event.name, clean, event.timestamp)


class LogGuard(SynchronousMultiLogRecordProcessor):
    """Redact every log event: those of FastAPI quote exceptions."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # the SDK's own is not typed
        self._redaction = redaction

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Pass a log event on, redacted."""
        record = log_record.log_record
        clean = self._redaction.attributes(record.attributes or {})
        if clean is not None:
            record.attributes = clean
        super().on_emit(log_record)


def _id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    return context.span_id if context else 0


def _without_text(status: Status) -> Status:
    if status.description is None:
        return status
    return Status(status.status_code, redaction.description(status.description))
