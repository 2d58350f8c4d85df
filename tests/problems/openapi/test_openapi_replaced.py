"""Whoever makes the document, and whenever: it says what is sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Annotated
from unittest import mock

import pytest
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.testclient import TestClient
from pydantic import BaseModel

from roadworthy import problems
from roadworthy.conditional import IfMatch, IfNoneMatch
from roadworthy.patching import AnyPatch, Patch


class Item(BaseModel):
    name: str


def add_routes(app: FastAPI) -> None:
    @app.patch("/items/{item_id}")
    def update(item_id: str, patch: Annotated[Patch[Item], AnyPatch], match: IfMatch) -> Item: ...

    @app.get("/items/{item_id}")
    def read(item_id: str, none_match: IfNoneMatch) -> Item: ...


def is_amended(document) -> bool:
    operation = document["paths"]["/items/{item_id}"]["patch"]
    return "requestBody" in operation and "HTTPValidationError" not in str(document)


def anew(app):
    return get_openapi(title="Shop", version="1", routes=app.routes)


def kept(app):
    """As FastAPI's page on extending OpenAPI writes it."""

    def custom():
        if app.openapi_schema is None:
            app.openapi_schema = anew(app)
        return app.openapi_schema

    return custom


def of_the_last(app):
    last = app.openapi

    def custom():
        schema = last()
        schema["info"]["x-logo"] = "logo"
        return schema

    return custom


def copied(app):
    last = app.openapi
    return lambda: deepcopy(last())


WAYS = {
    "anew": lambda app: lambda: anew(app),
    "kept": kept,
    "of the last": of_the_last,
    "copied": copied,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("when", ["before", "after", "twice"])
@pytest.mark.parametrize("routes_first", [True, False])
def test_a_document_of_the_users_own_is_amended(way, when, routes_first):
    app = FastAPI()
    if routes_first:
        add_routes(app)
    if when == "before":
        app.openapi = WAYS[way](app)
    problems.install(app)
    if when != "before":
        app.openapi = WAYS[way](app)
    if when == "twice":
        app.openapi = of_the_last(app)
    if not routes_first:
        add_routes(app)

    exported, again = deepcopy(app.openapi()), deepcopy(app.openapi())
    with TestClient(app) as client:
        served = client.get("/openapi.json").json()

    assert is_amended(exported)
    assert exported == again == served


def test_it_may_be_replaced_in_the_lifespan():
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.openapi = lambda: anew(app)
        yield

    app = FastAPI(lifespan=lifespan)
    problems.install(app)
    add_routes(app)

    with TestClient(app) as client:
        assert is_amended(client.get("/openapi.json").json())


def test_it_may_be_replaced_in_a_subclass():
    class Shop(FastAPI):
        def openapi(self):
            schema = super().openapi()
            schema["info"]["x-logo"] = "logo"
            return schema

    app = Shop()
    problems.install(app)
    add_routes(app)

    assert is_amended(app.openapi())
    assert app.openapi()["info"]["x-logo"] == "logo"
    assert isinstance(app, Shop)
    assert (type(app).__name__, type(app).__module__) == (Shop.__name__, Shop.__module__)
    assert not is_amended_type(Shop)


def is_amended_type(kind) -> bool:
    """Tell whether other applications of this class are touched."""
    app = kind()
    add_routes(app)
    return is_amended(app.openapi())


def test_an_application_without_the_contract_is_left_alone():
    problems.install(FastAPI())

    assert not is_amended_type(FastAPI)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("replaced", [False, True])
def test_the_document_of_a_mounted_application_is_amended(deep, replaced):
    app, between, inner = FastAPI(), FastAPI(), FastAPI()
    problems.install(app)
    add_routes(inner)
    if replaced:
        inner.openapi = lambda: anew(inner)
    if deep:
        between.mount("/inner", inner)
        app.mount("/between", between)
    else:
        app.mount("/inner", inner)

    with TestClient(app) as client:
        path = "/between/inner/openapi.json" if deep else "/inner/openapi.json"
        assert is_amended(client.get(path).json())


def test_it_can_be_patched_and_given_back():
    app = FastAPI()
    problems.install(app)
    add_routes(app)

    with mock.patch.object(app, "openapi", return_value={"openapi": "3.1.0", "paths": {}}):
        assert app.openapi()["paths"] == {}

    assert is_amended(app.openapi())


def test_what_its_owner_took_out_of_a_kept_document_stays_out():
    app = FastAPI()
    problems.install(app)
    add_routes(app)
    del app.openapi()["paths"]["/items/{item_id}"]["patch"]["responses"]["405"]

    assert "405" not in app.openapi()["paths"]["/items/{item_id}"]["patch"]["responses"]


def test_a_document_of_another_shape_is_passed_on():
    app = FastAPI()
    problems.install(app)
    add_routes(app)
    app.openapi = lambda: {"openapi": "3.1.0", "paths": {"/other": {"get": {"responses": {}}}}}

    assert set(app.openapi()["paths"]) == {"/other"}
