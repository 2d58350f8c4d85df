"""`lifespan`: parts are opened in order, found by type, and missed at start-up."""

from contextlib import asynccontextmanager, nullcontext
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from httpx import ASGITransport, AsyncClient

from roadworthy.lifespan import PartMissing, find, lifespan, needs


class Part:
    events: list[str]

    def __init__(self, events, name="part"):
        self.events, self.name = events, name

    async def __aenter__(self):
        self.events.append(f"open {self.name}")
        return self

    async def __aexit__(self, *_):
        self.events.append(f"close {self.name}")


class Other(Part):
    pass


@needs(Part)
async def the_part(request: Request) -> Part:
    return find(request, Part)


async def get(app, path="/"):
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        return (await client.get(path)).json()


def app_with(lifespan=None):
    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def root(part: Annotated[Part, Depends(the_part)]) -> str:
        return part.name

    return app


async def test_parts_open_from_left_to_right_and_close_from_right_to_left():
    events = []
    app = FastAPI(lifespan=lifespan(Part(events, "a"), Other(events, "b")))

    async with app.router.lifespan_context(app):
        assert events == ["open a", "open b"]

    assert events[2:] == ["close b", "close a"]


async def test_a_part_that_fails_to_open_closes_those_before_it():
    events = []

    @asynccontextmanager
    async def broken():
        raise OSError("no such host")
        yield

    app = FastAPI(lifespan=lifespan(Part(events, "a"), broken()))

    with pytest.raises(OSError, match="no such host"):
        async with app.router.lifespan_context(app):
            pass
    assert events == ["open a", "close a"]


async def test_a_dependency_finds_its_part():
    app = app_with(lifespan(Part([], "found")))

    async with app.router.lifespan_context(app):
        assert await get(app) == "found"


async def test_a_part_is_found_by_what_entering_it_gave():
    @asynccontextmanager
    async def made():
        yield Part([], "yielded")

    app = app_with(lifespan(made()))

    async with app.router.lifespan_context(app):
        assert await get(app) == "yielded"


async def test_an_existing_application_adopts_parts_and_keeps_its_own_lifespan():
    events = []

    @asynccontextmanager
    async def own(app):
        events.append("own")
        yield {"theirs": 1}

    app = app_with(own)
    app.include_router(APIRouter(lifespan=lifespan(Part(events, "adopted"))))

    async with app.router.lifespan_context(app) as state:
        assert events == ["own", "open adopted"]
        assert state["theirs"] == 1
        assert await get(app) == "adopted"


async def test_the_start_fails_where_a_route_would_miss_its_part():
    app = FastAPI(lifespan=lifespan(nullcontext("a part of another type")))
    router = APIRouter()

    @router.get("/deep", dependencies=[Depends(the_part)])
    async def deep() -> None: ...

    app.include_router(router, prefix="/v1")

    with pytest.raises(PartMissing, match=r"No Part is open, which /v1/deep needs.*lifespan\(Part"):
        async with app.router.lifespan_context(app):
            pass


async def test_the_check_waits_for_the_last_lifespan():
    app = FastAPI(lifespan=lifespan(nullcontext("first")))
    app.include_router(APIRouter(lifespan=lifespan(Part([], "second"))))

    @app.get("/")
    async def root(part: Annotated[Part, Depends(the_part)]) -> str:
        return part.name

    async with app.router.lifespan_context(app):
        assert await get(app) == "second"


async def test_an_override_is_checked_in_place_of_what_it_overrides():
    app = app_with(lifespan())
    app.dependency_overrides[the_part] = lambda: Part([], "fake")

    async with app.router.lifespan_context(app):
        assert await get(app) == "fake"


async def test_a_part_that_is_not_open_says_what_to_add():
    app = app_with()

    with pytest.raises(PartMissing, match=r"FastAPI\(lifespan=lifespan\(Part\(...\)\)\)"):
        await get(app)


async def test_a_mounted_application_finds_the_parts_of_the_one_around_it(serve, tmp_path):
    path = tmp_path / "outer.py"
    path.write_text(
        """
from contextlib import asynccontextmanager, nullcontext
from fastapi import FastAPI, Request
from roadworthy.lifespan import find, lifespan

class Part:
    pass

@asynccontextmanager
async def part():
    yield Part()

inner = FastAPI()

@inner.get("/")
async def root(request: Request) -> str:
    return type(find(request, Part)).__name__

app = FastAPI(lifespan=lifespan(part()))
app.mount("/inner", inner)
"""
    )
    server = serve(path)
    async with AsyncClient() as client:
        assert (await client.get(f"{server.url}/inner/")).json() == "Part"


async def test_two_applications_of_one_process_have_their_own_parts():
    first, second = (app_with(lifespan(Part([], name))) for name in ("first", "second"))

    async with first.router.lifespan_context(first), second.router.lifespan_context(second):
        assert [await get(first), await get(second)] == ["first", "second"]


async def test_an_application_can_be_started_again():
    app = app_with(lifespan(Part([], "again")))

    for _ in range(2):
        async with app.router.lifespan_context(app):
            assert await get(app) == "again"
