"""The upload policies of documents and archives, built from the settings."""

from typing import Final

from depot.documents.models import Kind
from depot.documents.tasks import THUMBNAILS
from roadworthy.uploads import Upload
from roadworthy.uploads.types import GZIP, JPEG, PDF, PNG, ZIP

__all__ = ["ARCHIVES", "DOCUMENTS", "PREFIX", "PREFIXES", "archives", "documents"]

DOCUMENTS: Final = (PNG, JPEG, PDF)
ARCHIVES: Final = (ZIP, GZIP)

PREFIX: Final[dict[Kind, str]] = {"document": "documents/", "archive": "archives/"}
"""The prefix of their keys."""
PREFIXES: Final = (*PREFIX.values(), THUMBNAILS)
"""The prefix of the keys of all our files: a bucket may hold other files, too."""


def documents(*, max_bytes: int) -> Upload:
    """Return what a document may be."""
    return Upload(max_bytes=max_bytes, accept=DOCUMENTS, prefix=PREFIX["document"])


def archives(*, max_bytes: int) -> Upload:
    """Return what an archive may be."""
    return Upload(max_bytes=max_bytes, accept=ARCHIVES, prefix=PREFIX["archive"])
