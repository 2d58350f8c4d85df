"""Keep files by rows that name them, find them again, and let them go."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import select, union_all
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from depot import times
from depot.documents.models import Kind
from depot.documents.problems import DocumentNotFound, NoThumbnail, ThumbnailFailed
from depot.documents.rows import DocumentRow, ThumbnailRow
from depot.documents.tasks import remove_files
from depot.problems import NotReady
from roadworthy.conditional import Match
from roadworthy.jobs import Enqueued
from roadworthy.uploads import Stored

__all__ = ["find", "keep", "keep_once", "named", "remove", "thumbnail"]

_A_MOMENT: Final = timedelta(seconds=2)
_ALL: Final[tuple[Kind, ...]] = ("document", "archive")


def keep(
    tx: AsyncSession, file: Stored, kind: Kind, *, document_id: str | None = None
) -> DocumentRow:
    """Name a file that was received: it is kept if and only if `tx` commits."""
    row = DocumentRow(
        id=document_id or str(uuid4()),
        kind=kind,
        key=file.key,
        filename=file.filename,
        media_type=file.media_type,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        thumbnail="pending" if kind == "document" else "none",
        created_at=times.now(),
    )
    tx.add(row)
    return row


async def keep_once(tx: AsyncSession, file: Stored, kind: Kind, *, token: str) -> DocumentRow:
    """Do the same for what may be asked twice with the same token of 32 hex digits."""
    document_id = str(UUID(token))
    try:
        async with tx.begin_nested():
            return keep(tx, file, kind, document_id=document_id)
    except IntegrityError:  # another request has kept it, and its answer was lost
        return await find(tx, document_id, kind)


async def find(
    session: AsyncSession, document_id: str, *kinds: Kind, lock: bool = False
) -> DocumentRow:
    """Return what has this id, of these kinds or of any.

    Raises:
        DocumentNotFound: 404.
    """
    row, found = None, _id_of(document_id)
    if found is not None:
        row = await session.get(DocumentRow, found, with_for_update=lock or None)
    if row is None or row.kind not in (kinds or _ALL):
        raise DocumentNotFound
    return row


async def thumbnail(session: AsyncSession, document_id: str) -> ThumbnailRow:
    """Return the thumbnail of a document.

    Raises:
        DocumentNotFound: 404.
        NoThumbnail: 404. It is an archive.
        NotReady: 404, with Retry-After.
        ThumbnailFailed: 404, without.
    """
    document = await find(session, document_id)
    row = await session.get(ThumbnailRow, document.id)
    if row is not None:
        return row
    raise {"none": NoThumbnail, "failed": ThumbnailFailed}.get(document.thumbnail, NotReady)


async def remove(tx: AsyncSession, document_id: str, match: Match, *kinds: Kind) -> Enqueued:
    """Delete the row, and let a job of the same transaction remove its files.

    Raises:
        DocumentNotFound: 404.
        PreconditionFailed: 412.
    """
    row = await find(tx, document_id, *kinds, lock=True)
    match.check(row.version)
    small = await tx.get(ThumbnailRow, row.id)
    await tx.delete(row)  # and with it that of its thumbnail, by the foreign key
    keys = [row.key, *([small.key] if small else [])]
    # Whoever has found the row a moment ago still finds the file.
    return await remove_files.options(delay=_A_MOMENT).enqueue(tx, keys=keys)


async def named(session: AsyncSession, keys: Sequence[str]) -> set[str]:
    """Return those of these keys that a row names: the sweep leaves their files alone."""
    tables = (DocumentRow, ThumbnailRow)
    queries = [select(table.key).where(table.key.in_(keys)) for table in tables]
    return set(await session.scalars(union_all(*queries)))


def _id_of(text: str) -> str | None:
    try:
        read = UUID(text)
    except ValueError:
        return None
    return str(read) if text in {str(read), read.hex} else None
