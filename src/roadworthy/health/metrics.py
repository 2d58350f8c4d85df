"""What is told of health: metrics, to OpenTelemetry, which FastAPI brings."""

from typing import Final

from roadworthy._instruments import gauge, histogram

__all__ = ["checked", "draining", "lagged", "took"]

_NAME: Final = "roadworthy.health"
_SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_VALUES: Final = {"pass": 1.0, "warn": 0.5, "fail": 0.0}


def checked(name: str, status: str) -> None:
    """Record what is held of a check: 1 pass, 0.5 warn, 0 fail."""
    gauge(_NAME, f"{_NAME}.check.status", "1", "1 pass, 0.5 warn, 0 fail.").set(
        _VALUES[status], {"check": name}
    )


def took(name: str, seconds: float) -> None:
    """Record how long a check took that this process has run."""
    histogram(_NAME, f"{_NAME}.check.duration", _SECONDS, "How long a check took.").record(
        seconds, {"check": name}
    )


def draining(*, value: bool) -> None:
    """Record whether the service is about to stop."""
    gauge(_NAME, f"{_NAME}.draining", "1", "1 from SIGTERM on.").set(float(value))


def lagged(seconds: float) -> None:
    """Record how late the event loop was."""
    gauge(_NAME, f"{_NAME}.loop.lag", "s", "How late the event loop was at worst, lately.").set(
        seconds
    )
