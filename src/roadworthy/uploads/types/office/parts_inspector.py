"""`PartsInspector`: what inspectors of OOXML and OpenDocument have in common."""

import re
from typing import Final, Protocol

from roadworthy.uploads.stored import MiB
from roadworthy.uploads.types.inspecting.filetype import Data, Rejected
from roadworthy.uploads.types.inspecting.reasons import (
    ACTIVE_CONTENT,
    AMBIGUOUS,
    NOT_UTF8,
    UNSUPPORTED,
)
from roadworthy.uploads.types.office.main_part import normal
from roadworthy.uploads.types.texts.xml import Budget
from roadworthy.uploads.types.zip.records import DEFLATED, STORED, ZipEntry
from roadworthy.uploads.types.zip.walk import Take

__all__ = ["PartInspector", "PartsInspector", "PlainXml", "acts"]

_MAX_ELEMENTS: Final = 5_000_000
"""The most elements, without Excel's tables: 1,000 pages of text have some 500,000."""
_MAX_XML: Final = 256 * MiB
_DECLARED: Final = re.compile(rb"""\A(?:\xef\xbb\xbf)?<\?xml[^>]*encoding\s*=\s*["']([\w.-]*)""")
_DOCTYPE: Final = b"<!DOCTYPE"


class PartInspector(Protocol):
    """Inspect one part of a document."""

    def feed(self, data: Data, /) -> None:
        """Judge the next bytes of the file."""
        ...

    def finish(self) -> None:
        """End the part, and judge it as a whole."""
        ...


class PartsInspector:
    """Inspect the parts of an archive: the `Contents` of its walk."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        """The names of all entries, in the form that packages compare."""
        self.budget = Budget(_MAX_ELEMENTS, _MAX_XML)
        self._part: PartInspector | None = None

    def begin(self, entry: ZipEntry, /) -> Take | None:
        """Judge the name of an entry, and return the reader of its content."""
        if entry.unicode_name is not None:
            raise Rejected(AMBIGUOUS, "A part of the document has two names.")
        if entry.method not in {STORED, DEFLATED}:
            raise Rejected(UNSUPPORTED, "The document is packed in a way that is not its own.")
        name = normal(entry.name)
        if name in self.names:
            raise Rejected(AMBIGUOUS, "Two parts of the document have one name.")
        self.names.add(name)
        self._part = None if name.endswith("/") else self.part(name, entry)
        return self._part.feed if self._part is not None else None

    def end(self) -> None:
        """End a part."""
        if self._part is not None:
            self._part.finish()

    def finish(self) -> None:
        """End the document, and judge it as a whole."""
        raise NotImplementedError

    def part(self, name: str, entry: ZipEntry) -> PartInspector | None:
        """Judge a part by its lower-case name, and return its inspector."""
        raise NotImplementedError


class PlainXml:
    """Check that a large table is UTF-8 and has no document type."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""

    def feed(self, data: Data) -> None:
        """Search the next bytes, and the seam to the bytes before."""
        if len(self._head) < 256:  # noqa: PLR2004 - a declaration is shorter
            self._head += bytes(data[:256])
        seam = self._tail + bytes(data[: len(_DOCTYPE)])
        if _DOCTYPE in seam or _DOCTYPE in bytes(data):
            raise acts("a DOCTYPE")
        self._tail = (self._tail + bytes(data[-len(_DOCTYPE) :]))[-len(_DOCTYPE) + 1 :]

    def finish(self) -> None:
        """Check the encoding."""
        declared = _DECLARED.match(self._head)
        is_other = declared and declared[1].lower() not in {b"utf-8", b"us-ascii"}
        if is_other or self._head[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in self._head[:4]:
            raise Rejected(NOT_UTF8, "A part of the document is not UTF-8.")


def acts(what: str) -> Rejected:
    """Return the rejection of content that runs or fetches something."""
    return Rejected(ACTIVE_CONTENT, f"The document has {what}, which may act when it is opened.")
