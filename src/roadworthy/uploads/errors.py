"""The problems of uploads, beside 413, 415 and 422 `VALIDATION_FAILED`."""

from collections.abc import Sequence
from typing import Any, Final, Self

from typing_extensions import TypedDict  # Pydantic needs this one before Python 3.12

from roadworthy.problems import Problem, UnsupportedMediaType
from roadworthy.uploads.types.inspecting.filetype import FileType
from roadworthy.uploads.types.likely_type import likely_type

__all__ = [
    "EMPTY",
    "BodyEncoded",
    "DigestMismatch",
    "FileRejected",
    "FileTypeRefused",
    "PartEncoded",
    "RejectedJson",
]


EMPTY: Final = "The file is empty. Send one that has content."
"""The message about a file without bytes."""


class RejectedJson(TypedDict):
    """The reason of a refusal, as JSON."""

    reason: str


class FileRejected(Problem):
    """The file is of an accepted type, but its content is broken or dangerous."""

    status = 422
    title = "File rejected"
    detail = "{message}"
    details_type = RejectedJson
    reason: str
    message: str

    def details(self) -> list[Any]:
        """Return the reason of the refusal, for programs."""
        return [RejectedJson(reason=self.reason)]

    def reason_for_log(self) -> str:
        """Return the reason of the refusal."""
        return self.reason


class FileTypeRefused(UnsupportedMediaType):
    """The bytes are of no accepted type, or of another type than was declared."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    title = "Unsupported media type"
    detail = "{message}"
    details_type = RejectedJson
    reason: str = "not_taken"
    message: str = "The file is of none of the types that are taken here."

    @classmethod
    def none_of(cls, accept: Sequence[FileType], head: bytes = b"") -> Self:
        """Return the refusal of a file that is of none of these types."""
        found = likely_type(head)
        do = f"It seems to be {found}: save it as one of these." if found else _DO
        message = f"The file is of none of the types that are taken here: {_named(accept)}. {do}"
        return cls(reason="not_taken", message=message)

    @classmethod
    def contradicted(cls, found: Sequence[FileType]) -> Self:
        """Return the refusal of a file declared as another type than it is."""
        message = (
            f"The file is declared to be of another type than it is: {_named(found)}. "
            "Declare that, or application/octet-stream."
        )
        return cls(reason="contradicts", message=message)

    def details(self) -> list[Any]:
        """Return the reason of the refusal, for programs."""
        return [RejectedJson(reason=self.reason)]

    def reason_for_log(self) -> str:
        """Return the reason of the refusal."""
        return self.reason


_DO: Final = "Save it as one of these."


def _named(kinds: Sequence[FileType]) -> str:
    return ", ".join(dict.fromkeys(f"{kind.media_type} ({kind.extension})" for kind in kinds))


class BodyEncoded(UnsupportedMediaType):
    """The body is compressed (`Content-Encoding`), which no upload may be."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    title = "Unsupported media type"
    detail = (
        "The body has a Content-Encoding ({coding}). Send it as it is, without that header; "
        "a compressed file is sent like any other."
    )
    # RFC 9110 §15.5.16: so that the client can tell it from an unsupported type.
    headers = {"Accept-Encoding": "identity"}  # noqa: RUF012 - never changed
    details_type = RejectedJson
    coding: str

    def details(self) -> list[Any]:
        """Return the reason of the refusal, for programs."""
        return [RejectedJson(reason="content_encoding")]

    def reason_for_log(self) -> str:
        """Return the reason of the refusal."""
        return "content_encoding"


class PartEncoded(UnsupportedMediaType):
    """A part has a `Content-Transfer-Encoding`, such as base64: send its bytes."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    title = "Unsupported media type"
    detail = (
        "A part has a Content-Transfer-Encoding ({encoding}). Send its bytes as they are: "
        "without that header, or with 7bit, 8bit or binary."
    )
    details_type = RejectedJson
    encoding: str

    def details(self) -> list[Any]:
        """Return the reason of the refusal, for programs."""
        return [RejectedJson(reason="content_transfer_encoding")]

    def reason_for_log(self) -> str:
        """Return the reason of the refusal."""
        return "content_transfer_encoding"


class DigestMismatch(Problem):
    """The content does not match its `Content-Digest` or `Repr-Digest` (RFC 9530)."""

    status = 400
    title = "Digest mismatch"
    detail = "The content that arrived is not the content that was sent: send it again."
