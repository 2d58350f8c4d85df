"""The headers of tus 1.0.0: parsed from requests, and written to answers."""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from starlette.requests import Request

from roadworthy.uploads.resumable.errors import ChecksumMismatch, TusHeaderInvalid
from roadworthy.uploads.store import Batch

__all__ = [
    "ALGORITHMS",
    "CONTENT_TYPE",
    "EXTENSIONS",
    "TUS_HEADERS",
    "VERSION",
    "Checksum",
    "checksum_of",
    "http_date",
    "metadata_of",
    "number_of",
    "refuse_extensions",
]

VERSION: Final = "1.0.0"
"""The only version of the protocol that is spoken."""
EXTENSIONS: Final = "creation,creation-with-upload,expiration,checksum,termination"
"""The value of `Tus-Extension`."""
CONTENT_TYPE: Final = "application/offset+octet-stream"
"""The media type of a body that continues an upload."""
TUS_HEADERS: Final = (
    "Content-Type",
    "Location",
    "Tus-Checksum-Algorithm",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Checksum",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-HTTP-Method-Override",
)
"""For `allow_headers` and `expose_headers` of `CORSMiddleware`, beside `Authorization`."""

_MAX_METADATA: Final = 4096
_MAX_DIGITS: Final = 18
"""The most digits: a longer number is no length of a file, and slow to read."""
_NOT_SPOKEN: Final = {
    "Upload-Concat": (
        "Upload-Concat is not spoken here: send the file as one upload, without concatenation "
        "of parallel uploads (tus-js-client: parallelUploads: 1)."
    ),
    "Upload-Defer-Length": (
        "Upload-Defer-Length is not spoken here: send Upload-Length, the size of the whole file."
    ),
}
_NUMBER: Final = re.compile(rf"[0-9]{{1,{_MAX_DIGITS}}}")
_PAIR: Final = re.compile(r"(?P<key>[!-+\--~]+)(?: (?P<value>[A-Za-z0-9+/]*={0,2}))?")
_ALGORITHMS: Final[dict[str, Callable[[], Any]]] = {
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),  # SHA-1 is demanded by the protocol
    "sha256": hashlib.sha256,
    "md5": lambda: hashlib.md5(usedforsecurity=False),
}
ALGORITHMS: Final = ",".join(_ALGORITHMS)
"""The value of `Tus-Checksum-Algorithm`."""


def number_of(request: Request, name: str) -> int:
    """Return the number in a header.

    Raises:
        TusHeaderInvalid: 400. The header is missing, or no number.
    """
    text = request.headers.get(name, "")
    if not _NUMBER.fullmatch(text):
        raise TusHeaderInvalid(reason=f"{name} should be a number of bytes.")
    return int(text)


def refuse_extensions(request: Request) -> None:
    """Refuse a creation with extensions that are not in `Tus-Extension`.

    Raises:
        TusHeaderInvalid: 400. The upload would not become what the client means.
    """
    for name, reason in _NOT_SPOKEN.items():
        if name in request.headers:
            raise TusHeaderInvalid(reason=reason)


def metadata_of(request: Request) -> tuple[str, dict[str, str]]:
    """Return `Upload-Metadata` in the form to send back, and its values.

    Raises:
        TusHeaderInvalid: 400. The header does not have the form of the protocol.
    """
    text = request.headers.get("Upload-Metadata", "")
    if len(text) > _MAX_METADATA:
        raise TusHeaderInvalid(reason=f"Upload-Metadata should have {_MAX_METADATA} bytes at most.")
    pairs = [pair.strip(" ") for pair in text.split(",")] if text else []
    said = dict(map(_pair, pairs))
    if len(said) < len(pairs):
        raise TusHeaderInvalid(reason="Upload-Metadata should name each key once.")
    return ",".join(pairs), said


def _pair(text: str) -> tuple[str, str]:
    found = _PAIR.fullmatch(text)
    value = _decoded(found["value"] or "") if found else None
    if found is None or value is None:
        reason = "Upload-Metadata should be keys, each with a space and Base64, between commas."
        raise TusHeaderInvalid(reason=reason)
    return found["key"], value.decode(errors="replace")


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


class Checksum:
    """Compare a body with its `Upload-Checksum`: `feed` it, then `check`."""

    def __init__(self, algorithm: str, promised: bytes) -> None:
        self._hash = _ALGORITHMS[algorithm]()
        self._promised = promised

    def feed(self, batch: Batch) -> None:
        """Add the next bytes to the checksum."""
        for data in batch:
            self._hash.update(data)

    def check(self) -> None:
        """Check that the checksum matches.

        Raises:
            ChecksumMismatch: 460. The checksum differs.
        """
        if self._hash.digest() != self._promised:
            raise ChecksumMismatch


def checksum_of(request: Request) -> Checksum | None:
    """Return the checksum of a request's body, None without one.

    Raises:
        TusHeaderInvalid: 400. The checksum is malformed, or its algorithm unknown.
    """
    text = request.headers.get("Upload-Checksum")
    if text is None:
        return None
    algorithm, _, encoded = text.partition(" ")
    promised = _decoded(encoded)
    if algorithm not in _ALGORITHMS or promised is None:
        reason = f"Upload-Checksum should be one of {ALGORITHMS}, a space, and Base64."
        raise TusHeaderInvalid(reason=reason)
    return Checksum(algorithm, promised)


def http_date(timestamp: float) -> str:
    """Return a time in the form of headers (RFC 9110 §5.6.7)."""
    return format_datetime(datetime.fromtimestamp(timestamp, UTC), usegmt=True)
