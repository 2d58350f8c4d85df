"""The media type that a client prefers, by its `Accept` header (RFC 9110 §12.5.1)."""

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["preferred"]

_ELEMENT: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
"""One range with its parameters: a comma inside quotes is no end."""

_PARAMETER: Final = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*"?)+')

_QUALITY: Final = re.compile(r"[0-9]*\.?[0-9]*")


def preferred(accept: str | None, *offered: str) -> str | None:
    """Return the media type that a client prefers, None where that is a draw.

    A higher weight wins. At equal weights, a type that is named goes before one that only a
    wildcard covers. If all are refused with `q=0`, a type that was not named goes first.
    """
    ranges = list(_ranges(accept or ""))
    weights = [(_weight(ranges, media_type), media_type) for media_type in offered]
    best, chosen = max(weights)
    return chosen if sum(weight == best for weight, _ in weights) == 1 else None


def _weight(ranges: list[tuple[str, float]], media_type: str) -> tuple[float, int]:
    """Return the quality of the most specific range for a type, and how specific."""
    patterns = ("*/*", f"{media_type.partition('/')[0]}/*", media_type)
    fitting = [
        (specific, quality)
        for name, quality in ranges
        for specific, pattern in enumerate(patterns, start=1)
        if name == pattern
    ]
    specific, quality = max(fitting, default=(0, 0.0))
    return quality, specific if quality else -specific


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    # Parameters other than the weight are left out: none of ours has any, and a client
    # that writes `application/json; charset=utf-8` means JSON.
    for element in _ELEMENT.findall(accept):
        name, *parameters = (piece.strip() for piece in _PARAMETER.findall(element) or [""])
        yield name.lower(), _quality(parameters)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            return _number(value.strip())
    return 1.0


def _number(text: str) -> float:
    # A weight that is no number is ignored.
    digits = text if _QUALITY.fullmatch(text) and any(map(str.isdigit, text)) else "1"
    return min(float(digits), 1.0)
