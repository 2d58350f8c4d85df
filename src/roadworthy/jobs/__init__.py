"""Background work that survives: jobs are rows of the caller's transaction.

    @task(attempts=5, timeout=timedelta(seconds=30))
    async def send_confirmation(job: Job, order_id: str) -> None:
        await job.find(Mailer).send(order_id, key=job.idempotency_key)

    @app.post("/orders", status_code=201)
    async def place(order: Order, tx: Tx) -> Order:
        tx.add(OrderRow(id=order.id))
        await send_confirmation.enqueue(tx, order_id=order.id)
        return order

    db = Database("sqlite:///shop.db")
    app = FastAPI(lifespan=lifespan(db, Jobs(db, tasks=[send_confirmation])))

The job exists if and only if the transaction commits. It runs at least once, in any process that
knows the task, even if processes die meanwhile. What it writes in the transaction that completes
it happens exactly once.
"""

from roadworthy._internal.extras import extra

with extra("jobs", of="roadworthy.jobs"):
    import sqlalchemy.ext.asyncio as _  # noqa: F401 - so that its absence is told once

from roadworthy.jobs.arguments.task_arguments import ArgumentsMistaken
from roadworthy.jobs.backoff import Backoff
from roadworthy.jobs.engine import Engine
from roadworthy.jobs.engines.embedded import Embedded
from roadworthy.jobs.job import GiveUp, Job, TryAgain
from roadworthy.jobs.limits import Limit
from roadworthy.jobs.part import Jobs
from roadworthy.jobs.schedule import Cron, Every
from roadworthy.jobs.table.call import Call, Enqueued
from roadworthy.jobs.table.history import AttemptRecord, attempts
from roadworthy.jobs.table.insert import enqueue_many, enqueue_many_sync
from roadworthy.jobs.table.records import (
    JobRecord,
    QueueStats,
    Stats,
    browse,
    cancel,
    get,
    key_holder,
    retry,
    stats,
    waiting,
)
from roadworthy.jobs.table.states import State
from roadworthy.jobs.table.tables import metadata, table
from roadworthy.jobs.task import Sending, Task, task
from roadworthy.jobs.task_options import TaskOptions
from roadworthy.jobs.worker.context import FailedAttempt, JobsContext
from roadworthy.jobs.worker.options import BrokerOptions, EmbeddedOptions, WorkerOptions
from roadworthy.jobs.worker.worker import run_worker

__all__ = [
    "ArgumentsMistaken",
    "AttemptRecord",
    "Backoff",
    "BrokerOptions",
    "Call",
    "Cron",
    "Embedded",
    "EmbeddedOptions",
    "Engine",
    "Enqueued",
    "Every",
    "FailedAttempt",
    "GiveUp",
    "Job",
    "JobRecord",
    "Jobs",
    "JobsContext",
    "Limit",
    "QueueStats",
    "Sending",
    "State",
    "Stats",
    "Task",
    "TaskOptions",
    "TryAgain",
    "WorkerOptions",
    "attempts",
    "browse",
    "cancel",
    "enqueue_many",
    "enqueue_many_sync",
    "get",
    "key_holder",
    "metadata",
    "retry",
    "run_worker",
    "stats",
    "table",
    "task",
    "waiting",
]
