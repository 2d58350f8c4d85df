"""The endpoints of documents."""

from typing import Annotated, Final

from fastapi import APIRouter, Request, Response, status

from depot import headers
from depot.documents import downloads, keeping
from depot.documents.models import Document
from depot.documents.policies import ARCHIVES, DOCUMENTS
from depot.documents.problems import DocumentNotFound, NoThumbnail, ThumbnailFailed
from depot.documents.tasks import make_thumbnail
from depot.jobs import header
from depot.problems import NotReady
from roadworthy import problems
from roadworthy.conditional import IfMatch, IfNoneMatch, PreconditionRequired, set_etag
from roadworthy.database import ReadLatest, Tx
from roadworthy.lifespan import find
from roadworthy.uploads import Files, Stored, Upload

__all__ = ["adding", "guarded", "router"]

router = APIRouter(prefix="/documents", tags=["documents"])
guarded = APIRouter(prefix="/documents", tags=["documents"])
"""The routes that change a document: settings may want If-Match for them."""

_TYPES: Final = tuple(kind.media_type for kind in (*DOCUMENTS, *ARCHIVES))


def adding(documents: Upload) -> APIRouter:
    """Return the endpoint that adds a document, of what `documents` takes."""
    made = APIRouter(prefix="/documents", tags=["documents"])

    @made.post(
        "",
        status_code=status.HTTP_201_CREATED,
        responses=headers.documented(status.HTTP_201_CREATED, header.NAME, "Location", "ETag"),
    )
    async def add_document(
        file: Annotated[Stored, documents.file], tx: Tx, response: Response
    ) -> Document:
        """Keep a PNG, a JPEG or a PDF; X-Job-ID is that of the job that makes its thumbnail."""
        row = keeping.keep(tx, file, "document")
        header.add(response, await make_thumbnail.enqueue(tx, document_id=row.id))
        response.headers["Location"] = f"/documents/{row.id}"
        set_etag(response, row.version)
        return Document.model_validate(row)

    return made


@router.head("/{document_id}", include_in_schema=False)
@router.get("/{document_id}", responses=problems.responses(DocumentNotFound))
async def read_document(document_id: str, none_match: IfNoneMatch, read: ReadLatest) -> Document:
    """Return what is known of a document, or of an archive."""
    row = await keeping.find(read, document_id)
    none_match.check(row.version)
    return Document.model_validate(row)


@router.head("/{document_id}/content", include_in_schema=False)
@router.get(
    "/{document_id}/content",
    response_class=Response,
    responses=downloads.documented(DocumentNotFound, of=_TYPES),
    openapi_extra=downloads.CONDITIONS,
)
async def read_content(document_id: str, request: Request, read: ReadLatest) -> Response:
    """Return the file itself, or ranges of it."""
    row = await keeping.find(read, document_id)
    return await find(request, Files).download(request, row.stored())


@router.head("/{document_id}/thumbnail", include_in_schema=False)
@router.get(
    "/{document_id}/thumbnail",
    response_class=Response,
    responses=downloads.documented(
        *(DocumentNotFound, NotReady, ThumbnailFailed, NoThumbnail), of=("image/png",)
    ),
    openapi_extra=downloads.CONDITIONS,
)
async def read_thumbnail(document_id: str, request: Request, read: ReadLatest) -> Response:
    """Return the thumbnail as a PNG; it is made within moments of the document.

    Until then the answer is 404 NOT_READY with Retry-After, and 404 THUMBNAIL_FAILED
    without, should all attempts at making it have failed.
    """
    row = await keeping.thumbnail(read, document_id)
    return await find(request, Files).download(request, row.stored(), inline=True)


@guarded.delete(
    "/{document_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses={
        **headers.documented(status.HTTP_204_NO_CONTENT, header.NAME),
        **problems.responses(DocumentNotFound, PreconditionRequired),
    },
)
async def delete_document(document_id: str, match: IfMatch, tx: Tx, response: Response) -> None:
    """Delete a document or an archive; X-Job-ID is that of the job that removes its files."""
    header.add(response, await keeping.remove(tx, document_id, match))
