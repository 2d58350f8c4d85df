"""File uploads: judged while they stream, and stored whole or not at all.

    documents = Upload(max_bytes=5 * MiB, accept=(PNG, JPEG, PDF))

    @router.post("/documents", status_code=201, openapi_extra=documents.openapi)
    async def add(file: Annotated[Stored, documents.file], tx: Tx) -> Document:
        row = DocumentRow(key=file.key, size_bytes=file.size_bytes)
        tx.add(row)
        return Document.model_validate(row)

    @router.get("/documents/{document_id}/content")
    async def content(document_id: str, request: Request, read: Read) -> Response:
        row = await find_document(read, document_id)
        return await find(request, Files).download(request, row.stored())

    files = Files(Disk("var/files"))
    app = FastAPI(lifespan=lifespan(db, files))

No byte of the body is read before all other dependencies have run. Then one pass over the
socket parses, counts, inspects, hashes and writes. A file becomes visible when the row that
names its key is committed; `Files.sweep` removes files that no row names.
"""

from roadworthy._internal.extras import extra

with extra("uploads", of="roadworthy.uploads"):
    import python_multipart as _  # noqa: F401 - so that its absence is told once

from roadworthy.uploads.checks import Check, Conversion, Scan
from roadworthy.uploads.direct import Direct, NotUploaded, Offer, TicketInvalid
from roadworthy.uploads.errors import DigestMismatch, FileRejected, FileTypeRefused
from roadworthy.uploads.filenames import content_disposition, display_name
from roadworthy.uploads.files import Files
from roadworthy.uploads.form import Form
from roadworthy.uploads.messages import Messages, by_language
from roadworthy.uploads.store import (
    Entry,
    FileMissing,
    Presigned,
    Presigning,
    Reading,
    Store,
    Writing,
)
from roadworthy.uploads.stored import GiB, KiB, MiB, Stored
from roadworthy.uploads.stores.disk import Disk
from roadworthy.uploads.types.inspecting.filetype import FileType, Inspector, Rejected
from roadworthy.uploads.upload import Upload

__all__ = [
    "Check",
    "Conversion",
    "DigestMismatch",
    "Direct",
    "Disk",
    "Entry",
    "FileMissing",
    "FileRejected",
    "FileType",
    "FileTypeRefused",
    "Files",
    "Form",
    "GiB",
    "Inspector",
    "KiB",
    "Messages",
    "MiB",
    "NotUploaded",
    "Offer",
    "Presigned",
    "Presigning",
    "Reading",
    "Rejected",
    "Scan",
    "Store",
    "Stored",
    "TicketInvalid",
    "Upload",
    "Writing",
    "by_language",
    "content_disposition",
    "display_name",
]
