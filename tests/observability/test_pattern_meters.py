"""Each pattern tells of itself, and `/metrics` has it."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy import idempotency, problems
from roadworthy.conditional import IfMatch, IfNoneMatch
from roadworthy.database import Database, Read, StatementFailed, Tx, transaction
from roadworthy.idempotency import Idempotency, Key
from roadworthy.lifespan import lifespan
from roadworthy.observability import Telemetry
from roadworthy.patching import AnyPatch, Patch
from support.polling import until_async as until

ONCE = Idempotency(Tx)


class Item(BaseModel):
    name: str


def add_items(app):
    @app.post("/once/{item_id}")
    async def once(item_id: str, tx: Tx, key: Annotated[Key | None, ONCE.key]) -> str:
        return item_id

    @app.patch("/items/{item_id}")
    async def update(item_id: str, patch: Annotated[Patch[Item], AnyPatch], match: IfMatch) -> None:
        match.check(7)

    @app.get("/items/{item_id}")
    async def item(item_id: str, none_match: IfNoneMatch) -> None:
        none_match.check(7)


def app_on(db, telemetry):
    app = FastAPI(lifespan=lifespan(db), telemetry=telemetry.options())
    tries = []

    @app.post("/write")
    async def write(tx: Tx, refuse: bool = False) -> None:
        await tx.execute(text("SELECT 1"))
        if refuse:
            raise HTTPException(409)

    @app.post("/untouched")
    async def untouched(tx: Tx) -> None: ...

    @app.get("/read")
    async def read(tx: Read) -> None:
        await tx.execute(text("SELECT 1"))
        raise HTTPException(404)

    @app.post("/retry")
    async def retry(tx: Annotated[AsyncSession, transaction(attempts=2)]) -> None:
        await tx.execute(text("SELECT 1"))
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("x", None, Exception("x"), connection_invalidated=True)

    add_items(app)
    problems.install(app)
    telemetry.install(app)
    return app


class Told:
    """What the meters of this process say, since this was made."""

    def __init__(self, telemetry):
        self.telemetry = telemetry
        self.before = self.now()

    def now(self):
        text = self.telemetry.metrics_text()
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def of(self, name, **labels):
        """Return by how much a counter grew, over the series with these labels."""
        return sum(
            value - self.before.get(key, 0)
            for key, value in self.now().items()
            if key[0] == name and labels.items() <= dict(key[1:]).items()
        )

    def value(self, name, **labels):
        """Return what a gauge says now."""
        return {
            key[1:]: value
            for key, value in self.now().items()
            if key[0] == name and labels.items() <= dict(key[1:]).items()
        }


@pytest.fixture
async def served(database_url):
    """A client, the database, and what is told, on SQLite and on PostgreSQL in turn."""
    db = Database(database_url, pool_size=2, max_wait=timedelta(milliseconds=500))
    telemetry = Telemetry()
    app = app_on(db, telemetry)
    async with app.router.lifespan_context(app):
        async with db.engine.begin() as connection:
            await connection.run_sync(idempotency.metadata.create_all)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client, db, Told(telemetry)


TRANSACTIONS = "roadworthy_database_transactions_total"


async def test_transactions_are_counted_by_how_they_end(served):
    client, _, told = served

    await client.post("/write")
    await client.post("/write?refuse=1")
    await client.post("/untouched")
    await client.get("/read")

    assert told.of(TRANSACTIONS, outcome="commit") == 1
    assert told.of(TRANSACTIONS, outcome="rollback") == 1


async def fail_and_hide_it(db):
    async with db.begin() as tx:
        with contextlib.suppress(DBAPIError):
            await tx.execute(text("SELECT * FROM nowhere"))


async def test_a_commit_that_fails_is_a_rollback(served):
    _, db, told = served

    with pytest.raises(StatementFailed):
        await fail_and_hide_it(db)

    assert told.of(TRANSACTIONS, outcome="commit") == 0
    assert told.of(TRANSACTIONS, outcome="rollback") == 1


async def test_a_request_that_runs_again_is_a_retry_and_two_transactions(served):
    client, _, told = served

    assert (await client.post("/retry")).status_code == 200

    assert told.of("roadworthy_database_retries_total", error_type="OperationalError") == 1
    assert told.of(TRANSACTIONS) == 2


async def somebody_waits(told, labels):
    return any(told.value("db_client_connection_pending_requests", **labels).values())


async def test_the_pool_tells_who_uses_it_and_who_waits(served):
    _, db, told = served
    pool = "write" if db.engine.dialect.name == "sqlite" else "main"
    size = 1 if pool == "write" else 2
    labels = {"db_client_connection_pool_name": pool}

    async def use():
        async with db.begin() as tx:
            await tx.execute(text("SELECT 1"))
            entered.release()
            await done.wait()

    entered, done = asyncio.Semaphore(0), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(size + 1):
            group.create_task(use())
        for _ in range(size):
            await entered.acquire()
        await until(lambda: somebody_waits(told, labels))
        used = told.value("db_client_connection_count", **labels, db_client_connection_state="used")
        pending = told.value("db_client_connection_pending_requests", **labels)
        most = told.value("db_client_connection_max", **labels)
        done.set()

    assert [list(found.values()) for found in (used, pending, most)] == [[size], [1], [size]]
    assert told.of("db_client_connection_wait_time_seconds_count", **labels) == size + 1
    assert told.of("db_client_connection_wait_time_seconds_sum", **labels) > 0


async def test_who_waits_in_vain_is_counted(served):
    _, db, told = served
    count = 1 if db.engine.dialect.name == "sqlite" else 2

    async def use():
        async with db.begin() as tx:
            await tx.execute(text("SELECT 1"))
            entered.release()
            await done.wait()

    entered, done = asyncio.Semaphore(0), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(use())
        for _ in range(count):
            await entered.acquire()
        with pytest.raises(problems.ServiceUnavailable):
            await use()
        done.set()

    assert told.of("db_client_connection_timeouts_total") == 1


async def test_a_database_that_is_closed_has_no_pools(database_url):
    telemetry = Telemetry()
    async with telemetry, Database(database_url):
        pass

    assert Told(telemetry).value("db_client_connection_max") == {}


async def test_an_answer_from_before_is_a_replay(served):
    client, _, told = served

    for item in ("a", "a", "b"):
        await client.post(f"/once/{item}", headers={"Idempotency-Key": f"key-{item}"})

    labels = {"http_route": "/once/{item_id}", "http_request_method": "POST"}
    assert told.of("roadworthy_idempotency_replays_total", **labels) == 1


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/merge-patch+json", b'{"name":"x"}'),
        ("application/json-patch+json", b'[{"op":"replace","path":"/name","value":"x"}]'),
    ],
)
async def test_patches_are_counted_by_how_they_are_written(served, kind, body):
    client, _, told = served

    await client.patch("/items/a", content=body, headers={"Content-Type": kind})
    await client.patch("/items/a", content=b"{", headers={"Content-Type": kind})

    assert told.of("roadworthy_patching_patches_total", patch_media_type=kind) == 1
    assert told.of("roadworthy_patching_patches_total") == 1


async def test_412_and_304_are_told_by_route(served):
    client, _, told = served

    await client.patch("/items/a", json={"name": "x"}, headers={"If-Match": '"6"'})
    await client.get("/items/a", headers={"If-None-Match": '"7"'})

    route = {"http_route": "/items/{item_id}"}
    counted = "http_server_request_duration_seconds_count"
    assert (
        told.of("roadworthy_requests_errors_total", error_code="PRECONDITION_FAILED", **route) == 1
    )
    assert told.of(counted, http_response_status_code="412", **route) == 1
    assert told.of(counted, http_response_status_code="304", **route) == 1
