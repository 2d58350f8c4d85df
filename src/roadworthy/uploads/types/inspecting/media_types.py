"""Compare the media type that a client declares with the type of the file.

Browsers take the media type from a table of the system, by the file's extension. So a type has
many names, and some of them mean "unknown".
"""

import re
from functools import cache
from typing import Final

__all__ = ["essence", "is_among", "is_unknown"]

_UNKNOWN: Final = frozenset(
    """
    application/octet-stream binary/octet-stream application/x-octet-stream
    application/octetstream application/binary application/x-binary
    application/unknown application/x-unknown unknown/unknown content/unknown
    application/download application/x-download application/force-download
    application/x-force-download application/save application/x-save application/x-file */* *
    """.split()  # noqa: SIM905 - one on each line would be a page
)
"""Media types that say nothing: three of MIME Sniffing §7, others of S3, PHP and mail."""
# A type and a subtype (RFC 6838 §4.2), or a range of them.
_MEDIA_TYPE: Final = re.compile(r"[\w!#$&^.+-]{1,127}/(?:[\w!#$&^.+-]{1,127}|\*)|\*/\*", re.ASCII)


def essence(content_type: str) -> str:
    """Return a media type in lower case, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def is_unknown(media_type: str) -> bool:
    """Return whether a declared media type says nothing about the file."""
    return media_type in _UNKNOWN or not _MEDIA_TYPE.fullmatch(media_type)


def is_among(declared: str, media_type: str, aliases: tuple[str, ...]) -> bool:
    """Return whether a declared media type or range includes a type.

    In the aliases, `*` stands for anything: `text/*`, `*/*+json`.
    """
    if declared.endswith("/*"):
        return media_type.startswith(declared[:-1])
    return declared == media_type or any(_pattern(one).fullmatch(declared) for one in aliases)


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(".+".join(map(re.escape, name.split("*"))))
