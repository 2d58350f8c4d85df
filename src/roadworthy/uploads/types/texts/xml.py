"""`Xml`: read XML 1.0 in UTF-8 with expat, and report its elements.

Without a document type there are only the five standard entities, so nothing expands and nothing
is fetched.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias
from xml.parsers import expat

from roadworthy.uploads.stored import KiB, MiB
from roadworthy.uploads.types.inspecting.filetype import Data, Rejected
from roadworthy.uploads.types.inspecting.reasons import (
    ACTIVE_CONTENT,
    MALFORMED,
    NOT_UTF8,
    TOO_DEEP,
    TOO_LARGE_INSIDE,
    TOO_LONG,
    TOO_MANY_ENTRIES,
    TRAILING_DATA,
    TRUNCATED,
)

__all__ = ["MAX_DEPTH", "Attributes", "Budget", "Xml", "local_name"]

MAX_DEPTH: Final = 256
"""How deep elements may be nested: the limit of libxml2."""

_GATHERED: Final = 64 * KiB
"""Expat may read a long tag again with each piece of it: they should be few."""
_MAX_TAG: Final = 4 * MiB
"""The most bytes of a tag, which may have a picture in an attribute."""
_ENCODINGS: Final = frozenset({None, "utf-8", "us-ascii"})
_ERRORS: Final = expat.errors.codes
_TRUNCATED: Final = frozenset(
    _ERRORS[error]
    for error in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)
_TRAILING: Final = _ERRORS[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]

Attributes: TypeAlias = dict[str, str]
"""Their values, by names with their namespace and a space in front where they have one."""


@dataclass(slots=True)
class Budget:
    """A limit of elements and bytes, for one XML document or several."""

    elements: int
    size: int
    """Bytes."""


class Xml:
    """Read one document, and report its elements."""

    def __init__(
        self,
        start: Callable[[str, Attributes], object],
        budget: Budget,
        *,
        max_depth: int = MAX_DEPTH,
    ) -> None:
        self._tell_start = start
        self.tell_end: Callable[[str], object] | None = None
        """Called with the name of each element that ends."""
        self._budget, self._max_depth = budget, max_depth
        self._depth = self._fed = 0
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self.parser = expat.ParserCreate("utf-8", " ")
        """The expat parser, for handlers of anything but elements."""
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.XmlDeclHandler = _judge_declaration
        self.parser.StartDoctypeDeclHandler = _refuse_doctype

    def feed(self, data: Data) -> None:
        """Judge the next bytes of the file."""
        self._gathered.append(bytes(data))
        self._gathered_bytes += len(data)
        if self._gathered_bytes >= _GATHERED:
            self._parse(last=False)

    def finish(self) -> None:
        """End the file, and judge it as a whole."""
        self._parse(last=True)

    def _parse(self, *, last: bool) -> None:
        data = b"".join(self._gathered)
        self._gathered.clear()
        self._gathered_bytes = 0
        self._fed += len(data)
        self._budget.size -= len(data)
        if self._budget.size < 0:
            raise Rejected(TOO_LARGE_INSIDE, "There is too much XML.")
        try:
            self.parser.Parse(data, last)
        except expat.ExpatError as error:
            raise _rejected(error.code) from error
        if self._fed - self.parser.CurrentByteIndex > _MAX_TAG:
            raise Rejected(TOO_LONG, "A tag or comment of the XML is too long.")

    def _start(self, name: str, attributes: Attributes) -> None:
        self._depth += 1
        self._budget.elements -= 1
        if self._depth > self._max_depth:
            raise Rejected(TOO_DEEP, "The elements of the XML are too deep in each other.")
        if self._budget.elements < 0:
            raise Rejected(TOO_MANY_ENTRIES, "The XML has too many elements.")
        self._tell_start(name, attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self.tell_end is not None:
            self.tell_end(name)


def local_name(name: str) -> str:
    """Return a name without its namespace."""
    return name.rpartition(" ")[2]


def _judge_declaration(_version: str, encoding: str | None, _standalone: int) -> None:
    if (encoding.lower() if encoding else None) not in _ENCODINGS:
        raise Rejected(NOT_UTF8, "The XML is not UTF-8.")


def _refuse_doctype(*_: object) -> None:
    raise Rejected(ACTIVE_CONTENT, "The XML has a DOCTYPE, which could fetch or expand things.")


def _rejected(code: int) -> Rejected:
    if code in _TRUNCATED:
        return Rejected(TRUNCATED, "The XML ends too early.")
    if code == _TRAILING:
        return Rejected(TRAILING_DATA, "There is something after the end of the XML.")
    return Rejected(MALFORMED, "The XML is broken.")
