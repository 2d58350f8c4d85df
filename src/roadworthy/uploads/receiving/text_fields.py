"""Text fields of a form: held in memory, limited in size, and decoded.

A part may name its encoding, and a form may name that of all its parts in a field
`_charset_` (RFC 7578 §4.5 and §4.6); otherwise text is UTF-8.
"""

import codecs
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from roadworthy.problems import FieldError, MalformedBody, PayloadTooLarge, ValidationFailed
from roadworthy.uploads.receiving.multipart import Part

__all__ = ["FieldText", "decoded"]

_FOR_ALL: Final = "_charset_"
_LABEL: Final = re.compile(r"[A-Za-z0-9_.:-]{1,40}")
# The encodings of browsers (WHATWG Encoding), by their names in Python: not UTF-7.
_KNOWN: Final = re.compile(
    r"utf-8|utf-16(?:-[lb]e)?|ascii|iso8859-\d+|cp(?:125\d|866|874|932|949)|koi8-[ru]|mac-roman"
    r"|shift_jis|euc_(?:jp|kr)|iso2022_jp|gb2312|gbk|gb18030|big5(?:hkscs)?"
)
_UTF8: Final = "utf-8"


class FieldText:
    """Collect the bytes of one text field."""

    def __init__(self, part: Part, max_bytes: int) -> None:
        self.name, self.charset = part.name, part.charset
        self._left = max_bytes
        self._data = bytearray()

    def feed(self, data: memoryview) -> None:
        """Add the next bytes of the field.

        Raises:
            PayloadTooLarge: 413.
        """
        self._left -= len(data)
        if self._left < 0:
            raise PayloadTooLarge
        self._data += data

    def text(self, charset: str) -> str:
        """Return the text, decoded by the part's own charset or that of the form.

        Raises:
            MalformedBody: 400. The text is not in its encoding, or the encoding is unknown.
            ValidationFailed: 422. The text has a character that databases refuse.
        """
        encoding = _encoding(self.charset or charset)
        try:
            text = self._data.decode(encoding)
        except UnicodeDecodeError as error:
            raise MalformedBody(reason=f"A field is not {encoding.upper()}.") from error
        if "\0" in text:
            message = "Text should not have the character U+0000"
            raise ValidationFailed(errors=[FieldError(pointer="", code="nul", message=message)])
        return text


def decoded(fields: Sequence[FieldText]) -> Mapping[str, tuple[str, ...]]:
    """Return the values of text fields by name, in the order of the body.

    Raises:
        MalformedBody: 400.
        ValidationFailed: 422.
    """
    for_all = next((field.text("ascii") for field in fields if field.name == _FOR_ALL), _UTF8)
    values: dict[str, tuple[str, ...]] = {}
    for field in fields:
        values[field.name] = (*values.get(field.name, ()), field.text(for_all))
    return values


def _encoding(label: str) -> str:
    """Return Python's name of an encoding, and UTF-8 for its subset ASCII."""
    name = ""
    if _LABEL.fullmatch(label):
        with suppress(LookupError):
            name = codecs.lookup(label).name
    if label and not _KNOWN.fullmatch(name):
        reason = "A field is written in an encoding that is not known here: send UTF-8."
        raise MalformedBody(reason=reason)
    return _UTF8 if name in {"", "ascii"} else name
