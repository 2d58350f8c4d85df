"""Add the route of a page before routes that match any path."""

from collections.abc import Iterator, Sequence
from http import HTTPMethod
from typing import Any, Final
from uuid import uuid4

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Host, Match, Mount, Route

__all__ = ["place"]

_NAME: Final = "roadworthy_problem_type"


def place(app: Starlette, path: str, page: Any) -> None:
    """Serve `page` under `path`, which has one parameter, `{code}`.

    A route of the application under that path wins. Ours is added before the first route that
    matches any path, such as that of a single-page application, or else at the end, where it
    costs other requests nothing.
    """
    ours = next((route for route in app.routes if _is_ours(route)), None)
    if ours is not None:
        app.routes.remove(ours)
    else:
        ours = Route(path, page, methods=["GET"], name=_NAME, include_in_schema=False)
    asked, other, last = path.replace("{code}", "NOT_FOUND"), _elsewhere(path), len(app.routes)
    own = any(_matches(r, asked) and not _matches(r, other) for r in _flat(app.routes))
    places = (at for at, route in enumerate(app.routes) if _hides(route, asked))
    app.routes.insert(last if own else next(places, last), ours)


def _is_ours(route: BaseRoute) -> bool:
    return isinstance(route, Route) and route.name == _NAME


def _elsewhere(path: str) -> str:
    """Return a path of the same shape that no client asks for."""
    return "".join(f"/{uuid4().hex}" for _ in path.strip("/").split("/"))


def _hides(route: BaseRoute, path: str) -> bool:
    return isinstance(route, Host) or _matches(route, path)


def _matches(route: BaseRoute | RouteContext, path: str) -> bool:
    scope: dict[str, Any] = {
        "type": "http",
        "method": HTTPMethod.GET.value,
        "path": path,
        "root_path": "",
        "headers": [],
    }
    try:
        return route.matches(scope)[0] is Match.FULL
    except Exception:
        return False


def _flat(routes: Sequence[BaseRoute]) -> Iterator[RouteContext]:
    """Yield each route, those of included routers and of what is mounted at `/` too."""
    for context in iter_route_contexts(routes):
        yield context
        route = context.original_route
        if isinstance(route, Host) or (isinstance(route, Mount) and not context.path):
            yield from _flat(route.routes)
