"""`JsonReader`: check the grammar of JSON (RFC 8259) while bytes stream.

The reader is in one of these states; brackets that are open are on a stack beside it:

    VALUE ------ scalar -----------------------------> AFTER_VALUE
    VALUE ------ quotation mark --> IN_STRING -------> AFTER_VALUE
    VALUE ------ [ ---------------> FIRST_VALUE       (VALUE, or at once a ])
    VALUE ------ { ---------------> FIRST_NAME        (NAME, or at once a })
    NAME ------- quotation mark --> IN_NAME ---------> COLON --- : ---> VALUE
    AFTER_VALUE  , ---------------> VALUE in an array, NAME in an object
    AFTER_VALUE  ] or } ----------> AFTER_VALUE, AFTER_TEXT where it was the outermost
    AFTER_TEXT - end of a line ---> VALUE             (in lines of JSON alone)

In `FIRST_VALUE`, `FIRST_NAME` and after a comma, one pattern takes all whole items that are
here: the states are for what is cut at the end of a piece, or nested deeper than patterns go.
"""

import codecs
import re
from enum import Enum, auto
from typing import Final

from roadworthy.uploads.stored import KiB
from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.push_parser import PushedBytes, Step
from roadworthy.uploads.types.inspecting.reasons import (
    CONTROL_CHARACTERS,
    MALFORMED,
    TOO_DEEP,
    TOO_LONG,
    TRAILING_DATA,
    TRUNCATED,
)
from roadworthy.uploads.types.texts.json_grammar import (
    CLOSERS,
    CUT_ESCAPE,
    LEVELS,
    MAX_DIGITS,
    MAX_WORD,
    grammar,
)
from roadworthy.uploads.types.texts.other_formats import HiddenPdf
from roadworthy.uploads.types.texts.text import Utf8

__all__ = ["JsonReader"]

_SLICE: Final = 32 * KiB
"""Bytes that are matched at once: `re` remembers each value of a run until the run ends."""
_CONTROLS: Final = bytes(set(range(0x20)) - set(b"\t\n\f\r"))
_COMMA: Final = ord(",")
_OBJECT: Final = CLOSERS[b"{"]


class _State(Enum):
    """The next thing to read: see the diagram at the top of this file."""

    VALUE = auto()
    FIRST_VALUE = auto()
    IN_STRING = auto()
    FIRST_NAME = auto()
    NAME = auto()
    IN_NAME = auto()
    COLON = auto()
    AFTER_VALUE = auto()
    AFTER_TEXT = auto()


class JsonReader:
    """Check one JSON text, or lines of it with one text each.

    For each state a method takes some of the data and returns the offset up to which it is
    read; one that takes nothing waits for more.

    Args:
        max_depth: How many arrays and objects may be in each other.
        max_string: Bytes that a string or name may have, as it is written.
        lines: Whether each line is a text.
    """

    def __init__(self, max_depth: int, max_string: int, *, lines: bool = False) -> None:
        self._grammar = grammar(rb" \t\r" if lines else rb" \t\r\n")
        self._max_depth, self._max_string = max_depth, max_string
        self._lines = lines
        self._utf8, self._pdf = Utf8(), HiddenPdf()
        self._open = bytearray()
        """The closing brackets of the arrays and objects that are open."""
        self._rest = b""
        self._string_bytes = 0
        self._state = _State.VALUE
        self._readers = {
            _State.VALUE: self._read_value,
            _State.FIRST_VALUE: self._read_value,
            _State.IN_STRING: self._read_string,
            _State.FIRST_NAME: self._read_name,
            _State.NAME: self._read_name,
            _State.IN_NAME: self._read_string,
            _State.COLON: self._read_colon,
            _State.AFTER_VALUE: self._read_after_value,
            _State.AFTER_TEXT: self._read_after_text,
        }

    def read(self, source: PushedBytes) -> Step[None]:
        """Read a file to its end.

        Raises:
            Rejected: The file is no JSON, or exceeds a limit.
        """
        if (yield from source.peek(3)) == codecs.BOM_UTF8:
            source.use(3)  # which a reader may ignore (RFC 8259, 8.1), and Notepad writes
        most = min(_SLICE, self._max_string)
        while not (yield from source.at_end()):
            piece = source.here[:most].tobytes()
            source.use(len(piece))
            self._utf8.take(piece)
            self._pdf.feed(piece)
            self._take(piece)
        self._utf8.end()
        self._end()

    def _take(self, piece: bytes) -> None:
        data = self._rest + piece
        at, before = 0, -1
        while before < at < len(data):
            before, at = at, self._readers[self._state](data, at)
        self._rest = data[at:]

    def _end(self) -> None:
        if not self._open and self._state != _State.IN_STRING:
            self._take(b"\n")  # ends a number
            if self._state == (_State.VALUE if self._lines else _State.AFTER_TEXT):
                return
        raise Rejected(TRUNCATED, "The text ends too early.")

    def _read_value(self, data: bytes, at: int) -> int:
        found = _match(self._grammar.value, data, at)
        token, end = found[1], found.end()
        if token in {b"{", b"["}:
            return self._open_bracket(data, end, CLOSERS[token])
        if token == b'"':
            return self._begin_string(_State.IN_STRING, end)
        if token == b"]":
            return self._close_empty(_State.FIRST_VALUE, end)
        if token == b"\n" and self._open:
            raise _malformed()
        return end if token in {None, b"\n"} else self._read_word(data, found.start(1), end)

    def _read_word(self, data: bytes, start: int, end: int) -> int:
        if end == len(data) and end - start <= MAX_WORD:
            return start  # it may go on in the next piece
        if not self._grammar.word.fullmatch(data, start, end):
            if end - start > MAX_DIGITS:
                raise Rejected(TOO_LONG, "A number is too long.")
            raise _malformed()
        return self._value_ended(end)

    def _value_ended(self, at: int) -> int:
        self._state = _State.AFTER_VALUE if self._open else _State.AFTER_TEXT
        return at

    def _open_bracket(self, data: bytes, at: int, closer: int) -> int:
        self._open.append(closer)
        if len(self._open) > self._max_depth:
            raise Rejected(TOO_DEEP, "Arrays and objects are too deep in each other.")
        self._state = _State.FIRST_NAME if closer == _OBJECT else _State.FIRST_VALUE
        return self._read_run(data, at)

    def _read_run(self, data: bytes, at: int) -> int:
        """Read as many items of the innermost array or object as one pattern can."""
        closer = self._open[-1]
        is_shallow = len(self._open) + LEVELS <= self._max_depth
        pattern = self._grammar.runs[closer][0 if is_shallow else 1]
        end = _match(pattern, data, at).end()
        if end == at:
            return end
        if data[end - 1] == _COMMA:
            self._state = _State.NAME if closer == _OBJECT else _State.VALUE
        else:
            self._state = _State.AFTER_VALUE
        return end

    def _close_empty(self, first: _State, at: int) -> int:
        if self._state != first:  # a comma stands before the bracket, or none is open
            raise _malformed()
        self._open.pop()
        return self._value_ended(at)

    def _read_name(self, data: bytes, at: int) -> int:
        if whole := self._grammar.whole_name.match(data, at):
            self._state = _State.VALUE
            return whole.end()
        found = _match(self._grammar.name, data, at)
        if found[1] == b"}":
            return self._close_empty(_State.FIRST_NAME, found.end())
        return self._begin_string(_State.IN_NAME, found.end()) if found[1] else found.end()

    def _read_colon(self, data: bytes, at: int) -> int:
        found = _match(self._grammar.colon, data, at)
        if found[1]:
            self._state = _State.VALUE
        return found.end()

    def _read_after_value(self, data: bytes, at: int) -> int:
        found = _match(self._grammar.after, data, at)
        token, end = found[1], found.end()
        if token == b",":
            self._state = _State.NAME if self._open[-1] == _OBJECT else _State.VALUE
            return self._read_run(data, end)
        if token is None:
            return end
        if token[0] != self._open.pop():
            raise _malformed()
        return self._value_ended(end)

    def _read_after_text(self, data: bytes, at: int) -> int:
        found = self._grammar.after.match(data, at)
        if found is None or found[1] not in {None, b"\n"}:
            raise Rejected(TRAILING_DATA, "There is something after the end of the text.")
        if found[1]:
            self._state = _State.VALUE
        return found.end()

    def _begin_string(self, state: _State, at: int) -> int:
        self._string_bytes = 0
        self._state = state
        return at

    def _string_ended(self, at: int) -> int:
        if self._state == _State.IN_STRING:
            return self._value_ended(at)
        self._state = _State.COLON
        return at

    def _read_string(self, data: bytes, at: int) -> int:
        end = _match(self._grammar.string, data, at).end()
        self._string_bytes += end - at
        if self._string_bytes > self._max_string:
            raise Rejected(TOO_LONG, "A string is too long.")
        if data[end : end + 1] == b'"':
            return self._string_ended(end + 1)
        if end < len(data) and not CUT_ESCAPE.match(data, end):
            if data[end] in _CONTROLS:
                raise Rejected(CONTROL_CHARACTERS, "A string has a control character as it is.")
            raise _malformed()
        return end


def _match(pattern: re.Pattern[bytes], data: bytes, at: int) -> re.Match[bytes]:
    if (found := pattern.match(data, at)) is None:
        raise _malformed()
    return found


def _malformed() -> Rejected:
    return Rejected(MALFORMED, "The text is no valid JSON.")
