"""Messages about fields, without text of the client or of an exception."""

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final, cast

from pydantic_core import PydanticKnownError
from pydantic_core.core_schema import ErrorType

__all__ = ["message", "nearest"]

_FROM_THE_SCHEMA = frozenset(
    {"gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "field_type", "pattern"}
    | {"expected", "expected_schemes", "expected_tags", "expected_schema", "max_digits"}
    | {"decimal_places", "whole_digits", "discriminator", "expected_plural", "actual_length"}
)
"""The parts that a message may be filled with, none of which is text of the client."""

_OF_TYPES = frozenset({"class", "class_name", "encoding", "tz_expected"})
"""What Pydantic's own messages, and nobody else's, fill in from the schema."""

_OURS: Final = {
    # Pydantic's own begin with the tag that was sent, or name a function.
    "union_tag_invalid": "Input should have one of the expected tags: {expected_tags}",
    "union_tag_not_found": "Input should have a tag",
}

_HOLE: Final = re.compile(r"{(\w+)}")
_CLAUSE: Final = re.compile("[,;:(]")
_VAGUE: Final = "Input is not valid"

_SILENT: Final = frozenset({"value_error", "assertion_error"})
"""Their text is an exception's: it may quote the value, and it is ours, not the client's."""

_ALIKE: Final = 0.75
"""How alike two names must be for one to be a misspelling of the other."""

_LONG: Final = 64
"""The most letters of a name to compare: comparing n letters takes n² steps."""


def message(error: Mapping[str, Any]) -> str:
    """Return the message of a Pydantic error that a client may read."""
    code, text = error["type"], str(error["msg"])
    context: Mapping[str, Any] = error.get("ctx") or {}
    if code in _SILENT:
        return _VAGUE
    if code in _OURS:
        return _filled(_OURS[code], context)
    if context.keys() <= _FROM_THE_SCHEMA:
        return text  # Pydantic's own, or a PydanticCustomError written for clients
    said = _filled(_template(code, context), context)
    # One that was raised by hand under Pydantic's own name says whatever it likes.
    return said if text.startswith(said) else _VAGUE


def nearest(name: str, names: Sequence[str]) -> str | None:
    """Return the name nearest to another, None if none is near."""
    if len(name) > _LONG:
        return None
    wanted = _plain(name)
    likeness = {known: _likeness(wanted, _plain(known)) for known in names}
    best = max(likeness, key=lambda known: likeness[known], default="")
    return best if likeness.get(best, 0) >= _ALIKE else None


def _template(code: str, context: Mapping[str, Any]) -> str:
    try:
        return PydanticKnownError(cast("ErrorType", code), dict(context)).message_template
    except (KeyError, TypeError, ValueError):
        return _VAGUE  # it is not Pydantic's


def _filled(template: str, context: Mapping[str, Any]) -> str:
    """Fill in parts of the schema, and cut the text at the first other part."""
    for hole in _HOLE.finditer(template):
        if hole[1] not in _FROM_THE_SCHEMA | _OF_TYPES or hole[1] not in context:
            # "Input should be a valid UUID, invalid character: ..." quotes the input.
            clauses = list(_CLAUSE.finditer(template, 0, hole.start()))
            template = template[: clauses[-1].start()] if clauses else _VAGUE
            break
    return _HOLE.sub(lambda hole: str(context[hole[1]]), template)


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def _likeness(one: str, other: str) -> float:
    matcher = SequenceMatcher(None, one, other)
    return matcher.ratio() if matcher.real_quick_ratio() >= _ALIKE else 0.0
