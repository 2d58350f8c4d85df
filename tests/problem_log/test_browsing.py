"""Problems are counted, with their rows kept or not, and looked through a part at a time."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import insert

from roadworthy import problem_log, problems
from roadworthy._internal.ids import new_id
from roadworthy.database import Database
from roadworthy.problem_log import ProblemFilter, ProblemLog, browsing, tally
from roadworthy.problems import Problem
from roadworthy.uploads.errors import BodyEncoded, FileRejected, FileTypeRefused
from support.postgres import database_on


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


def client_of(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://shop.test")


def row(**changed):
    return {
        "id": new_id(),
        "at": datetime.now(UTC),
        "status": 404,
        "code": "NOT_FOUND",
        "method": "GET",
        "route": "-",
        "request_id": "r",
        "caller": None,
        "exception": None,
        "traceback": None,
        "stands_for": 1,
        "reason": None,
        **changed,
    }


async def put(db, *rows):
    async with db.engine.begin() as connection:
        await connection.execute(insert(problem_log.table), list(rows))


class Refused(Problem):
    """It was refused."""

    status = 422
    title = "Refused"

    why: str

    def reason_for_log(self):
        return self.why


def app_with(log: ProblemLog) -> FastAPI:
    app = FastAPI()
    problems.install(app)
    log.watch(app)

    @app.get("/refused/{why}")
    async def refused(why: str):
        raise Refused(why=why)

    @app.get("/upload/{kind}")
    async def upload(kind: str):
        raise {
            "bomb": FileRejected(reason="bomb", message="It is one."),
            "type": FileTypeRefused.none_of(()),
            "coding": BodyEncoded(coding="gzip"),
        }[kind]

    return app


async def counts(db, **options):
    async with db.read() as tx:
        return await problem_log.in_time(tx, **options)


async def test_every_problem_is_counted_also_where_its_row_is_left_out(db):
    log = ProblemLog(db, per_second=1)
    async with log, client_of(app_with(log)) as client:
        for _ in range(7):
            await client.get("/nowhere")
    found = await counts(db)
    assert sum(count.problems for count in found) == 7
    assert {(count.code, count.status, count.route) for count in found} == {("NOT_FOUND", 404, "-")}


async def test_two_processes_add_to_one_count(db):
    for _ in range(2):
        log = ProblemLog(db)
        async with log, client_of(app_with(log)) as client:
            await client.get("/nowhere")
    assert sum(count.problems for count in await counts(db)) == 2


async def test_what_could_not_be_written_is_counted_when_the_database_is_back(db, caplog):
    log = ProblemLog(db)
    async with client_of(app_with(log)) as client:
        async with db.engine.begin() as connection:
            await connection.run_sync(problem_log.metadata.drop_all)
        await client.get("/nowhere")
        await log._write(5)
        async with db.engine.begin() as connection:
            await connection.run_sync(problem_log.metadata.create_all)
        await client.get("/nowhere")
        await log._write(5)
    assert sum(count.problems for count in await counts(db)) == 2
    assert "are not kept" in caplog.text


async def test_the_reason_of_a_refusal_is_kept_as_a_code(db):
    log = ProblemLog(db)
    async with log, client_of(app_with(log)) as client:
        for kind in ("bomb", "type", "coding"):
            await client.get(f"/upload/{kind}")
    async with db.read() as tx:
        rows = await problem_log.recent(tx)
    told = [(each.code, each.reason) for each in rows]
    assert told == [
        ("UNSUPPORTED_MEDIA_TYPE", "content_encoding"),
        ("UNSUPPORTED_MEDIA_TYPE", "not_taken"),
        ("FILE_REJECTED", "bomb"),
    ]
    assert Counter(count.reason for count in await counts(db)) == Counter(
        ["content_encoding", "not_taken", "bomb"]
    )


@pytest.mark.parametrize("text", ["Ana was here", "x" * 65, "a/b", "<b>", "UPPER", "é", "a\nb"])
async def test_a_reason_that_is_a_text_is_not_kept(db, text):
    log = ProblemLog(db)
    app = app_with(log)

    @app.get("/say")
    async def say():
        raise Refused(why=text)

    async with log, client_of(app) as client:
        await client.get("/say")
    async with db.read() as tx:
        (kept,) = await problem_log.recent(tx)
    assert (kept.code, kept.reason) == ("REFUSED", None)


async def test_counts_are_asked_by_time_code_status_and_route(db):
    long_ago = datetime.now(UTC) - timedelta(hours=30)
    log = ProblemLog(db)
    kind = tally.Kind("NOT_FOUND", 404, "/a", "")
    log._tally.note(kind, long_ago.timestamp())
    log._tally.note(kind._replace(route="/b"), datetime.now(UTC).timestamp())
    log._tally.note(tally.Kind("GONE", 410, "/b", ""), datetime.now(UTC).timestamp())
    await log._write(5)

    async def told(**options):
        return [(count.code, count.route) for count in await counts(db, **options)]

    assert await told() == [("GONE", "/b"), ("NOT_FOUND", "/b")]
    assert len(await told(since=timedelta(days=2))) == 3
    assert await told(codes=("GONE",)) == [("GONE", "/b")]
    assert await told(statuses=(404, 405)) == [("NOT_FOUND", "/b")]
    assert await told(since=timedelta(days=2), route="/a") == [("NOT_FOUND", "/a")]
    assert await told(since=timedelta(minutes=1)) == [("GONE", "/b"), ("NOT_FOUND", "/b")]


async def test_counts_are_summed_by_quarter_and_class_and_by_kind(db):
    log = ProblemLog(db)
    for status, number in ((404, 2), (460, 3), (499, 1), (500, 4), (599, 1)):
        for _ in range(number):
            kind = tally.Kind("X", status, "/a", "bomb" if status == 460 else "")
            log._tally.note(kind, datetime.now(UTC).timestamp())
    await log._write(5)
    async with db.read() as tx:
        quarters = await problem_log.by_quarter(tx)
        kinds = await problem_log.by_kind(tx, most=2)
    assert [(status, number) for _, status, number in quarters] == [(4, 6), (5, 5)]
    assert kinds == [(("X", 500, "/a", ""), 4), (("X", 460, "/a", "bomb"), 3)]


async def test_counts_are_kept_for_a_week(db):
    log = ProblemLog(db)
    kind = tally.Kind("NOT_FOUND", 404, "/a", "")
    log._tally.note(kind, (datetime.now(UTC) - timedelta(days=9)).timestamp())
    await log._write(5)
    assert await counts(db, since=timedelta(days=20)) == []


def test_the_kinds_that_wait_to_be_written_are_bounded(monkeypatch):
    monkeypatch.setattr(tally, "_MOST", 2)
    counting = tally.Tally()
    for route in "aabc":
        counting.note(tally.Kind("X", 400, route, ""), 1000.0)
    assert [(row["route"], row["problems"]) for row in counting.take()] == [("a", 2), ("b", 1)]
    assert counting.take() == []


async def test_problems_are_looked_through_by_a_filter(db):
    await put(
        db,
        row(code="A", status=404, route="/x", caller="c1"),
        row(code="B", status=500, route="/x", caller="c2"),
        row(code="B", status=503, route="/y", caller="c1", at=datetime(2026, 1, 1, tzinfo=UTC)),
    )

    async def told(**which):
        async with db.read() as tx:
            found = await problem_log.browse(tx, ProblemFilter(**which))
        return [(each.code, each.status) for each in found.problems]

    assert await told() == [("B", 503), ("B", 500), ("A", 404)]
    assert await told(code="B", route="/x") == [("B", 500)]
    assert await told(status_class=5) == [("B", 503), ("B", 500)]
    assert await told(status_class=4) == [("A", 404)]
    assert await told(caller="c1") == [("B", 503), ("A", 404)]
    assert await told(since=datetime(2026, 2, 1, tzinfo=UTC)) == [("B", 500), ("A", 404)]
    assert await told(code="C") == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_follow_each_other_without_a_gap_and_without_an_end_too_early(
    db, monkeypatch, limit
):
    monkeypatch.setattr(browsing, "LOOKED_AT", 5)
    rows = [row(code="A" if number % 4 == 0 else "B") for number in range(23)]
    await put(db, *rows)
    seen, before, pages = [], None, 0
    while pages < 40:
        async with db.read() as tx:
            found = await problem_log.browse(
                tx, ProblemFilter(code="A"), limit=limit, before=before
            )
        seen += [each.id for each in found.problems]
        pages, before = pages + 1, found.older
        if before is None:
            break
    assert seen == [each["id"] for each in reversed(rows) if each["code"] == "A"]


async def test_one_problem_is_found_by_its_id(db):
    one = row()
    await put(db, one)
    async with db.read() as tx:
        assert (await problem_log.get(tx, one["id"])).id == one["id"]
        assert await problem_log.get(tx, "nobody") is None
