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

    Args:
        max_entries: The most entries.
        max_expanded: The most unpacked bytes of all entries together.
        max_ratio: The most unpacked bytes for each byte of the archive, above 64 MiB.
        max_inflated: The most bytes that are inflated to verify declared sizes and CRCs. With
            the value of `max_expanded`, those of all entries are verified.
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
"""`application/zip`. Of methods other than stored and deflate, only headers are judged."""
