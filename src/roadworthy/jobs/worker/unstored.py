"""`Unstored`: tasks that run after a commit, in this process, and may be lost."""

import asyncio
import contextvars
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from roadworthy._internal.ids import new_id
from roadworthy.jobs.table.call import Call
from roadworthy.jobs.table.ledger import Claimed
from roadworthy.jobs.worker import logs
from roadworthy.jobs.worker.attempt import Attempt
from roadworthy.jobs.worker.context import JobsContext
from roadworthy.jobs.worker.failures import describe, passes
from roadworthy.jobs.worker.tiers import Tiers
from roadworthy.problems import request_id
from roadworthy.problems.request_ids import current as current_request_id

__all__ = ["Unstored"]

_AT_A_TIME: Final = 20
_THREADS: Final = 4
_GRACE: Final = 5.0
"""Seconds that stopping waits for them."""


class Unstored:
    """Run calls as they come, each once; a failure is logged and nothing more."""

    def __init__(self, work: JobsContext) -> None:
        self._work = work
        self._tiers: Tiers | None = None
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._running: set[asyncio.Task[None]] = set()

    def start(self, call: Call) -> None:
        """Begin to run a call, and return at once."""
        loop, job = asyncio.get_running_loop(), _unclaimed(call)
        task = loop.create_task(self._run(call, job), context=contextvars.Context())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        """Wait a little for what runs, then cancel it."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=_GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._tiers is not None:
            await self._tiers.close()

    async def _run(self, call: Call, job: Claimed) -> None:
        current_request_id.set(job.request_id)
        if self._tiers is None:
            self._tiers = Tiers(threads=_THREADS, processes=1)
        task = self._work.tasks[call.task.name]
        attempt = Attempt(
            self._work,
            self._tiers,
            task,
            job,
            complete=_nothing_to_complete,
            on_progress=lambda: None,
            transactions=self._slots,
        )
        try:
            await attempt.run(task.signature.load(call.arguments))
        except BaseException as error:  # whatever the task raises: there is nobody else to tell
            if passes(error):
                raise
            logs.failed_unstored(job, await describe(error))


async def _nothing_to_complete(_: AsyncSession) -> None:
    """Do nothing: there is no row."""


def _unclaimed(call: Call) -> Claimed:
    now = datetime.now(UTC)
    terms = call.task.terms
    return Claimed(
        id=new_id(),
        task=call.task.name,
        version=terms.version,
        arguments=call.arguments,
        queue=terms.queue,
        attempts=1,
        run_at=now,
        turn_at=now,
        request_id=request_id(),
        trace=None,
    )
