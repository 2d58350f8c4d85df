"""A file is read in parts, listed, and deleted."""

# ruff: noqa: S101, D102 - these are tests

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from roadworthy.testing.contract.store_setting import (
    KEY,
    StoreSetting,
    assert_nothing,
    begin,
    content,
    keys,
    read,
    write,
)
from roadworthy.uploads.store import FileMissing, Store
from roadworthy.uploads.stored import MiB

__all__ = ["Listing", "Reading"]

MINUTE = timedelta(minutes=1)
_WRONG_KEYS = [
    "", "/", "/etc/passwd", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "A", "a b", "a\n",
    "a\0", "ä", "a\\b", "~unfinished/a", "a" * 201,
]  # fmt: skip


class Reading(StoreSetting):
    """What is read is what was written, a part at a time."""

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            (0, None), (0, 0), (0, 1), (1, 2), (999, None), (999, 1000), (500, 500), (7, 700),
            (0, 2000), (990, 10_000), (1000, None), (1000, 1001), (5000, 6000), (20, 10),
        ],
    )  # fmt: skip
    async def test_a_part_is_read(self, store: Store, start: int, end: int | None) -> None:
        await write(store, content(1000))

        assert await read(store, KEY, start, end) == content(1000)[start:end]

    async def test_a_large_file_comes_in_small_pieces(self, store: Store) -> None:
        await write(store, content(self.large))

        async with store.reading(KEY) as reading:
            chunks = [chunk async for chunk in reading.chunks(5, self.large - 5)]

        assert b"".join(chunks) == content(self.large)[5:-5]
        assert 0 < min(map(len, chunks)) <= max(map(len, chunks)) <= MiB

    async def test_several_parts_of_one_reading_are_read(self, store: Store) -> None:
        await write(store, content(1000))

        async with store.reading(KEY) as reading:
            size = reading.size_bytes
            parts = [
                b"".join([chunk async for chunk in reading.chunks(start, start + 10)])
                for start in (900, 0, 500)
            ]

        data = content(1000)
        assert (size, parts) == (1000, [data[900:910], data[:10], data[500:510]])

    async def test_a_reading_says_when_its_file_was_written(self, store: Store) -> None:
        await write(store, b"now")

        async with store.reading(KEY) as reading:
            age = datetime.now(UTC) - reading.modified_at

        assert -MINUTE < age < MINUTE

    @pytest.mark.parametrize("key", ["ab/other", "ab", f"{KEY}/more", "elsewhere/file"])
    async def test_a_file_that_is_not_there_is_missing(self, store: Store, key: str) -> None:
        await write(store, b"here")

        with pytest.raises(FileMissing):
            await read(store, key)

    async def test_what_is_deleted_while_it_is_read_is_read_whole_or_fails(
        self, store: Store
    ) -> None:
        await write(store, content(self.large))

        found = list[bytes]()
        try:
            async with store.reading(KEY) as reading:
                async for chunk in reading.chunks():
                    if not found:
                        await store.delete(KEY)
                    found.append(chunk)
        except (OSError, LookupError):
            return
        assert b"".join(found) == content(self.large)

    async def test_a_reading_may_be_left_and_cancelled_half_way(self, store: Store) -> None:
        await write(store, content(3 * MiB))

        async def read_slowly() -> None:
            async with (
                store.reading(KEY) as reading,
                aclosing(_closing(reading.chunks())) as chunks,
            ):
                async for _ in chunks:
                    began.set()
                    await asyncio.sleep(0.001)

        for _ in range(5):
            began = asyncio.Event()
            task = asyncio.create_task(read_slowly())
            await began.wait()
            task.cancel()
            await asyncio.wait([task])

        assert await read(store) == content(3 * MiB)

    async def test_many_read_at_a_time(self, store: Store) -> None:
        await write(store, content(3 * MiB))

        found = await asyncio.gather(*(read(store) for _ in range(10)))

        assert set(found) == {content(3 * MiB)}

    @pytest.mark.parametrize("key", _WRONG_KEYS)
    async def test_what_is_no_key_is_refused(self, store: Store, key: str) -> None:
        with pytest.raises(ValueError, match="is no key"):
            async with begin(store, key):
                pass
        with pytest.raises(ValueError, match="is no key"):
            async with store.reading(key):
                pass
        with pytest.raises(ValueError, match="is no key"):
            await store.delete(key)

    @pytest.mark.parametrize("key", ["a", "a" * 200, "a/b/c/d", "a.b", "a..b/-_", ".a", "a./b"])
    async def test_every_key_is_taken(self, store: Store, key: str) -> None:
        await write(store, b"here", key)

        assert (await read(store, key), await keys(store)) == (b"here", [key])


class Listing(StoreSetting):
    """What is there is listed, and what is deleted is not there."""

    async def test_an_entry_says_the_size_and_the_time(self, store: Store) -> None:
        await write(store, content(1234))

        [entry] = [entry async for entry in store.entries()]

        assert (entry.key, entry.size_bytes) == (KEY, 1234)
        assert -MINUTE < datetime.now(UTC) - entry.modified_at < MINUTE

    async def test_entries_start_with_the_prefix(self, store: Store) -> None:
        for key in ("a/1", "a/12", "a/2/3", "ab/1", "b"):
            await write(store, b"x", key)

        found = {prefix: await keys(store, prefix) for prefix in _PREFIXES}

        assert found == _PREFIXES

    async def test_a_file_that_is_deleted_is_gone(self, store: Store) -> None:
        await write(store, b"here")

        await store.delete(KEY)

        await assert_nothing(store)

    async def test_a_file_that_is_not_there_can_be_deleted(self, store: Store) -> None:
        await write(store, b"here")

        for key in ("ab/other", "ab", "elsewhere/file", f"{KEY}/more"):
            await store.delete(key)

        assert await keys(store) == [KEY]

    async def test_files_may_be_deleted_while_they_are_listed(self, store: Store) -> None:
        for number in range(20):
            await write(store, b"x", f"{number % 3}/{number}")

        async for entry in store.entries():
            await store.delete(entry.key)

        assert await keys(store) == []


_PREFIXES = {
    "": ["a/1", "a/12", "a/2/3", "ab/1", "b"],
    "a": ["a/1", "a/12", "a/2/3", "ab/1"],
    "a/": ["a/1", "a/12", "a/2/3"],
    "a/1": ["a/1", "a/12"],
    "a/2/": ["a/2/3"],
    "a/2/3": ["a/2/3"],
    "b/": [],
    "../": [],
    "c": [],
}


def _closing(pieces: Any) -> Any:
    return pieces
