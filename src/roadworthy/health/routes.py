"""The routes of the probes: OpenAPI shows them, and browsers are answered by them."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.utils import generate_unique_id
from pydantic import BaseModel

from roadworthy import problems
from roadworthy.health.answers import ANSWERS, Answer, ProbeRequest, readiness_by, readyz
from roadworthy.health.known_health import KnownHealth
from roadworthy.health.models import Alive, HealthReport, Readiness, Started
from roadworthy.problems import NotFound

__all__ = ["router"]

_MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "/livez": Alive,
    "/startupz": Started,
    "/health": HealthReport,
}

_OURS: Final[dict[str, Any]] = {"generate_unique_id_function": generate_unique_id}
"""The function of an application is written for its own routes only."""

_Verbose = Annotated[str | None, Query(description="Name the checks, whatever they say.")]
_Exclude = Annotated[list[str], Query(default_factory=list, description="Leave these checks out.")]


def router(health: KnownHealth) -> APIRouter:
    """Return the routes of all probes, for GET and for HEAD."""
    routes = APIRouter(tags=["health"])
    for path, model in _MODELS.items():
        _add(routes, path, _probe(health, ANSWERS[path]), model)
    _add_readiness(routes, health)
    return routes


def _probe(health: KnownHealth, answer: Answer) -> Callable[..., Any]:
    async def probe(request: Request) -> Response:
        return answer(health, ProbeRequest(request.scope))

    probe.__name__, probe.__doc__ = answer.__name__, answer.__doc__
    return probe


def _add_readiness(routes: APIRouter, health: KnownHealth) -> None:
    async def ready(request: Request, exclude: _Exclude, verbose: _Verbose = None) -> Response:
        """Answer whether requests should be sent to this instance."""
        return readyz(health, ProbeRequest(request.scope))

    async def ready_by_one(request: Request, check: str, verbose: _Verbose = None) -> Response:
        """Answer readiness by one check alone."""
        answer = readiness_by(health, ProbeRequest(request.scope), check)
        if answer is None:
            raise NotFound
        return answer

    _add(routes, "/readyz", ready, Readiness)
    _add(routes, "/readyz/{check}", ready_by_one, Readiness, problems.responses(NotFound))


def _add(
    routes: APIRouter,
    path: str,
    probe: Callable[..., Any],
    model: type[BaseModel],
    responses: Mapping[int | str, dict[str, Any]] | None = None,
) -> None:
    failing: dict[int | str, dict[str, Any]] = {503: {"model": model, "description": "Not so"}}
    documented = {**(responses or {}), **failing}
    routes.get(path, response_model=model, responses=documented, **_OURS)(probe)
    routes.head(path, include_in_schema=False, **_OURS)(probe)
