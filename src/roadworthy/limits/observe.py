"""What is told of limits: metrics, to OpenTelemetry, which FastAPI brings."""

from functools import cache
from typing import Final

from opentelemetry import metrics

__all__ = ["cancelled", "shed"]

_NAME: Final = "roadworthy.limits"


def shed() -> None:
    """Count a request that was turned away, since too many were running."""
    _counter("shed", "Requests turned away, since too many were running.").add(1)


def cancelled(reason: str) -> None:
    """Count a request that was cancelled: it was over its time, or its client left."""
    _counter("cancelled", "Requests cancelled.").add(1, {"reason": reason})


@cache
def _counter(name: str, description: str) -> metrics.Counter:
    meter = metrics.get_meter(_NAME)
    return meter.create_counter(f"{_NAME}.{name}", unit="{request}", description=description)
