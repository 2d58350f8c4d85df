"""What a client is told when the database says no (P6), on every driver."""

import logging
import random
import string
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy.exc
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import problems
from roadworthy.database import Database

SECRET = "hunter2-hunter2"
TABLES = [
    (
        "CREATE TABLE item (id INTEGER PRIMARY KEY, name VARCHAR(20) UNIQUE,"
        " code VARCHAR(20) NOT NULL, n INTEGER,"
        " CONSTRAINT n_not_negative CHECK (n >= 0), UNIQUE (code, n))"
    ),
    "CREATE TABLE part (id INTEGER PRIMARY KEY, item_id INTEGER NOT NULL REFERENCES item (id))",
    f"INSERT INTO item (id, name, code, n) VALUES (1, '{SECRET}', '{SECRET}', 1)",
]
ADD = "INSERT INTO item (id, name, code, n) VALUES (:id, :name, :code, :n)"
DRIVERS = ["sqlite", "postgresql+asyncpg", "postgresql+psycopg"]


@pytest.fixture(params=DRIVERS)
async def db(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    kind = "sqlite" if request.param == "sqlite" else "postgres"
    url = str(request.getfixturevalue(f"{kind}_url")).replace("postgresql:", f"{request.param}:")
    async with Database(url, statement_timeout=timedelta(seconds=1)) as db:
        async with db.begin() as tx:
            for statement in TABLES:
                await tx.execute(text(statement))
        yield db


def on_sqlite(db: Database) -> bool:
    return db.engine.dialect.name == "sqlite"


async def failing(db: Database, statement: str, **values: Any) -> problems.Problem:
    with pytest.raises(problems.Problem) as caught:
        async with db.begin() as tx:
            await tx.execute(text(statement), values)
    assert SECRET not in str(caught.value.details()) + caught.value.detail
    assert "INSERT" not in str(caught.value.details()) + caught.value.detail
    assert caught.value.__cause__ is not None
    return caught.value


def fields(problem: problems.Problem) -> list[tuple[str, str]]:
    return [(error["pointer"], error["code"]) for error in problem.details()]


ROW = {"id": 2, "name": "b", "code": "b", "n": 1}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": SECRET}, [("/name", "unique")]),
        ({"code": SECRET}, [("/code", "unique"), ("/n", "unique")]),
    ],
)
async def test_a_taken_value_is_a_conflict(
    db: Database, change: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """P6"""
    problem = await failing(db, ADD, **ROW | change)
    assert isinstance(problem, problems.Conflict)
    assert fields(problem) == expected


async def test_a_broken_reference_is_a_conflict(db: Database) -> None:
    problem = await failing(db, "INSERT INTO part (id, item_id) VALUES (1, 99)")
    assert isinstance(problem, problems.Conflict)
    # SQLite does not say which one it was.
    assert fields(problem) == [("" if on_sqlite(db) else "/item_id", "foreign_key")]


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"code": None}, ("/code", "not_null")), ({"n": -1}, ("/n", "check"))],
)
async def test_a_refused_value_is_invalid(
    db: Database, change: dict[str, Any], expected: tuple[str, str]
) -> None:
    problem = await failing(db, ADD, **ROW | change)
    assert isinstance(problem, problems.ValidationFailed)
    assert fields(problem) == [expected]


@pytest.mark.parametrize(
    "change", [{"n": 2**70}, {"name": "\ud800"}], ids=["too large", "surrogate"]
)
async def test_a_value_that_cannot_be_stored_is_invalid(
    db: Database, change: dict[str, Any]
) -> None:
    problem = await failing(db, ADD, **ROW | change)
    assert isinstance(problem, problems.ValidationFailed)


@pytest.mark.parametrize("change", [{"name": "x" * 21}, {"name": "a\0b"}], ids=["long", "NUL"])
async def test_what_only_postgresql_refuses_is_invalid(
    db: Database, change: dict[str, Any]
) -> None:
    if on_sqlite(db):
        pytest.skip("SQLite stores it")
    assert isinstance(await failing(db, ADD, **ROW | change), problems.ValidationFailed)


async def test_an_error_at_flush_and_one_at_commit_are_the_same(db: Database) -> None:
    with pytest.raises(problems.Conflict):
        async with db.read() as read:
            raise await failing(db, ADD, **ROW | {"name": SECRET})
    assert not read.in_transaction()


async def test_wrong_sql_stays_a_bug(db: Database) -> None:
    with pytest.raises(Exception, match="nonsense") as caught:
        async with db.begin() as tx:
            await tx.execute(text("nonsense"))
    assert not isinstance(caught.value, problems.Problem)


async def test_a_read_unit_cannot_write(db: Database) -> None:
    with pytest.raises(Exception, match=r"readonly|read-only"):
        async with db.read() as read:
            await read.execute(text(ADD), ROW)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_server_that_is_not_there_is_503(driver: str) -> None:
    url = f"postgresql+{driver}://user:{SECRET}@127.0.0.1:1/none"
    async with Database(url) as db:
        problem = await failing(db, "SELECT 1")
        assert isinstance(problem, problems.ServiceUnavailable)
        with pytest.raises(problems.ServiceUnavailable):
            await db.ping()
        assert SECRET not in repr(db)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_connection_that_was_cut_is_503_and_the_next_unit_works(
    postgres_url: str, driver: str
) -> None:
    url = postgres_url.replace("postgresql", f"postgresql+{driver}")
    async with Database(url, pool_size=2) as db:
        with pytest.raises(problems.ServiceUnavailable):  # noqa: PT012 - the way there counts
            async with db.begin() as tx:
                pid = (await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one()
                await terminate(db, pid)
                await tx.execute(text("SELECT 1"))
        async with db.begin() as tx:
            await tx.execute(text("SELECT 1"))


async def terminate(db: Database, pid: int) -> None:
    async with db.begin() as other:
        await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})


async def test_a_full_disk_is_507_and_logged(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Database(sqlite_url) as db:
        async with db.begin() as tx:
            await tx.execute(text("CREATE TABLE big (x BLOB)"))
        with caplog.at_level(logging.CRITICAL), pytest.raises(problems.InsufficientStorage):
            async with db.begin() as tx:
                await fill(tx)
        assert "disk" in caplog.text
        async with db.read() as read:
            assert (await read.execute(text("SELECT count(*) FROM big"))).scalar_one() == 0


async def fill(tx: AsyncSession) -> None:
    await tx.execute(text("PRAGMA max_page_count = 20"))
    for _ in range(100):
        await tx.execute(text("INSERT INTO big VALUES (zeroblob(4000))"))


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("CREATE TABLE link (id int, url text UNIQUE)", "INSERT INTO link (url) VALUES (:url)"),
        (
            "CREATE TABLE link (id int, url text PRIMARY KEY)",
            "INSERT INTO link (url) VALUES (:url)",
        ),
        (
            "CREATE TABLE link (id int, url text, UNIQUE (id, url))",
            "UPDATE link SET url = :url WHERE id = 1",
        ),
        (
            "CREATE TABLE link (id int, url text); CREATE INDEX ON link ((url || 'x'))",
            "UPDATE link SET url = :url WHERE id = 1",
        ),
        (
            "CREATE TABLE link (id int, url text, found tsvector)",
            "UPDATE link SET found = CAST(CAST(:url AS text) AS tsvector) WHERE id = 1",
        ),
    ],
    ids=["unique", "primary", "composite", "expression", "tsvector"],
)
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_value_that_is_too_long_for_an_index_is_invalid(
    postgres_url: str, driver: str, table: str, change: str
) -> None:
    value = "".join(random.Random(1).choices(string.ascii_letters, k=30_000))
    async with Database(postgres_url.replace("postgresql", f"postgresql+{driver}")) as db:
        async with db.begin() as tx:
            for statement in table.split("; "):
                await tx.execute(text(statement))
            if "PRIMARY" not in table:
                await tx.execute(text("INSERT INTO link (id, url) VALUES (1, 'a')"))
        problem = await failing(db, change, url=value)
        assert isinstance(problem, problems.ValidationFailed)
        assert [code for _, code in fields(problem)] == ["too_long"]


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT {', '.join(f'{n} AS c{n}' for n in range(1700))}",  # 54011
        f"SELECT concat({', '.join(['1'] * 101)})",  # 54023
        f"SELECT {'(' * 20000}1{')' * 20000}",  # 54001
    ],
    ids=["columns", "arguments", "complex"],
)
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_the_limits_of_the_program_stay_bugs(
    postgres_url: str, driver: str, statement: str
) -> None:
    async with Database(postgres_url.replace("postgresql", f"postgresql+{driver}")) as db:
        with pytest.raises(sqlalchemy.exc.DBAPIError):
            async with db.begin() as tx:
                await tx.execute(text(statement))


@pytest.mark.parametrize("driver", ["asyncpg", pytest.param("psycopg", marks=pytest.mark.soak)])
async def test_more_parameters_than_the_protocol_has_are_no_outage(
    postgres_url: str, driver: str
) -> None:
    names = [f"p{number}" for number in range(65_536)]
    statement = text(f"SELECT 1 WHERE 1 IN ({', '.join(f':{name}' for name in names)})")
    async with Database(postgres_url.replace("postgresql", f"postgresql+{driver}")) as db:
        with pytest.raises(sqlalchemy.exc.DBAPIError):
            async with db.begin() as tx:
                await tx.execute(statement, dict.fromkeys(names, 1))
