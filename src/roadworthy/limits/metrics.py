"""What is told of limits: metrics, to OpenTelemetry, which FastAPI brings."""

from typing import Final

from roadworthy._instruments import counter

__all__ = ["cancelled", "shed"]

_NAME: Final = "roadworthy.limits"


def shed() -> None:
    """Count a request that was turned away, since too many were running."""
    counter(
        _NAME, f"{_NAME}.shed", "{request}", "Requests turned away, since too many were running."
    ).add(1)


def cancelled(reason: str) -> None:
    """Count a request that was cancelled: it was over its time, or its client left."""
    counter(_NAME, f"{_NAME}.cancelled", "{request}", "Requests cancelled.").add(
        1, {"reason": reason}
    )
