"""What an inspector says of a file, and how long it takes to say so."""

import time
from itertools import pairwise

from roadworthy.uploads.types.filetype import FileType, Rejected


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
