"""A service with parts, whose console is looked at, and rows as those parts would have written."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import Table, insert

from console.consoles import HTML, ana, client_of
from roadworthy import jobs, problem_log, problems
from roadworthy._internal.ids import new_id
from roadworthy.console import console
from roadworthy.database import Database
from roadworthy.jobs import Jobs, task
from roadworthy.jobs.table import tables
from roadworthy.lifespan import lifespan


@task
async def mail(to: str) -> None: ...


def now() -> datetime:
    return datetime.now(UTC)


def ago(**length: float) -> datetime:
    return now() - timedelta(**length)


def jobs_of(db: Database, **options: Any) -> Jobs:
    return Jobs(db, tasks=[mail], run=False, **options)


@asynccontextmanager
async def opened(
    *parts: AbstractAsyncContextManager[object], **options: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Lend a browser of a service that has these parts and a console at /ops."""
    app = FastAPI(lifespan=lifespan(*parts))
    problems.install(app)
    app.include_router(console(**{"access": ana, **options}), prefix="/ops")
    async with app.router.lifespan_context(app), client_of(app) as client:
        client.headers.update(HTML)
        yield client


async def put(db: Database, table: Table, *rows: dict[str, Any]) -> None:
    async with db.engine.begin() as connection:
        await connection.execute(insert(table), list(rows))


def job(state: str = "queued", **changed: Any) -> dict[str, Any]:
    """Return a row of a job."""
    nothing = dict.fromkeys(column.name for column in jobs.table.columns)
    return {
        **nothing,
        "id": new_id(),
        "task": "shop.mail",
        "version": 1,
        "arguments": '{"to": "a"}',
        "state": state,
        "queue": "default",
        "runs_on": "loop",
        "priority": 0,
        "turn_at": changed.get("run_at", now()),
        "attempts": 1,
        "enqueued_at": now(),
        "run_at": now(),
        "cancel_requested": False,
        **changed,
    }


def problem(**changed: Any) -> dict[str, Any]:
    """Return a row of a problem."""
    return {
        "id": new_id(),
        "at": now(),
        "status": 409,
        "code": "OUT_OF_STOCK",
        "method": "POST",
        "route": "/orders",
        "request_id": new_id(),
        "caller": None,
        "exception": None,
        "traceback": None,
        "stands_for": 1,
        **changed,
    }


def worker(name: str = "host-1-abc", **changed: Any) -> dict[str, Any]:
    """Return a row of a worker that lives."""
    return {
        "name": name,
        "host": "host",
        "pid": 1,
        "role": "worker",
        "version": "1.4.1",
        "queues": '["default"]',
        "started_at": ago(hours=1),
        "seen_at": now(),
        "expected_at": now() + timedelta(seconds=30),
        **changed,
    }


JOBS, PROBLEMS, WORKERS, PAUSES = jobs.table, problem_log.table, tables.workers, tables.pauses
