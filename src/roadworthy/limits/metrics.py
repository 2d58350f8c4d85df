"""The metrics of limits. OpenTelemetry's API, which FastAPI brings, takes them."""

from typing import Final

from roadworthy._metric_instruments import counter

__all__ = ["cancelled", "shed"]

_METER: Final = "roadworthy.limits"

_SHED: Final = "roadworthy.limits.shed"
_CANCELLED: Final = "roadworthy.limits.cancelled"


def shed() -> None:
    """Count a request that was turned away, since too many were running."""
    text = "Requests turned away, since too many were running."
    counter(_METER, _SHED, "{request}", text).add(1)


def cancelled(reason: str) -> None:
    """Count a request that was cancelled: it took too long, or its client left."""
    counter(_METER, _CANCELLED, "{request}", "Requests cancelled.").add(1, {"reason": reason})
