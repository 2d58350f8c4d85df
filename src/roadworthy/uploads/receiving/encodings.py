"""Refuse compressed bodies and encoded parts, by the name of the encoding.

A body may be compressed for the way (`Content-Encoding`), a part written in letters
(`Content-Transfer-Encoding`, which RFC 7578 §4.7 deprecates and some senders still use).
Neither is the file that was meant. Decoding the one could be a bomb; the other costs a
third of the bytes, and no sender of HTTP needs it.
"""

from collections.abc import Mapping
from typing import Final

from roadworthy.uploads.errors import BodyEncoded, PartEncoded

__all__ = ["refuse_content_encoding", "refuse_transfer_encoding"]

_AS_IT_IS: Final = frozenset({"", "7bit", "8bit", "binary"})
_TRANSFER: Final = frozenset({"base64", "quoted-printable", "x-uuencode", "uuencode", "gzip"})
_CODINGS: Final = frozenset(
    {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress", "base64", "aws-chunked"}
)


def refuse_transfer_encoding(headers: Mapping[str, str]) -> None:
    """Refuse a part, or a whole body, with a Content-Transfer-Encoding.

    Raises:
        PartEncoded: 415. It names the encoding, where that is one of the known ones.
    """
    encoding = headers.get("content-transfer-encoding", "").strip(" \t").lower()
    if encoding not in _AS_IT_IS:
        raise PartEncoded(encoding=encoding if encoding in _TRANSFER else "another encoding")


def refuse_content_encoding(headers: Mapping[str, str]) -> None:
    """Refuse a compressed body (RFC 9110 §8.4).

    Raises:
        BodyEncoded: 415. It names the coding, where that is one of the known ones.
    """
    codings = [
        coding.strip(" \t").lower() for coding in headers.get("content-encoding", "").split(",")
    ]
    for coding in codings:
        if coding not in {"", "identity"}:
            raise BodyEncoded(coding=coding if coding in _CODINGS else "another coding")
