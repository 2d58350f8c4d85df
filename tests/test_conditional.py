"""What If-Match and If-None-Match promise, over real servers and real databases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from roadworthy import problems
from roadworthy.conditional import (
    ConditionalGet,
    ETag,
    IfMatch,
    IfNoneMatch,
    Match,
    NoneMatch,
    NotModified,
    PreconditionFailed,
    PreconditionRequired,
    RequiredIfMatch,
    etag,
    set_etag,
)
from roadworthy.lifespan import lifespan

metadata = MetaData()
items = Table(
    "items",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("version", Integer, nullable=False),
)
router = APIRouter()


async def tx(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions.begin() as session:
        yield session


Tx = Annotated[AsyncSession, Depends(tx, scope="function")]


@router.patch("/items/{item_id}")
async def rename(
    item_id: str, name: str, request: Request, match: IfMatch, response: Response
) -> dict[str, str]:
    async with request.app.state.sessions() as session:
        seen = await session.scalar(select(items.c.version).where(items.c.id == item_id))
    match.check(seen)
    # Everyone has read before anyone writes: a check that is only here lets all through.
    await request.app.state.everyone_has_read.wait()
    write = update(items).where(items.c.id == item_id)
    if (versions := match.versions(int)) is not None:
        write = write.where(items.c.version.in_(versions))
    write = write.values(name=name, version=items.c.version + 1).returning(items.c.version)
    async with request.app.state.sessions.begin() as session:
        version = await session.scalar(write)
    if version is None:
        raise PreconditionFailed
    set_etag(response, version)
    return {"name": name}


@router.head("/items/{item_id}")
@router.get("/items/{item_id}")
async def read(
    item_id: str, none_match: IfNoneMatch, session: Tx, response: Response
) -> dict[str, Any]:
    response.headers["Cache-Control"] = "max-age=5"
    response.headers["X-Other"] = "yes"
    row = (await session.execute(select(items).where(items.c.id == item_id))).mappings().one()
    none_match.check(row["version"])
    return dict(row)


@router.put("/items/{item_id}")
async def create_only(
    item_id: str, none_match: IfNoneMatch, session: Tx, response: Response
) -> None:
    none_match.check(await session.scalar(select(items.c.version).where(items.c.id == item_id)))
    await session.execute(insert(items).values(id=item_id, name="new", version=1))
    set_etag(response, 1)


@router.delete("/items/{item_id}", status_code=204)
async def delete(item_id: str, match: RequiredIfMatch) -> None:
    match.check(7)


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client
    server.should_exit = True
    await running


@pytest.fixture
async def engine(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[AsyncEngine]:
    if getattr(request, "param", "sqlite") == "sqlite":
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/db", pool_size=20)
        yield engine
        await engine.dispose()
        return
    url = request.getfixturevalue("postgres_url").replace("://", "+asyncpg://", 1)
    engine = create_async_engine(url, pool_size=20)
    yield engine
    await engine.dispose()


@pytest.fixture
async def app(engine: AsyncEngine) -> FastAPI:
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(insert(items).values(id="a", name="old", version=7))
    app = FastAPI(lifespan=lifespan())
    app.include_router(router)
    app.state.sessions = async_sessionmaker(engine)
    app.state.everyone_has_read = asyncio.Barrier(1)
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(app) as client:
        yield client


# In the write


@pytest.mark.sampled
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("writers", [2, 20])
async def test_of_concurrent_writers_with_one_etag_exactly_one_wins_p4(
    app: FastAPI, client: httpx.AsyncClient, writers: int
) -> None:
    app.state.everyone_has_read = asyncio.Barrier(writers)

    answers = await asyncio.gather(
        *(client.patch(f"/items/a?name=n{n}", headers={"If-Match": '"7"'}) for n in range(writers))
    )

    won = [answer for answer in answers if answer.status_code == 200]
    assert sorted(a.status_code for a in answers) == [200] + [412] * (writers - 1)
    stored = (await client.get("/items/a")).json()
    assert stored == {"id": "a", "name": won[0].json()["name"], "version": 8}
    assert won[0].headers["etag"] == '"8"'


async def test_without_if_match_every_write_goes_through(client: httpx.AsyncClient) -> None:
    first = await client.patch("/items/a?name=x")
    second = await client.patch("/items/a?name=y")

    assert (first.status_code, second.status_code) == (200, 200)
    assert second.headers["etag"] == '"9"'


@pytest.mark.parametrize(
    "value", ['"7"', '"1", "7"', '"1","7"', "*", ',, "7",', '"a,b", "7"', 'W/"7", "7"']
)
async def test_an_if_match_that_names_the_version_lets_the_write_through(
    client: httpx.AsyncClient, value: str
) -> None:
    answer = await client.patch("/items/a?name=x", headers={"If-Match": value})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        '"8"',
        'W/"7"',
        "7",
        '"7',
        "",
        '"7" "8"',
        '"07"',
        '"7", nonsense',
        '*, "7"',
        '"99999999999999999999999999"',
        f'"{"9" * 5000}", "7"',
        '"%00"',
        '"\u00e9"',
    ],
)
async def test_any_other_if_match_is_412_and_writes_nothing(
    client: httpx.AsyncClient, value: str
) -> None:
    headers = {"If-Match": value.encode("latin-1")}
    answer = await client.patch("/items/a?name=x", headers=headers)

    assert answer.status_code == 412
    assert (await client.get("/items/a")).json() == {"id": "a", "name": "old", "version": 7}


async def test_repeated_headers_are_one_list(client: httpx.AsyncClient) -> None:
    headers = [("If-Match", '"1"'), ("If-Match", '"7"')]
    answer = await client.patch("/items/a?name=x", headers=headers)

    assert answer.status_code == 200


async def test_a_write_that_wants_if_match_is_428_without(client: httpx.AsyncClient) -> None:
    assert (await client.delete("/items/a")).status_code == 428
    assert (await client.delete("/items/a", headers={"If-Match": '"6"'})).status_code == 412
    assert (await client.delete("/items/a", headers={"If-Match": '"7"'})).status_code == 204


def test_the_versions_for_the_write() -> None:
    given = Match(given=True, tags=(etag(7), ETag("8", weak=True), etag("x"), etag(2**31)))
    day, key = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), uuid4()

    assert Match().versions(int) is None
    assert Match(given=True, any=True).versions(int) is None
    assert Match(given=True).versions(int) == ()
    assert given.versions(int) == (7,)
    assert given.versions(int, largest=2**63 - 1) == (7, 2**31)
    assert given.versions(str) == ("7", "x", "2147483648")
    assert Match(given=True, tags=(etag(key),)).versions(UUID) == (key,)
    assert Match(given=True, tags=(etag(day),)).versions(datetime.fromisoformat) == (day,)


def test_where_there_is_no_version_yet_nothing_matches() -> None:
    assert Match().allows(None)
    assert not Match(given=True, any=True).allows(None)
    assert not NoneMatch(given=True, any=True).matches(None)


def test_require_says_428() -> None:
    with pytest.raises(PreconditionRequired):
        Match().require()
    Match(given=True).require()


# Reading


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("value", ['"7"', 'W/"7"', '"1", W/"7"', "*"])
async def test_a_client_that_is_current_gets_304(
    client: httpx.AsyncClient, method: str, value: str
) -> None:
    answer = await client.request(method, "/items/a", headers={"If-None-Match": value})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == '"7"'
    assert answer.headers["cache-control"] == "max-age=5"
    assert "date" in answer.headers
    assert not {"content-type", "x-other", "x-error-code"} & set(answer.headers)


@pytest.mark.parametrize("value", ['"6"', "7", '"7', ""])
async def test_any_other_client_gets_the_item_and_its_etag(
    client: httpx.AsyncClient, value: str
) -> None:
    answer = await client.get("/items/a", headers={"If-None-Match": value})

    assert (answer.status_code, answer.headers["etag"]) == (200, '"7"')
    assert answer.json()["name"] == "old"


async def test_without_hooked_routes_304_is_the_same(engine: AsyncEngine, app: FastAPI) -> None:
    plain = FastAPI()

    @plain.get("/")
    async def seven(none_match: IfNoneMatch) -> None:
        none_match.check(7)

    async with serving(plain) as client:
        answer = await client.get("/", headers={"If-None-Match": '"7"'})

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"7"')


@pytest.mark.parametrize("value", ["*", "garbage", '"7"'])
async def test_a_put_that_only_creates_is_412_on_what_exists(
    client: httpx.AsyncClient, value: str
) -> None:
    answer = await client.put("/items/a", headers={"If-None-Match": value})

    assert answer.status_code == 412


async def test_a_put_that_only_creates_makes_what_does_not_exist(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.put("/items/b", headers={"If-None-Match": "*"})

    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')


def test_not_modified_is_an_answer_without_body() -> None:
    answer = NotModified(etag(7), Response()).response

    assert (answer.status_code, answer.body) == (304, b"")


# Tags


@given(st.text(max_size=50))
def test_any_version_makes_a_tag_that_names_it_again(version: str) -> None:
    try:
        version.encode()
    except UnicodeEncodeError:
        return
    match = Match(given=True, tags=(etag(version),))

    assert match.allows(version)
    assert match.versions(str) == (() if "\0" in version else (version,))
    assert str(etag(version)).isascii()


def test_a_tag_refuses_what_would_break_the_header() -> None:
    with pytest.raises(ValueError, match="etag\\(version\\)"):
        ETag('7"\r\nX-Evil: 1')


def test_the_openapi_document_shows_what_is_sent() -> None:
    app = FastAPI()
    app.include_router(router)
    problems.install(app)
    shown = app.openapi()["paths"]["/items/{item_id}"]

    headers = {
        method: {p["name"]: p["required"] for p in shown[method]["parameters"]}
        for method in ("get", "patch", "delete")
    }
    assert headers["get"] == {"item_id": True, "If-None-Match": False}
    assert headers["patch"]["If-Match"] is False
    assert headers["delete"]["If-Match"] is True
    assert shown["get"]["responses"].keys() >= {"200", "304"}
    assert "412" not in shown["get"]["responses"]
    assert "412" in shown["patch"]["responses"]
    assert shown["delete"]["responses"].keys() >= {"204", "412", "428"}
    assert "ETag" in shown["get"]["responses"]["200"]["headers"]
    assert "ETag" in shown["get"]["responses"]["304"]["headers"]
    assert "ETag" in shown["patch"]["responses"]["200"]["headers"]


async def test_under_the_error_contract_304_is_bare_and_412_is_not(app: FastAPI) -> None:
    problems.install(app)
    async with serving(app) as client:
        current = await client.get("/items/a", headers={"If-None-Match": '"7"'})
        stale = await client.patch("/items/a?name=x", headers={"If-Match": '"6"'})

    assert (current.status_code, current.content) == (304, b"")
    assert "x-error-code" not in current.headers
    assert (stale.status_code, stale.headers["x-error-code"]) == (412, "PRECONDITION_FAILED")


@pytest.mark.parametrize(
    ("method", "sent", "status"),
    [
        ("GET", None, 200),
        ("GET", '"7"', 304),
        ("HEAD", '"7"', 304),
        ("GET", 'W/"7"', 304),
        ("GET", '"6", "7"', 304),
        ("GET", "*", 304),
        ("GET", '"6"', 200),
        ("GET", "7", 200),
        ("POST", '"7"', 200),
    ],
)
async def test_conditional_get_answers_304_to_reads_of_what_the_client_has(method, sent, status):
    app = FastAPI()
    app.add_middleware(ConditionalGet)

    @app.api_route("/", methods=["GET", "HEAD", "POST"])
    async def read(response: Response) -> str:
        set_etag(response, 7)
        return "body"

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        reply = await client.request(method, "/", headers={"If-None-Match": sent} if sent else {})

    assert (reply.status_code, reply.headers["etag"]) == (status, '"7"')
    assert ("content-type" in reply.headers) == (status == 200)
    assert bool(reply.content) == (status == 200 and method != "HEAD")


async def test_conditional_get_leaves_errors_and_answers_without_a_tag_alone():
    app = FastAPI()
    app.add_middleware(ConditionalGet)

    @app.get("/{status}")
    async def read(status: int) -> JSONResponse:
        return JSONResponse({}, status, {"ETag": '"7"'} if status != 200 else {})

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        replies = [
            await client.get(f"/{status}", headers={"If-None-Match": '"7"'})
            for status in (200, 404)
        ]

    assert [reply.status_code for reply in replies] == [200, 404]
