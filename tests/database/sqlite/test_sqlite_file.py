"""SQLite: what a commit promises, and who waits for whom (T14)."""

import asyncio
import logging
import os
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from roadworthy import problems
from roadworthy.database import Database
from roadworthy.database.sqlite import file as sqlite_file

CREATE = text("CREATE TABLE item (id INTEGER PRIMARY KEY)")
ADD = text("INSERT INTO item VALUES (:id)")


async def prepare(db: Database) -> None:
    async with db.begin() as tx:
        await tx.execute(CREATE)


async def add(db: Database, item_id: int) -> int:
    async with db.begin() as tx:
        await tx.execute(ADD, {"id": item_id})
    return item_id


async def test_the_file_is_set_up_for_writing_and_reading(sqlite_url: str) -> None:
    async with Database(sqlite_url) as db, db.begin() as tx, db.read() as read:
        assert (await tx.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"
        assert (await tx.execute(text("PRAGMA foreign_keys"))).scalar_one() == 1
        assert (await read.execute(text("PRAGMA query_only"))).scalar_one() == 1


async def test_what_was_acknowledged_was_on_the_disk_before(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T14: a power failure keeps the files as they were when the last sync returned."""
    file, kept = tmp_path / "test.db", tmp_path / "kept.db"

    def sync_and_keep(fd: int) -> None:
        os.fsync(fd)
        shutil.copy(f"{file}-wal", f"{kept}-wal.new")
        Path(f"{kept}-wal.new").replace(f"{kept}-wal")

    async with Database(sqlite_url) as db:
        await prepare(db)
        shutil.copy(file, kept)
        monkeypatch.setattr(sqlite_file, "sync_file", sync_and_keep)
        syncs_lost: list[int] = []

        async def add_and_look(item_id: int) -> None:
            await add(db, item_id)
            if item_id not in await asyncio.to_thread(after_power_failure, kept, item_id):
                syncs_lost.append(item_id)

        await asyncio.gather(*(add_and_look(number) for number in range(40)))
    assert syncs_lost == []


def after_power_failure(kept: Path, item_id: int) -> set[int]:
    copy = kept.with_name(f"seen-{item_id}.db")
    shutil.copy(kept, copy)
    shutil.copy(f"{kept}-wal", f"{copy}-wal")
    connection = sqlite3.connect(copy)
    found = {row[0] for row in connection.execute("SELECT id FROM item")}
    connection.close()
    return found


async def test_many_commits_share_a_sync(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """T14"""
    syncs: list[int] = []

    def slow_sync(fd: int) -> None:
        syncs.append(fd)
        os.fsync(fd)
        threading_sleep(0.05)

    async with Database(sqlite_url) as db:
        await prepare(db)
        monkeypatch.setattr(sqlite_file, "sync_file", slow_sync)
        await asyncio.gather(*(add(db, number) for number in range(50)))
    assert 1 <= len(syncs) <= 10


async def test_a_sync_that_fails_acknowledges_nothing_and_stops_writing(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T14: after that only opening the file again tells what the disk kept."""

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    async with Database(sqlite_url) as db:
        await prepare(db)
        monkeypatch.setattr(sqlite_file, "sync_file", fail)
        together = (add(db, number) for number in range(8))
        results = await asyncio.gather(*together, return_exceptions=True)
        assert {type(result) for result in results} == {problems.ServiceUnavailable}
        monkeypatch.undo()
        with pytest.raises(problems.ServiceUnavailable):
            await add(db, 99)
    async with Database(sqlite_url) as db:
        assert await add(db, 100) == 100


async def test_a_slow_unit_does_not_hold_back_who_committed_before_it(sqlite_url: str) -> None:
    """T14: a commit waits for its sync, never for the next unit's handler."""
    async with Database(sqlite_url) as db:
        await prepare(db)
        order: list[str] = []

        async def quick() -> None:
            await add(db, 1)
            order.append("quick")

        async def slow() -> None:
            async with db.begin() as tx:
                await tx.execute(ADD, {"id": 2})
                await quick_task
                order.append("slow")

        async with db.begin() as tx:
            await tx.execute(ADD, {"id": 3})
            quick_task = asyncio.create_task(quick())
            await asyncio.sleep(0)
            slow_task = asyncio.create_task(slow())
            await asyncio.sleep(0.05)
        await asyncio.wait_for(slow_task, 5)
        assert order == ["quick", "slow"]


async def test_an_undone_transaction_is_not_continued(sqlite_url: str) -> None:
    """An interrupted write undoes all of it: what follows must not go in alone."""
    async with Database(sqlite_url, statement_timeout=timedelta(seconds=0.1)) as db:
        await prepare(db)
        with pytest.raises(problems.ServiceUnavailable):  # noqa: PT012 - the way there counts
            async with db.begin() as tx:
                await tx.execute(ADD, {"id": 1})
                with pytest.raises(Exception, match="interrupted"):
                    await tx.execute(text(ENDLESS))
                await tx.execute(ADD, {"id": 2})
        async with db.read() as read:
            assert (await read.execute(text("SELECT id FROM item"))).all() == []


ENDLESS = (
    "INSERT INTO item WITH RECURSIVE c(x) AS (SELECT 10 UNION ALL SELECT x + 1 FROM c)"
    " SELECT x FROM c"
)


async def test_a_cancelled_statement_gives_the_writer_back(sqlite_url: str) -> None:
    """T7, T14"""
    async with Database(sqlite_url) as db:
        await prepare(db)

        async def endless() -> None:
            async with db.begin() as tx:
                await tx.execute(text(ENDLESS))

        task = asyncio.create_task(endless())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.wait_for(add(db, 1), 5) == 1


async def test_a_large_result_streams_and_is_whole(sqlite_url: str) -> None:
    numbers = text(
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 2000) SELECT x FROM c"
    )
    async with Database(sqlite_url) as db:
        async with db.read() as read:
            assert len((await read.execute(numbers)).all()) == 2000
        async with db.read() as read:
            streamed = [row.x async for row in await read.stream(numbers)]
        assert streamed == list(range(1, 2001))
        async with db.read() as read:
            async for _ in await read.stream(numbers):
                break
        assert db.read_engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_database_in_memory_works(caplog: pytest.LogCaptureFixture) -> None:
    async with Database("sqlite://") as db:
        await prepare(db)
        await add(db, 1)
        async with db.read() as read:
            assert (await read.execute(text("SELECT id FROM item"))).scalar_one() == 1
        await db.ping()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def threading_sleep(seconds: float) -> None:
    """Be a slow disk: runs in the thread that syncs."""
    import time

    time.sleep(seconds)
