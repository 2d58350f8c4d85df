"""`BufferedWriting`: a file held in memory until it is converted."""

import asyncio
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self

from roadworthy.uploads.checks import Conversion
from roadworthy.uploads.filenames import display_name
from roadworthy.uploads.files import Files
from roadworthy.uploads.store import Batch, Judge
from roadworthy.uploads.stored import Stored

__all__ = ["BufferedWriting"]


class BufferedWriting:
    """Buffer a file in place of a store's `Writing`; `convert` stores the result."""

    def __init__(self, conversion: Conversion, *, media_type: str) -> None:
        self._conversion, self._media_type = conversion, media_type
        self._data = bytearray()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._data.clear()

    async def write(self, batch: Batch, judge: Judge, /) -> None:
        """Judge a batch in a thread, and buffer it."""
        await asyncio.to_thread(judge, batch)
        for data in batch:
            self._data += data

    async def convert(self, files: Files, *, key: str, filename: str | None) -> Stored:
        """Convert the buffered file, and store the result.

        Raises:
            Rejected: The file cannot be converted.
        """
        made = await self._conversion.convert(bytes(self._data), media_type=self._media_type)
        name = PurePosixPath(display_name(filename, extension=made.extension))
        return await files.add(
            made.data,
            media_type=made.media_type,
            filename=str(name.with_suffix(made.extension)),
            key=key,
        )
