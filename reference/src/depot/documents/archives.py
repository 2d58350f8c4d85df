"""The endpoints of archives: as those of documents, without thumbnails.

A large one may come by tus 1.0.0 instead, in as many requests as its connection takes.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Request, Response, status

from depot import headers
from depot.documents import downloads, keeping
from depot.documents.models import Document
from depot.documents.policies import ARCHIVES
from depot.documents.problems import DocumentNotFound
from depot.jobs import header
from roadworthy import problems
from roadworthy.conditional import IfMatch, IfNoneMatch, PreconditionRequired, set_etag
from roadworthy.database import ReadLatest, Tx
from roadworthy.lifespan import find
from roadworthy.uploads import Files, Stored, Upload
from roadworthy.uploads.resumable import Resumable

__all__ = ["adding", "guarded", "resuming", "router"]

router = APIRouter(prefix="/archives", tags=["archives"])
guarded = APIRouter(prefix="/archives", tags=["archives"])
"""The routes that change an archive: settings may want If-Match for them."""

_TYPES: Final = tuple(kind.media_type for kind in ARCHIVES)


def adding(archives: Upload) -> APIRouter:
    """Return the endpoint that adds an archive, of what `archives` takes."""
    made = APIRouter(prefix="/archives", tags=["archives"])

    @made.post(
        "",
        status_code=status.HTTP_201_CREATED,
        responses=headers.documented(status.HTTP_201_CREATED, "Location", "ETag"),
    )
    async def add_archive(
        file: Annotated[Stored, archives.file], tx: Tx, response: Response
    ) -> Document:
        """Keep a ZIP or a gzip file."""
        row = keeping.keep(tx, file, "archive")
        response.headers["Location"] = f"/archives/{row.id}"
        set_etag(response, row.version)
        return Document.model_validate(row)

    return made


def resuming(archives: Upload) -> APIRouter:
    """Return the endpoints that take the same archives by tus."""
    resumable = Resumable(archives, path="/archives/resumable")

    @resumable.router.patch(
        "/{upload_id}",
        status_code=status.HTTP_204_NO_CONTENT,
        responses=headers.documented(status.HTTP_204_NO_CONTENT, "Location"),
    )
    async def go_on_with_archive(
        upload_id: str, file: Annotated[Stored, resumable.file], tx: Tx, response: Response
    ) -> None:
        """Take more of an archive; after its last byte it is at /archives/{upload_id}."""
        row = await keeping.keep_once(tx, file, "archive", token=upload_id)
        response.headers["Location"] = f"/archives/{row.id}"

    return resumable.router


@router.head("/{archive_id}", include_in_schema=False)
@router.get("/{archive_id}", responses=problems.responses(DocumentNotFound))
async def read_archive(archive_id: str, none_match: IfNoneMatch, read: ReadLatest) -> Document:
    """Return what is known of an archive."""
    row = await keeping.find(read, archive_id, "archive")
    none_match.check(row.version)
    return Document.model_validate(row)


@router.head("/{archive_id}/content", include_in_schema=False)
@router.get(
    "/{archive_id}/content",
    response_class=Response,
    responses=downloads.documented(DocumentNotFound, of=_TYPES),
    openapi_extra=downloads.CONDITIONS,
)
async def read_archive_content(archive_id: str, request: Request, read: ReadLatest) -> Response:
    """Return the archive itself, or ranges of it."""
    row = await keeping.find(read, archive_id, "archive")
    return await find(request, Files).download(request, row.stored())


@guarded.delete(
    "/{archive_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses={
        **headers.documented(status.HTTP_204_NO_CONTENT, header.NAME),
        **problems.responses(DocumentNotFound, PreconditionRequired),
    },
)
async def delete_archive(archive_id: str, match: IfMatch, tx: Tx, response: Response) -> None:
    """Delete an archive; X-Job-ID is that of the job that removes its file."""
    header.add(response, await keeping.remove(tx, archive_id, match, "archive"))
