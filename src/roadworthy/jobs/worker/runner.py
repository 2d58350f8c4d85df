"""`Runner`: run a claimed job and record its outcome.

The outcome is recorded before anything else happens to the job, in a move that is fenced by the
job's lease. While the database is away, the runner waits as long as the engine lives; after that
the lease ends, and another worker runs the job again.

An exception of the application is a failed attempt of its own job. Only the cancellation of the
runner itself passes through, and the crash of a test.
"""

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Any, Final

from opentelemetry.trace import Span
from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy._internal.running_job import job_id
from roadworthy.jobs import metrics, tracing
from roadworthy.jobs.arguments.returned import refuse_unrun
from roadworthy.jobs.arguments.task_arguments import signature_of
from roadworthy.jobs.backoff import Backoff
from roadworthy.jobs.table.ledger import PAUSED, Claimed, Failure, Ledger
from roadworthy.jobs.task import Function, Task
from roadworthy.jobs.worker import logs
from roadworthy.jobs.worker.attempt import Attempt, InProcess, Reason, given_to, job_of
from roadworthy.jobs.worker.context import FailedAttempt, Hook, JobsContext, Units, lender
from roadworthy.jobs.worker.failures import Described, describe, passes, run_last
from roadworthy.jobs.worker.job_transaction import JobTransaction
from roadworthy.jobs.worker.outcome import Outcome
from roadworthy.jobs.worker.recorder import Move, Recorder
from roadworthy.jobs.worker.retrying import delay_after, is_tried_again
from roadworthy.jobs.worker.tiers import Tiers
from roadworthy.problems.request_ids import current as current_request_id

__all__ = ["LeaseLost", "Runner"]

_PAUSE: Final = 0.2
"""Seconds between two calls of a task's `on_dead`."""
_HANDLER_TRIES: Final = 3
"""Calls of a task's `on_dead` before the death is recorded without it."""


class LeaseLost(RuntimeError):
    """Another worker has the job by now: the writes of its transaction are rolled back."""


class Runner:
    """Run claimed jobs one by one; `running` has the current ones."""

    def __init__(
        self,
        work: JobsContext,
        ledger: Ledger,
        tiers: Tiers,
        *,
        transactions: int,
        on_progress: Callable[[], object],
    ) -> None:
        self.running: dict[str, Attempt] = {}
        self._work, self._ledger, self._tiers = work, ledger, tiers
        self._recorder = Recorder(lambda: work.units.engine)
        self._transactions = asyncio.Semaphore(transactions)
        self._on_progress = on_progress

    def end(self, id_: str, reason: Reason) -> None:
        """End an attempt from outside, unless it is completing its job already."""
        attempt = self.running.get(id_)
        if attempt is None or attempt.completing_now or attempt.reason is not None:
            return
        attempt.end(reason)

    def has_progress(self) -> bool:
        """Return whether tasks have reported progress that is not written yet."""
        return any(attempt.told is not None for attempt in self.running.values())

    def take_progress(self) -> list[tuple[str, float, str]]:
        """Return the progress that is not written yet, and clear it."""
        taken = [(id_, *attempt.told) for id_, attempt in self.running.items() if attempt.told]
        for attempt in self.running.values():
            attempt.told = None
        return taken

    async def run(self, claimed: Claimed) -> Outcome:
        """Run a job, and record its outcome unless that is left to the caller."""
        token, id_token = current_request_id.set(claimed.request_id), job_id.set(claimed.id)
        attributes = {"job.id": claimed.id, "job.attempt": claimed.attempts}
        try:
            with tracing.attempt(claimed.task, parent=claimed.trace, attributes=attributes) as span:
                return await self._observed(claimed, span)
        except BaseException as error:  # a handler of the log may raise, or a tracer
            if passes(error):
                raise
            return await self._failed_around(claimed, error)
        finally:
            job_id.reset(id_token)
            current_request_id.reset(token)

    async def _observed(self, claimed: Claimed, span: Span) -> Outcome:
        began = monotonic()
        metrics.started(claimed.task, claimed.queue, self._ledger.now() - claimed.run_at)
        outcome = await self._outcome(claimed, span)
        told = "succeeded" if outcome == "completed" else outcome
        metrics.ended(claimed.task, claimed.queue, told, monotonic() - began)
        return outcome

    async def _outcome(self, claimed: Claimed, span: Span) -> Outcome:
        task = self._work.tasks.get(claimed.task)
        if task is None or not self._work.knows(claimed.task, claimed.version):
            logs.parked(claimed)
            return await self._park(claimed, "UNKNOWN_TASK")
        if claimed.paused:
            return await self._park(claimed, PAUSED)
        if claimed.expired:
            return await self._expired(claimed, task, span)
        if claimed.attempts > task.terms.attempts:
            return await self._worker_died(claimed, task, span)
        try:
            arguments = _read(task, claimed)
        except BaseException as error:  # `upgrade` is the application's, and may raise anything
            if passes(error):
                raise
            return await self._bad_arguments(claimed, task, error, span)
        return await self._attempt(claimed, task, arguments, span)

    async def _worker_died(self, claimed: Claimed, task: Task[...], span: Span) -> Outcome:
        begun = replace(claimed, attempts=claimed.attempts - 1)
        text = f"It was begun {begun.attempts} times, and its worker died the last time."
        failure = Failure(logs.WORKER_LOST, text, attempted=False)
        return await self._dead(begun, task, failure, None, span)

    async def _bad_arguments(
        self, claimed: Claimed, task: Task[...], error: BaseException, span: Span
    ) -> Outcome:
        told = await describe(error)
        failure = replace(told.failure, code=logs.BAD_ARGUMENTS)
        return await self._dead(claimed, task, failure, told.error, span)

    async def _attempt(
        self, claimed: Claimed, task: Task[...], arguments: Mapping[str, Any], span: Span
    ) -> Outcome:
        attempt = self._attempt_of(claimed, task)
        try:
            await self._perform(attempt, arguments)
        except asyncio.CancelledError as error:
            return await self._cancelled(attempt, error, span)
        except LeaseLost:
            logs.lease_lost(claimed)
            return "lost"
        except BaseException as error:  # any error is the failure of this job only
            if passes(error):
                raise
            return await self._failed(attempt, error, span)
        # A thread that was told to stop, and returns, has stopped.
        if attempt.heeded and (outcome := await self._ended_outside(attempt)) is not None:
            return outcome
        return "completed" if attempt.completed else "succeeded"

    def _attempt_of(self, claimed: Claimed, task: Task[...]) -> Attempt:
        return Attempt(
            self._work,
            self._tiers,
            task,
            claimed,
            complete=lambda tx: self._complete(claimed, tx),
            on_progress=self._on_progress,
            transactions=self._transactions,
        )

    async def _perform(self, attempt: Attempt, arguments: Mapping[str, Any]) -> None:
        claimed = attempt.claimed
        self.running[claimed.id] = attempt
        try:
            self._work.checkpoint("claimed", claimed)
            await attempt.run(arguments)
            self._work.checkpoint("ran", claimed)
        finally:
            del self.running[claimed.id]

    async def _complete(self, claimed: Claimed, tx: AsyncSession) -> None:
        if await self._ledger.succeed(await tx.connection(), [claimed.id]) != 1:
            raise LeaseLost(f"{claimed.task}: the lease of job {claimed.id} was lost.")

    async def _cancelled(
        self, attempt: Attempt, error: asyncio.CancelledError, span: Span
    ) -> Outcome:
        current = asyncio.current_task()
        if current is None or (attempt.reason is None and current.cancelling()):
            raise error
        current.uncancel()
        # Without a reason, something that the task awaited was cancelled, not the task.
        return await self._failed(attempt, error, span)

    async def _ended_outside(self, attempt: Attempt) -> Outcome | None:
        """Return the outcome of an attempt that was ended from outside, or complete."""
        if attempt.completed:
            return "completed"
        if attempt.reason == "cancel":
            return await self._stop(attempt.claimed)
        if attempt.reason == "lost":
            logs.lease_lost(attempt.claimed)
            return "lost"
        return "released" if attempt.reason == "release" else None

    async def _failed(self, attempt: Attempt, error: BaseException, span: Span) -> Outcome:
        claimed, task = attempt.claimed, attempt.task
        if attempt.completed and not isinstance(error, asyncio.CancelledError):
            logs.failed_after_completion(claimed, await describe(error))
        if (outcome := await self._ended_outside(attempt)) is not None:
            return outcome
        told = await describe(error)
        if not is_tried_again(task, claimed, error):
            return await self._dead(claimed, task, told.failure, error, span, told=told)
        delay = await delay_after(task, claimed, error)
        logs.failed(claimed, task, told, again_in=delay)
        tracing.fail(span, told.failure.code)
        await self._again(claimed, told.failure, delay)
        failed = _failed_attempt(claimed, task, told.failure, error, again_in=delay)
        await self._call_hook(self._work.on_failure, failed)
        return "retried"

    async def _again(self, claimed: Claimed, failure: Failure, delay: timedelta) -> None:
        plain, wait = run_last(failure), Backoff().after(claimed.attempts)
        await self._record(
            claimed,
            lambda db: self._ledger.again(db, claimed, failure, delay=delay),
            last=lambda db: self._ledger.again(db, claimed, plain, delay=wait),
        )

    async def _dead(
        self,
        claimed: Claimed,
        task: Task[...],
        failure: Failure,
        error: BaseException | None,
        span: Span,
        *,
        told: Described | None = None,
    ) -> Outcome:
        logs.dead(claimed, task, failure, error if told is None else told.error)
        tracing.fail(span, failure.code)
        await self._bury(claimed, task, failure)
        failed = _failed_attempt(claimed, task, failure, error, again_in=None)
        for hook in (self._work.on_failure, self._work.on_dead):
            await self._call_hook(hook, failed)
        return "dead"

    async def _expired(self, claimed: Claimed, task: Task[...], span: Span) -> Outcome:
        """Give up a job that was not begun in time; no attempt has failed."""
        waiting = replace(claimed, attempts=0)
        failure = Failure(logs.EXPIRED, "Nobody began it before it expired.", attempted=False)
        logs.expired(waiting)
        tracing.fail(span, failure.code)
        await self._bury(waiting, task, failure)
        failed = _failed_attempt(waiting, task, failure, None, again_in=None)
        await self._call_hook(self._work.on_dead, failed)
        return "dead"

    async def _bury(self, claimed: Claimed, task: Task[...], failure: Failure) -> None:
        if task.dead_handler is not None and failure.code != logs.BAD_ARGUMENTS:
            for _ in range(_HANDLER_TRIES):
                if await self._bury_with_handler(task.dead_handler, claimed, task, failure):
                    return
        await self._bury_plainly(claimed, failure)

    async def _bury_plainly(self, claimed: Claimed, failure: Failure) -> None:
        plain = run_last(failure)
        await self._record(
            claimed,
            lambda db: self._ledger.bury(db, claimed, failure),
            last=lambda db: self._ledger.bury(db, claimed, plain),
        )

    async def _bury_with_handler(
        self, handler: Function, claimed: Claimed, task: Task[...], failure: Failure
    ) -> bool:
        """Record a death in one transaction with the task's `on_dead`."""
        try:
            async with self._work.units.begin() as tx:
                with JobTransaction(tx, f"{task.name}.on_dead"):
                    if await self._ledger.bury(await tx.connection(), claimed, failure):
                        await _call_handler(handler, task, claimed, tx, self._work.units)
        except BaseException as error:  # the job is dead in any case
            if passes(error):
                raise
            logs.handler_failed(claimed, await describe(error))
            await asyncio.sleep(_PAUSE)
            return False
        return True

    async def _stop(self, claimed: Claimed) -> Outcome:
        failure = Failure("CANCELLED")
        await self._record(claimed, lambda db: self._ledger.stop(db, claimed, failure))
        logs.cancelled(claimed)
        return "cancelled"

    async def _park(self, claimed: Claimed, code: str) -> Outcome:
        failure = Failure(code)
        await self._record(claimed, lambda db: self._ledger.park(db, claimed, failure))
        return "parked"

    async def _failed_around(self, claimed: Claimed, error: BaseException) -> Outcome:
        """Record an attempt that failed outside of its task, unless that was done."""
        with suppress(Exception):  # the log may be what has failed
            logs.failed_around(claimed, error)
        failure = run_last((await describe(error)).failure)
        task = self._work.tasks.get(claimed.task)
        if not is_tried_again(task, claimed):
            await self._bury_plainly(claimed, failure)
            return "dead"
        await self._again(claimed, failure, Backoff().after(claimed.attempts))
        return "retried"

    async def _record(self, claimed: Claimed, move: Move, *, last: Move | None = None) -> None:
        await self._recorder.record(claimed, move, last=last)

    async def _call_hook(self, hook: Hook | None, failed: FailedAttempt) -> None:
        if hook is None:
            return
        try:
            result = hook(failed)
            if inspect.isawaitable(result):
                await result
        except BaseException as caught:  # any error: it must not fail the job once more
            if passes(caught):
                raise
            logs.hook_failed(failed.task, await describe(caught))


def _failed_attempt(
    claimed: Claimed,
    task: Task[...],
    failure: Failure,
    error: BaseException | None,
    *,
    again_in: timedelta | None,
) -> FailedAttempt:
    return FailedAttempt(
        id=claimed.id,
        task=claimed.task,
        attempt=claimed.attempts,
        attempts=task.terms.attempts,
        arguments=claimed.arguments,
        request_id=claimed.request_id,
        error_code=failure.code,
        error=error,
        again_in=again_in,
    )


def _read(task: Task[...], claimed: Claimed) -> dict[str, Any]:
    terms, text = task.terms, claimed.arguments
    if claimed.version < terms.version and terms.upgrade is not None:
        text = json.dumps(terms.upgrade(claimed.version, json.loads(text)))
    return task.signature.load(text)


async def _call_handler(
    handler: Function, task: Task[...], claimed: Claimed, tx: AsyncSession, units: Units
) -> None:
    name = f"{task.name}.on_dead"
    signature = signature_of(name, handler)
    given = partial(
        given_to, signature, _read(task, claimed), job=job_of(InProcess(), task, claimed)
    )
    if signature.takes_session:
        with lender(units, name)(tx) as session:
            result: Any = await asyncio.to_thread(handler, **given(session=session))
    else:
        result = handler(**given(tx=tx))
    if inspect.isawaitable(result):
        result = await result
    refuse_unrun(name, result)
