"""What a route or a handler of the user's answers stays as it is, plain text included."""

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount, Route

from roadworthy import problems

OWN = "short and stout"


def own() -> Response:
    return PlainTextResponse(OWN, 418)


async def passing(request: Any, call_next: Any) -> Any:
    return await call_next(request)


async def answer(request: Any, error: Any = None) -> Response:
    return own()


def sync_answer(request: Any, error: Any = None) -> Response:
    return own()


def direct(app: FastAPI) -> None:
    app.get("/")(own)


def with_a_body(app: FastAPI) -> None:
    @app.get("/", max_body_size=100)
    async def endpoint() -> Response:
        return own()


def by_the_decorator(app: FastAPI) -> None:
    @app.get("/", response_class=PlainTextResponse, status_code=418)
    def endpoint() -> str:
        return OWN


def included(app: FastAPI) -> None:
    router = APIRouter()
    router.get("/")(own)
    app.include_router(router)


def of_starlette(app: FastAPI) -> None:
    app.add_route("/", answer)


def in_a_mount_of_routes(app: FastAPI) -> None:
    app.router.routes.append(Mount("", routes=[Route("/", answer)]))


def by_a_handler(app: FastAPI) -> None:
    @app.get("/")
    def endpoint() -> None:
        raise KeyError

    app.add_exception_handler(KeyError, answer)


def by_a_sync_handler(app: FastAPI) -> None:
    @app.get("/")
    def endpoint() -> None:
        raise KeyError

    app.add_exception_handler(LookupError, sync_answer)


def by_a_handler_of_a_status(app: FastAPI) -> None:
    @app.get("/")
    def endpoint() -> None:
        raise HTTPException(409)

    app.add_exception_handler(409, answer)


def by_a_handler_of_validation(app: FastAPI) -> None:
    @app.get("/")
    def endpoint(needed: int) -> None: ...

    app.add_exception_handler(RequestValidationError, answer)


def by_a_handler_of_crashes(app: FastAPI) -> None:
    @app.get("/")
    def endpoint() -> None:
        raise RuntimeError

    app.add_exception_handler(Exception, answer)


def by_a_handler_of_500(app: FastAPI) -> None:
    @app.get("/")
    def endpoint() -> None:
        raise RuntimeError

    app.add_exception_handler(500, sync_answer)


def mounted(app: FastAPI) -> None:
    inner = FastAPI()
    inner.get("/")(own)
    app.mount("", inner)


def mounted_starlette(app: FastAPI) -> None:
    app.mount("", Starlette(routes=[Route("/", answer)]))


def mounted_handler(app: FastAPI) -> None:
    inner = FastAPI()
    by_a_handler(inner)
    app.mount("", inner)


async def raw(scope: Any, receive: Any, send: Any) -> None:
    await own()(scope, receive, send)


def mounted_raw(app: FastAPI) -> None:
    app.mount("", raw)


WAYS = [
    *(direct, with_a_body, by_the_decorator, included, of_starlette, in_a_mount_of_routes),
    *(by_a_handler, by_a_sync_handler, by_a_handler_of_a_status, by_a_handler_of_validation),
    *(by_a_handler_of_crashes, by_a_handler_of_500),
    *(mounted, mounted_starlette, mounted_handler, mounted_raw),
]


@pytest.mark.parametrize("around", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_an_answer_of_the_users_own_stays_as_it_is(way, around):
    app = FastAPI()
    problems.install(app)
    way(app)
    if around:
        app.add_middleware(BaseHTTPMiddleware, dispatch=passing)

    with TestClient(app, raise_server_exceptions=False) as client:
        reply = client.get("/")

    assert (reply.status_code, reply.text) == (418, OWN)
    assert reply.headers["content-type"].startswith("text/plain")
    assert "x-error-code" not in reply.headers
    assert reply.headers["x-request-id"]


async def refusing(request: Any, call_next: Any) -> Response:
    return PlainTextResponse("go away", 403)


async def replacing(request: Any, call_next: Any) -> Response:
    await call_next(request)
    return PlainTextResponse("not today", 403)


def application(*middleware: tuple[Any, dict[str, Any]], mount: bool = False) -> FastAPI:
    app, inner = FastAPI(), FastAPI()
    problems.install(app)
    inner.get("/")(own)
    inner.post("/limited", max_body_size=10)(lambda: None)
    for kind, options in middleware:
        inner.add_middleware(kind, **options)
    app.mount("/inner", inner)
    if not mount:
        return under_contract(inner)
    return app


def under_contract(app: FastAPI) -> FastAPI:
    problems.install(app)
    return app


@pytest.mark.parametrize("mount", [False, True])
@pytest.mark.parametrize(
    ("middleware", "request_", "code"),
    [
        ((), ("GET", "/nothing", {}), "NOT_FOUND"),
        ((), ("DELETE", "/", {}), "METHOD_NOT_ALLOWED"),
        ((TrustedHostMiddleware, {"allowed_hosts": ["shop"]}), ("GET", "/", {}), "BAD_REQUEST"),
        ((BaseHTTPMiddleware, {"dispatch": refusing}), ("GET", "/", {}), "FORBIDDEN"),
        ((BaseHTTPMiddleware, {"dispatch": replacing}), ("GET", "/", {}), "FORBIDDEN"),
        (
            (CORSMiddleware, {"allow_origins": ["http://a"]}),
            (
                *("OPTIONS", "/"),
                {"headers": {"Origin": "http://b", "Access-Control-Request-Method": "GET"}},
            ),
            "BAD_REQUEST",
        ),
        ((), ("POST", "/limited", {"content": b"x" * 11}), "PAYLOAD_TOO_LARGE"),
    ],
)
def test_what_frameworks_and_middleware_say_is_replaced(middleware, request_, code, mount):
    app = application(*([middleware] if middleware else []), mount=mount)
    method, path, options = request_

    with TestClient(app) as client:
        reply = client.request(method, ("/inner" if mount else "") + path, **options)

    assert reply.headers.get("x-error-code") == code, reply.text


def test_a_bad_host_of_middleware_around_a_mounted_application_is_replaced():
    app, inner = FastAPI(), FastAPI()
    problems.install(app)
    inner.get("/")(own)
    app.mount("/inner", TrustedHostMiddleware(inner, allowed_hosts=["shop"]))

    with TestClient(app) as client:
        assert client.get("/inner/").headers["x-error-code"] == "BAD_REQUEST"
