"""`install`: put a whole application under the contract."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from roadworthy import _fastapi
from roadworthy.problems.answer import Contract, handle
from roadworthy.problems.documenting import document
from roadworthy.problems.leftover import Linger, LingeringClose
from roadworthy.problems.outermost import Innermost, Observer, Outermost
from roadworthy.problems.pages import page
from roadworthy.problems.report import Spelling
from roadworthy.problems.watch import watchers_of

__all__ = ["install", "is_installed"]

_INSTALLED: Final = "roadworthy_contract"


def install(
    app: FastAPI,
    *,
    default: Spelling = "envelope",
    types: str = "/problems",
    tell_5xx: bool = False,
    observe: Observer | None = None,
    linger: Linger | None = None,
) -> None:
    """Give every failure of `app` one shape, its mounted applications included.

    `default` is the spelling for clients that prefer neither: the envelope, or
    `"problem+json"` (RFC 9457). `types` is the path under which each problem type
    has its page. `tell_5xx=True` sends the texts that you write into an `HTTPException` of
    500 and above; those of 4xx are always sent, those of a crash never.
    `observe(scope, status, seconds)` is called after each response:
    `observability.RequestLog` is one. Handlers that you register afterwards win over ours.
    `linger` bounds what is read of a body after a refusal that did not wait for it.

    Raises:
        RuntimeError: The application has already started.
    """
    types = "/" + types.strip("/")
    setattr(app.state, _INSTALLED, True)
    _register(app)
    document(app)
    contract = Contract(default=default, types=types, tell_5xx=tell_5xx)
    outermost = partial(_outermost, app=app, contract=contract, observe=observe)
    _fastapi.wrap_outermost(app, lambda inner: LingeringClose(outermost(inner), linger))


def is_installed(app: Starlette) -> bool:
    """Tell whether `install` was called with this application."""
    return hasattr(app.state, _INSTALLED)


def _register(app: Starlette) -> None:
    for kind in (HTTPException, RequestValidationError, ExceptionGroup, Exception):
        app.exception_handlers[kind] = handle
    if not any(cast("Any", middleware.cls) is Innermost for middleware in app.user_middleware):
        app.user_middleware.append(Middleware(Innermost))


def _outermost(
    inner: ASGIApp, *, app: FastAPI, contract: Contract, observe: Observer | None
) -> ASGIApp:
    # Now all routes and middleware are there, mounted applications too. Ours comes
    # last: each route before it would cost every request a look.
    app.add_route(f"{contract.types}/{{code}}", page, methods=["GET"], include_in_schema=False)
    for mounted in _mounted(app.routes):
        if isinstance(mounted, FastAPI):
            document(mounted)
        if mounted.middleware_stack is None:
            _register(mounted)
    return Outermost(
        inner,
        contract=contract,
        cors=_cors_of(app),
        debug=app.debug,
        observe=observe,
        watchers=tuple(watchers_of(app)),
        own_crash_handler=_answers_crashes(app) is not handle,
    )


def _answers_crashes(app: Starlette) -> Any:
    found = [h for kind, h in app.exception_handlers.items() if kind in (500, Exception)]
    return found[-1]  # as Starlette looks for it


def _mounted(routes: list[BaseRoute]) -> Iterator[Starlette]:
    for route in routes:
        inner: Any = route.app if isinstance(route, Mount) else None
        if isinstance(inner, Starlette):
            yield inner
            yield from _mounted(inner.routes)


def _cors_of(app: Starlette) -> CORSMiddleware | None:
    """Return what adds CORS headers where the application's middleware cannot."""
    for middleware in app.user_middleware:
        make: Any = middleware.cls
        if isinstance(make, type) and issubclass(cast("type[object]", make), CORSMiddleware):
            return cast("CORSMiddleware", make(app.router, *middleware.args, **middleware.kwargs))
    return None
