"""What each probe answers, from what is known: nothing here waits."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import Scope

from roadworthy.health import report
from roadworthy.health.check import CheckState, Status

if TYPE_CHECKING:
    from roadworthy.health.health import Health

__all__ = [
    "ANSWERS",
    "Answer",
    "Asked",
    "health_report",
    "livez",
    "readiness_by",
    "readyz",
    "startupz",
]

_OK: Final = 200
_UNAVAILABLE: Final = 503
_SERVING: Final = "serving"
"""The name under which readiness tells of a drain."""
_NO_STORE: Final = {"Cache-Control": "no-store"}


class Asked:
    """What of a request matters here."""

    def __init__(self, scope: Scope) -> None:
        self.headers = Headers(scope=scope)
        self.query = QueryParams(scope.get("query_string", b""))


Answer: TypeAlias = "Callable[[Health, Asked], Response]"
"""What answers one probe."""


def livez(health: "Health", asked: Asked) -> Response:
    """Answer whether the process can answer; no dependency is touched."""
    status = "alive" if health.alive else "stuck"
    return _json(report.write(status=status), ok=health.alive)


def startupz(health: "Health", asked: Asked) -> Response:
    """Answer whether everything has been opened."""
    status = "started" if health.started else "starting"
    return _json(report.write(status=status), ok=health.started)


def health_report(health: "Health", asked: Asked) -> Response:
    """Answer how the service is, and each of its dependencies."""
    standings, reasons = health.standings, _may_know(health, asked)
    ok = report.overall(standings) != "unhealthy"
    if report.HEALTH_JSON in asked.headers.get("accept", ""):
        document = report.health_json(standings, version=health.version, reasons=reasons)
        return _json(document, ok=ok, media_type=report.HEALTH_JSON)
    return _json(report.full(standings, version=health.version, reasons=reasons), ok=ok)


def readyz(health: "Health", asked: Asked) -> Response:
    """Answer whether requests should be sent here."""
    left_out = set(asked.query.getlist("exclude"))
    standings = [s for s in health.standings if s.check.name not in left_out]
    checks: dict[str, Status] = {s.check.name: s.status for s in standings}
    if _SERVING not in left_out:
        checks[_SERVING] = _serving(health)
    stops = any(s.check.critical and s.status == "fail" for s in standings)
    ready = not stops and checks.get(_SERVING) != "fail"
    return _readiness(health, asked, checks, standings, ready=ready)


def readiness_by(health: "Health", asked: Asked, name: str) -> Response | None:
    """Answer the same by one check alone; None where there is none of that name."""
    if name == _SERVING:
        serving = _serving(health)
        return _readiness(health, asked, {name: serving}, [], ready=serving == "pass")
    standings = [standing for standing in health.standings if standing.check.name == name]
    if not standings:
        return None
    status = standings[0].status
    return _readiness(health, asked, {name: status}, standings, ready=status != "fail")


def _readiness(
    health: "Health",
    asked: Asked,
    checks: dict[str, Status],
    standings: list[CheckState],
    *,
    ready: bool,
) -> Response:
    reasons = {s.check.name: s.reason for s in standings if s.reason}
    document = report.write(
        status="ready" if ready else "not_ready",
        checks=checks if not ready or "verbose" in asked.query else None,
        reasons=reasons if reasons and _may_know(health, asked) else None,
    )
    return _json(document, ok=ready)


def _serving(health: "Health") -> Status:
    return "pass" if health.started and not health.draining else "fail"


def _may_know(health: "Health", asked: Asked) -> bool:
    return health.is_operator(asked.headers.get("authorization"))


def _json(document: bytes, *, ok: bool, media_type: str = "application/json") -> Response:
    status = _OK if ok else _UNAVAILABLE
    return Response(document, status, headers=_NO_STORE, media_type=media_type)


ANSWERS: Final[Mapping[str, Answer]] = {
    "/livez": livez,
    "/startupz": startupz,
    "/readyz": readyz,
    "/health": health_report,
}
"""Every probe but `/readyz/{check}`."""
