"""JSON (RFC 8259) and lines of it: its grammar, checked without building anything.

One text, whole, in UTF-8, and nothing after it; no NaN, no comments, no comma too many. A
byte order mark in front is passed over, and stays in the file. Of objects with one key
twice, and of surrogates that stand alone (half of a pair), the standard says that readers
differ; they are taken.
"""

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias

from roadworthy.uploads.arguments import limited
from roadworthy.uploads.stored import KiB, MiB
from roadworthy.uploads.types.inspecting.filetype import FileType, Rejected
from roadworthy.uploads.types.inspecting.push_parser import PushedBytes, PushParser, Step
from roadworthy.uploads.types.inspecting.reasons import (
    CONTROL_CHARACTERS,
    MALFORMED,
    TOO_DEEP,
    TOO_LONG,
    TRAILING_DATA,
    TRUNCATED,
)
from roadworthy.uploads.types.texts.json_or_lines import JsonOrLines
from roadworthy.uploads.types.texts.other_formats import HiddenPdf
from roadworthy.uploads.types.texts.text import Utf8

__all__ = ["JSON", "MAX_DEPTH", "MAX_STRING", "NDJSON", "json_within", "ndjson_within"]

MAX_DEPTH: Final = 100
"""Arrays and objects in each other: Python's own reader gives up at some 1,000."""
MAX_STRING: Final = 16 * MiB
"""Bytes of a string, as it is written: a picture of 12 MiB in base64."""
MAX_DIGITS: Final = 1_100
"""Of a number's parts, each: the longest double, written exactly, has 1,074."""

_SLICE: Final = 32 * KiB
"""What is matched at once: `re` remembers each of a run's values until the run ends."""
_BEGINS: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?[ \t\r\n]*(?:\{[ \t\r\n]*(?:[\"}]|\Z)"
    rb"|\[[ \t\r\n]*(?:[\[\]{\"0-9-]|true|false|null|\Z))"
)
_CHARS: Final = rb"[^\"\\\x00-\x1f]*+"
_IN_STRING: Final = _CHARS + rb"(?:\\(?:[\"\\/bfnrt]|u[0-9A-Fa-f]{4})" + _CHARS + rb")*"
_DIGITS: Final = b"[0-9]{1,%d}+" % MAX_DIGITS
_NUMBER: Final = (
    b"-?(?:0|(?=[1-9])" + _DIGITS + rb")(?:\." + _DIGITS + b")?(?:[eE][+-]?" + _DIGITS + b")?"
)
_WORD: Final = rb"(?:true|false|null|" + _NUMBER + rb")"
_SCALAR: Final = rb"(?:\"" + _IN_STRING + rb"\"|" + _WORD + rb")"
_LEVELS: Final = 3
"""Of arrays and objects in each other that one pattern takes whole."""
_MAX_WORD: Final = 3 * MAX_DIGITS + 8
_CLOSERS: Final = {b"{": ord("}"), b"[": ord("]")}
_COMMA: Final = ord(",")
_State: TypeAlias = Callable[[bytes, int], int]
# An escape that is cut: the rest is in the next piece.
_CONTROLS: Final = bytes(set(range(0x20)) - set(b"\t\n\f\r"))
_CUT_ESCAPE: Final = re.compile(rb"\\(?:u[0-9A-Fa-f]{0,3})?\Z")


@dataclass(frozen=True, slots=True)
class _Grammar:
    """The patterns, with what counts as space."""

    value: re.Pattern[bytes]
    name: re.Pattern[bytes]
    whole_name: re.Pattern[bytes]
    """With its colon."""
    colon: re.Pattern[bytes]
    after: re.Pattern[bytes]
    runs: Mapping[int, tuple[re.Pattern[bytes], re.Pattern[bytes]]]
    """By what closes them, as many values as come: with others in them, and without."""
    string: re.Pattern[bytes]
    word: re.Pattern[bytes]


@cache
def _grammar(space: bytes) -> _Grammar:
    s = b"[" + space + b"]*+"
    deep = _SCALAR
    for _ in range(_LEVELS):
        array, members = _run(deep, s), _run(_name(s) + deep, s)
        deep = b"(?:%s|\\[%s%s\\]|\\{%s%s\\})" % (_SCALAR, array, s, members, s)
    runs = {
        _CLOSERS[b"["]: (re.compile(_run(deep, s)), re.compile(_run(_SCALAR, s))),
        _CLOSERS[b"{"]: (
            re.compile(_run(_name(s) + deep, s)),
            re.compile(_run(_name(s) + _SCALAR, s)),
        ),
    }
    return _Grammar(
        value=re.compile(s + rb"(?:([{\[\]\"\n]|[-0-9tfn][-+.0-9A-Za-z]*+)|\Z)"),
        whole_name=re.compile(s + _name(s)),
        name=re.compile(s + rb"(?:([\"}])|\Z)"),
        colon=re.compile(s + rb"(?:(:)|\Z)"),
        after=re.compile(s + rb"(?:([,\]}\n])|\Z)"),
        runs=runs,
        string=re.compile(_IN_STRING),
        word=re.compile(_WORD),
    )


def _run(item: bytes, s: bytes) -> bytes:
    """Return a pattern of items that are followed by a comma and more, or by their end."""
    return b"(?:" + s + item + s + b"(?:,(?!" + s + rb"[\]}])|(?=[\]}])))*"


def _name(s: bytes) -> bytes:
    return b'"' + _IN_STRING + b'"' + s + b":" + s


_LINES: Final = (
    "application/ndjson",
    "application/x-ldjson",
    "application/ldjson",
    "application/jsonl",
    "application/x-jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
    "application/json-lines",
    "application/x-json-lines",
    "application/stream+json",
    "application/x-json-stream",
    "text/x-ndjson",
    "text/ndjson",
    "text/jsonl",
    "text/x-jsonl",
    "text/jsonlines",
)
"""None is registered; each is some tool's."""


@limited
def json_within(*, max_depth: int = MAX_DEPTH, max_string: int = MAX_STRING) -> FileType:
    """Make a `JSON` with limits of your own: depth, and bytes of a string."""
    return FileType(
        "application/json",
        ".json",
        _begins,
        lambda: PushParser(_Json(max_depth, max_string).read),
        # `+json` is what structured types end in (RFC 6839 §3.1): GeoJSON, JSON-LD, manifests.
        aliases=("*/*+json", "text/json", "application/x-json", "text/x-json"),
        together=JsonOrLines,
    )


@limited
def ndjson_within(*, max_depth: int = MAX_DEPTH, max_string: int = MAX_STRING) -> FileType:
    """Make an `NDJSON` with limits of your own: depth, and bytes of a string."""
    return FileType(
        "application/x-ndjson",
        ".ndjson",
        _begins,
        lambda: PushParser(_Json(max_depth, max_string, lines=True).read),
        aliases=_LINES,
        breadth=1,
        together=JsonOrLines,
    )


def _begins(head: bytes) -> bool:
    return _BEGINS.match(head) is not None


class _Json:
    """A reader whose state is the method that takes what comes next.

    Each takes some of the data and returns where it has come to; one that comes no further
    waits for more.
    """

    def __init__(self, max_depth: int, max_string: int, *, lines: bool = False) -> None:
        self._grammar = _grammar(rb" \t\r" if lines else rb" \t\r\n")
        self._max_depth, self._max_string = max_depth, max_string
        self._utf8, self._hidden = Utf8(), HiddenPdf()
        self._open = bytearray()
        """What will close the arrays and objects that are open."""
        self._is_empty = False
        self._rest = b""
        self._string_bytes = 0
        self._next: _State = self._value
        self._then: _State = self._after
        self._last: _State = self._value if lines else self._after

    def read(self, source: PushedBytes) -> Step[None]:
        if (yield from source.peek(3)) == codecs.BOM_UTF8:
            source.use(3)  # which a reader may ignore (RFC 8259, 8.1), and Notepad writes
        most = min(_SLICE, self._max_string)
        while not (yield from source.at_end()):
            piece = source.here[:most].tobytes()
            source.use(len(piece))
            self._utf8.take(piece)
            self._hidden.feed(piece)
            self._take(piece)
        self._utf8.end()
        self._end()

    def _take(self, piece: bytes) -> None:
        data = self._rest + piece
        at, before = 0, -1
        while before < at < len(data):
            before, at = at, self._next(data, at)
        self._rest = data[at:]

    def _end(self) -> None:
        if not self._open and self._next != self._string:
            self._take(b"\n")  # ends a number
            if self._next == self._last:
                return
        raise Rejected(TRUNCATED, "The text ends too early.")

    def _value(self, data: bytes, at: int) -> int:
        found = self._match(self._grammar.value, data, at)
        token, end = found[1], found.end()
        if token in {b"{", b"["}:
            return self._begin(data, end, _CLOSERS[token])
        if token == b'"':
            return self._begin_string(end, self._after)
        if token == b"]":
            return self._finish(end, token)
        if token == b"\n" and self._open:
            raise _malformed()
        return end if token in {None, b"\n"} else self._word(data, found.start(1), end)

    def _word(self, data: bytes, start: int, end: int) -> int:
        if end == len(data) and end - start <= _MAX_WORD:
            return start
        if not self._grammar.word.fullmatch(data, start, end):
            if end - start > MAX_DIGITS:
                raise Rejected(TOO_LONG, "A number is too long.")
            raise _malformed()
        self._next = self._after
        return end

    def _begin(self, data: bytes, at: int, closer: int) -> int:
        self._open.append(closer)
        if len(self._open) > self._max_depth:
            raise Rejected(TOO_DEEP, "Arrays and objects are too deep in each other.")
        self._is_empty = True
        return self._run(data, at)

    def _run(self, data: bytes, at: int) -> int:
        """Take as many values at once as one pattern can."""
        closer = self._open[-1]
        is_object = closer == _CLOSERS[b"{"]
        is_shallow = len(self._open) + _LEVELS <= self._max_depth
        pattern = self._grammar.runs[closer][0 if is_shallow else 1]
        self._next = self._name if is_object else self._value
        end = self._match(pattern, data, at).end()
        if end > at:
            self._is_empty = False
            if data[end - 1] != _COMMA:
                self._next = self._after
        return end

    def _finish(self, at: int, token: bytes) -> int:
        """Close what is empty."""
        if not self._is_empty or not self._open or self._open[-1] != token[0]:
            raise _malformed()
        self._open.pop()
        self._next = self._after
        return at

    def _name(self, data: bytes, at: int) -> int:
        if whole := self._grammar.whole_name.match(data, at):
            return self._value_follows(whole.end())
        found = self._match(self._grammar.name, data, at)
        if found[1] == b"}":
            return self._finish(found.end(), b"}")
        return self._begin_string(found.end(), self._colon) if found[1] else found.end()

    def _colon(self, data: bytes, at: int) -> int:
        found = self._match(self._grammar.colon, data, at)
        return self._value_follows(found.end()) if found[1] else found.end()

    def _value_follows(self, at: int) -> int:
        self._is_empty = False
        self._next = self._value
        return at

    def _after(self, data: bytes, at: int) -> int:
        if not self._open:
            return self._after_all(data, at)
        found = self._match(self._grammar.after, data, at)
        token, end = found[1], found.end()
        if token == b",":
            self._is_empty = False
            return self._run(data, end)
        if token and token[0] != self._open.pop():
            raise _malformed()
        return end

    def _after_all(self, data: bytes, at: int) -> int:
        found = self._grammar.after.match(data, at)
        if found is None or found[1] not in {None, b"\n"}:
            raise Rejected(TRAILING_DATA, "There is something after the end of the text.")
        if found[1]:
            self._next = self._value
        return found.end()

    def _begin_string(self, at: int, then: _State) -> int:
        self._string_bytes = 0
        self._next, self._then = self._string, then
        return at

    def _string(self, data: bytes, at: int) -> int:
        end = self._match(self._grammar.string, data, at).end()
        self._string_bytes += end - at
        if self._string_bytes > self._max_string:
            raise Rejected(TOO_LONG, "A string is too long.")
        if data[end : end + 1] == b'"':
            self._next = self._then
            return end + 1
        if end < len(data) and not _CUT_ESCAPE.match(data, end):
            if data[end] in _CONTROLS:
                raise Rejected(CONTROL_CHARACTERS, "A string has a control character as it is.")
            raise _malformed()
        return end

    @staticmethod
    def _match(pattern: re.Pattern[bytes], data: bytes, at: int) -> re.Match[bytes]:
        if (found := pattern.match(data, at)) is None:
            raise _malformed()
        return found


def _malformed() -> Rejected:
    return Rejected(MALFORMED, "The text is no valid JSON.")


JSON: Final = json_within()
"""RFC 8259, `application/json`, that is an object or an array."""
NDJSON: Final = ndjson_within()
"""A JSON text on each line, `application/x-ndjson`. Beside `JSON`, one line alone is JSON."""
