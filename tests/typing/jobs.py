"""What type checkers make of jobs: enqueueing is checked as a call of the task would be.

Never run. Each ignore is an assertion: both checkers report it where it is not needed.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import assert_type

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from sqlmodel import Session as SQLModelSyncSession
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelSession

from roadworthy import jobs
from roadworthy.database import Database, SyncTx, Tx
from roadworthy.jobs import (
    Backoff,
    Call,
    Cron,
    Embedded,
    Enqueued,
    Every,
    FailedAttempt,
    Job,
    JobRecord,
    Jobs,
    Stats,
    TryAgain,
    enqueue_many,
    run_worker,
    task,
)
from roadworthy.lifespan import lifespan


class Mailer:
    async def send(self, order_id: str, *, key: str) -> None: ...


def render(order_id: str, *, pages: int = 1) -> bytes:
    return order_id.encode() * pages


@task
async def plain(order_id: str, copies: int = 1) -> None: ...


@task
async def with_job(job: Job, order_id: str) -> None:
    assert_type(job.find(Mailer), Mailer)
    assert_type(job.find(Database), Database)
    await job.find(Mailer).send(order_id, key=job.idempotency_key)
    assert_type(await job.in_process(render, order_id, pages=2), bytes)
    await job.in_process(render, 5)  # type: ignore[arg-type]
    await job.in_process(render, order_id, sheets=2)  # type: ignore[call-arg]
    assert_type(job.completing(), AbstractAsyncContextManager[AsyncSession])
    assert_type(job.cancelled, bool)
    job.progress(0.5, "half")
    raise TryAgain("not yet", delay=timedelta(minutes=1))


@task
async def with_tx(tx: AsyncSession, order_id: str) -> None: ...


@task
async def with_our_tx(tx: Tx, order_id: str) -> None: ...


@task
async def with_sqlmodel(tx: SQLModelSession, order_id: str) -> None: ...


@task
def in_a_thread(tx: Session, order_id: str) -> None: ...


@task
def in_a_thread_with_our_tx(tx: SyncTx, order_id: str) -> None: ...


@task
def in_a_thread_with_sqlmodel(job: Job, tx: SQLModelSyncSession, order_id: str) -> None: ...


@task
async def with_both(job: Job, tx: AsyncSession, order_id: str) -> None: ...


@task
async def with_both_turned(tx: SQLModelSession, job: Job, order_id: str) -> None: ...


@task
async def nothing_but_job(job: Job) -> None: ...


@task(runs_on="cpu", max_memory=512 * 1024**2)
def on_a_process(job: Job, order_id: str) -> int:
    return len(order_id)


@task(
    name="mails.remind",
    attempts=3,
    backoff=Backoff(first=timedelta(seconds=1)),
    timeout=None,
    priority=60,
    queue="mails",
    unique="unfinished",
    version=2,
    upgrade=lambda version, arguments: {**arguments, "version": version},
)
async def with_terms(job: Job, order_id: str, *, amount: Decimal) -> None: ...


@task(schedule=Cron("0 3 * * *", zone="Europe/Berlin"))
async def nightly(job: Job, days: int = 1) -> None: ...


@task(schedule=Every(timedelta(minutes=5)))
def often() -> None: ...


task(runs_on="process")  # type: ignore[call-overload]
task(timeout=30)  # type: ignore[call-overload]
task(unique="always")  # type: ignore[call-overload]
task(schedule="0 3 * * *")  # type: ignore[call-overload]
task(retries=3)  # type: ignore[call-overload]


async def enqueues(
    tx: Tx, sqlmodel: SQLModelSession, connection: AsyncConnection, moment: datetime
) -> None:
    assert_type(await plain.enqueue(tx, order_id="1"), Enqueued)
    await plain.enqueue(tx, "1", 2)
    await plain.enqueue(tx, "1", copies=2)
    await plain.enqueue(sqlmodel, order_id="1")
    await plain.enqueue(connection, order_id="1")
    await with_job.enqueue(tx, order_id="1")
    await with_tx.enqueue(tx, order_id="1")
    await with_our_tx.enqueue(tx, order_id="1")
    await with_sqlmodel.enqueue(tx, order_id="1")
    await with_both.enqueue(tx, "1")
    await with_both_turned.enqueue(tx, "1")
    await nothing_but_job.enqueue(tx)
    await on_a_process.enqueue(tx, order_id="1")
    await with_terms.enqueue(tx, "1", amount=Decimal("9.90"))
    await nightly.enqueue(tx)
    await often.enqueue(tx)

    later = plain.options(delay=timedelta(days=1), unique_key="1", priority=5, queue="mails")
    assert_type(await later.enqueue(tx, order_id="1"), Enqueued)
    await with_terms.options(run_at=moment).enqueue(tx, "1", amount=Decimal(1))
    calls = [plain.call(order_id="1"), with_terms.call("1", amount=Decimal(1)), later.call("1")]
    assert_type(calls, list[Call])
    assert_type(await enqueue_many(tx, calls), list[Enqueued])
    plain.after_commit(tx, order_id="1")


async def refused(tx: Tx, session: Session, engine: AsyncEngine) -> None:
    await plain.enqueue(tx)  # type: ignore[call-arg]
    await plain.enqueue(tx, order_id=1)  # type: ignore[arg-type]
    await plain.enqueue(tx, order_id="1", colour="red")  # type: ignore[call-arg]
    await plain.enqueue(tx, "1", 2, 3)  # type: ignore[call-arg]
    await plain.enqueue(order_id="1")  # type: ignore[call-arg]
    await plain.enqueue(session, order_id="1")  # type: ignore[arg-type]
    await plain.enqueue(engine, order_id="1")  # type: ignore[arg-type]
    await with_job.enqueue(tx, job=None, order_id="1")  # type: ignore[call-arg]
    await with_tx.enqueue(tx, tx=tx, order_id="1")  # type: ignore[call-arg]
    await with_terms.enqueue(tx, "1", amount="9.90")  # type: ignore[arg-type]
    await with_terms.enqueue(tx, "1")  # type: ignore[call-arg]
    await nothing_but_job.enqueue(tx, "1")  # type: ignore[call-arg]
    await plain.options(delay=30).enqueue(tx, "1")  # type: ignore[arg-type]
    await plain.options(priority=5).enqueue(tx, order_id=1)  # type: ignore[arg-type]
    plain.call(order_id=1)  # type: ignore[arg-type]
    plain.enqueue_sync(tx, order_id="1")  # type: ignore[arg-type]
    plain.enqueue_sync(session, order_id=1)  # type: ignore[arg-type]
    plain.after_commit(tx, order_id=1)  # type: ignore[arg-type]
    await enqueue_many(tx, [plain])  # type: ignore[list-item]


def enqueues_on_a_thread(
    session: Session, sqlmodel: SQLModelSyncSession, connection: Connection
) -> None:
    assert_type(plain.enqueue_sync(session, order_id="1"), Enqueued)
    plain.options(priority=5).enqueue_sync(sqlmodel, "1")
    with_tx.enqueue_sync(connection, order_id="1")
    in_a_thread.enqueue_sync(session, order_id="1")
    in_a_thread_with_our_tx.enqueue_sync(session, "1")
    in_a_thread_with_sqlmodel.enqueue_sync(sqlmodel, "1")
    in_a_thread.enqueue_sync(session, order_id=1)  # type: ignore[arg-type]
    plain.after_commit(session, order_id="1")


@plain.on_dead
async def mark_failed(tx: AsyncSession, order_id: str, copies: int = 1) -> int:
    return copies


async def handlers_stay_functions(tx: AsyncSession) -> None:
    assert_type(await mark_failed(tx, "1", copies=2), int)
    await mark_failed(tx, 1)  # type: ignore[arg-type]


async def operates(tx: AsyncSession, connection: AsyncConnection) -> None:
    assert_type(await jobs.get(tx, "1"), JobRecord | None)
    assert_type(await jobs.browse(connection, state=jobs.State.DEAD), list[JobRecord])
    assert_type(await jobs.retry(tx, "1"), bool)
    assert_type(await jobs.cancel(tx, "1"), bool)
    assert_type(await jobs.stats(tx), Stats)
    await jobs.browse(tx, state="ended")  # type: ignore[arg-type]


def on_failure(failed: FailedAttempt) -> None: ...
async def on_dead(failed: FailedAttempt) -> None: ...
def wrong_hook(failed: str) -> None: ...


async def runs(db: Database, engine: AsyncEngine) -> None:
    part = Jobs(
        db,
        tasks=[plain, with_both, with_terms, often],
        parts=[Mailer()],
        engine=Embedded(concurrency=10, lease=timedelta(seconds=5)),
        on_failure=on_failure,
        on_dead=on_dead,
    )
    lifespan(db, part)
    assert_type(await run_worker(db, part), int)
    Jobs(engine, tasks=[plain], run=False)
    Jobs(db, tasks=[mark_failed])  # type: ignore[list-item]
    Jobs(db, tasks=[plain], on_dead=wrong_hook)  # type: ignore[arg-type]
    Jobs("sqlite:///shop.db", tasks=[plain])  # type: ignore[arg-type]


def options_are_checked() -> None:
    Embedded(concurrency=5, queues=["default"], lease=timedelta(seconds=5))
    Embedded(concurency=5)  # type: ignore[call-arg]
    Embedded(lease=5)  # type: ignore[arg-type]
    task(attempts=3, queue="mails")
    task(atempts=3)  # type: ignore[call-overload]
    task(attempts="3")  # type: ignore[call-overload]
