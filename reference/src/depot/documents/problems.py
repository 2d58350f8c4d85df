"""The problems of documents and archives."""

from roadworthy.problems import Problem

__all__ = ["DocumentNotFound", "NoThumbnail", "ThumbnailFailed"]


class DocumentNotFound(Problem):
    """No document has this id, or no archive where archives are asked for."""

    status = 404
    title = "Document not found"
    detail = "There is no such document."


class NoThumbnail(Problem):
    """It is an archive: nothing of it is shown."""

    status = 404
    title = "No thumbnail"
    detail = "Archives have no thumbnail."


class ThumbnailFailed(Problem):
    """The thumbnail could not be made, and will not be until an operator tries again.

    It is a 404 as NOT_READY is, without `Retry-After`: waiting for it would not end.
    """

    status = 404
    title = "Thumbnail failed"
    detail = "The thumbnail of this document could not be made."
