"""`ZipOrOffice`: tell a plain ZIP from office documents, by the main part.

The first entry of an archive says little, and parts come in any order. So a file that may be of
several types is read once, inspected as a document, and its type is told at its end. A document
that is not accepted is not accepted as a plain archive either: neither one with macros, nor an
OpenDocument file that does not begin as it should.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from roadworthy.uploads.errors import FileTypeRefused
from roadworthy.uploads.types.inspecting.filetype import Data, FileType, Rejected
from roadworthy.uploads.types.inspecting.push_parser import PushParser
from roadworthy.uploads.types.inspecting.reasons import (
    OTHER_TYPE,
    TOO_LARGE_INSIDE,
    TOO_MANY_ENTRIES,
)
from roadworthy.uploads.types.office.document_types import ODF, of_another_kind
from roadworthy.uploads.types.office.main_part import MainPart
from roadworthy.uploads.types.office.opc import DocumentFamily, Opc
from roadworthy.uploads.types.zip.records import LOCAL, ZipEntry
from roadworthy.uploads.types.zip.walk import Take, Walk, ZipLimits

__all__ = ["ArchiveKind", "ZipOrOffice"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ArchiveKind:
    """The limits of one archive type, and its family if it is a document."""

    limits: ZipLimits
    family: DocumentFamily | None = None

    def __call__(self) -> PushParser:
        """Return the inspector of a file that can be of this type alone."""
        contents = Opc((self.family,)) if self.family else None
        return PushParser(Walk(self.limits, contents).read)

    def judge(self, walk: Walk) -> None:
        """Check an archive that was read with wider limits.

        Raises:
            Rejected: The archive is larger than this type may be.
        """
        if walk.entries > self.limits.max_entries:
            raise Rejected(TOO_MANY_ENTRIES, "The archive has too many entries.")
        if walk.expanded > self.limits.max_expanded:
            raise Rejected(TOO_LARGE_INSIDE, "What is packed in the file is too large.")


class ZipOrOffice:
    """Judge a file that may be of several archive types, and tell its type in the end."""

    def __init__(self, accept: Sequence[FileType], guess: FileType) -> None:
        self._accept = accept
        self._made = {k: k.inspector for k in accept if isinstance(k.inspector, ArchiveKind)}
        self.kind = guess
        """The type of the file, once the file is whole."""
        families = tuple(made.family for made in self._made.values() if made.family)
        self._documents = {*(one.main for one in families), *_opendocuments(accept)}
        self._contents = _Unsure(families)
        limits = _widest([made.limits for made in self._made.values()])
        self._walk = Walk(limits, self._contents if self._documents else None)
        self._steps = PushParser(self._walk.read)

    def feed(self, data: Data) -> None:
        """Judge the next bytes of the file."""
        self._steps.feed(data)

    def finish(self) -> None:
        """Tell the type of the file, and judge it as that.

        Raises:
            FileTypeRefused: 415. The file is an archive, and only documents are accepted.
            Rejected: The file is a document of another type, or dangerous.
        """
        self._steps.finish()
        self.kind = self._told()
        self._made[self.kind].judge(self._walk)

    def _told(self) -> FileType:
        package = self._contents.package
        if package.is_document:
            self._judge(package)
        for kind, made in self._made.items():
            if made.family and made.family.main == package.main_type:
                return kind
        for kind, made in self._made.items():
            if made.family is None:
                self._be_plain(package)
                return kind
        if not package.is_begun:
            raise FileTypeRefused.none_of(self._accept, LOCAL)
        self._contents.judge()
        raise self._of_another_kind(package.main_type or "")

    def _judge(self, package: MainPart) -> None:
        try:
            self._contents.judge()
        except Rejected as rejected:
            if rejected.reason == OTHER_TYPE:  # the message knows only of documents
                raise self._of_another_kind(package.main_type or "") from rejected
            raise

    def _be_plain(self, package: MainPart) -> None:
        if self._documents and package.opendocument:
            raise self._of_another_kind(package.opendocument)

    def _of_another_kind(self, found: str) -> Rejected:
        return of_another_kind(found, [kind.extension for kind in self._accept])


class _Unsure:
    """Inspect parts as those of a document, and keep the rejection for the end."""

    def __init__(self, families: tuple[DocumentFamily, ...]) -> None:
        self.package = MainPart()
        self._opc = Opc(families)
        self._found: Rejected | None = None

    def begin(self, entry: ZipEntry, /) -> Take | None:
        """Inspect an entry, unless something was found before."""
        named = self.package.begin(entry)
        looked = self._until_found(lambda: self._opc.begin(entry))
        if named is None and looked is None:
            return None

        def take(data: bytes) -> None:
            if named is not None:
                named(data)
            self._until_found(lambda: looked(data) if looked is not None else None)

        return take

    def end(self) -> None:
        """End an entry."""
        self.package.end()
        self._until_found(self._opc.end)

    def finish(self) -> None:
        """End the archive."""
        self._until_found(self._opc.finish)

    def judge(self) -> None:
        """Raise the kept rejection, as the file is a document.

        Raises:
            Rejected: The document is not accepted.
        """
        if self._found is not None:
            raise self._found

    def _until_found(self, look: Callable[[], T]) -> T | None:
        if self._found is None:
            try:
                return look()
            except Rejected as rejected:
                self._found = rejected
        return None


def _opendocuments(accept: Sequence[FileType]) -> Iterator[str]:
    """Yield the accepted OpenDocument types, which are told by their first bytes."""
    return (kind.media_type for kind in accept if kind.media_type.startswith(ODF))


def _widest(limits: Sequence[ZipLimits]) -> ZipLimits:
    return ZipLimits(
        max_entries=max(one.max_entries for one in limits),
        max_expanded=max(one.max_expanded for one in limits),
        max_ratio=max(one.max_ratio for one in limits),
        max_inflated=max(one.max_inflated for one in limits),
    )
