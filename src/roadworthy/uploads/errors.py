"""What an upload can be refused for, beside 413, 415 and 422 `VALIDATION_FAILED`."""

from typing import Any

from typing_extensions import TypedDict  # Pydantic needs this one before Python 3.12

from roadworthy.problems import Problem, UnsupportedMediaType

__all__ = ["DigestMismatch", "FileRejected", "FileTypeRefused", "RejectedJson"]


class RejectedJson(TypedDict):
    """Why a file was rejected, as it is sent."""

    reason: str


class FileRejected(Problem):
    """The file is of a type that is taken, but its content is broken or dangerous."""

    status = 422
    title = "File rejected"
    detail = "{message}"
    details_type = RejectedJson
    reason: str
    message: str

    def details(self) -> list[Any]:
        """Carry the reason, for programs."""
        return [RejectedJson(reason=self.reason)]


class FileTypeRefused(UnsupportedMediaType):
    """The bytes are of no type that this route takes, or of another than was declared."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    title = "Unsupported media type"
    detail = "The file is of no type that is taken here, or of another than it is declared to be."


class DigestMismatch(Problem):
    """The content is not what its `Content-Digest` or `Repr-Digest` says (RFC 9530)."""

    status = 400
    title = "Digest mismatch"
    detail = "The content that arrived is not the content that was sent: send it again."
