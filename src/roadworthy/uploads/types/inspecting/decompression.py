"""Decompress data to count and search it; nothing is kept."""

import zlib
from collections.abc import Callable
from typing import Final, Protocol

from roadworthy.uploads.stored import GiB, KiB, MiB
from roadworthy.uploads.types.inspecting.filetype import Data, Rejected
from roadworthy.uploads.types.inspecting.push_parser import PushedBytes, Step
from roadworthy.uploads.types.inspecting.reasons import MALFORMED, TOO_LARGE_INSIDE

__all__ = ["FREE_BYTES", "MAX_EXPANDED", "MAX_RATIO", "Expansion", "Inflater", "Inflating"]

MAX_EXPANDED: Final = 10 * GiB
"""The most unpacked bytes: logs and source code pack 3 to 10 fold."""
MAX_RATIO: Final = 200
"""The highest ratio: deflate packs zeros 1,030 fold, honest logs and tables 5 to 100 fold."""
FREE_BYTES: Final = 64 * MiB
"""Unpacked bytes that are allowed at any ratio: a blank image or sparse table is no bomb."""

_IN: Final = 64 * KiB
_OUT: Final = 256 * KiB


class Inflater(Protocol):
    """The decompressor that `zlib.decompressobj` returns."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""
        ...

    @property
    def unconsumed_tail(self) -> bytes:
        """The given bytes that are not read yet."""
        ...

    @property
    def unused_data(self) -> bytes:
        """The given bytes after the end of the stream."""
        ...

    def decompress(self, data: Data, max_length: int = ..., /) -> bytes:
        """Return at most so many decompressed bytes."""
        ...


class Expansion:
    """The sum of decompressed bytes, within limits."""

    def __init__(self, max_expanded: int, max_ratio: float) -> None:
        self._max_expanded, self._max_ratio = max_expanded, max_ratio
        self.total = 0

    def add(self, count: int, *, packed: int) -> None:
        """Add decompressed bytes, when `packed` bytes of the file have been read.

        Raises:
            Rejected: There are too many bytes, or too many for each packed byte.
        """
        self.total += count
        if self.total > self._max_expanded:
            raise Rejected(TOO_LARGE_INSIDE, "What is packed in the file is too large.")
        if self.total > FREE_BYTES and self.total > self._max_ratio * packed:
            raise Rejected(TOO_LARGE_INSIDE, "The file unpacks to far more than its own size.")


class Inflating:
    """One deflated stream (RFC 1951), its size and CRC."""

    def __init__(self, expansion: Expansion, write: Callable[[bytes], object] | None) -> None:
        self._expansion, self._write = expansion, write
        self.crc = self.size = self.packed = 0

    def read(self, source: PushedBytes, *, at_most: int | None = None) -> Step[None]:
        """Read to the end of the stream, at most so many bytes."""
        machine = zlib.decompressobj(-zlib.MAX_WBITS)
        while not machine.eof:
            left = _IN if at_most is None else min(_IN, at_most - self.packed)
            if left <= 0:
                raise Rejected(MALFORMED, "Packed data goes on after its end.")
            yield from source.more()
            self._inflate(machine, source, left)

    def copy(self, source: PushedBytes, count: int) -> Step[None]:
        """Read so many bytes that are stored without compression."""
        while self.packed < count:
            yield from source.more()
            piece = source.here[: min(_OUT, count - self.packed)]
            self.count_stored(source, len(piece))
            del piece  # no reference is kept while the generator waits

    def count_stored(self, source: PushedBytes, count: int) -> None:
        """Read `count` of the available bytes, stored without compression."""
        piece = source.here[:count]
        source.use(count)
        self.packed += count
        self._out(piece, source.offset)

    def _inflate(self, machine: Inflater, source: PushedBytes, most: int) -> None:
        rest: bytes | memoryview = source.here[:most]
        source.use(len(rest))
        self.packed += len(rest)
        full = True
        while (rest or full) and not machine.eof:
            out = _decompressed(machine, rest)
            rest, full = machine.unconsumed_tail, len(out) == _OUT
            self._out(out, source.offset)
        unused = len(machine.unused_data)
        source.use(-unused)
        self.packed -= unused

    def _out(self, out: bytes | memoryview, offset: int) -> None:
        self.size += len(out)
        self.crc = zlib.crc32(out, self.crc)
        self._expansion.add(len(out), packed=offset)
        if self._write is not None:
            self._write(bytes(out))


def _decompressed(machine: Inflater, data: bytes | memoryview) -> bytes:
    try:
        return machine.decompress(data, _OUT)
    except zlib.error as error:
        raise Rejected(MALFORMED, "Packed data in the file is broken.") from error
