"""`hook_routes`: wrap the handler of each route, at the place where FastAPI keeps it.

The wrapper sees the response while the transaction is still open, lets a dependency answer or
run the endpoint again, and has JSON read as strictly as `_fastapi.PREPARE` wants.
"""

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from types import CellType, FunctionType
from typing import Any, Final, cast

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY, RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Scope

from roadworthy import _fastapi
from roadworthy._internal.objects_within import objects_within

__all__ = ["has_lost_hook", "hook_routes"]

log = logging.getLogger("roadworthy")

_MARK: Final = "_roadworthy_hooked"


def hook_routes(app: Starlette) -> None:
    """Let function-scoped dependencies of `app` see the response as they close.

    Call this when all routes are declared. Calling it again is harmless, also for applications
    that share routers: each route is hooked once. Wrappers that FastAPI, a subclass of
    `APIRoute` or an error tracker has put around a handler stay, and run once.
    """
    for route in _api_routes(app.routes):
        _hook_remade(route)
        _hook_made(route, route.app)
    # Handlers that an included router has made already; those that it makes from now on are
    # hooked as they are made.
    for context in _fastapi.route_contexts(app):
        _hook_made(context, context.app)


def _api_routes(routes: list[BaseRoute]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
    for router in _fastapi.included_routers(routes):
        yield from (route for route in router.routes if isinstance(route, APIRoute))


def _hook_remade(route: APIRoute) -> None:
    """Hook the handlers that will be made of a route when its router is included."""
    if getattr(route, _MARK, False):
        return
    get_handler = route.get_route_handler

    def get_hooked_handler() -> _fastapi.Handler:
        here = _fastapi.effective(route)
        _fastapi.arrange(here)
        return _hooked(get_handler(), here) if _needs_hook(here) else get_handler()

    setattr(route, _MARK, True)
    setattr(route, "get_route_handler", get_hooked_handler)  # noqa: B010 - it is a method


def _hook_made(route: Any, app: object) -> None:
    """Hook the handler that is in place, and leave the wrappers around it."""
    _fastapi.arrange(route)
    cell = _cell_of_handler(app) if _needs_hook(route) else None
    if cell is not None and not _is_hook(cell.cell_contents):
        cell.cell_contents = _hooked(cell.cell_contents, route)


def has_lost_hook(route: Any) -> bool:
    """Return whether a route needs the hook and its handler cannot be found."""
    return _needs_hook(route) and _cell_of_handler(route.app) is None


def _needs_hook(route: Any) -> bool:
    # A route without work for the hook pays nothing.
    return _fastapi.takes_json(route) or _fastapi.streams_body(route) or _has_function_scope(route)


def _cell_of_handler(app: object) -> CellType | None:
    """Return where `request_response` keeps its handler, None if nowhere."""
    for held in objects_within(app, stop=(FastAPI, APIRouter, APIRoute)):
        if isinstance(held, FunctionType) and held.__code__ in _fastapi.REQUEST_APPS:
            cells = [cell for cell in held.__closure__ or () if callable(cell.cell_contents)]
            return cells[0] if len(cells) == 1 else None
    return None


def _has_function_scope(route: Any) -> bool:
    return any(dependant.scope == "function" for dependant in _fastapi.dependencies_of(route))


def _hooked(handler: _fastapi.Handler, route: Any) -> _fastapi.Handler:
    reads_json, streams, endpoint = (
        _fastapi.takes_json(route),
        _fastapi.streams_body(route),
        route.endpoint,
    )

    async def run(request: Request) -> Response:
        scope = request.scope
        if scope.get(_fastapi.HOOKED) is endpoint:
            return await handler(request)  # an outer hook of ours is around this one
        scope[_fastapi.HOOKED] = endpoint
        if streams:
            await _lift_limit(request)
        prepare: _fastapi.Prepare | None = scope.get(_fastapi.PREPARE)
        if reads_json and prepare is not None:
            request = prepare(request)
        try:
            response = await _run_until_done(handler, request, scope)
        except BaseException as error:
            scope.pop(_fastapi.HOOKED, None)
            await _settle(scope, None, error)
            raise
        scope.pop(_fastapi.HOOKED, None)  # the scope may be served a second time
        await _settle(scope, response, None)
        return response

    setattr(run, _MARK, True)
    return run


def _is_hook(handler: object) -> bool:
    return getattr(handler, _MARK, False)


async def _lift_limit(request: Request) -> None:
    """Lift FastAPI's limit of the body where a dependency counts the bytes by itself.

    FastAPI offers no other way: an outer limit is replaced by an inner one.
    """
    if MAX_BODY_SIZE_SCOPE_KEY in request.scope:
        innermost = RequestBodyLimitMiddleware(_nothing, max_body_size=sys.maxsize)
        await innermost(request.scope, request.receive, _nothing)


async def _nothing(*_: Any) -> None: ...


async def _run_until_done(handler: _fastapi.Handler, request: Request, scope: Scope) -> Response:
    while True:
        try:
            return await _run_once(handler, request, scope)
        except _fastapi.Again as again:
            await asyncio.sleep(again.pause)


async def _settle(scope: Scope, response: Response | None, error: BaseException | None) -> None:
    for settle in scope.pop(_fastapi.SETTLE, ()):
        try:
            await settle(response, error)
        except Exception:
            log.exception("work that follows the request failed")


async def _run_once(handler: _fastapi.Handler, request: Request, scope: Scope) -> Response:
    """Run the endpoint in a function scope of our own, so that `Again` can leave it."""
    outer = scope[_fastapi.FUNCTION_STACK]
    scope[_fastapi.RESPONSE] = None
    try:
        async with AsyncExitStack() as stack:
            scope[_fastapi.FUNCTION_STACK] = stack
            scope[_fastapi.RESPONSE] = await _answer(handler, request)
    except BaseException as error:
        await _tell_closed(scope, error)
        raise
    finally:
        scope[_fastapi.FUNCTION_STACK] = outer
    await _tell_closed(scope, None)
    if scope[_fastapi.RESPONSE] is None:
        raise RuntimeError(
            "A dependency swallowed an exception after its yield. "
            "Re-raise it there: `except Exception: ...; raise`."
        )
    return cast("Response", scope[_fastapi.RESPONSE])


async def _tell_closed(scope: Scope, error: BaseException | None) -> None:
    for tell in scope.pop(_fastapi.CLOSED, ()):
        await tell(error)


async def _answer(handler: _fastapi.Handler, request: Request) -> Response:
    try:
        return await handler(request)
    except _fastapi.Answer as answer:
        return answer.response
