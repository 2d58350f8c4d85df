"""Limits and times until which jobs may begin."""

# ruff: noqa: S101 - these are tests

import asyncio
from datetime import timedelta

from roadworthy.database import Database
from roadworthy.jobs import State
from roadworthy.testing.contract.setting import Log, Setting, add, get, reach
from roadworthy.testing.contract_tasks import a_few_a_second, note, one_a_name

__all__ = ["Limits"]


class Limits(Setting):
    """Jobs wait for their places, wherever they run."""

    async def test_one_runs_at_a_time_for_each_key(
        self, db: Database, database_url: str, log: Log
    ) -> None:
        """Although several workers have room for all of them."""
        with self.worker_process(database_url):
            async with self.working(db):
                ids = [await add(db, one_a_name.call(log=log.path, name=name)) for name in "ababab"]
                for id_ in ids:
                    await reach(db, id_, State.SUCCEEDED)

        for name in "ab":
            lines = [line for line in log.lines() if line.startswith(name)]
            assert lines == [f"{name} began", f"{name} ended"] * 3

    async def test_no_more_begin_in_a_time_than_the_rate_says(self, db: Database, log: Log) -> None:
        """In any second, not on average."""
        async with self.working(db):
            ids = [await add(db, a_few_a_second.call(log=log.path)) for _ in range(5)]
            starts = sorted(
                [(await reach(db, id_, State.SUCCEEDED)).started_at or 0 for id_ in ids]
            )

        assert len(log.lines()) == len(ids)
        for first, third in zip(starts, starts[2:], strict=False):
            assert third - first >= timedelta(seconds=1)  # type: ignore[operator] # all began

    async def test_a_job_that_nobody_began_in_time_is_dead_and_was_not_run(
        self, db: Database, log: Log
    ) -> None:
        """And the next one is run."""
        soon = note.options(expires=timedelta(milliseconds=1))
        late = await add(db, soon.call(log=log.path, text="late"))
        await asyncio.sleep(0.01)
        async with self.working(db):
            record = await reach(db, late, State.DEAD)
            other = await add(db, note.call(log=log.path, text="in time"))
            await reach(db, other, State.SUCCEEDED)

        assert (record.error_code, record.attempts) == ("EXPIRED", 0)
        assert (await get(db, late)).started_at is None
        assert [line for line in log.lines() if "late" in line] == []
