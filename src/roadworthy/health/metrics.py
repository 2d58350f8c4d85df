"""The OpenTelemetry metrics of health."""

from typing import Final

from roadworthy._metric_instruments import gauge, histogram

__all__ = ["record_draining", "record_duration", "record_loop_lag", "record_status"]

_METER: Final = "roadworthy.health"
_SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_VALUES: Final = {"pass": 1.0, "warn": 0.5, "fail": 0.0}

_STATUS: Final = "roadworthy.health.check.status"
_DURATION: Final = "roadworthy.health.check.duration"
_DRAINING: Final = "roadworthy.health.draining"
_LOOP_LAG: Final = "roadworthy.health.loop.lag"


def record_status(name: str, status: str) -> None:
    """Record the status of a check: 1 pass, 0.5 warn, 0 fail."""
    gauge(_METER, _STATUS, "1", "1 pass, 0.5 warn, 0 fail.").set(_VALUES[status], {"check": name})


def record_duration(name: str, seconds: float) -> None:
    """Record how long a run of a check took in this process."""
    histogram(_METER, _DURATION, _SECONDS, "How long a check took.").record(
        seconds, {"check": name}
    )


def record_draining(*, value: bool) -> None:
    """Record whether the service is about to stop."""
    gauge(_METER, _DRAINING, "1", "1 from SIGTERM on.").set(float(value))


def record_loop_lag(seconds: float) -> None:
    """Record how late the event loop was."""
    gauge(_METER, _LOOP_LAG, "s", "How late the event loop was at worst, lately.").set(seconds)
