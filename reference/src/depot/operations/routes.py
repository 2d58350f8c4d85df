"""The endpoints for probes."""

import asyncio
import logging
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response, status

from depot.operations.drain import Drain
from depot.operations.models import Alive, Readiness, Started
from roadworthy import problems
from roadworthy.database import Database
from roadworthy.lifespan import find
from roadworthy.problems import NotFound

__all__ = ["router"]

log = logging.getLogger(__name__)

router = APIRouter(tags=["operations"])

PING_SECONDS: Final = 1.0
_NOT_READY: Final[dict[int | str, dict[str, Any]]] = {
    503: {"model": Readiness, "description": "Not ready"}
}

Verbose = Annotated[str | None, Query(description="Name the checks, whatever they say.")]


@router.head("/livez", include_in_schema=False)
@router.get("/livez")
async def livez() -> Alive:
    """Answer while the process can answer; nothing else is touched."""
    return Alive()


@router.head("/startupz", include_in_schema=False)
@router.get("/startupz")
async def startupz() -> Started:
    """Answer once everything is open: before that, nothing listens."""
    return Started()


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", response_model_exclude_none=True, responses=_NOT_READY)
async def readyz(request: Request, response: Response, verbose: Verbose = None) -> Readiness:
    """Tell whether requests should be sent here."""
    return _readiness(await _checks(request), response, verbose=verbose is not None)


@router.head("/readyz/{check}", include_in_schema=False)
@router.get(
    "/readyz/{check}",
    response_model_exclude_none=True,
    responses={**problems.responses(NotFound), **_NOT_READY},
)
async def readyz_of_one(
    check: str, request: Request, response: Response, verbose: Verbose = None
) -> Readiness:
    """Tell the same by one check alone."""
    checks = await _checks(request)
    if check not in checks:
        raise NotFound
    return _readiness({check: checks[check]}, response, verbose=verbose is not None)


_Checks = dict[str, Literal["pass", "warn", "fail"]]


def _readiness(checks: _Checks, response: Response, *, verbose: bool) -> Readiness:
    ready = "fail" not in checks.values()
    if not ready:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Readiness(
        status="ready" if ready else "not_ready", checks=checks if verbose or not ready else None
    )


async def _checks(request: Request) -> _Checks:
    answers = await _answers(find(request, Database))
    return {
        "database": "pass" if answers else "fail",
        "serving": "fail" if find(request, Drain).draining else "pass",
    }


async def _answers(db: Database) -> bool:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await db.ping()
    except Exception:  # whatever a driver raises, the database does not answer
        log.warning("the database does not answer", exc_info=True)
        return False
    return True
