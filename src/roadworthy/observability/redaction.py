"""Redaction: names and shapes leave the process, values that somebody typed do not.

A span of FastAPI has the query string as it came, and a log event of it the text and
the traceback of an exception. Both hold what users send: tokens, addresses, numbers of
cards. Here the names stay, so that a trace still tells what happened.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

__all__ = ["REDACTED", "SENSITIVE", "Redaction", "description", "query", "stacktrace", "url"]

REDACTED: Final = "REDACTED"
"""What stands where a value was."""

SENSITIVE: Final = frozenset(
    (
        *("access_token", "api_key", "apikey", "authorization", "client_secret", "cookie"),
        *("passwd", "password", "proxy_authorization", "refresh_token", "secret"),
        *("set_cookie", "token", "x_api_key"),
    )
)
"""Names whose values are never told, whatever else is chosen."""

_QUERIES: Final = frozenset({"url.query"})
_URLS: Final = frozenset({"url.full", "http.url", "http.target"})
_TYPE: Final = re.compile(r"[A-Za-z_][\w.]*")
_FRAME: Final = re.compile(r'[\s|+-]*File "[^"\n]*", line \d+(, in [\w.<>]+)?')
_HEAD: Final = re.compile(r"[\s|+-]*(Exception Group )?Traceback \(most recent call last\):")
_BETWEEN: Final = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)


class Redaction:
    """The names of attributes whose values are removed.

    `fields` are names whose values are replaced, beside `SENSITIVE`: each stands for
    itself and for the end of a dotted name, so that `email` is `user.email`, too.
    Upper case, `-` and `_` make no difference.
    """

    def __init__(self, fields: Iterable[str] = ()) -> None:
        self._fields = SENSITIVE | {_plain(field) for field in fields}
        self._known: dict[str, Any] = {}

    def hides(self, name: str) -> bool:
        """Return whether the value of this name is replaced."""
        plain = _plain(name)
        return plain in self._fields or plain.rpartition(".")[2] in self._fields

    def attributes(self, found: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what may be told, or None where that is all of it."""
        clean: dict[str, Any] | None = None
        for name, value in found.items():
            judge = self._judge(name)
            if judge is not None:
                clean = dict(found) if clean is None else clean
                clean[name] = judge(value)
        return clean

    def _judge(self, name: str) -> Any:
        # Attributes have few names, and every span asks for each of them.
        if name not in self._known and len(self._known) < _MOST_NAMES:
            self._known[name] = self._choose(name)
        return self._known[name] if name in self._known else self._choose(name)

    def _choose(self, name: str) -> Any:
        if self.hides(name) or name == "exception.message":
            return _nothing
        if name in _QUERIES:
            return query
        if name in _URLS:
            return url
        return stacktrace if name == "exception.stacktrace" else None


_MOST_NAMES: Final = 1000


def query(text: object) -> str:
    """Return the names of a query string, without their values."""
    pairs = parse_qsl(str(text), keep_blank_values=True)
    # What is no pair may be a value by itself: `?c2VjcmV0`.
    named = [(name if f"{name}=" in str(text) else REDACTED, REDACTED) for name, _ in pairs]
    return urlencode(named)


def url(text: object) -> str:
    """Return a URL without the values of its query, its user and its fragment."""
    try:
        found = urlsplit(str(text))
    except ValueError:
        return REDACTED
    host = found.netloc.rpartition("@")[2]
    return urlunsplit((found.scheme, host, found.path, query(found.query), ""))


def description(text: str | None) -> str | None:
    """Return the type of an exception whose text a status quotes."""
    if text is None:
        return None
    kind, _, rest = text.partition(":")
    if not _TYPE.fullmatch(kind):
        return REDACTED
    return f"{kind}: {REDACTED}" if rest else kind


def stacktrace(text: object) -> str:
    """Return types and frames of a traceback, without messages and lines of source."""
    lines: list[str] = []
    in_frames = False
    for line in str(text).splitlines():
        bare = line.strip(" |+-")
        if _HEAD.fullmatch(line):
            in_frames = True
            lines.append(line)
        elif bare in _BETWEEN:
            lines += ["", line, ""]
        elif in_frames and (frame := _FRAME.fullmatch(line)):
            lines.append(frame[0])
        elif bare and in_frames and not _is_source(line):
            in_frames = False  # what follows is the message, however it looks
            lines.append(description(bare) or "")
    return "\n".join(lines)


def _is_source(line: str) -> bool:
    return line.lstrip(" |").startswith(("^", "~")) or line.startswith(("    ", "  |     "))


def _nothing(_: object) -> str:
    return REDACTED


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
