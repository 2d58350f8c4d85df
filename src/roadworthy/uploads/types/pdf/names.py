"""`PdfNames`: find names that make a PDF act, and pass those that only look so.

Titles, links, bookmarks and pages may contain the text `/JavaScript`. A name makes the file act
only as the value of `/S`, `/Type` or `/Subtype`, as a key before a dictionary, an array or a
reference, or as an object by itself. That is decided by the bytes next to the name, not by what
surrounds it: a reader finds objects by their offsets, so what looks like a comment, a string or
the content of a stream may be an object, too.
"""

import re
from collections.abc import Iterator
from typing import Final

from roadworthy.uploads.stored import KiB
from roadworthy.uploads.types.inspecting.filetype import Rejected
from roadworthy.uploads.types.inspecting.reasons import ACTIVE_CONTENT, MALFORMED

__all__ = ["AHEAD", "BEHIND", "FILES", "PdfNames", "decoded", "is_empty_tree"]

BEHIND: Final = 8 * KiB
"""Bytes before a name that are read."""
AHEAD: Final = 2 * KiB
"""Bytes after a name that are read."""

FILES: Final = frozenset({b"EmbeddedFile", b"EmbeddedFiles", b"EF"})
"""Names that attach files."""
_ACTING: Final = FILES | {
    b"JavaScript",
    b"Launch",
    b"SubmitForm",
    b"ImportData",
    b"RichMedia",
    b"RichMediaExecute",
    b"GoToE",
    b"XFA",
}
_KEYS: Final = frozenset({b"S", b"Type", b"Subtype"})
_TREES: Final = frozenset({b"EmbeddedFiles", b"JavaScript"})

_PLAIN: Final = re.compile(rb"/(?:%s)(?![\w#.-])" % b"|".join(sorted(_ACTING, reverse=True)))
_WITH_ESCAPES: Final = re.compile(rb"/[\w.-]{0,20}#[0-9A-Fa-f]{2}[\w.#-]{0,60}")
_ESCAPE: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_WHITE: Final = b"\0\t\n\f\r "
_GAP: Final = rb"(?:[\0\t\n\f\r ]++|%[^\r\n]*+(?:[\r\n]|\Z))*+"
_LAST: Final = re.compile(rb"(/?[^\0\t\n\f\r ()<>\[\]{}/%]*+)\Z")
_LONGEST_KEY: Final = 3 * len(b"/Subtype")
_VALUE: Final = re.compile(
    _GAP + rb"(?:(<<)|(\[)|(\d{1,10})" + _GAP + rb"\d{1,5}" + _GAP + rb"R(?![\w]))"
)
_EMPTY_TREE: Final = re.compile(
    _GAP + b"<<" + _GAP + rb"(?:/(?:Names|Kids)" + _GAP + rb"\[" + _GAP + rb"\]" + _GAP + b")*+>>"
)
_EMPTY_OBJECT: Final = re.compile(rb"obj[\0\t\n\f\r ]*+<<[\0\t\n\f\r ]*+(?:>>|/(?:Names|Kids))")
_NUMBER: Final = re.compile(rb"(\d{1,10})[\0\t\n\f\r ]+\d{1,5}[\0\t\n\f\r ]*\Z")
_LONGEST_NUMBER: Final = 32
_ONLY_GAP: Final = re.compile(_GAP)
_NAME: Final = re.compile(_GAP + rb"(/[^\0\t\n\f\r ()<>\[\]{}/%]*+)")
_BEGINS_OBJECT: Final = re.compile(rb"(?<!end)obj\Z")
_PERCENT: Final = re.compile(b"%")
_FEW: Final = 64
_MAX_COMMENTS: Final = 10_000
"""The most lines of comments between keys and values, of all names together."""


def decoded(name: bytes) -> bytes:
    """Return a name without its slash and escapes (ISO 32000-2, 7.3.5)."""
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), name[1:])


def is_empty_tree(data: bytes, at: int) -> bool:
    """Return whether an empty name tree begins here."""
    return _EMPTY_TREE.match(data, at) is not None


class PdfNames:
    """Judge names in bytes of a PDF by what stands next to them."""

    def __init__(self, *, takes_files: bool = False) -> None:
        self._takes_files = takes_files
        self._comments = 0
        self._trees: set[int] = set()
        self.empty_trees: set[int] = set()
        """The numbers of objects that are trees of names with nothing in them."""

    def judge(self, data: bytes, start: int, end: int) -> None:
        """Judge the names that begin from `start` up to, not including, `end`.

        Raises:
            Rejected: A name makes the document act.
        """
        for found in _PLAIN.finditer(data, start):
            if found.start() >= end:
                break
            self._judge(data, found.start(), found.end(), found[0][1:])
        for found in _WITH_ESCAPES.finditer(data, start):
            if found.start() >= end:
                break
            self._judge_escaped(data, found)
        for found in _EMPTY_OBJECT.finditer(data, start):
            if found.start() < end:
                self._note_empty(data, found.start())

    def judge_object(self, data: bytes, at: int, number: int) -> None:
        """Judge an object of a stream: it may be the value of a key elsewhere.

        Raises:
            Rejected: The object makes the document act.
        """
        name = _NAME.match(data, at)
        if name is not None and decoded(name[1]) in _ACTING:
            self._found(decoded(name[1]))
        if is_empty_tree(data, at):
            self.empty_trees.add(number)

    def finish(self) -> None:
        """Judge the name trees that other objects are.

        Raises:
            Rejected: A name tree is not empty.
        """
        if not self._trees <= self.empty_trees:
            raise _acting()

    def is_value_of(self, data: bytes, at: int, keys: frozenset[bytes]) -> bool:
        """Return whether one of these keys, or an object's beginning, stands before."""
        return any(
            decoded(token) in keys if token[:1] == b"/" else _BEGINS_OBJECT.search(token)
            for token in self._before(data, at)
        )

    def _judge_escaped(self, data: bytes, found: re.Match[bytes]) -> None:
        name = decoded(found[0])
        if name in {b"Encrypt", b"ObjStm"}:
            raise _hides()
        if name in _ACTING:
            self._judge(data, found.start(), found.end(), name)

    def _judge(self, data: bytes, start: int, end: int, name: bytes) -> None:
        if name != b"EF" and self.is_value_of(data, start, _KEYS):
            self._found(name)
        gap = _ONLY_GAP.match(data, end, end + AHEAD)
        if gap is not None and gap.end() == end + AHEAD:
            raise _hides()
        if (value := _VALUE.match(data, end)) is not None:
            self._judge_key(data, end, name, value)

    def _judge_key(self, data: bytes, end: int, name: bytes, value: re.Match[bytes]) -> None:
        if name not in _TREES:
            if not (name == b"EF" and value[2]):  # it is never an array
                self._found(name)
        elif not value[3]:
            if not is_empty_tree(data, end):
                self._found(name)
        elif name == b"JavaScript" or not self._takes_files:
            self._trees.add(int(value[3]))

    def _found(self, name: bytes) -> None:
        if not (self._takes_files and name in FILES):
            raise _attached() if name in FILES else _acting()

    def _note_empty(self, data: bytes, at: int) -> None:
        number = _NUMBER.search(data, max(0, at - _LONGEST_NUMBER), at)
        if number is not None and is_empty_tree(data, at + len(b"obj")):
            self.empty_trees.add(int(number[1]))

    def _before(self, data: bytes, at: int) -> Iterator[bytes]:
        """Yield the bytes that may stand before, without comments."""
        ends = [at]
        first = max(0, at - BEHIND)
        while ends:
            end = ends.pop()
            stop = _end_of_text(data, first, end)
            if stop == first and first:
                raise _hides()
            last = _LAST.search(data, max(first, stop - _LONGEST_KEY), stop)
            yield last[1] if last else b""
            gap = data[stop:end]
            if b"\n" in gap or b"\r" in gap:
                ends += self._comments_of_line(data, first, stop)

    def _comments_of_line(self, data: bytes, first: int, end: int) -> list[int]:
        """Return the offsets where a comment of the line that ends here may begin."""
        begins = max(data.rfind(b"\n", first, end), data.rfind(b"\r", first, end))
        if begins < 0 and first:
            raise _hides()
        places = [found.start() for found in _PERCENT.finditer(data, max(begins, first), end)]
        self._comments += len(places)
        if self._comments > _MAX_COMMENTS:
            raise _hides()
        return places


def _end_of_text(data: bytes, first: int, end: int) -> int:
    """Return the offset of the white space that ends here."""
    for start in (max(first, end - _FEW), first):  # mostly there is little of it
        text = data[start:end].rstrip(_WHITE)
        if text:
            return start + len(text)
    return first


def _acting() -> Rejected:
    return Rejected(ACTIVE_CONTENT, "The document has scripts or actions in it.")


def _attached() -> Rejected:
    return Rejected(ACTIVE_CONTENT, "The document has other files attached to it.")


def _hides() -> Rejected:
    return Rejected(MALFORMED, "The document hides how it is written.")
