"""`TarScan`: detect a tar archive in decompressed bytes, and judge it.

POSIX ustar and pax (IEEE 1003.1), and GNU's long names. Contents are skipped.
"""

import re
from typing import Final

from roadworthy.uploads.types.inspecting.archive_paths import ArchiveTree, judge_path, leads_out
from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import (
    MALFORMED,
    PATH_CLIMBS_OUT,
    SPECIAL_FILE,
    TOO_LARGE_INSIDE,
    TOO_MANY_ENTRIES,
    TRUNCATED,
)

__all__ = ["MAX_ENTRIES", "TarScan"]

MAX_ENTRIES: Final = 200_000
"""The most entries: the sources of Linux have 92,000."""
_BLOCK: Final = 512
_MAX_META: Final = 64 * 1024
"""The most bytes of a set of extended headers, or of a long name."""
_RECORD: Final = re.compile(rb"(\d{1,10}) ([^=\n]+)=")
_FILES: Final = frozenset(b"0\x007")
_LONG: Final = {ord("L"): b"path", ord("K"): b"linkpath"}
_PAX: Final = frozenset(b"xg")
_LINKS: Final = frozenset(b"12")
_DEVICES: Final = frozenset(b"346")
_FOLDER: Final = ord("5")


class TarScan:
    """Read the unpacked bytes of a compressed file."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._head = bytearray()
        self._is_tar: bool | None = None
        self._skip = 0
        self._wanted = 0
        self._meta = bytearray()
        self._meta_kind = 0
        self._told: dict[bytes, bytes] = {}
        self._entries = 0
        self._ended = False
        self._tree = ArchiveTree()

    def feed(self, data: bytes) -> None:
        """Judge the next bytes of the file.

        Raises:
            Rejected: The bytes are a tar archive, and an entry leads out of it, or is no file.
        """
        at = 0
        while at < len(data) and self._is_tar is not False and not self._ended:
            at += self._step(data, at)

    def finish(self) -> None:
        """End the file, and judge it as a whole."""
        if self._is_tar and not self._ended and (self._skip or self._wanted or self._head):
            raise Rejected(TRUNCATED, "The archive in the file ends too early.")
        self._tree.judge()

    def _step(self, data: bytes, at: int) -> int:
        """Read some of the bytes, and return how many."""
        if self._wanted:
            used = min(self._wanted, len(data) - at)
            self._meta += data[at : at + used]
            self._wanted -= used
            if not self._wanted:
                self._extend()
            return used
        if self._skip:
            used = min(self._skip, len(data) - at)
            self._skip -= used
            return used
        used = min(_BLOCK - len(self._head), len(data) - at)
        self._head += data[at : at + used]
        if len(self._head) == _BLOCK:
            head, self._head = bytes(self._head), bytearray()
            self._header(head)
        return used

    def _header(self, head: bytes) -> None:
        if self._is_tar is None:
            self._is_tar = _is_header(head)
            if not self._is_tar:
                return
        if not head.strip(b"\0"):
            self._ended = True
            return
        if not _is_header(head):
            raise Rejected(MALFORMED, "The archive in the file is broken.")
        self._entries += 1
        if self._entries > self._max_entries:
            raise Rejected(TOO_MANY_ENTRIES, "The archive in the file has too many entries.")
        self._entry(head, head[156])

    def _entry(self, head: bytes, kind: int) -> None:
        size = _number(self._told.get(b"size"), head[124:136])
        if kind in _LONG or kind in _PAX:
            if size > _MAX_META:
                raise Rejected(TOO_LARGE_INSIDE, "A header of the archive is too large.")
            self._meta, self._meta_kind, self._wanted = bytearray(), kind, size
            self._skip = -size % _BLOCK
            return
        self._judge(head, kind)
        self._told = {}
        has_content = kind in _FILES or kind not in {*_LINKS, *_DEVICES, _FOLDER}
        self._skip = size + -size % _BLOCK if has_content else 0

    def _extend(self) -> None:
        meta = bytes(self._meta)
        if self._meta_kind in _LONG:
            self._told[_LONG[self._meta_kind]] = meta.rstrip(b"\0")
            return
        at = 0
        while found := _RECORD.match(meta, at):
            end = at + int(found[1])
            if end <= found.end() or end > len(meta):
                raise Rejected(MALFORMED, "A header of the archive is broken.")
            self._told[found[2]] = meta[found.end() : end - 1]
            at = end

    def _judge(self, head: bytes, kind: int) -> None:
        name = self._told.get(b"path") or _name(head)
        if name.rstrip(b"/") not in {b".", b""}:
            judge_path(name)
        self._tree.add(name)
        if kind in _DEVICES:
            raise Rejected(SPECIAL_FILE, "There is a device or pipe in the archive.")
        if kind in _LINKS:
            self._judge_link(name, kind, self._told.get(b"linkpath") or _text(head[157:257]))

    def _judge_link(self, name: bytes, kind: int, target: bytes) -> None:
        if kind == ord("1"):  # a hard link names its target from the root of the archive
            judge_path(target)
        elif leads_out(name, target):
            raise Rejected(PATH_CLIMBS_OUT, "A link in the archive leads out of its folder.")
        else:
            self._tree.add_link(name)


def _is_header(head: bytes) -> bool:
    told = _octal(head[148:156])
    blank = head[:148] + b" " * 8 + head[156:]
    return head[257:262] == b"ustar" and told == sum(blank)


def _name(head: bytes) -> bytes:
    name, prefix = _text(head[:100]), _text(head[345:500])
    return prefix + b"/" + name if prefix and head[257:263] == b"ustar\0" else name


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(told: bytes | None, field: bytes) -> int:
    if told is not None and told.isdigit():
        return int(told)
    if field[0] & 0x80:  # GNU's way to write what is too large for octal digits
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:])
    value = _octal(field)
    if value is None:
        raise Rejected(MALFORMED, "The archive in the file is broken.")
    return value


def _octal(field: bytes) -> int | None:
    text = field.strip(b" \0")
    try:
        return int(text, 8) if text else 0
    except ValueError:
        return None
