"""The background tasks of documents: thumbnails, and the removal of files."""

import logging
from datetime import timedelta
from typing import Final

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from depot import times
from depot.documents.drawing import CannotDraw, draw
from depot.documents.models import Thumbnail
from depot.documents.rows import DocumentRow, ThumbnailRow
from roadworthy.database import Database
from roadworthy.jobs import Backoff, GiveUp, Job, task
from roadworthy.uploads import Files, MiB, Stored

__all__ = ["THUMBNAILS", "make_thumbnail", "remove_files"]

log = logging.getLogger(__name__)

THUMBNAILS: Final = "thumbnails/"
"""What the keys of thumbnails start with."""

MAX_SOURCE: Final = 64 * MiB
"""Bytes of a document that is drawn: it is in memory, here and in the process that draws."""

MAX_MEMORY: Final = 1024 * MiB
"""Bytes for drawing one: the largest images that are taken need half of it."""


@task(
    name="documents.make_thumbnail",
    # Some files are made to cost a minute of a processor each time; a store that is away, or a
    # server that is killed, costs attempts as well.
    attempts=8,
    timeout=timedelta(minutes=1),
    max_memory=MAX_MEMORY,
)
async def make_thumbnail(job: Job, document_id: str) -> None:
    """Draw a document small, in a process of its own, and keep that beside it."""
    async with job.find(Database).read() as session:
        row = await session.get(DocumentRow, document_id)
    if row is None or row.thumbnail == "ready":
        return  # deleted meanwhile, or an operator has run this again
    files = job.find(Files)
    png = await _draw(job, await files.read(row.stored(), max_bytes=MAX_SOURCE), row)
    key = files.new_key(THUMBNAILS)  # a new one each time: nobody waits for another attempt
    made = await files.add(png, media_type="image/png", filename="thumbnail.png", key=key)
    # A process that dies here leaves a file that no row names: the sweep removes it.
    async with job.completing() as tx:
        kept = await _keep(tx, document_id, made)
    if not kept:
        await files.delete(made)


@make_thumbnail.on_dead
async def not_made(tx: AsyncSession, document_id: str) -> None:
    """Tell who asks for the document."""
    await _set(tx, document_id, "failed")


@task(
    name="documents.remove_files",
    # Object stores are away for hours at times. What is left after that is swept.
    attempts=12,
    backoff=Backoff(first=timedelta(seconds=1), factor=2.5, most=timedelta(hours=1)),
)
async def remove_files(job: Job, keys: list[str]) -> None:
    """Remove files whose rows are gone for good; that they are gone already is no error."""
    for key in keys:
        await job.find(Files).delete(key)


async def _draw(job: Job, data: bytes, row: DocumentRow) -> bytes:
    try:
        return await job.in_process(draw, data, row.media_type)
    except CannotDraw as error:
        raise GiveUp(str(error)) from error
    except MemoryError as error:
        raise GiveUp("it takes more memory than there is for one") from error


async def _keep(tx: AsyncSession, document_id: str, made: Stored) -> bool:
    """Name the thumbnail, unless the document was deleted meanwhile or has one."""
    if not await _set(tx, document_id, "ready"):
        return False
    tx.add(
        ThumbnailRow(
            document_id=document_id,
            key=made.key,
            size_bytes=made.size_bytes,
            sha256=made.sha256,
            made_at=times.now(),
        )
    )
    return True


async def _set(tx: AsyncSession, document_id: str, thumbnail: Thumbnail) -> bool:
    """Say how far the thumbnail is, unless it is there already."""
    change = update(DocumentRow).where(
        DocumentRow.id == document_id, DocumentRow.thumbnail != "ready"
    )
    changed = await tx.execute(change.values(thumbnail=thumbnail).returning(DocumentRow.id))
    return changed.one_or_none() is not None
