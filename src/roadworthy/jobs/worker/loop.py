"""`Loop`: what the embedded engine does from its start to its stop.

One task goes round: it notes what is done, queues what has become due, and claims as
many jobs as there is room for, all in one transaction. It sleeps until there is news:
a commit with jobs in this process, a notice from another, a job that ended, or the
time of the next one. Another task, the pulse, keeps the leases and looks after those
of others that have ended.
"""

import asyncio
import contextvars
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from time import monotonic
from typing import Final, TypeAlias

from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from roadworthy.jobs.table import notices
from roadworthy.jobs.table.admission import Admission, anything_blocked
from roadworthy.jobs.table.ledger import Claimed, Ledger, worker_name
from roadworthy.jobs.table.moves import in_state
from roadworthy.jobs.table.paused import is_paused
from roadworthy.jobs.table.signals import Notice
from roadworthy.jobs.table.states import State
from roadworthy.jobs.table.tables import table
from roadworthy.jobs.terms import RunsOn
from roadworthy.jobs.worker import logs
from roadworthy.jobs.worker.attempt import Reason
from roadworthy.jobs.worker.context import JobsContext
from roadworthy.jobs.worker.heartbeat import Heartbeat
from roadworthy.jobs.worker.poll_loop import PollLoop
from roadworthy.jobs.worker.runner import Outcome, Runner
from roadworthy.jobs.worker.scheduler import Scheduler
from roadworthy.jobs.worker.slots import PATIENCE, Slots
from roadworthy.jobs.worker.tiers import Tiers
from roadworthy.jobs.worker.worker_locks import WorkerLocks

__all__ = ["Limits", "Loop"]

_POLL_SQLITE: Final = 0.25
_POLL_SERVER: Final = 2.0
_GLANCE: Final = 0.05
"""Seconds between two looks at what is scheduled: a stream of jobs need not pay for it."""
_OVERDUE: Final = 5.0
"""Seconds between two looks for ticks that should have come."""
_REPORT: Final = 1.0
"""Seconds between two times that progress is written down."""
_CLOSING: Final = 2.0
"""Seconds for cancelled jobs to clean up, and for the last round."""

Waiting: TypeAlias = "asyncio.Task[Outcome]"
_ByTier: TypeAlias = dict[RunsOn, list[Claimed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much an embedded engine does at a time, and how long it waits for what."""

    at_a_time: Mapping[RunsOn, int]
    transactions: int
    queues: tuple[str, ...] | None
    queue_limits: Mapping[str, int]
    lease: timedelta
    poll: timedelta | None
    grace: timedelta
    process_setup: Callable[[], object] | None


@dataclass(frozen=True, slots=True)
class _Begun:
    """A job that runs here."""

    claimed: Claimed
    runs_on: RunsOn
    task: Waiting
    at: float


class Loop:
    """Run jobs until told to stop."""

    def __init__(self, work: JobsContext, limits: Limits, *, only_mine: bool = False) -> None:
        self._work, self._limits = work, limits
        self._tiers = Tiers(
            threads=limits.at_a_time["thread"],
            processes=limits.at_a_time["cpu"],
            process_setup=limits.process_setup,
        )
        self._ledger = Ledger(worker=worker_name(), lease=limits.lease, clock=work.clock)
        self._runner = Runner(
            work,
            self._ledger,
            self._tiers,
            transactions=limits.transactions,
            on_progress=self._note_progress,
        )
        self._alive = WorkerLocks(work.units.engine.url, self._ledger.worker)
        self._pulse = Heartbeat(
            work,
            self._ledger,
            begun=self._ids,
            end=self._end,
            woken=self.wake,
            alive=self._alive,
            only_mine=only_mine,
        )
        self._ticks = Scheduler(work.tasks.values())
        self._admission = Admission(work.tasks.values())
        self._place_is_free = self._has_blocked = False
        """Whether a job with a limit has ended here, and whether others were seen to wait."""
        # A thread or a process takes longer to start than a claim does.
        self._rooms: dict[RunsOn, Slots] = {
            tier: Slots(places, ahead=tier == "loop") for tier, places in limits.at_a_time.items()
        }
        self._begun: dict[str, _Begun] = {}
        self._twice: set[str] = set()
        """Those that were claimed once more while they ran."""
        self._done: list[str] = []
        self._given_back: list[str] = []
        self._noting: list[str] = []
        """Those of both that a transaction is noting down: until it ends, they are ours."""
        self._cut_short: set[str] = set()
        """Those of the latter that had begun: their attempts are noted."""
        self._rounds = PollLoop(woken=self.wake)
        self._stopping = False
        self._look_at = self._looked_at = 0.0
        """When to look at what is scheduled, and when we did, on the monotonic clock."""
        self._report_at = self._overdue_at = 0.0
        self._turn = 0
        """Which queue is asked first, so that none is always the last."""

    @property
    def has_room(self) -> bool:
        """Whether there is a free place on every tier."""
        return not self._stopping and all(room.free for room in self._rooms.values())

    @property
    def silence(self) -> timedelta:
        """How long ago the last heartbeat reached the table."""
        return timedelta(seconds=monotonic() - self._pulse.beaten_at)

    async def start(self) -> None:
        """Begin; where nobody else can be alive, with the jobs that the dead left behind."""
        self._event_loop = asyncio.get_running_loop()
        async with self._alive.beginning() as alone:
            if alone:
                await self._take_over()
        self._rounds.own(self._rounds.go(self._round, self._sleep))
        self._rounds.own(self._pulse.beat_forever())
        engine = self._work.units.engine
        if notices.can_listen(self._work.units, engine):
            self._rounds.own(notices.listen(engine, self._hear))

    async def _take_over(self) -> None:
        try:
            async with self._work.units.engine.begin() as db:
                logs.rescued(await self._ledger.rescue(db, mine=(), alone=True))
            self._alive.forget_all()
        except Exception as error:  # whatever a driver raises: their leases will end
            logs.away(error, 0)

    def _hear(self, notice: Notice) -> None:
        if notice == "stop":
            self.recheck()
        else:
            self.wake()

    def _is_limited(self, job: Claimed) -> bool:
        task = self._work.tasks.get(job.task)
        return task is not None and task.terms.limit is not None

    def _wake_rooms(self) -> None:
        for room in self._rooms.values():
            room.may_wait = True

    def wake(self) -> None:
        """Look for jobs now."""
        self._wake_rooms()
        self._look_by(max(monotonic(), self._looked_at + _GLANCE))
        self._rounds.news.set()

    def recheck(self) -> None:
        """Look now whether a running job was cancelled."""
        self._pulse.hasten()

    async def stop(self) -> None:
        """Claim no more; let jobs end within the grace, and give back those that do not."""
        self._stopping = True
        await self._wait_for_jobs(self._limits.grace.total_seconds())
        for id_ in list(self._runner.running):
            self._runner.end(id_, "release")
        await self._wait_for_jobs(_CLOSING)
        await self._rounds.end()
        await self._last_round()
        await self._pulse.end()
        await self._tiers.close()
        self._alive.close()

    def _ids(self) -> list[str]:
        ahead = [job.id for room in self._rooms.values() for job in room.ahead]
        return [*self._begun, *ahead, *self._done, *self._given_back, *self._noting]

    def _end(self, id_: str, reason: Reason) -> None:
        """End what runs; what was only claimed, and is another's by now, is forgotten."""
        self._runner.end(id_, reason)
        if reason == "lost":
            for room in self._rooms.values():
                room.forget(id_)

    async def _round(self) -> None:
        """Do in one transaction all that there is to do."""
        look = not self._stopping and monotonic() >= self._look_at
        wanted = self._wanted(everywhere=look)
        for room in self._rooms.values():
            self._given_back += room.give_back(all_of_them=self._stopping)
        if not (look or wanted or self._done or self._given_back or self._to_report()):
            return
        done, self._done = self._done, []
        back, self._given_back = self._given_back, []
        # A lease that ended while we stood still is extended, not taken for a dead worker's.
        self._noting = [*done, *back]
        claimed: _ByTier = {}
        try:
            async with self._work.units.engine.begin() as db:
                await self._ledger.hurry(db)
                await self._ledger.correct_clock(db, first=True)
                await self._settle(db, done, back)
                if look:
                    await self._look(db)
                elif self._place_is_free:
                    await self._admit(db)
                self._turn += 1
                for runs_on, number in wanted.items():
                    claimed[runs_on] = []
                    await self._claim(db, runs_on, number, claimed)
        except BaseException:
            self._done, self._given_back = done + self._done, back + self._given_back
            raise
        finally:
            self._noting = []
        self._cut_short.difference_update(back)
        for runs_on, jobs in claimed.items():
            self._rooms[runs_on].may_wait |= len(jobs) == wanted[runs_on]
            self._rooms[runs_on].ahead.extend(jobs)
            self._begin_some(runs_on)

    def _wanted(self, *, everywhere: bool) -> dict[RunsOn, int]:
        """Return how many jobs to claim for each of the tiers."""
        if self._stopping:
            return {}
        wanted: dict[RunsOn, int] = {
            tier: room.wanted
            for tier, room in self._rooms.items()
            if (everywhere or room.may_wait) and room.wanted
        }
        for tier in wanted:
            # Whatever wakes us from now on is for the next round.
            self._rooms[tier].may_wait = False
        return wanted

    async def _settle(self, db: AsyncConnection, done: list[str], back: list[str]) -> None:
        if done:
            await self._ledger.succeed(db, done)
        if back:
            await self._ledger.release(db, back, begun=self._cut_short)
        if self._to_report():
            await self._ledger.report(db, self._runner.told())
            self._report_at = monotonic() + _REPORT

    async def _look(self, db: AsyncConnection) -> None:
        """Queue what is due, and know when the next is."""
        self._looked_at, self._look_at = monotonic(), math.inf
        self._look_then(await self._ledger.promote(db))
        self._look_then(await self._ticks.pass_(db, self._ledger.now()))
        await self._admit(db)

    async def _admit(self, db: AsyncConnection) -> None:
        """Queue what limits let run, and know when that may be more."""
        needed = self._admission.needed or self._has_blocked
        self._place_is_free = self._has_blocked = False
        if needed:
            self._look_then(await self._admission.pass_(db, self._ledger.now()))

    def _look_then(self, moment: datetime | None) -> None:
        if moment is not None:
            wait = (moment - self._ledger.now()).total_seconds()
            self._look_by(monotonic() + max(0.0, wait))

    def _look_by(self, moment: float) -> None:
        """Look at what is scheduled no later than this."""
        self._look_at = min(self._look_at, moment)

    async def _claim(
        self, db: AsyncConnection, runs_on: RunsOn, number: int, claimed: _ByTier
    ) -> None:
        jobs = claimed[runs_on]
        for queue in self._queues():
            limit = int(min(number - len(jobs), self._places(queue, claimed)))
            if limit > 0:
                jobs += await self._ledger.claim(db, queue=queue, runs_on=runs_on, limit=limit)

    def _places(self, queue: str, claimed: _ByTier) -> float:
        """Return how many more jobs of a queue may be claimed, whatever the tier."""
        most = self._limits.queue_limits.get(queue)
        if most is None:
            return math.inf
        held = [begun.claimed for begun in self._begun.values()]
        ahead = [job for room in self._rooms.values() for job in room.ahead]
        jobs = chain(held, ahead, *claimed.values())
        return most - sum(job.queue == queue for job in jobs)

    def _queues(self) -> list[str]:
        queues = self._pulse.queues if self._limits.queues is None else self._limits.queues
        first = self._turn % len(queues)
        return [*queues[first:], *queues[:first]]

    def _begin_some(self, runs_on: RunsOn) -> None:
        """Begin what there are places for."""
        while not self._stopping and (job := self._rooms[runs_on].take()) is not None:
            self._begin(job, runs_on)

    def _begin(self, job: Claimed, runs_on: RunsOn) -> None:
        if job.id in self._begun:
            # We stood still, another worker queued it again, and we were the next to claim.
            # It still runs here, under the lease that we have now. Or it has failed, and a
            # hook still hears of that: then the new attempt is given back when that ends.
            self._rooms[runs_on].free += 1
            self._twice.add(job.id)
            return
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._runner.run(job), context=contextvars.Context())
        self._begun[job.id] = _Begun(job, runs_on, task, monotonic())
        task.add_done_callback(lambda _: self._ended(job.id))

    def _ended(self, id_: str) -> None:
        begun = self._begun.pop(id_)
        room = self._rooms[begun.runs_on]
        room.free += 1
        room.note(monotonic() - begun.at)
        room.may_wait |= begun.claimed.queue in self._limits.queue_limits
        if self._is_limited(begun.claimed):
            self._place_is_free = True
            self._wake_rooms()
        outcome = _outcome(begun)
        twice = id_ in self._twice
        self._twice.discard(id_)
        if outcome == "succeeded":
            self._done.append(id_)
        elif outcome == "released" or (twice and outcome != "completed"):
            self._given_back.append(id_)
            if outcome == "released":
                self._cut_short.add(id_)
        elif outcome == "retried":
            self._look_by(self._looked_at + _GLANCE)
        self._begin_some(begun.runs_on)
        self._rounds.news.set()

    async def _sleep(self) -> None:
        poll = self._poll_seconds()
        wait = min(poll, self._look_at - monotonic())
        if self._runner.has_told():
            wait = min(wait, self._report_at - monotonic())
        if any(room.ahead for room in self._rooms.values()):
            wait = min(wait, PATIENCE)
        try:
            async with asyncio.timeout(max(0.0, wait)):
                await self._rounds.news.wait()
        except TimeoutError:
            if wait == poll and await self._anything_waits():
                self.wake()

    async def _anything_waits(self) -> bool:
        """Tell whether there may be jobs of other processes, without a turn at writing."""
        units = self._work.units
        engine: AsyncEngine = getattr(units, "read_engine", units.engine)
        try:
            async with engine.connect() as db:
                now = self._ledger.now()
                self._has_blocked = await anything_blocked(db)
                if self._has_blocked or (await db.execute(_anything, {"now": now})).scalar():
                    return True
                return await self._overdue(db, now)
        except Exception:  # whatever a driver raises: the round will say what it is
            return True

    async def _overdue(self, db: AsyncConnection, now: datetime) -> bool:
        """Look at schedules now and then: a clock may have jumped, or a host have slept."""
        if monotonic() < self._overdue_at:
            return False
        self._overdue_at = monotonic() + _OVERDUE
        return await self._ticks.overdue(db, now)

    def _poll_seconds(self) -> float:
        if self._limits.poll is not None:
            return self._limits.poll.total_seconds()
        sqlite = self._work.units.engine.dialect.name == "sqlite"
        return _POLL_SQLITE if sqlite else _POLL_SERVER

    def _to_report(self) -> bool:
        return self._runner.has_told() and monotonic() >= self._report_at

    def _note_progress(self) -> None:
        self._event_loop.call_soon_threadsafe(self._rounds.news.set)  # the task may be on a thread

    async def _wait_for_jobs(self, seconds: float) -> None:
        tasks = [begun.task for begun in self._begun.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def _last_round(self) -> None:
        """Note what is done; what has not ended by now is given back."""
        for id_, begun in self._begun.items():
            begun.task.cancel()
            self._given_back.append(id_)
            self._cut_short.add(id_)
        try:
            async with asyncio.timeout(_CLOSING):
                await self._round()
        except Exception as error:  # whatever it is: their leases end, and they run again
            logs.not_given_back(error)


def _outcome(begun: _Begun) -> Outcome | None:
    if begun.task.cancelled():
        return None
    error = begun.task.exception()
    if error is not None:
        logs.crashed(begun.claimed, error)
        return None
    return begun.task.result()


_anything = select(
    or_(
        exists().where(in_state(State.QUEUED), ~is_paused("queue", table.c.queue)),
        exists().where(in_state(State.SCHEDULED), table.c.run_at <= bindparam("now")),
    )
)
"""Two looks into partial indexes."""
