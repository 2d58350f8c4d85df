"""What is told of health: metrics, to OpenTelemetry, which FastAPI brings."""

from functools import cache
from typing import Any, Final

from opentelemetry import metrics

__all__ = ["checked", "draining", "lagged", "took"]

_NAME: Final = "roadworthy.health"
_SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_VALUES: Final = {"pass": 1.0, "warn": 0.5, "fail": 0.0}


def checked(name: str, status: str) -> None:
    """Record what is held of a check: 1 pass, 0.5 warn, 0 fail."""
    _gauge("check.status", "1 pass, 0.5 warn, 0 fail.", "1").set(_VALUES[status], {"check": name})


def took(name: str, seconds: float) -> None:
    """Record how long a check took that this process has run."""
    _histogram().record(seconds, {"check": name})


def draining(*, value: bool) -> None:
    """Record whether the service is about to stop."""
    _gauge("draining", "1 from SIGTERM on.", "1").set(float(value))


def lagged(seconds: float) -> None:
    """Record how late the event loop was."""
    _gauge("loop.lag", "How late the event loop was at worst, lately.", "s").set(seconds)


@cache
def _gauge(name: str, description: str, unit: str) -> Any:
    return metrics.get_meter(_NAME).create_gauge(
        f"{_NAME}.{name}", unit=unit, description=description
    )


@cache
def _histogram() -> metrics.Histogram:
    return metrics.get_meter(_NAME).create_histogram(
        f"{_NAME}.check.duration",
        unit="s",
        description="How long a check took.",
        explicit_bucket_boundaries_advisory=_SECONDS,
    )
