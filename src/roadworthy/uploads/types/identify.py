"""`identify`: the type of a file by its first bytes and its declared media type."""

from collections.abc import Sequence

from roadworthy.uploads.errors import EMPTY, FileRejected, FileTypeRefused
from roadworthy.uploads.types.inspecting.filetype import FileType, Inspector
from roadworthy.uploads.types.inspecting.media_types import is_unknown
from roadworthy.uploads.types.office.zip_or_office import ZipOrOffice
from roadworthy.uploads.types.zip.records import END, LOCAL

__all__ = ["TypeDetector", "identify"]


def identify(head: bytes, declared: str, accept: Sequence[FileType]) -> FileType:
    """Return the accepted type of a file by its first bytes.

    If several types fit, the one that the client declares is taken, else the narrowest, and of
    equally narrow ones the first in `accept`.

    Raises:
        FileTypeRefused: 415. The file is of no accepted type, or not of the declared one.
        FileRejected: 422. The file has no bytes.
    """
    if not head:
        raise FileRejected(reason="empty", message=EMPTY)
    fitting = [kind for kind in accept if kind.matches(head)]
    if not fitting:
        raise FileTypeRefused.none_of(accept, head)
    named = [kind for kind in fitting if is_unknown(declared) or kind.is_called(declared)]
    if not named:
        raise FileTypeRefused.contradicted(fitting)
    return min(named, key=lambda kind: (kind.breadth and kind.media_type != declared, kind.breadth))


class TypeDetector:
    """The type of a file by its first bytes, and the inspector that judges it."""

    def __init__(self, head: bytes, declared: str, accept: Sequence[FileType]) -> None:
        self._declared = declared
        archives = _undecided_archives(head, accept)
        if archives:
            self.kind, rivals = _likeliest(head, declared, archives), accept
        else:
            self.kind = identify(head, declared, accept)
            rivals = _rivals(self.kind, head, accept)
        together = self.kind.together if rivals else None
        self.inspector: Inspector = (
            together(rivals, self.kind) if together else self.kind.inspector()
        )

    def final_type(self) -> FileType:
        """Return the type of the whole file.

        Raises:
            FileTypeRefused: 415. The file was declared to be of another type.
        """
        self.kind = getattr(self.inspector, "kind", self.kind)
        if not is_unknown(self._declared) and not self.kind.is_called(self._declared):
            raise FileTypeRefused.contradicted([self.kind])
        return self.kind


def _undecided_archives(head: bytes, accept: Sequence[FileType]) -> list[FileType]:
    """Return the archive types that fit, none if the first bytes decide between them."""
    if not head.startswith((LOCAL, END)):
        return []
    if any(kind.together is None and not kind.breadth for kind in accept if kind.matches(head)):
        return []
    return [kind for kind in accept if kind.together is ZipOrOffice]


def _rivals(kind: FileType, head: bytes, accept: Sequence[FileType]) -> list[FileType]:
    """Return the types that the file may still turn out to be, none if it is decided."""
    found = [one for one in accept if one.together is kind.together and one.matches(head)]
    return found if kind.together and len(found) > 1 else []


def _likeliest(head: bytes, declared: str, kinds: Sequence[FileType]) -> FileType:
    named = [kind for kind in kinds if is_unknown(declared) or kind.is_called(declared)]
    fitting = [kind for kind in kinds if kind.matches(head)]
    if not named:
        raise FileTypeRefused.contradicted(fitting or kinds)
    return min(named, key=lambda kind: (kind not in fitting, kind.breadth))
