"""`in_progress`: the resumable uploads that are under way, for operators.

    for upload in await in_progress(files):
        print(upload.id, upload.received, "of", upload.length)

It lists the store, and reads what was said when each upload began; no byte of a file.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from roadworthy.uploads.files import Files
from roadworthy.uploads.resumable.unfinished import PREFIX
from roadworthy.uploads.store import FileMissing

__all__ = ["InProgress", "UploadsInProgress", "in_progress"]

_LISTED: Final = 5000
"""Entries of the store that are looked at."""
_SMALL: Final = 64 * 1024
_NO_PIECES: Final = frozenset({"info", "stored", "done", "gone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InProgress:
    """One upload that has begun and has not ended."""

    id: str
    received: int
    """Bytes that are in the store."""
    length: int | None
    """Bytes of the whole file; None where it could not be read."""
    media_type: str
    """What the client declares, or nothing."""
    last_at: datetime
    """When the store took the last of it."""
    expires_at: datetime | None
    """From then on it is gone, and the next sweep removes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadsInProgress:
    """What the store has of unfinished uploads."""

    uploads: list[InProgress]
    """Those under way, the last one that moved first."""
    more: int
    """How many others there are."""
    expired: int
    """How many of these wait for the sweep, as they took too long."""
    ended: int
    """How many are complete, refused or terminated: the sweep removes what is left of them."""
    complete: bool
    """Whether the whole store was looked at."""


@dataclass(slots=True)
class _Seen:
    last_at: datetime
    received: int = 0
    names: set[str] = field(default_factory=set[str])


async def in_progress(files: Files, *, most: int = 20) -> UploadsInProgress:
    """Return the resumable uploads that are under way, with details of the last `most`."""
    seen, complete = await _list(files)
    ended = [one for one in seen.values() if one.names & {"done", "gone"}]
    open_ones = {id_: one for id_, one in seen.items() if not one.names & {"done", "gone"}}
    newest = sorted(open_ones.items(), key=lambda item: item[1].last_at, reverse=True)
    found = [await _of(files, id_, one) for id_, one in newest[:most]]
    now = datetime.now(UTC)
    return UploadsInProgress(
        uploads=found,
        more=len(newest) - len(found),
        expired=sum(one.expires_at is not None and one.expires_at <= now for one in found),
        ended=len(ended),
        complete=complete,
    )


async def _list(files: Files) -> tuple[dict[str, _Seen], bool]:
    seen: dict[str, _Seen] = {}
    looked_at = 0
    async for entry in files.store.entries(PREFIX):
        if looked_at == _LISTED:
            return seen, False
        looked_at += 1
        id_, _, name = entry.key.removeprefix(PREFIX).partition("/")
        one = seen.setdefault(id_, _Seen(entry.modified_at))
        one.names.add(name)
        one.last_at = max(one.last_at, entry.modified_at)
        one.received += 0 if name in _NO_PIECES else entry.size_bytes
    return seen, True


async def _of(files: Files, id_: str, one: _Seen) -> InProgress:
    try:
        told: dict[str, Any] = json.loads(await files.read(f"{PREFIX}{id_}/info", max_bytes=_SMALL))
    except (FileMissing, ValueError):  # it has ended meanwhile
        told = {}
    expires = told.get("expires_at")
    return InProgress(
        id=id_,
        received=one.received,
        length=told.get("length"),
        media_type=str(told.get("media_type", "")),
        last_at=one.last_at,
        expires_at=None if expires is None else datetime.fromtimestamp(expires, UTC),
    )
