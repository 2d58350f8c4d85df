"""A disk that fails where it is told to, as a store does that is away for a while."""

import errno
from types import TracebackType
from typing import Self

from roadworthy.uploads import Disk
from roadworthy.uploads.store import Batch, Judge, Writing

__all__ = ["Faulty"]


class Faulty(Disk):
    """`failing` has what fails: `write`, `commit`, `answer of commit` and `delete`."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.failing = set[str]()

    def writing(  # type: ignore[override]
        self, key: str, *, media_type: str, content_disposition: str
    ) -> Writing:
        writing = super().writing(
            key, media_type=media_type, content_disposition=content_disposition
        )
        return FaultyWriting(self, writing)

    async def delete(self, key: str) -> None:
        self.fail("delete")
        await super().delete(key)

    def fail(self, what: str) -> None:
        if what in self.failing:
            raise OSError(errno.EIO, f"the store is away: {what}")


class FaultyWriting:
    def __init__(self, store: Faulty, writing: Writing) -> None:
        self.store, self.writing = store, writing

    async def __aenter__(self) -> Self:
        await self.writing.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.writing.__aexit__(kind, error, traceback)

    async def write(self, batch: Batch, judge: Judge, /) -> None:
        self.store.fail("write")
        await self.writing.write(batch, judge)

    async def commit(self) -> None:
        self.store.fail("commit")
        await self.writing.commit()
        self.store.fail("answer of commit")
