"""`Worker`: run jobs in a test, inline and in order, by the code of production."""

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal, TypeAlias, TypeVar

from sqlalchemy import select

from roadworthy.jobs import JobRecord, Jobs, State, table
from roadworthy.jobs.table import clock, records
from roadworthy.jobs.table.admission import Admission
from roadworthy.jobs.table.ledger import Claimed, Ledger, worker_name
from roadworthy.jobs.table.moves import in_state
from roadworthy.jobs.table.paused import is_paused
from roadworthy.jobs.worker import logs
from roadworthy.jobs.worker.failures import Crash
from roadworthy.jobs.worker.runner import Runner
from roadworthy.jobs.worker.scheduler import Scheduler
from roadworthy.jobs.worker.tiers import Tiers

__all__ = ["Point", "Worker"]

R = TypeVar("R")

Point: TypeAlias = Literal["claimed", "ran", "committing", "committed"]
"""Where a worker can crash."""


class Worker:
    """Run the jobs of a `Jobs` when told to, one after the other.

        jobs = Jobs(db, tasks=[send_confirmation], parts=[mailer], run=False)
        worker = Worker(jobs)
        await worker.run_due()

    It claims, runs and records them as an engine does; `jobs` need not be open. Each
    job is run as if alone: it sees none of the test's context variables. A job that
    the worker holds when it crashes is run again once `lease` has passed.
    """

    def __init__(self, jobs: Jobs, *, lease: timedelta = timedelta(seconds=15)) -> None:
        self._work = replace(jobs.work, clock=clock.now, checkpoint=self._reach)
        self._engine = jobs.work.units
        self._scheduler = Scheduler(jobs.tasks)
        self._admission = Admission(jobs.tasks)
        self._crash_at: Point | None = None
        self.lease = lease
        self._start()

    async def run_due(self, *, most: int = 1000) -> list[JobRecord]:
        """Run jobs until none is due; return each as it stood after its attempt, in order.

        Those that the jobs enqueue are among them. An attempt that is to follow later is
        due when the clock says so.

        Raises:
            AssertionError: There were more than `most`: does a task enqueue itself?
        """
        ran: list[JobRecord] = []
        async with self._runner() as runner:
            while (record := await _alone(self._run_next(runner))) is not None:
                ran.append(record)
                if len(ran) > most:
                    raise AssertionError(
                        f"{most} jobs have run and more are due, of {record.task} for one. Does a "
                        "task enqueue itself? If there are that many: run_due(most=...)."
                    )
        return ran

    async def run_one(self) -> JobRecord | None:
        """Run the job whose turn it is, and return it; None where none is due."""
        async with self._runner() as runner:
            return await _alone(self._run_next(runner))

    @contextmanager
    def crash_at(self, point: Point) -> Generator[None]:
        """Have the worker die within, as by `kill -9`, at the first job that gets there.

            with worker.crash_at("ran"):
                await worker.run_due()
            clock.advance(2 * worker.lease)
            await worker.run_due()  # it was started again, and finds what it left

        `"claimed"`: it has the lease, and the task has not begun. `"ran"`: the task has
        returned. `"committing"`: just before the transaction that completes the job is
        committed, and `"committed"`: just after; only tasks with `tx` or
        `job.completing()` get there. Nothing is recorded, and nobody cleans up.

        Raises:
            AssertionError: No job got there.
        """
        self._crash_at = point
        try:
            yield
        except Crash:
            self._start()
        else:
            raise AssertionError(_not_reached(point))
        finally:
            self._crash_at = None

    def _start(self) -> None:
        self._ledger = Ledger(worker=worker_name(), lease=self.lease, clock=clock.now)

    def _reach(self, where: str, _: Claimed) -> None:
        if where == self._crash_at:
            raise Crash

    @asynccontextmanager
    async def _runner(self) -> AsyncGenerator[Runner]:
        tiers = Tiers(threads=1, processes=1)
        try:
            yield Runner(self._work, self._ledger, tiers, transactions=1, on_progress=lambda: None)
        finally:
            await tiers.close()

    async def _run_next(self, runner: Runner) -> JobRecord | None:
        claimed = await self._claim()
        if claimed is None:
            return None
        outcome = await runner.run(claimed)
        async with self._engine.engine.begin() as db:
            if outcome == "succeeded":
                await self._ledger.succeed(db, [claimed.id])
            return await records.get(db, claimed.id)

    async def _claim(self) -> Claimed | None:
        async with self._engine.engine.begin() as db:
            logs.rescued(await self._ledger.rescue(db, mine=()))
            await self._ledger.unpark(db, self._work.knows)
            await self._ledger.promote(db)
            await self._scheduler.enqueue_due(db, self._ledger.now())
            await self._admission.admit_if_needed(db, self._ledger.now())
            first = (await db.execute(_first)).first()
            if first is None:
                return None
            queue, runs_on = first
            claimed = await self._ledger.claim(db, queue=queue, runs_on=runs_on, limit=1)
            return claimed[0] if claimed else None


_first = (
    select(table.c.queue, table.c.runs_on)
    .where(in_state(State.QUEUED), ~is_paused("queue", table.c.queue))
    .order_by(table.c.turn_at, table.c.id)
    .limit(1)
)


async def _alone(run: Coroutine[Any, Any, R]) -> R:
    """Run in a context that has the clock and nothing else of the test."""
    context = contextvars.Context()
    context.run(clock.current.set, clock.current.get())
    return await asyncio.get_running_loop().create_task(run, context=context)


def _not_reached(point: Point) -> str:
    if point in {"claimed", "ran"}:
        return f"No job got to {point!r}: none was due, or the task raised an exception."
    return (
        f"No job got to {point!r}: none was due, the task raised an exception, or it has neither "
        "`tx` nor job.completing()."
    )
