"""`Attempt`: a run of a job, and the `Job` that the task gets."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from roadworthy.jobs.arguments.returned import call_to_its_end, refuse_unrun
from roadworthy.jobs.arguments.task_arguments import Injected, Signature
from roadworthy.jobs.job import Host, Job, storable_progress
from roadworthy.jobs.processes.pool import report
from roadworthy.jobs.table.ledger import Claimed
from roadworthy.jobs.task import Task
from roadworthy.jobs.worker.context import JobsContext, lender
from roadworthy.jobs.worker.job_transaction import JobTransaction
from roadworthy.jobs.worker.tiers import Tiers, TimedOut

__all__ = ["Attempt", "InProcess", "Reason", "given_to", "job_of", "run_there"]

K = TypeVar("K")
R = TypeVar("R")

Reason: TypeAlias = Literal["cancel", "release", "lost", "late"]
"""The reason for ending an attempt from outside."""
_log = logging.getLogger("roadworthy.jobs")

Complete: TypeAlias = Callable[[AsyncSession], Awaitable[None]]


class Attempt:
    """Run a task with its arguments, on its tier, within its time.

    Args:
        work: The database, tasks, parts and hooks.
        tiers: The event loop, threads and processes that tasks run on.
        task: The task of the job.
        claimed: The job.
        complete: Called in the transaction that completes the job, just before its commit.
        on_progress: Called when the task reports progress.
        transactions: Limits how many jobs hold such a transaction at a time.
    """

    def __init__(
        self,
        work: JobsContext,
        tiers: Tiers,
        task: Task[...],
        claimed: Claimed,
        *,
        complete: Complete,
        on_progress: Callable[[], object],
        transactions: asyncio.Semaphore,
    ) -> None:
        self.work, self.task, self.claimed = work, task, claimed
        self.reason: Reason | None = None
        """Why the attempt is ended from outside; None if it is not."""
        self.heeded = False
        """Whether the task has asked whether to end, and the answer was yes."""
        self.completed = False
        """Whether the completion is committed already."""
        self.completing_now = False
        self._completing = False
        """Whether the transaction that completes the job is being committed."""
        self.told: tuple[float, str] | None = None
        """The last progress that is not written yet."""
        self._running: asyncio.Task[Any] | None = None
        self._tiers = tiers
        self._complete = complete
        self._on_progress = on_progress
        self._transactions = transactions

    def end(self, reason: Reason) -> None:
        """End the attempt: a coroutine or process is cancelled, a thread only informed."""
        self.reason = reason
        only_told = self.task.terms.runs_on == "thread" and reason != "release"
        if self._running is not None and not only_told:
            self._running.cancel()

    @property
    def job(self) -> Job:
        """The `Job` that is passed to the task."""
        return self._job(self)

    async def run(self, arguments: Mapping[str, Any]) -> None:
        """Run the task to its end.

        Raises:
            Exception: The task has raised.
            TimedOut: The task took longer than its timeout.
        """
        self._running = asyncio.current_task()
        run = {"loop": self._on_loop, "thread": self._on_thread, "cpu": self._on_process}
        await run[self.task.terms.runs_on](arguments)

    def find(self, kind: type[K]) -> K:
        """Return the part of a type."""
        return self.work.find(kind)

    def progress(self, done: float, note: str) -> None:
        """Keep the progress of the task, which is written about once a second."""
        # Written in one transaction with that of other jobs; it may come from a process.
        first, self.told = self.told is None, storable_progress(done, note)
        if first:
            self._on_progress()

    def cancelled(self) -> bool:
        """Return whether the attempt should end, and note that the task has asked."""
        self.heeded = self.reason is not None
        return self.heeded

    @asynccontextmanager
    async def completing(self) -> AsyncGenerator[AsyncSession]:
        """Open the transaction that completes the job."""
        if self.completed:
            raise RuntimeError(f"{self.task.name}: job.completing() is entered once, at the end.")
        if self._completing:  # a second transaction would wait for the first, or undo its writes
            raise RuntimeError(
                f"{self.task.name} is in the transaction that completes its job already: write "
                "into that (the parameter tx), and drop job.completing()."
            )
        self._completing = True
        try:
            async with self._transactions, self.work.units.begin() as tx:
                with JobTransaction(tx, self.task.name):
                    yield tx
                self.completing_now = True
                await self._complete(tx)
                self.work.checkpoint("committing", self.claimed)
        finally:
            self._completing = False
        self.completed = True
        self.work.checkpoint("committed", self.claimed)

    async def in_process(self, call: Callable[[], R]) -> R:
        """Run a call in a worker process, with the task's limits."""
        terms = self.task.terms
        return await self._tiers.in_process(
            call,
            within=terms.timeout,
            max_memory=terms.max_memory,
            request_id=self.claimed.request_id,
            on_progress=self.progress,
        )

    async def _on_loop(self, arguments: Mapping[str, Any]) -> None:
        if not self.task.signature.takes_tx:
            await self._within_time(self._call(arguments))
            return
        async with self.completing() as tx:
            await self._within_time(self._call(arguments, tx))

    async def _within_time(self, call: Callable[[], Any]) -> None:
        timeout = self.task.terms.timeout
        scope = asyncio.timeout(timeout.total_seconds() if timeout else None)
        try:
            async with scope:
                refuse_unrun(self.task.name, await call())
        except TimeoutError:
            if scope.expired():
                raise TimedOut(f"It took longer than {timeout}.") from None
            raise

    async def _on_thread(self, arguments: Mapping[str, Any]) -> None:
        if not self.task.signature.takes_session:
            await self._in_thread(arguments)
            return
        async with self.completing() as tx:
            with lender(self.work.units, self.task.name)(tx) as session:
                await self._in_thread(arguments, session)

    async def _in_thread(
        self, arguments: Mapping[str, Any], session: Session | None = None
    ) -> None:
        given = self._given(arguments, self.job, session=session)
        call = partial(call_to_its_end, self.task.name, self.task.function, **given)
        await self._tiers.in_thread(call, within=self.task.terms.timeout, late=self._late)

    async def _on_process(self, arguments: Mapping[str, Any]) -> None:
        given = self._given(arguments, self._job(InProcess()))
        # By its name if that finds the task, else the object itself, such as a partial.
        function = self.task if self.task.is_importable else self.task.function
        await self.in_process(partial(run_there, self.task.name, function, given))

    def _call(
        self, arguments: Mapping[str, Any], tx: AsyncSession | None = None
    ) -> Callable[[], Any]:
        return partial(self.task.function, **self._given(arguments, self.job, tx))

    def _given(
        self,
        arguments: Mapping[str, Any],
        job: Job,
        tx: AsyncSession | None = None,
        session: Session | None = None,
    ) -> dict[str, Any]:
        return given_to(self.task.signature, arguments, job=job, tx=tx, session=session)

    def _job(self, host: Host) -> Job:
        return job_of(host, self.task, self.claimed)

    def _late(self) -> None:
        self.reason = self.reason or "late"
        _log.error(
            "%s is over its time, on a thread, which cannot be stopped: its failure counts when "
            "it ends. Let it look at job.cancelled, or declare it with runs_on='cpu'.",
            self.claimed.task,
        )


class InProcess:
    """The host of a `Job` in a worker process, which has no event loop and no database."""

    def progress(self, done: float, note: str) -> None:
        """Send the progress to the process of the application."""
        report(done, note)

    def cancelled(self) -> bool:
        """Return False: a worker process is ended from outside, and need not ask."""
        return False

    def find(self, kind: type[K]) -> K:
        """Raise: parts live in the process of the application."""
        raise self._nothing_here()

    def completing(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Raise: there is no database in a worker process."""
        raise self._nothing_here()

    async def in_process(self, call: Callable[[], R]) -> R:
        """Raise: the call is in a worker process already."""
        raise self._nothing_here()

    def _nothing_here(self) -> RuntimeError:
        return RuntimeError(
            "This runs in a worker process, which shares nothing with the application. Write an "
            "`async def` task that reads, calls `await job.in_process(...)`, and writes."
        )


def job_of(host: Host, task: Task[...], claimed: Claimed) -> Job:
    """Return the `Job` of an attempt, with its host."""
    return Job(
        host,
        id=claimed.id,
        task=claimed.task,
        attempt=claimed.attempts,
        attempts=task.terms.attempts,
        request_id=claimed.request_id,
    )


def given_to(
    signature: Signature,
    arguments: Mapping[str, Any],
    *,
    job: Job,
    tx: AsyncSession | None = None,
    session: Session | None = None,
) -> dict[str, Any]:
    """Return the stored arguments with the injected ones."""
    here: dict[Injected, Any] = {"job": job, "tx": tx, "session": session}
    return {**arguments, **{name: here[kind] for name, kind in signature.injected.items()}}


def run_there(name: str, task: Task[...] | Callable[..., object], given: dict[str, Any], /) -> None:
    """Run a task's function in a worker process, and send nothing back."""
    function = task.function if isinstance(task, Task) else task
    call_to_its_end(name, function, **given)
