"""Refuse compressed bodies and encoded parts, by the name of the encoding.

A body may be compressed (`Content-Encoding`), and a part may be written in base64
(`Content-Transfer-Encoding`, which RFC 7578 §4.7 deprecates and some clients still send). In
both cases the bytes are not those of the file. A compressed body could be a bomb; base64 makes
the body a third larger, and no HTTP client needs it.
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
        PartEncoded: 415. The problem names the encoding, if it is a known one.
    """
    encoding = headers.get("content-transfer-encoding", "").strip(" \t").lower()
    if encoding not in _AS_IT_IS:
        raise PartEncoded(encoding=encoding if encoding in _TRANSFER else "another encoding")


def refuse_content_encoding(headers: Mapping[str, str]) -> None:
    """Refuse a compressed body (RFC 9110 §8.4).

    Raises:
        BodyEncoded: 415. The problem names the coding, if it is a known one.
    """
    codings = [
        coding.strip(" \t").lower() for coding in headers.get("content-encoding", "").split(",")
    ]
    for coding in codings:
        if coding not in {"", "identity"}:
            raise BodyEncoded(coding=coding if coding in _CODINGS else "another coding")
