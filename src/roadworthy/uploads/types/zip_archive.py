"""`ZIP`: archives, read from first byte to last, so that all readers see the same.

A reader that starts at the end trusts the central directory; one that streams trusts the
local headers. Here the two have to agree, with no gap before, between or after the entries,
so there is no room for a second archive or another format. Entries are judged by the sizes
that they declare. Entries without a size are inflated to find their end, and others too, up to
`max_inflated` bytes: their sizes and CRCs are verified.

An archive in an archive is content like any other: whoever unpacks it has to judge it.
"""

from typing import Final

from roadworthy.uploads.arguments import limited
from roadworthy.uploads.types.inspecting.decompression import MAX_EXPANDED, MAX_RATIO
from roadworthy.uploads.types.inspecting.filetype import FileType
from roadworthy.uploads.types.office.zip_or_office import ArchiveKind, ZipOrOffice
from roadworthy.uploads.types.zip.records import ARCHIVES, END, LOCAL
from roadworthy.uploads.types.zip.walk import MAX_ENTRIES, MAX_INFLATED, ZipLimits

__all__ = ["ZIP", "zip_within"]


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
        breadth=1,  # office documents are archives, too
        together=ZipOrOffice,
    )


ZIP: Final = zip_within()
"""Archives of other methods than stored and deflate are judged by their headers alone."""
