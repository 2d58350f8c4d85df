"""Show arguments and errors without secrets: both hold what clients sent."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final, cast

from roadworthy.observability import Redaction
from roadworthy.observability.redaction import REDACTED

__all__ = ["ShownJson", "shown_json", "shown_text"]

MOST: Final = 64 * 1024
"""Characters of JSON that are shown."""
_DEEPEST: Final = 20
_CUT: Final = "\N{HORIZONTAL ELLIPSIS}"
_USER_OF_URL: Final = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*://)[^\s\"'<>]*@")
_NAMED: Final = re.compile(
    r"(?P<name>[A-Za-z][\w-]*)(?P<sign>[\"']?\s*[=:]\s*)"
    r"(?P<value>\"[^\"]*\"|'[^']*'|(?:(?:Basic|Bearer)\s+)?[^\s&,;\"']+)"
)


@dataclass(frozen=True, slots=True)
class ShownJson:
    """JSON as a page shows it."""

    text: str
    why_not: str
    """Why it is not shown; empty where it is."""


def shown_json(stored: str, redaction: Redaction) -> ShownJson:
    """Return JSON on several lines, without the values that redaction hides, at any depth.

    What is no JSON, or too long to be read, is not shown: nobody could say what to hide of it.
    """
    if len(stored) > MOST:
        return ShownJson("", f"These are {len(stored):,} characters: too many to show here.")
    try:
        read: object = json.loads(stored)
        text = json.dumps(_clean(read, redaction, 0), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ShownJson("", f"These {len(stored):,} characters are no JSON that can be read.")
    return ShownJson(text, "")


def shown_text(text: str | None, redaction: Redaction) -> str:
    """Return an error's text without users and passwords of URLs, and without hidden values."""

    def judge(found: re.Match[str]) -> str:
        if not redaction.hides(found["name"]):
            return found[0]
        return f"{found['name']}{found['sign']}{REDACTED}"

    return _NAMED.sub(judge, _USER_OF_URL.sub(rf"\1{REDACTED}@", text or ""))


def _clean(value: object, redaction: Redaction, depth: int) -> Any:
    if depth > _DEEPEST:
        return _CUT
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        clean: dict[str, Any] = {
            name: REDACTED if redaction.hides(name) else _clean(member, redaction, depth + 1)
            for name, member in members.items()
        }
        return clean
    if isinstance(value, list):
        return [_clean(item, redaction, depth + 1) for item in cast("list[object]", value)]
    if isinstance(value, str):
        return _clean_text(value, redaction, depth)
    return value


def _clean_text(text: str, redaction: Redaction, depth: int) -> Any:
    """Return a text, and JSON within a text as what it is."""
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return json.dumps(_clean(json.loads(text), redaction, depth + 1), ensure_ascii=False)
        except ValueError:
            pass
    return shown_text(text, redaction)
