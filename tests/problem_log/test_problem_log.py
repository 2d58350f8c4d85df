"""What clients were told went wrong is kept, and nothing of what they sent is."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI

from roadworthy import problem_log, problems
from roadworthy.database import Database
from roadworthy.lifespan import lifespan
from roadworthy.problem_log import ProblemLog
from roadworthy.problem_log import problem_log as part
from roadworthy.problems import Problem
from support.polling import until_async
from support.postgres import database_on

SECRET = "hunter2"


class OutOfStock(Problem):
    """There is nothing left."""

    status = 409
    title = "Out of stock"
    detail = "Nothing is left."


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    with database_on(postgres_server) as url:
        yield url


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url) as opened:
        async with opened.engine.begin() as connection:
            await connection.run_sync(problem_log.metadata.drop_all)
            await connection.run_sync(problem_log.metadata.create_all)
        yield opened


def app_with(log: ProblemLog) -> FastAPI:
    app = FastAPI()
    problems.install(app)
    log.watch(app)

    @app.get("/items/{name}")
    async def item(name: str) -> str:
        if name == "gone":
            raise OutOfStock
        if name == "crash":
            raise RuntimeError(SECRET)
        return name

    @app.get("/late")
    async def late(tasks: BackgroundTasks) -> str:
        tasks.add_task(fail)
        return "sent"

    return app


def fail() -> None:
    raise ValueError(SECRET)


def client_of(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=("10.0.0.1", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://shop.test")


async def kept(db: Database, **options):
    async with db.read() as tx:
        return await problem_log.recent(tx, **options)


async def test_each_problem_is_kept_with_its_code_route_and_request_id(db):
    log = ProblemLog(db)
    async with log, client_of(app_with(log)) as client:
        for target in ("/items/gone", "/items/fine", "/nowhere", "/items/crash"):
            await client.get(target, headers={"X-Request-ID": f"r{target.replace('/', '-')}"})

    found = await kept(db)
    assert [(each.code, each.status, each.route) for each in found] == [
        ("INTERNAL_ERROR", 500, "/items/{name}"),
        ("NOT_FOUND", 404, "-"),
        ("OUT_OF_STOCK", 409, "/items/{name}"),
    ]
    assert [each.request_id for each in found] == ["r-items-crash", "r-nowhere", "r-items-gone"]
    assert {each.method for each in found} == {"GET"}


async def test_a_crash_has_its_class_and_frames_and_no_word_of_its_text(db):
    log = ProblemLog(db)
    async with log, client_of(app_with(log)) as client:
        await client.get(f"/items/crash?token={SECRET}", headers={"Authorization": SECRET})

    (found,) = await kept(db)
    assert found.exception == "builtins.RuntimeError"
    assert "in item" in (found.traceback or "")
    assert SECRET not in repr(found)


async def test_what_fails_after_the_answer_is_kept_too(db):
    log = ProblemLog(db)
    async with log, client_of(app_with(log)) as client:
        assert (await client.get("/late")).status_code == 200

    (found,) = await kept(db, status_from=200)
    assert (found.code, found.status, found.exception) == (
        "LATE_FAILURE",
        200,
        "builtins.ValueError",
    )


async def test_the_problems_of_a_request_are_found_by_its_id(db):
    log = ProblemLog(db)
    async with log, client_of(app_with(log)) as client:
        refused = await client.get("/items/gone")
        await client.get("/nowhere")

    async with db.read() as tx:
        (found,) = await problem_log.of_request(tx, refused.headers["x-request-id"])
        assert found.code == "OUT_OF_STOCK"
        assert await problem_log.of_request(tx, "nobody") == []


async def test_two_requests_of_one_caller_are_known_by_a_hash(db):
    log = ProblemLog(db, secret="pepper")
    async with log, client_of(app_with(log)) as client:
        await client.get("/nowhere")
        await client.get("/nowhere")

    first, second = await kept(db)
    assert first.caller == second.caller
    assert len(first.caller or "") == 16
    assert "10.0.0.1" not in repr(first)


async def test_above_the_rate_rows_stand_for_those_that_were_left_out(db, monkeypatch):
    clock = iter([1.0] * 10 + [2.5] * 10)
    monkeypatch.setattr("roadworthy.problem_log.sampling.monotonic", lambda: next(clock))
    log = ProblemLog(db, per_second=2)
    async with log, client_of(app_with(log)) as client:
        for _ in range(11):
            await client.get("/nowhere")

    assert sorted(each.stands_for for each in await kept(db)) == [1, 1, 9]
    async with db.read() as tx:
        (counted,) = await problem_log.counted(tx)
    assert (counted.code, counted.status, counted.problems) == ("NOT_FOUND", 404, 11)


async def test_the_table_holds_the_newest_and_no_more(db, monkeypatch):
    monkeypatch.setattr(part, "_TRIM_SECONDS", 0.0)
    log = ProblemLog(db, keep=3)
    async with log, client_of(app_with(log)) as client:
        for number in range(8):
            await client.get("/nowhere", headers={"X-Request-ID": f"r{number}"})

    assert [each.request_id for each in await kept(db)] == ["r7", "r6", "r5"]


async def test_rows_are_written_while_requests_go_on(db):
    log = ProblemLog(db)
    async with log, client_of(app_with(log)) as client:
        await client.get("/nowhere")
        assert await until_async(lambda: kept(db))


async def test_without_its_table_no_response_changes_and_the_log_says_so(db, caplog):
    async with db.engine.begin() as connection:
        await connection.run_sync(problem_log.metadata.drop_all)
    log = ProblemLog(db)
    async with log, client_of(app_with(log)) as client:
        assert (await client.get("/items/gone")).status_code == 409

    assert "1 problems are not kept" in caplog.text


async def test_a_database_that_hangs_keeps_no_stop_waiting(db, monkeypatch):
    monkeypatch.setattr(part, "_LAST", 0.05)
    log = ProblemLog(db)

    async def hang(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(log, "_insert", hang)
    async with asyncio.timeout(20), log, client_of(app_with(log)) as client:
        await client.get("/nowhere")


async def test_it_is_a_part_of_a_lifespan(db):
    log = ProblemLog(db)
    app = FastAPI(lifespan=lifespan(log))
    problems.install(app)
    log.watch(app)
    async with app.router.lifespan_context(app), client_of(app) as client:
        await client.get("/nowhere")

    assert len(await kept(db)) == 1


@pytest.mark.parametrize("wrong", [{"keep": 0}, {"per_second": 0}])
def test_numbers_that_keep_nothing_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="at least 1"):
        ProblemLog(Database(f"sqlite:///{tmp_path / 'a.db'}"), **wrong)


async def test_pages_go_on_from_an_id(db):
    log = ProblemLog(db)
    async with log, client_of(app_with(log)) as client:
        for _ in range(3):
            await client.get("/nowhere")

    first = await kept(db, limit=2)
    assert len(await kept(db, limit=2, before=first[-1].id)) == 1
    assert await kept(db, code="OTHER") == []
