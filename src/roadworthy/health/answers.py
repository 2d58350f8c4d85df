"""The answer of each probe, made from known results; nothing here waits."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import Scope

from roadworthy.health import report
from roadworthy.health.check import Status
from roadworthy.health.check_state import CheckState
from roadworthy.health.known_health import KnownHealth

__all__ = [
    "ANSWERS",
    "Answer",
    "ProbeRequest",
    "health_report",
    "livez",
    "readiness_by",
    "readyz",
    "startupz",
]

_OK: Final = 200
_UNAVAILABLE: Final = 503
_SERVING: Final = "serving"
"""The check in the answer of readiness that fails during a drain."""
_NO_STORE: Final = {"Cache-Control": "no-store"}


class ProbeRequest:
    """The headers and the query of a request to a probe."""

    def __init__(self, scope: Scope) -> None:
        self.headers = Headers(scope=scope)
        self.query = QueryParams(scope.get("query_string", b""))


Answer: TypeAlias = Callable[[KnownHealth, ProbeRequest], Response]
"""A function that answers one probe."""


def livez(health: KnownHealth, request: ProbeRequest) -> Response:
    """Answer whether the process can answer; no dependency is touched."""
    status = "alive" if health.alive else "stuck"
    return _json(report.write(status=status), ok=health.alive)


def startupz(health: KnownHealth, request: ProbeRequest) -> Response:
    """Answer whether the start of the service is over."""
    status = "started" if health.started else "starting"
    return _json(report.write(status=status), ok=health.started)


def health_report(health: KnownHealth, request: ProbeRequest) -> Response:
    """Answer with the status of the service and of each dependency."""
    states, reasons = health.check_states, _may_read_reasons(health, request)
    ok = report.overall(states) != "unhealthy"
    if report.HEALTH_JSON in request.headers.get("accept", ""):
        document = report.health_json(states, version=health.version, reasons=reasons)
        return _json(document, ok=ok, media_type=report.HEALTH_JSON)
    return _json(report.full(states, version=health.version, reasons=reasons), ok=ok)


def readyz(health: KnownHealth, request: ProbeRequest) -> Response:
    """Answer whether requests should be sent to this instance."""
    excluded = set(request.query.getlist("exclude"))
    states = [state for state in health.check_states if state.check.name not in excluded]
    checks: dict[str, Status] = {state.check.name: state.status for state in states}
    if _SERVING not in excluded:
        checks[_SERVING] = _serving(health)
    fails = any(state.check.critical and state.status == "fail" for state in states)
    ready = not fails and checks.get(_SERVING) != "fail"
    return _readiness(health, request, checks, states, ready=ready)


def readiness_by(health: KnownHealth, request: ProbeRequest, name: str) -> Response | None:
    """Answer readiness by a single check; None if no check has that name."""
    if name == _SERVING:
        serving = _serving(health)
        return _readiness(health, request, {name: serving}, [], ready=serving == "pass")
    states = [state for state in health.check_states if state.check.name == name]
    if not states:
        return None
    status = states[0].status
    return _readiness(health, request, {name: status}, states, ready=status != "fail")


def _readiness(
    health: KnownHealth,
    request: ProbeRequest,
    checks: dict[str, Status],
    states: Sequence[CheckState],
    *,
    ready: bool,
) -> Response:
    reasons = {state.check.name: state.reason for state in states if state.reason}
    document = report.write(
        status="ready" if ready else "not_ready",
        checks=checks if not ready or "verbose" in request.query else None,
        reasons=reasons if reasons and _may_read_reasons(health, request) else None,
    )
    return _json(document, ok=ready)


def _serving(health: KnownHealth) -> Status:
    return "pass" if health.started and not health.draining else "fail"


def _may_read_reasons(health: KnownHealth, request: ProbeRequest) -> bool:
    return health.is_operator(request.headers.get("authorization"))


def _json(document: bytes, *, ok: bool, media_type: str = "application/json") -> Response:
    status = _OK if ok else _UNAVAILABLE
    return Response(document, status, headers=_NO_STORE, media_type=media_type)


ANSWERS: Final[Mapping[str, Answer]] = {
    "/livez": livez,
    "/startupz": startupz,
    "/readyz": readyz,
    "/health": health_report,
}
"""Every probe by its path, but `/readyz/{check}`."""
