"""The hook repeats nothing of FastAPI's, drops nothing, and is proved to be reached."""

import functools
from typing import Annotated, Any

import fastapi.routing
import pytest
from fastapi import APIRouter, Body, FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from roadworthy import _hook_check, _route_hook, problems

TWICE = {"content": b'{"n":1,"n":2}', "headers": {"Content-Type": "application/json"}}


def endpoint(n: Annotated[int, Body(embed=True)]) -> int:
    return n


class Wrapped:
    def __init__(self, app: Any, seen: list[str]) -> None:
        self.app, self.seen = app, seen

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append("wrapper")
        await self.app(scope, receive, send)


@pytest.mark.parametrize("included", [False, True])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
def test_what_wraps_an_endpoint_runs_once(included, first, is_async, monkeypatch):
    runs: list[str] = []
    make = fastapi.routing.get_request_handler

    def make_wrapped(*args: Any, **kwargs: Any) -> Any:
        call = kwargs["dependant"].call

        @functools.wraps(call)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            runs.append("wrapper")
            return call(*args, **kwargs)

        kwargs["dependant"].call = wrapped
        return make(*args, **kwargs)

    async def coroutine(n: Annotated[int, Body(embed=True)]) -> int:
        return n

    monkeypatch.setattr(fastapi.routing, "get_request_handler", make_wrapped)
    app, router = FastAPI(), APIRouter()
    if first:
        problems.install(app)
    (router if included else app).post("/items")(coroutine if is_async else endpoint)
    app.include_router(router)
    if not first:
        problems.install(app)
    with TestClient(app) as client:
        client.post("/items", json={"n": 1})
    assert runs == ["wrapper"]


@pytest.mark.parametrize("how", ["attribute", "closure"])
def test_what_a_class_of_routes_puts_around_its_handler_stays(how):
    seen: list[str] = []

    class Own(APIRoute):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            inner = Wrapped(self.app, seen)
            self.app = inner if how == "attribute" else functools.partial(inner.__call__)

    app = FastAPI()
    app.router.route_class = Own
    problems.install(app)
    app.post("/items")(endpoint)
    with TestClient(app) as client:
        assert client.post("/items", **TWICE).status_code == 400
    assert seen == ["wrapper"]


@pytest.mark.parametrize("schema_first", [False, True])
@pytest.mark.parametrize("renamed", [False, True])
def test_included_routes_are_hooked_whatever_was_made_of_them_before(
    schema_first, renamed, monkeypatch
):
    if renamed:
        kept: dict[int, int] = {}
        monkeypatch.setattr(
            fastapi.routing._IncludedRouter,
            "_effective_candidates_version",
            property(
                lambda self: kept.get(id(self)),
                lambda self, value: value is None or kept.update({id(self): value}),
            ),
        )
    app, inner, outer = FastAPI(), APIRouter(), APIRouter()
    inner.post("/items")(endpoint)
    outer.include_router(inner, prefix="/inner")
    app.include_router(outer)
    app.include_router(outer, prefix="/again")
    if schema_first:
        app.openapi()
    problems.install(app)
    with TestClient(app) as client:
        for path in ("/inner/items", "/again/inner/items"):
            assert client.post(path, **TWICE).status_code == 400


def test_a_start_is_refused_where_the_hook_is_not_reached(monkeypatch):
    monkeypatch.setattr(_route_hook, "_hook_made", lambda route, app: None)
    monkeypatch.setattr(_hook_check, "_proved", [])
    app = FastAPI()
    problems.install(app)

    said = r"FastAPI .* It was tested with FastAPI 0\.165"
    with pytest.raises(RuntimeError, match=said), TestClient(app):
        pass


def test_an_application_that_cannot_be_asked_is_not_refused(monkeypatch):
    def refuses(*_: Any, **__: Any) -> None:
        raise ValueError("each route needs a tag here")

    monkeypatch.setattr(_hook_check, "_proved", [])
    monkeypatch.setattr(APIRouter, "add_api_route", refuses)
    app = FastAPI()
    problems.install(app)

    with TestClient(app) as client:
        assert client.get("/none").json()["error"]["code"] == "NOT_FOUND"


def test_whoever_installs_on_every_application_is_not_refused(monkeypatch):
    make = FastAPI.__init__

    def make_installed(self: FastAPI, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        problems.install(self)

    monkeypatch.setattr(FastAPI, "__init__", make_installed)
    monkeypatch.setattr(_hook_check, "_proved", [])
    app = FastAPI()
    app.post("/n")(lambda body: None)

    with TestClient(app) as client:
        assert client.get("/none").json()["error"]["code"] == "NOT_FOUND"
