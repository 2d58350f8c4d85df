"""The JSON documents that probes answer with."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from roadworthy.health.check import Status
from roadworthy.health.check_state import CheckState

__all__ = ["EVENT_LOOP", "HEALTH_JSON", "Overall", "full", "health_json", "overall", "write"]

HEALTH_JSON: Final = "application/health+json"
"""The media type of draft-inadarei-api-health-check-06."""
EVENT_LOOP: Final = "event_loop"
"""The check that every service has: it warns if the event loop is late."""

Overall: TypeAlias = Literal["healthy", "degraded", "unhealthy"]
"""All checks pass; a check warns or fails; a critical check fails."""

_AS_STATUS: Final[Mapping[Overall, Status]] = {
    "healthy": "pass",
    "degraded": "warn",
    "unhealthy": "fail",
}


def overall(states: Sequence[CheckState]) -> Overall:
    """Return the status of the service: only a critical check makes it unhealthy."""
    found = [(state.check.critical, state.status) for state in states]
    if (True, "fail") in found:
        return "unhealthy"
    return "healthy" if all(status == "pass" for _, status in found) else "degraded"


def full(states: Sequence[CheckState], *, version: str | None, reasons: bool) -> bytes:
    """Return the document of `/health`."""
    return write(
        status=overall(states),
        timestamp=_time(datetime.now(UTC)),
        version=version,
        dependencies={
            state.check.name: _dependency(state, reasons=reasons)
            for state in states
            # The event loop is no dependency, and shown only if it is late.
            if state.check.name != EVENT_LOOP or state.status != "pass"
        },
    )


def health_json(states: Sequence[CheckState], *, version: str | None, reasons: bool) -> bytes:
    """Return the document in the form of draft-inadarei-api-health-check-06."""
    return write(
        status=_AS_STATUS[overall(states)],
        version=version,
        checks={s.check.name: [_observed(s, reasons=reasons)] for s in states},
    )


def write(**members: Any) -> bytes:
    """Return a JSON document without the members that are None."""
    known = {name: value for name, value in members.items() if value is not None}
    return json.dumps(known, separators=(",", ":")).encode()


def _dependency(state: CheckState, *, reasons: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "status": "unreachable" if state.status == "fail" else "connected",
        "latency_ms": round(state.last.seconds * 1000, 2),
        "checked_at": _time(state.last.at),
        "critical": state.check.critical,
    }
    return {**found, "reason": state.reason} if reasons and state.reason else found


def _observed(state: CheckState, *, reasons: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "status": state.status,
        "observedValue": round(state.last.seconds * 1000, 2),
        "observedUnit": "ms",
        "time": _time(state.last.at),
    }
    return {**found, "output": state.reason} if reasons and state.reason else found


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
