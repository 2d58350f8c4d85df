"""What probes are told, as JSON."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from roadworthy.health.check import CheckState, Status

__all__ = ["EVENT_LOOP", "HEALTH_JSON", "Overall", "full", "health_json", "overall", "write"]

HEALTH_JSON: Final = "application/health+json"
"""The media type of draft-inadarei-api-health-check-06."""
EVENT_LOOP: Final = "event_loop"
"""The check that is always there: it warns where the event loop is late."""

Overall: TypeAlias = Literal["healthy", "degraded", "unhealthy"]
"""All of it is well, something that is not critical is not, something critical fails."""

_AS_STATUS: Final[Mapping[Overall, Status]] = {
    "healthy": "pass",
    "degraded": "warn",
    "unhealthy": "fail",
}


def overall(standings: Sequence[CheckState]) -> Overall:
    """Return the worst of them: only a critical check makes it unhealthy."""
    found = [(standing.check.critical, standing.status) for standing in standings]
    if (True, "fail") in found:
        return "unhealthy"
    return "healthy" if all(status == "pass" for _, status in found) else "degraded"


def full(standings: Sequence[CheckState], *, version: str | None, reasons: bool) -> bytes:
    """Write the answer of `/health`."""
    return write(
        status=overall(standings),
        timestamp=_time(datetime.now(UTC)),
        version=version,
        dependencies={
            standing.check.name: _dependency(standing, reasons=reasons)
            for standing in standings
            # It is nothing that the service depends on: only what is wrong with it is told.
            if standing.check.name != EVENT_LOOP or standing.status != "pass"
        },
    )


def health_json(standings: Sequence[CheckState], *, version: str | None, reasons: bool) -> bytes:
    """Write the same as draft-inadarei-api-health-check-06 has it."""
    return write(
        status=_AS_STATUS[overall(standings)],
        version=version,
        checks={s.check.name: [_observed(s, reasons=reasons)] for s in standings},
    )


def write(**members: Any) -> bytes:
    """Write a document without the members that are None."""
    known = {name: value for name, value in members.items() if value is not None}
    return json.dumps(known, separators=(",", ":")).encode()


def _dependency(standing: CheckState, *, reasons: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "status": "unreachable" if standing.status == "fail" else "connected",
        "latency_ms": round(standing.last.seconds * 1000, 2),
        "checked_at": _time(standing.last.at),
        "critical": standing.check.critical,
    }
    return {**found, "reason": standing.reason} if reasons and standing.reason else found


def _observed(standing: CheckState, *, reasons: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "status": standing.status,
        "observedValue": round(standing.last.seconds * 1000, 2),
        "observedUnit": "ms",
        "time": _time(standing.last.at),
    }
    return {**found, "output": standing.reason} if reasons and standing.reason else found


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
