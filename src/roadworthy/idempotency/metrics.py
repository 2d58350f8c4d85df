"""The OpenTelemetry metric of idempotency."""

from typing import Final

from roadworthy._metric_instruments import counter

__all__ = ["replayed"]

_METER: Final = "roadworthy.idempotency"

_REPLAYS: Final = "roadworthy.idempotency.replays"


def replayed(route: str) -> None:
    """Count a request that got the answer of an earlier one, by its route's template."""
    method, _, template = route.partition(" ")
    counter(_METER, _REPLAYS, "{request}", "Requests that got an earlier answer.").add(
        1, {"http.request.method": method, "http.route": template}
    )
