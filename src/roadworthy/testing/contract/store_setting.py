"""`StoreSetting`: how the contract opens a store, writes, and looks what is left."""

# ruff: noqa: S101 - these are tests

import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import ClassVar

import pytest
import pytest_asyncio

from roadworthy.uploads.store import Batch, FileMissing, Store, Writing
from roadworthy.uploads.stored import KiB, MiB

__all__ = ["KEY", "StoreSetting", "accept", "assert_nothing", "begin", "content", "feed", "keys"]
__all__ += ["read", "write"]

KEY = "ab/abcdef0123456789"
"""Where the contract keeps its files, unless it says otherwise."""


class StoreSetting:
    """What a group of the contract's tests stands on.

    A subclass says how to make a store.
    """

    pytestmark: ClassVar = [pytest.mark.asyncio]
    large: ClassVar[int] = 17 * MiB + 1
    """Bytes of a file that the store does not write in one piece."""

    def make_store(self) -> Store:
        """Return a store that has not been entered.

        What one test makes are stores over the same place; it is empty at first.
        """
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def store(self) -> AsyncIterator[Store]:
        """Open a store that is empty."""
        async with self.make_store() as store:
            yield store


def accept(_: Batch) -> None:
    """Judge nothing."""


def content(size: int) -> bytes:
    """Return bytes that are all over different, and the same each time."""
    return random.Random(size).randbytes(size)  # noqa: S311 - not a secret


def begin(store: Store, key: str = KEY) -> AbstractAsyncContextManager[Writing]:
    """Begin a file of no particular type."""
    return store.writing(
        key, media_type="text/plain", content_disposition='attachment; filename="a.txt"'
    )


async def feed(writing: Writing, data: bytes) -> None:
    """Write bytes as a request brings them: batches of 256 KiB, in pieces of 64 KiB."""
    view = memoryview(data)
    for at in range(0, len(data), 256 * KiB):
        batch = view[at : at + 256 * KiB]
        await writing.write(
            [batch[i : i + 64 * KiB] for i in range(0, len(batch), 64 * KiB)], accept
        )


async def write(store: Store, data: bytes, key: str = KEY) -> None:
    """Write a file and commit it."""
    async with begin(store, key) as writing:
        await feed(writing, data)
        await writing.commit()


async def read(store: Store, key: str = KEY, start: int = 0, end: int | None = None) -> bytes:
    """Read a file, or a part of it."""
    async with store.reading(key) as reading:
        return b"".join([chunk async for chunk in reading.chunks(start, end)])


async def keys(store: Store, prefix: str = "") -> list[str]:
    """Return the keys of all files, sorted."""
    return sorted([entry.key async for entry in store.entries(prefix)])


async def assert_nothing(store: Store, key: str = KEY) -> None:
    """Find no file, and nothing that a sweep would have to remove."""
    with pytest.raises(FileMissing):
        await read(store, key)
    assert await keys(store) == []
    assert await store.sweep_unfinished(older_than=timedelta()) == 0
