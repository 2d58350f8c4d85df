"""`Walk`: read a ZIP file record after record."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from roadworthy.uploads.stored import KiB, MiB
from roadworthy.uploads.types.inspecting.archive_paths import MAX_TARGET, leads_out
from roadworthy.uploads.types.inspecting.decompression import (
    MAX_EXPANDED,
    MAX_RATIO,
    Expansion,
    Inflating,
)
from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.part_budget import PartBudget
from roadworthy.uploads.types.inspecting.polyglot import look_at
from roadworthy.uploads.types.inspecting.push_parser import PushedBytes, Step
from roadworthy.uploads.types.inspecting.reasons import AMBIGUOUS, MALFORMED, UNSUPPORTED
from roadworthy.uploads.types.zip.central_directory import CentralDirectory
from roadworthy.uploads.types.zip.records import (
    CENTRAL,
    DEFLATED,
    DESCRIPTOR,
    END,
    END64,
    LOCAL,
    LOCATOR64,
    STORED,
    WRAP,
    ZipEntry,
    descriptors,
    read_central,
    read_local,
)

__all__ = ["MAX_ENTRIES", "MAX_INFLATED", "Contents", "Take", "Walk", "ZipLimits"]

MAX_ENTRIES: Final = 100_000
"""The most entries: the sources of Linux have 92,000."""
MAX_INFLATED: Final = 64 * MiB
"""The most bytes inflated to verify sizes, in a quarter of a second."""

_END_FIELDS: Final = struct.Struct("<HHHHIIH")
_END64_FIELDS: Final = struct.Struct("<QHHIIQQQQ")
_LOCATOR_FIELDS: Final = struct.Struct("<IQI")
_LONGEST_DESCRIPTOR: Final = 24
_SEARCHED: Final = 16 * KiB
_WRAP_COUNT: Final = 2**16
_FREE_FALSE_DESCRIPTORS: Final = 100_000
"""False descriptors allowed in any file; each costs 10 microseconds."""
_BROKEN: Final = "The archive is broken: an entry is not what its header says."
_NO_END: Final = "The archive is broken: its records do not follow each other."

Take: TypeAlias = Callable[[bytes], object]
"""Called with content, some 256 KiB at a time."""


class Contents(Protocol):
    """Inspect the entries of an archive while they stream."""

    def begin(self, entry: ZipEntry, /) -> Take | None:
        """Judge an entry, and return the reader of its content, if it has one."""
        ...

    def end(self) -> None:
        """End the content of an entry."""
        ...

    def finish(self) -> None:
        """End the archive."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipLimits:
    """The limits of an archive."""

    max_entries: int = MAX_ENTRIES
    max_expanded: int = MAX_EXPANDED
    """The most unpacked bytes of all entries together."""
    max_ratio: float = MAX_RATIO
    """The most unpacked bytes for each byte of the archive, above 64 MiB."""
    max_inflated: int = MAX_INFLATED
    """The most bytes of entries with declared sizes that are inflated to verify them."""


class Walk:
    """Read an archive from its first byte to its last; run by `PushParser`."""

    def __init__(self, limits: ZipLimits, contents: Contents | None = None) -> None:
        self._contents = contents
        self._directory = CentralDirectory(limits.max_entries)
        self._expansion = Expansion(limits.max_expanded, limits.max_ratio)
        self._unverified = limits.max_inflated
        self._false = PartBudget(mean_bytes=1024, free=_FREE_FALSE_DESCRIPTORS)

    @property
    def entries(self) -> int:
        """The number of entries."""
        return self._directory.count

    @property
    def expanded(self) -> int:
        """The unpacked bytes of all entries."""
        return self._expansion.total

    def read(self, source: PushedBytes) -> Step[None]:
        """Read the entries, the central directory, and the end."""
        while (signature := (yield from source.take(4))) == LOCAL:
            yield from self._read_entry(source)
        if self._contents is not None:
            self._contents.finish()
        start = source.offset - 4
        while signature == CENTRAL:
            self._directory.list((yield from read_central(source)))
            signature = yield from source.take(4)
        end = yield from _read_end(source, signature)
        end.judge(self._directory.count, start)
        self._directory.judge(wide=end.wide is not None)

    def _read_entry(self, source: PushedBytes) -> Step[None]:
        entry = yield from read_local(source)
        self._directory.begin(entry)
        target = _Target(entry.name)
        wanted = self._contents.begin(entry) if self._contents is not None else None
        inflating = Inflating(self._expansion, _both(target.write, wanted))
        if entry.is_streamed:
            yield from _read_streamed(source, entry, inflating, self._false)
        elif wanted or entry.expanded <= self._unverified:
            yield from self._read_verified(source, entry, inflating)
        else:
            yield from self._pass_over(source, entry)
        if wanted and self._contents is not None:
            self._contents.end()
        self._directory.end(entry, may_be_link=target.is_safe)

    def _read_verified(
        self, source: PushedBytes, entry: ZipEntry, inflating: Inflating
    ) -> Step[None]:
        if entry.method == DEFLATED:
            yield from inflating.read(source, at_most=entry.compressed)
        elif entry.method == STORED:
            yield from inflating.copy(source, entry.compressed)
        else:
            return (yield from self._pass_over(source, entry))
        self._unverified -= inflating.size
        found = inflating.crc, inflating.packed, inflating.size
        if found != (entry.crc, entry.compressed, entry.expanded):
            raise Rejected(MALFORMED, _BROKEN)
        return None

    def _pass_over(self, source: PushedBytes, entry: ZipEntry) -> Step[None]:
        self._expansion.add(entry.expanded, packed=source.offset + entry.compressed)
        if entry.method == STORED and entry.compressed != entry.expanded:
            raise Rejected(MALFORMED, _BROKEN)
        yield from source.skip(entry.compressed)


class _Target:
    """The content of an entry, if it is short enough for the target of a link."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._content = b""
        self._size = 0

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= MAX_TARGET:
            self._content += data

    @property
    def is_safe(self) -> bool:
        """Whether the target of a link is safe; one that was not read is not."""
        return 0 < self._size <= MAX_TARGET and not leads_out(self._name, self._content)


def _both(first: Take, second: Take | None) -> Take:
    if second is None:
        return first

    def take(data: bytes) -> None:
        first(data)
        second(data)

    return take


def _read_streamed(
    source: PushedBytes, entry: ZipEntry, inflating: Inflating, false: PartBudget
) -> Step[None]:
    """Read the content of an entry whose sizes come after it."""
    if entry.method == DEFLATED:
        yield from inflating.read(source)
        yield from _read_descriptor(source, inflating)
    elif entry.method == STORED:
        yield from _read_stored(source, inflating, false)
    else:
        raise Rejected(UNSUPPORTED, "An entry of the archive has no size.")
    found = inflating.crc, inflating.packed, inflating.size
    declared = entry.crc, entry.compressed, entry.expanded
    if any(a not in {0, WRAP - 1, b} for a, b in zip(declared, found, strict=True)):
        raise Rejected(AMBIGUOUS, _BROKEN)
    entry.crc, entry.compressed, entry.expanded = found


def _read_descriptor(source: PushedBytes, inflating: Inflating) -> Step[None]:
    """Read a data descriptor in the form after which another record begins."""
    spellings = descriptors(inflating.crc, inflating.packed, inflating.size)
    read = b""
    for length in sorted({len(spelling) for spelling in spellings}):
        read += yield from source.take(length - len(read))
        if read in spellings and (yield from _record_follows(source)):
            return
    raise Rejected(MALFORMED, _BROKEN)


def _record_follows(source: PushedBytes) -> Step[bool]:
    return (yield from source.peek(4)) in {LOCAL, CENTRAL}


def _read_stored(source: PushedBytes, inflating: Inflating, false: PartBudget) -> Step[None]:
    """Read up to the first data descriptor that fits the content before it."""
    while True:
        while not (head := (yield from source.peek(_LONGEST_DESCRIPTOR))).startswith(DESCRIPTOR):
            yield from source.more()
            inflating.count_stored(source, _before_descriptor(source.here))
        for spelling in descriptors(inflating.crc, inflating.packed, inflating.size)[::2]:
            if head.startswith(spelling):
                return (yield from source.skip(len(spelling)))
        inflating.count_stored(source, 1)
        false.one_more(source.offset)


def _before_descriptor(here: memoryview) -> int:
    """Return the bytes before a possible signature, at least one."""
    found = bytes(here[:_SEARCHED]).find(DESCRIPTOR, 1)
    return found if found > 0 else max(1, min(len(here), _SEARCHED) - len(DESCRIPTOR) + 1)


@dataclass(frozen=True, slots=True)
class _End:
    """The record at the end of an archive, about its directory."""

    offset: int
    narrow: tuple[int, int, int]
    """The number of entries, the size, and the start of the directory."""
    wide: tuple[int, int, int] | None
    """The same three, from the Zip64 record."""

    def judge(self, count: int, start: int) -> None:
        """Check that the directory fits this record."""
        found = count, self.offset - start, start
        # Without Zip64, Apple's Archive Utility writes the low half of what is too large.
        wrapped = count % _WRAP_COUNT, found[1] % WRAP, start % WRAP
        ones = _WRAP_COUNT - 1, WRAP - 1, WRAP - 1
        fits = (
            self.narrow == wrapped
            if self.wide is None
            else self.wide == found
            and all(a in {b, c} for a, b, c in zip(self.narrow, found, ones, strict=True))
        )
        if not fits:
            raise Rejected(AMBIGUOUS, "The archive's end contradicts what it holds.")


def _read_end(source: PushedBytes, signature: bytes) -> Step[_End]:
    offset = source.offset - len(signature)
    wide = None
    if signature == END64:
        wide = yield from _read_end64(source, offset)
        signature = yield from source.take(4)
    if signature != END:
        raise Rejected(MALFORMED, _NO_END)
    disk, first, here, *narrow, length = _END_FIELDS.unpack((yield from source.take(18)))
    _judge_disks(disk, first, here, narrow[0])
    comment = yield from source.take(length)
    if END in comment:
        raise Rejected(AMBIGUOUS, "The archive's comment has an archive's end in it.")
    look_at(comment)
    return _End(offset, (narrow[0], narrow[1], narrow[2]), wide)


def _read_end64(source: PushedBytes, offset: int) -> Step[tuple[int, int, int]]:
    fields = _END64_FIELDS.unpack((yield from source.take(_END64_FIELDS.size)))
    size, _, _, disk, first, here, *wide = fields
    _judge_disks(disk, first, here, wide[0])
    if size != _END64_FIELDS.size - 8 or (yield from source.take(4)) != LOCATOR64:
        raise Rejected(MALFORMED, _NO_END)
    disk, found, disks = _LOCATOR_FIELDS.unpack((yield from source.take(16)))
    if disk or disks > 1 or found != offset:
        raise Rejected(AMBIGUOUS, _NO_END)
    return wide[0], wide[1], wide[2]


def _judge_disks(disk: int, first: int, here: int, entries: int) -> None:
    if disk in {0, 0xFFFF, WRAP - 1} and first in {0, 0xFFFF, WRAP - 1} and here == entries:
        return
    raise Rejected(UNSUPPORTED, "The archive is one part of several.")
