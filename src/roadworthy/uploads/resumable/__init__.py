"""Uploads that survive a dropped connection: the tus protocol, version 1.0.0.

    archives = Upload(max_bytes=2 * GiB, accept=(ZIP, GZIP))
    resumable = Resumable(archives, path="/archives/resumable", owner=caller)

    @resumable.router.patch("/{upload_id}", status_code=204)
    async def add(file: Annotated[Stored, resumable.file], tx: Tx) -> None:
        tx.add(ArchiveRow(key=file.key, ...))

    app.include_router(resumable.router, dependencies=[Depends(caller)])

Extensions: creation, creation-with-upload, expiration, checksum and termination.
"""

from roadworthy.uploads.resumable.headers import TUS_HEADERS
from roadworthy.uploads.resumable.in_progress import InProgress, UploadsInProgress, in_progress
from roadworthy.uploads.resumable.resumable import Resumable

__all__ = ["TUS_HEADERS", "InProgress", "Resumable", "UploadsInProgress", "in_progress"]
