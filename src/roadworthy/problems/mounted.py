"""Put applications under the contract that are mounted in one, wherever that is."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route, Router, WebSocketRoute

from roadworthy import _fastapi
from roadworthy._internal.objects_within import objects_within
from roadworthy._route_hook import hook_routes
from roadworthy.problems.asgi.innermost import Innermost
from roadworthy.problems.exception_handlers import lend
from roadworthy.problems.openapi.app_openapi import document

__all__ = ["applications_in", "settle"]

_SETTLED: Final = "roadworthy_settled"
_STOP: Final = (Starlette, Router, BaseRoute)


def settle(app: Starlette) -> None:
    """Hook the routes of `app`, and adopt each application that is in it.

    It is called when all has been mounted, and again when there are more routes.
    """
    hook_routes(app)
    for mounted in applications_in(app):
        _adopt(mounted)


def applications_in(app: Starlette) -> Iterator[Starlette]:
    """Yield each application that is mounted in this one, directly or within others."""
    seen, waiting = {id(app)}, [app]
    while waiting:
        for found in _next_to(waiting.pop()):
            if id(found) not in seen:
                seen.add(id(found))
                waiting.append(found)
                yield found


def _adopt(app: Starlette) -> None:
    hook_routes(app)
    if getattr(app.state, _SETTLED, False):
        return
    setattr(app.state, _SETTLED, True)
    lend(app)
    if isinstance(app, FastAPI):
        document(app)
    if app.middleware_stack is None:
        app.user_middleware.append(Middleware(Innermost, owner=app, settle=settle))


def _next_to(app: Starlette) -> Iterator[Starlette]:
    yield from _in_routes(app.routes)
    for middleware in app.user_middleware:  # one that sends requests to applications of its own
        yield from _in_layer([middleware.args, middleware.kwargs])


def _in_routes(routes: list[BaseRoute]) -> Iterator[Starlette]:
    for route in routes:
        if _is_endpoint(route):
            continue
        inner = getattr(route, "app", None)
        yield from _in_layer(vars(route) if inner is None else inner)
    for router in _fastapi.included_routers(routes):
        yield from _in_routes([r for r in router.routes if not _fastapi.is_inclusion(r)])


def _is_endpoint(route: BaseRoute) -> bool:
    if _fastapi.is_inclusion(route):
        return True  # its routes are looked at by themselves
    return isinstance(route, Route | WebSocketRoute) and not isinstance(
        getattr(route, "app", None), Starlette
    )


def _in_layer(layer: Any) -> Iterator[Starlette]:
    """Yield the applications behind middleware, routers and other layers."""
    for held in objects_within(layer, stop=_STOP):
        if isinstance(held, Starlette):
            yield held
        elif isinstance(held, Router):
            yield from _in_routes(held.routes)
        elif isinstance(held, BaseRoute):
            yield from _in_routes([held])
