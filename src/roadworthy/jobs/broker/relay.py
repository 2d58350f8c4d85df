"""`Relay`: look after jobs of other processes, and send doorbells for due ones.

A relay does everything that the embedded engine does besides running jobs: it queues jobs that
have become due, enqueues the jobs of schedules, queues the jobs of dead workers again, counts and
sweeps. Then it marks the jobs without a doorbell, commits, and sends doorbells for them. Several
relays may do so at once: each row is marked by one of them.

While the broker is away, only the doorbells wait. They are sent when it is back. The mark of a
lost doorbell runs out, and the job gets another one.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy._internal.calendar import later
from roadworthy.jobs.broker.broker import Broker
from roadworthy.jobs.broker.message import Doorbell
from roadworthy.jobs.table import announced, notices
from roadworthy.jobs.table.admission import Admission
from roadworthy.jobs.table.announced import Line
from roadworthy.jobs.table.ledger import Ledger, worker_name
from roadworthy.jobs.table.signals import Notice
from roadworthy.jobs.task_options import RunsOn
from roadworthy.jobs.worker.context import JobsContext
from roadworthy.jobs.worker.heartbeat import Heartbeat
from roadworthy.jobs.worker.housekeeping import Housekeeping
from roadworthy.jobs.worker.poll_loop import PollLoop
from roadworthy.jobs.worker.scheduler import Scheduler

__all__ = ["BrokerAway", "Relay", "Ringing"]

R = TypeVar("R")

_GLANCE: Final = 0.01
"""Seconds between two rounds; one round serves many commits."""
_SPREAD: Final = 16
"""Messages that a backlog is spread over before one message announces several jobs."""
_MOST: Final = 2000
"""The most jobs of a queue and tier that get a doorbell in one round."""
_ENOUGH: Final = 100
"""Waiting messages that are enough for a queue: their readers find the other jobs, too."""
_FULL: Final = 0.1
"""Seconds after which a queue with enough messages is counted again."""
_DEADLINE: Final = 30.0
"""Seconds to wait for the broker; its driver should give up earlier."""

_log = logging.getLogger("roadworthy.jobs")


class BrokerAway(ConnectionError):
    """Doorbells cannot be sent: jobs are kept until the broker is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ringing:
    """How a relay sends doorbells; `again` is how long one counts as on its way."""

    batches: dict[RunsOn, int]
    """The most jobs that one message announces."""
    lease: timedelta
    again: timedelta
    poll: timedelta


class Relay:
    """Send doorbells for the jobs of a table, until `stop`.

    Args:
        work: The database, tasks and parts.
        broker: The connection to the broker.
        ringing: How doorbells are sent.
    """

    def __init__(self, work: JobsContext, broker: Broker, ringing: Ringing) -> None:
        self._work, self._broker, self._ringing = work, broker, ringing
        self._ledger = Ledger(worker=worker_name(), lease=ringing.lease, clock=work.clock)
        self._housekeeping = Housekeeping(work, self._ledger)
        self._heartbeat = Heartbeat(
            work,
            self._ledger,
            held=list,
            end=_nobody,
            woken=self.wake,
            housekeeping=self._housekeeping,
            role="relay",
        )
        self._scheduler = Scheduler(work.tasks.values())
        self._admission = Admission(work.tasks.values())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="roadworthy-broker")
        self._poll_loop = PollLoop(woken=self.wake)
        self._look_at = self._late_at = 0.0
        self._waiting: dict[str, int] = {}
        """How many messages waited in each queue, as last reported."""
        self._taken_back: list[str] = []
        """Jobs that are marked without a doorbell: to be unmarked when the database answers."""
        self.away: Exception | None = None
        """Why the broker cannot be reached; None if it can."""

    async def start(self) -> None:
        """Begin to look at the table and to send doorbells."""
        self._poll_loop.supervise(self._poll_loop.run(self._round, self._sleep))
        self._poll_loop.supervise(self._heartbeat.beat_forever())
        engine = self._work.units.engine
        if notices.can_listen(self._work.units, engine):
            self._poll_loop.supervise(notices.listen(engine, self._hear))

    async def stop(self) -> None:
        """Send no more doorbells; the next relay serves the marked jobs without one."""
        await self._poll_loop.end()
        await self._heartbeat.end()
        self._thread.submit(self._broker.close)
        self._thread.shutdown(wait=False)

    def wake(self) -> None:
        """Look for jobs now."""
        self._look_at = 0.0
        self._poll_loop.news.set()

    async def ping(self) -> None:
        """Check that the broker answers.

        Raises:
            BrokerAway: The broker does not answer.
        """
        try:
            await self._ask(lambda: self._broker.waiting(self._housekeeping.queues[0]))
        except Exception as error:  # whatever a driver raises
            raise BrokerAway(f"The broker of jobs does not answer: {error!r}") from error

    def _hear(self, notice: Notice) -> None:
        if notice == "jobs":
            self.wake()

    async def _sleep(self) -> None:
        await asyncio.sleep(_GLANCE)
        full = any(waiting >= _ENOUGH for waiting in self._waiting.values())
        poll = _FULL if full else self._ringing.poll.total_seconds()
        try:
            async with asyncio.timeout(max(0.0, min(poll, self._look_at - monotonic()))):
                await self._poll_loop.news.wait()
        except TimeoutError:
            return

    async def _round(self) -> None:
        if self.away is not None:
            await self._see_whether_it_is_back()
        if self.away is None:
            await self._measure()
            await self._ring_late_ones()
        while await self._ring():
            pass

    async def _ring(self) -> bool:
        """Mark jobs without a doorbell and send one; return whether there are more jobs."""
        marked: dict[Line, list[str]] = {}
        async with self._work.units.engine.begin() as db:
            await self._ledger.skip_fsync(db)
            await self._ledger.correct_clock(db, first=True)
            if monotonic() >= self._look_at:
                await self._look(db)
            if self.away is None:
                await announced.unmark(db, self._taken_back)
                marked = await self._mark(db)
        if self.away is not None:
            return False
        self._taken_back = []
        for line, ids in marked.items():
            if self.away is not None or not await self._send_for(line, len(ids)):
                self._taken_back += ids
        return self.away is None and any(len(ids) == _MOST for ids in marked.values())

    async def _mark(self, db: AsyncConnection) -> dict[Line, list[str]]:
        until = later(self._ledger.now(), self._ringing.again)
        lines = [line for line in await announced.unmarked(db) if self._wants_more(line)]
        marked = {
            line: await announced.mark_announced(db, line, until, most=_MOST) for line in lines
        }
        # Another relay may have been faster.
        return {line: ids for line, ids in marked.items() if ids}

    def _wants_more(self, line: Line) -> bool:
        return self._waiting.get(line[0], 0) < _ENOUGH

    async def _look(self, db: AsyncConnection) -> None:
        """Queue jobs that are due, and note when to look again."""
        self._look_at = math.inf
        times = [
            await self._ledger.promote(db),
            await self._scheduler.enqueue_due(db, self._ledger.now()),
            await self._admission.admit_if_needed(db, self._ledger.now()),
        ]
        soonest = min((time for time in times if time is not None), default=None)
        # A worker that retries a job announces no time, so every poll looks.
        wait = self._ringing.poll
        if soonest is not None:
            wait = min(wait, soonest - self._ledger.now())
        self._look_at = min(self._look_at, monotonic() + max(0.0, wait.total_seconds()))

    async def _send_for(self, line: Line, jobs: int) -> bool:
        return await self._send(line[0], self._bells(line, jobs))

    def _bells(self, line: Line, jobs: int) -> list[Doorbell]:
        """Return doorbells: one for each job, or for several if there are many."""
        queue, runs_on = line
        waiting = max(jobs, self._waiting.get(queue, 0))
        size = min(self._ringing.batches[runs_on], math.ceil(waiting / _SPREAD))
        full, rest = divmod(jobs, size)
        sizes = [size] * full + ([rest] if rest else [])
        return [Doorbell(queue, runs_on, number) for number in sizes]

    async def _ring_late_ones(self) -> None:
        """Send new doorbells for jobs that were not claimed in time.

        While messages wait, most doorbells are not lost. Then only one of each tier is sent, in
        case those of that tier are lost, so that messages do not pile up while no worker runs.
        """
        if monotonic() < self._late_at:
            return
        self._late_at = monotonic() + self._ringing.again.total_seconds() / 4
        async with self._work.units.engine.connect() as db:
            await self._ledger.correct_clock(db, first=True)
            now = self._ledger.now()
            lines = await announced.overdue(db, now)
        for line in lines:
            queue, runs_on = line
            waiting = await self._count(queue)
            if waiting is None:
                return
            if await self._settle_late(line, now, kept=waiting > 0) and waiting:
                await self._send(queue, [Doorbell(queue, runs_on, 1)])

    async def _settle_late(self, line: Line, now: datetime, *, kept: bool) -> int:
        async with self._work.units.engine.begin() as db:
            if kept:
                return await announced.extend(db, line, now, later(now, self._ringing.again))
            return await announced.unmark_overdue(db, line, now)

    async def _measure(self) -> None:
        """Count the messages of queues that had enough of them."""
        for queue, waiting in list(self._waiting.items()):
            if waiting >= _ENOUGH:
                await self._count(queue)

    async def _count(self, queue: str) -> int | None:
        try:
            self._waiting[queue] = await self._ask(lambda: self._broker.waiting(queue))
        except Exception as error:  # whatever a driver raises
            self._tell_away(error)
            return None
        return self._waiting[queue]

    async def _send(self, queue: str, bells: list[Doorbell]) -> bool:
        try:
            self._waiting[queue] = await self._ask(lambda: self._broker.ring(queue, bells))
        except Exception as error:  # whatever a driver raises
            self._tell_away(error)
            return False
        return True

    async def _see_whether_it_is_back(self) -> None:
        try:
            await self._ask(lambda: self._broker.waiting(self._housekeeping.queues[0]))
        except Exception as error:  # whatever a driver raises
            self.away = error
        else:
            _log.warning("The broker of jobs is back: jobs that waited are rung for")
            self.away, self._waiting = None, {}

    def _tell_away(self, error: Exception) -> None:
        if self.away is None:
            text = "The broker of jobs is away (%s): jobs are kept, and wait until it is back"
            _log.warning(text, type(error).__name__, exc_info=error)
        self.away = error

    async def _ask(self, call: Callable[[], R]) -> R:
        """Call the broker in its thread."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_DEADLINE):
            return await loop.run_in_executor(self._thread, call)


def _nobody(id_: str, reason: object) -> None:
    """Do nothing: a relay runs no jobs that could end."""
