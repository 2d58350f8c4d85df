"""`info_of`: read the description of a new upload from the headers of a request."""

import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from starlette.requests import Request

from roadworthy.problems import PayloadTooLarge, UnsupportedMediaType
from roadworthy.uploads.errors import EMPTY, FileRejected, FileTypeRefused
from roadworthy.uploads.receiving.policy import Policy
from roadworthy.uploads.receiving.request_body import declared_length
from roadworthy.uploads.resumable.headers import (
    CONTENT_TYPE,
    metadata_of,
    number_of,
    refuse_extensions,
)
from roadworthy.uploads.resumable.unfinished import UploadInfo
from roadworthy.uploads.types.inspecting.media_types import essence, is_unknown

__all__ = ["has_body", "hashed", "info_of", "location_of", "max_bytes", "require_content_type"]


def info_of(request: Request, policy: Policy, *, owner: str, lifetime: timedelta) -> UploadInfo:
    """Return the upload info in the headers of a creation.

    Raises:
        TusHeaderInvalid: 400.
        PayloadTooLarge: 413. The policy accepts no file of this length.
        UnsupportedMediaType: 415. The policy accepts no file of this type.
        FileRejected: 422. The file is empty.
    """
    refuse_extensions(request)
    length = number_of(request, "Upload-Length")
    metadata, said = metadata_of(request)
    if length > max_bytes(policy):
        raise PayloadTooLarge
    if length == 0:
        raise FileRejected(reason="empty", message=EMPTY)
    return UploadInfo(
        length=length,
        metadata=metadata,
        filename=said.get("filename") or said.get("name"),
        media_type=_declared(said.get("filetype") or said.get("type") or "", policy),
        owner=hashed(owner),
        expires_at=(datetime.now(UTC) + lifetime).timestamp(),
    )


def max_bytes(policy: Policy) -> int:
    """Return the most bytes that a file may have."""
    return min(policy.max_bytes, policy.max_total_bytes)


def hashed(owner: str) -> str:
    """Return the hash of an owner, as it is stored."""
    return hashlib.sha256(owner.encode()).hexdigest()


def has_body(request: Request) -> bool:
    """Return whether a request has a body."""
    return bool(declared_length(request)) or "transfer-encoding" in request.headers


def require_content_type(request: Request) -> None:
    """Refuse a body without the media type of the protocol.

    Raises:
        UnsupportedMediaType: 415. The body has another media type.
    """
    if request.headers.get("content-type", "").strip().lower() != CONTENT_TYPE:
        raise UnsupportedMediaType


def location_of(request: Request, upload_id: str) -> str:
    """Return the relative address of an upload (RFC 9110 §10.2.2).

    A proxy may have changed the host and the start of the path.
    """
    return f"{quote(request.url.path.rpartition('/')[2])}/{upload_id}"


def _declared(text: str, policy: Policy) -> str:
    media_type = essence(text)
    if not is_unknown(media_type) and not any(k.is_called(media_type) for k in policy.accept):
        raise FileTypeRefused.none_of(policy.accept)
    return media_type
