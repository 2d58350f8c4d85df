"""`identify`: what a file is by its first bytes, and whether its client agrees."""

from collections.abc import Sequence

from roadworthy.uploads.errors import FileRejected, FileTypeRefused
from roadworthy.uploads.types.declared import is_unknown
from roadworthy.uploads.types.filetype import FileType

__all__ = ["identify"]


def identify(head: bytes, declared: str, accept: Sequence[FileType]) -> FileType:
    """Return what the first bytes say, unless the client says otherwise.

    Of several types it is the one that the client names, else the narrowest, and of these
    the first in `accept`.

    Raises:
        FileTypeRefused: 415. The reason tells which of the two it is.
        FileRejected: 422. There are no bytes.
    """
    if not head:
        raise FileRejected(reason="empty", message="The file is empty.")
    fitting = [kind for kind in accept if kind.matches(head)]
    if not fitting:
        raise FileTypeRefused.none_of(accept)
    named = [kind for kind in fitting if is_unknown(declared) or kind.is_called(declared)]
    if not named:
        raise FileTypeRefused.contradicted(fitting)
    return min(named, key=lambda kind: (kind.media_type != declared, kind.breadth))
