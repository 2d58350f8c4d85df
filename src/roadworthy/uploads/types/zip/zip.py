"""ZIP, read from its first byte to its last, so that all readers see the same.

A reader that starts at the end trusts the central directory, one that streams trusts the
local headers. Here both have to say the same, with no gap before, between or after; so
there is no room for a second archive or another format. Entries are judged by the sizes
that they declare; those without are inflated to find their end, and so are as many of the
others as `max_inflated` allows: their sizes and CRCs are verified.

Archives in archives are contents like any other: who unpacks them judges them.
"""

from typing import Final

from roadworthy.uploads.arguments import limited
from roadworthy.uploads.types.inspecting.decompression import MAX_EXPANDED, MAX_RATIO
from roadworthy.uploads.types.inspecting.filetype import FileType
from roadworthy.uploads.types.office.zip_or_office import ArchiveKind, ZipOrOffice
from roadworthy.uploads.types.zip.records import END, LOCAL
from roadworthy.uploads.types.zip.walk import MAX_ENTRIES, MAX_INFLATED, ZipLimits

__all__ = ["ARCHIVES", "ZIP", "zip_within"]


ARCHIVES: Final = (
    "application/zip",
    "application/x-zip-compressed",  # Windows
    "application/x-zip",
    "application/zip-compressed",
    "multipart/x-zip",
)
"""What a ZIP is called, and what is one inside."""


@limited
def zip_within(
    *,
    max_entries: int = MAX_ENTRIES,
    max_expanded: int = MAX_EXPANDED,
    max_ratio: float = MAX_RATIO,
    max_inflated: int = MAX_INFLATED,
) -> FileType:
    """Make a `ZIP` with limits of your own.

    `max_expanded` is the sum of what the entries unpack to, in bytes; `max_ratio` how many
    times more than the archive that may be, above 64 MiB. With `max_inflated` equal to
    `max_expanded`, the sizes and CRCs of all entries are verified, as fast as inflating is.
    """
    limits = ZipLimits(
        max_entries=max_entries,
        max_expanded=max_expanded,
        max_ratio=max_ratio,
        max_inflated=max_inflated,
    )
    return FileType(
        "application/zip",
        ".zip",
        lambda head: head.startswith((LOCAL, END)),
        ArchiveKind(limits),
        aliases=ARCHIVES,
        breadth=1,  # documents of offices are archives, too
        together=ZipOrOffice,
    )


ZIP: Final = zip_within()
"""Archives of other methods than stored and deflate are judged by their headers alone."""
