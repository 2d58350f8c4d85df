"""A file is there whole, once it is committed, or nothing of it is."""

# ruff: noqa: S101, D102 - these are tests

import asyncio
import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest

from roadworthy.testing.contract.store_setting import (
    KEY,
    StoreSetting,
    accept,
    assert_nothing,
    begin,
    content,
    feed,
    keys,
    read,
    write,
)
from roadworthy.uploads.store import Batch, Store
from roadworthy.uploads.stored import KiB, MiB

__all__ = ["Abandoning", "Committing", "Judging"]


class Committing(StoreSetting):
    """What is committed is there, whole, and stays."""

    @pytest.mark.parametrize("size", [1, 256 * KiB, 256 * KiB + 1, 3 * MiB])
    async def test_a_file_has_the_bytes_that_were_written(self, store: Store, size: int) -> None:
        await write(store, content(size))

        assert await read(store) == content(size)

    async def test_a_large_file_has_the_bytes_that_were_written(self, store: Store) -> None:
        await write(store, content(self.large))

        assert await read(store) == content(self.large)

    @pytest.mark.parametrize("batches", [[], [[]], [[b""]], [[b""], [b"", b""]]])
    async def test_an_empty_file_is_a_file(self, store: Store, batches: list[list[bytes]]) -> None:
        async with begin(store) as writing:
            for batch in batches:
                await writing.write(batch, accept)
            await writing.commit()

        assert await read(store) == b""
        assert [entry.size_bytes async for entry in store.entries()] == [0]

    async def test_a_batch_may_have_many_small_pieces(self, store: Store) -> None:
        data = content(5000)
        async with begin(store) as writing:
            await writing.write([data[i : i + 1] for i in range(len(data))], accept)
            await writing.commit()

        assert await read(store) == data

    async def test_nothing_is_there_before_the_commit(self, store: Store) -> None:
        async with begin(store) as writing:
            await feed(writing, content(self.large))
            before = await keys(store)
            await writing.commit()
            after = await keys(store)

        assert (before, after) == ([], [KEY])

    async def test_a_file_that_is_there_is_not_replaced(self, store: Store) -> None:
        await write(store, b"first")

        with pytest.raises(FileExistsError):
            await write(store, b"second")

        assert await read(store) == b"first"
        assert await store.sweep_unfinished(older_than=timedelta()) == 0

    async def test_a_large_file_replaces_nothing(self, store: Store) -> None:
        await write(store, b"first")

        with pytest.raises(FileExistsError):
            await write(store, content(self.large))

        assert await read(store) == b"first"
        assert await store.sweep_unfinished(older_than=timedelta()) == 0

    async def test_of_many_that_write_the_same_key_at_a_time_one_does(self, store: Store) -> None:
        files = [content(size) for size in range(100, 108)]

        outcomes = await asyncio.gather(
            *(write(store, data) for data in files), return_exceptions=True
        )

        written = [data for data, error in zip(files, outcomes, strict=True) if error is None]
        assert [await read(store)] == written
        assert {type(error) for error in outcomes} == {type(None), FileExistsError}

    async def test_many_files_are_written_at_a_time(self, store: Store) -> None:
        files = {f"ab/{number:03}": content(300 * KiB + number) for number in range(40)}

        await asyncio.gather(*(write(store, data, key) for key, data in files.items()))

        assert await keys(store) == sorted(files)
        assert {key: await read(store, key) for key in files} == files

    async def test_what_one_process_has_written_others_have(self, store: Store) -> None:
        await write(store, b"shared")

        async with self.make_store() as another:
            found = await read(another)
            await another.delete(KEY)

        assert found == b"shared"
        await assert_nothing(store)

    async def test_a_key_is_free_again_when_its_file_is_deleted(self, store: Store) -> None:
        await write(store, b"first")
        await store.delete(KEY)

        await write(store, b"second")

        assert await read(store) == b"second"


class Abandoning(StoreSetting):
    """What is not committed is gone, whatever ended it."""

    @pytest.mark.parametrize("size", [0, 1, 3 * MiB])
    async def test_what_is_not_committed_is_gone(self, store: Store, size: int) -> None:
        async with begin(store) as writing:
            await feed(writing, content(size))

        await assert_nothing(store)

    async def test_what_is_large_and_not_committed_is_gone(self, store: Store) -> None:
        async with begin(store) as writing:
            await feed(writing, content(self.large))

        await assert_nothing(store)

    @pytest.mark.parametrize("large", [False, True])
    async def test_an_error_passes_and_leaves_nothing(self, store: Store, large: bool) -> None:
        with pytest.raises(LookupError, match="of the caller"):  # noqa: PT012 - in the context
            async with begin(store) as writing:
                await feed(writing, content(self.large if large else 1))
                raise LookupError("of the caller")

        await assert_nothing(store)

    @pytest.mark.parametrize("large", [False, True])
    async def test_a_writing_that_is_cancelled_at_any_moment_leaves_nothing(
        self, store: Store, large: bool
    ) -> None:
        data = content(self.large if large else 3000)
        began = time.monotonic()
        await write(store, data)
        took = time.monotonic() - began
        await store.delete(KEY)

        for moment in range(24):
            task = asyncio.create_task(write(store, data))
            await asyncio.sleep(took * moment / 20)
            await _assert_ends_well(store, task, data)

    async def test_a_writing_that_is_cancelled_at_any_step_leaves_nothing(
        self, store: Store
    ) -> None:
        for steps in range(24):
            task = asyncio.create_task(write(store, b"some bytes"))
            for _ in range(steps):
                await asyncio.sleep(0)
            await _assert_ends_well(store, task, b"some bytes")

    async def test_a_writing_that_is_cancelled_again_and_again_leaves_nothing(
        self, store: Store
    ) -> None:
        data = content(self.large)
        task = asyncio.create_task(write(store, data))
        await asyncio.sleep(0.02)
        for _ in range(200):
            task.cancel()
            await asyncio.sleep(0.001)

        await _assert_ends_well(store, task, data)

    async def test_a_write_that_was_cancelled_cannot_be_committed(self, store: Store) -> None:
        judging = _Blocking()
        async with begin(store) as writing:
            task = asyncio.create_task(writing.write([b"torn"], judging))
            await judging.began()
            task.cancel()
            judging.let_go()
            with suppress(asyncio.CancelledError):
                await task
            with pytest.raises(RuntimeError):
                await writing.commit()

        await assert_nothing(store)

    async def test_the_sweep_leaves_what_is_being_written(self, store: Store) -> None:
        async with self.make_store() as another, begin(store) as writing:
            await feed(writing, content(self.large))
            swept = await another.sweep_unfinished(older_than=timedelta(hours=1))
            await writing.commit()

        assert swept == 0
        assert await read(store) == content(self.large)


class Judging(StoreSetting):
    """A batch is judged before it is written, beside the loop."""

    async def test_each_batch_is_judged_once_and_in_order(self, store: Store) -> None:
        seen = list[list[bytes]]()
        async with begin(store) as writing:
            for batch in ([b"a", b"b"], [b"c"]):
                await writing.write(batch, lambda got: seen.append([bytes(data) for data in got]))

        assert seen == [[b"a", b"b"], [b"c"]]

    @pytest.mark.parametrize("before", [0, 1, 3 * MiB])
    async def test_what_a_judge_raises_ends_the_writing(self, store: Store, before: int) -> None:
        async with begin(store) as writing:
            await feed(writing, content(before))
            with pytest.raises(LookupError, match="refused"):
                await writing.write([b"bad"], _refuse)
            with pytest.raises(RuntimeError):
                await writing.commit()

        await assert_nothing(store)

    async def test_the_loop_goes_on_while_a_judge_is_busy(self, store: Store) -> None:
        beats: list[float] = []

        async def beat() -> None:
            while True:
                await asyncio.sleep(0.01)
                beats.append(time.monotonic())

        heart = asyncio.create_task(beat())
        async with begin(store) as writing:
            await writing.write([b"slow"], lambda _: time.sleep(0.5))
        heart.cancel()

        assert len(beats) > 10  # noqa: PLR2004 - of 50

    async def test_the_memory_of_a_batch_may_be_used_again(self, store: Store) -> None:
        data = content(self.large)
        memory = bytearray(64 * KiB)
        async with begin(store) as writing:
            for at in range(0, len(data), len(memory)):
                piece = data[at : at + len(memory)]
                memory[: len(piece)] = piece
                await writing.write([memoryview(memory)[: len(piece)]], accept)
                memory[:] = bytes(len(memory))
            await writing.commit()

        assert await read(store) == data

    async def test_a_write_that_is_cancelled_waits_until_its_memory_is_free(
        self, store: Store
    ) -> None:
        judging = _Blocking()
        async with begin(store) as writing:
            task = asyncio.create_task(writing.write([b"in use"], judging))
            await judging.began()
            for _ in range(3):
                task.cancel()
                await asyncio.sleep(0.02)
            ended_early = task.done()
            judging.let_go()
            with pytest.raises(asyncio.CancelledError):
                await task

        assert not ended_early
        await assert_nothing(store)


class _Blocking:
    """A judge that takes until it is let go."""

    def __init__(self) -> None:
        self._began, self._go = threading.Event(), threading.Event()

    def __call__(self, _: Batch) -> None:
        self._began.set()
        assert self._go.wait(30)

    async def began(self) -> None:
        while not self._began.is_set():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.005)

    def let_go(self) -> None:
        self._go.set()


def _refuse(_: Batch) -> None:
    raise LookupError("refused")


async def _assert_ends_well(store: Store, task: "asyncio.Task[None]", data: bytes) -> None:
    """Cancel a writing: it is there whole where it ended before, and else not at all."""
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        await assert_nothing(store)
    else:
        assert await read(store) == data
        await store.delete(KEY)
