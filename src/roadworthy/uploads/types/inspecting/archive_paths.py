"""Names and links of archive entries: none may lead out of its folder."""

import re
from collections.abc import Iterator
from typing import Final

from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import (
    MALFORMED,
    PATH_CLIMBS_OUT,
    TOO_MANY_ENTRIES,
)

__all__ = ["MAX_TARGET", "ArchiveTree", "judge_path", "leads_out"]

MAX_TARGET: Final = 4096
"""The most bytes of a link's target: PATH_MAX of Linux."""
MAX_FOLDERS: Final = 65_536
MAX_LINKS: Final = 16_384

_ABSOLUTE: Final = re.compile(rb"[/\\]|[A-Za-z]:")
# Windows drops spaces and dots at the end of a segment: so `.. ` and `...` lead up, too.
_CLIMBS: Final = re.compile(rb"(?:\A|[/\\])\.\.[ .]*(?:[/\\]|\Z)")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_SEPARATOR: Final = re.compile(rb"[/\\]+")
# macOS keeps the icon of a folder in a file of this name.
_MAC_ICON: Final = re.compile(rb"(?:\A|(?<=/)|(?<=/\._))Icon\r\Z")


def judge_path(name: bytes, *, utf8: bool = False) -> None:
    """Check the name of an archive entry.

    Raises:
        Rejected: The name is absolute, leads up, has a control character, or is marked as
            UTF-8 and is not.
    """
    if _ABSOLUTE.match(name) or _CLIMBS.search(name):
        raise Rejected(PATH_CLIMBS_OUT, "A name in the archive leads out of its folder.")
    if not name or (_CONTROL.search(name) and _CONTROL.search(_MAC_ICON.sub(b"", name))):
        raise Rejected(MALFORMED, "A name in the archive has control characters, or is empty.")
    if utf8:
        try:
            name.decode()
        except UnicodeDecodeError as error:
            raise Rejected(MALFORMED, "A name in the archive is not UTF-8.") from error


def leads_out(name: bytes, target: bytes) -> bool:
    """Return whether a link of this name could lead out of the archive's folder.

    A link stays inside if its target leads up first, by no more folders than the link is in, and
    then down. That holds through other links on the way, if all of them are like that.
    """
    steps = _segments(target)
    ups = next((n for n, step in enumerate(steps) if step != b".."), len(steps))
    return (
        not target
        or len(target) > MAX_TARGET
        or bool(_ABSOLUTE.match(target) or _CONTROL.search(target))
        or b".." in steps[ups:]
        or ups > len(_segments(name)) - 1
    )


class ArchiveTree:
    """The folders and links of one archive: nothing is unpacked through a link."""

    def __init__(self) -> None:
        self._last = b""
        self._folders: set[int] = set()
        self._links: set[int] = set()

    def add(self, name: bytes) -> None:
        """Add the folders that an entry is in."""
        folder = name.rstrip(b"/\\").replace(b"\\", b"/").rpartition(b"/")[0]
        if folder == self._last:  # mostly
            return
        self._last = folder
        self._folders.update(_numbers(folder))
        if len(self._folders) > MAX_FOLDERS:
            raise Rejected(TOO_MANY_ENTRIES, "The archive has too many folders.")

    def add_link(self, name: bytes) -> None:
        """Add an entry that is a link."""
        *_, number = _numbers(name)
        self._links.add(number)
        if len(self._links) > MAX_LINKS:
            raise Rejected(TOO_MANY_ENTRIES, "The archive has too many links.")

    def judge(self) -> None:
        """Check that no entry is in a folder that is a link."""
        if not self._folders.isdisjoint(self._links):
            raise Rejected(PATH_CLIMBS_OUT, "A name in the archive passes through a link.")


def _numbers(path: bytes) -> Iterator[int]:
    """Yield a hash for each folder of a path, and one for the path itself."""
    number = 0
    yield number
    for segment in _segments(path.lower()):
        number = hash((number, segment))
        yield number


def _segments(path: bytes) -> list[bytes]:
    return [part for part in _SEPARATOR.split(path) if part not in {b"", b"."}]
