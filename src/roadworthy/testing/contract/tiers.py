"""Where tasks run: the event loop, threads, and processes with limits."""

# ruff: noqa: S101, D102 - these are tests

import sys

import pytest

from roadworthy.database import Database
from roadworthy.jobs import State, Task
from roadworthy.testing import contract_tasks as tasks
from roadworthy.testing.contract.setting import Log, Setting, add, reach

__all__ = ["Tiers"]


class Tiers(Setting):
    """Where tasks run."""

    async def test_a_task_that_waits_runs_on_a_thread(self, db: Database, log: Log) -> None:
        async with self.working(db):
            await reach(db, await add(db, tasks.use_a_thread.call(log.path)), State.SUCCEEDED)

        assert log.lines() == ["another thread"]

    async def test_a_task_that_computes_runs_in_a_process(self, db: Database, log: Log) -> None:
        async with self.working(db):
            await reach(db, await add(db, tasks.use_a_processor.call(log.path)), State.SUCCEEDED)

        process, parent = log.lines()[0].split(" of ")
        assert process != parent

    async def test_a_coroutine_has_a_process_compute(self, db: Database, log: Log) -> None:
        async with self.working(db):
            await reach(db, await add(db, tasks.use_a_process.call(log.path)), State.SUCCEEDED)

        here, there, total = log.lines()[0].replace("(", "").replace(",", "").split()
        assert (here == there, total) == (False, "6)")

    @pytest.mark.parametrize(
        "long",
        [tasks.take_too_long, tasks.take_too_long_on_a_processor],
        ids=lambda task: task.name,
    )
    async def test_a_task_that_takes_too_long_has_failed(
        self, db: Database, log: Log, long: Task[...]
    ) -> None:
        async with self.working(db):
            record = await reach(db, await add(db, long.call(log.path)), State.DEAD)

        assert (record.attempts, record.error_code) == (1, "TIMED_OUT")

    @pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
    async def test_a_task_that_takes_too_much_memory_has_failed(
        self, db: Database, log: Log
    ) -> None:
        async with self.working(db):
            record = await reach(db, await add(db, tasks.eat_memory.call(log.path)), State.DEAD)

        assert (record.error_code, log.lines()[0]) == (
            "OUT_OF_MEMORY",
            "on_failure 1 OUT_OF_MEMORY no more",
        )
