"""What an inspector says of a file, and how long it takes to say so."""

import time
from itertools import pairwise

from roadworthy.uploads.types.inspecting.filetype import FileType, Rejected

HIDDEN = {
    "ZIP": b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(20),
    "end of a ZIP": b"PK\x05\x06" + bytes(18),
    "directory of a ZIP": b"PK\x01\x02" + bytes(42),
    "7z": b"7z\xbc\xaf\x27\x1c\0\4",
    "RAR": b"Rar!\x1a\x07\x01\0",
    "PDF": b"%PDF-1.4\n1 0 obj",
    "HTML": b"<!DOCTYPE html><p>",
    "script": b"<ScRiPt>alert(1)</sCrIpT>",
    "PHP": b"<?php system($_GET[0]);",
}
"""How files of other formats begin or end, to be hidden in one that is judged."""
OTHER_FILES = (
    b"PK\x03\x04\x14\0\0\0\0\0" + bytes(20),
    b"%PDF-1.7\n",
    b"<script>alert(1)</script>",
)
"""What another file may be that follows one that is judged."""


def verdict(content: bytes, *cuts: int, kind: FileType) -> str:
    """Return `taken`, or why not, of a file that comes cut at these places."""
    places = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    inspector = kind.inspector()
    try:
        for start, end in pairwise(places):
            inspector.feed(memoryview(content)[start:end])
        inspector.finish()
    except Rejected as rejected:
        return rejected.reason
    return "taken"


def byte_by_byte(content: bytes, *, kind: FileType) -> str:
    """Return the same of a file of which each byte comes alone."""
    return verdict(content, *range(len(content)), kind=kind)


def truncated(content: bytes, *, kind: FileType) -> set[str]:
    """Return what is said of a file that lacks its end, however much of it."""
    return {verdict(content[:end], kind=kind) for end in range(len(content))}


def seconds(content: bytes, *, kind: FileType) -> float:
    """Return how long it takes to judge a file that comes in pieces of 64 KiB."""
    began = time.process_time()
    verdict(content, *range(0, len(content), 65_536), kind=kind)
    return time.process_time() - began


def grows_in_proportion(small: bytes, *, times: int, kind: FileType) -> bool:
    """Return whether a file that is so many times as large takes at most 2.5 times as many times.

    A machine that is busy gets three attempts.
    """
    most = 2.5 * times
    return any(
        seconds(small * times, kind=kind) < most * max(seconds(small, kind=kind), 0.001)
        for _ in range(3)
    )
