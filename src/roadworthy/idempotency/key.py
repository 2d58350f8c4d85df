"""`Key`: the Idempotency-Key of a request, and its syntax."""

import re
from dataclasses import dataclass
from typing import Final

from roadworthy.idempotency.errors import IdempotencyKeyInvalid

__all__ = ["MAX_LENGTH", "PATTERN", "Key", "read_key"]

MAX_LENGTH: Final = 255
"""The most characters of a key, without quotes and escapes."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 §5.6.2
_STRING: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')  # RFC 8941 §3.3.3
PATTERN: Final = r"^([A-Za-z0-9!#$%&'*+.^_`|~-]{1,255}|\"[ !#-\[\]-~]{1,255}\")$"
"""The pattern of keys for clients: every key of this form is accepted."""

_ESCAPE: Final = re.compile(r'\\(["\\])')


@dataclass(frozen=True, slots=True)
class Key:
    """The client's key for one request, unique for one caller and one route."""

    value: str

    def __str__(self) -> str:
        return self.value


def read_key(header: str) -> Key:
    """Read a token or a quoted string: `abc` and `"abc"` are the same key.

    Raises:
        IdempotencyKeyInvalid: 400. The key is malformed or empty, or there are two.
    """
    text = header.strip(" \t")
    if _TOKEN.fullmatch(text):
        value = text
    elif quoted := _STRING.fullmatch(text):
        value = _ESCAPE.sub(r"\1", quoted[1])
    else:
        raise IdempotencyKeyInvalid
    if len(value) > MAX_LENGTH:
        raise IdempotencyKeyInvalid
    return Key(value)
