"""Row X3: the body of a request is read once, and stays readable for whoever reads it next."""

from typing import Any

import anyio
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from roadworthy import problems
from support.asgi import ask

JSON = {"content-type": "application/json"}
GOOD, INVALID, BROKEN = b'{"name":"a"}', b'{"name":1}', b'{"name":"a","name":"b"}'


class Item(BaseModel):
    name: str


class Sold(Exception):
    pass


def fail() -> None:
    raise Sold


async def by_body(request: Request) -> bytes:
    return await request.body() + await request.body()


async def by_json(request: Request) -> bytes:
    await request.json()
    return await request.body() * 2


async def by_stream(request: Request) -> bytes:
    once = b"".join([piece async for piece in request.stream()])
    return once + b"".join([piece async for piece in request.stream()])


def add_routes(place: Any) -> None:
    @place.post("/endpoint")
    async def endpoint(item: Item) -> None:
        raise Sold

    @place.put("/sync")
    def sync(item: Item) -> None:
        raise HTTPException(400)

    @place.patch("/dependency", dependencies=[Depends(fail)])
    async def dependency(item: Item) -> None: ...


def service(read: Any, *, install: bool, middleware: bool = False) -> FastAPI:
    app, router = FastAPI(), APIRouter(prefix="/included")
    if install:
        problems.install(app, replace=False)

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"read": (await read(request)).decode()}, 409)

    for kind in (Sold, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer)

    for place in (app, router):
        add_routes(place)
    app.include_router(router)
    if middleware:

        @app.middleware("http")
        async def reads_before(request: Request, call_next: Any) -> Any:
            await request.body()
            return await call_next(request)

    return app


def receiving(*pieces: bytes) -> Any:
    waiting = [
        {"type": "http.request", "body": piece, "more_body": at < len(pieces)}
        for at, piece in enumerate(pieces, 1)
    ]

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop(0)
        await anyio.sleep_forever()
        raise AssertionError

    return receive


@pytest.mark.parametrize("install", [False, True])
@pytest.mark.parametrize("read", [by_body, by_json, by_stream])
@pytest.mark.parametrize("pieces", [(GOOD,), (GOOD[:3], GOOD[3:], b"")])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/endpoint"), ("PUT", "/sync"), ("PATCH", "/dependency")]
)
@pytest.mark.parametrize("prefix", ["", "/included"])
async def test_a_handler_reads_what_was_sent(install, read, pieces, method, path, prefix):
    app = service(read, install=install)

    with anyio.fail_after(5):
        sent = await ask(app, method, prefix + path, receive=receiving(*pieces), headers=JSON)

    assert (sent.status, sent.json()) == (409, {"read": GOOD.decode() * 2})


@pytest.mark.parametrize("install", [False, True])
@pytest.mark.parametrize("middleware", [False, True])
@pytest.mark.parametrize("read", [by_body, by_stream])
async def test_a_handler_of_validation_reads_what_did_not_fit(install, middleware, read):
    app = service(read, install=install, middleware=middleware)

    with anyio.fail_after(5):
        sent = await ask(app, "POST", "/endpoint", receive=receiving(INVALID), headers=JSON)

    assert (sent.status, sent.json()) == (409, {"read": INVALID.decode() * 2})


@pytest.mark.parametrize("read", [by_body, by_json, by_stream])
async def test_what_strict_reading_refuses_can_still_be_read(read):
    app = service(read, install=True)

    with anyio.fail_after(5):
        sent = await ask(app, "POST", "/endpoint", receive=receiving(BROKEN), headers=JSON)

    assert (sent.status, sent.json()) == (409, {"read": BROKEN.decode() * 2})


@pytest.mark.parametrize("pieces", [(b"<a/>",), (b"", b"<a", b"/>")])
@pytest.mark.parametrize("length", [{}, {"content-length": "4"}])
async def test_a_body_of_another_type_is_refused_and_can_still_be_read(pieces, length):
    app = service(by_body, install=True)
    headers = {"content-type": "text/xml", **length}

    with anyio.fail_after(5):
        sent = await ask(app, "POST", "/endpoint", receive=receiving(*pieces), headers=headers)

    assert (sent.status, sent.json()) == (409, {"read": "<a/><a/>"})


async def test_strict_reading_stays():
    app = FastAPI()
    problems.install(app)
    app.post("/items")(lambda item: item)

    @app.post("/strict")
    async def strict(item: Item) -> Item:
        return item

    sent = await ask(app, "POST", "/strict", receive=receiving(BROKEN), headers=JSON)

    assert (sent.status, sent.json()["error"]["code"]) == (400, "MALFORMED_BODY")


async def test_an_endpoint_and_its_dependencies_read_the_same_body():
    app = FastAPI()
    problems.install(app)

    async def length(request: Request) -> int:
        return len(await request.body())

    @app.post("/items")
    async def add(request: Request, item: Item, size: int = Depends(length)) -> Any:
        return [item.name, size, await request.json(), (await by_stream(request)).decode()]

    with anyio.fail_after(5):
        sent = await ask(app, "POST", "/items", receive=receiving(GOOD), headers=JSON)

    assert sent.json() == ["a", len(GOOD), {"name": "a"}, GOOD.decode() * 2]
