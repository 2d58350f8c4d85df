"""The OpenTelemetry metrics of events."""

from typing import Final

from roadworthy._metric_instruments import counter, gauge, histogram

__all__ = ["delivered", "ended_slow", "listening"]

_METER: Final = "roadworthy.events"
_EDGES: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


def listening(clients: int) -> None:
    """Tell how many clients listen in this process."""
    gauge(_METER, "roadworthy.events.listeners", "{client}", "Clients that listen").set(clients)


def delivered(seconds: float) -> None:
    """Tell how long after it was published an event was given to who listens here."""
    histogram(
        _METER, "roadworthy.events.lag", _EDGES, "From publishing an event to handing it out"
    ).record(seconds)


def ended_slow() -> None:
    """Count a client that read too slowly, and was ended."""
    counter(_METER, "roadworthy.events.slow", "{client}", "Clients that read too slowly").add(1)
