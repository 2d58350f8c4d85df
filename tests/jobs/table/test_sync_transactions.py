"""Tasks that are no `async def` complete in their own transaction, with a `Session`."""

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from jobs.opened import database, rows, running, state_of
from roadworthy import jobs
from roadworthy.database import Database, SyncTx
from roadworthy.jobs import Job, Jobs, task
from roadworthy.lifespan import lifespan
from support import polling
from support.polling import until_async as until

notes = sa.Table("sync_notes", sa.MetaData(), sa.Column("text", sa.String(40)))
THREADS: list[str] = []


@task(name="note")
def note(tx: Session, job: Job, text: str) -> None:
    THREADS.append(threading.current_thread().name)
    tx.execute(sa.insert(notes).values(text=text))
    after.enqueue_sync(tx, text=text)
    if text == "bad":
        raise LookupError


@task(name="after")
def after(text: str) -> None: ...


@task(name="buried", attempts=1)
def buried(text: str) -> None:
    raise LookupError


@buried.on_dead
def bury(tx: Session, text: str) -> None:
    tx.execute(sa.insert(notes).values(text=f"dead {text}"))


async def texts(db: Database) -> list[str]:
    async with db.read() as tx:
        return list(await tx.scalars(sa.select(notes.c.text)))


@pytest.fixture(params=["postgresql+psycopg", "postgresql+asyncpg", "sqlite"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    made: str = request.getfixturevalue("postgres_url")
    return made.replace("postgresql:", f"{request.param}:")


async def tables(db: Database) -> None:
    async with db.begin() as tx:
        await (await tx.connection()).run_sync(notes.metadata.create_all)


async def test_a_task_writes_and_completes_in_one_transaction(url: str) -> None:
    async with database(url) as db:
        await tables(db)
        async with running(db, note, after):
            async with db.begin() as tx:
                sent = await note.enqueue(tx, text="good")
            await until(lambda: _is(db, sent.id, "succeeded"))
        assert await texts(db) == ["good"]
        assert THREADS[-1] == "roadworthy-job"
        assert [row.task for row in await rows(db)] == ["note", "after"]


async def test_a_task_that_fails_has_written_nothing(url: str) -> None:
    async with database(url) as db:
        await tables(db)
        async with running(db, note, after):
            async with db.begin() as tx:
                await note.enqueue(tx, text="bad")
            await until(lambda: _has_failed(db))
        assert await texts(db) == []
        assert [row.task for row in await rows(db)] == ["note"]


async def test_a_handler_of_deaths_writes_with_the_death(url: str) -> None:
    async with database(url) as db:
        await tables(db)
        async with running(db, buried):
            async with db.begin() as tx:
                sent = await buried.enqueue(tx, text="ann")
            await until(lambda: _is(db, sent.id, "dead"))
        assert await texts(db) == ["dead ann"]


async def _is(db: Database, id_: str, state: str) -> bool:
    return await state_of(db, id_) == state


async def _has_failed(db: Database) -> bool:
    return [row.attempts for row in await rows(db) if row.state == "scheduled"] == [1]


async def test_a_plain_engine_has_no_transaction_for_a_thread() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    with pytest.raises(TypeError, match=r"note takes a Session.*Jobs\(Database"):
        Jobs(engine, tasks=[note])


async def test_a_session_on_the_loop_would_hold_it_up() -> None:
    @task(name="wrong")
    async def wrong(tx: Session) -> None: ...

    with pytest.raises(TypeError, match=r"Write `tx: AsyncSession` and await"):
        Jobs(Database("sqlite://"), tasks=[wrong])


async def test_a_task_takes_one_kind_of_transaction() -> None:
    @task(name="wrong")
    def wrong(tx: Session, other: AsyncSession) -> None: ...

    with pytest.raises(TypeError, match="takes a transaction"):
        Jobs(Database("sqlite://"), tasks=[wrong])


@pytest.fixture
def client(database_url: str) -> Iterator[TestClient]:
    db = Database(database_url)

    class Tables:
        async def __aenter__(self) -> None:
            async with db.engine.begin() as connection:
                await connection.run_sync(jobs.metadata.create_all)

        async def __aexit__(self, *_: object) -> None: ...

    app = FastAPI(lifespan=lifespan(db, Tables(), Jobs(db, tasks=[after])))

    @app.post("/send/{how}")
    def send(how: str, tx: SyncTx) -> str:
        sent = after.enqueue_sync(tx, text=how)
        if how == "fails":
            raise ValueError
        return sent.id

    @app.get("/state/{id_}")
    async def state(id_: str) -> str | None:
        return await state_of(db, id_)

    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_a_def_route_enqueues_in_its_transaction(client: TestClient) -> None:
    assert client.post("/send/fails").status_code == 500
    sent = client.post("/send/works").json()
    polling.until(lambda: client.get(f"/state/{sent}").json() == "succeeded")
