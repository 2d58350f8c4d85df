"""Applications are under the contract wherever they are put, and keep what is their own."""

import functools
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, FastAPI, HTTPException
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import BaseRoute, Host, Match, Mount, Router

from roadworthy import problems

HOST = "http://s.example"
ORIGIN = "https://a.example"


def part() -> FastAPI:
    app = FastAPI()

    @app.post("/n")
    def n(n: Annotated[int, Body(embed=True)]) -> int:
        return n

    @app.get("/refused")
    def refused() -> None:
        raise HTTPException(409, "Not now.")

    @app.get("/crash")
    def crash() -> None:
        raise RuntimeError("secret")

    @app.get("/own")
    def own() -> PlainTextResponse:
        return PlainTextResponse("short and stout", 418)

    return app


class Slots:
    """Middleware that keeps the application where nobody looks."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._inner(scope, receive, send)


def closure(inner: Any) -> Any:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await inner(dict(scope), receive, send)

    return serve


async def call(app: Any, scope: Any, receive: Any, send: Any) -> None:
    await app(scope, receive, send)


async def pass_on(request: Request, call_next: Any) -> Any:
    return await call_next(request)


class Dispatch:
    """Middleware of the parent that sends requests to an application of its own."""

    def __init__(self, app: Any, *, under: dict[str, Any]) -> None:
        self.app, self.under = app, under

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        for prefix, app in self.under.items():
            if scope["type"] == "http" and scope["path"].startswith(prefix + "/"):
                scope = {**scope, "root_path": scope.get("root_path", "") + prefix}
                await app(scope, receive, send)
                return
        await self.app(scope, receive, send)


class OwnRoute(BaseRoute):
    def __init__(self, app: Any) -> None:
        self.target = Mount("/s", app)

    def matches(self, scope: Any) -> tuple[Match, Any]:
        return self.target.matches(scope)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await self.target.handle(scope, receive, send)


def included(app: FastAPI, sub: Any) -> None:
    router = APIRouter()
    router.mount("/s", sub)
    app.include_router(router)


def included_twice(app: FastAPI, sub: Any) -> None:
    inner, outer = APIRouter(), APIRouter()
    inner.mount("/s", sub)
    outer.include_router(inner)
    app.include_router(outer)
    app.include_router(outer, prefix="/again")


def between(app: FastAPI, sub: Any) -> None:
    middle = Starlette(routes=[Mount("/", GZipMiddleware(sub))])
    app.mount("/s", CORSMiddleware(middle))


PLACES: dict[str, Any] = {
    "mount": lambda app, sub: app.mount("/s", sub),
    "middleware": lambda app, sub: app.mount("/s", CORSMiddleware(sub)),
    "two middlewares": lambda app, sub: app.mount("/s", GZipMiddleware(CORSMiddleware(sub))),
    "BaseHTTPMiddleware": lambda app, sub: app.mount("/s", BaseHTTPMiddleware(sub, pass_on)),
    "slots": lambda app, sub: app.mount("/s", Slots(sub)),
    "a closure that copies the scope": lambda app, sub: app.mount("/s", closure(sub)),
    "a partial": lambda app, sub: app.mount("/s", functools.partial(call, sub)),
    "a method": lambda app, sub: app.mount("/s", Slots(sub).__call__),
    "Mount of routes": lambda app, sub: app.routes.append(
        Mount("/s", routes=[Mount("/", app=sub)])
    ),
    "Mount with middleware": lambda app, sub: app.routes.append(
        Mount("/s", sub, middleware=[Middleware(GZipMiddleware)])
    ),
    "a router": lambda app, sub: app.mount("/s", Router([Mount("/", sub)])),
    "Host": lambda app, sub: app.routes.append(Host("s.example", Mount("/s", sub))),
    "Host of a router": lambda app, sub: app.host("s.example", Router([Mount("/s", sub)])),
    "an included router": included,
    "a router included twice": included_twice,
    "an application between": between,
    "a route of its own class": lambda app, sub: app.routes.append(OwnRoute(sub)),
    "middleware of the parent": lambda app, sub: app.add_middleware(Dispatch, under={"/s": sub}),
}


def client_of(put: Any, sub: Any, *, when: str = "after") -> TestClient:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> Any:
        if when == "lifespan":
            put(app, sub)
        yield

    app = FastAPI(lifespan=lifespan)
    if when == "before":
        put(app, sub)
    problems.install(app)
    if when == "after":
        put(app, sub)
    return TestClient(app, base_url=HOST, raise_server_exceptions=False)


FAILURES = [
    ("GET", "/s/none", None, 404, "NOT_FOUND"),
    ("DELETE", "/s/n", None, 405, "METHOD_NOT_ALLOWED"),
    ("POST", "/s/n", b'{"n":"x"}', 422, "VALIDATION_FAILED"),
    ("POST", "/s/n", b'{"n":1,"n":2}', 400, "MALFORMED_BODY"),
    ("POST", "/s/n", b'{"n":NaN}', 422, "VALIDATION_FAILED"),
    ("GET", "/s/refused", None, 409, "CONFLICT"),
    ("GET", "/s/crash", None, 500, "INTERNAL_ERROR"),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", PLACES)
def test_an_application_is_under_the_contract_wherever_it_is_put(place, when):
    with client_of(PLACES[place], part(), when=when) as client:
        for method, path, body, status, code in FAILURES:
            headers = {"Content-Type": "application/json", "X-Request-ID": "mine"}
            answer = client.request(method, path, content=body, headers=headers)
            told = answer.json()["error"]
            assert (answer.status_code, told["code"]) == (status, code), path
            assert (told["path"], told["request_id"]) == (path, "mine")
        assert client.post("/s/n", json={"n": 1}).json() == 1
        assert client.get("/s/own").text == "short and stout"


@pytest.mark.parametrize("place", [name for name in PLACES if name != "middleware of the parent"])
def test_an_application_that_lifespan_mounts_is_under_it_too(place):
    with client_of(PLACES[place], part(), when="lifespan") as client:
        for method, path, body, status, code in FAILURES:
            headers = {"Content-Type": "application/json"}
            answer = client.request(method, path, content=body, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), path


def test_an_application_mounted_between_two_requests_is_under_it_too():
    app = FastAPI()
    problems.install(app)
    with TestClient(app, raise_server_exceptions=False) as client:
        client.get("/none")
        app.mount("/s", part())
        for method, path, body, status, code in FAILURES:
            headers = {"Content-Type": "application/json"}
            answer = client.request(method, path, content=body, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), path


def test_routes_added_later_are_read_strictly():
    app = FastAPI()
    problems.install(app)
    with TestClient(app) as client:
        client.get("/none")

        @app.post("/decorated")
        def decorated(n: Annotated[int, Body(embed=True)]) -> int:
            return n

        app.add_api_route("/called", decorated, methods=["POST"])
        app.include_router(part().router, prefix="/included")
        for path in ("/decorated", "/called", "/included/n"):
            headers = {"Content-Type": "application/json"}
            assert client.post(path, content=b'{"n":1,"n":2}', headers=headers).status_code == 400


def test_one_application_can_be_mounted_twice_and_has_started_already():
    sub = part()
    with TestClient(sub) as alone:
        assert alone.get("/none").json() == {"detail": "Not Found"}
    app = FastAPI()
    app.mount("/one", sub)
    problems.install(app)
    app.mount("/two", GZipMiddleware(sub))
    with TestClient(app, raise_server_exceptions=False) as client:
        for path in ("/one/none", "/two/none"):
            assert client.get(path).json()["error"]["path"] == path
        assert client.get("/one/crash").json()["error"]["code"] == "INTERNAL_ERROR"


def test_an_application_that_is_served_alone_again_answers_as_it_did():
    app, sub, plain = FastAPI(), part(), part()
    problems.install(app)
    app.mount("/s", sub)
    with TestClient(app) as client:
        assert client.get("/s/none").json()["error"]["code"] == "NOT_FOUND"
    with (
        TestClient(sub, raise_server_exceptions=False) as alone,
        TestClient(plain, raise_server_exceptions=False) as never,
    ):
        for path in ("/none", "/crash", "/refused"):
            assert alone.get(path).text == never.get(path).text
        assert alone.post("/n", json={"n": "x"}).text == never.post("/n", json={"n": "x"}).text


# --- what a mounted application handles itself ---------------------------------------------


async def page(request: Request, error: Exception) -> HTMLResponse:
    return HTMLResponse("<h1>its own</h1>", getattr(error, "status_code", 500))


def text_page(request: Request, error: Exception) -> PlainTextResponse:
    return PlainTextResponse("its own", getattr(error, "status_code", 500))


@pytest.mark.parametrize(
    "place", ["mount", "two middlewares", "an included router", "Mount of routes"]
)
@pytest.mark.parametrize("handler", [page, text_page])
@pytest.mark.parametrize("make", [FastAPI, Starlette])
@pytest.mark.parametrize("when", ["constructor", "later", "after the mount"])
def test_what_a_mounted_application_handles_itself_stays_its_own(place, handler, make, when):
    from starlette.exceptions import HTTPException as Base

    early = {Base: handler, Exception: handler} if when == "constructor" else {}
    sub = make(exception_handlers=early)
    if when == "later":
        sub.add_exception_handler(404, handler)
        sub.add_exception_handler(500, handler)

    def boom(request: Request) -> None:
        raise RuntimeError

    sub.add_route("/boom", boom)
    client = client_of(PLACES[place], sub)
    if when == "after the mount":
        sub.add_exception_handler(Base, handler)
        sub.add_exception_handler(Exception, handler)
    with client:
        assert (client.get("/s/none").status_code, client.get("/s/boom").status_code) == (404, 500)
        assert "its own" in client.get("/s/none").text
        assert "its own" in client.get("/s/boom").text
        assert client.get("/none").json()["error"]["code"] == "NOT_FOUND"


# --- CORS ------------------------------------------------------------------------------------


def with_cors(sub: FastAPI) -> FastAPI:
    sub.add_middleware(CORSMiddleware, allow_origins=[ORIGIN])
    return sub


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("path", ["/s/none", "/s/crash"])
def test_a_crash_has_the_cors_headers_of_the_application_that_crashed(place, path):
    with client_of(PLACES[place], with_cors(part())) as client:
        told = client.get(path, headers={"Origin": ORIGIN}).headers
        other = client.get(path, headers={"Origin": "https://b.example"}).headers
        nobody = client.get("/none", headers={"Origin": ORIGIN}).headers

    assert told["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-origin" not in other
    assert "access-control-allow-origin" not in nobody


def test_nobody_elses_crash_has_them():
    app, api, deep = FastAPI(), with_cors(FastAPI()), part()
    problems.install(app)

    @app.get("/crash")
    def crash() -> None:
        raise RuntimeError

    app.mount("/plain", part())
    api.mount("/deep", deep)
    app.mount("/api", api)
    with TestClient(app, raise_server_exceptions=False) as client:
        got = {
            path: client.get(path, headers={"Origin": ORIGIN}).headers.get(
                "access-control-allow-origin"
            )
            for path in ("/crash", "/plain/crash", "/api/deep/crash")
        }

    assert got == {"/crash": None, "/plain/crash": None, "/api/deep/crash": ORIGIN}
