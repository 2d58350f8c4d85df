"""What is told of keys: a metric, to OpenTelemetry, which FastAPI brings."""

from typing import Final

from roadworthy._instruments import counter

__all__ = ["replayed"]

_NAME: Final = "roadworthy.idempotency"


def replayed(route: str) -> None:
    """Count a request that got the answer of an earlier one, by its route's template."""
    method, _, template = route.partition(" ")
    counter(_NAME, f"{_NAME}.replays", "{request}", "Requests that got an earlier answer.").add(
        1, {"http.request.method": method, "http.route": template}
    )
