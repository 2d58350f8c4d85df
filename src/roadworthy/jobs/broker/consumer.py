"""`Consumer`: run the jobs that doorbells tell of; the relay does the rest.

It is the embedded engine's loop, which claims as many jobs as it was told of and has
places for, rather than all there are: so that the broker decides which process runs
how many, and the rows decide which jobs these are.
"""

import asyncio
import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from roadworthy.jobs.broker.message import Doorbell
from roadworthy.jobs.table.ledger import Claimed
from roadworthy.jobs.terms import RunsOn
from roadworthy.jobs.worker.context import JobsContext
from roadworthy.jobs.worker.loop import Limits, Loop

__all__ = ["Consumer"]

_RARELY: Final = 60.0
"""Seconds: nothing is looked for, so nothing is missed."""


@dataclass(eq=False, slots=True)
class _Heard:
    """A doorbell, and how many of its jobs have not been claimed yet."""

    bell: Doorbell
    left: int
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class Consumer(Loop):
    """Run what doorbells tell of, until told to stop."""

    def __init__(self, work: JobsContext, limits: Limits) -> None:
        super().__init__(work, limits, only_mine=True)
        self._look_at = math.inf
        self._heard: list[_Heard] = []
        self._found: list[tuple[_Heard, int]] = []
        """What this round has found for whom; it counts once it is committed."""

    async def hear(self, bell: Doorbell, *, patience: timedelta) -> bool:
        """Claim the jobs that a doorbell tells of, as far as there are any.

        Returns when they are claimed, and False where there were no places for them in
        time, or the database did not answer: then somebody else should hear of it.
        """
        heard = _Heard(bell, bell.jobs)
        self._heard.append(heard)
        self.wake()
        try:
            async with asyncio.timeout(patience.total_seconds()):
                await heard.answered.wait()
        except TimeoutError:
            return False
        finally:
            self._heard.remove(heard)
        return True

    def _look_by(self, moment: float) -> None:
        """Look at nothing: the relay does."""

    def _poll_seconds(self) -> float:
        return _RARELY

    async def _anything_waits(self) -> bool:
        return False

    async def _round(self) -> None:
        self._found = []
        await super()._round()
        for heard, left in self._found:
            heard.left = left
            if not left:
                heard.answered.set()

    def _wanted(self, *, everywhere: bool) -> dict[RunsOn, int]:
        if self._stopping:
            return {}
        told: dict[RunsOn, int] = {}
        for heard in self._heard:
            told[heard.bell.runs_on] = told.get(heard.bell.runs_on, 0) + heard.left
        for tier, jobs in told.items():
            told[tier] = min(self._rooms[tier].wanted, jobs)
        return {tier: number for tier, number in told.items() if number}

    async def _claim(
        self,
        db: AsyncConnection,
        runs_on: RunsOn,
        number: int,
        claimed: dict[RunsOn, list[Claimed]],
    ) -> None:
        jobs = claimed[runs_on]
        for heard in [heard for heard in self._heard if heard.bell.runs_on == runs_on]:
            queue = heard.bell.queue
            limit = int(min(heard.left, number - len(jobs), self._places(queue, claimed)))
            if limit > 0:
                found = await self._ledger.claim(db, queue=queue, runs_on=runs_on, limit=limit)
                jobs += found
                self._found.append((heard, heard.left - limit if len(found) == limit else 0))
