"""Check at each start that a request reaches the hooks of this library.

Our hooks rest on names that FastAPI does not promise to keep. Where it has renamed one, a
transaction could not commit before its answer, and JSON would be read leniently: nobody
would notice. So a small application of our own is asked, in each way that a route can come
to stand in one. Nothing of the user's runs for it, and no endpoint.
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
from roadworthy._hook import hook_routes

__all__ = ["TESTED", "prove"]

TESTED: Final = "FastAPI 0.165 with Starlette 1.10"
"""What the hooks were written for, and all tests run on."""


class _Reached(BaseException):
    """The hook was asked, with all at hand. No handler of errors may see this."""


class _Lost(BaseException):
    """The body is read, and no hook was asked."""


def prove() -> None:
    """Check that direct, included, nested and mounted routes reach the hook.

    What cannot be asked at all proves nothing, and is let through: somebody may have
    changed the frameworks in a way that this small application does not stand.

    Raises:
        RuntimeError: One of them does not reach it.
    """
    state = _state()
    if _proved != state:
        _prove()
        _proved[:] = state


_proved: list[int] = []
"""What routing was made of when it was proved: a patch of it is asked about again."""


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
    app.user_middleware.clear()  # of somebody who puts it, or us, on every application
    inner = APIRouter(route_class=_OwnRoute)
    _add(app.router, "/direct", APIRoute)
    _add(app.router, "/own", _OwnRoute)
    _add(included, "/included", APIRoute)
    _add(inner, "/inner", _OwnRoute)
    outer.include_router(inner)
    app.include_router(included)
    app.include_router(outer, prefix="/outer")
    for _ in _fastapi.route_contexts(app):
        pass  # as a schema that is made before we are installed does: FastAPI keeps these
    hook_routes(app)
    return app


def _add(router: APIRouter, path: str, kind: type[APIRoute]) -> None:
    router.add_api_route(path, _endpoint, methods=["POST"], route_class_override=kind)


async def _endpoint(body: Annotated[Any, Body()]) -> None: ...


def _is_lost(app: FastAPI, path: str) -> bool:
    # Not by calling the application: trackers wrap that, and this is nobody's request.
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
