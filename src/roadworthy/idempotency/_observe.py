"""What is told of keys: a metric, to OpenTelemetry, which FastAPI brings."""

from functools import cache

from opentelemetry import metrics

__all__ = ["replayed"]


def replayed(route: str) -> None:
    """Count a request that got the answer of an earlier one, by its route's template."""
    method, _, template = route.partition(" ")
    _replays().add(1, {"http.request.method": method, "http.route": template})


@cache
def _replays() -> metrics.Counter:
    meter = metrics.get_meter("roadworthy.idempotency")
    return meter.create_counter(
        "roadworthy.idempotency.replays", "{request}", "Requests that got an earlier answer."
    )
