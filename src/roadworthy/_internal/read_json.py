"""Read JSON as RFC 8259 means it, and refuse what no database can store.

``json.loads`` accepts more than JSON (NaN, duplicate names, UTF-16) and yields
values that later break a response or a row: infinities from ``1e400``, lone
surrogates, NUL, integers of thousands of digits. Here each of these is refused
where it enters, with the place at which it stands.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

__all__ = ["BAD_TEXT", "MAX_DEPTH", "Json", "Unreadable", "Unstorable", "read_json", "unstorable"]

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

MAX_DEPTH = 100
"""Arrays and objects inside each other; RFC 8259 §9 allows such a limit."""

INT64 = range(-(2**63), 2**63)
"""What SQLite, PostgreSQL's bigint and most clients' integers can hold."""

_SUSPECT = re.compile(
    rb"\\u(?:0000|[dD][89a-fA-F])"  # NUL, or half of a surrogate pair
    rb"|NaN|Infinity"
    rb"|[0-9.][eE][+]?[0-9]{2}"  # could overflow a double
    rb"|[0-9]{19}"  # could overflow 64 bits
)
"""Bodies without any of these cannot hold an unstorable value: no walk needed."""


class Unreadable(ValueError):
    """The bytes are not one JSON document."""


@dataclass(frozen=True, slots=True)
class Unstorable:
    """One value that is JSON's grammar but nobody's data, and where it stands."""

    loc: tuple[str | int, ...]
    code: str
    message: str


def read_json(body: bytes) -> Json:
    """Parse one document, or raise `Unreadable` saying what is wrong with it.

    Refuses what is not UTF-8, duplicate names in an object (RFC 8259 §4) and
    nesting deeper than `MAX_DEPTH`. Unstorable values pass: `unstorable` finds them.
    """
    try:
        document: Json = _DECODER.decode(body.decode())
    except UnicodeDecodeError as error:
        raise Unreadable("The body is not UTF-8.") from error
    except RecursionError as error:
        raise Unreadable(_TOO_DEEP) from error
    except json.JSONDecodeError as error:
        raise Unreadable("The body is not valid JSON.") from error
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _deeper_than(document, MAX_DEPTH):
        raise Unreadable(_TOO_DEEP)
    return document


def unstorable(document: Json, body: bytes) -> list[Unstorable]:
    """List the values of a document that no row and no response could carry."""
    return list(_unstorable(document, ())) if _SUSPECT.search(body) else []


_TOO_DEEP = f"The body is nested deeper than {MAX_DEPTH} levels."


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("The body has an object with duplicate names.")
    return found


def _integer(digits: str) -> int:
    # int() refuses more than 4,300 digits with an error of its own; anything
    # this long is out of range whatever its digits are.
    return int(digits[:40])


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer)


def _deeper_than(document: Json, limit: int) -> bool:
    level: list[Json] = [document]
    for _ in range(limit):
        level = [child for node in level for child in _children(node) if _holds_more(child)]
    return bool(level)


def _holds_more(node: Json) -> bool:
    return isinstance(node, dict | list)


def _children(node: Json) -> Iterable[Json]:
    match node:
        case dict():
            return node.values()
        case list():
            return node
        case _:
            return ()


def _unstorable(node: Json, loc: tuple[str | int, ...]) -> Iterator[Unstorable]:
    match node:
        case dict():
            for name, child in node.items():
                yield from _unstorable_scalar(name, loc)
                yield from _unstorable(child, (*loc, name))
        case list():
            for index, child in enumerate(node):
                yield from _unstorable(child, (*loc, index))
        case _:
            yield from _unstorable_scalar(node, loc)


def _unstorable_scalar(node: Json, loc: tuple[str | int, ...]) -> Iterator[Unstorable]:
    match node:
        case str() if BAD_TEXT.search(node):
            yield Unstorable(loc, "string_unstorable", _TEXT)
        case float() if not isfinite(node):
            yield Unstorable(loc, "finite_number", "Input should be a finite number")
        case int() if node not in INT64:
            yield Unstorable(loc, "int_too_large", "Input should fit in 64 bits")
        case _:
            pass


_TEXT = "Text should hold neither NUL nor half of a surrogate pair"
BAD_TEXT = re.compile("[\x00\ud800-\udfff]")
"""NUL, or half of a surrogate pair."""
