"""Conditional and range requests of a file (RFC 9110 §13, §14)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from starlette.requests import Request

__all__ = ["OutOfRange", "Validators", "part_wanted", "status_by_date", "status_by_tag"]

_RANGE: Final = re.compile(r"bytes=[ \t]*(\d{0,18})[ \t]*-[ \t]*(\d{0,18})[ \t]*", re.IGNORECASE)
_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e]*+)"')
_MAX_DATE: Final = 64


class OutOfRange(Exception):
    """The requested range lies outside the file."""


@dataclass(frozen=True, slots=True)
class Validators:
    """The tag and date of one state of a file."""

    tag: str
    """The entity tag, quotes included, strong."""
    modified_at: datetime
    """The time of the last change, in whole seconds, as in HTTP."""


def status_by_tag(request: Request, tag: str) -> int | None:
    """Return 412 or 304 by the entity tags of the request, else None.

    If-Match goes before If-None-Match, and either before the dates (RFC 9110 §13.2.2).
    """
    if (text := _field(request, "if-match")) is not None and not _names(text, tag, weak=False):
        return HTTPStatus.PRECONDITION_FAILED
    if (text := _field(request, "if-none-match")) is not None and _names(text, tag, weak=True):
        return HTTPStatus.NOT_MODIFIED
    return None


def status_by_date(request: Request, modified_at: datetime) -> int | None:
    """Return 412 or 304 by the dates of the request, where it has no tags."""
    unmodified, modified = (_date(request, f"if-{n}-since") for n in ("unmodified", "modified"))
    if unmodified and "if-match" not in request.headers and modified_at > unmodified:
        return HTTPStatus.PRECONDITION_FAILED
    if modified and "if-none-match" not in request.headers and modified_at <= modified:
        return HTTPStatus.NOT_MODIFIED
    return None


def part_wanted(request: Request, validators: Validators, size: int) -> tuple[int, int] | None:
    """Return the start and end of the requested range, None for the whole file.

    Several ranges at once and malformed ones get the whole file, as RFC 9110 §14.2 allows: many
    small ranges cost more than they save.

    Raises:
        OutOfRange: The range lies outside the file.
    """
    text = _field(request, "range")
    found = _RANGE.fullmatch(text) if text is not None and request.method == "GET" else None
    if found is None or not _is_still(request, validators):
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if first and last and int(last) < int(first):
        return None
    if start >= size:
        raise OutOfRange
    return start, end


def _is_still(request: Request, validators: Validators) -> bool:
    """Return whether If-Range matches this state of the file (§13.1.5)."""
    text = request.headers.get("if-range")
    if text is None or text.strip() == validators.tag:
        return True
    return _date(request, "if-range") == validators.modified_at


def _field(request: Request, name: str) -> str | None:
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None


def _names(text: str, tag: str, *, weak: bool) -> bool:
    """Return whether `*` or a list of entity tags has this one."""
    if text.strip() == "*":
        return True
    opaque = tag.strip('"')
    return any(found[2] == opaque and (weak or not found[1]) for found in _TAG.finditer(text))


def _date(request: Request, name: str) -> datetime | None:
    text = request.headers.get(name, "")[:_MAX_DATE]
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
