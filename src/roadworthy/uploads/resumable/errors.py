"""The problems of resumable uploads, beside those of their policy."""

from typing import Any

from roadworthy.problems import Problem

__all__ = [
    "ChecksumMismatch",
    "OffsetConflict",
    "TooManyPieces",
    "TusHeaderInvalid",
    "TusVersionUnsupported",
    "UploadBusy",
    "UploadGone",
    "UploadInterrupted",
    "UploadNotFound",
]


class TusHeaderInvalid(Problem):
    """A header of the tus protocol is missing or invalid."""

    status = 400
    title = "Header invalid"
    detail = "{reason}"
    reason: str

    def details(self) -> list[Any]:
        """Return nothing: the message has the reason."""
        return []


class UploadNotFound(Problem):
    """The upload does not exist, or belongs to somebody else."""

    status = 404
    title = "Upload not found"
    detail = "There is no such upload. Begin a new one."


class OffsetConflict(Problem):
    """The body does not begin at the upload's offset: see `Upload-Offset`."""

    status = 409
    title = "Offset conflict"
    detail = "The upload does not stand at this offset. Ask for its offset, and go on from there."
    headers = {"Upload-Offset": "{offset}"}  # noqa: RUF012 - never changed
    offset: int


class UploadInterrupted(Problem):
    """The body stopped, was too slow, or another request went on with the upload.

    The bytes that came are kept. The status is 409, because tus clients go on after 409 and
    give up after 408.
    """

    status = 409
    title = "Upload interrupted"
    detail = "Not all of the body has arrived. Ask for the upload's offset, and go on from there."
    headers = {"Upload-Offset": "{offset}"}  # noqa: RUF012 - never changed
    offset: int


class UploadGone(Problem):
    """The upload has expired, was terminated, or its file was refused."""

    status = 410
    title = "Upload gone"
    detail = "The upload does not exist any more. Begin a new one."


class TusVersionUnsupported(Problem):
    """`Tus-Resumable` names an unsupported version; see `Tus-Version`."""

    status = 412
    title = "Version not supported"
    detail = "Send Tus-Resumable: 1.0.0."
    headers = {"Tus-Version": "1.0.0"}  # noqa: RUF012 - never changed


class TooManyPieces(Problem):
    """The upload came in too many small requests."""

    status = 422
    title = "Too many pieces"
    detail = "The upload came in too many small pieces. Begin a new one, and send more at a time."


class UploadBusy(Problem):
    """Another request is completing the file; try again soon."""

    status = 423
    title = "Upload busy"
    detail = "The upload is being completed by another request. Ask again in a moment."
    headers = {"Retry-After": "1"}  # noqa: RUF012 - never changed


class ChecksumMismatch(Problem):
    """The body does not match its `Upload-Checksum`; nothing of it was kept."""

    status = 460
    title = "Checksum mismatch"
    detail = "The bytes that arrived are not the bytes that were sent: send them again."
