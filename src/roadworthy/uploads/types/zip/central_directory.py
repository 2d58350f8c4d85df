"""`CentralDirectory`: compare a ZIP's central directory with the entries read."""

from array import array
from hashlib import blake2b
from secrets import token_bytes
from typing import Final

from roadworthy.uploads.types.inspecting.archive_paths import ArchiveTree, judge_path
from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import (
    AMBIGUOUS,
    PATH_CLIMBS_OUT,
    SPECIAL_FILE,
    TOO_MANY_ENTRIES,
)
from roadworthy.uploads.types.zip.records import ZipEntry

__all__ = ["CentralDirectory"]

_BUCKETS: Final = 64
_KIND: Final = 0o170000
_LINK: Final = 0o120000
_PLAIN: Final = frozenset({0, 0o040000, 0o100000, _KIND})
"""Modes of plain entries: none, a folder, a file, and all ones, as Maven writes."""


class CentralDirectory:
    """The entries of an archive, as sums and hashes of some 24 bytes each."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self.count = 0
        secret = token_bytes(16)
        self._seen, self._wrapped, self._listed = _Sum(secret), _Sum(secret), _Sum(secret)
        self._listed_count = 0
        self._names, self._listed_names = _Names(), _Names()
        self._tree = ArchiveTree()
        self._no_targets = array("Q")
        self._links: set[int] = set()

    def begin(self, entry: ZipEntry) -> None:
        """Judge the name of an entry."""
        self.count += 1
        if self.count > self._max_entries:
            raise Rejected(TOO_MANY_ENTRIES, "The archive has too many entries.")
        self._judge_names(entry)
        for name in {entry.name, entry.unicode_name or entry.name}:
            self._names.add(name)
            self._tree.add(name)

    def end(self, entry: ZipEntry, *, may_be_link: bool) -> None:
        """Add an entry whose sizes are known."""
        self._seen.add(entry.packed())
        self._wrapped.add(entry.packed(wrapped=True))
        if not may_be_link:
            self._no_targets.append(entry.offset)

    def list(self, entry: ZipEntry) -> None:
        """Add an entry of the central directory."""
        self._listed_count += 1
        self._listed.add(entry.packed())
        self._judge_names(entry)
        name = entry.unicode_name or entry.name  # which the local header may not know
        self._listed_names.add(name)
        self._tree.add(name)
        kind = entry.mode & _KIND
        if kind == _LINK:
            self._tree.add_link(entry.name)
            self._tree.add_link(name)
            self._links.add(entry.offset)
        elif kind not in _PLAIN:
            raise Rejected(SPECIAL_FILE, "The archive holds a device or a pipe.")

    def judge(self, *, wide: bool) -> None:
        """Check that the directory lists what was read, and each name once.

        Without 64-bit fields, the directory may have the low half of sizes above 4 GiB.
        """
        expected = self._seen if wide else self._wrapped
        if self._listed_count != self.count or not self._listed.equals(self._seen, expected):
            raise Rejected(AMBIGUOUS, "The archive's directory is not what the archive holds.")
        if self._names.has_twins or self._listed_names.has_twins:
            raise Rejected(AMBIGUOUS, "Two entries of the archive have one name.")
        if any(offset in self._links for offset in self._no_targets):
            raise Rejected(PATH_CLIMBS_OUT, "A link in the archive leads out of its folder.")
        self._tree.judge()

    def _judge_names(self, entry: ZipEntry) -> None:
        judge_path(entry.name, utf8=entry.is_utf8)
        if entry.unicode_name is not None:
            judge_path(entry.unicode_name, utf8=True)


class _Names:
    """A set of names as hashes, which finds names that come twice."""

    def __init__(self) -> None:
        self._numbers = [array("q") for _ in range(_BUCKETS)]

    def add(self, name: bytes) -> None:
        """Add one name."""
        number = hash(name)
        self._numbers[number % _BUCKETS].append(number)

    @property
    def has_twins(self) -> bool:
        """Whether a name came twice."""
        return any(len(set(numbers)) < len(numbers) for numbers in self._numbers)


class _Sum:
    """A sum of records, equal for equal sets in any order.

    The hashes are keyed with a secret, so that nobody can find records whose sums agree.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.total = 0

    def add(self, record: bytes) -> None:
        """Add one record."""
        digest = blake2b(record, digest_size=16, key=self._secret).digest()
        self.total += int.from_bytes(digest)

    def equals(self, *others: "_Sum") -> bool:
        """Return whether two sums are equal."""
        return any(self.total == other.total for other in others)
