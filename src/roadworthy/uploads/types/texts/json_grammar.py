"""`Grammar`: regular expressions of JSON (RFC 8259), for many values at once.

A pattern never matches half a token: what is cut at the end of a piece stays for the next one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

__all__ = ["CLOSERS", "CUT_ESCAPE", "LEVELS", "MAX_DIGITS", "MAX_WORD", "Grammar", "grammar"]

MAX_DIGITS: Final = 1_100
"""Digits of each part of a number: the longest double, written exactly, has 1,074."""
MAX_WORD: Final = 3 * MAX_DIGITS + 8
"""Bytes of a number, or of `true`, `false` and `null`."""
LEVELS: Final = 3
"""Nested arrays and objects that one pattern takes whole."""
CLOSERS: Final = {b"{": ord("}"), b"[": ord("]")}
"""The closing bracket of each opening one."""
CUT_ESCAPE: Final = re.compile(rb"\\(?:u[0-9A-Fa-f]{0,3})?\Z")
"""An escape at the end of a piece, whose rest is in the next piece."""

_CHARS: Final = rb"[^\"\\\x00-\x1f]*+"
_IN_STRING: Final = _CHARS + rb"(?:\\(?:[\"\\/bfnrt]|u[0-9A-Fa-f]{4})" + _CHARS + rb")*"
_DIGITS: Final = b"[0-9]{1,%d}+" % MAX_DIGITS
_NUMBER: Final = (
    b"-?(?:0|(?=[1-9])" + _DIGITS + rb")(?:\." + _DIGITS + b")?(?:[eE][+-]?" + _DIGITS + b")?"
)
_WORD: Final = rb"(?:true|false|null|" + _NUMBER + rb")"
_SCALAR: Final = rb"(?:\"" + _IN_STRING + rb"\"|" + _WORD + rb")"


@dataclass(frozen=True, slots=True)
class Grammar:
    """The patterns of a JSON text in which certain bytes count as white space."""

    value: re.Pattern[bytes]
    """The first byte of a value, or a whole word."""
    name: re.Pattern[bytes]
    """The quotation mark before the name of a member, or the end of an object."""
    whole_name: re.Pattern[bytes]
    """A name with its quotation marks and its colon."""
    colon: re.Pattern[bytes]
    after: re.Pattern[bytes]
    """What may follow a value: a comma, a closing bracket, or the end of a line."""
    runs: Mapping[int, tuple[re.Pattern[bytes], re.Pattern[bytes]]]
    """By closing bracket, as many items as come: with nested ones, and with scalars alone."""
    string: re.Pattern[bytes]
    """The inside of a string."""
    word: re.Pattern[bytes]
    """A number, `true`, `false` or `null`."""


@cache
def grammar(space: bytes) -> Grammar:
    """Return the patterns for texts in which the bytes of `space` are white space."""
    s = b"[" + space + b"]*+"
    nested = _SCALAR
    for _ in range(LEVELS):
        array, members = _run(nested, s), _run(_name(s) + nested, s)
        nested = b"(?:%s|\\[%s%s\\]|\\{%s%s\\})" % (_SCALAR, array, s, members, s)
    runs = {
        CLOSERS[b"["]: (re.compile(_run(nested, s)), re.compile(_run(_SCALAR, s))),
        CLOSERS[b"{"]: (
            re.compile(_run(_name(s) + nested, s)),
            re.compile(_run(_name(s) + _SCALAR, s)),
        ),
    }
    return Grammar(
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
    """Return a pattern of items, each followed by a comma and more, or by the end."""
    return b"(?:" + s + item + s + b"(?:,(?!" + s + rb"[\]}])|(?=[\]}])))*"


def _name(s: bytes) -> bytes:
    return b'"' + _IN_STRING + b'"' + s + b":" + s
