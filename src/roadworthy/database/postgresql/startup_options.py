"""`options` of a URL as the server reads them: `-c name=value`, `--name=value`."""

import re
from collections.abc import Mapping
from datetime import timedelta
from math import ceil
from typing import Final

__all__ = ["duration", "joined", "milliseconds", "quoted", "split"]

_MOST: Final = timedelta(milliseconds=2**31 - 1)
"""What the server's settings hold: a little less than 25 days."""
_UNITS: Final[Mapping[str, float]] = {
    "": 1,
    "us": 0.001,
    "ms": 1,
    "s": 1000,
    "min": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
}
_DURATION: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)?\s*")
_WORD: Final = re.compile(r"(?:\\.|[^\s\\])+", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_SETTING: Final = re.compile(r"[A-Za-z_][\w.-]*=.*", re.DOTALL)


def split(options: str) -> tuple[dict[str, str], str]:
    """Return the settings in `options`, and the other words as they are.

    Raises:
        ValueError: After `-c` comes no setting.
    """
    settings: dict[str, str] = {}
    others: list[str] = []
    words = _WORD.findall(options)
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word += words.pop(0)
        if word.startswith(("-c", "--")):
            _add(settings, _ESCAPED.sub(r"\1", word[2:]))
        else:
            others.append(word)
    return settings, " ".join(others)


def joined(settings: Mapping[str, str]) -> str:
    """Return settings as `options` has them."""
    return " ".join(f"-c {_escape(f'{name}={value}')}" for name, value in settings.items())


def quoted(identifier: str) -> str:
    """Return a name as it stands in SQL, and in `search_path`: with its own capitals."""
    doubled = identifier.replace('"', '""')
    return f'"{doubled}"'


def milliseconds(time: timedelta, name: str) -> int:
    """Return a duration in whole milliseconds, as the server takes it: at least one.

    Raises:
        ValueError: The server has no such duration.
    """
    if time > _MOST:
        raise ValueError(f"{name} is at most {_MOST.days} days: PostgreSQL has no more.")
    return ceil(time / timedelta(milliseconds=1))


def duration(value: str) -> timedelta:
    """Return the duration of a setting of the server, such as `5s` or `250`.

    Raises:
        ValueError: It is none.
    """
    found = _DURATION.fullmatch(value)
    if found is None:
        raise ValueError("statement_timeout in the URL's options is like 5s, 500ms or 2min.")
    return timedelta(milliseconds=float(found[1]) * _UNITS[found[2] or ""])


def _add(settings: dict[str, str], text: str) -> None:
    if not _SETTING.fullmatch(text):
        raise ValueError("options in the URL has a -c without a name=value after it.")
    name, _, value = text.partition("=")
    settings[name.replace("-", "_").lower() if "." not in name else name] = value


def _escape(text: str) -> str:
    return re.sub(r"([\\\s])", r"\\\1", text)
