"""`TableSource`: claim any jobs of the table.

It also queues what has become due: scheduled jobs, the ticks of schedules, and jobs that their
limits let run. It knows when that is needed next, and otherwise looks every `poll`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Final

from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from roadworthy.jobs.table.admission import Admission, anything_blocked
from roadworthy.jobs.table.ledger import Claimed, Ledger
from roadworthy.jobs.table.moves import in_state
from roadworthy.jobs.table.paused import is_paused
from roadworthy.jobs.table.states import State
from roadworthy.jobs.table.tables import table
from roadworthy.jobs.task_options import RunsOn
from roadworthy.jobs.worker.claim_source import Claims, Plan, QueuePlaces
from roadworthy.jobs.worker.context import JobsContext
from roadworthy.jobs.worker.options import EmbeddedLimits
from roadworthy.jobs.worker.outcome import Outcome
from roadworthy.jobs.worker.scheduler import Scheduler

__all__ = ["TableSource"]

_POLL_SQLITE: Final = 0.25
_POLL_SERVER: Final = 2.0
_GLANCE: Final = 0.05
"""Seconds between two looks at what is scheduled: a stream of jobs need not pay for it."""
_OVERDUE: Final = 5.0
"""Seconds between two looks for ticks that should have come."""


class TableSource:
    """Claim the jobs that are due, the earliest turn first.

    Args:
        work: The database and the tasks.
        limits: Which queues are served, and how often to look for jobs of other processes.
        ledger: Claims in the name of this worker.
        queues: Returns every queue that is known, for a worker that serves all of them.
    """

    def __init__(
        self,
        work: JobsContext,
        limits: EmbeddedLimits,
        ledger: Ledger,
        queues: Callable[[], Sequence[str]],
    ) -> None:
        self._work, self._limits, self._ledger, self._known_queues = work, limits, ledger, queues
        self._scheduler = Scheduler(work.tasks.values())
        self._admission = Admission(work.tasks.values())
        self._tiers = frozenset(limits.at_a_time)
        self._may_wait = set(self._tiers)
        """Tiers whose last claim may have left jobs behind."""
        self._place_is_free = self._has_blocked = False
        """Whether a job with a limit has ended here, and whether others were seen to wait."""
        self._look_at = self._looked_at = self._overdue_at = 0.0
        """When to look at what is scheduled, and when we did, on the monotonic clock."""
        self._turn = 0
        """Which queue is asked first, so that none is always the last."""

    @property
    def poll(self) -> float:
        """Seconds between two looks for jobs of other processes."""
        if self._limits.poll is not None:
            return self._limits.poll.total_seconds()
        sqlite = self._work.units.engine.dialect.name == "sqlite"
        return _POLL_SQLITE if sqlite else _POLL_SERVER

    def seconds_until_look(self) -> float:
        """Return the seconds until something scheduled is due."""
        return self._look_at - monotonic()

    def wake(self) -> None:
        """Look at the whole table with the next round, unless that was just done."""
        self._may_wait |= self._tiers
        self._look_by(max(monotonic(), self._looked_at + _GLANCE))

    def ended(self, job: Claimed, runs_on: RunsOn, outcome: Outcome | None) -> None:
        """Know whose place is free now: of the queue, of the key of a limit."""
        if job.queue in (self._limits.queue_limits or {}):
            self._may_wait.add(runs_on)
        if self._is_limited(job):
            self._place_is_free = True
            self._may_wait |= self._tiers
        if outcome == "retried":
            self._look_by(self._looked_at + _GLANCE)

    def plan(self, places: Mapping[RunsOn, int]) -> Plan:
        """Claim for every free place, on tiers where jobs may wait."""
        look = monotonic() >= self._look_at
        wanted: dict[RunsOn, int] = {
            tier: number
            for tier, number in places.items()
            if number and (look or tier in self._may_wait)
        }
        # Whatever wakes us from now on is for the next round.
        self._may_wait.difference_update(wanted)
        return Plan(wanted, look)

    async def claim(self, db: AsyncConnection, plan: Plan, places: QueuePlaces) -> Claims:
        """Queue what is due where the plan says so, then claim from each queue in turn."""
        if plan.look:
            await self._look(db)
        elif self._place_is_free:
            await self._admit(db)
        self._turn += 1
        jobs: dict[RunsOn, list[Claimed]] = {
            tier: await self._claim_on(db, tier, number, places)
            for tier, number in plan.wanted.items()
        }
        return Claims(jobs, committed=partial(self._note_left_behind, plan, jobs))

    async def anything_waits(self) -> bool:
        """Return whether there may be jobs of other processes, without a turn at writing."""
        units = self._work.units
        engine: AsyncEngine = getattr(units, "read_engine", units.engine)
        try:
            async with engine.connect() as db:
                now = self._ledger.now()
                self._has_blocked = await anything_blocked(db)
                if self._has_blocked or (await db.execute(_anything, {"now": now})).scalar():
                    return True
                return await self._is_overdue(db, now)
        except Exception:  # whatever a driver raises: the round will say what it is
            return True

    async def _look(self, db: AsyncConnection) -> None:
        """Queue what is due, and know when the next job is."""
        self._looked_at, self._look_at = monotonic(), math.inf
        self._look_then(await self._ledger.promote(db))
        self._look_then(await self._scheduler.enqueue_due(db, self._ledger.now()))
        await self._admit(db)

    async def _admit(self, db: AsyncConnection) -> None:
        """Queue what limits let run, and know when that may be more."""
        needed = self._admission.needed or self._has_blocked
        self._place_is_free = self._has_blocked = False
        if needed:
            self._look_then(await self._admission.admit(db, self._ledger.now()))

    async def _claim_on(
        self, db: AsyncConnection, runs_on: RunsOn, number: int, places: QueuePlaces
    ) -> list[Claimed]:
        jobs: list[Claimed] = []
        for queue in self._queues():
            limit = int(min(number - len(jobs), places.left(queue)))
            if limit > 0:
                found = await self._ledger.claim(db, queue=queue, runs_on=runs_on, limit=limit)
                places.take(queue, len(found))
                jobs += found
        return jobs

    def _note_left_behind(self, plan: Plan, jobs: Mapping[RunsOn, list[Claimed]]) -> None:
        """Ask again on tiers that got as many jobs as they asked for."""
        self._may_wait |= {tier for tier, found in jobs.items() if len(found) == plan.wanted[tier]}

    def _queues(self) -> list[str]:
        served = self._limits.queues
        queues = self._known_queues() if served is None else served
        first = self._turn % len(queues)
        return [*queues[first:], *queues[:first]]

    def _is_limited(self, job: Claimed) -> bool:
        task = self._work.tasks.get(job.task)
        return task is not None and task.terms.limit is not None

    async def _is_overdue(self, db: AsyncConnection, now: datetime) -> bool:
        """Look at schedules now and then: a clock may have jumped, or a host have slept."""
        if monotonic() < self._overdue_at:
            return False
        self._overdue_at = monotonic() + _OVERDUE
        return await self._scheduler.overdue(db, now)

    def _look_then(self, moment: datetime | None) -> None:
        if moment is not None:
            wait = (moment - self._ledger.now()).total_seconds()
            self._look_by(monotonic() + max(0.0, wait))

    def _look_by(self, moment: float) -> None:
        """Look at what is scheduled no later than this moment of the monotonic clock."""
        self._look_at = min(self._look_at, moment)


_anything = select(
    or_(
        exists().where(in_state(State.QUEUED), ~is_paused("queue", table.c.queue)),
        exists().where(in_state(State.SCHEDULED), table.c.run_at <= bindparam("now")),
    )
)
"""Two looks into partial indexes."""
