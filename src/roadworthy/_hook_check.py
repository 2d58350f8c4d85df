"""Check at each start that requests reach the hooks of `_route_hook`.

The hooks depend on names that FastAPI does not promise to keep. If a release renamed one, no
transaction would commit before its answer and JSON would be read leniently, and nobody would
notice. So a small application is asked here, once for each way in which a route can be added
to an application. No code of the user's runs, and no endpoint.
"""

from contextlib import AsyncExitStack
from typing import Annotated, Any, Final, NoReturn

import fastapi
import starlette
from fastapi import APIRouter, Body, FastAPI, routing
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Scope

from roadworthy import _fastapi
from roadworthy._route_hook import hook_routes

__all__ = ["TESTED", "check_hooks"]

TESTED: Final = "FastAPI 0.165 with Starlette 1.10"
"""The versions that the hooks were written for, and that all tests run on."""


class _Reached(BaseException):
    """The hook ran, and had all that it needs. No exception handler may see this."""


class _Lost(BaseException):
    """The body is read, and no hook ran."""


def check_hooks() -> None:
    """Check that direct, included, nested and mounted routes reach the hook.

    Where the small application cannot even be built or called, the check passes: somebody may
    have patched the frameworks in a way that only this application does not survive.

    Raises:
        RuntimeError: A route does not reach the hook.
    """
    state = _state()
    if _proved != state:
        _prove()
        _proved[:] = state


_proved: list[int] = []
"""The identities of all that `fastapi.routing` holds, as last checked: a patch changes them."""


def _state() -> list[int]:
    kinds = [kind for kind in vars(routing).values() if isinstance(kind, type)]
    own = [kind for kind in kinds if kind.__module__ == routing.__name__]
    return [id(value) for holder in (routing, *own) for value in vars(holder).values()]


def _prove() -> None:
    try:
        app = _application()
    except Exception:
        return
    for path, how in _PLACES.items():
        if _is_lost(app, path):
            raise RuntimeError(
                f"FastAPI {fastapi.__version__} with Starlette {starlette.__version__} has "
                f"changed: {how} does not reach what this version of roadworthy hooks, so that "
                "JSON would be read leniently and no transaction could commit before its "
                f"answer. It was tested with {TESTED}. Install these, or a newer roadworthy."
            )


_PLACES: Final = {
    "/direct": "a route",
    "/own": "a route of a class of its own",
    "/included": "a route of an included router",
    "/outer/inner": "a route of a class of its own, of a router in an included router,",
}


class _OwnRoute(APIRoute):
    """A custom route class, as FastAPI's documentation shows it."""

    def get_route_handler(self) -> Any:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(request)

        return handle


def _application() -> FastAPI:
    app, included, outer = FastAPI(openapi_url=None), APIRouter(), APIRouter()
    app.user_middleware.clear()  # some libraries add theirs to every application
    inner = APIRouter(route_class=_OwnRoute)
    _add(app.router, "/direct", APIRoute)
    _add(app.router, "/own", _OwnRoute)
    _add(included, "/included", APIRoute)
    _add(inner, "/inner", _OwnRoute)
    outer.include_router(inner)
    app.include_router(included)
    app.include_router(outer, prefix="/outer")
    for _ in _fastapi.route_contexts(app):
        pass  # FastAPI caches these, as when a schema is made before `problems.install`
    hook_routes(app)
    return app


def _add(router: APIRouter, path: str, kind: type[APIRoute]) -> None:
    router.add_api_route(path, _endpoint, methods=["POST"], route_class_override=kind)


async def _endpoint(body: Annotated[Any, Body()]) -> None: ...


def _is_lost(app: FastAPI, path: str) -> bool:
    # The application itself is not called: error trackers wrap it, and this is no request.
    asked = FastAPI.build_middleware_stack(app)(_scope(app, path), _receive, _send)
    try:
        asked.__await__().send(None)
    except _Lost:
        return True
    except BaseException:
        return False
    return False


def _scope(app: FastAPI, path: str) -> Scope:
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "app": app,
        _fastapi.PREPARE: _prepare,
    }


def _prepare(request: Request) -> NoReturn:
    at_hand = isinstance(request.scope.get(_fastapi.FUNCTION_STACK), AsyncExitStack)
    raise _Reached if at_hand else _Lost


async def _receive() -> Message:
    raise _Lost


async def _send(_: Message) -> None: ...
