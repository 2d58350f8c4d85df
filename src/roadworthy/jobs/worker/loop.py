"""`Loop`: the work of a worker from its start to its stop.

One task goes round: in one transaction, it records jobs that have ended, and claims as many as
there are slots for. A claim source says which jobs and how many. Then the task sleeps until there
is news: a commit with jobs in this process, a notice from another, a job that has ended, or the
time of the next one. Another task, the heartbeat, extends the leases.
"""

import asyncio
import contextvars
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Final, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy.jobs.table import notices
from roadworthy.jobs.table.ledger import Claimed, Ledger
from roadworthy.jobs.table.signals import Notice
from roadworthy.jobs.task_options import RunsOn
from roadworthy.jobs.worker import logs
from roadworthy.jobs.worker.attempt import Reason
from roadworthy.jobs.worker.claim_source import Claims, ClaimSource, Plan, QueuePlaces
from roadworthy.jobs.worker.context import JobsContext
from roadworthy.jobs.worker.heartbeat import Heartbeat
from roadworthy.jobs.worker.housekeeping import Housekeeping
from roadworthy.jobs.worker.options import WorkerLimits
from roadworthy.jobs.worker.outcome import Outcome
from roadworthy.jobs.worker.poll_loop import PollLoop
from roadworthy.jobs.worker.runner import Runner
from roadworthy.jobs.worker.slots import PATIENCE, Slots
from roadworthy.jobs.worker.tiers import Tiers
from roadworthy.jobs.worker.unsettled import Batch, Unsettled
from roadworthy.jobs.worker.worker_locks import WorkerLocks

__all__ = ["Loop"]

_REPORT: Final = 1.0
"""Seconds between two writes of progress."""
_CLOSING: Final = 2.0
"""Seconds for cancelled jobs to clean up, and for the last round."""

_Running: TypeAlias = "asyncio.Task[Outcome]"


@dataclass(frozen=True, slots=True)
class _Begun:
    """A job that runs here."""

    claimed: Claimed
    runs_on: RunsOn
    task: _Running
    at: float
    """When the job began, on the monotonic clock."""


class Loop:
    """Claim and run jobs until told to stop.

    Args:
        work: The database, the tasks and the parts that they ask for.
        limits: How many jobs run at a time, and how long stopping waits for them.
        ledger: Moves rows in the name of this worker.
        source: Says which jobs to claim, and when.
        housekeeping: Looks after the jobs of other workers; None leaves that to another process.
    """

    def __init__(
        self,
        work: JobsContext,
        limits: WorkerLimits,
        ledger: Ledger,
        source: ClaimSource,
        housekeeping: Housekeeping | None = None,
    ) -> None:
        self._work, self._limits, self._ledger, self._source = work, limits, ledger, source
        self._tiers = Tiers(
            threads=limits.at_a_time["thread"],
            processes=limits.at_a_time["cpu"],
            process_setup=limits.process_setup,
        )
        self._runner = Runner(
            work,
            ledger,
            self._tiers,
            transactions=limits.transactions,
            on_progress=self._note_progress,
        )
        self._locks = WorkerLocks(work.units.engine.url, ledger.worker)
        self._heartbeat = Heartbeat(
            work,
            ledger,
            held=self._held,
            end=self._end,
            woken=self.wake,
            locks=self._locks,
            housekeeping=housekeeping,
        )
        # Starting a thread or a process takes longer than a claim.
        self._slots: dict[RunsOn, Slots] = {
            tier: Slots(places, prefetch=tier == "loop")
            for tier, places in limits.at_a_time.items()
        }
        self._begun: dict[str, _Begun] = {}
        self._claimed_twice: set[str] = set()
        """Jobs that were claimed again while they ran here."""
        self._unsettled = Unsettled()
        self._poll_loop = PollLoop(woken=self.wake)
        self._stopping = False
        self._report_at = 0.0

    @property
    def has_room(self) -> bool:
        """Whether every tier has a free slot."""
        return not self._stopping and all(slots.free for slots in self._slots.values())

    @property
    def silence(self) -> timedelta:
        """How long ago the last heartbeat reached the table."""
        return timedelta(seconds=monotonic() - self._heartbeat.beaten_at)

    async def start(self) -> None:
        """Begin to run jobs; if no other worker can live, queue those of the dead first."""
        self._event_loop = asyncio.get_running_loop()
        async with self._locks.beginning() as alone:
            if alone:
                await self._take_over()
        self._poll_loop.supervise(self._poll_loop.run(self._round, self._sleep))
        self._poll_loop.supervise(self._heartbeat.beat_forever())
        engine = self._work.units.engine
        if notices.can_listen(self._work.units, engine):
            self._poll_loop.supervise(notices.listen(engine, self._hear))

    def wake(self) -> None:
        """Look for jobs now."""
        self._source.wake()
        self._poll_loop.news.set()

    def recheck(self) -> None:
        """Check now whether a running job was cancelled."""
        self._heartbeat.hasten()

    async def stop(self) -> None:
        """Claim no more jobs; give back those that do not end within the grace."""
        self._stopping = True
        await self._wait_for_jobs(self._limits.grace.total_seconds())
        for id_ in list(self._runner.running):
            self._runner.end(id_, "release")
        await self._wait_for_jobs(_CLOSING)
        await self._poll_loop.end()
        await self._last_round()
        await self._heartbeat.end()
        await self._tiers.close()
        self._locks.close()

    async def _take_over(self) -> None:
        """Queue the jobs of all other workers, which are dead."""
        try:
            async with self._work.units.engine.begin() as db:
                logs.rescued(await self._ledger.rescue(db, mine=(), alone=True))
            self._locks.forget_all()
        except Exception as error:  # any error of the driver: their leases will end
            logs.database_down(error, 0)

    def _hear(self, notice: Notice) -> None:
        if notice == "stop":
            self.recheck()
        else:
            self.wake()

    def _held(self) -> list[str]:
        """Return the ids of all jobs whose lease this worker has to extend."""
        prefetched = [job.id for job in self._prefetched()]
        return [*self._begun, *prefetched, *self._unsettled.ids]

    def _prefetched(self) -> list[Claimed]:
        return [job for slots in self._slots.values() for job in slots.prefetched]

    def _end(self, id_: str, reason: Reason) -> None:
        """End a running job; forget one that was claimed and lost before it began."""
        self._runner.end(id_, reason)
        if reason == "lost":
            for slots in self._slots.values():
                slots.forget(id_)

    async def _round(self) -> None:
        """Record ended jobs and claim the next ones, in one transaction."""
        plan = self._plan()
        self._give_back_unused()
        if plan.is_empty and self._unsettled.is_empty and not self._must_report():
            return
        batch = self._unsettled.take()
        with self._unsettled.settling(batch):
            claims = await self._settle_and_claim(batch, plan)
        claims.committed()
        for runs_on, jobs in claims.jobs.items():
            self._slots[runs_on].prefetched.extend(jobs)
            self._begin_some(runs_on)

    def _plan(self) -> Plan:
        if self._stopping:
            return Plan({})
        return self._source.plan({tier: slots.wanted for tier, slots in self._slots.items()})

    def _give_back_unused(self) -> None:
        """Give back claimed jobs that got no slot in time."""
        for slots in self._slots.values():
            self._unsettled.give_back(slots.give_back(all_of_them=self._stopping), begun=False)

    async def _settle_and_claim(self, batch: Batch, plan: Plan) -> Claims:
        async with self._work.units.engine.begin() as db:
            await self._ledger.skip_fsync(db)
            await self._ledger.correct_clock(db, first=True)
            await self._settle(db, batch)
            return await self._source.claim(db, plan, self._queue_places())

    async def _settle(self, db: AsyncConnection, batch: Batch) -> None:
        if batch.done:
            await self._ledger.succeed(db, batch.done)
        if batch.returned:
            await self._ledger.release(db, batch.returned, begun=batch.begun)
        if self._must_report():
            await self._ledger.report(db, self._runner.take_progress())
            self._report_at = monotonic() + _REPORT

    def _queue_places(self) -> QueuePlaces:
        held = [begun.claimed for begun in self._begun.values()]
        return QueuePlaces(self._limits.queue_limits or {}, [*held, *self._prefetched()])

    def _begin_some(self, runs_on: RunsOn) -> None:
        """Begin the claimed jobs that have a slot."""
        while not self._stopping and (job := self._slots[runs_on].take()) is not None:
            self._begin(job, runs_on)

    def _begin(self, job: Claimed, runs_on: RunsOn) -> None:
        if job.id in self._begun:
            # This process stood still, another worker queued the job, and we claimed it again.
            # The job still runs here, under the new lease. Or it has failed, and a hook is
            # being called: then the new attempt is given back when the hook ends.
            self._slots[runs_on].free += 1
            self._claimed_twice.add(job.id)
            return
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._runner.run(job), context=contextvars.Context())
        self._begun[job.id] = _Begun(job, runs_on, task, monotonic())
        task.add_done_callback(lambda _: self._ended(job.id))

    def _ended(self, id_: str) -> None:
        """Free the slot of a job that has ended, and begin the next job."""
        begun = self._begun.pop(id_)
        slots = self._slots[begun.runs_on]
        slots.free += 1
        slots.note(monotonic() - begun.at)
        outcome = _outcome(begun)
        self._leave_to_settle(id_, outcome)
        self._source.ended(begun.claimed, begun.runs_on, outcome)
        self._begin_some(begun.runs_on)
        self._poll_loop.news.set()

    def _leave_to_settle(self, id_: str, outcome: Outcome | None) -> None:
        """Leave an outcome to the next round, if the row does not have it yet."""
        twice = id_ in self._claimed_twice
        self._claimed_twice.discard(id_)
        if outcome == "succeeded":
            self._unsettled.add_done(id_)
        elif outcome == "released":
            self._unsettled.give_back([id_], begun=True)
        elif twice and outcome != "completed":
            self._unsettled.give_back([id_], begun=False)

    async def _sleep(self) -> None:
        """Wait for news, or until the time of the next round."""
        poll = self._source.poll
        wait = min(poll, self._source.seconds_until_look())
        if self._runner.has_progress():
            wait = min(wait, self._report_at - monotonic())
        if self._prefetched():
            wait = min(wait, PATIENCE)
        try:
            async with asyncio.timeout(max(0.0, wait)):
                await self._poll_loop.news.wait()
        except TimeoutError:
            if wait == poll and await self._source.anything_waits():
                self.wake()

    def _must_report(self) -> bool:
        return self._runner.has_progress() and monotonic() >= self._report_at

    def _note_progress(self) -> None:
        # The task may run in a thread.
        self._event_loop.call_soon_threadsafe(self._poll_loop.news.set)

    async def _wait_for_jobs(self, seconds: float) -> None:
        tasks = [begun.task for begun in self._begun.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def _last_round(self) -> None:
        """Record the jobs that are done, and give back those that still run."""
        for begun in self._begun.values():
            begun.task.cancel()
        self._unsettled.give_back(self._begun, begun=True)
        try:
            async with asyncio.timeout(_CLOSING):
                await self._round()
        except Exception as error:  # any error: their leases end, and the jobs run again
            logs.not_given_back(error)


def _outcome(begun: _Begun) -> Outcome | None:
    """Return the outcome of a job; None if its runner has failed itself."""
    if begun.task.cancelled():
        return None
    error = begun.task.exception()
    if error is not None:
        logs.crashed(begun.claimed, error)
        return None
    return begun.task.result()
