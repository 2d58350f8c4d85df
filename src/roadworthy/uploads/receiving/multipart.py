"""Read the parts of a body, multipart or raw, one event after another.

A multipart body (RFC 7578) has fields and files in any order; a raw body is one file. A reader
of either has `feed` and `finish`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from roadworthy.problems import MalformedBody, UnsupportedMediaType
from roadworthy.uploads.filenames import disposition
from roadworthy.uploads.receiving.delimiter import FirstDelimiter
from roadworthy.uploads.receiving.digests import Digests
from roadworthy.uploads.receiving.encodings import refuse_transfer_encoding
from roadworthy.uploads.types.inspecting.media_types import essence

__all__ = ["END", "End", "Event", "MultipartReader", "Part", "PartReader", "RawReader"]

MAX_BOUNDARY: Final = 70
"""Characters of a boundary (RFC 2046 §5.1.1)."""
MAX_HEADERS: Final = 16
"""Header fields of a part."""
MAX_HEADER_BYTES: Final = 8192
"""Bytes of a header field: enough for 255 letters, all percent-encoded."""


@dataclass(frozen=True, slots=True)
class Part:
    """The beginning of a field or file; its bytes follow."""

    name: str
    """The name of the form's field."""
    filename: str | None
    """The file name, as the client sent it; None for a field."""
    media_type: str
    """The declared media type, in lower case and without parameters, or nothing."""
    headers: Mapping[str, str]
    """All header fields of the part, their names in lower case."""
    charset: str = ""
    """The declared charset of a text field, or nothing."""


class End:
    """The end of a part."""


END: Final = End()
"""The only `End`."""
Event: TypeAlias = Part | memoryview | End
"""A step of a reader: the beginning of a part, some of its bytes, or its end."""


class PartReader(Protocol):
    """Turn the bytes of a body into events."""

    def feed(self, piece: bytes, /) -> Iterator[Event]:
        """Yield the events of the next bytes.

        Raises:
            MalformedBody: 400.
        """
        ...

    def finish(self) -> Iterator[Event]:
        """Yield the events at the end of the body.

        Raises:
            MalformedBody: 400. The body is not whole.
        """
        ...


class RawReader:
    """Read a body that is one file."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._begun = False

    def feed(self, piece: bytes, /) -> Iterator[Event]:
        """Yield the bytes, and the part before the first of them."""
        if not self._begun:
            self._begun = True
            yield self._part
        yield memoryview(piece)

    def finish(self) -> Iterator[Event]:
        """Yield the end of the part."""
        if not self._begun:
            raise MalformedBody(reason="A body is needed.")
        yield END


class MultipartReader:
    """Read `multipart/form-data`, with python-multipart's low-level parser."""

    def __init__(self, content_type: str, headers: Mapping[str, str]) -> None:
        self._digests = Digests(headers)
        self._events: list[Event] = []
        self._name = b""
        self._value = b""
        self._headers: dict[str, str] = {}
        self._begun = self._ended = False
        boundary = _boundary(content_type)
        self._first = FirstDelimiter(boundary)
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers.clear,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": lambda: self._events.append(END),
                "on_end": self._on_end,
            },
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )

    def feed(self, piece: bytes, /) -> Iterator[Event]:
        """Yield the events of the next bytes."""
        self._begun = True
        self._digests.feed(piece)
        try:
            self._parser.write(self._first.take(piece))
        except FormParserError as error:
            raise MalformedBody(reason="The body is not valid multipart.") from error
        events, self._events = self._events, []
        yield from events

    def finish(self) -> Iterator[Event]:
        """Check that the last boundary has come, and yield nothing."""
        if not self._begun:
            raise MalformedBody(reason="A body is needed.")
        if not self._ended:
            raise MalformedBody(reason="The body ends before its last boundary.")
        self._digests.check()
        yield from ()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        # Only in the name of a file do bytes beyond ASCII have a meaning (RFC 7578 §5.1).
        name, value = self._name.decode("latin-1").lower(), self._value.decode("latin-1").strip()
        before = self._headers.get(name, value)
        self._headers[name] = value if before == value else f"{before}, {value}"
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        found = disposition(self._headers.get("content-disposition", "").encode("latin-1"))
        if found is None or found.name is None:
            raise FormParserError("a part without a name")
        refuse_transfer_encoding(self._headers)
        content_type = self._headers.get("content-type", "")
        media_type = essence(content_type)
        charset = _charset(content_type)
        self._events.append(
            Part(found.name, found.filename, media_type, dict(self._headers), charset)
        )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(memoryview(data)[start:end])

    def _on_end(self) -> None:
        self._ended = True


def _charset(content_type: str) -> str:
    _, parameters = parse_options_header(content_type)
    return parameters.get(b"charset", b"").decode("latin-1").strip().lower()


def _boundary(content_type: str) -> bytes:
    media_type, parameters = parse_options_header(content_type)
    if media_type != b"multipart/form-data":
        raise UnsupportedMediaType
    boundary = parameters.get(b"boundary", b"")
    if not 1 <= len(boundary) <= MAX_BOUNDARY:
        raise MalformedBody(reason="The Content-Type has no boundary.")
    return boundary
