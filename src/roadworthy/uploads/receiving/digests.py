"""Check `Content-Digest` and `Repr-Digest` of the content (RFC 9530)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Final

from roadworthy.uploads.errors import DigestMismatch
from roadworthy.uploads.types.inspecting.filetype import Data

__all__ = ["Digests"]

_FIELDS: Final = ("content-digest", "repr-digest")
_ENTRY: Final = re.compile(r"(sha-256|sha-512)=:([A-Za-z0-9+/=]{0,128}):")
_HASHES: Final = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}


class Digests:
    """Compare content with the digests in its headers, if there are any.

    Algorithms other than sha-256 and sha-512 are ignored (RFC 9530 §5).
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        text = ", ".join(headers[name] for name in _FIELDS if name in headers)
        self._promised = [(name, _decoded(value)) for name, value in _ENTRY.findall(text)]
        self._hashes = {name: _HASHES[name]() for name, _ in self._promised}

    def feed(self, data: Data) -> None:
        """Add the next bytes to the digests."""
        for running in self._hashes.values():
            running.update(data)

    def check(self) -> None:
        """Check that the digests match.

        Raises:
            DigestMismatch: 400. A digest differs.
        """
        for name, promised in self._promised:
            if self._hashes[name].digest() != promised:
                raise DigestMismatch


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""  # a header that names no digest that we know
