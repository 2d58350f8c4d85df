"""DBOS, on SQLite and on PostgreSQL: a queue of durable workflows."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy
from dbos import DBOS, AsyncSQLAlchemyDatasource, DBOSClient, DBOSConfig
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from _jobs import common
from _jobs.peers import _service

QUEUE = "bench"
datasources: list[AsyncSQLAlchemyDatasource] = []


def config(url: str) -> DBOSConfig:
    return {
        "name": "bench",
        # The application's own database, so that one transaction can hold both.
        "system_database_url": url.replace("postgresql:", "postgresql+psycopg:"),
        # A restarted process takes up what its predecessor was doing.
        "executor_id": "bench",
        "application_version": "1",
        "log_level": os.environ.get("DBOS_LOG", "CRITICAL"),
    }


# --- the first proof ------------------------------------------------------------------


@DBOS.step()
async def append_step(key: str) -> None:
    await _service.append_line(key)


@DBOS.workflow()
async def append(key: str) -> None:
    await append_step(key)


@DBOS.workflow()
async def record(key: str) -> None:
    await datasources[0].run_tx_step_async({"name": "insert"}, _insert, key)


async def _insert(key: str) -> None:
    await _service.insert_row(datasources[0].sql_session(), key)


def prepare(url: str) -> None:
    _service.prepare(url)
    DBOS(config=config(url))
    DBOS.launch()
    common.result()


def serve(url: str, port: str) -> None:
    make_session = _service.sessions(url, "psycopg")
    DBOS(config=config(url))

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        datasources.append(await AsyncSQLAlchemyDatasource.create(_async_url(url)))
        DBOS.launch()
        await DBOS.register_queue_async(QUEUE, polling_interval_sec=0.1)
        client = DBOSClient(system_database_url=config(url)["system_database_url"])
        app.state.add = client.enqueue_in_transaction
        yield

    async def enqueue(tx: AsyncSession, key: str) -> None:
        for name in ("append", "record"):
            options = {"workflow_name": name, "queue_name": QUEUE}
            await tx.run_sync(app.state.add, options, key)

    app = FastAPI(lifespan=life)
    _service.by_hand(app, make_session, enqueue)
    _service.run(app, port)


def _async_url(url: str) -> str:
    return url.replace("postgresql:", "postgresql+psycopg:").replace("sqlite:", "sqlite+aiosqlite:")


# --- jobs per second ------------------------------------------------------------------

countdown: common.Countdown


@DBOS.workflow()
async def noop(n: int) -> None:
    countdown.done()


def fill(url: str, n: str) -> None:
    dbos_config = config(url)
    DBOS(config=dbos_config)
    DBOS.launch()
    client = DBOSClient(system_database_url=dbos_config["system_database_url"])
    engine = sqlalchemy.create_engine(str(dbos_config["system_database_url"]))
    with engine.begin() as connection:
        for i in range(int(n)):
            client.enqueue_in_transaction(
                connection, {"workflow_name": "noop", "queue_name": QUEUE}, i
            )
    common.result()


def work(url: str, n: str) -> None:
    global countdown  # noqa: PLW0603 - the workflow is a function of this module
    where = "dbos.workflow_status" if url.startswith("postgresql") else "workflow_status"
    unfinished = f"SELECT count(*) FROM {where} WHERE status <> 'SUCCESS'"
    countdown = common.Countdown(int(n), lambda: int(str(common.query(url, unfinished)[0][0])))
    DBOS(config=config(url))
    countdown.start()
    DBOS.launch()
    interval = float(os.environ.get("DBOS_POLL", "0.01"))
    DBOS.register_queue(QUEUE, polling_interval_sec=interval)
    asyncio.run(asyncio.sleep(3600))
